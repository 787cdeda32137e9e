package bus_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
)

func TestOpenObject(t *testing.T) {
	b, _ := testkit.Bus(t)
	ctx := testkit.Context(t)
	store, err := b.JS.ObjectStore(ctx, events.BucketMedia)
	if err != nil {
		t.Fatal(err)
	}
	file := bytes.Repeat([]byte("kf"), 200_000)
	for _, name := range []string{"whole", "a part is gone", "the end is gone"} { // as another client stores them
		if _, err := store.Put(ctx, jetstream.ObjectMeta{Name: name}, bytes.NewReader(file)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := b.JS.Stream(ctx, "OBJ_"+events.BucketMedia)
	if err != nil {
		t.Fatal(err)
	}
	info, err := store.GetInfo(ctx, "a part is gone")
	if err != nil {
		t.Fatal(err)
	}
	part, err := b.Next(ctx, "OBJ_"+events.BucketMedia, 1, "$O."+events.BucketMedia+".C."+info.NUID)
	if err == nil {
		err = s.DeleteMsg(ctx, part.Seq)
	}
	if err == nil {
		info, err = store.GetInfo(ctx, "the end is gone")
	}
	if err != nil {
		t.Fatal(err)
	}
	last, err := b.Last(ctx, "OBJ_"+events.BucketMedia, "$O."+events.BucketMedia+".C."+info.NUID)
	if err == nil {
		err = s.DeleteMsg(ctx, last.Seq)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, ok := range map[string]bool{"whole": true, "a part is gone": false, "the end is gone": false} {
		_, r, err := b.OpenObject(ctx, events.BucketMedia, name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if whole := err == nil && bytes.Equal(got, file); whole != ok || err == nil && !whole {
			t.Errorf("%s: got %d bytes, %v; want %v", name, len(got), err, ok)
		}
	}
	for _, bucket := range []string{events.BucketMedia, "nothing", "a.b", "", "x y", "*"} {
		if _, _, err := b.OpenObject(ctx, bucket, "none"); !errors.Is(err, bus.ErrNotFound) {
			t.Errorf("an object that is not in %q: got %v, want ErrNotFound", bucket, err)
		}
	}
}
