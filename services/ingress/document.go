package ingress

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kfbus/kfbus/internal/bus"
)

// document is a decrypted callback: XML or JSON, as the app was set up.
//
// XML becomes JSON by one rule, with the XML itself beside it:
//
//   - an element with neither attributes nor children is a string of its text as it stands, CDATA or not;
//   - any other is an object: its attributes as "@name", then its children in their order, then its own text, if it has
//     more than white space, as "#text";
//   - siblings of one name are an array at the place of the first.
//
// Only comments and the place of one name among others are lost.
type document struct {
	format string // "xml" or "json"
	raw    []byte
	nodes  []node // in document order; the first is the root
}

// node is an element, an attribute, or a member of a JSON object.
type node struct {
	name []byte
	text []byte // of an element: its own text
	json []byte // of a JSON value: as it stands
	attr bool
	end  int // of its descendants, which begin behind it

	next  int  // the next sibling of this name, once they are joined; 0: none
	later bool // not the first of its name
}

const (
	maxDepth = 32
	maxNodes = 4096 // an approval with everything in it has a few hundred
)

var errDocument = errors.New("the decrypted callback is neither XML nor JSON as the platform sends it")

// parseInto reads what came out of the envelope. It is authentic, and still not trusted: depth and number of elements
// are bounded, what XML can hide elsewhere is refused, and so are two values of a name by which callbacks are routed, of which
// we would take one and a consumer perhaps the other. nodes is room for the result, and may be nil.
func parseInto(nodes []node, raw []byte) (document, error) {
	d := document{raw: raw}
	if !utf8.Valid(raw) {
		return d, errDocument
	}
	switch b := bytes.TrimLeft(raw, " \t\r\n"); {
	case len(b) > 0 && b[0] == '<':
		d.format, d.nodes = "xml", parseXML(nodes, raw)
	case len(b) > 0 && b[0] == '{':
		d.format, d.nodes = "json", parseJSON(raw)
	}
	if d.nodes == nil || d.ambiguous() {
		return d, errDocument
	}
	return d, nil
}

// ambiguous reports whether a name that route reads stands there twice, in whatever case.
func (d document) ambiguous() bool {
	names := [...]string{"ToUserName", "FromUserName", "CreateTime", "TimeStamp", "MsgType", "MsgId", "AgentID", "Event", "ChangeType",
		"InfoType", "OpenKfId", "Token"}
	var seen [len(names)]bool
	for k := range d.children(0) {
		n := &d.nodes[k]
		for i, name := range names {
			if n.attr || len(n.name) != len(name) || !strings.EqualFold(string(n.name), name) {
				continue
			}
			if seen[i] {
				return true
			}
			seen[i] = true
		}
	}
	return false
}

// children yields the indices of i's attributes and children, in order.
func (d document) children(i int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for k := i + 1; k < d.nodes[i].end; k = d.nodes[k].end {
			if !yield(k) {
				return
			}
		}
	}
}

// parseJSON takes an object apart one level deep; what is below stays as it is. nil for what is no object.
func parseJSON(raw []byte) []node {
	if depth(raw) > maxDepth {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	nodes := []node{{json: bytes.TrimSpace(raw)}}
	for dec.More() {
		t, err := dec.Token()
		name, isName := t.(string)
		var value json.RawMessage
		if err != nil || !isName || len(nodes) > maxNodes || dec.Decode(&value) != nil {
			return nil
		}
		n := node{name: []byte(name), json: value, text: value, end: len(nodes) + 1} // a number is its digits
		switch value[0] {
		case '"':
			var s string
			if json.Unmarshal(value, &s) != nil {
				return nil
			}
			n.text = []byte(s)
		case 'n':
			n.text = nil // null says nothing: it is not the word
		}
		nodes = append(nodes, n)
	}
	if _, err := dec.Token(); err != nil {
		return nil
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil
	}
	nodes[0].end = len(nodes)
	return nodes
}

// depth is how many objects and arrays stand in each other at most.
func depth(raw []byte) (most int) {
	now, text := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{', c == '[':
			now++
			most = max(most, now)
		case c == '}', c == ']':
			now--
		}
	}
	return most
}

// get returns the text of the root's first child of that name, in any case: the platform's own samples disagree about
// capitals.
func (d document) get(name string) string {
	for k := range d.children(0) {
		if n := &d.nodes[k]; !n.attr && len(n.name) == len(name) && strings.EqualFold(string(n.name), name) {
			return string(bytes.TrimSpace(n.text))
		}
	}
	return ""
}

// all returns the texts of every child of that name; a JSON array counts as its elements.
func (d document) all(name string) []string {
	var out []string
	for k := range d.children(0) {
		n := &d.nodes[k]
		if n.attr || !strings.EqualFold(string(n.name), name) {
			continue
		}
		var list []string
		if n.json != nil && json.Unmarshal(n.json, &list) == nil {
			out = append(out, list...)
			continue
		}
		out = append(out, string(bytes.TrimSpace(n.text)))
	}
	return out
}

// appendFields appends the document as one JSON object: JSON as it stands.
func (d document) appendFields(dst []byte) []byte {
	switch root := &d.nodes[0]; {
	case root.json != nil:
		return append(dst, root.json...)
	case root.end == 1: // without children
		return append(dst, "{}"...)
	}
	return d.write(dst, 0)
}

// write appends node i as JSON.
func (d document) write(dst []byte, i int) []byte {
	me := &d.nodes[i]
	if me.end == i+1 {
		return bus.Quote(dst, me.text)
	}
	d.join(i)
	dst = append(dst, '{')
	for k := range d.children(i) {
		n := &d.nodes[k]
		if n.later {
			continue
		}
		if k > i+1 {
			dst = append(dst, ',')
		}
		dst = append(n.key(dst), ':')
		if n.next == 0 {
			dst = d.write(dst, k)
			continue
		}
		dst = d.write(append(dst, '['), k)
		for j := n.next; j > 0; j = d.nodes[j].next {
			dst = d.write(append(dst, ','), j)
		}
		dst = append(dst, ']')
	}
	if len(bytes.TrimSpace(me.text)) > 0 {
		dst = bus.Quote(append(dst, `,"#text":`...), me.text)
	}
	return append(dst, '}')
}

// join links the children of i that have one name.
func (d document) join(i int) {
	kids := slices.AppendSeq(make([]int, 0, 16), d.children(i))
	slices.SortStableFunc(kids, func(a, b int) int {
		x, y := &d.nodes[a], &d.nodes[b]
		switch {
		case x.attr == y.attr:
			return bytes.Compare(x.name, y.name)
		case x.attr:
			return -1
		}
		return 1
	})
	for j := 1; j < len(kids); j++ {
		if a, b := &d.nodes[kids[j-1]], &d.nodes[kids[j]]; a.attr == b.attr && bytes.Equal(a.name, b.name) {
			a.next, b.later = kids[j], true
		}
	}
}

// key appends the name that n has in JSON.
func (n *node) key(dst []byte) []byte {
	if n.attr {
		return bus.Quote(dst, "@"+string(n.name))
	}
	return bus.Quote(dst, n.name)
}

func quote(s string) []byte { return bus.Quote(nil, s) }
