package sender

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
)

// syncers answer doorbells as the real ones do: what the platform has is stored, and then somebody is told. It returns the
// number of doorbells.
func (w *world) syncers() *atomic.Int64 {
	w.Helper()
	var rings atomic.Int64
	ctx, stop := context.WithCancel(context.WithoutCancel(w.ctx()))
	done := make(chan error, 1)
	go func() {
		done <- w.bus.ConsumeDoorbells(ctx, bus.Consuming{Service: bus.ServiceSyncer, Drain: time.Second}, func(_ context.Context, d *bus.Delivery) error {
			rings.Add(1)
			w.pump()
			w.pulledSince(d.Time, d.Seq)
			return nil
		})
	}()
	w.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			w.Error(err)
		}
	})
	return &rings
}

func (w *world) pulledSince(rang time.Time, seq uint64) {
	w.Helper()
	body, err := json.Marshal(events.Pulled{Rang: rang, Seq: seq})
	w.must(err)
	w.must(w.bus.NC.Publish(events.PulledSubject(corp, desk), body))
}

func patient(d time.Duration) func(*Config) { return func(c *Config) { c.FreshWait = d } }

// The customer has written, and no callback came: the answer is held until the account has been pulled.
func TestUntoldMessageIsPulledBeforeARefusal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rings := w.syncers()
	r := w.start(patient(time.Minute))
	_, err := w.sim.CustomerSays(desk, ann, canary)
	w.must(err)
	w.send(ann, "answer")
	w.want("answer", "accepted")
	for _, id := range ids("more", 5) {
		w.send(ann, id)
	}
	for _, id := range ids("more", 4) {
		w.want(id, "accepted")
	}
	if n := rings.Load(); n != 1 {
		t.Errorf("%d doorbells for one send that was in doubt and four that were not, want 1", n)
	}
	w.want("more-4", "refused/quota_spent")
	w.audit(append(ids("more", 5), "answer")...)
	if got := counter(t, r.reg, "kf_sender_pulls_asked_total"); got != 2 || rings.Load() != 2 {
		t.Errorf("%v doorbells rung and %d answered, want 2: one for each send that would be refused", got, rings.Load())
	}
}

// Nobody pulls. The commands of others in the same lane go on, and in the end it is refused: after the wait, or before it
// expires.
func TestRefusalThatNobodyConfirms(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		wait   time.Duration
		expiry string
	}{
		{"the wait is over", 3 * time.Second, ""},
		{"it would expire", time.Minute, "5s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, lanes(1))
			w.customer("wmBOB")
			w.says("wmBOB")
			r := w.start(patient(c.wait), func(c *Config) { c.LaneWait = time.Second })
			w.noted()
			body := text()
			if c.expiry != "" {
				d, err := time.ParseDuration(c.expiry)
				w.must(err)
				body["expirytime"] = time.Now().Add(d).UTC().Format(time.RFC3339Nano)
			}
			w.command(events.VerbSend, ann, "doubted", body)
			testkit.Eventually(t, "it to be put aside", func() bool { return w.count(events.StreamTimer, "kf.timer.>") > 0 })
			w.send("wmBOB", "other")
			w.want("other", "accepted")
			if got := w.of("doubted"); len(got) != 0 {
				t.Errorf("it was refused before the other conversation went on: %+v", got)
			}
			w.want("doubted", "refused/never_opened")
			w.audit("doubted", "other")
			if counter(t, r.reg, "kf_sender_pulls_missed_total") != 1 {
				t.Error("that nobody pulled is not counted")
			}
		})
	}
}

// What was put aside is taken up by the word of a syncer, and only by one that is new enough.
func TestAsideUntilThePull(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.start(patient(10*time.Minute), func(c *Config) { c.LaneWait = time.Second })
	w.send(ann, "answer")
	testkit.Eventually(t, "it to be put aside", func() bool {
		r.pulls.mu.Lock()
		defer r.pulls.mu.Unlock()
		a := r.pulls.accounts[desk]
		return a != nil && len(a.aside) > 0
	})
	m, err := w.bus.Last(w.ctx(), events.StreamCallback, "kf.lane.callback.*."+corp+"."+desk)
	w.must(err)
	w.pulledSince(m.Time.Add(-time.Minute), m.Seq-1) // of another doorbell, long before
	_, err = w.sim.CustomerSays(desk, ann, canary)
	w.must(err)
	w.pump()
	w.pulledSince(m.Time, m.Seq)
	w.want("answer", "accepted")
	w.audit("answer")
}

// A user that may not ring holds nobody up.
func TestDoorbellThatCannotBeRung(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.start(patient(10 * time.Minute))
	w.must(w.bus.JS.DeleteStream(w.ctx(), events.StreamCallback))
	for _, id := range ids("c", 3) {
		w.send(ann, id)
		w.want(id, "refused/never_opened")
	}
	w.audit(ids("c", 3)...)
	if got := counter(t, r.reg, "kf_sender_pulls_asked_total"); got != 1 {
		t.Errorf("rung %v times, want once in a minute", got)
	}
}

// A storm of sends that are refused costs few pulls: one serves all that came before it.
func TestManyRefusalsShareTheirPulls(t *testing.T) {
	t.Parallel()
	const customers = 150
	w := newWorld(t)
	rings := w.syncers()
	w.start(patient(time.Minute), func(c *Config) { c.DueWorkers = 8 })
	began := time.Now()
	list := ids("c", customers)
	for i, id := range list {
		w.send(fmt.Sprintf("wmNEVER%d", i), id)
	}
	for _, id := range list {
		w.want(id, "refused/never_opened")
	}
	most := int64(time.Since(began)/ringEvery) + 2
	if n := rings.Load(); n < 1 || n > most {
		t.Errorf("%d doorbells for %d refusals, want at most %d: one each %v", n, customers, most, ringEvery)
	}
	t.Logf("%d refusals, %d pulls", customers, rings.Load())
}

func TestPulls(t *testing.T) {
	at := time.Now()
	p := newPulls()
	if p.since(desk, at) {
		t.Error("fresh without a word of anybody")
	}
	changed, ring, _, _ := p.wait(desk, at)
	if _, again, pause, _ := p.wait(desk, at); !ring || again || pause != ringLost {
		t.Errorf("got %v, %v and a pause of %v, want one doorbell until it is answered or lost", ring, again, pause)
	}
	p.rang(desk, 7, nil, at)
	if p.told(desk, events.Pulled{Rang: at.Add(time.Second), Seq: 6}); !p.since(desk, at) || p.since(desk, at.Add(time.Second)) {
		t.Error("a pull after a doorbell serves what was stored before that doorbell, and nothing else")
	}
	select {
	case <-changed:
	default:
		t.Error("nobody was woken")
	}
	if _, ring, _, _ := p.wait(desk, at.Add(ringEvery)); ring {
		t.Error("rung again although ours is not answered yet")
	}
	p.told(desk, events.Pulled{Rang: at, Seq: 7})
	if !p.since(desk, at) {
		t.Error("an older word took a newer one back")
	}
	if _, ring, pause, _ := p.wait(desk, at.Add(ringEvery-1)); ring || pause != 1 {
		t.Errorf("got %v after %v, want a pause between two doorbells", ring, pause)
	}
	if _, ring, _, _ := p.wait(desk, at.Add(ringEvery)); !ring {
		t.Error("not rung after the pause")
	}
	if changed, _, _, _ := p.wait(desk, at); p.setAside(desk, changed, timerRef{"c", "m"}) {
		if got := p.told(desk, events.Pulled{}); len(got) != 1 || got[0].msgid != "m" {
			t.Errorf("woken: %v", got)
		}
		if p.setAside(desk, changed, timerRef{"c", "m"}) {
			t.Error("set aside after the word that it waits for")
		}
	}
	p.rang(desk, 0, bus.ErrNoStream, at)
	if !p.deaf(desk, at) || p.deaf(desk, at.Add(ringBroken)) {
		t.Error("a doorbell that cannot be rung is to be left alone for a while")
	}
}
