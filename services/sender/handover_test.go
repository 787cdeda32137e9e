package sender

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// handOver lets a human take the conversation over, which another app gave to the pool, and end it, and the customer write
// again: the platform allows the API to send, as before, and only the generation tells.
func (w *world) handOver() {
	w.Helper()
	api, err := kfapi.New(kfapi.Config{BaseURL: w.http.URL})
	w.must(err)
	w.pass(2 * time.Second)
	_, err = api.ServiceStateTrans(context.Background(), w.token, kfapi.ServiceStateTransRequest{OpenKfID: desk, ExternalUserID: ann, ServiceState: kfapi.StatePool})
	w.must(err)
	w.must(w.sim.PickUp(kfsim.ServicerAct{OpenKfID: desk, ExternalUserID: ann, UserID: "li"}))
	w.pass(2 * time.Second)
	w.must(w.sim.End(kfsim.ServicerAct{OpenKfID: desk, ExternalUserID: ann, UserID: "li"}))
	w.pass(2 * time.Second)
	w.says(ann)
}

// A late answer cannot leak out after a hand-over, whenever it is that the sender hears of that.
func TestLateAnswerCannotLeak(t *testing.T) {
	late := func(w *world) { w.command(events.VerbSend, ann, "late", with(text(), obj{"generation": 0})) }
	once := func(w *world, at string, do func(r *replica)) {
		r := w.make()
		var first sync.Once
		r.step = func(name string) {
			if name == at {
				first.Do(func() { do(r) })
			}
		}
		r.run()
		w.noted()
		late(w)
	}
	for name, run := range map[string]func(w *world){
		"the inbox has read of the takeover": func(w *world) {
			w.handOver()
			w.start()
			w.noted()
			late(w)
		},
		"it is stored after the command, and nobody has read of it": func(w *world) {
			pre := w.start()
			w.noted()
			pre.halt() // its ledger is there, and knows of no human
			pause := func(until time.Time) {
				_, err := w.bus.JS.PauseConsumer(w.ctx(), events.StreamMessage, bus.DurableInbox, until)
				w.must(err)
			}
			pause(time.Now().Add(time.Hour))
			late(w)
			w.handOver()
			w.start()
			w.await("late")
			pause(time.Now())
		},
		"it is read between the decision and its reservation": func(w *world) {
			once(w, "decided", func(*replica) { w.handOver(); w.noted() })
		},
		"it comes after the reservation, to a sender that stalls": func(w *world) {
			once(w, "reserved", func(r *replica) { w.handOver(); r.skew.Add(int64(1500 * time.Millisecond)) })
		},
		"its human still holds the conversation": func(w *world) {
			w.start()
			w.noted()
			w.command(events.VerbTransfer, ann, "li", obj{"service_state": 3, "servicer_userid": "li"})
			w.want("li", "accepted")
			late(w)
			w.want("late", "refused/generation")
			w.must(w.sim.End(kfsim.ServicerAct{OpenKfID: desk, ExternalUserID: ann, UserID: "li"}))
			w.pass(5 * time.Second)
			w.says(ann)
			w.noted()
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.servicers("li")
			w.says(ann)
			run(w)
			o := w.want("late", "refused/generation")
			if o.Generation == 0 || w.posts(apiSend) != 0 {
				t.Errorf("got generation %d and %d requests, want a new one and none", o.Generation, w.posts(apiSend))
			}
			w.command(events.VerbSend, ann, "new", with(text(), obj{"generation": o.Generation}))
			w.want("new", "accepted")
			w.audit("late", "new")
		})
	}
}

// Who waits for the human to end is not spared the fence, and who does not care is sent when they have ended.
func TestHeldAnswerCannotLeakEither(t *testing.T) {
	w := newWorld(t)
	w.servicers("li")
	w.says(ann)
	w.start()
	w.noted()
	w.command(events.VerbTransfer, ann, "pool", obj{"service_state": 2})
	old := w.want("pool", "accepted").Generation
	w.command(events.VerbSend, ann, "late", with(text(), obj{"in_human_session": "hold", "generation": old}))
	w.command(events.VerbSend, ann, "patient", with(text(), obj{"in_human_session": "hold"}))
	testkit.Eventually(t, "both to be put aside", func() bool { l, _ := w.ledger(ann); return len(l.Parked) == 2 })
	w.pass(2 * time.Second)
	w.must(w.sim.PickUp(kfsim.ServicerAct{OpenKfID: desk, ExternalUserID: ann, UserID: "li"}))
	w.pump()
	w.want("late", "refused/generation")
	if len(w.of("patient")) > 0 || w.posts(apiSend) != 0 {
		t.Error("sent while a human holds the conversation")
	}
	w.pass(2 * time.Second)
	w.must(w.sim.End(kfsim.ServicerAct{OpenKfID: desk, ExternalUserID: ann, UserID: "li"}))
	w.pass(2 * time.Second)
	w.says(ann)
	w.want("patient", "accepted")
	w.audit("pool", "late", "patient")
}
