package conformance

import (
	"time"

	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

func sessionCalls() map[string]func(*world) {
	return map[string]func(*world){"kf/service_state/get": stateGet, "kf/service_state/trans": stateTrans}
}

// state asks the platform and compares with its own view.
func (w *world) state(want kfapi.ServiceState, servicer string) {
	w.t.Helper()
	r := got(w.c.ServiceStateGet(w.t.Context(), w.token, kfapi.ServiceStateGetRequest{OpenKfID: desk, ExternalUserID: ann}))(w)
	w.fine(r.Reply)
	same(w.t, "state", r.ServiceState, want)
	same(w.t, "servicer", r.ServicerUserID, servicer)
	own := got(w.Conversation(desk, ann))(w)
	same(w.t, "the platform's own view", own.State, int(want))
	same(w.t, "and who holds it", own.ServicerUserID, servicer)
}

// trans moves Ann's session and returns the code that came with it.
func (w *world) trans(to kfapi.ServiceState, servicer string) string {
	w.t.Helper()
	r := got(w.c.ServiceStateTrans(w.t.Context(), w.token, kfapi.ServiceStateTransRequest{OpenKfID: desk, ExternalUserID: ann, ServiceState: to, ServicerUserID: servicer}))(w)
	w.fine(r.Reply)
	return r.MsgCode
}

func stateGet(w *world) {
	w.servicer("lisi", kfsim.ServicerReceiving)
	w.state(kfapi.StateEnded, "") // they never met
	w.says(ann, "hello")
	w.state(kfapi.StateNew, "")
	w.send(ann, "", kfapi.Text{Content: "hi"})
	w.state(kfapi.StateAssistant, "")
	w.trans(kfapi.StatePool, "")
	w.state(kfapi.StatePool, "")
	w.must(w.PickUp(kfsim.ServicerAct{OpenKfID: desk, ExternalUserID: ann, UserID: "lisi"}))
	w.state(kfapi.StateHuman, "lisi")
	w.later(48*time.Hour - time.Second)
	w.state(kfapi.StateHuman, "lisi")
	w.later(time.Second)
	w.state(kfapi.StateEnded, "")
	w.says(ann, "again")
	w.state(kfapi.StateNew, "")
}

func stateTrans(w *world) {
	w.servicer("lisi", kfsim.ServicerReceiving)
	w.servicer("wang", kfsim.ServicerReceiving)
	w.says(ann, "hello")
	for _, step := range []struct {
		to       kfapi.ServiceState
		servicer string
		code     bool
	}{
		{kfapi.StateAssistant, "", false},
		{kfapi.StatePool, "", true},
		{kfapi.StateHuman, "lisi", true},
		{kfapi.StateHuman, "wang", false},
		{kfapi.StateEnded, "", true},
	} {
		code := w.trans(step.to, step.servicer)
		same(w.t, "a code with it", code != "", step.code)
		w.state(step.to, step.servicer)
	}
	var changes []string
	for _, e := range w.Journal() {
		if e.Kind == kfsim.KindState && e.Call > 0 {
			changes = append(changes, e.Change)
		}
	}
	same(w.t, "changes", changes, []string{"0->1", "1->2", "2->3", "3->3", "3->4"})
	w.says(ann, "again") // a new session: its first move to the pool has a code again
	same(w.t, "a code in the next session", w.trans(kfapi.StatePool, "") != "", true)
}
