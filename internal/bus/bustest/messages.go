package bustest

import (
	"encoding/json"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
)

// Doorbell of an account of the corp ww1.
func Doorbell(t testing.TB, account string) bus.Message {
	t.Helper()
	return own(t, events.CallbackSubject("ww1", account), account, events.TypeCallback, events.Doorbell{Corp: "ww1", OpenKfID: account})
}

func own(t testing.TB, subject, id, typ string, data any) bus.Message {
	t.Helper()
	e, err := events.Own(id, "/test", typ, data)
	if err != nil {
		t.Fatal(err)
	}
	return bus.Message{Subject: subject, Event: e}
}

func message(account, id string, seq uint64) bus.Message {
	in := events.Inbound{Corp: "ww1", OpenKfID: account, ExternalUserID: "wm1", MsgID: id, MsgType: "text", Seq: seq,
		Origin: 3, SendTime: 1700000000, Raw: json.RawMessage(`{"msgid":"` + id + `"}`)}
	return bus.Message{Subject: in.Subject(), Event: in.Event()}
}

func cursor(t testing.TB, account, value string, last uint64) bus.Message {
	t.Helper()
	m := own(t, events.CursorSubject("ww1", account), value, events.TypeCursor, events.Cursor{Cursor: value})
	m.ExpectLast, m.Rollup, m.TTL = &last, true, bus.Forever
	return m
}

// stored counts what KF_MESSAGE holds on a subject.
func stored(t testing.TB, b *bus.Bus, subject string) int {
	t.Helper()
	ctx := Context(t)
	s, err := b.JS.Stream(ctx, events.StreamMessage)
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(subject))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, c := range info.State.Subjects {
		n += int(c)
	}
	return n
}

// waitEmpty waits until a work queue holds nothing: all is acknowledged.
func waitEmpty(t testing.TB, b *bus.Bus, stream string) {
	t.Helper()
	ctx := Context(t)
	Eventually(t, "an empty "+stream, func() bool {
		s, err := b.JS.Stream(ctx, stream)
		return err == nil && s.CachedInfo().State.Msgs == 0
	})
}
