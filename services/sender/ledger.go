package sender

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/services/sender/window"
)

// entry is a ledger as it was read.
type entry struct {
	window.Ledger
	revision uint64 // what a write of it must find
	fresh    bool   // made from the streams this moment, as there was none
}

// load reads the ledger of a conversation. One that is not there, or cannot be read, is made anew from the streams: nothing
// is refused for want of memory, and what was sent still counts. A read at R3 may be a moment old; then the write that
// follows is refused, and the caller loads again.
func (s *Sender) load(ctx context.Context, key string, who events.Subject) (entry, error) {
	e, err := s.bus.Read(ctx, events.BucketLedger, key)
	if err != nil {
		return entry{}, err
	}
	in := entry{revision: e.Revision}
	if e.Value != nil {
		if json.Unmarshal(e.Value, &in.Ledger) == nil { // the error would quote what a team named its command
			return in, nil
		}
		s.metrics.rebuilt.Inc()
		zerolog.Ctx(ctx).Error().Str("key", key).Uint64("revision", e.Revision).Msg("the ledger is not readable; made anew from the streams")
	}
	in.fresh = true
	if in.Ledger, err = s.rebuild(ctx, who); err != nil {
		return entry{}, fmt.Errorf("ledger %s: %w", key, err)
	}
	if e.Revision > 0 || len(in.Records) > 0 { // there was one, and it is lost
		in.MadeAt = window.At(s.clock(in.Ledger, true).Platform)
	}
	return in, nil
}

// store writes a ledger if its key has not changed since it was read, and returns the new revision. [bus.ErrConflict] means
// that somebody else was first, or may have been: load again. An answer that was lost is looked for.
func (s *Sender) store(ctx context.Context, key string, l window.Ledger, revision uint64) (uint64, error) {
	value, err := json.Marshal(l)
	if err != nil {
		return 0, fmt.Errorf("encode ledger %s: %w", key, err)
	}
	rev, err := s.bus.Swap(ctx, events.BucketLedger, key, value, revision, 0)
	if errors.Is(err, bus.ErrUnknown) && ctx.Err() == nil {
		return s.confirm(ctx, key, value)
	}
	if errors.Is(err, bus.ErrConflict) {
		s.metrics.conflicts.Inc()
	}
	return rev, err
}

// confirm finds out whether a write whose answer was lost is there.
func (s *Sender) confirm(ctx context.Context, key string, value []byte) (uint64, error) {
	e, err := s.bus.Read(ctx, events.BucketLedger, key)
	switch {
	case err != nil:
		return 0, err
	case bytes.Equal(e.Value, value):
		return e.Revision, nil
	}
	return 0, fmt.Errorf("write %s %s: %w", events.BucketLedger, key, bus.ErrConflict)
}

// change applies f to a ledger until the write succeeds, and returns what is stored. f is called again with what it finds
// after a conflict; when it reports no change, nothing is written, unless the ledger was made anew: then it may hold the
// change already, and is not stored yet.
func (s *Sender) change(ctx context.Context, key string, who events.Subject, f func(window.Ledger) (window.Ledger, bool)) (entry, bool, error) {
	for try := 0; ; try++ {
		in, err := s.load(ctx, key, who)
		if err != nil {
			return in, false, err
		}
		next, changed := f(in.Ledger)
		changed = changed || in.fresh && (next.CustomerAt != 0 || next.SessionAt != 0 || len(next.Records) > 0)
		if !changed {
			return in, false, nil
		}
		rev, err := s.store(ctx, key, next, in.revision)
		switch {
		case err == nil:
			return entry{Ledger: next, revision: rev}, true, nil
		case !errors.Is(err, bus.ErrConflict):
			return in, false, err
		}
		if err := s.yield(ctx, try); err != nil {
			return in, false, err
		}
	}
}

// yield lets the winner of a conflict go on.
func (s *Sender) yield(ctx context.Context, try int) error {
	return sleep(ctx, time.Duration(rand.Int64N(int64(min(1+try, 20)*int(2*time.Millisecond)))))
}

// sleep returns nil after d, or the error of ctx if that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
