package syncer

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// small pages make many commits of few messages.

// sweeping makes lost doorbells harmless within a moment.

// with lets a test step in at each pull.

// TestKilledAnywhere kills a syncer at each point of a page, several times, while customers write.

func TestSweepFindsWhatCallbacksDidNotSay(t *testing.T) {
	w := newWorld(t)
	w.swallow(true)
	accounts := []string{desk, "wkTWO", "wkTHREE"}
	w.account(accounts[1])
	s := w.syncer(sweeping)
	s.ready(true, "")
	for range 5 {
		w.says(desk, 20)
		w.says(accounts[1], 3)
	}
	w.account(accounts[2]) // found by account/list, without a restart
	w.says(accounts[2], 7)
	w.wait(accounts...)
	for _, a := range accounts {
		for _, r := range w.wantAll(a) {
			if r.history {
				t.Errorf("%s: %s is history", a, r.seq)
			}
		}
	}
	if s.counted("kf_syncer_sweeps_total") == 0 || s.counted("kf_syncer_accounts") != 3 {
		t.Errorf("got %d sweeps of %d accounts", s.counted("kf_syncer_sweeps_total"), s.counted("kf_syncer_accounts"))
	}
}

func TestEmptyPagesWithMore(t *testing.T) {
	w := newWorld(t, func(c *kfsim.Config) { c.Personality.EmptyPageEvery = 2 })
	w.syncer(small(10))
	w.says(desk, 200)
	w.wait(desk)
	w.wantAll(desk)
}

func TestIdleCursors(t *testing.T) {
	for _, idle := range []string{kfsim.IdleSame, kfsim.IdleFresh, kfsim.IdleEmpty} {
		t.Run(idle, func(t *testing.T) {
			w := newWorld(t, func(c *kfsim.Config) { c.Personality.IdleCursor = idle })
			s := w.syncer(sweeping, small(10))
			w.says(desk, 25)
			w.wait(desk)
			idleCalls := w.sim.Calls("kf/sync_msg") + 3
			testkit.Eventually(t, "idle pulls", func() bool { return w.sim.Calls("kf/sync_msg") > idleCalls })
			pages := w.cursor(desk).Page
			w.says(desk, 25)
			w.wait(desk)
			s.stop()
			w.wantAll(desk)
			if idle == kfsim.IdleSame && pages > 25 {
				t.Errorf("got %d pages of 25 items: idle pulls were stored", pages)
			}
		})
	}
}

func TestCursorThatStays(t *testing.T) {
	w := newWorld(t)
	r := w.prepare()
	r.waits.stuck = time.Second // no other try while the calls are counted
	r.start()
	w.says(desk, 5)
	w.wait(desk)
	p := w.sim.Personality()
	p.EmptyPageEvery = 1
	w.must(w.sim.SetPersonality(p)) // has_more=1, for ever
	before := w.sim.Calls("kf/sync_msg")
	w.says(desk, 1) // one doorbell, one turn
	testkit.Eventually(t, "the guard", func() bool { return r.counted("kf_syncer_setbacks_total", whyUnmoved) > 0 })
	if got := w.sim.Calls("kf/sync_msg") - before; got != stillPages {
		t.Errorf("got %d calls before it was noticed, want %d", got, stillPages)
	}
	p.EmptyPageEvery = 0
	w.must(w.sim.SetPersonality(p))
	w.wait(desk) // by a timer: nobody rings
	w.wantAll(desk)
}

func TestPagesThatNeverEnd(t *testing.T) {
	w := newWorld(t)
	var calls atomic.Int64
	r := w.syncer(func(_ *Config, d *Deps) {
		d.API = script(func(req kfapi.SyncMsgRequest) (kfapi.SyncMsgResponse, error) {
			return kfapi.SyncMsgResponse{NextCursor: fmt.Sprint("c", calls.Add(1)), HasMore: true}, nil
		})
	})
	w.must(w.ring(events.Doorbell{Corp: "ww1", OpenKfID: desk}))
	testkit.Eventually(t, "the guard", func() bool { return r.counted("kf_syncer_setbacks_total", whyEndless) > 0 })
	if got := calls.Load(); got != 20 {
		t.Errorf("got %d calls in a turn, want 20", got)
	}
	testkit.Eventually(t, "another try", func() bool { return r.counted("kf_syncer_setbacks_total", whyEndless) > 1 })
	if got := w.cursor(desk).Cursor; got == "" || got == "c1" {
		t.Errorf("got cursor %q, want the last one: it is worth keeping", got)
	}
}

// script is a platform made of one function.

type script func(req kfapi.SyncMsgRequest) (kfapi.SyncMsgResponse, error)

func (s script) SyncMsg(_ context.Context, _ string, req kfapi.SyncMsgRequest) (kfapi.SyncMsgResponse, error) {
	return s(req)
}

func (s script) AccountList(context.Context, string, int, int) (kfapi.AccountListResponse, error) {
	return kfapi.AccountListResponse{}, nil
}

func TestItemsOfAPageThatDoesNotMove(t *testing.T) {
	w := newWorld(t)
	item := kfapi.ParseItem([]byte(`{"msgid":"m1","msgtype":"text"}`))
	next := atomic.Pointer[string]{}
	next.Store(new(string))
	r := w.syncer(func(_ *Config, d *Deps) {
		d.API = script(func(req kfapi.SyncMsgRequest) (kfapi.SyncMsgResponse, error) {
			if req.Cursor != "" {
				return kfapi.SyncMsgResponse{NextCursor: req.Cursor}, nil
			}
			return kfapi.SyncMsgResponse{NextCursor: *next.Load(), MsgList: []kfapi.Item{item}}, nil
		})
	})
	w.must(w.ring(events.Doorbell{Corp: "ww1", OpenKfID: desk}))
	testkit.Eventually(t, "the guard, twice", func() bool { return r.counted("kf_syncer_setbacks_total", whyUnmoved) > 1 })
	if rows := w.stored(desk); len(rows) != 0 {
		t.Errorf("got %d items: each pull would store them again", len(rows))
	}
	moved := "c1"
	next.Store(&moved)
	testkit.Eventually(t, "the item", func() bool { return w.cursor(desk).Seq == 1 })
	if rows := w.stored(desk); len(rows) != 1 {
		t.Errorf("got %d items, want 1", len(rows))
	}
}

func TestMoreItemsThanFitABatch(t *testing.T) {
	w := newWorld(t)
	items := make([]kfapi.Item, bus.MaxBatch)
	for i := range items {
		items[i] = kfapi.ParseItem([]byte(`{"msgtype":"text"}`))
	}
	var calls atomic.Int64
	r := w.syncer(func(_ *Config, d *Deps) {
		d.API = script(func(req kfapi.SyncMsgRequest) (kfapi.SyncMsgResponse, error) {
			switch n := calls.Add(1); {
			case req.Cursor != "":
				return kfapi.SyncMsgResponse{NextCursor: req.Cursor}, nil
			case n <= 3: // more than was asked for
				return kfapi.SyncMsgResponse{NextCursor: "c1", MsgList: items}, nil
			}
			return kfapi.SyncMsgResponse{NextCursor: "c1", MsgList: items[1:]}, nil
		})
	})
	w.must(w.ring(events.Doorbell{Corp: "ww1", OpenKfID: desk}))
	testkit.Eventually(t, "all that fit", func() bool { return w.cursor(desk).Seq == bus.MaxBatch-1 })
	if got := r.counted("kf_syncer_setbacks_total", whyPageTooLarge); got != 3 {
		t.Errorf("put off %d times, want 3", got)
	}
}

func TestPoisonDoesNotHoldUpThePage(t *testing.T) {
	w := newWorld(t)
	w.swallow(true)
	w.says(desk, 10)
	poison := []string{
		`{"msgid":"p1","msgtype":7}`, `{}`, `[]`, `null`, `"text"`, `{"msgtype":"event"}`, `{"msgtype":"event","event":null}`,
		"{\"msgid\":\"p2\",\"msgtype\":\"text\",\"text\":\"\xff\xfe\"}", `{"msgid":"a..b","external_userid":"*.>","msgtype":"te xt"}`,
		`{"msgid":"p3","msgtype":"text","send_time":"soon","origin":"3"}`, `{"external_userid":"` + strings.Repeat("x", 2000) + `","msgtype":"text"}`,
		`{"msgid":"p4","msgtype":"merged_msg","merged_msg":"` + strings.Repeat("长", 700<<10) + `"}`,
	}
	for _, p := range poison {
		_, err := w.sim.Inject(desk, []byte(p))
		w.must(err)
		w.says(desk, 1)
	}
	w.swallow(false)
	w.syncer(func(c *Config, _ *Deps) { c.PageLimit = 999 })
	w.says(desk, 10)
	w.wait(desk)
	w.wantAll(desk)
}

func TestItemTooLargeForTheBroker(t *testing.T) {
	w := newWorld(t)
	w.swallow(true)
	w.says(desk, 5)
	huge := `{"msgid":"huge","external_userid":"wmANN","send_time":` + fmt.Sprint(time.Now().Unix()) + `,"msgtype":"text","text":"` + strings.Repeat("x", 8<<20) + `"}`
	_, err := w.sim.Inject(desk, []byte(huge))
	w.must(err)
	w.swallow(false)
	r := w.syncer()
	w.says(desk, 5)
	w.wait(desk)
	rows := w.stored(desk)
	if len(rows) != 10 || rows[5].seq != events.SeqString(7) {
		t.Errorf("got %d stored, want 10 with a gap in kfseq", len(rows))
	}
	dead := w.dead(reasonTooLarge)
	if len(dead) != 1 || !dead[0].Cut || !strings.HasPrefix(huge, string(dead[0].Payload)) || dead[0].Subject != "kf.message.ww1.wkDESK.text.wmANN" || dead[0].At.IsZero() {
		t.Errorf("got %d dead letters, want one with the beginning", len(dead))
	}
	if got := r.counted("kf_syncer_items_total", kindDead); got != 1 {
		t.Errorf("counted %d, want 1", got)
	}
}
