package kfapi

import "fmt"

// unknown explains a code that is not in the catalogue.
func unknown(code int, lang Lang) string {
	near := ""
	for _, r := range neighbours {
		if r.from <= code && code <= r.to {
			near = lang.pick("Its neighbours: ", "相邻错误码：") + lang.pick(r.en, r.zh)
			break
		}
	}
	fail := ""
	if f, ok := LookupFail(FailType(code)); ok {
		meaning, _ := f.Text(lang)
		fail = fmt.Sprintf(lang.pick("If it is the fail_type of msg_send_fail: %s", "如果它是 msg_send_fail 的 fail_type：%s"), meaning)
	}
	look := ""
	if code > -10_000 { // no library's
		look = lang.pick("Look it up: ", "查询：") + QueryURL(code)
	}
	return join(
		fmt.Sprintf(lang.pick("errcode %d is not in the catalogue; its meaning is not known here", "错误码 %d 不在目录中，含义不详"), code),
		near, fail,
		lang.pick("Do: take it as final and tell a person. Retry as it is: no. New access token: no.",
			"处理：按不可重试处理，并通知负责人。原样重试：否。刷新 access_token：否。"),
		look)
}

// neighbours says what the documented codes around an unknown one are about. The first that fits is told.
var neighbours = [...]struct {
	from, to int
	en, zh   string
}{
	{-40099, -40000, "callback signature, envelope and key, by the crypto library", "加解密库的回调签名、信封与密钥"},
	{40015, 40016, "some SDKs use it for callback signatures and decryption, so it may be no answer of the platform", "有的 SDK 用它表示回调签名或解密错误，未必是平台的应答"},
	{40000, 40999, "illegal values and credentials", "取值不合法与凭证"},
	{41000, 41999, "missing parameters", "缺少参数"},
	{42000, 42999, "something has expired", "已过期"},
	{43000, 43999, "something the corp or the app must set up first", "企业或应用须先完成的设置"},
	{44000, 44999, "something is empty", "内容为空"},
	{45000, 45999, "sizes and call frequency", "大小与调用频率"},
	{48000, 48999, "permissions for APIs", "接口权限"},
	{50000, 50999, "disabled apps and members out of range", "应用停用与成员越权"},
	{60000, 60999, "members, departments and the caller's address", "成员、部门与调用方 IP"},
	{84000, 84999, "external contacts", "外部联系人"},
	{89000, 89999, "the caller's address of official accounts", "公众号的调用方 IP"},
	{90000, 90999, "mini programs", "小程序"},
	{95000, 95999, "WeChat Customer Service", "微信客服"},
	{301000, 301999, "permissions for an app, and uploads", "应用权限与上传"},
	{830000, 830999, "uploads by URL and downloads", "通过 URL 上传与下载"},
}
