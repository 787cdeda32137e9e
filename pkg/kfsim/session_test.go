package kfsim

import (
	"fmt"
	"testing"
	"time"
)

// enterState brings Ann's session into a state by legal ways only.
func (r *rig) enterState(state int) {
	r.t.Helper()
	if r.st.accounts[kf].servicer("lisi") == nil {
		for _, id := range []string{"lisi", "wang"} {
			r.must(r.AddServicer(Servicer{OpenKfID: kf, UserID: id}))
		}
	}
	r.says(ann, "hi")
	switch state {
	case stateBot:
		r.wantCode("to 1", r.trans(1, ""), 0)
	case statePool:
		r.wantCode("to 2", r.trans(2, ""), 0)
	case stateHuman:
		r.wantCode("to 3", r.trans(3, "lisi"), 0)
	case stateEnded:
		r.wantCode("to 4", r.trans(4, ""), 0)
	}
	if c, err := r.Conversation(kf, ann); err != nil || c.State != state {
		r.t.Fatalf("got state %d, %v, want %d", c.State, err, state)
	}
}

func (r *rig) trans(to int, servicer string) answered {
	r.t.Helper()
	m := obj{"open_kfid": kf, "external_userid": ann, "service_state": to}
	if servicer != "" {
		m["servicer_userid"] = servicer
	}
	return r.post("kf/service_state/trans", m)
}

func (r *rig) state() answered {
	r.t.Helper()
	return r.post("kf/service_state/get", obj{"open_kfid": kf, "external_userid": ann})
}

func TestTransitions(t *testing.T) {
	const no, over = 95016, 95013
	want := [5][5]int{ // from, to; 3 means to another servicer
		{no, 0, 0, 0, 0},
		{no, no, 0, 0, 0},
		{no, no, no, 0, no},
		{no, no, no, 0, 0},
		{over, over, over, over, over},
	}
	for from := range 5 {
		for to := range 5 {
			r := newRig(t, Config{})
			r.enterState(from)
			got := r.trans(to, map[bool]string{true: "wang"}[to == stateHuman])
			r.wantCode(fmt.Sprintf("%d -> %d", from, to), got, want[from][to])
			if got.code() == 0 {
				if now := r.state(); now["service_state"] != float64(to) {
					t.Errorf("%d -> %d: got state %v", from, to, now["service_state"])
				}
			}
		}
	}
}

func TestTransRefusals(t *testing.T) {
	r := newRig(t, Config{})
	r.enterState(stateHuman)
	r.wantCode("same servicer", r.trans(3, "lisi"), 95016)
	r.wantCode("nobody", r.trans(3, ""), 40058)
	r.wantCode("a stranger", r.trans(3, "nobody"), 95014)
	for status, want := range map[ServicerState]int{ServicerStopped: 95019, ServicerSuspended: 95019, ServicerReceiving: 0} {
		r.must(r.ServicerStatus(Servicer{OpenKfID: kf, UserID: "wang", Status: status}))
		if status != ServicerReceiving {
			r.wantCode(string(status), r.trans(3, "wang"), want)
		}
	}
	r.must(r.ServicerStatus(Servicer{OpenKfID: kf, UserID: "wang", Status: ServicerReceiving}))
	r.wantCode("receiving", r.trans(3, "wang"), 0)
	if got := r.state(); got.str("servicer_userid") != "wang" {
		t.Errorf("got servicer %q, want wang", got.str("servicer_userid"))
	}
	r.wantCode("state 5", r.trans(5, ""), 40058)
	r.wantCode("no state", r.post("kf/service_state/trans", obj{"open_kfid": kf, "external_userid": ann}), 40058)
	r.wantCode("unknown customer", r.post("kf/service_state/trans", obj{"open_kfid": kf, "external_userid": "wmX", "service_state": 1}), 40096)
	r.wantCode("missing customer", r.post("kf/service_state/get", obj{"open_kfid": kf}), 40058)
	r.wantCode("unknown customer, get", r.post("kf/service_state/get", obj{"open_kfid": kf, "external_userid": "wmX"}), 40096)
}

func TestSessionBeginsAndLapses(t *testing.T) {
	r := newRig(t, Config{})
	if got := r.state()["service_state"]; got != 4.0 {
		t.Errorf("never talked: got state %v, want 4", got)
	}
	r.wantCode("and nothing can be done", r.trans(1, ""), 95013)
	r.enterState(stateHuman)
	r.jump(48*time.Hour - time.Second)
	if got := r.state()["service_state"]; got != 3.0 {
		t.Errorf("a second before 48 h: got state %v, want 3", got)
	}
	r.jump(time.Second)
	if got := r.state(); got["service_state"] != 4.0 || got["servicer_userid"] != nil {
		t.Errorf("at 48 h: got %v, want 4 and nobody", got)
	}
	r.says(ann, "hi again")
	if got := r.state()["service_state"]; got != 0.0 {
		t.Errorf("a message into a lapsed session: got state %v, want 0", got)
	}
	r.wantCode("end it", r.trans(4, ""), 0)
	r.wantCode("send into it", r.text(""), 95013)
	r.says(ann, "hi again")
	if got := r.state()["service_state"]; got != 0.0 {
		t.Errorf("a message into an ended session: got state %v, want 0", got)
	}
}

func TestRouting(t *testing.T) {
	for _, c := range []struct {
		routing string
		status  ServicerState
		want    int
	}{{RouteAPI, ServicerReceiving, 0}, {RoutePool, ServicerReceiving, 2}, {RouteServicer, ServicerReceiving, 3}, {RouteServicer, ServicerStopped, 2}} {
		r := newRig(t, Config{})
		_, err := r.AddAccount(Account{OpenKfID: "wkR", Routing: c.routing})
		r.must(err)
		r.must(r.AddServicer(Servicer{OpenKfID: "wkR", UserID: "lisi", Status: c.status}))
		_, err = r.CustomerSays("wkR", ann, "hi")
		r.must(err)
		if got, _ := r.Conversation("wkR", ann); got.State != c.want {
			t.Errorf("%s with a servicer who is %s: got state %d, want %d", c.routing, c.status, got.State, c.want)
		}
	}
}

func TestMsgCodeOfTrans(t *testing.T) {
	r := newRig(t, Config{})
	r.enterState(stateNew)
	has := func(a answered) bool { return a.str("msg_code") != "" }
	if !has(r.trans(2, "")) || !has(r.trans(3, "lisi")) {
		t.Error("the first change to 2 or to 3 gave no msg_code")
	}
	if has(r.trans(3, "wang")) {
		t.Error("the second change to 3 gave a msg_code")
	}
	if !has(r.trans(4, "")) {
		t.Error("the change to 4 gave no msg_code")
	}
	r.says(ann, "hi")
	if has(r.trans(1, "")) || !has(r.trans(2, "")) {
		t.Error("in the next session: 1 gave a msg_code, or the first 2 gave none")
	}
}

func TestServicersAct(t *testing.T) {
	r := newRig(t, Config{})
	r.enterState(statePool)
	act := ServicerAct{OpenKfID: kf, ExternalUserID: ann, UserID: "lisi"}
	want := func(what string, state int, change float64, old, now string, code bool) {
		t.Helper()
		e := r.lastEvent(kf)
		if e.str("event_type") != "session_status_change" || e["change_type"] != change || e.str("old_servicer_userid") != old ||
			e.str("new_servicer_userid") != now || (e.str("msg_code") != "") != code {
			t.Errorf("%s: got %v", what, e)
		}
		if c, _ := r.Conversation(kf, ann); c.State != state {
			t.Errorf("%s: got state %d, want %d", what, c.State, state)
		}
	}
	if _, err := r.ServicerSay(ServicerSay{OpenKfID: kf, ExternalUserID: ann, UserID: "lisi", Text: "hi"}); err == nil {
		t.Error("a servicer wrote into the pool")
	}
	r.must(r.PickUp(act))
	want("pick up", 3, changePickedUp, "", "lisi", true)
	if r.PickUp(act) == nil {
		t.Error("picked up twice")
	}
	_, err := r.ServicerSay(ServicerSay{OpenKfID: kf, ExternalUserID: ann, UserID: "lisi", Text: "hello"})
	r.must(err)
	if it := r.pull(nil).items(); it[len(it)-1]["origin"] != 5.0 || it[len(it)-1].str("servicer_userid") != "lisi" {
		t.Errorf("servicer's message: got %v", it[len(it)-1])
	}
	r.must(r.Transfer(ServicerAct{OpenKfID: kf, ExternalUserID: ann, UserID: "lisi", ToUserID: "wang"}))
	want("transfer", 3, changeTransferred, "lisi", "wang", false)
	if r.End(act) == nil {
		t.Error("somebody ended another's session")
	}
	_, err = r.ServicerSay(ServicerSay{OpenKfID: kf, ExternalUserID: ann, UserID: "lisi", Text: "me again"})
	r.must(err)
	if c, _ := r.Conversation(kf, ann); c.ServicerUserID != "lisi" {
		t.Errorf("after lisi wrote into the transferred session %q holds it, want lisi", c.ServicerUserID)
	}
	r.must(r.End(act))
	want("end", 4, changeEnded, "lisi", "", true)
	_, err = r.ServicerSay(ServicerSay{OpenKfID: kf, ExternalUserID: ann, UserID: "wang", Text: "one more thing"})
	r.must(err)
	items := r.Items(kf)
	if c, _ := r.Conversation(kf, ann); c.State != 3 || c.ServicerUserID != "wang" || items[len(items)-1].Origin != originServicer {
		t.Errorf("writing into an ended session: got %+v", c)
	}
}

func TestServicerEvents(t *testing.T) {
	r := newRig(t, Config{})
	r.enterState(stateHuman)
	for _, c := range []struct {
		status ServicerState
		code   float64
		stop   any
	}{{ServicerStopped, 2, 0.0}, {ServicerSuspended, 2, 1.0}, {ServicerReceiving, 1, nil}} {
		r.must(r.ServicerStatus(Servicer{OpenKfID: kf, UserID: "lisi", Status: c.status}))
		if e := r.lastEvent(kf); e["status"] != c.code || e["stop_type"] != c.stop || e["external_userid"] != nil || e.str("servicer_userid") != "lisi" {
			t.Errorf("%s: got %v", c.status, e)
		}
	}
	r.must(r.RejectCustomer(Reject{kf, ann, "lisi", true}))
	if e := r.lastEvent(kf); e.str("event_type") != "reject_customer_msg_switch_change" || e["reject_switch"] != 1.0 {
		t.Errorf("reject: got %v", e)
	}
	id, err := r.ServicerSay(ServicerSay{OpenKfID: kf, ExternalUserID: ann, UserID: "lisi", Text: "oops"})
	r.must(err)
	r.must(r.ServicerRecall(Recall{kf, ann, id}))
	if e := r.lastEvent(kf); e.str("event_type") != "servicer_recall_msg" || e.str("recall_msgid") != id || e.str("servicer_userid") != "lisi" {
		t.Errorf("servicer recall: got %v", e)
	}
}

func TestServicerMessagesCount(t *testing.T) {
	for counts, want := range map[bool]int{false: 0, true: 1} {
		r := newRig(t, Config{Personality: Personality{ServicerMessagesCount: counts}})
		r.enterState(stateHuman)
		_, err := r.ServicerSay(ServicerSay{OpenKfID: kf, ExternalUserID: ann, UserID: "lisi", Text: "hi"})
		r.must(err)
		if c, _ := r.Conversation(kf, ann); c.Sent != want {
			t.Errorf("servicer_messages_count %v: got %d sent, want %d", counts, c.Sent, want)
		}
	}
}

func TestCustomerRecall(t *testing.T) {
	for _, c := range []struct {
		name    string
		advance time.Duration
		fails   bool
	}{{"a second before 2 minutes", 119 * time.Second, false}, {"at 2 minutes sharp", 120 * time.Second, true}} {
		r := newRig(t, Config{})
		id := r.says(ann, "oops")
		r.Clock().Advance(c.advance)
		err := r.Recall(Recall{kf, ann, id})
		if (err != nil) != c.fails {
			t.Errorf("%s: got %v", c.name, err)
		}
		if err != nil {
			continue
		}
		if e := r.lastEvent(kf); e.str("event_type") != "user_recall_msg" || e.str("recall_msgid") != id {
			t.Errorf("%s: got event %v", c.name, e)
		}
		if r.Recall(Recall{kf, ann, id}) == nil || r.Recall(Recall{kf, bob, id}) == nil || r.ServicerRecall(Recall{kf, ann, id}) == nil {
			t.Error("recalled twice, or by somebody else")
		}
		if got := len(r.pull(nil).items()); got != 2 {
			t.Errorf("got %d items, want the message and its recall", got)
		}
	}
}
