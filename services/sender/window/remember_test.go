package window

import (
	"testing"
	"time"
)

// lost is the ledger of a conversation whose own was lost at t0, made anew from what is stored of it.
func lost(outcomes ...Outcome) Ledger {
	l, _ := Ledger{MadeAt: At(t0)}.CustomerWrote(t0.Add(-time.Hour), "m1", 1)
	for _, o := range outcomes {
		l = l.Remember(o, t0.Add(-time.Minute))
	}
	return l
}

// What was on its way when a ledger was lost may have been accepted, so nothing denies it.
func TestDoubtAfterALoss(t *testing.T) {
	c := expiring(send("s1"), time.Hour)
	handed := func(c Command, cameAt time.Duration, again bool) Command {
		c.CameAt, c.Again = t0.Add(cameAt), again
		return c
	}
	dead := func(c Command) Command { return expiring(c, 0) }
	for _, x := range []struct {
		name string
		c    Command
		want State
	}{
		{"in the first hands", handed(dead(c), -time.Minute, false), Expired},
		{"in other hands before", handed(dead(c), -time.Minute, true), Unknown},
		{"came after the loss", handed(dead(c), time.Minute, true), Expired},
		{"came at about the loss", handed(dead(c), time.Second, true), Unknown},
	} {
		if _, a := rules.Decide(lost(), x.c, after(0)); a.Kind != Finish || a.Outcome.State != x.want {
			t.Errorf("%s: got %+v, want %s", x.name, a, x.want)
		}
	}
	again := handed(c, -time.Minute, true)
	if _, res := answered(t, lost(), again, after(0), AnswerOf(codeParam)); res.Outcome.State != Accepted || res.Outcome.Reason != ReasonDuplicate {
		t.Errorf("its msgid is refused: got %+v, want the proof that it was accepted", res.Outcome)
	}
	if _, res := answered(t, lost(), again, after(0), AnswerOf(codeQuota)); res.Outcome.State != Unknown {
		t.Errorf("the quota is spent, perhaps by itself: got %+v, want unknown", res.Outcome)
	}
	if _, a := (Rules{Tries: 4, NeverRepost: true}).Decide(lost(), again, after(0)); a.Kind != Finish || a.Outcome.State != Unknown {
		t.Errorf("never to be posted twice: got %+v, want unknown", a)
	}
	if _, res := rules.Settle(lost(), c, 1, AnswerOf(codeQuota), after(0)); res.Outcome.State != Unknown {
		t.Errorf("a refusal, and others may have posted it: got %+v, want unknown", res.Outcome)
	}
}

// A recall of what a lost ledger may have known is the platform's to answer.
func TestRecallAfterALoss(t *testing.T) {
	recall := command(Recall, "r1")
	if _, a := rules.Decide(lost(), recall, after(time.Minute)); a.Kind != Post {
		t.Errorf("soon after the loss: got %+v, want a post", a)
	}
	if _, a := rules.Decide(lost(), recall, after(lateEffect+RecallWithin)); a.Kind != Finish || a.Outcome.Reason != ReasonBeforeSend {
		t.Errorf("when nothing can be taken back any more: got %+v, want %s", a, ReasonBeforeSend)
	}
}

// Two senders that decide at one moment write different ledgers, so that each knows whose was stored.
func TestReservationsDiffer(t *testing.T) {
	a, b := send("s1"), send("s1")
	a.By, b.By = "a", "b"
	la, _ := post(t, opened(), a, after(0))
	lb, _ := post(t, opened(), b, after(0))
	if record(t, la, a).By == record(t, lb, b).By {
		t.Error("two reservations are alike")
	}
	done, _ := rules.Settle(la, a, 1, AnswerOf(0), after(0))
	if by := record(t, done, a).By; by != "" {
		t.Errorf("a finished record keeps %q", by)
	}
}
