package kfsim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

// Load is customers who write. The zero value of a field means its default.
type Load struct {
	PerSecond float64        `json:"per_second,omitempty"` // acts of customers in a second of real time, all together; 0 means without pauses
	Burst     int            `json:"burst,omitempty"`      // acts at once; at the same rate, the pauses grow with it; 1
	Count     int            `json:"count,omitempty"`      // acts in all; 0 means no end
	Duration  time.Duration  `json:"duration,omitempty"`   // real time, by Config.Now and Config.Wait; 0 means no end
	Types     map[string]int `json:"types,omitempty"`      // what they do, by weight: see below; all text
	Accounts  []string       `json:"accounts,omitempty"`   // open_kfids; all there are when the load begins
	Customers int            `json:"customers,omitempty"`  // make this many in each corp, wmLOAD000001 and on; 0 means those there are
	Seed      uint64         `json:"seed,omitempty"`       // with the simulator's, decides who does what, in which order
}

type plainLoad Load

type loadText struct {
	*plainLoad
	Duration textDuration `json:"duration,omitempty"`
}

// MarshalJSON writes the duration as text, "10m0s".
func (l Load) MarshalJSON() ([]byte, error) {
	return json.Marshal(loadText{(*plainLoad)(&l), textDuration(l.Duration)})
}

// UnmarshalJSON refuses unknown fields.
func (l *Load) UnmarshalJSON(b []byte) error {
	w := loadText{(*plainLoad)(l), textDuration(l.Duration)}
	if err := decodeStrict(b, &w); err != nil {
		return err
	}
	l.Duration = time.Duration(w.Duration)
	return nil
}

const maxLoadCustomers = 1_000_000

func (l Load) validate() error {
	switch {
	case math.IsNaN(l.PerSecond) || l.PerSecond < 0 || l.PerSecond > 1_000_000:
		return fmt.Errorf("load per_second is %g; it is between 0 (without pauses) and 1000000", l.PerSecond)
	case l.Burst < 0 || l.Count < 0 || l.Duration < 0:
		return errors.New("load burst, count and duration cannot be negative")
	case l.Customers < 0 || l.Customers > maxLoadCustomers:
		return fmt.Errorf("load customers is %d; it is between 0 (those there are) and %d", l.Customers, maxLoadCustomers)
	case l.PerSecond == 0 && l.Count == 0 && l.Duration == 0:
		return errors.New("load: give per_second, count or duration; without any it would fill the memory")
	}
	sum := 0
	for _, name := range sortedKeys(l.Types) {
		if _, known := loadActs()[name]; !known {
			return fmt.Errorf("load types: %q is unknown; use %s", clip(name, 64), strings.Join(LoadTypes(), ", "))
		}
		if l.Types[name] < 0 || l.Types[name] > 1_000_000 {
			return fmt.Errorf("load types: the weight of %s is %d; it is between 0 and 1000000", name, l.Types[name])
		}
		sum += l.Types[name]
	}
	if len(l.Types) > 0 && sum == 0 {
		return errors.New("load types: all weights are 0")
	}
	return nil
}

// LoadTypes lists what customers can do under a load.
func LoadTypes() []string { return sortedKeys(loadActs()) }

// LoadStatus is how far a load is.
type LoadStatus struct {
	Running   bool           `json:"running"`
	Load      Load           `json:"load"`
	Acts      int            `json:"acts"`   // done
	ByType    map[string]int `json:"types"`  // a tap without a menu to tap on, and a recall of nothing, are texts
	Failed    int            `json:"failed"` // could not be done, for example because the account was removed
	LastError string         `json:"last_error,omitempty"`
}

// loading is the load that runs, or ran last.
type loading struct {
	mu     sync.Mutex
	status LoadStatus
	stop   context.CancelFunc
	over   chan struct{} // closed at its end
}

func (l *loading) read() LoadStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.status
	out.ByType = maps.Clone(out.ByType)
	return out
}

// begin reserves the one place there is.
func (l *loading) begin(load Load, stop context.CancelFunc) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.status.Running {
		return errors.New("load: one is running already; stop it first")
	}
	l.status, l.stop = LoadStatus{Running: true, Load: load, ByType: map[string]int{}}, stop
	l.over = make(chan struct{})
	return nil
}

func (l *loading) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status.Running = false
	close(l.over)
}

// did counts one act.
func (l *loading) did(what string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.status.Failed++
		l.status.LastError = err.Error()
		return
	}
	l.status.Acts++
	l.status.ByType[what]++
}

// Generate lets customers write, and returns when the load has ended, ctx has ended, StopLoad was
// called, the simulator was closed or reset. One load runs at a time. Pauses pass by Config.Wait; a
// load that falls behind its rate catches up. Nothing is journaled but what the customers do, and the
// load's beginning and end.
func (s *Sim) Generate(ctx context.Context, load Load) (LoadStatus, error) {
	run, err := s.beginLoad(ctx, load)
	if err != nil {
		return LoadStatus{}, err
	}
	run()
	return s.LoadStatus(), nil
}

// StartLoad is Generate in the background.
func (s *Sim) StartLoad(load Load) error {
	run, err := s.beginLoad(context.Background(), load)
	if err == nil {
		go run()
	}
	return err
}

// LoadStatus is how far the load is that runs, or ran last.
func (s *Sim) LoadStatus() LoadStatus { return s.load.read() }

// StopLoad ends the load that runs, if one does, and returns when nothing more comes of it.
func (s *Sim) StopLoad() {
	s.load.mu.Lock()
	stop, over := s.load.stop, s.load.over
	s.load.mu.Unlock()
	if stop != nil {
		stop()
		<-over
	}
}

func (s *Sim) beginLoad(ctx context.Context, load Load) (run func(), err error) {
	if err := load.validate(); err != nil {
		return nil, err
	}
	or(&load.Burst, 1)
	if len(load.Types) == 0 {
		load.Types = map[string]int{"text": 1}
	}
	ctx, cancel := s.whileOpen(ctx)
	if err := s.load.begin(load, cancel); err != nil {
		cancel()
		return nil, err
	}
	g, err := s.newLoader(load)
	if err != nil {
		cancel()
		s.load.end()
		return nil, err
	}
	s.journal.add(Entry{Kind: KindLoad, Reason: "begun", Count: load.Count})
	return func() {
		defer s.load.end()
		defer cancel()
		g.run(ctx)
		s.journal.add(Entry{Kind: KindLoad, Reason: "ended", Count: s.load.read().Acts})
	}, nil
}

// run does the acts when they are due.
func (g *loader) run(ctx context.Context) {
	var waited time.Duration
	begun, done := g.s.cfg.Now(), 0
	for ctx.Err() == nil {
		elapsed := max(g.s.cfg.Now().Sub(begun), waited)
		over := g.load.Duration > 0 && elapsed >= g.load.Duration
		if over && g.load.PerSecond == 0 {
			return
		}
		if over { // what was due until just before
			elapsed = g.load.Duration - 1
		}
		for due := g.due(elapsed); done < due && ctx.Err() == nil; done++ {
			g.act(done)
		}
		if over || g.load.Count > 0 && done >= g.load.Count {
			return
		}
		if g.load.PerSecond == 0 {
			continue
		}
		pause := g.pause(elapsed, done)
		if g.s.cfg.Wait(ctx, pause) != nil {
			return
		}
		waited = max(waited, elapsed) + pause
	}
}

// due is how many acts must have been done after elapsed: whole bursts, the first at once.
func (g *loader) due(elapsed time.Duration) int {
	due := math.MaxInt
	if g.load.PerSecond > 0 {
		bursts := math.Floor(elapsed.Seconds()*g.load.PerSecond/float64(g.load.Burst) + 1e-9)
		due = (int(bursts) + 1) * g.load.Burst
	} else if g.load.Count == 0 {
		due = g.unpaced
		g.unpaced += 1000 // between two looks at the time
	}
	if g.load.Count > 0 {
		due = min(due, g.load.Count)
	}
	return due
}

// pause is how long until the next burst, or until the end; short ones are taken together.
func (g *loader) pause(elapsed time.Duration, done int) time.Duration {
	next := time.Duration(float64(done) / g.load.PerSecond * float64(time.Second))
	pause := max(next-elapsed, 2*time.Millisecond)
	if g.load.Duration > 0 {
		pause = min(pause, g.load.Duration-elapsed)
	}
	return pause
}

// accountsFor finds the accounts a load writes to: those named, or all.
func (s *Sim) accountsFor(names []string) (list []*account, err error) {
	if len(names) == 0 {
		for _, id := range sortedKeys(s.st.corps) {
			list = append(list, s.st.corps[id].accounts...)
		}
	}
	for _, id := range names {
		a, err := s.st.account(id)
		if err != nil {
			return nil, fmt.Errorf("load accounts: %w", err)
		}
		list = append(list, a)
	}
	if len(list) == 0 {
		return nil, errors.New("load: there is no account; make one first")
	}
	return slices.Clone(list), nil
}
