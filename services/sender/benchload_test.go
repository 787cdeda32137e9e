package sender

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfsim"
	"github.com/kfbus/kfbus/services/sender/window"
)

// BenchmarkConversations is the processor's time of one command with few and with many conversations in the bucket. KF_LONG=1
// makes the many a million, which takes some minutes to store.
func BenchmarkConversations(b *testing.B) {
	counts := []int{1_000, 100_000}
	if os.Getenv("KF_LONG") == "1" {
		counts[1] = 1_000_000
	}
	const p, n = 16, 1600
	cpu := map[int][]float64{}
	var ratio []float64
	for _, count := range counts {
		w := newBench(b, p, rounds*n)
		l, err := json.Marshal(window.Ledger{CustomerAt: window.At(time.Now())})
		w.must(err)
		for i := range count {
			w.open(fmt.Sprint("wmFULL", i), l)
		}
		w.stored()
		r := w.start(unlimited)
		testkit.Eventually(b, "the sender to be ready", func() bool { return r.reason("topology") == "" && r.reason("outcomes") == "" })
		for round := range rounds {
			used := processorTime()
			each(p, n, func(lane, k int) {
				w.publish(lane, round*n/p+k)
				w.await(lane, round*n/p+k)
			})
			cpu[count] = append(cpu[count], float64((processorTime()-used).Microseconds())/n)
		}
		w.end()
	}
	for k := range rounds {
		ratio = append(ratio, cpu[counts[1]][k]/cpu[counts[0]][k])
	}
	for _, count := range counts {
		b.ReportMetric(median(cpu[count]), fmt.Sprintf("cpu-µs-of-%d", count))
	}
	b.ReportMetric(median(ratio), "ratio")
	report(b)
}

// BenchmarkSlowPlatform has 200 customers and a platform that takes 2 s. Each customer gets one message: all at once, which
// the lanes take one after the other, or evenly within a minute. It reports the time from command to outcome.
func BenchmarkSlowPlatform(b *testing.B) {
	const customers = 200
	for _, c := range []struct {
		name   string
		lanes  int
		within time.Duration
	}{{"at once", 32, 0}, {"at once", 512, 0}, {"within a minute", 32, time.Minute}} {
		b.Run(fmt.Sprintf("%s/lanes=%d", c.name, c.lanes), func(b *testing.B) {
			w := newCrowd(b, customers, kfsim.Personality{}, lanes(c.lanes))
			_, err := w.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultLatency, Path: "kf/send_msg", Delay: 2 * time.Second})
			w.must(err)
			w.start()
			w.noted()
			var mu sync.Mutex
			took := make([]float64, 0, customers)
			var all sync.WaitGroup
			for i, user := range w.users {
				<-time.After(c.within / customers)
				id := fmt.Sprint("slow", i)
				sent := time.Now()
				w.send(user, id)
				all.Go(func() {
					<-w.told(id)
					mu.Lock()
					defer mu.Unlock()
					took = append(took, time.Since(sent).Seconds())
				})
			}
			all.Wait()
			slices.Sort(took)
			b.ReportMetric(took[len(took)/2], "s-p50")
			b.ReportMetric(took[len(took)*99/100], "s-p99")
			report(b)
		})
	}
}

// BenchmarkMinute has 9,500 commands for a platform that takes 10,000 calls a minute, and means it.
func BenchmarkMinute(b *testing.B) {
	const commands = 9500
	w := newCrowd(b, commands/5, kfsim.Personality{})
	var all sync.WaitGroup
	each(16, commands, func(worker, k int) {
		i := k*16 + worker
		id := fmt.Sprint("minute", i)
		all.Go(func() { <-w.told(id) })
		w.send(w.users[i%len(w.users)], id)
	})
	w.start()
	began := time.Now()
	all.Wait()
	b.ReportMetric(time.Since(began).Seconds(), "s-of-9500")
	b.ReportMetric(float64(w.posts(apiSend)), "requests")
	b.ReportMetric(float64(w.sim.Answers("kf/send_msg", 45009)), "refused-45009")
	report(b)
}

// audience is a world with many customers, all of whom have written, and the outcomes of their commands.
type audience struct {
	*world
	users []string

	mu  sync.Mutex
	got map[string]chan struct{}
}

func newCrowd(b *testing.B, customers int, p kfsim.Personality, more ...option) *audience {
	b.Helper()
	w := &audience{world: newWorld(b, append(more, personality(p))...), got: map[string]chan struct{}{}}
	l, err := json.Marshal(window.Ledger{CustomerAt: window.At(time.Now())})
	w.must(err)
	for i := range customers {
		u := fmt.Sprint("wmCROWD", i)
		w.users = append(w.users, u)
		w.customer(u)
		_, err := w.sim.CustomerSays(desk, u, canary)
		w.must(err)
		w.must(w.bus.Put(b.Context(), events.BucketLedger, events.ConversationKey(corp, desk, u), l, 0))
	}
	c, err := w.bus.JS.OrderedConsumer(b.Context(), events.StreamOutcome, jetstream.OrderedConsumerConfig{})
	w.must(err)
	cc, err := c.Consume(func(m jetstream.Msg) {
		var o struct {
			Data events.Outcome `json:"data"`
		}
		if err := json.Unmarshal(m.Data(), &o); err != nil || o.Data.State != events.StateAccepted {
			b.Errorf("an outcome is %s %s, %v", o.Data.State, o.Data.Reason, err)
		}
		close(w.told(o.Data.CommandID))
	})
	w.must(err)
	b.Cleanup(cc.Stop)
	return w
}

// told is closed when the outcome of a command has come.
func (w *audience) told(id string) chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.got[id] == nil {
		w.got[id] = make(chan struct{})
	}
	return w.got[id]
}
