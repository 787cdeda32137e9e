package kfsim

import "sync"

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
	n    int
	list map[hookPoint]map[int]func(Call)
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
	if h.list == nil {
		h.list = map[hookPoint]map[int]func(Call){}
	}
	if h.list[at] == nil {
		h.list[at] = map[int]func(Call){}
	}
	h.n++
	n := h.n
	h.list[at][n] = f
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.list[at], n)
	}
}

func (h *hooks) run(at hookPoint, c Call) {
	h.mu.Lock()
	var fs []func(Call)
	for _, f := range h.list[at] {
		fs = append(fs, f)
	}
	h.mu.Unlock()
	for _, f := range fs {
		f(c)
	}
}

// OnRequest calls f when a request has been read and nothing has been done about it yet, faults
// included. f runs in the request's goroutine and may call any method of Sim; the request waits
// for it. The order of several hooks is not defined.
func (s *Sim) OnRequest(f func(Call)) (remove func()) { return s.hooks.add(atRequest, f) }

// OnEffect calls f when a call has succeeded inside the platform and its answer has not been
// written. Refused calls have no effect and do not get here.
func (s *Sim) OnEffect(f func(Call)) (remove func()) { return s.hooks.add(atEffect, f) }

// OnAnswer calls f when the answer, a refusal included, has been handed to the connection.
// An answer that a fault has swallowed does not get here.
func (s *Sim) OnAnswer(f func(Call)) (remove func()) { return s.hooks.add(atAnswer, f) }
