package kfsim

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kfbus/kfbus/pkg/kfcrypto"
)

// listener is the corp's callback server.
type listener struct {
	*httptest.Server
	codec  *kfcrypto.Codec
	answer func(n int, w http.ResponseWriter, r *http.Request) // n from 1; nil answers 200 success

	mu     sync.Mutex
	bodies []string // raw
	plain  []string // decrypted
	types  []string
}

// listen gives the rig's corp a callback server, and runs the deliveries until the test ends.
func (r *rig) listen(answer func(n int, w http.ResponseWriter, hr *http.Request)) *listener {
	r.t.Helper()
	r.mu.Lock()
	c := r.st.corps[corpA].Corp
	r.mu.Unlock()
	codec, err := kfcrypto.New(c.CallbackToken, c.EncodingAESKey, corpA)
	r.must(err)
	l := &listener{codec: codec, answer: answer}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, hr *http.Request) { l.serve(r.t, w, hr) }))
	r.t.Cleanup(l.Close)
	r.must(r.SetCallback(CallbackSettings{CallbackURL: l.URL + "/callback?a=1"}))
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			r.t.Errorf("Run: got %v, want nil after a clean stop", err)
		}
	})
	return l
}

func (l *listener) serve(t testing.TB, w http.ResponseWriter, hr *http.Request) {
	q := hr.URL.Query()
	if hr.URL.Path != "/callback" || q.Get("a") != "1" {
		t.Errorf("callback at %s, want the URL that was set, its own query included", hr.URL)
	}
	if echo := q.Get("echostr"); echo != "" {
		plain, err := l.codec.VerifyURL(q.Get("msg_signature"), q.Get("timestamp"), q.Get("nonce"), echo)
		if err != nil {
			t.Errorf("verification: %v", err)
		}
		_, _ = io.WriteString(w, plain)
		return
	}
	body, _ := io.ReadAll(hr.Body)
	env, err := kfcrypto.ScanEnvelope(body)
	if err != nil {
		t.Errorf("envelope %s: %v", body, err)
	}
	plain, receiveID, err := l.codec.Open(q.Get("msg_signature"), q.Get("timestamp"), q.Get("nonce"), env.Encrypt)
	if err != nil || receiveID != corpA {
		t.Errorf("open: %v, receiveid %q", err, receiveID)
	}
	l.mu.Lock()
	l.bodies, l.plain, l.types = append(l.bodies, string(body)), append(l.plain, string(plain)), append(l.types, hr.Header.Get("Content-Type"))
	n := len(l.plain)
	l.mu.Unlock()
	if l.answer != nil {
		l.answer(n, w, hr)
		return
	}
	_, _ = io.WriteString(w, "success")
}

func (l *listener) got() []string { return l.snapshot(&l.plain) }

// raw are the bodies as they came.
func (l *listener) raw() []string { return l.snapshot(&l.bodies) }

// kinds are their content types.
func (l *listener) kinds() []string { return l.snapshot(&l.types) }

func (l *listener) snapshot(list *[]string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(*list)
}

// wait follows the journal until n entries of a kind are there, and returns them.
func (r *rig) wait(kind string, n int) (list []Entry) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for e := range r.Follow(ctx, 1) {
		if e.Kind == kind {
			if list = append(list, e); len(list) == n {
				return list
			}
		}
	}
	r.t.Fatalf("got %d entries of kind %s, want %d", len(list), kind, n)
	return nil
}

type kfEvent struct {
	ToUserName, MsgType, Event, Token, OpenKfId string
	CreateTime                                  int64
	AuthAddOpenKfId, AuthDelOpenKfId            []string
}

func parseEvent(t *testing.T, plain string) (e kfEvent) {
	t.Helper()
	if err := xml.Unmarshal([]byte(plain), &e); err != nil {
		t.Fatalf("callback %s: %v", plain, err)
	}
	return e
}

func TestCallback(t *testing.T) {
	r := newRig(t, Config{})
	l := r.listen(nil)
	r.Clock().Advance(time.Hour)
	r.says(ann, "hi")
	r.wait(KindDelivered, 1)
	e := parseEvent(t, l.got()[0])
	if e.ToUserName != corpA || e.MsgType != "event" || e.Event != "kf_msg_or_event" || e.OpenKfId != kf || e.CreateTime != start().Add(time.Hour).Unix() {
		t.Errorf("got %+v", e)
	}
	if strings.Contains(l.got()[0], "hi</") {
		t.Error("the callback carries the message's content")
	}
	got := r.pull(obj{"token": e.Token})
	r.wantCode("its token is good for sync_msg", got, 0)
	if len(got.items()) != 1 {
		t.Errorf("got %d items, want 1", len(got.items()))
	}
	if l.kinds()[0] != "text/xml" || !strings.Contains(l.raw()[0], "<ToUserName><![CDATA["+corpA+"]]>") || !strings.Contains(l.raw()[0], "<AgentID><![CDATA[1000002]]>") {
		t.Errorf("envelope: got %s as %s", l.raw()[0], l.kinds()[0])
	}
	r.must(r.Authorize(kf, false))
	r.wait(KindDelivered, 2)
	if e := parseEvent(t, l.got()[1]); e.Event != "kf_account_auth_change" || len(e.AuthDelOpenKfId) != 1 || e.AuthDelOpenKfId[0] != kf {
		t.Errorf("auth change: got %+v", e)
	}
}

func TestSendingThroughTheAPIRingsNoBell(t *testing.T) {
	r := newRig(t, Config{})
	l := r.listen(nil)
	r.says(ann, "hi")
	r.wait(KindDelivered, 1)
	r.wantCode("send", r.text("m1"), 0)
	r.wantCode("trans", r.trans(2, ""), 0)
	if n := r.PendingCallbacks(); n != 0 || len(r.kinds(KindCallback)) != 1 {
		t.Errorf("got %d callbacks under way and %d in all, want 0 and 1", n, len(l.got()))
	}
}

func TestJSONCallback(t *testing.T) {
	r := newRig(t, Config{})
	r.must(r.SetCallback(CallbackSettings{CallbackFormat: FormatJSON}))
	l := r.listen(nil)
	r.says(ann, "hi")
	r.wait(KindDelivered, 1)
	if p := l.got()[0]; !strings.HasPrefix(p, `{"ToUserName":"`+corpA+`","CreateTime":`) || !strings.Contains(p, `"Event":"kf_msg_or_event"`) || !strings.Contains(p, `"OpenKfId":"`+kf+`"`) {
		t.Errorf("plaintext: got %s", p)
	}
	if l.kinds()[0] != "application/json" || !strings.HasPrefix(l.raw()[0], `{"tousername":"`+corpA+`","encrypt":"`) {
		t.Errorf("envelope: got %s as %s", l.raw()[0], l.kinds()[0])
	}
}

func TestAppCallback(t *testing.T) {
	r := newRig(t, Config{})
	l := r.listen(nil)
	x := "<xml><ToUserName>ww</ToUserName><MsgType>text</MsgType><Content><![CDATA[hi]]></Content></xml>"
	j := `{"MsgType":"event","Event":"modify_calendar"}`
	r.must(r.AppCallback(AppCallback{XML: x}))
	r.wait(KindDelivered, 1)
	r.must(r.AppCallback(AppCallback{JSON: []byte(j)}))
	r.wait(KindDelivered, 2)
	if got := l.got(); got[0] != x || got[1] != j || l.kinds()[1] != "application/json" {
		t.Errorf("got %q as %q", got, l.kinds())
	}
	if r.AppCallback(AppCallback{}) == nil || r.AppCallback(AppCallback{XML: x, JSON: []byte(j)}) == nil {
		t.Error("nothing, or both forms, was taken")
	}
}

func TestCallbackRetries(t *testing.T) {
	fail := func(until int, status int) func(int, http.ResponseWriter, *http.Request) {
		return func(n int, w http.ResponseWriter, _ *http.Request) {
			if n <= until {
				w.WriteHeader(status)
			}
		}
	}
	for _, c := range []struct {
		name      string
		p         Personality
		answer    func(int, http.ResponseWriter, *http.Request)
		attempts  int
		delivered bool
	}{
		{"empty 200", Personality{}, fail(0, 0), 1, true},
		{"204 is no 200", Personality{}, fail(9, 204), 3, false},
		{"redirect is no 200", Personality{}, fail(9, 302), 3, false},
		{"fails twice", Personality{}, fail(2, 500), 3, true},
		{"fails always", Personality{}, fail(9, 503), 3, false},
		{"fails always, one attempt", Personality{CallbackAttempts: 1}, fail(9, 503), 1, false},
		{"is cut off", Personality{}, func(int, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 3, false},
	} {
		r := newRig(t, Config{Personality: c.p})
		l := r.listen(c.answer)
		r.says(ann, "hi")
		kind := KindGivenUp
		if c.delivered {
			kind = KindDelivered
		}
		if e := r.wait(kind, 1)[0]; e.Attempt != c.attempts || len(r.kinds(KindAttempt)) != c.attempts {
			t.Errorf("%s: got %d attempts, want %d", c.name, e.Attempt, c.attempts)
		}
		for _, b := range l.raw() {
			if b != l.raw()[0] {
				t.Errorf("%s: a retry has other bytes", c.name)
			}
		}
		if n := len(r.pull(nil).items()); n != 1 {
			t.Errorf("%s: got %d items, want 1: a lost callback loses nothing", c.name, n)
		}
	}
}

// firstHangs is a transport whose first request is never answered.
type firstHangs struct{ n atomic.Int32 }

func (f *firstHangs) RoundTrip(hr *http.Request) (*http.Response, error) {
	if f.n.Add(1) == 1 {
		<-hr.Context().Done() // until the platform gives up
		return nil, hr.Context().Err()
	}
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: hr}, nil
}

func TestCallbackTimeoutIsAFailure(t *testing.T) {
	r := newRig(t, Config{Personality: Personality{CallbackTimeout: 300 * time.Millisecond}, Transport: &firstHangs{}})
	r.listen(nil)
	r.says(ann, "hi")
	r.wait(KindDelivered, 1)
	if a := r.kinds(KindAttempt); len(a) != 2 || a[0].Status != 0 || a[0].Reason != "no answer in time" {
		t.Errorf("got attempts %+v, want a timeout and a success", a)
	}
}

func TestFreshRetryAndPause(t *testing.T) {
	var waits []time.Duration
	r := newRig(t, Config{
		Personality: Personality{FreshRetry: true, CallbackPause: 7 * time.Second},
		Wait:        func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil },
	})
	l := r.listen(func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 1 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	r.says(ann, "hi")
	r.wait(KindDelivered, 1)
	if l.raw()[0] == l.raw()[1] || l.got()[0] != l.got()[1] {
		t.Error("the retry has the same bytes, or another plaintext")
	}
	if len(waits) != 1 || waits[0] != 7*time.Second {
		t.Errorf("got pauses %v, want one of 7s", waits)
	}
}

func TestCallbackSwitches(t *testing.T) {
	r := newRig(t, Config{Callbacks: CallbackSwitches{Drop: true}})
	l := r.listen(nil)
	r.says(ann, "dropped")
	if e := r.wait(KindCallback, 1)[0]; e.Reason == "" || r.PendingCallbacks() != 0 {
		t.Errorf("got %+v, want a reason and nothing under way", e)
	}
	r.must(r.SetCallbacks(CallbackSwitches{Duplicate: 5}))
	r.says(ann, "five times")
	r.wait(KindDelivered, 5)
	for _, b := range l.raw() {
		if b != l.raw()[0] {
			t.Error("a duplicate has other bytes")
		}
	}
	if r.SetCallbacks(CallbackSwitches{Reorder: true}) == nil || r.SetCallbacks(CallbackSwitches{Duplicate: -1}) == nil {
		t.Error("impossible switches were taken")
	}
}

func TestDelayAndReorder(t *testing.T) {
	delays := func(seed uint64, c CallbackSwitches) (list []time.Duration) {
		all := make(chan time.Duration, 20)
		r := newRig(t, Config{Seed: seed, CallbackWorkers: 1, Callbacks: c, Wait: func(_ context.Context, d time.Duration) error { all <- d; return nil }})
		r.listen(nil)
		for range 20 {
			r.says(ann, "hi")
		}
		r.wait(KindDelivered, 20)
		for range 20 {
			list = append(list, <-all)
		}
		slices.Sort(list)
		return list
	}
	if got := delays(1, CallbackSwitches{Delay: time.Second}); got[0] != time.Second || got[19] != time.Second {
		t.Errorf("delay: got %v, want 1s each", got)
	}
	one := delays(1, CallbackSwitches{Delay: time.Second, Reorder: true})
	if one[0] < 0 || one[19] >= time.Second || one[0] == one[19] {
		t.Errorf("reorder: got %v, want different delays below 1s", one)
	}
	if again := delays(1, CallbackSwitches{Delay: time.Second, Reorder: true}); !slices.Equal(one, again) {
		t.Errorf("the same seed gave other delays: %v and %v", one, again)
	}
	if other := delays(2, CallbackSwitches{Delay: time.Second, Reorder: true}); slices.Equal(one, other) {
		t.Error("another seed gave the same delays")
	}
}

func TestCoalescedCallbacks(t *testing.T) {
	r := newRig(t, Config{Personality: Personality{CoalesceCallbacks: true}})
	r.must(r.SetCallback(CallbackSettings{CallbackURL: "http://127.0.0.1:1/"}))
	for range 5 {
		r.says(ann, "hi") // nobody runs: the first waits
	}
	if n := r.PendingCallbacks(); n != 1 {
		t.Errorf("got %d callbacks waiting, want 1", n)
	}
}

func TestRunStopsAndGoesOn(t *testing.T) {
	r := newRig(t, Config{})
	hanging, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, hr *http.Request) {
		first := false
		once.Do(func() { first = true })
		if first {
			close(hanging)
			select {
			case <-release:
			case <-hr.Context().Done():
			}
		}
	}))
	defer srv.Close()
	defer close(release)
	r.must(r.SetCallback(CallbackSettings{CallbackURL: srv.URL}))
	r.says(ann, "hi")
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	<-hanging
	stop()
	if err := <-done; err != nil {
		t.Errorf("Run: got %v, want nil", err)
	}
	if n := r.PendingCallbacks(); n != 1 {
		t.Errorf("got %d callbacks waiting after the stop, want the one cut short", n)
	}
	ctx, stop = context.WithCancel(context.Background())
	go func() { done <- r.Run(ctx) }()
	r.wait(KindDelivered, 1)
	stop()
	if err := <-done; err != nil {
		t.Errorf("second Run: got %v, want nil", err)
	}
}

func TestVerifyURL(t *testing.T) {
	r := newRig(t, Config{Personality: Personality{EchoTimeout: 20 * time.Second}})
	if r.VerifyURL(context.Background(), "") == nil {
		t.Error("a corp without URL passed")
	}
	r.listen(nil)
	if err := r.VerifyURL(context.Background(), ""); err != nil {
		t.Errorf("a good server: got %v", err)
	}
	if err := r.VerifyURL(context.Background(), "ww9"); err == nil {
		t.Error("an unknown corp passed")
	}
	for name, h := range map[string]http.HandlerFunc{
		"quotes":   func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `"1234567890123456789"`) },
		"nothing":  func(http.ResponseWriter, *http.Request) {},
		"403":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"cut off":  func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"too late": func(_ http.ResponseWriter, hr *http.Request) { <-hr.Context().Done() },
	} {
		srv := httptest.NewServer(h)
		s := newRig(t, Config{Personality: Personality{EchoTimeout: 50 * time.Millisecond}})
		s.must(s.SetCallback(CallbackSettings{CallbackURL: srv.URL}))
		if err := s.VerifyURL(context.Background(), ""); err == nil || errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
		if e := s.kinds(KindVerify); len(e) != 1 || e[0].Reason == "" {
			t.Errorf("%s: got journal %+v, want one entry with a reason", name, e)
		}
		srv.Close()
	}
}

func TestCallbackSettings(t *testing.T) {
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for name, c := range map[string]Corp{
		"short key":    {EncodingAESKey: "abc"},
		"odd token":    {CallbackToken: "a-b"},
		"ftp":          {CallbackURL: "ftp://e.example"},
		"odd format":   {CallbackFormat: "yaml"},
		"empty secret": {Secrets: []string{""}},
		"odd corpid":   {CorpID: "*"},
	} {
		if _, err := s.AddCorp(c); err == nil {
			t.Errorf("%s: the corp was made", name)
		}
	}
	c, err := s.AddCorp(Corp{})
	if err != nil || len(c.CorpID) != 18 || len(c.Secrets) != 1 || len(c.EncodingAESKey) != 43 || c.CallbackToken == "" {
		t.Errorf("got %d secrets, corpid %q, %v; want everything made", len(c.Secrets), c.CorpID, err)
	}
	if _, err := s.AddCorp(Corp{CorpID: c.CorpID}); err == nil {
		t.Error("a corp was made twice")
	}
}
