package kfsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kinds of faults. "before": nothing happened inside the platform. "after": it did, and the caller
// cannot know.
const (
	FaultLatency        = "latency"          // wait Delay, then go on
	FaultResetBefore    = "reset_before"     // cut the connection
	FaultResetAfter     = "reset_after"      // act, then cut the connection
	FaultHTTP500Before  = "http_500_before"  // answer Status (500)
	FaultHTTP500After   = "http_500_after"   // act, then answer Status (500)
	FaultGarbageBefore  = "garbage_before"   // answer 200 with Body (half a JSON object)
	FaultGarbageAfter   = "garbage_after"    // act, then answer 200 with Body
	FaultAcceptThenHang = "accept_then_hang" // act, then keep the connection without a word for Delay; 0 means until the client goes
	FaultLateEffect     = "late_effect"      // cut the connection, act after Delay
	FaultErrCode        = "errcode"          // answer ErrCode
	FaultRevokeToken    = "revoke_token"     // kill the call's access token first, then go on: 40014
)

// Fault is something that goes wrong with API calls. One call is struck by all latency faults that
// match it and by the first other fault that does; in the order they were added.
type Fault struct {
	ID             string        `json:"id,omitempty"`              // given by AddFault
	Kind           string        `json:"kind"`                      // one of the kinds above
	Path           string        `json:"path,omitempty"`            // as kf/send_msg; empty means every path
	OpenKfID       string        `json:"open_kfid,omitempty"`       // only calls that name this account in their body
	ExternalUserID string        `json:"external_userid,omitempty"` // only calls that name this customer in their body
	After          int           `json:"after,omitempty"`           // let this many matching calls pass first
	Count          int           `json:"count,omitempty"`           // strike this many times, then be gone; 0 means until removed
	Probability    float64       `json:"probability,omitempty"`     // 0 < p <= 1, by the seeded dice; 0 means always
	Delay          time.Duration `json:"delay,omitempty"`           // real time, for latency, accept_then_hang and late_effect
	ErrCode        int           `json:"errcode,omitempty"`         // for errcode
	Status         int           `json:"status,omitempty"`          // for http_500_…; 0 means 500
	Body           string        `json:"body,omitempty"`            // for garbage_…; empty means half a JSON object
	Struck         int           `json:"struck"`                    // how often it has struck
}

type plainFault Fault

type faultText struct {
	*plainFault
	Delay textDuration `json:"delay,omitempty"`
}

// MarshalJSON writes the delay as text, "1.5s".
func (f Fault) MarshalJSON() ([]byte, error) {
	return json.Marshal(faultText{(*plainFault)(&f), textDuration(f.Delay)})
}

// UnmarshalJSON refuses unknown fields.
func (f *Fault) UnmarshalJSON(b []byte) error {
	w := faultText{(*plainFault)(f), textDuration(f.Delay)}
	if err := decodeStrict(b, &w); err != nil {
		return err
	}
	f.Delay = time.Duration(w.Delay)
	return nil
}

func (f Fault) validate() error {
	kinds := []string{FaultLatency, FaultResetBefore, FaultResetAfter, FaultHTTP500Before, FaultHTTP500After, FaultGarbageBefore,
		FaultGarbageAfter, FaultAcceptThenHang, FaultLateEffect, FaultErrCode, FaultRevokeToken}
	switch {
	case !slices.Contains(kinds, f.Kind):
		return fmt.Errorf("fault kind %q is unknown; use one of %q", f.Kind, kinds)
	case f.Path != "" && platformEndpoints()[f.Path].handle == nil:
		return fmt.Errorf("fault path %q is no path of the platform; write it like kf/send_msg, or leave it out for every path", f.Path)
	case f.Count < 0 || f.After < 0 || f.Probability < 0 || f.Probability > 1 || f.Delay < 0:
		return errors.New("fault count, after and delay cannot be negative, and probability is between 0 and 1")
	case f.Kind == FaultErrCode && f.ErrCode == 0:
		return errors.New("a fault of kind errcode needs errcode, for example 45009")
	case (f.Kind == FaultLatency || f.Kind == FaultLateEffect) && f.Delay == 0:
		return fmt.Errorf("a fault of kind %s needs a delay, for example 2s", f.Kind)
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("fault status %d is no HTTP status between 200 and 599", f.Status)
	}
	return nil
}

type armedFault struct {
	Fault
	passed int // matching calls let through because of After
}

// AddFault sets a fault and returns its id.
func (s *Sim) AddFault(f Fault) (id string, err error) {
	f.Path = trimPath(f.Path)
	if err := f.validate(); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f.ID, f.Struck = s.st.ids.opaque("fault_", "fault", 8), 0
	s.st.faults = append(s.st.faults, &armedFault{Fault: f})
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

// blow is what strikes one call: waits first, then at most one fault.
type blow struct {
	waits []time.Duration
	fault Fault // Kind is empty when nothing strikes
}

// strike decides what goes wrong with r.
func (s *Sim) strike(r *request) blow {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b blow
	for _, f := range slices.Clone(s.st.faults) {
		if f.Kind != FaultLatency && b.fault.Kind != "" || !f.matches(r) {
			continue
		}
		if f.passed < f.After {
			f.passed++
			continue
		}
		if f.Probability > 0 && s.st.dice.Float64() >= f.Probability {
			continue
		}
		f.Struck++
		s.journal.add(Entry{Kind: KindFault, Fault: f.Kind, FaultID: f.ID, Path: r.entry.Path, Call: r.entry.Call, Reason: "struck"})
		if f.Kind == FaultLatency {
			b.waits = append(b.waits, f.Delay)
		} else {
			b.fault = f.Fault
		}
		if f.Count > 0 && f.Struck >= f.Count {
			s.removeFault(f.ID, "used up")
		}
	}
	r.entry.Fault, r.entry.FaultID = b.fault.Kind, b.fault.ID
	return b
}

func (f *armedFault) matches(r *request) bool {
	if f.Path != "" && f.Path != r.entry.Path {
		return false
	}
	if f.OpenKfID == "" && f.ExternalUserID == "" {
		return true
	}
	var names struct {
		OpenKfID       string `json:"open_kfid"`
		ExternalUserID string `json:"external_userid"`
		ToUser         string `json:"touser"`
	}
	_ = json.Unmarshal(r.body, &names) // what cannot be read names nothing
	return (f.OpenKfID == "" || f.OpenKfID == names.OpenKfID) &&
		(f.ExternalUserID == "" || f.ExternalUserID == names.ExternalUserID || f.ExternalUserID == names.ToUser)
}

// serve lets the blow fall on the exchange, and the call happen before, after or not at all.
func (x *exchange) serve(b blow) {
	for _, d := range b.waits {
		if x.s.wait(x.r.http.Context(), d) != nil {
			x.undone("the simulator was closed")
			x.cut()
			return
		}
	}
	switch f := b.fault; f.Kind {
	case FaultResetBefore:
		x.undone("fault")
		x.cut()
	case FaultHTTP500Before:
		x.undone("fault")
		x.writeStatus(f)
	case FaultGarbageBefore:
		x.undone("fault")
		x.writeGarbage(f)
	case FaultErrCode:
		x.r.entry.ErrCode = f.ErrCode
		x.undone("fault")
		x.write(refuse(f.ErrCode, "a fault of the simulator"))
	case FaultRevokeToken:
		x.s.revoke(x.r.query.Get("access_token"))
		x.write(x.perform(false))
	case FaultLateEffect:
		x.s.later(x.r.http.Context(), f.Delay, func() { x.perform(true) })
		x.cut()
	case FaultResetAfter:
		x.perform(false)
		x.cut()
	case FaultHTTP500After:
		x.perform(false)
		x.writeStatus(f)
	case FaultGarbageAfter:
		x.perform(false)
		x.writeGarbage(f)
	case FaultAcceptThenHang:
		x.perform(false)
		x.hang(f.Delay)
	default:
		x.write(x.perform(false))
	}
}

// undone journals a call that the platform never got to decide.
func (x *exchange) undone(why string) {
	x.r.entry.Reason = why
	x.s.journal.add(x.r.entry)
}

func (x *exchange) writeStatus(f Fault) {
	status := f.Status
	if status == 0 {
		status = http.StatusInternalServerError
	}
	x.w.Header().Set("Content-Type", "text/html")
	x.w.WriteHeader(status)
	_, _ = x.w.Write([]byte("<html><body>" + strconv.Itoa(status) + " " + http.StatusText(status) + "</body></html>"))
}

func (x *exchange) writeGarbage(f Fault) {
	body := f.Body
	if body == "" {
		body = `{"errcode":0,"errm`
	}
	x.w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	_, _ = x.w.Write([]byte(body))
}

// trimPath takes both /cgi-bin/kf/send_msg and kf/send_msg.
func trimPath(p string) string {
	return strings.TrimPrefix(strings.TrimPrefix(p, "/"), "cgi-bin/")
}
