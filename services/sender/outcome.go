package sender

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/services/sender/window"
)

// party is whom an outcome is about: the tokens of its subject and the true ids.
type party struct {
	subject        events.Subject
	openKfID       string
	externalUserID string
}

func (j *job) party() party { return party{j.subject, j.cmd.OpenKfID, j.cmd.ExternalUserID} }

// lookBack is how much earlier than the ledger's own time an outcome is looked for: the broker's clock is another one.
const lookBack = 15 * time.Minute

// publish stores the outcome of a command, or a correction. news is an outcome that nobody can have published before, as
// the ledger took it a moment ago; any other is first looked for in the stream, since the broker forgets ids after minutes.
func (s *Sender) publish(ctx context.Context, p party, o events.Outcome, trace string, since time.Time, news bool) error {
	e, err := o.Event(s.corp, trace)
	if err != nil {
		return fmt.Errorf("outcome of command %s: %w", strconv.Quote(o.CommandID), err)
	}
	p.subject.Team = o.Team
	return s.publishEvent(ctx, p.subject, o, e, since, news)
}

func (s *Sender) publishEvent(ctx context.Context, of events.Subject, o events.Outcome, e event.Event, since time.Time, news bool) error {
	subject := events.OutcomeSubject(of, o.State)
	if !news {
		there, err := s.published(ctx, subject, e.ID(), since)
		if there || err != nil {
			return err
		}
	}
	_, repeat, err := s.bus.Publish(ctx, bus.Message{Subject: subject, Event: e, MsgID: e.ID()})
	s.outlet.result(err)
	switch {
	case errors.Is(err, bus.ErrFull), errors.Is(err, bus.ErrResources):
		return bus.After(time.Second, err) // it is the one that finds out when there is room
	case err != nil, repeat:
		return err
	}
	s.metrics.commands.WithLabelValues(o.Verb, o.State, o.Reason).Inc()
	zerolog.Ctx(ctx).Info().Str("team", o.Team).Str("command_id", o.CommandID).Str("verb", o.Verb).Str("state", o.State).
		Str("reason", o.Reason).Str("corrects", o.Corrects).Int("errcode", o.ErrCode).Int("attempts", o.Attempts).Str("msgid", o.MsgID).Msg("outcome")
	return nil
}

// published reports whether an outcome with this id is in the stream. The subject is one customer's and one state's, so
// there is little to read.
func (s *Sender) published(ctx context.Context, subject, id string, since time.Time) (bool, error) {
	found := false
	err := s.walk(ctx, events.StreamOutcome, subject, from{time: since.Add(-lookBack)}, func(m bus.Stored) (bool, error) {
		e, err := m.Event()
		found = err == nil && e.ID() == id
		return !found, nil
	})
	return found, err
}

// conclude publishes what became of a command, and lets those who wait for it go on. news is as for publish.
func (s *Sender) conclude(ctx context.Context, j *job, in entry, o window.Outcome, corrections []window.Outcome, got said, news bool) error {
	defer s.show(ctx, j, in)()
	l := in.Ledger
	since, trace := s.decidedAt(l, o), traceOf(j.cmd.TraceParent)
	out := s.outcome(j.party(), l, o)
	if why := j.flaw; why.reason == o.Reason && o.State == window.Refused {
		out.Field = why.field
		if why.why != "" {
			out.Detail = why.why
		}
	}
	if out.MsgCode == "" && o.State == window.Accepted {
		out.MsgCode = got.msgCode
	}
	if err := s.publish(ctx, j.party(), out, trace, since, news); err != nil {
		return err
	}
	for _, o := range corrections {
		if err := s.publish(ctx, j.party(), s.outcome(j.party(), l, o), trace, since, news); err != nil {
			return err
		}
	}
	s.metrics.seconds.WithLabelValues(out.Verb).Observe(s.now().Sub(j.cmd.StoredAt).Seconds())
	s.hook("published")
	if err := s.concluded(ctx, j, l, o, news); err != nil {
		return err
	}
	return s.release(ctx, j, l, o)
}

// decidedAt is when the outcome was decided, as far as the ledger knows.
func (s *Sender) decidedAt(l window.Ledger, o window.Outcome) time.Time {
	i := slices.IndexFunc(l.Records, func(r window.Record) bool { return r.Key == o.MsgID })
	if i < 0 || l.Records[i].DoneAt == 0 {
		return s.now()
	}
	return l.Records[i].DoneAt.Time()
}

// outcome puts what the rules decided into the words of the contract.
func (s *Sender) outcome(p party, l window.Ledger, o window.Outcome) events.Outcome {
	out := events.Outcome{
		CommandID: o.ID, Team: o.Team, Verb: string(o.Verb), State: string(o.State), Reason: string(o.Reason),
		Detail: detail(o), ErrCode: o.Errcode, FailType: o.FailType, Corrects: string(o.Corrects), Attempts: o.Attempts,
		OpenKfID: p.openKfID, ExternalUserID: p.externalUserID, At: s.now().UTC(), MsgCode: o.MsgCode,
		Parts: o.Parts, PartsSent: o.Sent,
	}
	if o.Verb == window.Send || o.Verb == window.Reply {
		out.MsgID = o.MsgID
	}
	if o.State == window.Accepted && o.Corrects == "" {
		out.ConfirmedBy, out.Reason = string(o.Reason), ""
	}
	view := s.rules.View(l, s.clock(l, true))
	if !view.WindowEndsAt.IsZero() {
		ends := view.WindowEndsAt.UTC()
		out.WindowEndsAt = &ends
	}
	out.SendsLeft, out.Generation = &view.SendsLeft, view.Generation
	return out
}

// refuse answers what is no command: an outcome for the team, where one can be addressed, and a dead letter. Nothing is
// written into the ledger, so that the mended command may come under the same id.
func (s *Sender) refuse(ctx context.Context, j *job, delivered uint64, cause error) error {
	reason, field := reasonFor(cause)
	if j.subject.Kind != events.KindCommand { // nobody can be told
		s.metrics.commands.WithLabelValues("", events.StateRefused, reason).Inc()
		return bus.Drop(reason, cause)
	}
	out := events.Outcome{
		CommandID: j.cmd.ID, Team: j.subject.Team, Verb: j.subject.Name, State: events.StateRefused, Reason: reason,
		Field: field, Detail: cause.Error(), OpenKfID: j.cmd.OpenKfID, ExternalUserID: j.cmd.ExternalUserID, At: s.now().UTC(),
	}
	place := fmt.Sprintf("%s:%d", events.StreamCommand, j.src.Seq)
	if out.CommandID == "" {
		out.Detail += "; the dead letter of " + place + " holds the command"
	} else if known, err := s.known(ctx, j); err != nil {
		return err
	} else if known != "" {
		if window.State(known).Final() {
			// The id is another command's, whose outcome is the only one: a second would contradict it.
			return bus.Drop(reason, fmt.Errorf("its id was used before; %w", cause))
		}
		// It was on its way when it could still be read: nobody here can learn what became of it.
		out.State, out.Reason, out.Field = events.StateUnknown, string(window.ReasonNoAnswer), ""
	}
	e, err := out.Event(j.subject.Corp, traceOf(j.cmd.TraceParent))
	if err != nil {
		return fmt.Errorf("outcome of command %s: %w", strconv.Quote(out.CommandID), err)
	}
	e.SetID(events.OutcomeID(j.conversation(), out.Team, place, out.State, "")) // one for each: the mended one has its own
	if err := s.publishEvent(ctx, j.subject, out, e, j.src.Time, delivered < 2); err != nil {
		return err
	}
	return bus.Drop(out.Reason, cause)
}

// refusal is why a command is not taken on, besides what [events.InvalidCommand] and [kfapi.LimitError] say.
type refusal struct {
	reason     window.Reason
	field, why string
}

func (r *refusal) Error() string { return "command " + r.field + ": " + r.why }

// reasonFor says by which word a command is refused that cannot be taken on, and which field of it is wrong.
func reasonFor(cause error) (reason, field string) {
	var r *refusal
	var c *events.InvalidCommand
	var l *kfapi.LimitError
	switch {
	case errors.As(cause, &r):
		return string(r.reason), r.field
	case errors.As(cause, &c):
		return string(window.ReasonInvalid), c.Field
	case errors.As(cause, &l):
		return string(window.ReasonInvalid), l.Field
	}
	return string(window.ReasonInvalid), "body"
}

// known is the state in which the ledger has a command of this id; "" where it has none.
func (s *Sender) known(ctx context.Context, j *job) (string, error) {
	in, err := s.load(ctx, j.conversation(), j.subject)
	if err != nil {
		return "", err
	}
	key := window.MsgID(j.conversation(), j.subject.Team, j.cmd.ID)
	for _, r := range in.Records {
		if r.Key == key {
			return string(r.State), nil
		}
	}
	return "", nil
}

// traceOf goes on with a command's trace, or begins one.
func traceOf(parent string) string {
	t, err := service.ParseTrace(parent)
	if err != nil {
		return service.NewTrace().String()
	}
	return t.Child().String()
}
