package window

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

// t0 is when the customer wrote; all tables count from here, on both clocks.
var t0 = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

var rules = Defaults()

func after(d time.Duration) Now { return Now{Local: t0.Add(d), Platform: t0.Add(d), Fresh: true} }

// opened is a conversation in which the customer wrote at t0.
func opened() Ledger {
	l, _ := Ledger{}.CustomerWrote(t0, "m1", 1)
	return l
}

func command(v Verb, id string) Command {
	c := Command{Team: "shop", ID: id, Verb: v, ExpiresAt: t0.Add(100 * time.Hour)}
	switch v {
	case Recall:
		c.Target = "s1"
	case Transfer:
		c.State = sessionHuman
	case Reply:
		c.Deadline = t0.Add(20 * time.Second)
	}
	return c
}

func send(id string) Command { return command(Send, id) }

func expiring(c Command, d time.Duration) Command {
	c.ExpiresAt = t0.Add(d)
	return c
}

// post decides c and demands a POST.
func post(t *testing.T, l Ledger, c Command, now Now) (Ledger, Action) {
	t.Helper()
	l, a := rules.Decide(l, c, now)
	if a.Kind != Post {
		t.Fatalf("%s %s: got %+v, want a post", c.Verb, c.ID, a)
	}
	return l, a
}

// answered posts c and settles the answer at the same moment.
func answered(t *testing.T, l Ledger, c Command, now Now, ans Answer) (Ledger, Result) {
	t.Helper()
	l, a := post(t, l, c, now)
	return rules.Settle(l, c, a.Attempt, ans, now)
}

// accepted is l after c was sent and accepted.
func accepted(t *testing.T, l Ledger, c Command, now Now) Ledger {
	t.Helper()
	l, res := answered(t, l, c, now, AnswerOf(0))
	if res.Outcome.State != Accepted {
		t.Fatalf("%s: got %+v, want accepted", c.ID, res)
	}
	return l
}

// spent is an open conversation with n messages accepted, s1 to sn, in the first n seconds.
func spent(t *testing.T, n int) Ledger {
	t.Helper()
	l := opened()
	for i := range n {
		l = accepted(t, l, send("s"+string(rune('1'+i))), after(time.Duration(i+1)*time.Second))
	}
	return l
}

func record(t *testing.T, l Ledger, c Command) Record {
	t.Helper()
	rec, ok := l.find(c.MsgID())
	if !ok {
		t.Fatalf("no record of %s", c.ID)
	}
	return rec
}

func reload(t *testing.T, l Ledger) Ledger {
	t.Helper()
	data, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	var back Ledger
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	return back
}

func same(t *testing.T, what string, got, want Ledger) {
	t.Helper()
	if !reflect.DeepEqual(reload(t, got), reload(t, want)) {
		t.Errorf("%s: got %+v, want %+v", what, got, want)
	}
}
