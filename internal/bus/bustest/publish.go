package bustest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
)

func thirdDoorbell(t *testing.T, env Env) {
	b := env.Start(t)
	ctx := Context(t)
	for i := range 2 {
		if _, _, err := b.Publish(ctx, Doorbell(t, "wk1")); err != nil {
			t.Fatalf("doorbell %d: %v", i, err)
		}
	}
	_, _, err := b.Publish(ctx, Doorbell(t, "wk1"))
	if !errors.Is(err, bus.ErrCovered) || errors.Is(err, bus.ErrFull) {
		t.Errorf("third: got %v, want ErrCovered", err)
	}
	if _, _, err := b.Publish(ctx, Doorbell(t, "wk2")); err != nil {
		t.Errorf("another account: %v", err)
	}
}

func fullStream(t *testing.T, env Env) {
	b := env.Start(t)
	ctx := Context(t)
	editStream(t, b, events.StreamMessage, func(c *jetstream.StreamConfig) { c.MaxMsgs = 3 })
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

func foreignClient(t *testing.T, env Env) {
	b := env.Start(t)
	nc, err := nats.Connect(env.URL) // any client, over TCP
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	sub, err := nc.SubscribeSync("kf.message.>")
	if err != nil {
		t.Fatal(err)
	}
	// In a cluster a flush reaches the client's own server only; subscriptions travel on in order.
	if _, err := nc.Subscribe("there", func(m *nats.Msg) { _ = m.Respond(nil) }); err != nil {
		t.Fatal(err)
	}
	Eventually(t, "its subscription to be known to our server", func() bool {
		_, err := b.NC.Request("there", nil, time.Second)
		return err == nil
	})
	if _, _, err := b.Publish(Context(t), message("wk1", "m1", 7)); err != nil {
		t.Fatal(err)
	}
	m, err := sub.NextMsg(Patience)
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
