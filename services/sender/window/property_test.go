package window

import (
	"testing"
	"time"
)

const steps = 60

// run is one random life of one conversation; it returns the first violation.
func run(seed uint64, s subject) *world {
	w := newWorld(seed, s)
	for range steps {
		if w.step(); len(w.faults) > 0 {
			return w
		}
	}
	w.settleDown()
	return w
}

// TestRandomWorlds holds P8–P17 and P22 after every step of many worlds.
func TestRandomWorlds(t *testing.T) {
	started := time.Now()
	stats := map[State]int{}
	posts, commands := 0, 0
	for seed := range uint64(seeds) {
		w := run(seed, ours(rules))
		if len(w.faults) > 0 {
			t.Fatalf("seed %d: %s\n%s", seed, w.faults[0], w.dump())
		}
		for _, o := range w.orders {
			commands++
			posts += o.posts
			stats[o.terminal[0].State]++
			for _, fix := range o.fixes {
				stats["corrected to "+fix.State]++
			}
		}
	}
	t.Logf("%d worlds, %d commands, %d posts in %v: %v", seeds, commands, posts, time.Since(started).Round(time.Millisecond), stats)
	for _, s := range []State{Accepted, Refused, Failed, Expired, Cancelled, Recalled, Unknown, "corrected to accepted", "corrected to failed"} {
		if stats[s] < seeds/200 {
			t.Errorf("only %d commands ended %s: the worlds do not reach it", stats[s], s)
		}
	}
}
