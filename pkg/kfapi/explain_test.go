package kfapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func TestExplain(t *testing.T) {
	for _, c := range []struct {
		name   string
		code   int
		errmsg string
		lang   Lang
		want   string
	}{
		{"busy", -1, "system busy", English, `errcode -1, temporary: system busy
Check: The platform is out of breath. Repeat at most 3 times, first after 300 ms; a send only with the same msgid.
Do: pause, then repeat. Retry: 3 times at most, first after 300 ms, then twice as long each time, with jitter. New access token: no.`},
		{"an old token", 42001, "", English, `errcode 42001, credential: access token expired
Check: It lives 7200 s, and the platform may end it early. Fetch a new one unless another worker has already, and repeat once.
Do: fetch a new access token, then repeat once. Retry as it is: no. New access token: yes, once.`},
		{"a stranger's address, named", 60020, "not allow to access from your ip, hint: [1700000000123456789], from ip: 203.0.113.7, more info at https://open.work.weixin.qq.com/devtool/query?e=60020", Chinese,
			`错误码 60020，权限：调用方 IP 不在可信 IP 列表中（修改后约 1 分钟生效）
排查：把出口 IP 加入应用的企业可信 IP；errmsg 的 from ip 后即为该地址。更换主机或经过 NAT 后常见。
处理：须人工处理，通常在管理后台。原样重试：否。刷新 access_token：否。
errmsg 提示：调用来自 203.0.113.7，可提供给平台客服的 hint 1700000000123456789`},
		{"another state", 95018, "send msg session status invalid", Chinese, `错误码 95018，状态：会话状态不允许通过接口发消息，或会话已超过 48 小时
排查：只有状态 0 和 1 可以调用 send_msg。请查询 service_state/get：2 和 3 由人工负责，不要抢占；4，或者 0、1 仍报此错：等待客户的下一条消息。
处理：重新读取会话状态，再作决定。原样重试：否。刷新 access_token：否。`},
		{"frequency", 45009, "", Chinese, `错误码 45009，调用频率：接口调用超过频率限制
排查：每个企业对单个接口每分钟最多 10000 次、每小时 150000 次；每个 IP 为 20000 和 600000 次。封禁时长等于超限的时间窗：一分钟、一小时或到当天结束。不带 token 的 sync_msg 限制更严。
处理：暂停调用该接口，直到超限的时间窗结束。重试：1 次，至少等待 60 秒。刷新 access_token：否。`},
		{"one source only", 95025, "", English, `errcode 95025, limit: one business card in 48 hours (unconfirmed)
Check: One business_card for each customer in 48 hours: wait until it has passed.
Do: wait for the customer, or for the window to pass. Retry as it is: no. New access token: no.
More: https://open.work.weixin.qq.com/devtool/query?e=95025`},
		{"a success that lost fields", 0, "ok, WARNING: Wrong JSON format. ", English, `errcode 0, no category: success
Check: For send_msg it means accepted, not delivered: a failure comes later as the event msg_send_fail.
Do: nothing; do not repeat it. Retry as it is: no. New access token: no.
Warning: the platform could not read all of the request's JSON; fields may have been lost, even with errcode 0.`},
		{"unknown, beside Kf's", 95099, "", English, `errcode 95099 is not in the catalogue; its meaning is not known here
Its neighbours: WeChat Customer Service
Do: take it as final and tell a person. Retry as it is: no. New access token: no.
Look it up: https://open.work.weixin.qq.com/devtool/query?e=95099`},
		{"unknown, perhaps a fail_type", 6, "", Chinese, `错误码 6 不在目录中，含义不详
如果它是 msg_send_fail 的 fail_type：超过 5 条消息
处理：按不可重试处理，并通知负责人。原样重试：否。刷新 access_token：否。
查询：https://open.work.weixin.qq.com/devtool/query?e=6`},
		{"unknown, a library's", -40050, "", English, `errcode -40050 is not in the catalogue; its meaning is not known here
Its neighbours: callback signature, envelope and key, by the crypto library
Do: take it as final and tell a person. Retry as it is: no. New access token: no.`},
		{"a strange language is English", 95008, "", "fr", `errcode 95008, limit: more than 10 menu items
Check: msgmenu.list has at most 10 items.
Do: correct the request; as it is it will be refused again. Retry as it is: no. New access token: no.`},
	} {
		if got := Explain(c.code, c.errmsg, c.lang); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

// What the platform says may repeat what a customer said, or be made up by a proxy.
func TestExplainShowsNothingOfErrmsgButNumbers(t *testing.T) {
	for name, errmsg := range map[string]string{
		"a customer's text":       "invalid content: CANARY",
		"a token":                 "from ip: CANARY, hint: [CANARY]",
		"terminal codes":          "\x1b[31mhint: [\x1b[0m1], from ip: \u202e1.2.3.4\r\nCANARY",
		"an address that is none": "from ip: 999.1.2.3",
		"a hint without end":      "hint: [" + strings.Repeat("7", 100_000) + "]",
		"very long":               strings.Repeat("wrong json format hint: [1], from ip: ::1 ", 100_000),
		"not UTF-8":               "\xff\xfe from ip: \xff",
	} {
		for _, lang := range []Lang{English, Chinese} {
			for _, code := range []int{40058, 95099} {
				checkSafe(t, name, Explain(code, errmsg, lang))
				checkSafe(t, name, ExplainError(&Error{Op: "send_msg", Code: code, Msg: errmsg}, lang))
			}
		}
	}
	if got := Explain(60020, "FROM IP:2001:db8::1.", English); !strings.Contains(got, "2001:db8::1") {
		t.Errorf("an IPv6 address is lost: %s", got)
	}
}

func checkSafe(t *testing.T, name, got string) {
	t.Helper()
	bad := func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }
	if strings.Contains(got, "CANARY") || strings.ContainsFunc(got, bad) || !utf8.ValidString(got) || len(got) > 2048 || strings.Contains(got, "999.1") || strings.Contains(got, "invalid IP") {
		t.Errorf("%s: got %q", name, got)
	}
}

func FuzzExplain(f *testing.F) {
	f.Add(60020, "hint: [1], from ip: 1.2.3.4, Warning: wrong json format.", "zh")
	f.Add(-40001, "from ip: ::ffff:1.2.3.4%eth0", "en")
	f.Fuzz(func(t *testing.T, code int, errmsg, lang string) {
		got := Explain(code, errmsg, Lang(lang))
		checkSafe(t, "fuzz", got)
		if _, ok := Lookup(code); got == "" || !ok && !strings.Contains(got, strconv.Itoa(code)) {
			t.Errorf("got %q", got)
		}
	})
}

// Every code has an explanation that agrees with the rest of the API.
func TestExplainOfEveryCode(t *testing.T) {
	n := 0
	for info := range Catalogue() {
		n++
		for _, lang := range []Lang{English, Chinese} {
			meaning, hint := info.Text(lang)
			got := Explain(info.Code, strings.Repeat("wrong json format, hint: [1234567890123456789], from ip: 203.0.113.77 ", 9), lang)
			checkSafe(t, fmt.Sprint(info.Code), got)
			for _, want := range []string{fmt.Sprint(info.Code), info.Category.Words(lang), meaning, hint, info.Action.Words(lang), "203.0.113.77"} {
				if !strings.Contains(got, want) {
					t.Errorf("%d, %s: %q is missing in\n%s", info.Code, lang, want, got)
				}
			}
			refresh := lang.pick("token: yes", "access_token：是")
			if strings.Contains(got, refresh) != ShouldRefreshToken(info.Code) {
				t.Errorf("%d, %s: tells the wrong thing about tokens:\n%s", info.Code, lang, got)
			}
			no := lang.pick("Retry as it is: no.", "原样重试：否。")
			if strings.Contains(got, no) == ShouldRetry(info.Code).Retry {
				t.Errorf("%d, %s: tells the wrong thing about repeating:\n%s", info.Code, lang, got)
			}
		}
	}
	t.Logf("%d codes", n)
}

func TestShouldRetry(t *testing.T) {
	for code, want := range map[int]RetryAdvice{
		-1:     {true, 3, 300 * time.Millisecond, ""},
		6000:   {true, 3, 300 * time.Millisecond, ""},
		45033:  {true, 3, time.Second, ""},
		830003: {true, 3, time.Second, ""},
		45009:  {true, 1, time.Minute, ""},
	} {
		got := ShouldRetry(code)
		if want.Reason = got.Reason; got != want || got.Reason == "" {
			t.Errorf("%d: got %+v, want %+v", code, got, want)
		}
	}
	for info := range Catalogue() {
		got := ShouldRetry(info.Code)
		byAction := info.Action == ActionRetry || info.Action == ActionBackoff
		if got.Retry != byAction || got.Reason == "" {
			t.Errorf("%d is %q: got %+v", info.Code, info.Action, got)
		}
		if !got.Retry && (got.Attempts != 0 || got.FirstBackoff != 0) {
			t.Errorf("%d: no retry, and yet %+v", info.Code, got)
		}
		if (info.Action == ActionRefresh) != ShouldRefreshToken(info.Code) {
			t.Errorf("%d is %q: ShouldRefreshToken says %v", info.Code, info.Action, ShouldRefreshToken(info.Code))
		}
	}
	if got := ShouldRetry(12345); got.Retry || got.Reason == "" {
		t.Errorf("unknown: got %+v", got)
	}
}

func TestExplainError(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error
		en, zh []string
	}{
		{"a refusal", &Error{Op: "send_msg", Code: 95001, Msg: "CANARY"}, []string{"send_msg: errcode 95001", "5 more"}, []string{"send_msg：错误码 95001", "再发 5 条"}},
		{"a token that is refused", &Error{Op: "send_msg", Code: 40001}, []string{"New access token: yes"}, []string{"刷新 access_token：是"}},
		{"a secret that is refused", &Error{Op: "gettoken", Code: 40001}, []string{"Do: a person must act", "New access token: no"}, []string{"处理：须人工处理", "刷新 access_token：否"}},
		{"unknown", &Error{Op: "sync_msg", Code: 95099, Msg: "hint: [42]"}, []string{"sync_msg: errcode 95099 is not in", "hint id for the platform's support 42"}, []string{"sync_msg：错误码 95099", "hint 42"}},
		{"not written", &TransportError{Op: "send_msg", Err: context.DeadlineExceeded}, []string{"send_msg: not sent: context deadline", "may be repeated"}, []string{"send_msg：未发出", "可稍候重试"}},
		{"written", &TransportError{Op: "send_msg", Written: true, Err: io.ErrUnexpectedEOF}, []string{"no whole answer", "same msgid"}, []string{"没有收到完整的应答", "相同的 msgid"}},
		{"a proxy's page", &BodyError{Op: "sync_msg", Status: 200, Length: 17, Why: "not a JSON object"}, []string{"HTTP 200, 17 bytes: not a JSON object", "login page", "same msgid"}, []string{"HTTP 200，17 字节", "登录页"}},
		{"a redirect", &BodyError{Op: "sync_msg", Status: 302}, []string{"base URL; the platform redirects no call"}, []string{"不会重定向"}},
		{"a 502", &BodyError{Op: "sync_msg", Status: 502}, []string{"gateway"}, []string{"网关"}},
		{"a broken limit", &LimitError{Field: "text.content", Why: "is 3 bytes, at most 2 are allowed"}, []string{"refused here, nothing was sent: text.content: is 3 bytes"}, []string{"本地拒绝，没有发出：text.content"}},
		{"a stranger", io.EOF, []string{"EOF"}, []string{"EOF"}},
	} {
		for _, err := range []error{c.err, fmt.Errorf("command 7: %w", c.err)} {
			for lang, want := range map[Lang][]string{English: c.en, Chinese: c.zh} {
				got := ExplainError(err, lang)
				checkSafe(t, c.name, got)
				for _, w := range want {
					if !strings.Contains(got, w) {
						t.Errorf("%s: %q is missing in\n%s", c.name, w, got)
					}
				}
			}
		}
	}
	if got := ExplainError(nil, English); got != "" {
		t.Errorf("nil: got %q", got)
	}
	if got := ExplainError(errors.Join(io.EOF, &Error{Code: 95008}), Chinese); !strings.Contains(got, "95008") {
		t.Errorf("joined: got %q", got)
	}
}

func TestExplainFail(t *testing.T) {
	for _, f := range FailTypes() {
		for _, lang := range []Lang{English, Chinese} {
			got := ExplainFail(f.Type, lang)
			meaning, hint := f.Text(lang)
			if !strings.Contains(got, meaning) || !strings.Contains(got, hint) || !strings.Contains(got, f.Action.Words(lang)) {
				t.Errorf("%d: got\n%s", f.Type, got)
			}
			checkSafe(t, fmt.Sprint(f.Type), got)
		}
	}
	if got := ExplainFail(3, English); !strings.Contains(got, "not documented") {
		t.Errorf("3: got %s", got)
	}
	if got := ExplainFail(99, Chinese); !strings.Contains(got, "文档未说明") {
		t.Errorf("99: got %s", got)
	}
}

func BenchmarkExplain(b *testing.B) {
	const errmsg = "not allow to access from your ip, hint: [1700000000123456789], from ip: 203.0.113.7, more info at https://open.work.weixin.qq.com/devtool/query?e=60020"
	for b.Loop() {
		Explain(60020, errmsg, Chinese)
	}
}

func BenchmarkLookup(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Lookup(95018)
	}
}
