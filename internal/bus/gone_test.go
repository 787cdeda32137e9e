package bus_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
)

func TestConsumeEndsWhenItsConsumerIsGone(t *testing.T) {
	b, _ := testkit.Bus(t)
	ctx := testkit.Context(t)
	ended := make(chan error, 1)
	handled := make(chan struct{}, 1)
	go func() {
		ended <- b.ConsumeDoorbells(ctx, bus.Consuming{Service: "syncer"}, func(context.Context, *bus.Delivery) error {
			handled <- struct{}{}
			return nil
		})
	}()
	if _, _, err := b.Publish(ctx, doorbell(t, "wk1")); err != nil {
		t.Fatal(err)
	}
	<-handled
	if err := b.JS.DeleteConsumer(ctx, events.StreamCallback, "sync-1"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("got nil, want an error: nobody told it to stop")
		}
	case <-ctx.Done():
		t.Fatal("it waits for a consumer that is gone")
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
