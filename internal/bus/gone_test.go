package bus_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
)

// lanesOf consumes doorbells as a service does, and tells which accounts it heard of.
func lanesOf(t *testing.T, ctx context.Context, b *bus.Bus) (heard func(account string)) {
	t.Helper()
	rung := make(chan string, 64)
	ctx, end := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil { // a service begins again whatever fails
			_ = b.ConsumeDoorbells(ctx, bus.Consuming{Service: "syncer"}, func(_ context.Context, d *bus.Delivery) error {
				s, err := d.Published()
				if err == nil {
					rung <- s.Account
				}
				return err
			})
		}
	})
	t.Cleanup(func() { end(); done.Wait() })
	return func(account string) {
		t.Helper()
		if _, _, err := b.Publish(ctx, doorbell(t, account)); err != nil {
			t.Fatal(err)
		}
		for got := ""; got != account; { // others may come again: what was acknowledged to a consumer that is gone
			select {
			case got = <-rung:
			case <-ctx.Done():
				t.Fatalf("nobody answers the doorbell of %s", account)
			}
		}
	}
}

// waiting returns when somebody waits for messages of a lane.
func waiting(t *testing.T, ctx context.Context, b *bus.Bus, name string) {
	t.Helper()
	testkit.Eventually(t, "a worker of "+name, func() bool {
		c, err := b.JS.Consumer(ctx, events.StreamCallback, name)
		return err == nil && c.CachedInfo().NumWaiting > 0
	})
}

// accounts are in all four lanes of the small topology.
var accounts = []string{"wk1", "wk2", "wk3", "wk4", "wk5", "wk6", "wk7", "wk8"}

// TestLanesThatAreMadeOneAfterTheOther: between two of them a lane has a worker already and the next one is not there.
func TestLanesThatAreMadeOneAfterTheOther(t *testing.T) {
	t.Parallel()
	b, _ := testkit.Bus(t)
	ctx := testkit.Context(t)
	heard := lanesOf(t, ctx, b)
	for _, account := range accounts {
		heard(account)
	}
	if err := b.JS.DeleteStream(ctx, events.StreamCallback); err != nil {
		t.Fatal(err)
	}
	top := testkit.Small()
	if _, err := b.JS.CreateStream(ctx, top.Streams()[0]); err != nil {
		t.Fatal(err)
	}
	for _, c := range top.Consumers() {
		if c.Stream != events.StreamCallback {
			continue
		}
		if _, err := b.JS.CreateConsumer(ctx, c.Stream, c.ConsumerConfig); err != nil {
			t.Fatal(err)
		}
		waiting(t, ctx, b, c.Durable)
	}
	for _, account := range accounts {
		heard(account)
	}
}

func TestLaneThatIsAddedLater(t *testing.T) {
	t.Parallel()
	b, _ := testkit.Bus(t)
	ctx := testkit.Context(t)
	if err := b.JS.DeleteConsumer(ctx, events.StreamCallback, "sync-3"); err != nil {
		t.Fatal(err)
	}
	heard := lanesOf(t, ctx, b)
	waiting(t, ctx, b, "sync-2")
	if _, err := b.Apply(ctx, testkit.Small()); err != nil {
		t.Fatal(err)
	}
	for _, account := range accounts {
		heard(account)
	}
}

func TestOneLaneThatIsMadeAgainDisturbsNoOther(t *testing.T) {
	t.Parallel()
	b, _ := testkit.Bus(t)
	ctx := testkit.Context(t)
	heard := lanesOf(t, ctx, b)
	for range 3 {
		if err := b.JS.DeleteConsumer(ctx, events.StreamCallback, "sync-1"); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Apply(ctx, testkit.Small()); err != nil {
			t.Fatal(err)
		}
		for _, account := range accounts {
			heard(account)
		}
	}
}

func TestConsumeDoesNotWaitForAHandlerForEver(t *testing.T) {
	b, _ := testkit.Bus(t)
	ctx := testkit.Context(t)
	c, err := b.JS.Consumer(ctx, events.StreamCallback, "sync-0")
	if err != nil {
		t.Fatal(err)
	}
	inHand, deaf := make(chan struct{}), make(chan struct{})
	defer close(deaf)
	stop, end := context.WithCancel(ctx)
	defer end()
	ended := make(chan error, 1)
	go func() {
		ended <- b.Consume(stop, c, bus.Consuming{Drain: time.Millisecond}, func(context.Context, *bus.Delivery) error {
			close(inHand)
			<-deaf // it does not look at its context
			return nil
		})
	}()
	for _, account := range accounts {
		if _, _, err := b.Publish(ctx, doorbell(t, account)); err != nil {
			t.Fatal(err)
		}
	}
	<-inHand
	end()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("got nil, want an error that says so")
		}
	case <-ctx.Done():
		t.Fatal("it waits for a handler that does not end")
	}
}

func TestConsumeOfAConsumerThatWasDeleted(t *testing.T) {
	b, _ := testkit.Bus(t)
	ctx := testkit.Context(t)
	c, err := b.JS.Consumer(ctx, events.StreamCallback, "sync-0")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.JS.DeleteConsumer(ctx, events.StreamCallback, "sync-0"); err != nil {
		t.Fatal(err)
	}
	if err := b.Consume(ctx, c, bus.Consuming{}, nil); err == nil || ctx.Err() != nil {
		t.Errorf("got %v, want an error at once", err)
	}
}

func TestBuryWithoutStream(t *testing.T) {
	b, _ := testkit.Bus(t)
	ctx := testkit.Context(t)
	for _, payload := range []string{"one", "two", "one"} { // the third is a repetition
		if err := b.Bury(ctx, events.Dead{Service: "syncer", Reason: "too_large", Subject: "kf.message.ww1.wk1.text.wm1", Payload: []byte(payload)}); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for from := uint64(1); ; n++ {
		s, err := b.Next(ctx, events.StreamDead, from, "kf.dead.>")
		if errors.Is(err, bus.ErrNotFound) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		from = s.Seq + 1
	}
	if n != 2 {
		t.Errorf("got %d dead letters, want 2", n)
	}
}

// TestBuryKeepsTheOriginal: payload and headers, up to their limits, and it says when something is missing.
func TestBuryKeepsTheOriginal(t *testing.T) {
	b, _ := testkit.Bus(t)
	ctx := testkit.Context(t)
	for i, c := range []struct {
		name            string
		payload, header int
		keeps, headers  int
		cut             bool
	}{
		{"at the limits", 64 << 10, 8<<10 - 1, 64 << 10, 1, false},
		{"a byte more of payload", 64<<10 + 1, 1, 64 << 10, 1, true},
		{"a byte more of headers", 1, 8 << 10, 1, 0, true},
		{"no headers", 1, -1, 1, 0, false},
	} {
		d := events.Dead{Service: "sender", Reason: "invalid", Stream: events.StreamCommand, Seq: uint64(i + 1),
			Payload: bytes.Repeat([]byte{0xff}, c.payload)}
		if c.header >= 0 {
			d.Header = map[string][]string{"K": {strings.Repeat("v", c.header)}}
		}
		if err := b.Bury(ctx, d); err != nil {
			t.Fatal(err)
		}
		s, err := b.Last(ctx, events.StreamDead, "kf.dead.sender.invalid")
		if err != nil {
			t.Fatal(err)
		}
		e, err := s.Event()
		if err != nil {
			t.Fatal(err)
		}
		var got events.Dead
		if err := e.DataAs(&got); err != nil || len(got.Payload) != c.keeps || len(got.Header) != c.headers || got.Cut != c.cut {
			t.Errorf("%s: got %d bytes, %d headers, cut %t, %v", c.name, len(got.Payload), len(got.Header), got.Cut, err)
		}
	}
}
