package window

import (
	"slices"
	"time"
)

// The events of a conversation, applied to its ledger. Each may come twice, late, and in any order, and the ledger ends
// the same. The bool says whether the ledger changed, and so whether there is something to write.

// CustomerWrote applies a message of the customer's (origin 3): a new window of 48 hours and five messages.
// The window never moves back. A place stays taken unless its message was accepted before this one for certain: what is
// in flight, in doubt, or was accepted after at (we often learn of a message after having answered the next) carries over.
// sendTime is the platform's, seq the message's stream sequence.
func (l Ledger) CustomerWrote(sendTime time.Time, msgid string, seq uint64) (Ledger, bool) {
	at := At(sendTime)
	changed := seq > l.CustomerSeq
	l.CustomerSeq = max(l.CustomerSeq, seq)
	if at != 0 && at == l.CustomerAt && msgid > l.CustomerMsgID { // two within one second: the same one wins in any order
		l.CustomerMsgID, l.CustomerType, changed = msgid, "", true
	}
	if at <= l.CustomerAt {
		return l, changed
	}
	l.CustomerAt, l.CustomerMsgID, l.CustomerType = at, msgid, ""
	l.ExhaustedAt, l.ClosedAt, l.ClosedCode = 0, 0, 0
	l.Records = slices.Clone(l.Records)
	for i, rec := range l.Records {
		l.Records[i].Counts = rec.Counts && rec.mayCountSince(at)
	}
	return l, true
}

// AgentWrote notes a message that a human wrote (origin 5). Whether it takes one of the five places is not documented,
// so it does not count; the platform's 95001 corrects us.
func (l Ledger) AgentWrote(sendTime time.Time) (Ledger, bool) {
	at := At(sendTime)
	if at <= l.AgentAt {
		return l, false
	}
	l.AgentAt = at
	return l, true
}

// SessionChanged applies a session_status_change event; change is its change_type. The newest by platform time decides,
// within one second the highest stream sequence. A takeover by a human (1, 2, 4) raises the generation. Change types
// that this version does not know are ignored.
//
// https://developer.work.weixin.qq.com/document/path/94670
func (l Ledger) SessionChanged(change int, sendTime time.Time, seq uint64) (Ledger, bool) {
	state, before := sessionHuman, l
	switch change {
	case 1, 2, 4: // picked up, transferred, re-entered
		l.Generation = max(l.Generation, uint64(max(0, sendTime.Unix())))
	case 3:
		state = sessionEnded
	default:
		return l, false
	}
	if at := At(sendTime); at > l.SessionAt || at == l.SessionAt && seq > l.SessionSeq {
		l.Session, l.SessionAt, l.SessionSeq = state, at, seq
	}
	return l, l.Generation != before.Generation || l.SessionAt != before.SessionAt || l.SessionSeq != before.SessionSeq
}

// Moved notes a transition that the platform accepted from us, which no event will tell: to whom is of state 3. A move into
// the pool or to a human raises the generation.
func (l Ledger) Moved(state int, servicer string, now Now) Ledger {
	at := now.Platform.Truncate(time.Second) // as events count
	if At(at) >= l.SessionAt {
		l.Session, l.SessionAt, l.Servicer = state, At(at), servicer
	}
	if state == sessionPool || state == sessionHuman {
		l.Generation = max(l.Generation+1, uint64(max(0, at.Unix())))
	}
	return l
}

// SendFailed applies a msg_send_fail event: the platform had accepted our message and then could not deliver it. If the
// msgid is one of ours the result is Finished, with a correction of the outcome; a message still on its way is thereby
// accepted first. Types 4 (48 hours) and 6 (more than five) give the place back; 4, 5 and 6 close the window they speak of.
// The same event again yields the same correction with nothing changed.
//
// https://developer.work.weixin.qq.com/document/path/94670
func (l Ledger) SendFailed(failMsgID string, failType int, sendTime time.Time, now Now) (Ledger, Result) {
	rec, part, ok := l.findPart(failMsgID)
	if !ok || rec.Verb != Send && rec.Verb != Reply {
		return l, Result{}
	}
	if rec.Parts > 0 {
		return l.markFailed(failType, rec, sendTime).partFailed(rec, part, failType)
	}
	if rec.Fix != "" {
		return l, l.result(rec, "", false)
	}
	if rec.State.Open() {
		rec.SentAt = At(sendTime) // accepted before it failed
		rec = rec.finished(Accepted, ReasonLateEvidence, 0, now)
	}
	rec.Counts = rec.Counts && rec.mayCountSince(l.CustomerAt)
	rec.Fix, rec.FixReason, rec.FailType = Failed, ReasonDeliveryFailed, failType
	rec.Counts = rec.Counts && !GivesBack(failType)
	l = l.markFailed(failType, rec, sendTime)
	return l.with(rec), l.result(rec, "", true)
}

// The fail_types that speak of the window. Of all others it is not known that the message was not counted, so it is.
const (
	failWindow = 4 // more than 48 hours
	failEnded  = 5 // the session was closed
	failQuota  = 6 // more than five
)

// GivesBack reports whether a message that failed with this fail_type takes none of the five places: the platform says that
// it was outside of them.
func GivesBack(failType int) bool { return failType == failWindow || failType == failQuota }

// markFailed remembers what a fail_type says of the window.
func (l Ledger) markFailed(failType int, rec Record, platform time.Time) Ledger {
	switch failType {
	case failWindow:
		return l.mark(codeWindow, rec, platform)
	case failEnded:
		return l.mark(codeEnded, rec, platform)
	case failQuota:
		return l.mark(codeQuota, rec, platform)
	}
	return l
}

// mark remembers that the platform called the window closed or spent, unless the customer wrote since rec was posted.
func (l Ledger) mark(code int, rec Record, platform time.Time) Ledger {
	if rec.Verb != Send || rec.Window != l.CustomerAt {
		return l
	}
	switch code {
	case codeQuota:
		l.ExhaustedAt = At(platform)
	case codeWindow, codeEnded, codeState:
		l.ClosedAt, l.ClosedCode = At(platform), code
	}
	return l
}
