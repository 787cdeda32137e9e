package kfapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestParseMessage(t *testing.T) {
	for _, c := range []struct {
		name, in, body string
		also           []string
	}{
		{"unknown fields, number formats and white space survive", `{"msgtype":"text", "text" : { "content":"x",  "new":{"n":1.50e0} } }`, `{ "content":"x",  "new":{"n":1.50e0} }`, nil},
		{"escapes become characters", `{"msgtype":"text","text":{"content":"\u4f60\u597d \ud83d\ude4f \u003c\/"}}`, `{"content":"你好 🙏 <\/"}`, nil},
		{"body before the type", `{"image":{"media_id":"M"},"msgtype":"image"}`, `{"media_id":"M"}`, nil},
		{"the caller's own fields are left out", `{"touser":"x","command_id":{"a":[1]},"msgtype":"image","image":{"media_id":"M"}}`, `{"media_id":"M"}`, []string{"touser", "command_id"}},
		{"an escaped key", `{"msgtyp\u0065":"text","te\u0078t":{"content":"x"}}`, `{"content":"x"}`, nil},
		{"no_newline both ways", `{"msgtype":"msgmenu","msgmenu":{"list":[{"type":"text","text":{"content":"x","no_newline":0}},{"type":"text","text":{"content":"x","no_newline":1}}]}}`, `{"list":[{"type":"text","text":{"content":"x","no_newline":0}},{"type":"text","text":{"content":"x","no_newline":1}}]}`, nil},
	} {
		in := []byte(c.in)
		m, err := ParseMessage(in, c.also...)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		clear(in) // the message must not share the caller's buffer
		got, err := SendMsgRequest{"wm", "wk", "", m}.encode()
		want := `{"touser":"wm","open_kfid":"wk","msgtype":"` + m.MsgType() + `","` + m.MsgType() + `":` + c.body + `}`
		if err != nil || string(got) != want {
			t.Errorf("%s:\ngot  %s, %v\nwant %s", c.name, got, err, want)
		}
	}
}

func TestParseMessageRefuses(t *testing.T) {
	for _, c := range []struct{ name, in, field string }{
		{"nothing", ``, "message"},
		{"not JSON", `{"msgtype":"text","text":{"content":"x"}`, "message"},
		{"an array", `[]`, "message"},
		{"null", `null`, "message"},
		{"something behind", `{"msgtype":"text","text":{"content":"x"}} {}`, "message"},
		{"not UTF-8", "{\"msgtype\":\"text\",\"text\":{\"content\":\"\xff\"}}", "message"},
		{"a bare newline", "{\"msgtype\":\"text\",\"text\":{\"content\":\"a\nb\"}}", "message"},
		{"a key twice", `{"msgtype":"text","msgtype":"text","text":{"content":"x"}}`, "message"},
		{"a body twice", `{"msgtype":"text","text":{"content":"x"},"text":{"content":"y"}}`, "message"},
		{"a key twice inside", `{"msgtype":"text","text":{"content":"x","content":"y"}}`, "message"},
		{"a key twice, once escaped", `{"msgtype":"text","text":{"content":"x","conten\u0074":"y"}}`, "message"},
		{"a key twice deep inside", `{"msgtype":"text","text":{"content":"x","a":[{"b":1,"b":2}]}}`, "message"},
		{"too deep", `{"msgtype":"text","text":{"content":"x","a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}}`, "message"},
		{"a number out of range", `{"msgtype":"location","location":{"latitude":1e999,"longitude":1}}`, "message"},
		{"no msgtype", `{"text":{"content":"x"}}`, "msgtype"},
		{"msgtype a number", `{"msgtype":1,"text":{"content":"x"}}`, "msgtype"},
		{"msgtype unknown", `{"msgtype":"poem","poem":{}}`, "msgtype"},
		{"msgtype event", `{"msgtype":"event","event":{}}`, "msgtype"},
		{"msgtype in another case", `{"msgtype":"Text","Text":{"content":"x"}}`, "msgtype"},
		{"no body", `{"msgtype":"text"}`, "text"},
		{"body a string", `{"msgtype":"text","text":"x"}`, "text"},
		{"body null", `{"msgtype":"text","text":null}`, "text"},
		{"body of another type", `{"msgtype":"text","image":{"media_id":"M"}}`, "image"},
		{"two bodies", `{"msgtype":"text","text":{"content":"x"},"image":{"media_id":"M"}}`, "image"},
		{"an addressing field", `{"touser":"x","msgtype":"text","text":{"content":"x"}}`, "touser"},
		{"an odd field is not quoted", `{"<CANARY>":"x","msgtype":"text","text":{"content":"x"}}`, "an unknown field"},
		{"content missing", `{"msgtype":"text","text":{}}`, "text.content"},
		{"content in another case", `{"msgtype":"text","text":{"Content":"x"}}`, "text.content"},
		{"content null", `{"msgtype":"text","text":{"content":null}}`, "text.content"},
		{"content a number", `{"msgtype":"text","text":{"content":5}}`, "text.content"},
		{"content empty", `{"msgtype":"text","text":{"content":""}}`, "text.content"},
		{"content too long behind escapes", `{"msgtype":"text","text":{"content":"` + strings.Repeat(`\u4f60`, 683) + `"}}`, "text.content"},
		{"desc null", `{"msgtype":"link","link":{"title":"t","desc":null,"url":"http://e","thumb_media_id":"M"}}`, "link.desc"},
		{"latitude a string", `{"msgtype":"location","location":{"latitude":"1","longitude":1}}`, "location.latitude"},
		{"longitude missing", `{"msgtype":"location","location":{"latitude":1}}`, "location.longitude"},
		{"list an object", `{"msgtype":"msgmenu","msgmenu":{"list":{}}}`, "msgmenu.list"},
		{"item a string", `{"msgtype":"msgmenu","msgmenu":{"list":["x"]}}`, "msgmenu.list[0]"},
		{"no_newline 2", `{"msgtype":"msgmenu","msgmenu":{"list":[{"type":"text","text":{"content":"x","no_newline":2}}]}}`, "msgmenu.list[0].text.no_newline"},
		{"no_newline true", `{"msgtype":"msgmenu","msgmenu":{"list":[{"type":"text","text":{"content":"x","no_newline":true}}]}}`, "msgmenu.list[0].text.no_newline"},
	} {
		m, err := ParseMessage([]byte(c.in))
		var limit *LimitError
		if !errors.As(err, &limit) || limit.Field != c.field || m != nil {
			t.Errorf("%s: got %v, %v, want %s refused", c.name, m, err, c.field)
		}
	}
}

// FuzzParseMessage: what passes goes out as one JSON object that means the same to encoding/json and passes again.
func FuzzParseMessage(f *testing.F) {
	f.Add([]byte(`{"msgtype":"text","text":{"content":"\u4f60","x":[1,{"y":null}]}}`))
	f.Add([]byte(`{"msgmenu":{"head_content":"h","list":[{"type":"click","click":{"content":"c"}}]},"msgtype":"msgmenu"}`))
	f.Add([]byte(`{"msgtype":"location","location":{"latitude":1e1,"longitude":-0.0}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := ParseMessage(in)
		if err != nil {
			var limit *LimitError
			if !errors.As(err, &limit) {
				t.Fatalf("got %T", err)
			}
			return
		}
		out, err := SendMsgRequest{"wm", "wk", "m", m}.encode()
		if err != nil {
			t.Fatalf("%q passes ParseMessage and then: %v", in, err)
		}
		var was, is map[string]any
		if json.Unmarshal(in, &was) != nil || json.Unmarshal(out, &is) != nil {
			t.Fatalf("%q or %q is no JSON", in, out)
		}
		if !reflect.DeepEqual(was[m.MsgType()], is[m.MsgType()]) || is["msgtype"] != m.MsgType() || len(is) != 5 {
			t.Fatalf("%q became %q", in, out)
		}
		again, err := ParseMessage(out, "touser", "open_kfid", "msgid")
		if err != nil {
			t.Fatalf("%q passes, %q does not: %v", in, out, err)
		}
		a, _ := m.body()
		b, _ := again.body()
		if !bytes.Equal(a, b) {
			t.Fatalf("%q became %q", a, b)
		}
	})
}
