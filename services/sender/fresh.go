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

const (
	eventEnter   = "enter_session"
	eventSession = "session_status_change"
	eventFail    = "msg_send_fail"

	// horizon is how far back a customer's message, a session or a code can still matter: 48 h, and an hour for clocks.
	horizon = window.Length + time.Hour
	// codeLife is how long a code lives that an event gave: that of a pick-up 48 h, all others 20 s.
	// https://developer.work.weixin.qq.com/document/path/95122
	codeLife = 20 * time.Second
)

// from is where a walk begins: at a sequence, or if that is 0 at a time.
type from struct {
	seq  uint64
	time time.Time
}

// walk hands out what a stream's leader has on a subject, in order, until take wants no more.
func (s *Sender) walk(ctx context.Context, stream, subject string, f from, take func(bus.Stored) (more bool, err error)) error {
	var m bus.Stored
	var err error
	if f.seq > 0 {
		m, err = s.bus.Next(ctx, stream, f.seq, subject)
	} else {
		m, err = s.bus.NextSince(ctx, stream, f.time, subject)
	}
	for err == nil {
		more, err := take(m)
		if err != nil || !more {
			return err
		}
		if m, err = s.bus.Next(ctx, stream, m.Seq+1, subject); err != nil {
			return ignoreNotFound(err)
		}
	}
	return ignoreNotFound(err)
}

func ignoreNotFound(err error) error {
	if errors.Is(err, bus.ErrNotFound) {
		return nil
	}
	return err
}

// of is the subject of a conversation's messages or events in KF_MESSAGE; name may be a wildcard.
func of(who events.Subject, kind events.Kind, name string) string {
	return events.Subject{Kind: kind, Corp: who.Corp, Account: who.Account, Name: name, User: who.User}.String()
}

// freshen applies what the leader of KF_MESSAGE has of a conversation that is newer than the ledger, so that an answer
// cannot overtake the message that allows it.
func (s *Sender) freshen(ctx context.Context, who events.Subject, l window.Ledger) (window.Ledger, error) {
	l, err := s.freshMessages(ctx, of(who, events.KindMessage, "*"), l)
	if err != nil {
		return l, err
	}
	return s.freshSessions(ctx, who, l)
}

// freshSessions does the same with the changes of its session alone.
func (s *Sender) freshSessions(ctx context.Context, who events.Subject, l window.Ledger) (window.Ledger, error) {
	at := from{time: s.now().Add(-horizon)}
	if l.SessionSeq > 0 {
		at = from{seq: l.SessionSeq + 1}
	}
	err := s.walk(ctx, events.StreamMessage, of(who, events.KindEvent, eventSession), at, func(m bus.Stored) (bool, error) {
		if it, ok := item(m); ok {
			l, _ = sessionChanged(l, it, m.Seq)
		}
		return true, nil
	})
	return l, err
}

// freshMessages looks at the newest message first: as a rule it is the customer's, and there is no more to read.
func (s *Sender) freshMessages(ctx context.Context, subject string, l window.Ledger) (window.Ledger, error) {
	last, err := s.bus.Last(ctx, events.StreamMessage, subject)
	switch {
	case err != nil:
		return l, ignoreNotFound(err)
	case last.Seq <= l.CustomerSeq:
		return l, nil
	}
	if it, ok := item(last); ok && it.Origin == kfapi.OriginCustomer {
		l, _ = messageCame(l, it, last.Seq)
		return l, nil
	}
	at := from{time: s.now().Add(-horizon)}
	if l.CustomerSeq > 0 {
		at = from{seq: l.CustomerSeq + 1}
	}
	err = s.walk(ctx, events.StreamMessage, subject, at, func(m bus.Stored) (bool, error) {
		if it, ok := item(m); ok {
			l, _ = messageCame(l, it, m.Seq)
		}
		return true, nil
	})
	return l, err
}

// item reads what WeChat sent out of a stored event.
func item(m bus.Stored) (kfapi.Item, bool) {
	e, err := m.Event()
	if err != nil {
		return kfapi.Item{}, false
	}
	it := kfapi.ParseItem(e.Data())
	return it, it.Err == nil
}

// messageCame applies a message: a customer's opens a window, a servicer's is noted.
func messageCame(l window.Ledger, it kfapi.Item, seq uint64) (window.Ledger, bool) {
	at := time.Unix(it.SendTime, 0)
	switch {
	case it.SendTime <= 0:
		return l, false
	case it.Origin == kfapi.OriginCustomer:
		l, changed := l.CustomerWrote(at, it.MsgID, seq)
		if name := events.Token(it.MsgType); l.CustomerMsgID == it.MsgID && l.CustomerType != name { // it is the newest
			l.CustomerType, changed = name, true
		}
		return l, changed
	case it.Origin == kfapi.OriginServicer:
		return l.AgentWrote(at)
	}
	return l, false
}

// sessionChanged applies a session_status_change.
func sessionChanged(l window.Ledger, it kfapi.Item, seq uint64) (window.Ledger, bool) {
	var c kfapi.SessionStatusChange
	if it.Body(&c) != nil || it.SendTime <= 0 {
		return l, false
	}
	before := l.SessionSeq
	l, changed := l.SessionChanged(c.ChangeType, time.Unix(it.SendTime, 0), seq)
	if l.SessionSeq == seq && before != seq { // it is the newest
		l.Servicer = c.NewServicerUserID
	}
	return l, changed
}

// deadline is when the code of a reply dies, on the platform's clock. The stream has the event that gave it, unless it was
// a transfer of our own; zero means that nobody here knows, and the platform decides.
func (s *Sender) deadline(ctx context.Context, j *job) (time.Time, error) {
	var dies time.Time
	for _, name := range []string{eventEnter, eventSession} {
		err := s.walk(ctx, events.StreamMessage, of(j.subject, events.KindEvent, name), from{time: j.src.Time.Add(-horizon)}, func(m bus.Stored) (bool, error) {
			if it, ok := item(m); ok {
				dies = codeDies(it, j.code)
			}
			return dies.IsZero(), nil
		})
		if err != nil || !dies.IsZero() {
			return dies, err
		}
	}
	return dies, nil
}

// codeDies is when the code of an event dies; zero if the event gave another code or none.
func codeDies(it kfapi.Item, code string) time.Time {
	var e struct {
		WelcomeCode string `json:"welcome_code"`
		MsgCode     string `json:"msg_code"`
		ChangeType  int    `json:"change_type"`
	}
	if it.Body(&e) != nil || it.SendTime <= 0 {
		return time.Time{}
	}
	sent := time.Unix(it.SendTime, 0)
	switch {
	case e.WelcomeCode == code:
		return sent.Add(codeLife)
	case e.MsgCode == code && e.ChangeType == kfapi.SessionPickedUp:
		return sent.Add(window.Length)
	case e.MsgCode == code:
		return sent.Add(codeLife)
	}
	return time.Time{}
}
