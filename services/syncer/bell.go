package syncer

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/pkg/events"
)

// Words of dead letters.
const (
	reasonMalformed = "malformed"
	reasonForeign   = "foreign" // of a corp that is not ours
)

// bell is one doorbell and the event it came as, which is published again as it is.
type bell struct {
	events.Doorbell
	event  event.Event
	stored time.Time // when the broker got it
	seq    uint64    // under which it is stored
}

// mostBell is how large a doorbell may be, in bytes with its headers: twice the largest callback. It must be possible to ring
// it again from a timer, which is larger.
const mostBell = 128 << 10

// readBell reads a doorbell; its error is final.
func readBell(s bus.Stored, corp string) (bell, error) {
	b := bell{stored: s.Time, seq: s.Seq}
	if n := (&nats.Msg{Header: s.Header, Data: s.Data}).Size(); n > mostBell {
		return b, bus.Drop(reasonMalformed, fmt.Errorf("doorbell of %d bytes: at most %d", n, mostBell))
	}
	var err error
	if b.event, err = s.Event(); err != nil {
		return b, bus.Drop(reasonMalformed, fmt.Errorf("doorbell: %w", err))
	}
	if b.event.DataAs(&b.Doorbell) != nil { // its text may quote the data
		return b, bus.Drop(reasonMalformed, errors.New("doorbell: the data is not what it should be"))
	}
	if b.Corp != corp {
		return b, bus.Drop(reasonForeign, errors.New("doorbell of another corp: start a syncer with its credentials"))
	}
	return b, nil
}

// syncToken returns the callback's token while the platform takes it.
func (b bell) syncToken(now time.Time) string {
	got := b.ReceivedAt
	if got.IsZero() {
		got = b.stored
	}
	if now.Sub(got) >= syncTokenLife {
		return ""
	}
	return b.SyncToken
}

// syncTokenLife is the platform's 10 minutes less a margin for clocks and the way here.
//
// https://developer.work.weixin.qq.com/document/path/94670
const syncTokenLife = 9 * time.Minute

// ring is what the bell counts as in metrics: a closed set.
func (b bell) ring() string {
	if b.Event == events.RingSweep || b.Event == events.RingFresh {
		return b.Event
	}
	return "callback"
}

// trace is the trace that the bell belongs to, or a new one.
func (b bell) trace() string {
	text, _ := b.event.Extensions()[events.ExtTraceParent].(string)
	t, _ := service.ParseTrace(text) // of none, Child makes a new one
	return t.Child().String()
}

// answer works on one doorbell.
func (s *Syncer) answer(ctx context.Context, stopping <-chan struct{}, d *bus.Delivery) error {
	b, err := readBell(d.Stored, s.corp)
	switch {
	case err != nil:
		return err
	case b.Event == events.RingAuthChange:
		return s.authChange(ctx, b)
	case b.OpenKfID == "":
		zerolog.Ctx(ctx).Debug().Str("event", b.Event).Msg("a callback without an account")
		return nil
	}
	log := zerolog.Ctx(ctx).With().Str("open_kfid", b.OpenKfID).Logger()
	return s.turn(log.WithContext(ctx), stopping, b)
}

// authChange takes accounts in that were granted, and leaves those alone that were withdrawn.
//
// https://developer.work.weixin.qq.com/document/path/97712
func (s *Syncer) authChange(ctx context.Context, b bell) error {
	for _, id := range b.AuthDel {
		s.accounts.remove(id)
	}
	for _, id := range b.AuthAdd {
		s.accounts.add(s.now(), id)
		if err := s.sweepOne(ctx, id); err != nil {
			return err
		}
	}
	s.metrics.accounts.Set(float64(s.accounts.len()))
	zerolog.Ctx(ctx).Info().Strs("added", b.AuthAdd).Strs("removed", b.AuthDel).Msg("accounts changed")
	return nil
}

// sweepOne rings a doorbell of our own, without a token.
func (s *Syncer) sweepOne(ctx context.Context, openKfID string) error {
	e, err := events.Own(rand.Text(), "/kfbus/"+bus.ServiceSyncer, events.TypeCallback,
		events.Doorbell{Corp: s.corp, OpenKfID: openKfID, Event: events.RingSweep, ReceivedAt: s.now().UTC()})
	if err != nil {
		return err
	}
	e.SetExtension(events.ExtTraceParent, service.NewTrace().String())
	return s.rouse(ctx, openKfID, e)
}

// tellPulled says that an account was pulled to its end after b had rung: a sender may wait for that before it refuses. It
// costs what a message without a listener costs, and if it is lost the sender rings again.
func (s *Syncer) tellPulled(b bell) {
	body, err := json.Marshal(events.Pulled{Rang: b.stored, Seq: b.seq})
	if err == nil {
		err = s.bus.NC.Publish(events.PulledSubject(s.corp, b.OpenKfID), body)
	}
	if err != nil {
		s.log.Debug().Err(err).Str("open_kfid", b.OpenKfID).Msg("nobody was told of a pull")
	}
}

// rouse publishes a doorbell. One that waits already covers it: it will be worked on after now.
func (s *Syncer) rouse(ctx context.Context, openKfID string, e event.Event) error {
	_, _, err := s.bus.Publish(ctx, bus.Message{Subject: events.CallbackSubject(s.corp, openKfID), Event: e})
	if errors.Is(err, bus.ErrCovered) {
		return nil
	}
	return err
}
