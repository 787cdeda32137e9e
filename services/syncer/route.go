package syncer

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

const (
	msgTypeUnknown = "unknown"

	// envelopeBytes is room for what stands around an item: attributes, headers, protocol.
	envelopeBytes = 8 << 10

	reasonTooLarge = "too_large"
)

// origin is what the items of a page have in common.
type origin struct {
	corp, openKfID, trace string

	maxPayload int // what the broker takes as one message, in bytes

	replay []bool // of each item, whether it may have been published before; nil: none was
}

// route makes an item of a page an event to be. What cannot be trusted keeps its bytes and becomes a message of type
// "unknown".
func (o origin) route(it kfapi.Item, seq uint64, history bool) events.Inbound {
	in := events.Inbound{
		Corp: o.corp, OpenKfID: o.openKfID, ExternalUserID: it.ExternalUserID, MsgID: it.MsgID,
		MsgType: it.MsgType, EventType: it.EventType, SendTime: it.SendTime, Origin: it.Origin,
		Seq: seq, Raw: it.Raw, History: history, TraceParent: o.trace,
	}
	if it.Err != nil || it.MsgType == "" {
		in.MsgType, in.EventType = msgTypeUnknown, ""
	}
	return in
}

// split routes a whole page that was asked for with c. An item without send_time counts as old as the one before it.
// Items that the broker would refuse are left out and returned as dead letters; they keep their place in the order.
func (o origin) split(c events.Cursor, items []kfapi.Item) (ms []bus.Message, kinds []events.Kind, dead []events.Dead) {
	ms, kinds = make([]bus.Message, 0, len(items)+1), make([]events.Kind, 0, len(items))
	routed := make([]events.Inbound, len(items))
	start, sent := c.ColdStart.Unix(), c.Newest
	for i, it := range items {
		if it.SendTime > 0 {
			sent = it.SendTime
		}
		in := &routed[i]
		*in = o.route(it, c.Seq+1+uint64(i), sent > 0 && sent < start)
		in.Replay = o.replay != nil && o.replay[i]
		m := bus.Message{Subject: in.Subject(), Item: in}
		if it.Err != nil {
			m.Item, m.Event = nil, in.Event()
			m.Event.DataBase64 = m.Event.DataBase64 || !json.Valid(it.Raw)
		}
		if n := wireBytes(m); n > o.maxPayload {
			detail := fmt.Sprintf("up to %d bytes as an event; the broker takes %d", n, o.maxPayload)
			dead = append(dead, events.Dead{Service: bus.ServiceSyncer, Reason: reasonTooLarge, Detail: detail, Subject: m.Subject, Payload: in.Raw})
			continue
		}
		ms = append(ms, m)
		kinds = append(kinds, kindOf(*in))
	}
	return ms, kinds, dead
}

// wireBytes is the most that a message can need on the wire.
func wireBytes(m bus.Message) int {
	switch {
	case m.Item != nil:
		return len(m.Item.Raw) + envelopeBytes
	case m.Event.DataBase64:
		return base64.StdEncoding.EncodedLen(len(m.Event.DataEncoded)) + envelopeBytes
	}
	return len(m.Event.DataEncoded) + envelopeBytes
}

func kindOf(in events.Inbound) events.Kind {
	switch {
	case in.History:
		return events.KindHistory
	case in.MsgType == kfapi.MsgTypeEvent:
		return events.KindEvent
	}
	return events.KindMessage
}
