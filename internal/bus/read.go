package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/pkg/events"
)

// Stored is one message as a stream holds it.
type Stored struct {
	Subject string
	Seq     uint64
	Time    time.Time // when the broker stored it
	Header  nats.Header
	Data    []byte
}

// Event reads the CloudEvent in it.
func (s Stored) Event() (event.Event, error) { return Decode(s.Header, s.Data) }

// Last returns the newest message on a subject, which may have wildcards, as the
// stream's leader has it: what was acknowledged before is seen. [ErrNotFound]
// when there is none. Safe to repeat.
func (b *Bus) Last(ctx context.Context, stream, subject string) (Stored, error) {
	return b.leaderGet(ctx, stream, map[string]any{"last_by_subj": subject})
}

// Next returns the first message on a subject, which may have wildcards, at or
// after a sequence, from the stream's leader. [ErrNotFound] when there is none.
func (b *Bus) Next(ctx context.Context, stream string, from uint64, subject string) (Stored, error) {
	return b.leaderGet(ctx, stream, map[string]any{"seq": max(from, 1), "next_by_subj": subject})
}

// NextSince is [Bus.Next] from the first message that was stored at t or later.
func (b *Bus) NextSince(ctx context.Context, stream string, t time.Time, subject string) (Stored, error) {
	return b.leaderGet(ctx, stream, map[string]any{"start_time": t.UTC(), "next_by_subj": subject})
}

func (b *Bus) leaderGet(ctx context.Context, stream string, ask map[string]any) (Stored, error) {
	req, err := json.Marshal(ask)
	if err != nil {
		return Stored{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	msg, err := b.NC.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, req)
	if err != nil {
		return Stored{}, fmt.Errorf("read %s: %w", stream, Classify(err))
	}
	var r struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Header  []byte    `json:"hdrs"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(msg.Data, &r); err != nil {
		return Stored{}, fmt.Errorf("read %s: %w", stream, err)
	}
	if r.Error != nil {
		return Stored{}, fmt.Errorf("read %s: %w", stream, Classify(r.Error))
	}
	s := Stored{Subject: r.Message.Subject, Seq: r.Message.Seq, Time: r.Message.Time, Data: r.Message.Data}
	if len(r.Message.Header) > 0 {
		if s.Header, err = nats.DecodeHeadersMsg(r.Message.Header); err != nil {
			return Stored{}, fmt.Errorf("read %s: %w", stream, err)
		}
	}
	return s, nil
}

// Entry is the value of a key in a bucket. Revision is what [Bus.Swap] needs; it
// is not 0 for a key that was deleted or has expired and left a marker.
type Entry struct {
	Value    []byte // nil: no value
	Revision uint64
	Stored   time.Time
}

const (
	headerSequence  = "Nats-Sequence"
	headerTimeStamp = "Nats-Time-Stamp"
	headerOperation = "KV-Operation"
	headerMarker    = "Nats-Marker-Reason"
	headerStatus    = "Status"
)

// Read returns the value of a key. A missing key is no error: its Value is nil.
// At R3 the answer may be a moment old; a write made from it is refused by
// [Bus.Swap], so decide by writing.
func (b *Bus) Read(ctx context.Context, bucket, key string) (Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	msg, err := b.NC.RequestWithContext(ctx, "$JS.API.DIRECT.GET.KV_"+bucket+"."+kvSubject(bucket, key), nil)
	if err != nil {
		return Entry{}, fmt.Errorf("read %s %s: %w", bucket, key, Classify(err))
	}
	switch status := msg.Header.Get(headerStatus); status {
	case "":
	case "404":
		return Entry{}, nil
	default:
		return Entry{}, fmt.Errorf("read %s %s: the broker answers %s %s", bucket, key, status, msg.Header.Get("Description"))
	}
	rev, err := strconv.ParseUint(msg.Header.Get(headerSequence), 10, 64)
	if err != nil {
		return Entry{}, fmt.Errorf("read %s %s: an answer without a sequence", bucket, key)
	}
	e := Entry{Revision: rev}
	if t, err := time.Parse(time.RFC3339Nano, msg.Header.Get(headerTimeStamp)); err == nil {
		e.Stored = t
	}
	if msg.Header.Get(headerOperation) == "" && msg.Header.Get(headerMarker) == "" {
		e.Value = append([]byte{}, msg.Data...) // not nil, also when empty
	}
	return e, nil
}

// Swap writes a key only if its revision is still the one given: 0 for a key
// that never was. It returns the new revision. ttl 0 leaves the bucket's age
// limit; with a ttl the key vanishes by itself, no sooner than after a second.
//
// [ErrConflict] means that somebody else wrote first and nothing was written;
// [ErrUnknown] that it may have been: read again and look for your own value.
func (b *Bus) Swap(ctx context.Context, bucket, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
	msg := &nats.Msg{Subject: kvSubject(bucket, key), Data: value, Header: nats.Header{
		jetstream.ExpectedLastSubjSeqHeader: {strconv.FormatUint(revision, 10)},
	}}
	if t := ttlText(ttl); t != "" {
		msg.Header[jetstream.MsgTTLHeader] = []string{t}
	}
	ack, err := b.publish(ctx, msg)
	if err != nil {
		return 0, fmt.Errorf("write %s %s: %w", bucket, key, err)
	}
	return ack.Sequence, nil
}

// Put writes a key whatever is there.
func (b *Bus) Put(ctx context.Context, bucket, key string, value []byte, ttl time.Duration) error {
	msg := &nats.Msg{Subject: kvSubject(bucket, key), Data: value, Header: nats.Header{}}
	if t := ttlText(ttl); t != "" {
		msg.Header[jetstream.MsgTTLHeader] = []string{t}
	}
	if _, err := b.publish(ctx, msg); err != nil {
		return fmt.Errorf("write %s %s: %w", bucket, key, err)
	}
	return nil
}

func kvSubject(bucket, key string) string { return "$KV." + bucket + "." + key }

// OnWrite calls f when somebody publishes on a key, until stop is called: a moment before it is stored, and also where it is
// then refused. f must not block. What is published while the connection is away is missed.
func (b *Bus) OnWrite(bucket, key string, f func()) (stop func(), err error) {
	sub, err := b.NC.Subscribe(kvSubject(bucket, key), func(*nats.Msg) { f() })
	if err != nil {
		return nil, fmt.Errorf("listen to %s %s: %w", bucket, key, err)
	}
	return func() { _ = sub.Unsubscribe() }, nil // fails only on a closed connection
}

// Published turns the subject a lane stores back into the published one.
func (s Stored) Published() (events.Subject, error) { return events.ParseSubject(s.Subject) }
