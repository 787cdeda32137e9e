package syncer

import (
	"context"
	"errors"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
)

// waits are the pauses of a syncer. They are a field, not constants, because tests have less time.
type waits struct {
	tries    uint64        // of one pull, at most
	patience time.Duration // no further try in the lane after this long
	soon     time.Duration // to the timer of an account that cannot be pulled; doubles with each failure in a row
	most     time.Duration // but never more than this
	stuck    time.Duration // the same where the platform's answers make no sense
	lost     time.Duration // no sweep of an account that is not ours
	block    time.Duration // an API is shut after 45009
	spread   time.Duration // over which accounts come back when it opens
	full     time.Duration // to the next try when the stream is full
	batch    time.Duration // to the next try when too many batches are open
	token    time.Duration // for an access token when there is none
	check    time.Duration // between two checks of the topology
	beat     time.Duration // between two signs of life of the broker
	list     time.Duration // to the next try of account/list after one that failed
	restart  time.Duration // before a part of the syncer that failed begins again
}

func defaultWaits() waits {
	return waits{
		tries: 3, patience: 3 * time.Second, soon: 5 * time.Second, most: 10 * time.Minute, stuck: time.Minute, lost: 10 * time.Minute,
		block: minuteBlock, spread: 5 * time.Second, full: 5 * time.Second, batch: 50 * time.Millisecond,
		token: 5 * time.Second,
		check: time.Minute, beat: 3 * time.Second, list: 10 * time.Second, restart: time.Second,
	}
}

// of returns how long an account must wait after a pull that failed; 0 if waiting does not help.
func (w waits) of(act act, why string, err error, now time.Time) time.Duration {
	var shut *shutError
	switch {
	case act == giveUp:
		return 0
	case errors.As(err, &shut):
		return w.opens(shut, now)
	case why == whyTransport, why == whyBusy, why == whyToken:
		return w.soon
	}
	return w.stuck
}

// shut makes a setback of a shutError and leaves other errors as they are.
func (w waits) shut(err error, now time.Time) error {
	var shut *shutError
	if errors.As(err, &shut) {
		return &setback{whyPaused, w.opens(shut, now), err}
	}
	return err
}

func (w waits) opens(shut *shutError, now time.Time) time.Duration {
	return max(shut.until.Sub(now), 0) + w.spread/2 + jitter(w.spread/2)
}

// grown doubles a wait with each failure in a row, the first one excepted.
func (w waits) grown(d time.Duration, failures int) time.Duration {
	for ; failures > 1 && d < w.most; failures-- {
		d *= 2
	}
	return min(d, w.most)
}

// end decides what becomes of a doorbell that could not be answered. Trouble with the broker leaves it in its lane. Where
// the account is the trouble, the lane goes on with others: a timer rings this doorbell again.
func (t *turn) end(ctx context.Context, err error) error {
	var sb *setback
	if !errors.As(err, &sb) {
		return err
	}
	s, id := t.s, t.bell.OpenKfID
	s.metrics.setbacks.WithLabelValues(sb.why).Inc()
	if sb.wait <= 0 {
		s.accounts.rest(id, s.now().Add(s.waits.lost))
		t.log.Error().Err(sb.err).Msg("this account cannot be pulled; it is left alone until somebody rings")
		return nil
	}
	if err := t.pin(ctx); err != nil {
		return err
	}
	wait := sb.wait
	if sb.why != whyPaused && sb.why != whyBudget {
		wait = jitter(s.waits.grown(wait, s.accounts.failed(id)))
	}
	at := s.now().Add(wait)
	body, _, err := bus.Encode(t.bell.event, bus.ModeStructured)
	if err != nil {
		return err
	}
	if err := s.bus.Arm(ctx, bus.ServiceSyncer, id, at, body); err != nil {
		return err
	}
	s.accounts.rest(id, at)
	t.log.Warn().Err(sb.err).Str("reason", sb.why).Dur("after", wait).Msg("pull put off")
	return nil
}

// pin stores when an account without a cursor began, before its first doorbell is gone.
func (t *turn) pin(ctx context.Context) error {
	if !t.loaded || t.at.revision > 0 {
		return nil
	}
	_, err := t.s.commit(ctx, t.bell.OpenKfID, t.at, t.trace, nil)
	if errors.Is(err, bus.ErrConflict) {
		return nil // somebody else was first
	}
	return err
}

// due rings a doorbell whose time has come.
func (s *Syncer) due(ctx context.Context, d *bus.Delivery) error {
	b, err := readBell(d.Stored, s.corp)
	if err != nil {
		return err
	}
	return s.rouse(ctx, b.OpenKfID, b.event)
}
