package syncer

import (
	"context"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

// A platform callback that fails three times is never repeated. So every account that was not pulled for a while is
// pulled anyway: at start, and from then on each interval, each account at a time of its own.
//
// Replicas sweep for themselves: what one of them rings, any of them answers.

const (
	sweepTick   = time.Second // between two looks at who is due; less where the interval is short
	ticksASweep = 20
)

// sweeper rings for the accounts that are due, until ctx ends.
func (s *Syncer) sweeper(ctx context.Context) error {
	for {
		for _, id := range s.accounts.takeDue(s.now()) {
			if err := s.sweepOne(ctx, id); err != nil {
				return err // they are due again an interval later
			}
			s.metrics.sweeps.Inc()
		}
		if !sleep(ctx, min(sweepTick, s.cfg.Sweep/ticksASweep)) {
			return nil
		}
	}
}

// finder keeps the accounts known, until ctx ends.
func (s *Syncer) finder(ctx context.Context) error {
	s.accounts.add(s.now(), s.cfg.Accounts...)
	if err := s.fromCursors(ctx); err != nil {
		return err
	}
	for {
		wait := jitter(s.cfg.AccountList)
		if err := s.fromPlatform(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn().Err(err).Msg("accounts could not be listed; those that are known are swept")
			wait = jitter(s.waits.list)
		}
		s.metrics.accounts.Set(float64(s.accounts.len()))
		if !sleep(ctx, wait) {
			return nil
		}
	}
}

// fromCursors finds the accounts that were pulled before. Where an id was no token, its subject holds a hash: such an
// account is found by account/list or by its next doorbell.
func (s *Syncer) fromCursors(ctx context.Context) error {
	stream, err := s.bus.JS.Stream(ctx, events.StreamMessage)
	if err != nil {
		return err
	}
	all := events.CursorSubject(s.corp, "")
	all = strings.TrimSuffix(all, events.Missing) + ">"
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(all))
	if err != nil {
		return err
	}
	for subject := range info.State.Subjects {
		if p, err := events.ParseSubject(subject); err == nil && events.Token(p.Account) == p.Account {
			s.accounts.add(s.now(), p.Account)
		}
	}
	return nil
}

const (
	listPage  = 100
	listPages = 200 // far more than a corp may have
)

// fromPlatform finds all accounts that the app may read.
func (s *Syncer) fromPlatform(ctx context.Context) error {
	at := s.now()
	for page := range listPages {
		if err := s.open(ctx, apiList); err != nil {
			return err
		}
		var got kfapi.AccountListResponse
		err := s.call(ctx, apiList, func(ctx context.Context, accessToken string) (err error) {
			got, err = s.api.AccountList(ctx, accessToken, page*listPage, listPage)
			return err
		})
		if err != nil {
			return err
		}
		for _, a := range got.AccountList {
			if a.OpenKfID != "" && (a.ManagePrivilege == nil || bool(*a.ManagePrivilege)) {
				s.accounts.add(s.now(), a.OpenKfID)
			}
		}
		if len(got.AccountList) < listPage {
			break
		}
	}
	s.accounts.known(at)
	return nil
}
