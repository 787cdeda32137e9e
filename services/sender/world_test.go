package sender

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/localnats"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
	"github.com/kfbus/kfbus/services/sender/api"
	"github.com/kfbus/kfbus/services/sender/window"
)

const (
	corp   = "ww0000000000000001"
	desk   = "wkDESK"
	ann    = "wmANN"
	team   = "shop"
	canary = "CANARY-customer-text" // must never be logged
)

// world is a broker, a simulated platform and any number of senders.
type world struct {
	testing.TB
	srv   *localnats.Server
	bus   *bus.Bus
	sim   *kfsim.Sim
	http  *httptest.Server
	token string
	ahead atomic.Int64 // the senders' clocks, before ours
	logs  logs

	mu       sync.Mutex
	outcomes []outcome
	pumped   int
}

// outcome is one message of KF_OUTCOME.
type outcome struct {
	events.Outcome
	subject, trace, eventID string
}

type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type option func(*bus.Topology, *kfsim.Config)

// ackWait makes crashes cheap to wait for.
func ackWait(d time.Duration) option {
	return func(t *bus.Topology, _ *kfsim.Config) { t.AckWait = d }
}

func personality(p kfsim.Personality) option {
	return func(_ *bus.Topology, c *kfsim.Config) { c.Personality = p }
}

func lanes(n int) option {
	return func(t *bus.Topology, _ *kfsim.Config) { t.CommandLanes, t.ReplyLanes = n, min(n, t.ReplyLanes) }
}

func newWorld(t testing.TB, opts ...option) *world {
	t.Helper()
	return newWorldOn(t, testkit.NATS(t), opts...)
}

func newWorldOn(t testing.TB, srv *localnats.Server, opts ...option) *world {
	t.Helper()
	topology, cfg := testkit.Small(), kfsim.Config{Seed: 1}
	for _, o := range opts {
		o(&topology, &cfg)
	}
	w := &world{TB: t, srv: srv}
	w.bus = testkit.Connect(t, w.srv, "test")
	_, err := w.bus.Apply(testkit.Context(t), topology)
	w.must(err)
	w.sim, err = kfsim.New(cfg)
	w.must(err)
	t.Cleanup(w.sim.Close)
	w.http = httptest.NewServer(w.sim.Platform())
	t.Cleanup(w.http.Close)
	_, err = w.sim.AddCorp(kfsim.Corp{CorpID: corp, Secrets: []string{"secret"}, AgentID: "1"})
	w.must(err)
	_, err = w.sim.AddAccount(kfsim.Account{OpenKfID: desk, Name: "desk"})
	w.must(err)
	w.customer(ann)
	w.newToken()
	w.follow()
	t.Cleanup(func() {
		if text := w.logs.String(); strings.Contains(text, canary) || strings.Contains(text, w.token) {
			t.Error("a log line holds a customer's text or the access token")
		}
		if t.Failed() && testing.Verbose() {
			t.Log(w.logs.String())
		}
	})
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) ctx() context.Context { w.Helper(); return testkit.Context(w) }

func (w *world) newToken() {
	w.Helper()
	resp, err := http.Get(w.http.URL + "/cgi-bin/gettoken?" + url.Values{"corpid": {corp}, "corpsecret": {"secret"}}.Encode())
	w.must(err)
	defer resp.Body.Close()
	var got struct {
		AccessToken string `json:"access_token"`
	}
	w.must(json.NewDecoder(resp.Body).Decode(&got))
	w.token = got.AccessToken
}

// Do is the credential of every sender.
func (w *world) Do(ctx context.Context, call func(ctx context.Context, accessToken string) error) error {
	return call(ctx, w.token)
}

func (w *world) customer(id string) {
	w.Helper()
	_, err := w.sim.AddCustomer(kfsim.Customer{ExternalUserID: id})
	w.must(err)
}

// says lets a customer write, and the message arrive on the bus.
func (w *world) says(user string) {
	w.Helper()
	_, err := w.sim.CustomerSays(desk, user, canary)
	w.must(err)
	w.pump()
}

// wrote is says, at an earlier time.
func (w *world) wrote(user string, ago time.Duration) {
	w.Helper()
	w.sim.Clock().Advance(-ago)
	w.says(user)
	w.sim.Clock().Advance(ago)
	w.newToken()
}

// pass lets time pass for everybody but the broker.
func (w *world) pass(d time.Duration) {
	w.sim.Clock().Advance(d)
	w.ahead.Add(int64(d))
}

// pump puts on the bus what the platform has for sync_msg, as the syncer does.
func (w *world) pump() {
	w.Helper()
	items := w.sim.Items(desk)
	for _, it := range items[w.pumped:] {
		w.publish(it.Raw)
	}
	w.pumped = len(items)
}

func (w *world) publish(raw []byte) {
	w.Helper()
	it := kfapi.ParseItem(raw)
	w.must(it.Err)
	in := events.Inbound{Corp: corp, OpenKfID: it.OpenKfID, ExternalUserID: it.ExternalUserID, MsgID: it.MsgID, MsgType: it.MsgType,
		EventType: it.EventType, SendTime: it.SendTime, Origin: it.Origin, Raw: raw}
	_, _, err := w.bus.Publish(w.ctx(), bus.Message{Subject: in.Subject(), Event: in.Event()})
	w.must(err)
}

// replica is one sender with a connection of its own.
type replica struct {
	*Sender
	w    *world
	stop context.CancelFunc
	done chan struct{}
	dead chan struct{} // closed when it was killed
	free chan struct{} // closed when the killed one may end
	reg  *prometheus.Registry
	skew atomic.Int64 // of its own clock, a time.Duration

	health *service.Health
}

func testConfig() Config {
	return Config{PostTimeout: 4 * time.Second, Tries: 4, LaneWait: 5 * time.Second, DueWorkers: 2, InboxWorkers: 2,
		CallsPerMinute: 9500, CallsPerHour: 145000, MsgidIdempotent: true, WindowEvents: true, DupMsgidCodes: []int{40058},
		API: api.Config{Timeout: 10 * time.Second, MediaTimeout: 30 * time.Second, InHand: 32, MediaInHand: 8}}
}

// make wires a sender that does not run yet.
func (w *world) make(change ...func(*Config)) *replica {
	w.Helper()
	cfg := testConfig()
	for _, f := range change {
		f(&cfg)
	}
	r := &replica{w: w, done: make(chan struct{}), dead: make(chan struct{}), free: make(chan struct{}), reg: prometheus.NewRegistry()}
	now := func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load() + r.skew.Load())) }
	api, err := kfapi.New(kfapi.Config{BaseURL: w.http.URL, Now: now})
	w.must(err)
	log := zerolog.New(&w.logs).Level(zerolog.InfoLevel)
	b, err := bus.Connect(bus.Config{URL: w.srv.URL()}, "sender", log, w.srv.InProcess())
	w.must(err)
	w.Cleanup(b.NC.Close)
	r.health = service.NewHealth(now)
	r.Sender, err = New(cfg, Deps{Deps: service.Deps{Log: log, Metrics: r.reg, Health: r.health, Now: now},
		Corp: corp, Bus: b, API: api, Tokens: w})
	w.must(err)
	r.rules.Grace = r.rules.Fence + cfg.PostTimeout + time.Second // tests have less time
	return r
}

func (r *replica) run() *replica {
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go func() { defer close(r.done); _ = r.Run(ctx) }()
	r.w.Cleanup(func() {
		cancel()
		select {
		case <-r.free:
		default:
			close(r.free)
		}
		<-r.done
	})
	return r
}

func (w *world) start(change ...func(*Config)) *replica { w.Helper(); return w.make(change...).run() }

// killAt makes the sender die at its nth pass of a step: its connection is cut and it does nothing any more.
func (r *replica) killAt(step string, nth int64) *replica {
	var passes atomic.Int64
	r.step = func(name string) {
		if name == step && passes.Add(1) == nth {
			r.kill()
		}
		select {
		case <-r.dead:
			<-r.free
		default:
		}
	}
	return r
}

func (r *replica) kill() {
	r.bus.NC.Close()
	close(r.dead)
}

// died waits until it was killed.
func (r *replica) died() {
	r.w.Helper()
	select {
	case <-r.dead:
		r.stop()
	case <-r.w.ctx().Done():
		r.w.Fatal("the sender did not get to where it should die")
	}
}

// halt stops a replica in order.
func (r *replica) halt() {
	r.stop()
	<-r.done
}

// follow collects outcomes.
func (w *world) follow() {
	w.Helper()
	c, err := w.bus.JS.OrderedConsumer(w.ctx(), events.StreamOutcome, jetstream.OrderedConsumerConfig{})
	w.must(err)
	cc, err := c.Consume(func(m jetstream.Msg) {
		o := outcome{subject: m.Subject()}
		if e, err := bus.Decode(m.Headers(), m.Data()); err == nil {
			o.eventID, o.trace = e.ID(), fmt.Sprint(e.Extensions()[events.ExtTraceParent])
			_ = json.Unmarshal(e.Data(), &o.Outcome)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.outcomes = append(w.outcomes, o)
	})
	w.must(err)
	w.Cleanup(cc.Stop)
}

// of returns all outcomes of a command so far.
func (w *world) of(id string) []outcome {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []outcome
	for _, o := range w.outcomes {
		if o.CommandID == id {
			list = append(list, o)
		}
	}
	return list
}

// await returns the first outcome of a command.
func (w *world) await(id string) outcome {
	w.Helper()
	testkit.Eventually(w, "the outcome of "+id, func() bool { return len(w.of(id)) > 0 })
	return w.of(id)[0]
}

// want checks the first outcome of a command, "state" or "state/reason".
func (w *world) want(id, state string) outcome {
	w.Helper()
	o := w.await(id)
	got := o.State
	if strings.Contains(state, "/") {
		got += "/" + o.Reason
	}
	if got != state {
		w.Errorf("outcome of %s: got %s (reason %q, errcode %d, %s), want %s", id, got, o.Reason, o.ErrCode, o.Detail, state)
	}
	return o
}

type obj = map[string]any

func text() obj { return obj{"msgtype": "text", "text": obj{"content": canary}} }

func with(o obj, more obj) obj {
	o = maps.Clone(o)
	maps.Copy(o, more)
	return o
}

// command publishes a bare command.
func (w *world) command(verb, user, id string, body any) {
	w.Helper()
	data, err := json.Marshal(body)
	w.must(err)
	h := nats.Header{}
	if id != "" {
		h["Nats-Msg-Id"] = []string{id}
	}
	w.raw(events.CommandSubject(team, corp, desk, verb, user), h, data)
}

func (w *world) raw(subject string, h nats.Header, data []byte) {
	w.Helper()
	_, err := w.bus.JS.PublishMsg(w.ctx(), &nats.Msg{Subject: subject, Header: h, Data: data})
	w.must(err)
}

func (w *world) send(user, id string) { w.Helper(); w.command(events.VerbSend, user, id, text()) }

// noted waits until every customer message and event has been seen to.
func (w *world) noted() {
	w.Helper()
	testkit.Eventually(w, "the inbox to be read", func() bool {
		return w.read(events.StreamMessage, bus.DurableInbox, "kf.message.>") && w.read(events.StreamMessage, bus.DurableInbox, "kf.event.>")
	})
}

// read reports whether a durable has acknowledged the last message on a subject.
func (w *world) read(stream, durable, subject string) bool {
	last, err := w.bus.Last(w.ctx(), stream, subject)
	if err != nil {
		return errors.Is(err, bus.ErrNotFound)
	}
	c, err := w.bus.JS.Consumer(w.ctx(), stream, durable)
	return err == nil && c.CachedInfo().AckFloor.Stream >= last.Seq
}

// quiet waits until nothing is left to do: no command, no timer, nothing unread.
func (w *world) quiet() {
	w.Helper()
	testkit.Eventually(w, "all commands to be done", func() bool {
		return w.count(events.StreamCommand, ">") == 0 && w.count(events.StreamTimer, "kf.timer.sender.>") == 0 &&
			w.read(events.StreamTimer, bus.DurableDueSender, "kf.due.sender.>")
	})
	w.noted()
}

func (w *world) count(stream, subject string) int {
	s, err := w.bus.JS.Stream(w.ctx(), stream)
	if err != nil {
		return -1
	}
	info, err := s.Info(w.ctx(), jetstream.WithSubjectFilter(subject))
	if err != nil {
		return -1
	}
	n := 0
	for _, c := range info.State.Subjects {
		n += int(c)
	}
	return n
}

// audit holds the outcomes against the platform's journal: exactly one terminal outcome for each of these commands, at most
// one correction, and none that lies.
func (w *world) audit(ids ...string) map[string]int {
	w.Helper()
	w.quiet()
	copies := map[string]int{}
	for _, a := range w.sim.Accepted() {
		copies[a.MsgID]++
	}
	testkit.Eventually(w, "the last outcomes to arrive", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.outcomes) == w.count(events.StreamOutcome, ">")
	})
	tally := map[string]int{}
	for _, id := range ids {
		var terminal, corrections []outcome
		for _, o := range w.of(id) {
			if o.Corrects == "" {
				terminal = append(terminal, o)
			} else {
				corrections = append(corrections, o)
			}
		}
		if len(terminal) != 1 || len(corrections) > 1 {
			w.Errorf("command %s has %d terminal outcomes and %d corrections, want 1 and at most 1", id, len(terminal), len(corrections))
			continue
		}
		o, n := terminal[0], copies[msgID(terminal[0].ExternalUserID, id)]
		tally[o.State]++
		switch {
		case n > 1:
			w.Errorf("command %s: the platform accepted %d copies", id, n)
		case (o.Verb == events.VerbSend || o.Verb == events.VerbReply) && o.State == events.StateAccepted && n != 1,
			slices.Contains([]string{events.StateRefused, events.StateFailed, events.StateExpired, events.StateCancelled}, o.State) && n != 0:
			w.Errorf("command %s: the outcome is %s/%s, and the platform accepted %d copies", id, o.State, o.Reason, n)
		}
	}
	for window, n := range w.sim.AcceptedPerWindow() {
		if n > 5 {
			w.Errorf("window %s: %d accepted", window, n)
		}
	}
	return tally
}

// posts is how often an API was called.
func (w *world) posts(api string) int { return w.sim.Calls("kf/" + api) }

// view is what the teams are told of a conversation, once it says what the ledger says: it follows the outcome.
func (w *world) view(user string) (c events.Conversation) {
	w.Helper()
	testkit.Eventually(w, "the view to follow the ledger", func() bool {
		e, err := w.bus.Read(w.ctx(), events.BucketConversations, events.ConversationKey(corp, desk, user))
		w.must(err)
		if c = (events.Conversation{}); e.Value != nil {
			w.must(json.Unmarshal(e.Value, &c))
		}
		l, _ := w.ledger(user)
		return c.SessionState == l.SessionState() && c.Generation == l.Generation &&
			(c.SendsLeft == max(0, window.Quota-l.Used()) || c.SendsLeft == 0)
	})
	return c
}

func (w *world) ledger(user string) (l window.Ledger, revision uint64) {
	w.Helper()
	e, err := w.bus.Read(w.ctx(), events.BucketLedger, events.ConversationKey(corp, desk, user))
	w.must(err)
	if e.Value != nil {
		w.must(json.Unmarshal(e.Value, &l))
	}
	return l, e.Revision
}

// deadLetters returns the dead letters of the sender.
func (w *world) deadLetters() (list []events.Dead) {
	w.Helper()
	for seq := uint64(1); ; {
		m, err := w.bus.Next(w.ctx(), events.StreamDead, seq, "kf.dead.sender.>")
		if err != nil {
			return list
		}
		e, err := m.Event()
		w.must(err)
		var d events.Dead
		w.must(json.Unmarshal(e.Data(), &d))
		list = append(list, d)
		seq = m.Seq + 1
	}
}

func testLog(t testing.TB) zerolog.Logger { return zerolog.New(zerolog.NewTestWriter(t)) }

func ids(prefix string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%s-%d", prefix, i)
	}
	return list
}

// msgID is the msgid of a command of the test's team for a customer.
func msgID(user, id string) string {
	return window.MsgID(events.ConversationKey(corp, desk, user), team, id)
}
