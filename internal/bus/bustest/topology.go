package bustest

import (
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
)

func services() []string {
	return []string{"ingress", "syncer", "sender", "tokenkeeper", bus.ServiceMedia}
}

func applyRepeats(t *testing.T, env Env) {
	ctx := Context(t)
	b := env.Connect(t, t.Name())
	want := env.Topology()

	if diffs, err := b.Check(ctx, want); err != nil || len(diffs) == 0 {
		t.Fatalf("before apply: got %v, %v; want differences", diffs, err)
	}
	for _, service := range services() {
		if diffs, err := b.Assert(ctx, service); err != nil || len(diffs) == 0 {
			t.Errorf("%s before apply: got %v, %v; want what is missing", service, diffs, err)
		}
	}
	for range 2 { // twice: safe to repeat
		if _, err := b.Apply(ctx, want); err != nil {
			t.Fatal(err)
		}
	}
	if diffs, err := b.Check(ctx, want); err != nil || len(diffs) != 0 {
		t.Fatalf("after apply: got %v, %v", diffs, err)
	}
	for _, service := range services() {
		if diffs, err := b.Assert(ctx, service); err != nil || len(diffs) != 0 {
			t.Errorf("%s after apply: got %v, %v", service, diffs, err)
		}
	}
}

func checkFindsDrift(t *testing.T, env Env) {
	b := env.Start(t)
	ctx := Context(t)
	editStream(t, b, events.StreamMessage, func(c *jetstream.StreamConfig) {
		c.AllowAtomicPublish = false
		c.Discard = jetstream.DiscardOld
		c.Compression = jetstream.S2Compression
	})
	editStream(t, b, events.StreamCallback, func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 })
	if err := b.JS.DeleteConsumer(ctx, events.StreamCommand, "send-0"); err != nil {
		t.Fatal(err)
	}
	if err := b.JS.DeleteObjectStore(ctx, events.BucketMedia); err != nil {
		t.Fatal(err)
	}
	diffs, err := b.Check(ctx, env.Topology())
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(diffs, "\n")
	for _, want := range []string{"KF_MESSAGE: atomic publish is false, want true", "KF_MESSAGE: discard", "KF_MESSAGE: compression",
		"KF_CALLBACK: messages per subject is 1, want 2", "send-0 of KF_COMMAND is missing", "object store kf_media is missing"} {
		if !strings.Contains(got, want) {
			t.Errorf("missing %q in:\n%s", want, got)
		}
	}
	if diffs, err := b.Assert(ctx, "sender"); err != nil || len(diffs) == 0 {
		t.Errorf("the sender's own check: got %v, %v; want differences", diffs, err)
	}
}

func editStream(t testing.TB, b *bus.Bus, name string, change func(*jetstream.StreamConfig)) {
	t.Helper()
	ctx := Context(t)
	s, err := b.JS.Stream(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	c := s.CachedInfo().Config
	change(&c)
	if _, err := b.JS.UpdateStream(ctx, c); err != nil {
		t.Fatal(err)
	}
}

func unknownVerb(t *testing.T, env Env) {
	b := env.Start(t)
	_, _, err := b.Publish(Context(t), own(t, "kf.command.t.ww1.wk1.dance.wm1", "c1", "x.y", map[string]int{}))
	if !errors.Is(err, bus.ErrNoStream) {
		t.Errorf("got %v, want ErrNoStream", err)
	}
}
