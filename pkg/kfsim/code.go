package kfsim

import "time"

// codeKind is where a code for send_msg_on_event came from.
type codeKind int

const (
	codeWelcome codeKind = iota // enter_session
	codePool                    // the session was moved to the pool
	codeHuman                   // a human took it
	codeClosing                 // it ended
)

// codeRule is what may be said with a code, for how long, and in which state the session must still be.
type codeRule struct {
	life     time.Duration
	menu     bool // text and msgmenu, instead of text only
	anyState bool
	state    int
}

// rule is the platform's table of codes.
//
// https://developer.work.weixin.qq.com/document/path/95122
func (k codeKind) rule() codeRule {
	return [...]codeRule{
		codeWelcome: {life: shortCode, menu: true, anyState: true},
		codePool:    {life: longCode, state: statePool},
		codeHuman:   {life: longCode, state: stateHuman},
		codeClosing: {life: shortCode, menu: true, state: stateEnded},
	}[k]
}

// eventCode is a welcome_code or msg_code. It is good for one message.
type eventCode struct {
	kind    codeKind
	v       *conversation
	made    time.Time
	expires time.Time
	used    bool
}

func (s *Sim) newCode(v *conversation, kind codeKind) string {
	code := s.st.ids.opaque("", "event code", 43)
	now := s.clock.Now()
	s.st.codes[code] = &eventCode{kind: kind, v: v, made: now, expires: now.Add(kind.rule().life)}
	return code
}

// refusal is why the code cannot be used for msgType at now; code 0 means that it can.
func (c *eventCode) refusal(msgType string, now time.Time, p Personality) answer {
	rule := c.kind.rule()
	switch {
	case c.used:
		return refuse(p.EventCodeBad, "the code has been used")
	case !now.Before(c.expires):
		return refuse(p.EventCodeBad, "the code has expired")
	case c.kind == codeWelcome && p.LateWelcomeCode != 0 && c.v.wroteAt.After(c.made):
		return refuse(p.LateWelcomeCode, "the customer has written since")
	case msgType == "msgmenu" && !rule.menu:
		return refuse(p.EventCodeType, "with this code only text can be sent")
	case !rule.anyState && c.v.stateAt(now) != rule.state:
		return refuse(p.EventCodeState, "the session is no longer in the state the code was given for")
	}
	return answer{}
}
