package media

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/media"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

var (
	errShut = errors.New("the platform wants fewer calls of media/get: paused for all replicas")
	errNone = errors.New("no access token: is the tokenkeeper running?")
)

// fetch downloads the file and says so, or puts it off.
func (f *Fetcher) fetch(ctx context.Context, t task) error {
	o, until, err := f.download(ctx, t)
	switch {
	case ctx.Err() != nil:
		return context.Canceled // given up: another replica begins it again
	case !until.IsZero():
		return f.pause(until)
	}
	log := zerolog.Ctx(ctx)
	if code, ok := kfapi.Code(err); ok {
		t.past.ErrCode = code
	}
	switch a, reason := judge(err); a {
	case lane:
		return err
	case done:
		f.metrics.bytes.WithLabelValues(t.msgType()).Add(float64(o.Size))
		return f.stored(ctx, t, o)
	case giveUp:
		log.Info().Err(err).Str("reason", reason).Msg("a file is given up")
		return f.failed(ctx, t, reason, sizeOf(err))
	case wait:
		return bus.After(f.waits.token, errNone)
	case shut:
		until := f.Gate.Shut(ctx, apiGet)
		if kfapi.RateLimited(err) {
			return f.pause(until)
		}
		return f.putOff(ctx, t, err, until) // it may be this very file that is asked for too often
	}
	return f.putOff(ctx, t, err, time.Time{})
}

// download fetches one file when it is its turn; or says until when the API is shut.
func (f *Fetcher) download(ctx context.Context, t task) (o bus.Object, until time.Time, err error) {
	select {
	case f.hands <- struct{}{}:
		defer func() { <-f.hands }()
	case <-ctx.Done():
		return o, until, ctx.Err()
	}
	if until, err = f.Gate.Until(ctx, apiGet); err != nil {
		return o, until, &gateError{err}
	}
	if !until.IsZero() {
		return o, until, nil
	}
	began := f.Now()
	o, err = media.Store(ctx, f.Bus, t.object, f.open(t), media.Limits{Max: f.cfg.max(t.msgType()), Binary: t.msgType() != "file", Stall: f.waits.stall})
	f.metrics.seconds.Observe(f.Now().Sub(began).Seconds())
	return o, until, err
}

// pause keeps the message: while the API is shut, no other could be fetched either.
func (f *Fetcher) pause(until time.Time) error {
	return bus.After(max(until.Sub(f.Now()), 0)+jitter(f.waits.spread), errShut)
}

// open makes the requests of a task with the access token. Where there is none it does not wait for long.
func (f *Fetcher) open(t task) media.Open {
	return func(ctx context.Context, rng kfapi.Range) (m *kfapi.Media, err error) {
		look, cancel := context.WithCancel(ctx)
		none := time.AfterFunc(f.waits.token, cancel)
		err = f.Tokens.Do(look, func(_ context.Context, accessToken string) error {
			none.Stop() // there is one: from now on the call's own limits count
			m, err = f.API.MediaGet(ctx, accessToken, t.file.MediaID, rng)
			return err
		})
		none.Stop()
		cancel() // the body has ctx
		return m, err
	}
}

func sizeOf(err error) int64 {
	var large *media.TooLargeError
	if !errors.As(err, &large) {
		return 0
	}
	return max(large.Size, 0)
}

// timer is what a timer keeps of a task.
type timer struct {
	Seq uint64 `json:"seq"` // of the message, in KF_MESSAGE
	ID  string `json:"id"`  // of its event
	past
}

// putOff arms a timer for the next try, not before earliest: the message need not be kept for it. The last try is when the
// platform's time is over.
func (f *Fetcher) putOff(ctx context.Context, t task, why error, earliest time.Time) error {
	t.past.Tries++
	now := f.Now()
	at := now.Add(jitter(f.waits.backoff(t.past.Tries)))
	if at.Before(earliest) {
		at = earliest.Add(jitter(f.waits.spread))
	}
	if end := t.sent.Add(life); at.After(end) {
		at = end
	}
	body, err := json.Marshal(timer{t.stored.Seq, t.event.ID(), t.past})
	if err != nil {
		return err
	}
	if err := f.Bus.Arm(ctx, bus.ServiceMedia, strconv.FormatUint(t.stored.Seq, 10), at, body); err != nil {
		return err
	}
	f.metrics.tries.WithLabelValues(t.msgType(), resultLater).Inc()
	zerolog.Ctx(ctx).Warn().Err(why).Int("tries", t.past.Tries).Dur("after", at.Sub(now)).Msg("a file is tried again later")
	return nil
}

// due tries a file again whose time has come.
func (f *Fetcher) due(ctx context.Context, d *bus.Delivery) error {
	var tm timer
	if json.Unmarshal(d.Data, &tm) != nil {
		return bus.Drop(reasonMalformed, errors.New("timer: the data is not what it should be"))
	}
	s, err := f.Bus.Next(ctx, events.StreamMessage, tm.Seq, ">")
	if errors.Is(err, bus.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if s.Seq != tm.Seq { // it is gone
		return nil
	}
	t, err := f.read(s)
	if err != nil || t.event.ID() != tm.ID { // the timer is of another stream of that name
		return err
	}
	t.past = tm.past
	return f.try(ctx, t)
}
