package sender

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
)

// straysEvery is how often commands outside all lanes are looked for.
const straysEvery = 10 * time.Second

// strays refuses what is stored in no lane: the server puts a command into one by its subject, and does not where a token of
// it is * or >. No consumer takes such a command out of the stream, though its publisher was told that it is kept.
func (s *Sender) strays(ctx context.Context) {
	for from := uint64(1); ; {
		m, err := s.bus.Next(ctx, events.StreamCommand, from, "kf.command.>")
		if err == nil {
			err = s.refuseStray(ctx, m)
		}
		switch {
		case errors.Is(err, bus.ErrNotFound), ctx.Err() != nil:
			return
		case err != nil:
			s.log.Warn().Err(err).Msg("a command in no lane is not refused yet")
			return
		}
		from = m.Seq + 1
	}
}

func (s *Sender) refuseStray(ctx context.Context, m bus.Stored) error {
	j, err := s.read(m)
	if err == nil {
		err = &events.InvalidCommand{Field: "subject", Why: "is in no lane: was the stream made by kfbus topology apply?"}
	}
	err = s.refuse(ctx, j, 2, err) // another replica may have looked too
	verdict := bus.Judge(err, 1)
	if verdict.Verb != bus.Bury {
		return err
	}
	if err := s.bus.Bury(ctx, events.Dead{Service: bus.ServiceSender, Reason: verdict.Reason, Detail: err.Error(), Stream: events.StreamCommand,
		Seq: m.Seq, Subject: m.Subject, Header: m.Header, Payload: m.Data, At: m.Time}); err != nil {
		return err
	}
	st, err := s.bus.JS.Stream(ctx, events.StreamCommand)
	if err == nil {
		err = st.DeleteMsg(ctx, m.Seq)
	}
	if _, gone := s.bus.Next(ctx, events.StreamCommand, m.Seq, m.Subject); err != nil && !errors.Is(gone, bus.ErrNotFound) {
		return fmt.Errorf("remove command %d: %w", m.Seq, bus.Classify(err))
	}
	return nil
}
