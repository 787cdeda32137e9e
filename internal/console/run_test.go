package console

import (
	"context"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
)

func TestRunWaitsForTheBucket(t *testing.T) {
	c := newConsole(t)
	c.cfg.Bus = testkit.Connect(t, testkit.NATS(t), "console") // nothing on it yet
	c.pause = 10 * time.Millisecond
	waits := make(chan struct{}, 1)
	c.cfg.Log = zerolog.New(zerolog.NewTestWriter(t)).Hook(zerolog.HookFunc(func(*zerolog.Event, zerolog.Level, string) {
		select {
		case waits <- struct{}{}:
		default:
		}
	}))
	ctx, cancel := context.WithCancel(testkit.Context(t))
	ran := make(chan error, 1)
	go func() { ran <- c.Run(ctx) }()
	<-waits // it said so
	if _, err := c.cfg.Bus.Apply(ctx, testkit.Small()); err != nil {
		t.Fatal(err)
	}
	must(t, c.cfg.Bus.Put(ctx, events.BucketConversations, events.ConversationKey(corp, kfID, ann), oneLine(events.Conversation{}), 0))
	testkit.Eventually(t, "the conversation", func() bool {
		list, _, _ := c.feed.since(0)
		for _, e := range list {
			if e.name == "conversation" {
				return true
			}
		}
		return false
	})
	cancel()
	if err := <-ran; err != nil {
		t.Errorf("got %v after a clean stop, want nil", err)
	}
	if !c.feed.isClosed() {
		t.Error("the feed is still open")
	}
}

func TestRunStopsWhileItWaits(t *testing.T) {
	c := newConsole(t)
	c.cfg.Bus = testkit.Connect(t, testkit.NATS(t), "console")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Run(ctx); err != nil {
		t.Errorf("got %v, want nil", err)
	}
}

func TestRunNeedsAConnection(t *testing.T) {
	c := newConsole(t)
	c.cfg.Bus = testkit.Connect(t, testkit.NATS(t), "console")
	c.cfg.Bus.NC.Close()
	if err := c.Run(t.Context()); err == nil {
		t.Error("got nil on a closed connection, want an error")
	}
}

// A page that is opened later sees what the simulator did before Run.
func TestRunReadsTheJournalFromItsStart(t *testing.T) {
	w := newWorld(t)
	testkit.Eventually(t, "the corp, the account, two customers and a servicer", func() bool { return len(w.console.steps(t)) == 5 })
}
