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
	scanMessages = 256              // read ahead: of small messages, what is around each counts more than its bytes
	scanBytes    = 4 << 20          // asked for at once; more where one message may be larger
	scanIdle     = 2 * time.Second  // without a message before the consumer is made again; doubles while none comes
	scanPatience = 32 * time.Second // no longer wait: a minute without a message in all
)

// Scan hands the messages on any of the subjects, which may have wildcards, to
// each, in the stream's order: those stored at since or later, up to the sequence
// upto. It returns each's error, or nil when the leader knows of no further
// message; a replica that lags behind cannot cut it short, and a consumer that is
// lost when a cluster elects cannot hold it up. Safe to repeat.
func (b *Bus) Scan(ctx context.Context, stream string, subjects []string, since time.Time, upto uint64, each func(Stored) error) error {
	s := scan{b, stream, subjects, since, upto, each, 0}
	for idle := scanIdle; idle <= scanPatience; idle *= 2 {
		before := s.last
		done, err := s.run(ctx, idle)
		if err != nil {
			return fmt.Errorf("scan %s: %w", stream, err)
		}
		if done {
			return nil
		}
		if s.last > before {
			idle = scanIdle / 2
		}
	}
	return fmt.Errorf("scan %s: %w: there are messages after %d, and none comes", stream, ErrUnknown, s.last)
}

type scan struct {
	b        *Bus
	stream   string
	subjects []string
	since    time.Time
	upto     uint64
	each     func(Stored) error
	last     uint64 // handed over
}

// run goes on where the scan is, with a consumer of its own. done is false when none of its messages came for as long as idle:
// a client is not told of a request that was lost, and it looks for missed heartbeats only in waits that are longer.
func (s *scan) run(ctx context.Context, idle time.Duration) (done bool, err error) {
	c := jetstream.OrderedConsumerConfig{FilterSubjects: s.subjects, InactiveThreshold: time.Minute}
	switch {
	case s.last > 0:
		c.DeliverPolicy, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, s.last+1
	case !s.since.IsZero():
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &s.since
	}
	oc, err := s.b.JS.OrderedConsumer(ctx, s.stream, c)
	if err != nil {
		return false, Classify(err)
	}
	it, err := oc.Messages(jetstream.PullMaxMessagesWithBytesLimit(scanMessages, max(scanBytes, 2*int(s.b.NC.MaxPayload()))))
	if err != nil {
		return false, Classify(err)
	}
	defer it.Stop()
	pending := oc.CachedInfo().NumPending
	for s.last < s.upto {
		if pending == 0 {
			if more, err := s.b.anyUpTo(ctx, s.stream, s.subjects, s.since, s.last+1, s.upto); err != nil || !more {
				return true, err
			}
		}
		m, err := it.Next(jetstream.NextMaxWait(idle))
		switch {
		case ctx.Err() != nil:
			return false, ctx.Err()
		case errors.Is(err, nats.ErrTimeout):
			return false, nil
		case err != nil:
			return false, Classify(err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return false, err
		}
		if meta.Sequence.Stream > s.upto {
			break
		}
		s.last, pending = meta.Sequence.Stream, meta.NumPending
		if err := s.each(Stored{Subject: m.Subject(), Seq: s.last, Time: meta.Timestamp, Header: m.Headers(), Data: m.Data()}); err != nil {
			return false, err
		}
	}
	return true, nil
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
