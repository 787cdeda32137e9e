package kfapi

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// encode makes the JSON of a request: no HTML escapes, no \uXXXX where the character itself will do, nil as {}.
// A json.RawMessage passes byte for byte but for those escapes.
func encode(in any) ([]byte, error) {
	switch in := in.(type) {
	case nil:
		return []byte("{}"), nil
	case json.RawMessage:
		if !json.Valid(in) || !utf8.Valid(in) {
			return nil, &LimitError{Field: "body", Why: "is not valid JSON in UTF-8"}
		}
		return plain(in), nil
	}
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if e.Encode(in) != nil { // its text may quote a value
		return nil, &LimitError{Field: "body", Why: "cannot be encoded as JSON"}
	}
	return plain(bytes.TrimSuffix(buf.Bytes(), []byte("\n"))), nil
}

// quote is s as a JSON string of a request.
func quote(s string) []byte {
	b, _ := encode(s) // a string always encodes
	return b
}

// plain replaces the \uXXXX escapes of valid JSON by the characters: the platform refuses them with 40033, and many
// encoders write them for everything that is not ASCII, Go's for U+2028 and U+2029. Control characters other than
// \b \f \n \r \t and lone surrogates have no other spelling and stay. Without escapes b itself is returned.
func plain(b []byte) []byte {
	if !bytes.Contains(b, []byte(`\u`)) {
		return b
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); {
		if b[i] != '\\' { // a backslash occurs inside strings only, and never last
			out = append(out, b[i])
			i++
			continue
		}
		r, n := unescape(b[i:])
		switch {
		case n == 0:
			out = append(out, b[i], b[i+1])
			n = 2
		case r == '"' || r == '\\':
			out = append(out, '\\', byte(r))
		case r < 0x20:
			out = append(out, control(r, b[i:i+n])...)
		case utf16.IsSurrogate(r):
			out = append(out, b[i:i+n]...)
		default:
			out = utf8.AppendRune(out, r)
		}
		i += n
	}
	return out
}

// unescape reads \uXXXX, or two of them that make a pair, at the start of b; n is 0 when there is none.
func unescape(b []byte) (r rune, n int) {
	r, ok := hex4(b)
	if !ok {
		return 0, 0
	}
	if low, ok := hex4(b[6:]); ok && utf16.IsSurrogate(r) {
		if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return r, 6
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	v, err := strconv.ParseUint(string(b[2:6]), 16, 32)
	return rune(v), err == nil
}

func control(r rune, escaped []byte) []byte {
	switch r {
	case '\b':
		return []byte(`\b`)
	case '\t':
		return []byte(`\t`)
	case '\n':
		return []byte(`\n`)
	case '\f':
		return []byte(`\f`)
	case '\r':
		return []byte(`\r`)
	}
	return escaped
}
