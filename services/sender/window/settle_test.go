package window

import (
	"fmt"
	"testing"
	"time"
)

// history is what happened to a command before the answer under test.
type history string

const (
	first     history = "first attempt"
	afterDial history = "after one that was not sent"
	afterBusy history = "after one answered busy"
	afterLost history = "after one without an answer"
	afterDead history = "after a sender died"
)

// inFlight is c reserved, with that history, and the time and number of its newest attempt.
func inFlight(t *testing.T, l Ledger, c Command, h history) (Ledger, int, Now) {
	t.Helper()
	l, a := post(t, l, c, after(0))
	earlier := map[history]Answer{afterDial: {Kind: AnswerNotSent}, afterBusy: AnswerOf(-1), afterLost: {}}
	now := after(time.Second)
	if h == afterDead {
		now = after(rules.Grace)
	} else if ans, ok := earlier[h]; ok {
		l, _ = rules.Settle(l, c, a.Attempt, ans, after(0))
	}
	if h != first {
		l, a = post(t, l, c, now)
	}
	return l, a.Attempt, now
}

// TestClassification is the table of answers: every kind of answer and errcode, against every history.
func TestClassification(t *testing.T) {
	type want struct {
		state  State // "" is: another attempt
		reason Reason
		places int
	}
	again := want{"", "", 1}
	ok := want{Accepted, "", 1}
	dup := want{Accepted, ReasonDuplicate, 1}
	no := func(r Reason) want { return want{Refused, r, 0} }
	unk := func(r Reason) want { return want{Unknown, r, 1} }

	type row struct {
		name     string
		ans      Answer
		certain  want // first attempt, or all earlier ones certainly without effect
		busy     want // an earlier one was answered "busy"
		doubtful want // an earlier one may have had its effect
	}
	rows := []row{
		{"accepted", AnswerOf(0), ok, ok, ok},
		{"not sent", Answer{Kind: AnswerNotSent}, again, again, again},
		{"no answer", Answer{}, again, again, again},
		{"msgid used", AnswerOf(40058), no(ReasonPlatformParam), unk(ReasonPlatformParam), dup},
	}
	for _, code := range []int{-1, 6000, 45033, 45009, 40001, 40014, 42001} {
		rows = append(rows, row{fmt.Sprint("no effect ", code), AnswerOf(code), again, again, again})
	}
	for code, why := range map[int]Reason{
		95001: ReasonPlatformQuota, 95002: ReasonPlatformWindow, 95024: ReasonPlatformWindow, 95031: ReasonPlatformWindow,
		95013: ReasonPlatformSession, 95018: ReasonPlatformSession, 95016: ReasonPlatformSession,
		40007: ReasonPlatformMedia, 40096: ReasonPlatformNotFound, 95000: ReasonPlatformNotFound, 95004: ReasonPlatformNotFound,
		95003: ReasonPlatformLimit, 95025: ReasonPlatformLimit, 40201: ReasonPlatformContent, 95030: ReasonPlatformUnsupported,
		40008: ReasonPlatformParam, 40063: ReasonPlatformParam, 44004: ReasonPlatformParam, 45002: ReasonPlatformParam,
		45034: ReasonPlatformParam, 95008: ReasonPlatformParam, 90207: ReasonPlatformParam,
		41001: ReasonPlatformPermission, 48002: ReasonPlatformPermission, 48007: ReasonPlatformPermission,
		60020: ReasonPlatformPermission, 95011: ReasonPlatformPermission, 41050: ReasonPlatformCode,
		95010: ReasonPlatformUndocumented, 123456: ReasonPlatformUndocumented, -7: ReasonPlatformUndocumented,
	} {
		rows = append(rows, row{fmt.Sprint("errcode ", code), AnswerOf(code), no(why), no(why), unk(why)})
	}
	for _, tc := range rows {
		for h, w := range map[history]want{
			first: tc.certain, afterDial: tc.certain, afterBusy: tc.busy, afterLost: tc.doubtful, afterDead: tc.doubtful,
		} {
			t.Run(tc.name+" "+string(h), func(t *testing.T) {
				c := send("s1")
				l, attempt, now := inFlight(t, opened(), c, h)
				got, res := rules.Settle(l, c, attempt, tc.ans, now)
				if !res.Changed || got.Used() != w.places {
					t.Errorf("changed %v, %d places; want changed, %d", res.Changed, got.Used(), w.places)
				}
				if w.state == "" {
					if res.Kind != Later || res.After <= 0 || record(t, got, c).State != Retry {
						t.Errorf("got %+v, want another attempt", res)
					}
				} else if res.Kind != Finished || res.Outcome.State != w.state || res.Outcome.Reason != w.reason {
					t.Errorf("got %+v, want %s %s", res.Outcome, w.state, w.reason)
				} else if res.Outcome.Errcode != tc.ans.Code || res.Outcome.MsgID != c.MsgID() || res.Outcome.Attempts != attempt {
					t.Errorf("got %+v, want errcode %d and the msgid", res.Outcome, tc.ans.Code)
				}
				// The same answer again, its first compare-and-set having been lost, changes nothing and says the same.
				twice, again := rules.Settle(got, c, attempt, tc.ans, now)
				same(t, "settled twice", twice, got)
				if again.Changed || again.Kind != res.Kind || again.Outcome != res.Outcome || again.After != res.After || again.Reused {
					t.Errorf("settled twice: got %+v, want %+v", again, res)
				}
			})
		}
	}
}

func TestTriesEnd(t *testing.T) {
	for _, tc := range []struct {
		name   string
		ans    Answer
		state  State
		reason Reason
		posts  int
	}{
		{"no answer", Answer{}, Unknown, ReasonNoAnswer, 8},
		{"busy", AnswerOf(-1), Failed, ReasonPlatformBusy, 8},
		{"token", AnswerOf(42001), Failed, ReasonPlatformToken, 8},
		// until nothing is left of the ten minutes: 0.5+1+2+4+8+16 s, then every 30 s
		{"unreachable", Answer{Kind: AnswerNotSent}, Failed, ReasonUnreachable, 25},
		{"rate", AnswerOf(45009), Failed, ReasonPlatformRate, 25},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, l, now, posts := expiring(send("s1"), 10*time.Minute), opened(), after(0), 0
			for {
				var res Result
				l, res = answered(t, l, c, now, tc.ans)
				if posts++; res.Kind == Finished {
					if res.Outcome.State != tc.state || res.Outcome.Reason != tc.reason || posts != tc.posts {
						t.Errorf("got %s %s after %d posts, want %s %s after %d", res.Outcome.State, res.Outcome.Reason, posts, tc.state, tc.reason, tc.posts)
					}
					if wantUsed := map[State]int{Unknown: 1}[tc.state]; l.Used() != wantUsed {
						t.Errorf("got %d places, want %d", l.Used(), wantUsed)
					}
					return
				}
				now = after(now.Local.Sub(t0) + res.After)
			}
		})
	}
}

func TestLateAnswers(t *testing.T) {
	c := send("s1")
	taken, _, _ := inFlight(t, opened(), c, afterDead) // attempt 1 is slow, attempt 2 is in flight
	unknown, _ := rules.Settle(taken, c, 2, AnswerOf(95001), after(14*time.Second))
	done, _ := rules.Settle(taken, c, 2, AnswerOf(0), after(14*time.Second))
	now := after(15 * time.Second)

	for _, tc := range []struct {
		name     string
		l        Ledger
		ans      Answer
		kind     ResultKind
		state    State
		corrects State
		changed  bool
		reused   bool
	}{
		{"refusal of an older attempt is not heard", taken, AnswerOf(95001), Nothing, "", "", false, false},
		{"silence of an older attempt is not heard", taken, Answer{}, Nothing, "", "", false, false},
		{"acceptance of an older attempt is", taken, AnswerOf(0), Finished, Accepted, "", true, false},
		{"proof by an older attempt is", taken, AnswerOf(40058), Finished, Accepted, "", true, false},
		{"acceptance corrects unknown", unknown, AnswerOf(0), Finished, Unknown, Unknown, true, false},
		{"proof corrects unknown", unknown, AnswerOf(40058), Finished, Unknown, Unknown, true, false},
		{"refusal leaves unknown", unknown, AnswerOf(95018), Finished, Unknown, "", false, false},
		{"proof of what is known", done, AnswerOf(40058), Finished, Accepted, "", false, false},
		{"two acceptances are an alarm", done, AnswerOf(0), Finished, Accepted, "", false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, res := rules.Settle(tc.l, c, 1, tc.ans, now)
			if res.Kind != tc.kind || res.Outcome.State != tc.state || res.Changed != tc.changed || res.Reused != tc.reused {
				t.Errorf("got %+v, want kind %d %s changed %v reused %v", res, tc.kind, tc.state, tc.changed, tc.reused)
			}
			if (tc.corrects != "") != (len(res.Corrections) == 1) {
				t.Fatalf("got corrections %+v, want one of %q", res.Corrections, tc.corrects)
			}
			if tc.corrects != "" {
				if o := res.Corrections[0]; o.State != Accepted || o.Corrects != tc.corrects || o.Reason != ReasonLateEvidence || o.ID != c.ID {
					t.Errorf("got %+v, want %s corrected to accepted", o, tc.corrects)
				}
				// It comes again with the outcome, should its publication have been lost, and no other follows.
				if _, a := rules.Decide(got, c, now); a.Kind != Again || len(a.Corrections) != 1 || a.Corrections[0] != res.Corrections[0] {
					t.Errorf("decided again: got %+v, want the same correction", a)
				}
				if _, more := got.SendFailed(c.MsgID(), 10, t0.Add(time.Minute), now); more.Changed {
					t.Errorf("got a second correction %+v", more.Corrections)
				}
			}
			if tc.kind == Nothing {
				same(t, "ledger", got, tc.l)
			}
		})
	}
}

func TestSettleOnALostLedger(t *testing.T) {
	c := send("s1")
	for _, tc := range []struct {
		name    string
		attempt int
		ans     Answer
		state   State
		places  int
	}{
		{"accepted", 1, AnswerOf(0), Accepted, 1},
		{"refused at the first attempt", 1, AnswerOf(40096), Refused, 0},
		{"refused later, which proves nothing", 2, AnswerOf(40096), Unknown, 1},
	} {
		l, res := rules.Settle(opened(), c, tc.attempt, tc.ans, after(time.Second))
		if res.Outcome.State != tc.state || l.Used() != tc.places || record(t, l, c).State != tc.state {
			t.Errorf("%s: got %+v with %d places, want %s with %d", tc.name, res.Outcome, l.Used(), tc.state, tc.places)
		}
	}
}

func TestADoubtOnALostLedgerCarriesOver(t *testing.T) {
	l, res := rules.Settle(opened(), send("s1"), 2, AnswerOf(40096), after(time.Minute))
	if res.Outcome.State != Unknown {
		t.Fatalf("got %+v", res)
	}
	for at, used := range map[time.Duration]int{2 * time.Minute: 1, 2*time.Minute + lateEffect: 0} {
		if l, _ := l.CustomerWrote(t0.Add(at), "m2", 2); l.Used() != used {
			t.Errorf("message after %v: got %d places taken, want %d", at, l.Used(), used)
		}
	}
}

// TestLateEvidenceTakesItsPlace: whatever was published, what the platform accepted counts, in the window it fell into.
func TestLateEvidenceTakesItsPlace(t *testing.T) {
	c := send("s1")
	l, _ := post(t, opened(), c, after(0))
	refused, _ := rules.Settle(l, c, 1, AnswerOf(40096), after(time.Second))
	once := rules
	once.Tries = 1
	unknown, _ := once.Settle(l, c, 1, Answer{}, after(time.Second))
	old, _ := unknown.CustomerWrote(t0.Add(time.Hour), "m2", 2)
	for _, tc := range []struct {
		name string
		l    Ledger
		used int
	}{{"refused, and accepted after all", refused, 1}, {"unknown", unknown, 1}, {"unknown in an older window", old, 0}} {
		l, res := rules.Settle(tc.l, c, 1, AnswerOf(0), after(2*time.Hour))
		if l.Used() != tc.used || len(res.Corrections) != 1 || res.Corrections[0].State != Accepted {
			t.Errorf("%s: got %d places, %+v; want %d and a correction", tc.name, l.Used(), res, tc.used)
		}
	}
}

func TestPlatformMarks(t *testing.T) {
	for _, tc := range []struct {
		code   int
		reason Reason // of the next command
	}{
		{95001, ReasonQuotaSpent}, {95002, ReasonWindowClosed}, {95013, ReasonSessionState}, {95018, ReasonSessionState}, {40096, ""},
	} {
		l, _ := answered(t, opened(), send("s1"), after(time.Second), AnswerOf(tc.code))
		_, a := rules.Decide(l, send("s2"), after(2*time.Second))
		if a.Outcome.Reason != tc.reason || (tc.reason == "") != (a.Kind == Post) {
			t.Errorf("after %d: got %+v, want %q", tc.code, a, tc.reason)
		}
		if left := rules.View(l, after(2*time.Second)).SendsLeft; (left == 0) != (tc.reason != "") {
			t.Errorf("after %d: got %d sends left", tc.code, left)
		}
		if dup, _ := l.CustomerWrote(t0, "m1", 1); dup.Used() != l.Used() || dup.ExhaustedAt != l.ExhaustedAt || dup.ClosedAt != l.ClosedAt {
			t.Errorf("after %d: the message we knew opened the window again", tc.code)
		}
		wrote, _ := l.CustomerWrote(t0.Add(time.Second), "m2", 2)
		if _, a := rules.Decide(wrote, send("s2"), after(2*time.Second)); a.Kind != Post {
			t.Errorf("after %d and a new message: got %+v, want a post", tc.code, a)
		}
		// The refusal of a message that was posted before the customer wrote says nothing of the new window.
		l, first := post(t, opened(), send("s1"), after(time.Second))
		l, _ = l.CustomerWrote(t0.Add(2*time.Second), "m2", 2)
		l, _ = rules.Settle(l, send("s1"), first.Attempt, AnswerOf(tc.code), after(3*time.Second))
		if _, a := rules.Decide(l, send("s2"), after(4*time.Second)); a.Kind != Post {
			t.Errorf("after %d to an older window: got %+v, want a post", tc.code, a)
		}
	}
}

func TestMsgIDConflict(t *testing.T) {
	r := rules
	r.DupCodes = []int{40058, 95099}
	l, a := r.Decide(opened(), send("s1"), after(0))
	_, res := r.Settle(l, send("s1"), a.Attempt, AnswerOf(95099), after(0))
	if res.Outcome.State != Refused || res.Outcome.Reason != ReasonMsgIDConflict {
		t.Errorf("got %+v, want refused msgid_conflict", res.Outcome)
	}
}

func TestSettleReply(t *testing.T) {
	open := command(Reply, "r1")
	open.Deadline = time.Time{}
	for _, tc := range []struct {
		name   string
		c      Command
		h      history
		ans    Answer
		at     time.Duration
		state  State
		reason Reason
	}{
		{"accepted", command(Reply, "r1"), first, AnswerOf(0), 14 * time.Second, Accepted, ""},
		{"code refused", command(Reply, "r1"), first, AnswerOf(41050), 14 * time.Second, Refused, ReasonPlatformCode},
		{"code used, by the lost attempt", command(Reply, "r1"), afterDead, AnswerOf(41050), 14 * time.Second, Accepted, ReasonDuplicate},
		{"msgid used, by the lost attempt", command(Reply, "r1"), afterDead, AnswerOf(40058), 14 * time.Second, Accepted, ReasonDuplicate},
		{"code used or died", command(Reply, "r1"), afterDead, AnswerOf(41050), 19 * time.Second, Unknown, ReasonPlatformCode},
		{"code of unknown life", open, afterDead, AnswerOf(41050), 14 * time.Second, Unknown, ReasonPlatformCode},
		{"other refusal in doubt", command(Reply, "r1"), afterDead, AnswerOf(95018), 14 * time.Second, Unknown, ReasonPlatformSession},
		{"no answer, no time left", command(Reply, "r1"), first, Answer{}, 18600 * time.Millisecond, Unknown, ReasonNoAnswer},
		{"not sent, no time left", command(Reply, "r1"), first, Answer{Kind: AnswerNotSent}, 18600 * time.Millisecond, Failed, ReasonUnreachable},
		{"not sent, no deadline known", open, first, Answer{Kind: AnswerNotSent}, time.Hour, "", ""},
		{"not sent, time left", command(Reply, "r1"), first, Answer{Kind: AnswerNotSent}, 17 * time.Second, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, attempt, _ := inFlight(t, Ledger{}, tc.c, tc.h)
			l, res := rules.Settle(l, tc.c, attempt, tc.ans, after(tc.at))
			if res.Outcome.State != tc.state || res.Outcome.Reason != tc.reason {
				t.Errorf("got %+v, want %s %s", res, tc.state, tc.reason)
			}
			if l.Used() != 0 || l.ClosedAt != 0 {
				t.Errorf("got %+v, want no place and no mark", l)
			}
		})
	}
}

func TestTransfer(t *testing.T) {
	to := func(state int) Command {
		c := command(Transfer, "t1")
		c.State = state
		return c
	}
	for _, tc := range []struct {
		name    string
		c       Command
		ans     Answer
		state   State
		session int
		rises   bool
	}{
		{"to the pool", to(2), AnswerOf(0), Accepted, 2, true},
		{"to a human", to(3), AnswerOf(0), Accepted, 3, true},
		{"to the assistant", to(1), AnswerOf(0), Accepted, 1, false},
		{"to new, which is the platform's to refuse", to(0), AnswerOf(95016), Refused, 0, false},
		{"end", to(4), AnswerOf(0), Accepted, 4, false},
		{"refused", to(3), AnswerOf(95016), Refused, 0, false},
		{"no answer is not repeated", to(3), Answer{}, Unknown, 0, false},
		{"not sent is repeated", to(3), Answer{Kind: AnswerNotSent}, "", 0, false},
		{"busy is repeated", to(3), AnswerOf(-1), "", 0, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, a := post(t, opened(), tc.c, after(time.Minute))
			if a.MsgID != "" || l.Used() != 0 {
				t.Errorf("got %+v with %d places, want no msgid, no place", a, l.Used())
			}
			l, res := rules.Settle(l, tc.c, 1, tc.ans, after(time.Minute))
			if res.Outcome.State != tc.state || l.SessionState() != tc.session || (l.Generation > 0) != tc.rises {
				t.Errorf("got %+v session %d generation %d, want %s %d %v", res, l.SessionState(), l.Generation, tc.state, tc.session, tc.rises)
			}
			once, _ := rules.Settle(l, tc.c, 1, tc.ans, after(time.Minute))
			same(t, "settled twice", once, l)
		})
	}
	t.Run("a dead sender's is not repeated", func(t *testing.T) {
		l, _ := post(t, opened(), to(3), after(0))
		if _, a := rules.Decide(l, to(3), after(rules.Grace)); a.Kind != Finish || a.Outcome.State != Unknown {
			t.Errorf("got %+v, want unknown", a)
		}
	})
	t.Run("ours raises a generation of the same second", func(t *testing.T) {
		l, _ := opened().SessionChanged(1, t0.Add(time.Minute), 2)
		was := l.Generation
		if l, _ = answered(t, l, to(4), after(time.Minute), AnswerOf(0)); l.SessionState() != 4 || l.Generation != was {
			t.Errorf("end: got state %d generation %d, want 4 %d", l.SessionState(), l.Generation, was)
		}
		again := to(3)
		again.ID = "t2"
		if l, _ = answered(t, l, again, after(time.Minute), AnswerOf(0)); l.Generation != was+1 {
			t.Errorf("got generation %d, want %d", l.Generation, was+1)
		}
		again.ID = "t3"
		if l, _ = answered(t, l, again, after(time.Hour), AnswerOf(0)); l.Generation != uint64(t0.Add(time.Hour).Unix()) {
			t.Errorf("got generation %d, want the second of the takeover", l.Generation)
		}
	})
}

func TestBackoff(t *testing.T) {
	for _, tc := range []struct {
		attempt int
		left    time.Duration
		want    time.Duration
		ok      bool
	}{
		{0, time.Hour, 500 * time.Millisecond, true},
		{1, time.Hour, 500 * time.Millisecond, true},
		{2, time.Hour, time.Second, true},
		{6, time.Hour, 16 * time.Second, true},
		{7, time.Hour, 30 * time.Second, true},
		{1 << 40, time.Hour, 30 * time.Second, true},
		{1, 500 * time.Millisecond, 500 * time.Millisecond, false},
		{1, 501 * time.Millisecond, 500 * time.Millisecond, true},
		{1, -time.Hour, 500 * time.Millisecond, false},
	} {
		if d, ok := Backoff(tc.attempt, tc.left); d != tc.want || ok != tc.ok {
			t.Errorf("Backoff(%d, %v): got %v %v, want %v %v", tc.attempt, tc.left, d, ok, tc.want, tc.ok)
		}
	}
}
