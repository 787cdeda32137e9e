package media

import (
	"context"
	"errors"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/media"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/pkg/events"
)

// sure is how long after a message was stored the broker certainly knows the id of its event, if there is one.
const sure = bus.DuplicateWindow * 9 / 10

// told reports whether a message has its event already, where the broker may have forgotten its id: of old messages, and
// of those that were stored a second time when an account was read back.
func (f *Fetcher) told(ctx context.Context, t task) (bool, error) {
	if f.Now().Sub(t.stored.Time) < sure && !t.flagged(events.ExtReplay) {
		return false, nil
	}
	for _, name := range []string{events.EventMediaStored, events.EventMediaFailed} {
		there, err := f.find(ctx, t, events.MediaSubject(t.subject, name))
		if there || err != nil {
			return there, err
		}
	}
	return false, nil
}

// find looks for the event among those of the conversation since the message was sent.
func (f *Fetcher) find(ctx context.Context, t task, subject string) (bool, error) {
	id := events.MediaEventID(t.event.ID())
	s, err := f.Bus.NextSince(ctx, events.StreamMessage, t.sent.Add(-life/24), subject) // clocks differ
	for err == nil {
		if e, bad := s.Event(); bad == nil && e.ID() == id {
			return true, nil
		}
		s, err = f.Bus.Next(ctx, events.StreamMessage, s.Seq+1, subject)
	}
	if errors.Is(err, bus.ErrNotFound) {
		return false, nil
	}
	return false, err
}

// stored says where the file is.
func (f *Fetcher) stored(ctx context.Context, t task, o bus.Object) error {
	e, err := events.MediaStored{Media: t.head(), Bucket: o.Bucket, Object: o.Name, Size: o.Size, SHA256: o.SHA256, At: o.Stored.UTC(),
		ContentType: o.Header.Get(media.HeaderType), Filename: o.Header.Get(media.HeaderFilename)}.Event(t.event, f.trace(t))
	if err != nil {
		return err
	}
	return f.tell(ctx, t, events.EventMediaStored, resultStored, e)
}

// failed says that the file cannot be had any more.
func (f *Fetcher) failed(ctx context.Context, t task, reason string, size int64) error {
	e, err := events.MediaFailed{Media: t.head(), Reason: reason, ErrCode: t.past.ErrCode, Size: size, At: f.Now().UTC()}.Event(t.event, f.trace(t))
	if err != nil {
		return err
	}
	return f.tell(ctx, t, events.EventMediaFailed, reason, e)
}

// trace goes on with the message's; of none, Child makes a new one.
func (f *Fetcher) trace(t task) string {
	text, _ := t.event.Extensions()[events.ExtTraceParent].(string)
	trace, _ := service.ParseTrace(text)
	return trace.Child().String()
}

// tell publishes the one event of a message. Whoever comes second is told by the broker that it is there.
func (f *Fetcher) tell(ctx context.Context, t task, name, result string, e event.Event) error {
	_, repeat, err := f.publish(ctx, bus.Message{Subject: events.MediaSubject(t.subject, name), Event: e, MsgID: e.Source() + "/" + e.ID()})
	if err != nil {
		return err
	}
	if !repeat {
		f.metrics.tries.WithLabelValues(t.msgType(), result).Inc()
		zerolog.Ctx(ctx).Debug().Str("result", result).Msg("the file of a message")
	}
	return nil
}
