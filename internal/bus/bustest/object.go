package bustest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
)

// file is n bytes that repeat nowhere.
func file(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

// held counts what an object store holds: names and pieces.
func held(t testing.TB, b *bus.Bus, what string) int {
	t.Helper()
	s, err := b.JS.Stream(Context(t), "OBJ_"+events.BucketMedia)
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(Context(t), jetstream.WithSubjectFilter("$O."+events.BucketMedia+"."+what+".>"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, of := range info.State.Subjects {
		n += int(of)
	}
	return n
}

func objectIsWhole(t *testing.T, env Env) {
	b := env.Start(t)
	ctx := Context(t)
	store, err := b.JS.ObjectStore(ctx, events.BucketMedia)
	if err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int{"empty": 0, "one byte": 1, "a piece": 128 << 10, "a piece and a byte": 128<<10 + 1, "多 pieces/.": 500_000} {
		want := file(size)
		sum := sha256.Sum256(want)
		o, err := b.StoreObject(ctx, events.BucketMedia, name, nats.Header{"Kf-Filename": {"合同.pdf"}}, bytes.NewReader(want))
		if err != nil || o.Size != uint64(size) || o.SHA256 != hex.EncodeToString(sum[:]) || o.Header.Get("Kf-Filename") != "合同.pdf" || o.Stored.IsZero() {
			t.Fatalf("%s: got %+v, %v", name, o, err)
		}
		got, err := store.GetBytes(ctx, name) // the client's own way, which checks the digest
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: the client reads %d bytes, %v; want %d", name, len(got), err, size)
		}
		o, r, err := b.OpenObject(ctx, events.BucketMedia, name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) || o.Size != uint64(len(want)) {
			t.Errorf("%s: read %d bytes of %d, %v; want %d", name, len(got), o.Size, err, len(want))
		}
		if _, err := b.StoreObject(ctx, events.BucketMedia, name, nil, bytes.NewReader([]byte("other"))); !errors.Is(err, bus.ErrConflict) {
			t.Errorf("%s: a second file under its name: got %v, want ErrConflict", name, err)
		}
	}
	if err := store.Delete(ctx, "one byte"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Object(ctx, events.BucketMedia, "one byte"); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("a deleted object: got %v, want ErrNotFound", err)
	}
	if _, err := b.StoreObject(ctx, events.BucketMedia, "one byte", nil, bytes.NewReader([]byte("again"))); err != nil {
		t.Errorf("after its deletion: got %v", err)
	}
}

// fails gives a few bytes and then an error, or does something.
type fails struct {
	n   int
	err error
	do  func()
}

func (f *fails) Read(p []byte) (int, error) {
	if f.n > 0 {
		n := min(f.n, len(p))
		f.n -= n
		return n, nil
	}
	if f.do != nil {
		f.do()
	}
	return 0, f.err
}

func objectNeverInPart(t *testing.T, env Env) {
	b := env.Start(t)
	ctx := Context(t)
	broken := errors.New("the source broke")
	if _, err := b.StoreObject(ctx, events.BucketMedia, "x", nil, &fails{n: 300_000, err: broken}); !errors.Is(err, broken) {
		t.Errorf("got %v, want the reader's own error", err)
	}
	for _, cut := range []error{io.ErrUnexpectedEOF, fmt.Errorf("from byte 7 on: %w", io.EOF)} {
		if _, err := b.StoreObject(ctx, events.BucketMedia, "x", nil, &fails{n: 300_000, err: cut}); !errors.Is(err, cut) {
			t.Errorf("got %v, want %v: a cut is no end", err, cut)
		}
	}
	if _, err := b.Object(ctx, events.BucketMedia, "x"); !errors.Is(err, bus.ErrNotFound) || held(t, b, "C") != 0 {
		t.Errorf("half a file is there: %v, %d pieces", err, held(t, b, "C"))
	}
	first := &fails{n: 200_000, err: io.EOF}
	first.do = func() { // somebody else is faster
		if _, err := b.StoreObject(ctx, events.BucketMedia, "x", nil, bytes.NewReader([]byte("theirs"))); err != nil {
			t.Error(err)
		}
	}
	if _, err := b.StoreObject(ctx, events.BucketMedia, "x", nil, first); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("got %v, want ErrConflict", err)
	}
	if o, err := b.Object(ctx, events.BucketMedia, "x"); err != nil || o.Size != 6 || held(t, b, "C") != 1 {
		t.Errorf("got %+v, %v, %d pieces; want theirs alone", o, err, held(t, b, "C"))
	}
}

func objectOnce(t *testing.T, env Env) {
	b := env.Start(t)
	ctx := Context(t)
	want := file(300_000)
	var mu sync.Mutex
	won := 0
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, err := b.StoreObject(ctx, events.BucketMedia, "x", nil, bytes.NewReader(want))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if !errors.Is(err, bus.ErrConflict) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won != 1 || held(t, b, "M") != 1 || held(t, b, "C") != 3 {
		t.Errorf("%d won, %d names and %d pieces; want 1, 1 and 3", won, held(t, b, "M"), held(t, b, "C"))
	}
}

// A broker that takes the name but not the bytes must not end up with a name that has none.
func objectFull(t *testing.T, env Env) {
	b := env.Start(t)
	ctx := Context(t)
	editStream(t, b, "OBJ_"+events.BucketMedia, func(c *jetstream.StreamConfig) { c.MaxBytes = 200_000 })
	if _, err := b.StoreObject(ctx, events.BucketMedia, "x", nil, bytes.NewReader(file(300_000))); !errors.Is(err, bus.ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
	if _, err := b.Object(ctx, events.BucketMedia, "x"); !errors.Is(err, bus.ErrNotFound) || held(t, b, "C") != 0 {
		t.Errorf("half a file is there: %v, %d pieces", err, held(t, b, "C"))
	}
}
