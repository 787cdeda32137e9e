package window

import (
	"fmt"
	"testing"
	"time"
)

func TestCustomerWroteGivesPlacesBack(t *testing.T) {
	// s1 to s5 were accepted in the first five seconds.
	for _, tc := range []struct {
		name string
		at   time.Duration
		used int
	}{
		{"older message", -time.Hour, 5},
		{"the same second", 0, 5},
		{"between the answers: learned of late", 2 * time.Second, 5},
		{"after the clock's error of the first", 2*time.Second + 999*time.Millisecond, 4},
		{"within the clock's error of the last", 6 * time.Second, 1},
		{"after all", 6*time.Second + time.Millisecond, 0},
	} {
		l, _ := spent(t, 5).CustomerWrote(t0.Add(tc.at), "m2", 2)
		if l.Used() != tc.used {
			t.Errorf("%s: got %d places taken, want %d", tc.name, l.Used(), tc.used)
		}
		if want := At(t0.Add(max(0, tc.at))); l.CustomerAt != want {
			t.Errorf("%s: got window at %v, want %v", tc.name, l.CustomerAt, want)
		}
	}
}

func TestCustomerWroteCarriesOver(t *testing.T) {
	s1 := send("s1")
	sending, _ := post(t, opened(), s1, after(0))
	retry, _ := rules.Settle(sending, s1, 1, Answer{Kind: AnswerNotSent}, after(0))
	once := rules
	once.Tries = 1
	unknown, _ := once.Settle(sending, s1, 1, Answer{}, after(0))
	fixed, _ := rules.Settle(unknown, s1, 1, AnswerOf(0), after(time.Second))
	for _, tc := range []struct {
		name string
		l    Ledger
		at   time.Duration
		used int
	}{
		{"in flight", sending, time.Hour, 1},
		{"to be posted again", retry, time.Hour, 1},
		{"in doubt", unknown, time.Minute, 1},
		{"in doubt, may still take effect", unknown, lateEffect + skew, 1},
		{"in doubt, took effect before or never", unknown, lateEffect + skew + time.Millisecond, 0},
		{"in doubt, then known", fixed, time.Minute, 0},
	} {
		l, _ := tc.l.CustomerWrote(t0.Add(tc.at), "m2", 2)
		if l.Used() != tc.used {
			t.Errorf("%s: got %d places taken, want %d", tc.name, l.Used(), tc.used)
		}
	}
	// Four more fit beside the one in flight, and no fifth.
	l, _ := sending.CustomerWrote(t0.Add(time.Hour), "m2", 2)
	for i := range Quota {
		_, a := rules.Decide(l, send(fmt.Sprint("n", i)), after(time.Hour))
		if want := i < Quota-1; (a.Kind == Post) != want {
			t.Fatalf("message %d beside one in flight: got %+v, want post %v", i+1, a, want)
		}
		if a.Kind == Post {
			l = accepted(t, l, send(fmt.Sprint("n", i)), after(time.Hour))
		}
	}
}

// TestEventsCommute applies every order of a set of events, some twice, to a ledger with history.
func TestEventsCommute(t *testing.T) {
	now := after(time.Hour)
	type event struct {
		name  string
		apply func(Ledger) (Ledger, bool)
	}
	wrote := func(d time.Duration, id string, seq uint64) event {
		return event{id, func(l Ledger) (Ledger, bool) { return l.CustomerWrote(t0.Add(d), id, seq) }}
	}
	changed := func(kind int, d time.Duration, seq uint64) event {
		return event{fmt.Sprint("change ", kind), func(l Ledger) (Ledger, bool) { return l.SessionChanged(kind, t0.Add(d), seq) }}
	}
	failed := func(id string, kind int) event {
		return event{"failed " + id, func(l Ledger) (Ledger, bool) {
			l, res := l.SendFailed(MsgID("", "shop", id), kind, t0.Add(2*time.Minute), now)
			return l, res.Changed
		}}
	}
	start, _ := post(t, spent(t, 4), send("s5"), after(5*time.Second)) // four accepted, one on its way
	for _, events := range [][]event{
		{wrote(time.Minute, "m2", 5), wrote(2*time.Minute, "m3", 6), wrote(2*time.Minute, "m4", 7), wrote(-time.Minute, "m0", 8)},
		{changed(1, time.Minute, 5), changed(2, time.Minute, 6), changed(3, 3*time.Minute, 7), wrote(3*time.Minute, "m2", 8)},
		{changed(3, time.Minute, 5), changed(4, 2*time.Minute, 6), changed(9, 3*time.Minute, 7), wrote(90*time.Second, "m2", 8)},
		{changed(1, time.Minute, 5), changed(3, time.Minute, 6), changed(4, 30*time.Second, 9)},
		{failed("s1", 6), failed("s2", 4), failed("s3", 10), failed("nobody", 6), wrote(time.Minute, "m2", 5)},
		{failed("s1", 5), failed("s2", 0), changed(3, time.Minute, 9)},
		{failed("s5", 10), wrote(time.Minute, "m2", 5), wrote(3*time.Minute, "m3", 6)},
		{{"agent", func(l Ledger) (Ledger, bool) { return l.AgentWrote(t0.Add(time.Minute)) }},
			{"agent again", func(l Ledger) (Ledger, bool) { return l.AgentWrote(t0) }}, wrote(time.Hour, "m2", 3)},
	} {
		var want *Ledger
		permute(events, func(order []event) {
			l, trace := start, ""
			for _, e := range order {
				trace += e.name + ", "
				was := reload(t, l)
				var changed bool
				if l, changed = e.apply(l); !changed {
					same(t, trace+"unchanged", l, was)
				}
				twice, changed := e.apply(l)
				if changed {
					t.Errorf("%s: changed the ledger again", trace)
				}
				same(t, trace+"twice", twice, l)
			}
			if want == nil {
				want = &l
			}
			same(t, trace, l, *want)
		})
	}
}

func permute[T any](items []T, visit func([]T)) {
	var walk func(int)
	walk = func(n int) {
		if n == len(items) {
			visit(items)
			return
		}
		for i := n; i < len(items); i++ {
			items[n], items[i] = items[i], items[n]
			walk(n + 1)
			items[n], items[i] = items[i], items[n]
		}
	}
	walk(0)
}

func TestSessionChanged(t *testing.T) {
	for _, tc := range []struct {
		change int
		state  int
		rises  bool
	}{{1, 3, true}, {2, 3, true}, {3, 4, false}, {4, 3, true}, {0, 0, false}, {5, 0, false}} {
		l, _ := opened().SessionChanged(tc.change, t0.Add(time.Minute), 2)
		if l.SessionState() != tc.state || (l.Generation > 0) != tc.rises {
			t.Errorf("change %d: got state %d generation %d, want %d, rises %v", tc.change, l.SessionState(), l.Generation, tc.state, tc.rises)
		}
	}
	for _, tc := range []struct {
		name string
		at   time.Duration
		seq  uint64
		want int
	}{
		{"later", 2 * time.Minute, 1, 4},
		{"earlier, though stored later", 30 * time.Second, 9, 3},
		{"in the same second, stored later", time.Minute, 9, 4},
		{"in the same second, stored earlier", time.Minute, 1, 3},
	} {
		l, _ := opened().SessionChanged(1, t0.Add(time.Minute), 2)
		if l, _ = l.SessionChanged(3, t0.Add(tc.at), tc.seq); l.SessionState() != tc.want {
			t.Errorf("end %s: got state %d, want %d", tc.name, l.SessionState(), tc.want)
		}
	}
	l, _ := opened().SessionChanged(1, t0.Add(time.Minute), 2)
	was := l.Generation
	if l, _ = l.SessionChanged(2, t0.Add(2*time.Minute), 3); l.Generation <= was {
		t.Errorf("got generation %d after %d, want a rise with each takeover", l.Generation, was)
	}
	if l, _ = l.SessionChanged(1, time.Unix(-5, 0), 4); l.SessionState() != 3 {
		t.Errorf("got state %d from a time before all", l.SessionState())
	}
}

func TestSendFailed(t *testing.T) {
	s1 := send("s1")
	sending, _ := post(t, opened(), s1, after(0))
	doubt, _ := rules.Settle(sending, s1, 1, Answer{}, after(0))
	once := rules
	once.Tries = 1
	unknown, _ := once.Settle(sending, s1, 1, Answer{}, after(0))
	sent := accepted(t, opened(), s1, after(0))
	wrote, _ := sent.CustomerWrote(t0.Add(time.Minute), "m2", 2)

	for _, tc := range []struct {
		name     string
		l        Ledger
		failType int
		outcome  State
		used     int
		next     Reason // of the next send; "" is: it may go
	}{
		{"over 48 hours", sent, 4, Accepted, 0, ReasonWindowClosed},
		{"session closed", sent, 5, Accepted, 1, ReasonSessionState},
		{"over five", sent, 6, Accepted, 0, ReasonQuotaSpent},
		{"refused by the customer", sent, 10, Accepted, 1, ""},
		{"unknown reason", sent, 0, Accepted, 1, ""},
		{"over five, in an older window", wrote, 6, Accepted, 0, ""},
		{"outcome was unknown", unknown, 10, Unknown, 1, ""},
		{"before its answer", sending, 10, Accepted, 1, ""},
		{"instead of its answer", doubt, 6, Accepted, 0, ReasonQuotaSpent},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, res := tc.l.SendFailed(s1.MsgID(), tc.failType, t0.Add(time.Second), after(time.Second))
			if res.Kind != Finished || !res.Changed || res.Outcome.State != tc.outcome || len(res.Corrections) != 1 {
				t.Fatalf("got %+v, want %s and its correction", res, tc.outcome)
			}
			if o := res.Corrections[0]; o.State != Failed || o.Corrects != tc.outcome || o.Reason != ReasonDeliveryFailed ||
				o.FailType != tc.failType || o.MsgID != s1.MsgID() || o.Team != "shop" || o.ID != "s1" {
				t.Errorf("got %+v, want failed, type %d", o, tc.failType)
			}
			if l.Used() != tc.used {
				t.Errorf("got %d places taken, want %d", l.Used(), tc.used)
			}
			if _, a := rules.Decide(l, send("s2"), after(2*time.Minute)); a.Outcome.Reason != tc.next {
				t.Errorf("next send: got %+v, want %q", a, tc.next)
			}
			twice, res2 := l.SendFailed(s1.MsgID(), tc.failType, t0.Add(time.Second), after(time.Minute))
			if same(t, "again", twice, l); res2.Changed || len(res2.Corrections) != 1 || res2.Corrections[0] != res.Corrections[0] {
				t.Errorf("again: got %+v, want the same correction, unchanged", res2)
			}
			late, res3 := rules.Settle(l, s1, 1, AnswerOf(0), after(time.Minute))
			if same(t, "its answer afterwards", late, l); res3.Changed || res3.Outcome != res.Outcome {
				t.Errorf("its answer afterwards: got %+v, want %+v", res3, res.Outcome)
			}
		})
	}
	failed, _ := sending.SendFailed(s1.MsgID(), 10, t0.Add(time.Second), after(time.Second))
	if l, _ := failed.CustomerWrote(t0.Add(30*time.Second), "m2", 2); l.Used() != 0 {
		t.Errorf("got %d places taken, want none: the event tells that it was accepted before the customer wrote", l.Used())
	}
	for _, msgid := range []string{"", "from_msgid_1", command(Recall, "c1").MsgID()} {
		l, _ := post(t, sent, command(Recall, "c1"), after(0))
		if _, res := l.SendFailed(msgid, 6, t0, after(0)); res.Kind != Nothing {
			t.Errorf("msgid %q is not a message of ours: got %+v", msgid, res)
		}
	}
}

// Each fail_type that is documented, or was, and some that are not.
func TestSendFailedByType(t *testing.T) {
	for failType := -1; failType <= 20; failType++ {
		used, next := 1, ReasonNone
		switch failType {
		case 4:
			used, next = 0, ReasonWindowClosed
		case 5:
			next = ReasonSessionState
		case 6:
			used, next = 0, ReasonQuotaSpent
		}
		s1 := send("s1")
		l, res := accepted(t, opened(), s1, after(0)).SendFailed(s1.MsgID(), failType, t0.Add(time.Second), after(time.Second))
		if len(res.Corrections) != 1 || res.Corrections[0].FailType != failType || res.Corrections[0].State != Failed {
			t.Errorf("type %d: got %+v, want one correction", failType, res)
		}
		if l.Used() != used || GivesBack(failType) != (used == 0) {
			t.Errorf("type %d: got %d places taken, want %d", failType, l.Used(), used)
		}
		if _, a := rules.Decide(l, send("s2"), after(time.Minute)); a.Outcome.Reason != next {
			t.Errorf("type %d: the next send got %+v, want %q", failType, a, next)
		}
		l, _ = l.CustomerWrote(t0.Add(time.Hour), "m2", 2)
		if _, a := rules.Decide(l, send("s3"), after(time.Hour)); a.Kind != Post || l.Used() != 0 {
			t.Errorf("type %d: after the customer's next message got %+v with %d places taken, want a post", failType, a, l.Used())
		}
	}
}

func TestView(t *testing.T) {
	human, _ := spent(t, 2).SessionChanged(1, t0.Add(time.Minute), 2)
	human, _ = human.AgentWrote(t0.Add(2 * time.Minute))
	inFlight, _ := post(t, spent(t, 1), send("s9"), after(time.Minute))
	end := t0.Add(Length)
	for _, tc := range []struct {
		name string
		l    Ledger
		at   time.Duration
		want Conversation
	}{
		{"never heard of", Ledger{}, 0, Conversation{}},
		{"fresh", opened(), 0, Conversation{WindowEndsAt: end, SendsLeft: 5, CustomerAt: t0}},
		{"two sent", spent(t, 2), time.Hour, Conversation{WindowEndsAt: end, SendsLeft: 3, CustomerAt: t0}},
		{"one sent, one in flight", inFlight, time.Hour, Conversation{WindowEndsAt: end, SendsLeft: 3, CustomerAt: t0}},
		{"spent", spent(t, 5), time.Hour, Conversation{WindowEndsAt: end, CustomerAt: t0}},
		{"closed", spent(t, 2), Length - rules.Margin, Conversation{WindowEndsAt: end, CustomerAt: t0}},
		{"human", human, time.Hour, Conversation{WindowEndsAt: end, SendsLeft: 3, CustomerAt: t0, SessionState: 3, Servicer: true,
			Generation: uint64(t0.Add(time.Minute).Unix()), AgentAt: t0.Add(2 * time.Minute)}},
	} {
		if got := rules.View(tc.l, after(tc.at)); got != tc.want {
			t.Errorf("%s: got %+v, want %+v", tc.name, got, tc.want)
		}
	}
}
