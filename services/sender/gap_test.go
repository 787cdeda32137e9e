package sender

import (
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/services/sender/window"
)

// Two messages to one customer keep their distance and their order, and other customers of the lane do not wait for them.
func TestGapBetweenMessages(t *testing.T) {
	const gap = 30 * time.Second
	w := newWorld(t, lanes(1))
	w.customer("wmOTHER")
	w.says(ann)
	w.says("wmOTHER")
	w.start(func(c *Config) { c.MinGap = gap })
	w.noted()
	list := ids("c", 4)
	for _, id := range list {
		w.send(ann, id)
	}
	w.want(list[0], "accepted")
	parked := func(n int) {
		t.Helper()
		testkit.Eventually(t, "the others to be put aside", func() bool { l, _ := w.ledger(ann); return len(l.Parked) == n })
	}
	parked(3)
	w.send("wmOTHER", "other")
	w.want("other", "accepted")
	if got := w.posts(apiSend); got != 2 {
		t.Errorf("got %d requests, want the first and the other customer's", got)
	}
	for i := 1; i < len(list); i++ {
		parked(len(list) - i)
		w.pass(gap - 2*time.Second)
		w.wake(list[i])
		if got := w.posts(apiSend); got != i+1 {
			t.Fatalf("before the gap is over: got %d requests, want %d", got, i+1)
		}
		w.pass(2 * time.Second)
		w.wake(list[i])
		w.want(list[i], "accepted")
	}
	w.audit(append(list, "other")...)
	var sent []time.Time
	for i, a := range w.sim.Accepted() {
		if a.ExternalUserID != ann {
			continue
		}
		if want := list[len(sent)]; a.MsgID != msgID(ann, want) {
			t.Errorf("message %d is %s, want that of %s", i, a.MsgID, want)
		}
		sent = append(sent, a.Time)
	}
	for i := 1; i < len(sent); i++ {
		if d := sent[i].Sub(sent[i-1]); d < gap-time.Second { // the clocks differ by less
			t.Errorf("%v between messages %d and %d, want %v", d, i, i+1, gap)
		}
	}
}

// wake makes the timer of a command that was put aside due, and waits until it was decided again.
func (w *world) wake(id string) {
	w.Helper()
	key := timerKey(events.ConversationKey(corp, desk, ann), msgID(ann, id))
	var body []byte
	testkit.Eventually(w, id+" to be put aside", func() bool {
		m, err := w.bus.Last(w.ctx(), events.StreamTimer, events.TimerSubject(bus.ServiceSender, key))
		body = m.Data
		return err == nil
	})
	w.fire(bus.ServiceSender, key, body)
	testkit.Eventually(w, id+" to be decided again", func() bool { return w.read(events.StreamTimer, bus.DurableDueSender, "kf.due.sender.>") })
}

// A short gap is waited for in the lane: putting a command aside would take as long.
func TestShortGapIsWaitedForInTheLane(t *testing.T) {
	const gap = 200 * time.Millisecond
	w := newWorld(t)
	w.says(ann)
	w.start(func(c *Config) { c.MinGap = gap })
	w.noted()
	list := ids("c", 5)
	for _, id := range list {
		w.send(ann, id)
	}
	for _, id := range list {
		w.want(id, "accepted")
	}
	w.audit(list...)
	if l, _ := w.ledger(ann); l.Used() != window.Quota {
		t.Errorf("got %d places taken, want 5", l.Used())
	}
	sent := w.sim.Accepted()
	for i := 1; i < len(sent); i++ {
		if d := sent[i].Time.Sub(sent[i-1].Time); d < gap/2 || sent[i].MsgID != msgID(ann, list[i]) {
			t.Errorf("%v before %s, want about %v or more, in order", d, sent[i].MsgID, gap)
		}
	}
}
