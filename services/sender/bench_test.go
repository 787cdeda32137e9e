package sender

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/services/sender/window"
)

// latency is the fake platform's.
const latency = 20 * time.Millisecond

// BenchmarkSend sends to a platform that takes 20 ms, with p lanes that are never empty, and reports the part of the ideal
// rate p/20ms that is reached: by a sender, and by the same lanes with nothing but the request and the acknowledgement.
func BenchmarkSend(b *testing.B) {
	for _, p := range []int{1, 16} {
		b.Run(fmt.Sprintf("p=%d", p), func(b *testing.B) {
			w := newBench(b, p)
			w.saturate(b, p, func() { w.start(unlimited) })
		})
		b.Run(fmt.Sprintf("request-only/p=%d", p), func(b *testing.B) {
			w := newBench(b, p)
			w.saturate(b, p, w.requestsOnly)
		})
	}
}

func (w *bench) saturate(b *testing.B, p int, start func()) {
	each(p, b.N, func(lane, n int) { w.publish(lane, n) })
	b.ResetTimer()
	used := processorTime()
	start()
	each(p, b.N, w.await)
	b.StopTimer()
	b.ReportMetric(float64((processorTime()-used).Microseconds())/float64(b.N), "cpu-µs/send") // broker and platform included
	rate := float64(b.N) / time.Since(w.first.Load().(time.Time)).Seconds()                    // the start of the sender is not meant
	b.ReportMetric(rate/(float64(p)/latency.Seconds()), "of-ideal")
	b.ReportMetric(rate, "sends/s")
	b.ReportMetric(0, "ns/op")
}

// requestsOnly is a sender without ledger and outcomes.
func (w *bench) requestsOnly() {
	api, err := kfapi.New(kfapi.Config{BaseURL: w.http.URL})
	w.must(err)
	own := testkit.Connect(w, w.srv, "requests")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	w.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		err := own.ConsumeCommands(ctx, bus.Consuming{Confirm: true}, func(ctx context.Context, d *bus.Delivery) error {
			_, err := api.SendMsg(ctx, "token", kfapi.SendMsgRequest{ToUser: ann, OpenKfID: desk, MsgID: "m", Message: kfapi.Text{Content: "x"}})
			w.finish(d.Header.Get("Nats-Msg-Id"))
			return err
		})
		if err != nil {
			w.Error(err)
		}
	}()
}

// BenchmarkSendLatency sends p commands at a time, each after the outcome of the one before it, and reports what the whole
// way of a command adds to the request alone: publish, lane, ledger, outcome, and back.
func BenchmarkSendLatency(b *testing.B) {
	for _, p := range []int{1, 16} {
		b.Run(fmt.Sprintf("p=%d", p), func(b *testing.B) {
			w := newBench(b, p)
			r := w.start(unlimited)
			testkit.Eventually(b, "the sender to be ready", func() bool { return r.reason("topology") == "" && r.reason("outcomes") == "" })
			alone := w.postsAlone(p)
			b.ResetTimer()
			took := each(p, b.N, func(worker, n int) {
				w.publish(worker, n)
				w.await(worker, n)
			})
			b.ReportMetric(float64(took-alone)/1e6, "ms-added-p50")
			b.ReportMetric(float64(alone)/1e6, "ms-post-p50")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// bench is a world whose platform takes every message after 20 ms.
type bench struct {
	*world
	users [][]string // by lane
	done  [][]chan struct{}
	body  []byte
	first atomic.Value // when the first request came
}

// unlimited: here the platform has no limit, and ours would be what is measured.
func unlimited(c *Config) { c.CallsPerMinute, c.CallsPerHour = 10_000_000, 10_000_000 }

func newBench(b *testing.B, p int) *bench {
	w := &bench{world: newWorld(b, lanes(p))}
	w.http.Close()
	var once sync.Once
	w.http = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/cgi-bin/kf/send_msg" {
			once.Do(func() { w.first.Store(time.Now()) })
		}
		<-time.After(latency)
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, `{"errcode":0,"errmsg":"ok","msgid":"m"}`)
	}))
	b.Cleanup(w.http.Close)
	n := b.N/p + 1
	w.users, w.done = laneUsers(p, n), make([][]chan struct{}, p)
	open, err := json.Marshal(window.Ledger{CustomerAt: window.At(time.Now())})
	w.must(err)
	w.body, err = json.Marshal(text())
	w.must(err)
	for lane, list := range w.users {
		w.done[lane] = make([]chan struct{}, n)
		for i, u := range list {
			w.done[lane][i] = make(chan struct{})
			w.must(w.bus.Put(b.Context(), events.BucketLedger, events.ConversationKey(corp, desk, u), open, 0))
		}
	}
	c, err := w.bus.JS.OrderedConsumer(b.Context(), events.StreamOutcome, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverNewPolicy})
	w.must(err)
	cc, err := c.Consume(func(m jetstream.Msg) {
		var o struct {
			Data events.Outcome `json:"data"`
		}
		if err := json.Unmarshal(m.Data(), &o); err != nil || o.Data.State != "accepted" {
			b.Errorf("an outcome is %q, %v", o.Data.State, err)
		}
		w.finish(o.Data.CommandID)
	})
	w.must(err)
	b.Cleanup(cc.Stop)
	return w
}

func (w *bench) publish(lane, n int) {
	subject := events.CommandSubject(team, corp, desk, events.VerbSend, w.users[lane][n])
	w.raw(subject, nats.Header{"Nats-Msg-Id": {fmt.Sprintf("b%d-%d", lane, n)}}, w.body)
}

func (w *bench) finish(id string) {
	var lane, n int
	if _, err := fmt.Sscanf(id, "b%d-%d", &lane, &n); err != nil {
		w.Errorf("outcome of %q: %v", id, err)
		return
	}
	close(w.done[lane][n])
}

func (w *bench) await(lane, n int) { <-w.done[lane][n] }

func (w *bench) postsAlone(p int) time.Duration {
	api, err := kfapi.New(kfapi.Config{BaseURL: w.http.URL})
	w.must(err)
	return each(p, 20*p, func(worker, n int) {
		_, err := api.SendMsg(context.Background(), "token", kfapi.SendMsgRequest{ToUser: ann, OpenKfID: desk, MsgID: fmt.Sprintf("p%d-%d", worker, n),
			Message: kfapi.Text{Content: "x"}})
		if err != nil {
			w.Error(err)
		}
	})
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// each runs n calls by p workers and returns the median time of one.
func each(p, n int, call func(worker, n int)) time.Duration {
	var mu sync.Mutex
	var all []time.Duration
	var wg sync.WaitGroup
	for worker := range p {
		wg.Go(func() {
			for k := range (n + p - 1 - worker) / p {
				start := time.Now()
				call(worker, k)
				d := time.Since(start)
				mu.Lock()
				all = append(all, d)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(all)
	return all[len(all)/2]
}

// laneUsers returns n users for each of p lanes, by the server's own hash of the subject's tokens.
func laneUsers(p, n int) [][]string {
	users := make([][]string, p)
	for i, missing := 0, p; missing > 0; i++ {
		u := fmt.Sprint("wmBENCH", i)
		h := fnv.New32a()
		_, _ = io.WriteString(h, corp+desk+u)
		lane := int(h.Sum32()) % p
		if len(users[lane]) == n {
			continue
		}
		if users[lane] = append(users[lane], u); len(users[lane]) == n {
			missing--
		}
	}
	return users
}
