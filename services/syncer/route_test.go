package syncer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

const testTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

var testOrigin = origin{corp: "ww1", openKfID: "wk1", trace: testTrace, maxPayload: 1 << 20}

func TestSplit(t *testing.T) {
	cold := noon.Unix()
	for _, c := range []struct {
		name    string
		raw     string
		subject string
		id      string
	}{
		{"a text", `{"msgid":"m1","open_kfid":"wk1","external_userid":"wm1","send_time":%d,"origin":3,"msgtype":"text","text":{"content":"你好"}}`,
			"kf.message.ww1.wk1.text.wm1", "m1"},
		{"a type nobody knows", `{"msgid":"m1","external_userid":"wm1","send_time":%d,"origin":3,"msgtype":"hologram"}`,
			"kf.message.ww1.wk1.hologram.wm1", "m1"},
		{"an event", `{"msgid":"e1","send_time":%d,"origin":4,"msgtype":"event","event":{"event_type":"enter_session","open_kfid":"wk1","external_userid":"wm1"}}`,
			"kf.event.ww1.wk1.enter_session.wm1", "e1"},
		{"an event without customer", `{"msgid":"e1","send_time":%d,"msgtype":"event","event":{"event_type":"servicer_status_change","open_kfid":"wk1"}}`,
			"kf.event.ww1.wk1.servicer_status_change.-", "e1"},
		{"an event without type", `{"msgid":"e1","send_time":%d,"msgtype":"event","event":{}}`, "kf.message.ww1.wk1.unknown.-", "e1"},
		{"an event whose body is no object", `{"msgid":"e1","send_time":%d,"msgtype":"event","event":[1]}`, "kf.message.ww1.wk1.unknown.-", "e1"},
		{"no msgtype", `{"msgid":"m1","send_time":%d,"external_userid":"wm1"}`, "kf.message.ww1.wk1.unknown.wm1", "m1"},
		{"no msgid", `{"send_time":%d,"external_userid":"wm1","msgtype":"text"}`, "kf.message.ww1.wk1.text.wm1", "sha256-"},
		{"a number as msgtype", `{"msgid":"m1","send_time":%d,"msgtype":7}`, "kf.message.ww1.wk1.unknown.-", "m1"},
		{"a list as external_userid", `{"msgid":"m1","send_time":%d,"external_userid":["wm1"],"msgtype":"text"}`, "kf.message.ww1.wk1.unknown.-", "m1"},
		{"a customer with dots", `{"msgid":"m1","send_time":%d,"external_userid":"wm.*.>","msgtype":"text"}`,
			"kf.message.ww1.wk1.text." + events.Token("wm.*.>"), "m1"},
		{"a type with a wildcard", `{"msgid":"m1","send_time":%d,"external_userid":"wm1","msgtype":">"}`,
			"kf.message.ww1.wk1." + events.Token(">") + ".wm1", "m1"},
		{"a msgid with a line break", `{"msgid":"m\r\n1","send_time":%d,"external_userid":"wm1","msgtype":"text"}`, "kf.message.ww1.wk1.text.wm1", "sha256-"},
		{"another account's", `{"msgid":"m1","send_time":%d,"open_kfid":"wk2","external_userid":"wm1","msgtype":"text"}`, "kf.message.ww1.wk1.text.wm1", "m1"},
	} {
		raw := []byte(fmt.Sprintf(c.raw, cold))
		ms, _, dead := testOrigin.split(events.Cursor{Seq: 41, ColdStart: noon}, []kfapi.Item{kfapi.ParseItem(raw)})
		if len(ms) != 1 || len(dead) != 0 {
			t.Fatalf("%s: got %d messages and %d dead", c.name, len(ms), len(dead))
		}
		e := eventOf(ms[0])
		if ms[0].Subject != c.subject {
			t.Errorf("%s: got %s, want %s", c.name, ms[0].Subject, c.subject)
		}
		if e.ID() != c.id && (c.id != "sha256-" || !strings.HasPrefix(e.ID(), c.id)) {
			t.Errorf("%s: got id %s, want %s", c.name, e.ID(), c.id)
		}
		if got := e.Extensions()[events.ExtSeq]; got != "00000000000000000042" {
			t.Errorf("%s: got kfseq %v", c.name, got)
		}
		if got := e.Extensions()[events.ExtTraceParent]; got != testTrace {
			t.Errorf("%s: got traceparent %v", c.name, got)
		}
		wantData(t, c.name, ms[0], raw)
	}
}

func eventOf(m bus.Message) event.Event {
	if m.Item != nil {
		return m.Item.Event()
	}
	return m.Event
}

// wantData checks that an event can be written and read, and that its data is raw, byte for byte.
func wantData(t testing.TB, name string, m bus.Message, raw []byte) {
	t.Helper()
	body, header, err := bus.Encode(eventOf(m), bus.ModeStructured)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if wire := len(body); wire > wireBytes(m) {
		t.Errorf("%s: %d bytes, more than the %d that were thought", name, wire, wireBytes(m))
	}
	back, err := bus.Decode(header, body)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if !bytes.Equal(back.Data(), raw) {
		t.Errorf("%s: the data changed: got %q, want %q", name, back.Data(), raw)
	}
	if _, err := events.ParseSubject(m.Subject); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

func TestHistory(t *testing.T) {
	item := func(sent int64) kfapi.Item {
		return kfapi.ParseItem([]byte(fmt.Sprintf(`{"msgid":"m","send_time":%d,"external_userid":"wm1","msgtype":"text"}`, sent)))
	}
	cold := noon.Unix()
	c := events.Cursor{ColdStart: noon}
	for _, x := range []struct {
		name  string
		c     events.Cursor
		items []kfapi.Item
		want  string // m or h
	}{
		{"older and newer", c, []kfapi.Item{item(cold - 2), item(cold - 1), item(cold), item(cold + 1)}, "hhmm"},
		{"without send_time, after old ones", c, []kfapi.Item{item(cold - 1), item(0), item(cold), item(0)}, "hhmm"},
		{"without send_time, first of all", c, []kfapi.Item{item(0), item(cold - 1)}, "mh"},
		{"without send_time, after an old page", events.Cursor{ColdStart: noon, Newest: cold - 1}, []kfapi.Item{item(0)}, "h"},
		{"without a cold start", events.Cursor{}, []kfapi.Item{item(1)}, "m"},
	} {
		ms, kinds, _ := testOrigin.split(x.c, x.items)
		got := ""
		for i, k := range kinds {
			got += map[events.Kind]string{events.KindMessage: "m", events.KindHistory: "h"}[k]
			flag, _ := eventOf(ms[i]).Extensions()[events.ExtHistory].(string)
			if isHistory := k == events.KindHistory; isHistory != (flag == "true") || isHistory != strings.HasPrefix(ms[i].Subject, "kf.history.") {
				t.Errorf("%s, item %d: kind %s, flag %q and subject %s disagree", x.name, i, k, flag, ms[i].Subject)
			}
		}
		if got != x.want {
			t.Errorf("%s: got %s, want %s", x.name, got, x.want)
		}
	}
}

func TestTooLargeBecomesDeadLetter(t *testing.T) {
	o := testOrigin
	text := func(n int) kfapi.Item {
		return kfapi.ParseItem([]byte(`{"msgid":"m","external_userid":"wm1","msgtype":"text","text":"` + strings.Repeat("x", n) + `"}`))
	}
	broken := text(900 << 10)
	broken.Raw[len(broken.Raw)-3] = 0xff // not UTF-8 any more: base64 makes it larger than the limit
	broken = kfapi.ParseItem(broken.Raw)
	ms, kinds, dead := o.split(events.Cursor{}, []kfapi.Item{text(10), text(2 << 20), text(1000 << 10), broken, text(10)})
	if len(ms) != 3 || len(kinds) != 3 || len(dead) != 2 {
		t.Fatalf("got %d messages, %d kinds, %d dead letters; want 3, 3, 2", len(ms), len(kinds), len(dead))
	}
	for i, want := range []string{"1", "3", "5"} { // places are kept
		if got := strings.TrimLeft(eventOf(ms[i]).Extensions()[events.ExtSeq].(string), "0"); got != want {
			t.Errorf("message %d: got kfseq %s, want %s", i, got, want)
		}
	}
	for _, d := range dead {
		if d.Reason != reasonTooLarge || d.Subject == "" || len(d.Payload) == 0 {
			t.Errorf("got %s %s with %d bytes", d.Reason, d.Subject, len(d.Payload))
		}
	}
}

// TestHostileItems: whatever is in an element, it becomes one event whose data is its bytes.
func TestHostileItems(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	for range 5000 {
		raw := hostile(r)
		it := kfapi.ParseItem(raw)
		if !json.Valid(raw) && it.Err == nil {
			t.Fatalf("no JSON, and no error: %q", raw)
		}
		ms, _, dead := testOrigin.split(events.Cursor{ColdStart: noon}, []kfapi.Item{it})
		if len(ms) != 1 || len(dead) != 0 {
			t.Fatalf("%q: got %d messages, %d dead", raw, len(ms), len(dead))
		}
		wantData(t, fmt.Sprintf("%q", raw), ms[0], raw)
	}
}

// hostile returns an element of a page that is one value, but not what was promised.
func hostile(r *rand.Rand) []byte {
	value := func() string {
		odd := []string{`""`, `"a.b"`, `"*"`, `">"`, `" "`, `"\r\nX: y"`, `"\u0000"`, `"ÿ🙂"`, `"\ud800"`, `null`, `1`, `-7`, `1e99`, `[]`, `{}`, `true`,
			`[[[[]]]]`, `"-"`, `"=abcdefghijklmnopqrstuv"`, `"` + strings.Repeat("k", 300) + `"`, "\"\xff\xfe\"", `"\x"`, `01`, `nul`, `9223372036854775808`,
			`"%41"`, `"<&>"`, `"\u2028"`}
		return odd[r.IntN(len(odd))]
	}
	var b strings.Builder
	b.WriteString("{")
	for i, key := range []string{"msgid", "open_kfid", "external_userid", "send_time", "origin", "msgtype", "event", "x"} {
		if r.IntN(4) == 0 {
			continue
		}
		if b.Len() > 1 {
			b.WriteString(",")
		}
		v := value()
		switch {
		case r.IntN(3) == 0 && key == "msgtype":
			v = `"event"`
		case i == 6 && r.IntN(2) == 0:
			v = `{"event_type":` + value() + `,"open_kfid":` + value() + `,"external_userid":` + value() + `}`
		}
		b.WriteString(`"` + key + `":` + v)
	}
	b.WriteString("}")
	return []byte(b.String())
}

func TestEncodeErrorNamesNoContent(t *testing.T) {
	secret := "gift for my mother"
	_, _, err := bus.Encode(events.Inbound{Corp: "ww1", OpenKfID: "wk1", MsgID: "m", MsgType: "text", Raw: []byte(`{"a":"` + secret + `}`)}.Event(), bus.ModeStructured)
	if err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("got %v, want an error without the text: it is in a dead letter's detail", errors.Unwrap(err))
	}
}
