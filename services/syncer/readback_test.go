package syncer

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// purge deletes what is stored on subjects.
func (w *world) purge(subject string, opts ...jetstream.StreamPurgeOpt) {
	w.Helper()
	s, err := w.bus.JS.Stream(w.ctx(), events.StreamMessage)
	w.must(err)
	w.must(s.Purge(w.ctx(), append(opts, jetstream.WithPurgeSubject(subject))...))
}

func (w *world) cursorSubject() string { return events.CursorSubject(w.corp.CorpID, desk) }

// put overwrites the stored cursor.
func (w *world) put(cursor any) {
	w.Helper()
	e, err := events.Own("x", "/test", events.TypeCursor, cursor)
	w.must(err)
	_, _, err = w.bus.Publish(w.ctx(), bus.Message{Subject: w.cursorSubject(), Event: e, Rollup: true})
	w.must(err)
}

// past lets the customer write n times within the platform's three days, the last time now.
func (w *world) past(n int) {
	w.Helper()
	const steps = 50
	clock := w.sim.Clock()
	clock.Advance(-70 * time.Hour)
	for range steps {
		w.says(desk, n/steps)
		clock.Advance(70 * time.Hour / steps)
	}
}

// settled waits until the account is past its reset and no doorbell is left.
func (w *world) settled() {
	w.Helper()
	testkit.Eventually(w, "an account that is past its reset", func() bool {
		c := w.cursor(desk)
		return c.Page > 0 && c.Reset == nil && w.sim.PendingCallbacks() == 0 && w.doorbells() == 0
	})
}

// flagged returns how many rows may have been published before.
func flagged(rows []row) (n int) {
	for _, r := range rows {
		if r.replay {
			n++
		}
	}
	return n
}

// upTo waits until this many items were given a kfseq and the account is past its reset; far from the end it only waits for
// progress.
func (w *world) upTo(n int) {
	w.Helper()
	for seq := uint64(0); seq < uint64(n); {
		testkit.Eventually(w, fmt.Sprintf("progress beyond %d of %d items", seq, n), func() bool { return w.cursor(desk).Seq > seq })
		seq = w.cursor(desk).Seq
	}
	w.settled()
}

// Guarantee 2.8.
func TestCursorLostWithThreeDaysBehindIt(t *testing.T) {
	n := 5000
	if os.Getenv("KF_LONG") == "1" {
		n = 50_000
	}
	w := newWorld(t)
	w.ctx = t.Context
	w.swallow(true)
	w.past(n)
	r := w.syncer()
	w.must(w.ring(events.Doorbell{Corp: "ww1", OpenKfID: desk, Event: events.RingSweep}))
	w.upTo(n)
	w.purge(w.cursorSubject())
	w.says(desk, 20)
	began := time.Now()
	w.must(w.ring(events.Doorbell{Corp: "ww1", OpenKfID: desk, Event: events.RingSweep}))
	w.upTo(n + 20)
	t.Logf("%d items read back and pulled again in %v", n, time.Since(began))
	r.stop()
	rows := w.wantAll(desk)
	for _, row := range rows[n:] {
		if row.history {
			t.Errorf("%s is history: it was new", row.seq)
		}
	}
	if got := flagged(rows); got != 0 {
		t.Errorf("%d are flagged, want none: all are either there or new", got)
	}
	if left, news := r.counted("kf_syncer_readback_items_total", "left_out"), r.counted("kf_syncer_readback_items_total", "new"); left != n || news != 20 {
		t.Errorf("counted %d left out and %d new, want %d and 20", left, news, n)
	}
}

// Guarantee 2.9: whatever is wrong with the cursor, the account comes back by itself, with nothing lost or doubled.
func TestCursorThatNobodyCanUse(t *testing.T) {
	good := events.Cursor{}
	for name, c := range map[string]struct {
		spoil func(w *world)
		why   string
	}{
		"lost":            {func(w *world) { w.purge(w.cursorSubject()) }, events.ResetLost},
		"not ours":        {func(w *world) { w.put("garbage") }, events.ResetUnreadable},
		"an empty object": {func(w *world) { w.put(struct{}{}) }, events.ResetUnreadable},
		"no event": {func(w *world) {
			_, err := w.bus.JS.Publish(w.ctx(), w.cursorSubject(), []byte{0, 255, '{'})
			w.must(err)
		}, events.ResetUnreadable},
		"refused": {func(w *world) {
			c := good
			c.Cursor, c.Previous = "nobody gave this out", nil
			w.put(c)
		}, events.ResetRefused},
		"refused, as the one before it": {func(w *world) {
			c := good
			c.Cursor, c.Previous = "nobody", []string{"gave", "these", "out"}
			w.put(c)
		}, events.ResetRefused},
		"refused, and far too long": {func(w *world) {
			c := good
			c.Cursor = strings.Repeat("x", 100_000)
			w.put(c)
		}, events.ResetRefused},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			r := w.syncer(small(7))
			w.says(desk, 60)
			w.wait(desk)
			good = w.cursor(desk)
			c.spoil(w)
			before := w.sim.Calls("kf/sync_msg")
			w.says(desk, 10)
			testkit.Eventually(t, "a reset", func() bool { return r.counted("kf_syncer_resets_total", c.why) > 0 })
			w.wait(desk)
			w.settled()
			rows := w.wantAll(desk)
			if flagged(rows) > 0 {
				t.Errorf("%d are flagged, want none", flagged(rows))
			}
			if calls := w.sim.Calls("kf/sync_msg") - before; calls > 30 {
				t.Errorf("%d calls for 70 items in pages of 7", calls)
			}
			if got := w.cursor(desk); got.Reset != nil || got.ResetFrom != "" {
				t.Errorf("got cursor %+v, want it past its reset", got)
			}
			if got := r.counted("kf_syncer_setbacks_total"); got > 0 {
				t.Errorf("%d turns were put off, want none", got)
			}
		})
	}
}

func TestRefusedCursorGoesBackToTheOneBefore(t *testing.T) {
	w := newWorld(t)
	r := w.syncer(small(10))
	w.says(desk, 200)
	w.wait(desk)
	c := w.cursor(desk)
	c.Cursor = "nobody gave this out"
	w.put(c)
	w.says(desk, 5)
	w.wait(desk)
	w.settled()
	w.wantAll(desk)
	if got := r.counted("kf_syncer_readback_items_total", "left_out"); got == 0 || got > 10 {
		t.Errorf("%d items were pulled again, want those of one page", got)
	}
}

func TestPlatformThatTakesNoCursorAndNone(t *testing.T) {
	w := newWorld(t)
	r := w.syncer()
	w.says(desk, 5)
	w.wait(desk)
	before := w.sim.Calls("kf/sync_msg")
	id, err := w.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultErrCode, ErrCode: codeBadArgument, Path: "kf/sync_msg"})
	w.must(err)
	w.says(desk, 5)
	testkit.Eventually(t, "a pull put off", func() bool { return r.counted("kf_syncer_setbacks_total", whyRefused) > 0 })
	if calls := w.sim.Calls("kf/sync_msg") - before; calls > 2+keptCursors {
		t.Errorf("%d calls, want at most one a cursor", calls)
	}
	w.sim.RemoveFault(id)
	w.wait(desk) // by a timer
	w.wantAll(desk)
	if got := r.counted("kf_syncer_resets_total"); got != 0 {
		t.Errorf("%d resets: nothing was pulled with another cursor", got)
	}
}

// What was deleted cannot be told from what never was there, so it comes again, flagged; nothing else does.
func TestDeletedMessagesComeAgainFlagged(t *testing.T) {
	w := newWorld(t)
	r := w.syncer(small(9))
	w.says(desk, 60)
	w.wait(desk)
	rows := w.stored(desk)
	first, err := w.bus.Last(w.ctx(), events.StreamMessage, "kf.message.>")
	w.must(err)
	w.purge("kf.message.>", jetstream.WithPurgeKeep(25))
	w.purge(w.cursorSubject())
	w.sim.Clock().Advance(10 * time.Second) // the new ones are younger
	w.says(desk, 10)
	testkit.Eventually(t, "all again", func() bool { return len(w.stored(desk)) == 70 })
	w.settled()
	after := w.stored(desk)
	for i, row := range after {
		if want := i >= 25 && i < 25+35; row.replay != want {
			t.Errorf("item %d: flagged is %v, want %v", i, row.replay, want)
		}
	}
	if after[0].id != rows[35].id || after[25].id != rows[0].id || after[25].seq <= after[24].seq || first.Seq == 0 {
		t.Errorf("got %s and %s, want what was kept first and then what came again, kfseq going on", after[0].seq, after[25].seq)
	}
	if got := r.counted("kf_syncer_readback_items_total", "replay"); got != 35 {
		t.Errorf("counted %d flagged, want 35", got)
	}
}

func TestOtherBytesUnderAKnownIDComeFlagged(t *testing.T) {
	w := newWorld(t)
	var other bool
	var mu sync.Mutex
	w.syncer(with(calls{after: func(_ context.Context, _ kfapi.SyncMsgRequest, p *kfapi.SyncMsgResponse) {
		mu.Lock()
		defer mu.Unlock()
		for i := range p.MsgList {
			if other && i == 3 {
				p.MsgList[i].Raw = []byte(strings.Replace(string(p.MsgList[i].Raw), "{", `{"new":1,`, 1))
			}
		}
	}}))
	w.says(desk, 10)
	w.wait(desk)
	mu.Lock()
	other = true
	mu.Unlock()
	w.purge(w.cursorSubject())
	w.must(w.ring(events.Doorbell{Corp: "ww1", OpenKfID: desk, Event: events.RingSweep}))
	w.settled()
	rows := w.stored(desk)
	if len(rows) != 11 || !rows[10].replay || flagged(rows) != 1 || rows[10].id != rows[3].id {
		t.Errorf("got %d stored and %d flagged, want 11 and the last one: the same id with other bytes", len(rows), flagged(rows))
	}
}

func TestLostCursorWithItemsWithoutMsgID(t *testing.T) {
	w := newWorld(t, func(c *kfsim.Config) { c.Personality.EventsWithoutMsgID = true })
	w.syncer(small(5))
	for range 10 {
		w.sim.Clock().Advance(time.Second) // in the same second they would be the same event
		_, err := w.sim.Enter(kfsim.Enter{OpenKfID: desk, ExternalUserID: ann})
		w.must(err)
		w.says(desk, 1)
	}
	w.wait(desk)
	w.purge(w.cursorSubject())
	w.sim.Clock().Advance(time.Second)
	_, err := w.sim.Enter(kfsim.Enter{OpenKfID: desk, ExternalUserID: ann})
	w.must(err)
	w.wait(desk)
	w.settled()
	if rows := w.wantAll(desk); flagged(rows) > 0 {
		t.Errorf("%d flagged, want none", flagged(rows))
	}
}

// A page of what is left out is a commit too: killed between two of them, another replica goes on.
func TestKilledWhileReadingBack(t *testing.T) {
	w := newWorld(t)
	first := w.syncer(small(10))
	w.says(desk, 300)
	w.wait(desk)
	first.stop()
	w.purge(w.cursorSubject())
	w.swallow(true)
	w.says(desk, 30)
	for kills := range 5 {
		r := w.prepare(small(10))
		pages, killed := 0, make(chan struct{})
		r.publish = func(ctx context.Context, batch []bus.Message) (uint64, error) {
			if pages++; pages == 5 {
				r.kill()
				close(killed)
			}
			return r.bus.PublishBatch(ctx, batch)
		}
		r.start()
		w.must(w.ring(events.Doorbell{Corp: "ww1", OpenKfID: desk, Event: events.RingSweep}))
		<-killed
		<-r.done
		if c := w.cursor(desk); c.Reset == nil || c.Seq != 300 {
			t.Fatalf("after %d kills: got cursor %+v, want it reset", kills+1, c)
		}
	}
	w.syncer(small(10), sweeping)
	w.wait(desk)
	w.settled()
	if rows := w.wantAll(desk); flagged(rows) > 0 {
		t.Errorf("%d flagged, want none", flagged(rows))
	}
}

func TestFourSyncersOnALostCursor(t *testing.T) {
	w := newWorld(t)
	first := w.syncer(small(20))
	w.says(desk, 200)
	w.wait(desk)
	first.stop()
	w.swallow(true)
	w.says(desk, 100)
	w.purge(w.cursorSubject())
	b := bell{Doorbell: events.Doorbell{Corp: "ww1", OpenKfID: desk, Event: events.RingSweep}}
	var err error
	b.event, err = events.Own("b", "/test", events.TypeCallback, b.Doorbell)
	w.must(err)
	var wg sync.WaitGroup
	lost := make([]int, 4)
	for i := range lost {
		r := w.prepare(small(7))
		wg.Go(func() {
			for w.cursor(desk).Seq < 300 && w.ctx().Err() == nil {
				if err := r.turn(w.ctx(), nil, b); err != nil {
					t.Error(err)
					return
				}
			}
			lost[i] = r.counted("kf_syncer_commits_refused_total", "conflict")
		})
	}
	wg.Wait()
	t.Logf("races lost: %v", lost)
	if rows := w.wantAll(desk); flagged(rows) > 0 {
		t.Errorf("%d flagged, want none", flagged(rows))
	}
}

// An account whose past is still coming in when its cursor is lost stays a cold start: the rest of the past is no news.
func TestCursorLostWhileThePastComesIn(t *testing.T) {
	w := newWorld(t)
	w.swallow(true)
	w.sim.Clock().Advance(-2 * time.Hour)
	w.says(desk, 100)
	w.sim.Clock().Advance(2 * time.Hour)
	w.says(desk, 5)
	b := bell{Doorbell: events.Doorbell{Corp: "ww1", OpenKfID: desk, Event: events.RingSweep}}
	first := w.prepare(small(10), func(c *Config, _ *Deps) { c.TurnPages = 4 })
	var err error
	b.event, err = events.Own("b", "/test", events.TypeCallback, b.Doorbell)
	w.must(err)
	w.must(first.turn(w.ctx(), nil, b))
	w.purge(w.cursorSubject())
	w.syncer(small(10), sweeping)
	w.wait(desk)
	for i, row := range w.wantAll(desk) {
		if row.history != (i < 100) || row.replay {
			t.Errorf("item %d: history %v, flagged %v", i, row.history, row.replay)
		}
	}
}

func TestProvenNew(t *testing.T) {
	whole := readback{items: 10, first: 1, last: 10, newest: 1000, floor: 500}
	late := readback{items: 10, first: 91, last: 100, newest: 1000, floor: 500}
	gap := readback{items: 9, first: 1, last: 10, newest: 1000, floor: 500}
	for _, c := range []struct {
		name   string
		r      readback
		sent   int64
		before events.Reset
		want   bool
	}{
		{"sent after all that is stored", gap, 1001, events.Reset{}, true},
		{"old, but all that ever was stored is there", whole, 1, events.Reset{}, true},
		{"without a time, but all that ever was stored is there", whole, 0, events.Reset{}, true},
		{"sent when nothing is missing", late, 501, events.Reset{}, true},
		{"older than what the stream keeps", late, 500, events.Reset{}, false},
		{"without a time", late, 0, events.Reset{}, false},
		{"as old as something that was deleted", gap, 1000, events.Reset{}, false},
		{"the newest were deleted", whole, 1000, events.Reset{Seq: 11}, false},
		{"after the newest, which were deleted", whole, 2001, events.Reset{Seq: 11, Newest: 2000}, true},
		{"before the newest, which were deleted", whole, 1999, events.Reset{Seq: 11, Newest: 2000}, false},
		{"nothing ever was stored", readback{}, 1, events.Reset{}, true},
		{"all was deleted", readback{}, 1, events.Reset{Seq: 3, Newest: 7}, false},
	} {
		if got := c.r.provenNew(c.sent, c.before); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// Events of our own come later than what they are about, and are no sign of a pull: with one of them as the account's newest, a
// lost cursor must not make a gap shorter, and no past of what is new.
func TestLostCursorAfterAnEventOfOurOwn(t *testing.T) {
	lag := events.SyncLag{Corp: "ww1", OpenKfID: desk, Hours: 60, PulledAt: time.Now().Add(-60 * time.Hour).UTC()}
	for name, c := range map[string]struct {
		subject string
		data    any
		alone   bool // the items before it are gone
	}{
		"file stored":                       {events.EventSubject("ww1", desk, events.EventMediaStored, ann), events.MediaStored{}, false},
		"file not to be had":                {events.EventSubject("ww1", desk, events.EventMediaFailed, ann), events.MediaFailed{}, false},
		"file of history stored":            {"kf.history.ww1." + desk + ".media_stored." + ann, events.MediaStored{}, false},
		"not pulled for long":               {events.EventSubject("ww1", desk, events.EventSyncLag, ""), lag, false},
		"not pulled for long, nothing else": {events.EventSubject("ww1", desk, events.EventSyncLag, ""), lag, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			clock, timed := w.clock()
			r := w.prepare(timed)
			w.swallow(true)
			w.says(desk, 5)
			b := bell{Doorbell: events.Doorbell{Corp: "ww1", OpenKfID: desk, Event: events.RingSweep}}
			w.must(r.turn(w.ctx(), nil, b))
			item, err := w.bus.Last(w.ctx(), events.StreamMessage, "kf.message.>")
			w.must(err)
			e, err := events.Own("late", "/test", "test", c.data)
			w.must(err)
			var late bus.Stored
			for late.Time.Sub(item.Time) < 10*time.Millisecond { // so that the clock can stand between them
				_, _, err = w.bus.Publish(w.ctx(), bus.Message{Subject: c.subject, Event: e})
				w.must(err)
				late, err = w.bus.Last(w.ctx(), events.StreamMessage, c.subject)
				w.must(err)
			}
			from := item.Time
			if c.alone {
				w.purge("kf.message.>")
				from = lag.PulledAt
			}
			w.purge(w.cursorSubject())
			clock.pass(from.Add(events.HistoryKept).Add(5 * time.Millisecond).Sub(clock.now()))
			w.says(desk, 2)
			w.must(r.turn(w.ctx(), nil, b))
			gaps, _ := own[events.Gap](w, events.EventGap)
			if len(gaps) != 1 || !gaps[0].From.Equal(from) {
				t.Errorf("got gaps %+v, want one from %v on", gaps, from)
			}
			if got := w.cursor(desk).Seq; got != 7 {
				t.Errorf("got kfseq %d, want 7", got)
			}
			for _, row := range w.stored(desk) {
				if row.history && row.seq != "" {
					t.Errorf("%s is history: it was new", row.seq)
				}
			}
		})
	}
}

func TestReadbackFindsWhatItTookIn(t *testing.T) {
	r := newReadback(1)
	in := events.Inbound{Corp: "ww1", OpenKfID: desk, MsgType: "text"}
	add := func(id, data string) {
		in.MsgID, in.Raw = id, []byte(data)
		in.Seq++
		body, h, err := bus.Encode(in.Event(), bus.ModeStructured)
		if err == nil {
			err = r.add(bus.Stored{Header: h, Data: body})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	const n = 50_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range n {
		add(strconv.Itoa(i), fmt.Sprintf(`{"n":%d}`, i))
	}
	add("7", `{"other":"bytes"}`) // stored again, flagged
	r.sort()
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := float64(int64(after.HeapAlloc)-int64(before.HeapAlloc)) / n //nolint:gosec // no test has 2^63 bytes
	t.Logf("%.1f bytes of heap an item", each)
	if each > 24 {
		t.Errorf("%.1f bytes of heap an item, want at most 24: 16, and what a slice keeps to grow", each)
	}
	for _, c := range []struct {
		name, id, data string
		known, same    bool
	}{
		{"stored", "123", `{"n":123}`, true, true},
		{"stored with other bytes", "123", `{"n":124}`, true, false},
		{"stored twice, the first", "7", `{"n":7}`, true, true},
		{"stored twice, the second", "7", `{"other":"bytes"}`, true, true},
		{"stored twice, neither", "7", `{}`, true, false},
		{"never stored", "-1", `{"n":123}`, false, false},
	} {
		if known, same := r.find(r.imprint(c.id, []byte(c.data))); known != c.known || same != c.same {
			t.Errorf("%s: got %v, %v; want %v, %v", c.name, known, same, c.known, c.same)
		}
	}
	if known, _ := newReadback(1).find(r.imprint("7", nil)); known {
		t.Error("an empty one knows something")
	}
}
