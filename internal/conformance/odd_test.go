package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// TestUnknownFields: what the platform adds one day is in Raw and disturbs nothing.
func TestUnknownFields(t *testing.T) {
	w := newWorld(t)
	answer := `{"errcode":0,"errmsg":"ok","new_field":{"deep":[1,"二"]},"account_list":[{"open_kfid":"wkX","name":"n","avatar":"a","colour":"red"}]}`
	got(w.AddFault(kfsim.Fault{Kind: kfsim.FaultGarbageBefore, Path: "kf/account/list", Body: answer, Count: 1}))(w)
	list := got(w.c.AccountList(w.t.Context(), w.token, 0, 0))(w)
	same(t, "Raw", string(list.Raw), answer)
	same(t, "what is known", list.AccountList, []kfapi.Account{{OpenKfID: "wkX", Name: "n", Avatar: "a"}})

	item := `{"msgid":"m1","open_kfid":"wkDESK","external_userid":"wmANN","send_time":1767323045,"origin":3,"msgtype":"hologram","hologram":{"x":1},"extra":[null]}`
	event := `{"send_time":1767323045,"origin":4,"msgtype":"event","event":{"event_type":"moon_phase","open_kfid":"wkDESK","external_userid":"wmANN","phase":3},"later":true}`
	text := `{"msgid":"m3","open_kfid":"wkDESK","external_userid":"wmANN","send_time":1767323045,"origin":3,"msgtype":"text","text":{"content":"hi","colour":"red"}}`
	for _, raw := range []string{item, event, text} {
		got(w.Inject(desk, json.RawMessage(raw)))(w)
	}
	page := got(w.c.SyncMsg(w.t.Context(), w.token, kfapi.SyncMsgRequest{OpenKfID: desk}))(w)
	for i, raw := range []string{item, event, text} {
		it := page.MsgList[i]
		same(t, "Raw", string(it.Raw), raw)
		same(t, "customer", it.ExternalUserID, ann)
		w.must(it.Err)
		_, err := it.Typed()
		same(t, "of an unknown type", errors.Is(err, kfapi.ErrUnknownType), i < 2)
	}
	same(t, "event_type", page.MsgList[1].EventType, "moon_phase")
}

// TestHostileItems: one bad item does not cost the page.
func TestHostileItems(t *testing.T) {
	w := newWorld(t)
	for _, raw := range []string{`7`, `null`, `{"msgtype":8}`, `{}`, `{"msgid":["x"],"msgtype":"text"}`, "{\"msgtype\":\"text\",\"text\":{\"content\":\"\xff\"}}"} {
		got(w.Inject(desk, json.RawMessage(raw)))(w)
	}
	id := w.says(ann, "still here")
	page := got(w.c.SyncMsg(w.t.Context(), w.token, kfapi.SyncMsgRequest{OpenKfID: desk}))(w)
	for _, it := range page.MsgList[:6] {
		same(t, "an error for "+string(it.Raw), it.Err != nil, true)
	}
	same(t, "the good one", page.MsgList[6].MsgID, id)
	w.must(page.MsgList[6].Err)
}

// TestPagesThatDoNotMove: the platform says for ever that there is more.
func TestPagesThatDoNotMove(t *testing.T) {
	w := newWorld(t)
	w.likes(kfsim.Personality{EmptyPageEvery: 1, TokenlessPerMinute: -1})
	w.says(ann, "hello")
	start := got(w.c.SyncMsg(w.t.Context(), w.token, kfapi.SyncMsgRequest{OpenKfID: desk}))(w)
	calls := w.Calls("kf/sync_msg")
	var last error
	for _, err := range w.c.SyncAll(w.t.Context(), w.token, kfapi.SyncMsgRequest{OpenKfID: desk, Cursor: start.NextCursor}) {
		last = err
	}
	same(t, "ends with ErrNoProgress", errors.Is(last, kfapi.ErrNoProgress), true)
	same(t, "after so many calls", w.Calls("kf/sync_msg")-calls, 20)
}

// TestWrongAnswers: whatever is not the platform's answer is an error that names the call and shows neither token nor body.
func TestWrongAnswers(t *testing.T) {
	const bodyError, cut = "body", "transport"
	secret := `<html>the answer's own words</html>`
	for _, c := range []struct {
		what    string
		fault   kfsim.Fault
		want    string
		happens bool // the platform acted
	}{
		{"HTML", kfsim.Fault{Kind: kfsim.FaultGarbageAfter, Body: secret}, bodyError, true},
		{"half an object", kfsim.Fault{Kind: kfsim.FaultGarbageBefore}, bodyError, false},
		{"no errcode", kfsim.Fault{Kind: kfsim.FaultGarbageBefore, Body: `{"status":"fine"}`}, bodyError, false},
		{"an errcode that is a text", kfsim.Fault{Kind: kfsim.FaultGarbageBefore, Body: `{"errcode":"0","errmsg":"ok"}`}, bodyError, false},
		{"a list", kfsim.Fault{Kind: kfsim.FaultGarbageBefore, Body: `[]`}, bodyError, false},
		{"a field of the wrong type", kfsim.Fault{Kind: kfsim.FaultGarbageBefore, Body: `{"errcode":0,"errmsg":"ok","msgid":7,"open_kfid":7,"access_token":7,"msg_list":7}`}, bodyError, false},
		{"500 before", kfsim.Fault{Kind: kfsim.FaultHTTP500Before}, bodyError, false},
		{"502 after", kfsim.Fault{Kind: kfsim.FaultHTTP500After, Status: http.StatusBadGateway}, bodyError, true},
		{"a redirect", kfsim.Fault{Kind: kfsim.FaultHTTP500Before, Status: http.StatusFound}, bodyError, false},
		{"a reset before", kfsim.Fault{Kind: kfsim.FaultResetBefore}, cut, false},
		{"a reset after", kfsim.Fault{Kind: kfsim.FaultResetAfter}, cut, true},
		{"more than 64 MiB", kfsim.Fault{Kind: kfsim.FaultGarbageBefore, Body: `{"errcode":0,"errmsg":"` + large(64<<20) + `"}`}, bodyError, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t)
			w.says(ann, "hello")
			c.fault.Path, c.fault.Count = sending, 1
			got(w.AddFault(c.fault))(w)
			err := w.try("one", hello())
			w.wrong(err, c.want == bodyError)
			same(t, "the platform acted", len(w.Accepted()) == 1, c.happens)
			if strings.Contains(err.Error(), "own words") {
				t.Errorf("the error repeats the answer: %v", err)
			}
		})
	}
	t.Run("none, until the caller gives up", func(t *testing.T) {
		w := newWorld(t)
		w.says(ann, "hello")
		got(w.AddFault(kfsim.Fault{Kind: kfsim.FaultAcceptThenHang, Path: sending}))(w)
		ctx, cancel := context.WithCancel(t.Context())
		w.OnEffect(func(c kfsim.Call) {
			if c.Path == sending {
				cancel()
			}
		})
		_, err := w.c.SendMsg(ctx, w.token, kfapi.SendMsgRequest{ToUser: ann, OpenKfID: desk, MsgID: "one", Message: hello()})
		w.wrong(err, false)
		same(t, "canceled", errors.Is(err, context.Canceled), true)
	})
}

// wrong checks the error of an answer that is none.
func (w *world) wrong(err error, body bool) {
	w.t.Helper()
	var b *kfapi.BodyError
	var cut *kfapi.TransportError
	if body != errors.As(err, &b) || body == errors.As(err, &cut) {
		w.t.Fatalf("got %v (%T)", err, err)
	}
	same(w.t, "Ambiguous", kfapi.Ambiguous(err), true)
	same(w.t, "TokenRejected", kfapi.TokenRejected(err), false)
	_, refused := kfapi.Code(err)
	same(w.t, "a refusal", refused, false)
	same(w.t, "names the call", strings.HasPrefix(err.Error(), "send_msg: "), true)
	same(w.t, "shows the token", strings.Contains(err.Error(), w.token), false)
}

// TestWrongAnswersOfEveryCall: no call takes a proxy's page, or half an answer, for a success; but for downloads, where any
// bytes may be a file.
func TestWrongAnswersOfEveryCall(t *testing.T) {
	for path, run := range map[string]func(*world) error{
		"media/upload":    func(w *world) error { return w.upload("image", "a.png", []byte(png)) },
		"media/uploadimg": func(w *world) error { return w.uploadImage("a.png", []byte(png)) },
		"token":           func(w *world) error { return second(w.c.OfficialToken(w.t.Context(), appID, appSecret)) },
		"stable_token":    func(w *world) error { return second(w.c.StableToken(w.t.Context(), appID, appSecret, false)) },
		"gettoken":        func(w *world) error { return second(w.c.GetToken(w.t.Context(), corpID, "secret-two")) },
	} {
		everyWrong(t, path, run)
	}
	for _, e := range kfapi.Endpoints() {
		if e.Style == kfapi.StyleJSON {
			everyWrong(t, e.Path, func(w *world) error { return w.raw(e.Path, "{}") })
		}
	}
}

func everyWrong(t *testing.T, path string, run func(*world) error) {
	t.Run(path, func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		for _, body := range []string{"<html></html>", `{"errcode":0,"errm`, `[]`, `null`, `{"errcode":null}`, " "} {
			got(w.AddFault(kfsim.Fault{Kind: kfsim.FaultGarbageBefore, Path: path, Body: body, Count: 1}))(w)
			err := run(w)
			var b *kfapi.BodyError
			if !errors.As(err, &b) {
				t.Errorf("%s: got %v, want a *BodyError", body, err)
			}
		}
	})
}
