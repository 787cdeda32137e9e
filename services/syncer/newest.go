package syncer

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
)

// newest returns the newest item of an account: what the platform served, since events of our own may come days after what
// they are about. Of an account that has nothing else left it returns the newest of those, and [bus.ErrNotFound] of one that
// has nothing.
func (s *Syncer) newest(ctx context.Context, openKfID string) (newest bus.Stored, err error) {
	var own bus.Stored
	var hidden []string // where an event of our own stands after the last item
	for _, subject := range ofAccount(s.corp, openKfID) {
		m, err := s.bus.Last(ctx, events.StreamMessage, subject)
		switch {
		case errors.Is(err, bus.ErrNotFound):
		case err != nil:
			return newest, err
		case !isItem(m):
			hidden = append(hidden, subject)
			own = youngest(own, m)
		default:
			newest = youngest(newest, m)
		}
	}
	if len(hidden) > 0 {
		if err := s.bus.Scan(ctx, events.StreamMessage, hidden, newest.Time, own.Seq, func(m bus.Stored) error {
			if isItem(m) {
				newest = youngest(newest, m)
			}
			return nil
		}); err != nil {
			return newest, err
		}
	}
	switch {
	case newest.Seq > 0:
		return newest, nil
	case own.Seq > 0:
		return own, nil
	}
	return newest, bus.ErrNotFound
}

func youngest(a, b bus.Stored) bus.Stored {
	if b.Seq > a.Seq {
		return b
	}
	return a
}

func isItem(m bus.Stored) bool {
	e, err := m.Event()
	return err == nil && seqOf(e) > 0
}

// seqOf returns the kfseq of an event; 0 if it is no item of the platform's.
func seqOf(e event.Event) uint64 {
	text, _ := e.Extensions()[events.ExtSeq].(string)
	seq, _ := strconv.ParseUint(text, 10, 64) // 0 where it is no number
	return seq
}

// pulledBy is when an account was pulled last, as far as the newest that is stored of it tells.
func pulledBy(newest bus.Stored) time.Time {
	var lag events.SyncLag
	if at, err := newest.Published(); err == nil && at.Name == events.EventSyncLag && !isItem(newest) {
		if e, err := newest.Event(); err == nil && e.DataAs(&lag) == nil && !lag.PulledAt.IsZero() {
			return lag.PulledAt.UTC()
		}
	}
	return newest.Time.UTC()
}
