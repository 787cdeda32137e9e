package kfsim

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// conversation is one customer at one account. It exists from the first contact on.
type conversation struct {
	account  *account
	customer *customer

	rules                // what send_msg looks at
	activeAt   time.Time // the session lapses 48 h later
	wroteAt    time.Time // last customer message of any kind
	typedAt    time.Time // last customer message that was no tap
	welcomedAt time.Time
	cardAt     time.Time // last business card
	window     int       // how many windows there have been
	servicer   string    // who holds it in state 3, or held it last
	past       []string  // who held it before
	session    int       // how many sessions there have been
	takenAt    time.Time // when the servicer got the session
	answered   bool      // and has written since
	upgrade    *upgrade  // what was recommended last
	poolCoded  bool      // the session was moved to the pool once
	humanCoded bool      // … and to a human
	blocked    bool      // the customer refuses messages
	phone      phone
}

// conversation finds or begins the contact of a customer with an account.
func (a *account) conversation(c *customer) *conversation {
	v := a.conversations[c.ExternalUserID]
	if v == nil {
		v = &conversation{account: a, customer: c, rules: rules{state: stateEnded}}
		a.conversations[c.ExternalUserID] = v
	}
	return v
}

// conversation finds both sides of a contact for the actions of people.
func (st *state) conversation(openKfID, externalUserID string) (*conversation, error) {
	a, err := st.account(openKfID)
	if err != nil {
		return nil, err
	}
	c := a.corp.customers[externalUserID]
	if c == nil {
		if externalUserID == "" {
			return nil, errors.New("external_userid is missing; name the customer")
		}
		return nil, fmt.Errorf("customer %q is unknown in corp %s; make it first", clip(externalUserID, 64), a.CorpID)
	}
	return a.conversation(c), nil
}

// stateAt is the state that service_state/get shows: a session that lasted 48 hours without the
// customer has ended.
func (v *conversation) stateAt(now time.Time) int {
	if v.state != stateEnded && !within(v.activeAt, windowLength, now) {
		return stateEnded
	}
	return v.state
}

// setState changes the state and journals it; call is 0 when no API call did it.
func (s *Sim) setState(v *conversation, to int, servicer string, call uint64) {
	from := v.stateAt(s.clock.Now())
	if servicer != v.servicer && v.servicer != "" && !slices.Contains(v.past, v.servicer) {
		v.past = append(v.past, v.servicer)
	}
	v.state = to
	if servicer != "" {
		v.servicer = servicer
	}
	s.journal.add(Entry{Kind: KindState, Call: call, CorpID: v.account.CorpID, OpenKfID: v.account.OpenKfID, ExternalUserID: v.customer.ExternalUserID,
		ServicerUserID: servicer, Change: strconv.Itoa(from) + "->" + strconv.Itoa(to)})
	s.recordState(v, from, to)
}

// touch is what any customer message does: it begins a session where none is, and opens a window.
func (s *Sim) touch(v *conversation, tap bool) {
	now := s.clock.Now()
	fresh := v.stateAt(now) == stateEnded
	v.begun, v.activeAt, v.wroteAt, v.customer.seenAt = true, now, now, now
	v.customer.reach()
	if fresh {
		v.state = stateEnded // it may only have lapsed
		v.session++
		v.poolCoded, v.humanCoded = false, false
		to, servicer := v.account.route()
		s.setState(v, to, servicer, 0)
	}
	if !tap {
		v.typedAt = now
	}
	if !tap || !s.p.TapKeepsWindow {
		v.customerAt, v.used = now, 0
		v.window++
	}
}

// route is where the administrator wants fresh sessions.
func (a *account) route() (state int, servicer string) {
	switch a.Routing {
	case RouteServicer:
		for _, m := range a.receivers() {
			if m.status == ServicerReceiving {
				return stateHuman, m.userID
			}
		}
		return statePool, ""
	case RoutePool:
		return statePool, ""
	}
	return stateNew, ""
}

// conversation finds both sides of a contact for a call, with the platform's refusals. It does not
// begin one: v is nil when the two never met.
func (r *request) conversation(a *account, externalUserID string) (v *conversation, refused answer) {
	r.entry.ExternalUserID = known(externalUserID)
	c := r.corp.customers[externalUserID]
	if c == nil {
		return nil, refuse(r.sim.p.UnknownUserCode, "the corp has no such customer")
	}
	r.entry.ExternalUserID = externalUserID
	return a.conversations[externalUserID], answer{}
}

type stateRequest struct {
	OpenKfID       string `json:"open_kfid"`
	ExternalUserID string `json:"external_userid"`
	ServiceState   *int   `json:"service_state"`
	ServicerUserID string `json:"servicer_userid"`
}

// serviceStateGet: https://developer.work.weixin.qq.com/document/path/94669
func (r *request) serviceStateGet() answer {
	var req stateRequest
	if a, good := r.decode(&req); !good {
		return a
	}
	acc, a := r.account(req.OpenKfID)
	if a.code != 0 {
		return a
	}
	if req.ExternalUserID == "" {
		return refuse(r.sim.p.MissingUserCode, "external_userid is missing")
	}
	v, a := r.conversation(acc, req.ExternalUserID)
	if a.code != 0 {
		return a
	}
	out := struct {
		ServiceState   int    `json:"service_state"`
		ServicerUserID string `json:"servicer_userid,omitempty"`
	}{ServiceState: stateEnded}
	if v == nil && r.sim.p.StrangersAreNew {
		out.ServiceState = stateNew
	}
	if v != nil {
		if out.ServiceState = v.stateAt(r.now); out.ServiceState == stateHuman {
			out.ServicerUserID = v.servicer
		}
	}
	return ok(out)
}

// serviceStateTrans: https://developer.work.weixin.qq.com/document/path/94669
func (r *request) serviceStateTrans() answer {
	var req stateRequest
	if a, good := r.decode(&req); !good {
		return a
	}
	acc, a := r.account(req.OpenKfID)
	switch {
	case a.code != 0:
		return a
	case req.ExternalUserID == "":
		return refuse(r.sim.p.MissingUserCode, "external_userid is missing")
	case req.ServiceState == nil || *req.ServiceState < stateNew || *req.ServiceState > stateEnded:
		return refuse(40058, "service_state is not between 0 and 4")
	case *req.ServiceState == stateHuman && req.ServicerUserID == "":
		return refuse(40058, "servicer_userid is missing")
	}
	v, a := r.conversation(acc, req.ExternalUserID)
	if a.code != 0 {
		return a
	}
	if a := transRefusal(v, acc, *req.ServiceState, req.ServicerUserID, r.now, r.sim.p); a.code != 0 {
		return a
	}
	code := r.sim.trans(v, *req.ServiceState, req.ServicerUserID, r.entry.Call)
	return ok(struct {
		MsgCode string `json:"msg_code,omitempty"`
	}{code})
}

// transRefusal is why a session may not be put into state to; code 0 means that it may.
func transRefusal(v *conversation, acc *account, to int, servicer string, now time.Time, p Personality) answer {
	from := stateEnded
	if v != nil {
		from = v.stateAt(now)
	}
	extra, _ := p.transitions() // validated
	switch {
	case slices.Contains(extra, [2]int{from, to}) && v != nil:
	case from == stateEnded:
		return refuse(95013, "the session has ended or never began")
	case !legalTransition(from, to):
		return refuse(95016, fmt.Sprintf("a session cannot go from state %d to %d", from, to))
	case to == stateHuman && from == stateHuman && v.servicer == servicer:
		return refuse(95016, "this servicer holds the session already")
	}
	if to != stateHuman {
		return answer{}
	}
	switch m := acc.servicer(servicer); {
	case m == nil:
		return refuse(95014, "the userid is no servicer of the account")
	case slices.Contains(acc.corp.Inactive, servicer):
		return refuse(95014, "the servicer has not activated WeCom")
	case m.status != ServicerReceiving:
		return refuse(95019, "the servicer does not receive at the moment")
	}
	return answer{}
}

// trans changes the state for an API call and returns the msg_code that comes with it, if any.
func (s *Sim) trans(v *conversation, to int, servicer string, call uint64) (code string) {
	s.setState(v, to, servicer, call)
	switch {
	case to == statePool && !v.poolCoded:
		v.poolCoded = true
		return s.newCode(v, codePool)
	case to == stateHuman && !v.humanCoded:
		v.humanCoded = true
		return s.newCode(v, codeHuman)
	case to == stateEnded:
		return s.newCode(v, codeClosing)
	}
	return ""
}

// Conversation is the platform's view of one customer at one account.
type Conversation struct {
	OpenKfID       string    `json:"open_kfid"`
	ExternalUserID string    `json:"external_userid"`
	State          int       `json:"state"` // as service_state/get answers
	ServicerUserID string    `json:"servicer_userid,omitempty"`
	CustomerAt     time.Time `json:"customer_at,omitzero"` // the message that opened the window
	WindowEnds     time.Time `json:"window_ends,omitzero"` // first instant at which send_msg is refused
	Window         string    `json:"window,omitempty"`     // as in Send.Window
	Sent           int       `json:"sent"`                 // of the five in this window
	Blocked        bool      `json:"blocked,omitempty"`
}

// Conversation returns the platform's view of a contact; two who never met are in state 4.
func (s *Sim) Conversation(openKfID, externalUserID string) (Conversation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.st.conversation(openKfID, externalUserID)
	if err != nil {
		return Conversation{}, err
	}
	return v.view(s.clock.Now()), nil
}

func (v *conversation) view(now time.Time) Conversation {
	out := Conversation{OpenKfID: v.account.OpenKfID, ExternalUserID: v.customer.ExternalUserID, State: v.stateAt(now), CustomerAt: v.customerAt, Sent: v.used, Blocked: v.blocked}
	if v.window > 0 {
		out.WindowEnds, out.Window = v.customerAt.Add(windowLength), v.windowID()
	}
	if out.State == stateHuman {
		out.ServicerUserID = v.servicer
	}
	return out
}

// windowID names the window that is open, or was last.
func (v *conversation) windowID() string {
	return v.account.OpenKfID + "/" + v.customer.ExternalUserID + "#" + strconv.Itoa(v.window)
}
