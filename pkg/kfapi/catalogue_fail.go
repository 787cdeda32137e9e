package kfapi

// FailInfo is what is known of a fail_type of the event msg_send_fail: why a message that was accepted did not arrive.
type FailInfo struct {
	Type      FailType
	Action    Action
	Meaning   string // English, one phrase
	MeaningZH string // the same in Chinese
	Hint      string // English
	HintZH    string // the same in Chinese
}

// LookupFail returns what is known of a fail_type; ok is false for 3, which is not used, and for what is not documented.
//
// https://developer.work.weixin.qq.com/document/path/94670
func LookupFail(t FailType) (info FailInfo, ok bool) {
	for _, f := range failTypes {
		if f.Type == t {
			return f, true
		}
	}
	return FailInfo{}, false
}

// FailTypes returns everything that LookupFail knows, by ascending type.
func FailTypes() []FailInfo { return append([]FailInfo(nil), failTypes[:]...) }

// failTypes is sorted and never written to.
var failTypes = [...]FailInfo{
	{0, ActionNone,
		"unknown", "未知原因",
		"Note it, and do not send it again automatically.",
		"记录即可，不要自动重发。"},
	{1, ActionStop,
		"Kf account deleted", "客服账号已删除",
		"Stop working for this account.",
		"请停止处理该账号。"},
	{2, ActionAlert,
		"app closed or disabled", "应用已关闭或停用",
		"Enable the app in the admin console.",
		"请在管理后台启用该应用。"},
	{4, ActionWait,
		"session expired, more than 48 hours", "会话已过期，超过 48 小时",
		"Only a new message of the customer opens the window again.",
		"只有客户再次发来消息才会重新打开窗口。"},
	{5, ActionWait,
		"session closed", "会话已关闭",
		"The customer's next message begins a new session.",
		"客户再次发来消息后会开始新会话。"},
	{6, ActionWait,
		"more than 5 messages", "超过 5 条消息",
		"The customer's next message allows 5 more.",
		"客户再次发来消息后可再发 5 条。"},
	{7, ActionAlert,
		"corp has bound no Channels account (old)", "企业未绑定视频号（旧）",
		"Bind a Channels account in the admin console.",
		"请在管理后台绑定视频号。"},
	{8, ActionAlert,
		"corp identity not verified", "企业主体未认证",
		"Verify the corp in the admin console.",
		"请在管理后台完成企业认证。"},
	{9, ActionAlert,
		"no Channels account bound and identity not verified (old)", "未绑定视频号且主体未认证（旧）",
		"Verify the corp, or bind a Channels account.",
		"请完成企业认证，或绑定视频号。"},
	{10, ActionStop,
		"customer refuses messages", "客户拒收消息",
		"Stop sending to this customer.",
		"请停止向该客户发送。"},
	{11, ActionAlert,
		"no member of the corp has logged in to the WeCom app", "企业没有成员登录企业微信",
		"At least one member must log in to the WeCom app.",
		"至少须有一名成员登录企业微信客户端。"},
	{12, ActionFix,
		"message type forbidden by the Kf component's sender setting", "客服组件的发送设置不允许该消息类型",
		"Choose another msgtype, or change the setting.",
		"请改用其他 msgtype，或修改该设置。"},
	{13, ActionAlert,
		"security restriction", "安全限制",
		"A person must look at what was said and at the account.",
		"须人工检查消息内容和账号。"},
}
