package media

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/localnats"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/internal/tokens"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

const (
	corp = "ww1"
	desk = "wkDESK"
	ann  = "wmANN"
)

var (
	jpeg = []byte("\xff\xd8\xff\xe0\x00\x10JFIF a picture")
	amr  = []byte("#!AMR\n\x3c\x91\x17\x16")
	silk = []byte("\x02#!SILK_V3\x0c\x00\xa8\x05")
	mp4  = []byte("\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom a film")
)

// rig is a broker, a simulated platform, and any number of fetchers.
type rig struct {
	testing.TB
	ctx    func() context.Context // ends when the test has taken too long
	nats   *localnats.Server
	bus    *bus.Bus // the test's own connection
	tcp    bool     // connect over TCP, so that the broker can be restarted
	sim    *kfsim.Sim
	corp   kfsim.Corp
	client *kfapi.Client
	keeper *keeper
	gate   *gate
	clock  *clock
	logs   *buffer
	seq    uint64
}

// clock is what the fetchers take for the time.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return time.Now().Add(c.ahead) }
func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// buffer collects log lines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *buffer) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }
func (l *buffer) String() string              { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

// gate is a pause that the fetchers of one rig share.
type gate struct {
	mu    sync.Mutex
	shut  time.Time
	times int
	err   error
}

const pause = 500 * time.Millisecond

func (g *gate) Until(context.Context, string) (time.Time, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Now().After(g.shut) {
		return time.Time{}, g.err
	}
	return g.shut, g.err
}

func (g *gate) Shut(context.Context, string) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = time.Now().Add(pause)
	g.times++
	return g.shut
}

// keeper stands for the token watcher: one token for all, renewed once when it is refused.
type keeper struct {
	r     *rig
	mu    sync.Mutex
	none  bool
	token string
	made  int
}

func (k *keeper) Do(ctx context.Context, call func(context.Context, string) error) error {
	token, err := k.newer(ctx, "")
	if err != nil {
		return err
	}
	if err = call(ctx, token); !kfapi.TokenRejected(err) {
		return err
	}
	if token, err = k.newer(ctx, token); err != nil {
		return err
	}
	return call(ctx, token)
}

func (k *keeper) newer(ctx context.Context, than string) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.none {
		<-ctx.Done()
		return "", fmt.Errorf("%w: %w", tokens.ErrNone, ctx.Err())
	}
	if k.token == than {
		got, err := k.r.client.GetToken(ctx, corp, k.r.corp.Secrets[0])
		if err != nil {
			return "", err
		}
		k.token = got.AccessToken
		k.made++
	}
	return k.token, nil
}

// quick is a topology whose consumers fail over after a second.
func quick() bus.Topology {
	top := testkit.Small()
	top.AckWait = time.Second
	return top
}

func emptyRig(t testing.TB) *rig {
	t.Helper()
	ctx := testkit.Context(t)
	r := &rig{TB: t, ctx: func() context.Context { return ctx }, gate: &gate{}, clock: &clock{}, logs: &buffer{}}
	var err error
	r.sim, err = kfsim.New(kfsim.Config{Seed: 1})
	r.must(err)
	srv := httptest.NewServer(r.sim.Platform())
	t.Cleanup(func() { r.sim.Close(); srv.CloseClientConnections(); srv.Close() })
	r.corp, err = r.sim.AddCorp(kfsim.Corp{CorpID: corp})
	r.must(err)
	_, err = r.sim.AddAccount(kfsim.Account{OpenKfID: desk})
	r.must(err)
	_, err = r.sim.AddCustomer(kfsim.Customer{ExternalUserID: ann})
	r.must(err)
	r.client, err = kfapi.New(kfapi.Config{BaseURL: srv.URL})
	r.must(err)
	r.keeper = &keeper{r: r}
	return r
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := emptyRig(t)
	r.nats = testkit.NATS(t)
	r.bus = r.connect()
	_, err := r.bus.Apply(r.ctx(), quick())
	r.must(err)
	return r
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) connect() *bus.Bus {
	r.Helper()
	how := []nats.Option{r.nats.InProcess()}
	if r.tcp {
		how = nil
	}
	b, err := bus.Connect(bus.Config{URL: r.nats.URL(), Timeout: 2 * time.Second}, "test", zerolog.New(r.logs), how...)
	r.must(err)
	r.Cleanup(b.NC.Close)
	return b
}

func (r *rig) fault(f kfsim.Fault) string {
	r.Helper()
	f.Path = "media/get"
	id, err := r.sim.AddFault(f)
	r.must(err)
	return id
}

// replica is one running fetcher with a connection of its own.
type replica struct {
	*Fetcher
	reg  *prometheus.Registry
	bus  *bus.Bus
	end  context.CancelFunc
	done chan struct{}
}

func (r *rig) prepare(change ...func(*Config)) *replica {
	r.Helper()
	cfg := Config{Types: events.MediaTypes(), Workers: 2}
	for _, f := range change {
		f(&cfg)
	}
	x := &replica{reg: prometheus.NewRegistry(), bus: r.connect(), done: make(chan struct{})}
	var err error
	x.Fetcher, err = New(cfg, Deps{Log: zerolog.New(r.logs), Metrics: x.reg, Now: r.clock.now, Corp: corp, Bus: x.bus, API: r.client, Tokens: r.keeper, Gate: r.gate})
	r.must(err)
	x.waits = waits{first: 50 * time.Millisecond, most: 200 * time.Millisecond, token: 200 * time.Millisecond, spread: 20 * time.Millisecond,
		stall: testkit.Patience, restart: 20 * time.Millisecond}
	return x
}

// run does what the syncer does: it runs a fetcher again when it cannot go on.
func (r *rig) run(x *replica) *replica {
	ctx, end := context.WithCancel(context.WithoutCancel(r.ctx()))
	x.end = end
	go func() {
		defer close(x.done)
		for ctx.Err() == nil {
			_ = x.Run(ctx)
		}
	}()
	r.Cleanup(func() { end(); x.bus.NC.Close(); <-x.done })
	return x
}

// impatient lets a fetcher give a connection up soon, as tests of those that hang need it.
func (r *rig) impatient() *replica {
	x := r.prepare()
	x.waits.stall = 300 * time.Millisecond
	return r.run(x)
}

func (r *rig) start(change ...func(*Config)) *replica { return r.run(r.prepare(change...)) }

// kill ends everything at once, as kill -9 does: nothing is said to the broker any more.
func (x *replica) kill() { x.bus.NC.Close(); x.end() }

func (r *rig) counted(x *replica, name, msgType, result string) int {
	r.Helper()
	families, err := x.reg.Gather()
	r.must(err)
	sum := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var have []string
			for _, l := range m.GetLabel() {
				have = append(have, l.GetValue())
			}
			if f.GetName() == name && (msgType == "" || slices.Contains(have, msgType)) && (result == "" || slices.Contains(have, result)) {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return int(sum)
}

// say lets the customer send a file and stores its message as the syncer does. It returns the media_id.
func (r *rig) say(msgType, name string, data []byte, change ...func(*events.Inbound)) string {
	r.Helper()
	id, err := r.sim.AddMedia(kfsim.Media{Type: msgType, FileName: name, Data: data})
	r.must(err)
	r.refer(msgType, `{"media_id":"`+id+`"}`, change...)
	return id
}

// refer stores a message with a body; what refers to no file of the platform's too.
func (r *rig) refer(msgType, body string, change ...func(*events.Inbound)) {
	r.Helper()
	_, err := r.sim.Say(kfsim.Say{OpenKfID: desk, ExternalUserID: ann, MsgType: msgType, Body: json.RawMessage(body)})
	r.must(err)
	items := r.sim.Items(desk)
	r.store(items[len(items)-1].Raw, change...)
}

func (r *rig) store(raw []byte, change ...func(*events.Inbound)) {
	r.Helper()
	it := kfapi.ParseItem(raw)
	r.seq++
	in := events.Inbound{Corp: corp, OpenKfID: desk, ExternalUserID: it.ExternalUserID, MsgID: it.MsgID, MsgType: it.MsgType, SendTime: it.SendTime,
		Origin: it.Origin, Seq: r.seq, Raw: it.Raw, TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	for _, f := range change {
		f(&in)
	}
	_, _, err := r.bus.Publish(r.ctx(), bus.Message{Subject: in.Subject(), Event: in.Event()})
	r.must(err)
}

// told is one event of ours.
type told struct {
	subject string
	event   event.Event
	stored  events.MediaStored
	failed  events.MediaFailed
}

func (r *rig) told() []told {
	r.Helper()
	var out []told
	for from := uint64(1); ; {
		s, err := r.bus.Next(r.ctx(), events.StreamMessage, from, ">")
		if errors.Is(err, bus.ErrNotFound) {
			return out
		}
		if err != nil { // the broker is away
			return nil
		}
		from = s.Seq + 1
		subject, err := s.Published()
		r.must(err)
		x := told{subject: s.Subject}
		x.event, err = s.Event()
		r.must(err)
		switch subject.Name {
		case events.EventMediaStored:
			r.must(x.event.DataAs(&x.stored))
		case events.EventMediaFailed:
			r.must(x.event.DataAs(&x.failed))
		default:
			continue
		}
		out = append(out, x)
	}
}

// settled waits until each of n messages has its event and nothing is left to do, and returns them. There must be no
// second event for one of them.
func (r *rig) settled(n int) []told {
	r.Helper()
	testkit.Eventually(r, fmt.Sprintf("%d events", n), func() bool { return len(r.told()) >= n })
	r.idle()
	all := r.told()
	ids := map[string]bool{}
	for _, x := range all {
		ids[x.event.Source()+x.event.ID()] = true
	}
	if len(all) != n || len(ids) != n {
		r.Errorf("%d events of %d messages, want %d", len(all), len(ids), n)
	}
	return all
}

// idle waits until every message has been acknowledged.
func (r *rig) idle() {
	r.Helper()
	testkit.Eventually(r, "nothing left to do", func() bool {
		for durable, stream := range map[string]string{bus.DurableMedia: events.StreamMessage, bus.DurableDueMedia: events.StreamTimer} {
			c, err := r.bus.JS.Consumer(r.ctx(), stream, durable)
			if err != nil || c.CachedInfo().NumAckPending > 0 || c.CachedInfo().NumPending > 0 {
				return false
			}
		}
		return true
	})
}

// wantFile reads the object of an event as any client does, and holds it to the bytes.
func (r *rig) wantFile(x told, want []byte) {
	r.Helper()
	store, err := r.bus.JS.ObjectStore(r.ctx(), x.stored.Bucket)
	r.must(err)
	got, err := store.GetBytes(r.ctx(), x.stored.Object)
	if err != nil || !bytes.Equal(got, want) || x.stored.Size != uint64(len(want)) {
		r.Errorf("%s: %d bytes, %v, the event says %d; want %d", x.subject, len(got), err, x.stored.Size, len(want))
	}
}

// objects counts the names and the pieces in the store.
func (r *rig) objects() (names, pieces int) {
	r.Helper()
	s, err := r.bus.JS.Stream(r.ctx(), "OBJ_"+events.BucketMedia)
	r.must(err)
	info, err := s.Info(r.ctx(), jetstream.WithSubjectFilter("$O."+events.BucketMedia+".>"))
	r.must(err)
	for subject, n := range info.State.Subjects {
		if bytes.Contains([]byte(subject), []byte(".M.")) {
			names += int(n)
		} else {
			pieces += int(n)
		}
	}
	return names, pieces
}
