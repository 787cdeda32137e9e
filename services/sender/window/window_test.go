package window

import (
	"strings"
	"testing"
	"time"
)

func TestDecideSend(t *testing.T) {
	gen := func(g uint64) *uint64 { return &g }
	human, _ := opened().SessionChanged(1, t0.Add(time.Minute), 2)
	ended, _ := opened().SessionChanged(3, t0.Add(time.Minute), 2)
	asked, _ := ended.CustomerWrote(t0.Add(2*time.Minute), "m2", 3)
	sameSecond, _ := ended.CustomerWrote(t0.Add(time.Minute), "m2", 3)
	pool, _ := answered(t, opened(), Command{Team: "shop", ID: "t1", Verb: Transfer, State: sessionPool, ExpiresAt: t0.Add(time.Hour)},
		after(time.Minute), AnswerOf(0))
	takeover := uint64(t0.Add(time.Minute).Unix())
	edge := Length - rules.Margin

	for _, tc := range []struct {
		name   string
		l      Ledger
		c      Command
		now    Now
		kind   ActionKind
		state  State
		reason Reason
	}{
		{"posts at once", opened(), send("s9"), after(0), Post, "", ""},
		{"never opened", Ledger{}, send("s9"), after(0), Finish, Refused, ReasonNeverOpened},
		{"just before the margin", opened(), send("s9"), after(edge - time.Millisecond), Post, "", ""},
		{"at the margin", opened(), send("s9"), after(edge), Finish, Refused, ReasonWindowClosed},
		{"at 48h sharp", opened(), send("s9"), after(Length), Finish, Refused, ReasonWindowClosed},
		{"platform's clock decides the window", opened(), send("s9"), Now{t0, t0.Add(Length), true}, Finish, Refused, ReasonWindowClosed},
		{"local clock has no say in the window", opened(), send("s9"), Now{t0.Add(Length), t0, true}, Post, "", ""},
		{"fifth", spent(t, 4), send("s9"), after(time.Hour), Post, "", ""},
		{"sixth", spent(t, 5), send("s9"), after(time.Hour), Finish, Refused, ReasonQuotaSpent},
		{"sixth on a stale ledger asks", spent(t, 5), send("s9"), Now{t0, t0, false}, Ask, Refused, ReasonQuotaSpent},
		{"closed on a stale ledger asks", opened(), send("s9"), Now{t0.Add(Length), t0.Add(Length), false}, Ask, Refused, ReasonWindowClosed},
		{"never opened on a stale ledger asks", Ledger{}, send("s9"), Now{t0, t0, false}, Ask, Refused, ReasonNeverOpened},
		{"human on a stale ledger asks", human, send("s9"), Now{t0, t0, false}, Ask, Refused, ReasonSessionState},
		{"ended on a stale ledger asks", ended, send("s9"), Now{t0, t0, false}, Ask, Refused, ReasonSessionState},
		{"expired does not ask", opened(), expiring(send("s9"), 0), Now{t0, t0, false}, Finish, Expired, ReasonExpired},
		{"expires within the fence", opened(), expiring(send("s9"), rules.Fence), after(0), Finish, Expired, ReasonExpired},
		{"expires after the fence", opened(), expiring(send("s9"), rules.Fence+time.Millisecond), after(0), Post, "", ""},
		{"local clock decides the expiry", opened(), expiring(send("s9"), time.Minute), Now{t0.Add(time.Hour), t0, true}, Finish, Expired, ReasonExpired},
		{"no expiry has passed", opened(), Command{Team: "shop", ID: "s9", Verb: Send}, after(0), Finish, Expired, ReasonExpired},
		{"human", human, send("s9"), after(time.Hour), Finish, Refused, ReasonSessionState},
		{"human, hold", human, Command{Team: "shop", ID: "s9", Verb: Send, Hold: true, ExpiresAt: t0.Add(2 * time.Hour)}, after(time.Hour), Wait, "", ""},
		{"pool", pool, send("s9"), after(time.Hour), Finish, Refused, ReasonSessionState},
		{"ended", ended, send("s9"), after(time.Hour), Finish, Refused, ReasonSessionState},
		{"ended, hold is for humans only", ended, Command{Team: "shop", ID: "s9", Verb: Send, Hold: true, ExpiresAt: t0.Add(2 * time.Hour)}, after(time.Hour), Finish, Refused, ReasonSessionState},
		{"ended, then the customer wrote", asked, send("s9"), after(time.Hour), Post, "", ""},
		{"ended and written in one second", sameSecond, send("s9"), after(time.Hour), Post, "", ""},
		{"generation that never rose", asked, Command{Team: "shop", ID: "s9", Verb: Send, ExpiresAt: t0.Add(2 * time.Hour), Generation: gen(0)}, after(time.Hour), Post, "", ""},
		{"generation older than a takeover", human, Command{Team: "shop", ID: "s9", Verb: Send, ExpiresAt: t0.Add(2 * time.Hour), Generation: gen(takeover - 1)}, after(time.Hour), Finish, Refused, ReasonGeneration},
		{"generation current, still human", human, Command{Team: "shop", ID: "s9", Verb: Send, ExpiresAt: t0.Add(2 * time.Hour), Generation: gen(takeover)}, after(time.Hour), Finish, Refused, ReasonSessionState},
		{"unknown verb", opened(), Command{Team: "shop", ID: "s9", Verb: "dance", ExpiresAt: t0.Add(time.Hour)}, after(0), Finish, Refused, ReasonInvalid},
		{"no id", opened(), send(""), after(0), Finish, Refused, ReasonInvalid},
		{"no team", opened(), Command{ID: "s9", Verb: Send, ExpiresAt: t0.Add(time.Hour)}, after(0), Finish, Refused, ReasonInvalid},
		{"longest id", opened(), send(strings.Repeat("x", 256)), after(0), Post, "", ""},
		{"id too long", opened(), send(strings.Repeat("x", 257)), after(0), Finish, Refused, ReasonInvalid},
		{"id that JSON cannot carry", opened(), send("a\xff"), after(0), Finish, Refused, ReasonInvalid},
		{"transfer below the states", opened(), Command{Team: "shop", ID: "s9", Verb: Transfer, State: -1, ExpiresAt: t0.Add(time.Hour)}, after(0), Finish, Refused, ReasonInvalid},
		{"transfer to nowhere", opened(), Command{Team: "shop", ID: "s9", Verb: Transfer, State: 5, ExpiresAt: t0.Add(time.Hour)}, after(0), Finish, Refused, ReasonInvalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, a := rules.Decide(tc.l, tc.c, tc.now)
			if a.Kind != tc.kind || a.Outcome.State != tc.state || a.Outcome.Reason != tc.reason {
				t.Errorf("got %+v, want kind %d %s %s", a, tc.kind, tc.state, tc.reason)
			}
			switch tc.kind {
			case Post:
				if a.Attempt != 1 || a.MsgID != MsgID("", tc.c.Team, tc.c.ID) || record(t, got, tc.c).State != Sending {
					t.Errorf("got %+v and %+v, want attempt 1 reserved under the command's msgid", a, got)
				}
				if got.Used() != tc.l.Used()+1 {
					t.Errorf("got %d places taken, want %d", got.Used(), tc.l.Used()+1)
				}
			case Finish:
				if got.Used() != tc.l.Used() {
					t.Errorf("got %d places taken by a refusal, want %d", got.Used(), tc.l.Used())
				}
			case Wait, Ask:
				same(t, "an action that reserves nothing", got, tc.l)
			}
			if tc.kind == Wait && (!a.Held || !a.Until.Equal(tc.now.Local.Add(holdPoll))) {
				t.Errorf("got %+v, want held, for %v", a, holdPoll)
			}
			if a.Kind == Finish && a.Outcome.Reason != ReasonInvalid { // the outcome is for ever, whatever changes
				later, _ := got.CustomerWrote(t0.Add(90*time.Hour), "m9", 9)
				if _, b := rules.Decide(later, tc.c, after(90*time.Hour)); b.Kind != Again || b.Outcome != a.Outcome {
					t.Errorf("decided again: got %+v, want %+v again", b, a.Outcome)
				}
			}
		})
	}
}

func TestDecideKnownCommand(t *testing.T) {
	c := send("s1")
	l, _ := post(t, opened(), c, after(0))
	retry, _ := rules.Settle(l, c, 1, Answer{Kind: AnswerNotSent}, after(time.Second))
	doubt, _ := rules.Settle(l, c, 1, Answer{}, after(time.Second))
	human, _ := doubt.SessionChanged(1, t0.Add(2*time.Second), 2)
	calm, _ := retry.SessionChanged(1, t0.Add(2*time.Second), 2)
	odd := opened().with(Record{Key: c.MsgID(), State: "scheduled"})
	zero := uint64(0)
	fenced := c
	fenced.Generation = &zero

	for _, tc := range []struct {
		name    string
		l       Ledger
		c       Command
		now     Now
		kind    ActionKind
		state   State
		reason  Reason
		attempt int
		doubt   bool
		wait    time.Duration
	}{
		{"somebody is at it", l, c, after(rules.Grace - time.Second), Wait, "", "", 0, false, time.Second},
		{"somebody's clock is ahead", l, c, after(-time.Hour), Wait, "", "", 0, false, rules.Grace},
		{"not twice in one moment", l, c, after(rules.Grace - time.Millisecond), Wait, "", "", 0, false, 100 * time.Millisecond},
		{"takeover at the grace", l, c, after(rules.Grace), Post, "", "", 2, true, 0},
		{"takeover goes by the platform's clock", l, c, Now{t0.Add(time.Hour), t0.Add(time.Second), true}, Wait, "", "", 0, false, rules.Grace - time.Second},
		{"takeover too late for a post", l, expiring(c, time.Minute), after(time.Minute), Finish, Unknown, ReasonExpired, 1, true, 0},
		{"takeover after the window", l, c, after(Length), Finish, Unknown, ReasonWindowClosed, 1, true, 0},
		{"before the pause is over", retry, c, after(1200 * time.Millisecond), Wait, "", "", 0, false, 300 * time.Millisecond},
		{"no longer than its expiry", retry, expiring(c, 2350*time.Millisecond), after(1200 * time.Millisecond), Wait, "", "", 0, false, 300 * time.Millisecond},
		{"after the pause", retry, c, after(1500 * time.Millisecond), Post, "", "", 2, false, 0},
		{"expired in the pause, never sent", retry, expiring(c, 1400*time.Millisecond), after(1400 * time.Millisecond), Finish, Expired, ReasonExpired, 1, false, 0},
		{"expired in doubt", doubt, expiring(c, time.Minute), after(time.Minute), Finish, Unknown, ReasonExpired, 1, true, 0},
		{"window closed in doubt", doubt, c, after(Length), Finish, Unknown, ReasonWindowClosed, 1, true, 0},
		{"window closed without doubt", retry, c, after(Length), Finish, Refused, ReasonWindowClosed, 1, false, 0},
		{"human took over, in doubt", human, c, after(time.Minute), Finish, Unknown, ReasonSessionState, 1, true, 0},
		{"human took over, never sent", calm, c, after(time.Minute), Finish, Refused, ReasonSessionState, 1, false, 0},
		{"generation rose, never sent", calm, fenced, after(time.Minute), Finish, Refused, ReasonGeneration, 1, false, 0},
		{"a state of a newer version", odd, c, after(0), Wait, "", "", 0, false, rules.Grace},
		{"a state of a newer version, expiring", odd, expiring(c, time.Second), after(0), Wait, "", "", 0, false, time.Second},
		{"another verb under its id", l, command(Reply, "s1"), after(rules.Grace), Wait, "", "", 0, false, rules.Grace},
		{"another verb under its id, finished", spent(t, 1), command(Transfer, "s1"), after(rules.Grace), Again, Accepted, "", 1, false, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := reload(t, tc.l)
			got, a := rules.Decide(tc.l, tc.c, tc.now)
			same(t, "argument", tc.l, before)
			if a.Kind != tc.kind || a.Outcome.State != tc.state || a.Outcome.Reason != tc.reason {
				t.Fatalf("got %+v, want kind %d %s %s", a, tc.kind, tc.state, tc.reason)
			}
			if tc.kind == Wait {
				if got := a.Until.Sub(tc.now.Local); got != tc.wait || a.Held {
					t.Errorf("got a wait of %v, want %v", got, tc.wait)
				}
				return
			}
			rec := record(t, got, tc.c)
			if rec.Attempt != tc.attempt || rec.Doubt != tc.doubt {
				t.Errorf("got attempt %d doubt %v, want %d %v", rec.Attempt, rec.Doubt, tc.attempt, tc.doubt)
			}
			if tc.kind == Post && (a.MsgID != c.MsgID() || a.Attempt != tc.attempt || got.Used() != 1) {
				t.Errorf("got %+v with %d places, want the same msgid and the same place", a, got.Used())
			}
		})
	}
}

func TestTakeoversEnd(t *testing.T) {
	c, l, now := send("s1"), opened(), after(0)
	for i := range rules.Tries {
		var a Action
		if l, a = post(t, l, c, now); a.Attempt != i+1 {
			t.Fatalf("got attempt %d, want %d", a.Attempt, i+1)
		}
		now = after(time.Duration(i+1) * rules.Grace)
	}
	_, a := rules.Decide(l, c, now)
	if a.Kind != Finish || a.Outcome.State != Unknown || a.Outcome.Reason != ReasonNoAnswer || a.Outcome.Attempts != rules.Tries {
		t.Errorf("got %+v, want unknown after %d attempts", a, rules.Tries)
	}
}

func TestWithoutMsgIDProtectionADoubtIsNeverRepeated(t *testing.T) {
	r := rules
	r.NeverRepost = true
	c := send("s1")
	l, a := r.Decide(opened(), c, after(0))
	if _, took := r.Decide(l, c, after(rules.Grace)); took.Kind != Finish || took.Outcome.State != Unknown {
		t.Errorf("takeover: got %+v, want unknown", took)
	}
	if _, res := r.Settle(l, c, a.Attempt, Answer{}, after(time.Second)); res.Kind != Finished || res.Outcome.State != Unknown {
		t.Errorf("no answer: got %+v, want unknown", res)
	}
	if _, res := r.Settle(l, c, a.Attempt, Answer{Kind: AnswerNotSent}, after(time.Second)); res.Kind != Later {
		t.Errorf("never sent: got %+v, want another attempt", res)
	}
}

func TestDecideReply(t *testing.T) {
	human, _ := opened().SessionChanged(1, t0, 2)
	open := command(Reply, "r1")
	open.Deadline = time.Time{}
	for _, tc := range []struct {
		name   string
		l      Ledger
		c      Command
		now    Now
		kind   ActionKind
		reason Reason
	}{
		{"before the customer ever wrote", Ledger{}, command(Reply, "r1"), after(0), Post, ""},
		{"with the five spent", spent(t, 5), command(Reply, "r1"), after(10 * time.Second), Post, ""},
		{"in a human session", human, command(Reply, "r1"), after(0), Post, ""},
		{"last moment", opened(), command(Reply, "r1"), after(18*time.Second - time.Millisecond), Post, ""},
		{"a POST may leave a fence later, by a clock that is a second slow", opened(), command(Reply, "r1"), after(18 * time.Second), Finish, ReasonDeadline},
		{"platform's clock decides", opened(), command(Reply, "r1"), Now{t0, t0.Add(time.Minute), true}, Finish, ReasonDeadline},
		{"no deadline known", opened(), open, after(time.Hour), Post, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, a := rules.Decide(tc.l, tc.c, tc.now)
			if a.Kind != tc.kind || a.Outcome.Reason != tc.reason || tc.kind == Finish && a.Outcome.State != Expired {
				t.Errorf("got %+v, want kind %d %s", a, tc.kind, tc.reason)
			}
			if l.Used() != tc.l.Used() {
				t.Errorf("got %d places taken, want %d: a reply is not counted", l.Used(), tc.l.Used())
			}
		})
	}
}

func TestALongFenceBringsTheDeadlineOfAReplyForward(t *testing.T) {
	r := rules
	r.Fence = 3 * time.Second
	for at, want := range map[time.Duration]ActionKind{16*time.Second - 1: Post, 16 * time.Second: Finish} {
		if _, a := r.Decide(opened(), command(Reply, "r1"), after(at)); a.Kind != want {
			t.Errorf("after %v: got %+v, want %d", at, a, want)
		}
	}
}

func TestRulesValidate(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Rules)
		ok     bool
	}{
		{"defaults", func(*Rules) {}, true},
		{"one try", func(r *Rules) { r.Tries = 1 }, true},
		{"fence as long as the margin", func(r *Rules) { r.Margin = r.Fence }, true},
		{"no tries", func(r *Rules) { r.Tries = 0 }, false},
		{"no fence", func(r *Rules) { r.Fence = 0 }, false},
		{"fence as long as the grace", func(r *Rules) { r.Grace = r.Fence }, false},
		{"fence beyond the margin", func(r *Rules) { r.Margin = r.Fence - 1 }, false},
	} {
		r := Defaults()
		tc.change(&r)
		if err := r.Validate(); (err == nil) != tc.ok {
			t.Errorf("%s: got %v, want ok %v", tc.name, err, tc.ok)
		}
	}
}
