package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/kfbus/kfbus/pkg/events"
)

// MaxBatch is the most messages that one atomic batch may hold: the server's
// default limit.
const MaxBatch = 1000

const (
	batchID       = "Nats-Batch-Id"
	batchSequence = "Nats-Batch-Sequence"
	batchCommit   = "Nats-Batch-Commit"
)

// PublishBatch stores all messages or none, as one atomic batch into one stream,
// and returns the sequence of the last. Other readers see nothing of it before
// it is complete. ExpectLast is checked for a subject's first message in it; a
// MsgID is not allowed, since one repeat would refuse them all.
//
// [ErrConflict] means that nothing was stored. [ErrUnknown] means that all was
// stored or nothing: read what ExpectLast guards. Never repeat it blindly.
func (b *Bus) PublishBatch(ctx context.Context, ms []Message) (uint64, error) {
	switch {
	case len(ms) == 0:
		return 0, errors.New("publish a batch: it is empty")
	case len(ms) > MaxBatch:
		return 0, fmt.Errorf("publish a batch of %d: %w", len(ms), ErrBatchSize)
	}
	msgs := make([]*nats.Msg, len(ms))
	items := items{mode: b.mode}
	for i, m := range ms {
		if m.MsgID != "" {
			return 0, errors.New("publish a batch: a message has a MsgID")
		}
		if msgs[i] = items.encode(m); msgs[i] != nil {
			continue
		}
		msg, err := b.encode(m)
		if err != nil {
			return 0, err
		}
		msgs[i] = msg
	}
	if len(ms) == 1 { // a batch of one is a publish
		ack, err := b.publish(ctx, msgs[0])
		if err != nil {
			return 0, fmt.Errorf("publish %s: %w", ms[0].Subject, err)
		}
		return ack.Sequence, nil
	}
	seq, err := b.sendBatch(ctx, msgs)
	if err != nil {
		return 0, fmt.Errorf("publish a batch of %d from %s: %w", len(ms), ms[0].Subject, err)
	}
	return seq, nil
}

// items writes the items of a batch. Those of the same trace share a header map.
type items struct {
	mode, trace string
	header      nats.Header
}

const itemEnvelope = 640 // bytes; enough for what stands around nearly every item

// encode makes an item what is sent; nil if m is none, or is not to be structured.
func (i *items) encode(m Message) *nats.Msg {
	if m.Item == nil || i.mode != ModeStructured {
		return nil
	}
	if trace := m.Item.TraceText(); i.header == nil || i.trace != trace {
		i.trace, i.header = trace, nats.Header{events.ContentTypeHeader: {events.ContentType}}
		if trace != "" {
			i.header[traceHeader] = []string{trace}
		}
	}
	return &nats.Msg{Subject: m.Subject, Data: m.Item.AppendJSON(make([]byte, 0, len(m.Item.Raw)+itemEnvelope)), Header: i.header}
}

// batch is the headers that make messages one batch. The library writes a message out when it is published, so they may
// share a header map if each is marked just before.
type batch struct {
	id   []string
	n    int // messages
	next int
}

func newBatch(n int) *batch { return &batch{id: []string{nuid.Next()}, n: n} }

// mark makes m the next message of the batch.
func (b *batch) mark(m *nats.Msg) *nats.Msg {
	b.next++
	m.Header[batchID] = b.id
	m.Header[batchSequence] = []string{strconv.Itoa(b.next)}
	if b.next == b.n {
		m.Header[batchCommit] = []string{"1"}
	}
	return m
}

// sendBatch: the first and the last message are requests, the ones between them
// plain publishes; the server answers the first one empty or with a refusal.
func (b *Bus) sendBatch(ctx context.Context, msgs []*nats.Msg) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	batch := newBatch(len(msgs))
	first, err := b.NC.RequestMsgWithContext(ctx, batch.mark(msgs[0]))
	if err != nil {
		return 0, Classify(err)
	}
	if len(first.Data) > 0 {
		_, err := parseAck(first.Data)
		if err == nil {
			err = errors.New("the server stored the first message by itself: it knows no atomic batches; 2.12.1 or later is needed")
		}
		return 0, Classify(err)
	}
	for _, m := range msgs[1 : len(msgs)-1] {
		if err := b.NC.PublishMsg(batch.mark(m)); err != nil {
			return 0, Classify(err)
		}
	}
	last, err := b.NC.RequestMsgWithContext(ctx, batch.mark(msgs[len(msgs)-1]))
	if err != nil {
		if errors.Is(err, nats.ErrNoResponders) { // the stream went away in between: it may have the batch
			return 0, fmt.Errorf("%w: %w", ErrUnknown, err)
		}
		return 0, Classify(err)
	}
	ack, err := parseAck(last.Data)
	if err != nil {
		return 0, Classify(err)
	}
	return ack.Sequence, nil
}

// batchAck is a PubAck; Count is 0 in that of a single message.
type batchAck struct {
	*jetstream.PubAck
	Count int                 `json:"count"`
	Error *jetstream.APIError `json:"error"`
}

func parseAck(data []byte) (batchAck, error) {
	var a batchAck
	switch err := json.Unmarshal(data, &a); {
	case err != nil:
		return a, fmt.Errorf("%w: unreadable ack", ErrUnknown)
	case a.Error != nil:
		return a, a.Error
	case a.PubAck == nil || a.Sequence == 0:
		return a, fmt.Errorf("%w: an ack without a sequence", ErrUnknown)
	}
	return a, nil
}
