package events

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestInboundEvent(t *testing.T) {
	raw := `{"msgid":"m1",  "text":{"content":"你好 <b>&</b> \u4f60"},"n":12345678901234567890}`
	for _, c := range []struct {
		name    string
		in      Inbound
		subject string
		want    map[string]string
	}{
		{"a message", Inbound{Corp: "ww1", OpenKfID: "wk1", ExternalUserID: "wm1", MsgID: "m1", MsgType: "text", SendTime: 1700000000, Origin: 3, Seq: 7},
			"kf.message.ww1.wk1.text.wm1",
			map[string]string{"id": "m1", "type": "io.github.kfbus.message.text.v1", "subject": "wm1", "source": "/wecom/ww1/kf/wk1",
				"kfseq": "00000000000000000007", "kforigin": "3", "time": "2023-11-14T22:13:20Z"}},
		{"an event", Inbound{Corp: "ww1", OpenKfID: "wk1", ExternalUserID: "wm1", MsgID: "e1", MsgType: "event", EventType: "enter_session", Origin: 4},
			"kf.event.ww1.wk1.enter_session.wm1", map[string]string{"type": "io.github.kfbus.event.enter_session.v1"}},
		{"an event of an account", Inbound{Corp: "ww1", OpenKfID: "wk1", MsgID: "e1", MsgType: "event", EventType: "servicer_status_change"},
			"kf.event.ww1.wk1.servicer_status_change.-", map[string]string{"subject": ""}},
		{"history", Inbound{Corp: "ww1", OpenKfID: "wk1", ExternalUserID: "wm1", MsgID: "m1", MsgType: "text", History: true},
			"kf.history.ww1.wk1.text.wm1", map[string]string{"kfhistory": "true", "type": "io.github.kfbus.message.text.v1"}},
		{"an unknown msgtype keeps its name", Inbound{Corp: "ww1", OpenKfID: "wk1", ExternalUserID: "wm1", MsgID: "m1", MsgType: "hologram"},
			"kf.message.ww1.wk1.hologram.wm1", map[string]string{"type": "io.github.kfbus.message.hologram.v1"}},
		{"no msgtype", Inbound{Corp: "ww1", OpenKfID: "wk1", ExternalUserID: "wm1", MsgID: "m1"},
			"kf.message.ww1.wk1.unknown.wm1", map[string]string{"type": "io.github.kfbus.message.unknown.v1"}},
		{"no msgid", Inbound{Corp: "ww1", OpenKfID: "wk1", ExternalUserID: "wm1", MsgType: "text"},
			"kf.message.ww1.wk1.text.wm1", map[string]string{"id": "sha256-6ATm6KpSb4Fi_Nv4QDsmEdOegkVWbqlZetpndLur270"}},
		{"hostile ids", Inbound{Corp: "ww1", OpenKfID: "w.k", ExternalUserID: "w m\r\n", MsgID: "m\x001", MsgType: "te>xt"},
			MessageSubject("ww1", "w.k", "te>xt", "w m\r\n"), map[string]string{"subject": "", "openkfid": "w.k"}},
		{"a time that RFC 3339 cannot say", Inbound{Corp: "ww1", OpenKfID: "wk1", MsgID: "m", MsgType: "text", SendTime: 1 << 60},
			"kf.message.ww1.wk1.text.-", map[string]string{"time": ""}},
	} {
		c.in.Raw = json.RawMessage(raw)
		e := c.in.Event()
		if err := e.Validate(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := c.in.Subject(); got != c.subject {
			t.Errorf("%s: subject %s, want %s", c.name, got, c.subject)
		}
		got := map[string]string{"id": e.ID(), "type": e.Type(), "subject": e.Subject(), "source": e.Source()}
		if !e.Time().IsZero() {
			got["time"] = e.Time().Format(time.RFC3339)
		}
		for k, v := range e.Extensions() {
			got[k], _ = v.(string)
		}
		for k, want := range c.want {
			if got[k] != want {
				t.Errorf("%s: %s is %q, want %q", c.name, k, got[k], want)
			}
		}
		if string(e.Data()) != raw {
			t.Errorf("%s: the data changed: %s", c.name, e.Data())
		}
		for k, v := range got {
			if v != "" && !printable(v) {
				t.Errorf("%s: attribute %s is %q, which decoders read differently", c.name, k, v)
			}
		}
	}
}

func TestInboundInvalidUTF8TravelsAsBase64(t *testing.T) {
	in := Inbound{Corp: "ww1", OpenKfID: "wk1", MsgID: "m", MsgType: "text", Raw: []byte("{\"a\":\"\xff\"}")}
	if e := in.Event(); !e.DataBase64 || string(e.Data()) != string(in.Raw) {
		t.Errorf("base64 %v, data %q", e.DataBase64, e.Data())
	}
}

func TestSeqStringSortsLikeNumbers(t *testing.T) {
	if a, b := SeqString(9), SeqString(10); a >= b {
		t.Errorf("%s does not come before %s", a, b)
	}
}

func TestOutcomeEvent(t *testing.T) {
	left := 4
	o := Outcome{CommandID: "c1", Team: "orders", Verb: VerbSend, State: StateAccepted, OpenKfID: "wk1", ExternalUserID: "wm1",
		At: time.Unix(1700000000, 0), SendsLeft: &left}
	e, err := o.Event("ww1", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Validate(); err != nil {
		t.Fatal(err)
	}
	var back Outcome
	if err := e.DataAs(&back); err != nil || back.CommandID != "c1" || *back.SendsLeft != 4 {
		t.Errorf("got %+v, %v", back, err)
	}
	if e.Type() != "io.github.kfbus.outcome.accepted.v1" || e.Extensions()[ExtCausationID] != "c1" {
		t.Errorf("got %s", e)
	}
	ids := map[string]string{}
	for _, x := range [][5]string{{"", "t", "c", "accepted", ""}, {"", "t", "c", "failed", ""}, {"", "t", "c", "failed", "accepted"},
		{"", "tc", "", "accepted", ""}, {"", "", "tc", "accepted", ""}, {"a.b.c", "t", "c", "accepted", ""}} {
		id := OutcomeID(x[0], x[1], x[2], x[3], x[4])
		if was, ok := ids[id]; ok {
			t.Errorf("%v and %s share an id", x, was)
		}
		ids[id] = strings.Join(x[:], "|")
	}
}
