package sender

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfsim"
	"github.com/kfbus/kfbus/services/sender/window"
)

// A welcome is not held up by what waits in the lanes of commands, however much it is and however slow the platform.
func TestWelcomeBeforeABacklog(t *testing.T) {
	t.Parallel()
	const bulk = 5000
	w := newWorld(t)
	open, err := json.Marshal(window.Ledger{CustomerAt: window.At(time.Now())})
	w.must(err)
	for _, path := range []string{"kf/send_msg", "kf/send_msg_on_event"} {
		_, err := w.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultLatency, Path: path, Delay: time.Second})
		w.must(err)
	}
	for i := range bulk {
		user := fmt.Sprint("wmBULK", i)
		w.customer(user)
		_, err := w.sim.CustomerSays(desk, user, canary)
		w.must(err)
		_, err = w.bus.JS.PublishAsync("$KV."+events.BucketLedger+"."+events.ConversationKey(corp, desk, user), open)
		w.must(err)
		_, err = w.bus.JS.PublishAsync(events.CommandSubject(team, corp, desk, events.VerbSend, user), []byte(fmt.Sprintf(`{"command_id":"bulk%d","msgtype":"text","text":{"content":"x"}}`, i)))
		w.must(err)
	}
	select {
	case <-w.bus.JS.PublishAsyncComplete():
	case <-w.ctx().Done():
		t.Fatal("the backlog is not stored")
	}
	w.pumped = len(w.sim.Items(desk)) // the ledgers know
	posted := make(chan time.Time, 1)
	defer w.sim.OnRequest(func(c kfsim.Call) {
		if c.Path == "kf/send_msg_on_event" {
			select {
			case posted <- time.Now():
			default:
			}
		}
	})()
	w.start()
	testkit.Eventually(t, "every lane to be busy", func() bool { return w.posts(apiSend) >= testkit.Small().CommandLanes })
	left := w.count(events.StreamCommand, ">")
	entered := time.Now()
	w.reply(ann, "welcome", w.enter(ann))
	w.want("welcome", "accepted")
	took := (<-posted).Sub(entered)
	if took >= codeLife {
		t.Errorf("the welcome was posted %v after the customer entered; its code lives %v", took, codeLife)
	}
	t.Logf("posted %v after the customer entered, with %d commands waiting", took.Round(time.Millisecond), left)
}

// A send, its recall, and the customer's message that allows it, in all orders: nothing stays with the customer, nothing is
// sent after its recall was answered, and each outcome is true.
func TestRecallInAllOrders(t *testing.T) {
	for _, c := range []struct{ order, send, recall string }{
		{"wrote send recall", "accepted", "recalled/"},
		{"wrote recall send", "cancelled/taken_back", "recalled/before_send"},
		{"send wrote recall", "refused/never_opened", "recalled/before_send"},
		{"send recall wrote", "refused/never_opened", "recalled/before_send"},
		{"recall wrote send", "cancelled/taken_back", "recalled/before_send"},
		{"recall send wrote", "cancelled/taken_back", "recalled/before_send"},
	} {
		t.Run(c.order, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.start()
			var first, second, third string
			_, err := fmt.Sscan(c.order, &first, &second, &third)
			w.must(err)
			for _, what := range []string{first, second, third} {
				switch what {
				case "wrote":
					w.says(ann)
					w.noted()
				case "send":
					w.send(ann, "s")
					w.want("s", c.send)
				case "recall":
					w.recall(ann, "r", "s")
					w.want("r", c.recall)
				}
			}
			w.audit("s", "r")
			for _, m := range w.sim.Accepted() {
				if m.RecalledAt.IsZero() {
					t.Errorf("the customer still sees %+v", m)
				}
			}
		})
	}
}

// A recall comes while its send is on its way to the platform: it waits for the answer, and takes the message back.
func TestRecallUnderWay(t *testing.T) {
	for name, fault := range map[string]kfsim.Fault{
		"slow":             {Kind: kfsim.FaultLatency, Delay: 1500 * time.Millisecond},
		"its answer lost":  {Kind: kfsim.FaultHTTP500After},
		"its effect late":  {Kind: kfsim.FaultLateEffect, Delay: 1500 * time.Millisecond},
		"its request lost": {Kind: kfsim.FaultResetBefore},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.says(ann)
			fault.Path, fault.Count = "kf/send_msg", 1
			_, err := w.sim.AddFault(fault)
			w.must(err)
			began := make(chan struct{})
			var once sync.Once
			defer w.sim.OnRequest(func(c kfsim.Call) {
				if c.Path == "kf/send_msg" {
					once.Do(func() { close(began) })
				}
			})()
			w.start()
			w.send(ann, "s")
			<-began
			w.recall(ann, "r", "s")
			w.want("r", "recalled/")
			w.want("s", "accepted")
			w.audit("s", "r")
		})
	}
}
