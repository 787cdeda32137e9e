package syncer

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

func TestSpentSyncToken(t *testing.T) {
	w := newWorld(t)
	r := w.syncer(small(10))
	r.ready(true, "")
	w.swallow(true)
	w.says(desk, 35)
	w.must(w.ring(events.Doorbell{Corp: "ww1", OpenKfID: desk, Event: events.RingMessage, SyncToken: "spent", ReceivedAt: time.Now()}))
	w.wait(desk)
	w.wantAll(desk)
	if got := w.sim.Answers("kf/sync_msg", 95007); got != 1 {
		t.Errorf("the spent token was tried %d times, want once", got)
	}
}

func TestOldSyncTokenIsNotTried(t *testing.T) {
	w := newWorld(t)
	w.syncer()
	w.swallow(true)
	w.says(desk, 5)
	w.must(w.ring(events.Doorbell{Corp: "ww1", OpenKfID: desk, SyncToken: "old", ReceivedAt: time.Now().Add(-syncTokenLife)}))
	w.wait(desk)
	w.wantAll(desk)
	if got := w.sim.Answers("kf/sync_msg", 95007); got != 0 {
		t.Errorf("an old token was tried %d times", got)
	}
}

func TestTokenlessPullsHaveABudget(t *testing.T) {
	w := newWorld(t)
	start, passed := time.Now(), atomic.Int64{}
	r := w.syncer(small(1), func(c *Config, d *Deps) {
		c.TokenlessPerMinute = 60 // 20 at once, then one a second
		d.Now = func() time.Time { return start.Add(time.Duration(passed.Load())) }
	})
	w.swallow(true)
	w.says(desk, 30)
	w.must(w.ring(events.Doorbell{Corp: "ww1", OpenKfID: desk, Event: events.RingSweep}))
	testkit.Eventually(t, "a budget that is used up", func() bool { return r.counted("kf_syncer_setbacks_total", whyBudget) > 0 })
	if got := w.sim.Calls("kf/sync_msg"); got != 20 {
		t.Errorf("got %d calls at once, want 20", got)
	}
	passed.Store(int64(time.Minute))
	w.wait(desk) // by a timer
	w.wantAll(desk)
}

func TestRevokedAccessToken(t *testing.T) {
	w := newWorld(t)
	r := w.syncer(small(10))
	w.says(desk, 30)
	w.wait(desk)
	for _, code := range []int{40014, 42001, 40001} {
		p := w.sim.Personality()
		p.RevokedCode = code
		w.must(w.sim.SetPersonality(p))
		made := w.keeper.made
		_, err := w.sim.RevokeTokens("")
		w.must(err)
		w.says(desk, 30)
		w.wait(desk)
		if got := w.keeper.made - made; got != 1 {
			t.Errorf("%d: %d new tokens, want 1", code, got)
		}
	}
	w.wantAll(desk)
	if got := r.counted("kf_syncer_setbacks_total"); got != 0 {
		t.Errorf("%d turns were put off, want none", got)
	}
}

func TestRateLimitPausesAllReplicas(t *testing.T) {
	w := newWorld(t)
	w.account("wkTWO")
	for range 2 {
		w.syncer().ready(true, "")
	}
	w.says(desk, 1) // both know their way
	w.wait(desk)
	_, err := w.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultErrCode, ErrCode: 45009, Path: "kf/sync_msg", Count: 1})
	w.must(err)
	w.says(desk, 5)
	key := events.ThrottleKey("ww1", apiSync)
	testkit.Eventually(t, "the pause", func() bool {
		e, err := w.bus.Read(w.ctx(), events.BucketThrottle, key)
		return err == nil && e.Value != nil
	})
	before := w.sim.Calls("kf/sync_msg")
	w.says("wkTWO", 5)
	testkit.Eventually(t, "an empty work queue: timers stand for the doorbells", func() bool { return w.sim.PendingCallbacks() == 0 && w.doorbells() == 0 })
	e, err := w.bus.Read(w.ctx(), events.BucketThrottle, key)
	w.must(err)
	if during := w.sim.Calls("kf/sync_msg") - before; e.Value != nil && during != 0 {
		t.Errorf("%d calls while the API was shut, want none", during)
	}
	w.wait(desk, "wkTWO") // nobody rings: the timers do
	w.wantAll(desk)
	w.wantAll("wkTWO")
}

func TestTokenlessLimitLeavesOthersAlone(t *testing.T) {
	w := newWorld(t, func(c *kfsim.Config) { c.Personality.TokenlessPerMinute = 1 })
	r := w.syncer(func(c *Config, _ *Deps) { c.Accounts = []string{desk} })
	r.ready(true, "")
	testkit.Eventually(t, "the first sweep", func() bool { return r.counted("kf_syncer_sweeps_total") > 0 && w.doorbells() == 0 })
	w.must(w.ring(events.Doorbell{Corp: "ww1", OpenKfID: desk, Event: events.RingSweep}))
	testkit.Eventually(t, "a pull put off", func() bool { return r.counted("kf_syncer_setbacks_total", whyPaused) > 0 })
	w.says(desk, 5) // these callbacks have tokens
	w.wait(desk)
	w.wantAll(desk)
}

func TestOneFailureIsTriedAgainAtOnce(t *testing.T) {
	w := newWorld(t)
	r := w.syncer()
	r.ready(true, "")
	for _, f := range []kfsim.Fault{{Kind: kfsim.FaultHTTP500Before}, {Kind: kfsim.FaultErrCode, ErrCode: -1}} {
		f.Path, f.Count = "kf/sync_msg", 1
		_, err := w.sim.AddFault(f)
		w.must(err)
		w.says(desk, 1)
		w.wait(desk)
	}
	w.wantAll(desk)
	if got := r.counted("kf_syncer_setbacks_total"); got != 0 {
		t.Errorf("%d turns were put off, want none", got)
	}
}

func TestPlatformDown(t *testing.T) {
	w := newWorld(t)
	r := w.syncer()
	r.ready(true, "")
	_, err := w.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultHTTP500Before, Path: "kf/sync_msg"})
	w.must(err)
	w.says(desk, 3)
	r.ready(false, "platform: sync_msg")
	testkit.Eventually(t, "an empty work queue: a timer stands for the doorbell", func() bool { return w.doorbells() == 0 })
	if c := w.cursor(desk); c.ColdStart.IsZero() || c.Page != 0 {
		t.Errorf("got cursor %+v, want one that remembers when the account began", c)
	}
	w.sim.RemoveFaults()
	r.ready(true, "")
	w.wait(desk)
	w.wantAll(desk)
}

// What nobody of ours would write into the shared pause shuts an API for a minute as well, not for ever.
func TestPauseThatNobodyOfOursWrote(t *testing.T) {
	w := newWorld(t)
	r := w.prepare()
	for _, value := range []string{`{"until":"9999-12-31T23:59:59Z"}`, `{"until":"0001-01-01T00:00:00Z"}`, `{"until":7}`, ``} {
		w.must(w.bus.Put(w.ctx(), events.BucketThrottle, events.ThrottleKey("ww1", apiSync), []byte(value), 0))
		var shut *shutError
		if err := r.open(w.ctx(), apiSync); !errors.As(err, &shut) {
			t.Errorf("%q: got %v, want that it is shut", value, err)
			continue
		}
		if got := r.waits.opens(shut, time.Now()); got <= 0 || got > 2*minuteBlock {
			t.Errorf("%q: an account waits %v, want about a minute", value, got)
		}
	}
}
