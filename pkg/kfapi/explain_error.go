package kfapi

import (
	"errors"
	"fmt"
)

// ExplainError says in a few lines what an error of this package means and what to do, for people: [*Error] as [Explain]
// does, and [*TransportError], [*BodyError] and [*LimitError], wrapped or not. Of a refusal's Msg it takes no more than
// Explain does. nil gives "", any other error its own text.
func ExplainError(err error, lang Lang) string {
	var refusal *Error
	var transport *TransportError
	var body *BodyError
	var limit *LimitError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &refusal):
		return prefix(refusal.Op, lang) + explain(refusal.Op, refusal.Code, refusal.Msg, lang)
	case errors.As(err, &transport):
		return explainTransport(transport, lang)
	case errors.As(err, &body):
		return explainBody(body, lang)
	case errors.As(err, &limit):
		return explainLimit(limit, lang)
	}
	return err.Error()
}

func prefix(op string, lang Lang) string {
	if op == "" {
		return ""
	}
	return op + lang.pick(": ", "：")
}

func explainTransport(e *TransportError, lang Lang) string {
	if !e.Written {
		return join(
			fmt.Sprintf(lang.pick("%snot sent: %v", "%s未发出：%v"), prefix(e.Op, lang), e.Err),
			lang.pick("Check: DNS, proxy, firewall (get_api_domain_ip names the platform's addresses), TLS, the deadline.",
				"排查：DNS、代理、防火墙（平台地址见 get_api_domain_ip）、TLS、超时设置。"),
			lang.pick("Do: nothing reached the platform, so it may be repeated after a pause.",
				"处理：平台没有收到任何内容，可稍候重试。"))
	}
	return join(
		fmt.Sprintf(lang.pick("%ssent, but no whole answer came: %v", "%s已发出，但没有收到完整的应答：%v"), prefix(e.Op, lang), e.Err),
		lang.pick("Check: the network and the deadline.", "排查：网络与超时设置。"), ambiguous(lang))
}

func explainBody(e *BodyError, lang Lang) string {
	check := lang.pick("Check: whether a proxy or a login page answers in place of the platform, and the base URL.",
		"排查：是否有代理或登录页代替平台应答，以及基础 URL 是否正确。")
	switch {
	case e.Status >= 500:
		check = lang.pick("Check: nothing at first; the platform or a gateway before it has trouble.",
			"排查：暂不需要；平台或其前面的网关出现故障。")
	case e.Status >= 300 && e.Status < 400:
		check = lang.pick("Check: the base URL; the platform redirects no call.", "排查：基础 URL；平台的接口不会重定向。")
	}
	return join(fmt.Sprintf(lang.pick("%sthe answer is not the platform's: HTTP %d, %d bytes: %s",
		"%s应答不是平台的格式：HTTP %d，%d 字节：%s"), prefix(e.Op, lang), e.Status, e.Length, e.Why), check, ambiguous(lang))
}

func ambiguous(lang Lang) string {
	return lang.pick("Do: the platform may have acted. Repeat what only reads; repeat a send with the same msgid or not at all.",
		"处理：平台可能已经执行。只读的调用可以重试；发送须使用相同的 msgid 重试，否则不要重试。")
}

func explainLimit(e *LimitError, lang Lang) string {
	return join(
		fmt.Sprintf(lang.pick("refused here, nothing was sent: %s: %s", "本地拒绝，没有发出：%s：%s"), e.Field, e.Why),
		lang.pick("Do: ", "处理：")+ActionFix.Words(lang)+lang.pick(".", "。"))
}
