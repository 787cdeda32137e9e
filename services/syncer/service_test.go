package syncer

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

func TestOldMessagesAreHistory(t *testing.T) {
	w := newWorld(t)
	clock := w.sim.Clock()
	w.swallow(true)
	clock.Advance(-2 * time.Hour)
	w.says(desk, 20) // before anybody listened
	clock.Advance(time.Hour)
	w.swallow(false)
	w.says(desk, 1) // its doorbell waits for an hour
	testkit.Eventually(t, "the doorbell", func() bool { return w.doorbells() > 0 })
	clock.Advance(time.Hour)
	w.says(desk, 10)
	w.syncer(small(7), sweeping)
	w.wait(desk)
	for i, r := range w.wantAll(desk) {
		if want := i < 20; r.history != want {
			t.Errorf("item %d on %s: got history %v, want %v", i, r.subject, r.history, want)
		}
	}
}

func TestColdStartOutlivesAFailedFirstPull(t *testing.T) {
	w := newWorld(t)
	w.sim.Clock().Advance(-time.Hour)
	id, err := w.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultHTTP500Before, Path: "kf/sync_msg"})
	w.must(err)
	w.says(desk, 1)
	testkit.Eventually(t, "the doorbell", func() bool { return w.doorbells() > 0 })
	first := w.syncer()
	testkit.Eventually(t, "a pull put off", func() bool { return first.counted("kf_syncer_setbacks_total", whyTransport) > 0 })
	first.stop()
	w.must(w.bus.JS.DeleteStream(w.ctx(), events.StreamTimer)) // the doorbell is gone for good
	_, err = w.bus.Apply(w.ctx(), quick(2))
	w.must(err)
	w.sim.Clock().Advance(time.Hour)
	w.sim.RemoveFault(id)
	w.syncer(sweeping)
	w.wait(desk)
	if rows := w.wantAll(desk); rows[0].history {
		t.Error("the first message, which rang, became history")
	}
}

func TestWaitsForTheTopology(t *testing.T) {
	w := emptyWorld(t)
	w.platform()
	r := w.syncer(sweeping)
	r.ready(false, "topology: stream KF_CALLBACK is missing")
	_, err := w.bus.Apply(w.ctx(), quick(2))
	w.must(err)
	r.ready(true, "")
	w.says(desk, 3)
	w.wait(desk)
	w.must(w.bus.JS.DeleteStream(w.ctx(), events.StreamTimer))
	r.ready(false, "topology: stream KF_TIMER is missing")
	_, err = w.bus.Apply(w.ctx(), quick(2))
	w.must(err)
	r.ready(true, "")
	w.says(desk, 3)
	w.wait(desk)
	w.wantAll(desk)
}

func TestLanesOfAStreamThatWasMadeAgain(t *testing.T) {
	w := newWorld(t)
	r := w.syncer(sweeping)
	r.ready(true, "")
	w.must(w.bus.JS.DeleteStream(w.ctx(), events.StreamCallback))
	_, err := w.bus.Apply(w.ctx(), quick(2))
	w.must(err)
	r.ready(true, "")
	w.says(desk, 3)
	w.wait(desk)
	w.wantAll(desk)
}

func TestAccountIsTakenInWhenItIsGranted(t *testing.T) {
	w := newWorld(t)
	w.must(w.sim.Authorize(desk, false))
	r := w.syncer()
	r.ready(true, "")
	w.swallow(true)
	w.says(desk, 5)
	w.swallow(false)
	testkit.Eventually(t, "the withdrawal", func() bool { return w.sim.PendingCallbacks() == 0 && w.doorbells() == 0 })
	if got := w.sim.Calls("kf/sync_msg"); got != 0 {
		t.Errorf("%d pulls of an account that is not ours", got)
	}
	w.must(w.sim.Authorize(desk, true)) // no other callback
	w.wait(desk)
	w.wantAll(desk)
	if got := r.counted("kf_syncer_accounts"); got != 1 {
		t.Errorf("%d accounts are swept, want 1", got)
	}
}

func TestAccountThatIsNotThere(t *testing.T) {
	w := newWorld(t)
	r := w.syncer()
	r.ready(true, "")
	for _, id := range []string{"wkNOBODY", "nonsense", strings.Repeat("wk", 50), "wk.*.>"} {
		w.must(w.ring(events.Doorbell{Corp: "ww1", OpenKfID: id, Event: events.RingMessage, SyncToken: "x", ReceivedAt: time.Now()}))
	}
	testkit.Eventually(t, "all given up", func() bool { return r.counted("kf_syncer_setbacks_total", whyAccount) == 4 && w.doorbells() == 0 })
	if _, err := w.bus.Last(w.ctx(), events.StreamMessage, "kf.cursor.>"); err == nil {
		// desk may have been swept; nobody else may have left a cursor
		for _, id := range []string{"wkNOBODY", "nonsense"} {
			if _, err := w.bus.Last(w.ctx(), events.StreamMessage, events.CursorSubject("ww1", id)); err == nil {
				t.Errorf("%s has a cursor", id)
			}
		}
	}
	if _, err := w.bus.Last(w.ctx(), events.StreamTimer, ">"); err == nil {
		t.Error("a timer was armed: it would ring for ever")
	}
	r.ready(true, "")
}

func TestDoorbellsThatAreNone(t *testing.T) {
	w := newWorld(t)
	r := w.syncer()
	r.ready(true, "")
	e, err := events.Own("x", "/test", events.TypeCallback, "not an object")
	w.must(err)
	_, _, err = w.bus.Publish(w.ctx(), bus.Message{Subject: events.CallbackSubject("ww1", "wk1"), Event: e})
	w.must(err)
	_, err = w.bus.JS.Publish(w.ctx(), events.CallbackSubject("ww1", "wk2"), []byte("no event"))
	w.must(err)
	huge, err := events.Own("x", "/test", events.TypeCallback, map[string]string{"corp": "ww1", "open_kfid": desk, "pad": strings.Repeat("x", mostBell)})
	w.must(err)
	_, _, err = w.bus.Publish(w.ctx(), bus.Message{Subject: events.CallbackSubject("ww1", "wk5"), Event: huge}) // it could not be armed as a timer
	w.must(err)
	w.must(w.ring(events.Doorbell{Corp: "ww2", OpenKfID: "wk3"}))
	w.must(w.ring(events.Doorbell{Corp: "ww1", Event: "kf_something_new"}))
	w.account("wkYEAR0")
	w.must(w.ring(events.Doorbell{Corp: "ww1", OpenKfID: "wkYEAR0", ReceivedAt: time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)}))
	testkit.Eventually(t, "an empty work queue", func() bool { return w.doorbells() == 0 })
	if got := len(w.dead(reasonMalformed)); got != 3 {
		t.Errorf("%d dead letters of what is no doorbell, want 3", got)
	}
	if got := len(w.dead(reasonForeign)); got != 1 {
		t.Errorf("%d dead letters of another corp's, want 1", got)
	}
	w.says(desk, 1)
	w.wait(desk)
	w.wantAll(desk)
}

func TestNothingSecretIsSaid(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	var log bytes.Buffer
	w.log = zerolog.New(&locked{&mu, &log})
	r := w.syncer(small(5))
	const text = "a gift for my mother"
	_, err := w.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultResetAfter, Path: "kf/sync_msg", Probability: 0.4})
	w.must(err)
	for range 20 {
		_, err := w.sim.CustomerSays(desk, ann, text)
		w.must(err)
	}
	_, err = w.sim.Inject(desk, []byte(`{"msgtype":["`+text+`"]}`))
	w.must(err)
	syncToken := ""
	for _, from := range []string{events.StreamCallback, events.StreamTimer} {
		if s, err := w.bus.Last(w.ctx(), from, ">"); err == nil {
			if b, err := readBell(s, "ww1"); err == nil {
				syncToken = b.SyncToken
			}
		}
	}
	w.wait(desk)
	w.must(w.ring(events.Doorbell{Corp: "ww2", OpenKfID: "wk3", SyncToken: "canary"}))
	testkit.Eventually(t, "the dead letter", func() bool { return len(w.dead(reasonForeign)) > 0 })
	r.stop()
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(log.String(), "page stored") {
		t.Fatal("nothing was logged")
	}
	for name, secret := range map[string]string{"access token": w.keeper.token, "sync token": syncToken, "sync token of a foreign doorbell": "canary",
		"text": text, "corp secret": w.corp.Secrets[0]} {
		if secret != "" && strings.Contains(log.String(), secret) {
			t.Errorf("the log has the %s", name)
		}
	}
	for _, d := range w.dead(reasonForeign) {
		if strings.Contains(d.Detail, "canary") {
			t.Errorf("a dead letter's detail has the sync token")
		}
	}
}

type locked struct {
	mu *sync.Mutex
	b  *bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	w := newWorld(t)
	r := w.prepare()
	d := Deps{Deps: service.Deps{Log: zerolog.Nop(), Metrics: r.reg, Health: r.health, Now: time.Now}, Corp: "ww1", Bus: w.bus, API: w.client, Tokens: w.keeper}
	if _, err := New(Config{}, d); err == nil {
		t.Error("a configuration of zeros was accepted")
	}
	if _, err := New(defaultConfig(t), d); err == nil || !strings.Contains(err.Error(), "duplicate") {
		t.Errorf("two syncers on one registry: got %v, want an error", err)
	}
	d.Corp = ""
	if _, err := New(defaultConfig(t), d); err == nil {
		t.Error("no corp was accepted")
	}
}
