package kfapi

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Explain says in a few lines what an errcode means, what to check and what to do: for people, in logs, consoles and
// answers. errmsg is the platform's, and may be empty; of it only what is safe to show is taken: its hint id, the caller's
// address and the warning about JSON, see [IsWrongJSONFormat]. So the result holds no secret, no text of a customer and no
// control character but newlines, and has less than 2 KiB. An unknown code is said to be unknown, with what its neighbours
// are about and the platform's page for it.
//
// https://developer.work.weixin.qq.com/document/path/90313
func Explain(code int, errmsg string, lang Lang) string { return explain("", code, errmsg, lang) }

// explain is Explain for the call op; "" is any.
func explain(op string, code int, errmsg string, lang Lang) string {
	info, ok := Lookup(code)
	if !ok {
		return join(unknown(code, lang), diagnostics(errmsg, lang), jsonWarning(errmsg, lang))
	}
	meaning, hint := info.Text(lang)
	note := ""
	if info.Unconfirmed {
		note = lang.pick(" (unconfirmed)", "（未经证实）")
	}
	action, refresh := info.Action, ShouldRefreshToken(code)
	if fetchesToken(op) && refresh {
		action, refresh = ActionAlert, false
	}
	return join(
		fmt.Sprintf(lang.pick("errcode %d, %s: %s%s", "错误码 %d，%s：%s%s"), code, info.Category.Words(lang), meaning, note),
		lang.pick("Check: ", "排查：")+hint,
		lang.pick("Do: ", "处理：")+action.Words(lang)+lang.pick(". ", "。")+retryLine(code, refresh, lang),
		diagnostics(errmsg, lang), jsonWarning(errmsg, lang), more(info, lang))
}

// ExplainFail is Explain for a fail_type of the event msg_send_fail.
func ExplainFail(t FailType, lang Lang) string {
	f, ok := LookupFail(t)
	if !ok {
		return fmt.Sprintf(lang.pick("fail_type %d: not documented. Treat it as 0: note it, and do not send it again automatically",
			"fail_type %d：文档未说明。按 0 处理：记录即可，不要自动重发"), t)
	}
	meaning, hint := f.Text(lang)
	return join(
		fmt.Sprintf(lang.pick("fail_type %d: %s", "fail_type %d：%s"), t, meaning),
		lang.pick("Check: ", "排查：")+hint,
		lang.pick("Do: ", "处理：")+f.Action.Words(lang)+lang.pick(".", "。"))
}

// QueryURL is the platform's own page about an errcode.
func QueryURL(code int) string {
	return "https://open.work.weixin.qq.com/devtool/query?e=" + strconv.Itoa(code)
}

func join(lines ...string) string {
	kept := lines[:0]
	for _, l := range lines {
		if l != "" {
			kept = append(kept, l)
		}
	}
	return strings.Join(kept, "\n")
}

// more points to the platform's page where ours is thin.
func more(info Info, lang Lang) string {
	if !info.Unconfirmed || info.Category == CategoryCrypto {
		return ""
	}
	return lang.pick("More: ", "更多：") + QueryURL(info.Code)
}

// retryLine says whether to repeat, and whether with a new token.
func retryLine(code int, refresh bool, lang Lang) string {
	retry := ShouldRetry(code)
	var b strings.Builder
	switch {
	case !retry.Retry:
		b.WriteString(lang.pick("Retry as it is: no. ", "原样重试：否。"))
	case retry.Attempts == 1:
		fmt.Fprintf(&b, lang.pick("Retry: once, after %s at the earliest. ", "重试：1 次，至少等待 %s。"), pause(retry.FirstBackoff, lang))
	default:
		fmt.Fprintf(&b, lang.pick("Retry: %d times at most, first after %s, then twice as long each time, with jitter. ",
			"重试：最多 %d 次，首次等待 %s，之后逐次加倍并加随机抖动。"), retry.Attempts, pause(retry.FirstBackoff, lang))
	}
	if refresh {
		b.WriteString(lang.pick("New access token: yes, once.", "刷新 access_token：是，仅一次。"))
	} else {
		b.WriteString(lang.pick("New access token: no.", "刷新 access_token：否。"))
	}
	return b.String()
}

func pause(d time.Duration, lang Lang) string {
	if d < time.Second {
		return strconv.FormatInt(d.Milliseconds(), 10) + lang.pick(" ms", " 毫秒")
	}
	return strconv.Itoa(int(d/time.Second)) + lang.pick(" s", " 秒")
}

// Only digits, and an address that parses, pass from an errmsg into an explanation: its other words may repeat the request.
var (
	hintID = regexp.MustCompile(`(?i)\bhint: ?\[(\d{1,64})\]`)
	fromIP = regexp.MustCompile(`(?i)\bfrom ip: ?([0-9a-f.:]{2,45})`)
)

const maxDiagnosed = 4096 // bytes of an errmsg that are looked at; real ones have a few hundred

// CallerAddress finds the address in an errmsg that the platform saw the call come from; refusals name it after "from ip".
func CallerAddress(errmsg string) (addr netip.Addr, ok bool) {
	m := fromIP.FindStringSubmatch(errmsg[:min(len(errmsg), maxDiagnosed)])
	if m == nil {
		return addr, false
	}
	addr, err := netip.ParseAddr(strings.TrimRight(m[1], "."))
	return addr, err == nil
}

func diagnostics(errmsg string, lang Lang) string {
	errmsg = errmsg[:min(len(errmsg), maxDiagnosed)]
	var found []string
	if addr, ok := CallerAddress(errmsg); ok {
		found = append(found, lang.pick("the call came from ", "调用来自 ")+addr.String())
	}
	if m := hintID.FindStringSubmatch(errmsg); m != nil {
		found = append(found, lang.pick("hint id for the platform's support ", "可提供给平台客服的 hint ")+m[1])
	}
	if found == nil {
		return ""
	}
	return lang.pick("errmsg says: ", "errmsg 提示：") + strings.Join(found, lang.pick(", ", "，"))
}

func jsonWarning(errmsg string, lang Lang) string {
	if !IsWrongJSONFormat(errmsg) {
		return ""
	}
	return lang.pick("Warning: the platform could not read all of the request's JSON; fields may have been lost, even with errcode 0.",
		"警告：平台未能完整解析请求的 JSON；即使错误码为 0，也可能丢失了部分字段。")
}
