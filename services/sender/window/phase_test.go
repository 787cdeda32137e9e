package window

import (
	"testing"
	"time"
)

func TestPhase(t *testing.T) {
	closing, end := t0.Add(Length-ClosingFor), t0.Add(Length)
	for _, tc := range []struct {
		name string
		l    Ledger
		at   time.Duration
		want Phase
		next time.Time
	}{
		{"never heard of", Ledger{}, 0, NoWindow, time.Time{}},
		{"the customer just wrote", opened(), 0, Opened, closing},
		{"a moment before it closes", opened(), Length - ClosingFor - time.Millisecond, Opened, closing},
		{"half an hour is left", opened(), Length - ClosingFor, Closing, end},
		{"a moment is left", opened(), Length - time.Millisecond, Closing, end},
		{"at 48 h sharp", opened(), Length, Closed, time.Time{}},
		{"spent makes no difference", spent(t, 5), time.Hour, Opened, closing},
	} {
		if got, next := tc.l.Phase(after(tc.at)); got != tc.want || !next.Equal(tc.next) {
			t.Errorf("%s: got %v until %v, want %v until %v", tc.name, got, next, tc.want, tc.next)
		}
	}
	l, _ := opened().CustomerWrote(t0.Add(Length-time.Second), "m2", 2)
	if got, next := l.Phase(after(Length)); got != Opened || !next.Equal(closing.Add(Length-time.Second)) {
		t.Errorf("the customer wrote in the last second: got %v until %v, want a window of its own", got, next)
	}
}

func TestSpent(t *testing.T) {
	s5 := send("s5")
	inFlight, _ := post(t, spent(t, 4), s5, after(time.Minute))
	retry, _ := rules.Settle(inFlight, s5, 1, Answer{Kind: AnswerNotSent}, after(time.Minute))
	once := rules
	once.Tries = 1
	unknown, _ := once.Settle(inFlight, s5, 1, Answer{}, after(time.Minute))
	refused, _ := rules.Settle(inFlight, s5, 1, AnswerOf(40007), after(time.Minute))
	welcomed := accepted(t, spent(t, 4), command(Reply, "r"), after(10*time.Second))
	for _, tc := range []struct {
		name string
		l    Ledger
		want int
	}{
		{"nothing sent", opened(), 0},
		{"four", spent(t, 4), 4},
		{"four, and one on its way", inFlight, 4},
		{"four, and one to be tried again", retry, 4},
		{"four, and one in doubt", unknown, 5},
		{"four, and one refused", refused, 4},
		{"four, and a reply to an event", welcomed, 4},
	} {
		if got := tc.l.Spent(); got != tc.want {
			t.Errorf("%s: got %d, want %d", tc.name, got, tc.want)
		}
	}
}

func TestLastSent(t *testing.T) {
	failed, _ := spent(t, 2).SendFailed(send("s2").MsgID(), 10, t0.Add(time.Minute), after(time.Minute))
	inFlight, _ := post(t, spent(t, 1), send("s9"), after(time.Minute))
	for _, tc := range []struct {
		name string
		l    Ledger
		want string
		at   time.Time
	}{
		{"nothing sent", opened(), "", time.Time{}},
		{"the newest of two", spent(t, 2), send("s2").MsgID(), t0.Add(2 * time.Second)},
		{"the newest could not be delivered", failed, send("s1").MsgID(), t0.Add(time.Second)},
		{"the newest has no answer yet", inFlight, send("s1").MsgID(), t0.Add(time.Second)},
		{"our clock was corrected in between", accepted(t, spent(t, 2), send("s3"), after(1500*time.Millisecond)), send("s3").MsgID(), t0.Add(1500 * time.Millisecond)},
		{"a reply to an event", accepted(t, spent(t, 1), command(Reply, "r"), after(10*time.Second)), command(Reply, "r").MsgID(), t0.Add(10 * time.Second)},
		{"a transfer is no message", transferred(t, spent(t, 1)), send("s1").MsgID(), t0.Add(time.Second)},
	} {
		if got, at := tc.l.LastSent(); got != tc.want || !at.Equal(tc.at) {
			t.Errorf("%s: got %q at %v, want %q at %v", tc.name, got, at, tc.want, tc.at)
		}
	}
}

// transferred is l with a transfer that the platform accepted.
func transferred(t *testing.T, l Ledger) Ledger {
	t.Helper()
	return accepted(t, l, command(Transfer, "t"), after(time.Minute))
}

func TestGap(t *testing.T) {
	apart := rules
	apart.Gap = 3 * time.Second
	first, s2 := send("s1"), send("s2")
	sent := accepted(t, opened(), first, after(0))
	inFlight, _ := post(t, opened(), first, after(0))
	refused, _ := answered(t, opened(), first, after(0), AnswerOf(40007))
	welcomed := accepted(t, opened(), command(Reply, "r"), after(0))
	for _, tc := range []struct {
		name string
		l    Ledger
		c    Command
		at   time.Duration
		wait time.Duration // 0: it goes
	}{
		{"nothing sent before", opened(), s2, 0, 0},
		{"at once", sent, s2, 0, 3 * time.Second},
		{"a moment early", sent, s2, 3*time.Second - time.Millisecond, 100 * time.Millisecond},
		{"after the gap", sent, s2, 3 * time.Second, 0},
		{"the first has no answer yet", inFlight, s2, time.Second, 2 * time.Second},
		{"the first was refused", refused, s2, time.Second, 0},
		{"after a welcome", welcomed, s2, time.Second, 2 * time.Second},
		{"it expires before", sent, expiring(s2, 2*time.Second+500*time.Millisecond), 0, 2500 * time.Millisecond},
		{"a reply has 20 s and does not wait", sent, command(Reply, "r"), time.Second, 0},
		{"a recall does not wait", sent, command(Recall, "c"), time.Second, 0},
		{"a transfer does not wait", sent, command(Transfer, "t"), time.Second, 0},
	} {
		_, a := apart.Decide(tc.l, tc.c, after(tc.at))
		if tc.wait == 0 && a.Kind != Post {
			t.Errorf("%s: got %+v, want a post", tc.name, a)
		}
		if tc.wait > 0 && (a.Kind != Wait || !a.Apart || !a.Until.Equal(t0.Add(tc.at+tc.wait))) {
			t.Errorf("%s: got %+v, want to wait %v", tc.name, a, tc.wait)
		}
	}
	if _, a := rules.Decide(sent, s2, after(0)); a.Kind != Post {
		t.Errorf("without a gap: got %+v, want a post", a)
	}
	if _, a := apart.Decide(spent(t, 5), send("s6"), after(5*time.Second)); a.Outcome.Reason != ReasonQuotaSpent {
		t.Errorf("what is refused does not wait first: got %+v", a)
	}
	if bad := (Rules{Tries: 1, Fence: 1, Margin: 1, Grace: 2, Gap: -1}); bad.Validate() == nil {
		t.Error("a negative gap is accepted")
	}
}
