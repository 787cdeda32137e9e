package bus

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"

	"github.com/kfbus/kfbus/pkg/events"
)

// Forms of a CloudEvent on the wire.
const (
	ModeStructured = "structured" // the whole event as JSON in the payload
	ModeBinary     = "binary"     // attributes in ce-* headers, the data as the payload
)

// ErrBare is what Decode returns for a message that is no CloudEvent.
var ErrBare = errors.New("not a CloudEvent")

const (
	traceHeader = "traceparent" // lower case: nats headers are case-sensitive
	cePrefix    = "ce-"
)

// Encode writes e as payload and headers. The data of a structured event stands
// in the payload byte for byte.
func Encode(e event.Event, mode string) ([]byte, nats.Header, error) {
	if err := e.Validate(); err != nil {
		return nil, nil, fmt.Errorf("encode event %s: %w", e.ID(), err)
	}
	h := nats.Header{}
	if tp, ok := e.Extensions()[events.ExtTraceParent].(string); ok {
		h[traceHeader] = []string{tp}
	}
	if mode == ModeBinary {
		for name, value := range attributes(e) {
			h[cePrefix+name] = []string{percentEncode(value)}
		}
		if ct := e.DataContentType(); ct != "" {
			h[cePrefix+"datacontenttype"] = []string{ct}
			h[events.ContentTypeHeader] = []string{ct} // for decoders of the HTTP binding
		}
		return e.Data(), h, nil
	}
	h[events.ContentTypeHeader] = []string{events.ContentType}
	body, err := structured(e)
	return body, h, err
}

// attributes are all context attributes but datacontenttype, as text.
func attributes(e event.Event) map[string]string {
	a := map[string]string{"specversion": e.SpecVersion(), "id": e.ID(), "source": e.Source(), "type": e.Type()}
	if s := e.Subject(); s != "" {
		a["subject"] = s
	}
	if t := e.Time(); !t.IsZero() {
		a["time"] = t.UTC().Format(time.RFC3339Nano)
	}
	if s := e.DataSchema(); s != "" {
		a["dataschema"] = s
	}
	for k, v := range e.Extensions() {
		a[k] = fmt.Sprint(v)
	}
	return a
}

// order is how structured events are written; extensions follow it, sorted.
var order = [...]string{"specversion", "id", "source", "type", "subject", "time", "dataschema"}

func structured(e event.Event) ([]byte, error) {
	a := attributes(e)
	var b bytes.Buffer
	b.Grow(len(e.Data()) + 1024)
	b.WriteByte('{')
	put := func(name, value string) {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.WriteByte('"')
		b.WriteString(name) // a–z and 0–9 only: Validate saw to it
		b.WriteString(`":`)
		b.Write(quote(value))
	}
	for _, name := range order {
		if v, ok := a[name]; ok {
			put(name, v)
			delete(a, name)
		}
	}
	for _, name := range sortedKeys(a) {
		put(name, a[name])
	}
	if ct := e.DataContentType(); ct != "" {
		put("datacontenttype", ct)
	}
	switch data := e.Data(); {
	case data == nil:
	case e.DataBase64 || !isJSON(e.DataContentType()):
		put("data_base64", base64.StdEncoding.EncodeToString(data))
	case !json.Valid(data):
		return nil, fmt.Errorf("encode event %s: the data is not JSON", e.ID())
	default:
		b.WriteString(`,"data":`)
		b.Write(data)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func isJSON(contentType string) bool {
	mt, _, _ := strings.Cut(contentType, ";")
	mt = strings.ToLower(strings.TrimSpace(mt))
	return mt == "application/json" || mt == "text/json" || strings.HasSuffix(mt, "+json")
}

func quote(s string) []byte {
	if isPlainText(s) {
		return append(append(append(make([]byte, 0, len(s)+2), '"'), s...), '"')
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(err) // a string always encodes
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// isPlainText: nothing of it is escaped in JSON.
func isPlainText(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// Decode reads a CloudEvent in structured or binary mode. Header names count in
// any case, percent-encoding is undone, and a structured event is known by its
// own members where a client sent no Content-Type. A message that is no
// CloudEvent gives [ErrBare]; one that is a broken one gives another error.
func Decode(h nats.Header, body []byte) (event.Event, error) {
	low := map[string]string{}
	for k, v := range h {
		if len(v) > 0 {
			low[strings.ToLower(k)] = v[0]
		}
	}
	ct := strings.ToLower(strings.TrimSpace(low["content-type"]))
	switch {
	case strings.HasPrefix(ct, "application/cloudevents"):
		return decodeStructured(body)
	case low[cePrefix+"specversion"] != "":
		return decodeBinary(low, body)
	case looksStructured(body):
		return decodeStructured(body)
	}
	return event.Event{}, ErrBare
}

func decodeStructured(body []byte) (event.Event, error) {
	var e event.Event
	if err := json.Unmarshal(body, &e); err != nil {
		return event.Event{}, fmt.Errorf("decode structured event: %w", hideValues(err))
	}
	if err := e.Validate(); err != nil {
		return event.Event{}, fmt.Errorf("decode structured event: %w", hideValues(err))
	}
	return e, nil
}

func decodeBinary(low map[string]string, body []byte) (event.Event, error) {
	e := event.New(low[cePrefix+"specversion"])
	if e.Context == nil { // a version the library does not know
		return event.Event{}, errors.New("decode binary event: ce-specversion is neither 1.0 nor 0.3")
	}
	for k, v := range low {
		name, ok := strings.CutPrefix(k, cePrefix)
		if !ok || name == "specversion" {
			continue
		}
		if s, err := url.PathUnescape(v); err == nil {
			v = s
		}
		switch name {
		case "id":
			e.SetID(v)
		case "source":
			e.SetSource(v)
		case "type":
			e.SetType(v)
		case "subject":
			e.SetSubject(v)
		case "dataschema":
			e.SetDataSchema(v)
		case "datacontenttype":
			e.SetDataContentType(v)
		case "time":
			t, err := time.Parse(time.RFC3339Nano, v)
			if err != nil {
				return event.Event{}, errors.New("decode binary event: ce-time is no RFC 3339 time")
			}
			e.SetTime(t)
		default:
			e.SetExtension(name, v)
		}
	}
	if e.DataContentType() == "" && low["content-type"] != "" {
		e.SetDataContentType(low["content-type"])
	}
	e.DataEncoded = body
	if err := e.Validate(); err != nil {
		return event.Event{}, fmt.Errorf("decode binary event: %w", hideValues(err))
	}
	return e, nil
}

// looksStructured tells an event without its Content-Type, as sdk-go sends it,
// from a bare command.
func looksStructured(body []byte) bool {
	var m struct {
		SpecVersion, ID, Source, Type *string
	}
	if !bytes.Contains(body, []byte(`"specversion"`)) || json.Unmarshal(body, &m) != nil {
		return false
	}
	return m.SpecVersion != nil && m.ID != nil && m.Source != nil && m.Type != nil
}

// hideValues keeps what is wrong and drops what was in the event: the library's
// messages quote values.
func hideValues(err error) error {
	var v event.ValidationError
	if errors.As(err, &v) {
		return fmt.Errorf("attributes %s are missing or not allowed", strings.Join(sortedKeys(v), ", "))
	}
	return errors.New("not a JSON CloudEvent")
}

// percentEncode follows the NATS binding: space, '"', '%' and everything outside
// U+0021–U+007E, as UTF-8 bytes.
func percentEncode(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '%' {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
