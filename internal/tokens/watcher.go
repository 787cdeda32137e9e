package tokens

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
)

const (
	// Patience is how long a caller whose token was refused waits for a newer one. The tokenkeeper has one within 2 s.
	Patience = 5 * time.Second

	reread      = 2 * time.Second       // the bucket is read this often, told of a change or not
	readSoon    = 50 * time.Millisecond // after a change: what tells of it may be faster than what stores it
	soonReads   = 5
	reportEvery = 3 * time.Second // the same token is reported again no sooner
)

// ErrNone means that there was no access token when the caller's time was over.
var ErrNone = errors.New("there is no usable access token; is the tokenkeeper running, and its secret right?")

// Watcher keeps the newest access token of one credential. Make it with [New], and run it. It is a collector of its own
// metric, kf_access_tokens_ignored_total. Safe for concurrent use.
type Watcher struct {
	form    Form
	bus     *bus.Bus
	key     string
	log     zerolog.Logger
	now     func() time.Time
	publish func(events.Suspect) error
	ignored *prometheus.CounterVec

	mu      sync.Mutex
	value   *Value        // nil: none yet
	changed chan struct{} // closed when value changes
	doubt   doubt
	broken  uint64 // revision of the entry that could not be read, so that it is logged once
}

// doubt is what is known against a token.
type doubt struct {
	hash     string
	since    time.Time // the first refusal
	reported time.Time // the last report that went out
}

// New returns a watcher of the credential that form is of. It does no I/O.
func New(b *bus.Bus, form Form, log zerolog.Logger, now func() time.Time) *Watcher {
	w := &Watcher{
		form: form, bus: b, key: form.Key(),
		log: log.With().Str("corp", form.corp).Str("credential", form.credential).Logger(), now: now,
		changed: make(chan struct{}),
		ignored: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kf_access_tokens_ignored_total",
			Help: "Entries of the bucket kf_tokens that were not taken, by why: forged and, where sealed ones are expected, plain are an attack or a wrong key."}, []string{"reason"}),
	}
	for _, r := range reasons() {
		w.ignored.WithLabelValues(r)
	}
	w.publish = w.publishSuspect
	return w
}

// Describe and Collect are of [prometheus.Collector].
func (w *Watcher) Describe(ch chan<- *prometheus.Desc) { w.ignored.Describe(ch) }
func (w *Watcher) Collect(ch chan<- prometheus.Metric) { w.ignored.Collect(ch) }

// Run follows the bucket until ctx ends, and then returns nil. What it cannot read it tries again.
//
// It hears of changes as they are published, and reads what is stored. A consumer would bring both, but to make one needs a
// right that lets its owner have the server write where he may not.
func (w *Watcher) Run(ctx context.Context) error {
	told := make(chan struct{}, 1)
	stop, err := w.bus.OnWrite(events.BucketTokens, w.key, func() {
		select {
		case told <- struct{}{}:
		default:
		}
	})
	if err != nil { // then it is read each 2 s
		w.log.Debug().Err(err).Msg("not told of changes of the access token")
		stop = func() {}
	}
	defer stop()
	next := time.NewTimer(reread)
	defer next.Stop()
	for soon := 0; ; soon = max(soon-1, 0) {
		w.read(ctx)
		pause := reread
		if soon > 0 {
			pause = readSoon
		}
		next.Reset(pause)
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
		case <-told:
			soon = soonReads
		}
	}
}

// read asks the bucket. An entry that is gone changes nothing: the copy stays.
func (w *Watcher) read(ctx context.Context) {
	e, err := w.bus.Read(ctx, events.BucketTokens, w.key)
	if err != nil {
		if ctx.Err() == nil {
			w.log.Debug().Err(err).Msg("access token not read; the one in hand stays in use")
		}
		return
	}
	if e.Value != nil {
		w.take(e.Value, e.Revision)
	}
}

// take keeps what was read if it is newer than what is in hand.
func (w *Watcher) take(raw []byte, revision uint64) {
	v, err := w.form.Decode(raw)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.ignore(err, revision)
		return
	}
	old := w.value
	if old != nil && v.Generation <= old.Generation {
		if v.Generation == old.Generation && v.Hash == old.Hash {
			w.value = &v // it may live longer than was said
		}
		return
	}
	w.value = &v
	close(w.changed)
	w.changed = make(chan struct{})
	w.log.Debug().Uint64("generation", v.Generation).Str("sha256", v.Hash).Time("expires", v.Expires).Msg("new access token")
}

// ignore tells, once an entry, that it is not taken. mu must be held.
func (w *Watcher) ignore(err error, revision uint64) {
	if w.broken == revision {
		return
	}
	w.broken = revision
	w.ignored.WithLabelValues(Reason(err)).Inc()
	e := w.log.Warn()
	if w.form.Sealed() { // somebody else than the tokenkeeper wrote it, or a key is wrong: a person must act
		e = w.log.Error()
	}
	e.Err(err).Str("reason", Reason(err)).Uint64("revision", revision).Msg("the access token in the bucket is ignored")
}

// Current returns the newest token without waiting; ok is false before the first.
func (w *Watcher) Current() (v Value, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.value == nil {
		return Value{}, false
	}
	return *w.value, true
}

// AccessToken returns the newest token. It waits while there is none, and, for at most [Patience] after the first refusal
// of a token, for a newer one, so that a token that is known to be bad is not used again and again. The error is an
// [ErrNone] that wraps the error of ctx.
func (w *Watcher) AccessToken(ctx context.Context) (Value, error) {
	for {
		v, doubted, changed := w.look()
		var over <-chan time.Time
		if v != nil {
			if doubted == 0 {
				return *v, nil
			}
			over = time.After(doubted)
		}
		select {
		case <-ctx.Done():
			return Value{}, fmt.Errorf("access token of %s: %w: %w", w.key, ErrNone, ctx.Err())
		case <-changed:
		case <-over:
		}
	}
}

// newer waits, at most [Patience], for a token of a later generation.
func (w *Watcher) newer(ctx context.Context, than uint64) (v Value, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	for {
		v, _, changed := w.look()
		if v != nil && v.Generation > than {
			return *v, true
		}
		select {
		case <-ctx.Done():
			return Value{}, false
		case <-changed:
		}
	}
}

// look returns the token in hand, nil before the first; for how long it is not to be used, because it was refused a moment
// ago; and what is closed when there is another. A token is held back once only: where the platform refuses some calls and
// not others, callers must not be held up again and again.
func (w *Watcher) look() (v *Value, doubted time.Duration, changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.value != nil && w.doubt.hash == w.value.Hash {
		if age := w.now().Sub(w.doubt.since); age >= 0 && age < Patience {
			doubted = Patience - age
		}
	}
	return w.value, doubted, w.changed
}
