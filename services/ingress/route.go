package ingress

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
)

// routed is a callback on its way to the bus.
type routed struct {
	message bus.Message
	kind    string // doorbell or app: a metric's label
}

// route turns a decrypted callback into what is published. It is pure. id names
// the ciphertext, so that the platform's repeats are stored once.
func route(corp, id string, d document, now time.Time, trace string, commandWords []string) (routed, error) {
	if d.get("MsgType") == "event" {
		switch d.get("Event") {
		case events.RingMessage, events.RingAuthChange:
			return doorbell(corp, id, d, now, trace)
		}
	}
	return app(corp, id, d, trace, commandWords)
}

func doorbell(corp, id string, d document, now time.Time, trace string) (routed, error) {
	bell := events.Doorbell{Corp: corp, Event: d.get("Event"), OpenKfID: d.get("OpenKfId"), SyncToken: d.get("Token"),
		CreateTime: number(d.get("CreateTime")), ReceivedAt: now.UTC()}
	if bell.Event == events.RingAuthChange {
		bell.OpenKfID = ""
		bell.AuthAdd, bell.AuthDel = d.all("AuthAddOpenKfId"), d.all("AuthDelOpenKfId")
	}
	e, err := events.Own(id, events.Source(corp, bell.OpenKfID), events.TypeCallback, bell)
	if err != nil {
		return routed{}, err
	}
	e.SetTime(now.UTC())
	e.SetExtension(events.ExtTraceParent, trace)
	return routed{bus.Message{Subject: events.CallbackSubject(corp, bell.OpenKfID), Event: e, MsgID: id}, "doorbell"}, nil
}

func app(corp, id string, d document, trace string, commandWords []string) (routed, error) {
	class, name := events.AppMessage, d.get("MsgType")
	if name == "event" {
		class, name = events.AppEvent, d.get("Event")
	}
	if name == "" {
		name = "unknown"
	}
	agent := d.get("AgentID")
	eventID := id
	if m := d.get("MsgId"); m != "" && number(m) != 0 {
		eventID = m
	}
	e, err := events.Own(eventID, events.SourceApp(corp, agent), events.TypeOfApp(class, name),
		events.App{Corp: corp, AgentID: agent, Fields: d.fields(), Raw: string(d.raw), Format: d.format})
	if err != nil {
		return routed{}, err
	}
	if t := number(d.get("CreateTime")); t > 0 {
		e.SetTime(time.Unix(t, 0).UTC())
	}
	e.SetExtension(events.ExtClass, classify(d.get("MsgType"), d.get("Content"), commandWords))
	e.SetExtension(events.ExtTraceParent, trace)
	return routed{bus.Message{Subject: events.AppSubject(corp, agent, class, name, d.get("FromUserName")), Event: e, MsgID: id}, "app"}, nil
}

// cipherID names a callback by its ciphertext: timestamp, nonce and CreateTime
// say nothing about whether two callbacks are one.
func cipherID(encrypt []byte) string {
	sum := sha256.Sum256(encrypt)
	return hex.EncodeToString(sum[:16])
}

// number reads a whole number that is not negative; anything else is 0.
func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
