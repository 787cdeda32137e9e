package kfapi

import (
	"strconv"
	"unicode/utf8"
)

// object is a JSON object of a message to be sent; values are string, number, bool, nil, []any and object.
type object map[string]any

type number float64

const maxTreeDepth = 32 // a menu needs 4

// parseTree reads one JSON object strictly: exact UTF-8, no key twice at any depth, nothing behind it. The scanner knows
// the exact keys; encoding/json would take the last of two keys and ignore their case, and so check another value than
// the platform reads.
func parseTree(raw []byte) (object, string) {
	if !utf8.Valid(raw) {
		return nil, "is not UTF-8"
	}
	t := treeReader{scanner: scanner{b: raw}}
	if t.peek() != '{' {
		return nil, "is not a JSON object"
	}
	v, ok := t.value(0)
	switch {
	case t.why != "":
		return nil, t.why
	case !ok || t.flaw != "" || t.peek() != 0 || t.i < len(raw):
		return nil, "is not valid JSON"
	}
	return v.(object), ""
}

type treeReader struct {
	scanner
	why string
}

func (t *treeReader) value(depth int) (any, bool) {
	if depth > maxTreeDepth {
		t.why = "is nested too deeply"
		return nil, false
	}
	switch t.peek() {
	case '"':
		text, escaped, ok := t.str()
		return str(text, escaped), ok
	case '{':
		t.i++
		return t.object(depth)
	case '[':
		t.i++
		return t.array(depth)
	}
	word, ok := t.bare()
	switch string(word) {
	case "true":
		return true, ok
	case "false":
		return false, ok
	case "null":
		return nil, ok
	}
	f, err := strconv.ParseFloat(string(word), 64)
	return number(f), ok && err == nil
}

func (t *treeReader) object(depth int) (object, bool) {
	o := object{}
	for first := true; ; first = false {
		key, more, ok := t.member(first)
		if !ok || !more {
			return o, ok
		}
		if _, twice := o[string(key)]; twice {
			t.why = "has a key twice"
			return nil, false
		}
		name := string(key)
		if o[name], ok = t.value(depth + 1); !ok {
			return nil, false
		}
	}
}

func (t *treeReader) array(depth int) ([]any, bool) {
	a := []any{}
	for first := true; ; first = false {
		more, ok := t.element(first)
		if !ok || !more {
			return a, ok
		}
		v, ok := t.value(depth + 1)
		if !ok {
			return nil, false
		}
		a = append(a, v)
	}
}
