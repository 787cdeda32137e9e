package bus

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

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
	return encode(e, mode, false)
}

// encode believes that the data is JSON if sound is set.
func encode(e event.Event, mode string, sound bool) ([]byte, nats.Header, error) {
	if !plainlyValid(e) {
		if err := e.Validate(); err != nil {
			return nil, nil, fmt.Errorf("encode event %s: %w", e.ID(), err)
		}
	}
	h := make(nats.Header, 8)
	if tp, ok := extensions(e)[events.ExtTraceParent].(string); ok {
		h[traceHeader] = []string{tp}
	}
	if mode == ModeBinary {
		for _, a := range attributes(e) {
			h[cePrefix+a.name] = []string{percentEncode(a.value)}
		}
		if ct := e.DataContentType(); ct != "" {
			h[cePrefix+"datacontenttype"] = []string{ct}
			h[events.ContentTypeHeader] = []string{ct} // for decoders of the HTTP binding
		}
		return e.Data(), h, nil
	}
	h[events.ContentTypeHeader] = []string{events.ContentType}
	body, err := structured(e, sound)
	return body, h, err
}

// plainlyValid reports whether e is what this project makes of an event: the
// library's Validate says the same of it, at ten times the price.
func plainlyValid(e event.Event) bool {
	ec, ok := e.Context.(*event.EventContextV1)
	return ok && len(e.FieldErrors) == 0 && (ec.DataSchema == nil || ec.DataSchema.Validate()) &&
		visible(ec.ID) && visible(ec.Type) && visible(ec.Source.Path) && (ec.Subject == nil || visible(*ec.Subject)) &&
		(ec.DataContentType == nil || *ec.DataContentType == event.ApplicationJSON)
}

// visible reports whether s begins with a character that is no white space.
func visible(s string) bool { return s != "" && s[0] > ' ' && s[0] < utf8.RuneSelf }

func extensions(e event.Event) map[string]any {
	if ec, ok := e.Context.(*event.EventContextV1); ok {
		return ec.Extensions // the library returns a copy
	}
	return e.Extensions()
}

type attribute struct{ name, value string }

// attributes are all context attributes but datacontenttype, as text: those of
// the specification, then the extensions by name.
func attributes(e event.Event) []attribute {
	a := make([]attribute, 0, 12)
	a = append(a, attribute{"specversion", e.SpecVersion()}, attribute{"id", e.ID()}, attribute{"source", e.Source()}, attribute{"type", e.Type()})
	if s := e.Subject(); s != "" {
		a = append(a, attribute{"subject", s})
	}
	if t := e.Time(); !t.IsZero() {
		a = append(a, attribute{"time", t.UTC().Format(time.RFC3339Nano)})
	}
	if s := e.DataSchema(); s != "" {
		a = append(a, attribute{"dataschema", s})
	}
	n := len(a)
	for k, v := range extensions(e) {
		s, ok := v.(string)
		if !ok {
			s = fmt.Sprint(v)
		}
		a = append(a, attribute{k, s})
	}
	slices.SortFunc(a[n:], func(x, y attribute) int { return strings.Compare(x.name, y.name) })
	return a
}

func structured(e event.Event, sound bool) ([]byte, error) {
	data := e.Data()
	b := make([]byte, 0, len(data)+512)
	put := func(name, value string) {
		b = append(b, ",\""...)
		b = append(b, name...) // a–z and 0–9 only: Validate saw to it
		b = append(b, "\":"...)
		b = Quote(b, value)
	}
	for _, a := range attributes(e) {
		put(a.name, a.value)
	}
	if ct := e.DataContentType(); ct != "" {
		put("datacontenttype", ct)
	}
	b[0] = '{'
	switch {
	case data == nil:
	case e.DataBase64 || !isJSON(e.DataContentType()):
		put("data_base64", base64.StdEncoding.EncodeToString(data))
	case !sound && !json.Valid(data):
		return nil, fmt.Errorf("encode event %s: the data is not JSON", e.ID())
	default:
		b = append(append(b, `,"data":`...), data...)
	}
	return append(b, '}'), nil
}

func isJSON(contentType string) bool {
	if contentType == event.ApplicationJSON {
		return true
	}
	mt, _, _ := strings.Cut(contentType, ";")
	mt = strings.ToLower(strings.TrimSpace(mt))
	return mt == "application/json" || mt == "text/json" || strings.HasSuffix(mt, "+json")
}

// Decode reads a CloudEvent in structured or binary mode. Header names count in
// any case, percent-encoding is undone, and a structured event is known by its
// own members where a client sent no Content-Type. A message that is no
// CloudEvent gives [ErrBare]; one that is a broken one gives another error.
func Decode(h nats.Header, body []byte) (event.Event, error) {
	low := lowered(h)
	switch formOf(low, body) {
	case ModeStructured:
		return decodeStructured(body)
	case ModeBinary:
		return decodeBinary(low, body)
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
