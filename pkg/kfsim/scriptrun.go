package kfsim

import (
	"context"
	"sync"
	"time"
)

// runner plays one script. Steps are due by the clock or by calls, and are looked at when a call has
// been decided, when the clock was moved, and by Run's timer if the clock is the real one.
type runner struct {
	mu      sync.Mutex
	script  Script
	started time.Time
	fired   []bool
	errs    []string
	calls   map[string]int // decided since the start, by path; "" counts all
	busy    bool           // somebody plays the steps that are due, until there are none
	changed chan struct{}  // closed when the timer must be set anew
}

// load begins a script at now.
func (r *runner) load(script Script, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(script.steps)
	r.script, r.started, r.fired, r.errs, r.calls = script, now, make([]bool, n), make([]string, n), map[string]int{}
	r.poke()
}

func (r *runner) poke() {
	if r.changed != nil {
		close(r.changed)
	}
	r.changed = make(chan struct{})
}

// moved tells the timer that the clock has changed.
func (r *runner) moved() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.poke()
}

// due returns the index of the next step to play at now, or -1.
func (r *runner) due(now time.Time) int {
	next := -1
	for i, st := range r.script.steps {
		if r.fired[i] {
			continue
		}
		if st.after != nil && r.calls[st.after.Path] < st.after.Calls || st.after == nil && now.Before(r.started.Add(st.at)) {
			continue
		}
		if next < 0 || st.at < r.script.steps[next].at {
			next = i
		}
	}
	return next
}

// LoadScript begins a script in place of the one before, and plays what is due at once. Times and
// calls count from now. While Run runs, steps come at their time; without it, or with a Config.Now of
// the caller's, at the first call or move of the clock after.
func (s *Sim) LoadScript(script Script) {
	s.script.load(script, s.clock.Now())
	s.play()
}

// called counts a call that has been decided, and plays what is due after it.
func (s *Sim) called(path string) {
	r := &s.script
	r.mu.Lock()
	idle := len(r.script.steps) == 0
	if !idle {
		r.calls[path]++
		r.calls[""]++
	}
	r.mu.Unlock()
	if !idle {
		s.play()
	}
}

// play plays the steps that are due, in the order of their times and then of the script. Steps that
// are being played already, by another call or by a step that moves the clock, are left to it.
func (s *Sim) play() {
	r := &s.script
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy {
		return
	}
	r.busy = true
	for i := r.due(s.clock.Now()); i >= 0; i = r.due(s.clock.Now()) {
		s.playStep(i)
	}
	r.busy = false
}

// playStep plays one step without the runner's lock.
func (s *Sim) playStep(i int) {
	r := &s.script
	st, fired, errs := r.script.steps[i], r.fired, r.errs
	fired[i] = true
	r.mu.Unlock()
	s.journal.add(Entry{Kind: KindScript, Count: st.n, Reason: st.action})
	err := st.do(s)
	if err != nil {
		s.journal.add(Entry{Kind: KindScript, Count: st.n, Reason: st.action + " failed: " + err.Error()})
	}
	r.mu.Lock()
	if err != nil {
		errs[i] = err.Error()
	}
	r.poke()
}

// runScript plays steps at their time until ctx ends. A Wait that comes back too early is not asked
// again before something has changed.
func (s *Sim) runScript(ctx context.Context) {
	for ctx.Err() == nil {
		wait, changed := s.script.until(s.clock.Now(), s.clock.Speed())
		if wait > 0 {
			timer, cancel := context.WithCancel(ctx)
			go func() {
				select {
				case <-changed:
					cancel()
				case <-timer.Done():
				}
			}()
			err := s.cfg.Wait(timer, wait)
			cancel()
			if err != nil {
				continue
			}
			s.play()
		}
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
}

// until is how long Config.Wait must wait for the next step that is due by the clock; 0 when none is.
func (r *runner) until(now time.Time, speed float64) (time.Duration, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var first time.Duration
	for i, st := range r.script.steps {
		if d := r.started.Add(st.at).Sub(now); !r.fired[i] && st.after == nil && (first == 0 || d < first) {
			first = max(d, 1)
		}
	}
	if first == 0 || speed == 0 {
		return 0, r.changed
	}
	return time.Duration(float64(first)/speed) + time.Millisecond, r.changed // never too early
}

// ScriptStep is one step as GET /script shows it.
type ScriptStep struct {
	Step   int    `json:"step"` // from 1
	Action string `json:"action"`
	Fired  bool   `json:"fired"`
	Error  string `json:"error,omitempty"` // why it could not be done
}

// ScriptSteps returns the steps of the script in force, in its order.
func (s *Sim) ScriptSteps() []ScriptStep {
	r := &s.script
	r.mu.Lock()
	defer r.mu.Unlock()
	list := []ScriptStep{}
	for i, st := range r.script.steps {
		list = append(list, ScriptStep{st.n, st.action, r.fired[i], r.errs[i]})
	}
	return list
}
