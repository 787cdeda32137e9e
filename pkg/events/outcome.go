package events

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"

	"github.com/cloudevents/sdk-go/v2/event"
)

// OutcomeID is the id of the event that carries a command's outcome: the same
// command, state and correction always give the same id, so that a repeat can be
// told from a second outcome. A command is named by its conversation (see
// [ConversationKey]), its team and its id.
func OutcomeID(conversation, team, commandID, state, corrects string) string {
	return digest("outcome", conversation, team, commandID, state, corrects)
}

// digest is base64url(SHA-256) of its parts, each with its length before it, cut
// to 32 characters.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		n := len(p)
		h.Write([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		h.Write([]byte(p))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))[:32]
}

// Event makes the CloudEvent of an outcome. corp is the true id.
func (o Outcome) Event(corp, traceParent string) (event.Event, error) {
	data, err := marshal(o)
	if err != nil {
		return event.Event{}, err
	}
	e := event.New()
	e.SetID(OutcomeID(ConversationKey(corp, o.OpenKfID, o.ExternalUserID), o.Team, o.CommandID, o.State, o.Corrects))
	e.SetSource(Source(corp, o.OpenKfID))
	e.SetType(TypeOf(KindOutcome, o.State))
	if printable(o.ExternalUserID) {
		e.SetSubject(o.ExternalUserID)
	}
	e.SetTime(o.At.UTC())
	e.SetDataSchema(SchemaOf(KindOutcome, o.State))
	setText(&e, ExtOpenKfID, o.OpenKfID)
	setText(&e, ExtExternalUserID, o.ExternalUserID)
	setText(&e, ExtTeam, o.Team)
	setText(&e, ExtCausationID, o.CommandID)
	setText(&e, ExtTraceParent, traceParent)
	SetData(&e, data)
	return e, nil
}

// Own makes the CloudEvent of one of our own kinds of data: a doorbell, a
// cursor, a dead letter, a suspect report, or an event such as gap.
func Own(id, source, typ string, data any) (event.Event, error) {
	raw, err := marshal(data)
	if err != nil {
		return event.Event{}, err
	}
	return OwnJSON(id, source, typ, raw), nil
}

// OwnJSON is Own of data that is JSON already, for those who write it faster
// than by reflection.
func OwnJSON(id, source, typ string, data []byte) event.Event {
	e := event.New()
	e.SetID(id)
	e.SetSource(source)
	e.SetType(typ)
	SetData(&e, data)
	return e
}

// marshal leaves <, > and & as they are: people read these events.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
