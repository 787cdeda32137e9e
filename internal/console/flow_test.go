package console

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

func TestFlowsJoin(t *testing.T) {
	var f flows
	first := f.join(byMsgID("m1"))
	if first == 0 {
		t.Fatal("a flow has number 0, which means none")
	}
	if got := f.join(byTrace("t1"), byMsgID("m1")); got != first {
		t.Errorf("same msgid: got flow %d, want %d", got, first)
	}
	if got := f.find(byTrace("t1")); got != first {
		t.Errorf("trace learned from the msgid: got %d, want %d", got, first)
	}
	second := f.join(byMsgID("m2"))
	if second == first {
		t.Error("another msgid: got the same flow")
	}
	if got := f.join(byTrace("t1"), byMsgID("m2")); got != first {
		t.Errorf("the trace comes first: got %d, want %d", got, first)
	}
	if got := f.find(byMsgID(""), byTrace(""), "", byMsgID("m3")); got != 0 {
		t.Errorf("empty and unknown ids: got %d, want 0", got)
	}
	f.join("", byTrace(""))
	if _, there := f.known.get(""); there {
		t.Error("the empty id has become known")
	}
	if a, b := f.join(""), f.join(""); a == b {
		t.Error("two things without any id share a flow")
	}
}

func TestFlowsWait(t *testing.T) {
	var f flows
	f.wait("ann", unsettled{"c1", 1})
	f.wait("ann", unsettled{"c2", 2})
	f.wait("bo", unsettled{"c3", 3})
	for _, c := range []struct {
		settled string
		want    uint64
	}{{"", 1}, {"c3", 1}, {"c1", 2}, {"c1", 2}, {"c2", 0}} {
		f.settle("ann", c.settled)
		if got := f.waiting("ann"); got != c.want {
			t.Errorf("after %q: got flow %d, want %d", c.settled, got, c.want)
		}
	}
	if got := f.waiting("bo"); got != 3 {
		t.Errorf("another conversation: got %d, want 3", got)
	}
	if len(f.pending) != 1 {
		t.Errorf("got %d conversations, want the settled one forgotten", len(f.pending))
	}
}

func TestFlowsAreBounded(t *testing.T) {
	var f flows
	for i := range 10 * maxPending {
		f.wait("one", unsettled{fmt.Sprint(i), uint64(i)})
		if n := len(f.pending["one"]); n > maxPending {
			t.Fatalf("%d commands wait, want %d at most", n, maxPending)
		}
	}
	if got := f.waiting("one"); got != 9*maxPending {
		t.Errorf("got flow %d, want that of the oldest that is kept, %d", got, 9*maxPending)
	}
	for i := range 10 * maxPending {
		f.wait(fmt.Sprint("conversation ", i), unsettled{"c", uint64(i)})
		if n := len(f.pending); n > maxPending+2 {
			t.Fatalf("%d conversations wait, want %d at most", n, maxPending+2)
		}
	}
}

func TestRecentForgets(t *testing.T) {
	var r recent[int]
	r.set("asked for", -1)
	for i := range 5 * generation {
		r.set(fmt.Sprint(i), i)
		if i%100 == 0 {
			if v, ok := r.get("asked for"); !ok || v != -1 {
				t.Fatalf("after %d others: what is asked for is forgotten", i)
			}
		}
	}
	if n := len(r.young) + len(r.old); n > 2*generation {
		t.Errorf("holds %d, want %d at most", n, 2*generation)
	}
	if _, ok := r.get("0"); ok {
		t.Error("the oldest is still there")
	}
	if _, ok := r.get(fmt.Sprint(4*generation + 1)); !ok {
		t.Error("one of the last generation is gone")
	}
	r.drop("asked for")
	if _, ok := r.get("asked for"); ok {
		t.Error("dropped, and still there")
	}
}

// One conversation after another, as bus and platform tell of it: what belongs
// together has one flow, what does not has another.
func TestFlowOfAConversation(t *testing.T) {
	k := newConsole(t)
	says := func(user, msgID string, n uint64) { // a customer writes
		k.journaled(kfsim.Entry{Kind: kfsim.KindState, OpenKfID: kfID, ExternalUserID: user, Change: "4->0"})
		k.journaled(kfsim.Entry{Kind: kfsim.KindItem, OpenKfID: kfID, ExternalUserID: user, MsgID: msgID})
		k.journaled(kfsim.Entry{Kind: kfsim.KindCallback, OpenKfID: kfID, Callback: n})
		k.journaled(kfsim.Entry{Kind: kfsim.KindAttempt, OpenKfID: kfID, Callback: n, Status: 200})
	}
	bell := func(event, parent string) {
		k.published(own(t, events.CallbackSubject(corp, kfID), events.Doorbell{Event: event}, parent))
	}
	page := func(items ...string) {
		k.journaled(kfsim.Entry{Kind: kfsim.KindCall, Path: "kf/sync_msg", OpenKfID: kfID, Items: items})
	}
	text := func(msgID, parent string) {
		k.published(item(t, msgID, "text", "", `{"text":{"content":"x"}}`, bus.ModeStructured, parent))
	}
	flow := func() uint64 { return k.lastStep(t).Flow }
	want := func(what string, from int, flow uint64) {
		t.Helper()
		for _, s := range k.steps(t)[from:] {
			if s.Flow != flow {
				t.Errorf("%s: step %s %s has flow %d, want %d", what, s.Kind, s.Summary, s.Flow, flow)
			}
		}
	}

	says(ann, "m1", 1)
	bell(events.RingMessage, parentA)
	page("m1")
	text("m1", parentA)
	k.published(own(t, events.CursorSubject(corp, kfID), events.Cursor{}, parentA))
	first := flow()
	want("from the message to the bus", 0, first)

	n := len(k.steps(t))
	send := events.CommandSubject("orders", corp, kfID, "send", ann)
	k.published(&nats.Msg{Subject: send, Data: []byte(`{"command_id":"c1","causationid":"m1"}`)})
	k.published(&nats.Msg{Subject: send, Data: []byte(`{"command_id":"c2"}`)})
	second := flow()
	if second == first || second == 0 {
		t.Errorf("a command that names nothing: got flow %d, want one of its own", second)
	}
	k.journaled(kfsim.Entry{Kind: kfsim.KindState, Call: 1, OpenKfID: kfID, ExternalUserID: ann, Change: "0->1"})
	k.journaled(kfsim.Entry{Kind: kfsim.KindCall, Path: "kf/send_msg", OpenKfID: kfID, ExternalUserID: ann, MsgID: "x1"})
	k.published(outcome(t, events.Outcome{CommandID: "c1", State: "accepted", MsgID: "x1"}, ""))
	steps := k.steps(t)
	for _, i := range []int{n, n + 2, n + 3, n + 4} {
		if got := steps[i].Flow; got != first {
			t.Errorf("answering the message: step %s %s has flow %d, want %d", steps[i].Kind, steps[i].Summary, got, first)
		}
	}
	n = len(steps)
	k.journaled(kfsim.Entry{Kind: kfsim.KindCall, Path: "kf/send_msg", OpenKfID: kfID, ExternalUserID: ann, MsgID: "x2"})
	k.published(outcome(t, events.Outcome{CommandID: "c2", State: "accepted", MsgID: "x2"}, ""))
	want("the second command, after the first has its outcome", n, second)
	n = len(k.steps(t))
	k.journaled(kfsim.Entry{Kind: kfsim.KindFail, OpenKfID: kfID, MsgID: "x1"})
	want("the first message fails after all", n, first)

	n = len(k.steps(t))
	says(bo, "m2", 2)
	page("m2") // a sweep finds it
	theirs := flow()
	want("another customer's message", n, theirs)
	if theirs == first || theirs == second || theirs == 0 {
		t.Errorf("another customer's message: got flow %d, want one of its own", theirs)
	}
	k.journaled(kfsim.Entry{Kind: kfsim.KindItem, OpenKfID: kfID, ExternalUserID: bo, MsgID: "m3"})
	if got := flow(); got == theirs {
		t.Errorf("a second message in the session: got flow %d of the first", got)
	}
	bell(events.RingSweep, parentB)
	if got := flow(); got == theirs {
		t.Errorf("a sweep's doorbell: got flow %d, which is a customer's", got)
	}
}
