package kfsim

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// CallbackSwitches disturb the callbacks on their way. They change nothing about the messages.
type CallbackSwitches struct {
	Drop      bool          `json:"drop"`      // send none
	Duplicate int           `json:"duplicate"` // send each this many times in all, the same bytes; 0 and 1 mean once
	Delay     time.Duration `json:"delay"`     // send each this much later, in real time
	Reorder   bool          `json:"reorder"`   // each is late by a random part of Delay instead, by the seeded dice
}

type plainSwitches CallbackSwitches

type switchesText struct {
	*plainSwitches
	Delay textDuration `json:"delay"`
}

// MarshalJSON writes the delay as text, "1.5s".
func (c CallbackSwitches) MarshalJSON() ([]byte, error) {
	return json.Marshal(switchesText{(*plainSwitches)(&c), textDuration(c.Delay)})
}

// UnmarshalJSON changes the fields that the object names and leaves the others as they are;
// an unknown field is an error.
func (c *CallbackSwitches) UnmarshalJSON(b []byte) error {
	w := switchesText{(*plainSwitches)(c), textDuration(c.Delay)}
	if err := decodeStrict(b, &w); err != nil {
		return err
	}
	c.Delay = time.Duration(w.Delay)
	return nil
}

func (c CallbackSwitches) validate() error {
	switch {
	case c.Duplicate < 0 || c.Duplicate > 10_000 || c.Delay < 0:
		return errors.New("callbacks: duplicate is between 0 and 10000, and delay not negative")
	case c.Reorder && c.Delay == 0:
		return errors.New("callbacks: reorder needs a delay to shuffle within, for example 200ms")
	}
	return nil
}

// Callbacks returns the switches in force.
func (s *Sim) Callbacks() CallbackSwitches {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.switches
}

// SetCallbacks sets the switches for callbacks caused from now on.
func (s *Sim) SetCallbacks(c CallbackSwitches) error {
	if err := c.validate(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.switches = c
	return nil
}

// callback is one POST to a corp's URL, with its repetitions.
type callback struct {
	n       uint64
	st      *state // the platform it belongs to; a Reset makes it void
	corp    *corp
	account *account // of a kf_msg_or_event
	plain   []byte
	json    bool // envelope in JSON instead of XML
	delay   time.Duration
	forged  bool // its signature is wrong
	seals   int  // seconds its own timestamp is ahead of the first one's
	attempt int  // made so far
	sealed  *envelope
}

// doorbell tells the corp that an account has something to pull.
func (s *Sim) doorbell(a *account) {
	if s.p.CoalesceCallbacks && a.doorbells > 0 {
		s.journal.add(Entry{Kind: KindCallback, CorpID: a.CorpID, OpenKfID: a.OpenKfID, Reason: "coalesced with one that waits"})
		return
	}
	s.ring(&callback{corp: a.corp, account: a, plain: kfPlaintext(a.corp, s.clock.Now(), "kf_msg_or_event", element{"Token", s.syncToken(a)}, element{"OpenKfId", a.OpenKfID})})
}

// ring queues a callback, as often as the switches say.
func (s *Sim) ring(cb *callback) {
	cb.st, cb.json = s.st, cb.json || cb.corp.CallbackFormat == FormatJSON
	copies, why := max(1, s.switches.Duplicate), ""
	switch {
	case cb.corp.CallbackURL == "":
		copies, why = 0, "the corp has no callback url"
	case s.switches.Drop:
		copies, why = 0, "dropped by a switch"
	}
	first, extra := *cb, 0
	first.sealed, first.delay = &envelope{}, s.switches.Delay
	if s.switches.Reorder {
		first.delay = 0 // thrown for each copy
	}
	var hits []Fault
	if copies > 0 {
		hits = s.strikeCallback(cb)
	}
	for _, f := range hits {
		switch f.Kind {
		case FaultCallbackLost:
			copies, why = 0, "lost by a fault"
		case FaultCallbackDuplicated:
			copies += min(copies, 1)
		case FaultCallbackDelayed, FaultCallbackReordered:
			first.delay += f.Delay
		case FaultCallbackRepeated:
			extra++
		case FaultCallbackBadSignature:
			first.forged = true
		}
	}
	if copies == 0 {
		extra = 0
	}
	for i := range max(1, copies+extra) {
		c := first
		s.st.rung++
		c.n = s.st.rung
		if i >= copies {
			c.sealed, c.seals = &envelope{}, i
		}
		if s.switches.Reorder {
			c.delay += time.Duration(s.st.dice.Int64N(int64(s.switches.Delay)))
		}
		e := Entry{Kind: KindCallback, CorpID: c.corp.CorpID, Callback: c.n, Reason: why}
		if c.account != nil {
			e.OpenKfID = c.account.OpenKfID
		}
		s.journal.add(e)
		if i < copies+extra {
			s.enqueue(&c, false)
		}
	}
}

// strikeCallback returns the faults that strike a callback as it is caused.
func (s *Sim) strikeCallback(cb *callback) []Fault {
	e := Entry{CorpID: cb.corp.CorpID, Callback: s.st.rung + 1}
	if cb.account != nil {
		e.OpenKfID = cb.account.OpenKfID
	}
	return s.strikes(target{at: onCallback, entry: e, names: func() callNames { return callNames{openKfID: e.OpenKfID} }})
}

func (s *Sim) enqueue(cb *callback, front bool) {
	at := len(s.st.callbacks)
	if front {
		at = 0
	}
	s.st.callbacks = slices.Insert(s.st.callbacks, at, cb)
	if cb.account != nil {
		cb.account.doorbells++
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// next takes the first waiting callback, or nil.
func (s *Sim) next() *callback {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.st.callbacks) == 0 {
		return nil
	}
	cb := s.st.callbacks[0]
	s.st.callbacks[0] = nil
	s.st.callbacks = s.st.callbacks[1:]
	s.st.delivering++
	if cb.account != nil {
		cb.account.doorbells--
	}
	return cb
}

// done ends the work on a callback; again puts it back in front of the queue.
func (s *Sim) done(cb *callback, again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cb.st != s.st {
		return // a Reset came between
	}
	s.st.delivering--
	if again {
		cb.delay = 0
		s.enqueue(cb, true)
	}
	s.quiet.less()
}

// PendingCallbacks is how many callbacks wait or are on their way. It is 0 once every one has been
// answered with 200, given up or dropped.
func (s *Sim) PendingCallbacks() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.st.callbacks) + s.st.delivering
}

// Run delivers callbacks, and plays the script in time, until ctx ends, and then returns nil once the attempts under way are over.
// Undelivered callbacks stay queued for the next Run; an attempt that the end cut short is made
// again. Call it once at a time.
func (s *Sim) Run(ctx context.Context) error {
	slots := make(chan struct{}, s.cfg.CallbackWorkers)
	var work sync.WaitGroup
	defer work.Wait()
	if s.ticks {
		work.Go(func() { s.runScript(ctx) })
	}
	for ctx.Err() == nil {
		cb := s.next()
		if cb == nil {
			select {
			case <-ctx.Done():
			case <-s.wake:
			}
			continue
		}
		if cb.delay > 0 {
			work.Go(func() {
				if s.cfg.Wait(ctx, cb.delay) != nil || !take(ctx, slots) {
					s.done(cb, true)
					return
				}
				defer func() { <-slots }()
				s.done(cb, s.deliver(ctx, cb))
			})
			continue
		}
		if !take(ctx, slots) {
			s.done(cb, true)
			break
		}
		work.Go(func() {
			defer func() { <-slots }()
			s.done(cb, s.deliver(ctx, cb))
		})
	}
	return nil
}

func take(ctx context.Context, slots chan<- struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// deliver makes the attempts of one callback, and reports whether it must be made again because ctx
// ended.
//
// https://developer.work.weixin.qq.com/document/path/90930
func (s *Sim) deliver(ctx context.Context, cb *callback) (again bool) {
	for {
		if ctx.Err() != nil {
			return true
		}
		hr, p, err := s.sealRequest(ctx, cb)
		if err != nil {
			s.note(cb, Entry{Kind: KindGivenUp, Reason: err.Error()})
			return false
		}
		status, why := s.post(hr, p.CallbackTimeout)
		if ctx.Err() != nil && status != http.StatusOK {
			return true
		}
		cb.attempt++
		s.note(cb, Entry{Kind: KindAttempt, Attempt: cb.attempt, Status: status, Reason: why})
		switch {
		case status == http.StatusOK:
			s.note(cb, Entry{Kind: KindDelivered, Attempt: cb.attempt})
			return false
		case cb.attempt >= p.CallbackAttempts:
			s.note(cb, Entry{Kind: KindGivenUp, Attempt: cb.attempt})
			return false
		case p.CallbackPause > 0 && s.cfg.Wait(ctx, p.CallbackPause) != nil:
			return true
		}
	}
}

// note journals something about a callback, unless a Reset came between.
func (s *Sim) note(cb *callback, e Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cb.st != s.st {
		return
	}
	e.CorpID, e.Callback = cb.corp.CorpID, cb.n
	if cb.account != nil {
		e.OpenKfID = cb.account.OpenKfID
	}
	s.journal.add(e)
}

// post makes one attempt. status is 0 when there was no answer; why then says so in words without
// the URL.
func (s *Sim) post(hr *http.Request, timeout time.Duration) (status int, why string) {
	ctx, cancel := context.WithTimeout(hr.Context(), timeout)
	defer cancel()
	resp, err := s.client.Do(hr.WithContext(ctx))
	if err != nil {
		return 0, transportReason(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20)); err != nil {
		return 0, transportReason(err)
	}
	return resp.StatusCode, ""
}

func transportReason(err error) string {
	var timeout interface{ Timeout() bool }
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		return "no answer in time"
	}
	return "no answer: the connection failed"
}
