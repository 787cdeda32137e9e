package window

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func long(id string, parts int) Command {
	c := send(id)
	c.Parts = parts
	return c
}

// answerTo is the answer to what a asks for.
func answerTo(a Action, errcode int) Answer {
	ans := AnswerOf(errcode)
	ans.Part = a.Part
	return ans
}

// sent carries a command of several messages as far as it goes by itself, every request accepted, and returns the msgids.
func sent(t *testing.T, l Ledger, c Command, now Now) (Ledger, Result, []string) {
	t.Helper()
	var ids []string
	for {
		next, a := post(t, l, c, now)
		ids = append(ids, a.MsgID)
		var res Result
		if l, res = rules.Settle(next, c, a.Attempt, answerTo(a, 0), now); res.Kind == Finished {
			return l, res, ids
		}
		if a.Part != len(ids) || res.Kind != Later || res.After != 0 {
			t.Fatalf("after part %d: got %+v", a.Part, res)
		}
	}
}

func TestPartsAreReservedTogether(t *testing.T) {
	for _, c := range []struct {
		name         string
		spent, parts int
		share        int
		want         Reason
	}{
		{"two of two left", 3, 2, 0, ReasonNone},
		{"two of one left", 4, 2, 0, ReasonQuotaSpent},
		{"five of five", 0, 5, 0, ReasonNone},
		{"three within a share", 0, 3, 3, ReasonNone},
		{"three beyond a share", 0, 3, 2, ReasonShareSpent},
	} {
		l, cmd := spent(t, c.spent), long("long", c.parts)
		cmd.Share = c.share
		next, a := rules.Decide(l, cmd, after(time.Minute))
		if a.Outcome.Reason != c.want || (a.Kind == Post) != (c.want == ReasonNone) {
			t.Errorf("%s: got %+v, want %q", c.name, a, c.want)
		}
		if a.Kind == Post && next.Used() != c.spent+c.parts {
			t.Errorf("%s: %d places are taken before the first request, want %d", c.name, next.Used(), c.spent+c.parts)
		}
	}
}

func TestPartsGoOneByOne(t *testing.T) {
	l, res, ids := sent(t, opened(), long("long", 3), after(time.Second))
	if o := res.Outcome; o.State != Accepted || o.Parts != 3 || o.Sent != 3 || o.Attempts != 3 || l.Used() != 3 {
		t.Errorf("got %+v and %d places", o, l.Used())
	}
	if len(ids) != 3 || ids[0] != long("long", 3).MsgID() || ids[0] == ids[1] || ids[1] == ids[2] || len(ids[2]) != 32 {
		t.Errorf("got msgids %v", ids)
	}
	same(t, "as it is stored", reload(t, l), l)
}

// A part that is refused ends it: those before it were accepted, and the places of the others are free.
func TestPartRefused(t *testing.T) {
	c := long("long", 4)
	l, a := post(t, opened(), c, after(time.Second))
	l, _ = rules.Settle(l, c, a.Attempt, answerTo(a, 0), after(time.Second))
	l, a = post(t, l, c, after(2*time.Second))
	l, res := rules.Settle(l, c, a.Attempt, answerTo(a, 40004), after(2*time.Second))
	if o := res.Outcome; o.State != Partial || o.Sent != 1 || o.Parts != 4 || l.Used() != 1 {
		t.Errorf("got %+v and %d places, want 1 of 4 and 1", o, l.Used())
	}
	l2, res := rules.Settle(l, c, 1, Answer{Kind: AnswerAccepted, Part: 1}, after(3*time.Second)) // the first one's answer once more
	same(t, "a late answer", l2, l)
	if res.Kind != Nothing {
		t.Errorf("a late answer: got %+v", res)
	}
}

// Between two parts the rules are asked again: a human took over, or it is too late.
func TestRulesBetweenParts(t *testing.T) {
	c := expiring(long("long", 2), time.Minute)
	first, a := post(t, opened(), c, after(time.Second))
	first, _ = rules.Settle(first, c, a.Attempt, answerTo(a, 0), after(time.Second))
	human, _ := first.SessionChanged(1, t0.Add(2*time.Second), 9)
	for name, x := range map[string]struct {
		l    Ledger
		now  Now
		want Reason
	}{
		"a human":  {human, after(3 * time.Second), ReasonSessionState},
		"too late": {first, after(time.Hour), ReasonExpired},
	} {
		l, a := rules.Decide(x.l, c, x.now)
		if a.Kind != Finish || a.Outcome.State != Partial || a.Outcome.Reason != x.want || a.Outcome.Sent != 1 || l.Used() != 1 {
			t.Errorf("%s: got %+v and %d places", name, a, l.Used())
		}
	}
}

func TestRecallOfParts(t *testing.T) {
	l, _, ids := sent(t, opened(), long("s1", 3), after(time.Second))
	r := command(Recall, "r")
	var back []string
	for range 3 {
		next, a := post(t, l, r, after(2*time.Second))
		back = append(back, a.MsgID)
		l, _ = rules.Settle(next, r, a.Attempt, answerTo(a, 0), after(2*time.Second))
	}
	if rec := record(t, l, r); rec.State != Recalled || rec.Done != 3 || !slices.Equal(back, ids) {
		t.Errorf("got %+v, taken back %v, want %v", rec, back, ids)
	}
	if target := record(t, l, send("s1")); !target.TakenBack || l.Used() != 3 {
		t.Errorf("got %+v, %d places", target, l.Used())
	}

	// Between two parts it waits, since one is delivered; what was never begun is cancelled.
	half, a := post(t, opened(), long("s1", 2), after(time.Second))
	half, _ = rules.Settle(half, long("s1", 2), a.Attempt, answerTo(a, 0), after(time.Second))
	if _, a := rules.Decide(half, r, after(2*time.Second)); a.Kind != Wait {
		t.Errorf("between two parts: got %+v, want to wait", a)
	}
}

func TestPartNotDelivered(t *testing.T) {
	c := long("s1", 3)
	l, _, ids := sent(t, opened(), c, after(time.Second))
	l, res := l.SendFailed(ids[1], 4, t0.Add(5*time.Second), after(5*time.Second))
	if res.Kind != Finished || len(res.Corrections) != 1 || res.Corrections[0].State != Failed || l.Used() != 2 {
		t.Errorf("got %+v and %d places, want one correction and 2", res, l.Used())
	}
	again, res := l.SendFailed(ids[1], 4, t0.Add(5*time.Second), after(6*time.Second))
	same(t, "the same event again", again, l)
	if res.Changed {
		t.Error("the same event again changes something")
	}
	if l, res = l.SendFailed(ids[2], 4, t0.Add(6*time.Second), after(6*time.Second)); len(res.Corrections) != 1 || l.Used() != 1 {
		t.Errorf("a second part: got %+v and %d places", res, l.Used())
	}

	// While others are on their way it is told at the end.
	l, a := post(t, opened(), c, after(time.Second))
	l, _ = rules.Settle(l, c, a.Attempt, answerTo(a, 0), after(time.Second))
	if l, res = l.SendFailed(a.MsgID, 5, t0.Add(2*time.Second), after(2*time.Second)); res.Kind != Nothing || !res.Changed {
		t.Errorf("while it goes on: got %+v", res)
	}
	_, a = rules.Decide(l, c, after(3*time.Second)) // type 5 closes the window
	if a.Kind != Finish || a.Outcome.State != Partial {
		t.Errorf("the rest: got %+v", a)
	}
}

// Whatever is answered, lost or late: each part is accepted once at most and in its order, never more than five in a window,
// and the outcome says how many.
func TestPartsOfAnything(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	tally := map[State]int{}
	for n := range 3000 {
		now, r := after(0), rules
		r.Tries = 3 // so that failures are not rare
		l := opened()
		c := long("long", 2+dice.IntN(4))
		c.ExpiresAt = t0.Add(time.Duration(1+dice.IntN(10)) * time.Minute)
		var has []string // what the platform accepted
		var end *Outcome
		for step := 0; end == nil; step++ {
			if step > 500 {
				t.Fatalf("run %d does not end: %+v", n, l)
			}
			if dice.IntN(20) == 0 && len(has) == 0 {
				l, _ = l.CustomerWrote(now.Platform, fmt.Sprint("m", step), uint64(step+2))
			}
			l = reload(t, l)
			next, a := r.Decide(l, c, now)
			switch a.Kind {
			case Wait:
				d := a.Until.Sub(now.Local)
				now.Local, now.Platform = now.Local.Add(d), now.Platform.Add(d)
				continue
			case Finish, Again:
				l, end = next, &a.Outcome
				continue
			}
			l = next
			if l.Used() > Quota {
				t.Fatalf("run %d: %d places", n, l.Used())
			}
			ans := Answer{Kind: AnswerKind(dice.IntN(7)), Part: a.Part}
			took := ans.Kind == AnswerAccepted || ans.Kind == AnswerAmbiguous && dice.IntN(2) == 0
			switch {
			case took && slices.Contains(has, a.MsgID):
				ans = Answer{Kind: AnswerRefused, Code: codeParam, Part: a.Part}
			case took:
				if want := PartMsgID(c.MsgID(), len(has)+1); a.MsgID != want || a.Part != len(has)+1 {
					t.Fatalf("run %d: part %d goes after %d", n, a.Part, len(has))
				}
				has = append(has, a.MsgID)
			case ans.Kind == AnswerRefused:
				ans.Code = 40004
				if slices.Contains(has, a.MsgID) {
					ans.Code = codeParam
				}
			}
			now.Local, now.Platform = now.Local.Add(50*time.Millisecond), now.Platform.Add(50*time.Millisecond)
			if dice.IntN(8) == 0 {
				continue // the sender dies before it writes the answer down
			}
			var res Result
			if l, res = r.Settle(l, c, a.Attempt, ans, now); res.Kind == Finished {
				end = &res.Outcome
			}
		}
		tally[end.State]++
		sum := len(has)
		ok := map[State]bool{Accepted: sum == c.Parts && end.Sent == sum, Partial: sum > 0 && sum == end.Sent && sum < c.Parts,
			Unknown: sum == end.Sent || sum == end.Sent+1, Refused: sum == 0, Failed: sum == 0, Expired: sum == 0}[end.State]
		if !ok {
			t.Fatalf("run %d: the platform has %d of %d, the outcome says %+v", n, sum, c.Parts, end)
		}
		if l.Used() < sum || end.State != Unknown && l.Used() != sum {
			t.Fatalf("run %d: %s, %d accepted, %d places taken", n, end.State, sum, l.Used())
		}
	}
	if t.Log(tally); len(tally) < 5 {
		t.Error("some outcomes never came")
	}
}

// half is a text of n messages whose first was accepted and whose second is on its way.
func half(t *testing.T, l Ledger, c Command) (Ledger, Action) {
	t.Helper()
	l, a := post(t, l, c, after(time.Second))
	l, _ = rules.Settle(l, c, a.Attempt, answerTo(a, 0), after(time.Second))
	return post(t, l, c, after(2*time.Second))
}

// inDoubt is the same with the second in doubt for good.
func inDoubt(t *testing.T, c Command) Ledger {
	t.Helper()
	l, a := half(t, opened(), c)
	once := rules
	once.Tries = 1
	l, res := once.Settle(l, c, a.Attempt, Answer{Part: a.Part}, after(10*time.Second))
	if o := res.Outcome; o.State != Unknown || o.Sent != 1 || l.Used() != 2 {
		t.Fatalf("got %+v and %d places, want unknown and 2", o, l.Used())
	}
	return l
}

// A message in doubt keeps its place whatever is known of the one before it.
func TestPartInDoubtKeepsItsPlace(t *testing.T) {
	c := long("s1", 3)
	l := inDoubt(t, c)
	if next, _ := l.CustomerWrote(t0.Add(20*time.Second), "m2", 2); next.Used() != 2 {
		t.Errorf("the customer writes before a late effect: %d places, want 2", next.Used())
	}
	if next, res := l.SendFailed(c.MsgID(), 10, t0.Add(5*time.Second), after(20*time.Second)); res.Kind != Finished || next.Used() != 2 {
		t.Errorf("the first is not delivered: got %+v and %d places, want 2", res, next.Used())
	}
	next, _ := l.SendFailed(c.MsgID(), 4, t0.Add(5*time.Second), after(20*time.Second))
	if next.Used() != 1 {
		t.Errorf("the first is not counted: %d places, want that of the second", next.Used())
	}
}

// The answer to an attempt of a message that is known to be accepted proves nothing of the next, however late it comes.
func TestLateAnswerOfAnEarlierPart(t *testing.T) {
	c := expiring(long("s1", 2), time.Minute)
	l, first := post(t, opened(), c, after(time.Second))
	l, second := post(t, l, c, after(20*time.Second)) // the first has stalled
	l, _ = rules.Settle(l, c, second.Attempt, answerTo(second, codeParam), after(21*time.Second))
	l, a := rules.Decide(l, c, after(2*time.Minute))
	if a.Outcome.State != Partial || a.Outcome.Sent != 1 {
		t.Fatalf("got %+v, want partial", a)
	}
	late, res := rules.Settle(l, c, first.Attempt, answerTo(first, 0), after(3*time.Minute))
	same(t, "the late answer", late, l)
	if len(res.Corrections) > 0 {
		t.Errorf("got %+v, want no correction", res)
	}
}

// A sender dies between two messages and the ledger is lost: each of them may have been posted, not only the first.
func TestPartsAndALostLedger(t *testing.T) {
	c := long("s1", 3)
	c.Again, c.CameAt = true, t0
	l := opened()
	l.MadeAt = At(t0.Add(10 * time.Second))
	for part, code := range []int{codeParam, codeParam, 0} { // the first two were
		next, a := post(t, l, c, after(20*time.Second))
		var res Result
		if l, res = rules.Settle(next, c, a.Attempt, answerTo(a, code), after(20*time.Second)); res.Kind == Finished && part < 2 {
			t.Fatalf("part %d: got %+v, want to go on", part+1, res.Outcome)
		}
	}
	if rec := record(t, l, c); rec.State != Accepted || rec.Done != 3 {
		t.Errorf("got %+v", rec)
	}

	// One that expires in doubt, and the answer of its first message comes then.
	l, a := rules.Decide(Ledger{MadeAt: l.MadeAt}, expiring(c, 5*time.Second), after(20*time.Second))
	if a.Outcome.State != Unknown {
		t.Fatalf("got %+v, want unknown", a)
	}
	if _, res := rules.Settle(l, c, 1, Answer{Kind: AnswerAccepted, Part: 1}, after(21*time.Second)); len(res.Corrections) != 1 ||
		res.Corrections[0].State != Partial || res.Corrections[0].Sent != 1 {
		t.Errorf("got %+v, want a correction to partial, 1 of 3", res)
	}

	// A recall goes on where the answer finds it.
	l, _, _ = sent(t, opened(), long("s1", 3), after(time.Second))
	_, res := rules.Settle(l, command(Recall, "r"), 1, Answer{Kind: AnswerAccepted, Part: 1}, after(2*time.Second))
	if res.Kind != Later {
		t.Errorf("a recall of which one of three is answered: got %+v, want to go on", res)
	}

	// What is remembered gives no place back twice.
	l, _, ids := sent(t, opened(), long("s1", 3), after(time.Second))
	whole := record(t, l, c).outcome()
	l, res = l.SendFailed(ids[2], 4, t0.Add(5*time.Second), after(5*time.Second))
	made := opened().Remember(whole, after(time.Second).Platform).Remember(res.Corrections[0], after(5*time.Second).Platform)
	if made, _ = made.SendFailed(ids[2], 4, t0.Add(5*time.Second), after(6*time.Second)); made.Used() != l.Used() {
		t.Errorf("the failure comes again: %d places, want %d", made.Used(), l.Used())
	}
}

// The gap is between any two messages, those of one command included, and those of one that ended half-way.
func TestGapOfParts(t *testing.T) {
	r := rules
	r.Gap = 10 * time.Second
	c := long("s1", 2)
	l, a := post(t, opened(), c, after(time.Second))
	l, _ = r.Settle(l, c, a.Attempt, answerTo(a, 0), after(2*time.Second))
	if _, a = r.Decide(l, c, after(3*time.Second)); a.Kind != Wait || !a.Apart || !a.Until.Equal(t0.Add(12*time.Second)) {
		t.Errorf("the second part: got %+v, want to wait for 12 s", a)
	}
	l, a = r.Decide(l, c, after(12*time.Second))
	if a.Kind != Post || a.Part != 2 {
		t.Fatalf("got %+v, want the second part", a)
	}
	l, res := r.Settle(l, c, a.Attempt, answerTo(a, 40004), after(13*time.Second))
	if res.Outcome.State != Partial {
		t.Fatalf("got %+v", res)
	}
	if _, a = r.Decide(l, send("s2"), after(14*time.Second)); a.Kind != Wait || !a.Apart {
		t.Errorf("after a part: got %+v, want to wait", a)
	}
}

// The outcome that was told stays what it was when a correction adds to it.
func TestPartLateEvidence(t *testing.T) {
	c := long("s1", 3)
	l := inDoubt(t, c)
	told := record(t, l, c).outcome()
	l, res := rules.Settle(l, c, 2, Answer{Kind: AnswerAccepted, Part: 2}, after(time.Minute))
	if res.Outcome != told || len(res.Corrections) != 1 || res.Corrections[0].State != Partial || res.Corrections[0].Sent != 2 || l.Used() != 2 {
		t.Errorf("got %+v and %d places, want %+v corrected to partial, 2 of 3", res, l.Used(), told)
	}
}

// What the teams are told counts messages and not commands.
func TestPartsAreTold(t *testing.T) {
	l, _, ids := sent(t, opened(), long("s1", 4), after(time.Second))
	if id, _ := l.LastSent(); l.Spent() != 4 || id != ids[3] {
		t.Errorf("got %d spent and %q last, want 4 and %q", l.Spent(), id, ids[3])
	}
	c := long("s1", 3)
	l, a := half(t, opened(), c)
	l, _ = rules.Settle(l, c, a.Attempt, answerTo(a, 40004), after(3*time.Second))
	if id, _ := l.LastSent(); l.Spent() != 1 || id != c.MsgID() {
		t.Errorf("half-way: got %d spent and %q last, want 1 and %q", l.Spent(), id, c.MsgID())
	}
}
