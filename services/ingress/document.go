package ingress

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// document is a decrypted callback: XML or JSON, as the app was set up.
//
// XML becomes JSON by one rule that loses nothing but the choice between CDATA
// and plain text: an element with children is an object of them in their order,
// any other is a string of its text as it stands; siblings of one name are an
// array at the place of the first.
type document struct {
	format string // "xml" or "json"
	raw    []byte
	root   *node
}

// node is an element, or a JSON value.
type node struct {
	name string
	text string // of a leaf
	kids []*node
	json json.RawMessage // of a JSON value: as it stands
}

const maxDepth = 16

var errDocument = errors.New("the decrypted callback is neither XML nor JSON as the platform sends it")

// parseDocument reads what came out of the envelope. It is authentic, and still
// not trusted: depth is bounded, and directives are refused.
func parseDocument(raw []byte) (document, error) {
	if !utf8.Valid(raw) {
		return document{}, errDocument
	}
	switch b := bytes.TrimLeft(raw, " \t\r\n"); {
	case len(b) > 0 && b[0] == '<':
		root, err := parseXML(raw)
		return document{format: "xml", raw: raw, root: root}, err
	case len(b) > 0 && b[0] == '{':
		root, err := parseJSON(raw)
		return document{format: "json", raw: raw, root: root}, err
	}
	return document{}, errDocument
}

func parseXML(raw []byte) (*node, error) {
	d := xml.NewDecoder(bytes.NewReader(raw))
	var stack []*node
	var root *node
	for {
		t, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			if root == nil || len(stack) > 0 {
				return nil, errDocument
			}
			return root, nil
		}
		if err != nil {
			return nil, errDocument
		}
		switch t := t.(type) {
		case xml.StartElement:
			n := &node{name: t.Name.Local}
			if len(stack) >= maxDepth || t.Name.Space != "" || root != nil && len(stack) == 0 {
				return nil, errDocument
			}
			if len(stack) > 0 {
				up := stack[len(stack)-1]
				up.kids = append(up.kids, n)
			} else {
				root = n
			}
			stack = append(stack, n)
		case xml.EndElement:
			if len(stack) == 0 || stack[len(stack)-1].name != t.Name.Local {
				return nil, errDocument
			}
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if len(stack) > 0 {
				stack[len(stack)-1].text += string(t)
			} else if len(bytes.TrimSpace(t)) > 0 {
				return nil, errDocument
			}
		case xml.Directive:
			return nil, errDocument
		case xml.ProcInst:
			if t.Target != "xml" || root != nil {
				return nil, errDocument
			}
		}
	}
}

// parseJSON takes an object apart one level deep; what is below stays as it is.
func parseJSON(raw []byte) (*node, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errDocument
	}
	root := &node{json: bytes.TrimSpace(raw)}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, errDocument
		}
		n := &node{name: t.(string)}
		if err := d.Decode(&n.json); err != nil {
			return nil, errDocument
		}
		if n.json[0] == '"' {
			if err := json.Unmarshal(n.json, &n.text); err != nil {
				return nil, errDocument
			}
		} else {
			n.text = string(n.json) // a number as it stands
		}
		root.kids = append(root.kids, n)
	}
	if _, err := d.Token(); err != nil {
		return nil, errDocument
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errDocument
	}
	return root, nil
}

// get returns the text of the first child of that name, in any case: the
// platform's own samples disagree about capitals.
func (d document) get(name string) string {
	for _, k := range d.root.kids {
		if strings.EqualFold(k.name, name) {
			return strings.TrimSpace(k.text)
		}
	}
	return ""
}

// all returns the texts of every child of that name; a JSON array counts as its
// elements.
func (d document) all(name string) []string {
	var out []string
	for _, k := range d.root.kids {
		if !strings.EqualFold(k.name, name) {
			continue
		}
		var list []string
		if k.json != nil && json.Unmarshal(k.json, &list) == nil {
			out = append(out, list...)
			continue
		}
		out = append(out, strings.TrimSpace(k.text))
	}
	return out
}

// fields is the document as one JSON object.
func (d document) fields() json.RawMessage {
	if d.root.json != nil {
		return d.root.json
	}
	var b bytes.Buffer
	d.root.write(&b)
	if b.Bytes()[0] == '"' { // a root without children
		return json.RawMessage("{}")
	}
	return b.Bytes()
}

func (n *node) write(b *bytes.Buffer) {
	if len(n.kids) == 0 {
		b.Write(quote(n.text))
		return
	}
	b.WriteByte('{')
	done := map[string]bool{}
	for i, k := range n.kids {
		if done[k.name] {
			continue
		}
		if done[k.name] = true; i > 0 {
			b.WriteByte(',')
		}
		b.Write(quote(k.name))
		b.WriteByte(':')
		same := n.named(k.name)
		if len(same) == 1 {
			k.write(b)
			continue
		}
		b.WriteByte('[')
		for j, s := range same {
			if j > 0 {
				b.WriteByte(',')
			}
			s.write(b)
		}
		b.WriteByte(']')
	}
	b.WriteByte('}')
}

func (n *node) named(name string) []*node {
	var out []*node
	for _, k := range n.kids {
		if k.name == name {
			out = append(out, k)
		}
	}
	return out
}

func quote(s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(err) // a string always encodes
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
