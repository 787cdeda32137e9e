package kfapi

import "unicode/utf8"

// head is what every answer has.
type head struct {
	code  int
	msg   string
	codes int // how many errcodes there are; one that is no integer counts as two, so that no caller takes it
}

const (
	whyNotJSON = "not a JSON object"
	whyNoCode  = "errcode missing or not an integer"
)

// readHead checks that body is one JSON object with an integer errcode, the exact key once, and reads errmsg.
func readHead(body []byte) (h head, why string) {
	s := scanner{b: body}
	if !s.take('{') {
		return h, whyNotJSON
	}
	for first := true; ; first = false {
		key, more, ok := s.member(first)
		if !ok {
			return h, whyNotJSON
		}
		if !more {
			break
		}
		switch string(key) {
		case "errcode":
			ok = s.errcode(&h)
		case "errmsg":
			ok = s.errmsg(&h)
		default:
			ok = s.skip()
		}
		if !ok {
			return h, whyNotJSON
		}
	}
	switch {
	case s.peek() != 0 || s.i < len(body) || s.flaw != "":
		return h, whyNotJSON
	case h.codes != 1:
		return h, whyNoCode
	}
	return h, ""
}

func (s *scanner) errcode(h *head) bool {
	n, isInt, ok := s.integer()
	h.code = int(n)
	h.codes++
	if !isInt {
		h.codes++
	}
	return ok
}

func (s *scanner) errmsg(h *head) bool {
	if s.peek() != '"' {
		return s.skip()
	}
	text, escaped, ok := s.str()
	h.msg = str(text, escaped)
	return ok
}

// str decodes what scanner.str returned; bytes that are not UTF-8 become U+FFFD.
func str(text []byte, escaped bool) string {
	if escaped || !utf8.Valid(text) {
		return unquote(text)
	}
	return string(text)
}
