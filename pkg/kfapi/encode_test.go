package kfapi

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestEncode(t *testing.T) {
	for _, c := range []struct {
		name string
		in   any
		want string // "" is refused
	}{
		{"nil is an empty object", nil, `{}`},
		{"no HTML escapes", map[string]string{"url": "https://e.example/?a=1&b=<2>"}, `{"url":"https://e.example/?a=1&b=<2>"}`},
		{"no escapes of line separators", "a\u2028b", "\"a\u2028b\""},
		{"raw passes as it is, white space too", json.RawMessage(" {\"b\" : 1.50,\n\"a\":2} "), " {\"b\" : 1.50,\n\"a\":2} "},
		{"raw loses its escapes", json.RawMessage(`{"t":"\u4f60\u597d\/\n"}`), `{"t":"你好\/\n"}`},
		{"pairs", json.RawMessage(`"\ud83d\ude4f!"`), `"🙏!"`},
		{"a lone surrogate has no other spelling", json.RawMessage(`"\ud83dx\ude4f"`), `"\ud83dx\ude4f"`},
		{"an escaped quote stays one", json.RawMessage(`"\u0022\u005c\u005cu4f60"`), `"\"\\\\u4f60"`},
		{"controls get their short form", json.RawMessage(`"\u000a\u0009\u000d\u0008\u000c\u0001"`), `"\n\t\r\b\f\u0001"`},
		{"a backslash before a u is no escape", json.RawMessage(`"\\u4f60"`), `"\\u4f60"`},
		{"broken raw", json.RawMessage(`{"a":`), ""},
		{"raw that is not UTF-8", json.RawMessage("\"\xff\""), ""},
		{"what JSON cannot say", func() {}, ""},
	} {
		got, err := encode(c.in)
		if (err != nil) != (c.want == "") || string(got) != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.name, got, err, c.want)
		}
	}
}

func FuzzPlain(f *testing.F) {
	for _, s := range []string{`"\u4f60\ud83d\ude4f"`, `["\u0022\u005c","\\\u0061"]`, `{"\u0041":"\ud800\ud800\udc00"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		out, err := encode(json.RawMessage(in))
		if err != nil {
			return // not JSON
		}
		var a, b any
		if err := json.Unmarshal(in, &a); err != nil {
			return // a number out of range
		}
		if err := json.Unmarshal(out, &b); err != nil {
			t.Fatalf("%q became %q: %v", in, out, err)
		}
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("%q became %q, which means something else", in, out)
		}
	})
}

func TestLooseTypes(t *testing.T) {
	type all struct {
		F Flag        `json:"f"`
		N LooseInt    `json:"n"`
		S LooseString `json:"s"`
	}
	for _, c := range []struct {
		in   string
		want all
		ok   bool
	}{
		{`{"f":1,"n":7,"s":"x"}`, all{true, 7, "x"}, true},
		{`{"f":true,"n":"7","s":7}`, all{true, 7, "7"}, true},
		{`{"f":0,"n":-1,"s":-1.50}`, all{false, -1, "-1.50"}, true},
		{`{"f":false,"n":null,"s":null}`, all{}, true},
		{`{"f":null}`, all{}, true},
		{`{"f":2}`, all{}, false},
		{`{"f":"1"}`, all{}, false},
		{`{"n":1.5}`, all{}, false},
		{`{"n":"x"}`, all{}, false},
		{`{"s":{}}`, all{}, false},
		{`{"s":true}`, all{}, false},
	} {
		var got all
		err := json.Unmarshal([]byte(c.in), &got)
		if (err == nil) != c.ok || c.ok && got != c.want {
			t.Errorf("%s: got %+v, %v, want %+v, %v", c.in, got, err, c.want, c.ok)
		}
	}
	if got, _ := json.Marshal([]Flag{true, false}); string(got) != "[1,0]" {
		t.Errorf("got %s, want [1,0]", got)
	}
}
