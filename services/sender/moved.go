package sender

import (
	"context"
	"errors"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/services/sender/window"
)

// moved notes a transition that was asked for by a request and not by a command, by the same rule: no event tells of our own
// transitions. If it cannot be written, or nobody lives to write it, the ledger is behind until the next event of the session,
// or until WeChat refuses a send (95018); a command that was held for it stays held until then.
func (s *Sender) moved(ctx context.Context, r kfapi.ServiceStateTransRequest) {
	ctx, cancel := context.WithTimeout(ctx, movedPatience)
	defer cancel()
	who := events.Subject{Corp: events.Token(s.corp), Account: events.Token(r.OpenKfID), User: events.Token(r.ExternalUserID)}
	key := who.ConversationKey()
	for try := uint64(1); ; try++ {
		now, _, err := s.change(ctx, key, who, func(l window.Ledger) (window.Ledger, bool) {
			return l.Moved(int(r.ServiceState), r.ServicerUserID, s.clock(l, false)), true
		})
		if err == nil {
			err = errors.Join(s.tell(ctx, party{who, r.OpenKfID, r.ExternalUserID}, now), s.wakeNext(ctx, key, now.Ledger))
			if err != nil {
				s.log.Warn().Err(err).Str("open_kfid", r.OpenKfID).Msg("the conversation's view is not written; its next change will be")
			}
			return
		}
		s.log.Warn().Err(err).Str("open_kfid", r.OpenKfID).Msg("a transition that WeChat accepted is not noted yet")
		if s.bus.NC.IsClosed() || sleep(ctx, bus.Backoff(try)) != nil {
			return
		}
	}
}

// movedPatience is how long a transition is tried to be noted. The request waits for it: who reads its reply and then commands
// finds it noted.
const movedPatience = 10 * time.Second
