package syncer

import (
	"context"
	"errors"
	"fmt"

	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

// turn is one account's turn in its lane: page after page, until nothing more is there or its share is used up.
type turn struct {
	s     *Syncer
	log   *zerolog.Logger
	bell  bell
	token string // the callback's; "" when there is none or the platform does not take it
	trace string // of every item in this turn
	limit int    // items asked for at once

	at     place
	loaded bool      // at is what the broker holds, as far as we know
	known  *readback // what is left out while at is reset
	still  int       // pages in a row on which the cursor stayed although more was said to be there
	empty  int       // pages without an item although more was said to be there

	last  bool   // no page of this turn comes after this one
	ahead *ahead // the next page, asked for while this one is stored; nil: none
}

// place is a cursor as it is stored.
type place struct {
	events.Cursor
	revision uint64 // what the next one expects; 0: there is none yet
}

// stillPages is how many times in a row the platform may say that there is more and not move the cursor.
const stillPages = 3

// turn returns nil when the doorbell may be acknowledged: a pull that began after it came has been stored, or another
// doorbell or a timer stands for it.
func (s *Syncer) turn(ctx context.Context, stopping <-chan struct{}, b bell) error {
	t := &turn{s: s, log: zerolog.Ctx(ctx), bell: b, token: b.syncToken(s.now()), trace: b.trace(), limit: s.cfg.PageLimit}
	defer t.drop()
	for i := range s.cfg.TurnPages {
		t.last = i == s.cfg.TurnPages-1
		more, err := t.page(ctx)
		switch {
		case err != nil:
			return t.end(ctx, err)
		case !more:
			s.accounts.pulled(b.OpenKfID, s.now())
			s.tellPulled(b)
			return nil
		}
		select {
		case <-stopping:
			return fmt.Errorf("stopped between two pages: %w", context.Canceled) // another replica goes on at once
		default:
		}
	}
	if t.empty == s.cfg.TurnPages {
		return t.end(ctx, &setback{whyEndless, s.waits.stuck, fmt.Errorf("%d pages in a row without one item", t.empty)})
	}
	return s.rouse(ctx, b.OpenKfID, b.event)
}

// page pulls and stores one page. more says that another pull is needed.
func (t *turn) page(ctx context.Context) (more bool, err error) {
	if !t.loaded {
		if t.at, err = t.s.load(ctx, t.bell); err != nil {
			return false, err
		}
		t.loaded, t.known = true, nil
	}
	page, asked, err := t.next(ctx)
	var sb *setback
	switch {
	case errors.As(err, &sb) && sb.why == whyCursor:
		t.log.Warn().Err(err).Msg("the platform does not take the cursor")
		return true, t.reset(ctx)
	case err != nil:
		return false, err
	}
	if page.HasMore && len(page.MsgList) == 0 {
		t.empty++
	}
	switch look(t.at.Cursor.Cursor, page) {
	case stuck:
		if t.still++; t.still >= stillPages || !page.HasMore {
			return false, &setback{whyUnmoved, t.s.waits.stuck, fmt.Errorf("the cursor stays, with %d items on the page", len(page.MsgList))}
		}
		return true, nil
	case nothing:
		if t.at.revision > 0 && t.at.Reset == nil && asked.Sub(t.at.PulledAt) < stampEvery {
			t.s.accounts.stored(t.bell.OpenKfID, asked)
			return false, nil
		} // else it is stored when the account began, that it is past its reset, or that it is pulled
	}
	t.still = 0
	return t.store(ctx, page, asked)
}

// load reads where an account goes on.
func (s *Syncer) load(ctx context.Context, b bell) (place, error) {
	stored, err := s.bus.Last(ctx, events.StreamMessage, events.CursorSubject(s.corp, b.OpenKfID))
	switch {
	case errors.Is(err, bus.ErrNotFound):
		return s.begin(ctx, b, events.ResetLost, 0)
	case err != nil:
		return place{}, err
	}
	p := place{revision: stored.Seq}
	e, err := stored.Event()
	if err == nil {
		err = e.DataAs(&p.Cursor)
	}
	if err != nil || p.ColdStart.IsZero() && p.PulledAt.IsZero() && p.Reset == nil {
		return s.begin(ctx, b, events.ResetUnreadable, stored.Seq)
	}
	return p, nil
}

// pull asks for one page, here and now, as often as that makes sense.
func (t *turn) pull(ctx context.Context) (kfapi.SyncMsgResponse, error) {
	s, began := t.s, t.s.now()
	for try := uint64(1); ; try++ {
		api, err := t.mayPull(ctx)
		if err != nil {
			return kfapi.SyncMsgResponse{}, err
		}
		page, err := s.syncMsg(ctx, api, kfapi.SyncMsgRequest{
			Cursor: t.at.Cursor.Cursor, SyncToken: t.token, Limit: t.limit, VoiceFormat: s.cfg.VoiceFormat, OpenKfID: t.bell.OpenKfID})
		act, why := judge(err, t.token != "", t.at.Cursor.Cursor != "")
		if act != goOn && ctx.Err() != nil {
			return page, ctx.Err() // given up: it has no result
		}
		s.metrics.pulled(t.bell.ring(), why)
		switch {
		case act == goOn:
			return page, nil
		case act == tokenless:
			t.token = ""
		case act == again && try < s.waits.tries && s.now().Sub(began) < s.waits.patience:
			if !sleep(ctx, jitter(bus.Backoff(try))) {
				return page, ctx.Err()
			}
		default:
			return page, &setback{why, s.waits.of(act, why, err, s.now()), err}
		}
	}
}

// mayPull says under which API's limit the next pull is, or why there must be none now.
func (t *turn) mayPull(ctx context.Context) (api string, err error) {
	s := t.s
	if err := s.open(ctx, apiSync); err != nil {
		return "", s.waits.shut(err, s.now())
	}
	if t.token != "" {
		return apiSync, nil
	}
	if err := s.open(ctx, apiBare); err != nil {
		return "", s.waits.shut(err, s.now())
	}
	if wait := s.accounts.spend(t.bell.OpenKfID, s.now()); wait > 0 {
		return "", &setback{whyBudget, wait, errors.New("pulls without a callback's token are used up for now")}
	}
	return apiBare, nil
}

func (s *Syncer) syncMsg(ctx context.Context, api string, req kfapi.SyncMsgRequest) (page kfapi.SyncMsgResponse, err error) {
	began := s.now()
	err = s.call(ctx, api, func(ctx context.Context, accessToken string) (err error) {
		page, err = s.api.SyncMsg(ctx, accessToken, req)
		return err
	})
	s.metrics.pullSeconds.Observe(s.now().Sub(began).Seconds())
	return page, err
}
