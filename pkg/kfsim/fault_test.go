package kfsim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// wire is the platform behind a real connection.
type wire struct {
	*rig
	srv *httptest.Server
}

func newWire(t *testing.T, cfg Config) *wire {
	t.Helper()
	r := newRig(t, cfg)
	w := &wire{r, httptest.NewServer(r.Platform())}
	w.srv.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	t.Cleanup(w.srv.Close)
	t.Cleanup(r.Close) // before the server, which waits for hanging calls
	return w
}

// call posts over the connection. err is a transport error; code is -1 when the body is no JSON.
func (w *wire) call(ctx context.Context, path string, body any) (status, code int, err error) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.srv.URL+"/cgi-bin/"+path+"?"+url.Values{"access_token": {w.token}}.Encode(), bytes.NewReader(marshal(body)))
	w.must(err)
	resp, err := w.srv.Client().Do(req)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, 0, err
	}
	var a answered
	if json.Unmarshal(b, &a) != nil {
		return resp.StatusCode, -1, nil
	}
	return resp.StatusCode, a.code(), nil
}

func textTo(user, id string) obj {
	return obj{"touser": user, "open_kfid": kf, "msgid": id, "msgtype": "text", "text": obj{"content": "x"}}
}

func (w *wire) send(id string) (status, code int, err error) {
	w.t.Helper()
	return w.call(context.Background(), "kf/send_msg", textTo(ann, id))
}

func (w *wire) accepted(id string) bool {
	for _, s := range w.Accepted() {
		if s.MsgID == id {
			return true
		}
	}
	return false
}

func TestFaults(t *testing.T) {
	const cut = -2 // a transport error
	for _, c := range []struct {
		fault          Fault
		status, answer int
		effect         bool
	}{
		{Fault{Kind: FaultLatency, Delay: time.Nanosecond}, 200, 0, true},
		{Fault{Kind: FaultResetBefore}, 0, cut, false},
		{Fault{Kind: FaultResetAfter}, 0, cut, true},
		{Fault{Kind: FaultHTTP500Before}, 500, -1, false},
		{Fault{Kind: FaultHTTP500After}, 500, -1, true},
		{Fault{Kind: FaultHTTP500After, Status: 502}, 502, -1, true},
		{Fault{Kind: FaultGarbageBefore}, 200, -1, false},
		{Fault{Kind: FaultGarbageAfter}, 200, -1, true},
		{Fault{Kind: FaultGarbageAfter, Body: `{"errcode":7}`}, 200, 7, true},
		{Fault{Kind: FaultAcceptThenHang, Delay: time.Nanosecond}, 0, cut, true},
		{Fault{Kind: FaultErrCode, ErrCode: 45009}, 200, 45009, false},
		{Fault{Kind: FaultErrCode, ErrCode: 60020}, 200, 60020, false},
		{Fault{Kind: FaultRevokeToken}, 200, 40014, false},
		{Fault{Kind: FaultLatency, Jitter: time.Millisecond}, 200, 0, true},
		{Fault{Kind: FaultRefuse}, 0, cut, false},
		{Fault{Kind: FaultCutAfter}, 0, cut, true},
		{Fault{Kind: FaultRedirect}, 302, -1, false},
		{Fault{Kind: FaultRedirect, Status: 307, Location: "http://127.0.0.1:1/x"}, 307, -1, false},
	} {
		name := fmt.Sprintf("%s %d", c.fault.Kind, c.fault.Status)
		w := newWire(t, Config{})
		w.says(ann, "hi")
		c.fault.Path, c.fault.Count = "kf/send_msg", 1
		id, err := w.AddFault(c.fault)
		w.must(err)
		status, code, err := w.send("m1")
		if err != nil {
			status, code = 0, cut
		}
		if status != c.status || code != c.answer {
			t.Errorf("%s: got HTTP %d, errcode %d, %v; want %d and %d", name, status, code, err, c.status, c.answer)
		}
		if got := w.accepted("m1"); got != c.effect {
			t.Errorf("%s: accepted %v, want %v", name, got, c.effect)
		}
		call := w.kinds(KindCall)[len(w.kinds(KindCall))-1]
		if call.Path != "kf/send_msg" || call.Effect != c.effect || c.fault.Kind != FaultLatency && (call.Fault != c.fault.Kind || c.fault.Kind != FaultRefuse && call.FaultID != id) {
			t.Errorf("%s: the journal says %+v", name, call)
		}
		if len(w.Faults()) != 0 {
			t.Errorf("%s: the fault is still there after its one time", name)
		}
		w.token = w.getToken("secret-one")
		want := map[bool]int{true: 40058, false: 0}[c.effect]
		if _, code, err := w.send("m1"); err != nil || code != want {
			t.Errorf("%s: the same msgid again: got %d, %v, want %d", name, code, err, want)
		}
		w.srv.CloseClientConnections()
	}
}

// waitFor is a Config.Wait that lasts until release is closed.
func waitFor(release <-chan struct{}) func(context.Context, time.Duration) error {
	return func(ctx context.Context, _ time.Duration) error {
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func TestLateEffect(t *testing.T) {
	release := make(chan struct{})
	w := newWire(t, Config{Wait: waitFor(release)})
	w.says(ann, "hi")
	_, err := w.AddFault(Fault{Kind: FaultLateEffect, Path: "kf/send_msg", Count: 1, Delay: 30 * time.Second})
	w.must(err)
	if _, _, err := w.send("m1"); err == nil {
		t.Error("the connection was not cut")
	}
	if w.accepted("m1") {
		t.Error("the effect came before its time")
	}
	if _, code, err := w.send("m1"); code != 0 || err != nil {
		t.Errorf("the retry: got %d, %v, want it accepted", code, err)
	}
	close(release)
	late := w.wait(KindCall, 3)[2] // after gettoken and the retry
	if !late.Late || late.ErrCode != 40058 || late.Fault != FaultLateEffect {
		t.Errorf("the late one: got %+v, want its msgid refused as used", late)
	}
	if n := len(w.Accepted()); n != 1 {
		t.Errorf("got %d accepted messages, want 1", n)
	}
}

func TestHangEndsWithTheClient(t *testing.T) {
	w := newWire(t, Config{})
	w.says(ann, "hi")
	_, err := w.AddFault(Fault{Kind: FaultAcceptThenHang, Path: "kf/send_msg"})
	w.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	defer w.OnEffect(func(c Call) { cancel() })()
	if _, _, err := w.call(ctx, "kf/send_msg", textTo(ann, "m1")); err == nil {
		t.Error("a hanging call answered")
	}
	if !w.accepted("m1") {
		t.Error("the call had no effect")
	}
}

func TestCloseEndsHanging(t *testing.T) {
	w := newWire(t, Config{})
	w.says(ann, "hi")
	_, err := w.AddFault(Fault{Kind: FaultAcceptThenHang})
	w.must(err)
	w.OnEffect(func(Call) { go w.Close() })
	if _, _, err := w.send("m1"); err == nil {
		t.Error("a hanging call answered")
	}
}

func TestFaultSelection(t *testing.T) {
	w := newWire(t, Config{})
	w.says(ann, "hi")
	w.says(bob, "hi")
	code := func(user, id string) int {
		_, c, err := w.call(context.Background(), "kf/send_msg", textTo(user, id))
		w.must(err)
		return c
	}
	add := func(f Fault) string {
		id, err := w.AddFault(f)
		w.must(err)
		return id
	}
	id := add(Fault{Kind: FaultErrCode, ErrCode: -1, Path: "/cgi-bin/kf/send_msg", After: 1, Count: 2})
	var got []int
	for i := range 4 {
		got = append(got, code(ann, fmt.Sprint("a", i)))
	}
	if fmt.Sprint(got) != "[0 -1 -1 0]" {
		t.Errorf("after 1, twice: got %v", got)
	}
	if w.RemoveFault(id) {
		t.Error("a used up fault was still there")
	}
	add(Fault{Kind: FaultErrCode, ErrCode: 45033, ExternalUserID: bob})
	if a, b := code(ann, "a9"), code(bob, "b0"); a != 0 || b != 45033 {
		t.Errorf("only Bob: got %d and %d", a, b)
	}
	w.RemoveFaults()
	add(Fault{Kind: FaultErrCode, ErrCode: 45033, OpenKfID: "wkOTHER"})
	w.wantCode("another account", w.pull(nil), 0)
	other := add(Fault{Kind: FaultErrCode, ErrCode: 45033, Path: "kf/sync_msg", OpenKfID: kf})
	w.wantCode("this account", w.pull(nil), 45033)
	if list := w.Faults(); len(list) != 2 || list[1].Struck != 1 {
		t.Errorf("got faults %+v", list)
	}
	if !w.RemoveFault(other) || w.RemoveFault(other) {
		t.Error("a fault was not removed exactly once")
	}
	w.wantCode("after removal", w.pull(nil), 0)
}

func TestFaultProbability(t *testing.T) {
	strikes := func(seed uint64) (s string) {
		r := newRig(t, Config{Seed: seed, Personality: Personality{TokenlessPerMinute: -1}})
		_, err := r.AddFault(Fault{Kind: FaultErrCode, ErrCode: -1, Path: "kf/sync_msg", Probability: 0.3})
		r.must(err)
		for range 200 {
			s += fmt.Sprint(-r.pull(nil).code())
		}
		return s
	}
	one := strikes(7)
	if n := strings.Count(one, "1"); n < 30 || n > 90 {
		t.Errorf("seed 7: struck %d of 200, want about 60", n)
	}
	if strikes(7) != one {
		t.Error("the same seed struck other calls")
	}
	if strikes(8) == one {
		t.Error("another seed struck the same calls")
	}
}

func TestImpossibleFaults(t *testing.T) {
	r := newRig(t, Config{})
	for name, f := range map[string]Fault{
		"no kind":       {},
		"unknown path":  {Kind: FaultResetAfter, Path: "kf/nothing"},
		"no errcode":    {Kind: FaultErrCode},
		"no delay":      {Kind: FaultLatency},
		"negative":      {Kind: FaultResetAfter, Count: -1},
		"probability 2": {Kind: FaultResetAfter, Probability: 2},
		"status 99":     {Kind: FaultHTTP500After, Status: 99},
		"probability":   {Kind: FaultResetAfter, Probability: math.NaN()},
		"jitter":        {Kind: FaultLatency, Delay: 1, Jitter: -1},
		"no real delay": {Kind: FaultCallbackReordered, Jitter: 1},
		"redirect 200":  {Kind: FaultRedirect, Status: 200},
		"bad id":        {Kind: FaultResetAfter, ID: "a b"},
		"page path":     {Kind: FaultEmptyPage, Path: "kf/send_msg"},
		"page customer": {Kind: FaultEmptyPage, ExternalUserID: ann},
		"call path":     {Kind: FaultCallbackLost, Path: "kf/sync_msg"},
		"unread":        {Kind: FaultRefuse, OpenKfID: kf},
	} {
		if _, err := r.AddFault(f); err == nil {
			t.Errorf("%s: the fault was set", name)
		}
	}
}
