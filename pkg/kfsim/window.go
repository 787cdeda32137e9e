package kfsim

import "time"

// The platform's periods and quota, each with the page that states it.
const (
	windowLength  = 48 * time.Hour   // after the customer's last message: path/94677
	quota         = 5                // API messages per customer message: path/94677
	recallLength  = 2 * time.Minute  // after a message was accepted: kf/recall_msg
	historyLength = 72 * time.Hour   // what sync_msg still serves: path/94670
	mediaLength   = 72 * time.Hour   // what media/get still serves: path/90254
	shortCode     = 20 * time.Second // welcome_code, and msg_code of an ended session: path/95122
	longCode      = 48 * time.Hour   // other msg_codes: path/95122
	maxPage       = 1000             // items: path/94670
)

// within reports whether now lies in the period of length d that began at from. The end does not
// belong to it; a zero from is a period that never began. Before from it reports true, so that a
// clock that was set back closes nothing.
func within(from time.Time, d time.Duration, now time.Time) bool {
	return !from.IsZero() && now.Before(from.Add(d))
}

// Session states.
const (
	stateNew   = 0 // the customer wrote, nobody has taken it
	stateBot   = 1 // the assistant, that is, the API
	statePool  = 2 // waits for a human
	stateHuman = 3
	stateEnded = 4 // or not begun
)

// legalTransition is the platform's table for kf/service_state/trans: may a session in state from be
// put into state to? Human to human means to another servicer. Nothing leads out of stateEnded,
// which has its own error.
//
// https://developer.work.weixin.qq.com/document/path/94669
func legalTransition(from, to int) bool {
	return [5][5]bool{
		//           to: new    bot    pool   human  ended
		stateNew:   {false, true, true, true, true},
		stateBot:   {false, false, true, true, true},
		statePool:  {false, false, false, true, false},
		stateHuman: {false, false, false, true, true},
		stateEnded: {false, false, false, false, false},
	}[from][to]
}

// rules is what send_msg looks at in a conversation.
type rules struct {
	begun      bool      // there ever was a session
	state      int       // as last set, without lapsing
	customerAt time.Time // the message that opened the window
	used       int       // of the quota
}

// refusal returns the errcode with which send_msg is refused, in the order state, time, count; 0
// means that it may be sent.
//
// https://developer.work.weixin.qq.com/document/path/94677
func (c rules) refusal(now time.Time, p Personality) (code int, why string) {
	switch {
	case !c.begun:
		return 95018, "the customer has never written to this account"
	case c.state == stateEnded:
		return p.EndedCode, "the session has ended"
	case c.state == statePool:
		return 95018, "the session waits in the pool for a human"
	case c.state == stateHuman:
		return 95018, "a human holds the session"
	case !within(c.customerAt, windowLength, now):
		return p.LapsedCode, "48 hours have passed since the customer's last message"
	case c.used >= quota:
		return 95001, "5 messages have been sent since the customer's last message"
	}
	return 0, ""
}
