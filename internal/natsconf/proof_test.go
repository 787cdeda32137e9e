package natsconf_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/natsconf"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
)

// put publishes as somebody who may, and fails the test if it is not stored.
func (b *broker) put(c *bus.Bus, subject string, headers ...string) *jetstream.PubAck {
	b.Helper()
	ack, err := c.JS.PublishMsg(testkit.Context(b.T), message(subject, headers...))
	if err != nil {
		b.Fatalf("publish %s: %v", subject, err)
	}
	return ack
}

func message(subject string, headers ...string) *nats.Msg {
	m := &nats.Msg{Subject: subject, Data: []byte("{}"), Header: nats.Header{}}
	for i := 0; i < len(headers); i += 2 {
		m.Header.Set(headers[i], headers[i+1])
	}
	return m
}

// TestNobodyElseWipesABucket: with the right to write one key goes the right to wipe its bucket.
func TestNobodyElseWipesABucket(t *testing.T) {
	b := newBroker(t)
	writers := map[string]string{events.BucketTokens: natsconf.Tokenkeeper, events.BucketLedger: natsconf.Sender,
		events.BucketConversations: natsconf.Sender}
	for bucket, writer := range writers {
		for n := range 11 {
			b.put(b.admin, fmt.Sprintf("$KV.%s.ww1.wkA.wm%d", bucket, n))
		}
		wipe := "$KV." + bucket + ".ww1.wkA.wm0"
		for _, id := range b.ids {
			if id.Name == writer || id.Name == natsconf.Admin {
				continue
			}
			c := b.as(id.Name)
			if err := c.NC.PublishMsg(message(wipe, "Nats-Rollup", "all")); err != nil {
				t.Fatal(err)
			}
			if err := c.NC.FlushTimeout(testkit.Patience); err != nil {
				t.Fatal(err)
			}
			if n := b.messages("KV_"+bucket, "$KV."+bucket+".>"); n != 11 {
				t.Fatalf("%s left %d of 11 keys in %s", id.Name, n, bucket)
			}
		}
		b.put(b.as(writer), wipe, "Nats-Rollup", "all")
		if n := b.messages("KV_"+bucket, "$KV."+bucket+".>"); n != 1 {
			t.Errorf("its writer left %d keys in %s, want 1: this test would not see a wipe", n, bucket)
		}
	}
}

// TestATeamCannotWipeCommands: a team may publish in KF_COMMAND, but not roll it up.
func TestATeamCannotWipeCommands(t *testing.T) {
	b := newBroker(t)
	for n := range 5 {
		b.put(b.as("team-billing"), fmt.Sprintf("kf.command.billing.ww1.wkB.send.wm%d", n))
	}
	for _, kind := range []string{"all", "sub"} {
		_, err := b.as("team-orders").JS.PublishMsg(testkit.Context(t), message("kf.command.orders.ww1.wkA.send.wm0", "Nats-Rollup", kind))
		if err == nil {
			t.Errorf("a rollup %s of the commands was taken", kind)
		}
	}
	if n := b.messages(events.StreamCommand, "kf.lane.command.>"); n != 5 {
		t.Errorf("%d of 5 commands are left", n)
	}
}

// TestAnothersIDSilencesNobody: who publishes another team's command id first takes nothing from it but the stream's window of
// 0.1 s. The sender tells commands apart by team and id.
func TestAnothersIDSilencesNobody(t *testing.T) {
	b := newBroker(t)
	orders, billing := b.as("team-orders"), b.as("team-billing")
	b.put(orders, "kf.command.orders.ww1.wkA.send.wm1", "Nats-Msg-Id", "b-1")
	testkit.Eventually(t, "billing's command of the same id to be stored", func() bool {
		return !b.put(billing, "kf.command.billing.ww1.wkB.send.wm1", "Nats-Msg-Id", "b-1").Duplicate
	})
	if n := b.messages(events.StreamCommand, "kf.lane.command.*.billing.>"); n != 1 {
		t.Errorf("%d commands of billing are stored, want 1", n)
	}
	s, err := b.admin.JS.Stream(testkit.Context(t), events.StreamCommand)
	if err != nil {
		t.Fatal(err)
	}
	if w := s.CachedInfo().Config.Duplicates; w > 100*time.Millisecond {
		t.Errorf("%s knows ids for %v, want the least the server allows, 100ms", events.StreamCommand, w)
	}
}

// TestNoReplySubjectStores: the server answers on the subject that a request names, whoever may publish there. A team
// that names a subject of ours must not have the answer stored, in any stream; in our own account it would be.
func TestNoReplySubjectStores(t *testing.T) {
	for _, c := range []struct {
		as     string
		stored bool
	}{{"team-orders", false}, {natsconf.Admin, true}} {
		b := newBroker(t)
		b.put(b.admin, "kf.message.ww1.wkA.text.wm1")
		b.put(b.admin, "$KV.kf_conversations.ww1.wkA.wm1")
		before := b.lastSeqs()
		before[events.StreamCommand] += b.answerInto(c.as)
		stored := false
		for stream, n := range b.lastSeqs() {
			stored = stored || n != before[stream]
			if n != before[stream] && !c.stored {
				t.Errorf("%s: %s holds %d messages, want %d: an answer was stored", c.as, stream, n, before[stream])
			}
		}
		if stored != c.stored {
			t.Errorf("%s: an answer was stored: %v, want %v", c.as, stored, c.stored)
		}
		if v := b.log.all(); len(v) > 0 {
			t.Errorf("the server refused a request that %s may make: %v", c.as, v)
		}
	}
}

// answerInto makes every kind of request that a team may make, with subjects of ours for the answer, and returns how many
// commands of its own it published.
func (b *broker) answerInto(identity string) (own uint64) {
	b.Helper()
	subject := func(s string) string {
		if identity == natsconf.Admin {
			return s
		}
		return natsconf.Local(s)
	}
	c := b.as(identity)
	for _, target := range []string{"kf.command.billing.ww1.wkB.send.wm9", "kf.outcome.billing.ww1.wkB.accepted.wm9", "kf.message.ww1.wkB.text.wm9",
		"kf.callback.ww1.wkB", "kf.dead.sender.x", "kf.due.sender.x", "$KV.kf_tokens.ww1.kf9", "$KV.kf_ledger.ww1.wkB.wm9", "$KV.kf_throttle.ww1.send_msg"} {
		for _, request := range []string{"$JS.API.CONSUMER.MSG.NEXT.KF_MESSAGE.team-orders", "$JS.API.CONSUMER.INFO.KF_MESSAGE.team-orders",
			"$JS.API.DIRECT.GET.KV_kf_conversations.$KV.kf_conversations.ww1.wkA.wm1", "kf.command.orders.ww1.wkA.send.wm1"} {
			if err := c.NC.PublishMsg(&nats.Msg{Subject: subject(request), Reply: target}); err != nil {
				b.Fatal(err)
			}
			if err := c.NC.FlushTimeout(testkit.Patience); err != nil {
				b.Fatalf("%s to %s: %v", request, target, err)
			}
		}
		own++
	}
	b.put(c, "kf.command.orders.ww1.wkA.send.wm2") // behind all of them
	return own + 1
}

// lastSeqs is how many messages each stream got since it was made.
func (b *broker) lastSeqs() map[string]uint64 {
	b.Helper()
	out := map[string]uint64{}
	l := b.admin.JS.ListStreams(context.Background())
	for s := range l.Info() {
		out[s.Config.Name] = s.State.LastSeq
	}
	if l.Err() != nil || len(out) == 0 {
		b.Fatalf("%d streams: %v", len(out), l.Err())
	}
	return out
}

// TestATeamAtWork: what a team does all day, with nothing refused.
func TestATeamAtWork(t *testing.T) {
	b := newBroker(t)
	ctx := testkit.Context(t)
	c := b.as("team-orders")
	js, err := jetstream.NewWithDomain(c.NC, natsconf.Domain)
	if err != nil {
		t.Fatal(err)
	}
	heard, err := c.NC.SubscribeSync("kf.message.ww1.wkA.>")
	if err != nil {
		t.Fatal(err)
	}
	views, err := c.NC.SubscribeSync("$KV.kf_conversations.ww1.wkA.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.NC.FlushTimeout(testkit.Patience); err != nil {
		t.Fatal(err)
	}
	b.put(b.admin, "kf.message.ww1.wkB.text.wm1") // not its own
	b.put(b.admin, "kf.message.ww1.wkA.text.wm1")
	b.put(b.admin, "kf.outcome.orders.ww1.wkA.accepted.wm1")
	b.put(b.admin, "$KV.kf_conversations.ww1.wkA.wm1")
	for _, s := range []*nats.Subscription{heard, views} {
		if _, err := s.NextMsgWithContext(ctx); err != nil {
			t.Errorf("listen to %s: %v", s.Subject, err)
		}
	}
	for stream, want := range map[string]string{events.StreamMessage: "kf.message.ww1.wkA.text.wm1", events.StreamOutcome: "kf.outcome.orders.ww1.wkA.accepted.wm1"} {
		d, err := js.Consumer(ctx, stream, "team-orders")
		if err != nil {
			t.Fatal(err)
		}
		m, err := d.Next(jetstream.FetchMaxWait(testkit.Patience))
		if err != nil {
			t.Fatal(err)
		}
		if m.Subject() != want {
			t.Errorf("%s gave %s, want %s", stream, m.Subject(), want)
		}
		if err := m.DoubleAck(ctx); err != nil {
			t.Errorf("acknowledge %s: %v", m.Subject(), err)
		}
	}
	view, err := c.NC.RequestWithContext(ctx, natsconf.Local("$JS.API.DIRECT.GET.KV_kf_conversations.$KV.kf_conversations.ww1.wkA.wm1"), nil)
	if err != nil || view.Header.Get("Nats-Sequence") == "" {
		t.Errorf("read its conversation: %v, %v", view, err)
	}
	b.put(c, "kf.command.orders.ww1.wkA.send.wm1", "Nats-Msg-Id", "o-1")
	if v := b.log.all(); len(v) > 0 {
		t.Errorf("refused: %v", v)
	}
}
