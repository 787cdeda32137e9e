package console

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/pkg/events"
)

// published makes a step of one message on the bus. Whatever anybody publishes
// under kf.> comes here, so that nothing in it is trusted to be well-formed.
func (c *Console) published(m *nats.Msg) {
	s := step{Kind: stepOther, Where: m.Subject}
	s.header(m.Header)
	s.body(m.Data)
	e, err := bus.Decode(m.Header, m.Data)
	isEvent := err == nil
	if isEvent {
		s.Trace = traceID(parentOf(e))
		if m.Header.Get("ce-specversion") != "" {
			s.body(e.Data())
		}
	}
	subject, err := events.ParseSubject(m.Subject)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil:
		s.Quiet = strings.HasPrefix(m.Subject, "kf.timer.") || strings.HasPrefix(m.Subject, "kf.due.")
		s.Summary = fmt.Sprintf("%d bytes", len(m.Data))
	case subject.Kind == events.KindCommand:
		c.commanded(&s, subject, m, e, isEvent)
	default:
		s.Kind = string(subject.Kind)
		c.told(&s, subject, e)
	}
	c.record(s)
}

// commanded describes a command in any of its three forms.
func (c *Console) commanded(s *step, subject events.Subject, m *nats.Msg, e event.Event, isEvent bool) {
	var cmd events.Command
	var err error
	if isEvent {
		cmd, err = events.CommandFromEvent(subject, e, c.cfg.Now())
	} else {
		cmd, err = events.CommandFromJSON(subject, m.Header.Get(nats.MsgIdHdr), m.Data, c.cfg.Now())
	}
	s.Kind, s.Command, s.Trace = string(events.KindCommand), cmd.ID, traceID(cmd.TraceParent)
	var body struct {
		MsgType string `json:"msgtype"`
	}
	_ = json.Unmarshal(cmd.Body, &body) // what cannot be read says nothing
	s.Summary = phrase(subject.Name, body.MsgType, snippet(cmd.Body, body.MsgType), cmd.Target)
	if err != nil {
		s.Summary, s.Tone = phrase(subject.Name, err.Error()), toneWarn
	}
	s.Flow = c.flows.join(byCommand(subject.Team, cmd.ID), byTrace(s.Trace), byMsgID(cmd.CausationID))
	c.flows.wait(subject.ConversationKey(), unsettled{id: byCommand(subject.Team, cmd.ID), flow: s.Flow})
}

// told describes everything that services publish.
func (c *Console) told(s *step, subject events.Subject, e event.Event) {
	data := e.Data()
	switch subject.Kind {
	case events.KindCallback:
		var d events.Doorbell
		_ = json.Unmarshal(data, &d)
		s.Summary = d.Event
		s.Quiet = d.Event == "" || d.Event == events.RingSweep // a try whether the stream answers; the clock's doorbell
		keys := []string{byTrace(s.Trace)}
		if d.Event != events.RingSweep {
			keys = append(keys, lastRing(subject.Account))
		}
		s.Flow = c.flows.join(keys...)
	case events.KindMessage, events.KindEvent, events.KindHistory:
		s.Summary = phrase(subject.Name, said(data, subject.Name))
		s.Flow = c.flows.join(byTrace(s.Trace), byMsgID(e.ID()))
		if subject.Kind == events.KindMessage {
			c.heard.set(subject.ConversationKey(), heard{e.ID(), parentOf(e)})
		}
	case events.KindCursor:
		var d events.Cursor
		_ = json.Unmarshal(data, &d)
		s.Summary, s.Quiet = phrase("page "+strconv.FormatUint(d.Page, 10), "seq "+strconv.FormatUint(d.Seq, 10)), true
		s.Flow = c.flows.find(byTrace(s.Trace))
	case events.KindOutcome:
		c.concluded(s, subject, data)
	case events.KindDead:
		var d events.Dead
		_ = json.Unmarshal(data, &d)
		s.Summary, s.Tone = phrase(subject.Service, subject.Reason, d.Detail), toneBad
		s.Flow = c.flows.find(byTrace(s.Trace))
	default: // app, api, token
		s.Summary = phrase(subject.Class, subject.Name)
		s.Flow = c.flows.find(byTrace(s.Trace))
	}
}

// concluded describes an outcome.
func (c *Console) concluded(s *step, subject events.Subject, data []byte) {
	var o events.Outcome
	_ = json.Unmarshal(data, &o)
	left := ""
	if o.SendsLeft != nil {
		left = fmt.Sprintf("%d left", *o.SendsLeft)
	}
	code := ""
	if o.ErrCode != 0 {
		code = "errcode " + strconv.Itoa(o.ErrCode)
	}
	corrects := ""
	if o.Corrects != "" {
		corrects = "corrects " + o.Corrects
	}
	s.Command = o.CommandID
	s.Summary = phrase(subject.Name, o.Reason, code, corrects, left)
	switch subject.Name {
	case events.StateAccepted, events.StateRecalled:
		s.Tone = toneGood
	case events.StateCancelled, events.StateUnknown:
		s.Tone = toneWarn
	default:
		s.Tone = toneBad
	}
	id := byCommand(subject.Team, o.CommandID)
	s.Flow = c.flows.join(id, byTrace(s.Trace), byMsgID(o.MsgID))
	c.flows.settle(subject.ConversationKey(), id)
}

// said is what an item of the platform says: a message's content, an event's telling
// fields.
func said(raw json.RawMessage, name string) string {
	if text := snippet(raw, name); text != "" {
		return text
	}
	var item struct {
		Event map[string]any `json:"event"`
	}
	if json.Unmarshal(raw, &item) != nil {
		return ""
	}
	var parts []string
	for _, field := range []string{"scene", "change_type", "fail_type", "status", "old_servicer_userid", "new_servicer_userid"} {
		if v, ok := item.Event[field]; ok && v != "" {
			parts = append(parts, fmt.Sprintf("%s %v", field, v))
		}
	}
	return clip(phrase(parts...), 80)
}

func parentOf(e event.Event) string {
	parent, _ := e.Extensions()[events.ExtTraceParent].(string)
	return parent
}

// traceID is "" for what is no traceparent.
func traceID(parent string) string {
	t, err := service.ParseTrace(parent)
	if err != nil {
		return ""
	}
	return t.TraceID()
}
