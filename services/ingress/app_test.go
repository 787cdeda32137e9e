package ingress

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
)

// example is one file of testdata/app; the README there says how they are written.
type example struct {
	name              string // event.change_contact.create_user
	xml, fields, json string
}

func examples(t testing.TB) []example {
	t.Helper()
	files, err := filepath.Glob("testdata/app/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out []example
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".txt"), "+")
		x := example{name: name}
		for section := range strings.SplitSeq(string(b), "-- ") {
			title, text, _ := strings.Cut(section, " --\n")
			switch text = strings.TrimSuffix(text, "\n"); title {
			case "xml":
				x.xml = text
			case "fields":
				x.fields = text
			case "json":
				x.json = text
			}
		}
		if x.xml == "" || x.json == "" || x.fields == "" {
			t.Fatalf("%s: a section is missing", file)
		}
		out = append(out, x)
	}
	return out
}

// without is the example without its AgentID, or with one if it has none.
func (x example) without() example {
	const inXML, asText, asNumber = "<AgentID>1000002</AgentID>", `,"AgentID":"1000002"`, `,"AgentID":1000002`
	if strings.Contains(x.xml, inXML) {
		return example{x.name, strings.Replace(x.xml, inXML, "", 1), strings.Replace(x.fields, asText, "", 1), strings.Replace(x.json, asNumber, "", 1)}
	}
	return example{x.name, strings.TrimSuffix(x.xml, "</xml>") + inXML + "</xml>", strings.TrimSuffix(x.fields, "}") + asText + "}", strings.TrimSuffix(x.json, "}") + asNumber + "}"}
}

// subject and typ are where an example belongs and what it is called.
func (x example) subject() string {
	agent, from := "-", "-"
	if strings.Contains(x.xml, "<AgentID>") {
		agent = "1000002"
	}
	for _, who := range []string{"zhangsan", "sys"} {
		if strings.Contains(x.xml, "<FromUserName><![CDATA["+who+"]]>") {
			from = who
		}
	}
	class, rest, _ := strings.Cut(x.name, ".")
	name, _, _ := strings.Cut(rest, ".")
	return "kf.app." + corp + "." + agent + "." + class + "." + name + "." + from
}

func (x example) typ() string { return "io.github.kfbus.app." + x.name + ".v1" }

// TestEveryAppCallback: each example, with and without AgentID, as XML and JSON in envelopes of both forms, arrives whole.
func TestEveryAppCallback(t *testing.T) {
	d := open(t)
	all := examples(t)
	if len(all) < 100 {
		t.Fatalf("only %d examples", len(all))
	}
	sent := 0
	for _, x := range all {
		for _, x := range []example{x, x.without()} {
			for _, payload := range []struct{ format, raw, fields string }{{"xml", x.xml, x.fields}, {"json", x.json, x.json}} {
				for _, envelopeJSON := range []bool{false, true} {
					plain := payload.raw
					if envelopeJSON { // so that it is another callback: the same would be stored once
						plain = " " + plain
					}
					if code, body := d.ask(d.sealed(plain, corp, envelopeJSON)); code != 200 || body != "success" {
						t.Errorf("%s %s: got %d %s", x.name, payload.format, code, body)
						continue
					}
					sent++
					d.arrived(t, x, payload.format, plain, payload.fields)
				}
			}
		}
	}
	if n := d.stored(events.StreamMessage); n != uint64(sent) {
		t.Errorf("%d callbacks are %d events", sent, n)
	}
	t.Logf("%d examples, %d callbacks", len(all), sent)
}

func (d *rig) arrived(t *testing.T, x example, format, raw, fields string) {
	t.Helper()
	m, err := d.b.Last(testkit.Context(t), events.StreamMessage, x.subject())
	if err != nil {
		t.Errorf("%s %s: %s: %v", x.name, format, x.subject(), err)
		return
	}
	e, err := m.Event()
	if err != nil {
		t.Fatal(err)
	}
	var app events.App
	if err := json.Unmarshal(e.Data(), &app); err != nil {
		t.Fatal(err)
	}
	if e.Type() != x.typ() || app.Raw != raw || app.Format != format || app.Corp != corp {
		t.Errorf("%s %s: got %s with %+v, want %s", x.name, format, e.Type(), app, x.typ())
	}
	var got, want bytes.Buffer // the event's own JSON may have other white space, and nothing else
	if err := errors.Join(json.Compact(&got, app.Fields), json.Compact(&want, []byte(fields))); err != nil || unescaped(t, got.String()) != unescaped(t, want.String()) {
		t.Errorf("%s %s: got fields\n%s\nwant\n%s", x.name, format, got.String(), want.String())
	}
	if class := e.Extensions()[events.ExtClass]; class == nil || strings.HasPrefix(x.name, "event.") != (class == "event") {
		t.Errorf("%s %s: is classed as %v", x.name, format, class)
	}
}

// unescaped spells the characters that some encoders escape in one way.
func unescaped(t *testing.T, s string) string {
	t.Helper()
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(s)
}

// TestInfoTypeNamesCommands: a provider's commands have no MsgType, and no receiver.
func TestInfoTypeNamesCommands(t *testing.T) {
	n := 0
	for _, x := range examples(t) {
		if !strings.Contains(x.xml, "<InfoType>") {
			continue
		}
		n++
		doc, err := parseDocument([]byte(x.xml))
		if err != nil {
			t.Fatal(err)
		}
		if k := kindOf(doc); k.class != events.AppEvent || k.typeOf() != x.typ() {
			t.Errorf("%s: got %s", x.name, k.typeOf())
		}
	}
	if n < 10 {
		t.Errorf("only %d commands", n)
	}
}

// walk is what encoding/xml sees of a document, in the words of ours.
func walk(raw []byte) ([]node, error) {
	var out []node
	var open []int
	d := xml.NewDecoder(bytes.NewReader(raw))
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) && len(open) == 0 {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			open = append(open, len(out))
			out = append(out, node{name: qualified(token.Name)})
			for _, a := range token.Attr {
				out = append(out, node{name: qualified(a.Name), text: []byte(a.Value), attr: true})
			}
		case xml.EndElement:
			if len(open) == 0 || !bytes.Equal(out[open[len(open)-1]].name, qualified(token.Name)) {
				return nil, fmt.Errorf("end of %s", token.Name.Local)
			}
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				n := &out[open[len(open)-1]]
				n.text = append(n.text, token...)
			} else if len(bytes.TrimSpace(token)) > 0 {
				return nil, fmt.Errorf("text %q outside", token)
			}
		case xml.Directive:
			return nil, errors.New("a directive")
		}
	}
}

func qualified(n xml.Name) []byte {
	if n.Space != "" {
		return []byte(n.Space + ":" + n.Local)
	}
	return []byte(n.Local)
}

var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n") // encoding/xml reads them so

// same reports whether both have the same names, attributes and texts in the same order.
func same(ours, theirs []node) bool {
	return slices.EqualFunc(ours, theirs, func(a, b node) bool {
		return string(a.name) == string(b.name) && a.attr == b.attr && lineEnds.Replace(string(a.text)) == lineEnds.Replace(string(b.text))
	})
}

// lenient is where we take on purpose what encoding/xml does not: text of customers that the platform did not escape is kept, not
// lost. No two readings come of it.
func lenient(raw []byte, err error) bool {
	for _, why := range []string{"illegal character code", "unescaped ]]> not in CDATA section", "invalid XML name"} {
		if strings.Contains(err.Error(), why) {
			return true
		}
	}
	return false
}

// plainly is an element as the rule of document says, in the slow and obvious way.
func plainly(nodes []node, i int) any {
	if nodes[i].end == i+1 {
		return string(nodes[i].text)
	}
	all := map[string][]any{}
	for k := i + 1; k < nodes[i].end; k = nodes[k].end {
		name := string(nodes[k].name)
		if nodes[k].attr {
			name = "@" + name
		}
		all[name] = append(all[name], plainly(nodes, k))
	}
	out := map[string]any{}
	for name, values := range all {
		if out[name] = values; len(values) == 1 {
			out[name] = values[0]
		}
	}
	if len(bytes.TrimSpace(nodes[i].text)) > 0 {
		out["#text"] = string(nodes[i].text)
	}
	return out
}

// FuzzXML: what our reader takes, encoding/xml reads alike, and the JSON of it says all of it.
func FuzzXML(f *testing.F) {
	for _, x := range examples(f) {
		f.Add([]byte(x.xml))
	}
	for _, s := range []string{
		`<?xml version="1.0" encoding="GBK"?><a/>`, `<?xml version='1.0' encoding='utf-8' standalone='yes' ?><a b="1" c='2'><d/>x</a>`, `<a>&#X41;&#x41;&#65;</a>`,
		`<a><!-- a -- b --></a>`, `<1a/>`, `<a:b:c/>`, `<:a/>`, `<a:/>`, `<-/>`, "<a>\r\n\r</a>", `<a><![CDATA[]]]]><![CDATA[>]]></a>`, `<a b="&lt;
"/>`, `<?xml version="1.1"?><a/>`, `<a></a ><!---->`, `<a>]]></a>`, `<é/>`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := parseDocument(raw)
		if err != nil || d.format != "xml" {
			return
		}
		var got any
		want := plainly(d.nodes, 0)
		if d.nodes[0].end == 1 {
			want = map[string]any{}
		}
		if err := json.Unmarshal(d.fields(), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q became %s, want %v", raw, d.fields(), want)
		}
		theirs, err := walk(raw)
		if err != nil {
			if !lenient(raw, err) {
				t.Fatalf("%q: encoding/xml refuses what was taken: %v", raw, err)
			}
			return
		}
		if !same(d.nodes, theirs) {
			t.Fatalf("%q: got %v, encoding/xml reads %v", raw, d.nodes, theirs)
		}
	})
}

// TestXMLReadersAgree is the same of every example, and it must be taken.
func TestXMLReadersAgree(t *testing.T) {
	for _, x := range examples(t) {
		d, err := parseDocument([]byte(x.xml))
		if err != nil {
			t.Fatalf("%s: %v", x.name, err)
		}
		theirs, err := walk([]byte(x.xml))
		if err != nil || !same(d.nodes, theirs) {
			t.Errorf("%s: got %v, encoding/xml reads %v, %v", x.name, d.nodes, theirs, err)
		}
	}
}
