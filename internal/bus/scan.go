package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	scanBatch = 256     // messages asked for at once: of small ones, what is around each counts more than its bytes
	scanBytes = 4 << 20 // and bytes; one message at least
)

// Scan hands the messages on any of the subjects, which may have wildcards, to
// each, in the stream's order: those stored at since or later, up to the sequence
// upto. It returns each's error, or nil when the leader knows of no further
// message; a replica that lags behind cannot cut it short. Safe to repeat. The
// subjects must not overlap. It makes no consumer: see [Bus.OnWrite] why.
func (b *Bus) Scan(ctx context.Context, stream string, subjects []string, since time.Time, upto uint64, each func(Stored) error) error {
	sources := make([]*source, len(subjects))
	for i, subject := range subjects {
		sources[i] = &source{bus: b, stream: stream, subject: subject, since: since, upto: upto}
	}
	for {
		var first *source
		for _, s := range sources {
			if err := s.fill(ctx); err != nil {
				return fmt.Errorf("scan %s: %w", stream, err)
			}
			if len(s.held) > 0 && (first == nil || s.held[0].Seq < first.held[0].Seq) {
				first = s
			}
		}
		if first == nil {
			return nil
		}
		m := first.held[0]
		first.held = first.held[1:]
		if err := each(m); err != nil {
			return err
		}
	}
}

// source reads one subject ahead.
type source struct {
	bus             *Bus
	stream, subject string
	since           time.Time
	upto            uint64
	next            uint64 // where to go on; 0: at since
	held            []Stored
	ended           bool
}

// fill holds at least one message afterwards, unless there is none.
func (s *source) fill(ctx context.Context) error {
	if len(s.held) > 0 || s.ended {
		return nil
	}
	ask := map[string]any{"next_by_subj": s.subject, "seq": max(s.next, 1)}
	if s.next == 0 && !s.since.IsZero() {
		ask = map[string]any{"next_by_subj": s.subject, "start_time": s.since.UTC()}
	}
	got, err := s.bus.directBatch(ctx, s.stream, ask)
	if err != nil && (ctx.Err() != nil || !Temporary(err)) {
		return err
	}
	if len(got) == 0 { // any replica says so, or the request was lost, as in an election; the leader knows
		delete(ask, "batch")
		delete(ask, "max_bytes")
		m, err := s.bus.leaderGet(ctx, s.stream, ask)
		switch {
		case errors.Is(err, ErrNotFound):
			s.ended = true
			return nil
		case err != nil:
			return err
		}
		got = []Stored{m}
	}
	s.next = got[len(got)-1].Seq + 1
	for i, m := range got {
		if m.Seq > s.upto {
			got, s.ended = got[:i], true
			break
		}
	}
	s.held = got
	return nil
}

// What the server adds to a message of a batch.
const (
	headerStream      = "Nats-Stream"
	headerSubject     = "Nats-Subject"
	headerPending     = "Nats-Num-Pending"
	headerLast        = "Nats-Last-Sequence"
	statusEndOfBatch  = "204"
	statusNoneMatches = "404"
)

// directBatch asks any replica for the next messages. It returns those that came one after the other without a gap.
func (b *Bus) directBatch(ctx context.Context, stream string, ask map[string]any) ([]Stored, error) {
	ask["batch"], ask["max_bytes"] = scanBatch, scanBytes
	req, err := json.Marshal(ask)
	if err != nil {
		return nil, err
	}
	inbox := b.NC.NewInbox()
	sub, err := b.NC.SubscribeSync(inbox)
	if err != nil {
		return nil, Classify(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := b.NC.PublishRequest("$JS.API.DIRECT.GET."+stream, inbox, req); err != nil {
		return nil, Classify(err)
	}
	ctx, cancel := b.bounded(ctx)
	defer cancel()
	var out []Stored
	last := "0"
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil, Classify(err)
		}
		switch status := m.Header.Get(headerStatus); {
		case status == statusEndOfBatch, status == statusNoneMatches:
			return out, nil
		case status != "" || m.Header.Get(headerSequence) == "":
			return nil, fmt.Errorf("the broker answers %s %s", status, m.Header.Get("Description"))
		case m.Header.Get(headerLast) != last: // one was lost on its way: the next batch begins with it
			return out, nil
		}
		s, err := ofBatch(m)
		if err != nil {
			return nil, err
		}
		last = strconv.FormatUint(s.Seq, 10)
		out = append(out, s)
	}
}

func ofBatch(m *nats.Msg) (Stored, error) {
	seq, err := strconv.ParseUint(m.Header.Get(headerSequence), 10, 64)
	if err != nil {
		return Stored{}, errors.New("an answer without a sequence")
	}
	at, err := time.Parse(time.RFC3339Nano, m.Header.Get(headerTimeStamp))
	if err != nil {
		return Stored{}, errors.New("an answer without a time")
	}
	s := Stored{Subject: m.Header.Get(headerSubject), Seq: seq, Time: at, Header: m.Header, Data: m.Data}
	for _, h := range []string{headerStream, headerSubject, headerSequence, headerTimeStamp, headerPending, headerLast} {
		s.Header.Del(h)
	}
	return s, nil
}
