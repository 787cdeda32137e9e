package bus_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/localnats"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
)

func doorbell(t testing.TB, account string) bus.Message {
	t.Helper()
	e, err := events.Own(account, "/test", events.TypeCallback, events.Doorbell{Corp: "ww1", OpenKfID: account})
	if err != nil {
		t.Fatal(err)
	}
	return bus.Message{Subject: events.CallbackSubject("ww1", account), Event: e}
}

func message(account, id string, seq uint64) bus.Message {
	in := events.Inbound{Corp: "ww1", OpenKfID: account, ExternalUserID: "wm1", MsgID: id, MsgType: "text", Seq: seq,
		Origin: 3, SendTime: 1700000000, Raw: json.RawMessage(`{"msgid":"` + id + `"}`)}
	return bus.Message{Subject: in.Subject(), Event: in.Event()}
}

func cursor(t testing.TB, account, value string, last uint64) bus.Message {
	t.Helper()
	e, err := events.Own(value, "/test", events.TypeCursor, events.Cursor{Cursor: value})
	if err != nil {
		t.Fatal(err)
	}
	return bus.Message{Subject: events.CursorSubject("ww1", account), Event: e, ExpectLast: &last, Rollup: true, TTL: bus.Forever}
}

func TestApply(t *testing.T) {
	ctx := testkit.Context(t)
	b := testkit.Connect(t, testkit.NATS(t), t.Name())
	want := testkit.Small()

	if diffs, err := b.Check(ctx, want); err != nil || len(diffs) == 0 {
		t.Fatalf("before apply: got %v, %v; want differences", diffs, err)
	}
	for _, service := range []string{"ingress", "syncer", "sender", "tokenkeeper"} {
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
	for _, service := range []string{"ingress", "syncer", "sender", "tokenkeeper"} {
		if diffs, err := b.Assert(ctx, service); err != nil || len(diffs) != 0 {
			t.Errorf("%s after apply: got %v, %v", service, diffs, err)
		}
	}
}

func TestCheckFindsDrift(t *testing.T) {
	b, _ := testkit.Bus(t)
	ctx := testkit.Context(t)
	edit := func(name string, change func(*jetstream.StreamConfig)) {
		t.Helper()
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
	edit(events.StreamMessage, func(c *jetstream.StreamConfig) { c.AllowAtomicPublish = false; c.Discard = jetstream.DiscardOld })
	edit(events.StreamCallback, func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 })
	if err := b.JS.DeleteConsumer(ctx, events.StreamCommand, "send-0"); err != nil {
		t.Fatal(err)
	}
	diffs, err := b.Check(ctx, testkit.Small())
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(diffs, "\n")
	for _, want := range []string{"KF_MESSAGE: atomic publish is false, want true", "KF_MESSAGE: discard",
		"KF_CALLBACK: messages per subject is 1, want 2", "send-0 of KF_COMMAND is missing"} {
		if !strings.Contains(got, want) {
			t.Errorf("missing %q in:\n%s", want, got)
		}
	}
	if diffs, err := b.Assert(ctx, "sender"); err != nil || len(diffs) == 0 {
		t.Errorf("the sender's own check: got %v, %v; want differences", diffs, err)
	}
}

func TestTopologyValidate(t *testing.T) {
	for name, change := range map[string]func(*bus.Topology){
		"two replicas":       func(t *bus.Topology) { t.Replicas = 2 },
		"no lanes":           func(t *bus.Topology) { t.CallbackLanes = 0 },
		"too many lanes":     func(t *bus.Topology) { t.CommandLanes = 513 },
		"more reply lanes":   func(t *bus.Topology) { t.ReplyLanes = t.CommandLanes + 1 },
		"messages too young": func(t *bus.Topology) { t.MessageAge = 72 * time.Hour },
		"no ack wait":        func(t *bus.Topology) { t.AckWait = 0 },
	} {
		top := bus.DefaultTopology()
		change(&top)
		if err := top.Validate(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := bus.DefaultTopology().Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
}

func TestThirdDoorbellIsCovered(t *testing.T) {
	b, _ := testkit.Bus(t)
	ctx := testkit.Context(t)
	for i := range 2 {
		if _, _, err := b.Publish(ctx, doorbell(t, "wk1")); err != nil {
			t.Fatalf("doorbell %d: %v", i, err)
		}
	}
	_, _, err := b.Publish(ctx, doorbell(t, "wk1"))
	if !errors.Is(err, bus.ErrCovered) || errors.Is(err, bus.ErrFull) {
		t.Errorf("third: got %v, want ErrCovered", err)
	}
	if _, _, err := b.Publish(ctx, doorbell(t, "wk2")); err != nil {
		t.Errorf("another account: %v", err)
	}
}

func TestFullStreamIsNotCovered(t *testing.T) {
	b, _ := testkit.Bus(t)
	ctx := testkit.Context(t)
	s, err := b.JS.Stream(ctx, events.StreamMessage)
	if err != nil {
		t.Fatal(err)
	}
	c := s.CachedInfo().Config
	c.MaxMsgs = 3
	if _, err := b.JS.UpdateStream(ctx, c); err != nil {
		t.Fatal(err)
	}
	page := func(last uint64, n int) []bus.Message {
		ms := []bus.Message{cursor(t, "wk1", fmt.Sprint("c", last), last)}
		for i := range n {
			ms = append(ms, message("wk1", fmt.Sprintf("m%d-%d", last, i), uint64(i)))
		}
		return ms
	}
	if _, err := b.PublishBatch(ctx, page(0, 2)); err != nil {
		t.Fatal(err)
	}
	cur, err := b.Last(ctx, events.StreamMessage, events.CursorSubject("ww1", "wk1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.PublishBatch(ctx, page(cur.Seq, 2)); !errors.Is(err, bus.ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
	again, err := b.Last(ctx, events.StreamMessage, events.CursorSubject("ww1", "wk1"))
	if err != nil || again.Seq != cur.Seq {
		t.Errorf("the cursor moved to %d, %v; want %d", again.Seq, err, cur.Seq)
	}
}

func TestBatchIsAllOrNothing(t *testing.T) {
	b, _ := testkit.Bus(t)
	ctx := testkit.Context(t)
	if _, err := b.PublishBatch(ctx, []bus.Message{cursor(t, "wk1", "c1", 0), message("wk1", "m1", 1), message("wk1", "m2", 2)}); err != nil {
		t.Fatal(err)
	}
	stale := []bus.Message{cursor(t, "wk1", "c2", 0), message("wk1", "m3", 3), message("wk1", "m4", 4)}
	if _, err := b.PublishBatch(ctx, stale); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("stale cursor: got %v, want ErrConflict", err)
	}
	alone := []bus.Message{cursor(t, "wk1", "c2", 0)}
	if _, err := b.PublishBatch(ctx, alone); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("stale cursor alone: got %v, want ErrConflict", err)
	}
	withID := []bus.Message{cursor(t, "wk1", "c2", 1), {Subject: "kf.message.ww1.wk1.text.wm1", Event: message("wk1", "m3", 3).Event, MsgID: "m3"}}
	if _, err := b.PublishBatch(ctx, withID); err == nil {
		t.Error("a batch with a message id was accepted")
	}
	tooMany := make([]bus.Message, bus.MaxBatch+1)
	if _, err := b.PublishBatch(ctx, tooMany); !errors.Is(err, bus.ErrBatchSize) {
		t.Errorf("1001 messages: got %v, want ErrBatchSize", err)
	}
	if got := stored(t, b, "kf.message.>"); got != 2 {
		t.Errorf("got %d messages, want 2", got)
	}
}

func TestBatchOfManyAndOfTwo(t *testing.T) {
	b, _ := testkit.Bus(t)
	ctx := testkit.Context(t)
	last := uint64(0)
	want := 0
	for _, n := range []int{1, 2, 999} {
		ms := []bus.Message{cursor(t, "wk1", fmt.Sprint(n), last)}
		for i := range n {
			ms = append(ms, message("wk1", fmt.Sprintf("m%d-%d", n, i), uint64(i)))
		}
		if _, err := b.PublishBatch(ctx, ms); err != nil {
			t.Fatalf("%d messages: %v", n, err)
		}
		want += n
		cur, err := b.Last(ctx, events.StreamMessage, "kf.cursor.ww1.wk1")
		if err != nil {
			t.Fatal(err)
		}
		last = cur.Seq
	}
	if got := stored(t, b, "kf.message.>"); got != want {
		t.Errorf("got %d messages, want %d", got, want)
	}
	if got := stored(t, b, "kf.cursor.>"); got != 1 {
		t.Errorf("got %d cursors, want 1: rollup", got)
	}
}

func stored(t testing.TB, b *bus.Bus, subject string) int {
	t.Helper()
	s, err := b.JS.Stream(testkit.Context(t), events.StreamMessage)
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(testkit.Context(t), jetstream.WithSubjectFilter(subject))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, c := range info.State.Subjects {
		n += int(c)
	}
	return n
}

func TestUnknownVerbFindsNoStream(t *testing.T) {
	b, _ := testkit.Bus(t)
	e, err := events.Own("c1", "/test", "x.y", map[string]int{})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = b.Publish(testkit.Context(t), bus.Message{Subject: "kf.command.t.ww1.wk1.dance.wm1", Event: e})
	if !errors.Is(err, bus.ErrNoStream) {
		t.Errorf("got %v, want ErrNoStream", err)
	}
}

func TestPublishWithoutBroker(t *testing.T) {
	s := testkit.NATS(t)
	b := testkit.Connect(t, s, t.Name())
	s.Close()
	testkit.Eventually(t, "the client to notice", func() bool { return !b.NC.IsConnected() })
	_, _, err := b.Publish(testkit.Context(t), doorbell(t, "wk1"))
	if !errors.Is(err, bus.ErrDisconnected) {
		t.Errorf("got %v, want ErrDisconnected: nothing was sent, so it is no unknown", err)
	}
}

func TestSwap(t *testing.T) {
	b, _ := testkit.Bus(t)
	ctx := testkit.Context(t)
	e, err := b.Read(ctx, events.BucketLedger, "a.b.c")
	if err != nil || e.Value != nil || e.Revision != 0 {
		t.Fatalf("a key that never was: got %+v, %v", e, err)
	}
	r1, err := b.Swap(ctx, events.BucketLedger, "a.b.c", []byte("1"), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Swap(ctx, events.BucketLedger, "a.b.c", []byte("2"), 0, 0); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("create over a value: got %v, want ErrConflict", err)
	}
	r2, err := b.Swap(ctx, events.BucketLedger, "a.b.c", []byte("2"), r1, time.Hour)
	if err != nil || r2 <= r1 {
		t.Fatalf("got %d, %v", r2, err)
	}
	e, err = b.Read(ctx, events.BucketLedger, "a.b.c")
	if err != nil || string(e.Value) != "2" || e.Revision != r2 {
		t.Errorf("got %q at %d, %v; want 2 at %d", e.Value, e.Revision, err, r2)
	}
	kv, err := b.JS.KeyValue(ctx, events.BucketLedger)
	if err != nil {
		t.Fatal(err)
	}
	if err := kv.Delete(ctx, "a.b.c"); err != nil {
		t.Fatal(err)
	}
	e, err = b.Read(ctx, events.BucketLedger, "a.b.c")
	if err != nil || e.Value != nil || e.Revision <= r2 {
		t.Fatalf("a deleted key: got %+v, %v; want its marker's revision", e, err)
	}
	if _, err := b.Swap(ctx, events.BucketLedger, "a.b.c", []byte("3"), e.Revision, 0); err != nil {
		t.Errorf("write over a marker: %v", err)
	}
}

func TestTwoRacersOneSwap(t *testing.T) {
	b, _ := testkit.Bus(t)
	ctx := testkit.Context(t)
	const racers = 16
	var wg sync.WaitGroup
	won := make(chan struct{}, racers)
	for range racers {
		wg.Go(func() {
			switch _, err := b.Swap(ctx, events.BucketLedger, "k", []byte("v"), 0, 0); {
			case err == nil:
				won <- struct{}{}
			case !errors.Is(err, bus.ErrConflict):
				t.Errorf("got %v, want ErrConflict", err)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Errorf("%d of %d won, want 1", len(won), racers)
	}
}

func TestNextAndLast(t *testing.T) {
	b, _ := testkit.Bus(t)
	ctx := testkit.Context(t)
	var seqs []uint64
	for i := range 3 {
		seq, _, err := b.Publish(ctx, message("wk1", fmt.Sprint("m", i), uint64(i)))
		if err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, seq)
	}
	const anyType = "kf.message.ww1.wk1.*.wm1"
	if s, err := b.Last(ctx, events.StreamMessage, anyType); err != nil || s.Seq != seqs[2] {
		t.Errorf("last: got %d, %v; want %d", s.Seq, err, seqs[2])
	}
	s, err := b.Next(ctx, events.StreamMessage, seqs[0]+1, anyType)
	if err != nil || s.Seq != seqs[1] {
		t.Errorf("next: got %d, %v; want %d", s.Seq, err, seqs[1])
	}
	if e, err := s.Event(); err != nil || e.ID() != "m1" {
		t.Errorf("its event: got %q, %v", e.ID(), err)
	}
	if _, err := b.Next(ctx, events.StreamMessage, seqs[2]+1, anyType); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("after the last: got %v, want ErrNotFound", err)
	}
	if _, err := b.Last(ctx, events.StreamMessage, "kf.message.ww1.wk1.*.nobody"); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("nobody's: got %v, want ErrNotFound", err)
	}
	for _, c := range []struct {
		name string
		t    time.Time
		want uint64 // 0: none
	}{
		{"since before the first", s.Time.Add(-time.Hour), seqs[0]},
		{"since the second sharp", s.Time, seqs[1]},
		{"since tomorrow", s.Time.Add(24 * time.Hour), 0},
	} {
		got, err := b.NextSince(ctx, events.StreamMessage, c.t, anyType)
		if got.Seq != c.want || (c.want == 0) != errors.Is(err, bus.ErrNotFound) {
			t.Errorf("%s: got %d, %v; want %d", c.name, got.Seq, err, c.want)
		}
	}
}

func TestTimerIsDueOnce(t *testing.T) {
	b, _ := testkit.Bus(t)
	ctx := testkit.Context(t)
	at := time.Now().Add(700 * time.Millisecond)
	for range 2 { // arming again replaces
		if err := b.Arm(ctx, bus.ServiceSyncer, "ww1.wk1", at, []byte("again")); err != nil {
			t.Fatal(err)
		}
	}
	got := make(chan time.Time, 4)
	stop, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		done <- b.ConsumeDurable(stop, events.StreamTimer, bus.DurableDueSyncer, bus.Consuming{Service: "syncer"},
			func(_ context.Context, d *bus.Delivery) error {
				if string(d.Data) != "again" {
					t.Errorf("got %q", d.Data)
				}
				got <- time.Now()
				return nil
			})
	}()
	select {
	case fired := <-got:
		if fired.Before(at) {
			t.Errorf("due %v early", at.Sub(fired))
		}
	case <-ctx.Done():
		t.Fatal("not due")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(got) != 0 {
		t.Error("due twice")
	}
}

func TestLaneHasOneWorker(t *testing.T) {
	b, s := testkit.Bus(t)
	ctx := testkit.Context(t)
	const n = 40
	for i := range n {
		m := doorbell(t, fmt.Sprint("wk", i))
		if _, _, err := b.Publish(ctx, m); err != nil {
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
		r := testkit.Connect(t, s, fmt.Sprint("replica", i))
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

func TestPoisonIsBuriedAndAcked(t *testing.T) {
	b, _ := testkit.Bus(t)
	ctx := testkit.Context(t)
	if _, _, err := b.Publish(ctx, doorbell(t, "wk1")); err != nil {
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
	testkit.Eventually(t, "the dead letter", func() bool {
		var err error
		dead, err = b.Last(ctx, events.StreamDead, events.DeadSubject("syncer", "broken"))
		return err == nil
	})
	e, err := dead.Event()
	if err != nil {
		t.Fatal(err)
	}
	var letter events.Dead
	if err := e.DataAs(&letter); err != nil || letter.Stream != events.StreamCallback || len(letter.Payload) == 0 || letter.Detail != "nothing to be done" {
		t.Errorf("got %+v, %v", letter, err)
	}
	testkit.Eventually(t, "an empty work queue", func() bool {
		s, err := b.JS.Stream(ctx, events.StreamCallback)
		return err == nil && s.CachedInfo().State.Msgs == 0
	})
	cancel()
	wg.Wait()
}

func TestFailedMessageComesAgainInItsPlace(t *testing.T) {
	b, _ := testkit.Bus(t)
	ctx := testkit.Context(t)
	for i := range 3 {
		e, err := events.Own(fmt.Sprint("c", i), "/test", "x.y", map[string]int{"n": i})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := b.Publish(ctx, bus.Message{Subject: events.CommandSubject("t", "ww1", "wk1", "send", "wm1"), Event: e}); err != nil {
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

func TestStopFinishesWhatIsInHand(t *testing.T) {
	b, _ := testkit.Bus(t)
	ctx := testkit.Context(t)
	if _, _, err := b.Publish(ctx, doorbell(t, "wk1")); err != nil {
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
	<-started
	cancel()
	close(finish)
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "its ack", func() bool {
		s, err := b.JS.Stream(ctx, events.StreamCallback)
		return err == nil && s.CachedInfo().State.Msgs == 0
	})
}

func TestKeepAliveOutlastsAckWait(t *testing.T) {
	s := testkit.NATS(t)
	b := testkit.Connect(t, s, t.Name())
	ctx := testkit.Context(t)
	top := testkit.Small()
	top.AckWait = time.Second
	if _, err := b.Apply(ctx, top); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Publish(ctx, doorbell(t, "wk1")); err != nil {
		t.Fatal(err)
	}
	stop, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	entered := make(chan uint64, 4)
	for i := range 2 {
		r := testkit.Connect(t, s, fmt.Sprint("replica", i))
		wg.Go(func() {
			if err := r.ConsumeDoorbells(stop, bus.Consuming{Service: "syncer"}, func(ctx context.Context, d *bus.Delivery) error {
				entered <- d.Delivered
				timer := time.NewTimer(2500 * time.Millisecond) // longer than AckWait: what is tested
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
	testkit.Eventually(t, "its ack", func() bool {
		s, err := b.JS.Stream(ctx, events.StreamCallback)
		return err == nil && s.CachedInfo().State.Msgs == 0
	})
	cancel()
	wg.Wait()
	if len(entered) != 1 {
		t.Errorf("delivered %d times, want 1", len(entered))
	}
}

func TestLocalStoreIsLocked(t *testing.T) {
	dir := t.TempDir()
	s, err := localnats.Start(localnats.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := localnats.Start(localnats.Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second server on the same store: got %v", err)
	}
}

func TestForeignClientSeesStructuredJSON(t *testing.T) {
	b, s := testkit.Bus(t)
	nc, err := nats.Connect(s.URL()) // any client, over TCP
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	sub, err := nc.SubscribeSync("kf.message.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Publish(testkit.Context(t), message("wk1", "m1", 7)); err != nil {
		t.Fatal(err)
	}
	m, err := sub.NextMsg(testkit.Patience)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Header.Get("Content-Type"); got != "application/cloudevents+json" {
		t.Errorf("content type %q", got)
	}
	want := `{"specversion":"1.0","id":"m1","source":"/wecom/ww1/kf/wk1","type":"io.github.kfbus.message.text.v1","subject":"wm1",` +
		`"time":"2023-11-14T22:13:20Z","dataschema":"https://kfbus.github.io/schemas/v1/message.text.json",` +
		`"externaluserid":"wm1","kforigin":"3","kfseq":"00000000000000000007","openkfid":"wk1","datacontenttype":"application/json","data":{"msgid":"m1"}}`
	if string(m.Data) != want {
		t.Errorf("got  %s\nwant %s", m.Data, want)
	}
}
