package kfsim

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestWindow(t *testing.T) {
	at := start()
	p := Personality{}.withDefaults()
	open := rules{begun: true, state: stateBot, customerAt: at}
	used := func(n int) rules { c := open; c.used = n; return c }
	in := func(state int) rules { c := open; c.state = state; return c }
	for _, c := range []struct {
		name string
		c    rules
		now  time.Time
		want int
	}{
		{"at once", open, at, 0},
		{"a second before 48 h", open, at.Add(48*time.Hour - time.Second), 0},
		{"at 48 h sharp", open, at.Add(48 * time.Hour), 95002},
		{"fifth message", used(4), at.Add(time.Hour), 0},
		{"sixth message", used(5), at.Add(time.Hour), 95001},
		{"sixth message after 48 h: time comes first", used(5), at.Add(48 * time.Hour), 95002},
		{"never written", rules{state: stateEnded}, at, 95018},
		{"fresh session", in(stateNew), at, 0},
		{"in the pool", in(statePool), at, 95018},
		{"with a human", in(stateHuman), at, 95018},
		{"with a human, and nothing left: state comes first", rules{true, stateHuman, at, 5}, at, 95018},
		{"ended", in(stateEnded), at, 95013},
	} {
		if got, _ := c.c.refusal(c.now, p); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}

func TestFiveMessagesAWindow(t *testing.T) {
	r := newRig(t, Config{})
	r.wantCode("before the customer wrote", r.text(""), 95018)
	r.says(ann, "hi")
	for i := range 5 {
		r.wantCode(fmt.Sprint("message ", i+1), r.text(""), 0)
	}
	r.wantCode("sixth", r.text(""), 95001)
	r.Clock().Advance(time.Hour)
	r.says(ann, "more")
	for i := range 5 {
		r.wantCode(fmt.Sprint("second window, message ", i+1), r.text(""), 0)
	}
	r.wantCode("second window, sixth", r.text(""), 95001)
	r.says(ann, "again")
	r.jump(48*time.Hour - time.Second)
	r.wantCode("a second before 48 h", r.text(""), 0)
	r.Clock().Advance(time.Second)
	r.wantCode("at 48 h sharp", r.text(""), 95002)

	per := r.AcceptedPerWindow()
	want := map[string]int{kf + "/" + ann + "#1": 5, kf + "/" + ann + "#2": 5, kf + "/" + ann + "#3": 1}
	if fmt.Sprint(per) != fmt.Sprint(want) {
		t.Errorf("accepted per window: got %v, want %v", per, want)
	}
	if got := r.Answers("kf/send_msg", 95001); got != 2 {
		t.Errorf("answers with 95001: got %d, want 2", got)
	}
}

func TestOtherCustomersHaveTheirOwnWindow(t *testing.T) {
	r := newRig(t, Config{})
	r.says(ann, "hi")
	m := obj{"touser": bob, "open_kfid": kf, "msgtype": "text", "text": obj{"content": "x"}}
	r.wantCode("Bob never wrote", r.post("kf/send_msg", m), 95018)
}

func TestMsgID(t *testing.T) {
	long := strings.Repeat("x", 33)
	for _, c := range []struct {
		name, id string
		want     int
	}{
		{"32 bytes", long[:32], 0},
		{"all kinds of characters", "aZ09_-", 0},
		{"33 bytes", long, 40058},
		{"empty", "", 40058},
		{"a dot", "a.b", 40058},
		{"not ASCII", "é", 40058},
	} {
		r := newRig(t, Config{})
		r.says(ann, "hi")
		got := r.post("kf/send_msg", obj{"touser": ann, "open_kfid": kf, "msgid": c.id, "msgtype": "text", "text": obj{"content": "x"}})
		r.wantCode(c.name, got, c.want)
		if c.want == 0 && got.str("msgid") != c.id {
			t.Errorf("%s: got msgid %q back, want %q", c.name, got.str("msgid"), c.id)
		}
	}
}

func TestRepeatedMsgID(t *testing.T) {
	spend := func(r *rig) {
		for range 4 {
			r.wantCode("fill", r.text(""), 0)
		}
	}
	for _, c := range []struct {
		name      string
		p         Personality
		between   func(*rig)
		want      int
		delivered int // copies of m1 on the phone
	}{
		{"is refused", Personality{}, nil, 40058, 1},
		{"is refused with another code", Personality{RepeatedMsgIDCode: 95033}, nil, 95033, 1},
		{"is accepted silently", Personality{RepeatedMsgID: RepeatAccept}, nil, 0, 1},
		{"is delivered twice", Personality{RepeatedMsgID: RepeatDeliver}, nil, 0, 2},
		{"is looked at before the quota", Personality{}, spend, 40058, 1},
		{"is looked at after the quota", Personality{QuotaBeforeMsgID: true}, spend, 95001, 1},
		{"is looked at after an open quota", Personality{QuotaBeforeMsgID: true}, nil, 40058, 1},
		{"is remembered a second before 3 days", Personality{}, func(r *rig) { r.jump(72*time.Hour - time.Second); r.says(ann, "x") }, 40058, 1},
		{"is forgotten after 3 days", Personality{}, func(r *rig) { r.jump(72 * time.Hour); r.says(ann, "x") }, 0, 2},
	} {
		r := newRig(t, Config{Personality: c.p})
		r.says(ann, "hi")
		r.wantCode(c.name+": first", r.text("m1"), 0)
		if c.between != nil {
			c.between(r)
		}
		r.wantCode(c.name, r.text("m1"), c.want)
		n := 0
		for _, m := range r.Phone(kf, ann) {
			if m.MsgID == "m1" {
				n++
			}
		}
		if n != c.delivered {
			t.Errorf("%s: got %d copies on the phone, want %d", c.name, n, c.delivered)
		}
	}
}

func TestRefusedSendLeavesMsgIDFree(t *testing.T) {
	r := newRig(t, Config{})
	r.wantCode("too early", r.text("m1"), 95018)
	r.says(ann, "hi")
	r.wantCode("now", r.text("m1"), 0)
}

func TestMsgIDIsPerAccount(t *testing.T) {
	r := newRig(t, Config{})
	_, err := r.AddAccount(Account{OpenKfID: "wkOTHER"})
	r.must(err)
	r.says(ann, "hi")
	_, err = r.CustomerSays("wkOTHER", ann, "hi")
	r.must(err)
	r.wantCode("first account", r.text("m1"), 0)
	r.wantCode("second account", r.post("kf/send_msg", obj{"touser": ann, "open_kfid": "wkOTHER", "msgid": "m1", "msgtype": "text", "text": obj{"content": "x"}}), 0)
}

// TestPrecedence breaks several rules at once: the one that the page's order puts first must win.
func TestPrecedence(t *testing.T) {
	r := newRig(t, Config{})
	full := func(change obj) obj {
		m := obj{"touser": ann, "open_kfid": kf, "msgid": "ok", "msgtype": "image", "image": obj{"media_id": "nothing"}}
		for k, v := range change {
			m[k] = v
		}
		return m
	}
	bad := obj{"open_kfid": "wkNONE", "touser": "wmNOBODY", "msgid": "!", "msgtype": "smoke"}
	r.wantCode("token first", r.postAs("", "kf/send_msg", full(bad)), 41001)
	r.wantCode("then the account", r.post("kf/send_msg", full(bad)), 95004)
	delete(bad, "open_kfid")
	r.wantCode("then the shape", r.post("kf/send_msg", full(bad)), 40058)
	delete(bad, "msgid")
	r.wantCode("then the msgtype", r.post("kf/send_msg", full(bad)), 40008)
	delete(bad, "msgtype")
	r.wantCode("then the customer", r.post("kf/send_msg", full(bad)), 40096)
	r.wantCode("then the state", r.post("kf/send_msg", full(nil)), 95018)
	r.says(ann, "hi")
	r.wantCode("then the media", r.post("kf/send_msg", full(nil)), 40007)
	for range 5 {
		r.text("")
	}
	r.wantCode("but the count before", r.post("kf/send_msg", full(nil)), 95001)
	r.jump(48 * time.Hour)
	r.wantCode("and the window before that", r.post("kf/send_msg", full(nil)), 95002)
}

func TestAccountRefusals(t *testing.T) {
	r := newRig(t, Config{})
	r.says(ann, "hi")
	other, err := r.AddCorp(Corp{CorpID: "ww0000000000000002", Secrets: []string{"foreign"}})
	r.must(err)
	_, err = r.AddAccount(Account{OpenKfID: "wkFOREIGN", CorpID: other.CorpID})
	r.must(err)
	send := func(id string) answered {
		return r.post("kf/send_msg", obj{"touser": ann, "open_kfid": id, "msgtype": "text", "text": obj{"content": "x"}})
	}
	r.wantCode("missing", send(""), 40058)
	r.wantCode("a link's kfc id", send("kfc123"), 95000)
	r.wantCode("too long", send("wk"+strings.Repeat("x", 63)), 95000)
	r.wantCode("unknown", send("wkNONE"), 95004)
	r.wantCode("another corp's", send("wkFOREIGN"), 95004)
	r.must(r.Authorize(kf, false))
	r.wantCode("withdrawn", send(kf), 48007)
	r.must(r.Authorize(kf, true))
	r.wantCode("granted again", send(kf), 0)
	r.must(r.RemoveAccount(kf))
	r.wantCode("removed", send(kf), 95004)
}

func TestStateAfterAPIMessage(t *testing.T) {
	for stays, want := range map[bool]int{false: 1, true: 0} {
		r := newRig(t, Config{Personality: Personality{StateStaysNew: stays}})
		r.says(ann, "hi")
		r.wantCode("send", r.text(""), 0)
		if c, _ := r.Conversation(kf, ann); c.State != want {
			t.Errorf("state_stays_new %v: got state %d, want %d", stays, c.State, want)
		}
	}
}

func TestCountingSwitches(t *testing.T) {
	left := func(r *rig) int {
		n := 0
		for r.text("").code() == 0 {
			n++
		}
		return n
	}
	menu := obj{"touser": ann, "open_kfid": kf, "msgtype": "msgmenu", "msgmenu": obj{"list": []obj{{"type": "click", "click": obj{"id": "7", "content": "Yes"}}}}}
	tap := func(r *rig) {
		r.wantCode("menu", r.post("kf/send_msg", menu), 0)
		_, err := r.Tap(Tap{OpenKfID: kf, ExternalUserID: ann, ID: "7"})
		r.must(err)
	}
	reply := func(r *rig) {
		_, err := r.Enter(Enter{OpenKfID: kf, ExternalUserID: ann})
		r.must(err)
		code := r.lastEvent(kf).str("welcome_code")
		r.says(ann, "hi")
		r.wantCode("welcome", r.post("kf/send_msg_on_event", obj{"code": code, "msgtype": "text", "text": obj{"content": "x"}}), 0)
	}
	for _, c := range []struct {
		name string
		p    Personality
		act  func(*rig)
		want int
	}{
		{"a tap opens a window", Personality{}, tap, 5},
		{"a tap opens none", Personality{TapKeepsWindow: true}, tap, 4},
		{"a welcome does not count", Personality{}, reply, 5},
		{"a welcome counts", Personality{EventRepliesCount: true}, reply, 4},
	} {
		r := newRig(t, Config{Personality: c.p})
		if c.name[0] == 'a' && strings.Contains(c.name, "tap") {
			r.says(ann, "hi")
		}
		c.act(r)
		if got := left(r); got != c.want {
			t.Errorf("%s: got %d messages left, want %d", c.name, got, c.want)
		}
	}
}

func TestFailedSend(t *testing.T) {
	r := newRig(t, Config{})
	r.says(ann, "hi")
	r.wantCode("send", r.text("m1"), 0)
	r.must(r.FailSend(FailSend{OpenKfID: kf, MsgID: "m1", FailType: 4}))
	e := r.lastEvent(kf)
	if e.str("event_type") != "msg_send_fail" || e.str("fail_msgid") != "m1" || e["fail_type"] != 4.0 || e.str("external_userid") != ann {
		t.Errorf("got event %v, want msg_send_fail of m1 with type 4", e)
	}
	if err := r.FailSend(FailSend{OpenKfID: kf, MsgID: "m1", FailType: 4}); err == nil {
		t.Error("a message failed twice")
	}
	if err := r.FailSend(FailSend{OpenKfID: kf, MsgID: "m2", FailType: 4}); err == nil {
		t.Error("a message that nobody sent failed")
	}
	if s := r.Accepted()[0]; s.FailType == nil || *s.FailType != 4 {
		t.Errorf("accepted list: got fail type %v, want 4", s.FailType)
	}
}

func TestBlockedCustomer(t *testing.T) {
	r := newRig(t, Config{})
	r.says(ann, "hi")
	r.must(r.Block(Block{kf, ann, true}))
	r.wantCode("accepted all the same", r.text("m1"), 0)
	if e := r.lastEvent(kf); e.str("fail_msgid") != "m1" || e["fail_type"] != 10.0 {
		t.Errorf("got event %v, want msg_send_fail of m1 with type 10", e)
	}
	r.must(r.Block(Block{kf, ann, false}))
	before := len(r.Items(kf))
	r.wantCode("after unblocking", r.text("m2"), 0)
	if after := len(r.Items(kf)); after != before {
		t.Errorf("got %d new items after unblocking, want none", after-before)
	}
}
