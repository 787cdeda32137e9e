package kfsim

import (
	"testing"
	"time"
)

func (r *rig) enter() (code string) {
	r.t.Helper()
	_, err := r.Enter(Enter{OpenKfID: kf, ExternalUserID: ann, Scene: "home", SceneParam: "a=1&b=2"})
	r.must(err)
	return r.lastEvent(kf).str("welcome_code")
}

func (r *rig) onEvent(code, msgtype string, more obj) answered {
	r.t.Helper()
	m := obj{"code": code, "msgtype": msgtype, "text": obj{"content": "x"}, "msgmenu": obj{"head_content": "x"}, "image": obj{"media_id": "x"}}
	for k, v := range more {
		m[k] = v
	}
	return r.post("kf/send_msg_on_event", m)
}

func TestWelcomeCode(t *testing.T) {
	for _, c := range []struct {
		name    string
		msgtype string
		advance time.Duration
		want    int
	}{
		{"text at once", "text", 0, 0},
		{"menu at once", "msgmenu", 0, 0},
		{"image", "image", 0, 40008},
		{"a second before 20 s", "text", 19 * time.Second, 0},
		{"at 20 s sharp", "text", 20 * time.Second, 41050},
	} {
		r := newRig(t, Config{})
		code := r.enter()
		r.Clock().Advance(c.advance)
		r.wantCode(c.name, r.onEvent(code, c.msgtype, nil), c.want)
		if c.want == 0 {
			r.wantCode(c.name+", used twice", r.onEvent(code, c.msgtype, nil), 41050)
		}
	}
	r := newRig(t, Config{})
	r.wantCode("no code", r.onEvent("", "text", nil), 41049)
	r.wantCode("made up", r.onEvent("WC_1", "text", nil), 41050)
	r.wantCode("empty msgid", r.onEvent("WC_1", "text", obj{"msgid": ""}), 40058)
}

func TestARefusedReplyLeavesTheCodeGood(t *testing.T) {
	r := newRig(t, Config{})
	code := r.enter()
	r.wantCode("too long", r.onEvent(code, "text", obj{"text": obj{"content": string(make([]byte, 2049))}}), 45002)
	r.wantCode("good", r.onEvent(code, "text", obj{"msgid": "w1"}), 0)
	r.says(ann, "hi")
	r.wantCode("the reply's msgid is used", r.text("w1"), 40058)
	r.wantCode("and can be recalled", r.post("kf/recall_msg", obj{"msgid": "w1", "open_kfid": kf}), 0)
	if s := r.Accepted()[0]; s.Via != ViaReply || s.Window != "" || s.ExternalUserID != ann {
		t.Errorf("got %+v, want a reply in no window", s)
	}
}

func TestWhenThereIsAWelcomeCode(t *testing.T) {
	for _, c := range []struct {
		name   string
		before func(*rig)
		want   bool
	}{
		{"first entry", func(*rig) {}, true},
		{"second entry without a welcome", func(r *rig) { r.enter() }, true},
		{"after a welcome", func(r *rig) { r.wantCode("w", r.onEvent(r.enter(), "text", nil), 0) }, false},
		{"a second before 48 h after a welcome", func(r *rig) { r.onEvent(r.enter(), "text", nil); r.jump(48*time.Hour - time.Second) }, false},
		{"48 h after a welcome", func(r *rig) { r.onEvent(r.enter(), "text", nil); r.jump(48 * time.Hour) }, true},
		{"after a message", func(r *rig) { r.says(ann, "hi") }, false},
		{"a second before 48 h after a message", func(r *rig) { r.says(ann, "hi"); r.jump(48*time.Hour - time.Second) }, false},
		{"48 h after a message", func(r *rig) { r.says(ann, "hi"); r.jump(48 * time.Hour) }, true},
		{"with a native welcome", func(r *rig) { r.st.accounts[kf].NativeWelcome = true }, false},
	} {
		r := newRig(t, Config{})
		c.before(r)
		if got := r.enter() != ""; got != c.want {
			t.Errorf("%s: got a code %v, want %v", c.name, got, c.want)
		}
	}
}

func TestEnterSession(t *testing.T) {
	r := newRig(t, Config{})
	r.enter()
	e := r.lastEvent(kf)
	if e.str("event_type") != "enter_session" || e.str("open_kfid") != kf || e.str("external_userid") != ann || e.str("scene") != "home" || e.str("scene_param") != "a=1&b=2" {
		t.Errorf("got %v", e)
	}
	r.wantCode("entering opens no window", r.text(""), 95018)
	if _, err := r.Enter(Enter{OpenKfID: kf, ExternalUserID: ann, SceneParam: "x"}); err == nil {
		t.Error("a scene_param without a scene was taken")
	}
}

func TestMsgCodes(t *testing.T) {
	type c struct {
		name    string
		state   int // that gives the code
		msgtype string
		after   func(*rig)
		want    int
	}
	wait := func(d time.Duration) func(*rig) { return func(r *rig) { r.jump(d) } }
	for _, c := range []c{
		{"pool, text", statePool, "text", wait(0), 0},
		{"pool, menu", statePool, "msgmenu", wait(0), 40008},
		{"pool, taken meanwhile", statePool, "text", func(r *rig) { r.trans(3, "lisi") }, 95018},
		{"pool, a second before 48 h", statePool, "text", func(r *rig) { r.jump(time.Second); r.says(ann, "still here"); r.jump(48*time.Hour - 2*time.Second) }, 0},
		{"pool, after 48 h", statePool, "text", func(r *rig) { r.jump(time.Second); r.says(ann, "still here"); r.jump(48*time.Hour - time.Second) }, 41050},
		{"human, text", stateHuman, "text", wait(0), 0},
		{"human, menu", stateHuman, "msgmenu", wait(0), 40008},
		{"human, another human", stateHuman, "text", func(r *rig) { r.trans(3, "wang") }, 0},
		{"human, ended meanwhile", stateHuman, "text", func(r *rig) { r.trans(4, "") }, 95018},
		{"closing, text", stateEnded, "text", wait(19 * time.Second), 0},
		{"closing, menu", stateEnded, "msgmenu", wait(0), 0},
		{"closing, at 20 s", stateEnded, "text", wait(20 * time.Second), 41050},
		{"closing, but the customer wrote", stateEnded, "text", func(r *rig) { r.says(ann, "wait") }, 95018},
	} {
		r := newRig(t, Config{})
		r.enterState(stateNew)
		code := r.trans(c.state, map[bool]string{true: "lisi"}[c.state == stateHuman]).str("msg_code")
		c.after(r)
		r.wantCode(c.name, r.onEvent(code, c.msgtype, nil), c.want)
	}
}

func TestCodeOfAnotherCorp(t *testing.T) {
	r := newRig(t, Config{})
	code := r.enter()
	other, err := r.AddCorp(Corp{})
	r.must(err)
	token := r.get("gettoken", map[string][]string{"corpid": {other.CorpID}, "corpsecret": {other.Secrets[0]}}).str("access_token")
	r.wantCode("another corp", r.postAs(token, "kf/send_msg_on_event", obj{"code": code, "msgtype": "text", "text": obj{"content": "x"}}), 41050)
}
