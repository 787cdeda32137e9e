package sender

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/services/sender/window"
)

// command handles one delivery of a lane.
func (s *Sender) command(ctx context.Context, d *bus.Delivery) error {
	j, err := s.read(d.Stored)
	switch {
	case j.cmd.DryRun && j.cmd.ID != "":
		return s.dryRun(ctx, j, err, d.Delivered < 2)
	case err != nil:
		return s.refuse(ctx, j, d.Delivered, err)
	}
	j.ask.Again = d.Delivered > 1
	return s.deliver(ctx, j)
}

// deliver carries one command to its outcome, or puts it aside. An error leaves it where it came from.
//
// The good path costs one read of the ledger, a compare-and-set, the request, a second compare-and-set and the outcome.
// Whatever is lost on the way, whoever takes the command up next finds in the ledger how far it came.
func (s *Sender) deliver(ctx context.Context, j *job) error {
	if j.ask.Verb == window.Reply {
		var err error
		if j.ask.Deadline, err = s.deadline(ctx, j); err != nil {
			return err
		}
	}
	began := s.now()
	for try := 0; ; try++ {
		if s.now().Sub(began) > 2*s.cfg.PostTimeout { // its lane may have gone to another replica
			j.ask.Again = true
		}
		done, err := s.turn(ctx, j)
		switch {
		case errors.Is(err, bus.ErrConflict):
			if err := s.yield(ctx, try); err != nil {
				return err
			}
		case done || err != nil:
			return err
		}
	}
}

// linger is how old a command must be to be refused for what the stream says of the customer. A plain subscriber sees a
// message before the batch that stores it is complete, and may answer at once: its answer must not overtake the message
// that allows it.
const linger = 500 * time.Millisecond

// turn takes one decision and carries it out. done means that the command is out of hand.
func (s *Sender) turn(ctx context.Context, j *job) (done bool, err error) {
	in, err := s.load(ctx, j.conversation(), j.subject)
	if err != nil {
		return false, err
	}
	j.anew = j.anew || in.fresh
	if j.ask.Generation != nil { // a takeover that the inbox has not read yet counts too
		if in.Ledger, err = s.freshSessions(ctx, j.subject, in.Ledger); err != nil {
			return false, err
		}
	}
	now := s.clock(in.Ledger, in.fresh)
	next, act := s.rules.Decide(in.Ledger, j.ask, now)
	if act.Kind == window.Ask {
		if in.Ledger, err = s.freshen(ctx, j.subject, in.Ledger); err != nil {
			return false, err
		}
		now = s.clock(in.Ledger, true)
		next, act = s.rules.Decide(in.Ledger, j.ask, now)
	}
	if left := linger - s.now().Sub(j.src.Time); act.Kind == window.Finish && mayChange(act.Outcome.Reason) && left > 0 && !j.lingered {
		j.lingered = true
		return false, sleep(ctx, min(left, linger))
	}
	if act.Kind == window.Finish && mayChange(act.Outcome.Reason) && s.behind(j) {
		return s.awaitPull(ctx, j, in)
	}
	if act.Kind == window.Post || act.Kind == window.Finish { // nothing is begun without a place for its outcome
		if waited, err := s.outlet.wait(ctx, s.stopping); waited || err != nil {
			return false, err
		}
	}
	s.hook("decided")
	switch act.Kind {
	case window.Post:
		return s.attempt(ctx, j, in, next, act, now)
	case window.Finish:
		return s.finish(ctx, j, in, next, act)
	case window.Again:
		return true, s.conclude(ctx, j, in, act.Outcome, act.Corrections, said{}, false)
	}
	return s.wait(ctx, j, in, act)
}

// finish writes down what was decided without a request, and tells it.
func (s *Sender) finish(ctx context.Context, j *job, in entry, next window.Ledger, act window.Action) (done bool, err error) {
	if act.Kind != window.Finish {
		return false, nil // it is over already: it is decided again
	}
	rev, err := s.store(ctx, j.conversation(), next, in.revision)
	if err != nil {
		return false, err
	}
	s.hook("settled")
	return true, s.conclude(ctx, j, entry{Ledger: next, revision: rev}, act.Outcome, act.Corrections, said{}, true)
}

// mayChange: a message of the customer's that is on its way would take this reason to refuse away.
func mayChange(why window.Reason) bool {
	switch why {
	case window.ReasonNeverOpened, window.ReasonWindowClosed, window.ReasonQuotaSpent, window.ReasonShareSpent, window.ReasonSessionState:
		return true
	}
	return false
}

// attempt reserves, posts and settles.
func (s *Sender) attempt(ctx context.Context, j *job, in entry, next window.Ledger, act window.Action, now window.Now) (done bool, err error) {
	if act.Attempt == 1 {
		if waits, done, err := s.takeTurn(ctx, j, in, now); waits {
			return done, err
		}
	}
	if waits, done, err := s.bring(ctx, j, in, now); waits {
		return done, err
	}
	if pause := s.limits.take(j, s.now(), s.cfg.LaneWait-j.waited); pause > 0 {
		return s.wait(ctx, j, in, window.Action{Until: now.Local.Add(pause)})
	}
	rev, err := s.store(ctx, j.conversation(), next, in.revision)
	if err != nil {
		return false, err
	}
	j.ask.Again = true
	s.hook("reserved")
	answered := s.preview(ctx, j, entry{Ledger: next, revision: rev})
	j.part, j.msgid = act.Part, act.MsgID
	answer, got := s.post(ctx, j, now.Local)
	answer.Part = act.Part
	answer = s.staleMedia(ctx, j, answer)
	j.paid = false
	answered()
	answer.MsgCode = got.msgCode
	s.hook("posted")
	s.observe(ctx, j, act.Attempt, answer, got)
	return s.settle(ctx, j, entry{Ledger: next, revision: rev}, act.Attempt, answer, got)
}

// settlePatience is how long an answer is kept while it cannot be written down. Longer, and the command is another
// replica's: it finds the reservation, and repeats the request under the same msgid.
const settlePatience = 30 * time.Second

// settle writes down what an attempt came to. The answer is evidence that nobody else has, so it is not given up lightly.
func (s *Sender) settle(ctx context.Context, j *job, in entry, attempt int, a window.Answer, got said) (done bool, err error) {
	giveUp := time.Now().Add(settlePatience)
	for try := uint64(1); ; try++ {
		next, res := s.rules.Settle(in.Ledger, j.ask, attempt, a, s.clock(in.Ledger, false))
		rev := in.revision
		if err == nil && res.Changed {
			rev, err = s.store(ctx, j.conversation(), next, in.revision)
		}
		if err == nil {
			s.hook("settled")
			return s.settled(ctx, j, entry{Ledger: next, revision: rev}, res, got)
		}
		if ctx.Err() != nil || s.bus.NC.IsClosed() || time.Now().After(giveUp) {
			return false, err
		}
		if !errors.Is(err, bus.ErrConflict) {
			zerolog.Ctx(ctx).Warn().Err(err).Msg("the answer is not written down yet")
			if err := sleep(ctx, bus.Backoff(try)); err != nil {
				return false, err
			}
		}
		in, err = s.load(ctx, j.conversation(), j.subject)
	}
}

func (s *Sender) settled(ctx context.Context, j *job, in entry, res window.Result, got said) (done bool, err error) {
	if res.Reused {
		s.metrics.reused.Inc()
		zerolog.Ctx(ctx).Error().Str("msgid", res.Outcome.MsgID).Msg("WeChat accepted one msgid twice: either it repeats silently, or the customer " +
			"got the message twice; find out which, and if twice set KF_SENDER_MSGID_IDEMPOTENT=false")
	}
	switch res.Kind {
	case window.Finished:
		return true, s.conclude(ctx, j, in, res.Outcome, res.Corrections, got, res.Changed)
	case window.Later:
		defer s.show(ctx, j, in)()
		return s.wait(ctx, j, in, window.Action{Until: s.now().Add(res.After)})
	}
	return false, nil
}

// observe counts what an answer says about our rules.
func (s *Sender) observe(ctx context.Context, j *job, attempt int, a window.Answer, got said) {
	log := zerolog.Ctx(ctx)
	if a.Kind == window.AnswerRefused && attempt == 1 && j.subject.Name == events.VerbSend {
		switch a.Code {
		case 95001, 95002, 95013, 95018:
			s.metrics.disagreed.WithLabelValues(codeLabel(a.Code)).Inc()
			log.Warn().Int("errcode", a.Code).Msg("WeChat refuses what our ledger allowed: another app or a human uses the window too")
		}
	}
	if wrongJSON(got.errmsg) {
		s.metrics.warned.Inc()
		log.Warn().Str("command_id", j.cmd.ID).Msg("WeChat accepted the request and warns that it did not understand all of its JSON")
	}
}

// gapInLane is how long a lane waits for the gap between two messages to one customer. Other customers are behind it.
const gapInLane = 250 * time.Millisecond

// wait lets time pass until a command is decided again: here, if its lane can bear it, and else aside.
func (s *Sender) wait(ctx context.Context, j *job, in entry, act window.Action) (done bool, err error) {
	d := act.Until.Sub(s.now())
	if act.Held || act.Behind || act.Apart && d > gapInLane || j.waited+d > s.cfg.LaneWait {
		return s.park(ctx, j, in, d, act)
	}
	s.metrics.holds.WithLabelValues("lane").Inc()
	j.waited += max(d, 0)
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return false, nil
	case <-s.stopping: // another replica goes on at once
		return false, context.Canceled
	case <-ctx.Done():
		return false, ctx.Err()
	}
}
