package bus

import (
	"context"
	"fmt"

	"github.com/kfbus/kfbus/pkg/events"
)

// maxDeadPayload is how much of a payload a dead letter keeps, in bytes.
const maxDeadPayload = 64 << 10

// Bury publishes a dead letter. Repeating it for the same message of a stream,
// within 10 minutes, stores it once.
func (b *Bus) Bury(ctx context.Context, d events.Dead) error {
	if len(d.Payload) > maxDeadPayload {
		d.Payload, d.Cut = d.Payload[:maxDeadPayload], true
	}
	id := fmt.Sprintf("%s:%d:%s", d.Stream, d.Seq, events.Token(d.Reason))
	e, err := events.Own(id, "/kfbus/"+events.Token(d.Service), events.TypeDead, d)
	if err != nil {
		return err
	}
	_, _, err = b.Publish(ctx, Message{Subject: events.DeadSubject(d.Service, d.Reason), Event: e, MsgID: id})
	return err
}
