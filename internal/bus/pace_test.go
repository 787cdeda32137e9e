package bus

import (
	"errors"
	"math"
	"testing"
	"time"
)

func TestPaceNeeds(t *testing.T) {
	at := time.Unix(1700000000, 0)
	const us, ms = time.Microsecond, time.Millisecond
	for _, c := range []struct {
		name          string
		single, batch time.Duration
		now           time.Time
		margin        float64
		want          int
	}{
		{"nothing measured", 0, 0, at, toBegin, math.MaxInt},
		{"no fsync: a message costs what it costs in a batch", 35 * us, 5 * ms, at, toBegin, math.MaxInt},
		{"fsync", 230 * us, 4 * ms, at, toGoOn, 20},
		{"fsync, to begin", 239 * us, 4 * ms, at, toBegin, 26},
		{"a slow disk", 10 * ms, 40 * ms, at, toBegin, fewest},
		{"batches too dear", 100 * us, 100 * ms, at, toBegin, math.MaxInt},
		{"dear, but long ago", 230 * us, 100 * ms, at.Add(staleAfter + 1), toGoOn, 15 + 1},
	} {
		var p pace
		p.last = at
		if c.single > 0 {
			p.single.add(10*c.single, 10)
		}
		if c.batch > 0 {
			p.batch.add(c.batch, 1)
		}
		if got := p.need(c.now, c.margin); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}

func TestPaceRestsAfterRefusals(t *testing.T) {
	now := time.Unix(1700000000, 0)
	var p pace
	p.single.add(time.Second, 1)
	for want := firstPause; want < 2*lastPause; want *= 2 {
		p.committed(now, time.Millisecond, 20, errors.New("refused"))
		want := min(want, lastPause)
		if p.need(now.Add(want-1), toBegin) != math.MaxInt || p.need(now.Add(want), toBegin) == math.MaxInt {
			t.Errorf("the rest is not %v", want)
		}
		now = now.Add(want)
	}
	p.committed(now, time.Millisecond, 20, nil)
	p.committed(now, time.Millisecond, 20, errors.New("refused"))
	if p.need(now.Add(lastPause-1), toBegin) != math.MaxInt {
		t.Error("one good batch made the rest short")
	}
}

// TestPaceMeasuresWhileBusy: acks in bursts, a burst each 5 ms; what comes while few are on their way says nothing.
func TestPaceMeasuresWhileBusy(t *testing.T) {
	now := time.Unix(1700000000, 0)
	clock := func() time.Time { return now }
	var p pace
	for range 40 {
		for range 25 {
			p.stored(clock, true)
		}
		now = now.Add(5 * time.Millisecond)
	}
	if got := p.single.get(); got < 190*time.Microsecond || got > 240*time.Microsecond {
		t.Errorf("got %v, want about 200µs", got)
	}
	before := p.single.get()
	for range 1000 {
		p.stored(clock, false)
		now = now.Add(time.Second)
	}
	if got := p.single.get(); got != before {
		t.Errorf("idle time counted: got %v, want %v", got, before)
	}
}

func TestRecentForgetsOnlyInTime(t *testing.T) {
	var r recent
	if r.has("a") {
		t.Error("the zero value remembers")
	}
	r.add("a")
	if !r.has("a") || r.has("b") {
		t.Error("a is not remembered, or b is")
	}
	r.remove("b")
	r.remove("a")
	if r.has("a") {
		t.Error("a is still there")
	}
}
