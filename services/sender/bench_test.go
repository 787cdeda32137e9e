package sender

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
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

// contenders are the sender, and the same lanes with less: all that a sender must do at least, and nothing but the request
// and the acknowledgement. Each waits for 20 ms of platform.
var contenders = []struct {
	name  string
	start func(w *bench)
}{
	{"sender", func(w *bench) { w.start(unlimited) }},
	{"floor", (*bench).floor},
	{"request-only", (*bench).requestsOnly},
}

// rounds is how often each contender has its turn; the medians are reported.
const rounds = 3

// BenchmarkSend sends to a platform that takes 20 ms, with p lanes that are never empty, and reports the part of the ideal
// rate p/20ms that is reached, by each contender in turn, and the sender's part of what the floor reaches.
func BenchmarkSend(b *testing.B) {
	for _, p := range []int{1, 16, 128} {
		b.Run(fmt.Sprintf("p=%d", p), func(b *testing.B) {
			of, cpu, ratio := map[string][]float64{}, map[string][]float64{}, []float64{}
			for range rounds {
				for _, c := range contenders {
					w := newBench(b, p, max(100, 60*p)) // more than a second of the ideal
					share, perSend := w.saturate(c.start)
					w.end()
					of[c.name], cpu[c.name] = append(of[c.name], share), append(cpu[c.name], perSend)
				}
				ratio = append(ratio, of["sender"][len(ratio)]/of["floor"][len(ratio)])
			}
			for _, c := range contenders {
				b.ReportMetric(median(of[c.name]), c.name+"-of-ideal")
				b.ReportMetric(median(cpu[c.name]), c.name+"-cpu-µs") // broker and platform included
			}
			b.ReportMetric(median(ratio), "sender/floor")
			report(b)
		})
	}
}

// report leaves out what means nothing here, and says how busy the machine is.
func report(b *testing.B) {
	b.ReportMetric(0, "ns/op")
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		b.Logf("load of the machine: %.14s", load)
	}
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// saturate publishes all commands and then starts a contender; it returns the part of the ideal rate, and the processor's
// time for one, in µs.
func (w *bench) saturate(start func(*bench)) (ofIdeal, cpu float64) {
	each(w.p, w.n, func(lane, n int) { w.publish(lane, n) })
	used := processorTime()
	start(w)
	each(w.p, w.n, w.await)
	cpu = float64((processorTime() - used).Microseconds()) / float64(w.n)
	rate := float64(w.n) / time.Since(w.first.Load().(time.Time)).Seconds() // the start of the sender is not meant
	return rate / (float64(w.p) / latency.Seconds()), cpu
}

// carry consumes the lanes with one handler.
func (w *bench) carry(handle func(ctx context.Context, b *bus.Bus, api *kfapi.Client, d *bus.Delivery) error) {
	api, err := kfapi.New(kfapi.Config{BaseURL: w.http.URL})
	w.must(err)
	own := testkit.Connect(w, w.srv, "bare")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	w.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		if err := own.ConsumeCommands(ctx, bus.Consuming{Confirm: true}, func(ctx context.Context, d *bus.Delivery) error {
			return handle(ctx, own, api, d)
		}); err != nil {
			w.Error(err)
		}
	}()
}

func request(ctx context.Context, api *kfapi.Client) error {
	_, err := api.SendMsg(ctx, "token", kfapi.SendMsgRequest{ToUser: ann, OpenKfID: desk, MsgID: "m", Message: kfapi.Text{Content: "x"}})
	return err
}

// requestsOnly is a sender without ledger and outcomes.
func (w *bench) requestsOnly() {
	w.carry(func(ctx context.Context, _ *bus.Bus, api *kfapi.Client, d *bus.Delivery) error {
		err := request(ctx, api)
		w.finish(d.Header.Get("Nats-Msg-Id"))
		return err
	})
}

// floor is a sender without rules: read a key, compare-and-set it, the request, an outcome, and a confirmed acknowledgement.
func (w *bench) floor() {
	w.carry(func(ctx context.Context, b *bus.Bus, api *kfapi.Client, d *bus.Delivery) error {
		who, err := d.Published()
		if err != nil {
			return err
		}
		e, err := b.Read(ctx, events.BucketLedger, who.ConversationKey())
		if err != nil {
			return err
		}
		var l map[string]any
		if err := json.Unmarshal(e.Value, &l); err != nil {
			return err
		}
		l["n"] = 1
		value, err := json.Marshal(l)
		if err != nil {
			return err
		}
		if _, err := b.Swap(ctx, events.BucketLedger, who.ConversationKey(), value, e.Revision, 0); err != nil {
			return err
		}
		if err := request(ctx, api); err != nil {
			return err
		}
		o := events.Outcome{CommandID: d.Header.Get("Nats-Msg-Id"), Team: team, Verb: events.VerbSend, State: events.StateAccepted, OpenKfID: desk, ExternalUserID: who.User}
		out, err := o.Event(corp, "")
		if err != nil {
			return err
		}
		_, _, err = b.Publish(ctx, bus.Message{Subject: events.OutcomeSubject(who, o.State), Event: out, MsgID: out.ID()})
		return err
	})
}

// BenchmarkSendLatency sends p commands at a time, each after the outcome of the one before it, and reports what the way of
// a command adds to the request alone: all of it, from publish to outcome; and the part that is window, outcome and
// acknowledgement, which is what the sender takes longer than lanes with the request only.
func BenchmarkSendLatency(b *testing.B) {
	for _, p := range []int{1, 16} {
		b.Run(fmt.Sprintf("p=%d", p), func(b *testing.B) {
			took := map[string][]float64{}
			var window, all, alone []float64
			for k := range rounds {
				for _, c := range contenders {
					w := newBench(b, p, max(100, 40*p))
					c.start(w)
					last := len(w.users[0]) - 1
					w.publish(0, last) // the lanes are consumed when the first is through
					w.await(0, last)
					if c.name == "sender" {
						alone = append(alone, ms(w.postsAlone()))
					}
					took[c.name] = append(took[c.name], ms(each(p, w.n, func(worker, n int) {
						w.publish(worker, n)
						w.await(worker, n)
					})))
					w.end()
				}
				window = append(window, took["sender"][k]-took["request-only"][k])
				all = append(all, took["sender"][k]-alone[k])
			}
			b.ReportMetric(median(window), "ms-window-outcome-ack-p50")
			b.ReportMetric(median(all), "ms-added-p50")
			b.ReportMetric(median(alone), "ms-post-p50")
			b.ReportMetric(median(took["floor"])-median(took["request-only"]), "ms-floor-p50")
			report(b)
		})
	}
}

func ms(d time.Duration) float64 { return float64(d) / 1e6 }

// bench is a world whose platform takes every message after 20 ms.
type bench struct {
	*world
	end   func()
	p, n  int        // lanes; commands
	users [][]string // by lane
	done  [][]chan struct{}
	body  []byte
	first atomic.Value // when the first request came
}

// unlimited: here the platform has no limit, and ours would be what is measured.
func unlimited(c *Config) { c.CallsPerMinute, c.CallsPerHour = 10_000_000, 10_000_000 }

// scope ends before its benchmark does.
type scope struct {
	*testing.B
	ends []func()
}

func (s *scope) Cleanup(f func()) { s.ends = append(s.ends, f) }

func (s *scope) end() {
	for _, f := range slices.Backward(s.ends) {
		f()
	}
}

// newBench is a world of p lanes with as many users for n commands and one more for each lane.
func newBench(b *testing.B, p, n int) *bench {
	b.Helper()
	s := &scope{B: b}
	w := &bench{world: newWorld(s, lanes(p)), end: s.end, p: p, n: n}
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
	s.Cleanup(w.http.Close)
	each := (n+p-1)/p + 1
	w.users, w.done = laneUsers(p, each), make([][]chan struct{}, p)
	open, err := json.Marshal(window.Ledger{CustomerAt: window.At(time.Now())})
	w.must(err)
	w.body, err = json.Marshal(text())
	w.must(err)
	for lane, list := range w.users {
		w.done[lane] = make([]chan struct{}, each)
		for i, u := range list {
			w.done[lane][i] = make(chan struct{})
			w.open(u, open)
		}
	}
	w.stored()
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
	s.Cleanup(cc.Stop)
	return w
}

// open stores a ledger without waiting for it.
func (w *bench) open(user string, ledger []byte) {
	_, err := w.bus.JS.PublishAsync("$KV."+events.BucketLedger+"."+events.ConversationKey(corp, desk, user), ledger, jetstream.WithStallWait(time.Minute))
	w.must(err)
}

// stored waits for what was opened.
func (w *bench) stored() {
	select {
	case <-w.bus.JS.PublishAsyncComplete():
	case <-time.After(10 * time.Minute):
		w.Fatal("the ledgers are not stored")
	}
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

func (w *bench) postsAlone() time.Duration {
	api, err := kfapi.New(kfapi.Config{BaseURL: w.http.URL})
	w.must(err)
	return each(w.p, 20*w.p, func(worker, n int) {
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
