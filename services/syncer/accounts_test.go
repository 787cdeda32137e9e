package syncer

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func testAccounts(change ...func(*Config)) *accounts {
	c := Config{Sweep: time.Minute, TokenlessPerMinute: 30}
	for _, f := range change {
		f(&c)
	}
	return newAccounts(c, noon)
}

func TestSweepFindsWhoWasNotPulled(t *testing.T) {
	a := testAccounts()
	a.add(noon, "wk1", "wk2", "wk3")
	if got := a.takeDue(noon.Add(time.Second)); !slices.Equal(got, []string{"wk1", "wk2", "wk3"}) {
		t.Fatalf("at start: got %v, want all in order", got)
	}
	a.add(noon.Add(2*time.Second), "wk1", "wk4")
	if got := a.takeDue(noon.Add(3 * time.Second)); !slices.Equal(got, []string{"wk4"}) {
		t.Fatalf("one more: got %v, want wk4", got)
	}
	a.pulled("wk2", noon.Add(50*time.Second))
	a.rest("wk3", noon.Add(10*time.Minute))
	a.remove("wk4")
	if got := a.takeDue(noon.Add(80 * time.Second)); !slices.Equal(got, []string{"wk1"}) {
		t.Errorf("after an interval: got %v, want wk1 only: wk2 was pulled, wk3 rests, wk4 is gone", got)
	}
	if got := a.takeDue(noon.Add(20 * time.Minute)); len(got) != 3 {
		t.Errorf("much later: got %v, want three", got)
	}
	a.pulled("wk5", noon) // a doorbell makes an account known
	if got := a.takeDue(noon.Add(2 * time.Minute)); !slices.Contains(got, "wk5") {
		t.Errorf("got %v, want wk5", got)
	}
}

func TestSweepsAreSpread(t *testing.T) {
	a := testAccounts()
	const n = 1000
	for i := range n {
		a.add(noon, fmt.Sprint("wk", i))
	}
	a.takeDue(noon)
	due := map[int]int{}
	for s := range 80 {
		due[s] = len(a.takeDue(noon.Add(time.Duration(s) * time.Second)))
	}
	total := 0
	for s, k := range due {
		total += k
		if k > 0 && (s < 54 || s > 67) {
			t.Errorf("%d sweeps after %d s, want all within a tenth of a minute", k, s)
		}
		if k > n/4 {
			t.Errorf("%d of %d in one second", k, n)
		}
	}
	if total != n {
		t.Errorf("got %d sweeps, want %d", total, n)
	}
}

func TestFirstSweepIsSpread(t *testing.T) {
	a := testAccounts()
	ids := make([]string, 20000)
	for i := range ids {
		ids[i] = fmt.Sprint("wk", i)
	}
	a.add(noon, ids...)
	if got := len(a.takeDue(noon.Add(time.Second))); got > 201 {
		t.Errorf("after a second: got %d, want at most 201", got)
	}
	if a.takeDue(noon.Add(time.Minute)); a.takeDue(noon.Add(time.Minute)) != nil {
		t.Error("somebody is still due for the first time after one interval")
	}
}

func TestTokenlessBudget(t *testing.T) {
	a := testAccounts()
	spent, minute := 0, 0
	for now := noon; now.Before(noon.Add(10 * time.Minute)); now = now.Add(100 * time.Millisecond) {
		if now.Equal(noon.Add(time.Minute)) {
			minute = spent
		}
		wait := a.spend("wk1", now)
		switch {
		case wait == 0:
			spent++
		case wait > 2*time.Second:
			t.Fatalf("wait of %v, want at most 2 s", wait)
		}
	}
	if minute > 40 || spent < 300 || spent > 311 {
		t.Errorf("got %d in the first minute and %d in ten, want at most 40 and 300 to 311", minute, spent)
	}
	if wait := a.spend("wk2", noon); wait != 0 {
		t.Errorf("another account: wait %v, want none", wait)
	}
	if one := testAccounts(func(c *Config) { c.TokenlessPerMinute = 1 }); one.spend("wk1", noon) != 0 || one.spend("wk1", noon) < 59*time.Second {
		t.Error("one a minute: want one now, and the next in a minute")
	}
}

func TestFailuresInARow(t *testing.T) {
	a := testAccounts()
	a.failed("wk1")
	if got := a.failed("wk1"); got != 2 {
		t.Errorf("got %d, want 2", got)
	}
	a.pulled("wk1", noon)
	if got := a.failed("wk1"); got != 1 {
		t.Errorf("after a success: got %d, want 1", got)
	}
}

func TestHorizonIsTheListBeforeTheLast(t *testing.T) {
	a := testAccounts()
	if !a.since().Equal(noon) {
		t.Errorf("before any list: got %v, want the start", a.since())
	}
	for i, want := range []time.Duration{0, time.Minute, 6 * time.Minute} {
		a.known(noon.Add(time.Duration(5*i+1) * time.Minute))
		if got := a.since().Sub(noon); got != want {
			t.Errorf("list %d: got %v after the start, want %v", i+1, got, want)
		}
	}
}
