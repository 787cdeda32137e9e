// Package syncer turns doorbells into messages: it pulls what an account has with kf/sync_msg and stores each page with
// the cursor after it as one atomic batch in KF_MESSAGE. The cursor comes first in the batch and is written only if the
// one before it is still the last, so a page is stored once, in order, whatever dies and however many syncers run.
//
// A doorbell says only that there may be something. It is acknowledged when a pull that began after it came has been
// stored, or when a timer stands for it. Accounts that nobody rings for are swept.
//
// It knows nothing of what messages mean, sends nothing, and never makes a stream.
package syncer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/services/syncer/media"
)

// Deps is what a syncer works with, besides what every service gets.
type Deps struct {
	service.Deps
	Corp   string         // the corpid whose accounts it pulls
	Bus    *bus.Bus       // its connection; the caller closes it after Run
	API    platform       // a *kfapi.Client
	Media  media.Platform // the same; not needed where no files are fetched
	Tokens credential     // a *tokens.Watcher, of an app that may read the accounts; the caller runs it
}

// Syncer pulls the accounts of one corp. Any number of them may run at once.
type Syncer struct {
	cfg       Config
	corp      string
	log       zerolog.Logger
	now       func() time.Time
	bus       *bus.Bus
	api       platform
	tokens    credential
	accounts  *accounts
	media     *media.Fetcher
	metrics   *metrics
	probes    probes
	waits     waits
	readbacks readbacks
	pauses    pauses

	publish func(ctx context.Context, batch []bus.Message) (last uint64, err error) // bus.PublishBatch; tests let it fail
}

type probes struct {
	topology *service.Probe // the streams are as they must be
	bus      *service.Probe // the broker answers
	stream   *service.Probe // it takes pages
	platform *service.Probe // WeChat answers, and takes our access token
}

// busFresh is how old a sign of life of the broker may be.
const busFresh = 10 * time.Second

// New checks and wires; it does no I/O and starts nothing.
func New(cfg Config, d Deps) (*Syncer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if d.Corp == "" {
		return nil, errors.New("syncer: no corp id given")
	}
	m, err := newMetrics(d.Metrics)
	if err != nil {
		return nil, fmt.Errorf("syncer: %w", err)
	}
	s := &Syncer{
		cfg: cfg, corp: d.Corp, log: d.Log, now: d.Now, bus: d.Bus, api: d.API, tokens: d.Tokens,
		accounts: newAccounts(cfg, d.Now()), metrics: m, waits: defaultWaits(), publish: d.Bus.PublishBatch,
		readbacks: readbacks{all: map[string]*readback{}},
		probes: probes{
			topology: d.Health.Check("topology"), bus: d.Health.Check("bus").FreshFor(busFresh),
			stream: d.Health.Check("stream"), platform: d.Health.Check("platform"),
		},
	}
	if s.media, err = media.New(cfg.Media, media.Deps{Log: d.Log, Metrics: d.Metrics, Now: d.Now, Corp: d.Corp, Bus: d.Bus,
		API: d.Media, Tokens: d.Tokens, Gate: gate{s}}); err != nil {
		return nil, fmt.Errorf("syncer: %w", err)
	}
	return s, nil
}

// drain is how long a stop waits for the page in hand; after it the page is given up, and another replica pulls it again.
const drain = 15 * time.Second

// Run pulls until ctx ends and then finishes the page in hand. It waits for the streams, however long they take to come,
// and starts again whatever fails; its error is always nil.
func (s *Syncer) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	s.keep(ctx, g, "heartbeat", s.heartbeat)
	s.keep(ctx, g, "media", s.media.Run) // waits for streams of its own
	g.Go(func() error {
		_ = s.bus.WaitAsserted(ctx, bus.ServiceSyncer, s.waits.restart, s.asserted) // it fails only when ctx ends
		select {
		case <-ctx.Done():
			return nil
		default:
		}
		s.probes.stream.OK()
		s.log.Info().Str("corp", s.corp).Msg("pulling")
		s.keep(ctx, g, "topology", s.watch)
		s.keep(ctx, g, "pauses", s.hearPauses)
		s.keep(ctx, g, "doorbells", func(ctx context.Context) error {
			return s.bus.ConsumeDoorbells(ctx, bus.Consuming{Service: bus.ServiceSyncer, Drain: drain},
				func(work context.Context, d *bus.Delivery) error { return s.answer(work, ctx.Done(), d) })
		})
		s.keep(ctx, g, "timers", func(ctx context.Context) error {
			return s.bus.ConsumeDurable(ctx, events.StreamTimer, bus.DurableDueSyncer,
				bus.Consuming{Service: bus.ServiceSyncer, Prefetch: 16, Drain: drain}, s.due)
		})
		s.keep(ctx, g, "accounts", s.finder)
		s.keep(ctx, g, "sweep", s.sweeper)
		s.keep(ctx, g, "lag", s.lagWatch)
		return nil
	})
	return g.Wait()
}

// keep runs one part until ctx ends, and again after a pause when it fails.
func (s *Syncer) keep(ctx context.Context, g *errgroup.Group, name string, part func(context.Context) error) {
	g.Go(func() error {
		for {
			if err := part(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn().Err(err).Str("part", name).Msg("failed; starting it again")
			}
			if !sleep(ctx, s.waits.restart) {
				return nil
			}
		}
	})
}

// watch compares the topology with what is relied on, again and again.
func (s *Syncer) watch(ctx context.Context) error {
	for sleep(ctx, s.waits.check) {
		s.asserted(s.bus.Assert(ctx, bus.ServiceSyncer))
	}
	return nil
}

func (s *Syncer) asserted(diffs []string, err error) {
	switch {
	case err != nil:
		s.probes.topology.Fail(err.Error())
	case len(diffs) > 0:
		s.probes.topology.Fail(strings.Join(diffs, "; "))
	default:
		s.probes.topology.OK()
	}
}

// heartbeat asks the leader of KF_MESSAGE for something that is not there.
func (s *Syncer) heartbeat(ctx context.Context) error {
	for {
		_, err := s.bus.Last(ctx, events.StreamMessage, events.CursorSubject(s.corp, ""))
		if err == nil || errors.Is(err, bus.ErrNotFound) {
			s.probes.bus.OK()
		} else if ctx.Err() == nil {
			s.probes.bus.Fail(err.Error())
		}
		if !sleep(ctx, s.waits.beat) {
			return nil
		}
	}
}
