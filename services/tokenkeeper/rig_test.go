package tokenkeeper

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/localnats"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/internal/tokens"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// rig is a broker, a platform behind HTTP, and any number of tokenkeepers in real time.
type rig struct {
	t      testing.TB
	server *localnats.Server
	bus    *bus.Bus // the test's own
	sim    *kfsim.Sim
	url    string
	logs   lockedBuffer

	sealing tokens.Sealing
}

func newRig(t testing.TB, p kfsim.Personality) *rig {
	t.Helper()
	r := &rig{t: t, sim: newSim(t, p), sealing: unsealed}
	r.url = newRigWeb(t, r.sim)
	r.bus, r.server = testkit.Bus(t)
	return r
}

// newRigWeb serves the platform and returns its URL.
func newRigWeb(t testing.TB, sim *kfsim.Sim) string {
	t.Helper()
	web := httptest.NewServer(sim.Platform())
	t.Cleanup(web.Close)
	return web.URL
}

var unsealed = tokens.Sealing{Seal: tokens.SealPlain}

// process is one running tokenkeeper with a connection of its own.
type process struct {
	*Tokenkeeper
	bus    *bus.Bus
	health *service.Health
	reg    *prometheus.Registry
	end    context.CancelFunc
	ended  chan error
}

// theOne is the credential of most tests.
func theOne() Credential { return Single{"kf", service.NewSecret(secret)}.Of(corpID) }

func (r *rig) start() *process {
	r.t.Helper()
	return r.startWith([]Credential{theOne()})
}

func (r *rig) startWith(credentials []Credential) *process {
	r.t.Helper()
	api, err := kfapi.New(kfapi.Config{BaseURL: r.url, OfficialBaseURL: r.url})
	if err != nil {
		r.t.Fatal(err)
	}
	p := &process{health: service.NewHealth(time.Now), reg: prometheus.NewRegistry(), ended: make(chan error, 1)}
	log := zerolog.New(&r.logs).With().Timestamp().Logger()
	if p.bus, err = bus.Connect(bus.Config{URL: r.server.URL(), Timeout: 2 * time.Second}, "tokenkeeper", log); err != nil {
		r.t.Fatal(err)
	}
	d := service.Deps{Log: log, Metrics: p.reg, Health: p.health, Now: time.Now}
	if p.Tokenkeeper, err = New(Config{MinDistance: distance}, r.sealing, credentials, p.bus, api, d); err != nil {
		r.t.Fatal(err)
	}
	p.pause = 100 * time.Millisecond
	for _, k := range p.keepers { // not to wait long
		k.poll, k.lease.life = 100*time.Millisecond, 2*time.Second
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.end = cancel
	go func() { p.ended <- p.Run(ctx) }()
	r.t.Cleanup(func() { p.stop(r.t) })
	return p
}

// stop ends the process in order; it may be called again.
func (p *process) stop(t testing.TB) {
	t.Helper()
	p.end()
	if err := <-p.ended; err != nil && !errors.Is(err, bus.ErrDisconnected) {
		t.Errorf("run: %v", err)
	}
	p.ended <- nil
	p.bus.NC.Close()
}

// kill cuts the process off from the broker at this instant and ends it without waiting.
func (p *process) kill() {
	p.bus.NC.Close()
	p.end()
}

// metric is the value of a metric, or of the one with this result.
func (p *process) metric(t testing.TB, name, result string) float64 {
	t.Helper()
	families, err := p.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := fmt.Sprint(m.GetLabel())
			if result == "" || strings.Contains(labels, `value:"`+result+`"`) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("there is no metric %s %s", name, result)
	return 0
}

// ready waits until the process says that it is.
func (r *rig) ready(p *process) {
	r.t.Helper()
	testkit.Eventually(r.t, "readiness", p.health.Ready)
}

func (r *rig) entry() (tokens.Value, bus.Entry) {
	r.t.Helper()
	e, err := r.bus.Read(testkit.Context(r.t), events.BucketTokens, events.TokenKey(corpID, "kf"))
	if err != nil {
		r.t.Fatal(err)
	}
	v, _ := tokens.Plain(corpID, "kf").Decode(e.Value)
	return v, e
}

// watcher is a running caller.
func (r *rig) watcher() *tokens.Watcher {
	w := tokens.New(r.bus, tokens.Plain(corpID, "kf"), zerolog.Nop(), time.Now)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.Run(ctx)
	}()
	r.t.Cleanup(func() { cancel(); <-done })
	return w
}

// call is the cheapest call that needs an access token.
func call(api *kfapi.Client) func(context.Context, string) error {
	return func(ctx context.Context, token string) error {
		return api.Do(ctx, token, http.MethodGet, "/cgi-bin/getcallbackip", nil, nil)
	}
}
