package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	scanMessages = 256             // read ahead: of small messages, what is around each counts more than its bytes
	scanBytes    = 4 << 20         // asked for at once; more where one message may be larger
	scanIdle     = 2 * time.Second // without a message, before the leader is asked whether there is one
)

// Scan hands the messages on any of the subjects, which may have wildcards, to
// each, in the stream's order: those stored at since or later, up to the sequence
// upto. It returns each's error, or nil when the leader knows of no further
// message; a replica that lags behind cannot cut it short. Safe to repeat.
func (b *Bus) Scan(ctx context.Context, stream string, subjects []string, since time.Time, upto uint64, each func(Stored) error) error {
	c := jetstream.OrderedConsumerConfig{FilterSubjects: subjects, InactiveThreshold: time.Minute}
	if !since.IsZero() {
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &since
	}
	oc, err := b.JS.OrderedConsumer(ctx, stream, c)
	if err != nil {
		return fmt.Errorf("scan %s: %w", stream, Classify(err))
	}
	it, err := oc.Messages(jetstream.PullMaxMessagesWithBytesLimit(scanMessages, max(scanBytes, 2*int(b.NC.MaxPayload()))))
	if err != nil {
		return fmt.Errorf("scan %s: %w", stream, Classify(err))
	}
	defer it.Stop()
	last, pending := uint64(0), oc.CachedInfo().NumPending
	for last < upto {
		if pending == 0 {
			if more, err := b.anyUpTo(ctx, stream, subjects, since, last+1, upto); err != nil || !more {
				return err
			}
		}
		m, err := it.Next(jetstream.NextMaxWait(scanIdle))
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, nats.ErrTimeout):
			pending = 0
			continue
		case err != nil:
			return fmt.Errorf("scan %s: %w", stream, Classify(err))
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("scan %s: %w", stream, err)
		}
		last, pending = meta.Sequence.Stream, meta.NumPending
		if last > upto {
			return nil
		}
		if err := each(Stored{Subject: m.Subject(), Seq: last, Time: meta.Timestamp, Header: m.Headers(), Data: m.Data()}); err != nil {
			return err
		}
	}
	return nil
}

// anyUpTo asks the leader for a message on any of the subjects from one sequence to another, both included.
func (b *Bus) anyUpTo(ctx context.Context, stream string, subjects []string, since time.Time, from, to uint64) (bool, error) {
	for _, subject := range subjects {
		ask := map[string]any{"seq": from, "next_by_subj": subject}
		if from == 1 && !since.IsZero() {
			ask = map[string]any{"start_time": since.UTC(), "next_by_subj": subject}
		}
		s, err := b.leaderGet(ctx, stream, ask)
		switch {
		case err == nil && s.Seq <= to:
			return true, nil
		case err != nil && !errors.Is(err, ErrNotFound):
			return false, err
		}
	}
	return false, nil
}
