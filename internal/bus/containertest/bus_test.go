package containertest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/bus/bustest"
	"github.com/kfbus/kfbus/pkg/events"
)

func TestOneServer(t *testing.T) { runCases(t, start(t, 1)) }

func TestCluster(t *testing.T) {
	s := start(t, 3)
	t.Run("cases", func(t *testing.T) { runCases(t, s) })
	t.Run("leaders are killed", func(t *testing.T) { leadersAreKilled(t, s) })
	t.Run("servers freeze", func(t *testing.T) { serversFreeze(t, s) })
}

func runCases(t *testing.T, s *servers) {
	began := time.Now()
	cases := bustest.Cases()
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) { c.Run(t, s.env(t)) })
	}
	t.Logf("%d cases at R%d took %v", len(cases), len(s.nodes), time.Since(began).Round(time.Millisecond))
}

// leadersAreKilled: whoever leads a stream dies in the middle of publishes and
// batches, comes back, and dies again.
func leadersAreKilled(t *testing.T, s *servers) {
	env := s.env(t)
	b := env.Start(t)
	w := write(t, env)
	w.progress(t, "before anything dies")
	for i, stream := range []string{events.StreamMessage, events.StreamOutcome, events.StreamMessage} {
		victim := leaderNow(t, b, stream)
		s.kill(t, victim)
		w.progress(t, fmt.Sprintf("kill %d, of %s's leader %s", i+1, stream, victim))
		if now := leaderNow(t, b, stream); now == victim {
			t.Errorf("%s is said to lead %s, but it is dead", now, stream)
		}
		s.restart(t, victim)
	}
	w.progress(t, "all are back")
	w.check(t, b)
}

// serversFreeze: a leader stops for a while, thinks it still leads when it goes
// on, and finds messages waiting; then a follower.
func serversFreeze(t *testing.T, s *servers) {
	env := s.env(t)
	// A frozen server keeps its connections; pings find out. Ours are 10 s apart in production.
	env.Options = append(env.Options, nats.PingInterval(time.Second))
	b := env.Start(t)
	w := write(t, env)
	w.progress(t, "before anything freezes")
	for _, role := range []string{"leader", "follower"} {
		victim := leaderNow(t, b, events.StreamMessage)
		if role == "follower" {
			victim = s.other(victim)
		}
		s.freeze(t, victim)
		w.progress(t, "frozen "+role+" "+victim)
		s.thaw(t, victim)
		w.progress(t, "it goes on")
	}
	w.check(t, b)
}

func leaderNow(t *testing.T, b *bus.Bus, stream string) string {
	t.Helper()
	var name string
	bustest.Eventually(t, "a leader of "+stream, func() bool {
		name = leader(t, b, stream)
		return name != ""
	})
	return name
}

// writing is publishes and batches that go on whatever happens.
type writing struct {
	chains []bustest.Chain
	tally  []*bustest.Tally
	stop   chan struct{}
	wg     sync.WaitGroup
}

// write starts two rivals on one account's pages, a single writer on another's,
// and two rivals on publishes.
func write(t *testing.T, env bustest.Env) *writing {
	t.Helper()
	w := &writing{stop: make(chan struct{})}
	t.Cleanup(w.wg.Wait)
	for i, c := range []struct {
		chain   bustest.Chain
		writers int
	}{{bustest.Pages("wk1"), 2}, {bustest.Pages("wk2"), 1}, {bustest.Outcomes("wk1"), 2}} {
		tally := &bustest.Tally{}
		w.chains, w.tally = append(w.chains, c.chain), append(w.tally, tally)
		for k := range c.writers {
			b := env.Connect(t, fmt.Sprintf("writer %d.%d", i, k))
			w.wg.Go(func() {
				if err := c.chain.Write(t.Context(), b, tally, w.enough); err != nil {
					t.Error(err)
				}
			})
		}
	}
	return w
}

func (w *writing) enough(int) bool {
	select {
	case <-w.stop:
		return true
	default:
		return false
	}
}

// progress waits until each chain has 20 acks more.
func (w *writing) progress(t *testing.T, when string) {
	t.Helper()
	const more = 20
	began, want := time.Now(), make([]int, len(w.tally))
	for i, y := range w.tally {
		want[i] = y.Acked() + more
	}
	for i, y := range w.tally {
		bustest.Eventually(t, fmt.Sprintf("%d more steps of chain %d, %s", more, i, when), func() bool { return y.Acked() >= want[i] })
	}
	t.Logf("%s: %d more steps of each chain after %v", when, more, time.Since(began).Round(time.Millisecond))
}

func (w *writing) check(t *testing.T, b *bus.Bus) {
	t.Helper()
	close(w.stop)
	w.wg.Wait()
	for i, c := range w.chains {
		c.Check(t, b, w.tally[i])
	}
}
