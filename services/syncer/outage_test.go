package syncer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// clockwork is a clock that starts now and is moved by hand; the platform's clock moves with it.
type clockwork struct {
	w      *world
	start  time.Time
	passed atomic.Int64
}

func (l *clockwork) now() time.Time { return l.start.Add(time.Duration(l.passed.Load())) }

func (l *clockwork) pass(d time.Duration) {
	l.passed.Add(int64(d))
	l.w.sim.Clock().Advance(d)
}

func (w *world) clock() (*clockwork, func(*Config, *Deps)) {
	l := &clockwork{w: w, start: time.Now()}
	return l, func(_ *Config, d *Deps) { d.Now = l.now }
}

// own returns the data of our own events of a name, and where they stand.
func own[T any](w *world, name string) (data []T, at []uint64) {
	w.Helper()
	for from := uint64(1); ; {
		s, err := w.bus.Next(w.ctx(), events.StreamMessage, from, events.EventSubject("ww1", desk, name, ""))
		if errors.Is(err, bus.ErrNotFound) {
			return data, at
		}
		w.must(err)
		e, err := s.Event()
		w.must(err)
		var d T
		w.must(e.DataAs(&d))
		data, at, from = append(data, d), append(at, s.Seq), s.Seq+1
	}
}

func TestLagLevel(t *testing.T) {
	for _, c := range []struct {
		age  time.Duration
		want int
	}{
		{0, 0}, {24*time.Hour - 1, 0}, {24 * time.Hour, 1}, {48*time.Hour - 1, 1}, {48 * time.Hour, 2}, {60*time.Hour - 1, 2}, {60 * time.Hour, 3}, {time.Hour * 9999, 3},
	} {
		if got := lagLevel(c.age); got != c.want {
			t.Errorf("%v: got %d, want %d", c.age, got, c.want)
		}
	}
}

// Guarantee 2.22: alarms at 24, 48 and 60 hours, each once though two replicas see it, and a gap event after 72.
func TestOutageOfThreeDays(t *testing.T) {
	w := newWorld(t)
	clock, timed := w.clock()
	rs := []*replica{w.syncer(timed, sweeping), w.syncer(timed, sweeping)}
	w.says(desk, 5)
	w.wait(desk)
	began := w.cursor(desk).PulledAt
	id, err := w.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultHTTP500Before, Path: "kf/sync_msg"})
	w.must(err)
	w.swallow(true)
	behind := func(want ...int) {
		t.Helper()
		for _, r := range rs {
			for i, h := range []string{"24", "48", "60"} {
				testkit.Eventually(t, "kf_syncer_accounts_behind of "+h+" h", func() bool { return r.counted("kf_syncer_accounts_behind", h) == want[i] })
			}
		}
	}
	hours := func(want ...int) {
		t.Helper()
		var got []int
		testkit.Eventually(t, "alarms", func() bool {
			lags, _ := own[events.SyncLag](w, events.EventSyncLag)
			got = nil
			for _, l := range lags {
				got = append(got, l.Hours)
				if !l.LostFrom.Equal(l.PulledAt.Add(72*time.Hour)) || l.PulledAt.Before(began) || l.OpenKfID != desk {
					t.Errorf("got %+v, want it to begin at %v", l, began)
				}
			}
			return len(got) >= len(want)
		})
		if !slices.Equal(got, want) {
			t.Errorf("got alarms %v, want %v", got, want)
		}
	}
	clock.pass(time.Hour)
	w.says(desk, 3) // lost
	clock.pass(22 * time.Hour)
	behind(0, 0, 0)
	clock.pass(2 * time.Hour)
	behind(1, 0, 0)
	hours(24)
	w.says(desk, 4) // to be kept
	clock.pass(24 * time.Hour)
	behind(1, 1, 0)
	hours(24, 48)
	clock.pass(12 * time.Hour)
	behind(1, 1, 1)
	hours(24, 48, 60)
	failures := func() int {
		return rs[0].counted("kf_syncer_setbacks_total") + rs[1].counted("kf_syncer_setbacks_total")
	}
	before := failures()
	clock.pass(13 * time.Hour)
	testkit.Eventually(t, "the pull in hand to fail", func() bool { return failures() > before })
	w.sim.RemoveFault(id)
	w.says(desk, 2)
	clock.pass(time.Hour) // to the next sweep
	testkit.Eventually(t, "what is left", func() bool { return w.cursor(desk).Seq == 5+4+2 })
	behind(0, 0, 0)
	hours(24, 48, 60)
	gaps, at := own[events.Gap](w, events.EventGap)
	if len(gaps) != 1 {
		t.Fatalf("got %d gaps, want one", len(gaps))
	}
	g := gaps[0]
	if lost := clock.start.Add(time.Hour); g.From.Before(began) || !g.From.Before(lost) || g.To.Before(lost) || g.To.After(clock.start.Add(25*time.Hour)) || g.AfterSeq != 5 {
		t.Errorf("got a gap from %v to %v after %d; what is lost was sent at %v", g.From, g.To, g.AfterSeq, lost)
	}
	next, err := w.bus.Next(w.ctx(), events.StreamMessage, at[0]+1, "kf.message.>")
	w.must(err)
	if e, err := next.Event(); err != nil || e.Extensions()[events.ExtSeq] != events.SeqString(6) {
		t.Errorf("the gap stands before %v, want the first item after it", e.Extensions()[events.ExtSeq])
	}
	if got := rs[0].counted("kf_syncer_gaps_total") + rs[1].counted("kf_syncer_gaps_total"); got != 1 {
		t.Errorf("counted %d gaps, want 1", got)
	}
}

func TestIdleAccountHasNoGap(t *testing.T) {
	w := newWorld(t)
	clock, timed := w.clock()
	r, other := w.prepare(timed), w.prepare(timed)
	w.swallow(true)
	w.says(desk, 3)
	b := bell{Doorbell: events.Doorbell{Corp: "ww1", OpenKfID: desk, Event: events.RingSweep}}
	w.must(r.turn(w.ctx(), nil, b))
	other.accounts.add(clock.now(), desk)
	for range 200 {
		clock.pass(30 * time.Minute)
		w.must(r.turn(w.ctx(), nil, b))
		r.checkLag(w.ctx())
		other.checkLag(w.ctx()) // it pulls nothing itself
	}
	w.says(desk, 1)
	w.must(r.turn(w.ctx(), nil, b))
	if rows := w.stored(desk); len(rows) != 4 || strings.Contains(rows[3].subject, "event") {
		t.Errorf("got %d stored, the last on %s; want 4 messages and nothing of our own", len(rows), rows[len(rows)-1].subject)
	}
	if c := w.cursor(desk); c.Page > 102 || clock.now().Sub(c.PulledAt) >= stampEvery {
		t.Errorf("got %d pages in 100 hours, pulled at %v; want one an hour", c.Page, c.PulledAt)
	}
	if got := other.counted("kf_syncer_accounts_behind"); got != 0 {
		t.Errorf("%d accounts are behind, want none", got)
	}
}

func TestGapIsToldOnceWhateverDies(t *testing.T) {
	w := newWorld(t)
	clock, timed := w.clock()
	r := w.prepare(timed, small(999))
	w.swallow(true)
	w.says(desk, 3)
	b := bell{Doorbell: events.Doorbell{Corp: "ww1", OpenKfID: desk, Event: events.RingSweep}}
	var err error
	b.event, err = events.Own("b", "/test", events.TypeCallback, b.Doorbell)
	w.must(err)
	w.must(r.turn(w.ctx(), nil, b))
	clock.pass(80 * time.Hour)
	w.says(desk, 999) // with the gap event and the cursor more than a batch takes
	commits := 0
	r.publish = func(ctx context.Context, batch []bus.Message) (uint64, error) {
		last, err := r.bus.PublishBatch(ctx, batch)
		if commits++; commits%2 == 1 && err == nil {
			return 0, bus.ErrUnknown // the answer is lost
		}
		return last, err
	}
	for w.cursor(desk).Seq < 1002 {
		w.must(r.turn(w.ctx(), nil, b))
	}
	if gaps, _ := own[events.Gap](w, events.EventGap); len(gaps) != 1 {
		t.Errorf("got %d gaps, want one", len(gaps))
	}
	if rows := w.stored(desk); len(rows) != 3+1+999 {
		t.Errorf("got %d stored, want 3, the gap, and 999", len(rows))
	}
}
