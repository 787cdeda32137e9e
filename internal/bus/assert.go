package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/pkg/events"
)

// Uses is what one service relies on.
type Uses struct {
	Streams, Buckets, Objects []string
	Consumers                 []Durable
}

// Durable names a consumer of a stream.
type Durable struct{ Stream, Name string }

// UsesOf returns what a service relies on. Of lanes it names the first: how many
// there are is the operator's choice.
func UsesOf(service string) Uses {
	switch service {
	case "ingress":
		return Uses{Streams: []string{events.StreamCallback, events.StreamMessage}}
	case ServiceSyncer:
		return Uses{
			Streams:   []string{events.StreamCallback, events.StreamMessage, events.StreamTimer},
			Buckets:   []string{events.BucketTokens, events.BucketThrottle},
			Consumers: []Durable{{events.StreamCallback, laneSync + "0"}, {events.StreamTimer, DurableDueSyncer}},
		}
	case ServiceSender:
		return Uses{
			Streams: []string{events.StreamMessage, events.StreamCommand, events.StreamOutcome, events.StreamTimer},
			Buckets: []string{events.BucketTokens, events.BucketLedger, events.BucketConversations, events.BucketThrottle},
			Consumers: []Durable{{events.StreamCommand, laneSend + "0"}, {events.StreamCommand, laneReply + "0"},
				{events.StreamMessage, DurableInbox}, {events.StreamTimer, DurableDueSender}, {events.StreamTimer, DurableDueWindow}},
		}
	case ServiceMedia:
		return Uses{
			Streams: []string{events.StreamMessage, events.StreamTimer}, Objects: []string{events.BucketMedia},
			Consumers: []Durable{{events.StreamMessage, DurableMedia}, {events.StreamTimer, DurableDueMedia}},
		}
	case "tokenkeeper":
		return Uses{Buckets: []string{events.BucketTokens}}
	}
	return Uses{}
}

// Assert compares what a service relies on with what the broker holds and
// returns a line for each difference. Replicas, sizes and the number of lanes are
// the operator's choice and are not compared.
func (b *Bus) Assert(ctx context.Context, service string) ([]string, error) {
	t, use := DefaultTopology(), UsesOf(service)
	var diffs []string
	add := func(d []string, err error) error {
		diffs = append(diffs, d...)
		return err
	}
	for _, want := range t.Streams() {
		if !slices.Contains(use.Streams, want.Name) {
			continue
		}
		if s, err := b.JS.Stream(ctx, want.Name); err == nil && want.SubjectTransform != nil && s.CachedInfo().Config.SubjectTransform != nil {
			want.SubjectTransform = s.CachedInfo().Config.SubjectTransform
		}
		if err := add(b.checkStream(ctx, want)); err != nil {
			return nil, err
		}
	}
	for _, want := range t.Buckets() {
		if !slices.Contains(use.Buckets, want.Bucket) {
			continue
		}
		if err := add(b.checkBucket(ctx, want)); err != nil {
			return nil, err
		}
	}
	for _, want := range t.Objects() {
		if !slices.Contains(use.Objects, want.Bucket) {
			continue
		}
		if err := add(b.checkObjects(ctx, want)); err != nil {
			return nil, err
		}
	}
	for _, d := range use.Consumers {
		switch _, err := b.JS.Consumer(ctx, d.Stream, d.Name); {
		case errors.Is(err, jetstream.ErrConsumerNotFound), errors.Is(err, jetstream.ErrStreamNotFound):
			diffs = append(diffs, missingConsumer(d.Name, d.Stream))
		case err != nil:
			return nil, fmt.Errorf("check consumer %s of %s: %w", d.Name, d.Stream, Classify(err))
		}
	}
	return diffs, nil
}

// WaitAsserted asks again after each pause until nothing differs or ctx ends, and
// hands every answer to report. Services start in any order and never make
// streams themselves.
func (b *Bus) WaitAsserted(ctx context.Context, service string, pause time.Duration, report func(diffs []string, err error)) error {
	for {
		diffs, err := b.Assert(ctx, service)
		report(diffs, err)
		if err == nil && len(diffs) == 0 {
			return nil
		}
		if err := wait(ctx, pause); err != nil {
			return err
		}
	}
}

// wait returns nil after d, or the error of ctx if that ends first.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
