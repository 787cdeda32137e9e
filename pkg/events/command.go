package events

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/event"
)

// Limits of a command.
const (
	DefaultExpiry   = 10 * time.Minute // after it was stored, when it names no time
	MaxExpiry       = 48 * time.Hour   // the longest a command may wait: the platform's window
	MaxCommandID    = 128              // bytes
	MaxCommandBytes = 64 << 10         // the whole body, without a file in it; the platform's largest message is far smaller
	MaxCommandFile  = 1 << 20          // a file in a send, before base64; most brokers are set to take less
	expirySlack     = time.Minute      // a team's clock may be ahead of ours by this much
)

// What a send does when a human holds the conversation.
const (
	HumanRefuse = "refuse" // the default
	HumanHold   = "hold"   // wait, until the command expires
)

// Command is one request of a team, read from any of its three forms: a
// CloudEvent in binary or structured mode, or a bare JSON body.
type Command struct {
	ID             string
	Subject        Subject // as published
	OpenKfID       string  // true ids: the subject's, or the body's where the subject holds a hash
	ExternalUserID string
	Body           json.RawMessage // the API's own request, without touser, open_kfid, msgid and our fields
	StoredAt       time.Time       // the broker's clock
	ExpiresAt      time.Time
	CausationID    string
	Generation     *uint64
	InHumanSession string // HumanRefuse or HumanHold
	Split          bool   // a text that is too long for one message goes as several
	DryRun         bool   // only say what would come of it
	Target         string // recall: the command id of the send it takes back
	TraceParent    string
}

// InvalidCommand says which field of a command is wrong and why. It never
// contains what the field held.
type InvalidCommand struct{ Field, Why string }

func (e *InvalidCommand) Error() string { return "command " + e.Field + ": " + e.Why }

func invalid(field, why string) error { return &InvalidCommand{field, why} }

// LooseCommandSubject takes apart the subject of a command whose tokens may be
// anything: each that is no token is hashed into one, so that a refusal can be
// addressed. It fails only where a token is missing or too many.
func LooseCommandSubject(subject string) (Subject, error) {
	if s, err := ParseSubject(subject); err == nil && s.Kind == KindCommand {
		return s, nil
	}
	t := strings.Split(stripLane(subject), ".")
	const tokens = 7 // kf.command.<team>.<corp>.<open_kfid>.<verb>.<external_userid>
	if len(t) != tokens || t[0]+"." != prefix || Kind(t[1]) != KindCommand {
		return Subject{}, fmt.Errorf("subject of %d tokens is not kf.command.<team>.<corp>.<open_kfid>.<verb>.<external_userid>", len(t))
	}
	for i := range t {
		if !IsToken(t[i]) {
			t[i] = Token(t[i])
		}
	}
	return Subject{Kind: KindCommand, Team: t[2], Corp: t[3], Account: t[4], Name: t[5], User: t[6]}, nil
}

// CommandFromEvent reads a command that came as a CloudEvent. Its id is the
// command id; the extensions expirytime, causationid, generation and
// inhumansession go before fields of the body.
//
// On error the Command holds what could be read, so that its refusal can be
// addressed.
func CommandFromEvent(s Subject, e event.Event, storedAt time.Time) (Command, error) {
	c := newCommand(s, storedAt)
	c.ID = e.ID()
	ext := map[string]string{}
	for k, v := range e.Extensions() {
		ext[k] = fmt.Sprint(v)
	}
	c.TraceParent = ext[ExtTraceParent]
	if err := checkID(c.ID); err != nil {
		return c, err
	}
	return c, c.read(e.Data(), ext)
}

// CommandFromJSON reads a command that came as a bare JSON object. msgID is the
// header Nats-Msg-Id; where it is "", the field command_id names the command.
// On error the Command holds what could be read.
func CommandFromJSON(s Subject, msgID string, body []byte, storedAt time.Time) (Command, error) {
	c := newCommand(s, storedAt)
	c.ID = msgID
	return c, c.read(body, nil)
}

func newCommand(s Subject, storedAt time.Time) Command {
	return Command{Subject: s, StoredAt: storedAt, ExpiresAt: storedAt.Add(DefaultExpiry), InHumanSession: HumanRefuse}
}

// read takes our own fields out of the body and leaves the platform's.
func (c *Command) read(body []byte, ext map[string]string) error {
	most := MaxCommandBytes
	if c.Subject.Name == VerbSend {
		most += base64.StdEncoding.EncodedLen(MaxCommandFile)
	}
	if len(body) > most {
		return invalid("body", fmt.Sprintf("is %d bytes long, at most %d are taken", len(body), most))
	}
	fields, err := objectFields(body)
	if err != nil {
		return invalid("body", err.Error())
	}
	if n := len(body) - fileChars(c.Subject.Name, fields); n > MaxCommandBytes {
		return invalid("body", fmt.Sprintf("is %d bytes long without a file, at most %d are taken", n, MaxCommandBytes))
	}
	own := map[string]string{}
	var rest []field
	for _, f := range fields {
		switch f.key {
		case "command_id", "expirytime", "causationid", "generation", "in_human_session", "target_command_id",
			"touser", "external_userid", "open_kfid", "traceparent":
			if own[f.key], err = scalar(f.value); err != nil {
				return invalid(f.key, err.Error())
			}
		case "dry_run", "split":
			own[f.key] = strings.Trim(string(f.value), `"`)
		case "msgid": // the command id gives it
		default:
			rest = append(rest, f)
		}
	}
	pick := func(extName, name string) string {
		if v := ext[extName]; v != "" {
			return v
		}
		return own[name]
	}
	if c.DryRun, err = flag("dry_run", pick(ExtDryRun, "dry_run")); err != nil {
		return err
	}
	if c.Split, err = flag("split", pick(ExtSplit, "split")); err != nil {
		return err
	}
	if c.ID == "" {
		c.ID = own["command_id"]
	}
	if err := checkID(c.ID); err != nil {
		return err
	}
	if id := own["command_id"]; id != "" && id != c.ID {
		return invalid("command_id", "differs from the id of the event or of the header Nats-Msg-Id; give one, or both alike")
	}
	c.Body = putTogether(rest)
	if c.TraceParent == "" {
		c.TraceParent = own["traceparent"]
	}
	c.CausationID = pick(ExtCausationID, "causationid")
	c.Target = own["target_command_id"]
	if err := c.readIDs(own); err != nil {
		return err
	}
	if err := c.readExpiry(pick(ExtExpiryTime, "expirytime")); err != nil {
		return err
	}
	if g := pick(ExtGeneration, "generation"); g != "" {
		n, err := strconv.ParseUint(g, 10, 64)
		if err != nil {
			return invalid("generation", "is no whole number; take it from kf_conversations")
		}
		c.Generation = &n
	}
	switch h := pick(ExtInHumanSession, "in_human_session"); h {
	case "", HumanRefuse:
	case HumanHold:
		c.InHumanSession = HumanHold
	default:
		return invalid("in_human_session", `is neither "refuse" nor "hold"`)
	}
	if c.Subject.Name == VerbRecall && c.Target == "" {
		return invalid("target_command_id", "is missing; a recall names the command id of the send it takes back")
	}
	return nil
}

// fileChars is how many bytes of a send are the base64 of a file.
func fileChars(verb string, fields []field) int {
	if verb != VerbSend {
		return 0
	}
	member := func(fields []field, name string) json.RawMessage {
		for _, f := range fields {
			if f.key == name {
				return f.value
			}
		}
		return nil
	}
	kind, err := scalar(member(fields, "msgtype"))
	if err != nil {
		return 0
	}
	body := member(fields, kind)
	if kind == "link" || kind == "miniprogram" {
		in, _ := objectFields(body)
		body = member(in, "thumb")
	} else if !slices.Contains(MediaTypes(), kind) {
		return 0
	}
	in, _ := objectFields(body)
	return len(member(in, "data"))
}

// readIDs finds the true ids: the subject's token where it is the id, else the
// id in the body that hashes to it.
func (c *Command) readIDs(own map[string]string) error {
	user := own["touser"]
	if user == "" {
		user = own["external_userid"]
	}
	for _, x := range []struct {
		field, token, given string
		to                  *string
	}{
		{"open_kfid", c.Subject.Account, own["open_kfid"], &c.OpenKfID},
		{"external_userid", c.Subject.User, user, &c.ExternalUserID},
	} {
		switch {
		case x.token == Missing || x.token == "":
			return invalid(x.field, "is missing in the subject")
		case !strings.HasPrefix(x.token, "="):
			*x.to = x.token // the subject wins over the body
		case x.given != "" && Token(x.given) == x.token:
			*x.to = x.given
		default:
			return invalid(x.field, "is a hash in the subject, and the body does not name the id that it stands for")
		}
	}
	return nil
}

func (c *Command) readExpiry(s string) error {
	if s == "" {
		return nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return invalid("expirytime", "is no time like 2006-01-02T15:04:05Z (RFC 3339)")
	}
	if t.After(c.StoredAt.Add(MaxExpiry + expirySlack)) {
		return invalid("expirytime", "is more than 48 h ahead; no window of the platform is longer")
	}
	c.ExpiresAt = t.UTC()
	return nil
}

func checkID(id string) error {
	switch {
	case id == "":
		return invalid("command_id", "is missing; give the event an id, the message a header Nats-Msg-Id, or the body a field command_id")
	case len(id) > MaxCommandID:
		return invalid("command_id", fmt.Sprintf("is %d bytes long, at most %d are taken", len(id), MaxCommandID))
	case !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl):
		return invalid("command_id", "has control characters or is not UTF-8")
	}
	return nil
}

type field struct {
	key   string
	value json.RawMessage
}

// objectFields splits one JSON object into its members, in their order, and
// refuses repeated names, which parsers disagree about.
func objectFields(body []byte) ([]field, error) {
	notObject := errors.New("is no JSON object")
	if !utf8.Valid(body) {
		return nil, errors.New("is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, notObject
	}
	var out []field
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, notObject
		}
		f := field{key: t.(string)} // the decoder lets nothing else be a name
		if err := d.Decode(&f.value); err != nil {
			return nil, notObject
		}
		if seen[f.key] {
			return nil, errors.New("names a field twice")
		}
		seen[f.key] = true
		out = append(out, f)
	}
	if _, err := d.Token(); err != nil {
		return nil, notObject
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("has something after its end")
	}
	return out, nil
}

// putTogether is the inverse of objectFields.
func putTogether(fields []field) json.RawMessage {
	var b bytes.Buffer
	b.WriteByte('{')
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for i, f := range fields {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := enc.Encode(f.key); err != nil {
			panic(err) // a string always encodes
		}
		b.Truncate(b.Len() - 1) // Encode ends with a line feed
		b.WriteByte(':')
		b.Write(f.value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// flag reads "true" and "false"; "" is false.
func flag(field, s string) (bool, error) {
	switch s {
	case "true":
		return true, nil
	case "", "false":
		return false, nil
	}
	return false, invalid(field, "is neither true nor false")
}

// scalar reads a JSON string or number as text.
func scalar(raw json.RawMessage) (string, error) {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s, nil
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return n.String(), nil
	}
	return "", errors.New("is neither text nor a number")
}
