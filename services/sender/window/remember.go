package window

import (
	"slices"
	"time"
)

// Remember puts an outcome back that was published at a moment: from them a lost ledger is made anew, the oldest first.
// Messages that were accepted, or may have been, hold a place until the customer's newer message frees it. An outcome that
// is not a terminal state this version knows, or of a command that was no command, changes nothing. Safe to repeat.
func (l Ledger) Remember(o Outcome, at time.Time) Ledger {
	i := slices.IndexFunc(l.Records, func(r Record) bool { return r.Key == o.MsgID })
	switch {
	case o.ID == "" || notTaken(o.Reason) || !o.State.Final():
		return l
	case o.Corrects != "" && i >= 0:
		l.Records = slices.Clone(l.Records)
		rec := &l.Records[i]
		rec.Fix, rec.FixReason, rec.FailType = o.State, o.Reason, o.FailType
		gone := rec.Fix == Failed && GivesBack(o.FailType)
		if rec.Parts > 0 {
			rec.Done, gone = o.Sent, false // of which of them nobody knows: its event may come again, and free it
		}
		rec.Counts = rec.Counts && !gone || (rec.Fix == Accepted || rec.Fix == Partial) && rec.Verb == Send
		return l
	case o.Corrects != "" || i >= 0:
		return l
	}
	rec := Record{
		Key: o.MsgID, Team: o.Team, ID: o.ID, Verb: o.Verb, State: o.State, Reason: o.Reason, Code: o.Errcode,
		Attempt: o.Attempts, Doubt: o.State == Unknown, MsgCode: o.MsgCode,
		Counts: o.Verb == Send && (o.State == Accepted || o.State == Partial || o.State == Unknown),
		Parts:  o.Parts, Done: o.Sent,
		ReservedAt: At(at), DoneAt: At(at), ExpiresAt: At(at.Add(tombKeep)),
	}
	if o.State == Accepted {
		rec.SentAt = At(at)
	}
	l.Records = append(slices.Clone(l.Records), rec)
	return l
}

// notTaken: a command that was refused so was never taken on, and may come again.
func notTaken(why Reason) bool {
	return why == ReasonInvalid || why == ReasonNotOwner || why == ReasonUnknownTeam
}
