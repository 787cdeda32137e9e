package sender

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/services/sender/window"
)

// remembered is how far back outcomes are read when a ledger is lost: as long as a ledger keeps its commands.
const remembered = 72 * time.Hour

// rebuild makes a ledger from the streams: what was sent from the outcomes, what allows sending from the messages. Lost for
// good is what was on its way at that moment; the platform refuses its msgid if it got through.
func (s *Sender) rebuild(ctx context.Context, who events.Subject) (window.Ledger, error) {
	var l window.Ledger
	outcomes := events.Subject{Kind: events.KindOutcome, Team: "*", Corp: who.Corp, Account: who.Account, Name: "*", User: who.User}.String()
	err := s.walk(ctx, events.StreamOutcome, outcomes, from{time: s.now().Add(-remembered)}, func(m bus.Stored) (bool, error) {
		if e, err := m.Event(); err == nil {
			var o events.Outcome
			if json.Unmarshal(e.Data(), &o) == nil {
				l = remember(l, who.ConversationKey(), o)
			}
		}
		return true, nil
	})
	if err != nil {
		return l, err
	}
	// A conversation that began before this bus did has its last message in the history.
	if l, err = s.freshMessages(ctx, of(who, events.KindHistory, "*"), l); err != nil {
		return l, err
	}
	l.CustomerSeq = 0 // counted in the messages only
	return s.freshen(ctx, who, l)
}

// remember puts one published outcome back into a ledger. Messages that were accepted, or may have been, hold a place
// until the customer's newer message frees it.
func remember(l window.Ledger, conversation string, o events.Outcome) window.Ledger {
	key := window.MsgID(conversation, o.Team, o.CommandID)
	i := slices.IndexFunc(l.Records, func(r window.Record) bool { return r.Key == key })
	switch {
	case o.CommandID == "" || notTaken(window.Reason(o.Reason)) || !window.State(o.State).Final():
		return l
	case o.Corrects != "" && i >= 0:
		rec := &l.Records[i]
		rec.Fix, rec.FixReason, rec.FailType = window.State(o.State), window.Reason(o.Reason), o.FailType
		gone := rec.Fix == window.Failed && window.GivesBack(o.FailType)
		if rec.Parts > 0 {
			rec.Done = o.PartsSent
			if gone {
				gone, rec.Freed = false, 1 // of which of them nobody knows
			}
		}
		rec.Counts = rec.Counts && !gone || (rec.Fix == window.Accepted || rec.Fix == window.Partial) && rec.Verb == window.Send
		return l
	case o.Corrects != "" || i >= 0:
		return l
	}
	state, at := window.State(o.State), window.At(o.At)
	rec := window.Record{
		Key: key, Team: o.Team, ID: o.CommandID, Verb: window.Verb(o.Verb), State: state, Reason: window.Reason(o.Reason), Code: o.ErrCode,
		Attempt: o.Attempts, Doubt: state == window.Unknown, MsgCode: o.MsgCode,
		Counts: o.Verb == events.VerbSend && (state == window.Accepted || state == window.Partial || state == window.Unknown),
		Parts:  o.Parts, Done: o.PartsSent,
		ReservedAt: at, DoneAt: at, ExpiresAt: window.At(o.At.Add(events.MaxExpiry)),
	}
	if state == window.Accepted {
		rec.SentAt, rec.Reason = at, window.Reason(o.ConfirmedBy)
	}
	l.Records = append(l.Records, rec)
	return l
}

// notTaken: a command that was refused so was never taken on, and may come again.
func notTaken(why window.Reason) bool {
	return why == window.ReasonInvalid || why == window.ReasonNotOwner || why == window.ReasonUnknownTeam
}
