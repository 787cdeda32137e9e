package sender

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/services/sender/window"
)

// dryRun says what would come of a command that came now, and does nothing: no reservation, no record, no request, no upload,
// no turn of its team. flaw is why it would not be taken on. What only WeChat knows, such as another app's use of the window, it
// cannot know.
func (s *Sender) dryRun(ctx context.Context, j *job, flaw error, news bool) error {
	out := events.Outcome{
		CommandID: j.cmd.ID, Team: j.subject.Team, Verb: j.subject.Name, State: events.StateDryRun,
		OpenKfID: j.cmd.OpenKfID, ExternalUserID: j.cmd.ExternalUserID, At: s.now().UTC(),
	}
	if flaw == nil {
		if err := s.foresee(ctx, j, &out); err != nil {
			return err
		}
	} else {
		out.Would, out.Detail = events.WouldRefused, flaw.Error()
		out.Reason, out.Field = reasonFor(flaw)
	}
	e, err := out.Event(j.subject.Corp, traceOf(j.cmd.TraceParent))
	if err != nil {
		return fmt.Errorf("dry run: %w", err)
	}
	place := fmt.Sprintf("%s:%d", events.StreamCommand, j.src.Seq)
	e.SetID(events.OutcomeID(j.conversation(), out.Team, place, out.State, "")) // each has its own: the same may be asked again
	if err := s.publishEvent(ctx, j.subject, out, e, j.src.Time, news); err != nil {
		return err
	}
	s.hook("dry")
	return nil
}

// foresee decides as it would be decided, on a ledger that has heard all that the stream knows.
func (s *Sender) foresee(ctx context.Context, j *job, out *events.Outcome) error {
	var err error
	if j.ask.Verb == window.Reply {
		if j.ask.Deadline, err = s.deadline(ctx, j); err != nil {
			return err
		}
	}
	in, err := s.load(ctx, j.conversation(), j.subject)
	if err != nil {
		return err
	}
	l, err := s.freshen(ctx, j.subject, in.Ledger)
	if err != nil {
		return err
	}
	now := s.clock(l, true)
	_, act := s.rules.Decide(l, j.ask, now)
	told := s.outcome(j.party(), l, act.Outcome)
	out.WindowEndsAt, out.SendsLeft, out.Generation = told.WindowEndsAt, told.SendsLeft, told.Generation
	refused := func(reason, field, detail string) {
		out.Would, out.Reason, out.Field, out.Detail = events.WouldRefused, reason, field, detail
	}
	if slices.ContainsFunc(l.Records, func(r window.Record) bool { return r.Key == j.ask.MsgID() }) {
		out.Would = events.WouldKnown
		return nil
	}
	switch act.Kind {
	case window.Finish:
		refused(string(act.Outcome.Reason), "", detail(act.Outcome))
		out.Would = string(act.Outcome.State)
		return nil
	case window.Wait:
		out.Would = events.WouldHold
		return nil
	}
	if j.file != nil {
		switch _, err := s.sum(ctx, j.file); {
		case errors.Is(err, bus.ErrNotFound), noBucket(err):
			refused(string(window.ReasonMedia), j.file.field+".object", "the object store "+j.file.Bucket+" has no such object")
			return nil
		case err != nil && unfit(err):
			_, field := reasonFor(err)
			refused(string(window.ReasonMedia), field, err.Error())
			return nil
		case err != nil:
			return err
		}
	}
	out.Would = events.WouldSend
	turn := s.teams.next(j, now.Local)
	switch late := !now.Local.Add(turn + decideLead).Before(j.cmd.ExpiresAt); {
	case turn > 0 && late:
		refused(string(window.ReasonTeamRate), "", detail(window.Outcome{Reason: window.ReasonTeamRate}))
	case turn > 0, s.limits.apis[j.api].paused(now.Local) > 0:
		out.Would = events.WouldHold
	}
	return nil
}

// next is how long the next command of a team would wait for its turn.
func (all *teams) next(j *job, now time.Time) time.Duration {
	t := all.byToken[j.subject.Team]
	if t == nil || t.turns == nil || j.ask.Verb == window.Recall {
		return 0
	}
	r := t.turns.ReserveN(now, 1)
	defer r.CancelAt(now)
	return r.DelayFrom(now)
}
