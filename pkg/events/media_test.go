package events

import (
	"encoding/json"
	"testing"
	"time"
)

func TestMediaEvents(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		name    string
		of      Inbound
		subject string
	}{
		{"of a message", Inbound{Corp: "ww1", OpenKfID: "wk1", ExternalUserID: "wm1", MsgID: "m1", MsgType: "image", Origin: 3}, "kf.event.ww1.wk1.media_stored.wm1"},
		{"of history", Inbound{Corp: "ww1", OpenKfID: "wk1", ExternalUserID: "wm1", MsgID: "m1", MsgType: "image", Origin: 3, History: true}, "kf.history.ww1.wk1.media_stored.wm1"},
		{"of hostile ids", Inbound{Corp: "ww1", OpenKfID: "wk1", ExternalUserID: "w m", MsgID: "m\x001", MsgType: "image", Replay: true}, EventSubject("ww1", "wk1", EventMediaStored, "w m")},
	} {
		c.of.Raw = []byte(`{}`)
		message := c.of.Event()
		subject, err := ParseSubject(c.of.Subject())
		if err != nil {
			t.Fatal(err)
		}
		if got := MediaSubject(subject, EventMediaStored); got != c.subject {
			t.Errorf("%s: subject %s, want %s", c.name, got, c.subject)
		}
		head := Media{MsgID: message.ID(), MsgType: "image", MediaID: "MEDIA", OpenKfID: "wk1", ExternalUserID: c.of.ExternalUserID}
		stored, err := MediaStored{Media: head, Bucket: BucketMedia, Object: MediaObject("ww1", "MEDIA"), Size: 7, At: at}.Event(message, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		if err == nil {
			err = stored.Validate()
		}
		failed, err2 := MediaFailed{Media: head, Reason: MediaExpired, ErrCode: 40007, At: at}.Event(message, "")
		if err2 == nil {
			err2 = failed.Validate()
		}
		if err != nil || err2 != nil {
			t.Errorf("%s: %v, %v", c.name, err, err2)
		}
		if stored.ID() != failed.ID() || stored.ID() == message.ID() || stored.Source() != message.Source() {
			t.Errorf("%s: %s and %s of %s: want one id for whatever became of the file, beside the message's", c.name, stored.ID(), failed.ID(), message.ID())
		}
		if stored.Type() != "io.github.kfbus.event.media_stored.v1" || failed.Type() != "io.github.kfbus.event.media_failed.v1" {
			t.Errorf("%s: types %s, %s", c.name, stored.Type(), failed.Type())
		}
		x := stored.Extensions()
		if x[ExtDataRef] != BucketMedia+"/"+MediaObject("ww1", "MEDIA") || x[ExtCausationID] != message.ID() || x[ExtOpenKfID] != "wk1" || x[ExtOrigin] != message.Extensions()[ExtOrigin] {
			t.Errorf("%s: extensions %v", c.name, x)
		}
		if (x[ExtHistory] == "true") != c.of.History || (x[ExtReplay] == "true") != c.of.Replay {
			t.Errorf("%s: flags %v, want the message's", c.name, x)
		}
		if _, ok := failed.Extensions()[ExtDataRef]; ok {
			t.Errorf("%s: a file that is not there has a dataref", c.name)
		}
		var data map[string]any
		if err := json.Unmarshal(stored.Data(), &data); err != nil || data["msgid"] != message.ID() || data["object"] != MediaObject("ww1", "MEDIA") || data["size"] != 7.0 {
			t.Errorf("%s: data %s, %v", c.name, stored.Data(), err)
		}
	}
}
