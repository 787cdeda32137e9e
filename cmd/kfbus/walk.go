package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/bus"
)

const (
	// readAhead is how many messages wait in memory at most; one may be 2 MiB.
	readAhead = 128

	// walkIdle is how long nothing comes before the broker is asked whether anything will: what it had for us may have
	// passed the stream's age meanwhile.
	walkIdle = time.Second
)

// walk hands to f, in order, what a stream holds now on the filters of cfg, until f wants no more or there is none. left
// is how many come after m, about. What is stored after the walk began is not handed out. It reads only what the filters
// match, and survives the loss of its consumer and of the connection. It ends with ctx's error when ctx does.
func walk(ctx context.Context, b *bus.Bus, stream string, cfg jetstream.OrderedConsumerConfig, f func(m bus.Stored, left uint64) (more bool, err error)) error {
	st, err := b.JS.Stream(ctx, stream)
	if err != nil {
		return fmt.Errorf("read %s: %w", stream, bus.Classify(err))
	}
	end := st.CachedInfo().State.LastSeq
	for {
		last, err := stride(ctx, st, cfg, end, f)
		if !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return err
		}
		if last > 0 {
			cfg.DeliverPolicy, cfg.OptStartSeq, cfg.OptStartTime = jetstream.DeliverByStartSequencePolicy, last+1, nil
		}
	}
}

// stride is a walk with one consumer. Where that is lost it returns [jetstream.ErrConsumerNotFound] and the last sequence
// that was handed out: the client itself notices such a loss only while it waits longer than its heartbeat.
func stride(ctx context.Context, st jetstream.Stream, cfg jetstream.OrderedConsumerConfig, end uint64,
	f func(m bus.Stored, left uint64) (more bool, err error)) (last uint64, err error) {
	wrong := func(err error) error {
		return fmt.Errorf("read %s: %w", st.CachedInfo().Config.Name, bus.Classify(err))
	}
	oc, err := st.OrderedConsumer(ctx, cfg)
	if err != nil {
		return 0, wrong(err)
	}
	if oc.CachedInfo().NumPending == 0 {
		return 0, nil
	}
	it, err := oc.Messages(jetstream.PullMaxMessages(readAhead))
	if err != nil {
		return 0, wrong(err)
	}
	defer it.Stop()
	for drained := false; ; {
		m, err := it.Next(jetstream.NextMaxWait(walkIdle))
		switch {
		case ctx.Err() != nil:
			return last, ctx.Err()
		case errors.Is(err, nats.ErrTimeout):
			if drained {
				return last, nil
			}
			info, err := oc.Info(ctx)
			if errors.Is(err, jetstream.ErrConsumerNotFound) {
				return last, err
			}
			drained = err == nil && info.NumPending == 0 // what was on its way is here at the next turn
			continue
		case err != nil:
			return last, wrong(err)
		}
		drained = false
		meta, err := m.Metadata()
		if err != nil {
			return last, wrong(err)
		}
		if meta.Sequence.Stream > end {
			return last, nil
		}
		last = meta.Sequence.Stream
		more, err := f(bus.Stored{Subject: m.Subject(), Seq: last, Time: meta.Timestamp, Header: m.Headers(), Data: m.Data()}, meta.NumPending)
		if err != nil || !more || meta.NumPending == 0 {
			return last, err
		}
	}
}
