// Package testkit is what tests of several packages share. Only _test.go files
// import it.
package testkit

import (
	"context"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/localnats"
)

// Patience is how long a test waits for something that must happen: long enough
// for a busy machine under the race detector, and never waited out by a test
// that passes.
const Patience = 30 * time.Second

// Context ends with the test, or after Patience.
func Context(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	t.Cleanup(cancel)
	return ctx
}

// NATS starts a server for one test and stops it at its end.
func NATS(t testing.TB, opts ...func(*localnats.Options)) *localnats.Server {
	t.Helper()
	o := localnats.Options{Dir: t.TempDir()}
	for _, f := range opts {
		f(&o)
	}
	s, err := localnats.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Small is a topology with few lanes, quick to make.
func Small() bus.Topology {
	t := bus.DefaultTopology()
	t.CallbackLanes, t.CommandLanes, t.ReplyLanes = 4, 4, 2
	return t
}

// Connect opens a connection that closes with the test.
func Connect(t testing.TB, s *localnats.Server, name string) *bus.Bus {
	t.Helper()
	b, err := bus.Connect(bus.Config{URL: s.URL()}, name, zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel), s.InProcess())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.NC.Close)
	return b
}

// Bus starts a server with the Small topology and connects to it.
func Bus(t testing.TB) (*bus.Bus, *localnats.Server) {
	t.Helper()
	s := NATS(t)
	b := Connect(t, s, t.Name())
	if _, err := b.Apply(Context(t), Small()); err != nil {
		t.Fatal(err)
	}
	return b, s
}

// Eventually waits for something that no channel tells of, asking again and
// again; what is asked must be cheap.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	EventuallyWithin(t, Patience, what, ok)
}

// EventuallyWithin is Eventually with another patience.
func EventuallyWithin(t testing.TB, patience time.Duration, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited %v for %s", patience, what)
		case <-tick.C:
		}
	}
}
