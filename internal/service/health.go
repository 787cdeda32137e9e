package service

import (
	"fmt"
	"sync"
	"time"
)

// Health is the readiness of one process: the named probes of its parts. It is ready if there is at least one probe,
// all are ok, and it is not stopping. Make it with NewHealth. Safe for concurrent use.
type Health struct {
	*healthState
	prefix string
}

type healthState struct {
	now func() time.Time

	mu       sync.Mutex
	probes   []*Probe
	stopping bool // unready for good
	dead     bool // a stop took too long: not alive either
}

// NewHealth returns a Health without probes, which is not ready.
func NewHealth(now func() time.Time) *Health {
	return &Health{healthState: &healthState{now: now}}
}

// Named returns the same Health, where Check puts "name." before the names of its probes.
func (h *Health) Named(name string) *Health {
	return &Health{healthState: h.healthState, prefix: h.prefix + name + "."}
}

// Check returns the probe with this name; at first it is not ok. The same name gives the same probe.
// Names are constants: they are a metric label.
func (h *Health) Check(name string) *Probe {
	h.mu.Lock()
	defer h.mu.Unlock()
	name = h.prefix + name
	for _, p := range h.probes {
		if p.name == name {
			return p
		}
	}
	p := &Probe{name: name, now: h.now, since: h.now(), reason: "not checked yet"}
	h.probes = append(h.probes, p)
	return p
}

// Ready reports whether the process can do its job now.
func (h *Health) Ready() bool { return h.Report().Ready }

// Report returns the state of every probe, in the order in which they were made.
func (h *Health) Report() Report {
	h.mu.Lock()
	probes, stopping := h.probes[:len(h.probes):len(h.probes)], h.stopping
	h.mu.Unlock()
	r := Report{Ready: !stopping && len(probes) > 0, Stopping: stopping, Checks: make([]CheckReport, len(probes))}
	for i, p := range probes {
		r.Checks[i] = p.report()
		r.Ready = r.Ready && r.Checks[i].OK
	}
	return r
}

func (h *Health) stop() { h.set(&h.stopping) }
func (h *Health) die()  { h.set(&h.dead) }

func (h *Health) set(flag *bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	*flag = true
}

func (h *Health) alive() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.dead
}

// Report is the body of /readyz.
type Report struct {
	Ready    bool          `json:"ready"`
	Stopping bool          `json:"stopping"`
	Checks   []CheckReport `json:"checks"`
}

// CheckReport is the state of one probe, and since when (UTC) it is so.
type CheckReport struct {
	Name   string    `json:"name"`
	OK     bool      `json:"ok"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason,omitempty"` // why it is not ok
}

// Probe is one thing a service must be able to do. Get it from Health.Check. Safe for concurrent use, cheap enough for
// every publish.
type Probe struct {
	name string
	now  func() time.Time

	mu     sync.Mutex
	fresh  time.Duration
	ok     bool
	since  time.Time // when ok last became what it is
	last   time.Time // the last OK
	reason string
}

// FreshFor makes an OK count for d only: after that the probe is not ok until the next one. 0, the default, is for ever.
// It returns the probe.
func (p *Probe) FreshFor(d time.Duration) *Probe {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fresh = d
	return p
}

// OK says that it worked just now.
func (p *Probe) OK() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if !p.ok || p.stale(now) {
		p.since = now
	}
	p.ok, p.last = true, now
}

// Fail says that it does not work, and why, for the operator: no secret, no customer's text.
func (p *Probe) Fail(reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	switch {
	case p.ok && p.stale(now):
		p.since = p.last.Add(p.fresh)
	case p.ok:
		p.since = now
	}
	p.ok, p.reason = false, reason
}

// stale reports whether the last OK is too old at now; at exactly fresh it still counts.
func (p *Probe) stale(now time.Time) bool { return p.fresh > 0 && now.Sub(p.last) > p.fresh }

func (p *Probe) report() CheckReport {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	switch {
	case !p.ok:
		return CheckReport{Name: p.name, Since: p.since.UTC(), Reason: p.reason}
	case p.stale(now):
		reason := fmt.Sprintf("no success for %v, at most %v allowed", now.Sub(p.last).Truncate(time.Millisecond), p.fresh)
		return CheckReport{Name: p.name, Since: p.last.Add(p.fresh).UTC(), Reason: reason}
	}
	return CheckReport{Name: p.name, OK: true, Since: p.since.UTC()}
}
