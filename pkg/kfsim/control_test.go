package kfsim

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kfbus/kfbus/pkg/kfcrypto"
)

// control is the control API of a rig, over a connection.
type control struct {
	*rig
	srv       *httptest.Server
	lastMsgID string
}

func newControl(t *testing.T) *control {
	t.Helper()
	r := newRig(t, Config{})
	c := &control{rig: r, srv: httptest.NewServer(r.Control())}
	t.Cleanup(c.srv.Close)
	t.Cleanup(r.Close)
	return c
}

func (c *control) do(method, path, body string) (status int, out map[string]any, text string) {
	c.t.Helper()
	req, err := http.NewRequest(method, c.srv.URL+path, strings.NewReader(body))
	c.must(err)
	resp, err := c.srv.Client().Do(req)
	c.must(err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	c.must(err)
	_ = json.Unmarshal(b, &out)
	return resp.StatusCode, out, string(b)
}

func (c *control) ok(method, path, body string) map[string]any {
	c.t.Helper()
	status, out, text := c.do(method, path, body)
	if status != http.StatusOK {
		c.t.Fatalf("%s %s %s: got HTTP %d %s", method, path, body, status, text)
	}
	return out
}

func TestControlDoesWhatTheMethodsDo(t *testing.T) {
	c := newControl(t)
	who := fmt.Sprintf(`"open_kfid":%q,"external_userid":%q`, kf, ann)
	said := c.ok("POST", "/say", `{`+who+`,"text":"hi"}`)["msgid"]
	if got := c.pull(nil).msgIDs(); got != said {
		t.Errorf("say: got %q in the page, want %q", got, said)
	}
	c.ok("POST", "/recall", fmt.Sprintf(`{%s,"msgid":%q}`, who, said))
	if got := c.lastEvent(kf).str("event_type"); got != "user_recall_msg" {
		t.Errorf("recall: got %q", got)
	}
	c.wantCode("menu", c.post("kf/send_msg", obj{"touser": ann, "open_kfid": kf, "msgid": "m1", "msgtype": "msgmenu", "msgmenu": obj{"list": []obj{{"type": "click", "click": obj{"id": "7", "content": "Yes"}}}}}), 0)
	c.ok("POST", "/tap", `{`+who+`,"id":"7"}`)
	items := c.Items(kf)
	if raw := string(items[len(items)-1].Raw); !strings.Contains(raw, `"origin":3`) || !strings.Contains(raw, `"text":{"content":"Yes","menu_id":"7"}`) {
		t.Errorf("tap: got %s", raw)
	}
	c.ok("POST", "/fail", fmt.Sprintf(`{"open_kfid":%q,"msgid":"m1","fail_type":4}`, kf))
	if _, _, text := c.do("POST", "/tap", `{`+who+`,"id":"7"}`); !strings.Contains(text, "no menu") {
		t.Errorf("tap on a menu that failed: got %s", text)
	}
	c.ok("POST", "/servicers", fmt.Sprintf(`{"open_kfid":%q,"userid":"lisi"}`, kf))
	c.ok("POST", "/servicers", fmt.Sprintf(`{"open_kfid":%q,"userid":"wang"}`, kf))
	c.wantCode("pool", c.trans(2, ""), 0)
	c.ok("POST", "/servicers/pickup", `{`+who+`,"userid":"lisi"}`)
	said = c.ok("POST", "/servicers/say", `{`+who+`,"userid":"lisi","text":"hello"}`)["msgid"]
	c.ok("POST", "/servicers/recall", fmt.Sprintf(`{%s,"msgid":%q}`, who, said))
	c.ok("POST", "/servicers/reject", `{`+who+`,"userid":"lisi","on":true}`)
	c.ok("POST", "/servicers/transfer", `{`+who+`,"userid":"lisi","to_userid":"wang"}`)
	c.ok("POST", "/servicers/end", `{`+who+`,"userid":"wang"}`)
	if got := c.ok("GET", "/conversation?open_kfid="+kf+"&external_userid="+ann, ""); got["state"] != 4.0 {
		t.Errorf("conversation: got %v, want state 4", got)
	}
	c.ok("POST", "/accounts/deauthorize", fmt.Sprintf(`{"open_kfid":%q}`, kf))
	c.wantCode("deauthorized", c.pull(nil), 48007)
	c.ok("POST", "/accounts/authorize", fmt.Sprintf(`{"open_kfid":%q}`, kf))
	c.ok("POST", "/inject", fmt.Sprintf(`{"open_kfid":%q,"item":{"msgtype":"hologram"}}`, kf))
	if p := c.pull(nil).items(); p[len(p)-1].str("msgtype") != "hologram" {
		t.Errorf("inject: got %v", p[len(p)-1])
	}
	c.ok("POST", "/clock", `{"advance":"2h"}`)
	c.wantCode("the clock moved", c.pull(nil), 42001)
	c.ok("POST", "/clock", `{"set":"2026-01-02T03:04:05Z"}`)
	c.wantCode("and back", c.pull(nil), 0)
	id := c.ok("POST", "/faults", `{"kind":"errcode","errcode":-1,"path":"kf/sync_msg"}`)["id"]
	c.wantCode("fault", c.pull(nil), -1)
	c.ok("DELETE", fmt.Sprint("/faults/", id), "")
	c.wantCode("no fault", c.pull(nil), 0)
	c.ok("PATCH", "/personality", `{"access_token_ttl":"1h","recall_twice_code":1}`)
	if p := c.Personality(); p.AccessTokenTTL != time.Hour || p.RecallTwiceCode != 1 || p.CallbackAttempts != 3 {
		t.Errorf("personality: got %+v", p)
	}
	if got := c.ok("GET", "/personality", ""); got["access_token_ttl"] != "1h0m0s" {
		t.Errorf("personality: got %v", got)
	}
	c.ok("PATCH", "/callbacks", `{"delay":"1s","reorder":true}`)
	if got := c.Callbacks(); got.Delay != time.Second || !got.Reorder {
		t.Errorf("callbacks: got %+v", got)
	}
	if got := c.ok("POST", "/tokens/revoke", ""); got["count"] != 1.0 {
		t.Errorf("revoke: got %v, want 1", got)
	}
	c.wantCode("revoked", c.pull(nil), 40014)
	c.ok("DELETE", "/accounts/"+kf, "")
	if _, list, text := c.do("GET", "/journal", ""); list != nil && strings.Count(text, "\n") != len(c.Journal()) {
		t.Errorf("journal: got %d lines, want %d", strings.Count(text, "\n"), len(c.Journal()))
	}
	c.ok("POST", "/reset", "")
	if got := c.ok("GET", "/state", ""); fmt.Sprint(got["corps"]) != "[]" {
		t.Errorf("after reset: got %v", got)
	}
}

func TestControlRefusals(t *testing.T) {
	c := newControl(t)
	for _, r := range []struct {
		name, method, path, body string
		status                   int
		says                     string
	}{
		{"wrong method", "PUT", "/say", "{}", 405, ""},
		{"unknown path", "GET", "/nothing", "", 404, ""},
		{"broken body", "POST", "/say", "{", 400, "not the JSON object"},
		{"unknown field", "POST", "/say", `{"opn_kfid":"x"}`, 400, "opn_kfid"},
		{"two bodies", "POST", "/say", `{}{}`, 400, "after the JSON value"},
		{"missing account", "POST", "/say", `{"text":"x"}`, 400, "open_kfid is missing"},
		{"unknown account", "POST", "/say", `{"open_kfid":"wkX","text":"x"}`, 400, "make it first"},
		{"missing customer", "POST", "/say", `{"open_kfid":"` + kf + `","text":"x"}`, 400, "external_userid is missing"},
		{"unknown customer", "POST", "/say", `{"open_kfid":"` + kf + `","external_userid":"wmX","text":"x"}`, 400, "make it first"},
		{"nothing said", "POST", "/say", `{"open_kfid":"` + kf + `","external_userid":"` + ann + `"}`, 400, "what?"},
		{"text and body", "POST", "/say", `{"text":"x","body":{}}`, 400, "give text"},
		{"an event", "POST", "/say", `{"msgtype":"event","body":{}}`, 400, "inject"},
		{"no fault kind", "POST", "/faults", `{}`, 400, "use one of"},
		{"unknown fault field", "POST", "/faults", `{"knd":"x"}`, 400, "knd"},
		{"odd duration", "POST", "/faults", `{"kind":"latency","delay":"2 s"}`, 400, "write it like"},
		{"unknown fault", "DELETE", "/faults/x", "", 400, "GET /faults"},
		{"clock without", "POST", "/clock", "{}", 400, "advance"},
		{"clock with both", "POST", "/clock", `{"advance":"1h","set":"2026-01-02T03:04:05Z"}`, 400, "advance"},
		{"odd personality", "PATCH", "/personality", `{"repeated_msgid":"x"}`, 400, "use one of"},
		{"unknown personality", "PATCH", "/personality", `{"x":1}`, 400, "x"},
		{"odd switches", "PATCH", "/callbacks", `{"reorder":true}`, 400, "delay"},
		{"odd journal start", "GET", "/journal?from=-1", "", 400, "sequence number"},
		{"phone of nobody", "GET", "/phone", "", 400, "open_kfid"},
		{"account twice", "POST", "/accounts", `{"open_kfid":"` + kf + `"}`, 400, "there already"},
		{"account name", "POST", "/accounts", `{"name":"12345678901234567"}`, 400, "16"},
		{"account id", "POST", "/accounts", `{"open_kfid":"x"}`, 400, "wk"},
		{"account routing", "POST", "/accounts", `{"routing":"x"}`, 400, "routing"},
		{"customer id", "POST", "/customers", `{"external_userid":"x"}`, 400, "wm"},
		{"customer twice", "POST", "/customers", `{"external_userid":"` + ann + `"}`, 400, "there already"},
		{"customer gender", "POST", "/customers", `{"gender":3}`, 400, "gender"},
		{"servicer status", "POST", "/servicers", `{"open_kfid":"` + kf + `","userid":"a","status":"x"}`, 400, "status"},
		{"servicer unknown", "POST", "/servicers/status", `{"open_kfid":"` + kf + `","userid":"a","status":"stopped"}`, 400, "add them first"},
		{"body too large", "POST", "/say", `{"text":"` + strings.Repeat("x", maxControlBody) + `"}`, 400, "larger"},
	} {
		status, out, text := c.do(r.method, r.path, r.body)
		message, _ := out["error"].(string)
		if status != r.status || !strings.Contains(message, r.says) {
			t.Errorf("%s: got HTTP %d %.200s, want %d and %q", r.name, status, text, r.status, r.says)
		}
	}
}

func TestControlStreams(t *testing.T) {
	c := newControl(t)
	stream := func(path string) *bufio.Scanner {
		ctx, cancel := context.WithCancel(context.Background())
		t.Cleanup(cancel)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.srv.URL+path, nil)
		c.must(err)
		resp, err := c.srv.Client().Do(req)
		c.must(err)
		t.Cleanup(func() { _ = resp.Body.Close() })
		return bufio.NewScanner(resp.Body)
	}
	journal, phones := stream("/journal?from=5&follow=1"), stream("/phone/changes")
	for want := 5; want <= 9; want++ {
		if want > 6 {
			c.Clock().Advance(time.Second)
		}
		var e Entry
		if !journal.Scan() || json.Unmarshal(journal.Bytes(), &e) != nil || e.Seq != uint64(want) {
			t.Fatalf("got line %q, want entry %d", journal.Text(), want)
		}
	}
	c.says(ann, "hi")
	if !phones.Scan() || !strings.Contains(phones.Text(), ann) {
		t.Errorf("got phone change %q, want Ann's", phones.Text())
	}
	c.Close() // ends both
	for journal.Scan() {
	}
	if phones.Scan() {
		t.Errorf("got phone change %q after Close", phones.Text())
	}
}

// echoes is a callback server that only knows how to be verified.
type echoes struct{ *kfcrypto.Codec }

func (e echoes) RoundTrip(hr *http.Request) (*http.Response, error) {
	q := hr.URL.Query()
	echo, err := e.VerifyURL(q.Get("msg_signature"), q.Get("timestamp"), q.Get("nonce"), q.Get("echostr"))
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(echo)), Request: hr}, err
}

// TestManual runs every command of docs/simulator.md against the control API, in order. Ids that a run
// makes are filled in, and what a menu or an answer needs is sent before.
func TestManual(t *testing.T) {
	text, err := os.ReadFile("../../docs/simulator.md")
	if err != nil {
		t.Fatal(err)
	}
	codec, err := kfcrypto.New("QDG6eK", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", "ww0000sim000000001") // the manual's
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Now: start, Transport: echoes{codec}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := &control{rig: &rig{Sim: s, t: t, http: s.Platform()}, srv: httptest.NewServer(s.Control())}
	defer c.srv.Close()
	shown := map[string]bool{}
	var platform []string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "curl ") {
			continue
		}
		if strings.Contains(line, ":8090") { // shown before there is a corp
			platform = append(platform, line)
			continue
		}
		method, path, body := curl(t, line)
		switch path {
		case "/tap":
			c.furnishForManual(platform)
		case "/upgrade/accept":
			c.token = c.get("gettoken", url.Values{"corpid": {"ww0000sim000000001"}, "corpsecret": {"s3cret"}}).str("access_token") // the one before was revoked
			c.wantCode("recommend", c.post("kf/customer/upgrade_service", obj{"open_kfid": kf, "external_userid": ann, "type": 1, "member": obj{"userid": "lisi"}}), 0)
		case "/uploads/finish":
			p := c.Personality()
			p.UploadJobsWait = true
			c.must(c.SetPersonality(p))
			job := c.post("media/upload_by_url", obj{"scene": 1, "type": "video", "filename": "v.mp4", "url": "https://e.example/v.mp4", "md5": md5Of([]byte("123456"))})
			body = strings.ReplaceAll(body, "JOBID", job.str("jobid"))
		}
		last := c.ok(method, path, strings.ReplaceAll(body, "MSGID", c.lastMsgID))
		if id, _ := last["msgid"].(string); id != "" {
			c.lastMsgID = id
		}
		path, _, _ = strings.Cut(path, "?")
		shown[method+" "+path] = true
	}
	_, _, index := c.do("GET", "/", "")
	for line := range strings.Lines(index) {
		method, path, found := strings.Cut(strings.TrimSpace(line), " ")
		path = strings.NewReplacer("/accounts/{id}", "/accounts/wkOLD", "/corps/{id}", "/corps/ww0000sim000000001", "{id}", "slow").Replace(path)
		if found && method != "kfsim" && path != "/phone/changes" && !shown[method+" "+path] {
			t.Errorf("docs/simulator.md has no command for %s %s", method, path)
		}
	}
}

// furnishForManual runs the calls that the manual shows, sends Ann a menu, and makes a session for a
// human.
func (c *control) furnishForManual(calls []string) {
	if len(calls) < 2 {
		c.t.Errorf("docs/simulator.md shows %d calls of the platform", len(calls))
	}
	for _, line := range calls {
		method, path, body := curl(c.t, line)
		u, err := url.Parse(strings.ReplaceAll(path, "TOKEN", c.token))
		c.must(err)
		got := c.parse(c.rig.do(method, strings.TrimPrefix(u.Path, "/cgi-bin/"), u.Query(), strings.NewReader(body)))
		c.wantCode(line, got, 0)
		if token := got.str("access_token"); token != "" {
			c.token = token
		}
	}
	menu := obj{"touser": ann, "open_kfid": kf, "msgid": "m1", "msgtype": "msgmenu", "msgmenu": obj{"list": []obj{{"type": "click", "click": obj{"id": "yes", "content": "Yes"}}}}}
	c.wantCode("menu", c.post("kf/send_msg", menu), 0)
	c.wantCode("to the pool", c.trans(2, ""), 0)
}

// curl reads a command line of the manual.
func curl(t testing.TB, line string) (method, path, body string) {
	t.Helper()
	words := shellWords(line)
	method = "GET"
	for i := 1; i < len(words); i++ {
		switch words[i] {
		case "-s":
		case "-X":
			i++
			method = words[i]
		case "-d":
			i++
			body = words[i]
			if method == "GET" {
				method = "POST"
			}
		default:
			path = strings.TrimPrefix(strings.TrimPrefix(words[i], "127.0.0.1:8091"), "127.0.0.1:8090")
		}
	}
	return method, path, body
}

// shellWords splits a line at spaces outside single quotes.
func shellWords(line string) (words []string) {
	for i, part := range strings.Split(strings.TrimSpace(line), "'") {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}

// TestDocListsEveryPath keeps the package comment complete.
func TestDocListsEveryPath(t *testing.T) {
	c := newControl(t)
	doc, err := os.ReadFile("doc.go")
	c.must(err)
	_, _, index := c.do("GET", "/", "")
	paths := 0
	for line := range strings.Lines(index) {
		method, path, found := strings.Cut(strings.TrimSpace(line), " ")
		if !found || method == "kfsim" {
			continue
		}
		paths++
		if base, _, _ := strings.Cut(path, "{"); !strings.Contains(string(doc), strings.TrimSuffix(base, "/")) {
			t.Errorf("doc.go does not mention %s %s", method, path)
		}
	}
	if paths < 40 {
		t.Errorf("the index lists %d paths, want all", paths)
	}
}
