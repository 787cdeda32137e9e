package sender

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/services/sender/window"
)

// A send that the rules refuse for the customer's window or session may only be early: the callback of the message that
// allows it can be late, or lost until the next sweep. So before it is refused its account is pulled once more. The sender
// rings a doorbell like any other, and the syncers say when an account has been pulled to its end; see docs/adr/0004.

const (
	// brokerSkew is how much the clocks of two servers of the broker may differ: doorbells and commands are stored, and so
	// stamped, by two leaders. It is below linger, so that a doorbell rung after that is late enough.
	brokerSkew = 250 * time.Millisecond
	ringEvery  = 2 * time.Second  // between two doorbells of ours for one account: what syncers pull without a callback's token
	ringLost   = 10 * time.Second // after this a doorbell of which nothing was heard is rung again
	ringBroken = time.Minute      // no doorbell after one that could not be rung
	asidePoll  = 15 * time.Second // a command that waits aside is looked at so often; as a rule it is woken
	decideLead = 2 * time.Second  // so long before its expiry a command is decided all the same
	maxAside   = 4096             // of one account; more are only polled
)

// pulls is what this replica heard of the syncers.
type pulls struct {
	mu       sync.Mutex
	accounts map[string]*account // by token
}

type account struct {
	pulled  time.Time     // a pull that began after this was completed; the broker's clock
	changed chan struct{} // closed when pulled moves; nil where nobody waits
	rung    time.Time     // our last doorbell
	seq     uint64        // of it; 0 where another doorbell stood for it
	heard   bool          // what rung asked for has been done
	broken  time.Time     // no doorbell before this
	aside   []timerRef    // commands that wait for the next pull
}

// timerRef names a command that was put aside.
type timerRef struct{ conversation, msgid string }

func newPulls() *pulls { return &pulls{accounts: map[string]*account{}} }

// get returns an account; the caller holds mu.
func (p *pulls) get(token string) *account {
	a := p.accounts[token]
	if a == nil {
		a = &account{heard: true}
		p.accounts[token] = a
	}
	return a
}

// since reports whether a pull of the account was completed that began after something was stored.
func (p *pulls) since(token string, stored time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.accounts[token]
	return a != nil && a.after(stored)
}

func (a *account) after(stored time.Time) bool { return a.pulled.After(stored.Add(brokerSkew)) }

// told notes what a syncer says, and returns those who waited for it.
func (p *pulls) told(token string, m events.Pulled) []timerRef {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.get(token)
	if m.Rang.After(a.pulled) {
		a.pulled = m.Rang
	}
	a.heard = a.heard || m.Seq >= a.seq
	if a.changed != nil {
		close(a.changed)
		a.changed = nil
	}
	woken := a.aside
	a.aside = nil
	return woken
}

// wait returns a channel that is closed at the next word of the account, and whether a doorbell is to be rung for it now.
// If not, it is to be looked at again after pause. asked is when we last rang.
func (p *pulls) wait(token string, now time.Time) (changed <-chan struct{}, ring bool, pause time.Duration, asked time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.get(token)
	if a.changed == nil {
		a.changed = make(chan struct{})
	}
	next := a.rung.Add(ringEvery)
	if !a.heard {
		next = a.rung.Add(ringLost)
	}
	if ring = !now.Before(next); ring {
		a.rung, a.seq, a.heard = now, 0, false // ours to ring: nobody else does
		next = now.Add(ringLost)
	}
	return a.changed, ring, next.Sub(now), a.rung
}

func (p *pulls) rang(token string, seq uint64, err error, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.get(token)
	a.seq = seq
	if err != nil {
		a.heard, a.broken = true, now.Add(ringBroken)
	}
}

func (p *pulls) deaf(token string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.accounts[token]
	return a != nil && now.Before(a.broken)
}

// setAside remembers whom to wake; false if there was a word of the account since changed was handed out.
func (p *pulls) setAside(token string, changed <-chan struct{}, ref timerRef) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.get(token)
	if a.changed != changed {
		return false
	}
	if len(a.aside) < maxAside {
		a.aside = append(a.aside, ref)
	}
	return true
}

// behind reports whether a refusal of j has to wait until its account has been pulled.
func (s *Sender) behind(j *job) bool {
	return s.cfg.FreshWait > 0 && !j.resigned && !s.pulls.since(j.subject.Account, j.src.Time)
}

// awaitPull waits for a pull of the account that began after j was stored: in the lane while that is soon, and else aside.
// It lets the command be decided as it is where there is no time left, or nobody can be asked.
func (s *Sender) awaitPull(ctx context.Context, j *job, in entry) (done bool, err error) {
	token, now := j.subject.Account, s.now()
	if j.asked.IsZero() {
		j.asked = now
	}
	left := min(s.cfg.FreshWait-max(now.Sub(j.asked), 0), j.cmd.ExpiresAt.Sub(now)-decideLead)
	if left <= 0 || s.pulls.deaf(token, now) {
		s.metrics.resigned.Inc()
		j.resigned = true
		return false, nil
	}
	changed, ring, pause, asked := s.pulls.wait(token, now)
	if ring {
		seq, err := s.ringFresh(ctx, j)
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		s.pulls.rang(token, seq, err, now)
		if err != nil {
			zerolog.Ctx(ctx).Warn().Err(err).Msg("the account cannot be asked for newer messages before a command is refused; may this user publish on kf.callback?")
			return false, nil
		}
	}
	left = min(left, pause)
	// Where the syncers have not been quick, they are not waited for in the lane again and again.
	if patience := min(left, s.cfg.LaneWait-max(j.waited, now.Sub(asked))); patience > 0 && !j.aside {
		s.metrics.holds.WithLabelValues("pull").Inc()
		began := s.now()
		err := s.pausedUntil(ctx, changed, patience)
		j.waited += max(s.now().Sub(began), 0)
		return false, err
	}
	if done, err = s.park(ctx, j, in, min(left, asidePoll), window.Action{}); !done || err != nil {
		return done, err
	}
	if ref := (timerRef{j.conversation(), j.ask.MsgID()}); !s.pulls.setAside(token, changed, ref) {
		return true, s.wake(ctx, ref.conversation, ref.msgid)
	}
	return true, nil
}

// pausedUntil returns nil when c is closed or d has passed.
func (s *Sender) pausedUntil(ctx context.Context, c <-chan struct{}, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-c:
	case <-t.C:
	case <-s.stopping: // another replica goes on at once
		return context.Canceled
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// ringFresh rings a doorbell of our own. One that waits already is as good: it will be answered after now.
func (s *Sender) ringFresh(ctx context.Context, j *job) (seq uint64, err error) {
	e, err := events.Own(rand.Text(), "/kfbus/"+bus.ServiceSender, events.TypeCallback,
		events.Doorbell{Corp: s.corp, OpenKfID: j.cmd.OpenKfID, Event: events.RingFresh, ReceivedAt: s.now().UTC()})
	if err != nil {
		return 0, err
	}
	e.SetExtension(events.ExtTraceParent, traceOf(j.cmd.TraceParent))
	s.metrics.rung.Inc()
	seq, _, err = s.bus.Publish(ctx, bus.Message{Subject: events.CallbackSubject(s.corp, j.cmd.OpenKfID), Event: e})
	if errors.Is(err, bus.ErrCovered) {
		return 0, nil
	}
	return seq, err
}

// hearPulls listens to the syncers, until ctx ends.
func (s *Sender) hearPulls(ctx context.Context) error {
	sub, err := s.bus.NC.SubscribeSync(events.PulledSubject(s.corp, "*"))
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }()
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return err
		}
		var said events.Pulled
		token := m.Subject[len(events.PulledSubject(s.corp, "*"))-1:]
		if json.Unmarshal(m.Data, &said) != nil {
			continue // no syncer says that
		}
		for _, ref := range s.pulls.told(token, said) {
			if err := s.wake(ctx, ref.conversation, ref.msgid); err != nil && ctx.Err() == nil {
				s.log.Debug().Err(err).Msg("a command is not woken; it will be looked at")
			}
		}
	}
}
