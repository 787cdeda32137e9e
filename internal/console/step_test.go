package console

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

const (
	traceA  = "0af7651916cd43dd8448eb211c80319c"
	parentA = "00-" + traceA + "-b7ad6b7169203331-01"
	traceB  = "1af7651916cd43dd8448eb211c80319c"
	parentB = "00-" + traceB + "-b7ad6b7169203331-01"
)

// steps are all that the feed holds.
func (c *Console) steps(t *testing.T) []step {
	t.Helper()
	list, _, _ := c.feed.since(0)
	var out []step
	for _, e := range list {
		if e.name != "step" {
			continue
		}
		var s step
		must(t, json.Unmarshal(e.data, &s))
		out = append(out, s)
	}
	return out
}

func (c *Console) lastStep(t *testing.T) step {
	t.Helper()
	all := c.steps(t)
	if len(all) == 0 {
		t.Fatal("no step")
	}
	return all[len(all)-1]
}

// outcome is the message of an outcome.
func outcome(t *testing.T, o events.Outcome, parent string) *nats.Msg {
	t.Helper()
	o.Team, o.Verb, o.OpenKfID, o.ExternalUserID, o.At = "orders", "send", kfID, ann, time.Unix(1, 0)
	e, err := o.Event(corp, parent)
	must(t, err)
	body, h, err := bus.Encode(e, bus.ModeStructured)
	must(t, err)
	s := events.Subject{Team: o.Team, Corp: corp, Account: kfID, User: ann}
	return &nats.Msg{Subject: events.OutcomeSubject(s, o.State), Header: h, Data: body}
}

// own is the message of an event of our own.
func own(t *testing.T, subject string, data any, parent string) *nats.Msg {
	t.Helper()
	e, err := events.Own("id", "/source", "type", data)
	must(t, err)
	if parent != "" {
		e.SetExtension(events.ExtTraceParent, parent)
	}
	body, h, err := bus.Encode(e, bus.ModeStructured)
	must(t, err)
	return &nats.Msg{Subject: subject, Header: h, Data: body}
}

// item is the message of a pulled item.
func item(t *testing.T, msgID, msgType, eventType, raw, mode, parent string) *nats.Msg {
	t.Helper()
	in := events.Inbound{Corp: corp, OpenKfID: kfID, ExternalUserID: ann, MsgID: msgID, MsgType: msgType, EventType: eventType,
		Raw: json.RawMessage(raw), TraceParent: parent}
	body, h, err := bus.Encode(in.Event(), mode)
	must(t, err)
	return &nats.Msg{Subject: in.Subject(), Header: h, Data: body}
}

func TestStepsOfTheBus(t *testing.T) {
	left := 3
	command := func(verb string) string { return events.CommandSubject("orders", corp, kfID, verb, ann) }
	bare := func(subject, id, body string) *nats.Msg {
		return &nats.Msg{Subject: subject, Header: nats.Header{nats.MsgIdHdr: {id}}, Data: []byte(body)}
	}
	for _, c := range []struct {
		name string
		m    *nats.Msg
		want step
	}{
		{"doorbell", own(t, events.CallbackSubject(corp, kfID), events.Doorbell{Event: events.RingMessage}, parentA),
			step{Kind: "callback", Summary: "kf_msg_or_event", Trace: traceA}},
		{"text", item(t, "m1", "text", "", `{"msgtype":"text","text":{"content":"你好，\n  我的订单"}}`, bus.ModeStructured, parentA),
			step{Kind: "message", Summary: "text · 你好， 我的订单", Trace: traceA}},
		{"text in binary mode", item(t, "m1", "text", "", `{"msgtype":"text","text":{"content":"hi"}}`, bus.ModeBinary, parentA),
			step{Kind: "message", Summary: "text · hi", Trace: traceA}},
		{"location", item(t, "m1", "location", "", `{"location":{"name":"Office","latitude":1}}`, bus.ModeStructured, ""),
			step{Kind: "message", Summary: "location · Office"}},
		{"a type nobody knows", item(t, "m1", "hologram", "", `{"hologram":[1]}`, bus.ModeStructured, ""),
			step{Kind: "message", Summary: "hologram"}},
		{"event", item(t, "m2", "event", "session_status_change", `{"event":{"event_type":"session_status_change","change_type":1,"new_servicer_userid":"lisi"}}`, bus.ModeStructured, ""),
			step{Kind: "event", Summary: "session_status_change · change_type 1 · new_servicer_userid lisi"}},
		{"cursor", own(t, events.CursorSubject(corp, kfID), events.Cursor{Page: 2, Seq: 7}, ""),
			step{Kind: "cursor", Summary: "page 2 · seq 7", Quiet: true}},
		{"bare command", bare(command("send"), "c1", `{"msgtype":"text","text":{"content":"您好"}}`),
			step{Kind: "command", Summary: "send · text · 您好", Command: "c1"}},
		{"command with its id in the body", bare(command("recall"), "", `{"command_id":"c2","target_command_id":"c1"}`),
			step{Kind: "command", Summary: "recall · c1", Command: "c2"}},
		{"command as an event", own(t, command("send"), map[string]any{"msgtype": "link", "link": map[string]string{"title": "Guide"}}, parentB),
			step{Kind: "command", Summary: "send · link · Guide", Command: "id", Trace: traceB}},
		{"command that is no JSON", bare(command("send"), "c3", `hello`),
			step{Kind: "command", Summary: "send · command body: is no JSON object", Command: "c3", Tone: toneWarn}},
		{"accepted", outcome(t, events.Outcome{CommandID: "c1", State: "accepted", SendsLeft: &left}, parentA),
			step{Kind: "outcome", Summary: "accepted · 3 left", Command: "c1", Tone: toneGood, Trace: traceA}},
		{"refused", outcome(t, events.Outcome{CommandID: "c1", State: "refused", Reason: "quota_spent", ErrCode: 95001}, ""),
			step{Kind: "outcome", Summary: "refused · quota_spent · errcode 95001", Command: "c1", Tone: toneBad}},
		{"unknown", outcome(t, events.Outcome{CommandID: "c1", State: "unknown"}, ""),
			step{Kind: "outcome", Summary: "unknown", Command: "c1", Tone: toneWarn}},
		{"correction", outcome(t, events.Outcome{CommandID: "c1", State: "failed", Corrects: "accepted"}, ""),
			step{Kind: "outcome", Summary: "failed · corrects accepted", Command: "c1", Tone: toneBad}},
		{"dead letter", own(t, events.DeadSubject("sender", "poison"), events.Dead{Detail: "why"}, ""),
			step{Kind: "dead", Summary: "sender · poison · why", Tone: toneBad}},
		{"API request", &nats.Msg{Subject: events.APISubject(corp, "account/list")},
			step{Kind: "api", Summary: "account.list"}},
		{"timer", &nats.Msg{Subject: "kf.timer.x", Data: []byte("{}")}, step{Kind: stepOther, Summary: "2 bytes", Quiet: true}},
		{"a subject nobody knows", &nats.Msg{Subject: "kf.nonsense", Data: []byte{0xff}}, step{Kind: stepOther, Summary: "1 bytes"}},
		{"a message that is no event", &nats.Msg{Subject: events.MessageSubject(corp, kfID, "text", ann), Data: []byte("x")},
			step{Kind: "message", Summary: "text"}},
		{"an outcome that is nonsense", own(t, events.OutcomeSubject(events.Subject{Team: "a", Corp: corp, Account: kfID, User: ann}, "accepted"), 17, ""),
			step{Kind: "outcome", Summary: "accepted", Tone: toneGood}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newConsole(t)
			at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
			k.cfg.Now = func() time.Time { return at }
			k.published(c.m)
			got := k.lastStep(t)
			if got.Where != c.m.Subject || !got.At.Equal(at) {
				t.Errorf("got %s at %v, want %s at %v", got.Where, got.At, c.m.Subject, at)
			}
			if g, w := describe(got), describe(c.want); g != w {
				t.Errorf("got  %s\nwant %s", g, w)
			}
		})
	}
}

// describe is what the tables compare.
func describe(s step) string {
	return strings.Join([]string{s.Kind, s.Summary, s.Tone, s.Trace, s.Command, string(oneLine(s.Quiet))}, " | ")
}

func TestStepShowsThePayload(t *testing.T) {
	k := newConsole(t)
	const raw = `{"msgid":"m1","n":12345678901234567890,"text":{"content":"<b>&"}}`
	k.published(item(t, "m1", "text", "", raw, bus.ModeStructured, parentA))
	s := k.lastStep(t)
	if !strings.Contains(s.Body, `"n": 12345678901234567890`) || !strings.Contains(s.Body, `"content": "<b>&"`) {
		t.Errorf("the payload was changed: %s", s.Body)
	}
	if s.Header["Content-Type"] != events.ContentType || s.Header["traceparent"] != parentA {
		t.Errorf("got headers %v", s.Header)
	}
	k.published(item(t, "m1", "text", "", raw, bus.ModeBinary, parentA))
	if s := k.lastStep(t); s.Header["ce-id"] != "m1" || !strings.HasPrefix(s.Body, "{\n  \"msgid\"") {
		t.Errorf("binary mode: got headers %v, body %s", s.Header, s.Body)
	}
	k.published(&nats.Msg{Subject: "kf.nonsense", Data: []byte{0xff, 0xfe}})
	if s := k.lastStep(t); s.Body != "(2 bytes that are no text)" {
		t.Errorf("got body %q", s.Body)
	}
	k.published(&nats.Msg{Subject: "kf.nonsense", Data: []byte(strings.Repeat("好", maxBody))})
	if s := k.lastStep(t); len(s.Body) > maxBody || !s.Cut || !strings.HasSuffix(s.Body, "好") {
		t.Errorf("got %d bytes, cut %t", len(s.Body), s.Cut)
	}
}

func TestStepsOfThePlatform(t *testing.T) {
	for _, c := range []struct {
		name string
		e    kfsim.Entry
		want step // Kind "" means that there is none
	}{
		{"callback", kfsim.Entry{Kind: kfsim.KindCallback, Callback: 3}, step{Kind: stepCallback, Summary: "#3 · signed, encrypted"}},
		{"callback that is dropped", kfsim.Entry{Kind: kfsim.KindCallback, Callback: 3, Reason: "dropped by a switch"}, step{Kind: stepCallback, Summary: "dropped by a switch", Tone: toneWarn}},
		{"answered", kfsim.Entry{Kind: kfsim.KindAttempt, Callback: 3, Attempt: 1, Status: 200}, step{Kind: stepCallback, Summary: "#3 · HTTP 200", Tone: toneGood}},
		{"not answered", kfsim.Entry{Kind: kfsim.KindAttempt, Callback: 3, Attempt: 2, Reason: "no answer in time"},
			step{Kind: stepCallback, Summary: "#3 · no answer · attempt 2 · no answer in time", Tone: toneWarn}},
		{"given up", kfsim.Entry{Kind: kfsim.KindGivenUp, Callback: 3}, step{Kind: stepCallback, Summary: "#3 · given up", Tone: toneBad}},
		{"delivered, as the attempt said", kfsim.Entry{Kind: kfsim.KindDelivered}, step{}},
		{"page", kfsim.Entry{Kind: kfsim.KindCall, Path: "kf/sync_msg", Items: []string{"a", "b"}, HasMore: true}, step{Kind: stepPage, Summary: "2 items · has_more"}},
		{"empty page", kfsim.Entry{Kind: kfsim.KindCall, Path: "kf/sync_msg"}, step{Kind: stepPage, Quiet: true}},
		{"empty page that is not the last", kfsim.Entry{Kind: kfsim.KindCall, Path: "kf/sync_msg", HasMore: true}, step{Kind: stepPage, Summary: "has_more"}},
		{"page that is refused", kfsim.Entry{Kind: kfsim.KindCall, Path: "kf/sync_msg", ErrCode: 42001, Reason: "expired"}, step{Kind: stepPage, Summary: "errcode 42001 · expired", Tone: toneBad}},
		{"send", kfsim.Entry{Kind: kfsim.KindCall, Call: 7, Path: "kf/send_msg"}, step{Kind: stepCall, Summary: "errcode 0 · 2 of 5"}},
		{"another send", kfsim.Entry{Kind: kfsim.KindCall, Call: 8, Path: "kf/send_msg"}, step{Kind: stepCall, Summary: "errcode 0"}},
		{"send that is refused", kfsim.Entry{Kind: kfsim.KindCall, Call: 7, Path: "kf/send_msg", ErrCode: 95001, Reason: "5 messages"}, step{Kind: stepCall, Summary: "errcode 95001 · 5 messages", Tone: toneBad}},
		{"send with a fault", kfsim.Entry{Kind: kfsim.KindCall, Path: "kf/send_msg", Fault: "http_500_after"}, step{Kind: stepCall, Summary: "errcode 0 · fault http_500_after", Tone: toneWarn}},
		{"a path that is not there", kfsim.Entry{Kind: kfsim.KindCall, Path: `"x"`, Status: 404, Reason: "no such path"}, step{Kind: stepCall, Summary: "HTTP 404 · no such path", Tone: toneBad}},
		{"token", kfsim.Entry{Kind: kfsim.KindCall, Path: "gettoken"}, step{Kind: stepCall, Summary: "errcode 0", Quiet: true}},
		{"token that is refused", kfsim.Entry{Kind: kfsim.KindCall, Path: "gettoken", ErrCode: 40001, Reason: "secret"}, step{Kind: stepCall, Summary: "errcode 40001 · secret", Tone: toneBad}},
		{"accepted send, as its call says", kfsim.Entry{Kind: kfsim.KindSend}, step{}},
		{"item", kfsim.Entry{Kind: kfsim.KindItem, MsgType: "event", EventType: "enter_session"}, step{Kind: stepPlatform, Summary: "event · enter_session", Quiet: true}},
		{"state", kfsim.Entry{Kind: kfsim.KindState, Change: "2->3", ServicerUserID: "lisi"}, step{Kind: stepPlatform, Summary: "service_state 2 → 3 · lisi"}},
		{"recall by the customer", kfsim.Entry{Kind: kfsim.KindRecall, Reason: "by the customer"}, step{Kind: stepPlatform, Summary: "by the customer"}},
		{"recall by the API, as its call says", kfsim.Entry{Kind: kfsim.KindRecall, Call: 3}, step{}},
		{"failed after all", kfsim.Entry{Kind: kfsim.KindFail, FailType: 10}, step{Kind: stepPlatform, Summary: "fail_type 10", Tone: toneWarn}},
		{"clock", kfsim.Entry{Kind: kfsim.KindClock, Reason: "offset is now 48h"}, step{Kind: stepPlatform, Summary: "offset is now 48h"}},
		{"fault", kfsim.Entry{Kind: kfsim.KindFault, Fault: "latency", Reason: "set"}, step{Kind: stepPlatform, Summary: "latency · set", Tone: toneWarn}},
		{"account", kfsim.Entry{Kind: kfsim.KindAccount, Reason: "made"}, step{Kind: stepPlatform, Summary: "made", Quiet: true}},
		{"corp", kfsim.Entry{Kind: kfsim.KindCorp, Reason: "made"}, step{Kind: stepPlatform, Summary: "made", Quiet: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newConsole(t)
			k.journaled(kfsim.Entry{Kind: kfsim.KindSend, Call: 7, Count: 2})
			k.journaled(c.e)
			if c.want.Kind == "" {
				if n := len(k.steps(t)); n != 0 {
					t.Errorf("got %d steps, want none", n)
				}
				return
			}
			if g, w := describe(k.lastStep(t)), describe(c.want); g != w {
				t.Errorf("got  %s\nwant %s", g, w)
			}
		})
	}
}
