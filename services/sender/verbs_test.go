package sender

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

func (w *world) recall(user, id, target string) {
	w.Helper()
	w.command(events.VerbRecall, user, id, obj{"target_command_id": target})
}

func TestRecall(t *testing.T) {
	w := newWorld(t)
	w.says(ann)
	w.start()
	w.noted()

	// Before its send: a tombstone, and the send never happens.
	w.recall(ann, "r-early", "s-late")
	w.want("r-early", "recalled/before_send")
	w.send(ann, "s-late")
	w.want("s-late", "cancelled/taken_back")

	// Within 2 minutes.
	w.send(ann, "s")
	o := w.want("s", "accepted")
	w.recall(ann, "r", "s")
	if r := w.want("r", "recalled/"); r.Attempts != 1 {
		t.Errorf("recall: got %d attempts, want 1", r.Attempts)
	}
	w.recall(ann, "r-again", "s")
	w.want("r-again", "recalled/")
	if got := *w.want("s", "accepted").SendsLeft; got != *o.SendsLeft || w.view(ann).SendsLeft != 4 {
		t.Errorf("a recalled message keeps its place: got %d and %d sends left, want 4", got, w.view(ann).SendsLeft)
	}

	// After: refused here, without a request.
	w.send(ann, "s-old")
	w.want("s-old", "accepted")
	w.pass(2*time.Minute + 10*time.Second)
	before := w.posts(apiRecall)
	w.recall(ann, "r-late", "s-old")
	w.want("r-late", "refused/recall_window")
	if got := w.posts(apiRecall); got != before {
		t.Errorf("got %d requests to recall a message that is too old", got-before)
	}
	w.recall(ann, "r-r", "r")
	w.want("r-r", "refused/invalid")
	t.Log(w.audit("r-early", "s-late", "s", "r", "r-again", "s-old", "r-late", "r-r"))
	if got := len(w.sim.Accepted()); got != 2 {
		t.Errorf("the platform accepted %d messages, want 2", got)
	}
}

// The recall of a message in doubt is also a probe: it finds out that the message had been accepted.
func TestRecallOfAMessageInDoubt(t *testing.T) {
	w := newWorld(t)
	w.says(ann)
	w.start(func(c *Config) { c.MsgidIdempotent = false })
	w.noted()
	_, err := w.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultHTTP500After, Path: "kf/send_msg", Count: 1})
	w.must(err)
	w.send(ann, "s")
	w.want("s", "unknown/no_answer")
	w.recall(ann, "r", "s")
	w.want("r", "recalled/")
	w.audit("s", "r")
	list := w.of("s")
	if len(list) != 2 || list[1].State != "accepted" || list[1].Corrects != "unknown" {
		t.Errorf("the doubt was resolved, but the correction is missing: got %+v", list)
	}
}

func (w *world) enter(user string) (code string) {
	w.Helper()
	_, err := w.sim.Enter(kfsim.Enter{OpenKfID: desk, ExternalUserID: user})
	w.must(err)
	items := w.sim.Items(desk)
	var e kfapi.EnterSession
	w.must(kfapi.ParseItem(items[len(items)-1].Raw).Body(&e))
	w.pump()
	return e.WelcomeCode
}

func (w *world) reply(user, id, code string) {
	w.Helper()
	w.command(events.VerbReply, user, id, with(text(), obj{"code": code}))
}

func TestReply(t *testing.T) {
	w := newWorld(t)
	w.customer("wmLATE")
	r := w.start()
	w.quiet()
	w.reply(ann, "welcome", w.enter(ann))
	o := w.want("welcome", "accepted/")
	if o.MsgID == "" || o.SendsLeft == nil || *o.SendsLeft != 0 {
		t.Errorf("got %+v, want a msgid, and no window opened by it", o.Outcome)
	}
	late := w.enter("wmLATE")
	w.pass(20 * time.Second)
	posts := w.posts(apiReply)
	w.reply("wmLATE", "late", late)
	w.want("late", "expired/deadline")
	if got := w.posts(apiReply); got != posts {
		t.Error("a code that had died was posted")
	}
	w.reply("wmLATE", "wrong", "not-a-code")
	w.want("wrong", "refused/platform_code")
	w.audit("welcome", "late", "wrong")
	if strings.Contains(w.logs.String(), late) {
		t.Error("a log line holds a welcome code")
	}
	if got := counter(t, r.reg, "kf_sender_commands_total"); got != 3 {
		t.Errorf("got %v outcomes counted, want 3", got)
	}
}

// A lost answer to a reply is asked for again, and the refusal of the used msgid proves it.
func TestReplyInDoubt(t *testing.T) {
	w := newWorld(t)
	w.start()
	_, err := w.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultResetAfter, Path: "kf/send_msg_on_event", Count: 1})
	w.must(err)
	w.reply(ann, "welcome", w.enter(ann))
	if o := w.want("welcome", "accepted"); o.ConfirmedBy != "duplicate" || o.Attempts != 2 {
		t.Errorf("got %+v", o.Outcome)
	}
	w.audit("welcome")
}

func TestStaticWelcome(t *testing.T) {
	w := newWorld(t)
	w.customer("wmOLD")
	w.wrote("wmOLD", time.Hour) // no code for those who wrote lately
	a, b := w.start(func(c *Config) { c.WelcomeText = canary + " <hello>" }), w.start(func(c *Config) { c.WelcomeText = canary + " <hello>" })
	_, _ = a, b
	w.enter("wmOLD")
	if code := w.enter(ann); code == "" {
		t.Fatal("no welcome code")
	}
	items := w.sim.Items(desk)
	for range 3 { // the event comes again, as after a lost cursor
		w.publish(items[len(items)-1].Raw)
	}
	testkit.Eventually(w, "the welcome", func() bool { return len(w.sim.Accepted()) == 1 })
	w.noted()
	w.quiet()
	phone := w.sim.Phone(desk, ann)
	if last := phone[len(phone)-1]; last.Via != kfsim.ViaReply || !strings.Contains(string(last.Body), "hello") || len(w.sim.Accepted()) != 1 {
		t.Errorf("got %+v, %d accepted; want one welcome", last, len(w.sim.Accepted()))
	}
	if got := w.count(events.StreamOutcome, "kf.outcome.kfbus.>"); got != 1 {
		t.Errorf("got %d outcomes of welcomes, want 1", got)
	}
}

func (w *world) servicers(names ...string) {
	w.Helper()
	for _, n := range names {
		w.must(w.sim.AddServicer(kfsim.Servicer{OpenKfID: desk, UserID: n}))
	}
}

func TestTransferAndHumanSession(t *testing.T) {
	w := newWorld(t)
	w.servicers("li", "zhang")
	w.says(ann)
	w.start()
	w.noted()
	w.send(ann, "bot")
	w.want("bot", "accepted")
	w.command(events.VerbTransfer, ann, "t-bad", obj{"service_state": 3, "servicer_userid": "nobody"})
	w.want("t-bad", "refused/platform_session")
	w.command(events.VerbTransfer, ann, "t", obj{"service_state": 3, "servicer_userid": "li"})
	o := w.want("t", "accepted/")
	if o.MsgCode == "" || o.MsgID != "" || o.Generation == 0 {
		t.Errorf("transfer: got %+v, want a msg_code and a new generation", o.Outcome)
	}
	if v := w.view(ann); v.SessionState != 3 || v.Servicer != "li" || v.Generation != o.Generation {
		t.Errorf("view: got %+v", v)
	}
	w.reply(ann, "note", o.MsgCode) // the code is for one message
	w.want("note", "accepted")

	// In a human's session: refused, or held until it ends.
	posts := w.posts(apiSend)
	w.send(ann, "refused")
	w.want("refused", "refused/session_state")
	for _, id := range []string{"held-1", "held-2"} {
		w.command(events.VerbSend, ann, id, with(text(), obj{"in_human_session": "hold"}))
	}
	w.customer("wmOTHER") // the lane goes on meanwhile
	w.says("wmOTHER")
	testkit.Eventually(w, "both to be put aside", func() bool { l, _ := w.ledger(ann); return len(l.Parked) == 2 })
	for _, id := range ids("other", 3) {
		w.send("wmOTHER", id)
		w.want(id, "accepted")
	}
	if got := w.posts(apiSend) - posts; got != 3 || len(w.of("held-1")) > 0 {
		t.Errorf("got %d requests, want the other customer's 3", got)
	}
	w.must(w.sim.End(kfsim.ServicerAct{OpenKfID: desk, ExternalUserID: ann, UserID: "li"}))
	w.pass(5 * time.Second)
	w.says(ann)
	w.want("held-1", "accepted")
	w.want("held-2", "accepted")
	w.audit("bot", "t-bad", "t", "note", "refused", "held-1", "held-2")
	var order []string
	for _, a := range w.sim.Accepted() {
		order = append(order, a.MsgID)
	}
	if a, b := indexOf(order, msgID(ann, "held-1")), indexOf(order, msgID(ann, "held-2")); a > b {
		t.Error("held commands were sent in the wrong order")
	}
}

func indexOf(list []string, s string) int {
	for i := range list {
		if list[i] == s {
			return i
		}
	}
	return -1
}

// What was written before a human took over cannot leak out after.
func TestGeneration(t *testing.T) {
	w := newWorld(t)
	w.servicers("li")
	w.says(ann)
	w.start()
	w.noted()
	old := w.view(ann).Generation
	w.command(events.VerbTransfer, ann, "pool", obj{"service_state": 2})
	w.want("pool", "accepted")
	w.must(w.sim.PickUp(kfsim.ServicerAct{OpenKfID: desk, ExternalUserID: ann, UserID: "li"}))
	w.must(w.sim.End(kfsim.ServicerAct{OpenKfID: desk, ExternalUserID: ann, UserID: "li"}))
	w.pass(5 * time.Second)
	w.says(ann)
	w.noted()
	v := w.view(ann)
	if v.Generation <= old || v.SessionState != 0 || v.SendsLeft != 5 {
		t.Errorf("view after the hand-over: got %+v, want a generation over %d, state 0, 5 sends", v, old)
	}
	w.command(events.VerbSend, ann, "late", with(text(), obj{"generation": old}))
	w.command(events.VerbSend, ann, "new", with(text(), obj{"generation": v.Generation}))
	w.want("late", "refused/generation")
	w.want("new", "accepted")
	w.audit("pool", "late", "new")
}

func TestFailedDeliveryIsCorrectedOnce(t *testing.T) {
	w := newWorld(t)
	w.says(ann)
	w.start()
	w.noted()
	for _, id := range []string{"a", "b"} {
		w.send(ann, id)
		w.want(id, "accepted")
	}
	w.must(w.sim.FailSend(kfsim.FailSend{OpenKfID: desk, MsgID: msgID(ann, "a"), FailType: 10}))
	w.must(w.sim.FailSend(kfsim.FailSend{OpenKfID: desk, MsgID: msgID(ann, "b"), FailType: 6}))
	w.pump()
	items := w.sim.Items(desk)
	for range 3 { // again and again
		w.publish(items[len(items)-1].Raw)
		w.publish(items[len(items)-2].Raw)
	}
	foreign := kfapi.ParseItem(items[len(items)-1].Raw)
	w.publish([]byte(strings.Replace(string(foreign.Raw), msgID(ann, "b"), "another-apps", 1)))
	w.noted()
	w.audit("a", "b")
	for id, failType := range map[string]int{"a": 10, "b": 6} {
		list := w.of(id)
		if len(list) != 2 {
			t.Errorf("%s: got %d outcomes, want the outcome and one correction", id, len(list))
			continue
		}
		c := list[1]
		if c.State != "failed" || c.Corrects != "accepted" || c.FailType != failType || c.MsgID != msgID(ann, id) ||
			c.Team != team || c.subject != "kf.outcome.shop."+corp+".wkDESK.failed.wmANN" || c.OpenKfID != desk || c.ExternalUserID != ann {
			t.Errorf("%s: correction is %+v on %s", id, c.Outcome, c.subject)
		}
	}
	if got := w.count(events.StreamOutcome, ">"); got != 4 {
		t.Errorf("got %d outcomes in all, want 4", got)
	}
	if v := w.view(ann); v.SendsLeft != 0 { // the platform said that the five are spent
		t.Errorf("view: %d sends left after fail_type 6, want 0", v.SendsLeft)
	}
}

// Each fail_type that a document names: one correction, which says what it means, and what it leaves of the window; also
// after the ledger was lost.
func TestFailTypes(t *testing.T) {
	types := kfapi.FailTypes()
	w := newWorld(t)
	for _, f := range types {
		w.customer(fmt.Sprint("wmFAIL", f.Type))
		w.says(fmt.Sprint("wmFAIL", f.Type))
	}
	w.start()
	w.noted()
	for _, f := range types {
		user, id := fmt.Sprint("wmFAIL", f.Type), fmt.Sprint("f", f.Type)
		w.send(user, id)
		w.want(id, "accepted")
		w.must(w.sim.FailSend(kfsim.FailSend{OpenKfID: desk, MsgID: msgID(user, id), FailType: int(f.Type)}))
	}
	w.pump()
	w.noted()
	for _, f := range types {
		user, id := fmt.Sprint("wmFAIL", f.Type), fmt.Sprint("f", f.Type)
		testkit.Eventually(t, "the correction of "+id, func() bool { return len(w.of(id)) == 2 })
		c := w.of(id)[1]
		if c.State != "failed" || c.Reason != "delivery_failed" || c.FailType != int(f.Type) || !strings.Contains(c.Detail, f.Meaning) {
			t.Errorf("type %d: got %+v", f.Type, c.Outcome)
		}
		used, next := 1, "accepted/"
		switch f.Type {
		case 4:
			used, next = 0, "refused/window_closed"
		case 5:
			next = "refused/session_state"
		case 6:
			used, next = 0, "refused/quota_spent"
		}
		if l, _ := w.ledger(user); l.Used() != used {
			t.Errorf("type %d: got %d places taken, want %d", f.Type, l.Used(), used)
		}
		w.send(user, "next-"+id)
		w.want("next-"+id, next)
		w.purgeLedger(user)
		if next != "accepted/" {
			used-- // what is sent now is not refused: that the platform said so is not in the streams
		}
		w.send(user, "then-"+id)
		w.want("then-"+id, "accepted")
		if l, _ := w.ledger(user); l.Used() != used+2 {
			t.Errorf("type %d, made anew: got %d places taken, want %d", f.Type, l.Used(), used+2)
		}
	}
}

// One command in each form that a client may choose, also where ids are hashed in the subject.
func TestForms(t *testing.T) {
	const odd = "wm odd.id*with>all"
	w := newWorld(t)
	w.customer(odd)
	w.says(odd)
	w.start()
	w.noted()
	subject := events.CommandSubject(team, corp, desk, events.VerbSend, odd)
	if !strings.Contains(subject, ".=") {
		t.Fatalf("the id is not hashed: %s", subject)
	}
	body, err := json.Marshal(with(text(), obj{"touser": odd}))
	w.must(err)
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, mode := range []string{bus.ModeStructured, bus.ModeBinary} {
		e, err := events.Own(mode, "/test", "test.send", json.RawMessage(body))
		w.must(err)
		e.SetExtension(events.ExtTraceParent, parent)
		data, h, err := bus.Encode(e, mode)
		w.must(err)
		w.raw(subject, h, data)
	}
	bare, err := json.Marshal(with(text(), obj{"touser": odd, "command_id": "bare"}))
	w.must(err)
	w.raw(subject, nil, bare)
	w.raw(subject, map[string][]string{"Nats-Msg-Id": {"header"}}, body)
	list := []string{bus.ModeStructured, bus.ModeBinary, "bare", "header"}
	for _, id := range list {
		o := w.want(id, "accepted")
		if o.ExternalUserID != odd || o.OpenKfID != desk || !strings.HasPrefix(o.trace, "00-") {
			t.Errorf("%s: got %+v, trace %s", id, o.Outcome, o.trace)
		}
		if id == bus.ModeBinary && !strings.HasPrefix(o.trace, parent[:35]) {
			t.Errorf("%s: trace %s does not go on with the command's", id, o.trace)
		}
	}
	w.noted()
	if v := w.viewOf(subject); v.ExternalUserID != odd || v.SendsLeft != 1 {
		t.Errorf("view: got %+v", v)
	}
	w.audit(list...)
}

func (w *world) viewOf(subject string) (c events.Conversation) {
	w.Helper()
	s, err := events.ParseSubject(subject)
	w.must(err)
	e, err := w.bus.Read(w.ctx(), events.BucketConversations, s.ConversationKey())
	w.must(err)
	w.must(json.Unmarshal(e.Value, &c))
	return c
}

func TestPoisonIsRefusedAndBuried(t *testing.T) {
	w := newWorld(t)
	w.says(ann)
	w.teamed(team+": accounts="+desk, func(c *Config) { c.LaneWait = time.Second })
	w.noted()
	good := events.CommandSubject(team, corp, desk, events.VerbSend, ann)
	type poison struct {
		id, subject, body string
		header            map[string][]string
		field, reason     string
	}
	of := func(id, body, field string) poison { return poison{id: id, body: body, field: field} }
	list := []poison{
		of("broken", `{"msgtype":"text","text":`, "body"),
		of("list", `[1,2]`, "body"),
		of("number", `7`, "body"),
		of("empty", ``, "body"),
		of("two", `{"msgtype":"text","text":{"content":"x"}}{}`, "body"),
		of("no-utf8", "{\"msgtype\":\"text\",\"text\":{\"content\":\"\xff\"}}", "body"),
		of("unknown-type", `{"msgtype":"hologram","hologram":{}}`, "msgtype"),
		of("no-type", `{"text":{"content":"`+canary+`"}}`, "msgtype"),
		of("no-body", `{"msgtype":"text"}`, "text"),
		of("no-content", `{"msgtype":"text","text":{}}`, "text.content"),
		of("too-long", `{"msgtype":"text","text":{"content":"`+strings.Repeat("x", 2049)+`"}}`, "text.content"),
		of("too-long-in-bytes", `{"msgtype":"text","text":{"content":"`+strings.Repeat("好", 683)+`"}}`, "text.content"),
		of("menu", `{"msgtype":"msgmenu","msgmenu":{"list":[`+strings.Repeat(`{"type":"text","text":{"content":"x"}},`, 10)+`{"type":"text","text":{"content":"x"}}]}}`, "msgmenu.list"),
		of("url", `{"msgtype":"link","link":{"title":"t","url":"file:///etc/passwd","thumb_media_id":"M"}}`, "link.url"),
		of("large", `{"msgtype":"text","text":{"content":"`+strings.Repeat("x", events.MaxCommandBytes)+`"}}`, "body"),
		of("huge", `{"msgtype":"text","text":{"content":"`+strings.Repeat("x", 3<<20)+`"}}`, "body"),
		of("huge-file", `{"msgtype":"image","image":{"data":"`+strings.Repeat("iVBO", 3<<18)+`"}}`, "body"),
		of("no-picture", `{"msgtype":"image","image":{"data":"aGVsbG8gd29ybGQ="}}`, "image.data"),
		of("twice", `{"msgtype":"text","msgtype":"image","text":{"content":"x"}}`, "body"),
		of("twice-within", `{"msgtype":"text","text":{"content":"x","content":"y"}}`, "message"),
		of("stranger", `{"msgtype":"text","text":{"content":"x"},"`+canary+`":1}`, "an unknown field"),
		of("expiry", `{"msgtype":"text","text":{"content":"x"},"expirytime":"tomorrow"}`, "expirytime"),
		of("far", `{"msgtype":"text","text":{"content":"x"},"expirytime":"2199-01-01T00:00:00Z"}`, "expirytime"),
		of("hold", `{"msgtype":"text","text":{"content":"x"},"in_human_session":"perhaps"}`, "in_human_session"),
		of("generation", `{"msgtype":"text","text":{"content":"x"},"generation":-1}`, "generation"),
		of("dry", `{"msgtype":"text","text":{"content":"x"},"dry_run":1}`, "dry_run"),
		of("other-id", `{"msgtype":"text","text":{"content":"x"},"command_id":"another"}`, "command_id"),
		of("nul", `{"msgtype":"text","text":{"content":"x"},"causationid":{}}`, "causationid"),
		{id: "hash", subject: strings.Replace(good, ann, "=0123456789012345678901", 1), body: `{"msgtype":"text","text":{"content":"x"}}`, field: "external_userid"},
		{id: "wrong-hash", subject: strings.Replace(good, ann, "=0123456789012345678901", 1), body: `{"touser":"wm.odd","msgtype":"text","text":{"content":"x"}}`, field: "external_userid"},
		{id: "nobody", subject: strings.Replace(good, ann, "-", 1), body: `{"msgtype":"text","text":{"content":"x"}}`, field: "external_userid"},
		{id: "star", subject: strings.Replace(good, ann, "*", 1), body: `{"msgtype":"text","text":{"content":"x"}}`, field: "subject"},
		{id: "all", subject: strings.Replace(good, ann, ">", 1), body: `{"msgtype":"text","text":{"content":"x"}}`, field: "subject"},
		{id: "foreign", subject: strings.Replace(good, corp, "ww9", 1), body: `{"msgtype":"text","text":{"content":"x"}}`, field: "subject"},
		{id: "no-owner", subject: strings.Replace(good, desk, "wkOTHERS", 1), body: `{"msgtype":"text","text":{"content":"x"}}`, field: "open_kfid", reason: "not_owner"},
		{id: "no-team", subject: strings.Replace(good, "."+team+".", ".nobody.", 1), body: `{"msgtype":"text","text":{"content":"x"}}`, field: "team", reason: "unknown_team"},
		{id: "no-code", subject: strings.Replace(good, ".send.", ".reply.", 1), body: `{"msgtype":"text","text":{"content":"x"}}`, field: "code"},
		{id: "reply-image", subject: strings.Replace(good, ".send.", ".reply.", 1), body: `{"msgtype":"image","image":{"media_id":"M"},"code":"C"}`, field: "msgtype"},
		{id: "reply-object", subject: strings.Replace(good, ".send.", ".reply.", 1), body: `{"msgtype":"image","image":{"object":"a"},"code":"C"}`, field: "image.media_id"},
		{id: "no-target", subject: strings.Replace(good, ".send.", ".recall.", 1), body: `{}`, field: "target_command_id"},
		{id: "self", subject: strings.Replace(good, ".send.", ".recall.", 1), body: `{"target_command_id":"self"}`, field: "target_command_id"},
		{id: "no-state", subject: strings.Replace(good, ".send.", ".transfer.", 1), body: `{}`, field: "service_state"},
		{id: "state-9", subject: strings.Replace(good, ".send.", ".transfer.", 1), body: `{"service_state":9}`, field: "service_state"},
		{id: "no-servicer", subject: strings.Replace(good, ".send.", ".transfer.", 1), body: `{"service_state":3}`, field: "servicer_userid"},
		{id: "event", body: `{"specversion":"1.0","id":"event"}`, header: map[string][]string{"Content-Type": {"application/cloudevents+json"}}, field: "event"},
		{id: "", body: `{"msgtype":"text","text":{"content":"` + canary + `"}}`},
		{id: "", body: `{"msgtype":"text","text":{"content":"second without an id"}}`},
		{id: strings.Repeat("i", 129), body: `{"msgtype":"text","text":{"content":"x"}}`, field: "command_id"},
	}
	named, nameless := 0, 0
	for _, p := range list {
		if p.subject == "" {
			p.subject = good
		}
		h := map[string][]string{}
		for k, v := range p.header {
			h[k] = v
		}
		if p.id != "" && p.header == nil {
			h["Nats-Msg-Id"] = []string{p.id}
		}
		w.raw(p.subject, h, []byte(p.body))
		if p.id == "" || p.header != nil {
			nameless++
		} else {
			named++
		}
	}
	const lines = "cr\r\nlf: x" // no header could hold it
	w.raw(good, nil, []byte(`{"command_id":"cr\r\nlf: x","msgtype":"text","text":{"content":"x"}}`))
	if o := w.want(lines, "refused/invalid"); o.Field != "command_id" {
		t.Errorf("an id of two lines: got %+v", o.Outcome)
	}
	for _, subject := range []string{"kf.command.shop." + corp + ".wkDESK.send.wm.odd", "kf.command.shop." + corp + ".wkDESK.shout.wmANN"} {
		if _, err := w.bus.JS.PublishMsg(w.ctx(), &nats.Msg{Subject: subject, Data: []byte(`{}`)}); err == nil {
			t.Errorf("%s was stored: its publisher is not told", subject)
		}
	}
	w.raw("kf.command.shop."+corp+".wkDESK.send."+strings.Repeat("u", 65), nil, []byte(`{}`)) // nobody can be told
	w.send(ann, "good")
	w.want("good", "accepted")
	for _, p := range list {
		if p.id == "" || p.header != nil {
			continue
		}
		if p.reason == "" {
			p.reason = "invalid"
		}
		o := w.want(p.id, "refused/"+p.reason)
		if o.Field != p.field {
			t.Errorf("%s: got field %q (%s), want %q", p.id, o.Field, o.Detail, p.field)
		}
		if o.Detail == "" || strings.Contains(o.Detail, canary) {
			t.Errorf("%s: detail %q", p.id, o.Detail)
		}
	}
	w.quiet()
	testkit.Eventually(w, "the nameless outcomes", func() bool { return len(w.of("")) == nameless })
	for _, o := range w.of("") {
		if !strings.Contains(o.Detail, "KF_COMMAND:") {
			t.Errorf("an outcome without an id does not say where the command is: %q", o.Detail)
		}
	}
	dead := w.deadLetters()
	if len(dead) != len(list)+2 {
		t.Errorf("got %d dead letters, want %d", len(dead), len(list)+2)
	}
	for _, d := range dead {
		if d.Reason != "invalid" && d.Reason != "not_owner" && d.Reason != "unknown_team" || d.Stream != events.StreamCommand || d.Seq == 0 || len(d.Payload) == 0 && !strings.Contains(d.Detail, "JSON object") ||
			strings.Contains(d.Detail, canary) {
			t.Errorf("dead letter of %d: reason %s, detail %q, %d bytes", d.Seq, d.Reason, d.Detail, len(d.Payload))
		}
	}
	if got := w.posts(apiSend); got != 1 {
		t.Errorf("got %d requests, want that of the good command", got)
	}
	t.Logf("%d refused by name, %d without an id, 1 without a readable subject: %d dead letters, the lanes go on", named, nameless, len(dead))
}

// A command id that was used is not refused because its second use is broken: that would contradict its outcome.
func TestBrokenRepeatDoesNotContradict(t *testing.T) {
	w := newWorld(t)
	w.says(ann)
	w.start()
	w.send(ann, "c")
	w.want("c", "accepted")
	for _, body := range []obj{{"msgtype": "nonsense"}, text()} { // broken, and as it was
		w.command(events.VerbSend, ann, "", with(body, obj{"command_id": "c"}))
	}
	w.audit("c")
	if got := len(w.deadLetters()); got != 1 {
		t.Errorf("got %d dead letters, want 1", got)
	}
}
