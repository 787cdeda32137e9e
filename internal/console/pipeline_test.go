package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

const (
	corp = "ww0000000000000001"
	kfID = "wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw"
	ann  = "wmAJ2GCAAAME1XQRC-NI-q0_ZM9ukoAw"
	bo   = "wmAJ2GCAAAk7nB4Q0tUiAHiNCxnRz8eg"
)

// world is a console beside a real broker and a real simulator, served over HTTP.
type world struct {
	t        *testing.T
	sim      *kfsim.Sim
	bus      *bus.Bus
	console  *Console
	page     *httptest.Server
	platform string
	token    string

	pulling sync.Mutex
	cursor  string
	seq     uint64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	b, server := testkit.Bus(t)
	sim, err := kfsim.New(kfsim.Config{Seed: 1})
	must(t, err)
	t.Cleanup(sim.Close)
	w := &world{t: t, sim: sim, bus: b}
	w.furnish()
	ctx, cancel := context.WithCancel(t.Context())
	platform := httptest.NewServer(sim.Platform())
	t.Cleanup(platform.Close)
	w.platform = platform.URL
	w.console, err = New(Config{Sim: sim, Bus: b, Corp: corp, Log: zerolog.New(zerolog.NewTestWriter(t)),
		Accounts:  []kfsim.Account{{OpenKfID: kfID, Name: "订单客服"}},
		Customers: []kfsim.Customer{{ExternalUserID: ann, Nickname: "小安"}, {ExternalUserID: bo, Nickname: "小博"}},
		Info: Info{NATSURL: server.URL(), PlatformURL: platform.URL, ControlURL: "http://127.0.0.1:8091", Commands: []Command{
			{ZH: "订阅文本消息", EN: "Subscribe to text messages", Text: "nats sub 'kf.message.*.*.text.>'"},
			{ZH: "跟踪所有事件", EN: "Follow all events", Text: "kfbus tail"},
			{ZH: "回复客户", EN: "Answer the customer", Text: "kfbus send --corp {corp} {open_kfid} {external_userid} '您好'"},
		}}})
	must(t, err)
	w.page = httptest.NewServer(w.console.Handler())
	before := b.NC.NumSubscriptions()
	ran := make(chan error, 1)
	go func() { ran <- w.console.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("Run: got %v, want nil", err)
		}
		w.page.Close()
	})
	testkit.Eventually(t, "the console's subscription and its watch", func() bool { return b.NC.NumSubscriptions() >= before+2 })
	return w
}

func (w *world) furnish() {
	_, err := w.sim.AddCorp(kfsim.Corp{CorpID: corp, Secrets: []string{"secret-one"}})
	must(w.t, err)
	_, err = w.sim.AddAccount(kfsim.Account{OpenKfID: kfID, Name: "订单客服"})
	must(w.t, err)
	for _, id := range []string{ann, bo} {
		_, err = w.sim.AddCustomer(kfsim.Customer{ExternalUserID: id})
		must(w.t, err)
	}
	must(w.t, w.sim.AddServicer(kfsim.Servicer{OpenKfID: kfID, UserID: "lisi"}))
}

// pipeline is a tiny stand-in for the four services: callbacks become doorbells and
// pages, commands become API calls and outcomes.
func (w *world) pipeline() {
	w.t.Helper()
	ingress := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		trace := service.NewTrace().String()
		e, err := events.Own(fmt.Sprint("bell-", time.Now().UnixNano()), events.Source(corp, kfID), events.TypeCallback,
			events.Doorbell{Corp: corp, OpenKfID: kfID, Event: events.RingMessage})
		w.check(err)
		e.SetExtension(events.ExtTraceParent, trace)
		_, _, err = w.bus.Publish(w.t.Context(), bus.Message{Subject: events.CallbackSubject(corp, kfID), Event: e})
		if err != nil && !errors.Is(err, bus.ErrCovered) { // nobody takes the doorbells away
			w.check(err)
		}
		rw.WriteHeader(http.StatusOK)
		go w.pull(trace)
	}))
	w.t.Cleanup(ingress.Close)
	must(w.t, w.sim.SetCallback(kfsim.CallbackSettings{CallbackURL: ingress.URL + "/callback"}))
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(w.t.Context())
	go func() { done <- w.sim.Run(ctx) }()
	w.t.Cleanup(func() { cancel(); <-done })
	var token struct {
		AccessToken string `json:"access_token"`
	}
	w.api("gettoken?"+url.Values{"corpid": {corp}, "corpsecret": {"secret-one"}}.Encode(), nil, &token)
	w.token = token.AccessToken
	sub, err := w.bus.NC.Subscribe("kf.command.>", w.send)
	must(w.t, err)
	w.t.Cleanup(func() { w.check(sub.Unsubscribe()) })
	must(w.t, w.bus.NC.FlushTimeout(testkit.Patience))
}

// publish sends a command as another team does.
func (w *world) publish(verb, body string) {
	w.t.Helper()
	must(w.t, w.bus.NC.Publish(events.CommandSubject("orders", corp, kfID, verb, ann), []byte(body)))
}

// pull publishes one page. A busy machine has two callbacks under way.
func (w *world) pull(trace string) {
	w.pulling.Lock()
	defer w.pulling.Unlock()
	var page struct {
		Next  string            `json:"next_cursor"`
		Items []json.RawMessage `json:"msg_list"`
	}
	w.api("kf/sync_msg", map[string]any{"cursor": w.cursor, "open_kfid": kfID}, &page)
	w.cursor = page.Next
	for _, raw := range page.Items {
		var it struct {
			MsgID    string `json:"msgid"`
			MsgType  string `json:"msgtype"`
			User     string `json:"external_userid"`
			SendTime int64  `json:"send_time"`
			Event    struct {
				Type string `json:"event_type"`
				User string `json:"external_userid"`
			} `json:"event"`
		}
		w.check(json.Unmarshal(raw, &it))
		w.seq++
		in := events.Inbound{Corp: corp, OpenKfID: kfID, ExternalUserID: it.User + it.Event.User, MsgID: it.MsgID, MsgType: it.MsgType,
			EventType: it.Event.Type, SendTime: it.SendTime, Seq: w.seq, Raw: raw, TraceParent: trace}
		_, _, err := w.bus.Publish(w.t.Context(), bus.Message{Subject: in.Subject(), Event: in.Event()})
		w.check(err)
		w.conversation(in.ExternalUserID)
	}
}

// send carries a command out.
func (w *world) send(m *nats.Msg) {
	s, err := events.ParseSubject(m.Subject)
	w.check(err)
	cmd, err := events.CommandFromJSON(s, m.Header.Get(nats.MsgIdHdr), m.Data, time.Now())
	w.check(err)
	body := map[string]any{}
	w.check(json.Unmarshal(cmd.Body, &body))
	path := "kf/send_msg"
	body["open_kfid"] = cmd.OpenKfID
	body["touser"], body["msgid"] = cmd.ExternalUserID, "msg-"+strings.ReplaceAll(cmd.ID, "-", "_")
	if s.Name == events.VerbTransfer {
		path = "kf/service_state/trans"
		body = map[string]any{"open_kfid": cmd.OpenKfID, "external_userid": cmd.ExternalUserID, "service_state": body["service_state"]}
	}
	var answer struct {
		ErrCode int    `json:"errcode"`
		MsgID   string `json:"msgid"`
	}
	w.api(path, body, &answer)
	o := events.Outcome{CommandID: cmd.ID, Team: s.Team, Verb: s.Name, State: events.StateAccepted, MsgID: answer.MsgID, ErrCode: answer.ErrCode,
		OpenKfID: cmd.OpenKfID, ExternalUserID: cmd.ExternalUserID, At: time.Now()}
	if answer.ErrCode != 0 {
		o.State, o.Reason = events.StateRefused, "platform"
	}
	c := w.conversation(cmd.ExternalUserID)
	o.SendsLeft = &c.SendsLeft
	e, err := o.Event(corp, cmd.TraceParent)
	w.check(err)
	_, _, err = w.bus.Publish(w.t.Context(), bus.Message{Subject: events.OutcomeSubject(s, o.State), Event: e})
	w.check(err)
}

// conversation writes what the teams may know.
func (w *world) conversation(user string) events.Conversation {
	p, err := w.sim.Conversation(kfID, user)
	w.check(err)
	c := events.Conversation{Corp: corp, OpenKfID: kfID, ExternalUserID: user, SendsLeft: 5 - p.Sent, SessionState: p.State,
		Servicer: p.ServicerUserID, Generation: 1, UpdatedAt: time.Now()}
	if !p.WindowEnds.IsZero() {
		c.WindowEndsAt = &p.WindowEnds
	}
	w.check(w.bus.Put(w.t.Context(), events.BucketConversations, events.ConversationKey(corp, kfID, user), oneLine(c), 0))
	return c
}

// api calls the simulator as a service does.
func (w *world) api(path string, in, out any) {
	method, target := http.MethodGet, w.platform+"/cgi-bin/"+path
	if in != nil {
		method, target = http.MethodPost, target+"?access_token="+w.token
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, target, bytes.NewReader(oneLine(in)))
	w.check(err)
	resp, err := http.DefaultClient.Do(req)
	w.check(err)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	w.check(json.NewDecoder(resp.Body).Decode(out))
}

// check is for goroutines other than the test's; what fails because the test is over
// is no failure.
func (w *world) check(err error) {
	if err != nil && w.t.Context().Err() == nil {
		w.t.Error(err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
