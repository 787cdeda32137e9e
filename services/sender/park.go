package sender

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/services/sender/window"
)

// A command that must wait longer than its lane can bear is put aside: its bytes go into a timer, its place in the order
// of the conversation into the ledger, and the lane goes on. When the timer is due, or what it waits for happens, it is
// decided again, by whichever replica gets it.

// heldPoll is how often a command that waits for something to happen is looked at nevertheless. As a rule it is woken.
const heldPoll = 5 * time.Minute

// parked is a command in a timer.
type parked struct {
	Subject  string      `json:"subject"`
	Seq      uint64      `json:"seq"`
	StoredAt time.Time   `json:"stored_at"`      // by the broker's clock, from which its expiry counts
	Asked    time.Time   `json:"asked,omitzero"` // when it began to wait for a pull
	Turn     time.Time   `json:"turn,omitzero"`  // its team's
	Header   nats.Header `json:"header,omitempty"`
	Again    bool        `json:"again,omitempty"` // it may have been posted before
	Data     []byte      `json:"data,omitempty"`
}

// A command with a file in it stands behind the rest and a line feed, as it came: base64 once more would make it too large.
const (
	asideInline = 128 << 10 // bytes of a command that are base64 in a timer
	asideMargin = 16 << 10  // bytes for all else that stands in a timer
)

func (p parked) encode() ([]byte, error) {
	data := p.Data
	if len(data) > asideInline {
		p.Data = nil
	}
	body, err := json.Marshal(p)
	if err == nil && p.Data == nil {
		body = append(append(body, '\n'), data...)
	}
	return body, err
}

func (p *parked) decode(body []byte) error {
	d := json.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(p); err != nil {
		return err
	}
	if rest := body[d.InputOffset():]; len(rest) > 1 {
		p.Data = rest[1:]
	}
	return nil
}

// roomAside refuses a command of n bytes that no timer could hold, on a broker that takes messages of maxPayload bytes.
func roomAside(n, maxPayload int64, f *file) error {
	if most := maxPayload - asideMargin; n > asideInline && n > most {
		return &kfapi.LimitError{Field: f.field + ".data", Limit: int(most), Got: int(n),
			Why: fmt.Sprintf("makes the command %d bytes long, and this broker leaves room for %d; put the file into an object store", n, most)}
	}
	return nil
}

// timerKey names a command's timer. The msgid alone would not do: a team may use one id in two conversations.
func timerKey(conversation, msgid string) string { return conversation + "." + msgid }

// park puts a command aside for d, or less if it is woken or expires. The timer is armed first: whoever finds the command
// in the ledger can wake it.
func (s *Sender) park(ctx context.Context, j *job, in entry, d time.Duration, act window.Action) (done bool, err error) {
	if act.Held || act.Behind {
		d = heldPoll
	}
	d = min(d, j.cmd.ExpiresAt.Sub(s.now()))
	next, changed := in.Park(j.ask, act.Held, s.clock(in.Ledger, false))
	body, err := parked{Subject: j.src.Subject, Seq: j.src.Seq, StoredAt: j.src.Time, Asked: j.asked, Turn: j.turn, Header: j.src.Header, Again: j.ask.Again, Data: j.src.Data}.encode()
	if err != nil {
		return false, fmt.Errorf("put command aside: %w", err)
	}
	if err := s.arm(ctx, timerKey(j.conversation(), j.ask.MsgID()), d, body); err != nil {
		return false, err
	}
	if changed {
		if _, err := s.store(ctx, j.conversation(), next, in.revision); err != nil {
			return false, err
		}
	} else if e, err := s.bus.Read(ctx, events.BucketLedger, j.conversation()); err != nil || e.Revision != in.revision {
		return false, err // it may have been woken when it had no timer
	}
	s.metrics.holds.WithLabelValues("timer").Inc()
	s.hook("parked")
	return true, nil
}

// arm sets a timer of the broker's, whose clock is a real one whatever ours is.
func (s *Sender) arm(ctx context.Context, key string, d time.Duration, body []byte) error {
	return s.bus.Arm(ctx, bus.ServiceSender, key, time.Now().Add(max(d, 0)), body)
}

// due takes up a command whose timer ran out.
func (s *Sender) due(ctx context.Context, d *bus.Delivery) error {
	var p parked
	if p.decode(d.Data) != nil {
		return bus.Drop("unreadable", errors.New("a timer of the sender holds no command"))
	}
	j, err := s.read(bus.Stored{Subject: p.Subject, Seq: p.Seq, Time: p.StoredAt, Header: p.Header, Data: p.Data})
	if err != nil { // it was valid when it was put aside: by an older or newer version's rules
		return s.refuse(ctx, j, d.Delivered, err)
	}
	j.aside, j.asked, j.turn = true, p.Asked, p.Turn
	j.ask.Again = p.Again || d.Delivered > 1
	return s.deliver(ctx, j)
}

// wake makes the timer of a command due now. One that is not armed is in somebody's hands, who will look at the ledger
// once more before the command is put aside again.
func (s *Sender) wake(ctx context.Context, conversation, msgid string) error {
	key := timerKey(conversation, msgid)
	m, err := s.bus.Last(ctx, events.StreamTimer, events.TimerSubject(bus.ServiceSender, key))
	if err != nil {
		return ignoreNotFound(err)
	}
	return s.arm(ctx, key, 0, m.Data)
}

// release wakes whom the end of a command concerns: the send that a recall cancelled, and the next of the conversation.
func (s *Sender) release(ctx context.Context, j *job, l window.Ledger, o window.Outcome) error {
	if o.Verb == window.Recall && o.Reason == window.ReasonBeforeSend {
		if err := s.wake(ctx, j.conversation(), j.ask.TargetMsgID()); err != nil {
			return err
		}
	}
	return s.wakeNext(ctx, j.conversation(), l)
}

// wakeNext wakes the first of those who wait in a conversation.
func (s *Sender) wakeNext(ctx context.Context, conversation string, l window.Ledger) error {
	if key, ok := l.Next(s.clock(l, false)); ok {
		return s.wake(ctx, conversation, key)
	}
	return nil
}
