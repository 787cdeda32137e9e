package ingress

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
)

// routed is a callback on its way to the bus.
type routed struct {
	message bus.Message
	kind    string // one of the kinds below: a metric's label
	account string // open_kfid, for the log
	hint    bool   // says no more than another doorbell of its account
}

const (
	kindDoorbell = "doorbell"
	kindApp      = "app"
)

// callback is what is known of a callback beside its content.
type callback struct {
	now   time.Time
	stale bool
	trace string
	words []string // that make a text a command
}

// route turns a decrypted callback into what is published. It is pure. id names
// the ciphertext, so that the platform's repeats are stored once.
func route(corp, id string, d document, c callback) (routed, error) {
	kind := kindOf(d)
	if kind.class == events.AppEvent && (kind.name == events.RingMessage || kind.name == events.RingAuthChange) {
		return doorbell(corp, id, kind.name, d, c)
	}
	return app(corp, id, kind, d, c), nil
}

// kind is what a callback is called on the bus.
type kind struct {
	class  string // events.AppMessage or events.AppEvent
	name   string // the msgtype or event, in lower case: the platform writes LOCATION and click
	change string // of events that have one: ChangeType
}

// kindOf reads MsgType, Event and ChangeType, or the InfoType of a command to a third-party app.
func kindOf(d document) kind {
	msgType, info := strings.ToLower(d.get("MsgType")), strings.ToLower(d.get("InfoType"))
	switch {
	case msgType == "event":
		return kind{events.AppEvent, cmp.Or(strings.ToLower(d.get("Event")), "unknown"), strings.ToLower(d.get("ChangeType"))}
	case msgType == "" && info != "":
		return kind{events.AppEvent, info, strings.ToLower(d.get("ChangeType"))}
	}
	return kind{events.AppMessage, cmp.Or(msgType, "unknown"), ""}
}

// typeOf names the CloudEvent: change_contact.create_user where there is a ChangeType.
func (k kind) typeOf() string {
	if k.change == "" {
		return events.TypeOfApp(k.class, k.name)
	}
	return events.TypeOfApp(k.class, k.name, k.change)
}

// doorbell: a stale one names no sync token, and has the name of its accounts and minute: the broker stores one of them, whoever
// of the replicas they come to.
func doorbell(corp, id, event string, d document, c callback) (routed, error) {
	bell := events.Doorbell{Corp: corp, Event: event, OpenKfID: d.get("OpenKfId"), SyncToken: d.get("Token"),
		CreateTime: number(d.get("CreateTime")), ReceivedAt: c.now.UTC()}
	if bell.Event == events.RingAuthChange {
		bell.OpenKfID = ""
		bell.AuthAdd, bell.AuthDel = d.all("AuthAddOpenKfId"), d.all("AuthDelOpenKfId")
	}
	if c.stale {
		bell.SyncToken = ""
		id = cipherID(fmt.Appendf(nil, "stale %s %s %s %q %q %d", corp, bell.Event, bell.OpenKfID, bell.AuthAdd, bell.AuthDel, c.now.Unix()/60))
	}
	e, err := events.Own(id, events.Source(corp, bell.OpenKfID), events.TypeCallback, bell)
	if err != nil {
		return routed{}, err
	}
	e.SetTime(c.now.UTC())
	e.SetExtension(events.ExtTraceParent, c.trace)
	return routed{bus.Message{Subject: events.CallbackSubject(corp, bell.OpenKfID), Event: e, Sound: true, MsgID: id}, kindDoorbell, bell.OpenKfID, len(bell.AuthAdd)+len(bell.AuthDel) == 0}, nil
}

// app: a stale one may be a repeat from before the stream's memory of ids, and says so.
func app(corp, id string, k kind, d document, c callback) routed {
	agent := d.get("AgentID")
	eventID := id
	if m := d.get("MsgId"); m != "" && number(m) != 0 {
		eventID = m
	}
	e := events.OwnJSON(eventID, events.SourceApp(corp, agent), k.typeOf(), appData(corp, agent, d))
	if t := max(number(d.get("CreateTime")), number(d.get("TimeStamp"))); t > 0 && t < endOfTime {
		e.SetTime(time.Unix(t, 0).UTC())
	}
	e.SetExtension(events.ExtClass, classify(k, d.get("Content"), c.words))
	if c.stale {
		e.SetExtension(events.ExtReplay, "true")
	}
	e.SetExtension(events.ExtTraceParent, c.trace)
	return routed{bus.Message{Subject: events.AppSubject(corp, agent, k.class, k.name, d.get("FromUserName")), Event: e, Sound: d.format == "xml", MsgID: id}, kindApp, "", false}
}

// appData is an events.App as JSON, written in one go: it is most of what a callback costs.
func appData(corp, agent string, d document) []byte {
	b := bus.Quote(append(make([]byte, 0, 192+2*len(d.raw)+len(d.raw)/8), `{"corp":`...), corp)
	if agent != "" {
		b = bus.Quote(append(b, `,"agentid":`...), agent)
	}
	b = d.appendFields(append(b, `,"fields":`...))
	b = bus.Quote(append(b, `,"raw":`...), d.raw)
	b = bus.Quote(append(b, `,"format":`...), d.format)
	return append(b, '}')
}

// endOfTime is the year 10000, which an event cannot say.
const endOfTime = 253402300800

// cipherID names a callback by its ciphertext: timestamp, nonce and CreateTime
// say nothing about whether two callbacks are one. encrypt has been opened, so it is base64 in one of the spellings that
// kfcrypto takes; they all have one name, or who knows the token could sign a captured callback again in another.
func cipherID(encrypt []byte) string {
	if !canonical(encrypt) {
		encrypt = respell(encrypt)
	}
	sum := sha256.Sum256(encrypt)
	return hex.EncodeToString(sum[:16])
}

// canonical reports whether base64 is as the platform writes it: the standard alphabet, padded, spare bits zero.
func canonical(b []byte) bool {
	if len(b)%4 != 0 || bytes.ContainsAny(b, "-_ \t\r\n") {
		return false
	}
	bare := bytes.TrimRight(b, "=")
	switch len(b) - len(bare) {
	case 1:
		return bytes.IndexByte([]byte("AEIMQUYcgkosw048"), bare[len(bare)-1]) >= 0
	case 2:
		return bytes.IndexByte([]byte("AQgw"), bare[len(bare)-1]) >= 0
	}
	return true
}

func respell(b []byte) []byte {
	text := strings.NewReplacer("-", "+", "_", "/", " ", "", "\t", "", "\r", "", "\n", "", "=", "").Replace(string(b))
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return b // not reached: it has been opened
	}
	return base64.StdEncoding.AppendEncode(nil, raw)
}

// number reads a whole number that is not negative; anything else is 0.
func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
