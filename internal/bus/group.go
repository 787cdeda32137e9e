package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Group publishes for many callers at once. A single server that syncs always
// pays one fsync for every message; messages that are waiting for it anyway
// share one atomic batch, and so one fsync. Nobody waits for company: a batch
// is what came while the server was busy, and it is made only where it is
// measured to be faster than as many messages by themselves.
//
// Make it with [Bus.Group]. Safe for concurrent use. It owns no goroutine while
// nobody publishes.
type Group struct {
	b     *Bus
	lines []*line
}

// Group returns a Group for the streams that take atomic batches. now is the
// clock by which it measures.
func (b *Bus) Group(now func() time.Time) *Group {
	g := &Group{b: b}
	for _, s := range DefaultTopology().Streams() {
		if !s.AllowAtomicPublish {
			continue
		}
		l := &line{b: b, now: now, onePerSubject: s.MaxMsgsPerSubject > 0}
		for _, subject := range s.Subjects {
			l.prefixes = append(l.prefixes, strings.TrimSuffix(subject, ">"))
		}
		g.lines = append(g.lines, l)
	}
	return g
}

// Publish is [Bus.Publish], answer by answer: what becomes of one message never
// depends on the others of its batch. Only messages with a MsgID and without
// conditions share one, since a batch that is refused, or of which nobody knows
// what became, is published again message by message.
func (g *Group) Publish(ctx context.Context, m Message) (seq uint64, repeat bool, err error) {
	i := slices.IndexFunc(g.lines, func(l *line) bool { return l.takes(m.Subject) })
	if i < 0 || m.MsgID == "" || m.ExpectLast != nil || m.Rollup {
		return g.b.Publish(ctx, m)
	}
	msg, err := g.b.encode(m)
	if err != nil {
		return 0, false, err
	}
	ctx, cancel := g.b.bounded(ctx)
	defer cancel()
	seq, repeat, err = g.lines[i].publish(ctx, &request{msg: msg, id: m.MsgID})
	if err != nil {
		return 0, false, fmt.Errorf("publish %s: %w", m.Subject, err)
	}
	return seq, repeat, nil
}

// line is what is on its way to one stream.
type line struct {
	b             *Bus
	now           func() time.Time
	prefixes      []string // of its subjects
	onePerSubject bool     // the stream refuses more than a few messages on a subject

	mu    sync.Mutex
	queue []*request // waiting for the next batch
	alone int        // published by themselves, not yet answered
	busy  bool       // a batch is under way, or the next
	pace
	known recent // ids that are stored, and subjects that are full: they would refuse a batch
}

// request is one message and its caller.
type request struct {
	msg    *nats.Msg
	id     string
	answer chan answer // made when it is queued; room for one
}

// answer is the sequence in a batch; 0: publish it by itself.
type answer uint64

func (l *line) takes(subject string) bool {
	return slices.ContainsFunc(l.prefixes, func(p string) bool { return strings.HasPrefix(subject, p) })
}

func (l *line) publish(ctx context.Context, r *request) (seq uint64, repeat bool, err error) {
	if l.enqueue(ctx, r) {
		select {
		case a := <-r.answer:
			if a != 0 {
				return uint64(a), false, nil
			}
		case <-ctx.Done():
			l.leave(r)
			return 0, false, Classify(ctx.Err())
		}
	}
	l.begin()
	ack, err := l.b.publish(ctx, r.msg)
	l.done(ctx, r, err)
	if err != nil {
		return 0, false, err
	}
	return ack.Sequence, ack.Duplicate, nil
}

// enqueue reports whether r waits for a batch. It does not where a batch would
// not pay for all that are on their way, or would be refused because of r.
func (l *line) enqueue(ctx context.Context, r *request) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if all := l.alone + len(l.queue) + 1; !l.busy && (all < fewest || all < l.need(l.now(), toBegin)) || l.hinders(r) {
		return false
	}
	r.answer = make(chan answer, 1)
	l.queue = append(l.queue, r)
	l.advance(ctx)
	return true
}

// advance starts a batch if enough are waiting, and lets them go if there will not be enough. So nobody waits unless
// something is under way at whose end it is called again.
func (l *line) advance(ctx context.Context) {
	if l.busy || len(l.queue) == 0 {
		return
	}
	switch need := l.need(l.now(), toBegin); {
	case len(l.queue) >= need:
		l.busy = true
		go l.commit(context.WithoutCancel(ctx)) // it is not the caller's batch alone
	case l.alone+len(l.queue) < need:
		l.release()
	}
}

// hinders reports whether r would make the server refuse its batch.
func (l *line) hinders(r *request) bool {
	return l.known.has(r.id) || l.onePerSubject && l.known.has(r.msg.Subject)
}

// leave gives up a place in the queue.
func (l *line) leave(r *request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.queue, r); i >= 0 {
		l.queue = slices.Delete(l.queue, i, i+1)
	}
}

// begin counts a message that goes by itself.
func (l *line) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alone++
}

// done takes account of a message that went by itself.
func (l *line) done(ctx context.Context, r *request, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alone--
	switch {
	case err == nil:
		l.stored(l.now, !l.busy && l.alone >= fewest/2)
		l.known.add(r.id)
		l.known.remove(r.msg.Subject)
	case errors.Is(err, ErrCovered):
		l.known.add(r.msg.Subject)
	}
	l.advance(ctx)
}

// release sends all who wait on their own way.
func (l *line) release() {
	for _, r := range l.queue {
		r.answer <- 0
	}
	l.queue = nil
}

// commit makes batches as long as enough are waiting.
func (l *line) commit(ctx context.Context) {
	for batch := l.take(); batch != nil; batch = l.take() {
		sent := l.now()
		last, err := l.b.sendGroup(ctx, batch)
		l.settle(batch, l.now().Sub(sent), err)
		for i, r := range batch {
			a := answer(0)
			if err == nil {
				a = answer(last - uint64(len(batch)-1-i))
			}
			r.answer <- a
		}
	}
}

// take returns the next batch: nothing in it twice that the server would refuse.
// With too few waiting it sends them on their own way, and returns nil.
func (l *line) take() []*request {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := l.now(); len(l.queue) < l.need(now, toGoOn) || l.lookAround(now) {
		l.release()
		l.busy = false
		return nil
	}
	var batch, rest []*request
	size := 0
	in := map[string]bool{}
	for _, r := range l.queue {
		switch subject := r.msg.Subject; {
		case l.hinders(r): // it became known while it waited
			r.answer <- 0
		case len(batch) == maxGroup || size+len(r.msg.Data) > maxGroupBytes && len(batch) > 0,
			in[r.id], l.onePerSubject && in[subject]:
			rest = append(rest, r)
		default:
			batch = append(batch, r)
			size += len(r.msg.Data)
			in[r.id], in[subject] = true, true
		}
	}
	l.queue = rest
	if len(batch) < 2 {
		l.queue = append(batch, rest...)
		l.release()
		l.busy = false
		return nil
	}
	return batch
}

// settle takes account of a batch.
func (l *line) settle(batch []*request, took time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.committed(l.now(), took, len(batch), err)
	if err != nil {
		return
	}
	for _, r := range batch {
		l.known.add(r.id)
	}
}

const (
	maxGroup      = 256
	maxGroupBytes = 1 << 20
	groupPatience = time.Second // after that the messages go by themselves: well inside the deadline of a callback
)

// sendGroup stores the requests as one atomic batch and returns the sequence of
// the last. After an error the batch headers are gone from the messages.
func (b *Bus) sendGroup(ctx context.Context, rs []*request) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, min(groupPatience, b.timeout))
	defer cancel()
	msgs := make([]*nats.Msg, len(rs))
	batch := newBatch(len(rs))
	for i, r := range rs {
		msgs[i] = batch.mark(r.msg)
	}
	last, err := b.sendAtOnce(ctx, msgs)
	if err != nil {
		for _, m := range msgs {
			delete(m.Header, batchID)
			delete(m.Header, batchSequence)
			delete(m.Header, batchCommit)
		}
	}
	return last, Classify(err)
}

// sendAtOnce does not wait for the answer to the first message: one round trip.
// A server that refuses the first refuses the last too.
func (b *Bus) sendAtOnce(ctx context.Context, msgs []*nats.Msg) (uint64, error) {
	for _, m := range msgs[:len(msgs)-1] {
		if err := b.NC.PublishMsg(m); err != nil {
			return 0, err
		}
	}
	last, err := b.NC.RequestMsgWithContext(ctx, msgs[len(msgs)-1])
	if err != nil {
		return 0, err
	}
	ack, err := parseAck(last.Data)
	if err != nil {
		return 0, err
	}
	if ack.Count != len(msgs) { // from a server that knows no batches
		return 0, fmt.Errorf("%w: the ack is for %d messages, not %d", ErrUnknown, ack.Count, len(msgs))
	}
	return ack.Sequence, nil
}
