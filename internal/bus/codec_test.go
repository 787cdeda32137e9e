package bus

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"

	"github.com/kfbus/kfbus/pkg/events"
)

func sample(raw string) event.Event {
	return events.Inbound{Corp: "ww1", OpenKfID: "wk1", ExternalUserID: "wm1", MsgID: "m1", MsgType: "text", Seq: 7, Origin: 3,
		SendTime: 1700000000, TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Raw: json.RawMessage(raw)}.Event()
}

func TestCodecRoundTrip(t *testing.T) {
	raw := `{"a": "你好 <&> \u2028",  "n": 12345678901234567890}`
	for _, mode := range []string{ModeStructured, ModeBinary} {
		body, h, err := Encode(sample(raw), mode)
		if err != nil {
			t.Fatal(err)
		}
		if got := h["traceparent"]; len(got) != 1 {
			t.Errorf("%s: no traceparent header", mode)
		}
		e, err := Decode(h, body)
		if err != nil {
			t.Fatalf("%s: %v", mode, err)
		}
		if string(e.Data()) != raw {
			t.Errorf("%s: data %s, want it byte for byte", mode, e.Data())
		}
		if e.ID() != "m1" || e.Subject() != "wm1" || e.Extensions()[events.ExtSeq] != "00000000000000000007" || !e.Time().Equal(time.Unix(1700000000, 0)) {
			t.Errorf("%s: got %s", mode, e)
		}
	}
}

func TestStructuredHoldsDataByteForByte(t *testing.T) {
	raw := `{ "x" :1.0,"y":"\u4f60/\/"}`
	body, h, err := Encode(sample(raw), ModeStructured)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(body), `,"data":`+raw+`}`) {
		t.Errorf("got %s", body)
	}
	if got := h[events.ContentTypeHeader]; len(got) != 1 || got[0] != "application/cloudevents+json" {
		t.Errorf("content type %v", got)
	}
	if _, ok := h["ce-specversion"]; ok {
		t.Error("a structured event with ce-specversion is read as binary by some SDKs")
	}
	var lib event.Event // the library's own decoder agrees
	if err := json.Unmarshal(body, &lib); err != nil || string(lib.Data()) != raw {
		t.Errorf("the library reads %s, %v", lib.Data(), err)
	}
}

func TestInvalidUTF8RoundTrip(t *testing.T) {
	raw := "{\"a\":\"\xff\"}"
	body, h, err := Encode(sample(raw), ModeStructured)
	if err != nil || !json.Valid(body) {
		t.Fatalf("%q, %v", body, err)
	}
	e, err := Decode(h, body)
	if err != nil || string(e.Data()) != raw {
		t.Errorf("got %q, %v", e.Data(), err)
	}
}

func TestEncodeRefusesDataThatIsNotJSON(t *testing.T) {
	if _, _, err := Encode(sample(`{"a":`), ModeStructured); err == nil {
		t.Error("accepted")
	}
}

func TestBinaryPercentEncoding(t *testing.T) {
	e := sample(`{}`)
	e.SetSubject(`a b"%客`)
	body, h, err := Encode(e, ModeBinary)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := h["ce-subject"][0], "a%20b%22%25%E5%AE%A2"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	back, err := Decode(h, body)
	if err != nil || back.Subject() != `a b"%客` {
		t.Errorf("got %q, %v", back.Subject(), err)
	}
}

func TestDecodeForeignForms(t *testing.T) {
	const whole = `{"specversion":"1.0","id":"c1","source":"/s","type":"t","datacontenttype":"application/json","data":{"msgtype":"text"}}`
	for _, c := range []struct {
		name string
		h    nats.Header
		body string
	}{
		{"structured", nats.Header{"Content-Type": {"application/cloudevents+json"}}, whole},
		{"structured with a charset", nats.Header{"content-type": {"application/cloudevents+json; charset=UTF-8"}}, whole},
		{"structured, content type in capitals", nats.Header{"CONTENT-TYPE": {"Application/CloudEvents+JSON"}}, whole},
		{"structured without a content type", nil, whole},
		{"binary", nats.Header{"ce-specversion": {"1.0"}, "ce-id": {"c1"}, "ce-source": {"/s"}, "ce-type": {"t"}}, `{"msgtype":"text"}`},
		{"binary, headers in capitals", nats.Header{"Ce-Specversion": {"1.0"}, "CE-ID": {"c1"}, "Ce-Source": {"/s"}, "Ce-Type": {"t"}, "Content-Type": {"application/json"}}, `{"msgtype":"text"}`},
	} {
		e, err := Decode(c.h, []byte(c.body))
		if err != nil || e.ID() != "c1" || string(e.Data()) != `{"msgtype":"text"}` {
			t.Errorf("%s: got %q %s, %v", c.name, e.ID(), e.Data(), err)
		}
	}
}

func TestDecodeBareAndBroken(t *testing.T) {
	for _, body := range []string{`{"msgtype":"text"}`, ``, `hello`, `{"specversion":"1.0"}`, `{"msgtype":"text","text":{"content":"\"specversion\""}}`} {
		if _, err := Decode(nil, []byte(body)); !errors.Is(err, ErrBare) {
			t.Errorf("%q: got %v, want ErrBare", body, err)
		}
	}
	for name, c := range map[string]struct {
		h    nats.Header
		body string
	}{
		"structured and not JSON":       {nats.Header{"Content-Type": {"application/cloudevents+json"}}, "geheim"},
		"structured without an id":      {nats.Header{"Content-Type": {"application/cloudevents+json"}}, `{"specversion":"1.0","source":"/geheim","type":"t"}`},
		"binary without a type":         {nats.Header{"ce-specversion": {"1.0"}, "ce-id": {"geheim"}, "ce-source": {"/s"}}, "{}"},
		"binary with a time that is no": {nats.Header{"ce-specversion": {"1.0"}, "ce-id": {"c"}, "ce-source": {"/s"}, "ce-type": {"t"}, "ce-time": {"geheim"}}, "{}"},
		"a version that is not known":   {nats.Header{"ce-specversion": {"9.9"}, "ce-id": {"c"}, "ce-source": {"/s"}, "ce-type": {"t"}}, "{}"},
	} {
		_, err := Decode(c.h, []byte(c.body))
		if err == nil || errors.Is(err, ErrBare) {
			t.Errorf("%s: got %v, want an error of its own", name, err)
		} else if strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: the error quotes the event: %v", name, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("application/cloudevents+json", "", []byte(`{"specversion":"1.0","id":"1","source":"/","type":"t","data":{}}`))
	f.Add("", "1.0", []byte(`{}`))
	f.Fuzz(func(t *testing.T, ct, spec string, body []byte) {
		h := nats.Header{"Content-Type": {ct}, "ce-specversion": {spec}, "ce-id": {"1"}, "ce-source": {"/"}, "ce-type": {"t"}}
		e, err := Decode(h, body)
		if err == nil && e.Validate() != nil {
			t.Fatal("an invalid event was let through")
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	e := sample(`{"text":{"content":"` + strings.Repeat("x", 200) + `"}}`)
	for _, mode := range []string{ModeStructured, ModeBinary} {
		b.Run(mode, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := Encode(e, mode); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestItemsAreWrittenAsTheirEvents: the quick way gives the same bytes and headers as the library's event.
func TestItemsAreWrittenAsTheirEvents(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	texts := []string{"", "wm1", "text", "event", "enter_session", `a\b"c`, `\`, `\\x`, "a.b.*.>", "你好", " ", "<&>", "%41", "-", "\r\nX: y", "\xff", "\u2028",
		strings.Repeat("k", 257), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	text := func() string { return texts[r.IntN(len(texts))] }
	times := []int64{0, -1, 1, 1700000000, 253402300799, 253402300800, math.MaxInt64}
	for range 20_000 {
		in := events.Inbound{Corp: text(), OpenKfID: text(), ExternalUserID: text(), MsgID: text(), MsgType: text(), EventType: text(), SendTime: times[r.IntN(len(times))],
			Origin: r.IntN(7) - 1, Seq: r.Uint64() >> r.IntN(64), Raw: json.RawMessage(`{"a": "你好 <&> \u2028"}`), History: r.IntN(2) == 0, Replay: r.IntN(2) == 0, TraceParent: text()}
		body, h, err := Encode(in.Event(), ModeStructured)
		if err != nil {
			t.Fatalf("%+v: %v", in, err)
		}
		quick := (&items{mode: ModeStructured}).encode(Message{Item: &in})
		if string(quick.Data) != string(body) || !maps.EqualFunc(quick.Header, h, slices.Equal) {
			t.Fatalf("%+v\n got %s %v\nwant %s %v", in, quick.Data, quick.Header, body, h)
		}
	}
}
