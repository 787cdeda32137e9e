package kfapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// reply is the example answer of the platform to a request; "" for a file.
func reply(t *testing.T, r *http.Request) string {
	path := strings.TrimPrefix(r.URL.Path, "/cgi-bin/")
	files := wire(t, path, "reply")
	if len(files) == 0 {
		return ""
	}
	return string(read(t, files[0]))
}

// What becomes of each call when the platform, or something else, answers. Nothing of an answer gets into an error.
func TestEveryCallAndItsAnswers(t *testing.T) {
	jsonSays := func(body func(*http.Request) string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, body(r))
		}
	}
	for _, c := range []struct {
		name string
		h    http.HandlerFunc
		want func(op string, err error) bool
		file bool // what a download makes of it is another matter
	}{
		{"success", jsonSays(func(r *http.Request) string { return reply(t, r) }), func(_ string, err error) bool { return err == nil }, true},
		{"refusal", jsonSays(func(*http.Request) string { return `{"errcode":48002,"errmsg":"` + token + `"}` }), func(op string, err error) bool {
			var e *Error
			return errors.As(err, &e) && e.Code == 48002 && e.Op == op && e.Msg == "[secret]"
		}, true},
		{"an errcode nobody knows", jsonSays(func(*http.Request) string { return `{"errcode":7654321,"errmsg":"x"}` }), func(_ string, err error) bool {
			code, ok := Code(err)
			return ok && code == 7654321
		}, true},
		{"cut in its JSON", jsonSays(func(r *http.Request) string {
			body := strings.TrimSpace(reply(t, r))
			return body[:max(len(body)-1, 0)]
		}), isBody(200), false},
		{"cut in its length", func(w http.ResponseWriter, r *http.Request) {
			body := reply(t, r)
			w.Header().Set("Content-Length", fmt.Sprint(len(body)+100))
			io.WriteString(w, body)
		}, func(_ string, err error) bool {
			var cut *TransportError
			return errors.As(err, &cut) && cut.Written && errors.Is(err, io.ErrUnexpectedEOF)
		}, true},
		{"no errcode", jsonSays(func(*http.Request) string { return `{"errmsg":"ok"}` }), isBody(200), false},
		{"an errcode that is a string", jsonSays(func(*http.Request) string { return `{"errcode":"0"}` }), isBody(200), false},
		{"HTML", answers(200, "text/html", "<html>"+token+"</html>"), isBody(200), false},
		{"a status of 502", answers(502, "text/html", "<html>"+token+"</html>"), isBody(502), true},
		{"a redirect", answers(302, "text/html", ""), isBody(302), true},
	} {
		s := serve(t, c.h)
		for _, call := range calls()[:len(endpoints())] {
			if !c.file && strings.HasPrefix(call.name, "media/get") && call.name != "media/get_upload_by_url_result" {
				continue
			}
			err := call.do(background(t), s.Client)
			if call.name == "token" || call.name == "stable_token" || call.name == "gettoken" {
				var e *Error
				if errors.As(err, &e) && e.Msg == token { // these calls have no access token
					e.Msg = "[secret]"
				}
			}
			if !c.want(call.name, err) || err != nil && (!strings.HasPrefix(err.Error(), call.name+":") || strings.Contains(err.Error(), token)) {
				t.Errorf("%s of %s: got %v", c.name, call.name, err)
			}
		}
	}
}

func isBody(status int) func(string, error) bool {
	return func(op string, err error) bool {
		var body *BodyError
		return errors.As(err, &body) && body.Op == op && body.Status == status && Ambiguous(err)
	}
}

// A field of another type than the platform documents is never a success with that field empty.
func TestEveryReplyFieldOfTheWrongType(t *testing.T) {
	tried := 0
	for i, e := range endpoints() {
		for _, file := range wire(t, e.Path, "reply") {
			var fields map[string]json.RawMessage
			if err := json.Unmarshal(read(t, file), &fields); err != nil {
				t.Fatal(err)
			}
			for name, value := range fields {
				if name == "errcode" || name == "errmsg" {
					continue
				}
				broken := map[string]json.RawMessage{}
				for name, value := range fields {
					broken[name] = value
				}
				broken[name] = json.RawMessage(`{"x":"CANARY"}`)
				if value[0] == '{' {
					broken[name] = json.RawMessage(`"CANARY"`)
				}
				body, _ := json.Marshal(broken)
				err := calls()[i].do(background(t), serve(t, says(string(body))).Client)
				if !isBody(200)(opOf(e.Path), err) || strings.Contains(err.Error(), "CANARY") {
					t.Errorf("%s, %s: got %v, want a BodyError", file, name, err)
				}
				tried++
			}
		}
	}
	if tried < 40 {
		t.Errorf("tried only %d fields", tried)
	}
}

// Without these the reply would be a lie, or a success with nothing in it.
func TestReplyFieldsThatMustBeThere(t *testing.T) {
	s := serve(t, says(`{"errcode":0,"errmsg":"ok"}`))
	for _, call := range calls()[:len(endpoints())] {
		switch call.name {
		case "gettoken", "token", "stable_token", "sync_msg", "service_state/get", "account/add", "add_contact_way",
			"knowledge/add_group", "knowledge/add_intent", "media/uploadimg", "media/upload_by_url", "media/upload":
			if err := call.do(background(t), s.Client); !isBody(200)(call.name, err) || !strings.Contains(err.Error(), "missing") {
				t.Errorf("%s: got %v, want a BodyError that says what is missing", call.name, err)
			}
		}
	}
}

func TestAnswersThatAreTooLarge(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"errcode":0,"has_more":0,"x":"`)
		chunk := strings.Repeat("x", 1<<20)
		for range 64 {
			if _, err := io.WriteString(w, chunk); err != nil {
				return
			}
		}
		io.WriteString(w, `"}`)
	})
	_, syncErr := s.SyncMsg(background(t), token, SyncMsgRequest{})
	_, callErr := s.Call(background(t), token, "kf/account/list", nil)
	for op, err := range map[string]error{"sync_msg": syncErr, "account/list": callErr} {
		if !isBody(200)(op, err) || !strings.Contains(err.Error(), "larger than 67108864 bytes") {
			t.Errorf("got %v, want a BodyError", err)
		}
	}
}

// Call sends the example requests as they are and returns the answers byte for byte.
func TestCallMakesEveryJSONCall(t *testing.T) {
	for _, e := range endpoints() {
		var body []byte
		if files := wire(t, e.Path, "request"); len(files) > 0 {
			body = read(t, files[0])
		}
		s := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, reply(t, r)) })
		got, err := s.Call(background(t), token, e.Path, body)
		if e.Style != StyleJSON {
			if !NotSent(err) {
				t.Errorf("%s: got %v, want a refusal", e.Path, err)
			}
			continue
		}
		sent := s.last(t)
		if err != nil || string(got) != string(read(t, wire(t, e.Path, "reply")[0])) || sent.method != e.Method || sent.path != "/cgi-bin/"+e.Path {
			t.Errorf("%s: got %s, %v, asked %s %s", e.Path, got, err, sent.method, sent.path)
		}
		if want := strings.TrimSpace(string(body)); e.Method == "POST" && sent.body != want {
			t.Errorf("%s: sent %s, want %s", e.Path, sent.body, want)
		}
	}
	s := serve(t, says(`{"errcode":0}`))
	if _, err := s.Call(background(t), token, "kf/servicer/list", json.RawMessage(`{"open_kfid":"wk1","debug":1}`)); err != nil || s.last(t).query != "access_token="+token+"&debug=1&open_kfid=wk1" {
		t.Errorf("GET: got %s, %v", s.last(t).query, err)
	}
	if _, err := s.Call(background(t), "", "kf/account/list", nil); !NotSent(err) {
		t.Errorf("no token: got %v", err)
	}
}
