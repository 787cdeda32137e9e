// Package media fetches the files of messages: it reads what the syncer has stored, downloads what a message only names,
// puts it into the object store, and says so in an event of its own.
//
// It stands beside the pulls and never in their way: it has consumers and workers of its own, and nothing waits for it. A
// message is acknowledged when its event is stored, or when a timer stands for the next try.
//
// One event a message, whatever dies: the event's id is made of the message's and is the broker's message id too, so that
// of two workers with the same message only one writes (the broker knows ids for a day, over restarts). Of messages that
// are nearly as old as that, or that were read back, the stream itself is asked first. The file is there before its event:
// its name appears by compare-and-set when all its bytes are stored, and who finds the name does not download again.
package media

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

// Platform is what is called of the Kf API.
type Platform interface {
	MediaGet(ctx context.Context, accessToken, mediaID string, rng kfapi.Range) (*kfapi.Media, error)
}

// Credential gives calls the corp's access token: a *tokens.Watcher. A refused token is reported, and the call made once
// more with the next one. Without any token it waits until ctx ends, and says tokens.ErrNone.
type Credential interface {
	Do(ctx context.Context, call func(ctx context.Context, accessToken string) error) error
}

// Gate is the pause of an API that all replicas share.
type Gate interface {
	// Until says until when an API is shut; the zero time if it is open.
	Until(ctx context.Context, api string) (time.Time, error)
	// Shut shuts it for all, and returns until when.
	Shut(ctx context.Context, api string) time.Time
}

// Deps is what a fetcher works with.
type Deps struct {
	Log     zerolog.Logger
	Metrics prometheus.Registerer
	Now     func() time.Time
	Corp    string   // the corpid whose messages it reads
	Bus     *bus.Bus // the caller closes it after Run
	API     Platform // nil only where no types are fetched
	Tokens  Credential
	Gate    Gate
}

// Fetcher is one replica. Make it with [New]; any number may run at once.
type Fetcher struct {
	cfg Config
	Deps
	metrics *metrics
	waits   waits
	hands   chan struct{} // a place for each file in hand

	publish func(ctx context.Context, m bus.Message) (seq uint64, repeat bool, err error) // bus.Publish; tests let it fail
}

// New checks and wires; it does no I/O and starts nothing.
func New(cfg Config, d Deps) (*Fetcher, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if len(cfg.Types) > 0 && d.API == nil {
		return nil, errors.New("media: no platform to fetch files from")
	}
	m, err := newMetrics(d.Metrics)
	if err != nil {
		return nil, fmt.Errorf("media: %w", err)
	}
	return &Fetcher{cfg: cfg, Deps: d, metrics: m, waits: defaultWaits(), hands: make(chan struct{}, cfg.Workers), publish: d.Bus.Publish}, nil
}

// drain is how long a stop waits for the files in hand; after it they are given up, and another replica begins them again.
const drain = 15 * time.Second

// Run fetches until ctx ends and then finishes what is in hand. Without types to fetch it does nothing. It waits for the
// streams, however long they take to come; an error means that it cannot go on, and it may be run again.
func (f *Fetcher) Run(ctx context.Context) error {
	if len(f.cfg.Types) == 0 {
		<-ctx.Done()
		return nil
	}
	said := ""
	err := f.Bus.WaitAsserted(ctx, bus.ServiceMedia, f.waits.restart, func(diffs []string, err error) {
		if err != nil {
			diffs = append(diffs, err.Error())
		}
		if now := strings.Join(diffs, "; "); now != said && now != "" && ctx.Err() == nil {
			said = now
			f.Log.Warn().Str("reason", now).Msg("files of messages are not fetched yet")
		}
	})
	if err != nil {
		return nil // ctx has ended
	}
	f.Log.Info().Strs("types", f.cfg.Types).Msg("fetching files of messages")
	g, ctx := errgroup.WithContext(ctx)
	for range f.cfg.Workers { // each holds one message, so that none waits behind a large file
		g.Go(func() error { return f.consume(ctx, events.StreamMessage, bus.DurableMedia, f.message) })
		g.Go(func() error { return f.consume(ctx, events.StreamTimer, bus.DurableDueMedia, f.due) })
	}
	return g.Wait()
}

func (f *Fetcher) consume(ctx context.Context, stream, durable string, h bus.Handler) error {
	return f.Bus.ConsumeDurable(ctx, stream, durable, bus.Consuming{Service: bus.ServiceSyncer, Drain: drain}, h)
}

// message works on one message of a customer or a servicer.
func (f *Fetcher) message(ctx context.Context, d *bus.Delivery) error {
	t, err := f.read(d.Stored)
	switch {
	case err != nil || !f.wanted(t):
		return err
	case f.Now().Sub(t.stored.Time) >= life: // nobody fetched files when it came: this is no news any more
		f.metrics.tries.WithLabelValues(t.msgType(), resultOld).Inc()
		return nil
	}
	return f.try(ctx, t)
}

// wanted reports whether the operator wants this file.
func (f *Fetcher) wanted(t task) bool {
	return slices.Contains(f.cfg.Types, t.msgType()) && (t.subject.Kind == events.KindMessage || f.cfg.History)
}

// try brings one task to its end, or puts it off.
func (f *Fetcher) try(ctx context.Context, t task) error {
	log := zerolog.Ctx(ctx).With().Str("event_id", t.event.ID()).Str("msgtype", t.msgType()).Logger()
	ctx = log.WithContext(ctx)
	if told, err := f.told(ctx, t); told || err != nil {
		return err
	}
	if t.file.MediaID == "" {
		return f.failed(ctx, t, events.MediaUnreadable, 0)
	}
	o, err := f.Bus.Object(ctx, events.BucketMedia, t.object)
	switch {
	case err == nil:
		return f.stored(ctx, t, o)
	case !errors.Is(err, bus.ErrNotFound):
		return err
	case f.Now().Sub(t.sent) >= life:
		return f.failed(ctx, t, events.MediaExpired, 0)
	}
	return f.fetch(ctx, t)
}

// jitter returns between half of d and d.
func jitter(d time.Duration) time.Duration {
	if d < 2 {
		return d
	}
	return d/2 + rand.N(d/2)
}
