package sender

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
)

// blockLength is how long the platform shuts an API whose calls a minute were exceeded. Where it is an hour, the first call
// after each minute finds out.
//
// https://developer.work.weixin.qq.com/document/path/90312
const blockLength = time.Minute

// limits keep the number of requests to each API below the platform's. They are of this replica; the pause after 45009 is
// everybody's.
type limits struct {
	bus  *bus.Bus
	corp string
	log  zerolog.Logger
	now  func() time.Time
	apis map[string]*limit

	block time.Duration // blockLength; tests have less time
}

type limit struct {
	minute, hour *rate.Limiter

	mu    sync.Mutex
	until time.Time // shut until then; our clock
	own   time.Time // when we shut it ourselves
	asked time.Time // when the others' word was last read
}

// newLimits makes the limits of the commands' APIs and of more, named as in [events.BucketThrottle].
func newLimits(b *bus.Bus, corp string, cfg Config, log zerolog.Logger, now func() time.Time, more ...string) *limits {
	l := &limits{bus: b, corp: corp, log: log, now: now, apis: map[string]*limit{}, block: blockLength}
	for _, api := range append(apis(), more...) {
		if l.apis[api] != nil {
			continue // service_state/trans is a command's and a request's
		}
		burst := max(1, cfg.CallsPerMinute/20)
		l.apis[api] = &limit{
			minute: bucket(cfg.CallsPerMinute, burst, time.Minute),
			hour:   bucket(cfg.CallsPerHour, min(cfg.CallsPerMinute, cfg.CallsPerHour), time.Hour),
		}
	}
	return l
}

// bucket lets no more than most pass in any period d, and burst of them at once.
func bucket(most, burst int, d time.Duration) *rate.Limiter {
	perSecond := max(float64(most-burst), float64(most)/100) / d.Seconds() // burst may be all there is
	return rate.NewLimiter(rate.Limit(perSecond), burst)
}

// take returns 0 if j may make its request now, and else how long it must wait. A wait of no more than patience is paid
// for: after it the request may be made.
func (l *limits) take(j *job, now time.Time, patience time.Duration) time.Duration {
	a := l.apis[j.api]
	if j.paid {
		return max(a.paused(now), 0)
	}
	var pause time.Duration
	pause, j.paid = a.reserve(now, patience)
	return pause
}

// Take says how long a request to an API must wait. If that is no longer than patience it is paid for, unless the API is
// paused: then ask again after it. Ask again after a wait that was paid for, too: the API may be paused by then. The API is
// one that the limits were made for. Other replicas' word is read first, if it was not a moment ago: of APIs that nobody
// calls it is never read.
func (l *limits) Take(ctx context.Context, api string, patience time.Duration, paid bool) (wait time.Duration, nowPaid bool) {
	a := l.apis[api]
	if a.stale(l.now()) {
		if err := l.ask(ctx, api); err != nil {
			l.log.Debug().Err(err).Str("api", api).Msg("not known whether another replica was told to pause")
		}
	}
	if paid {
		return max(a.paused(l.now()), 0), true
	}
	return a.reserve(l.now(), patience)
}

func (a *limit) reserve(now time.Time, patience time.Duration) (wait time.Duration, paid bool) {
	if pause := a.paused(now); pause > 0 {
		return pause, false
	}
	m, h := a.minute.ReserveN(now, 1), a.hour.ReserveN(now, 1)
	wait = max(m.DelayFrom(now), h.DelayFrom(now))
	if wait > patience {
		m.CancelAt(now)
		h.CancelAt(now)
		return wait, false
	}
	return wait, true
}

func (a *limit) stale(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return now.Sub(a.asked).Abs() >= limitsEvery
}

func (a *limit) paused(now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.until.Sub(now)
}

// Shut stops an API for all replicas: the platform said 45009.
func (l *limits) Shut(ctx context.Context, api string) {
	a, now := l.apis[api], l.now()
	until := now.Add(l.block).UTC()
	a.mu.Lock()
	known := a.until.After(now)
	a.until, a.own = until, now
	a.mu.Unlock()
	if known { // of several requests under way each hears it
		return
	}
	l.log.Warn().Str("api", api).Time("until", until).Msg("the platform says 45009: paused for all replicas")
	value, err := json.Marshal(events.Pause{API: api, Until: until})
	if err == nil {
		err = l.bus.Put(ctx, events.BucketThrottle, events.ThrottleKey(l.corp, api), value, l.block)
	}
	if err != nil {
		l.log.Warn().Err(err).Str("api", api).Msg("other replicas were not told of the rate limit")
	}
}

// look reads what other replicas said of the commands' APIs.
func (l *limits) look(ctx context.Context) error {
	for _, api := range apis() {
		if err := l.ask(ctx, api); err != nil {
			return err
		}
	}
	return nil
}

// ask reads what other replicas said of an API. The key's presence decides, not a clock: the broker removes it.
func (l *limits) ask(ctx context.Context, api string) error {
	e, err := l.bus.Read(ctx, events.BucketThrottle, events.ThrottleKey(l.corp, api))
	if err == nil {
		l.apis[api].heard(e, l.now(), l.block)
	}
	return err
}

func (a *limit) heard(e bus.Entry, now time.Time, block time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = now
	if e.Value == nil {
		if now.Sub(a.own) > block { // our own word counts even if it could not be stored
			a.until = time.Time{}
		}
		return
	}
	var p events.Pause
	if json.Unmarshal(e.Value, &p) != nil || p.Until.Sub(now) > time.Hour {
		p.Until = now.Add(block)
	}
	if soonest := now.Add(2 * limitsEvery); p.Until.Before(soonest) { // it is still there
		p.Until = soonest
	}
	a.until = p.Until
}

// limitsEvery is how often the shared pauses are read.
const limitsEvery = time.Second
