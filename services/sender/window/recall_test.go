package window

import (
	"testing"
	"time"
)

func TestDecideRecall(t *testing.T) {
	s1 := send("s1")
	sending, _ := post(t, opened(), s1, after(0))
	retry, _ := rules.Settle(sending, s1, 1, Answer{Kind: AnswerNotSent}, after(0))
	doubt, _ := rules.Settle(sending, s1, 1, Answer{}, after(0))
	sent := accepted(t, opened(), s1, after(0))
	wrote, _ := sent.CustomerWrote(t0.Add(time.Minute), "m2", 2)
	undelivered, _ := sent.SendFailed(s1.MsgID(), 10, t0.Add(time.Second), after(time.Second))
	refused, _ := answered(t, opened(), s1, after(0), AnswerOf(40096))
	r := rules
	r.Tries = 1
	unknown, _ := r.Settle(sending, s1, 1, Answer{}, after(0))
	other, _ := answered(t, sent, Command{Team: "shop", ID: "x1", Verb: Recall, Target: "s1", ExpiresAt: t0.Add(time.Hour)}, after(time.Second), AnswerOf(0))
	transfer := accepted(t, opened(), Command{Team: "shop", ID: "s1", Verb: Transfer, State: 3, ExpiresAt: t0.Add(time.Hour)}, after(0))
	waiting, _ := answered(t, opened(), Command{Team: "shop", ID: "s1", Verb: Transfer, State: 3, ExpiresAt: t0.Add(time.Hour)}, after(0), AnswerOf(-1))
	limit := RecallWithin + recallMargin

	for _, tc := range []struct {
		name   string
		l      Ledger
		now    Now
		kind   ActionKind
		state  State
		reason Reason
		target State // of s1 afterwards
	}{
		{"before the send came", opened(), after(0), Finish, Recalled, ReasonBeforeSend, Cancelled},
		{"before the customer was heard of", Ledger{}, after(0), Finish, Recalled, ReasonBeforeSend, Cancelled},
		{"while it is posted", sending, after(0), Wait, "", "", Sending},
		{"before it is posted again, never sent", retry, after(0), Finish, Recalled, ReasonBeforeSend, Cancelled},
		{"before it is posted again, in doubt", doubt, after(0), Wait, "", "", Retry},
		{"after it was sent", sent, after(time.Minute), Post, "", "", Accepted},
		{"after the customer wrote again", wrote, after(time.Minute), Post, "", "", Accepted},
		{"last moment of the margin", sent, after(limit), Post, "", "", Accepted},
		{"after two minutes and the margin", sent, after(limit + time.Millisecond), Finish, Refused, ReasonRecallWindow, Accepted},
		{"platform's clock decides", sent, Now{t0, t0.Add(time.Hour), true}, Finish, Refused, ReasonRecallWindow, Accepted},
		{"in doubt", unknown, after(time.Minute), Post, "", "", Unknown},
		{"in doubt, too late whenever it took effect", unknown, after(lateEffect + limit + time.Millisecond), Finish, Refused, ReasonRecallWindow, Unknown},
		{"in a state of a newer version", opened().with(Record{Key: s1.MsgID(), Verb: Send, State: "scheduled"}), after(0), Wait, "", "", "scheduled"},
		{"was refused", refused, after(time.Minute), Finish, Recalled, ReasonBeforeSend, Refused},
		{"was not delivered", undelivered, after(time.Minute), Finish, Refused, ReasonNotFound, Accepted},
		{"was taken back", other, after(time.Minute), Finish, Recalled, "", Accepted},
		{"is no message", transfer, after(time.Minute), Finish, Refused, ReasonInvalid, Accepted},
		{"is no message, and waits for its next attempt", waiting, after(0), Finish, Refused, ReasonInvalid, Retry},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := reload(t, tc.l)
			l, a := rules.Decide(tc.l, command(Recall, "c1"), tc.now)
			same(t, "argument", tc.l, before)
			if a.Kind != tc.kind || a.Outcome.State != tc.state || a.Outcome.Reason != tc.reason {
				t.Fatalf("got %+v, want kind %d %s %s", a, tc.kind, tc.state, tc.reason)
			}
			if got := record(t, l, s1).State; got != tc.target {
				t.Errorf("the send is %s, want %s", got, tc.target)
			}
			switch {
			case tc.kind == Post && a.MsgID != s1.MsgID():
				t.Errorf("got msgid %s, want that of the send", a.MsgID)
			case tc.kind == Wait && a.Until.Sub(tc.now.Local) != time.Second:
				t.Errorf("got %v, want to look again in a second", a.Until)
			case tc.target == Cancelled:
				if l.Used() != 0 {
					t.Errorf("got %d places taken, want none", l.Used())
				}
				_, b := rules.Decide(reload(t, l), s1, after(47*time.Hour))
				if b.Kind != Again || b.Outcome.State != Cancelled || b.Outcome.Reason != ReasonTakenBack || b.Outcome.Verb != Send {
					t.Errorf("the send: got %+v, want cancelled", b)
				}
			}
		})
	}
}

func TestInvalidRecalls(t *testing.T) {
	for _, target := range []string{"", "c1"} {
		c := command(Recall, "c1")
		c.Target = target
		if _, a := rules.Decide(opened(), c, after(0)); a.Kind != Finish || a.Outcome.Reason != ReasonInvalid {
			t.Errorf("recall of %q: got %+v, want invalid", target, a)
		}
	}
	sent := accepted(t, opened(), send("s1"), after(0))
	other := command(Recall, "c1")
	other.Team = "desk" // names the command s1 of its own team, which never came
	if _, a := rules.Decide(sent, other, after(0)); a.Kind != Finish || a.Outcome.State != Recalled || a.Outcome.Reason != ReasonBeforeSend {
		t.Errorf("recall by another team: got %+v, want nothing of ours posted", a)
	}
}

func TestSettleRecall(t *testing.T) {
	s1, c := send("s1"), command(Recall, "c1")
	sent := accepted(t, opened(), s1, after(0))
	once := rules
	once.Tries = 1
	l, _ := post(t, opened(), s1, after(0))
	unknown, _ := once.Settle(l, s1, 1, Answer{}, after(0))
	hurried := expiring(c, 3*time.Second)

	for _, tc := range []struct {
		name     string
		l        Ledger
		c        Command
		doubt    bool // an earlier attempt of the recall had no answer
		at       time.Duration
		ans      Answer
		state    State
		reason   Reason
		corrects bool
	}{
		{"taken back", sent, c, false, time.Second, AnswerOf(0), Recalled, "", false},
		{"taken back at the second attempt", sent, c, true, time.Second, AnswerOf(0), Recalled, "", false},
		{"taken back, so it had been delivered", unknown, c, false, time.Second, AnswerOf(0), Recalled, "", true},
		{"not found", sent, c, false, time.Second, AnswerOf(95028), Failed, ReasonNotFound, false},
		{"not found, perhaps because taken back", sent, c, true, time.Second, AnswerOf(95028), Unknown, ReasonNotFound, false},
		{"not found yet", unknown, c, false, time.Second, AnswerOf(95028), "", "", false},
		{"not found, just before it must be there", unknown, c, false, lateEffect - time.Millisecond, AnswerOf(95028), "", "", false},
		{"not found, and it never will be", unknown, c, false, lateEffect, AnswerOf(95028), Failed, ReasonNotFound, false},
		{"not found yet, and no time to look again", unknown, hurried, false, 1900 * time.Millisecond, AnswerOf(95028), Unknown, ReasonNotFound, false},
		{"too late", sent, c, false, time.Second, AnswerOf(95029), Refused, ReasonRecallWindow, false},
		{"too late, perhaps only the second time", sent, c, true, time.Second, AnswerOf(95029), Unknown, ReasonRecallWindow, false},
		{"sent by another app", sent, c, false, time.Second, AnswerOf(40058), Refused, ReasonPlatformParam, false},
		{"40058 proves nothing of a recall", sent, c, true, time.Second, AnswerOf(40058), Unknown, ReasonPlatformParam, false},
		{"no answer", sent, c, false, time.Second, Answer{}, "", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, a := post(t, tc.l, tc.c, after(0))
			if tc.doubt {
				l, _ = rules.Settle(l, tc.c, 1, Answer{}, after(0))
				l, a = post(t, l, tc.c, after(500*time.Millisecond))
			}
			got, res := rules.Settle(l, tc.c, a.Attempt, tc.ans, after(tc.at))
			if res.Outcome.State != tc.state || res.Outcome.Reason != tc.reason || (res.Kind == Later) != (tc.state == "") {
				t.Errorf("got %+v, want %s %s", res, tc.state, tc.reason)
			}
			if got.Used() != 1 {
				t.Errorf("got %d places, want 1: a recall gives none back", got.Used())
			}
			if (len(res.Corrections) == 1) != tc.corrects {
				t.Fatalf("got corrections %+v, want %v", res.Corrections, tc.corrects)
			}
			if tc.corrects {
				o := res.Corrections[0]
				if o.ID != "s1" || o.State != Accepted || o.Corrects != Unknown {
					t.Errorf("got %+v, want the send corrected to accepted", o)
				}
				if _, a := rules.Decide(got, tc.c, after(time.Minute)); len(a.Corrections) != 1 || a.Corrections[0] != o {
					t.Errorf("decided again: got %+v, want the correction again", a)
				}
			}
		})
	}
}
