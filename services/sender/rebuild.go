package sender

import (
	"context"
	"encoding/json"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/services/sender/window"
)

// remembered is how far back outcomes are read when a ledger is lost: as long as a ledger keeps its commands.
const remembered = 72 * time.Hour

// rebuild makes a ledger from the streams: what was sent from the outcomes, what allows sending from the messages. Lost for
// good is what was on its way at that moment, which is why a command that was handed out before is in doubt, and every recall
// that was ahead of its send.
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

// remember puts one published outcome back into a ledger.
func remember(l window.Ledger, conversation string, o events.Outcome) window.Ledger {
	why := window.Reason(o.Reason)
	if o.State == events.StateAccepted && o.Corrects == "" {
		why = window.Reason(o.ConfirmedBy)
	}
	return l.Remember(window.Outcome{
		Team: o.Team, ID: o.CommandID, Verb: window.Verb(o.Verb), MsgID: window.MsgID(conversation, o.Team, o.CommandID),
		State: window.State(o.State), Reason: why, Errcode: o.ErrCode, Attempts: o.Attempts, Corrects: window.State(o.Corrects),
		FailType: o.FailType, MsgCode: o.MsgCode, Parts: o.Parts, Sent: o.PartsSent,
	}, o.At)
}
