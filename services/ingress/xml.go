package ingress

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// xmlReader takes a decrypted XML callback apart in one pass. It knows elements, attributes, text, CDATA, comments, the
// declaration and the five entities of XML, and refuses everything else: what the platform signs has no DOCTYPE.
type xmlReader struct {
	b     []byte
	i     int
	nodes []node
}

// parseXML appends the elements in document order, the root first, to nodes, which is empty; nil for what is no such document.
func parseXML(nodes []node, raw []byte) []node {
	r := xmlReader{b: raw, nodes: nodes}
	if !r.declaration() || !r.misc() || !r.element(0) || !r.misc() || r.i < len(r.b) {
		return nil
	}
	return r.nodes
}

func (r *xmlReader) skip(s string) bool {
	if len(r.b)-r.i < len(s) || string(r.b[r.i:r.i+len(s)]) != s {
		return false
	}
	r.i += len(s)
	return true
}

func (r *xmlReader) space() {
	for r.i < len(r.b) && isSpace(r.b[r.i]) {
		r.i++
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// upTo passes everything before s, and s.
func (r *xmlReader) upTo(s string) ([]byte, bool) {
	n := bytes.Index(r.b[r.i:], []byte(s))
	if n < 0 {
		return nil, false
	}
	out := r.b[r.i : r.i+n]
	r.i += n + len(s)
	return out, true
}

// declaration passes one of XML 1.0 in UTF-8, if there is any: a reader that believes another would read other characters.
func (r *xmlReader) declaration() bool {
	r.space()
	if !r.skip("<?xml ") {
		return true
	}
	said, ok := r.upTo("?>")
	for i, attribute := range strings.Fields(strings.ToLower(strings.ReplaceAll(string(said), "'", `"`))) {
		switch attribute {
		case `version="1.0"`:
			ok = ok && i == 0
		case `encoding="utf-8"`, `standalone="yes"`, `standalone="no"`:
			ok = ok && i > 0
		default:
			return false
		}
	}
	return ok
}

// misc passes white space and comments.
func (r *xmlReader) misc() bool {
	for {
		r.space()
		if !r.skip("<!--") {
			return true
		}
		if !r.comment() {
			return false
		}
	}
}

// comment passes what follows <!--, in which -- is its end.
func (r *xmlReader) comment() bool {
	_, ok := r.upTo("--")
	return ok && r.skip(">")
}

// element reads <name …>…</name> at the reader's place into nodes.
func (r *xmlReader) element(depth int) bool {
	if depth >= maxDepth || len(r.nodes) >= maxNodes || !r.skip("<") {
		return false
	}
	me := len(r.nodes)
	r.nodes = append(r.nodes, node{name: r.name(), end: me + 1})
	if len(r.nodes[me].name) == 0 {
		return false
	}
	empty, ok := r.attributes(me)
	if !ok || empty {
		return ok
	}
	if !r.content(me, depth) {
		return false
	}
	r.nodes[me].end = len(r.nodes)
	if !r.skip(string(r.nodes[me].name)) {
		return false
	}
	r.space()
	return r.skip(">")
}

func (r *xmlReader) name() []byte {
	start := r.i
	for r.i < len(r.b) && nameChar(r.b[r.i]) {
		r.i++
	}
	if bytes.Count(r.b[start:r.i], []byte(":")) > 1 {
		return nil
	}
	return r.b[start:r.i:r.i]
}

func nameChar(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.' || c == ':' || c >= utf8.RuneSelf
}

// attributes reads up to the > of a start tag; empty is for <name/>.
func (r *xmlReader) attributes(of int) (empty, ok bool) {
	for {
		before := r.i
		r.space()
		switch {
		case r.skip("/>"):
			return true, true
		case r.skip(">"):
			return false, true
		case before == r.i || len(r.nodes) >= maxNodes:
			return false, false
		}
		name := r.name()
		if len(name) == 0 {
			return false, false
		}
		r.space()
		if !r.skip("=") {
			return false, false
		}
		r.space()
		quote := "'"
		if r.skip(`"`) {
			quote = `"`
		} else if !r.skip("'") {
			return false, false
		}
		value, found := r.upTo(quote)
		text, plain := unescape(value)
		if !found || !plain || bytes.IndexByte(value, '<') >= 0 {
			return false, false
		}
		r.nodes = append(r.nodes, node{name: name, text: text, attr: true, end: len(r.nodes) + 1})
		r.nodes[of].end = len(r.nodes)
	}
}

// content reads up to and including the </ of me's end tag.
func (r *xmlReader) content(me, depth int) bool {
	for {
		text, ok := r.text()
		if !ok {
			return false
		}
		r.nodes[me].add(text)
		switch {
		case r.skip("</"):
			return true
		case r.skip("<!--"):
			if !r.comment() {
				return false
			}
		case r.skip("<![CDATA["):
			data, ok := r.upTo("]]>")
			if !ok {
				return false
			}
			r.nodes[me].add(data)
		default:
			if !r.element(depth + 1) {
				return false
			}
		}
	}
}

// add joins a piece of text to what there is: the first stands where the document has it, several in a copy that grows.
func (n *node) add(text []byte) {
	if len(n.text) == 0 {
		n.text = text[:len(text):len(text)]
		return
	}
	n.text = append(n.text, text...)
}

// text reads character data up to the next <.
func (r *xmlReader) text() ([]byte, bool) {
	n := bytes.IndexByte(r.b[r.i:], '<')
	if n < 0 {
		return nil, false
	}
	raw := r.b[r.i : r.i+n : r.i+n]
	r.i += n
	return unescape(raw)
}

// unescape replaces &lt; &gt; &amp; &apos; &quot; and character references; ok is false for any other &. Without one, b itself
// is returned.
func unescape(b []byte) (out []byte, ok bool) {
	at := bytes.IndexByte(b, '&')
	if at < 0 {
		return b, true
	}
	for at >= 0 {
		out = append(out, b[:at]...)
		b = b[at+1:]
		semi := bytes.IndexByte(b, ';')
		if semi < 1 || semi > 10 {
			return nil, false
		}
		c, known := entity(string(b[:semi]))
		if !known {
			return nil, false
		}
		out = utf8.AppendRune(out, c)
		b = b[semi+1:]
		at = bytes.IndexByte(b, '&')
	}
	return append(out, b...), true
}

func entity(name string) (rune, bool) {
	switch name {
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "amp":
		return '&', true
	case "apos":
		return '\'', true
	case "quot":
		return '"', true
	}
	if name[0] != '#' {
		return 0, false
	}
	digits, base := name[1:], 10
	if digits != "" && digits[0] == 'x' {
		digits, base = digits[1:], 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	c := rune(n) //nolint:gosec // of 32 bits, and checked next
	return c, err == nil && n != 0 && n <= utf8.MaxRune && utf8.ValidRune(c)
}
