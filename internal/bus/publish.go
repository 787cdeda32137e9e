package bus

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/pkg/events"
)

// Message is one event to be stored.
type Message struct {
	Subject string
	Event   event.Event
	Item    *events.Inbound // in place of Event: a pulled item whose Raw is JSON for certain. Nothing below is for it.
	Sound   bool            // the event's data is JSON for certain, made by us: it is not read through again

	MsgID      string        // Nats-Msg-Id; "" for none. Never in a batch.
	ExpectLast *uint64       // stored only if this is the last sequence on the subject; 0: nothing there
	Rollup     bool          // replaces all before it on the subject
	TTL        time.Duration // 0: the stream's age; Forever: none
	headers    nats.Header
}

// Forever keeps a message although the stream's age limit has passed.
const Forever time.Duration = -1

func (b *Bus) encode(m Message) (*nats.Msg, error) {
	if m.Item != nil {
		m.Event, m.Sound = m.Item.Event(), true
	}
	body, h, err := encode(m.Event, b.mode, m.Sound)
	if err != nil {
		return nil, err
	}
	out := &nats.Msg{Subject: m.Subject, Data: body, Header: h}
	if m.MsgID != "" {
		h[jetstream.MsgIDHeader] = []string{m.MsgID}
	}
	if m.ExpectLast != nil {
		h[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(*m.ExpectLast, 10)}
	}
	if m.Rollup {
		h[jetstream.MsgRollup] = []string{jetstream.MsgRollupSubject}
	}
	if ttl := ttlText(m.TTL); ttl != "" {
		h[jetstream.MsgTTLHeader] = []string{ttl}
	}
	maps.Copy(h, m.headers)
	return out, nil
}

func ttlText(d time.Duration) string {
	switch {
	case d == 0:
		return ""
	case d < 0:
		return "never"
	}
	return max(d, time.Second).Truncate(time.Second).String()
}

// Publish stores one event and waits for the broker's ack, until ctx ends or the
// configured timeout. It returns the sequence and whether an event with this
// MsgID was there already. Repeating it is safe with a MsgID inside the stream's
// window, or with ExpectLast.
func (b *Bus) Publish(ctx context.Context, m Message) (seq uint64, repeat bool, err error) {
	msg, err := b.encode(m)
	if err != nil {
		return 0, false, err
	}
	ack, err := b.publish(ctx, msg)
	if err != nil {
		return 0, false, fmt.Errorf("publish %s: %w", m.Subject, err)
	}
	return ack.Sequence, ack.Duplicate, nil
}

// publish sends without blocking other publishers and waits on its own future.
func (b *Bus) publish(ctx context.Context, msg *nats.Msg) (*jetstream.PubAck, error) {
	ctx, cancel := b.bounded(ctx)
	defer cancel()
	f, err := b.JS.PublishMsgAsync(msg, b.again...)
	if err != nil {
		return nil, Classify(err)
	}
	select {
	case ack := <-f.Ok():
		return ack, nil
	case err := <-f.Err():
		return nil, Classify(err)
	case <-ctx.Done():
		return nil, Classify(ctx.Err())
	}
}

// bounded ends ctx with the configured timeout, if it would not end before.
func (b *Bus) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= b.timeout {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, b.timeout)
}

func sortedKeys[M ~map[string]V, V any](m M) []string { return slices.Sorted(maps.Keys(m)) }
