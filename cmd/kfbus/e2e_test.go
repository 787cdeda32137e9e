package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// stack is `kfbus dev` in this process, and a client that knows nothing of it.
type stack struct {
	*testing.T
	*dev
	nc *nats.Conn
}

func startStack(t *testing.T) *stack {
	t.Helper()
	var logs lockedBuffer
	restoreEnv(t)
	d, err := newDev(t.Context(), freePorts(), &logs)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := devContext(t)
	if err := d.start(ctx); err != nil {
		stop()
		t.Fatalf("%v\n%s", err, logs.Bytes())
	}
	s := &stack{T: t, dev: d}
	t.Cleanup(func() {
		s.nc.Close()
		stop()
		if err := d.wait(); err != nil {
			t.Errorf("dev did not stop cleanly: %v", err)
		}
		if t.Failed() {
			t.Logf("logs:\n%s", last(logs.Bytes(), 4000))
		}
	})
	if s.nc, err = nats.Connect(d.urls.nats); err != nil { // over TCP, as anybody
		t.Fatal(err)
	}
	return s
}

func (s *stack) kf() string   { return s.world.account.OpenKfID }
func (s *stack) user() string { return s.world.customers[0].ExternalUserID }
func (s *stack) corp() string { return s.world.corp.CorpID }

// subscribe returns a function that waits for the next message.
func (s *stack) subscribe(subject string) func() *nats.Msg {
	s.Helper()
	sub, err := s.nc.SubscribeSync(subject)
	if err != nil {
		s.Fatal(err)
	}
	if err := s.nc.Flush(); err != nil {
		s.Fatal(err)
	}
	return func() *nats.Msg {
		s.Helper()
		m, err := sub.NextMsg(testkit.Patience)
		if err != nil {
			s.Fatalf("nothing came on %s: %v", subject, err)
		}
		return m
	}
}

// outcome reads the data of an outcome event, knowing only CloudEvents and JSON.
func outcome(t *testing.T, m *nats.Msg) events.Outcome {
	t.Helper()
	var e struct {
		Data events.Outcome `json:"data"`
	}
	if err := json.Unmarshal(m.Data, &e); err != nil {
		t.Fatal(err)
	}
	return e.Data
}

// publish sends a bare JSON command as any client may.
func (s *stack) publish(verb, id, body string) {
	s.Helper()
	subject := fmt.Sprintf("kf.command.orders.%s.%s.%s.%s", s.corp(), s.kf(), verb, s.user())
	if err := s.nc.PublishMsg(&nats.Msg{Subject: subject, Data: []byte(body), Header: nats.Header{"Nats-Msg-Id": {id}}}); err != nil {
		s.Fatal(err)
	}
}

// publishBare names the command in the body: the broker drops a repeated header
// within 100 ms.
func (s *stack) publishBare(verb, body string) {
	s.Helper()
	if err := s.nc.Publish(fmt.Sprintf("kf.command.orders.%s.%s.%s.%s", s.corp(), s.kf(), verb, s.user()), []byte(body)); err != nil {
		s.Fatal(err)
	}
}

func (s *stack) say(text string) {
	s.Helper()
	if _, err := s.sim.CustomerSays(s.kf(), s.user(), text); err != nil {
		s.Fatal(err)
	}
}

func TestNewcomer(t *testing.T) {
	s := startStack(t)
	next, outcomes := s.subscribe("kf.message.>"), s.subscribe("kf.outcome.orders.>")

	// A customer writes; it arrives as one CloudEvent in JSON, with the platform's own JSON as data.
	res, err := http.Post(s.urls.control+"/say", "application/json",
		strings.NewReader(fmt.Sprintf(`{"open_kfid":%q,"external_userid":%q,"text":"你好 <b>&"}`, s.kf(), s.user())))
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(res.Body); res.StatusCode >= 300 {
		t.Fatalf("say: %d %s", res.StatusCode, body)
	}
	res.Body.Close()
	m := next()
	if want := fmt.Sprintf("kf.message.%s.%s.text.%s", s.corp(), s.kf(), s.user()); m.Subject != want {
		t.Errorf("subject %s, want %s", m.Subject, want)
	}
	var e struct {
		SpecVersion, ID, Source, Type, Subject string
		Data                                   json.RawMessage
	}
	if err := json.Unmarshal(m.Data, &e); err != nil {
		t.Fatal(err)
	}
	raw := s.sim.Items(s.kf())[0].Raw
	if string(e.Data) != string(raw) || e.SpecVersion != "1.0" || e.Type != "io.github.kfbus.message.text.v1" || e.Subject != s.user() {
		t.Errorf("got %s\nwant data %s", m.Data, raw)
	}

	// A bare publish answers; the customer's phone shows it; the outcome says so.
	s.publish("send", "answer-1", `{"msgtype":"text","text":{"content":"您好 <b>&"}}`)
	o := outcome(t, outcomes())
	if o.State != "accepted" || o.CommandID != "answer-1" || o.SendsLeft == nil || *o.SendsLeft != 4 {
		t.Errorf("got %+v", o)
	}
	phone := s.sim.Phone(s.kf(), s.user())
	if got := string(phone[len(phone)-1].Body); got != `{"content":"您好 <b>&"}` {
		t.Errorf("the phone shows %s", got)
	}

	// What teams may know of the conversation.
	var c events.Conversation
	testkit.Eventually(t, "the conversation", func() bool {
		entry, err := s.admin.Read(t.Context(), events.BucketConversations, events.ConversationKey(s.corp(), s.kf(), s.user()))
		return err == nil && json.Unmarshal(entry.Value, &c) == nil && c.SendsLeft == 4 && c.WindowEndsAt != nil
	})
}

func TestFiveAndTheSixth(t *testing.T) {
	s := startStack(t)
	next, outcomes := s.subscribe("kf.message.>"), s.subscribe("kf.outcome.orders.>")
	s.say("one question")
	next()
	for i := range 5 {
		s.publish("send", fmt.Sprint("a", i), `{"msgtype":"text","text":{"content":"x"}}`)
		if o := outcome(t, outcomes()); o.State != "accepted" {
			t.Fatalf("answer %d: %+v", i, o)
		}
	}
	before := s.sim.Calls("kf/send_msg")
	s.publish("send", "sixth", `{"msgtype":"text","text":{"content":"x"}}`)
	m := outcomes()
	if o := outcome(t, m); o.State != "refused" || o.Reason != "quota_spent" || !strings.Contains(m.Subject, ".refused.") {
		t.Errorf("sixth: %s %+v", m.Subject, o)
	}
	if n := s.sim.Calls("kf/send_msg") - before; n != 0 {
		t.Errorf("the platform was asked %d times", n)
	}
	// By our clocks a send and a message less than two seconds apart could be in either order, and
	// the sixth would then be one too many.
	s.sim.Clock().Advance(5 * time.Second)
	s.say("another question")
	next()
	s.publish("send", "seventh", `{"msgtype":"text","text":{"content":"x"}}`)
	if o := outcome(t, outcomes()); o.State != "accepted" {
		t.Errorf("after the customer wrote again: %+v", o)
	}
	s.publish("send", "a0", `{"msgtype":"text","text":{"content":"again"}}`)
	s.publish("send", "eighth", `{"msgtype":"text","text":{"content":"x"}}`)
	if o := outcome(t, outcomes()); o.CommandID != "eighth" { // the repeat of a0 says nothing new and sends nothing
		t.Errorf("got %+v, want the eighth", o)
	}
	if n := len(s.sim.Accepted()); n != 7 {
		t.Errorf("%d messages were taken, want 7", n)
	}
}

func TestCommandLine(t *testing.T) {
	s := startStack(t)
	at := []string{"--nats", s.urls.nats, "--corp", s.corp()}
	next := s.subscribe("kf.message.>")
	s.say("你好")
	next()

	code, out, errs := kfbus(t, append([]string{"send", s.kf(), s.user(), "您好", "--id", "cli-1", "-o", "json"}, at...)...)
	var o events.Outcome
	if err := json.Unmarshal([]byte(out), &o); code != 0 || err != nil || o.State != "accepted" {
		t.Fatalf("send: code %d, %s%s", code, out, errs)
	}
	code, out, errs = kfbus(t, append([]string{"recall", s.kf(), s.user(), "cli-1"}, at...)...)
	if code != 0 || !strings.HasPrefix(out, "recalled") {
		t.Errorf("recall within two minutes: code %d, %s%s", code, out, errs)
	}
	if p := s.sim.Phone(s.kf(), s.user()); !recalled(p) {
		t.Errorf("the phone still shows it: %+v", p)
	}

	code, out, errs = kfbus(t, append([]string{"send", s.kf(), s.user(), "second", "--id", "cli-2"}, at...)...)
	if code != 0 {
		t.Fatalf("send: code %d, %s%s", code, out, errs)
	}
	s.sim.Clock().Advance(2*time.Minute + 10*time.Second)
	code, out, _ = kfbus(t, append([]string{"recall", s.kf(), s.user(), "cli-2"}, at...)...)
	if code != 1 || !strings.HasPrefix(out, "refused") {
		t.Errorf("recall after two minutes: code %d, %s", code, out)
	}
	code, out, _ = kfbus(t, append([]string{"recall", s.kf(), s.user(), "never-was"}, at...)...)
	if code == 3 {
		t.Errorf("recall of nothing: code %d, %s; want an outcome", code, out)
	}
	code, out, _ = kfbus(t, append([]string{"send", s.kf(), s.user(), "--type", "hologram", "--body", "{}"}, at...)...)
	if code != 1 || !strings.HasPrefix(out, "refused") || !strings.Contains(out, "invalid") {
		t.Errorf("unknown type: code %d, %s", code, out)
	}
	code, out, _ = kfbus(t, "tail", "--nats", s.urls.nats, "--since", "1h", "-n", "1", "kf.message.>")
	if code != 0 || !strings.Contains(out, "你好") {
		t.Errorf("tail: code %d, %s", code, out)
	}
	code, out, _ = kfbus(t, "tail", "--nats", s.urls.nats, "--since", "1h", "-n", "1", "kf.dead.>")
	if code != 0 || !strings.Contains(out, "kf.dead.sender.invalid") {
		t.Errorf("the dead letter: code %d, %s", code, out)
	}
	if code, _, errs := kfbus(t, "health", s.urls.admin+"/readyz"); code != 0 {
		t.Errorf("health: code %d, %s", code, errs)
	}
}

// TestCommandLineAnswersEvents: the codes that events and transfers give, used from the shell.
func TestCommandLineAnswersEvents(t *testing.T) {
	s := startStack(t)
	at := []string{"--nats", s.urls.nats, "--corp", s.corp(), "-o", "json"}
	do := func(args ...string) (events.Outcome, int) {
		t.Helper()
		code, out, errs := kfbus(t, append(args, at...)...)
		var o events.Outcome
		if err := json.Unmarshal([]byte(out), &o); err != nil {
			t.Fatalf("%v: code %d, %s%s", args, code, out, errs)
		}
		return o, code
	}
	ev, next := s.subscribe("kf.event.*.*.enter_session.>"), s.subscribe("kf.message.>")
	if _, err := s.sim.Enter(kfsim.Enter{OpenKfID: s.kf(), ExternalUserID: s.user(), Scene: "home"}); err != nil {
		t.Fatal(err)
	}
	var e struct {
		Data struct{ Event kfapi.EnterSession }
	}
	if err := json.Unmarshal(ev().Data, &e); err != nil || e.Data.Event.WelcomeCode == "" {
		t.Fatalf("enter_session: %+v, %v", e, err)
	}
	menu := `{"head_content":"您好","list":[{"type":"click","click":{"id":"1","content":"人工"}}]}`
	if o, code := do("reply", s.kf(), s.user(), e.Data.Event.WelcomeCode, "--type", "msgmenu", "--body", menu); code != 0 || o.State != "accepted" {
		t.Errorf("welcome menu: code %d, %+v", code, o)
	}
	if o, code := do("reply", s.kf(), s.user(), e.Data.Event.WelcomeCode, "again"); code != 1 || o.State == "accepted" {
		t.Errorf("the same code again: code %d, %+v", code, o)
	}

	s.say("人工")
	next()
	pool, code := do("transfer", s.kf(), s.user(), "2")
	if code != 0 || pool.State != "accepted" || pool.MsgCode == "" {
		t.Fatalf("transfer to the pool: code %d, %+v", code, pool)
	}
	if o, code := do("reply", s.kf(), s.user(), pool.MsgCode, "请稍候"); code != 0 || o.State != "accepted" {
		t.Errorf("with the code of the transfer: code %d, %+v", code, o)
	}
	if o, code := do("transfer", s.kf(), s.user(), "3", "--servicer", "lisi"); code != 0 || o.State != "accepted" {
		t.Errorf("to a servicer: code %d, %+v", code, o)
	}
	if o, code := do("transfer", s.kf(), s.user(), "1"); code != 1 || o.ErrCode != 95016 {
		t.Errorf("back from a servicer: code %d, %+v; want the platform's 95016", code, o)
	}
	if code, _, errs := kfbus(t, "transfer", s.kf(), s.user(), "pool"); code != 2 || !strings.Contains(errs, "STATE") {
		t.Errorf("STATE that is no number: code %d, %s", code, errs)
	}
}

func recalled(p []kfsim.PhoneMessage) bool {
	for _, m := range p {
		if m.Recalled {
			return true
		}
	}
	return false
}

// TestBadCommands: a clear refusal and a dead letter each, and the next good
// command goes through.
func TestBadCommands(t *testing.T) {
	s := startStack(t)
	next, outcomes, dead := s.subscribe("kf.message.>"), s.subscribe("kf.outcome.orders.>"), s.subscribe("kf.dead.sender.>")
	s.say("hi")
	next()
	for i, c := range []struct{ name, verb, body string }{
		{"not JSON", "send", `hello`},
		{"unknown msgtype", "send", `{"msgtype":"hologram","hologram":{}}`},
		{"no body of its type", "send", `{"msgtype":"text"}`},
		{"too long", "send", `{"msgtype":"text","text":{"content":"` + strings.Repeat("x", 2049) + `"}}`},
		{"a field twice", "send", `{"msgtype":"text","msgtype":"text","text":{"content":"x"}}`},
		{"recall of nothing named", "recall", `{}`},
		{"reply without a code", "reply", `{"msgtype":"text","text":{"content":"x"}}`},
		{"transfer to nowhere", "transfer", `{"service_state":9}`},
	} {
		s.publish(c.verb, fmt.Sprint("bad", i), c.body)
		o := outcome(t, outcomes())
		if o.State != "refused" || o.Reason != "invalid" || o.Detail == "" || o.CommandID != fmt.Sprint("bad", i) {
			t.Errorf("%s: got %+v", c.name, o)
		}
		if m := dead(); m.Subject != "kf.dead.sender.invalid" {
			t.Errorf("%s: dead letter on %s", c.name, m.Subject)
		}
	}
	s.publish("send", "good", `{"msgtype":"text","text":{"content":"x"}}`)
	if o := outcome(t, outcomes()); o.State != "accepted" {
		t.Errorf("afterwards: %+v", o)
	}
	if n := len(s.sim.Accepted()); n != 1 {
		t.Errorf("%d messages were taken, want 1", n)
	}
}

// TestOneIDForTwoCustomers: a command is named by its conversation too. The
// first request of the second is in doubt, and must not be proved by the first.
func TestOneIDForTwoCustomers(t *testing.T) {
	s := startStack(t)
	next, outcomes := s.subscribe("kf.message.>"), s.subscribe("kf.outcome.orders.>")
	for _, c := range s.world.customers {
		if _, err := s.sim.CustomerSays(s.kf(), c.ExternalUserID, "hi"); err != nil {
			t.Fatal(err)
		}
		next()
	}
	second := s.world.customers[1].ExternalUserID
	if _, err := s.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultHTTP500Before, Path: "kf/send_msg", ExternalUserID: second, Count: 1}); err != nil {
		t.Fatal(err)
	}
	for _, c := range s.world.customers {
		subject := events.CommandSubject("orders", s.corp(), s.kf(), events.VerbSend, c.ExternalUserID)
		body := []byte(`{"command_id":"n1","msgtype":"text","text":{"content":"x"}}`)
		if err := s.nc.Publish(subject, body); err != nil {
			t.Fatal(err)
		}
		if o := outcome(t, outcomes()); o.State != "accepted" || o.ExternalUserID != c.ExternalUserID {
			t.Errorf("got %+v", o)
		}
	}
	took := map[string]int{}
	for _, a := range s.sim.Accepted() {
		took[a.ExternalUserID]++
	}
	if len(took) != 2 || took[second] != 1 {
		t.Errorf("the platform took %v", took)
	}
}

// TestRefusedCommandCanBeMended: what could not be read was never taken on.
func TestRefusedCommandCanBeMended(t *testing.T) {
	s := startStack(t)
	next, outcomes := s.subscribe("kf.message.>"), s.subscribe("kf.outcome.orders.>")
	s.publishBare("send", `{"command_id":"mend","msgtype":"hologram","hologram":{}}`)
	if o := outcome(t, outcomes()); o.State != "refused" || o.Reason != "invalid" {
		t.Errorf("got %+v", o)
	}
	s.publishBare("send", `{"command_id":"mend","msgtype":"text","text":{"content":"x"}}`)
	if o := outcome(t, outcomes()); o.State != "refused" || o.Reason != "never_opened" {
		t.Errorf("mended, and refused by a rule: %+v", o)
	}
	s.say("hi")
	next()
	s.publishBare("send", `{"command_id":"mend2","msgtype":"hologram","hologram":{}}`)
	outcomes()
	s.publishBare("send", `{"command_id":"mend2","msgtype":"text","text":{"content":"x"}}`)
	if o := outcome(t, outcomes()); o.State != "accepted" {
		t.Errorf("mended: %+v", o)
	}
}

// TestUnreadableCommandsAreAnsweredByName: whatever can be made out of a broken
// command's id and subject addresses its refusal.
func TestUnreadableCommandsAreAnsweredByName(t *testing.T) {
	s := startStack(t)
	outcomes := s.subscribe("kf.outcome.>")
	at := func(user string) string {
		return "kf.command.orders." + s.corp() + "." + s.kf() + ".send." + user
	}
	for _, c := range []struct {
		name, subject, id string
		m                 nats.Msg
	}{
		{"a strange customer", at("中文"), "c1", nats.Msg{Header: nats.Header{"Nats-Msg-Id": {"c1"}}, Data: []byte(`{"msgtype":"text"}`)}},
		{"a broken hash", at("=abc"), "c2", nats.Msg{Data: []byte(`{"command_id":"c2"}`)}},
		{"a structured event with an extension that is none", at(s.user()), "c3",
			nats.Msg{Header: nats.Header{"Content-Type": {"application/cloudevents+json"}}, Data: []byte(`{"specversion":"1.0","id":"c3","source":"/s","type":"t","Bad-Ext":"x","data":{}}`)}},
		{"a binary event without a source", at(s.user()), "c4", nats.Msg{Header: nats.Header{"ce-specversion": {"1.0"}, "ce-id": {"c4"}}, Data: []byte(`{}`)}},
	} {
		c.m.Subject = c.subject
		if err := s.nc.PublishMsg(&c.m); err != nil {
			t.Fatal(err)
		}
		if o := outcome(t, outcomes()); o.CommandID != c.id || o.State != "refused" || o.Reason != "invalid" {
			t.Errorf("%s: got %+v", c.name, o)
		}
	}
}

func TestWelcomeHumanAndFailure(t *testing.T) {
	s := startStack(t)
	ev, outcomes := s.subscribe("kf.event.>"), s.subscribe("kf.outcome.orders.>")
	next := s.subscribe("kf.message.>")

	// A customer comes in: the welcome code answers once.
	if _, err := s.sim.Enter(kfsim.Enter{OpenKfID: s.kf(), ExternalUserID: s.user(), Scene: "home"}); err != nil {
		t.Fatal(err)
	}
	var e struct {
		Data struct {
			Event struct {
				WelcomeCode string `json:"welcome_code"`
			}
		}
	}
	if err := json.Unmarshal(ev().Data, &e); err != nil || e.Data.Event.WelcomeCode == "" {
		t.Fatalf("enter_session: %+v, %v", e, err)
	}
	s.publish("reply", "welcome", fmt.Sprintf(`{"code":%q,"msgtype":"text","text":{"content":"欢迎"}}`, e.Data.Event.WelcomeCode))
	if o := outcome(t, outcomes()); o.State != "accepted" || o.Verb != "reply" {
		t.Errorf("welcome: %+v", o)
	}

	// WeChat tells later that a message could not be delivered: one correction.
	s.say("hi")
	next()
	s.publish("send", "lost", `{"msgtype":"text","text":{"content":"x"}}`)
	o := outcome(t, outcomes())
	if o.State != "accepted" {
		t.Fatalf("send: %+v", o)
	}
	if err := s.sim.FailSend(kfsim.FailSend{OpenKfID: s.kf(), MsgID: o.MsgID, FailType: 10}); err != nil {
		t.Fatal(err)
	}
	if o := outcome(t, outcomes()); o.State != "failed" || o.Corrects != "accepted" || o.FailType != 10 || o.CommandID != "lost" {
		t.Errorf("correction: %+v", o)
	}

	// A human takes over: sends are refused.
	s.publish("transfer", "to-human", `{"service_state":3,"servicer_userid":"lisi"}`)
	if o := outcome(t, outcomes()); o.State != "accepted" {
		t.Errorf("transfer: %+v", o)
	}
	s.publish("send", "too-late", `{"msgtype":"text","text":{"content":"x"}}`)
	if o := outcome(t, outcomes()); o.State != "refused" || o.Reason != "session_state" {
		t.Errorf("while a human holds it: %+v", o)
	}
}
