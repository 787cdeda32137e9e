package sender

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfsim"
	"github.com/kfbus/kfbus/services/sender/window"
)

// tale is a text of at least so many bytes, in sentences.
func tale(bytes int) string {
	var b strings.Builder
	for b.Len() < bytes {
		b.WriteString("从前有一只猫，它住在山上。It was grey. ")
	}
	return b.String()
}

func split(content string) obj {
	return obj{"msgtype": "text", "text": obj{"content": content}, "split": true}
}

// read is what a customer has got, one message behind the other.
func (w *world) got(user string) (texts []string) {
	w.Helper()
	for _, m := range w.sim.Phone(desk, user) {
		var body struct{ Content string }
		if m.From == kfsim.FromAccount && json.Unmarshal(m.Body, &body) == nil {
			texts = append(texts, body.Content)
		}
	}
	return texts
}

func TestLongText(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.says(ann)
	w.start()
	w.noted()
	content := tale(3*textBytes + 100) // four messages
	w.command(events.VerbSend, ann, "whole", with(split(content), obj{"split": false}))
	if o := w.want("whole", "refused/invalid"); o.Field != "text.content" || !strings.Contains(o.Detail, "bytes, at most 2048") {
		t.Errorf("got %q, %q, want the byte count", o.Field, o.Detail)
	}
	w.command(events.VerbSend, ann, "short", split("hello"))
	if o := w.want("short", "accepted"); o.Parts != 0 {
		t.Errorf("a short text: got %+v", o.Outcome)
	}
	if o := w.asks(events.VerbSend, ann, split(content)); o.Would != "send" {
		t.Errorf("dry run: got %+v", o.Outcome)
	}
	w.command(events.VerbSend, ann, "long", split(content))
	o := w.want("long", "accepted/")
	if o.Parts != 4 || o.PartsSent != 4 || o.Attempts != 4 || *o.SendsLeft != 0 || o.MsgID != msgID(ann, "long") {
		t.Errorf("got %+v, want 4 messages and nothing left", o.Outcome)
	}
	if got := w.got(ann); strings.Join(got, "") != "hello"+content {
		t.Errorf("the customer has %d messages that are not the text", len(got))
	}
	for _, part := range w.got(ann)[1:4] {
		if !strings.HasSuffix(strings.TrimSpace(part), "。") && !strings.HasSuffix(strings.TrimSpace(part), "grey.") {
			t.Errorf("a message ends within a sentence: …%s", part[len(part)-40:])
		}
	}
	w.pass(10 * time.Second)
	w.says(ann)
	w.noted()
	w.send(ann, "one")
	w.want("one", "accepted")
	w.command(events.VerbSend, ann, "five", split(tale(4*textBytes+100)))
	if o := w.want("five", "refused/quota_spent"); o.PartsSent != 0 || *o.SendsLeft != 4 {
		t.Errorf("got %+v, want none of it sent and four left", o.Outcome)
	}
	w.command(events.VerbSend, ann, "six", split(tale(5*textBytes+100)))
	if o := w.want("six", "refused/invalid"); o.Field != "text.content" {
		t.Errorf("got %+v", o.Outcome)
	}
	w.command(events.VerbSend, ann, "picture", obj{"msgtype": "image", "image": obj{"media_id": "M"}, "split": true})
	w.command(events.VerbReply, ann, "reply", with(text(), obj{"code": "C", "split": true}))
	for _, id := range []string{"picture", "reply"} {
		if o := w.want(id, "refused/invalid"); o.Field != "split" {
			t.Errorf("%s: got field %q", id, o.Field)
		}
	}
	w.audit("whole", "short", "long", "one", "five", "six")
}

// The sender dies at any step of any message: whoever takes it up goes on there, and the customer has each once, in order.
func TestCrashBetweenParts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		step string
		nth  int64
	}{{"reserved", 1}, {"posted", 1}, {"settled", 1}, {"reserved", 2}, {"posted", 2}, {"settled", 2}, {"posted", 3}, {"published", 1}} {
		t.Run(c.step+string(rune('0'+c.nth)), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, ackWait(time.Second))
			w.says(ann)
			quick := func(c *Config) { c.PostTimeout = 400 * time.Millisecond }
			r := w.make(quick).killAt(c.step, c.nth).run()
			content := tale(2*textBytes + 100)
			w.command(events.VerbSend, ann, "long", split(content))
			r.died()
			w.start(quick)
			if o := w.want("long", "accepted"); o.Parts != 3 || o.PartsSent != 3 || *o.SendsLeft != 2 {
				t.Errorf("got %+v", o.Outcome)
			}
			w.audit("long")
			if got := w.got(ann); len(got) != 3 || strings.Join(got, "") != content {
				t.Errorf("the customer has %d messages, want the 3 of the text", len(got))
			}
		})
	}
}

// WeChat refuses the second message: the outcome says that one is there, and the places of the others are free again.
func TestPartIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.says(ann)
	w.start()
	w.noted()
	_, err := w.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultErrCode, Path: "kf/send_msg", ErrCode: 40201, After: 1, Count: 1})
	w.must(err)
	w.command(events.VerbSend, ann, "long", split(tale(3*textBytes+100)))
	if o := w.want("long", "partial/platform_content"); o.Parts != 4 || o.PartsSent != 1 || *o.SendsLeft != 4 || o.ErrCode != 40201 {
		t.Errorf("got %+v, want 1 of 4 and 4 left", o.Outcome)
	}
	w.audit("long")
	if got := len(w.sim.Accepted()); got != 1 {
		t.Errorf("%d were accepted, want 1", got)
	}
	// What is left of it can be rebuilt.
	key := events.ConversationKey(corp, desk, ann)
	kv, err := w.bus.JS.KeyValue(w.ctx(), events.BucketLedger)
	w.must(err)
	w.must(kv.Purge(w.ctx(), key))
	for _, id := range ids("more", 5) {
		w.send(ann, id)
	}
	for _, id := range ids("more", 4) {
		w.want(id, "accepted")
	}
	w.want("more-4", "refused/quota_spent")
}

// A recall takes back every message of the command.
func TestRecallOfALongText(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.says(ann)
	w.start()
	w.noted()
	w.command(events.VerbSend, ann, "long", split(tale(2*textBytes+100)))
	w.want("long", "accepted")
	w.recall(ann, "r", "long")
	if o := w.want("r", "recalled/"); o.Parts != 3 || o.PartsSent != 3 {
		t.Errorf("got %+v", o.Outcome)
	}
	for _, m := range w.sim.Phone(desk, ann) {
		if m.From == kfsim.FromAccount && !m.Recalled {
			t.Errorf("message %d is still there", m.N)
		}
	}
	w.audit("long", "r")
}

// A message of several is not delivered: one correction, whichever it was.
func TestPartIsNotDelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.says(ann)
	w.start()
	w.noted()
	w.command(events.VerbSend, ann, "long", split(tale(2*textBytes+100)))
	w.want("long", "accepted")
	fail := func(part int) {
		raw, err := json.Marshal(obj{"msgid": "fail" + string(rune('0'+part)), "send_time": w.sim.Clock().Now().Unix(), "origin": 4, "msgtype": "event",
			"open_kfid": desk, "external_userid": ann,
			"event": obj{"event_type": "msg_send_fail", "open_kfid": desk, "external_userid": ann, "fail_type": 4,
				"fail_msgid": window.PartMsgID(msgID(ann, "long"), part)}})
		w.must(err)
		w.publish(raw)
	}
	fail(3)
	testkit.Eventually(t, "the correction", func() bool { return len(w.of("long")) == 2 })
	if o := w.of("long")[1]; o.State != "failed" || o.Corrects != "accepted" || *o.SendsLeft != 0 && o.FailType != 4 {
		t.Errorf("got %+v", o.Outcome)
	}
	fail(2)
	w.noted()
	testkit.Eventually(t, "both places to be free", func() bool { l, _ := w.ledger(ann); return l.Used() == 1 })
	w.audit("long")
}

// What the teams are told counts messages: four of one command leave one slot, five leave none.
func TestLastSlotOfALongText(t *testing.T) {
	t.Parallel()
	const bob = "wmBOB"
	w := newWorld(t)
	w.customer(bob)
	w.says(ann)
	w.says(bob)
	w.start()
	w.noted()
	w.command(events.VerbSend, ann, "four", split(tale(3*textBytes+100)))
	w.command(events.VerbSend, bob, "five", split(tale(4*textBytes+100)))
	for user, id := range map[string]string{ann: "four", bob: "five"} {
		o := w.want(id, "accepted")
		testkit.Eventually(t, "the event", func() bool { names, _ := w.told(user); return len(names) > 0 })
		w.wantTold(user, "last_slot")
		testkit.Eventually(t, "the view", func() bool { return w.view(user).LastSend != nil })
		if c := w.view(user); c.LastSend.MsgID != window.PartMsgID(msgID(user, id), o.Parts) {
			t.Errorf("%s: got %+v, want the last of %d messages", id, c.LastSend, o.Parts)
		}
	}
}

// The gap is between the messages of one text too. Meanwhile it waits aside, and what comes after it stays behind it.
func TestGapBetweenParts(t *testing.T) {
	t.Parallel()
	const gap = 30 * time.Second
	w := newWorld(t)
	w.says(ann)
	w.start(func(c *Config) { c.MinGap = gap })
	w.noted()
	w.command(events.VerbSend, ann, "long", split(tale(textBytes+100)))
	w.send(ann, "after")
	testkit.Eventually(t, "both to be put aside", func() bool { l, _ := w.ledger(ann); return len(l.Parked) == 2 })
	if got := w.posts(apiSend); got != 1 {
		t.Fatalf("got %d requests before the gap is over, want 1", got)
	}
	w.pass(gap)
	w.wake("long")
	w.want("long", "accepted")
	if got := w.posts(apiSend); got != 2 {
		t.Errorf("got %d requests, want the two of the text", got)
	}
	w.pass(gap)
	w.wake("after")
	w.want("after", "accepted")
	w.audit("long", "after")
}
