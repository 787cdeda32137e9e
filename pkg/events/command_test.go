package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
)

var storedAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func sendTo(user string) Subject {
	return Subject{Kind: KindCommand, Team: "orders", Corp: "ww1", Account: "wk1", Name: VerbSend, User: Token(user)}
}

func TestBareCommand(t *testing.T) {
	body := `{"command_id":"c1","touser":"somebody else","open_kfid":"another","msgid":"mine","msgtype":"text",
		"text":{"content":"a&b <c>"},"causationid":"m7","generation":3,"in_human_session":"hold","expirytime":"2026-01-02T04:00:00+00:00"}`
	c, err := CommandFromJSON(sendTo("wm1"), "", []byte(body), storedAt)
	if err != nil {
		t.Fatal(err)
	}
	if c.ID != "c1" || c.OpenKfID != "wk1" || c.ExternalUserID != "wm1" || c.CausationID != "m7" || *c.Generation != 3 || c.InHumanSession != HumanHold {
		t.Errorf("got %+v", c)
	}
	if want := time.Date(2026, 1, 2, 4, 0, 0, 0, time.UTC); !c.ExpiresAt.Equal(want) {
		t.Errorf("expires %v, want %v", c.ExpiresAt, want)
	}
	if want := `{"msgtype":"text","text":{"content":"a&b <c>"}}`; string(c.Body) != want {
		t.Errorf("body %s, want %s", c.Body, want)
	}
}

func TestCommandEventGoesBeforeBody(t *testing.T) {
	e := event.New()
	e.SetID("c1")
	e.SetSource("/orders")
	e.SetType("any")
	e.SetExtension(ExtExpiryTime, "2026-01-02T03:05:00Z")
	e.SetExtension(ExtGeneration, "4")
	e.SetExtension(ExtInHumanSession, "refuse")
	SetData(&e, []byte(`{"msgtype":"text","text":{"content":"x"},"expirytime":"2026-01-02T05:00:00Z","generation":1,"in_human_session":"hold"}`))
	c, err := CommandFromEvent(sendTo("wm1"), e, storedAt)
	if err != nil {
		t.Fatal(err)
	}
	if c.ID != "c1" || *c.Generation != 4 || c.InHumanSession != HumanRefuse || !c.ExpiresAt.Equal(storedAt.Add(55*time.Second)) {
		t.Errorf("got %+v", c)
	}
}

func TestCommandDefaults(t *testing.T) {
	c, err := CommandFromJSON(sendTo("wm1"), "from-header", []byte(`{"msgtype":"text"}`), storedAt)
	if err != nil {
		t.Fatal(err)
	}
	if c.ID != "from-header" || c.InHumanSession != HumanRefuse || c.Generation != nil || !c.ExpiresAt.Equal(storedAt.Add(10*time.Minute)) {
		t.Errorf("got %+v", c)
	}
}

func TestHashedIDNeedsItsTrueOne(t *testing.T) {
	const user = "wm.with.dots"
	if _, err := CommandFromJSON(sendTo(user), "c1", []byte(`{"msgtype":"text"}`), storedAt); err == nil {
		t.Error("accepted without the true id")
	}
	if _, err := CommandFromJSON(sendTo(user), "c1", []byte(`{"touser":"wm.other"}`), storedAt); err == nil {
		t.Error("accepted with another id")
	}
	c, err := CommandFromJSON(sendTo(user), "c1", []byte(`{"touser":"wm.with.dots"}`), storedAt)
	if err != nil || c.ExternalUserID != user {
		t.Errorf("got %q, %v", c.ExternalUserID, err)
	}
}

func TestInvalidCommands(t *testing.T) {
	recall := sendTo("wm1")
	recall.Name = VerbRecall
	for _, c := range []struct {
		name, id, body, field string
		subject               Subject
	}{
		{"not JSON", "c1", `hello`, "body", sendTo("wm1")},
		{"an array", "c1", `[]`, "body", sendTo("wm1")},
		{"cut off", "c1", `{"msgtype":"text"`, "body", sendTo("wm1")},
		{"trailing data", "c1", `{} {}`, "body", sendTo("wm1")},
		{"a field twice", "c1", `{"msgtype":"text","msgtype":"image"}`, "body", sendTo("wm1")},
		{"not UTF-8", "c1", "{\"a\":\"\xff\"}", "body", sendTo("wm1")},
		{"too long", "c1", `{"a":"` + strings.Repeat("x", MaxCommandBytes) + `"}`, "body", sendTo("wm1")},
		{"no id", "", `{}`, "command_id", sendTo("wm1")},
		{"long id", strings.Repeat("x", 129), `{}`, "command_id", sendTo("wm1")},
		{"id with a line feed", "a\nb", `{}`, "command_id", sendTo("wm1")},
		{"two ids", "c1", `{"command_id":"c2"}`, "command_id", sendTo("wm1")},
		{"id that is an object", "", `{"command_id":{}}`, "command_id", sendTo("wm1")},
		{"no customer", "c1", `{}`, "external_userid", sendTo("")},
		{"a time that is none", "c1", `{"expirytime":"tomorrow"}`, "expirytime", sendTo("wm1")},
		{"a time too far", "c1", `{"expirytime":"2026-01-04T03:05:06Z"}`, "expirytime", sendTo("wm1")},
		{"generation that is none", "c1", `{"generation":-1}`, "generation", sendTo("wm1")},
		{"in_human_session that is none", "c1", `{"in_human_session":"fight"}`, "in_human_session", sendTo("wm1")},
		{"a recall of nothing", "c1", `{}`, "target_command_id", recall},
	} {
		got, err := CommandFromJSON(c.subject, c.id, []byte(c.body), storedAt)
		var inv *InvalidCommand
		if !errors.As(err, &inv) || inv.Field != c.field {
			t.Errorf("%s: got %v, want a wrong %s", c.name, err, c.field)
		}
		if got.Subject != c.subject {
			t.Errorf("%s: the refusal could not be addressed", c.name)
		}
	}
}

func TestLooseCommandSubject(t *testing.T) {
	for _, c := range []struct{ name, subject, want string }{
		{"a good one is itself", "kf.lane.command.3.orders.ww1.wk1.send.wm1", "kf.command.orders.ww1.wk1.send.wm1"},
		{"a strange customer is hashed", "kf.lane.command.3.orders.ww1.wk1.send.中文", CommandSubject("orders", "ww1", "wk1", "send", "中文")},
		{"a broken hash too", "kf.command.orders.ww1.wk1.send.=abc", CommandSubject("orders", "ww1", "wk1", "send", "=abc")},
	} {
		s, err := LooseCommandSubject(c.subject)
		if err != nil || s.String() != c.want {
			t.Errorf("%s: got %s, %v; want %s", c.name, s, err, c.want)
		}
	}
	for _, s := range []string{"", "kf.command.a.b", "kf.message.ww1.wk1.text.wm1", "kf.command.a.b.c.d.e.f"} {
		if got, err := LooseCommandSubject(s); err == nil {
			t.Errorf("%q gave %s", s, got)
		}
	}
}

func TestFurthestExpiryIsTaken(t *testing.T) {
	body := fmt.Sprintf(`{"expirytime":%q}`, storedAt.Add(MaxExpiry).Format(time.RFC3339))
	if _, err := CommandFromJSON(sendTo("wm1"), "c1", []byte(body), storedAt); err != nil {
		t.Error(err)
	}
}

func FuzzCommand(f *testing.F) {
	f.Add("c1", `{"msgtype":"text","text":{"content":"x"}}`)
	f.Add("", `{"command_id":"c1","touser":"a"}`)
	f.Add("x", `{"a":1,"a":2}`)
	f.Fuzz(func(t *testing.T, id, body string) {
		c, err := CommandFromJSON(sendTo("wm1"), id, []byte(body), storedAt)
		if err != nil {
			return
		}
		if !json.Valid(c.Body) {
			t.Fatalf("body %q", c.Body)
		}
		if c.ID == "" || c.ExternalUserID != "wm1" || c.ExpiresAt.After(storedAt.Add(MaxExpiry+expirySlack)) {
			t.Fatalf("%+v", c)
		}
	})
}

func TestCommandDryRun(t *testing.T) {
	for body, want := range map[string]string{
		`{}`: "false", `{"dry_run":true}`: "true", `{"dry_run":"true"}`: "true", `{"dry_run":false}`: "false",
		`{"dry_run":1}`: "dry_run", `{"dry_run":null}`: "dry_run", `{"dry_run":{"a":1}}`: "dry_run", `{"dry_run":"TRUE"}`: "dry_run",
	} {
		c, err := CommandFromJSON(sendTo("wm1"), "c", []byte(body), storedAt)
		got := strconv.FormatBool(c.DryRun)
		var inv *InvalidCommand
		if errors.As(err, &inv) {
			got = inv.Field
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", body, got, want)
		}
	}
	e := event.New()
	e.SetID("c1")
	e.SetExtension(ExtDryRun, true)
	SetData(&e, []byte(`{"msgtype":"text","text":{"content":"x"}}`))
	if c, err := CommandFromEvent(sendTo("wm1"), e, storedAt); err != nil || !c.DryRun {
		t.Errorf("as an extension: got %v, %v", c.DryRun, err)
	}
}

// A file does not count among the bytes of a send, and of nothing else.
func TestCommandBytes(t *testing.T) {
	long := strings.Repeat("A", MaxCommandBytes)
	for body, ok := range map[string]bool{
		`{"msgtype":"image","image":{"data":"` + long + `"}}`:                        true,
		`{"msgtype":"link","link":{"thumb":{"data":"` + long + `"}}}`:                true,
		`{"msgtype":"image","image":{"data":"` + strings.Repeat(long, 20) + `"}}`:    true,
		`{"msgtype":"image","image":{"data":"` + strings.Repeat(long, 23) + `"}}`:    false,
		`{"msgtype":"image","image":{"data":"A","filename":"` + long + `"}}`:         false,
		`{"msgtype":"text","text":{"data":"` + long + `"}}`:                          false,
		`{"msgtype":"text","text":{"content":"x"},"image":{"data":"` + long + `"}}`:  false,
		`{"msgtype":"text","text":{"content":"` + long[:MaxCommandBytes-100] + `"}}`: true,
	} {
		if _, err := CommandFromJSON(sendTo("wm1"), "c", []byte(body), storedAt); (err == nil) != ok {
			t.Errorf("%.60s… of %d bytes: got %v", body, len(body), err)
		}
	}
	recall := sendTo("wm1")
	recall.Name = VerbReply
	if _, err := CommandFromJSON(recall, "c", []byte(`{"msgtype":"image","image":{"data":"`+long+`"}}`), storedAt); err == nil {
		t.Error("a reply of that length is taken")
	}
}

func TestCommandSplit(t *testing.T) {
	for body, want := range map[string]bool{`{}`: false, `{"split":true}`: true, `{"split":"true"}`: true, `{"split":false}`: false} {
		if c, err := CommandFromJSON(sendTo("wm1"), "c", []byte(body), storedAt); err != nil || c.Split != want || strings.Contains(string(c.Body), "split") {
			t.Errorf("%s: got %v, %v, body %s", body, c.Split, err, c.Body)
		}
	}
	if _, err := CommandFromJSON(sendTo("wm1"), "c", []byte(`{"split":"yes"}`), storedAt); err == nil {
		t.Error("yes is taken for true")
	}
}
