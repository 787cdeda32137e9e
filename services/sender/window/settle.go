package window

import "time"

// Outcome is the terminal result of a command, or a correction of one. A command has exactly one terminal outcome and
// at most one correction; publishing either again is harmless.
type Outcome struct {
	Team, ID string
	Verb     Verb
	MsgID    string // MsgID(Team, ID); the platform knows it if Verb is send or reply
	State    State
	Reason   Reason
	Errcode  int    // the platform's, behind Reason; 0: none
	Attempts int    // POSTs reserved
	Parts    int    // of several messages: how many
	Sent     int    // and how many of them were accepted, or by a recall taken back
	Corrects State  // of a correction: the state that was published before
	FailType int    // of a correction with ReasonDeliveryFailed: msg_send_fail's
	MsgCode  string // of an accepted transfer: the code for one reply, a secret
}

// ResultKind is what came of an answer or event.
type ResultKind int

const (
	Nothing  ResultKind = iota // not ours, or a newer attempt is on its way
	Later                      // Decide again after Result.After
	Finished                   // publish Outcome and Corrections, then acknowledge
)

// Result is what Settle or SendFailed wants done. The zero value is nothing.
type Result struct {
	Kind        ResultKind
	Changed     bool // the ledger must be stored first
	Outcome     Outcome
	Corrections []Outcome     // of this command, or (recall) of its target
	After       time.Duration // Later
	Reused      bool          // errcode 0 came twice for one msgid: either a silent repeat or a double delivery; alarm a human
}

// Settle applies the answer to an attempt that Decide ordered. An answer counts only while its attempt is the newest,
// except that evidence of delivery always counts, however late. Safe to repeat.
func (r Rules) Settle(l Ledger, c Command, attempt int, a Answer, now Now) (Ledger, Result) {
	rec, known := l.find(c.MsgID())
	if !known { // the ledger was lost meanwhile
		rec = newRecord(c)
		rec.State, rec.Attempt, rec.Counts = Sending, attempt, c.Verb == Send
		rec.Doubt = attempt > 1 || l.MadeAt != 0 // others may have posted it too
		rec.ReservedAt, rec.Window = At(now.Platform), l.CustomerAt
		rec.Lost = l.MadeAt != 0
		if a.Part > 0 {
			rec.Parts, rec.Done = max(l.partsOf(c), a.Part), a.Part-1
		}
	}
	switch why, proof := r.proof(rec, c, a, now); {
	case proof:
		return l.accept(rec, c, attempt, a, why, now)
	case rec.State.Final():
		return l, l.result(rec, c.TargetMsgID(), false)
	case rec.State == Retry && rec.Attempt == attempt:
		return l, Result{Kind: Later, After: rec.NextAt.Time().Sub(now.Platform)}
	case rec.State != Sending || rec.Attempt != attempt:
		return l, Result{}
	}
	switch a.Kind {
	case AnswerRefused:
		return r.refuse(l, rec, c, a.Code, now)
	case AnswerNotSent:
		return r.later(l, rec, c, Failed, ReasonUnreachable, a.Code, now)
	case AnswerRateLimited:
		return r.later(l, rec, c, Failed, ReasonPlatformRate, a.Code, now)
	case AnswerTokenRejected:
		rec.Tries++
		return r.later(l, rec, c, Failed, ReasonPlatformToken, a.Code, now)
	case AnswerBusy:
		rec.Tries++
		rec.Busy = true
		return r.later(l, rec, c, Failed, ReasonPlatformBusy, a.Code, now)
	}
	rec.Tries++
	rec.Doubt = true
	return r.later(l, rec, c, Unknown, ReasonNoAnswer, a.Code, now)
}

// proof reports whether a proves that the platform accepted the command, and by what. The refusal of a used msgid, or
// of a used code that cannot have expired yet, proves it where an earlier attempt is in doubt: the msgid is ours alone.
func (r Rules) proof(rec Record, c Command, a Answer, now Now) (Reason, bool) {
	if a.Kind == AnswerAccepted {
		return ReasonNone, true
	}
	if a.Kind != AnswerRefused || !rec.Doubt {
		return ReasonNone, false
	}
	switch c.Verb {
	case Send:
		return ReasonDuplicate, r.dup(a.Code)
	case Reply:
		alive := now.Platform.Add(codeMargin).Before(c.Deadline)
		return ReasonDuplicate, r.dup(a.Code) || a.Code == codeReplyCode && alive
	}
	return ReasonNone, false
}

// accept settles rec as done, whatever it was: by a correction, if the opposite was published.
func (l Ledger) accept(rec Record, c Command, attempt int, a Answer, why Reason, now Now) (Ledger, Result) {
	done := Accepted
	if c.Verb == Recall {
		done = Recalled
	}
	if rec.Parts > 0 && a.Part <= rec.Done && rec.State != done {
		return l, Result{} // of a message that is known to be accepted
	}
	reused := a.Kind == AnswerAccepted && rec.Zero != 0 && rec.Zero != attempt
	if rec.State == done || rec.Fix != "" && rec.State.Final() {
		res := l.result(rec, c.TargetMsgID(), false)
		res.Reused = reused && c.Verb != Recall && c.Verb != Transfer
		return l, res
	}
	if a.Kind == AnswerAccepted {
		rec.Zero = attempt
	}
	if next, more := rec.nextPart(now); more && !rec.State.Final() {
		return l.with(next).prune(now), Result{Kind: Later, Changed: true, Reused: reused && c.Verb == Send}
	}
	rec.SentAt, rec.MsgCode = At(now.Platform), a.MsgCode
	if rec.State.Final() {
		rec.Fix, rec.FixReason = done, ReasonLateEvidence
		if rec.Parts > 0 {
			if rec.Done++; rec.Done < rec.Parts {
				rec.Fix = Partial
			}
		}
		rec.Counts = c.Verb == Send && rec.mayCountSince(l.CustomerAt)
	} else {
		rec = rec.finished(done, why, a.Code, now)
	}
	switch c.Verb {
	case Recall:
		if target, ok := l.find(c.TargetMsgID()); ok {
			if target.TakenBack = true; target.State == Unknown && target.Fix == "" {
				target.Fix, target.FixReason = Accepted, ReasonLateEvidence // it was there to be taken back
				if target.Parts > 0 {
					if target.Done++; target.Done < target.Parts {
						target.Fix = Partial
					}
				}
			}
			l = l.with(target)
		}
	case Transfer:
		l = l.Moved(c.State, c.Servicer, now)
	}
	return l.with(rec).prune(now), l.result(rec, c.TargetMsgID(), true)
}

// refuse settles rec by an errcode that is a definite no, to this attempt.
func (r Rules) refuse(l Ledger, rec Record, c Command, code int, now Now) (Ledger, Result) {
	s, why := Refused, reasonOf(code)
	switch c.Verb {
	case Send, Reply:
		l = l.mark(code, rec, now.Platform)
		switch {
		case !r.dup(code):
		case rec.Busy: // a used msgid although "busy" claims to have done nothing: one of the two is wrong
			s = Unknown
		case why == ReasonPlatformUndocumented:
			why = ReasonMsgIDConflict
		}
	case Recall:
		if code != codeNoMessage {
			break
		}
		s = Failed
		target, _ := l.find(c.TargetMsgID())
		if target.fate() == Unknown && now.Platform.Before(target.tookEffectBy()) { // not there yet: its POST may still take effect
			return r.later(l, rec, c, Unknown, why, code, now)
		}
	}
	rec = rec.finished(s, why, code, now)
	return l.with(rec).prune(now), l.result(rec, c.TargetMsgID(), true)
}

// later plans another attempt, or finishes with s if none can help.
func (r Rules) later(l Ledger, rec Record, c Command, s State, why Reason, code int, now Now) (Ledger, Result) {
	d, ok := Backoff(rec.Attempt, r.left(c, now))
	if !ok || rec.Tries >= r.Tries || rec.Doubt && !r.repeats(c.Verb) {
		rec = rec.finished(s, why, code, now)
		return l.with(rec).prune(now), l.result(rec, c.TargetMsgID(), true)
	}
	rec.State, rec.NextAt = Retry, At(now.Platform.Add(d))
	return l.with(rec).prune(now), Result{Kind: Later, Changed: true, After: d}
}

// left is how long an attempt can still be made.
func (r Rules) left(c Command, now Now) time.Duration {
	left := c.ExpiresAt.Sub(now.Local) - r.Fence
	if c.Verb == Reply && !c.Deadline.IsZero() {
		left = min(left, c.Deadline.Sub(now.Platform)-codeMargin-r.Fence)
	}
	return left
}

// Backoff is the pause after the given attempt (from 1): half a second, doubled up to 30 s; false if it would last
// until there is nothing left.
func Backoff(attempt int, left time.Duration) (time.Duration, bool) {
	d := min(30*time.Second, 500*time.Millisecond<<min(max(attempt, 1)-1, 6))
	return d, d < left
}

// result is the finished rec with all corrections that hang on it, so that one lost before publishing comes again: its
// own, and that of the target, by its msgid, whose delivery a recall proved.
func (l Ledger) result(rec Record, target string, changed bool) Result {
	res := Result{Kind: Finished, Changed: changed, Outcome: rec.outcome()}
	if rec.Fix != "" {
		res.Corrections = append(res.Corrections, rec.correction())
	}
	if rec.Verb == Recall && rec.fate() == Recalled {
		if t, ok := l.find(target); ok && (t.Fix == Accepted || t.Fix == Partial) {
			res.Corrections = append(res.Corrections, t.correction())
		}
	}
	return res
}

func (rec Record) outcome() Outcome {
	sent := rec.Done
	if rec.Parts > 0 && (rec.Fix == Accepted || rec.Fix == Partial) {
		sent-- // the one in doubt was there: the correction says so
	}
	return Outcome{
		Team: rec.Team, ID: rec.ID, Verb: rec.Verb, MsgID: rec.Key,
		State: rec.State, Reason: rec.Reason, Errcode: rec.Code, Attempts: rec.Attempt,
		MsgCode: rec.MsgCode, Parts: rec.Parts, Sent: sent,
	}
}

func (rec Record) correction() Outcome {
	o := rec.outcome()
	o.State, o.Reason, o.Errcode, o.Sent = rec.Fix, rec.FixReason, 0, rec.Done
	o.Corrects, o.FailType = rec.State, rec.FailType
	return o
}
