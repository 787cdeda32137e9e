// Package ingress is the door that WeChat's callbacks come through. It accepts
// only what is true, and says success only of what is stored.
//
// A Kf callback becomes a doorbell; every other callback of the app becomes an
// event with its whole content. It calls no platform API and reads no stream.
package ingress

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/pkg/events"
)

// Name is the service's name on the bus.
const Name = "ingress"

// Ingress is one replica. Make it with New; several may run side by side.
type Ingress struct {
	Listener net.Listener // may be set before Run; nil is Config.Addr

	cfg     Config
	doors   map[string]*door // by path
	canary  string           // a corp of ours
	peers   *peers
	rang    recent
	bus     *bus.Bus
	publish func(context.Context, bus.Message) (uint64, bool, error)
	log     zerolog.Logger
	now     func() time.Time
	hands   sync.Pool // of *hand
	metrics metrics
	broker  *service.Probe // the topology is as it should be
	stored  *service.Probe // the last publish worked
}

type metrics struct {
	callbacks *prometheus.CounterVec
	refused   *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
}

// New wires an ingress for one corp, or for several apps and corps; it does no I/O and starts nothing. It fails only on
// settings that cannot be used.
func New(cfg Config, doors []Door, d service.Deps, b *bus.Bus) (*Ingress, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", service.ErrUsage, err)
	}
	trusted, err := cfg.proxies()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", service.ErrUsage, err)
	}
	in := &Ingress{cfg: cfg, peers: newPeers(trusted, cfg.RefusalsPerIP, d.Now), bus: b, log: d.Log, now: d.Now,
		broker: d.Health.Check("topology").FreshFor(3 * assertEvery), stored: d.Health.Check("publish"),
		metrics: metrics{
			callbacks: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kf_ingress_requests_total", Help: "Requests on the public port by result."}, []string{"result"}),
			refused:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kf_ingress_publish_refused_total", Help: "Callbacks answered 503, by the broker's reason."}, []string{"reason"}),
			seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "kf_ingress_request_seconds", Help: "Time until the answer.",
				Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}}, []string{"result"}),
		}}
	if in.doors, err = newDoors(doors, d.Log); err != nil {
		return nil, fmt.Errorf("%w: %w", service.ErrUsage, err)
	}
	in.canary = doors[0].CorpID
	in.hands.New = func() any { return &hand{nodes: make([]node, 0, 24)} }
	in.publish = b.Group(d.Now).Publish
	if cfg.GroupCommit == groupOff {
		in.publish = b.Publish
	}
	for _, c := range []prometheus.Collector{in.metrics.callbacks, in.metrics.refused, in.metrics.seconds} {
		if err := d.Metrics.Register(c); err != nil {
			return nil, err
		}
	}
	in.stored.OK() // nothing has failed yet
	return in, nil
}

const (
	assertEvery  = 10 * time.Second
	readHeader   = 2 * time.Second
	readRequest  = 4 * time.Second
	writeAnswer  = platformPatience
	idle         = time.Minute
	headerBytes  = 8 << 10
	shutdownTime = 10 * time.Second
)

// Run answers callbacks until ctx ends, then lets the requests in hand finish.
// While the streams are missing or the broker is away it answers 503, and
// readiness says why.
func (in *Ingress) Run(ctx context.Context) error {
	l := in.Listener
	if l == nil {
		var err error
		if l, err = (&net.ListenConfig{}).Listen(ctx, "tcp", in.cfg.Addr); err != nil {
			return fmt.Errorf("%w: KF_INGRESS_ADDR: %w", service.ErrUsage, err)
		}
	}
	srv := &http.Server{Handler: in, ReadHeaderTimeout: readHeader, ReadTimeout: readRequest, WriteTimeout: writeAnswer,
		IdleTimeout: idle, MaxHeaderBytes: headerBytes, ErrorLog: stdlog.New(serverLog{in.log}, "", 0),
		DisableGeneralOptionsHandler: true} // it would answer OPTIONS * with 200
	watching := make(chan struct{})
	watch, stop := context.WithCancel(ctx)
	go func() { defer close(watching); in.watch(watch) }()
	defer func() { stop(); <-watching }()
	in.log.Info().Str("addr", l.Addr().String()).Str("paths", in.paths()).Msg("waiting for callbacks")
	served := make(chan error, 1)
	go func() { served <- srv.Serve(bound(l, in.cfg.Connections, in.cfg.ConnectionsPerIP, in.peers.limited)) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve callbacks: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		return fmt.Errorf("finish the callbacks in hand: %w", err)
	}
	return nil
}

// serverLog logs what net/http has to say, which is about mistakes of ours and of the machine, as lines like all others.
type serverLog struct{ log zerolog.Logger }

func (l serverLog) Write(line []byte) (int, error) {
	l.log.Error().Str("said", strings.TrimSpace(string(line))).Msg("http server")
	return len(line), nil
}

// watch keeps the topology probe true to the broker.
func (in *Ingress) watch(ctx context.Context) {
	t := time.NewTicker(assertEvery)
	defer t.Stop()
	for {
		diffs, err := in.bus.Assert(ctx, Name)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			in.broker.Fail(bus.Reason(err))
		case len(diffs) > 0:
			in.broker.Fail(diffs[0])
		default:
			in.broker.OK()
			in.tryPublish(ctx)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// tryPublish asks the stream to store something that it must refuse: the refusal
// proves that a publish reaches it, and leaves nothing behind. Without it a
// replica that failed once, and so gets no callbacks, would stay unready.
func (in *Ingress) tryPublish(ctx context.Context) {
	e, err := events.Own("canary", events.Source(in.canary, ""), events.TypeCallback, events.Doorbell{Corp: in.canary})
	if err != nil {
		in.log.Error().Err(err).Msg("make a canary")
		return
	}
	never := uint64(math.MaxInt64)
	_, _, err = in.publish(ctx, bus.Message{Subject: events.CallbackSubject(in.canary, canaryAccount), Event: e, ExpectLast: &never})
	switch {
	case errors.Is(err, bus.ErrConflict):
		in.stored.OK()
	case ctx.Err() == nil:
		in.stored.Fail("a publish does not reach the stream: " + bus.Reason(err))
	}
}

// canaryAccount is no account: its doorbell is never stored.
const canaryAccount = "canary"
