package tokenkeeper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/tokens"
	"github.com/kfbus/kfbus/pkg/events"
)

// verdict is what to do about the entry of the bucket.
type verdict int

const (
	leave   verdict = iota // it is what we hold, or nobody holds anything
	adopt                  // another keeper was faster
	publish                // it is missing, broken or older than what we hold
)

// judge compares the entry with what is held; nil is none or unreadable. A held token that is not published yet has the
// generation after the one it was fetched to replace, so an entry of that generation is another keeper's, which wins.
// unpublished says that what is held was changed here and not stored since.
func judge(held, entry *tokens.Value, unpublished bool) verdict {
	switch {
	case held == nil && entry == nil:
		return leave
	case held == nil:
		return adopt
	case entry == nil, entry.Generation < held.Generation:
		return publish
	case entry.Generation > held.Generation, entry.Hash != held.Hash:
		return adopt
	case entry.Expires.Equal(held.Expires):
		return leave
	case unpublished: // the same token, and we know better how long it lives
		return publish
	}
	return adopt
}

// nextGeneration follows the generation before it. It is never below the Unix time, so that it rises too when the bucket
// was lost or put back from a backup while callers have seen more.
func nextGeneration(before uint64, now time.Time) uint64 {
	return max(before+1, uint64(max(now.Unix(), 1)))
}

// shortestLife is the least an entry lives: a token that seems expired is published too when its entry is gone, as only
// the platform knows, and callers that start without a copy need something to try and to report.
const shortestLife = time.Minute

// swaps is how often one reconcile tries: a read may lag behind the write that made ours conflict. What is left then is
// done at the next tick.
const swaps = 3

// reconcile brings what is held and the entry together.
func (k *keeper) reconcile(ctx context.Context) error {
	for range swaps {
		e, err := k.store.Read(ctx, events.BucketTokens, k.key)
		if err != nil {
			return err
		}
		entry := k.read(e)
		switch judge(k.held, entry, k.unpublished) {
		case leave:
			if entry == nil || !k.lease.held || k.form.Current(e.Value) {
				k.unpublished = false
				return nil
			} // the readers or the key have changed
		case adopt:
			k.adopt(*entry)
			return nil
		}
		if !k.lease.held && !k.unpublished {
			return nil // the leader will
		}
		if err := k.write(ctx, e.Revision); !errors.Is(err, bus.ErrConflict) {
			return err
		}
	}
	return nil
}

// read returns the entry, nil if there is none that can be ours.
func (k *keeper) read(e bus.Entry) *tokens.Value {
	if len(e.Value) == 0 {
		return nil
	}
	v, err := k.form.Decode(e.Value)
	if err == nil {
		return &v
	}
	if k.strange != e.Revision {
		k.strange = e.Revision
		k.log.Error().Err(err).Str("reason", tokens.Reason(err)).Uint64("revision", e.Revision).Msg("the entry in the bucket is not the tokenkeeper's")
	}
	return nil
}

func (k *keeper) write(ctx context.Context, revision uint64) error {
	raw, err := k.form.Encode(*k.held)
	if err != nil {
		return fmt.Errorf("encode access token of %s: %w", k.key, err)
	}
	life := max(k.ends-k.clock(), shortestLife)
	if _, err := k.store.Swap(ctx, events.BucketTokens, k.key, raw, revision, life); err != nil {
		return err
	}
	k.unpublished = false
	k.log.Info().Uint64("generation", k.held.Generation).Str("sha256", k.held.Hash).Dur("life", life).Msg("access token published")
	return nil
}

// adopt takes another keeper's token. Its clock and ours may differ, so its age is taken for no more than its life.
func (k *keeper) adopt(v tokens.Value) {
	life := max(v.Expires.Sub(v.Obtained), 0)
	age := min(max(k.now().Sub(v.Obtained), 0), life)
	k.began = k.clock() - age
	k.ends = k.began + life
	k.schedule.renewed(k.began, k.ends, k.dice())
	k.hold(v, false)
	k.log.Info().Uint64("generation", v.Generation).Str("sha256", v.Hash).Dur("left", life-age).Msg("access token found in the bucket")
}
