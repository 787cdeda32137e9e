package kfsim

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// start is the instant at which the tests' frozen base clock stands.
func start() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

const (
	kf    = "wkDESK"
	ann   = "wmANN"
	bob   = "wmBOB"
	corpA = "ww0000000000000001"
)

// rig is a simulator with one corp (two apps), one account, two customers and a token.
type rig struct {
	*Sim
	t     testing.TB
	token string
	http  http.Handler
}

func newRig(t testing.TB, cfg Config) *rig {
	t.Helper()
	if cfg.Now == nil {
		cfg.Now = start
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	r := &rig{Sim: s, t: t, http: s.Platform()}
	r.furnish()
	return r
}

func (r *rig) furnish() {
	r.t.Helper()
	_, err := r.AddCorp(Corp{CorpID: corpA, Secrets: []string{"secret-one", "secret-two"}, AgentID: "1000002"})
	r.must(err)
	_, err = r.AddAccount(Account{OpenKfID: kf, Name: "desk"})
	r.must(err)
	for _, id := range []string{ann, bob} {
		_, err = r.AddCustomer(Customer{ExternalUserID: id, Nickname: "N" + id, Gender: 2})
		r.must(err)
	}
	r.token = r.getToken("secret-one")
}

// jump moves the clock and takes a living token.
func (r *rig) jump(d time.Duration) {
	r.t.Helper()
	r.Clock().Advance(d)
	r.token = r.getToken("secret-one")
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) getToken(secret string) string {
	r.t.Helper()
	got := r.get("gettoken", url.Values{"corpid": {corpA}, "corpsecret": {secret}})
	if got.code() != 0 {
		r.t.Fatalf("gettoken: %v", got)
	}
	return got.str("access_token")
}

// answered is a JSON answer of the platform.
type answered map[string]any

func (a answered) code() int {
	n, ok := a["errcode"].(float64)
	if !ok {
		return -999
	}
	return int(n)
}

func (a answered) str(key string) string { s, _ := a[key].(string); return s }

func (r *rig) do(method, path string, query url.Values, body io.Reader) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, "/cgi-bin/"+path+"?"+query.Encode(), body)
	w := httptest.NewRecorder()
	r.http.ServeHTTP(w, req)
	return w
}

func (r *rig) get(path string, query url.Values) answered {
	r.t.Helper()
	return r.parse(r.do("GET", path, query, nil))
}

func (r *rig) parse(w *httptest.ResponseRecorder) answered {
	r.t.Helper()
	var a answered
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		r.t.Fatalf("answer is no JSON: %q", w.Body.String())
	}
	return a
}

// post calls a path with a JSON text, or with a value to encode.
func (r *rig) post(path string, body any) answered {
	r.t.Helper()
	return r.postAs(r.token, path, body)
}

func (r *rig) postAs(token, path string, body any) answered {
	r.t.Helper()
	var b []byte
	switch v := body.(type) {
	case string:
		b = []byte(v)
	default:
		b = marshal(v)
	}
	return r.parse(r.do("POST", path, url.Values{"access_token": {token}}, bytes.NewReader(b)))
}

type obj = map[string]any

// text sends a text to Ann and returns the answer; id "" leaves the msgid out.
func (r *rig) text(id string) answered {
	r.t.Helper()
	m := obj{"touser": ann, "open_kfid": kf, "msgtype": "text", "text": obj{"content": "hello"}}
	if id != "" {
		m["msgid"] = id
	}
	return r.post("kf/send_msg", m)
}

func (r *rig) says(user, content string) string {
	r.t.Helper()
	id, err := r.CustomerSays(kf, user, content)
	r.must(err)
	return id
}

func (r *rig) wantCode(what string, got answered, want int) {
	r.t.Helper()
	if got.code() != want {
		r.t.Errorf("%s: got errcode %d (%s), want %d", what, got.code(), got.str("errmsg"), want)
	}
}

// pull asks for one page.
func (r *rig) pull(more obj) answered {
	r.t.Helper()
	body := obj{"open_kfid": kf}
	for k, v := range more {
		body[k] = v
	}
	return r.post("kf/sync_msg", body)
}

// items are the items of a page.
func (a answered) items() []answered {
	list, _ := a["msg_list"].([]any)
	var out []answered
	for _, it := range list {
		out = append(out, it.(map[string]any))
	}
	return out
}

func (a answered) msgIDs() string {
	var ids []string
	for _, it := range a.items() {
		ids = append(ids, it.str("msgid"))
	}
	return strings.Join(ids, " ")
}

// lastEvent is the event of the newest item of an account.
func (r *rig) lastEvent(openKfID string) answered {
	r.t.Helper()
	items := r.Items(openKfID)
	if len(items) == 0 {
		r.t.Fatal("the account has no items")
	}
	var it struct {
		Event answered `json:"event"`
	}
	r.must(json.Unmarshal(items[len(items)-1].Raw, &it))
	return it.Event
}

// kinds returns the journal's entries of one kind.
func (r *rig) kinds(kind string) []Entry {
	var list []Entry
	for _, e := range r.Journal() {
		if e.Kind == kind {
			list = append(list, e)
		}
	}
	return list
}

func stringReader(s string) io.Reader { return strings.NewReader(s) }

func containsFold(s, part string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(part))
}
