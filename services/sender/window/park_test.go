package window

import (
	"fmt"
	"testing"
	"time"
)

func parked(id string, verb Verb) Command {
	return Command{Team: "t", ID: id, Verb: verb, ExpiresAt: time.Unix(10_000, 0), State: sessionEnded}
}

func atLocal(sec int64) Now { return Now{Local: time.Unix(sec, 0), Platform: time.Unix(sec, 0)} }

func TestParkedCommandsKeepTheirOrder(t *testing.T) {
	var l Ledger
	now := atLocal(1000)
	for _, id := range []string{"a", "b", "a"} { // twice: still in its place
		l, _ = l.Park(parked(id, Send), false, now)
	}
	if key, ok := l.Next(now); !ok || key != MsgID("", "t", "a") {
		t.Errorf("next is %s, want a", key)
	}
	for _, c := range []struct {
		name string
		c    Command
		want bool
	}{
		{"the first waits for nobody", parked("a", Send), false},
		{"the second waits for the first", parked("b", Send), true},
		{"a new send waits", parked("c", Send), true},
		{"a new transfer waits", parked("c", Transfer), true},
		{"a recall never waits", parked("c", Recall), false},
		{"a reply never waits", parked("c", Reply), false},
	} {
		if got := l.behind(c.c, now); got != c.want {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
	l = l.unpark(MsgID("", "t", "a"))
	if l.behind(parked("b", Send), now) {
		t.Error("b still waits although a is over")
	}
}

func TestTransferPassesWhatIsHeld(t *testing.T) {
	l, _ := Ledger{}.Park(parked("held", Send), true, atLocal(1000))
	if l.behind(parked("end", Transfer), atLocal(1000)) {
		t.Error("the transfer that would end the human session waits for what that session holds")
	}
	if !l.behind(parked("next", Send), atLocal(1000)) {
		t.Error("a send passes a held one")
	}
}

func TestRepliesAndRecallsAreNotParked(t *testing.T) {
	for _, v := range []Verb{Reply, Recall} {
		if l, changed := (Ledger{}).Park(parked("x", v), false, atLocal(1)); changed || len(l.Parked) != 0 {
			t.Errorf("%s was parked", v)
		}
	}
}

func TestLostParkedCommandBlocksNobody(t *testing.T) {
	l, _ := Ledger{}.Park(parked("lost", Send), false, atLocal(1000))
	sharp := atLocal(10_000).Local.Add(lostAfter)
	if !l.behind(parked("b", Send), Now{Local: sharp}) {
		t.Error("given up a moment too soon")
	}
	late := Now{Local: sharp.Add(time.Millisecond)}
	if l.behind(parked("b", Send), late) {
		t.Error("still waited for")
	}
	if _, ok := l.Next(late); ok {
		t.Error("still the next to go on")
	}
	if l = l.unparkStale(late); len(l.Parked) != 0 {
		t.Error("still in the ledger")
	}
}

func TestQueueHasAnEnd(t *testing.T) {
	var l Ledger
	now := atLocal(1000)
	for i := range maxParked {
		l, _ = l.Park(parked(fmt.Sprint(i), Send), false, now)
	}
	if !l.queueFull(parked("one more", Send)) {
		t.Error("there is always room")
	}
	if l.queueFull(parked("0", Send)) {
		t.Error("no room for one that is in it")
	}
}

func TestFinishedCommandLeavesTheQueue(t *testing.T) {
	l, _ := Ledger{}.Park(parked("a", Send), false, atLocal(1000))
	rec := newRecord(parked("a", Send)).finished(Refused, ReasonSessionState, 0, atLocal(1000))
	if l = l.with(rec); len(l.Parked) != 0 {
		t.Errorf("still parked: %+v", l.Parked)
	}
}
