package kfsim

import (
	"fmt"
	"testing"
	"time"
)

func TestRecall(t *testing.T) {
	type step struct {
		name    string
		advance time.Duration
		want    int
	}
	for _, c := range []step{
		{"at once", 0, 0},
		{"a second before 2 minutes", 119 * time.Second, 0},
		{"at 2 minutes sharp", 120 * time.Second, 95029},
	} {
		r := newRig(t, Config{})
		r.says(ann, "hi")
		r.wantCode("send", r.text("m1"), 0)
		r.Clock().Advance(c.advance)
		r.wantCode(c.name, r.post("kf/recall_msg", obj{"msgid": "m1", "open_kfid": kf}), c.want)
		phone := r.Phone(kf, ann)
		if got := phone[1].Recalled; got != (c.want == 0) {
			t.Errorf("%s: got recalled %v on the phone", c.name, got)
		}
		if c.want == 0 && (phone[1].Body != nil || phone[2].Notice != NoticeAccountRecalled) {
			t.Errorf("%s: the phone still shows the message, or no notice: %+v", c.name, phone)
		}
	}
}

func TestRecallRefusals(t *testing.T) {
	r := newRig(t, Config{})
	r.says(ann, "hi")
	for i := range 5 {
		r.wantCode("send", r.text(fmt.Sprint("m", i)), 0)
	}
	recall := func(id, account string) answered {
		return r.post("kf/recall_msg", obj{"msgid": id, "open_kfid": account})
	}
	r.wantCode("unknown", recall("nope", kf), 95028)
	r.wantCode("no msgid", recall("", kf), 40058)
	r.wantCode("no account", recall("m0", ""), 40058)
	r.wantCode("unknown account", recall("m0", "wkNONE"), 95004)
	r.wantCode("by another app", r.postAs(r.getToken("secret-two"), "kf/recall_msg", obj{"msgid": "m0", "open_kfid": kf}), 40058)
	r.wantCode("good", recall("m0", kf), 0)
	r.wantCode("twice", recall("m0", kf), 95028)
	r.wantCode("a recalled message stays counted", r.text("m5"), 95001)
	r.wantCode("a recalled msgid stays used", r.text("m0"), 40058)
}
