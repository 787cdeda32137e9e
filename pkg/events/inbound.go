package events

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/event"
)

// Inbound is one pulled item on its way to the bus.
type Inbound struct {
	Corp           string
	OpenKfID       string
	ExternalUserID string // "" for events of an account
	MsgID          string // the platform's; "" gets a hash of the item
	MsgType        string
	EventType      string // only when MsgType is "event"
	SendTime       int64  // Unix seconds; 0 leaves the attribute out
	Origin         int    // 3 customer, 4 system event, 5 servicer
	Seq            uint64 // place in the account's order
	Raw            json.RawMessage
	History        bool // older than the cold start
	Replay         bool // may have been published before
	TraceParent    string
}

// Name is the token-to-be of the item: its msgtype, for an event its
// event_type, and "unknown" where there is none.
func (in Inbound) Name() string {
	name := in.MsgType
	if in.MsgType == "event" {
		name = in.EventType
	}
	if name == "" {
		return "unknown"
	}
	return name
}

// Subject is where the item belongs.
func (in Inbound) Subject() string {
	switch {
	case in.History:
		return HistorySubject(in.Corp, in.OpenKfID, in.Name(), in.ExternalUserID)
	case in.MsgType == "event":
		return EventSubject(in.Corp, in.OpenKfID, in.Name(), in.ExternalUserID)
	}
	return MessageSubject(in.Corp, in.OpenKfID, in.Name(), in.ExternalUserID)
}

// ID is the platform's msgid, or for an item without one a hash of its bytes.
// With Source it identifies the item for ever.
func (in Inbound) ID() string {
	if in.MsgID != "" && printable(in.MsgID) {
		return in.MsgID
	}
	sum := sha256.Sum256(in.Raw)
	return "sha256-" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// Event makes the CloudEvent. Raw becomes the data unchanged; where it is not
// valid UTF-8, which JSON demands, it travels as base64.
func (in Inbound) Event() event.Event {
	kind := in.kind()
	e := event.New()
	e.SetID(in.ID())
	e.SetSource(Source(in.Corp, in.OpenKfID))
	e.SetType(TypeOf(kind, in.Name()))
	setText(&e, ExtOpenKfID, in.OpenKfID)
	setText(&e, ExtExternalUserID, in.ExternalUserID)
	if in.ExternalUserID != "" && printable(in.ExternalUserID) {
		e.SetSubject(in.ExternalUserID)
	}
	if in.dated() {
		e.SetTime(time.Unix(in.SendTime, 0).UTC())
	}
	e.SetDataSchema(SchemaOf(kind, in.Name()))
	if in.Origin != 0 {
		e.SetExtension(ExtOrigin, strconv.Itoa(in.Origin))
	}
	e.SetExtension(ExtSeq, SeqString(in.Seq))
	if in.History {
		e.SetExtension(ExtHistory, "true")
	}
	if in.Replay {
		e.SetExtension(ExtReplay, "true")
	}
	setText(&e, ExtTraceParent, in.TraceParent)
	SetData(&e, in.Raw)
	return e
}

func (in Inbound) kind() Kind {
	if in.MsgType == "event" {
		return KindEvent
	}
	return KindMessage
}

func (in Inbound) dated() bool { return in.SendTime > 0 && in.SendTime < maxUnix }

// maxUnix is the end of the year 9999, the last that RFC 3339 can say.
const maxUnix = 253402300800

// Source is the CloudEvents source of everything of one account.
func Source(corp, openKfID string) string {
	return "/wecom/" + Token(corp) + "/kf/" + Token(openKfID)
}

// SourceApp is the CloudEvents source of an ordinary app's callbacks.
func SourceApp(corp, agentID string) string {
	return "/wecom/" + Token(corp) + "/app/" + Token(agentID)
}

// SchemaOf is the dataschema of a kind of event and its name.
func SchemaOf(k Kind, name string) string {
	return schemaPrefix + string(k) + "." + Token(name) + schemaSuffix
}

const (
	schemaPrefix = "https://kfbus.github.io/schemas/v1/"
	schemaSuffix = ".json"
)

// SeqString writes a kfseq so that text order is number order: 20 digits.
func SeqString(seq uint64) string { return string(appendSeq(nil, seq)) }

func appendSeq(b []byte, seq uint64) []byte {
	const zeros = "00000000000000000000"
	var digits [len(zeros)]byte
	d := strconv.AppendUint(digits[:0], seq, 10)
	return append(append(b, zeros[len(d):]...), d...)
}

// SetData makes raw JSON the data of e, byte for byte; bytes that are not UTF-8
// travel as base64.
func SetData(e *event.Event, raw []byte) {
	e.SetDataContentType(event.ApplicationJSON)
	e.DataEncoded = raw
	e.DataBase64 = !utf8.Valid(raw)
}

// setText sets an extension to a text that every decoder reads alike: printable
// ASCII without space, '"' and '%'. Any other is set to its [Token].
func setText(e *event.Event, name, value string) {
	if value != "" {
		e.SetExtension(name, plain(value))
	}
}

// plain is a text that every decoder reads alike, or its [Token].
func plain(value string) string {
	if printable(value) {
		return value
	}
	return Token(value)
}

func printable(s string) bool {
	if s == "" || len(s) > 256 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '%' {
			return false
		}
	}
	return true
}
