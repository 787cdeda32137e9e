package bus

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/kfbus/kfbus/pkg/events"
)

// brokerPrefix begins the headers that speak to the broker or come from it: an
// event that is published again must not carry those of its first time.
const brokerPrefix = "nats-"

// Mark sets one extension of a CloudEvent as it is on the wire, in structured or
// binary mode, and leaves every other byte of it as it was: the data, the order
// of the attributes, the headers but for the broker's own (Nats-…), which are
// left out. name is of a–z and 0–9, value of printable ASCII without '"', '%' and
// '\'. What it returns is a copy; marking twice gives the same. [ErrBare] where
// there is no CloudEvent.
func Mark(h nats.Header, body []byte, name, value string) (nats.Header, []byte, error) {
	out := Portable(h)
	low := lowered(h)
	switch formOf(low, body) {
	case ModeStructured:
		marked, err := setMember(body, name, value)
		return out, marked, err
	case ModeBinary:
		maps.DeleteFunc(out, func(k string, _ []string) bool { return strings.EqualFold(k, cePrefix+name) })
		out[cePrefix+name] = []string{value}
		return out, body, nil
	}
	return nil, nil, ErrBare
}

// Portable returns a copy of the headers without the broker's own.
func Portable(h nats.Header) nats.Header {
	out := make(nats.Header, len(h)+4)
	for k, v := range h {
		if !strings.HasPrefix(strings.ToLower(k), brokerPrefix) {
			out[k] = v
		}
	}
	return out
}

// lowered is the first value of each header by its name in lower case.
func lowered(h nats.Header) map[string]string {
	low := make(map[string]string, len(h))
	for k, v := range h {
		if len(v) > 0 {
			low[strings.ToLower(k)] = v[0]
		}
	}
	return low
}

// formOf says in which mode a message is a CloudEvent; "" if it is none.
func formOf(low map[string]string, body []byte) string {
	ct := strings.ToLower(strings.TrimSpace(low[strings.ToLower(events.ContentTypeHeader)]))
	switch {
	case strings.HasPrefix(ct, "application/cloudevents"):
		return ModeStructured
	case low[cePrefix+"specversion"] != "":
		return ModeBinary
	case looksStructured(body):
		return ModeStructured
	}
	return ""
}

// setMember gives one member of a JSON object a text, in its place if it is
// there and else as the first.
func setMember(body []byte, name, value string) ([]byte, error) {
	open := bytes.IndexByte(body, '{') + 1
	rest := bytes.TrimLeft(body[open:], " \t\r\n")
	if open == 0 || len(rest) == 0 || rest[0] != '"' || len(bytes.TrimLeft(body[:open-1], " \t\r\n")) > 0 || !json.Valid(body) {
		return nil, errors.New("mark event: the payload is no JSON object with members")
	}
	if from, to, ok := findMember(body, name); ok {
		return splice(body, from, to, Quote(nil, value)), nil
	}
	put := Quote(append(Quote(nil, name), ':'), value)
	return splice(body, open, open, append(put, ',')), nil
}

// findMember returns where the value of a member stands; body is a JSON object.
// It looks closer only where the name occurs at all, as attributes are spelt.
func findMember(body []byte, name string) (from, to int, ok bool) {
	if !bytes.Contains(body, Quote(nil, name)) {
		return 0, 0, false
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	_, _ = dec.Token() // the brace
	for dec.More() {
		key, err := dec.Token()
		var v json.RawMessage
		if err != nil || dec.Decode(&v) != nil {
			return 0, 0, false
		}
		if key == name { // the last of several is the one that decoders take
			to = int(dec.InputOffset())
			from, ok = to-len(v), true
		}
	}
	return from, to, ok
}

func splice(body []byte, from, to int, put []byte) []byte {
	out := make([]byte, 0, len(body)+len(put))
	return append(append(append(out, body[:from]...), put...), body[to:]...)
}
