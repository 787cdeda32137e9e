package window

import "time"

// verdict is what the rules say of one attempt: open, not before until, or over with a state.
// The zero value is open.
type verdict struct {
	state  State
	reason Reason
	ask    bool // the stream may know better
	until  time.Time
	held   bool
	behind bool
	apart  bool
}

func (v verdict) open() bool { return v.state == "" && v.until.IsZero() }

// gate is passed before every POST, the first and the repeated.
func (r Rules) gate(l Ledger, rec Record, c Command, now Now) verdict {
	switch {
	case rec.Doubt && !r.repeats(c.Verb), rec.Tries >= r.Tries:
		return verdict{state: Failed, reason: ReasonNoAnswer} // in doubt it becomes unknown
	case r.expired(c, now):
		return verdict{state: Expired, reason: ReasonExpired}
	case c.Generation != nil && *c.Generation < l.Generation:
		return verdict{state: Refused, reason: ReasonGeneration}
	case l.behind(c, now) && l.queueFull(c):
		return verdict{state: Refused, reason: ReasonQueueFull}
	case l.behind(c, now):
		return verdict{until: now.Local.Add(holdPoll), behind: true}
	}
	switch c.Verb {
	case Send:
		return r.gateSend(l, rec, c, now)
	case Reply:
		if !c.Deadline.IsZero() && !now.Platform.Add(codeMargin+r.Fence).Before(c.Deadline) { // what the clock is wrong by, and what a POST may be late by
			return verdict{state: Expired, reason: ReasonDeadline}
		}
	case Recall:
		return gateRecall(l, c, now)
	}
	return verdict{} // whether a transfer is allowed only the platform knows
}

// expired leaves room for the fence, so that no POST leaves after the expiry.
func (r Rules) expired(c Command, now Now) bool { return !now.Local.Add(r.Fence).Before(c.ExpiresAt) }

// repeats reports whether an attempt in doubt may be repeated. A transfer may not: by then the conversation can be in
// other hands, and the second request would do what nobody asked for.
func (r Rules) repeats(v Verb) bool { return v == Recall || v != Transfer && !r.NeverRepost }

func (r Rules) gateSend(l Ledger, rec Record, c Command, now Now) verdict {
	switch l.SessionState() {
	case sessionPool, sessionHuman:
		if c.Hold {
			return verdict{until: now.Local.Add(holdPoll), held: true}
		}
		return verdict{state: Refused, reason: ReasonSessionState, ask: true}
	case sessionEnded:
		return verdict{state: Refused, reason: ReasonSessionState, ask: true}
	}
	why, need := r.windowReason(l, now), max(1, c.Parts)
	if why == ReasonNone && !rec.Counts && l.Used()+need > Quota {
		why = ReasonQuotaSpent
	}
	if why == ReasonNone && !rec.Counts && c.Share > 0 && l.usedBy(c.Team)+need > c.Share {
		why = ReasonShareSpent
	}
	if why != ReasonNone {
		return verdict{state: Refused, reason: why, ask: true}
	}
	return r.gateGap(l, rec, now)
}

// gateGap keeps messages to one customer apart.
func (r Rules) gateGap(l Ledger, rec Record, now Now) verdict {
	if r.Gap <= 0 {
		return verdict{}
	}
	last := l.lastLeft(rec.Key)
	if rec.Parts > 0 {
		last = max(last, rec.SentAt) // of the one before it
	}
	if left := last.plus(r.Gap).Sub(now.Platform); left > 0 {
		return verdict{until: now.Local.Add(left), apart: true}
	}
	return verdict{}
}

// lastLeft is when the newest message to the customer left that they have or may get, but for that of key.
func (l Ledger) lastLeft(key string) (at Instant) {
	for i := range l.Records {
		rec := &l.Records[i]
		if rec.Key == key || rec.Verb != Send && rec.Verb != Reply || !rec.State.Open() && rec.State != Accepted && rec.State != Partial && rec.State != Unknown {
			continue
		}
		at = max(at, rec.ReservedAt, rec.SentAt)
	}
	return at
}

// windowReason reports why no message at all may be sent in this window; ReasonNone means that one may.
func (r Rules) windowReason(l Ledger, now Now) Reason {
	switch {
	case l.CustomerAt == 0:
		return ReasonNeverOpened
	case !now.Platform.Add(r.Margin).Before(l.CustomerAt.plus(Length)), l.ClosedCode == codeWindow:
		return ReasonWindowClosed
	case l.ClosedCode != 0:
		return ReasonSessionState
	case l.ExhaustedAt != 0:
		return ReasonQuotaSpent
	}
	return ReasonNone
}

// gateRecall looks at the command to be recalled. A message in doubt is recalled too: the answer is also a probe.
func gateRecall(l Ledger, c Command, now Now) verdict {
	target, known := l.find(c.TargetMsgID())
	switch {
	case target.Verb == Recall, target.Verb == Transfer:
		return verdict{state: Refused, reason: ReasonInvalid}
	case !known && l.MadeAt != 0 && now.Platform.Before(l.MadeAt.plus(lateEffect+RecallWithin)):
		return verdict{} // a lost ledger may have known of it: the platform does
	case !known, target.State == Retry && !target.Doubt && target.Done == 0:
		return verdict{state: Recalled, reason: ReasonBeforeSend}
	case target.TakenBack:
		return verdict{state: Recalled}
	case !target.State.Final():
		return verdict{until: now.Local.Add(lookAgain)}
	case target.State == Cancelled, target.State != Accepted && target.State != Partial && target.State != Unknown && target.Fix == "":
		return verdict{state: Recalled, reason: ReasonBeforeSend}
	case target.Fix == Failed && target.Parts == 0:
		return verdict{state: Refused, reason: ReasonNotFound}
	case now.Platform.After(target.tookEffectBy().Add(RecallWithin + recallMargin)):
		return verdict{state: Refused, reason: ReasonRecallWindow}
	}
	return verdict{}
}

// cancel makes sure that the send which c recalls never happens: with a tombstone if it has not come yet. It changes
// nothing where the send is over already.
func (l Ledger) cancel(c Command, now Now) Ledger {
	rec, known := l.find(c.TargetMsgID())
	if !known {
		rec = newRecord(Command{Conversation: c.Conversation, Team: c.Team, ID: c.Target, ExpiresAt: now.Local.Add(tombKeep)})
	} else if rec.State.Final() {
		return l
	}
	return l.with(rec.finished(Cancelled, ReasonTakenBack, 0, now))
}
