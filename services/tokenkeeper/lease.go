package tokenkeeper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
)

// leaseLife is how long a leader that died is waited for. A key's life is whole seconds.
const leaseLife = 8 * time.Second

// lease is the right to be the one keeper that refreshes a credential: a key that vanishes unless its holder renews it.
// It saves calls; nothing goes wrong when two believe that they hold it.
type lease struct {
	store store
	key   string
	id    string // of this keeper
	life  time.Duration

	held     bool
	revision uint64
	renewAt  instant
}

// keep takes a lease that is free and renews an own one at half of its life. While the store cannot be asked, what was
// known before stays true: the last leader goes on without the bus.
func (l *lease) keep(ctx context.Context, now instant) error {
	if l.held && now < l.renewAt {
		return nil
	}
	e, err := l.store.Read(ctx, events.BucketTokens, l.key)
	if err != nil {
		return fmt.Errorf("lease: %w", err)
	}
	if len(e.Value) > 0 && string(e.Value) != l.id {
		l.held = false
		return nil
	}
	revision, err := l.store.Swap(ctx, events.BucketTokens, l.key, []byte(l.id), e.Revision, l.life)
	switch {
	case errors.Is(err, bus.ErrConflict):
		l.held = false
		return nil
	case err != nil:
		return fmt.Errorf("lease: %w", err)
	}
	l.held, l.revision, l.renewAt = true, revision, now+l.life/2
	return nil
}

// release lets another keeper take over at once: an empty value is a free lease.
func (l *lease) release(ctx context.Context) error {
	if !l.held {
		return nil
	}
	l.held = false
	if _, err := l.store.Swap(ctx, events.BucketTokens, l.key, nil, l.revision, time.Second); err != nil {
		return fmt.Errorf("release lease: %w", err)
	}
	return nil
}
