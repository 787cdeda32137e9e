package bustest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
)

func batchAllOrNothing(t *testing.T, env Env) {
	b := env.Start(t)
	ctx := Context(t)
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
	if err := lastOfABatch(ctx, b); !errors.Is(err, bus.ErrBatchCut) {
		t.Errorf("the last message of a batch whose first ones went to another leader: got %v, want ErrBatchCut", err)
	}
	if got := stored(t, b, "kf.message.>"); got != 2 {
		t.Errorf("got %d messages, want 2", got)
	}
}

// lastOfABatch publishes the third message of a batch that the server has never heard of, and returns its answer.
func lastOfABatch(ctx context.Context, b *bus.Bus) error {
	m, err := b.NC.RequestMsgWithContext(ctx, &nats.Msg{Subject: "kf.message.ww1.wk1.text.wm1", Data: []byte("{}"),
		Header: nats.Header{"Nats-Batch-Id": {"unheard"}, "Nats-Batch-Sequence": {"3"}, "Nats-Batch-Commit": {"1"}}})
	if err != nil {
		return err
	}
	var answer struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil || answer.Error == nil {
		return fmt.Errorf("it was stored: %s", m.Data)
	}
	return bus.Classify(answer.Error)
}

func batchSizes(t *testing.T, env Env) {
	b := env.Start(t)
	ctx := Context(t)
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
