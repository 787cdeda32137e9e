package syncer

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
)

// An event of our own says nothing of when the account was last pulled: it may come days later.
func TestOwnEventsAreNoPull(t *testing.T) {
	message := events.Inbound{Corp: "ww1", OpenKfID: desk, ExternalUserID: "wm1", MsgID: "m1", MsgType: "text", Origin: 3, Seq: 1, Raw: json.RawMessage(`{}`)}
	entered := message
	entered.MsgType, entered.EventType, entered.Origin = "event", "enter_session", 4
	unheard := message
	unheard.MsgType, unheard.EventType, unheard.Origin = "event", "not_invented_yet", 4
	at := time.Now().UTC()
	window := events.Conversation{Corp: "ww1", OpenKfID: desk, ExternalUserID: "wm1", WindowEndsAt: &at, UpdatedAt: at}

	for _, tc := range []struct {
		name   string
		stored []any // events.Inbound, or the name of an event of our own
		want   int   // which of them is the newest item, from 1; 0: there is none
	}{
		{"nothing", nil, 0},
		{"a message", []any{message}, 1},
		{"a message, then the end of its window", []any{message, events.EventWindowClosed}, 1},
		{"an event, then more than one of ours", []any{message, entered, events.EventWindowClosing, events.EventWindowClosed}, 2},
		{"an event between ours", []any{events.EventWindowClosing, entered, events.EventWindowClosed}, 2},
		{"an event of ours, then a message", []any{events.EventWindowClosed, message}, 2},
		{"an event that no document names", []any{message, unheard}, 2},
		{"an event that no document names, behind one of ours", []any{message, unheard, events.EventWindowClosed}, 2},
		{"only one of ours", []any{events.EventWindowClosed}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			s := w.prepare()
			var seqs []uint64
			for _, x := range tc.stored {
				m := bus.Message{}
				switch x := x.(type) {
				case events.Inbound:
					m.Subject, m.Event = x.Subject(), x.Event()
				case string:
					e, err := window.Event(x, "")
					w.must(err)
					m.Subject, m.Event = events.EventSubject("ww1", desk, x, "wm1"), e
				}
				seq, _, err := w.bus.Publish(w.ctx(), m)
				w.must(err)
				seqs = append(seqs, seq)
			}
			item, err := s.newest(w.ctx(), desk)
			if tc.want == 0 {
				if !errors.Is(err, bus.ErrNotFound) {
					t.Errorf("got %d, %v; want nothing", item.Seq, err)
				}
				return
			}
			w.must(err)
			if item.Seq != seqs[tc.want-1] {
				t.Errorf("got item %d, want %d", item.Seq, seqs[tc.want-1])
			}
		})
	}
}
