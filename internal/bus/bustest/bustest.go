// Package bustest is what the bus promises, as a list of cases that need nothing
// but a broker: one suite, held to every kind of broker there is. internal/bus
// runs it on a server in the same process, containertest on real servers.
//
// What differs between one server and a cluster (error codes, times, replicas
// that lag) must not show here: a case that holds on one kind only is no case.
package bustest

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
)

// Env is the broker of one case: JetStream is on, and nothing is in it.
type Env struct {
	URL      string        // any client connects here, over TCP
	Options  []nats.Option // more for the bus's own connections
	Replicas int           // of streams and buckets: 1 on one server, 3 in a cluster
}

// Case is one promise. It makes what it needs and leaves it behind.
type Case struct {
	Name string // the outcome
	Run  func(t *testing.T, env Env)
}

// Cases are all of them, in no order that matters.
func Cases() []Case {
	return []Case{
		{"apply makes all and repeats safely", applyRepeats},
		{"check finds drift", checkFindsDrift},
		{"unknown verb finds no stream", unknownVerb},
		{"third doorbell is covered", thirdDoorbell},
		{"full stream is not covered", fullStream},
		{"foreign client sees structured JSON", foreignClient},
		{"batch is all or nothing", batchAllOrNothing},
		{"batches of two to a thousand", batchSizes},
		{"three rivals write one chain", threeRivals},
		{"swap needs the revision", swap},
		{"one of sixteen racers swaps", racers},
		{"next and last", nextAndLast},
		{"timer is due once", timerIsDueOnce},
		{"lane has one worker", laneHasOneWorker},
		{"poison is buried and acked", poisonIsBuried},
		{"failed message comes again in its place", failedComesAgain},
		{"stop finishes what is in hand", stopFinishes},
		{"stop before the start is clean", stopAtStart},
		{"keep-alive outlasts AckWait", keepAlive},
		{"object is what was written", objectIsWhole},
		{"object is never there in part", objectNeverInPart},
		{"object is written once by eight racers", objectOnce},
		{"object that does not fit leaves nothing", objectFull},
	}
}

// Patience is how long a case waits for something that must happen: long enough
// for a cluster on a busy machine, and never waited out by a case that passes.
const Patience = 60 * time.Second

// Context ends with the test, or after Patience.
func Context(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	t.Cleanup(cancel)
	return ctx
}

// Topology is a small one, quick to make.
func (e Env) Topology() bus.Topology {
	t := bus.DefaultTopology()
	t.CallbackLanes, t.CommandLanes, t.ReplyLanes = 4, 4, 2
	t.Replicas = e.Replicas
	return t
}

// Connect opens a connection that closes with the test.
func (e Env) Connect(t testing.TB, name string) *bus.Bus {
	t.Helper()
	b, err := bus.Connect(bus.Config{URL: e.URL}, name, zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel), e.Options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.NC.Close)
	return b
}

// Start connects and makes the topology.
func (e Env) Start(t testing.TB) *bus.Bus {
	t.Helper()
	b := e.Connect(t, t.Name())
	if _, err := b.Apply(Context(t), e.Topology()); err != nil {
		t.Fatal(err)
	}
	return b
}

// Eventually waits for something that no channel tells of, asking again and
// again; what is asked must be cheap.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx := Context(t)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited %v for %s", Patience, what)
		case <-tick.C:
		}
	}
}
