package sender

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/services/sender/window"
)

// previewAfter is how long a request may be on its way before the teams are told of the place it holds. As a rule the
// answer comes sooner, and is told at once.
const previewAfter = 250 * time.Millisecond

// preview tells the teams of a reservation while its request is on the way, if that takes long. Call answered when it ended.
func (s *Sender) preview(ctx context.Context, j *job, in entry) (answered func()) {
	done := make(chan struct{})
	wait := beside(func() {
		t := time.NewTimer(previewAfter)
		defer t.Stop()
		select {
		case <-done:
		case <-t.C:
			s.show(ctx, j, in)()
		}
	})
	return func() { close(done); wait() }
}

// show tells the teams what a ledger means for them, beside whatever else is done; wait returns when they are told. It is a
// view and never the truth: an error is logged, and the next change tells again.
func (s *Sender) show(ctx context.Context, j *job, in entry) (wait func()) {
	return beside(func() {
		if err := s.tell(ctx, j.party(), in); err != nil {
			zerolog.Ctx(ctx).Warn().Err(err).Msg("the conversation's view is not written; its next change will be")
		}
	})
}

func beside(do func()) (wait func()) {
	var wg sync.WaitGroup
	wg.Go(do)
	return wg.Wait
}

// behindTries is how often a ledger is read that is older than what was told of it, before that is believed. A replica of
// the broker's may be a moment behind; but a bucket that was deleted and made again counts from 1.
const behindTries = 5

// tell writes the view of a ledger, as it was stored, where it is not older than the one that is there: of a later revision;
// or of the same, if only time has passed, which takes sends away and gives none. So of any number of senders that tell at
// the same time, the one who knows most is heard.
func (s *Sender) tell(ctx context.Context, p party, in entry) error {
	key := p.subject.ConversationKey()
	for try := 0; ; try++ {
		old, err := s.bus.Read(ctx, events.BucketConversations, key)
		if err != nil {
			return err
		}
		var was events.Conversation
		known := json.Unmarshal(old.Value, &was) == nil
		if known && was.Revision > in.revision && try < behindTries {
			if in, err = s.again(ctx, key, in); err != nil {
				return err
			}
			if in.revision >= was.Revision {
				return nil // told by whoever wrote it
			}
			if err := s.yield(ctx, try); err != nil {
				return err
			}
			continue
		}
		c := s.conversation(p, in)
		if known && (was.Revision == in.revision && was.SendsLeft < c.SendsLeft || sameBut(c, was)) {
			return nil
		}
		value, err := json.Marshal(c)
		if err != nil {
			return fmt.Errorf("encode the view of %s: %w", key, err)
		}
		if _, err := s.bus.Swap(ctx, events.BucketConversations, key, value, old.Revision, 0); !errors.Is(err, bus.ErrConflict) {
			return err
		}
		if err := s.yield(ctx, try); err != nil {
			return err
		}
	}
}

// again reads a ledger once more; one that cannot be read is left as it was.
func (s *Sender) again(ctx context.Context, key string, in entry) (entry, error) {
	e, err := s.bus.Read(ctx, events.BucketLedger, key)
	if err != nil {
		return in, err
	}
	var l window.Ledger
	if e.Value != nil && json.Unmarshal(e.Value, &l) == nil {
		in = entry{Ledger: l, revision: e.Revision}
	}
	return in, nil
}

// sameBut reports whether two views tell the same, whenever and of whichever revision they were made.
func sameBut(a, b events.Conversation) bool {
	a.Revision, a.UpdatedAt = b.Revision, b.UpdatedAt
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// conversation is what the teams may know of a ledger at this moment.
func (s *Sender) conversation(p party, in entry) events.Conversation {
	v := s.rules.View(in.Ledger, s.clock(in.Ledger, true))
	c := events.Conversation{
		Corp: s.corp, OpenKfID: p.openKfID, ExternalUserID: p.externalUserID, SendsLeft: v.SendsLeft, SessionState: v.SessionState,
		Generation: v.Generation, Revision: in.revision, UpdatedAt: s.now().UTC(),
	}
	if !v.WindowEndsAt.IsZero() {
		ends := v.WindowEndsAt.UTC()
		c.WindowEndsAt = &ends
		c.LastMessage = &events.LastMessage{MsgID: in.CustomerMsgID, At: v.CustomerAt.UTC(), MsgType: in.CustomerType}
	}
	if v.Servicer {
		c.Servicer = in.Servicer
	}
	if id, at := in.LastSent(); !at.IsZero() {
		c.LastSend = &events.LastSend{MsgID: id, At: at}
	}
	return c
}
