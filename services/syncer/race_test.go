package syncer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

func TestFourSyncersOnOneAccount(t *testing.T) {
	w := newWorld(t)
	w.swallow(true)
	const n, syncers = 300, 4
	b := bell{Doorbell: events.Doorbell{Corp: "ww1", OpenKfID: desk, Event: events.RingSweep}}
	var err error
	b.event, err = events.Own("b", "/test", events.TypeCallback, b.Doorbell)
	w.must(err)
	var rs []*replica
	for range syncers {
		rs = append(rs, w.prepare(small(7))) // not started: nothing keeps them to their lanes
	}
	var wg sync.WaitGroup
	wg.Go(func() { w.says(desk, n) })
	for _, r := range rs {
		wg.Go(func() {
			for w.cursor(desk).Seq < n && w.ctx().Err() == nil {
				if err := r.turn(w.ctx(), nil, b); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	w.wantAll(desk)
	lost, won := 0, 0
	for _, r := range rs {
		lost += r.counted("kf_syncer_commits_refused_total", "conflict")
		won += r.counted("kf_syncer_pages_total")
	}
	t.Logf("%d syncers: %d pages stored, %d races lost", syncers, won, lost)
	if lost == 0 {
		t.Error("nobody ever lost a race: this was no race")
	}
}

func TestFrozenSyncerHarmsNobody(t *testing.T) {
	w := newWorld(t)
	frozen, thaw := make(chan struct{}), make(chan struct{})
	var once sync.Once
	slow := w.prepare(small(10), with(calls{after: func(context.Context, kfapi.SyncMsgRequest, *kfapi.SyncMsgResponse) {
		once.Do(func() { close(frozen); <-thaw })
	}}))
	w.swallow(true)
	w.says(desk, 100)
	b := bell{Doorbell: events.Doorbell{Corp: "ww1", OpenKfID: desk, Event: events.RingSweep}}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := slow.turn(w.ctx(), nil, b); err != nil {
			t.Error(err)
		}
	})
	<-frozen // it holds a page
	other := w.prepare(small(10))
	w.must(other.turn(w.ctx(), nil, b))
	w.says(desk, 30)
	close(thaw)
	wg.Wait()
	w.wantAll(desk)
	if got := slow.counted("kf_syncer_commits_refused_total", "conflict"); got != 1 {
		t.Errorf("the frozen one lost %d races, want 1", got)
	}
}

func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seed := uint64(time.Now().UnixNano())
	dice := rand.New(rand.NewPCG(seed, 0))
	points := []string{"before the call", "between answer and commit", "in the commit", "between commit and ack"}
	const perPoint, perRound = 3, 40 // of 9 a page
	for round := range perPoint * len(points) {
		point := points[round%len(points)]
		var passages atomic.Int64
		fatal := 1 + dice.Int64N(3)
		killed := make(chan struct{})
		var r *replica
		strike := func(at string) bool {
			if at != point || passages.Add(1) != fatal {
				return false
			}
			r.kill()
			close(killed)
			return true
		}
		r = w.prepare(small(9), with(calls{
			before: func(ctx context.Context, _ kfapi.SyncMsgRequest) error {
				if strike("before the call") {
					return context.Canceled
				}
				return nil
			},
			after: func(context.Context, kfapi.SyncMsgRequest, *kfapi.SyncMsgResponse) {
				strike("between answer and commit")
			},
		}))
		r.publish = func(ctx context.Context, batch []bus.Message) (uint64, error) {
			var half sync.WaitGroup
			if point == "in the commit" {
				half.Go(func() { strike(point) }) // somewhere among the messages
			}
			last, err := r.bus.PublishBatch(ctx, batch)
			half.Wait()
			if err == nil {
				strike("between commit and ack")
			}
			return last, err
		}
		w.says(desk, perRound)
		r.start()
		select {
		case <-killed:
		case <-w.ctx().Done():
			t.Fatalf("round %d was not killed %s", round, point)
		}
		<-r.done
	}
	last := w.syncer(sweeping)
	w.wait(desk)
	last.stop()
	t.Logf("%d kills, seed %d", perPoint*len(points), seed)
	w.wantAll(desk)
}

func TestCommitAnswerLost(t *testing.T) {
	for name, commit := range map[string]func(r *replica, ctx context.Context, batch []bus.Message) (uint64, error){
		"after it was stored": func(r *replica, ctx context.Context, batch []bus.Message) (uint64, error) {
			_, err := r.bus.PublishBatch(ctx, batch)
			return 0, errors.Join(bus.ErrUnknown, err)
		},
		"before it was stored": func(*replica, context.Context, []bus.Message) (uint64, error) { return 0, bus.ErrUnknown },
		"and it is stored later": func(r *replica, ctx context.Context, batch []bus.Message) (uint64, error) {
			go func() { // it comes in when we have long read the cursor, pulled again, and maybe stored the same page
				if _, err := r.bus.PublishBatch(context.WithoutCancel(ctx), batch); err != nil && !errors.Is(err, bus.ErrConflict) {
					r.w.Log(err)
				}
			}()
			return 0, bus.ErrUnknown
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			r := w.prepare(small(16))
			commits := 0
			r.publish = func(ctx context.Context, batch []bus.Message) (uint64, error) {
				if commits++; commits%3 == 1 {
					return commit(r, ctx, batch)
				}
				return r.bus.PublishBatch(ctx, batch)
			}
			r.start()
			w.says(desk, 200)
			w.wait(desk)
			w.wantAll(desk)
			if got := r.counted("kf_syncer_commits_refused_total", "no_answer"); got == 0 {
				t.Error("no answer was lost")
			}
		})
	}
}

// A broker that elects refuses pages for a while, each time by a name that an operator can look up.
func TestBrokerThatElects(t *testing.T) {
	w := newWorld(t)
	r := w.prepare(small(16))
	refusals := []error{bus.ErrUnavailable, bus.ErrBatchCut, bus.ErrBatchBusy, bus.ErrDisconnected}
	commits := 0
	r.publish = func(ctx context.Context, batch []bus.Message) (uint64, error) {
		if commits++; commits%2 == 1 && commits/2 < len(refusals) {
			return 0, fmt.Errorf("publish: %w", refusals[commits/2])
		}
		return r.bus.PublishBatch(ctx, batch)
	}
	r.start()
	w.says(desk, 200)
	w.wait(desk)
	w.wantAll(desk)
	for _, err := range refusals {
		if got := r.counted("kf_syncer_commits_refused_total", bus.Reason(err)); got != 1 {
			t.Errorf("%s: counted %d, want 1", bus.Reason(err), got)
		}
	}
}

func TestSameDoorbellHundredTimes(t *testing.T) {
	w := newWorld(t)
	w.swallow(true)
	w.says(desk, 50)
	s := w.syncer()
	s.ready(true, "")
	before := w.sim.Calls("kf/sync_msg")
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range 10 {
				if err := w.ring(events.Doorbell{Corp: "ww1", OpenKfID: desk, Event: events.RingMessage, ReceivedAt: time.Now()}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	w.wait(desk)
	w.wantAll(desk)
	if got := w.sim.Calls("kf/sync_msg") - before; got > 100 {
		t.Errorf("100 doorbells made %d calls", got)
	}
}

// TestPageAskedForAhead: while a page is stored the next one is asked for; it counts only if the first is stored.
func TestPageAskedForAhead(t *testing.T) {
	for _, c := range []struct {
		name  string
		fail  error
		calls int // of sync_msg, for three pages
	}{
		{"stored: each page is asked for once", nil, 3},
		{"refused: what was asked for ahead is dropped, and asked for again", bus.ErrConflict, 5},
		{"unknown: the same", bus.ErrUnknown, 5},
		{"cut: the same", bus.ErrBatchCut, 5},
		{"busy: the same", bus.ErrBatchBusy, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.swallow(true)
			w.says(desk, 30)
			var asked []string // cursors
			ahead := make(chan struct{})
			r := w.prepare(small(10), with(calls{before: func(ctx context.Context, req kfapi.SyncMsgRequest) error {
				if asked = append(asked, req.Cursor); len(asked) == 2 {
					close(ahead)
					if c.fail != nil { // it is under way when it is dropped
						<-ctx.Done()
						return ctx.Err()
					}
				}
				return nil
			}}))
			store, first := r.publish, true
			r.publish = func(ctx context.Context, batch []bus.Message) (uint64, error) {
				if !first {
					return store(ctx, batch)
				}
				first = false
				select {
				case <-ahead:
				case <-w.ctx().Done():
					t.Error("the second page is not asked for")
				}
				if c.fail != nil {
					return 0, c.fail
				}
				return store(ctx, batch)
			}
			log := zerolog.Nop()
			turn := &turn{s: r.Syncer, log: &log, bell: bell{Doorbell: events.Doorbell{Corp: "ww1", OpenKfID: desk}}, trace: testTrace, limit: 10}
			defer turn.drop()
			for more := true; more; {
				var err error
				more, err = turn.page(w.ctx())
				w.must(err)
			}
			w.wantAll(desk)
			if len(asked) != c.calls || asked[0] != "" {
				t.Errorf("asked from cursors %q, want %d calls", asked, c.calls)
			}
			if got := r.counted("kf_syncer_pulls_total", whyTransport); got != 0 {
				t.Errorf("%d pulls count as trouble with the connection, want none: one was given up", got)
			}
		})
	}
}
