package window

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"
)

const steps = 60

// run is one random life of one conversation; it ends with the first violation.
func run(seed uint64, mutate func(Rules) subject, loud bool) *world {
	w := newWorld(seed, mutate, loud)
	for range steps {
		if w.step(); len(w.faults) > 0 {
			return w
		}
	}
	w.settleDown()
	return w
}

// report is what a number of worlds came to.
type report struct {
	mu       sync.Mutex
	worlds   int
	seen     tally
	hits     [nPoints]int // worlds in which a fault struck
	ends     map[State]int
	posts    int
	commands int
	failed   map[uint64]string
}

// runAll runs the worlds of seeds from 0, on all processors, and stops after a few have failed.
func runAll(n uint64, mutate func(Rules) subject) *report {
	r := &report{ends: map[State]int{}, failed: map[uint64]string{}}
	var next atomic.Uint64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := next.Add(1) - 1; seed < n; seed = next.Add(1) - 1 {
				if w := run(seed, mutate, false); r.add(seed, w) >= 10 {
					return
				}
			}
		})
	}
	wg.Wait()
	return r
}

func (r *report) add(seed uint64, w *world) (failed int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.worlds++
	for p := range w.seen {
		r.seen[p].checked += w.seen[p].checked
		r.seen[p].earnest += w.seen[p].earnest
	}
	for p, hit := range w.hits {
		if hit {
			r.hits[p]++
		}
	}
	if len(w.faults) > 0 {
		r.failed[seed] = w.faults[0]
		return len(r.failed)
	}
	for _, o := range w.orders {
		r.commands++
		r.posts += o.posts
		r.ends[o.terminal[0].State]++
		for _, fix := range o.fixes {
			r.ends["corrected to "+fix.State]++
		}
	}
	return len(r.failed)
}

// String is a table of the promises: how often each was looked at, how often when it could well have been broken, and how
// many worlds broke it.
func (r *report) String() string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "promise\tchecked\tin earnest\tviolations\t")
	for p, what := range promises {
		broken := 0
		for _, f := range r.failed {
			if strings.HasPrefix(f, what.name+" ") {
				broken++
			}
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%s\n", what.name, r.seen[p].checked, r.seen[p].earnest, broken, what.text)
	}
	fmt.Fprintln(t, "\nfault\tworlds\t\t\t")
	for p, what := range points {
		fmt.Fprintf(t, "%s\t%d\t\t\t\n", what, r.hits[p])
	}
	_ = t.Flush()
	return b.String()
}

// TestSim holds every promise after every event of many worlds. KF_SEEDS says how many (make sim SEEDS=10000), KF_SEED runs
// one and prints what happens in it (make sim SEED=123). A seed that fails is to be added to testdata/seeds, which every run
// replays.
func TestSim(t *testing.T) {
	t.Parallel()
	if seed, err := strconv.ParseUint(os.Getenv("KF_SEED"), 10, 64); err == nil {
		replay(t, seed)
		return
	}
	n := uint64(seeds)
	if given, err := strconv.ParseUint(os.Getenv("KF_SEEDS"), 10, 64); err == nil {
		n = given
	}
	began := time.Now()
	r := runAll(n, ours)
	t.Logf("%d worlds, %d commands, %d posts in %v on %d processors: %v\n\n%v", r.worlds, r.commands, r.posts,
		time.Since(began).Round(100*time.Millisecond), runtime.GOMAXPROCS(0), r.ends, r)
	for seed, fault := range r.failed {
		t.Errorf("seed %d: %s", seed, fault)
		keep(t, seed, fault)
	}
	for seed := range r.failed {
		t.Logf("to see it again: make sim SEED=%d", seed)
		replay(t, seed)
		return
	}
	r.reaches(t)
}

// reaches makes sure that the worlds are not too kind: each end of a command, each fault, and each promise's hard case.
func (r *report) reaches(t *testing.T) {
	least := r.worlds / 200
	for _, s := range []State{Accepted, Refused, Failed, Expired, Cancelled, Recalled, Partial, Unknown, "corrected to accepted", "corrected to failed"} {
		if r.ends[s] < least {
			t.Errorf("only %d commands ended %s", r.ends[s], s)
		}
	}
	for p, n := range r.hits {
		if n < r.worlds/100 {
			t.Errorf("only %d worlds of %d saw this fault: %s", n, r.worlds, points[p])
		}
	}
	for p, n := range r.seen {
		if n.earnest < least && promise(p) != goesOn {
			t.Errorf("%s was looked at %d times, and only %d in earnest", promises[p].name, n.checked, n.earnest)
		}
	}
}

// replay runs one world and prints it.
func replay(t *testing.T, seed uint64) {
	t.Helper()
	w := run(seed, ours, true)
	t.Logf("seed %d\n%s", seed, w.dump())
	if len(w.faults) > 0 {
		t.Errorf("seed %d: %s", seed, w.faults[0])
	}
}

const keptSeeds = "testdata/seeds"

// keep writes a failing seed where the next run finds it.
func keep(t *testing.T, seed uint64, fault string) {
	t.Helper()
	f, err := os.OpenFile(keptSeeds, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "%d %.100s\n", seed, fault); err != nil {
		t.Error(err)
	}
}

// TestKeptSeeds replays the worlds that were once too much.
func TestKeptSeeds(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(keptSeeds)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if word == "" || word == "#" {
			continue
		}
		seed, err := strconv.ParseUint(word, 10, 64)
		if err != nil {
			t.Errorf("%s: %v", keptSeeds, err)
			continue
		}
		if n++; len(run(seed, ours, false).faults) > 0 {
			replay(t, seed)
		}
	}
	t.Logf("%d seeds replayed", n)
	if n == 0 {
		t.Error("no seed is kept")
	}
}
