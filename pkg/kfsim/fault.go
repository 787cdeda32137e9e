package kfsim

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Fault is something that goes wrong with API calls or with callbacks. One call is struck by all
// latency faults that match it and by the first other fault that does, in the order they were added;
// a callback by all that match it. Whether the n-th match of a fault is struck depends on the seed
// and on nothing else, so faults of different paths do not disturb each other.
type Fault struct {
	ID             string        `json:"id,omitempty"`              // made when empty
	Kind           string        `json:"kind"`                      // one of the kinds
	Path           string        `json:"path,omitempty"`            // as kf/send_msg; empty means every path
	OpenKfID       string        `json:"open_kfid,omitempty"`       // only calls that name this account, or its callbacks
	ExternalUserID string        `json:"external_userid,omitempty"` // only calls that name this customer
	After          int           `json:"after,omitempty"`           // let this many matches pass first
	Count          int           `json:"count,omitempty"`           // strike this many times, then be gone; 0 means until removed
	Probability    float64       `json:"probability,omitempty"`     // 0 < p <= 1, by the seeded dice; 0 means always
	Delay          time.Duration `json:"delay,omitempty"`           // real time
	Jitter         time.Duration `json:"jitter,omitempty"`          // at most this much more, by the seeded dice
	ErrCode        int           `json:"errcode,omitempty"`         // for errcode
	Status         int           `json:"status,omitempty"`          // for http_500_… (0 means 500) and redirect (302)
	Location       string        `json:"location,omitempty"`        // for redirect
	Body           string        `json:"body,omitempty"`            // for garbage_…; empty means half a JSON object
	Struck         int           `json:"struck"`                    // how often it has struck
}

type plainFault Fault

type faultText struct {
	*plainFault
	Delay  textDuration `json:"delay,omitempty"`
	Jitter textDuration `json:"jitter,omitempty"`
}

// MarshalJSON writes delay and jitter as text, "1.5s".
func (f Fault) MarshalJSON() ([]byte, error) {
	return json.Marshal(faultText{(*plainFault)(&f), textDuration(f.Delay), textDuration(f.Jitter)})
}

// UnmarshalJSON refuses unknown fields.
func (f *Fault) UnmarshalJSON(b []byte) error {
	w := faultText{(*plainFault)(f), textDuration(f.Delay), textDuration(f.Jitter)}
	if err := decodeStrict(b, &w); err != nil {
		return err
	}
	f.Delay, f.Jitter = time.Duration(w.Delay), time.Duration(w.Jitter)
	return nil
}

// armedFault is a fault in force.
type armedFault struct {
	Fault
	faultKind
	dice   *rand.Rand
	passed int // matches let through because of After
}

// AddFault sets a fault and returns its id.
func (s *Sim) AddFault(f Fault) (id string, err error) {
	f.Path = trimPath(f.Path)
	if err := f.validate(); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	made := s.st.ids.opaque("fault_", "fault", 8)
	or(&f.ID, made)
	for _, other := range s.st.faults {
		if other.ID == f.ID {
			return "", fmt.Errorf("fault id %s is in force already; remove that fault or choose another id", f.ID)
		}
	}
	f.Struck = 0
	k, _ := faultKindOf(f.Kind)
	dice := rand.New(rand.NewPCG(s.cfg.Seed, 1000+s.st.ids.made["fault"]))
	s.st.faults = append(s.st.faults, &armedFault{Fault: f, faultKind: k, dice: dice})
	s.journal.add(Entry{Kind: KindFault, Fault: f.Kind, FaultID: f.ID, Path: f.Path, Reason: "set"})
	return f.ID, nil
}

// RemoveFault ends a fault and reports whether it was there. Calls it has struck stay struck.
func (s *Sim) RemoveFault(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.removeFault(id, "removed")
}

func (s *Sim) removeFault(id, why string) bool {
	for i, f := range s.st.faults {
		if f.ID == id {
			s.st.faults = slices.Delete(s.st.faults, i, i+1)
			s.journal.add(Entry{Kind: KindFault, Fault: f.Kind, FaultID: id, Path: f.Path, Reason: why, Count: f.Struck})
			return true
		}
	}
	return false
}

// RemoveFaults ends all faults.
func (s *Sim) RemoveFaults() {
	for _, f := range s.Faults() {
		s.RemoveFault(f.ID)
	}
}

// Faults lists the faults in force, oldest first.
func (s *Sim) Faults() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Fault{}
	for _, f := range s.st.faults {
		list = append(list, f.Fault)
	}
	return list
}

// target is what a fault may strike: a call or a callback.
type target struct {
	at     faultPlace
	entry  Entry // how the journal names it
	names  func() callNames
	looked bool // faults without path have had their turn
}

// callNames are the ids that faults can be narrowed down to.
type callNames struct{ openKfID, externalUserID, toUser string }

// strikes returns the faults that strike t, their delays thrown. The caller holds Sim.mu.
func (s *Sim) strikes(t target) (hits []Fault) {
	if len(s.st.faults) == 0 {
		return nil
	}
	taken := false
	for _, f := range slices.Clone(s.st.faults) {
		if !f.adds && taken || !f.matches(t) {
			continue
		}
		if f.passed < f.After {
			f.passed++
			continue
		}
		if f.Probability > 0 && f.dice.Float64() >= f.Probability {
			continue
		}
		f.Struck++
		taken = taken || !f.adds
		e := t.entry
		s.journal.add(Entry{Kind: KindFault, Fault: f.Kind, FaultID: f.ID, Path: e.Path, Call: e.Call, CorpID: e.CorpID, OpenKfID: e.OpenKfID, Callback: e.Callback, Reason: "struck"})
		hits = append(hits, f.thrown())
		if f.Count > 0 && f.Struck >= f.Count {
			s.removeFault(f.ID, "used up")
		}
	}
	return hits
}

// thrown is the fault with this strike's delay.
func (f *armedFault) thrown() Fault {
	hit := f.Fault
	switch {
	case f.Kind == FaultCallbackReordered:
		hit.Delay = time.Duration(f.dice.Int64N(int64(f.Delay)))
	case f.Jitter > 0:
		hit.Delay += time.Duration(f.dice.Int64N(int64(f.Jitter)))
	}
	return hit
}

func (f *armedFault) matches(t target) bool {
	if !f.targets(t.at, t.entry.Path) || t.looked && f.Path == "" {
		return false
	}
	if f.OpenKfID == "" && f.ExternalUserID == "" {
		return true
	}
	n := t.names()
	return (f.OpenKfID == "" || f.OpenKfID == n.openKfID) &&
		(f.ExternalUserID == "" || f.ExternalUserID == n.externalUserID || f.ExternalUserID == n.toUser)
}

// names reads what a call names, in its body or its query; what cannot be read names nothing.
func (r *request) names() callNames {
	var body struct {
		OpenKfID       string `json:"open_kfid"`
		ExternalUserID string `json:"external_userid"`
		ToUser         string `json:"touser"`
	}
	_ = json.Unmarshal(r.body, &body)
	or(&body.OpenKfID, r.query.Get("open_kfid"))
	return callNames{body.OpenKfID, body.ExternalUserID, body.ToUser}
}

// blow is what strikes one call: waits first, then at most one fault.
type blow struct {
	waits []time.Duration
	fault Fault // Kind is empty when nothing strikes
}

// strike decides what goes wrong with r.
func (s *Sim) strike(r *request) (b blow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.strikes(target{at: onCall, entry: r.entry, names: r.names}) {
		if f.Kind == FaultLatency {
			b.waits = append(b.waits, f.Delay)
		} else {
			b.fault = f
		}
	}
	r.entry.Fault, r.entry.FaultID = b.fault.Kind, b.fault.ID
	return b
}

// trimPath takes both /cgi-bin/kf/send_msg and kf/send_msg.
func trimPath(p string) string {
	return strings.TrimPrefix(strings.TrimPrefix(p, "/"), "cgi-bin/")
}
