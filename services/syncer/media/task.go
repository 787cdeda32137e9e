package media

import (
	"errors"
	"fmt"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

// Words of dead letters.
const (
	reasonMalformed = "malformed"
	reasonForeign   = "foreign" // of a corp that is not ours
)

// task is one message whose file is to be fetched.
type task struct {
	stored  bus.Stored
	subject events.Subject
	event   event.Event
	item    kfapi.Item
	file    kfapi.ReceivedMedia
	object  string    // what the file is called in the store
	sent    time.Time // by the platform's clock; if it does not say, when it was stored

	past past
}

// past is what is known of earlier tries.
type past struct {
	Tries   int `json:"tries"`
	ErrCode int `json:"errcode,omitempty"` // the platform's last
}

// msgType is one of events.MediaTypes: of these are the subjects that are consumed.
func (t task) msgType() string { return t.subject.Name }

// read makes a task of a stored message; its error is final.
func (f *Fetcher) read(s bus.Stored) (t task, err error) {
	t.stored = s
	if t.subject, err = s.Published(); err != nil {
		return t, bus.Drop(reasonMalformed, err)
	}
	if t.subject.Corp != events.Token(f.Corp) {
		return t, bus.Drop(reasonForeign, errors.New("message of another corp: start a syncer with its credentials"))
	}
	if t.event, err = s.Event(); err != nil {
		return t, bus.Drop(reasonMalformed, fmt.Errorf("message: %w", err))
	}
	t.item = kfapi.ParseItem(t.event.Data())
	if t.item.Body(&t.file) != nil {
		t.file = kfapi.ReceivedMedia{}
	}
	t.object = events.MediaObject(f.Corp, t.file.MediaID)
	if t.sent = t.event.Time(); t.sent.IsZero() {
		t.sent = s.Time
	}
	return t, nil
}

// flagged reports whether an extension of the message is "true".
func (t task) flagged(ext string) bool { return t.event.Extensions()[ext] == "true" }

// head names the message in its event.
func (t task) head() events.Media {
	return events.Media{MsgID: t.event.ID(), MsgType: t.msgType(), MediaID: t.file.MediaID, OpenKfID: t.item.OpenKfID, ExternalUserID: t.item.ExternalUserID}
}
