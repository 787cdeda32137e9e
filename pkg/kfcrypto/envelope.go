package kfcrypto

import (
	"bytes"
	"encoding/binary"
	"slices"
	"unicode/utf8"
)

// Envelope is the outer document of a delivered callback. Its slices point into the body it was scanned from; nothing
// in it is trustworthy before Open has checked the signature, and ToUserName and AgentID are not signed at all.
type Envelope struct {
	ToUserName []byte // corpid, or suiteid for a third-party app; nil if absent
	AgentID    []byte // the receiving app; empty or nil for Kf
	Encrypt    []byte // what Codec.Open opens; never empty, but base64 only if it is genuine
}

const (
	maxElements = 16 // the root among them
	maxName     = 64 // bytes
)

// ScanEnvelope finds the fields of a callback body, XML or JSON by its first character, in one pass and without
// allocating. It knows this envelope and nothing more:
//
//	<xml><ToUserName><![CDATA[…]]></ToUserName><AgentID>…</AgentID><Encrypt>…</Encrypt></xml>
//	{"tousername":"…","agentid":"…","encrypt":"…"}
//
// Children come in any order, each value is one plain text or one CDATA section, names it does not know are skipped.
// Two parsers could read anything else in two ways, so it is ErrMalformed: a DOCTYPE, entity, comment, processing
// instruction, attribute, namespace, child of a child or split CDATA section, a nested JSON value, a name twice
// (in any case), an escape in a known value (but \/ in Encrypt, which is then a copy), more than 16 elements, invalid UTF-8, control characters, a second
// document, or no Encrypt.
// The caller bounds the size of body.
//
// https://developer.work.weixin.qq.com/document/path/90930
func ScanEnvelope(body []byte) (Envelope, error) {
	if !printable(body) {
		return Envelope{}, ErrMalformed
	}
	s := scanner{rest: body}
	indented := s.space()
	var ok bool
	if s.next('{') {
		ok = s.json()
	} else {
		ok = s.xml(!indented)
	}
	s.space()
	if !ok || len(s.rest) > 0 || len(s.env.Encrypt) == 0 {
		return Envelope{}, ErrMalformed
	}
	return s.env, nil
}

// scanner holds what is still to be read and what was found. Its methods report false for "malformed".
type scanner struct {
	rest  []byte
	env   Envelope
	names [maxElements - 1][]byte // of the root's children so far, to see duplicates
	seen  int
}

// xml reads the root element and, if it may stand there, a declaration before it.
func (s *scanner) xml(declared bool) bool {
	if s.skip("<?xml") {
		if !declared || !s.declaration() {
			return false
		}
		s.space()
	}
	if !s.skip("<xml>") {
		return false
	}
	for {
		s.space()
		if s.skip("</xml>") {
			return true
		}
		if !s.element() {
			return false
		}
	}
}

// declaration reads what follows "<?xml": version, encoding and standalone, in this order, the last two optional.
func (s *scanner) declaration() bool {
	if !s.attribute("version", "1.0") {
		return false
	}
	s.attribute("encoding", "utf-8")
	if !s.attribute("standalone", "yes") {
		s.attribute("standalone", "no")
	}
	s.space()
	return s.skip("?>")
}

// attribute reads name="value" with white space before it, in either quotes and the value in any case, or nothing.
func (s *scanner) attribute(name, value string) bool {
	t := scanner{rest: s.rest}
	if !t.space() || !t.skip(name) || !t.next('=') || len(t.rest) < len(value)+2 {
		return false
	}
	quote, end := t.rest[0], len(value)+1
	if quote != '"' && quote != '\'' || t.rest[end] != quote || !bytes.EqualFold(t.rest[1:end], []byte(value)) {
		return false
	}
	s.rest = t.rest[end+1:]
	return true
}

// element reads <Name>value</Name>.
func (s *scanner) element() bool {
	if !s.next('<') {
		return false
	}
	name := s.name()
	if !s.next('>') {
		return false
	}
	var value []byte
	if s.skip("<![CDATA[") {
		end := bytes.Index(s.rest, []byte("]]>"))
		if end < 0 {
			return false
		}
		value, s.rest = s.rest[:end], s.rest[end+len("]]>"):]
	} else {
		end := bytes.IndexByte(s.rest, '<')
		if end < 0 || bytes.ContainsAny(s.rest[:end], "&>") {
			return false
		}
		value, s.rest = s.rest[:end], s.rest[end:]
	}
	if !s.skip("</") || !bytes.HasPrefix(s.rest, name) {
		return false
	}
	s.rest = s.rest[len(name):]
	if !s.next('>') {
		return false
	}
	switch string(name) {
	case "ToUserName":
		return s.add(name, &s.env.ToUserName, value)
	case "AgentID":
		return s.add(name, &s.env.AgentID, value)
	case "Encrypt":
		return s.add(name, &s.env.Encrypt, value)
	}
	return s.add(name, nil, value)
}

// add records one child; field is where its value goes, nil for a name the envelope does not know.
func (s *scanner) add(name []byte, field *[]byte, value []byte) bool {
	if len(name) == 0 || s.seen == len(s.names) {
		return false
	}
	for _, other := range s.names[:s.seen] {
		if bytes.EqualFold(name, other) {
			return false
		}
	}
	s.names[s.seen] = name
	s.seen++
	if field != nil {
		*field = slices.Clip(value) // an append must not write into the body
	}
	return true
}

// name reads a name of ASCII letters, digits, "_", "-" and "."; none if there is no letter first.
func (s *scanner) name() []byte {
	n := 0
	for n < len(s.rest) && n < maxName && (alphanumeric(s.rest[n]) || n > 0 && bytes.IndexByte([]byte("_-."), s.rest[n]) >= 0) {
		n++
	}
	if n == 0 || digit(s.rest[0]) {
		return nil
	}
	name := s.rest[:n]
	s.rest = s.rest[n:]
	return name
}

// next consumes c if it comes next.
func (s *scanner) next(c byte) bool {
	if len(s.rest) == 0 || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// skip consumes text if it comes next.
func (s *scanner) skip(text string) bool {
	if len(s.rest) < len(text) || string(s.rest[:len(text)]) != text {
		return false
	}
	s.rest = s.rest[len(text):]
	return true
}

// space consumes white space and reports whether there was any.
func (s *scanner) space() bool {
	n := 0
	for n < len(s.rest) && isSpace(s.rest[n]) {
		n++
	}
	s.rest = s.rest[n:]
	return n > 0
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// printable reports whether body is UTF-8 and XML and JSON both allow its characters.
// It takes eight bytes at a time: of all that is done to a body before the signature is checked, this was the slowest.
func printable(body []byte) bool {
	const spaces, tops = 0x2020202020202020, 0x8080808080808080
	ascii := true
	rest := body
	for ; len(rest) >= 8; rest = rest[8:] {
		w := binary.NativeEndian.Uint64(rest)
		ascii = ascii && w&tops == 0
		if (w-spaces)&^w&tops != 0 && hasControl(rest[:8]) { // the first: some byte is below 0x20
			return false
		}
	}
	if hasControl(rest) {
		return false
	}
	for _, c := range rest {
		ascii = ascii && c < utf8.RuneSelf
	}
	return ascii ||
		utf8.Valid(body) && !bytes.Contains(body, []byte("\uFFFE")) && !bytes.Contains(body, []byte("\uFFFF"))
}

// hasControl reports whether there is a control character other than white space in b.
func hasControl(b []byte) bool {
	for _, c := range b {
		if c < ' ' && !isSpace(c) {
			return true
		}
	}
	return false
}
