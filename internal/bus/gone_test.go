package bus_test

import (
	"context"
	"errors"
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
