package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfcrypto"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// bench is one syncer as a process of its own, with a broker and a tokenkeeper as others, in front of a platform in this one.
type bench struct {
	testing.TB
	corp, addr, platform string
	bus                  *bus.Bus
}

const benchCorp = "ww1"

// accountsOf is a platform that has as many accounts, wk000000 and so on, and answers sync_msg as told.
func accountsOf(accounts int, syncMsg http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case strings.HasSuffix(path, "/sync_msg"):
			syncMsg(w, r)
		case strings.HasSuffix(path, "/account/list"):
			var page struct{ Offset, Limit int }
			_ = json.NewDecoder(r.Body).Decode(&page)
			var list []string
			for i := page.Offset; i < min(page.Offset+page.Limit, accounts); i++ {
				list = append(list, fmt.Sprintf(`{"open_kfid":"wk%06d"}`, i))
			}
			fmt.Fprintf(w, `{"errcode":0,"errmsg":"ok","account_list":[%s]}`, strings.Join(list, ","))
		default:
			fmt.Fprint(w, `{"errcode":0,"errmsg":"ok","access_token":"`+strings.Repeat("t", 64)+`","expires_in":7200}`)
		}
	})
}

func newBench(b *testing.B, platform http.Handler, secret, corp string) *bench {
	b.Helper()
	l := &bench{TB: b, corp: corp, addr: benchAddr(b)}
	srv := httptest.NewServer(platform)
	b.Cleanup(srv.Close)
	l.platform = srv.URL
	dir := b.TempDir()
	l.spawn(brokerDir+"="+dir, brokerAddr+"="+l.addr)
	var err error
	testkit.Eventually(b, "the broker", func() bool {
		l.bus, err = bus.Connect(bus.Config{URL: "nats://" + l.addr}, "bench", zerolog.Nop())
		return err == nil && l.bus.NC.IsConnected()
	})
	b.Cleanup(l.bus.NC.Close)
	if _, err := l.bus.Apply(testkit.Context(b), bus.DefaultTopology()); err != nil {
		b.Fatal(err)
	}
	l.service("tokenkeeper", "KF_TOKEN_SEAL=plain", "KF_TOKENKEEPER_SECRET="+secret)
	return l
}

// benchAddr is a free address of this machine.
func benchAddr(b *testing.B) string {
	b.Helper()
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	return strings.TrimPrefix(srv.URL, "http://")
}

// spawn starts this test binary with an environment, and kills it with the benchmark.
func (l *bench) spawn(env ...string) (pid int) {
	l.Helper()
	c := exec.Command(os.Args[0])
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "KF_") {
			c.Env = append(c.Env, v)
		}
	}
	c.Env = append(c.Env, env...)
	var out bytes.Buffer
	c.Stderr = &out
	if err := c.Start(); err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
		if l.Failed() {
			l.Logf("%s", last(out.Bytes(), 3000))
		}
	})
	return c.Process.Pid
}

// service starts a service as production does, with its log at info, and waits until it is ready.
func (l *bench) service(name string, env ...string) (pid int) {
	l.Helper()
	admin := benchAddr(l.TB.(*testing.B))
	pid = l.spawn(append([]string{"KFBUS_TEST_ARGS=" + name, "KF_CORP_ID=" + l.corp, "KF_NATS_URL=nats://" + l.addr, "KF_API_BASE_URL=" + l.platform,
		"KF_ADMIN_ADDR=" + admin}, env...)...)
	testkit.Eventually(l, name+" to be ready", func() bool { return service.ProbeURL(l.Context(), "http://"+admin+"/readyz") == nil })
	return pid
}

// spent is the CPU time of a process.
func (l *bench) spent(pid int) time.Duration {
	l.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		l.Skipf("SKIP: CPU time is read from /proc: %v", err)
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, err1 := strconv.Atoi(f[11])
	system, err2 := strconv.Atoi(f[12])
	if err1 != nil || err2 != nil {
		l.Fatalf("/proc/%d/stat: %q", pid, b)
	}
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100 on every Linux that Go runs on
}

// most is the largest resident size of a process so far, in MiB.
func (l *bench) most(pid int) float64 {
	l.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		l.Skipf("SKIP: memory is read from /proc: %v", err)
	}
	_, after, _ := strings.Cut(string(b), "VmHWM:")
	kb, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		l.Fatal(err)
	}
	return float64(kb) / 1024
}

// BenchmarkBacklog drains 500,000 messages of one account, as after an outage, and prints the rate, the CPU time of an
// item and the most memory that the syncer held. Broker, syncer and platform are processes of their own.
func BenchmarkBacklog(b *testing.B) {
	const backlog = 500_000
	var served atomic.Int64
	started := make(chan struct{})
	l := newBench(b, accountsOf(1, func(w http.ResponseWriter, r *http.Request) {
		<-started
		var req struct {
			Cursor string
			Limit  int
		}
		_ = json.NewDecoder(r.Body).Decode(&req)
		first, _ := strconv.Atoi(req.Cursor)
		n := min(req.Limit, backlog-first)
		served.Add(int64(n))
		page := fmt.Appendf(nil, `{"errcode":0,"errmsg":"ok","next_cursor":"%d","has_more":%d,"msg_list":[`, first+n, map[bool]int{true: 1}[first+n < backlog])
		for i := first; i < first+n; i++ {
			if i > first {
				page = append(page, ',')
			}
			page = fmt.Appendf(page, `{"msgid":"4kbacklog_%016d","open_kfid":"wk000000","external_userid":"wm%030d","send_time":%d,"origin":3,"msgtype":"text","text":{"content":"请问这款羽绒服有没有黑色 XL 码的？我身高 178，体重 75 公斤"}}`,
				i, i%3000, 1_700_000_000+i)
		}
		_, _ = w.Write(append(page, "]}"...))
	}), "s", benchCorp)
	for b.Loop() {
		pid := l.service("syncer", "KF_SYNCER_TOKENLESS_PER_MINUTE=1000000")
		began := time.Now()
		close(started)
		testkit.EventuallyWithin(b, 10*time.Minute, "the whole backlog", func() bool {
			m, err := l.bus.Last(b.Context(), events.StreamMessage, events.CursorSubject(benchCorp, "wk000000"))
			if err != nil {
				return false
			}
			var c events.Cursor
			e, err := m.Event()
			return err == nil && e.DataAs(&c) == nil && c.Seq == backlog
		})
		b.ReportMetric(backlog/time.Since(began).Seconds(), "items/s")
		b.ReportMetric(l.spent(pid).Seconds()*1e6/backlog, "cpu-us/item")
		b.ReportMetric(l.most(pid), "RSS-MiB")
		b.ReportMetric(float64(served.Load())/backlog, "served/item")
	}
}

// BenchmarkIdle prints what 10,000 accounts cost on which nothing happens: calls of sync_msg for an account and sweep
// interval, and the share of a core that the syncer takes.
func BenchmarkIdle(b *testing.B) {
	const accounts, interval = 10_000, time.Minute
	var pulls atomic.Int64
	l := newBench(b, accountsOf(accounts, func(w http.ResponseWriter, _ *http.Request) {
		pulls.Add(1)
		fmt.Fprint(w, `{"errcode":0,"errmsg":"ok","next_cursor":"c","has_more":0,"msg_list":[]}`)
	}), "s", benchCorp)
	pid := l.service("syncer")
	testkit.EventuallyWithin(b, 5*interval, "two pulls of each account", func() bool { return pulls.Load() >= 2*accounts })
	for b.Loop() {
		before, spent := pulls.Load(), l.spent(pid)
		<-time.After(interval)
		b.ReportMetric(float64(pulls.Load()-before)/accounts, "calls/account/interval")
		b.ReportMetric(100*(l.spent(pid)-spent).Seconds()/interval.Seconds(), "%core")
		b.ReportMetric(l.most(pid), "RSS-MiB")
	}
}

// BenchmarkCallbackToMessage writes as a customer 50 times a second and prints how long it takes until the message is at a
// subscriber, beside the sum of what its parts take by themselves, one after the other on the same processes: the callback's
// answer, a doorbell through its stream, a pull, a batch of two, and a message to a subscriber.
func BenchmarkCallbackToMessage(b *testing.B) {
	const rate, messages = 50, 1000
	callback := benchAddr(b)
	sim, err := kfsim.New(kfsim.Config{Seed: 7, Personality: kfsim.Personality{TokenlessPerMinute: -1}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(sim.Close)
	w, err := populate(sim, worldSpec{callback: "http://" + callback + "/callback", customers: 1})
	if err != nil {
		b.Fatal(err)
	}
	l := newBench(b, sim.Platform(), w.corp.Secrets[0], w.corp.CorpID)
	go func() { _ = sim.Run(b.Context()) }()
	l.service("ingress", "KF_INGRESS_ADDR="+callback, "KF_INGRESS_CALLBACK_TOKEN="+w.corp.CallbackToken, "KF_INGRESS_ENCODING_AES_KEY="+w.corp.EncodingAESKey)
	l.service("syncer")
	parts := l.parts(b, sim, w, callback)
	arrived := make(chan time.Time, messages)
	if _, err := l.bus.NC.Subscribe("kf.message.>", func(*nats.Msg) { arrived <- time.Now() }); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		took := make([]time.Duration, messages)
		said := make(chan time.Time, messages)
		go func() {
			tick := time.NewTicker(time.Second / rate)
			defer tick.Stop()
			for i := range messages {
				said <- <-tick.C
				if _, err := sim.CustomerSays(w.account.OpenKfID, w.customers[0].ExternalUserID, fmt.Sprint("message ", i)); err != nil {
					b.Error(err)
				}
			}
		}()
		for i := range took { // one account, so in order
			select {
			case at := <-arrived:
				took[i] = at.Sub(<-said)
			case <-time.After(testkit.Patience):
				b.Fatalf("got %d messages, want %d", i, messages)
			}
		}
		p99 := quantile(took, 0.99)
		b.ReportMetric(quantile(took, 0.5).Seconds()*1e3, "p50-ms")
		b.ReportMetric(p99.Seconds()*1e3, "p99-ms")
		b.ReportMetric(parts.Seconds()*1e3, "parts-p99-ms")
		b.ReportMetric(p99.Seconds()/parts.Seconds(), "x-parts")
	}
}

// parts is the sum of the 99th percentiles of what a callback goes through.
func (l *bench) parts(b *testing.B, sim *kfsim.Sim, w world, callback string) (sum time.Duration) {
	b.Helper()
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	codec, err := kfcrypto.New(w.corp.CallbackToken, w.corp.EncodingAESKey, w.corp.CorpID)
	must(err)
	client, err := kfapi.New(kfapi.Config{BaseURL: l.platform})
	must(err)
	token, err := client.GetToken(b.Context(), w.corp.CorpID, w.corp.Secrets[0])
	must(err)
	_, err = l.bus.JS.CreateStream(b.Context(), jetstream.StreamConfig{Name: "PARTS", Subjects: []string{"parts.>"}, AllowAtomicPublish: true})
	must(err)
	through, err := l.bus.JS.CreateConsumer(b.Context(), "PARTS", jetstream.ConsumerConfig{FilterSubject: "parts.bell", AckPolicy: jetstream.AckExplicitPolicy})
	must(err)
	bells := make(chan struct{}, 1)
	c, err := through.Consume(func(m jetstream.Msg) { _ = m.Ack(); bells <- struct{}{} })
	must(err)
	defer c.Stop()
	plain := make(chan struct{}, 1)
	sub, err := l.bus.NC.Subscribe("plain", func(*nats.Msg) { plain <- struct{}{} })
	must(err)
	defer func() { _ = sub.Unsubscribe() }()
	item := events.Inbound{Corp: w.corp.CorpID, OpenKfID: "parts", MsgID: "m", MsgType: "text", Raw: []byte(`{}`)}
	for name, part := range map[string]func(){
		"callback": func() {
			text := fmt.Sprintf(`<xml><ToUserName>%s</ToUserName><MsgType>text</MsgType><FromUserName>u</FromUserName><CreateTime>%d</CreateTime><MsgId>1</MsgId><AgentID>1</AgentID><Content>x</Content></xml>`,
				w.corp.CorpID, time.Now().Unix())
			s, err := codec.Seal(nil, strconv.FormatInt(time.Now().Unix(), 10), "1372623149", []byte(text), w.corp.CorpID)
			must(err)
			res, err := http.Post(fmt.Sprintf("http://%s/callback?msg_signature=%s&timestamp=%s&nonce=%s", callback, s.MsgSignature, s.Timestamp, s.Nonce), "text/xml", bytes.NewReader(s.XML()))
			must(err)
			_ = res.Body.Close()
			if res.StatusCode != http.StatusOK {
				b.Fatalf("callback: %s", res.Status)
			}
		},
		"doorbell": func() {
			_, err := l.bus.JS.Publish(b.Context(), "parts.bell", []byte("{}"))
			must(err)
			<-bells
		},
		"pull": func() {
			_, err := client.SyncMsg(b.Context(), token.AccessToken, kfapi.SyncMsgRequest{OpenKfID: w.account.OpenKfID, Limit: 500})
			must(err)
		},
		"batch": func() {
			_, err := l.bus.PublishBatch(b.Context(), []bus.Message{{Subject: "parts.a", Item: &item}, {Subject: "parts.b", Item: &item}})
			must(err)
		},
		"subscriber": func() { must(l.bus.NC.Publish("plain", nil)); <-plain },
	} {
		took := make([]time.Duration, 300)
		for i := range took {
			began := time.Now()
			part()
			took[i] = time.Since(began)
		}
		p99 := quantile(took, 0.99)
		b.Logf("%-10s p50 %8v, p99 %8v", name, quantile(took, 0.5).Round(time.Microsecond), p99.Round(time.Microsecond))
		sum += p99
	}
	return sum
}

// quantile of durations; it sorts them.
func quantile(d []time.Duration, q float64) time.Duration {
	slices.Sort(d)
	return d[int(q*float64(len(d)-1))]
}
