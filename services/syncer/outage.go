package syncer

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
)

// The platform forgets after three days, so that an account which cannot be pulled is a loss that comes closer. It is told
// after 24, 48 and 60 hours; and where more than 72 have passed, the next page has a gap event before it.

// lagHours are when to tell.
var lagHours = [...]int{24, 48, 60}

// stampEvery is how old the last pull may be in the cursor of an account that is pulled and has nothing new. What is told
// of an outage is exact to that.
const stampEvery = time.Hour

// lagLevel returns how many of lagHours have passed.
func lagLevel(age time.Duration) (level int) {
	for _, h := range lagHours {
		if age >= time.Duration(h)*time.Hour {
			level++
		}
	}
	return level
}

// lagWatch tells of accounts that were not pulled for long, until ctx ends.
func (s *Syncer) lagWatch(ctx context.Context) error {
	for {
		s.checkLag(ctx)
		if !sleep(ctx, s.waits.check) {
			return nil
		}
	}
}

// checkLag looks at every account once. What another replica pulled stands in the cursor, which is read only when this one
// knows of nothing younger.
func (s *Syncer) checkLag(ctx context.Context) {
	var behind [len(lagHours) + 1]int
	for _, id := range s.accounts.stale(s.now()) {
		stored, err := s.bus.Last(ctx, events.StreamMessage, events.CursorSubject(s.corp, id))
		if err == nil {
			var c events.Cursor
			if e, err := stored.Event(); err == nil && e.DataAs(&c) == nil {
				s.accounts.stored(id, lastPull(c))
			}
		}
		at, level, told := s.accounts.lag(id, s.now())
		behind[level]++
		if level > told {
			s.tellLag(ctx, id, at, level)
		}
	}
	for i, h := range lagHours {
		n := 0
		for _, have := range behind[i+1:] {
			n += have
		}
		s.metrics.behind.WithLabelValues(strconv.Itoa(h)).Set(float64(n))
	}
}

// lastPull is when an account was last pulled, or where it never was when it became known; zero if nothing is known.
func lastPull(c events.Cursor) time.Time {
	if c.PulledAt.IsZero() {
		return c.ColdStart
	}
	return c.PulledAt
}

// tellLag publishes the alarm, once for all replicas, and again at the next look if it cannot be.
func (s *Syncer) tellLag(ctx context.Context, id string, at time.Time, level int) {
	hours := lagHours[level-1]
	l := events.SyncLag{Corp: s.corp, OpenKfID: id, Hours: hours, PulledAt: at.UTC(), LostFrom: at.Add(events.HistoryKept).UTC()}
	e, err := l.Event()
	if err == nil {
		_, _, err = s.bus.Publish(ctx, bus.Message{Subject: events.EventSubject(s.corp, id, events.EventSyncLag, ""), Event: e, MsgID: e.Source() + " " + e.ID()})
	}
	s.log.Error().AnErr("not_published", err).Str("open_kfid", id).Int("hours", hours).Time("pulled_at", at).Time("lost_from", l.LostFrom).
		Msg("an account could not be pulled for long: look at readiness and kf_syncer_setbacks_total; what was sent will be lost after 72 h")
	if err == nil || errors.Is(err, bus.ErrFull) || errors.Is(err, bus.ErrResources) { // nobody can take it: said in the log, once
		s.accounts.told(id, level)
	}
}

// tellGap stores, before the first page after more than three days, that something may be missing. The cursor that goes
// with it says when the pull was, so that it is told once.
func (t *turn) tellGap(ctx context.Context, asked time.Time) error {
	from, to := t.at.PulledAt, asked.Add(-events.HistoryKept).UTC()
	if from.IsZero() || !from.Before(to) {
		return nil
	}
	g := events.Gap{Corp: t.s.corp, OpenKfID: t.bell.OpenKfID, From: from, To: to, AfterSeq: t.at.Seq, Cursor: t.at.Cursor.Cursor}
	e, err := g.Event()
	if err != nil {
		return err
	}
	next := t.at
	next.PulledAt = asked.UTC()
	next.Page++
	next.revision, err = t.s.commit(ctx, t.bell.OpenKfID, next, t.trace,
		[]bus.Message{{Subject: events.EventSubject(t.s.corp, t.bell.OpenKfID, events.EventGap, ""), Event: e}})
	if err != nil {
		return err
	}
	t.at = next
	t.s.metrics.gaps.Inc()
	t.log.Error().Time("from", g.From).Time("to", g.To).Msg("the account was not pulled for more than 72 h: what was sent in between may be lost")
	return nil
}
