package events

import (
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
)

// Events of our own about the file of a message: of the messages whose types are fetched, each gets one of them, and once.
const (
	EventMediaStored = "media_stored" // the file is in [BucketMedia]; data is a [MediaStored]
	EventMediaFailed = "media_failed" // it cannot be had any more; data is a [MediaFailed]
)

// MediaTypes returns the msgtypes that are a file.
func MediaTypes() []string { return []string{"image", "voice", "video", "file"} }

// Reasons of [MediaFailed].
const (
	MediaExpired    = "expired"    // the platform has it no more, or gave it to nobody for three days
	MediaTooLarge   = "too_large"  // larger than the operator lets in
	MediaUnreadable = "unreadable" // the message names no file
)

// MediaReasons returns every reason, in the order of the documentation.
func MediaReasons() []string { return []string{MediaExpired, MediaTooLarge, MediaUnreadable} }

// Media names a message and its file.
type Media struct {
	MsgID          string `json:"msgid"`   // the message's event id: the platform's msgid where it has one
	MsgType        string `json:"msgtype"` // one of [MediaTypes]
	MediaID        string `json:"media_id,omitempty"`
	OpenKfID       string `json:"open_kfid"`
	ExternalUserID string `json:"external_userid,omitempty"`
}

// MediaStored is the data of a media_stored event.
type MediaStored struct {
	Media
	Bucket      string    `json:"bucket"`
	Object      string    `json:"object"`       // its name in the bucket
	Size        uint64    `json:"size"`         // bytes
	ContentType string    `json:"content_type"` // as the bytes say; application/octet-stream where they say nothing
	SHA256      string    `json:"sha256"`       // hex
	Filename    string    `json:"filename"`     // as its sender calls it, cleaned; may be empty
	At          time.Time `json:"at"`           // when it was stored
}

// MediaFailed is the data of a media_failed event.
type MediaFailed struct {
	Media
	Reason  string    `json:"reason"`            // one of [MediaReasons]
	ErrCode int       `json:"errcode,omitempty"` // the platform's last
	Size    int64     `json:"size,omitempty"`    // bytes, of too_large, if it is known
	At      time.Time `json:"at"`
}

// MediaEventID is the id of the event that says what became of a message's file, whichever of the two it is. With the
// message's source it identifies the event for ever.
func MediaEventID(messageID string) string { return "media:" + messageID }

// MediaSubject is where the event called name (see [EventMediaStored]) about a message's file is published: beside the
// message, so that what belongs to history stays there. It takes the tokens of the message's subject, since a hashed one
// cannot be turned back.
func MediaSubject(message Subject, name string) string {
	if message.Name = name; message.Kind != KindHistory {
		message.Kind = KindEvent
	}
	return message.String()
}

// Event makes the CloudEvent that follows the message of.
func (m MediaStored) Event(of event.Event, traceParent string) (event.Event, error) {
	e, err := mediaEvent(of, EventMediaStored, m, m.At, traceParent)
	setText(&e, ExtDataRef, m.Bucket+"/"+m.Object)
	return e, err
}

// Event makes the CloudEvent that follows the message of.
func (m MediaFailed) Event(of event.Event, traceParent string) (event.Event, error) {
	return mediaEvent(of, EventMediaFailed, m, m.At, traceParent)
}

func mediaEvent(of event.Event, name string, data any, at time.Time, traceParent string) (event.Event, error) {
	e, err := Own(MediaEventID(of.ID()), of.Source(), TypeOf(KindEvent, name), data)
	if err != nil {
		return e, err
	}
	e.SetTime(at.UTC())
	e.SetDataSchema(SchemaOf(KindEvent, name))
	if of.Subject() != "" {
		e.SetSubject(of.Subject())
	}
	for _, ext := range []string{ExtOpenKfID, ExtExternalUserID, ExtOrigin, ExtHistory, ExtReplay} {
		if v, ok := of.Extensions()[ext].(string); ok {
			e.SetExtension(ext, v)
		}
	}
	setText(&e, ExtCausationID, of.ID())
	setText(&e, ExtTraceParent, traceParent)
	return e, nil
}
