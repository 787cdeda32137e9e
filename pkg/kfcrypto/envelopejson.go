package kfcrypto

import "bytes"

// json reads the members of one flat object and its closing brace.
func (s *scanner) json() bool {
	s.space()
	if s.next('}') {
		return true
	}
	for {
		if !s.member() {
			return false
		}
		s.space()
		if s.next('}') {
			return true
		}
		if !s.next(',') {
			return false
		}
	}
}

// member reads "name": value.
func (s *scanner) member() bool {
	s.space()
	if !s.next('"') {
		return false
	}
	name := s.name()
	if !s.next('"') {
		return false
	}
	s.space()
	if !s.next(':') {
		return false
	}
	s.space()
	switch string(name) {
	case "tousername", "ToUserName":
		value, ok := s.text(false)
		return ok && s.add(name, &s.env.ToUserName, value)
	case "agentid", "AgentID":
		value, ok := s.integer() // first: a text that fails has consumed some
		if !ok {
			value, ok = s.text(false)
		}
		return ok && s.add(name, &s.env.AgentID, value)
	case "encrypt", "Encrypt":
		value, ok := s.base64Text()
		return ok && s.add(name, &s.env.Encrypt, value)
	}
	return s.scalar() && s.add(name, nil, nil)
}

// scalar reads the value of a name the envelope does not know.
func (s *scanner) scalar() bool {
	if s.skip("true") || s.skip("false") || s.skip("null") {
		return true
	}
	if _, ok := s.integer(); ok {
		return true
	}
	_, ok := s.text(true)
	return ok
}

// integer reads digits.
func (s *scanner) integer() ([]byte, bool) {
	n := 0
	for n < len(s.rest) && digit(s.rest[n]) {
		n++
	}
	if n == 0 || n > 1 && s.rest[0] == '0' {
		return nil, false
	}
	value := s.rest[:n]
	s.rest = s.rest[n:]
	return value, true
}

// text reads a string and returns what stands between its quotes, escapes as they are where they may be.
func (s *scanner) text(escapes bool) ([]byte, bool) {
	if !s.next('"') {
		return nil, false
	}
	for i := 0; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == '"':
			value := s.rest[:i]
			s.rest = s.rest[i+1:]
			return value, true
		case c < ' ', c == '\\' && !escapes:
			return nil, false
		case c == '\\':
			n := escapeLength(s.rest[i+1:])
			if n == 0 {
				return nil, false
			}
			i += n
		}
	}
	return nil, false
}

// base64Text is text of which some encoders write each / as \/. It has one meaning, so it is taken; no other escape is.
func (s *scanner) base64Text() ([]byte, bool) {
	value, ok := s.text(true)
	if !ok || bytes.IndexByte(value, '\\') < 0 {
		return value, ok
	}
	value = bytes.ReplaceAll(value, []byte(`\/`), []byte(`/`))
	return value, bytes.IndexByte(value, '\\') < 0
}

// escapeLength returns how many bytes follow the backslash of an escape, 0 if it is none.
func escapeLength(after []byte) int {
	switch {
	case len(after) == 0:
		return 0
	case bytes.IndexByte([]byte(`"\/bfnrt`), after[0]) >= 0:
		return 1
	case after[0] == 'u' && len(after) >= 5 && hex4(after[1:5]):
		return 5
	}
	return 0
}

func hex4(b []byte) bool {
	for _, c := range b {
		if !digit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}
