package sender

import (
	"context"
	"encoding/json"
	"errors"
	"sync"

	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/services/sender/window"
)

// view is what the teams are told of a conversation, but for its names.
type view struct {
	window.Conversation
	servicer string
}

func (s *Sender) view(l window.Ledger) view {
	v := view{Conversation: s.rules.View(l, s.clock(l, true))}
	if v.Servicer {
		v.servicer = l.Servicer
	}
	return v
}

// preview tells the teams what a reservation leaves while its request is on the way: as a rule the answer changes nothing
// of it. It need not look at what was told before. If the answer can be written down, nobody has changed the ledger since
// the reservation, and whoever told something later has seen it; if not, settle makes sure that all is told anew.
func (s *Sender) preview(ctx context.Context, j *job, l window.Ledger) (wait func()) {
	v := s.view(l)
	return beside(func() {
		value, err := json.Marshal(s.conversation(j.party(), v))
		if err == nil {
			err = s.bus.Put(ctx, events.BucketConversations, j.conversation(), value, 0)
		}
		if err == nil {
			j.told = &v
		}
	})
}

// show tells the teams what l means for them, unless the job has told them so, beside whatever else is done; wait returns
// when they are told. It is a view and never the truth: an error is logged, and the next change tells again.
func (s *Sender) show(ctx context.Context, j *job, l window.Ledger) (wait func()) {
	if j.told != nil && *j.told == s.view(l) {
		return func() {}
	}
	return beside(func() {
		if err := s.tell(ctx, j.party()); err != nil {
			zerolog.Ctx(ctx).Warn().Err(err).Msg("the conversation's view is not written; its next change will be")
		}
	})
}

func beside(do func()) (wait func()) {
	var wg sync.WaitGroup
	wg.Go(do)
	return wg.Wait
}

// tell makes the view from the ledger as it is now. It is written only over the view that was there before the ledger was
// read, so that of two who tell at the same time the one with the older ledger is refused.
func (s *Sender) tell(ctx context.Context, p party) error {
	key := p.subject.ConversationKey()
	for try := 0; ; try++ {
		old, err := s.bus.Read(ctx, events.BucketConversations, key)
		if err != nil {
			return err
		}
		e, err := s.bus.Read(ctx, events.BucketLedger, key)
		if err != nil {
			return err
		}
		var l window.Ledger
		if json.Unmarshal(e.Value, &l) != nil {
			return nil // who finds it unreadable next makes it anew, and then tells
		}
		value, err := json.Marshal(s.conversation(p, s.view(l)))
		if err != nil {
			return err
		}
		if _, err := s.bus.Swap(ctx, events.BucketConversations, key, value, old.Revision, 0); !errors.Is(err, bus.ErrConflict) {
			return err
		}
		if err := s.yield(ctx, try); err != nil {
			return err
		}
	}
}

func (s *Sender) conversation(p party, v view) events.Conversation {
	c := events.Conversation{
		Corp: s.corp, OpenKfID: p.openKfID, ExternalUserID: p.externalUserID, SendsLeft: v.SendsLeft, SessionState: v.SessionState,
		Servicer: v.servicer, Generation: v.Generation, UpdatedAt: s.now().UTC(),
	}
	if !v.WindowEndsAt.IsZero() {
		ends := v.WindowEndsAt.UTC()
		c.WindowEndsAt = &ends
	}
	return c
}
