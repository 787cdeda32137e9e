package syncer

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// Who is told that an account was pulled finds everything stored that the platform had when the doorbell rang, on however
// many pages. Of a pull that failed nobody is told.
func TestTellPulled(t *testing.T) {
	w := newWorld(t)
	w.swallow(true)
	w.says(desk, 23)
	sub, err := w.bus.NC.SubscribeSync(events.PulledSubject(w.corp.CorpID, "*"))
	w.must(err)
	w.must(w.bus.NC.Flush())
	_, err = w.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultErrCode, Path: "kf/sync_msg", ErrCode: 95004, Count: 1})
	w.must(err)
	w.syncer(func(c *Config, _ *Deps) { c.PageLimit, c.Sweep, c.AccountList = 5, time.Hour, time.Hour })
	testkit.Eventually(t, "the first doorbell to be given up", func() bool { return w.sim.Calls("kf/sync_msg") == 1 && w.doorbells() == 0 })
	if n, _, _ := sub.Pending(); n != 0 {
		t.Errorf("told %d times of a pull that the platform refused", n)
	}
	rang := time.Now()
	w.must(w.ring(events.Doorbell{Corp: w.corp.CorpID, OpenKfID: desk, Event: events.RingFresh, ReceivedAt: rang}))
	m, err := sub.NextMsg(testkit.Patience)
	w.must(err)
	if got := len(w.stored(desk)); got != 23 {
		t.Errorf("%d items are stored when it is told, want all 23", got)
	}
	var said events.Pulled
	w.must(json.Unmarshal(m.Data, &said))
	if m.Subject != fmt.Sprintf("kf.pulled.%s.%s", w.corp.CorpID, desk) || said.Seq == 0 || said.Rang.Before(rang) || said.Rang.After(time.Now()) {
		t.Errorf("got %s %s, want the doorbell that was answered, rung at %v", m.Subject, m.Data, rang)
	}
}
