package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
)

// original is the message of a dead letter as it is published again, or why it is not and what to do instead.
func (l letter) original(now time.Time) (m *nats.Msg, why string) {
	subject, err := events.ParseSubject(l.Subject)
	switch {
	case l.Broken != nil:
		return nil, l.Broken.Error()
	case l.Subject == "":
		return nil, "it does not say where it came from"
	case l.Stream == events.StreamMessage || l.Stream == events.StreamOutcome:
		return nil, fmt.Sprintf("%s still has it, at sequence %d, for everybody who reads: published again it would be there twice; "+
			"mend the service, and copy it to whoever missed it with kfbus replay --from-seq %d --limit 1", l.Stream, l.Seq, l.Seq)
	case l.Stream == events.StreamTimer && strings.HasPrefix(l.Subject, "kf.due."):
		return l.whole(l.Subject, "the service arms its timers anew by itself")
	case err != nil:
		return nil, "the subject of the original is none of the contract; " + teamAgain
	case subject.Kind == events.KindCallback:
		return l.doorbell(subject)
	case subject.Kind == events.KindCommand:
		return l.command(subject, now)
	case l.Stream == "":
		return l.unstored(subject)
	}
	return nil, "nothing is known of redriving what came from " + l.Stream
}

const (
	teamAgain = "its team must mend it and publish it again"
	itemAgain = "WeChat has it for 3 days: kfbus api sync_msg reads it there"
)

// whole is the message, if all of it was kept.
func (l letter) whole(subject, instead string) (*nats.Msg, string) {
	switch {
	case l.Cut:
		return nil, fmt.Sprintf("only the first %d bytes of the original are kept; %s", len(l.Payload), instead)
	case len(l.Payload) == 0:
		return nil, "it holds no body; " + instead
	}
	h := bus.Portable(l.Header)
	h[jetstream.MsgIDHeader] = []string{"redrive:" + l.ID} // the first id may still be remembered, and would swallow it
	h[events.HeaderRedrive] = []string{strconv.FormatUint(l.DeadSeq, 10)}
	return &nats.Msg{Subject: subject, Header: h, Data: l.Payload}, ""
}

// doorbell: a pull too many does no harm.
func (l letter) doorbell(subject events.Subject) (*nats.Msg, string) {
	const instead = "the sweep pulls the account within a minute anyway"
	m, why := l.whole(subject.String(), instead)
	if why != "" {
		return nil, why
	}
	var d events.Doorbell
	if e, err := bus.Decode(m.Header, m.Data); err != nil || e.DataAs(&d) != nil {
		return nil, "it is no doorbell that this version can read; " + instead
	}
	return m, ""
}

// command: its own rules hold as if it had just been stored for the first time. What is too late now was meant for then.
func (l letter) command(subject events.Subject, now time.Time) (*nats.Msg, string) {
	m, why := l.whole(subject.String(), "its team must publish it again")
	if why != "" {
		return nil, why
	}
	if id := l.Header[jetstream.MsgIDHeader]; len(id) > 0 {
		m.Header[jetstream.MsgIDHeader] = id // of a bare command it is the command id, which the ledger knows longer than any command waits
	} else {
		m.Header.Del(jetstream.MsgIDHeader)
	}
	var cmd events.Command
	e, err := bus.Decode(m.Header, m.Data)
	switch {
	case err == nil:
		cmd, err = events.CommandFromEvent(subject, e, l.At)
	case errors.Is(err, bus.ErrBare):
		cmd, err = events.CommandFromJSON(subject, m.Header.Get(jetstream.MsgIDHeader), m.Data, l.At)
	}
	switch {
	case err != nil:
		return nil, "it would be refused again (" + err.Error() + "); " + teamAgain
	case !now.Before(cmd.ExpiresAt):
		return nil, fmt.Sprintf("it expired at %s; if it still should be sent, its team must publish it again", cmd.ExpiresAt.UTC().Format(time.RFC3339))
	}
	return m, ""
}

// unstored is what no stream ever had: an event can go where it was to go, under its own id, if it is one.
func (l letter) unstored(subject events.Subject) (*nats.Msg, string) {
	instead := itemAgain
	if subject.Kind == events.KindApp {
		instead = "WeChat does not send a callback again"
	}
	m, why := l.whole(subject.String(), instead)
	if why != "" {
		return nil, why
	}
	if _, err := bus.Decode(m.Header, m.Data); err != nil {
		return nil, "it holds the item and no event, as it could not be made one; " + instead
	}
	if id := l.Header[jetstream.MsgIDHeader]; len(id) > 0 {
		m.Header[jetstream.MsgIDHeader] = id // should it have been stored after all, the stream knows it
	}
	return m, ""
}
