package ingress

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
)

func parseDocument(raw []byte) (document, error) { return parseInto(nil, raw) }

func (d document) fields() json.RawMessage { return d.appendFields(nil) }

func TestDocumentFields(t *testing.T) {
	for _, c := range []struct{ name, raw, want string }{
		{"text message", `<xml><ToUserName><![CDATA[ww1]]></ToUserName><CreateTime>1700000000</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[a <b> & "c"]]></Content><MsgId>4561255354251345929</MsgId></xml>`,
			`{"ToUserName":"ww1","CreateTime":"1700000000","MsgType":"text","Content":"a <b> & \"c\"","MsgId":"4561255354251345929"}`},
		{"order is kept", `<xml><B>1</B><A>2</A></xml>`, `{"B":"1","A":"2"}`},
		{"siblings of one name", `<xml><A>1</A><B>x</B><A>2</A></xml>`, `{"A":["1","2"],"B":"x"}`},
		{"nested list", `<xml><SendPicsInfo><Count>2</Count><PicList><item><PicMd5Sum>a</PicMd5Sum></item><item><PicMd5Sum>b</PicMd5Sum></item></PicList></SendPicsInfo></xml>`,
			`{"SendPicsInfo":{"Count":"2","PicList":{"item":[{"PicMd5Sum":"a"},{"PicMd5Sum":"b"}]}}}`},
		{"empty element", `<xml><EventKey></EventKey><X/></xml>`, `{"EventKey":"","X":""}`},
		{"split CDATA", `<xml><A><![CDATA[a]]]]><![CDATA[>b]]></A></xml>`, `{"A":"a]]>b"}`},
		{"white space in text is kept", "<xml>\n<A> a\n b </A>\n</xml>", `{"A":" a\n b "}`},
		{"declaration", `<?xml version="1.0" encoding="UTF-8"?><xml><A>1</A></xml>`, `{"A":"1"}`},
		{"entities", `<xml><A>&lt;a&gt; &amp;&amp; &#20320;&#x597d; &quot;&apos;</A></xml>`, `{"A":"<a> && 你好 \"'"}`},
		{"attributes", `<xml v="1"><A n='&amp;2'>x</A><B k="3"/></xml>`, `{"@v":"1","A":{"@n":"&2","#text":"x"},"B":{"@k":"3"}}`},
		{"text beside children", `<xml><A>one<B>2</B>three</A></xml>`, `{"A":{"B":"2","#text":"onethree"}}`},
		{"comments", `<!-- a --><xml><!-- b --><A>1<!-- c -->2</A></xml><!-- d -->`, `{"A":"12"}`},
		{"a prefix is part of the name", `<xml><q:A>1</q:A></xml>`, `{"q:A":"1"}`},
		{"JSON stays as it is", `{"MsgType":"event", "CreateTime":1700000000,"X":[1,{"y":2}]}`, `{"MsgType":"event", "CreateTime":1700000000,"X":[1,{"y":2}]}`},
		{"a root without children", `<xml></xml>`, `{}`},
	} {
		d, err := parseDocument([]byte(c.raw))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := string(d.fields()); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestDocumentRefuses(t *testing.T) {
	for name, raw := range map[string]string{
		"nothing":                      ``,
		"text":                         `hello`,
		"a number":                     `1616140317555161061`,
		"doctype":                      `<!DOCTYPE xml><xml><A>1</A></xml>`,
		"entity":                       `<!DOCTYPE a [<!ENTITY x "y">]><xml>&x;</xml>`,
		"unknown entity":               `<xml><A>&x;</A></xml>`,
		"two roots":                    `<xml><A>1</A></xml><xml></xml>`,
		"text after the end":           `<xml></xml>hello`,
		"cut off":                      `<xml><A>1</A>`,
		"wrong end":                    `<xml><A>1</B></xml>`,
		"too deep":                     strings.Repeat("<a>", maxDepth+1) + strings.Repeat("</a>", maxDepth+1),
		"too many":                     "<xml>" + strings.Repeat("<a/>", maxNodes) + "</xml>",
		"too many attributes":          "<xml" + strings.Repeat(" a='1'", maxNodes) + "/>",
		"a processing instruction":     `<xml><?php x?></xml>`,
		"a cut comment":                `<xml><!-- </xml>`,
		"a cut CDATA":                  `<xml><A><![CDATA[x]]</A></xml>`,
		"a bare &":                     `<xml><A>a & b</A></xml>`,
		"a reference to NUL":           `<xml><A>&#0;</A></xml>`,
		"a lone surrogate":             `<xml><A>&#xD800;</A></xml>`,
		"an attribute without a value": `<xml a></xml>`,
		"a name that is none":          `<xml>< A>1</A></xml>`,
		"not UTF-8":                    "<xml><A>\xff</A></xml>",
		"an array":                     `[1]`,
		"JSON cut off":                 `{"a":1`,
		"JSON and more":                `{"a":1} {}`,
	} {
		if d, err := parseDocument([]byte(raw)); err == nil {
			t.Errorf("%s: accepted as %s", name, d.fields())
		}
	}
}

func TestDocumentGet(t *testing.T) {
	for _, raw := range []string{
		`<xml><Event> kf_account_auth_change </Event><AuthAddOpenKfId>wk1</AuthAddOpenKfId><AuthAddOpenKfId>wk2</AuthAddOpenKfId><CreateTime>17</CreateTime></xml>`,
		`{"event":"kf_account_auth_change","AuthAddOpenKfId":["wk1","wk2"],"CreateTime":17}`,
	} {
		d, err := parseDocument([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		if got := d.get("Event"); got != "kf_account_auth_change" {
			t.Errorf("event %q", got)
		}
		if got := strings.Join(d.all("AuthAddOpenKfId"), " "); got != "wk1 wk2" {
			t.Errorf("accounts %q", got)
		}
		if got := number(d.get("CreateTime")); got != 17 {
			t.Errorf("time %d", got)
		}
	}
}

// TestNullIsNothing: an app that is set to JSON may say null where XML has no element.
func TestNullIsNothing(t *testing.T) {
	d := open(t)
	if code, _ := d.ask(d.sealed(`{"ToUserName":null,"FromUserName":null,"AgentID":null,"MsgType":"event","Event":"x"}`, corp, false)); code != 200 {
		t.Fatalf("got %d, want 200", code)
	}
	m, err := d.b.Last(testkit.Context(t), events.StreamMessage, "kf.app.>")
	if err != nil {
		t.Fatal(err)
	}
	if want := "kf.app." + corp + ".-.event.x.-"; m.Subject != want {
		t.Errorf("got %s, want %s", m.Subject, want)
	}
}

func FuzzDocument(f *testing.F) {
	for _, s := range []string{`<xml><A>1</A><A><B/></A></xml>`, `{"a":[1,{"b":"c"}]}`, `<a/>`, `<?xml?><x>]]></x>`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := parseDocument(raw)
		if err != nil {
			return
		}
		if !json.Valid(d.fields()) || d.fields()[0] != '{' {
			t.Fatalf("%q became %q", raw, d.fields())
		}
	})
}

func TestClassify(t *testing.T) {
	words := []string{"帮助", "help"}
	for _, c := range []struct{ name, msgType, content, want string }{
		{"an event", "event", "", "event"},
		{"an image", "image", "", "image"},
		{"a file", "file", "", "file"},
		{"a voice", "voice", "", "voice"},
		{"a short video", "shortvideo", "", "video"},
		{"a place", "location", "", "location"},
		{"a type of tomorrow", "hologram", "", "general_text"},
		{"a command word", "text", " Help ", "command"},
		{"a Chinese command word", "text", "帮助", "command"},
		{"a slash", "text", "/status now", "command"},
		{"a word in a sentence", "text", "please help me", "general_text"},
		{"a pasted chat", "text", "小安 10:21\n你好\n小博 10:22\n在吗", "chat_record"},
		{"a pasted chat with colons", "text", "安: 你好\n博: 在", "chat_record"},
		{"one line with a colon", "text", "note: buy milk", "general_text"},
		{"a mobile number", "text", "我的号码13812345678谢谢", "contact_info"},
		{"a longer number", "text", "订单号 213812345678", "general_text"},
		{"a mail address", "text", "write to a.b@example.com", "contact_info"},
		{"anything else", "text", "你好", "general_text"},
	} {
		k := kind{class: events.AppMessage, name: c.msgType}
		if c.msgType == "event" {
			k = kind{class: events.AppEvent, name: "click"}
		}
		if got := classify(k, c.content, words); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// TestDocumentsDoNotWriteIntoTheirText: joined texts are copies; the XML beside the JSON stays as it came.
func TestDocumentsDoNotWriteIntoTheirText(t *testing.T) {
	const raw = `<xml><A><![CDATA[a]]]]><![CDATA[>b]]>c<B/>d</A></xml>`
	d, err := parseDocument([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	if d.fields(); string(d.raw) != raw {
		t.Errorf("the XML has become %s", d.raw)
	}
}
