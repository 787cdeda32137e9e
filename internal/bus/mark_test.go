package bus

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/kfbus/kfbus/pkg/events"
)

func TestMarkLeavesEveryOtherByte(t *testing.T) {
	structured := nats.Header{"Content-Type": {"application/cloudevents+json"}}
	for _, c := range []struct{ name, body, want string }{
		{"first, where it is missing", `{"specversion":"1.0","data":{ "x" :1.0,"y":"\u4f60/\/"}}`,
			`{"kfreplay":"true","specversion":"1.0","data":{ "x" :1.0,"y":"\u4f60/\/"}}`},
		{"in its place", `{ "a":"b", "kfreplay" : "false" , "data":[1, 2] }`, `{ "a":"b", "kfreplay" : "true" , "data":[1, 2] }`},
		{"once more, the same", `{"kfreplay":"true","id":"1"}`, `{"kfreplay":"true","id":"1"}`},
		{"a number becomes a text", `{"kfreplay":1,"id":"1"}`, `{"kfreplay":"true","id":"1"}`},
		{"not inside the data", `{"data":{"kfreplay":"no"},"id":"1"}`, `{"kfreplay":"true","data":{"kfreplay":"no"},"id":"1"}`},
		{"bytes that are no UTF-8", "{\"data\":\"\xff\"}", "{\"kfreplay\":\"true\",\"data\":\"\xff\"}"},
	} {
		was := strings.Clone(c.body)
		_, got, err := Mark(structured, []byte(c.body), events.ExtReplay, "true")
		if err != nil || string(got) != c.want || c.body != was {
			t.Errorf("%s: got %s, %v, want %s", c.name, got, err, c.want)
		}
	}
	for _, body := range []string{"", "{}", "[1]", `{"a":`, `{"a" 1}`, "null"} {
		if _, _, err := Mark(structured, []byte(body), events.ExtReplay, "true"); err == nil {
			t.Errorf("%q: got nil, want an error", body)
		}
	}
	if _, _, err := Mark(nil, []byte(`{"msgtype":"text"}`), events.ExtReplay, "true"); !errors.Is(err, ErrBare) {
		t.Errorf("got %v, want ErrBare", err)
	}
}

func TestMarkBothModes(t *testing.T) {
	raw := `{"a": "你好 <&>",  "n": 12345678901234567890}`
	for _, mode := range []string{ModeStructured, ModeBinary} {
		body, h, err := Encode(sample(raw), mode)
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range map[string]string{"Nats-Msg-Id": "x", "nats-batch-id": "b", "Nats-Rollup": "sub", "Team-Own": "kept"} {
			h[k] = []string{v}
		}
		before := maps.Clone(h)
		h2, body2, err := Mark(h, body, events.ExtReplay, "true")
		if err != nil {
			t.Fatal(err)
		}
		if !maps.EqualFunc(h, before, slices.Equal[[]string]) {
			t.Errorf("%s: it wrote into the headers it was given", mode)
		}
		was, _ := Decode(h, body)
		now, err := Decode(h2, body2)
		if err != nil || now.Extensions()[events.ExtReplay] != "true" || string(now.Data()) != raw {
			t.Errorf("%s: got %s, %v", mode, now, err)
		}
		now.SetExtension(events.ExtReplay, nil)
		if now.String() != was.String() {
			t.Errorf("%s: got %s\nwant %s", mode, now, was)
		}
		for k := range h2 {
			if strings.HasPrefix(strings.ToLower(k), "nats-") {
				t.Errorf("%s: %s went on", mode, k)
			}
		}
		if h2["Team-Own"] == nil || h2["traceparent"] == nil {
			t.Errorf("%s: got headers %v", mode, h2)
		}
	}
	h := nats.Header{"CE-SpecVersion": {"1.0"}, "CE-KfReplay": {"false"}} // as another client may write them
	if h2, body, err := Mark(h, []byte("x"), events.ExtReplay, "true"); err != nil || !bytes.Equal(body, []byte("x")) || len(h2) != 2 || h2["ce-kfreplay"][0] != "true" {
		t.Errorf("got %v %s, %v", h2, body, err)
	}
}
