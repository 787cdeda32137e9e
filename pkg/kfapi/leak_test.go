package kfapi

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Canaries stand in every field of every call that holds a secret or somebody's words. None may be in any error.
const (
	secretCanary = "corp-secret+CANARY/0002="
	syncCanary   = "sync-token-CANARY-0003"
	codeCanary   = "welcome-code-CANARY-0004"
	textCanary   = "customer-text-CANARY-0005"
	mediaCanary  = "media-id-CANARY-0006"
	nameCanary   = "file-name-CANARY-0007.png"
	userCanary   = "wm-CANARY-0008"
)

type namedCall struct {
	name string
	do   func(context.Context, *Client) error
}

// calls is every call of the package, in the order of endpoints, and Do and Call.
func calls() []namedCall {
	text := Text{Content: textCanary}
	const kfid = "wk1"
	question := KnowledgeQuestion{KnowledgeText{textCanary}}
	answers := []KnowledgeAnswer{{KnowledgeText{textCanary}, []KnowledgeAttachment{{MsgType: "image", Image: &KnowledgeFile{MediaID: mediaCanary}}}}}
	return []namedCall{
		{"gettoken", func(ctx context.Context, c *Client) error { return second(c.GetToken(ctx, "ww1", secretCanary)) }},
		{"getcallbackip", asked((*Client).GetCallbackIP)},
		{"get_api_domain_ip", asked((*Client).GetAPIDomainIP)},
		{"token", func(ctx context.Context, c *Client) error { return second(c.OfficialToken(ctx, "wx1", secretCanary)) }},
		{"stable_token", func(ctx context.Context, c *Client) error {
			return second(c.StableToken(ctx, "wx1", secretCanary, true))
		}},
		{"sync_msg", with((*Client).SyncMsg, SyncMsgRequest{SyncToken: syncCanary, OpenKfID: kfid})},
		{"send_msg", with((*Client).SendMsg, SendMsgRequest{ToUser: userCanary, OpenKfID: kfid, MsgID: "m1", Message: text})},
		{"send_msg_on_event", with((*Client).SendMsgOnEvent, SendMsgOnEventRequest{Code: codeCanary, Message: text})},
		{"recall_msg", func(ctx context.Context, c *Client) error {
			return c.RecallMsg(ctx, token, RecallMsgRequest{MsgID: "m1", OpenKfID: kfid})
		}},
		{"service_state/get", with((*Client).ServiceStateGet, ServiceStateGetRequest{kfid, userCanary})},
		{"service_state/trans", with((*Client).ServiceStateTrans, ServiceStateTransRequest{kfid, userCanary, StatePool, ""})},
		{"account/add", with((*Client).AccountAdd, AccountAddRequest{"CANARY", mediaCanary})},
		{"account/del", with((*Client).AccountDel, AccountDelRequest{kfid})},
		{"account/update", with((*Client).AccountUpdate, AccountUpdateRequest{kfid, "CANARY", mediaCanary})},
		{"account/list", func(ctx context.Context, c *Client) error { return second(c.AccountList(ctx, token, 0, 0)) }},
		{"add_contact_way", with((*Client).AddContactWay, AddContactWayRequest{kfid, "CANARY"})},
		{"servicer/add", with((*Client).ServicerAdd, ServicerAddRequest{kfid, []string{userCanary}, []int{2}})},
		{"servicer/del", with((*Client).ServicerDel, ServicerDelRequest{kfid, []string{userCanary}, nil})},
		{"servicer/list", with((*Client).ServicerList, ServicerListRequest{"wk-CANARY"})},
		{"idconvert/open_kfid", with((*Client).IDConvertOpenKfID, IDConvertOpenKfIDRequest{[]string{"wk-CANARY"}})},
		{"customer/batchget", with((*Client).CustomerBatchGet, CustomerBatchGetRequest{[]string{userCanary}, true})},
		{"customer/get_upgrade_service_config", asked((*Client).CustomerGetUpgradeServiceConfig)},
		{"customer/upgrade_service", with((*Client).CustomerUpgradeService, UpgradeToMember(kfid, userCanary, "CANARY", textCanary))},
		{"customer/cancel_upgrade_service", with((*Client).CustomerCancelUpgradeService, CustomerCancelUpgradeServiceRequest{kfid, userCanary})},
		{"get_corp_qualification", asked((*Client).GetCorpQualification)},
		{"get_corp_statistic", with((*Client).GetCorpStatistic, GetCorpStatisticRequest{kfid, 1700006400, 1700092800})},
		{"get_servicer_statistic", with((*Client).GetServicerStatistic, GetServicerStatisticRequest{kfid, "CANARY", 1700006400, 1700092800})},
		{"knowledge/add_group", with((*Client).KnowledgeAddGroup, KnowledgeAddGroupRequest{"CANARY"})},
		{"knowledge/del_group", with((*Client).KnowledgeDelGroup, KnowledgeDelGroupRequest{"CANARY"})},
		{"knowledge/mod_group", with((*Client).KnowledgeModGroup, KnowledgeModGroupRequest{"CANARY", "CANARY"})},
		{"knowledge/list_group", with((*Client).KnowledgeListGroup, KnowledgeListGroupRequest{Cursor: "CANARY"})},
		{"knowledge/add_intent", with((*Client).KnowledgeAddIntent, KnowledgeAddIntentRequest{"CANARY", &question, nil, answers})},
		{"knowledge/del_intent", with((*Client).KnowledgeDelIntent, KnowledgeDelIntentRequest{"CANARY"})},
		{"knowledge/mod_intent", with((*Client).KnowledgeModIntent, KnowledgeModIntentRequest{"CANARY", &question, nil, answers})},
		{"knowledge/list_intent", with((*Client).KnowledgeListIntent, KnowledgeListIntentRequest{Cursor: "CANARY"})},
		{"media/upload", func(ctx context.Context, c *Client) error {
			return second(c.MediaUpload(ctx, token, MediaImage, nameCanary, "", strings.NewReader(textCanary), int64(len(textCanary))))
		}},
		{"media/uploadimg", func(ctx context.Context, c *Client) error {
			return second(c.MediaUploadImg(ctx, token, nameCanary, "", strings.NewReader(textCanary), int64(len(textCanary))))
		}},
		{"media/upload_by_url", with((*Client).MediaUploadByURL, MediaUploadByURLRequest{1, MediaVideo, nameCanary, "https://e.example/CANARY", strings.Repeat("0", 32)})},
		{"media/get_upload_by_url_result", with((*Client).MediaGetUploadByURLResult, MediaGetUploadByURLResultRequest{"CANARY"})},
		{"media/get", downloads((*Client).MediaGet)},
		{"media/get/jssdk", downloads((*Client).MediaGetJSSDK)},
		{"Do", func(ctx context.Context, c *Client) error {
			return c.Do(ctx, token, "POST", "/cgi-bin/kf/x?code="+codeCanary, json.RawMessage(`{"text":"`+textCanary+`"}`), &struct{ Text int }{})
		}},
		{"Call", func(ctx context.Context, c *Client) error {
			return second(c.Call(ctx, token, "kf/send_msg_on_event", json.RawMessage(`{"code":"`+codeCanary+`","msgtype":"text","text":{"content":"`+textCanary+`"}}`)))
		}},
	}
}

func second[A any](_ A, err error) error { return err }

func with[Q, A any](method func(*Client, context.Context, string, Q) (A, error), req Q) func(context.Context, *Client) error {
	return func(ctx context.Context, c *Client) error { return second(method(c, ctx, token, req)) }
}

func asked[A any](method func(*Client, context.Context, string) (A, error)) func(context.Context, *Client) error {
	return func(ctx context.Context, c *Client) error { return second(method(c, ctx, token)) }
}

func downloads(method func(*Client, context.Context, string, string, Range) (*Media, error)) func(context.Context, *Client) error {
	return func(ctx context.Context, c *Client) error {
		m, err := method(c, ctx, token, mediaCanary, Range{})
		if err != nil {
			return err
		}
		defer m.Body.Close()
		_, err = io.Copy(io.Discard, m.Body)
		return err
	}
}

// The list above has the whole table.
func TestCallsAreTheTable(t *testing.T) {
	list := calls()
	for i, e := range endpoints() {
		if list[i].name != opOf(e.Path) {
			t.Fatalf("got %s, want %s", list[i].name, e.Path)
		}
	}
}

// leaks returns what of an error can be seen in any of the ways in which errors get into logs.
func leaks(err error) (out []string) {
	texts := []string{}
	for e := err; e != nil; e = errors.Unwrap(e) {
		asJSON, _ := json.Marshal(e)
		texts = append(texts, e.Error(), fmt.Sprintf("%+v", e), fmt.Sprintf("%#v", e), string(asJSON))
	}
	var refusal *Error
	if errors.As(err, &refusal) { // Msg may repeat the request, but no secret
		for _, secret := range []string{token, secretCanary, url.QueryEscape(secretCanary), syncCanary, codeCanary} {
			if strings.Contains(refusal.Msg, secret) {
				out = append(out, "Msg: "+refusal.Msg)
			}
		}
	}
	for _, text := range texts {
		for _, bad := range []string{"CANARY", "access_token=", "corpsecret="} {
			if strings.Contains(text, bad) {
				out = append(out, text)
			}
		}
	}
	return out
}

// echo is all that the server was told, in one line.
func echo(r *http.Request) string {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	query, _ := url.QueryUnescape(r.URL.RawQuery)
	return strings.NewReplacer("\r", " ", "\n", " ").Replace(r.URL.String() + " " + query + " " + string(body))
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func TestNoErrorLeaks(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"status 500": func(w http.ResponseWriter, r *http.Request) { http.Error(w, echo(r), http.StatusInternalServerError) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://elsewhere.example/"+url.PathEscape(echo(r)), http.StatusFound)
		},
		"redirect to nowhere": func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Location"] = []string{"http://[" + echo(r)}
			w.WriteHeader(http.StatusFound)
		},
		"garbage": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, echo(r))
		},
		"refusal": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"errcode":40058,"errmsg":%s}`, quoted(echo(r)))
		},
		"wrong types": func(w http.ResponseWriter, r *http.Request) {
			e := quoted(echo(r))
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"errcode":%s,"text":%s,"access_token":{%s:1},"msg_list":%s,"msgid":[%s]}`, e, e, e, e, e)
		},
		"wrong types behind errcode 0": func(w http.ResponseWriter, r *http.Request) {
			e := quoted(echo(r))
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"errcode":0,"text":%s,"access_token":{%s:1},"has_more":%s,"msgid":[%s],"service_state":%s,"msg_code":[],"account_list":%s,"media_id":[]}`, e, e, e, e, e, e)
		},
		"content type": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/"+strings.NewReplacer(" ", "", "/", "", "{", "", "}", "", `"`, "").Replace(echo(r)))
			w.WriteHeader(http.StatusBadGateway)
		},
		"cut": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100000")
			io.WriteString(w, echo(r))
		},
		"reset": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"range": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Range", echo(r))
			w.WriteHeader(http.StatusPartialContent)
		},
	} {
		s := serve(t, nil)
		s.Client = client(t, handler(t, h))
		drive(t, name, s.Client, background(t))
	}
}

func handler(t *testing.T, h http.HandlerFunc) string {
	ts := httptest.NewServer(h)
	t.Cleanup(ts.Close)
	return ts.URL
}

func drive(t *testing.T, name string, c *Client, ctx context.Context) {
	t.Helper()
	failed := 0
	for _, call := range calls() {
		err := call.do(ctx, c)
		if err != nil {
			failed++
		}
		for _, leak := range leaks(err) {
			t.Errorf("%s of %s leaks: %s", name, call.name, leak)
		}
		if err != nil && !NotSent(err) && !Ambiguous(err) {
			if _, ok := Code(err); !ok {
				t.Errorf("%s of %s: %T is in no class", name, call.name, err)
			}
		}
	}
	if failed < 6 {
		t.Errorf("%s made only %d calls fail", name, failed)
	}
}

func TestNoConnectionErrorLeaks(t *testing.T) {
	dead := httptest.NewServer(nil)
	dead.Close()
	drive(t, "refused connection", client(t, dead.URL), background(t))

	untrusted := httptest.NewUnstartedServer(nil)
	untrusted.Config.ErrorLog = quiet()
	untrusted.StartTLS()
	defer untrusted.Close()
	drive(t, "unknown certificate", client(t, untrusted.URL), background(t))

	plain := httptest.NewServer(nil)
	defer plain.Close()
	drive(t, "no TLS", client(t, strings.Replace(plain.URL, "http:", "https:", 1)), background(t))

	hang := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer hang.Close()
	c := client(t, hang.URL)
	for _, call := range calls() {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Millisecond, errors.New(textCanary))
		err := call.do(ctx, c)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || len(leaks(err)) > 0 {
			t.Errorf("timeout of %s: got %v, leaks %v", call.name, err, leaks(err))
		}
	}

	given := func(err error) *Client {
		c, newErr := New(Config{HTTP: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("%s %w", echo(r), err)
		})}})
		if newErr != nil {
			t.Fatal(newErr)
		}
		return c
	}
	drive(t, "a talkative transport", given(io.ErrClosedPipe), background(t))
	drive(t, "a talkative transport that names the URL", given(&url.Error{Op: "Post", URL: token, Err: errors.New(token)}), background(t))

	dials := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return nil, errors.New("dial " + token + secretCanary + mediaCanary)
	}
	talkative, err := New(Config{HTTP: &http.Client{Transport: &http.Transport{DialContext: dials}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range calls() {
		err := call.do(background(t), talkative)
		if !NotSent(err) || strings.Contains(err.Error(), "CANARY") && call.name != "gettoken" {
			t.Errorf("a talkative dialer: %s: got %v", call.name, err)
		}
	}
}

func TestClean(t *testing.T) {
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New(textCanary))
	talk := func(err error) error { return &url.Error{Op: "Post", URL: token, Err: fmt.Errorf("%s %w", token, err)} }
	for _, c := range []struct {
		name    string
		ctx     func() context.Context
		err     error
		written bool
		want    error
	}{
		{"reset", t.Context, talk(&net.OpError{Op: "read", Err: syscall.ECONNRESET}), true, syscall.ECONNRESET},
		{"a TLS alert", t.Context, talk(tls.AlertError(40)), true, tls.AlertError(40)},
		{"a timeout of the transport", t.Context, talk(os.ErrDeadlineExceeded), true, context.DeadlineExceeded},
		{"canceled below us", t.Context, talk(context.Canceled), true, context.Canceled},
		{"end of the connection", t.Context, talk(io.EOF), true, io.ErrUnexpectedEOF},
		{"anything else", t.Context, talk(errors.New("malformed")), true, errNoAnswer},
		{"the caller's context", func() context.Context { return ended }, talk(io.EOF), true, context.Canceled},
		{"a dial error", t.Context, &url.Error{Op: "Post", URL: token, Err: syscall.ECONNREFUSED}, false, syscall.ECONNREFUSED},
		{"a dial error that names the token", t.Context, talk(io.EOF), false, errNoDetail},
		{"a cause that is missing", t.Context, &url.Error{Op: "Post", URL: token}, false, errNoDetail},
	} {
		if got := clean(c.ctx(), c.err, c.written, []string{token}); got != c.want { //nolint:errorlint // exactly this one
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestCleanMsg(t *testing.T) {
	for in, want := range map[string]string{
		"invalid credential, hint: [1], from ip: 1.2.3.4":                                                      "invalid credential, hint: [1], from ip: 1.2.3.4",
		"bad " + secretCanary + " or " + url.QueryEscape(secretCanary) + " or " + url.PathEscape(secretCanary): "bad [secret] or [secret] or [secret]",
		"a\nb\x1bc":                    "a b c",
		strings.Repeat("你", 300):       strings.Repeat("你", 170),
		"short secrets are no secrets": "short secrets are no secrets",
	} {
		if got := cleanMsg(in, []string{secretCanary, "short", ""}); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestCleanType(t *testing.T) {
	for in, want := range map[string]string{
		"application/json; charset=UTF-8": "application/json", "text/html": "text/html", "image/svg+xml": "image/svg+xml",
		"": "", "text": "", "poem/sonnet": "", "text/a_b": "", "text/canary-token": "", "text/plain; t=canary-token": "",
		"text/" + strings.Repeat("x", 65): "", "text/plain; charset": "",
	} {
		if got := cleanType(in, []string{"canary-token"}); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

// net/http quotes the head of an answer that it cannot read.
func TestNoUnreadableAnswerLeaks(t *testing.T) {
	for name, format := range map[string]string{
		"status line": "%s\r\n\r\n",
		"status code": "HTTP/1.1 %s\r\n\r\n",
		"header":      "HTTP/1.1 200 OK\r\n%s\r\n\r\n",
		"length":      "HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n",
		"encoding":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: %s\r\n\r\n",
		"chunk":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n",
		"gzip":        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n%s",
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				if req, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					fmt.Fprintf(conn, format, echo(req))
				}
				conn.Close()
			}
		}()
		drive(t, name, client(t, "http://"+l.Addr().String()), background(t))
	}
}

// What is refused before sending names the field and the size, never the value.
func TestNoLimitErrorLeaks(t *testing.T) {
	long := strings.Repeat(textCanary, 100)
	c := client(t, "http://127.0.0.1:1")
	ctx := background(t)
	_, parseErr := ParseMessage([]byte(`{"msgtype":"text","` + textCanary + `":1,"text":{"content":"x"}}`))
	_, parseType := ParseMessage([]byte(`{"msgtype":"` + textCanary + `"}`))
	_, parseBody := ParseMessage([]byte(`{"msgtype":"text","text":{"content":"` + long + `"}}`))
	_, parseJSON := ParseMessage([]byte(`{"msgtype":"` + textCanary))
	send := func(m Message) error {
		_, err := c.SendMsg(ctx, token, SendMsgRequest{ToUser: userCanary, OpenKfID: "wk1", Message: m})
		return err
	}
	_, tooLongUser := c.SendMsg(ctx, token, SendMsgRequest{ToUser: long, OpenKfID: "wk1", Message: Text{"x"}})
	_, badMsgID := c.SendMsg(ctx, token, SendMsgRequest{ToUser: "wm", OpenKfID: "wk1", MsgID: "CANARY id", Message: Text{"x"}})
	_, badName := c.MediaUpload(ctx, token, MediaFile, "/"+nameCanary, "", strings.NewReader("123456"), 6)
	_, badKind := c.MediaUpload(ctx, token, textCanary, "a", "", strings.NewReader("123456"), 6)
	for _, err := range []error{
		parseErr, parseType, parseBody, parseJSON, tooLongUser, badMsgID, badName, badKind, send(Text{long}), send(Link{Title: "x", URL: textCanary, ThumbMediaID: "x"}),
		c.Do(ctx, token, "POST", textCanary, nil, nil), c.Do(ctx, token, "POST", "/cgi-bin/x", json.RawMessage(textCanary), nil),
		c.Do(ctx, token, "POST", "/cgi-bin/x", badMarshaler{}, nil), c.Do(ctx, token, textCanary, "/cgi-bin/x", nil, nil),
	} {
		if !NotSent(err) || len(leaks(err)) > 0 {
			t.Errorf("got %v, leaks %v, want a clean refusal", err, leaks(err))
		}
	}
}

type badMarshaler struct{}

func (badMarshaler) MarshalJSON() ([]byte, error) { return nil, errors.New(textCanary) }

func TestTokenResponsePrintsNoToken(t *testing.T) {
	r := GetTokenResponse{AccessToken: token, ExpiresIn: time.Hour}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, r); strings.Contains(got, token) {
			t.Errorf("%s: got %s", format, got)
		}
		if got := fmt.Sprintf(format, &r); strings.Contains(got, token) {
			t.Errorf("%s of a pointer: got %s", format, got)
		}
	}
}
