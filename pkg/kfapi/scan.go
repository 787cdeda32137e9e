package kfapi

import (
	"encoding/binary"
	"encoding/json"
	"math/bits"
	"strconv"
)

// scanner walks JSON once and checks it on the way. It tells two kinds of errors apart: a broken frame (brackets, commas,
// a string without end), after which nothing more can be known and methods return false; and a flaw inside a string or a
// bare word, which spoils only the item it is in.
type scanner struct {
	b     []byte
	i     int
	stack []byte // what skip is inside of
	flaw  string // the last one seen
	high  uint64 // has a top bit set if a byte above ASCII may have been seen
}

const (
	maxDepth = 9000 // below the 10000 of encoding/json, whoever wraps the item
	highBits = 0x8080808080808080
)

// peek skips white space and returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for s.i < len(s.b) {
		switch c := s.b[s.i]; c {
		case ' ', '\n', '\r', '\t':
			s.i++
		default:
			return c
		}
	}
	return 0
}

// take skips white space and c, if c is next.
func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.i++
	return true
}

// stop marks the bytes of w that end the quick way through a string: quote, backslash, control characters. Marks above
// the lowest one may be wrong.
func stop(w uint64) uint64 {
	const ones = 0x0101010101010101
	quote := w ^ ones*'"'
	slash := w ^ ones*'\\'
	return ((quote-ones)&^quote | (slash-ones)&^slash | (w-ones*0x20)&^w) & highBits
}

// str reads the string that starts at i and returns what is between the quotes, escapes kept.
func (s *scanner) str() (text []byte, escaped, ok bool) {
	b, i := s.b, s.i+1
	start := i
	for i < len(b) {
		if i+8 <= len(b) {
			w := binary.LittleEndian.Uint64(b[i:])
			s.high |= w
			m := stop(w)
			if m == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(m) >> 3
		}
		switch c := b[i]; c {
		case '"':
			s.i = i + 1
			return b[start:i], escaped, true
		case '\\':
			escaped = true
			i = s.escape(i)
		default:
			if c < 0x20 {
				s.flaw = "a bare control character in a string"
			}
			s.high |= uint64(c)
			i++
		}
	}
	return nil, false, false
}

// escape returns where the escape at i ends.
func (s *scanner) escape(i int) int {
	if i+1 >= len(s.b) {
		return len(s.b)
	}
	switch s.b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		if _, ok := hex4(s.b[i:]); ok {
			return i + 6
		}
	}
	s.flaw = "a bad escape in a string"
	return i + 2
}

// bare passes a number or literal.
func (s *scanner) bare() (word []byte, ok bool) {
	start := s.i
	for s.i < len(s.b) {
		c := s.b[s.i]
		if c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.' {
			s.i++
			continue
		}
		break
	}
	word = s.b[start:s.i]
	if len(word) == 0 {
		return nil, false
	}
	switch c := word[0]; {
	case len(word) < 19 && c > '0' && c <= '9' && allDigits(word):
	case !json.Valid(word):
		s.flaw = "a bare word that is no JSON"
	}
	return word, true
}

func allDigits(word []byte) bool {
	for _, c := range word {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// member moves to the value of the next member of the object whose brace was taken. more is false at its end.
func (s *scanner) member(first bool) (key []byte, more, ok bool) {
	if first {
		if s.take('}') {
			return nil, false, true
		}
	} else if !s.take(',') {
		return nil, false, s.take('}')
	}
	if s.peek() != '"' {
		return nil, false, false
	}
	key, escaped, ok := s.str()
	if !ok || !s.take(':') {
		return nil, false, false
	}
	if escaped {
		key = []byte(unquote(key))
	}
	s.peek()
	return key, true, true
}

// element moves to the next element of the array whose bracket was taken. more is false at its end.
func (s *scanner) element(first bool) (more, ok bool) {
	if first {
		if s.take(']') {
			return false, true
		}
	} else if !s.take(',') {
		return false, s.take(']')
	}
	s.peek()
	return true, true
}

// unquote decodes what str returned; "" if it is flawed.
func unquote(text []byte) string {
	quoted := make([]byte, 0, len(text)+2)
	quoted = append(append(append(quoted, '"'), text...), '"')
	var out string
	if json.Unmarshal(quoted, &out) != nil {
		return ""
	}
	return out
}

// skip passes one value of any depth.
func (s *scanner) skip() bool {
	s.stack = s.stack[:0]
	for {
		opened, ok := s.begin()
		if !ok {
			return false
		}
		if opened {
			continue
		}
		more, ok := s.after()
		if !ok || !more {
			return ok
		}
	}
}

// begin passes a scalar, an empty container, or the start of a container up to its first value: then opened is true.
func (s *scanner) begin() (opened, ok bool) {
	switch c := s.peek(); c {
	case '"':
		_, _, ok := s.str()
		return false, ok
	case '{', '[':
		s.i++
		if s.take(c + 2) { // '}' and ']' stand two behind '{' and '['
			return false, true
		}
		s.stack = append(s.stack, c)
		if len(s.stack) > maxDepth {
			s.flaw = "nested too deeply"
		}
		return true, c == '[' || s.key()
	default:
		_, ok := s.bare()
		return false, ok
	}
}

// after closes what ends behind a value; more is false when the value that skip is after has ended.
func (s *scanner) after() (more, ok bool) {
	for len(s.stack) > 0 {
		top := s.stack[len(s.stack)-1]
		switch s.peek() {
		case ',':
			s.i++
			return true, top == '[' || s.key()
		case top + 2:
			s.i++
			s.stack = s.stack[:len(s.stack)-1]
		default:
			return false, false
		}
	}
	return false, true
}

func (s *scanner) key() bool {
	if s.peek() != '"' {
		return false
	}
	_, _, ok := s.str()
	return ok && s.take(':')
}

// integer passes a value and says whether it was a whole number of 64 bits.
func (s *scanner) integer() (n int64, isInt, ok bool) {
	c := s.peek()
	if c != '-' && (c < '0' || c > '9') {
		return 0, false, s.skip()
	}
	word, ok := s.bare()
	if !ok {
		return 0, false, false
	}
	n, err := strconv.ParseInt(string(word), 10, 64)
	return n, err == nil, true
}
