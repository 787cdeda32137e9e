package kfsim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// Sim is one simulated platform. Make it with New; serve Platform and Control; Run delivers the
// callbacks. Every method may be called from any goroutine.
type Sim struct {
	cfg       Config
	clock     *Clock
	journal   *journal
	hooks     hooks
	endpoints map[string]endpoint
	bodies    map[string]bodyCheck
	phones    phoneFeed
	client    *http.Client  // for callbacks
	wake      chan struct{} // capacity 1: there may be callbacks to deliver
	stats     stats
	doors     doors
	script    runner
	ticks     bool // the clock runs by itself, so that Run plays the script in time
	load      loading

	closed chan struct{}  // closed by Close: releases hanging calls, drops late effects
	late   sync.WaitGroup // late effects

	mu       sync.Mutex
	st       *state
	quiet    quiet
	p        Personality
	switches CallbackSwitches
}

// state is everything that Reset forgets. Guarded by Sim.mu.
type state struct {
	ids        *ids
	dice       *rand.Rand
	corps      map[string]*corp
	accounts   map[string]*account // by open_kfid, removed ones included
	tokens     map[string]*accessToken
	codes      map[string]*eventCode
	officials  map[string]*official  // by appid
	oaTokens   map[string]time.Time  // when tokens of official accounts end
	remote     map[string]RemoteFile // by URL
	limits     limiter
	faults     []*armedFault
	sends      []*sent
	callbacks  []*callback // waiting to go out
	delivering int         // callbacks on their way
	rung       uint64      // callbacks caused so far
	hostile    int         // hostile items made by faults so far
}

func newState(seed uint64) *state {
	return &state{
		ids:      newIDs(seed),
		dice:     rand.New(rand.NewPCG(seed, 1)),
		corps:    map[string]*corp{},
		accounts: map[string]*account{},
		tokens:   map[string]*accessToken{},
		codes:    map[string]*eventCode{},
		limits:   limiter{},

		officials: map[string]*official{},
		oaTokens:  map[string]time.Time{},
		remote:    map[string]RemoteFile{},
	}
}

// New checks cfg and makes an empty platform: no corp, no account, no customer. It does no I/O.
func New(cfg Config) (*Sim, error) {
	ticks := cfg.Now == nil
	cfg = cfg.withDefaults()
	p := cfg.Personality.withDefaults()
	if err := p.validate(); err != nil {
		return nil, err
	}
	if cfg.JournalLimit < 0 {
		return nil, fmt.Errorf("journal limit is %d; 0 keeps all entries, a positive number at least so many of the latest", cfg.JournalLimit)
	}
	if err := cfg.Callbacks.validate(); err != nil {
		return nil, err
	}
	s := &Sim{
		cfg: cfg, ticks: ticks, clock: newClock(cfg.Now), endpoints: platformEndpoints(), bodies: bodyChecks(),
		wake: make(chan struct{}, 1), closed: make(chan struct{}), st: newState(cfg.Seed), p: p, switches: cfg.Callbacks,
		client: &http.Client{
			Transport:     cfg.Transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	s.stats.reset()
	s.journal = newJournal(s.clock, cfg.JournalLimit)
	s.script.load(cfg.Script, s.clock.Now())
	s.clock.moved = func(how string) {
		s.journal.add(Entry{Kind: KindClock, Reason: how})
		s.script.moved()
		s.play()
	}
	return s, nil
}

// Close lets go of calls that hang or wait by a fault and of followed streams, drops effects that were
// still to come, ends a load, and returns when none of those is left. It may be called more than once. The HTTP
// servers around the handlers are the caller's to stop.
func (s *Sim) Close() {
	s.mu.Lock()
	if !s.isClosed() {
		close(s.closed)
	}
	s.mu.Unlock()
	s.late.Wait()
	s.StopLoad()
	s.client.CloseIdleConnections()
}

// Clock is the virtual clock.
func (s *Sim) Clock() *Clock { return s.clock }

// Personality returns the personality in force, defaults filled in.
func (s *Sim) Personality() Personality {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.p
}

// SetPersonality replaces the personality from the next call on; zero fields mean their defaults.
func (s *Sim) SetPersonality(p Personality) error {
	p = p.withDefaults()
	if err := p.validate(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.p = p
	return nil
}

// Reset forgets corps, accounts, customers, media, tokens, faults, waiting callbacks, counters and
// the journal, and sets the clock and the seed back to the start. The personality and the callback
// switches become those of Config again, its script begins anew, and a load that runs is stopped.
func (s *Sim) Reset() {
	s.StopLoad()
	s.mu.Lock()
	s.st = newState(s.cfg.Seed)
	s.p = s.cfg.Personality.withDefaults()
	s.switches = s.cfg.Callbacks
	s.clock.reset()
	s.stats.reset()
	s.journal.reset()
	s.script.load(s.cfg.Script, s.clock.Now())
	s.quiet.less()
	s.mu.Unlock()
	s.phones.changed("", "")
}

func (s *Sim) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

// whileOpen is parent, ended by Close too.
func (s *Sim) whileOpen(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	go func() {
		select {
		case <-s.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// wait passes real time, unless Close comes first. That the client goes ends nothing: who has asked
// and left has still asked.
func (s *Sim) wait(ctx context.Context, d time.Duration) error {
	ctx, cancel := s.whileOpen(context.WithoutCancel(ctx))
	defer cancel()
	return s.cfg.Wait(ctx, d)
}

// later runs f after d, which Close waits for, or not at all when Close comes first.
func (s *Sim) later(ctx context.Context, d time.Duration, f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() {
		return
	}
	s.quiet.late++
	s.late.Go(func() {
		if s.wait(ctx, d) == nil {
			f()
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.quiet.late--
		s.quiet.less()
	})
}
