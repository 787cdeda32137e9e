package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/pkg/events"
)

// Delivery is one message handed to a handler.
type Delivery struct {
	Stored
	Delivered uint64 // 1 the first time
	Consumer  string
	msg       jetstream.Msg
}

// Handler works on one delivery. Its error decides what becomes of the message:
// see [Judge]. Its context outlives the consumer's, so that what is in hand is
// finished, and ends when the drain time is over.
type Handler func(ctx context.Context, d *Delivery) error

// Consuming says how a durable is consumed.
type Consuming struct {
	Service  string        // for dead letters
	Prefetch int           // messages held in memory; 0 means 1, which lanes need
	Drain    time.Duration // after ctx ends, time to finish what is in hand; 0 means 10 s
	Confirm  bool          // wait until the broker has the ack: dearer, and worth it where a repeat is
	Seen     func()        // called when the broker gave a sign of life; may be nil
}

// Consume hands messages of one durable to h, one after the other, until ctx
// ends, and then finishes what is in hand, within o.Drain. While h works, the
// broker is told so; a lane stays ours as long as we live. It returns an error when
// it cannot go on: the durable was deleted or made again, the connection closed for
// good, or h did not end when its context did.
func (b *Bus) Consume(ctx context.Context, c jetstream.Consumer, o Consuming, h Handler) error {
	info := c.CachedInfo()
	log := b.log.With().Str("consumer", info.Name).Logger()
	work, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	w := worker{bus: b, log: log, stream: info.Stream, name: info.Name, ackWait: info.Config.AckWait, o: o, h: h, stopping: ctx.Done()}
	doubt := make(chan struct{}, 1) // the consumer may be gone
	cc, err := c.Consume(func(m jetstream.Msg) { w.handle(work, m) },
		jetstream.PullMaxMessages(max(o.Prefetch, 1)),
		jetstream.PullExpiry(30*time.Second), jetstream.PullHeartbeat(5*time.Second),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
			if ctx.Err() == nil {
				log.Warn().Err(err).Msg("consume")
			}
			select {
			case doubt <- struct{}{}:
			default:
			}
		}))
	if err != nil {
		return fmt.Errorf("consume %s of %s: %w", info.Name, info.Stream, Classify(err))
	}
	gone := b.untilGone(ctx, c, cc, doubt)
	drain := o.Drain
	if drain <= 0 {
		drain = defaultDrain
	}
	defer time.AfterFunc(drain, abandon).Stop()
	cc.Drain() // Stop would leave the buffered messages to wait for AckWait
	late := time.NewTimer(drain + drainGrace)
	defer late.Stop()
	select {
	case <-cc.Closed():
	case <-late.C:
		return fmt.Errorf("consume %s of %s: what is in hand did not end %v after it was told to", info.Name, info.Stream, drainGrace)
	}
	if gone {
		return fmt.Errorf("consume %s of %s: the consumer or the connection is gone", info.Name, info.Stream)
	}
	return nil
}

const (
	defaultDrain = 10 * time.Second
	drainGrace   = 2 * time.Second // for a handler to notice that its context ended
)

// untilGone returns false when ctx ends, and true when the consumer is no longer the one that c was.
func (b *Bus) untilGone(ctx context.Context, c jetstream.Consumer, cc jetstream.ConsumeContext, doubt <-chan struct{}) bool {
	was := c.CachedInfo()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-cc.Closed():
			return ctx.Err() == nil
		case <-doubt:
			// A client that asks a consumer which was deleted before hears only that nobody answers, and one whose request
			// was lost with the old consumer hears nothing from the new one before its heartbeats are missed.
			is, err := b.JS.Consumer(ctx, was.Stream, was.Name)
			if isGone(err) || err == nil && !is.CachedInfo().Created.Equal(was.Created) {
				return true
			}
		}
	}
}

func isGone(err error) bool {
	return errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound)
}

type worker struct {
	bus      *Bus
	log      zerolog.Logger
	stream   string
	name     string
	ackWait  time.Duration
	o        Consuming
	h        Handler
	stopping <-chan struct{} // closed when the consumer is to stop: ends a pause early
}

func (w *worker) handle(ctx context.Context, m jetstream.Msg) {
	if w.o.Seen != nil {
		w.o.Seen()
	}
	meta, err := m.Metadata()
	if err != nil { // not a JetStream message: nothing can be acknowledged
		w.log.Error().Err(err).Msg("delivery without metadata")
		return
	}
	d := &Delivery{Delivered: meta.NumDelivered, Consumer: w.name, msg: m, Stored: Stored{
		Subject: m.Subject(), Seq: meta.Sequence.Stream, Time: meta.Timestamp, Header: m.Headers(), Data: m.Data()}}
	stop := w.keepAlive(m)
	defer stop()
	log := w.log.With().Uint64("stream_seq", d.Seq).Logger()
	err = w.h(log.WithContext(ctx), d)
	v := Judge(err, d.Delivered)
	if v.Verb == Bury {
		if err := w.bury(ctx, d, v.Reason, err); err != nil {
			v = Verdict{Verb: Retry, After: Backoff(d.Delivered)}
		}
	}
	if v.Verb == Retry {
		log.Warn().Err(err).Dur("after", v.After).Uint64("delivered", d.Delivered).Msg("will retry")
		w.pause(v.After)
	}
	stop()
	if err := w.answer(ctx, m, v); err != nil && !errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
		log.Warn().Err(err).Msg("acknowledge; the message will come again")
	}
}

// keepAlive tells the broker that we are at it, every third of AckWait.
func (w *worker) keepAlive(m jetstream.Msg) (stop func()) {
	done := make(chan struct{})
	var once sync.Once
	var wg sync.WaitGroup
	wg.Go(func() {
		t := time.NewTicker(max(w.ackWait/3, 10*time.Millisecond))
		defer t.Stop()
		for {
			select {
			case <-done:
				return
			case <-t.C:
				if err := m.InProgress(); err != nil {
					w.log.Debug().Err(err).Msg("in progress")
				}
			}
		}
	})
	return func() { once.Do(func() { close(done) }); wg.Wait() }
}

// pause keeps the message here while it waits for its next try: given back with
// a delay, it would block its lane just the same, and could come back to another
// replica out of order.
func (w *worker) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.stopping: // another replica goes on
	}
}

func (w *worker) answer(ctx context.Context, m jetstream.Msg, v Verdict) error {
	switch {
	case v.Verb == Retry:
		return m.Nak()
	case w.o.Confirm:
		ctx, cancel := context.WithTimeout(ctx, w.bus.timeout)
		defer cancel()
		return m.DoubleAck(ctx)
	}
	return m.Ack()
}

func (w *worker) bury(ctx context.Context, d *Delivery, reason string, cause error) error {
	return w.bus.Bury(ctx, events.Dead{Service: w.o.Service, Reason: reason, Detail: cause.Error(), Stream: w.stream,
		Seq: d.Seq, Subject: d.Subject, Header: d.Header, Payload: d.Data, At: d.Time})
}

// ConsumeDoorbells consumes every lane of doorbells until ctx ends, also lanes
// that are made later or made again. It returns an error when there is none.
func (b *Bus) ConsumeDoorbells(ctx context.Context, o Consuming, h Handler) error {
	return b.consumeLanes(ctx, events.StreamCallback, laneSync, o, h)
}

// ConsumeCommands does the same with the lanes of sends, recalls and transfers.
func (b *Bus) ConsumeCommands(ctx context.Context, o Consuming, h Handler) error {
	return b.consumeLanes(ctx, events.StreamCommand, laneSend, o, h)
}

// ConsumeReplies does the same with the lanes of replies to events.
func (b *Bus) ConsumeReplies(ctx context.Context, o Consuming, h Handler) error {
	return b.consumeLanes(ctx, events.StreamCommand, laneReply, o, h)
}

// ConsumeDurable consumes one durable by name.
func (b *Bus) ConsumeDurable(ctx context.Context, stream, durable string, o Consuming, h Handler) error {
	c, err := b.JS.Consumer(ctx, stream, durable)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("consumer %s of %s: %w", durable, stream, Classify(err))
	}
	return b.Consume(ctx, c, o, h)
}
