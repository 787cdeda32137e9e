package kfsim

import (
	"slices"
	"sync"
)

// Call is one API call as hooks see it. It holds no token and no text.
type Call struct {
	N              uint64 // 1, 2, 3, …; the journal's Call
	Path           string // as kf/send_msg
	CorpID         string // empty in OnRequest: the token has not been looked at yet
	OpenKfID       string // empty in OnRequest, and where the call names none
	ExternalUserID string
	MsgID          string
	ErrCode        int // of the answer; 0 in OnRequest
	Items          int // how many items the page has, for kf/sync_msg
}

// hooks are the three points of an API call at which a test may act, for example kill the caller.
type hooks struct {
	mu   sync.Mutex
	list []*hook
}

type hook struct {
	at hookPoint
	f  func(Call)
}

type hookPoint int

const (
	atRequest hookPoint = iota
	atEffect
	atAnswer
)

func (h *hooks) add(at hookPoint, f func(Call)) (remove func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	one := &hook{at, f}
	h.list = append(h.list, one)
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.list = slices.DeleteFunc(slices.Clone(h.list), func(o *hook) bool { return o == one })
	}
}

func (h *hooks) run(at hookPoint, c Call) {
	h.mu.Lock()
	list := h.list[:len(h.list):len(h.list)]
	h.mu.Unlock()
	for _, one := range list {
		if one.at == at {
			one.f(c)
		}
	}
}

// OnRequest calls f when a request has been read and nothing has been done about it yet, faults
// included. f runs in the request's goroutine and may call any method of Sim; the request waits
// for it. Several hooks run in the order in which they were added.
func (s *Sim) OnRequest(f func(Call)) (remove func()) { return s.hooks.add(atRequest, f) }

// OnEffect calls f when a call has succeeded inside the platform and its answer has not been
// written. Refused calls have no effect and do not get here.
func (s *Sim) OnEffect(f func(Call)) (remove func()) { return s.hooks.add(atEffect, f) }

// OnAnswer calls f when the answer, a refusal included, has been handed to the connection.
// An answer that a fault has swallowed does not get here.
func (s *Sim) OnAnswer(f func(Call)) (remove func()) { return s.hooks.add(atAnswer, f) }
