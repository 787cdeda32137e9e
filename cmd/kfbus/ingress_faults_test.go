package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfcrypto"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// brokerEnv names a configuration file: this test binary is then a nats-server.
const brokerEnv = "KFBUS_TEST_NATS"

func runBroker(conf string) int {
	opts, err := server.ProcessConfigFile(conf)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	s, err := server.NewServer(opts)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	s.ConfigureLogger()
	s.Start()
	s.WaitForShutdown()
	return 0
}

// broker starts a nats-server as a process, which can be frozen and killed.
func (r *rig) broker(conf string) *child {
	r.Helper()
	dir := r.TempDir()
	c := &child{name: "nats-server", done: make(chan struct{}), log: filepath.Join(dir, "nats.log")}
	file := filepath.Join(dir, "nats.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		r.Fatal(err)
	}
	f, err := os.Create(c.log)
	if err != nil {
		r.Fatal(err)
	}
	defer f.Close()
	c.cmd = exec.Command(os.Args[0])
	c.cmd.Env = append(os.Environ(), brokerEnv+"="+file)
	c.cmd.Stdout, c.cmd.Stderr = f, f
	if err := c.cmd.Start(); err != nil {
		r.Fatal(err)
	}
	go func() { defer close(c.done); _ = c.cmd.Wait() }()
	r.Cleanup(c.kill)
	return c
}

func (c *child) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// brokerAgain makes the rig's broker a process on the same port and store, instead of the one before.
func (r *rig) brokerAgain(before *child, maxStore string) *child {
	r.Helper()
	if r.nats.Close(); before != nil {
		before.kill()
	}
	c := r.broker(fmt.Sprintf("listen: %q\nserver_name: kfbus-local\nmax_payload: 8MB\njetstream { store_dir: %q, max_file_store: %s, max_mem: 64MB }\n", r.addr, r.dir, maxStore))
	testkit.Eventually(r.T, "the broker to be back", func() bool {
		_, err := r.bus.JS.Stream(r.Context(), events.StreamMessage)
		return err == nil
	})
	return c
}

// caller posts messages to the app as the platform would: each three times at most, until it is answered 200.
type caller struct {
	*rig
	codec *kfcrypto.Codec
	url   string
	size  int // characters of a text

	mu       sync.Mutex
	answers  map[int]int // by status; 0 is none
	slowest  time.Duration
	accepted map[string]bool // ids answered 200
	next     atomic.Int64
}

func (r *rig) caller() *caller {
	r.Helper()
	codec, err := kfcrypto.New(r.world.corp.CallbackToken, r.world.corp.EncodingAESKey, r.world.corp.CorpID)
	if err != nil {
		r.Fatal(err)
	}
	return &caller{rig: r, codec: codec, url: "http://" + r.callback + "/callback", size: 20, answers: map[int]int{}, accepted: map[string]bool{}}
}

var patient = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 512}}

func (c *caller) post(codec *kfcrypto.Codec, id string) {
	plain := fmt.Sprintf("<xml><ToUserName>%s</ToUserName><FromUserName>zhang</FromUserName><CreateTime>%d</CreateTime><MsgType>text</MsgType><Content>%s</Content><MsgId>%s</MsgId><AgentID>1</AgentID></xml>",
		c.world.corp.CorpID, time.Now().Unix(), strings.Repeat("x", c.size), id)
	ts := strconv.FormatInt(time.Now().Unix(), 10)
	s, err := codec.Seal(nil, ts, "n"+id, []byte(plain), c.world.corp.CorpID)
	if err != nil {
		c.Error(err)
		return
	}
	q := url.Values{"msg_signature": {s.MsgSignature}, "timestamp": {ts}, "nonce": {"n" + id}}
	for range 3 {
		began, status := time.Now(), 0
		if res, err := patient.Post(c.url+"?"+q.Encode(), "text/xml", bytes.NewReader(s.XML())); err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			status = res.StatusCode
		}
		c.note(id, status, time.Since(began))
		if status == http.StatusOK {
			return
		}
	}
}

func (c *caller) note(id string, status int, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers[status]++
	c.slowest = max(c.slowest, took)
	if status == http.StatusOK {
		c.accepted[id] = true
	}
}

// storm posts n callbacks at a rate, whatever becomes of those before, and calls at(i) before the i-th. It returns when each has
// its last answer.
func (c *caller) storm(perSecond, n int, at func(i int)) {
	c.Helper()
	t := time.NewTicker(time.Second / time.Duration(perSecond))
	defer t.Stop()
	var wg sync.WaitGroup
	for i := range n {
		<-t.C
		at(i)
		id, codec := strconv.FormatInt(1e9+c.next.Add(1), 10), c.codec // at may change it
		wg.Go(func() { c.post(codec, id) })
	}
	wg.Wait()
}

// check holds what was answered against what is stored, and forgets the answers.
func (c *caller) check(what string) {
	c.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Logf("%s: answers %v, the slowest after %v", what, c.answers, c.slowest.Round(time.Millisecond))
	for status := range c.answers {
		if status != http.StatusOK && status != http.StatusServiceUnavailable {
			c.Errorf("%s: %d answers of %d, want 200 and 503 only", what, c.answers[status], status)
		}
	}
	if c.slowest > 4500*time.Millisecond {
		c.Errorf("%s: an answer took %v, want 4.5s at most", what, c.slowest)
	}
	stored := c.appMessages()
	lost, doubled := 0, 0
	for id := range c.accepted {
		if stored[id] == 0 {
			lost++
		}
	}
	for _, n := range stored {
		if n > 1 {
			doubled++
		}
	}
	c.Logf("%s: %d accepted so far, %d stored, %d lost, %d doubled", what, len(c.accepted), len(stored), lost, doubled)
	if lost > 0 || doubled > 0 || len(c.accepted) == 0 {
		c.Errorf("%s: of %d accepted %d are lost and %d doubled", what, len(c.accepted), lost, doubled)
	}
	c.answers, c.slowest = map[int]int{}, 0
}

func (c *caller) count(status int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answers[status]
}

// appMessages counts what is stored of the app by MsgId. The brokers may be busy with themselves for a while.
func (r *rig) appMessages() map[string]int {
	r.Helper()
	var out map[string]int
	testkit.Eventually(r.T, "the app's messages to be read", func() bool {
		var err error
		if out, err = r.readApp(); err != nil {
			r.Log(err)
		}
		return err == nil
	})
	return out
}

func (r *rig) readApp() (map[string]int, error) {
	out := map[string]int{}
	oc, err := r.bus.JS.OrderedConsumer(r.Context(), events.StreamMessage, jetstream.OrderedConsumerConfig{FilterSubjects: []string{"kf.app.>"}})
	if err != nil {
		return nil, err
	}
	it, err := oc.Messages()
	if err != nil {
		return nil, err
	}
	defer it.Stop()
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	for left := oc.CachedInfo().NumPending; left > 0; left-- {
		m, err := it.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, err
		}
		var e struct{ ID string }
		if err := json.Unmarshal(m.Data(), &e); err != nil {
			return nil, err
		}
		out[e.ID]++
	}
	return out, nil
}

// attemptsAre200Or503 looks at what the simulated platform was answered.
func (r *rig) attemptsAre200Or503() {
	r.Helper()
	testkit.Eventually(r.T, "all callbacks to be answered or given up", func() bool { return r.sim.PendingCallbacks() == 0 })
	count := map[string]int{}
	for _, e := range r.sim.Journal() {
		if e.Kind == kfsim.KindAttempt {
			count[strings.TrimSpace(fmt.Sprint(e.Status, " ", e.Reason))]++
		}
	}
	r.Logf("the platform was answered %v", count)
	others := maps.Clone(count)
	delete(others, "200")
	delete(others, "503")
	if len(others) > 0 {
		r.Errorf("the platform was answered %v, want 200 and 503 only", others)
	}
}

func long() bool { return os.Getenv("KF_LONG") == "1" }

// TestIngressOutlivesTheBroker: a broker that stands still, is full, has no room, or is gone. The platform hears 200 only of what
// is stored, 503 in time of the rest, and afterwards nothing is missing.
func TestIngressOutlivesTheBroker(t *testing.T) {
	r := newRig(t)
	nats := r.brokerAgain(nil, "8GB")
	in := r.spawn("ingress")
	r.ready(in, r.spawn("tokenkeeper"), r.spawn("syncer"))
	c := r.caller()
	says := func(i int) { // a customer, five times a second
		if i%10 == 0 {
			r.says(r.customer(), i, 1)
		}
	}

	frozen := 5 // seconds: longer than any publish waits
	if long() {
		frozen = 20
	} else {
		t.Log("frozen for 5 s; KF_LONG=1 makes it 20 s")
	}
	c.storm(50, 50*(1+frozen+1), func(i int) {
		says(i)
		switch i {
		case 50:
			nats.signal(t, syscall.SIGSTOP)
		case 50 * (1 + frozen):
			if err := service.ProbeURL(t.Context(), "http://"+in.admin()+"/readyz"); err == nil {
				t.Error("ready although the broker stands still")
			}
			nats.signal(t, syscall.SIGCONT)
		}
	})
	if c.count(503) == 0 {
		t.Error("no 503: the broker did not stand still")
	}
	c.check("frozen")
	r.checkInbound()
	r.ready(in)

	r.streamFull(c, says)
	nats = r.storeFull(c, says, nats)

	c.storm(50, 150, func(i int) {
		says(i)
		switch i {
		case 25:
			nats.kill()
		case 100:
			nats = r.brokerAgain(nats, "8GB")
		}
	})
	if n := c.count(200); n != 150 {
		t.Errorf("%d of 150 callbacks were stored, want all: the broker was back in time", n)
	}
	c.check("gone")
	r.attemptsAre200Or503()
	r.checkInbound()
	r.ready(in)
}

// streamFull lets KF_MESSAGE hold a little more than it does, and then as much as it likes again.
func (r *rig) streamFull(c *caller, says func(int)) {
	r.Helper()
	limit := func(bytes int64) {
		s, err := r.bus.JS.Stream(testkit.Context(r.T), events.StreamMessage)
		if err != nil {
			r.Fatal(err)
		}
		cfg := s.CachedInfo().Config
		if cfg.MaxBytes = bytes; bytes > 0 {
			cfg.MaxBytes += int64(s.CachedInfo().State.Bytes)
		}
		if _, err := r.bus.JS.UpdateStream(testkit.Context(r.T), cfg); err != nil {
			r.Fatal(err)
		}
	}
	c.storm(50, 100, func(i int) {
		says(i)
		switch i {
		case 10:
			limit(16 << 10)
		case 75:
			limit(-1)
		}
	})
	if c.count(503) == 0 || c.count(200) == 0 {
		r.Errorf("got %d of 200 and %d of 503, want some of both: the stream was never full", c.count(200), c.count(503))
	}
	c.check("stream full")
	r.checkInbound()
}

// storeFull gives the broker hardly more room than it uses, and then enough again.
func (r *rig) storeFull(c *caller, says func(int), nats *child) *child {
	r.Helper()
	s, err := r.bus.JS.Stream(testkit.Context(r.T), events.StreamDead)
	if err != nil {
		r.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	before := cfg.MaxBytes
	cfg.MaxBytes = 64 << 10 // what it reserves must fit
	if _, err := r.bus.JS.UpdateStream(testkit.Context(r.T), cfg); err != nil {
		r.Fatal(err)
	}
	nats = r.brokerAgain(nats, "4MB")
	c.size = 30_000
	c.storm(50, 150, func(i int) {
		if i%50 == 0 {
			says(0)
		}
	})
	c.size = 20
	if c.count(503) == 0 || c.count(200) == 0 {
		r.Errorf("got %d of 200 and %d of 503, want some of both: the store was never full", c.count(200), c.count(503))
	}
	nats = r.brokerAgain(nats, "8GB")
	c.check("store full")
	cfg.MaxBytes = before
	if _, err := r.bus.JS.UpdateStream(testkit.Context(r.T), cfg); err != nil {
		r.Fatal(err)
	}
	r.checkInbound()
	return nats
}

// TestIngressWhileTheBrokersElect: the server of a cluster that leads the stream is killed, and comes back.
func TestIngressWhileTheBrokersElect(t *testing.T) {
	r := newRig(t)
	nodes := r.cluster()
	in := r.spawn("ingress", nodes.env())
	r.ready(in)
	c := r.caller()
	victim := nodes.leader(events.StreamMessage)
	c.storm(50, 50*6, func(i int) {
		if i == 25 {
			nodes.servers[victim].kill()
		}
	})
	nodes.start(victim)
	t.Logf("%d of 300 callbacks are stored after three attempts at most", c.count(200))
	c.check("electing")
}

// balancer is what stands in front of the replicas: it asks the next one when one does not answer, or answers 503.
type balancer struct {
	backends []string
	turn     atomic.Int64
	client   *http.Client

	mu      sync.Mutex
	answers map[string]int // of the replicas
}

func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	for range 2 * len(b.backends) {
		to := b.backends[int(b.turn.Add(1))%len(b.backends)]
		req, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+to+r.URL.RequestURI(), bytes.NewReader(body))
		if err != nil {
			break
		}
		res, err := b.client.Do(req)
		if err != nil {
			b.note("none")
			continue
		}
		said, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		b.note(strconv.Itoa(res.StatusCode))
		if res.StatusCode != http.StatusServiceUnavailable {
			w.WriteHeader(res.StatusCode)
			_, _ = w.Write(said)
			return
		}
	}
	w.WriteHeader(http.StatusServiceUnavailable)
}

func (b *balancer) note(answer string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answers[answer]++
}

// TestIngressRollingRestart: two replicas are replaced one after the other under 200 callbacks a second, and nobody outside
// notices.
func TestIngressRollingRestart(t *testing.T) {
	restarts := 3 // of each
	if long() {
		restarts = 10
	} else {
		t.Log("each replica is restarted three times; KF_LONG=1 makes it ten times")
	}
	r := newRig(t)
	b := &balancer{backends: []string{freeAddr(t), freeAddr(t)}, answers: map[string]int{},
		client: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 128}}}
	front := httptest.NewServer(b)
	defer front.Close()
	replica := func(i int) *child { return r.spawn("ingress", "KF_INGRESS_ADDR="+b.backends[i], "KF_LAME_DUCK=200ms") }
	live := []*child{replica(0), replica(1)}
	r.ready(live...)
	c := r.caller()
	c.url = front.URL + "/callback"

	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(done)
		for n := range 2 * restarts {
			i := n % 2
			live[i].signal(t, syscall.SIGTERM)
			<-live[i].done
			if code := live[i].cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("a replica that was told to stop ended with %d", code)
			}
			live[i] = replica(i)
			r.ready(live[i])
		}
	})
	stormed := 0
	for over := false; !over; {
		c.storm(200, 100, func(int) {})
		stormed += 100
		select {
		case <-done:
			over = true
		default:
		}
	}
	wg.Wait()
	if n := c.count(200); n != stormed {
		t.Errorf("%d of %d callbacks were answered 200 at once, want all", n, stormed)
	}
	c.check("rolling restart")
	t.Logf("%d callbacks, %d restarts; the replicas answered %v", stormed, 2*restarts, b.answers)
	if b.answers["none"] == 0 {
		t.Log("no connection was ever refused or cut")
	}
	for answer := range b.answers {
		if answer != "200" && answer != "503" && answer != "none" {
			t.Errorf("a replica answered %s", answer)
		}
	}
	if len(c.appMessages()) != stormed {
		t.Errorf("%d of %d are stored", len(c.appMessages()), stormed)
	}
}
