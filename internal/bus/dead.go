package bus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/kfbus/kfbus/pkg/events"
)

// How much of a payload a dead letter keeps, in bytes, and up to which size it
// keeps the headers.
const (
	maxDeadPayload = 64 << 10
	maxDeadHeader  = 8 << 10
)

// Bury publishes a dead letter. Repeating it for the same message of a stream,
// or where no Stream is given for the same Subject and Payload, within 10
// minutes, stores it once.
func (b *Bus) Bury(ctx context.Context, d events.Dead) error {
	from := fmt.Sprintf("%s:%d", d.Stream, d.Seq)
	if d.Stream == "" {
		from = events.Token(d.Subject) + ":" + contentHash(d.Payload)
	}
	if len(d.Payload) > maxDeadPayload {
		d.Payload, d.Cut = d.Payload[:maxDeadPayload], true
	}
	if headerBytes(d.Header) > maxDeadHeader {
		d.Header, d.Cut = nil, true
	}
	id := from + ":" + events.Token(d.Reason)
	e, err := events.Own(id, "/kfbus/"+events.Token(d.Service), events.TypeDead, d)
	if err != nil {
		return err
	}
	_, _, err = b.Publish(ctx, Message{Subject: events.DeadSubject(d.Service, d.Reason), Event: e, MsgID: id})
	return err
}

func contentHash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

func headerBytes(h map[string][]string) (n int) {
	for k, vs := range h {
		for _, v := range vs {
			n += len(k) + len(v)
		}
	}
	return n
}
