package sender

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/localnats"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/services/sender/window"
)

func timerOf(user string) string {
	return events.TimerSubject(bus.ServiceWindow, events.ConversationKey(corp, desk, user))
}

// timer is when the timer of a customer's window is due, by our clock; zero if there is none.
func (w *world) timer(user string) time.Time {
	w.Helper()
	m, err := w.bus.Last(w.ctx(), events.StreamTimer, timerOf(user))
	if errors.Is(err, bus.ErrNotFound) {
		return time.Time{}
	}
	w.must(err)
	at, err := time.Parse("@at "+time.RFC3339Nano, m.Header.Get("Nats-Schedule"))
	w.must(err)
	return at
}

// ring makes the timer of a customer's window due, as it is when its time has passed, and waits until somebody has seen to it.
func (w *world) ring(user string) {
	w.Helper()
	w.trigger(user)
	testkit.Eventually(w, "the timer to be seen to", func() bool { return w.read(events.StreamTimer, bus.DurableDueWindow, "kf.due.window.>") })
}

func (w *world) trigger(user string) {
	w.Helper()
	body, err := json.Marshal(watched{desk, user})
	w.must(err)
	w.fire(bus.ServiceWindow, events.ConversationKey(corp, desk, user), body)
}

// fire makes a timer due.
func (w *world) fire(service, key string, body []byte) {
	w.Helper()
	due := events.DueSubject(service, key)
	before := w.count(events.StreamTimer, due)
	w.must(w.bus.Arm(w.ctx(), service, key, time.Now(), body))
	testkit.Eventually(w, "the timer to be due", func() bool { return w.count(events.StreamTimer, due) > before })
}

// told returns the events of a customer's windows, as they are stored.
func (w *world) told(user string) (names []string, list []event.Event) {
	w.Helper()
	subject := of(events.Subject{Corp: events.Token(corp), Account: events.Token(desk), User: events.Token(user)}, events.KindEvent, "*")
	for seq := uint64(1); ; {
		m, err := w.bus.Next(w.ctx(), events.StreamMessage, seq, subject)
		if errors.Is(err, bus.ErrNotFound) {
			return names, list
		}
		w.must(err)
		s, err := events.ParseSubject(m.Subject)
		w.must(err)
		for _, name := range events.WindowEvents() {
			if s.Name == name {
				e, err := m.Event()
				w.must(err)
				names, list = append(names, name), append(list, e)
			}
		}
		seq = m.Seq + 1
	}
}

func (w *world) wantTold(user, want string) []event.Event {
	w.Helper()
	names, list := w.told(user)
	if got := strings.Join(names, " "); got != want {
		w.Errorf("events of %s's window: got %q, want %q", user, got, want)
	}
	return list
}

// slept is a customer who wrote, and after whom so much time passed.
func (w *world) slept(user string, d time.Duration) {
	w.Helper()
	w.customer(user)
	w.says(user)
	w.noted()
	w.pass(d)
	w.newToken()
}

const nearEnd = window.Length - window.ClosingFor

func TestWindowEvents(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.says(ann)
	w.noted()
	if got, want := w.timer(ann), time.Now().Add(nearEnd); got.Sub(want).Abs() > time.Minute {
		t.Errorf("the timer is due at %v, want half an hour before the end, %v", got, want)
	}
	for _, id := range ids("c", 3) {
		w.send(ann, id)
		w.want(id, "accepted")
	}
	w.wantTold(ann, "")
	w.send(ann, "fourth")
	w.want("fourth", "accepted")
	testkit.Eventually(t, "the last slot to be told of", func() bool { names, _ := w.told(ann); return len(names) == 1 })
	testkit.Eventually(t, "the timer to be set again", func() bool { return time.Until(w.timer(ann)) > nearEnd-time.Minute })
	w.pass(nearEnd + time.Second)
	w.ring(ann)
	w.wantTold(ann, "last_slot window_closing")
	w.pass(window.ClosingFor)
	w.ring(ann)
	list := w.wantTold(ann, "last_slot window_closing window_closed")
	if got := w.timer(ann); !got.IsZero() {
		t.Errorf("after the end a timer is due at %v", got)
	}
	for range 3 { // the same once more, also when the broker has forgotten the ids
		w.ring(ann)
		w.stream(events.StreamMessage, func(c *jetstream.StreamConfig) { c.Duplicates = 100 * time.Millisecond })
	}
	w.wantTold(ann, "last_slot window_closing window_closed")

	ends := list[0].ID()[strings.LastIndexByte(list[0].ID(), ':'):]
	for i, left := range []int{1, 1, 0} {
		e, name := list[i], events.WindowEvents()[[]int{1, 0, 2}[i]]
		var c events.Conversation
		w.must(e.DataAs(&c))
		if e.ID() != name+":"+ann+ends || e.Type() != "io.github.kfbus.event."+name+".v1" || e.Source() != events.Source(corp, desk) ||
			e.Subject() != ann || e.Extensions()[events.ExtExternalUserID] != ann || e.Extensions()[events.ExtOpenKfID] != desk ||
			e.Extensions()[events.ExtTraceParent] == nil || !strings.HasSuffix(e.DataSchema(), "/event."+name+".json") {
			t.Errorf("%s: got %v", name, e)
		}
		if e.Extensions()[events.ExtOrigin] != nil || e.Extensions()[events.ExtSeq] != nil {
			t.Errorf("%s looks like an item of the platform's: %v", name, e.Extensions())
		}
		if c.SendsLeft != left || c.ExternalUserID != ann || c.LastMessage == nil || c.LastSend == nil || c.LastSend.MsgID != msgID(ann, "fourth") {
			t.Errorf("%s: data is %s, want %d sends left", name, e.Data(), left)
		}
	}
	if v := w.view(ann); v.SendsLeft != 0 {
		t.Errorf("after the end the view tells of %d sends left", v.SendsLeft)
	}
}

// None of our own events is a message of the customer's.
func TestWindowEventsOpenNothing(t *testing.T) {
	w := newWorld(t)
	w.customer("wmGONE")
	w.wrote("wmGONE", window.Length+2*time.Second) // before a sender learns the platform's clock
	r := w.start()
	w.noted()
	testkit.Eventually(t, "the end of a window that was over when it was heard of", func() bool { names, _ := w.told("wmGONE"); return len(names) > 0 })
	w.wantTold("wmGONE", "window_closed")
	before, _ := w.ledger("wmGONE")
	w.noted()
	w.purgeLedger("wmGONE") // to be made anew from the streams
	w.send("wmGONE", "late")
	w.want("late", "refused/window_closed")
	if l, _ := w.ledger("wmGONE"); l.CustomerAt != before.CustomerAt || l.CustomerMsgID != before.CustomerMsgID || l.CustomerSeq != before.CustomerSeq {
		t.Errorf("the customer's last message is %v %s of %d, was %v %s of %d", l.CustomerAt, l.CustomerMsgID, l.CustomerSeq,
			before.CustomerAt, before.CustomerMsgID, before.CustomerSeq)
	}
	if got := counter(t, r.reg, "kf_sender_window_events_total"); got != 1 {
		t.Errorf("got %v events counted, want 1", got)
	}
}

// What there is to tell depends on what was sent, and on when anybody looks.
func TestWindowEventsWhenSomebodyLooks(t *testing.T) {
	for name, c := range map[string]struct {
		sends int
		rings []time.Duration // after the customer wrote
		want  string
	}{
		"nobody answered":              {0, []time.Duration{nearEnd, window.Length}, "window_closing window_closed"},
		"all five are spent":           {5, []time.Duration{nearEnd, window.Length}, "last_slot window_closed"},
		"too early":                    {0, []time.Duration{time.Minute, nearEnd - 10*time.Second}, ""},
		"nobody looked near its end":   {0, []time.Duration{window.Length + time.Hour}, "window_closed"},
		"again and again near its end": {0, []time.Duration{nearEnd, nearEnd + time.Minute, nearEnd + 2*time.Minute}, "window_closing"},
		"a day late":                   {4, []time.Duration{window.Length + 24*time.Hour}, "last_slot window_closed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.start()
			w.says(ann)
			w.noted()
			for _, id := range ids("c", c.sends) {
				w.send(ann, id)
				w.want(id, "accepted")
			}
			w.quiet()
			if c.sends > 3 {
				testkit.Eventually(t, "the last slot", func() bool { names, _ := w.told(ann); return len(names) > 0 })
			}
			for _, at := range c.rings {
				w.pass(at + 2*time.Second - time.Duration(w.ahead.Load())) // send_time is up to a second early
				w.ring(ann)
			}
			w.wantTold(ann, c.want)
			if at := w.timer(ann); at.IsZero() != strings.HasSuffix(c.want, "closed") {
				t.Errorf("the timer is due at %v", at)
			}
		})
	}
}

// A customer who writes again at the edge has a new window, and nothing is told of the old one: also when the message is
// stored and nobody has read it yet.
func TestCustomerWritesAtTheEdge(t *testing.T) {
	for name, at := range map[string]time.Duration{"before it closes": nearEnd, "before it ends": window.Length} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.start()
			w.slept("wmEDGE", at-5*time.Second)
			w.wantTold("wmEDGE", "")
			old := w.timer("wmEDGE")
			pause := func(until time.Time) {
				_, err := w.bus.JS.PauseConsumer(w.ctx(), events.StreamMessage, bus.DurableInbox, until)
				w.must(err)
			}
			pause(time.Now().Add(time.Hour))
			w.says("wmEDGE")
			w.pass(10 * time.Second)
			w.ring("wmEDGE")
			w.wantTold("wmEDGE", "")
			if v := w.viewOf(events.MessageSubject(corp, desk, "text", "wmEDGE")); v.SendsLeft != 5 {
				t.Errorf("the view tells of %d sends left in the new window", v.SendsLeft)
			}
			pause(time.Now())
			w.noted()
			if got := w.timer("wmEDGE"); got.Sub(old) < -time.Minute || time.Until(got) < nearEnd-time.Minute {
				t.Errorf("the timer is due at %v, want half an hour before the end of the new window", got)
			}
			w.pass(window.Length - time.Minute)
			w.ring("wmEDGE")
			w.pass(time.Minute)
			w.ring("wmEDGE")
			list := w.wantTold("wmEDGE", "window_closing window_closed")
			var c events.Conversation
			w.must(list[0].DataAs(&c))
			if items := w.sim.Items(desk); c.LastMessage.MsgID != itemID(t, items[len(items)-1].Raw) {
				t.Errorf("told of the window of %+v, want that of the second message", c.LastMessage)
			}
		})
	}
}

func itemID(t *testing.T, raw []byte) string {
	t.Helper()
	var it struct{ MsgID string }
	if err := json.Unmarshal(raw, &it); err != nil {
		t.Fatal(err)
	}
	return it.MsgID
}

// A sender dies at each point; each event comes once all the same.
func TestCrashAroundWindowEvents(t *testing.T) {
	for _, c := range []struct {
		step string
		do   func(w *world) // makes it happen
		want string
	}{
		{"noted", func(w *world) { w.says(ann) }, ""},
		{"settled", func(w *world) { w.send(ann, "x-3") }, "last_slot"},
		{"published", func(w *world) { w.send(ann, "x-3") }, "last_slot"},
		{"window due", func(w *world) { w.send(ann, "x-3") }, "last_slot"},
		{"window told", func(w *world) { w.send(ann, "x-3") }, "last_slot"},
		{"window due", func(w *world) { w.pass(nearEnd + time.Second); w.trigger(ann) }, "window_closing"},
		{"window told", func(w *world) { w.pass(nearEnd + time.Second); w.trigger(ann) }, "window_closing"},
		{"window due", func(w *world) { w.pass(window.Length + time.Second); w.trigger(ann) }, "window_closed"},
		{"window told", func(w *world) { w.pass(window.Length + time.Second); w.trigger(ann) }, "window_closed"},
	} {
		t.Run(c.want+" "+c.step, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, ackWait(2*time.Second), lanes(2))
			if c.want != "" {
				pre := w.start(brisk)
				w.says(ann)
				w.noted()
				for _, id := range ids("x", 3) {
					w.send(ann, id)
					w.want(id, "accepted")
				}
				w.quiet()
				pre.halt()
			}
			first := w.make(brisk).killAt(c.step, 1).run()
			c.do(w)
			first.died()
			w.newToken()
			w.start(brisk)
			w.quiet()
			testkit.Eventually(t, "the timer to be seen to", func() bool { return w.read(events.StreamTimer, bus.DurableDueWindow, "kf.due.window.>") })
			testkit.Eventually(t, "the event", func() bool { names, _ := w.told(ann); return len(names) >= len(strings.Fields(c.want)) })
			w.wantTold(ann, c.want)
			if c.want != "window_closed" {
				testkit.Eventually(t, "the window to be watched", func() bool { return !w.timer(ann).IsZero() })
			}
		})
	}
}

// The timers are the broker's: they outlive it, and what was due meanwhile is told after.
func TestWindowEventsOutliveTheBroker(t *testing.T) {
	t.Parallel()
	o := localnats.Options{Dir: t.TempDir()}
	srv, err := localnats.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorldOn(t, srv)
	t.Cleanup(func() { w.srv.Close() })
	pre := w.start()
	w.says(ann)
	w.noted()
	w.pass(nearEnd + time.Second)
	pre.halt()
	key := events.ConversationKey(corp, desk, ann)
	body, err := json.Marshal(watched{desk, ann})
	w.must(err)
	at := time.Now().Add(time.Second) // when no broker runs
	w.must(w.bus.Arm(w.ctx(), bus.ServiceWindow, key, at, body))
	w.bus.NC.Close()
	w.srv.Close()
	testkit.Eventually(t, "the timer's time to pass", func() bool { return time.Now().After(at) })
	w.srv, err = localnats.Start(o)
	w.must(err)
	w.bus = testkit.Connect(t, w.srv, "again")
	w.start()
	testkit.Eventually(t, "what was due meanwhile", func() bool { names, _ := w.told(ann); return len(names) > 0 })
	w.wantTold(ann, "window_closing")
}

// Two senders are asked at the same time, again and again.
func TestTwoSendersTellOnce(t *testing.T) {
	w := newWorld(t)
	a, b := w.start(), w.start()
	const users = 20
	var list []string
	for i := range users {
		list = append(list, "wmTELL"+string(rune('A'+i)))
		w.customer(list[i])
		w.says(list[i])
	}
	w.noted()
	w.pass(window.Length + time.Second)
	results := make(chan error)
	for _, user := range list {
		body, err := json.Marshal(watched{desk, user})
		w.must(err)
		for _, r := range []*replica{a, b, a, b} {
			go func() { results <- r.windowDue(context.Background(), &bus.Delivery{Stored: bus.Stored{Data: body}}) }()
		}
	}
	for range 4 * users {
		w.must(<-results)
	}
	for _, user := range list {
		w.wantTold(user, "window_closed")
	}
}

// Four answers go out before the inbox reads the message that allowed them: its timer must not take the place of theirs.
func TestLastSlotBeforeTheInboxHasRead(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.quiet()
	pause := func(stream, durable string, until time.Time) {
		_, err := w.bus.JS.PauseConsumer(w.ctx(), stream, durable, until)
		w.must(err)
	}
	later := time.Now().Add(time.Hour)
	pause(events.StreamMessage, bus.DurableInbox, later)
	pause(events.StreamTimer, bus.DurableDueWindow, later)
	w.says(ann)
	for _, id := range ids("c", 4) {
		w.send(ann, id)
		w.want(id, "accepted")
	}
	const due = "kf.due.window.>"
	testkit.Eventually(t, "the timer of the fourth", func() bool { return w.count(events.StreamTimer, due) > 0 })
	s, err := w.bus.JS.Stream(w.ctx(), events.StreamTimer)
	w.must(err)
	w.must(s.Purge(w.ctx(), jetstream.WithPurgeSubject(due))) // as if it had been replaced before it was due
	pause(events.StreamMessage, bus.DurableInbox, time.Now())
	pause(events.StreamTimer, bus.DurableDueWindow, time.Now())
	testkit.Eventually(t, "the last slot", func() bool { names, _ := w.told(ann); return len(names) > 0 })
	w.wantTold(ann, "last_slot")
	testkit.Eventually(t, "the window to be watched", func() bool { return time.Until(w.timer(ann)) > nearEnd-time.Minute })
}

func TestWindowEventsSwitchedOff(t *testing.T) {
	w := newWorld(t)
	w.start(func(c *Config) { c.WindowEvents = false })
	w.slept("wmQUIET", 0)
	for _, id := range ids("c", 4) {
		w.send("wmQUIET", id)
		w.want(id, "accepted")
	}
	w.quiet()
	w.pass(nearEnd + time.Second)
	w.ring("wmQUIET")
	w.pass(window.ClosingFor)
	w.ring("wmQUIET")
	w.wantTold("wmQUIET", "")
	if v := w.view("wmQUIET"); v.SendsLeft != 0 {
		t.Errorf("the view tells of %d sends left after the end", v.SendsLeft)
	}
}

func TestTimerThatNamesNobodyIsBuried(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.must(w.bus.Arm(w.ctx(), bus.ServiceWindow, "odd", time.Now(), []byte(`{"open_kfid":7}`)))
	testkit.Eventually(t, "a dead letter", func() bool { return len(w.deadLetters()) == 1 })
}
