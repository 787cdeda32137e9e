package bustest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
)

// readFrom reads a key of the ledger at a revision or a later one: in a cluster
// the first answer may be a moment old.
func readFrom(t testing.TB, b *bus.Bus, key string, revision uint64) bus.Entry {
	t.Helper()
	ctx := Context(t)
	var e bus.Entry
	Eventually(t, fmt.Sprintf("revision %d of %s", revision, key), func() bool {
		var err error
		if e, err = b.Read(ctx, events.BucketLedger, key); err != nil {
			t.Fatal(err)
		}
		return e.Revision >= revision
	})
	return e
}

func swap(t *testing.T, env Env) {
	b := env.Start(t)
	ctx := Context(t)
	if e := readFrom(t, b, "a.b.c", 0); e.Value != nil || e.Revision != 0 {
		t.Fatalf("a key that never was: got %+v", e)
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
	if e := readFrom(t, b, "a.b.c", r2); string(e.Value) != "2" || e.Revision != r2 {
		t.Errorf("got %q at %d; want 2 at %d", e.Value, e.Revision, r2)
	}
	kv, err := b.JS.KeyValue(ctx, events.BucketLedger)
	if err != nil {
		t.Fatal(err)
	}
	if err := kv.Delete(ctx, "a.b.c"); err != nil {
		t.Fatal(err)
	}
	e := readFrom(t, b, "a.b.c", r2+1)
	if e.Value != nil {
		t.Fatalf("a deleted key: got %+v; want its marker's revision", e)
	}
	if _, err := b.Swap(ctx, events.BucketLedger, "a.b.c", []byte("3"), e.Revision, 0); err != nil {
		t.Errorf("write over a marker: %v", err)
	}
}

func racers(t *testing.T, env Env) {
	b := env.Start(t)
	ctx := Context(t)
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

func nextAndLast(t *testing.T, env Env) {
	b := env.Start(t)
	ctx := Context(t)
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
