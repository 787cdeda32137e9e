package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/time/rate"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
)

// place is a message of KF_MESSAGE.
type place struct {
	Seq  uint64    `json:"seq"`
	Time time.Time `json:"time"` // when it was stored
}

// replayed is what came of a replay.
type replayed struct {
	Name     string     `json:"name,omitempty"`
	To       string     `json:"to,omitempty"`
	Stream   string     `json:"stream,omitempty"` // that takes the copies
	DryRun   bool       `json:"dry_run,omitempty"`
	Done     bool       `json:"done"`               // the whole range, or --limit
	Copied   uint64     `json:"copied"`             // of a dry run: would be
	Repeated uint64     `json:"repeated,omitempty"` // of these the stream had already
	LeftOut  uint64     `json:"left_out,omitempty"` // no CloudEvents
	Ahead    int        `json:"ahead,omitempty"`    // taken although one before them failed
	Bytes    uint64     `json:"bytes"`              // of payload
	First    *place     `json:"first,omitempty"`    // copied
	Last     *place     `json:"last,omitempty"`     // copied
	NextSeq  uint64     `json:"next_seq"`           // where to go on
	Until    *time.Time `json:"until,omitempty"`
}

// copier copies a range of KF_MESSAGE.
type copier struct {
	bus      *bus.Bus
	filters  []string
	span     span
	from     uint64 // sequence; 0: by time
	limit    uint64 // 0: all
	name     string
	to       target
	out      outlet
	dry      bool
	inFlight int
	rate     *rate.Limiter
	progress io.Writer
	now      func() time.Time

	sum     replayed
	handed  uint64  // to the outlet
	waiting []place // handed, and not known to be taken
	told    time.Time
}

// run copies until the range ends, ctx does or something fails. The sum is right in any case.
func (c *copier) run(ctx context.Context) (replayed, error) {
	c.sum.NextSeq, c.told = max(c.from, 1), c.now()
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: c.filters, HeadersOnly: c.dry}
	switch {
	case c.from > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, c.from
	case !c.span.from.IsZero():
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &c.span.from
	}
	err := walk(ctx, c.bus, events.StreamMessage, cfg, func(m bus.Stored, left uint64) (bool, error) { return c.one(ctx, m, left) })
	if err == nil || errors.Is(err, ctx.Err()) {
		err = errors.Join(c.settle(0), err)
	}
	c.sum.Ahead = c.out.abandon()
	c.sum.Done = err == nil
	return c.sum, err
}

// one copies a message, or leaves it out.
func (c *copier) one(ctx context.Context, m bus.Stored, left uint64) (more bool, err error) {
	switch {
	case !c.span.to.IsZero() && !m.Time.Before(c.span.to):
		return false, nil
	case m.Time.Before(c.span.from): // a sequence to go on at may be older
		return true, nil
	}
	msg := &nats.Msg{}
	if !c.dry {
		if msg, err = c.copyOf(m); err != nil {
			c.sum.LeftOut++
			return true, c.settle(0) // so that nothing before it is open when the sum says so
		}
	}
	if err := c.rate.Wait(ctx); err != nil {
		return false, ctx.Err()
	}
	if err := c.settle(c.inFlight - 1); err != nil {
		return false, err
	}
	if err := c.out.put(msg); err != nil {
		return false, errors.Join(c.settle(0), c.failed(m.Seq, err))
	}
	c.waiting = append(c.waiting, place{m.Seq, m.Time.UTC()})
	c.handed++
	c.sum.Bytes += payloadBytes(m)
	c.report(m, left)
	return c.limit == 0 || c.handed < c.limit, nil
}

// settle notes what is taken meanwhile.
func (c *copier) settle(most int) error {
	taken, repeated, err := c.out.settle(most)
	if taken > 0 {
		first, last := c.waiting[0], c.waiting[taken-1]
		if c.sum.First == nil {
			c.sum.First = &first
		}
		c.sum.Last, c.sum.NextSeq = &last, last.Seq+1
		c.sum.Copied += uint64(taken)
		c.sum.Repeated += uint64(repeated)
		c.waiting = c.waiting[taken:]
	}
	if err != nil {
		return c.failed(c.waiting[0].Seq, err)
	}
	return nil
}

func (c *copier) failed(seq uint64, err error) error {
	return fmt.Errorf("publish the copy of sequence %d to %s: %w", seq, c.to, bus.Classify(err))
}

// copyOf is the message as it is published again: another subject, flagged, and otherwise the same bytes.
func (c *copier) copyOf(m bus.Stored) (*nats.Msg, error) {
	e, err := m.Event()
	if err != nil {
		return nil, err
	}
	h, body, err := bus.Mark(m.Header, m.Data, events.ExtReplay, "true")
	if err != nil {
		return nil, err
	}
	h[jetstream.MsgIDHeader] = []string{replayID(c.name, e.Source(), e.ID())}
	h[events.HeaderReplay] = []string{c.name}
	h[events.HeaderReplaySubject] = []string{m.Subject}
	h[events.HeaderReplaySeq] = []string{strconv.FormatUint(m.Seq, 10)}
	return &nats.Msg{Subject: c.to.subject(m.Subject), Header: h, Data: body}, nil
}

// replayID is the same for the same event in the same replay. A source is a URI and has no line break.
func replayID(name, source, id string) string {
	sum := sha256.Sum256([]byte(source + "\n" + id))
	return "replay:" + name + ":" + base64.RawURLEncoding.EncodeToString(sum[:16])
}

// payloadBytes is what the message holds, also where only its headers were read.
func payloadBytes(m bus.Stored) uint64 {
	if n, err := strconv.ParseUint(m.Header.Get(nats.MsgSize), 10, 64); err == nil {
		return n
	}
	return uint64(len(m.Data))
}

const reportEvery = 2 * time.Second

func (c *copier) report(m bus.Stored, left uint64) {
	if now := c.now(); now.Sub(c.told) >= reportEvery {
		c.told = now
		fmt.Fprintf(c.progress, "%d copied, at sequence %d of %s, up to %d to go\n",
			c.handed, m.Seq, m.Time.UTC().Format(time.RFC3339), left)
	}
}
