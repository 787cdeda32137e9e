package events

import (
	"errors"
	"strconv"

	"github.com/cloudevents/sdk-go/v2/event"
)

// Events of our own about the window of a conversation: 48 hours and five messages after the customer's last one. Each comes
// at most once a window, and their data is a [Conversation] as it was then. They are no items of the platform's: they have
// no kfseq and no kforigin.
const (
	EventWindowClosing = "window_closing" // half an hour is left, and something may still be sent
	EventLastSlot      = "last_slot"      // four of the five messages are spent
	EventWindowClosed  = "window_closed"  // the 48 hours are over
)

// WindowEvents returns all of them, in the order of the documentation.
func WindowEvents() []string { return []string{EventWindowClosing, EventLastSlot, EventWindowClosed} }

// Event makes the CloudEvent called name (see [EventWindowClosing]) of the window that c tells of; it is an error if c has
// none. Of one window the id is the same whoever makes it, and whenever: with the source it identifies the event for ever.
func (c Conversation) Event(name, traceParent string) (event.Event, error) {
	if c.WindowEndsAt == nil {
		return event.Event{}, errors.New(name + ": the customer has never written")
	}
	id := Token(c.ExternalUserID) + ":" + strconv.FormatInt(c.WindowEndsAt.Unix(), 10)
	e, err := ownOf(c.Corp, c.OpenKfID, name, id, c)
	if err != nil {
		return e, err
	}
	e.SetTime(c.UpdatedAt.UTC())
	if printable(c.ExternalUserID) {
		e.SetSubject(c.ExternalUserID)
	}
	setText(&e, ExtExternalUserID, c.ExternalUserID)
	setText(&e, ExtTraceParent, traceParent)
	return e, nil
}
