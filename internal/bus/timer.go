package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/pkg/events"
)

const (
	headerSchedule       = "Nats-Schedule"
	headerScheduleTarget = "Nats-Schedule-Target"
)

// Arm stores body until at, when it appears on events.DueSubject(service, key).
// A later Arm with the same service and key replaces the earlier one. A time
// that has passed is due at once. It survives restarts of the broker.
func (b *Bus) Arm(ctx context.Context, service, key string, at time.Time, body []byte) error {
	return b.arm(ctx, service, key, at, body, nil)
}

// ArmUnlessSet is Arm where no timer of this service and key waits; else it does
// nothing. Whoever goes on after a timer uses it, so as not to replace one that
// was set meanwhile.
func (b *Bus) ArmUnlessSet(ctx context.Context, service, key string, at time.Time, body []byte) error {
	err := b.arm(ctx, service, key, at, body, nats.Header{jetstream.ExpectedLastSubjSeqHeader: {"0"}})
	if errors.Is(err, ErrConflict) {
		return nil
	}
	return err
}

func (b *Bus) arm(ctx context.Context, service, key string, at time.Time, body []byte, more nats.Header) error {
	subject := events.TimerSubject(service, key)
	msg := &nats.Msg{Subject: subject, Data: body, Header: nats.Header{
		// The client's own option cuts the fraction off and so fires up to a second early.
		headerSchedule:       {"@at " + at.UTC().Format(time.RFC3339Nano)},
		headerScheduleTarget: {events.DueSubject(service, key)},
	}}
	maps.Copy(msg.Header, more)
	if _, err := b.publish(ctx, msg); err != nil {
		return fmt.Errorf("arm timer %s: %w", subject, err)
	}
	return nil
}
