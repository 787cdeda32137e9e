package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/localnats"
	"github.com/kfbus/kfbus/internal/natsconf"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// rig is the outside world of a fault test: a broker that can be restarted, the
// simulated platform, and services as processes that can be killed.
type rig struct {
	*testing.T
	sim      *kfsim.Sim
	world    world
	platform string
	callback string   // where the ingress listens
	others   []string // accounts besides the first

	dir, addr string
	nats      *localnats.Server
	bus       *bus.Bus // the test's own connection
	guarded   *guardedBroker
}

func newRig(t *testing.T, change ...func(*kfsim.Config)) *rig {
	t.Helper()
	return makeRig(t, rigOptions{world: worldSpec{customers: 2}, change: change})
}

// newRigOf is newRig with a world of one's own, and with something before the platform.
func newRigOf(t *testing.T, spec worldSpec, before func(http.Handler) http.Handler) *rig {
	t.Helper()
	return makeRig(t, rigOptions{world: spec, before: before})
}

// newRigWith lets the world be known before the broker starts.
func newRigWith(t *testing.T, guard func(*rig)) *rig {
	t.Helper()
	return makeRig(t, rigOptions{world: worldSpec{customers: 2}, guard: guard})
}

type rigOptions struct {
	world  worldSpec
	change []func(*kfsim.Config)
	before func(http.Handler) http.Handler // the platform
	guard  func(*rig)                      // of the broker
}

func makeRig(t *testing.T, o rigOptions) *rig {
	t.Helper()
	r := &rig{T: t, dir: t.TempDir(), callback: freeAddr(t)}
	r.addr = freeAddr(t)
	var err error
	cfg := kfsim.Config{Seed: 7, Personality: kfsim.Personality{TokenlessPerMinute: -1}}
	for _, f := range o.change {
		f(&cfg)
	}
	if r.sim, err = kfsim.New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.sim.Close)
	o.world.callback = "http://" + r.callback + "/callback"
	if r.world, err = populate(r.sim, o.world); err != nil {
		t.Fatal(err)
	}
	if o.guard != nil {
		o.guard(r)
	}
	r.startNATS()
	t.Cleanup(func() { r.nats.Close() })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.platform = at(l)
	ctx, cancel := context.WithCancel(context.Background())
	platform := r.sim.Platform()
	if o.before != nil {
		platform = o.before(platform)
	}
	var g errgroup.Group
	g.Go(func() error { return serve(ctx, l, platform) })
	g.Go(func() error { return r.sim.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
	})
	if r.bus, err = bus.Connect(r.guarded.config(r.nats.URL(), natsconf.Admin), "rig", zerolog.Nop()); err != nil { // over TCP: it outlives a restart
		t.Fatal(err)
	}
	t.Cleanup(r.bus.NC.Close)
	if r.guarded != nil {
		return r // its topology is applied by who may
	}
	top := testkit.Small()
	top.AckWait = 3 * time.Second // a killed process gives its lanes up sooner
	if _, err := r.bus.Apply(testkit.Context(t), top); err != nil {
		t.Fatal(err)
	}
	return r
}

func freeAddr(t *testing.T) string {
	t.Helper()
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 20000+nextPort.Add(1)%10000)
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		_ = l.Close()
		return addr
	}
	t.Fatal("no free port from 20000 to 29999")
	return ""
}

// nextPort goes round below the ports that the system gives to connections, so that none is handed out twice.
var nextPort = func() *atomic.Uint32 {
	var n atomic.Uint32
	n.Store(uint32(os.Getpid() * 37)) //nolint:gosec // where it begins does not matter
	return &n
}()

func (r *rig) startNATS() {
	r.Helper()
	var err error
	o := localnats.Options{Dir: r.dir, Listen: r.addr}
	if r.guarded != nil {
		o.Config, o.Logger = r.guarded.file, r.guarded.log
	}
	if r.nats, err = localnats.Start(o); err != nil {
		r.Fatal(err)
	}
}

// restartNATS stops the broker and starts it again on the same store and port.
func (r *rig) restartNATS() {
	r.Helper()
	r.nats.Close()
	r.startNATS()
}

func (r *rig) account() string    { return r.world.account.OpenKfID }
func (r *rig) accounts() []string { return append([]string{r.account()}, r.others...) }
func (r *rig) customer() string   { return r.world.customers[0].ExternalUserID }

// child is one service as a process.
type child struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// spawn starts a service; env are NAME=value pairs on top of what it needs.
func (r *rig) spawn(name string, env ...string) *child {
	r.Helper()
	c, err := r.trySpawn(name, env...)
	if err != nil {
		r.Fatal(err)
	}
	return c
}

func (r *rig) trySpawn(name string, env ...string) (*child, error) {
	corp := r.world.corp
	c := &child{name: name, done: make(chan struct{}), log: filepath.Join(r.TempDir(), name+".log")}
	c.cmd = exec.Command(os.Args[0])
	base := []string{"KFBUS_TEST_ARGS=" + name, "KF_CORP_ID=" + corp.CorpID, "KF_NATS_URL=nats://" + r.addr, "KF_API_BASE_URL=" + r.platform,
		"KF_ADMIN_ADDR=" + freeAddr(r.T), "KF_LAME_DUCK=0s", "KF_LOG_LEVEL=debug", "KF_SYNCER_SWEEP=1s", "KF_SENDER_POST_TIMEOUT=1s", "KF_SYNCER_TOKENLESS_PER_MINUTE=6000",
		"KF_INGRESS_ADDR=" + r.callback, "KF_INGRESS_CALLBACK_TOKEN=" + corp.CallbackToken, "KF_INGRESS_ENCODING_AES_KEY=" + corp.EncodingAESKey,
		"KF_TOKENKEEPER_SECRET=" + corp.Secrets[0], "KF_TOKEN_SEAL=plain"}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "KF_") {
			c.cmd.Env = append(c.cmd.Env, v)
		}
	}
	c.cmd.Env = append(append(c.cmd.Env, base...), env...)
	f, err := os.Create(c.log)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c.cmd.Stdout, c.cmd.Stderr = f, f
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { defer close(c.done); _ = c.cmd.Wait() }()
	r.Cleanup(func() {
		c.kill()
		if r.Failed() {
			if b, err := os.ReadFile(c.log); err == nil {
				r.Logf("last of %s's log:\n%s", name, last(b, 3000))
			}
		}
	})
	return c, nil
}

func last(b []byte, n int) []byte {
	if len(b) > n {
		return b[len(b)-n:]
	}
	return b
}

// kill is kill -9, and returns when the process is gone.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	<-c.done
}

func (c *child) admin() string {
	for _, v := range slices.Backward(c.cmd.Env) {
		if a, ok := strings.CutPrefix(v, "KF_ADMIN_ADDR="); ok {
			return a
		}
	}
	return ""
}

// ready waits for processes to say that they can work.
func (r *rig) ready(cs ...*child) {
	r.Helper()
	for _, c := range cs {
		testkit.Eventually(r.T, c.name+" to be ready", func() bool {
			select {
			case <-c.done:
				b, _ := os.ReadFile(c.log)
				r.Fatalf("%s ended:\n%s", c.name, last(b, 3000))
			default:
			}
			ctx, cancel := context.WithTimeout(r.Context(), time.Second)
			defer cancel()
			return service.ProbeURL(ctx, "http://"+c.admin()+"/readyz") == nil
		})
	}
}

// replicas keeps n processes of a service alive while some are being killed.
type replicas struct {
	r    *rig
	name string
	env  []string
	mu   sync.Mutex
	live []*child
	kill int
}

func (r *rig) replicas(n int, name string, env ...string) *replicas {
	r.Helper()
	rs := &replicas{r: r, name: name, env: env}
	for range n {
		rs.live = append(rs.live, r.spawn(name, env...))
	}
	r.ready(rs.live...)
	return rs
}

// killOne kills the i-th replica and starts another in its place.
func (rs *replicas) killOne(i int) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	i %= len(rs.live)
	rs.live[i].kill()
	c, err := rs.r.trySpawn(rs.name, rs.env...)
	if err != nil {
		rs.r.Error(err)
		return
	}
	rs.live[i] = c
	rs.kill++
}

func (rs *replicas) kills() int {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return rs.kill
}

// says makes a customer write n texts, numbered from first.
func (r *rig) says(user string, first, n int) {
	r.Helper()
	for i := range n {
		if _, err := r.sim.CustomerSays(r.account(), user, fmt.Sprintf("message %d 你好", first+i)); err != nil {
			r.Fatal(err)
		}
	}
}

// stored returns every message and event of an account in KF_MESSAGE, in order.
func (r *rig) stored(openKfID string) (out []bus.Stored) {
	r.Helper()
	var subjects []string
	for _, kind := range []string{"message", "event", "history"} {
		subjects = append(subjects, "kf."+kind+"."+r.world.corp.CorpID+"."+events.Token(openKfID)+".>")
	}
	testkit.Eventually(r.T, "what is stored to be read", func() bool { // a cluster may not know its new consumer everywhere yet
		out = nil
		return r.bus.Scan(r.Context(), events.StreamMessage, subjects, time.Time{}, math.MaxUint64, func(m bus.Stored) error {
			out = append(out, m)
			return nil
		}) == nil
	})
	return out
}

// countStored counts the messages and events of all accounts.
func (r *rig) countStored() int {
	s, err := r.bus.JS.Stream(r.Context(), events.StreamMessage)
	if err != nil {
		return -1
	}
	n := 0
	for _, kind := range []string{"message", "event", "history"} {
		info, err := s.Info(r.Context(), jetstream.WithSubjectFilter("kf."+kind+"."+r.world.corp.CorpID+".>"))
		if err != nil {
			return -1
		}
		for _, c := range info.State.Subjects {
			n += int(c)
		}
	}
	return n
}

// checkInbound holds the stream against what the platform has: the same items,
// once each, in order, byte for byte.
func (r *rig) checkInbound() {
	r.Helper()
	want := 0
	for _, a := range r.accounts() {
		want += len(r.sim.Items(a))
	}
	testkit.Eventually(r.T, fmt.Sprintf("%d items to be stored", want), func() bool { return r.countStored() >= want })
	for _, a := range r.accounts() {
		r.checkAccount(a)
	}
}

func (r *rig) checkAccount(openKfID string) {
	r.Helper()
	want, got := r.sim.Items(openKfID), r.stored(openKfID)
	doubled, disorder, seen := 0, 0, map[string]bool{}
	lastSeq := ""
	for i, m := range got {
		e, err := m.Event()
		if err != nil {
			r.Fatal(err)
		}
		if seen[e.ID()] {
			doubled++
		}
		seen[e.ID()] = true
		if i < len(want) && (e.ID() != idOf(want[i].Raw) || string(e.Data()) != string(want[i].Raw)) {
			r.Errorf("item %d is %s %s, want %s %s", i, e.ID(), e.Data(), want[i].MsgID, want[i].Raw)
		}
		seq := fmt.Sprint(e.Extensions()[events.ExtSeq])
		if seq <= lastSeq {
			disorder++
			r.Errorf("kfseq %s comes after %s", seq, lastSeq)
		}
		lastSeq = seq
	}
	r.Logf("%s: platform has %d items, stored %d, lost %d, doubled %d, out of order %d", openKfID, len(want), len(got), len(want)-len(seen), doubled, disorder)
	if len(got) != len(want) || doubled > 0 {
		r.Errorf("%s: stored %d of %d items, %d doubled", openKfID, len(got), len(want), doubled)
	}
}

// idOf is the event id of an item: its msgid, where that can be one.
func idOf(raw json.RawMessage) string {
	var it struct{ MsgID string }
	_ = json.Unmarshal(raw, &it) // hostile items may have none
	return events.Inbound{MsgID: it.MsgID, Raw: raw}.ID()
}

// command publishes a send as any client may: bare JSON and a header.
func (r *rig) command(user, id, text string) {
	r.Helper()
	if err := r.tryCommand(user, id, text); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) tryCommand(user, id, text string) error {
	body, err := json.Marshal(map[string]any{"command_id": id, "msgtype": "text", "text": map[string]string{"content": text}})
	if err != nil {
		return err
	}
	_, err = r.bus.JS.Publish(r.Context(), events.CommandSubject("test", r.world.corp.CorpID, r.account(), events.VerbSend, user), body)
	return err
}

// outcomes returns every outcome by command id, in order.
func (r *rig) outcomes() map[string][]events.Outcome {
	r.Helper()
	out := map[string][]events.Outcome{}
	for seq := uint64(1); ; {
		m, err := r.bus.Next(testkit.Context(r.T), events.StreamOutcome, seq, "kf.outcome.>")
		if errors.Is(err, bus.ErrNotFound) {
			return out
		}
		if err != nil {
			r.Fatal(err)
		}
		e, err := m.Event()
		if err != nil {
			r.Fatal(err)
		}
		var o events.Outcome
		if err := e.DataAs(&o); err != nil {
			r.Fatal(err)
		}
		out[o.CommandID] = append(out[o.CommandID], o)
		seq = m.Seq + 1
	}
}

func (r *rig) countOutcomes() int {
	s, err := r.bus.JS.Stream(r.Context(), events.StreamOutcome)
	if err != nil {
		return -1
	}
	return int(s.CachedInfo().State.Msgs)
}

// checkOutbound waits for the outcome of every command, and holds them against
// the platform's journal: one each, no lie, no window over five.
func (r *rig) checkOutbound(ids []string) map[string]int {
	r.Helper()
	testkit.Eventually(r.T, fmt.Sprintf("%d outcomes", len(ids)), func() bool { return r.countOutcomes() >= len(ids) })
	copies := map[string]int{}
	for _, s := range r.sim.Accepted() {
		copies[s.MsgID]++
	}
	states := map[string]int{}
	byID := r.outcomes()
	for _, id := range ids {
		os := byID[id]
		if len(os) == 0 {
			r.Errorf("%s: no outcome", id)
			continue
		}
		o := os[len(os)-1]
		states[o.State]++
		terminal := 0
		for _, x := range os {
			if x.Corrects == "" {
				terminal++
			}
		}
		if terminal != 1 || len(os) > 2 {
			r.Errorf("%s: %d outcomes, %d of them terminal: %+v", id, len(os), terminal, os)
		}
		n := copies[o.MsgID]
		switch o.State {
		case events.StateAccepted:
			if n != 1 {
				r.Errorf("%s is accepted, and the platform took %d copies", id, n)
			}
		case events.StateUnknown:
			if n > 1 {
				r.Errorf("%s is unknown, and the platform took %d copies", id, n)
			}
		default:
			if n != 0 && o.MsgID != "" {
				r.Errorf("%s is %s (%s), and the platform took %d copies", id, o.State, o.Reason, n)
			}
		}
	}
	for w, n := range r.sim.AcceptedPerWindow() {
		if n > 5 {
			r.Errorf("window %s: %d sends, want 5 at most", w, n)
		}
	}
	for id, n := range copies {
		if n > 1 {
			r.Errorf("msgid %s was taken %d times", id, n)
		}
	}
	r.Logf("%d commands, %d copies taken, outcomes %v", len(ids), len(copies), states)
	return states
}
