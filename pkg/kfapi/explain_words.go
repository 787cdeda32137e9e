package kfapi

// Lang is a language of explanations. The zero value and every unknown one are English.
type Lang string

// Languages.
const (
	English Lang = "en"
	Chinese Lang = "zh"
)

func (l Lang) pick(en, zh string) string {
	if l == Chinese {
		return zh
	}
	return en
}

// Words says in one phrase what to do.
func (a Action) Words(l Lang) string {
	switch a {
	case ActionRefresh:
		return l.pick("fetch a new access token, then repeat once", "重新获取 access_token，然后重试一次")
	case ActionRetry:
		return l.pick("pause, then repeat", "稍候重试")
	case ActionBackoff:
		return l.pick("leave this API alone until the broken window is over", "暂停调用该接口，直到超限的时间窗结束")
	case ActionFix:
		return l.pick("correct the request; as it is it will be refused again", "修正请求；原样重试仍会被拒绝")
	case ActionWait:
		return l.pick("wait for the customer, or for the window to pass", "等待客户再次发来消息，或等待时间窗过去")
	case ActionAlert:
		return l.pick("a person must act, mostly in the admin console", "须人工处理，通常在管理后台")
	case ActionStop:
		return l.pick("stop this account or customer, and tell a person", "停止该账号或该客户的发送，并通知负责人")
	case ActionReupload:
		return l.pick("upload the media again and use the new media_id", "重新上传媒体文件，使用新的 media_id")
	case ActionReread:
		return l.pick("read the session state again, then decide", "重新读取会话状态，再作决定")
	case ActionDrop:
		return l.pick("give it up; repeating cannot succeed", "放弃；重试不会成功")
	}
	return l.pick("nothing; do not repeat it", "无需处理，不要重试")
}

// Words names the category.
func (c Category) Words(l Lang) string {
	switch c {
	case CategoryAuth:
		return l.pick("credential", "凭证")
	case CategoryPerm:
		return l.pick("permission", "权限")
	case CategoryParam:
		return l.pick("parameter", "参数")
	case CategoryNotFound:
		return l.pick("not found", "不存在")
	case CategoryLimit:
		return l.pick("limit", "数量限制")
	case CategoryState:
		return l.pick("state", "状态")
	case CategoryContent:
		return l.pick("content", "内容安全")
	case CategoryFreq:
		return l.pick("frequency", "调用频率")
	case CategoryTransient:
		return l.pick("temporary", "暂时性")
	case CategoryUnsupported:
		return l.pick("unsupported", "不支持")
	case CategoryCrypto:
		return l.pick("callback crypto", "回调加解密")
	}
	return l.pick("no category", "无分类")
}

// Text returns the meaning and the hint in a language.
func (i Info) Text(l Lang) (meaning, hint string) {
	return l.pick(i.Meaning, i.MeaningZH), l.pick(i.Hint, i.HintZH)
}

// Text returns the meaning and the hint in a language.
func (f FailInfo) Text(l Lang) (meaning, hint string) {
	return l.pick(f.Meaning, f.MeaningZH), l.pick(f.Hint, f.HintZH)
}
