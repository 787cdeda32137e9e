package events

import (
	"encoding/json"
	"testing"
	"time"
)

func TestWindowEvent(t *testing.T) {
	ends := time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC)
	at := ends.Add(-time.Minute)
	c := Conversation{Corp: "ww1", OpenKfID: "wk1", ExternalUserID: "wm1", WindowEndsAt: &ends, SendsLeft: 2, Revision: 7, UpdatedAt: at,
		LastMessage: &LastMessage{MsgID: "m1", At: ends.Add(-48 * time.Hour), MsgType: "text"}}
	ids := map[string]bool{}
	for _, name := range WindowEvents() {
		e, err := c.Event(name, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var got Conversation
		if err := json.Unmarshal(e.Data(), &got); err != nil || got.Revision != 7 || got.LastMessage.MsgID != "m1" {
			t.Errorf("%s: data is %s, %v", name, e.Data(), err)
		}
		if e.ID() != name+":wm1:1772614800" || e.Source() != "/wecom/ww1/kf/wk1" || e.Subject() != "wm1" || !e.Time().Equal(at) ||
			e.Type() != "io.github.kfbus.event."+name+".v1" || e.Extensions()[ExtExternalUserID] != "wm1" || e.Extensions()[ExtTraceParent] == nil {
			t.Errorf("%s: got %v", name, e)
		}
		for _, none := range []string{ExtOrigin, ExtSeq, ExtHistory, ExtReplay} {
			if e.Extensions()[none] != nil {
				t.Errorf("%s has %s, like an item of the platform's", name, none)
			}
		}
		ids[e.ID()] = true
	}
	later := c
	later.UpdatedAt, later.SendsLeft, later.Revision = at.Add(time.Hour), 0, 9
	if e, err := later.Event(EventWindowClosed, ""); err != nil || !ids[e.ID()] {
		t.Errorf("the same window at another time: got id %q, %v", e.ID(), err)
	}
	again := ends.Add(time.Second)
	later.WindowEndsAt = &again
	if e, err := later.Event(EventWindowClosed, ""); err != nil || ids[e.ID()] {
		t.Errorf("another window: got id %q, %v", e.ID(), err)
	}
	odd := c
	odd.ExternalUserID = "wm 中文"
	if e, err := odd.Event(EventLastSlot, ""); err != nil || e.Validate() != nil || e.Subject() != "" {
		t.Errorf("an id that is no token: got %v, %v", e, err)
	}
	if _, err := (Conversation{Corp: "ww1", OpenKfID: "wk1", ExternalUserID: "wm1"}).Event(EventWindowClosed, ""); err == nil {
		t.Error("a customer who never wrote has no window")
	}
}
