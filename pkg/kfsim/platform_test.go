package kfsim

import (
	"net/http"
	"net/url"
	"testing"
	"time"
)

func TestMethodsAndBodies(t *testing.T) {
	r := newRig(t, Config{})
	q := url.Values{"access_token": {r.token}}
	for _, c := range []struct {
		name, method, path, body string
		want                     int
		warn                     bool
	}{
		{"GET where POST is due", "GET", "kf/sync_msg", "", 40058, false},
		{"PUT", "PUT", "kf/account/list", "{}", 40058, false},
		{"account/list by GET", "GET", "kf/account/list", "", 0, false},
		{"account/list by POST", "POST", "kf/account/list", "{}", 0, false},
		{"empty body", "POST", "kf/sync_msg", " ", 40063, false},
		{"half a body", "POST", "kf/sync_msg", `{"open_kfid":"wk`, 40058, true},
		{"wrong type", "POST", "kf/sync_msg", `{"open_kfid":7}`, 40058, true},
		{"a list", "POST", "kf/send_msg", `[]`, 40058, true},
		{"something after the object: taken, with a warning", "POST", "kf/sync_msg", `{"open_kfid":"` + kf + `"}}`, 0, true},
		{"no content type is fine", "POST", "kf/sync_msg", `{"open_kfid":"` + kf + `"}`, 0, false},
	} {
		got := r.parse(r.do(c.method, c.path, q, stringReader(c.body)))
		r.wantCode(c.name, got, c.want)
		if warned := containsFold(got.str("errmsg"), "warning: wrong json format."); warned != c.warn {
			t.Errorf("%s: errmsg %q, want a warning %v", c.name, got.str("errmsg"), c.warn)
		}
	}
	if w := r.do("GET", "kf/nothing", q, nil); w.Code != http.StatusNotFound {
		t.Errorf("unknown path: got HTTP %d, want 404", w.Code)
	}
	if w := r.do("POST", "kf/sync_msg", q, stringReader(`{"x":"`+string(make([]byte, maxJSONBody))+`"}`)); r.parse(w).code() != 40206 {
		t.Errorf("large body: got %s, want 40206", w.Body)
	}
	escapes := newRig(t, Config{Personality: Personality{RefuseEscapes: true}})
	for body, want := range map[string]int{`{"open_kfid":"wkDESK","x":"\u0026"}`: 40033, `{"open_kfid":"wkDESK","x":"\\u0026"}`: 0} {
		escapes.wantCode(body, escapes.post("kf/sync_msg", body), want)
	}
}

func TestAnswerForm(t *testing.T) {
	r := newRig(t, Config{})
	r.Clock().Advance(49 * time.Hour)
	w := r.do("POST", "kf/sync_msg", url.Values{"access_token": {r.token}}, stringReader("{}"))
	if got, want := w.Header().Get("Date"), "Sun, 04 Jan 2026 04:04:05 GMT"; got != want {
		t.Errorf("Date: got %q, want %q", got, want)
	}
	_, err := r.AddFault(Fault{Kind: FaultHTTP500Before, Count: 1})
	r.must(err)
	if w := r.do("GET", "gettoken", nil, nil); w.Code != http.StatusInternalServerError || w.Header().Get("Date") != "Sun, 04 Jan 2026 04:04:05 GMT" {
		t.Errorf("a fault's answer: got HTTP %d of %q, want 500 by the virtual clock", w.Code, w.Header().Get("Date"))
	}
	msg := r.parse(w).str("errmsg")
	for _, part := range []string{"access_token expired, hint: [", "from ip: 192.0.2.1", "more info at https://open.work.weixin.qq.com/devtool/query?e=42001"} {
		if !containsFold(msg, part) {
			t.Errorf("errmsg %q lacks %q", msg, part)
		}
	}
	if w.Code != http.StatusOK || w.Header().Get("Kfsim-Reason") == "" {
		t.Errorf("got HTTP %d and reason %q, want 200 and a reason", w.Code, w.Header().Get("Kfsim-Reason"))
	}
	r.token = r.getToken("secret-one")
	if got := r.pull(nil).str("errmsg"); got != "ok" {
		t.Errorf("errmsg of success: got %q, want ok", got)
	}
}

func TestIPList(t *testing.T) {
	r := newRig(t, Config{})
	for _, path := range []string{"getcallbackip", "get_api_domain_ip"} {
		got := r.get(path, url.Values{"access_token": {r.token}})
		if list, _ := got["ip_list"].([]any); got.code() != 0 || len(list) != 1 || list[0] != "127.0.0.1" {
			t.Errorf("%s: got %v", path, got)
		}
	}
}
