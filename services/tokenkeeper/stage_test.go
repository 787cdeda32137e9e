package tokenkeeper

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/tokens"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

const (
	corpID = "ww0123456789abcdef"
	secret = "CANARY/secret+of&the=app 0123456789"
)

// newSim is a platform with one corp.
func newSim(t testing.TB, p kfsim.Personality) *kfsim.Sim {
	t.Helper()
	sim, err := kfsim.New(kfsim.Config{Personality: p})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	if _, err := sim.AddCorp(kfsim.Corp{CorpID: corpID, Secrets: []string{secret}}); err != nil {
		t.Fatal(err)
	}
	return sim
}

// inProcess carries calls to a handler without a network, so that they can be made on a virtual clock.
type inProcess struct{ h http.Handler }

func (p inProcess) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	defer func() {
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler: // the connection was cut
			resp, err = nil, io.ErrUnexpectedEOF
		default:
			panic(v)
		}
	}()
	w := httptest.NewRecorder()
	in := req.Clone(req.Context())
	if in.Body == nil {
		in.Body = http.NoBody // as a server has it
	}
	p.h.ServeHTTP(w, in)
	return w.Result(), nil
}

// stage is a platform, a bucket in memory and any number of keepers, all on the virtual clock of a synctest bubble.
type stage struct {
	t      testing.TB
	sim    *kfsim.Sim
	api    *kfapi.Client
	bucket *memory
	logs   lockedBuffer
	jump   atomic.Int64 // of the keepers' wall clock, nanoseconds
	caller tokens.Value // what a caller has: the highest generation it has seen
}

func newStage(t testing.TB, p kfsim.Personality) *stage {
	s := &stage{t: t, sim: newSim(t, p), bucket: newMemory()}
	var err error
	s.api, err = kfapi.New(kfapi.Config{HTTP: &http.Client{Transport: inProcess{s.sim.Platform()}}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stage) deps() service.Deps {
	now := func() time.Time { return time.Now().Add(time.Duration(s.jump.Load())).Round(0) } // without the monotonic clock, as after a jump
	return service.Deps{Log: zerolog.New(&s.logs), Metrics: prometheus.NewRegistry(), Health: service.NewHealth(now), Now: now}
}

// actor is a running keeper.
type actor struct {
	*keeper
	line   *line
	health *service.Health
	end    context.CancelFunc
	ended  chan struct{}
}

func (s *stage) start(set ...func(*keeper)) *actor {
	return s.startWith(service.NewSecret(secret), set...)
}

func (s *stage) startWith(sec service.Secret, set ...func(*keeper)) *actor {
	s.t.Helper()
	d := s.deps()
	m, err := newMetrics(d.Metrics)
	if err != nil {
		s.t.Fatal(err)
	}
	c := Credential{Corp: corpID, Name: "kf", Secret: sec}
	l := &line{memory: s.bucket}
	a := &actor{keeper: newKeeper(Config{MinDistance: distance}, tokens.Plain(c.Corp, c.Name), c, l, s.api, d, m.of(c)), line: l, health: d.Health, ended: make(chan struct{})}
	a.dice = func() float64 { return 0.5 } // refresh at 75 %
	for _, f := range set {
		f(a.keeper)
	}
	var ctx context.Context
	ctx, a.end = context.WithCancel(s.t.Context())
	go func() {
		defer close(a.ended)
		a.run(ctx)
	}()
	return a
}

// stop ends the keeper in order.
func (a *actor) stop() {
	a.end()
	<-a.ended
}

// kill ends the keeper where it is: nothing it does from now on reaches anybody.
func (a *actor) kill() {
	a.line.cut.Store(true)
	a.end()
	<-a.ended
}

// entry is the token in the bucket; ok is false if there is none.
func (s *stage) entry() (tokens.Value, bool) {
	e, _ := s.bucket.Read(s.t.Context(), events.BucketTokens, events.TokenKey(corpID, "kf"))
	v, err := tokens.Plain(corpID, "kf").Decode(e.Value)
	return v, err == nil
}

// look is what a caller does now and then: it takes a newer token from the bucket.
func (s *stage) look() {
	if v, ok := s.entry(); ok && v.Generation > s.caller.Generation {
		s.caller = v
	}
}

// alive reports whether the platform takes the caller's token.
func (s *stage) alive() bool {
	s.look()
	return !s.caller.Token.IsZero() &&
		s.api.Do(s.t.Context(), s.caller.Token.Reveal(), http.MethodGet, "/cgi-bin/getcallbackip", nil, nil) == nil
}

func (s *stage) calls() int { return s.sim.Calls("gettoken") }

// use makes the caller call, and report to these keepers if the platform refuses its token.
func (s *stage) use(keepers ...*actor) {
	if !s.alive() {
		for _, a := range keepers {
			a.report(events.Suspect{Hash: s.caller.Hash, Generation: s.caller.Generation})
		}
	}
}

// sourceFunc is a platform by a function.
type sourceFunc func(ctx context.Context, corp, secret string) (kfapi.GetTokenResponse, error)

func (f sourceFunc) GetToken(ctx context.Context, corp, secret string) (kfapi.GetTokenResponse, error) {
	return f(ctx, corp, secret)
}

func (f sourceFunc) OfficialToken(ctx context.Context, app, secret string) (kfapi.GetTokenResponse, error) {
	return f(ctx, app, secret)
}

func (f sourceFunc) StableToken(ctx context.Context, app, secret string, _ bool) (kfapi.GetTokenResponse, error) {
	return f(ctx, app, secret)
}

// line is one keeper's connection to the bucket.
type line struct {
	*memory
	cut      atomic.Bool  // for good: the keeper is dead
	lost     func() bool  // whether the next write's answer gets lost
	noLeases bool         // every lease seems free
	stall    atomic.Int64 // nanoseconds until the next read returns what it has read
}

func (l *line) Read(ctx context.Context, bucket, key string) (bus.Entry, error) {
	if l.cut.Load() {
		return bus.Entry{}, bus.ErrDisconnected
	}
	e, err := l.memory.Read(ctx, bucket, key)
	if l.noLeases && key == events.TokenLeaderKey(corpID, "kf") {
		e.Value = nil
	}
	if d := l.stall.Swap(0); d > 0 {
		<-time.After(time.Duration(d))
	}
	return e, err
}

func (l *line) Swap(ctx context.Context, bucket, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
	if l.cut.Load() {
		return 0, bus.ErrDisconnected
	}
	r, err := l.memory.Swap(ctx, bucket, key, value, revision, ttl)
	if l.lost != nil && l.lost() {
		return 0, bus.ErrUnknown
	}
	return r, err
}

// memory is a bucket. Lives end by the clock of the bubble.
type memory struct {
	mu       sync.Mutex
	err      error // of every call: the broker is away
	full     bool
	revision uint64
	entries  map[string]*memoryEntry
}

type memoryEntry struct {
	value    []byte
	revision uint64
	dies     time.Time
}

func newMemory() *memory { return &memory{entries: map[string]*memoryEntry{}} }

func (m *memory) at(key string) *memoryEntry {
	e := m.entries[key]
	if e == nil {
		e = &memoryEntry{}
		m.entries[key] = e
	}
	if e.value != nil && !time.Now().Before(e.dies) { // a marker takes its place
		m.revision++
		e.value, e.revision = nil, m.revision
	}
	return e
}

func (m *memory) Read(_ context.Context, _, key string) (bus.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return bus.Entry{}, m.err
	}
	e := m.at(key)
	return bus.Entry{Value: e.value, Revision: e.revision}, nil
}

func (m *memory) Swap(_ context.Context, _, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return 0, m.err
	}
	e := m.at(key)
	if e.revision != revision {
		return 0, bus.ErrConflict
	}
	if m.full {
		return 0, bus.ErrFull
	}
	m.revision++
	e.value, e.revision, e.dies = append([]byte{}, value...), m.revision, time.Now().Add(ttl)
	return m.revision, nil
}

// remove deletes an entry, as an operator would.
func (m *memory) remove(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.at(key)
	m.revision++
	e.value, e.revision = nil, m.revision
}

func (m *memory) set(err error, full bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err, m.full = err, full
}

// lockedBuffer takes logs of several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
