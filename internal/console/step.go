package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
)

// Kinds of steps: the bus's own, as the second token of a subject, and those of the
// platform.
const (
	stepCallback = "webhook"  // the platform posts a callback, or has its answer
	stepPage     = "page"     // kf/sync_msg
	stepCall     = "call"     // any other API call
	stepPlatform = "platform" // what happens inside the platform
	stepOther    = "other"    // a subject of no known kind
)

// Tones of a step.
const (
	toneGood = "good"
	toneWarn = "warn"
	toneBad  = "bad"
)

// step is one thing that happened, as the page shows it. Summary is made of the
// wire's own words, which need no translation, and of the customer's.
type step struct {
	At      time.Time         `json:"at"` // when the console saw it
	Kind    string            `json:"kind"`
	Where   string            `json:"where"` // subject or path
	Summary string            `json:"summary"`
	Tone    string            `json:"tone,omitempty"`
	Quiet   bool              `json:"quiet,omitempty"` // housekeeping, hidden at first
	Flow    uint64            `json:"flow,omitempty"`  // what belongs together has one number
	Trace   string            `json:"trace,omitempty"` // 32 hex digits
	Command string            `json:"command_id,omitempty"`
	Header  map[string]string `json:"header,omitempty"`
	Body    string            `json:"body"` // as published or journaled, indented
	Cut     bool              `json:"cut,omitempty"`
}

// maxBody bounds what the page keeps of one payload, in bytes.
const maxBody = 64 << 10

// record puts a step into the feed. The caller holds c.mu.
func (c *Console) record(s step) {
	s.At = c.cfg.Now().UTC()
	c.feed.add(s.Quiet, oneLine(s))
}

// body makes a payload readable: JSON is indented, byte for byte otherwise.
func (s *step) body(payload []byte) {
	var b bytes.Buffer
	switch {
	case json.Indent(&b, payload, "", "  ") == nil:
		s.Body = b.String()
	case utf8.Valid(payload):
		s.Body = string(payload)
	default:
		s.Body = fmt.Sprintf("(%d bytes that are no text)", len(payload))
	}
	if len(s.Body) > maxBody {
		s.Body, s.Cut = strings.ToValidUTF8(s.Body[:maxBody], ""), true
	}
}

// header takes the headers over; of a repeated one, the values in one line.
func (s *step) header(h nats.Header) {
	if len(h) == 0 {
		return
	}
	s.Header = make(map[string]string, len(h))
	for k, v := range h {
		s.Header[k] = strings.Join(v, ", ")
	}
}

// phrase joins what is not empty.
func phrase(parts ...string) string {
	kept := parts[:0:0]
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, " · ")
}

// count is "3 items", or "" for none.
func count(n int, what string) string {
	if n == 0 {
		return ""
	}
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// snippet is what a message says, in one line: raw is the platform's item or the
// body of a command.
func snippet(raw json.RawMessage, msgType string) string {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil {
		return ""
	}
	var b map[string]any
	if json.Unmarshal(m[msgType], &b) != nil {
		return ""
	}
	for _, name := range []string{"content", "title", "head_content", "name", "filename", "media_id"} {
		if s, ok := b[name].(string); ok && s != "" {
			return clip(strings.Join(strings.Fields(s), " "), 80)
		}
	}
	return ""
}

// clip shortens a text to n characters.
func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
