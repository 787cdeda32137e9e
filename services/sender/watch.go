package sender

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/services/sender/window"
)

// A window changes although nobody does anything: it comes near its end, and to it. Each conversation has one timer for
// that. It is set when the customer writes, before the ledger knows, which replaces the one before; when it is due, the
// ledger and the stream say what is true, and it is set for what comes next, unless somebody has set it meanwhile. So a
// timer that is early, late, or there twice, does no harm, and none is lost.

// watched is what a conversation's timer holds.
type watched struct {
	OpenKfID       string `json:"open_kfid"`
	ExternalUserID string `json:"external_userid"`
}

// watch sets the timer of a conversation for the next that happens by itself to the window that l has; now, if the window
// is closing already or over.
func (s *Sender) watch(ctx context.Context, p party, l window.Ledger) error {
	now := s.clock(l, true)
	phase, next := l.Phase(now)
	if phase == window.NoWindow {
		return nil
	}
	if phase != window.Opened {
		next = now.Platform
	}
	return s.watchFor(ctx, p, next.Sub(now.Platform), s.bus.Arm)
}

// watchFor sets the timer of a conversation, by one of the two ways of the bus.
func (s *Sender) watchFor(ctx context.Context, p party, d time.Duration,
	arm func(ctx context.Context, service, key string, at time.Time, body []byte) error) error {
	body, err := json.Marshal(watched{p.openKfID, p.externalUserID})
	if err != nil {
		return fmt.Errorf("watch a window: %w", err)
	}
	return arm(ctx, bus.ServiceWindow, p.subject.ConversationKey(), time.Now().Add(max(d, 0)), body)
}

func (s *Sender) nearlySpent(l window.Ledger) bool {
	return s.cfg.WindowEvents && l.Spent() >= window.Quota-1
}

// concluded sets the timer of a conversation to now when a command has spent the fourth slot: whoever gets it tells. Of a
// repeat nobody knows how far it came.
func (s *Sender) concluded(ctx context.Context, j *job, l window.Ledger, o window.Outcome, news bool) error {
	n := 0 // slots that it may have spent
	if o.Verb == window.Send && (o.State == window.Accepted || o.State == window.Partial || o.State == window.Unknown) {
		n = max(1, o.Parts)
	}
	switch {
	case n > 0 && s.nearlySpent(l) && (l.Spent()-n < window.Quota-1 || !news):
		return s.watchFor(ctx, j.party(), 0, s.bus.Arm)
	case j.anew:
		return s.watch(ctx, j.party(), l)
	}
	return nil
}

// windowDue tells what a window has come to.
func (s *Sender) windowDue(ctx context.Context, d *bus.Delivery) error {
	var t watched
	if json.Unmarshal(d.Data, &t) != nil || t.OpenKfID == "" || t.ExternalUserID == "" {
		return bus.Drop("unreadable", errors.New("a timer of the sender names no conversation"))
	}
	who := events.Subject{Corp: events.Token(s.corp), Account: events.Token(t.OpenKfID), User: events.Token(t.ExternalUserID)}
	p := party{who, t.OpenKfID, t.ExternalUserID}
	in, err := s.newest(ctx, p)
	if err != nil {
		return err
	}
	s.hook("window due")
	now, c := s.clock(in.Ledger, true), s.conversation(p, in)
	phase, next := in.Phase(now)
	if phase != window.Closed && s.nearlySpent(in.Ledger) {
		err = s.announce(ctx, p, events.EventLastSlot, c)
	}
	switch {
	case phase == window.Closing && c.SendsLeft > 0:
		err = errors.Join(err, s.announce(ctx, p, events.EventWindowClosing, c))
	case phase == window.Closed:
		err = errors.Join(err, s.tell(ctx, p, in), s.announce(ctx, p, events.EventWindowClosed, c))
	}
	s.hook("window told")
	if err != nil || next.IsZero() {
		return err
	}
	return s.watchFor(ctx, p, next.Sub(now.Platform), s.bus.ArmUnlessSet)
}

// newest is the ledger with what the stream has of the customer, also where the inbox is behind: it may be another window.
func (s *Sender) newest(ctx context.Context, p party) (entry, error) {
	var behind error
	in, changed, err := s.change(ctx, p.subject.ConversationKey(), p.subject, func(l window.Ledger) (window.Ledger, bool) {
		var next window.Ledger
		next, behind = s.freshen(ctx, p.subject, l)
		return next, behind == nil && next.CustomerAt > l.CustomerAt
	})
	if err = errors.Join(err, behind); err == nil && changed {
		err = s.tell(ctx, p, in)
	}
	return in, err
}

// announce publishes an event of a window, unless it is in the stream: the broker knows ids for a day, and what it has for
// longer than any window lasts.
func (s *Sender) announce(ctx context.Context, p party, name string, c events.Conversation) error {
	if !s.cfg.WindowEvents {
		return nil
	}
	e, err := c.Event(name, service.NewTrace().String())
	if err != nil {
		return err
	}
	subject := of(p.subject, events.KindEvent, name)
	last, err := s.bus.Last(ctx, events.StreamMessage, subject)
	if err == nil {
		if told, err := last.Event(); err == nil && told.ID() == e.ID() {
			return nil
		}
	} else if !errors.Is(err, bus.ErrNotFound) {
		return err
	}
	_, repeat, err := s.bus.Publish(ctx, bus.Message{Subject: subject, Event: e, Sound: true, MsgID: e.Source() + " " + e.ID()})
	if err != nil || repeat {
		return err
	}
	s.metrics.windows.WithLabelValues(name).Inc()
	zerolog.Ctx(ctx).Debug().Str("event", name).Str("open_kfid", p.openKfID).Msg("told of a window")
	return nil
}
