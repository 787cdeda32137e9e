package syncer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/localnats"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfcrypto"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

const (
	desk = "wkDESK"
	ann  = "wmANN"
)

// world is a simulated platform whose callbacks become doorbells, and a broker. Syncers are started into it.

type world struct {
	testing.TB
	ctx    func() context.Context // ends when the test has taken too long
	sim    *kfsim.Sim
	corp   kfsim.Corp
	client *kfapi.Client
	nats   *localnats.Server
	bus    *bus.Bus // the test's own connection
	tcp    bool     // connect over TCP, so that the broker can be restarted
	log    zerolog.Logger
	keeper *keeper
}

// quick is a topology whose lanes fail over after a second.

func quick(lanes int) bus.Topology {
	top := testkit.Small()
	top.CallbackLanes, top.AckWait = lanes, time.Second
	return top
}

func newWorld(t testing.TB, change ...func(*kfsim.Config)) *world {
	t.Helper()
	w := emptyWorld(t)
	_, err := w.bus.Apply(w.ctx(), quick(2))
	w.must(err)
	w.platform(change...)
	return w
}

func patience(t testing.TB) func() context.Context {
	ctx := testkit.Context(t)
	return func() context.Context { return ctx }
}

// emptyWorld has a broker without streams, and no platform yet.

func emptyWorld(t testing.TB) *world {
	t.Helper()
	w := &world{TB: t, ctx: patience(t), nats: testkit.NATS(t), log: zerolog.Nop()}
	w.bus = w.connect("test")
	return w
}

func (w *world) connect(name string) *bus.Bus {
	w.Helper()
	how := []nats.Option{w.nats.InProcess()}
	if w.tcp {
		how = nil
	}
	timeout := 2 * time.Second
	if name == "test" {
		timeout = testkit.Patience // what the test looks at is not to fail on a slow machine
	}
	b, err := bus.Connect(bus.Config{URL: w.nats.URL(), Timeout: timeout}, name, w.log, how...)
	w.must(err)
	w.Cleanup(b.NC.Close)
	return b
}

func (w *world) platform(change ...func(*kfsim.Config)) {
	w.Helper()
	cfg := kfsim.Config{Seed: 7, Transport: (*ringer)(w)}
	cfg.Personality.CoalesceCallbacks = true
	cfg.Personality.TokenlessPerMinute = 100_000
	for _, f := range change {
		f(&cfg)
	}
	sim, err := kfsim.New(cfg)
	w.must(err)
	w.sim = sim
	srv := httptest.NewServer(sim.Platform())
	w.Cleanup(func() { sim.Close(); srv.CloseClientConnections(); srv.Close() })
	w.corp, err = sim.AddCorp(kfsim.Corp{CorpID: "ww1", CallbackURL: "http://ingress.example/callback", CallbackFormat: kfsim.FormatJSON})
	w.must(err)
	w.account(desk)
	_, err = sim.AddCustomer(kfsim.Customer{ExternalUserID: ann})
	w.must(err)
	w.client, err = kfapi.New(kfapi.Config{BaseURL: srv.URL})
	w.must(err)
	w.keeper = &keeper{w: w}
	ctx, stop := context.WithCancel(context.WithoutCancel(w.ctx()))
	var wg sync.WaitGroup
	wg.Go(func() { _ = sim.Run(ctx) })
	w.Cleanup(func() { stop(); wg.Wait() })
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) account(id string) {
	w.Helper()
	_, err := w.sim.AddAccount(kfsim.Account{OpenKfID: id})
	w.must(err)
}

// says lets the customer write n times to an account.

func (w *world) says(account string, n int) {
	w.Helper()
	for i := range n {
		_, err := w.sim.CustomerSays(account, ann, fmt.Sprintf("第 %d 条 <&> \"🙂\"", i))
		w.must(err)
	}
}

// swallow loses all callbacks, or no longer does.

func (w *world) swallow(on bool) {
	w.Helper()
	w.must(w.sim.SetCallbacks(kfsim.CallbackSwitches{Drop: on}))
}

// ring publishes a doorbell as ingress does.

func (w *world) ring(d events.Doorbell) error {
	e, err := events.Own(fmt.Sprint("bell-", time.Now().UnixNano()), "/test", events.TypeCallback, d)
	if err != nil {
		return err
	}
	e.SetExtension(events.ExtTraceParent, testTrace)
	_, _, err = w.bus.Publish(w.ctx(), bus.Message{Subject: events.CallbackSubject(d.Corp, d.OpenKfID), Event: e})
	if errors.Is(err, bus.ErrCovered) {
		return nil
	}
	return err
}

// ringer stands for the ingress: it opens a callback and rings.

type ringer world

func (r *ringer) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	codec, err := kfcrypto.New(r.corp.CallbackToken, r.corp.EncodingAESKey, r.corp.CorpID)
	if err != nil {
		return nil, err
	}
	env, err := kfcrypto.ScanEnvelope(body)
	if err != nil {
		return nil, err
	}
	q := req.URL.Query()
	plain, _, err := codec.Open(q.Get("msg_signature"), q.Get("timestamp"), q.Get("nonce"), env.Encrypt)
	if err != nil {
		return nil, err
	}
	var c struct {
		CreateTime                                               int64
		Event, Token, OpenKfId, AuthAddOpenKfId, AuthDelOpenKfId string
	}
	if err := json.Unmarshal(plain, &c); err != nil {
		return nil, err
	}
	d := events.Doorbell{Corp: r.corp.CorpID, OpenKfID: c.OpenKfId, Event: c.Event, SyncToken: c.Token, CreateTime: c.CreateTime, ReceivedAt: time.Now()}
	for list, id := range map[*[]string]string{&d.AuthAdd: c.AuthAddOpenKfId, &d.AuthDel: c.AuthDelOpenKfId} {
		if id != "" {
			*list = []string{id}
		}
	}
	status := http.StatusOK
	if (*world)(r).ring(d) != nil {
		status = http.StatusServiceUnavailable
	}
	return &http.Response{StatusCode: status, Body: http.NoBody, Request: req}, nil
}

// keeper stands for the tokenkeeper: one token for all, renewed once when it is refused.

type keeper struct {
	w *world

	mu    sync.Mutex
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
	if k.token == than {
		got, err := k.w.client.GetToken(ctx, k.w.corp.CorpID, k.w.corp.Secrets[0])
		if err != nil {
			return "", err
		}
		k.token = got.AccessToken
		k.made++
	}
	return k.token, nil
}

// calls lets a test step between a syncer and the platform.

// replica is one running syncer with a connection of its own.

// prepare makes a syncer that is quick to try again. change may replace its API, its hooks, its configuration.

// stop stops in order.

// kill ends everything at once, as kill -9 does: nothing is said to the broker any more.

// counted returns the sum of a counter over all label values that contain all of these.

// row is one stored item.

// stored returns what of an account is in KF_MESSAGE, in the stream's order.

// wantAll checks that what is stored of an account is what the platform has: each item once, in order, byte for byte, with

// rising kfseq. It prints the counts.

// wait waits until an account's cursor counts all its items and no doorbell is left.

// dead returns the dead letters of a reason.

// ready waits for readiness, or for the reason why not.
