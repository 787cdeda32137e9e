package console

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// ask calls the API and reads a 200.
func ask[T any](t *testing.T, h http.Handler, path string, body any) T {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if body != nil {
		r = httptest.NewRequest(http.MethodPost, path, bytes.NewReader(oneLine(body)))
		r.Header.Set("Content-Type", "application/json")
	}
	r.Host = "localhost"
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	var v T
	if err := json.Unmarshal(rec.Body.Bytes(), &v); err != nil || rec.Code != 200 {
		t.Fatalf("%s: got %d %s", path, rec.Code, rec.Body)
	}
	return v
}

type published struct {
	CommandID string `json:"command_id"`
	Subject   string `json:"subject"`
	Body      string `json:"body"`
}

type phoneView struct {
	Messages []kfsim.PhoneMessage `json:"messages"`
	Platform kfsim.Conversation   `json:"platform"`
}

func TestCustomerActs(t *testing.T) {
	c := newConsole(t)
	h := c.Handler()
	do := func(a action) map[string]string {
		t.Helper()
		a.OpenKfID, a.ExternalUserID = kfID, ann
		return ask[map[string]string](t, h, "/api/act", a)
	}
	phone := func() phoneView {
		t.Helper()
		return ask[phoneView](t, h, "/api/phone?open_kfid="+kfID+"&external_userid="+ann, nil)
	}
	if p := phone(); p.Messages == nil || len(p.Messages) != 0 || p.Platform.State != 4 {
		t.Errorf("before all: got %+v, want an empty list and state 4", p)
	}
	if id := do(action{Act: "enter", Scene: "door"})["msgid"]; id == "" {
		t.Error("enter: no msgid")
	}
	said := ask[map[string]string](t, h, "/api/say", text{kfID, ann, "你好 <b>"})["msgid"]
	if got := do(action{Act: "recall", MsgID: said}); len(got) != 0 {
		t.Errorf("recall: got %v, want {}", got)
	}
	p := phone()
	kinds := []string{}
	for _, m := range p.Messages {
		kinds = append(kinds, m.From+m.Notice)
	}
	if want := []string{"systementered", "customer", "systemcustomer_recalled"}; !slices.Equal(kinds, want) {
		t.Errorf("got phone %v, want %v", kinds, want)
	}
	if p.Platform.State != 0 || !p.Messages[1].Recalled {
		t.Errorf("got state %d, recalled %t; want 0, true", p.Platform.State, p.Messages[1].Recalled)
	}
	before := c.cfg.Sim.Clock().Now()
	do(action{Act: "clock", Advance: "48h"})
	if d := c.cfg.Sim.Clock().Now().Sub(before); d < 48*time.Hour || d > 49*time.Hour {
		t.Errorf("the clock moved by %v, want 48h", d)
	}
}

func TestState(t *testing.T) {
	c := newConsole(t)
	c.cfg.Accounts = []kfsim.Account{{OpenKfID: kfID, Name: "desk"}}
	c.cfg.Info.Commands = []Command{{EN: "x", Text: "y {corp}"}}
	c.journaled(kfsim.Entry{Kind: kfsim.KindServicer, OpenKfID: kfID, ServicerUserID: "lisi"})
	c.journaled(kfsim.Entry{Kind: kfsim.KindServicer, OpenKfID: kfID, ServicerUserID: "lisi", Reason: "stopped"})
	c.cfg.Sim.Clock().Advance(time.Hour)
	type state struct {
		Corp      string              `json:"corp"`
		Accounts  []kfsim.Account     `json:"accounts"`
		Customers []kfsim.Customer    `json:"customers"`
		Servicers map[string][]string `json:"servicers"`
		Info      Info                `json:"info"`
		Now       time.Time           `json:"now"`
		OffsetMS  int64               `json:"offset_ms"`
	}
	s := ask[state](t, c.Handler(), "/api/state", nil)
	if s.Corp != corp || len(s.Accounts) != 1 || s.Customers == nil || s.Info.Commands[0].Text != "y {corp}" || s.OffsetMS != time.Hour.Milliseconds() {
		t.Errorf("got %+v", s)
	}
	if got := s.Servicers[kfID]; !slices.Equal(got, []string{"lisi"}) {
		t.Errorf("got servicers %v, want lisi once", got)
	}
	if d := time.Until(s.Now); d < 59*time.Minute || d > time.Hour {
		t.Errorf("the platform's time is %v ahead, want an hour", d)
	}
	c.journaled(kfsim.Entry{Kind: kfsim.KindReset})
	if s := ask[state](t, c.Handler(), "/api/state", nil); len(s.Servicers) != 0 {
		t.Errorf("after a reset: got servicers %v", s.Servicers)
	}
}

func TestAnswerIsAnOrdinaryCommand(t *testing.T) {
	w := newWorld(t)
	h := w.console.Handler()
	got := ask[published](t, h, "/api/answer", text{kfID, ann, "您好 <&>"})
	if want := events.CommandSubject(Team, corp, kfID, "send", ann); got.Subject != want {
		t.Errorf("got subject %s, want %s", got.Subject, want)
	}
	if want := `{"command_id":"` + got.CommandID + `","msgtype":"text","text":{"content":"您好 <&>"}}`; got.Body != want {
		t.Errorf("got body %s, want %s", got.Body, want)
	}
	// It is stored, and the sender can read it.
	stored, err := w.bus.Last(testkit.Context(t), events.StreamCommand, "kf.lane.command.>")
	must(t, err)
	s, err := stored.Published()
	must(t, err)
	cmd, err := events.CommandFromJSON(s, stored.Header.Get("Nats-Msg-Id"), stored.Data, stored.Time)
	must(t, err)
	if cmd.ID != got.CommandID || cmd.ExternalUserID != ann || cmd.OpenKfID != kfID || string(stored.Data) != got.Body {
		t.Errorf("got command %+v", cmd)
	}

	// The next one answers what the customer wrote meanwhile, in its trace.
	trace := service.NewTrace()
	in := events.Inbound{Corp: corp, OpenKfID: kfID, ExternalUserID: ann, MsgID: "m1", MsgType: "text", Raw: []byte(`{}`), TraceParent: trace.String()}
	w.console.published(item(t, in.MsgID, in.MsgType, "", `{}`, "structured", in.TraceParent))
	again := ask[published](t, h, "/api/answer", text{kfID, ann, "x"})
	cmd, err = events.CommandFromJSON(s, "", []byte(again.Body), time.Now())
	must(t, err)
	if cmd.CausationID != "m1" || cmd.TraceParent != trace.String() || cmd.ID == got.CommandID {
		t.Errorf("got cause %q, trace %q, id %q", cmd.CausationID, cmd.TraceParent, cmd.ID)
	}
	other := ask[published](t, h, "/api/answer", text{kfID, bo, "x"})
	if strings.Contains(other.Body, "m1") {
		t.Errorf("another customer's message is answered: %s", other.Body)
	}

	// An id that is no subject token stands in the body.
	const odd = "wm with spaces"
	hashed := ask[published](t, h, "/api/answer", text{kfID, odd, "x"})
	s, err = events.ParseSubject(hashed.Subject)
	must(t, err)
	if cmd, err := events.CommandFromJSON(s, "", []byte(hashed.Body), time.Now()); err != nil || cmd.ExternalUserID != odd {
		t.Errorf("got %q, %v; want %q", cmd.ExternalUserID, err, odd)
	}
}

func TestAnswerWithoutBroker(t *testing.T) {
	b, server := testkit.Bus(t)
	c := newConsole(t)
	c.cfg.Bus = b
	server.Close()
	testkit.Eventually(t, "the lost connection", func() bool { return !b.NC.IsConnected() })
	r := httptest.NewRequest(http.MethodPost, "/api/answer", bytes.NewReader(oneLine(text{kfID, ann, canary})))
	r.Host = "localhost"
	r.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	c.Handler().ServeHTTP(rec, r)
	if rec.Code != http.StatusBadGateway {
		t.Errorf("got %d, want 502", rec.Code)
	}
	wantRefusal(t, rec, "was not stored")
}

func TestHandOver(t *testing.T) {
	w := newWorld(t)
	w.pipeline()
	h := w.console.Handler()
	who := action{OpenKfID: kfID, ExternalUserID: ann, ServicerUserID: "lisi"}
	ask[map[string]string](t, h, "/api/say", text{kfID, ann, "人工"})
	state := func(want int) {
		t.Helper()
		testkit.Eventually(t, "the state", func() bool {
			return ask[phoneView](t, h, "/api/phone?open_kfid="+kfID+"&external_userid="+ann, nil).Platform.State == want
		})
	}
	state(0)
	for _, c := range []struct {
		act  string
		want int
	}{{"hand_over", 2}, {"pick_up", 3}, {"end", 4}} {
		who.Act = c.act
		ask[map[string]string](t, h, "/api/act", who)
		state(c.want)
	}
}

// Run passes on what the bucket holds: what was there, what changes, what goes.
func TestConversationsAreFollowed(t *testing.T) {
	w := newWorld(t)
	l := listen(t, testkit.Context(t), w.page.URL, "")
	next := func(name string) sse {
		t.Helper()
		for {
			e, ok := l.next()
			if !ok {
				t.Fatalf("the feed ended before %s", name)
			}
			if e.name == name {
				return e
			}
		}
	}
	key := events.ConversationKey(corp, kfID, ann)
	c := w.conversation(ann)
	if got, want := next("conversation").data, `{"key":"`+key+`","value":`+string(oneLine(c))+`}`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	must(t, w.bus.Put(t.Context(), events.BucketConversations, "bad", []byte("x"), 0)) // is logged and left out
	kv, err := w.bus.JS.KeyValue(t.Context(), events.BucketConversations)
	must(t, err)
	must(t, kv.Delete(t.Context(), key))
	if got, want := next("conversation").data, `{"key":"`+key+`","value":null}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	_, err = w.sim.CustomerSays(kfID, ann, "x")
	must(t, err)
	if got, want := next("phone").data, `{"open_kfid":"`+kfID+`","external_userid":"`+ann+`"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	w.sim.Clock().Advance(time.Hour)
	next("clock")
}
