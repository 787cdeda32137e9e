package kfsim

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestSwitches sets one field at a time: what it changes, and that the default is otherwise.
func TestSwitches(t *testing.T) {
	text := obj{"open_kfid": kf, "msgtype": "text", "text": obj{"content": "x"}}
	with := func(more obj) obj {
		out := obj{}
		for _, m := range []obj{text, more} {
			for k, v := range m {
				out[k] = v
			}
		}
		return out
	}
	code := func(path string, body obj) func(*rig) string {
		return func(r *rig) string { return fmt.Sprint(r.post(path, body).code()) }
	}
	for _, c := range []struct {
		field    string
		p        Personality
		try      func(*rig) string
		was, now string
	}{
		{"missing_user_code", Personality{MissingUserCode: 41035}, code("kf/send_msg", text), "40058", "41035"},
		{"unknown_user_code", Personality{UnknownUserCode: 95004}, code("kf/send_msg", with(obj{"touser": "wmNO"})), "40096", "95004"},
		{"event_code_missing", Personality{EventCodeMissing: 41051}, code("kf/send_msg_on_event", text), "41049", "41051"},
		{"event_code_bad", Personality{EventCodeBad: 95007}, code("kf/send_msg_on_event", with(obj{"code": "no"})), "41050", "95007"},
		{"event_code_state", Personality{EventCodeState: 95016}, func(r *rig) string {
			r.says(ann, "hi")
			msgCode := r.trans(2, "").str("msg_code")
			r.must(r.AddServicer(Servicer{OpenKfID: kf, UserID: "lisi"}))
			r.wantCode("to a human", r.trans(3, "lisi"), 0)
			return fmt.Sprint(r.post("kf/send_msg_on_event", with(obj{"code": msgCode})).code())
		}, "95018", "95016"},
		{"event_code_type", Personality{EventCodeType: 40058}, func(r *rig) string {
			r.says(ann, "hi")
			menu := obj{"code": r.trans(2, "").str("msg_code"), "msgtype": "msgmenu", "msgmenu": obj{"head_content": "x"}}
			return fmt.Sprint(r.post("kf/send_msg_on_event", menu).code())
		}, "40008", "40058"},
		{"strangers_are_new", Personality{StrangersAreNew: true}, func(r *rig) string {
			return fmt.Sprint(r.post("kf/service_state/get", obj{"open_kfid": kf, "external_userid": ann})["service_state"])
		}, "4", "0"},
		{"extra_transitions", Personality{ExtraTransitions: "3->2 2->4"}, func(r *rig) string {
			r.says(ann, "hi")
			r.wantCode("to the pool", r.trans(2, ""), 0)
			return fmt.Sprint(r.trans(4, "").code())
		}, "95016", "0"},
		{"callback_on_send", Personality{CallbackOnSend: true}, func(r *rig) string {
			r.says(ann, "hi")
			before := len(r.kinds(KindCallback))
			r.wantCode("send", r.text("m1"), 0)
			return fmt.Sprint(len(r.kinds(KindCallback)) - before)
		}, "0", "1"},
		{"oversize_text", Personality{OversizeText: "too big"}, func(r *rig) string {
			id, err := r.AddMedia(Media{Type: "image", FileName: "a.png", Data: make([]byte, 3<<20)})
			r.must(err)
			_, err = r.Say(Say{OpenKfID: kf, ExternalUserID: ann, MsgType: "image", Body: marshal(obj{"media_id": id})})
			r.must(err)
			return fmt.Sprint(r.pull(nil).items()[0]["text"].(map[string]any)["content"])
		}, "[the file is too large to be shown here]", "too big"},
		{"corp_sync_tokens", Personality{CorpSyncTokens: true}, func(r *rig) string {
			_, err := r.AddAccount(Account{OpenKfID: "wkOTHER"})
			r.must(err)
			r.must(r.SetCallback(CallbackSettings{CallbackURL: "http://127.0.0.1:1/"}))
			r.says(ann, "hi")
			r.mu.Lock()
			token := sortedKeys(r.st.accounts[kf].syncTokens)[0]
			r.mu.Unlock()
			return fmt.Sprint(r.pull(obj{"open_kfid": "wkOTHER", "token": token}).code())
		}, "95007", "0"},
		{"page_newest_first", Personality{PageNewestFirst: true}, func(r *rig) string {
			first := r.says(ann, "1")
			r.says(ann, "2")
			return fmt.Sprint(strings.HasPrefix(r.pull(nil).msgIDs(), first))
		}, "true", "false"},
		{"full_expires_in", Personality{FullExpiresIn: true}, func(r *rig) string {
			r.Clock().Advance(time.Hour)
			return fmt.Sprint(r.get("gettoken", url.Values{"corpid": {corpA}, "corpsecret": {"secret-one"}})["expires_in"])
		}, "3600", "7200"},
		{"empty_token_on_error", Personality{EmptyTokenOnError: true}, func(r *rig) string {
			_, there := r.get("gettoken", url.Values{"corpid": {corpA}, "corpsecret": {"wrong"}})["access_token"]
			return fmt.Sprint(there)
		}, "false", "true"},
		{"media_field_code", Personality{MediaFieldCode: 41006}, upload(`form-data; name="file"; filename="a.txt"`, "x"), "44001", "41006"},
		{"quoted_boundary", Personality{QuotedBoundary: true}, upload(`form-data; name="media"; filename="a.txt"`, `"x"`), "44001", "0"},
		{"filename_star", Personality{FileNameStar: true}, upload(`form-data; name="media"; filename*=UTF-8''a.txt`, "x"), "44001", "0"},
		{"filename beside filename*", Personality{FileNameStar: true}, upload(`form-data; name="media"; filename="a.txt"; filename*=UTF-8''a.txt`, "x"), "0", "0"},
		{"insist_on_json", Personality{InsistOnJSON: true}, code("kf/account/list", obj{}), "0", "40058"},
		{"bare_errmsg", Personality{BareErrMsg: true}, func(r *rig) string {
			return fmt.Sprint(strings.Contains(r.pull(obj{"open_kfid": "wkNO"}).str("errmsg"), "hint"))
		}, "true", "false"},
		{"retry_after", Personality{RetryAfterLimit: true}, func(r *rig) string {
			_, err := r.AddFault(Fault{Kind: FaultErrCode, ErrCode: 45009})
			r.must(err)
			return r.do("POST", "kf/sync_msg", nil, nil).Header().Get("Retry-After")
		}, "", "60"},
	} {
		if was := c.try(newRig(t, Config{})); was != c.was {
			t.Errorf("%s by default: got %q, want %q", c.field, was, c.was)
		}
		if now := c.try(newRig(t, Config{Personality: c.p})); now != c.now {
			t.Errorf("%s set: got %q, want %q", c.field, now, c.now)
		}
	}
}

// upload sends a file with this Content-Disposition and boundary and returns the errcode.
func upload(disposition, boundary string) func(*rig) string {
	return func(r *rig) string {
		body := "--x\r\nContent-Disposition: " + disposition + "\r\n\r\nten  bytes\r\n--x--\r\n"
		req := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/cgi-bin/media/upload?type=file&access_token="+r.token, strings.NewReader(body))
		req.Header.Set("Content-Type", "multipart/form-data; boundary="+boundary)
		w := httptest.NewRecorder()
		r.http.ServeHTTP(w, req)
		return fmt.Sprint(r.parse(w).code())
	}
}

func TestExtraTransitionsAreChecked(t *testing.T) {
	for _, bad := range []string{"3-2", "3->5", "3->2,2->4", "3->22", "x->y"} {
		if _, err := New(Config{Personality: Personality{ExtraTransitions: bad}}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// TestGoldenPersonalityNames: scripts and settings name the fields, so none may be renamed or lost.
func TestGoldenPersonalityNames(t *testing.T) {
	const file = "testdata/personality_names.txt"
	var names []string
	there := map[string]bool{}
	for i := range reflect.TypeFor[Personality]().NumField() {
		f := reflect.TypeFor[Personality]().Field(i)
		name := f.Tag.Get("json")
		if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" || there[name] {
			t.Errorf("%s: the JSON name %q is empty, taken or no snake_case", f.Name, name)
		}
		there[name] = true
		names = append(names, name)
	}
	if *update {
		if err := os.WriteFile(file, []byte(strings.Join(names, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(string(want)) {
		if !there[name] {
			t.Errorf("the field %s is gone; scripts that name it would be refused", name)
		}
	}
	if len(strings.Fields(string(want))) != len(names) {
		t.Errorf("%s is stale; run make golden", file)
	}
}

// TestPersonalityRoundTrips: every field survives JSON, durations as text included.
func TestPersonalityRoundTrips(t *testing.T) {
	p := Personality{}.withDefaults()
	v := reflect.ValueOf(&p).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Bool:
			f.SetBool(true)
		case reflect.String:
			f.SetString(f.String() + " other")
		case reflect.Int, reflect.Int64:
			f.SetInt(f.Int() + int64(i+1)*int64(time.Millisecond))
		default:
			t.Errorf("%s is a %s; teach the test", v.Type().Field(i).Name, f.Kind())
		}
	}
	var back Personality
	if err := decodeStrict(marshal(p), &back); err != nil || back != p {
		t.Errorf("got %+v, %v, want %+v", back, err, p)
	}
	if !bytes.Contains(marshal(p), []byte(`"sync_token_ttl":"10m`)) {
		t.Errorf("durations are no text: %s", marshal(p))
	}
}
