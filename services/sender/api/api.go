// Package api answers requests for the platform's calls over NATS micro: every call that is no command, for programs in any
// language.
//
// A request is one JSON object with the call's own fields; the reply is the platform's JSON, byte for byte. Files go through
// the object store. Requests are core NATS, at most once: nothing is stored, nothing repeated, and whoever lost a reply asks
// the platform what became of it.
//
// It shares the sender's access token and rate limits, and decides nothing about conversations.
package api

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

const (
	// ServiceName is how `nats micro ls` and $SRV.INFO know it.
	ServiceName = "kf-api"
	version     = "1.0.0"          // of the contract, not of the program
	queue       = "kf-api"         // replicas share the requests
	drain       = 15 * time.Second // how long a stop waits for the requests in hand
	connectWait = 5 * time.Second
)

// Config is the part of the environment that is about requests. Its zero value is not usable; envconfig fills in the defaults.
type Config struct {
	Timeout      time.Duration `default:"10s" desc:"one request/reply call, its wait for a turn included; the caller may ask for less with the header Kf-Timeout"`
	MediaTimeout time.Duration `split_words:"true" default:"90s" desc:"the same for calls that carry a file"`
	InHand       int           `split_words:"true" default:"32" desc:"request/reply calls in hand at the same time; one more is refused at once"`
	MediaInHand  int           `split_words:"true" default:"8" desc:"the same for calls that carry a file"`
}

// Validate reports what is out of bounds, all at once.
func (c Config) Validate() error {
	var errs []error
	for _, d := range []struct {
		name string
		d    time.Duration
	}{{"TIMEOUT", c.Timeout}, {"MEDIA_TIMEOUT", c.MediaTimeout}} {
		if d.d < 100*time.Millisecond || d.d > 10*time.Minute {
			errs = append(errs, fmt.Errorf("KF_SENDER_API_%s is %v and must be 100ms to 10m", d.name, d.d))
		}
	}
	for _, n := range []struct {
		name string
		n    int
	}{{"IN_HAND", c.InHand}, {"MEDIA_IN_HAND", c.MediaInHand}} {
		if n.n < 1 || n.n > 1024 {
			errs = append(errs, fmt.Errorf("KF_SENDER_API_%s is %d and must be 1 to 1024", n.name, n.n))
		}
	}
	return errors.Join(errs...)
}

// Credential gives calls the corp's access token: a *tokens.Watcher. A refused token is reported, and the call made once more
// with the next one. Without any token it waits until ctx ends, and says tokens.ErrNone.
type Credential interface {
	Do(ctx context.Context, call func(ctx context.Context, accessToken string) error) error
}

// Limits keep the requests to each API below the platform's limits, commands' included.
type Limits interface {
	// Take says how long a request to an API must wait. If that is no longer than patience it is paid for, unless the API is
	// paused. One that is paid for already waits for pauses only.
	Take(ctx context.Context, api string, patience time.Duration, paid bool) (wait time.Duration, nowPaid bool)
	// Shut stops an API for all replicas: the platform said 45009.
	Shut(ctx context.Context, api string)
}

// Deps is what requests are answered with.
type Deps struct {
	Log     zerolog.Logger
	Metrics prometheus.Registerer
	Corp    string        // the corpid, which is in every subject
	Bus     *bus.Bus      // the caller closes it after Run
	API     *kfapi.Client // the platform
	Tokens  Credential
	Limits  Limits
	Probe   *service.Probe // whether requests are taken
	// Moved is told of each transition that the platform accepted: no event will tell.
	Moved func(ctx context.Context, r kfapi.ServiceStateTransRequest)
}

// Service is one replica. Make it with [New].
type Service struct {
	cfg Config
	Deps
	endpoints []*endpoint
	metrics   *metrics
}

// New checks and wires; it does no I/O and starts nothing.
func New(cfg Config, d Deps) (*Service, error) {
	m, err := newMetrics(d.Metrics)
	if err != nil {
		return nil, err
	}
	s := &Service{cfg: cfg, Deps: d, metrics: m}
	s.endpoints = s.calls()
	return s, nil
}

// Run answers requests until ctx ends, and then finishes those in hand. An error means that it could not begin, or that the
// connection was closed; it may be run again.
func (s *Service) Run(ctx context.Context) error {
	work, abandon := context.WithCancel(context.WithoutCancel(ctx)) // outlives ctx: a request in hand is finished
	defer abandon()
	quick, files := make(places, s.cfg.InHand), make(places, s.cfg.MediaInHand)
	handle := func(e *endpoint) func(request) {
		room := quick
		if e.media {
			room = files
		}
		return func(r request) { s.admit(work, room, e, r) }
	}
	closed := make(chan struct{})
	stop, err := s.serve(handle, sync.OnceFunc(func() { close(closed) }))
	if err != nil {
		s.Probe.Fail(err.Error())
		return err
	}
	s.Probe.OK()
	s.Log.Info().Int("calls", len(s.endpoints)).Msg("answering requests")
	select {
	case <-ctx.Done():
	case <-closed:
		err = errors.New("answer requests: the connection was closed")
	}
	s.Probe.Fail("no requests are taken any more")
	stop()
	late := time.AfterFunc(drain, abandon)
	defer late.Stop()
	quick.fill() // in hand no more; what comes now is refused
	files.fill()
	return err
}

// serve subscribes to everything; stop takes no new requests, and returns when all that had come are handed out.
func (s *Service) serve(handle func(*endpoint) func(request), closed func()) (stop func(), err error) {
	nc := s.Bus.NC
	svc, err := micro.AddService(nc, micro.Config{Name: ServiceName, Version: version, QueueGroup: queue,
		Description: "calls of WeChat Customer Service; see docs/contract.md", Metadata: map[string]string{"corp": s.Corp},
		StatsHandler: s.stats, DoneHandler: func(micro.Service) { closed() }})
	if err != nil {
		return nil, fmt.Errorf("answer requests: %w", err)
	}
	var subs []*nats.Subscription
	stop = func() {
		for _, sub := range subs {
			_ = sub.Drain() // fails only where the connection is closed
		}
		_ = svc.Stop()
		_ = nc.FlushTimeout(connectWait) // what was sent to us before the server heard of it is here now
	}
	for _, e := range s.endpoints {
		h := handle(e)
		err = errors.Join(err, svc.AddEndpoint(e.name(), micro.HandlerFunc(func(r micro.Request) {
			h(request{data: r.Data(), header: nats.Header(r.Headers()), replyTo: r.Reply()})
		}), micro.WithEndpointSubject(e.subject(s.Corp)), micro.WithEndpointMetadata(e.metadata())))
	}
	for path, why := range refused() {
		sub, subErr := nc.QueueSubscribe(subjectOf(s.Corp, path), queue, func(m *nats.Msg) {
			s.respond(request{replyTo: m.Reply}, notHere(why))
		})
		subs, err = append(subs, sub), errors.Join(err, subErr)
	}
	if err == nil {
		err = nc.FlushTimeout(connectWait)
	}
	if err != nil {
		stop()
		return nil, fmt.Errorf("answer requests: %w", err)
	}
	return stop, nil
}

// places are how many requests may be in hand at once.
type places chan struct{}

func (p places) take() bool {
	select {
	case p <- struct{}{}:
		return true
	default:
		return false
	}
}

func (p places) leave() { <-p }

// fill returns when nobody is in hand any more, and nobody can be.
func (p places) fill() {
	for range cap(p) {
		p <- struct{}{}
	}
}
