package sender

import (
	"context"
	"errors"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/services/sender/window"
)

// inbox notes what customers and servicers do. Messages and events may come twice, late and in any order.
func (s *Sender) inbox(ctx context.Context, d *bus.Delivery) error {
	who, err := d.Published()
	if err != nil || who.User == events.Missing || who.User == "" {
		return nil // none of a conversation's
	}
	e, err := d.Event()
	if err != nil {
		return bus.Drop("unreadable", err)
	}
	in := inbound{Delivery: d, who: who, item: kfapi.ParseItem(e.Data()), id: e.ID()}
	if t, ok := e.Extensions()[events.ExtTraceParent].(string); ok {
		in.trace = t
	}
	if in.item.Err != nil {
		return nil // it is stored as it is; what cannot be read changes no ledger
	}
	switch {
	case who.Kind == events.KindMessage:
		return s.note(ctx, in, messageCame)
	case who.Name == eventSession:
		return s.note(ctx, in, sessionChanged)
	case who.Name == eventFail:
		return s.failed(ctx, in)
	case who.Name == eventEnter && s.cfg.WelcomeText != "":
		return s.welcome(ctx, in)
	}
	return nil
}

// inbound is one message or event of a conversation.
type inbound struct {
	*bus.Delivery
	who   events.Subject
	item  kfapi.Item
	id    string
	trace string
}

func (in inbound) party() party { return party{in.who, in.item.OpenKfID, in.item.ExternalUserID} }

// note applies an item to its ledger, tells the teams, and wakes who waited for it.
func (s *Sender) note(ctx context.Context, in inbound, apply func(window.Ledger, kfapi.Item, uint64) (window.Ledger, bool)) error {
	key := in.who.ConversationKey()
	alone, _ := apply(window.Ledger{}, in.item, in.Seq)
	if err := s.watch(ctx, in.party(), alone); err != nil {
		return err
	}
	now, changed, err := s.change(ctx, key, in.who, func(l window.Ledger) (window.Ledger, bool) { return apply(l, in.item, in.Seq) })
	if err == nil && alone.CustomerAt != 0 && s.nearlySpent(now.Ledger) { // the timer may have been set for that when it was replaced
		err = s.watchFor(ctx, in.party(), 0, s.bus.Arm)
	}
	// Of a repeat nobody knows how far it came, and a command may have noted it, which found it in the stream first.
	if err != nil || !changed && in.Delivered < 2 && in.Seq != now.CustomerSeq && in.Seq != now.SessionSeq {
		return err
	}
	s.hook("noted")
	if err := s.tell(ctx, in.party(), now); err != nil {
		return err
	}
	return s.wakeNext(ctx, key, now.Ledger)
}

// failed joins a msg_send_fail with its command: the outcome is corrected. A msgid of another app's is nothing to us.
func (s *Sender) failed(ctx context.Context, in inbound) error {
	var f kfapi.MsgSendFail
	if in.item.Body(&f) != nil || in.item.SendTime <= 0 {
		return nil
	}
	var res window.Result
	key := in.who.ConversationKey()
	now, _, err := s.change(ctx, key, in.who, func(l window.Ledger) (window.Ledger, bool) {
		l, res = l.SendFailed(f.FailMsgID, int(f.FailType), time.Unix(in.item.SendTime, 0), s.clock(l, false))
		return l, res.Changed
	})
	if err != nil || res.Kind != window.Finished {
		return err
	}
	s.hook("noted")
	// The outcome first: it may not have been published yet, and a correction of nothing would confuse.
	since, trace := s.decidedAt(now.Ledger, res.Outcome), traceOf(in.trace)
	for _, o := range append([]window.Outcome{res.Outcome}, res.Corrections...) {
		if err := s.publish(ctx, in.party(), s.outcome(in.party(), now.Ledger, o), trace, since, false); err != nil {
			return err
		}
	}
	return errors.Join(s.tell(ctx, in.party(), now), s.wakeNext(ctx, key, now.Ledger))
}
