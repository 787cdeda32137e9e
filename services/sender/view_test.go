package sender

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfsim"
	"github.com/kfbus/kfbus/services/sender/window"
)

// shown waits for a view that is as it should be.
func (w *world) shown(user, what string, ok func(events.Conversation) bool) (c events.Conversation) {
	w.Helper()
	testkit.Eventually(w, "the view to tell "+what, func() bool {
		e, err := w.bus.Read(w.ctx(), events.BucketConversations, events.ConversationKey(corp, desk, user))
		w.must(err)
		c = events.Conversation{}
		return e.Value != nil && json.Unmarshal(e.Value, &c) == nil && ok(c)
	})
	return c
}

func TestViewTellsWhatATeamNeeds(t *testing.T) {
	w := newWorld(t)
	w.servicers("li", "zhang")
	w.says(ann)
	w.start()
	c := w.shown(ann, "the window", func(c events.Conversation) bool { return c.SendsLeft == 5 })
	items := w.sim.Items(desk)
	if m := c.LastMessage; m == nil || m.MsgID != itemID(t, items[0].Raw) || m.MsgType != "text" || !c.WindowEndsAt.Equal(m.At.Add(48*time.Hour)) ||
		c.LastSend != nil || c.Corp != corp || c.OpenKfID != desk || c.ExternalUserID != ann || c.Revision == 0 {
		t.Errorf("after the customer's first message: got %+v, last message %+v", c, c.LastMessage)
	}
	w.send(ann, "a")
	w.want("a", "accepted")
	c = w.shown(ann, "a send", func(c events.Conversation) bool { return c.LastSend != nil })
	if c.LastSend.MsgID != msgID(ann, "a") || c.SendsLeft != 4 || time.Since(c.LastSend.At).Abs() > time.Minute {
		t.Errorf("after a send: got %+v, last send %+v", c, c.LastSend)
	}
	w.must(w.sim.FailSend(kfsim.FailSend{OpenKfID: desk, MsgID: msgID(ann, "a"), FailType: 10}))
	w.pump()
	c = w.shown(ann, "that it did not arrive", func(c events.Conversation) bool { return c.LastSend == nil })
	if c.SendsLeft != 4 {
		t.Errorf("a message that the customer refuses keeps its place: got %d sends left, want 4", c.SendsLeft)
	}
	w.pass(10 * time.Second)
	_, err := w.sim.Say(kfsim.Say{OpenKfID: desk, ExternalUserID: ann, MsgType: "location", Body: json.RawMessage(`{"latitude":1,"longitude":2,"name":"` + canary + `","address":"x"}`)})
	w.must(err)
	w.pump()
	w.shown(ann, "a new window", func(c events.Conversation) bool { return c.SendsLeft == 5 && c.LastMessage.MsgType == "location" })

	w.command(events.VerbTransfer, ann, "pool", obj{"service_state": 2})
	w.want("pool", "accepted")
	w.shown(ann, "the pool", func(c events.Conversation) bool { return c.SessionState == 2 && c.Generation > 0 && c.Servicer == "" })
	w.must(w.sim.PickUp(kfsim.ServicerAct{OpenKfID: desk, ExternalUserID: ann, UserID: "li"}))
	w.pump()
	w.shown(ann, "who holds it", func(c events.Conversation) bool { return c.SessionState == 3 && c.Servicer == "li" })
	w.pass(2 * time.Second) // the customer's message of the same second would begin a new session
	w.must(w.sim.End(kfsim.ServicerAct{OpenKfID: desk, ExternalUserID: ann, UserID: "li"}))
	w.pump()
	last := w.shown(ann, "the end of the session", func(c events.Conversation) bool { return c.SessionState == 4 && c.Servicer == "" })

	raw, err := w.bus.Read(w.ctx(), events.BucketConversations, events.ConversationKey(corp, desk, ann))
	w.must(err)
	if text := string(raw.Value); strings.Contains(text, canary) || strings.Contains(text, `"`+team+`"`) {
		t.Errorf("the view holds a customer's words or a team's name: %s", text)
	}
	if l, revision := w.ledger(ann); last.Revision > revision || l.CustomerAt.Time() != last.LastMessage.At {
		t.Errorf("the view is of revision %d, the ledger of %d", last.Revision, revision)
	}
}

// A place that is held by a request without an answer is told of while it is.
func TestViewTellsOfARequestThatTakesLong(t *testing.T) {
	w := newWorld(t)
	w.says(ann)
	w.start()
	w.shown(ann, "the window", func(c events.Conversation) bool { return c.SendsLeft == 5 })
	release := make(chan struct{})
	var once sync.Once
	open := func() { once.Do(func() { close(release) }) }
	t.Cleanup(open)
	remove := w.sim.OnRequest(func(c kfsim.Call) {
		if c.Path == "kf/send_msg" {
			<-release
		}
	})
	defer remove()
	w.send(ann, "a")
	c := w.shown(ann, "the place that is held", func(c events.Conversation) bool { return c.SendsLeft == 4 })
	if c.LastSend != nil || len(w.of("a")) > 0 {
		t.Errorf("got %+v before there was an answer", c.LastSend)
	}
	open()
	w.shown(ann, "the answer", func(c events.Conversation) bool { return c.LastSend != nil })
}

// history makes the bucket keep every view, and returns all of a conversation's when asked.
func (w *world) history(user string) (all func() []events.Conversation) {
	w.Helper()
	const stream = "KV_" + events.BucketConversations
	w.stream(stream, func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1000 })
	return func() (list []events.Conversation) {
		w.Helper()
		for seq := uint64(1); ; {
			m, err := w.bus.Next(w.ctx(), stream, seq, "$KV."+events.BucketConversations+"."+events.ConversationKey(corp, desk, user))
			if errors.Is(err, bus.ErrNotFound) {
				return list
			}
			w.must(err)
			var c events.Conversation
			w.must(json.Unmarshal(m.Data, &c))
			list, seq = append(list, c), m.Seq+1
		}
	}
}

// However many senders tell of however old ledgers, and in whatever order, a view never goes back.
func TestViewNeverGoesBack(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 1))
	w := newWorld(t)
	a, b := w.make(), w.make()
	p := party{subject: events.Subject{Kind: events.KindMessage, Corp: corp, Account: desk, User: ann}, openKfID: desk, externalUserID: ann}
	var known []entry
	for i := range 40 {
		in, _, err := a.change(w.ctx(), p.subject.ConversationKey(), p.subject, func(l window.Ledger) (window.Ledger, bool) {
			if i%3 == 1 {
				return l.AgentWrote(time.Unix(1700000000+int64(i), 0))
			}
			l, _ = l.CustomerWrote(time.Now().Add(time.Duration(i-100)*time.Second), "m", uint64(i+1))
			return l, true
		})
		w.must(err)
		known = append(known, in)
	}
	all := w.history(ann)
	for i, in := range known { // each is told about when it was written, and perhaps much later again
		results := make(chan error)
		told := []entry{in, known[dice.IntN(i+1)], known[dice.IntN(i+1)], known[dice.IntN(i+1)]}
		dice.Shuffle(len(told), func(i, k int) { told[i], told[k] = told[k], told[i] })
		for n, old := range told {
			go func() { results <- []*replica{a, b}[n%2].tell(context.Background(), p, old) }()
		}
		for range told {
			w.must(<-results)
		}
	}
	list := all()
	for i := 1; i < len(list); i++ {
		if list[i].Revision < list[i-1].Revision || list[i].LastMessage.At.Before(list[i-1].LastMessage.At) {
			t.Errorf("view %d of revision %d follows one of %d", i, list[i].Revision, list[i-1].Revision)
		}
	}
	if last := list[len(list)-1]; !last.LastMessage.At.Equal(known[len(known)-1].CustomerAt.Time()) {
		t.Errorf("the last view is of %v, want %v", last.LastMessage.At, known[len(known)-1].CustomerAt.Time())
	}
	t.Logf("%d views of %d ledgers, told %d times", len(list), len(known), 4*len(known))
}

// Of one ledger the later moment wins, by what it tells and not by anybody's clock; and what tells nothing new is not written.
func TestViewOfOneLedger(t *testing.T) {
	w := newWorld(t)
	a := w.make()
	p := party{subject: events.Subject{Kind: events.KindMessage, Corp: corp, Account: desk, User: ann}, openKfID: desk, externalUserID: ann}
	in, _, err := a.change(w.ctx(), p.subject.ConversationKey(), p.subject, func(l window.Ledger) (window.Ledger, bool) {
		return l.CustomerWrote(time.Now().Add(-window.Length+time.Minute), "m", 1)
	})
	w.must(err)
	all := w.history(ann)
	for range 3 {
		w.must(a.tell(w.ctx(), p, in))
	}
	w.pass(2 * time.Minute)
	w.must(a.tell(w.ctx(), p, in))
	w.pass(-2 * time.Minute) // a clock that is behind
	w.must(a.tell(w.ctx(), p, in))
	list := all()
	if len(list) != 2 || list[0].SendsLeft != 5 || list[1].SendsLeft != 0 {
		t.Errorf("got %d views, %+v; want one with 5 sends left, then one with none", len(list), list)
	}
}

// A bucket of ledgers that was made again counts from 1: its views are not taken for old ones for ever.
func TestViewAfterTheLedgersWereMadeAnew(t *testing.T) {
	w := newWorld(t)
	w.says(ann)
	w.start()
	for _, id := range ids("c", 3) {
		w.send(ann, id)
		w.want(id, "accepted")
	}
	was := w.shown(ann, "three sends", func(c events.Conversation) bool { return c.SendsLeft == 2 })
	w.quiet()
	kv, err := w.bus.JS.KeyValue(w.ctx(), events.BucketLedger)
	w.must(err)
	status, err := kv.Status(w.ctx())
	w.must(err)
	cfg := status.(*jetstream.KeyValueBucketStatus).StreamInfo().Config
	w.must(w.bus.JS.DeleteKeyValue(w.ctx(), events.BucketLedger))
	_, err = w.bus.JS.CreateStream(w.ctx(), cfg)
	w.must(err)
	w.send(ann, "after")
	w.want("after", "accepted")
	c := w.shown(ann, "the fourth", func(c events.Conversation) bool { return c.SendsLeft == 1 })
	if c.Revision >= was.Revision {
		t.Errorf("the new bucket counts on from %d to %d, so this test shows nothing", was.Revision, c.Revision)
	}
}
