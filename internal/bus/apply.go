package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/pkg/events"
)

// Apply makes what is missing and changes what differs. It never deletes: a lane
// too many stays until somebody removes it. Safe to repeat; run it as a job with
// an administrator's credentials, before the services start.
//
// It returns a line for each thing made or changed.
func (b *Bus) Apply(ctx context.Context, t Topology) ([]string, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	var done []string
	for _, want := range t.Streams() {
		verb, err := b.applyStream(ctx, want)
		if err != nil {
			return done, fmt.Errorf("stream %s: %w", want.Name, err)
		}
		if verb != "" {
			done = append(done, verb+" stream "+want.Name)
		}
	}
	for _, want := range t.Buckets() {
		if _, err := b.JS.CreateOrUpdateKeyValue(ctx, want); err != nil {
			return done, fmt.Errorf("bucket %s: %w", want.Bucket, err)
		}
	}
	for _, want := range t.Objects() {
		if _, err := b.JS.CreateOrUpdateObjectStore(ctx, want); err != nil {
			return done, fmt.Errorf("object store %s: %w", want.Bucket, err)
		}
	}
	for _, want := range t.Consumers() {
		if _, err := b.JS.CreateOrUpdateConsumer(ctx, want.Stream, want.ConsumerConfig); err != nil {
			return done, fmt.Errorf("consumer %s of %s: %w", want.Durable, want.Stream, err)
		}
	}
	return append(done, fmt.Sprintf("%d streams, %d buckets and %d consumers are as wanted",
		len(t.Streams()), len(t.Buckets())+len(t.Objects()), len(t.Consumers()))), nil
}

func (b *Bus) applyStream(ctx context.Context, want jetstream.StreamConfig) (string, error) {
	s, err := b.JS.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		_, err = b.JS.CreateStream(ctx, want)
		return "made", err
	}
	if err != nil {
		return "", err
	}
	have := s.CachedInfo().Config
	if len(diffStream(want, have)) == 0 {
		return "", nil
	}
	want.Metadata = have.Metadata
	_, err = b.JS.UpdateStream(ctx, want)
	return "changed", err
}

// Check compares what the broker holds with what is wanted and returns a line
// for each difference: none means all is well. Limits that an operator may
// tighten or widen freely are no difference.
func (b *Bus) Check(ctx context.Context, t Topology) ([]string, error) {
	var diffs []string
	for _, want := range t.Streams() {
		d, err := b.checkStream(ctx, want)
		if err != nil {
			return nil, err
		}
		diffs = append(diffs, d...)
	}
	for _, want := range t.Buckets() {
		d, err := b.checkBucket(ctx, want)
		if err != nil {
			return nil, err
		}
		diffs = append(diffs, d...)
	}
	for _, want := range t.Objects() {
		d, err := b.checkObjects(ctx, want)
		if err != nil {
			return nil, err
		}
		diffs = append(diffs, d...)
	}
	for _, want := range t.Consumers() {
		d, err := b.checkConsumer(ctx, want)
		if err != nil {
			return nil, err
		}
		diffs = append(diffs, d...)
	}
	return diffs, nil
}

func (b *Bus) checkStream(ctx context.Context, want jetstream.StreamConfig) ([]string, error) {
	s, err := b.JS.Stream(ctx, want.Name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return []string{"stream " + want.Name + " is missing; run kfbus topology apply"}, nil
	case err != nil:
		return nil, fmt.Errorf("check stream %s: %w", want.Name, Classify(err))
	}
	return diffStream(want, s.CachedInfo().Config), nil
}

func diffStream(want, have jetstream.StreamConfig) []string {
	var out []string
	differs := func(what string, w, h any) {
		if w != h {
			out = append(out, fmt.Sprintf("stream %s: %s is %v, want %v", want.Name, what, h, w))
		}
	}
	differs("retention", want.Retention, have.Retention)
	differs("discard", want.Discard, have.Discard)
	differs("discard per subject", want.DiscardNewPerSubject, have.DiscardNewPerSubject)
	differs("storage", want.Storage, have.Storage)
	differs("compression", want.Compression, have.Compression)
	differs("duplicate window", want.Duplicates, have.Duplicates)
	differs("atomic publish", want.AllowAtomicPublish, have.AllowAtomicPublish)
	differs("rollup", want.AllowRollup, have.AllowRollup)
	differs("message ttl", want.AllowMsgTTL, have.AllowMsgTTL)
	differs("message schedules", want.AllowMsgSchedules, have.AllowMsgSchedules)
	differs("subjects", joined(want.Subjects), joined(have.Subjects))
	differs("lanes", transform(want), transform(have))
	if want.MaxMsgsPerSubject > 0 {
		differs("messages per subject", want.MaxMsgsPerSubject, have.MaxMsgsPerSubject)
	}
	if have.Replicas < want.Replicas {
		differs("replicas", want.Replicas, have.Replicas)
	}
	if want.Name == events.StreamMessage && have.MaxAge != 0 && have.MaxAge < minMessageAge {
		differs("age", "at least "+minMessageAge.String(), have.MaxAge)
	}
	return out
}

func joined(s []string) string { return strings.Join(slices.Sorted(slices.Values(s)), " ") }

func transform(c jetstream.StreamConfig) string {
	if c.SubjectTransform == nil {
		return ""
	}
	return c.SubjectTransform.Destination
}

func (b *Bus) checkBucket(ctx context.Context, want jetstream.KeyValueConfig) ([]string, error) {
	name := "KV_" + want.Bucket
	s, err := b.JS.Stream(ctx, name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return []string{"bucket " + want.Bucket + " is missing; run kfbus topology apply"}, nil
	case err != nil:
		return nil, fmt.Errorf("check bucket %s: %w", want.Bucket, Classify(err))
	}
	have := s.CachedInfo().Config
	var out []string
	if have.MaxMsgsPerSubject != int64(want.History) {
		out = append(out, fmt.Sprintf("bucket %s: history is %d, want %d", want.Bucket, have.MaxMsgsPerSubject, want.History))
	}
	if have.Replicas < want.Replicas {
		out = append(out, fmt.Sprintf("bucket %s: replicas is %d, want %d", want.Bucket, have.Replicas, want.Replicas))
	}
	if want.TTL > 0 && have.MaxAge != 0 && have.MaxAge < want.TTL {
		out = append(out, fmt.Sprintf("bucket %s: age is %v, want %v", want.Bucket, have.MaxAge, want.TTL))
	}
	return out, nil
}

func (b *Bus) checkObjects(ctx context.Context, want jetstream.ObjectStoreConfig) ([]string, error) {
	s, err := b.JS.Stream(ctx, "OBJ_"+want.Bucket)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return []string{"object store " + want.Bucket + " is missing; run kfbus topology apply"}, nil
	case err != nil:
		return nil, fmt.Errorf("check object store %s: %w", want.Bucket, Classify(err))
	}
	var out []string
	if have := s.CachedInfo().Config; have.Replicas < want.Replicas {
		out = append(out, fmt.Sprintf("object store %s: replicas is %d, want %d", want.Bucket, have.Replicas, want.Replicas))
	}
	return out, nil
}

func (b *Bus) checkConsumer(ctx context.Context, want Consumer) ([]string, error) {
	c, err := b.JS.Consumer(ctx, want.Stream, want.Durable)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound), errors.Is(err, jetstream.ErrStreamNotFound):
		return []string{missingConsumer(want.Durable, want.Stream)}, nil
	case err != nil:
		return nil, fmt.Errorf("check consumer %s of %s: %w", want.Durable, want.Stream, Classify(err))
	}
	have := c.CachedInfo().Config
	var out []string
	differs := func(what string, w, h any) {
		if w != h {
			out = append(out, fmt.Sprintf("consumer %s of %s: %s is %v, want %v", want.Durable, want.Stream, what, h, w))
		}
	}
	differs("messages in hand", want.MaxAckPending, have.MaxAckPending)
	differs("ack wait", want.AckWait, have.AckWait)
	differs("deliveries", want.MaxDeliver, have.MaxDeliver)
	differs("filter", joined(filters(want.ConsumerConfig)), joined(filters(have)))
	return out, nil
}

func filters(c jetstream.ConsumerConfig) []string {
	if c.FilterSubject != "" {
		return []string{c.FilterSubject}
	}
	return c.FilterSubjects
}

func missingConsumer(name, stream string) string {
	return fmt.Sprintf("consumer %s of %s is missing; run kfbus topology apply", name, stream)
}
