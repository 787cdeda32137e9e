package bustest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
)

func timerIsDueOnce(t *testing.T, env Env) {
	b := env.Start(t)
	ctx := Context(t)
	at := time.Now().Add(time.Second)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // arming again replaces
		must(b.Arm(ctx, bus.ServiceSyncer, "ww1.wk1", at, []byte("again")))
	}
	must(b.ArmUnlessSet(ctx, bus.ServiceSyncer, "ww1.wk1", time.Now(), []byte("instead"))) // one is set
	got := make(chan string, 4)
	stop, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		done <- b.ConsumeDurable(stop, events.StreamTimer, bus.DurableDueSyncer, bus.Consuming{Service: "syncer"},
			func(_ context.Context, d *bus.Delivery) error {
				if time.Now().Before(at) {
					t.Errorf("%q is due %v early", d.Data, time.Until(at))
				}
				got <- string(d.Data)
				return nil
			})
	}()
	for _, want := range []string{"again", "after"} {
		select {
		case body := <-got:
			if body != want {
				t.Errorf("got %q, want %q", body, want)
			}
		case <-ctx.Done():
			t.Fatalf("%q is not due", want)
		}
		if want == "again" { // its timer is gone
			must(b.ArmUnlessSet(ctx, bus.ServiceSyncer, "ww1.wk1", time.Now(), []byte("after")))
		}
	}
	cancel()
	must(<-done)
	if len(got) != 0 {
		t.Error("due twice")
	}
}

func laneHasOneWorker(t *testing.T, env Env) {
	b := env.Start(t)
	ctx := Context(t)
	const n = 40
	for i := range n {
		if _, _, err := b.Publish(ctx, Doorbell(t, fmt.Sprint("wk", i))); err != nil {
			t.Fatal(err)
		}
	}
	stop, cancel := context.WithCancel(ctx)
	var mu sync.Mutex
	busy, seen := map[string]bool{}, map[string]int{}
	all := make(chan struct{})
	handle := func(_ context.Context, d *bus.Delivery) error {
		mu.Lock()
		if busy[d.Consumer] {
			t.Errorf("lane %s has two workers", d.Consumer)
		}
		busy[d.Consumer] = true
		seen[d.Subject]++
		last := len(seen) == n
		mu.Unlock()
		if sub, err := d.Published(); err != nil || sub.Kind != events.KindCallback {
			t.Errorf("subject %s: got %v, %v", d.Subject, sub, err)
		}
		mu.Lock()
		busy[d.Consumer] = false
		mu.Unlock()
		if last {
			close(all)
		}
		return nil
	}
	var wg sync.WaitGroup
	for i := range 3 { // replicas
		r := env.Connect(t, fmt.Sprint("replica", i))
		wg.Go(func() {
			if err := r.ConsumeDoorbells(stop, bus.Consuming{Service: "syncer"}, handle); err != nil {
				t.Error(err)
			}
		})
	}
	select {
	case <-all:
	case <-ctx.Done():
		t.Fatal("not all doorbells came")
	}
	cancel()
	wg.Wait()
	for s, k := range seen {
		if k != 1 {
			t.Errorf("%s came %d times", s, k)
		}
	}
}

func poisonIsBuried(t *testing.T, env Env) {
	b := env.Start(t)
	ctx := Context(t)
	if _, _, err := b.Publish(ctx, Doorbell(t, "wk1")); err != nil {
		t.Fatal(err)
	}
	stop, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := b.ConsumeDoorbells(stop, bus.Consuming{Service: "syncer"}, func(context.Context, *bus.Delivery) error {
			return bus.Drop("broken", errors.New("nothing to be done"))
		}); err != nil {
			t.Error(err)
		}
	})
	var dead bus.Stored
	Eventually(t, "the dead letter", func() bool {
		var err error
		dead, err = b.Last(ctx, events.StreamDead, events.DeadSubject("syncer", "broken"))
		return err == nil
	})
	e, err := dead.Event()
	if err != nil {
		t.Fatal(err)
	}
	var letter events.Dead
	if err := e.DataAs(&letter); err != nil || letter.Stream != events.StreamCallback || len(letter.Payload) == 0 || letter.Header[events.ContentTypeHeader] == nil || letter.Detail != "nothing to be done" {
		t.Errorf("got %+v, %v", letter, err)
	}
	waitEmpty(t, b, events.StreamCallback)
	cancel()
	wg.Wait()
}

func failedComesAgain(t *testing.T, env Env) {
	b := env.Start(t)
	ctx := Context(t)
	for i := range 3 {
		m := own(t, events.CommandSubject("t", "ww1", "wk1", "send", "wm1"), fmt.Sprint("c", i), "x.y", map[string]int{"n": i})
		if _, _, err := b.Publish(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	stop, cancel := context.WithCancel(ctx)
	var order []string
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		err := b.ConsumeCommands(stop, bus.Consuming{Service: "sender", Confirm: true}, func(_ context.Context, d *bus.Delivery) error {
			e, err := d.Event()
			if err != nil {
				return err
			}
			order = append(order, fmt.Sprintf("%s/%d", e.ID(), d.Delivered))
			if e.ID() == "c0" && d.Delivered == 1 {
				return bus.After(time.Millisecond, errors.New("not yet"))
			}
			if e.ID() == "c2" {
				close(done)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	select {
	case <-done:
	case <-ctx.Done():
	}
	cancel()
	wg.Wait()
	if got, want := strings.Join(order, " "), "c0/1 c0/2 c1/1 c2/1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func stopFinishes(t *testing.T, env Env) {
	b := env.Start(t)
	ctx := Context(t)
	if _, _, err := b.Publish(ctx, Doorbell(t, "wk1")); err != nil {
		t.Fatal(err)
	}
	stop, cancel := context.WithCancel(ctx)
	started, finish := make(chan struct{}), make(chan struct{})
	result := make(chan error, 1)
	go func() {
		result <- b.ConsumeDoorbells(stop, bus.Consuming{Service: "syncer"}, func(ctx context.Context, _ *bus.Delivery) error {
			close(started)
			<-finish
			return ctx.Err() // nil: the work's context outlives the consumer's
		})
	}()
	select {
	case <-started:
	case <-ctx.Done():
		t.Fatal("the doorbell did not come")
	}
	cancel()
	close(finish)
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	waitEmpty(t, b, events.StreamCallback)
}

func stopAtStart(t *testing.T, env Env) {
	b := env.Start(t)
	ctx, cancel := context.WithCancel(Context(t))
	cancel()
	handle := func(context.Context, *bus.Delivery) error { return nil }
	if err := b.ConsumeCommands(ctx, bus.Consuming{Service: "sender"}, handle); err != nil {
		t.Errorf("lanes: got %v, want nil", err)
	}
	if err := b.ConsumeDurable(ctx, events.StreamTimer, bus.DurableDueSyncer, bus.Consuming{Service: "syncer"}, handle); err != nil {
		t.Errorf("a durable: got %v, want nil", err)
	}
}

func keepAlive(t *testing.T, env Env) {
	b := env.Connect(t, t.Name())
	ctx := Context(t)
	top := env.Topology()
	top.AckWait = 2 * time.Second
	if _, err := b.Apply(ctx, top); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Publish(ctx, Doorbell(t, "wk1")); err != nil {
		t.Fatal(err)
	}
	stop, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	entered := make(chan uint64, 4)
	for i := range 2 {
		r := env.Connect(t, fmt.Sprint("replica", i))
		wg.Go(func() {
			if err := r.ConsumeDoorbells(stop, bus.Consuming{Service: "syncer"}, func(ctx context.Context, d *bus.Delivery) error {
				entered <- d.Delivered
				timer := time.NewTimer(4500 * time.Millisecond) // longer than AckWait: what is tested
				defer timer.Stop()
				select {
				case <-timer.C:
				case <-ctx.Done():
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	waitEmpty(t, b, events.StreamCallback)
	cancel()
	wg.Wait()
	if len(entered) != 1 {
		t.Errorf("delivered %d times, want 1", len(entered))
	}
}
