package tokenkeeper

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/localnats"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/internal/tokens"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

func TestATokenIsPublishedAndExpiresWithItsEntry(t *testing.T) {
	r := newRig(t, kfsim.Personality{})
	p := r.start()
	r.ready(p)
	w := r.watcher()
	v, err := w.AccessToken(testkit.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	api, _ := kfapi.New(kfapi.Config{BaseURL: r.url})
	if err := w.Do(testkit.Context(t), call(api)); err != nil {
		t.Errorf("a call with it: %v", err)
	}
	if left := time.Until(v.Expires); left > 2*time.Hour || left < 2*time.Hour-time.Minute {
		t.Errorf("expires in %v, want 2 hours", left)
	}
	stream, err := r.bus.JS.Stream(testkit.Context(t), "KV_"+events.BucketTokens)
	if err != nil {
		t.Fatal(err)
	}
	m, err := stream.GetLastMsgForSubject(testkit.Context(t), "$KV."+events.BucketTokens+"."+events.TokenKey(corpID, "kf"))
	if err != nil {
		t.Fatal(err)
	}
	if ttl, err := time.ParseDuration(m.Header.Get(jetstream.MsgTTLHeader)); err != nil || ttl > 2*time.Hour || ttl < 2*time.Hour-time.Minute {
		t.Errorf("the entry lives %q, want as long as the token", m.Header.Get(jetstream.MsgTTLHeader))
	}
	if got := r.sim.Calls("gettoken"); got != 1 {
		t.Errorf("got %d calls of gettoken, want 1", got)
	}
}

// 5.4, and P18.
func TestAThousandCallersOneGettoken(t *testing.T) {
	const callers = 1000
	r := newRig(t, kfsim.Personality{})
	p := r.start()
	r.start() // a second replica
	r.ready(p)
	api, err := kfapi.New(kfapi.Config{BaseURL: r.url})
	if err != nil {
		t.Fatal(err)
	}
	w := r.watcher()
	ctx := testkit.Context(t)
	if _, err := w.AccessToken(ctx); err != nil {
		t.Fatal(err)
	}
	var slowest atomic.Int64
	storm := func() {
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				began := time.Now()
				if err := w.Do(ctx, call(api)); err != nil {
					t.Errorf("a caller did not recover: %v", err)
				}
				for took := int64(time.Since(began)); ; {
					if old := slowest.Load(); took <= old || slowest.CompareAndSwap(old, took) {
						return
					}
				}
			})
		}
		wg.Wait()
	}
	storm()
	healthy := time.Duration(slowest.Load())
	if _, err := r.sim.RevokeTokens(corpID); err != nil {
		t.Fatal(err)
	}
	storm()
	if got := r.sim.Calls("gettoken"); got != 2 {
		t.Errorf("got %d calls of gettoken, want 2: the first, and one after the revocation", got)
	}
	if got := r.sim.MaxInFlight("gettoken"); got != 1 {
		t.Errorf("got %d calls of gettoken at once, want 1", got)
	}
	// On a machine that is so busy that the healthy calls take longer than 2 s, recovery may take as long again.
	if took, most := time.Duration(slowest.Load()), healthy+max(healthy, 2*time.Second); took > most {
		t.Errorf("the slowest caller took %v, want at most %v; with a living token it was %v", took, most, healthy)
	}
	t.Logf("%d callers: slowest %v with a living token, %v over the revocation; %d calls refused",
		callers, healthy, time.Duration(slowest.Load()), r.sim.Answers("getcallbackip", 40014))
}

// 5.1, 5.2: a keeper dies at each point of its call; another takes over with at most one call more.
func TestKeeperKilledAroundGettoken(t *testing.T) {
	for name, c := range map[string]struct {
		at    func(*kfsim.Sim, func(kfsim.Call)) func()
		fault string
		calls int  // that had an effect
		cut   bool // from the broker before the answer comes
	}{
		"before the platform acts":     {(*kfsim.Sim).OnRequest, kfsim.FaultResetBefore, 1, false},
		"after it, before the answer":  {(*kfsim.Sim).OnEffect, "", 2, false},
		"after the answer, before put": {(*kfsim.Sim).OnAnswer, "", 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, kfsim.Personality{})
			var first atomic.Pointer[process]
			armed := make(chan struct{})
			var once sync.Once
			remove := c.at(r.sim, func(call kfsim.Call) {
				if call.Path == "gettoken" {
					<-armed
					once.Do(func() { first.Load().kill() })
				}
			})
			defer remove()
			if c.cut { // the answer reaches it, and the broker does not any more: on a busy machine a kill behind the answer comes too late
				defer r.sim.OnEffect(func(call kfsim.Call) {
					if call.Path == "gettoken" {
						<-armed
						first.Load().bus.NC.Close()
					}
				})()
			}
			if c.fault != "" {
				if _, err := r.sim.AddFault(kfsim.Fault{Kind: c.fault, Path: "gettoken", Count: 1}); err != nil {
					t.Fatal(err)
				}
			}
			p := r.start()
			first.Store(p)
			close(armed)
			<-p.ended
			p.ended <- nil
			if v, _ := r.entry(); v.Generation != 0 {
				t.Fatalf("the killed keeper published %v", v)
			}
			second := r.start()
			r.ready(second)
			if got := r.sim.Answers("gettoken", 0); got != c.calls {
				t.Errorf("got %d calls of gettoken, want %d", got, c.calls)
			}
			w := r.watcher()
			api, _ := kfapi.New(kfapi.Config{BaseURL: r.url})
			if err := w.Do(testkit.Context(t), call(api)); err != nil {
				t.Errorf("a call with the second keeper's token: %v", err)
			}
		})
	}
}

// 5.5
func TestLostEntryAndLostBucket(t *testing.T) {
	r := newRig(t, kfsim.Personality{})
	p := r.start()
	r.ready(p)
	before, e := r.entry()
	kv, err := r.bus.JS.KeyValue(testkit.Context(t), events.BucketTokens)
	if err != nil {
		t.Fatal(err)
	}
	key := events.TokenKey(corpID, "kf")
	ctx := testkit.Context(t)
	for _, c := range []struct {
		name string
		lose func() error
	}{
		{"deleted", func() error { return kv.Delete(ctx, key) }},
		{"purged", func() error { return kv.Purge(ctx, key) }},
		{"overwritten with garbage", func() error { _, err := kv.PutString(ctx, key, `{"token":"planted"}`); return err }},
		{"overwritten with an older one", func() error {
			old := before
			old.Generation--
			raw, err := tokens.Plain(corpID, "kf").Encode(old)
			if err == nil {
				_, err = kv.Put(ctx, key, raw)
			}
			return err
		}},
		{"the whole bucket", func() error {
			if err := r.bus.JS.DeleteKeyValue(ctx, events.BucketTokens); err != nil {
				return err
			}
			_, err := r.bus.Apply(ctx, testkit.Small())
			return err
		}},
	} {
		began := time.Now()
		if err := c.lose(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		testkit.Eventually(t, "the token to be back, "+c.name, func() bool {
			v, now := r.entry()
			return v.Generation == before.Generation && now.Revision != e.Revision
		})
		_, e = r.entry()
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: published again after %v, want at most 5s", c.name, took)
		}
	}
	if got := r.sim.Calls("gettoken"); got != 1 {
		t.Errorf("got %d calls of gettoken, want 1", got)
	}
	testkit.Eventually(t, "readiness", p.health.Ready)
}

// 5.10
func TestFullBucket(t *testing.T) {
	r := newRig(t, kfsim.Personality{RepeatedGetToken: kfsim.TokenNew})
	p := r.start()
	r.ready(p)
	before, _ := r.entry()
	ctx := testkit.Context(t)
	s, err := r.bus.JS.Stream(ctx, "KV_"+events.BucketTokens)
	if err != nil {
		t.Fatal(err)
	}
	limit := func(bytes int64) {
		t.Helper()
		c := s.CachedInfo().Config
		c.MaxBytes = bytes
		if _, err := r.bus.JS.UpdateStream(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	limit(1) // a key that is there may still be replaced
	if err := s.Purge(ctx, jetstream.WithPurgeSubject("$KV."+events.BucketTokens+"."+events.TokenKey(corpID, "kf"))); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the alarm", func() bool { return !p.health.Ready() && strings.Contains(r.logs.String(), `"reason":"full"`) })
	r.suspect(before)
	testkit.Eventually(t, "the refresh in memory", func() bool { return r.sim.Calls("gettoken") == 2 })
	if v, _ := r.entry(); v.Generation != 0 {
		t.Errorf("%v was published into a full bucket", v)
	}
	limit(-1)
	testkit.Eventually(t, "the new token", func() bool { v, _ := r.entry(); return v.Generation > before.Generation })
	r.ready(p)
	if got := r.sim.Calls("gettoken"); got != 2 {
		t.Errorf("got %d calls of gettoken, want 2", got)
	}
}

// suspect reports a token as refused.
func (r *rig) suspect(v tokens.Value) { r.suspectOf(theOne(), v) }

func (r *rig) suspectOf(c Credential, v tokens.Value) {
	r.t.Helper()
	raw, err := json.Marshal(events.Suspect{Corp: c.Corp, Credential: c.Name, Hash: v.Hash, ErrCode: 42001})
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.bus.NC.Publish(events.SuspectSubject(c.Corp), raw); err != nil {
		r.t.Fatal(err)
	}
}

// 5.10
func TestBrokerRestartsEmpty(t *testing.T) {
	r := &rig{t: t, sim: newSim(t, kfsim.Personality{}), sealing: unsealed}
	r.url = newRigWeb(t, r.sim)
	r.server = testkit.NATS(t)
	address := strings.TrimPrefix(r.server.URL(), "nats://")
	r.bus = connect(t, r.server)
	if _, err := r.bus.Apply(testkit.Context(t), testkit.Small()); err != nil {
		t.Fatal(err)
	}
	p := r.start()
	r.ready(p)
	before, _ := r.entry()
	r.server.Close()
	testkit.Eventually(t, "unreadiness", func() bool { return !p.health.Ready() })
	testkit.NATS(t, func(o *localnats.Options) { o.Listen = address })
	testkit.Eventually(t, "the connection to come back", r.bus.NC.IsConnected)
	if _, err := r.bus.Apply(testkit.Context(t), testkit.Small()); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the token to be back", func() bool { v, _ := r.entry(); return v.Generation == before.Generation })
	r.ready(p)
	if got := r.sim.Calls("gettoken"); got != 1 {
		t.Errorf("got %d calls of gettoken, want 1", got)
	}
}

func connect(t testing.TB, s *localnats.Server) *bus.Bus {
	t.Helper()
	b, err := bus.Connect(bus.Config{URL: s.URL()}, t.Name(), zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.NC.Close)
	return b
}

func TestTheNextReplicaTakesOver(t *testing.T) {
	r := newRig(t, kfsim.Personality{RepeatedGetToken: kfsim.TokenNew})
	first := r.start()
	r.ready(first)
	second := r.start()
	r.ready(second)
	leads := func(p *process) func() bool {
		return func() bool { return p.metric(t, "kf_tokenkeeper_leader", "") == 1 }
	}
	if leads(second)() {
		t.Fatal("two replicas lead")
	}
	first.stop(t)
	testkit.Eventually(t, "the second to lead", leads(second))
	third := r.start()
	r.ready(third)
	second.kill()
	testkit.Eventually(t, "the third to lead", leads(third))
	before, _ := r.entry()
	r.suspect(before)
	testkit.Eventually(t, "a newer token", func() bool { v, _ := r.entry(); return v.Generation > before.Generation })
	if got := r.sim.Calls("gettoken"); got != 2 {
		t.Errorf("got %d calls of gettoken, want 2: none for taking over", got)
	}
}

func TestReports(t *testing.T) {
	r := newRig(t, kfsim.Personality{RepeatedGetToken: kfsim.TokenNew})
	p := r.start()
	r.ready(p)
	v, _ := r.entry()
	count := func(s suspicion) func() float64 {
		return func() float64 { return p.metric(t, "kf_tokenkeeper_suspects_total", string(s)) }
	}
	malformed := func() float64 { return p.metric(t, "kf_tokenkeeper_malformed_suspects_total", "") }
	good, err := json.Marshal(events.Suspect{Corp: corpID, Credential: "kf", Hash: v.Hash})
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, with string) []byte { return []byte(strings.Replace(string(good), old, with, 1)) }
	for _, c := range []struct {
		name   string
		header nats.Header
		body   []byte
		metric func() float64
	}{
		{"of an older token", nil, replace(v.Hash, "00000000"), count(suspectStale)},
		{"of another credential", nil, replace(`"kf"`, `"other"`), malformed},
		{"no JSON", nil, []byte("<xml>"), malformed},
		{"nothing", nil, nil, malformed},
		{"too large", nil, append(good, make([]byte, maxReport)...), malformed},
		{"a broken CloudEvent", nats.Header{events.ContentTypeHeader: {events.ContentType}}, good, malformed},
		{"as bare JSON", nil, good, count(suspectTaken)},
	} {
		before := c.metric()
		if err := r.bus.NC.PublishMsg(&nats.Msg{Subject: events.SuspectSubject(corpID), Header: c.header, Data: c.body}); err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, "the report to be counted: "+c.name, func() bool { return c.metric() == before+1 })
	}
	testkit.Eventually(t, "a newer token", func() bool { now, _ := r.entry(); return now.Generation > v.Generation })
	if got := r.sim.Calls("gettoken"); got != 2 {
		t.Errorf("got %d calls of gettoken, want 2: only the last report is one", got)
	}
}

func TestRunWaitsForTheTopology(t *testing.T) {
	r := &rig{t: t, sim: newSim(t, kfsim.Personality{}), sealing: unsealed}
	r.url = newRigWeb(t, r.sim)
	r.server = testkit.NATS(t)
	r.bus = connect(t, r.server)
	p := r.start()
	testkit.Eventually(t, "the reason", func() bool {
		report, err := json.Marshal(p.health.Report())
		return err == nil && strings.Contains(string(report), "run kfbus topology apply")
	})
	if p.health.Ready() || r.sim.Calls("gettoken") != 0 {
		t.Errorf("ready %v, %d calls of gettoken; want neither before the bucket is there", p.health.Ready(), r.sim.Calls("gettoken"))
	}
	if _, err := r.bus.Apply(testkit.Context(t), testkit.Small()); err != nil {
		t.Fatal(err)
	}
	r.ready(p)
}

func TestDriftOfTheTopologyIsSeen(t *testing.T) {
	r := newRig(t, kfsim.Personality{})
	p := r.start()
	r.ready(p)
	history := func(n int64) {
		t.Helper()
		s, err := r.bus.JS.Stream(testkit.Context(t), "KV_"+events.BucketTokens)
		if err != nil {
			t.Fatal(err)
		}
		c := s.CachedInfo().Config
		c.MaxMsgsPerSubject = n
		if _, err := r.bus.JS.UpdateStream(testkit.Context(t), c); err != nil {
			t.Fatal(err)
		}
	}
	history(5)
	testkit.Eventually(t, "the reason", func() bool {
		return !p.health.Ready() && strings.Contains(fmt.Sprint(p.health.Report()), "history is 5, want 1")
	})
	history(1)
	r.ready(p)
	r.server.Close()
	testkit.Eventually(t, "the reason without a broker", func() bool {
		return strings.Contains(fmt.Sprint(p.health.Report()), "the broker's topology cannot be read")
	})
}

func TestRunEndsWhileItWaits(t *testing.T) {
	r := &rig{t: t, sim: newSim(t, kfsim.Personality{}), sealing: unsealed}
	r.url = newRigWeb(t, r.sim)
	r.server = testkit.NATS(t)
	p := r.start()
	p.end()
	if err := <-p.ended; err != nil {
		t.Errorf("got %v, want nil", err)
	}
	p.ended <- nil
}

func TestNewRefuses(t *testing.T) {
	good, one := Config{MinDistance: distance}, []Credential{theOne()}
	for _, c := range []struct {
		name        string
		cfg         Config
		sealing     tokens.Sealing
		credentials []Credential
		want        string
	}{
		{"no credential", good, unsealed, nil, "no credential"},
		{"no corp", good, unsealed, []Credential{{Name: "kf", Secret: service.NewSecret(secret)}}, "corp or the name is empty"},
		{"no secret", good, unsealed, []Credential{{Corp: corpID, Name: "kf"}}, "KF_TOKENKEEPER_SECRET_FILE"},
		{"the same twice", good, unsealed, append(one, one[0]), "twice"},
		{"no choice between sealed and plain", good, tokens.Sealing{}, one, "KF_TOKEN_SEAL must be xkey or plain"},
		{"too eager", Config{MinDistance: time.Millisecond}, unsealed, one, "KF_TOKENKEEPER_MIN_DISTANCE"},
	} {
		_, err := New(c.cfg, c.sealing, c.credentials, nil, nil, service.Deps{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want it to say %q", c.name, err, c.want)
		}
	}
}

func TestConfigFromTheEnvironment(t *testing.T) {
	type env struct {
		Tokenkeeper struct {
			Config
			Single
		}
	}
	t.Setenv("KF_TOKENKEEPER_SECRET", secret)
	var cfg env
	if err := service.Load("KF", &cfg); err != nil {
		t.Fatal(err)
	}
	if c := cfg.Tokenkeeper; c.Credential != "kf" || c.Secret.Reveal() != secret || c.MinDistance != 30*time.Second || len(c.Credentials) != 0 {
		t.Errorf("got %+v", c)
	}
	if err := service.Load("KF", &env{}); err == nil || !strings.Contains(err.Error(), "KF_TOKENKEEPER_SECRET") {
		t.Errorf("without the secret: got %v", err)
	}
	if err := (Single{}).Validate(); err == nil || !strings.Contains(err.Error(), "KF_TOKENKEEPER_CREDENTIAL") {
		t.Errorf("without a name: got %v", err)
	}
	if err := (Named{Kind: "wecom"}).Validate(); err == nil || !strings.Contains(err.Error(), "corp, official or stable") {
		t.Errorf("an unknown kind: got %v", err)
	}
}
