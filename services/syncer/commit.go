package syncer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

// fewest items are asked for after commits whose answers did not come.
const fewest = 10

// defaultPayload is taken for the broker's limit while it has not said its own.
const defaultPayload = 1 << 20

// store commits a page with its cursor: all of it or nothing. After a lost race or a lost answer nobody needs to know what
// became of it: the cursor is read again, and the next pull goes on from there.
func (t *turn) store(ctx context.Context, page kfapi.SyncMsgResponse, asked time.Time) (more bool, err error) {
	s := t.s
	var replay []bool
	pulled := len(page.MsgList)
	page.MsgList = once(t.at.Cursor, page.MsgList)
	repeated := pulled - len(page.MsgList)
	if t.at.Reset != nil {
		if page.MsgList, replay, err = t.leaveOut(ctx, page.MsgList); err != nil {
			return false, err
		}
	}
	if err := t.tellGap(ctx, asked); err != nil {
		return t.refused(ctx, err)
	}
	next := advance(t.at.Cursor, page, asked)
	ms, kinds, err := t.compose(ctx, page, replay)
	if err != nil {
		return false, err
	}
	if page.HasMore && !t.last {
		t.lookAhead(ctx, next.Cursor)
	}
	began := s.now()
	revision, err := s.commit(ctx, t.bell.OpenKfID, place{next, t.at.revision}, t.trace, ms)
	s.metrics.commitSeconds.Observe(s.now().Sub(began).Seconds())
	if err != nil {
		return t.refused(ctx, err)
	}
	s.probes.stream.OK()
	s.accounts.stored(t.bell.OpenKfID, asked)
	s.metrics.committed(kinds)
	s.metrics.repeated.Add(float64(repeated))
	if t.at.Reset != nil {
		s.readbacks.keep(t.bell.OpenKfID, next, t.known)
	}
	if newest := newestOf(page.MsgList); newest >= max(1, next.ColdStart.Unix()) {
		s.metrics.lag.Observe(max(0, s.now().Sub(time.Unix(newest, 0)).Seconds()))
	}
	t.at = place{next, revision}
	t.log.Debug().Uint64("page", next.Page).Int("items", len(ms)).Bool("has_more", page.HasMore).Msg("page stored")
	return page.HasMore, nil
}

// refused says what to do about a commit that was refused or of which nobody knows.
func (t *turn) refused(ctx context.Context, err error) (more bool, _ error) {
	s := t.s
	s.metrics.refused.WithLabelValues(bus.Reason(err)).Inc()
	switch {
	case errors.Is(err, bus.ErrConflict):
		t.log.Debug().Uint64("page", t.at.Page+1).Msg("somebody else stored a page first")
		t.loaded = false
		return true, nil
	case errors.Is(err, bus.ErrUnknown) && ctx.Err() == nil:
		t.log.Warn().Err(err).Uint64("page", t.at.Page+1).Msg("no answer to a commit: reading the cursor again")
		t.loaded, t.limit = false, max(t.limit/4, min(t.limit, fewest))
		return true, nil
	case errors.Is(err, bus.ErrBatchBusy), errors.Is(err, bus.ErrBatchCut):
		sleep(ctx, jitter(s.waits.batch))
		return true, ctx.Err()
	case errors.Is(err, bus.ErrFull), errors.Is(err, bus.ErrResources):
		s.probes.stream.Fail(events.StreamMessage + " takes nothing more (" + bus.Reason(err) + "): make room, or raise its limit; nothing is lost within WeChat's 3 days")
		return false, bus.After(jitter(s.waits.full), err)
	}
	return false, err
}

// compose makes the items of a page messages. What the broker or the event format cannot take has become a dead letter
// when it returns, so that it never holds up the page.
func (t *turn) compose(ctx context.Context, page kfapi.SyncMsgResponse, replay []bool) ([]bus.Message, []events.Kind, error) {
	limit := int(t.s.bus.NC.MaxPayload())
	if limit <= 0 {
		limit = defaultPayload
	}
	o := origin{corp: t.s.corp, openKfID: t.bell.OpenKfID, trace: t.trace, maxPayload: limit, replay: replay}
	ms, kinds, dead := o.split(t.at.Cursor, page.MsgList)
	if len(ms) >= bus.MaxBatch {
		return nil, nil, &setback{whyPageTooLarge, t.s.waits.stuck, fmt.Errorf("%d items on a page of at most %d", len(page.MsgList), t.limit)}
	}
	for _, d := range dead {
		d.At = t.s.now().UTC()
		if err := t.s.bus.Bury(ctx, d); err != nil {
			return nil, nil, err
		}
		t.s.metrics.items.WithLabelValues(kindDead).Inc()
		t.log.Error().Str("reason", d.Reason).Str("detail", d.Detail).Msg("an item became a dead letter")
	}
	return ms, kinds, nil
}

// commit stores a cursor, and with it items if there are any, if the cursor before it is still the last one. It returns
// the new cursor's revision.
func (s *Syncer) commit(ctx context.Context, openKfID string, next place, trace string, items []bus.Message) (uint64, error) {
	e, err := events.Own(openKfID+":"+strconv.FormatUint(next.Page, 10), events.Source(s.corp, openKfID), events.TypeCursor, next.Cursor)
	if err != nil {
		return 0, err
	}
	e.SetExtension(events.ExtTraceParent, trace)
	batch := slices.Insert(items, 0, bus.Message{
		Subject: events.CursorSubject(s.corp, openKfID), Event: e, ExpectLast: &next.revision, Rollup: true, TTL: bus.Forever})
	last, err := s.publish(ctx, batch)
	if err != nil {
		return 0, err
	}
	return last - uint64(len(items)), nil // a batch is stored in one piece
}
