package syncer

import (
	"bytes"
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
)

type row struct {
	subject, id, seq string
	history, replay  bool
	data             []byte
	trace            string
}

func (w *world) stored(account string) []row {
	w.Helper()
	var filters []string
	for _, k := range []string{"message", "event", "history"} {
		filters = append(filters, "kf."+k+"."+events.Token(w.corp.CorpID)+"."+events.Token(account)+".>")
	}
	c, err := w.bus.JS.OrderedConsumer(w.ctx(), events.StreamMessage, jetstream.OrderedConsumerConfig{FilterSubjects: filters, DeliverPolicy: jetstream.DeliverAllPolicy})
	w.must(err)
	info, err := c.Info(w.ctx())
	w.must(err)
	var rows []row
	for left := int(info.NumPending); left > 0; {
		batch, err := c.Fetch(min(left, 500), jetstream.FetchMaxWait(testkit.Patience))
		w.must(err)
		for m := range batch.Messages() {
			e, err := bus.Decode(m.Headers(), m.Data())
			w.must(err)
			x := e.Extensions()
			seq, _ := x[events.ExtSeq].(string)
			trace, _ := x[events.ExtTraceParent].(string)
			rows = append(rows, row{m.Subject(), e.ID(), seq, x[events.ExtHistory] == "true", x[events.ExtReplay] == "true", e.Data(), trace})
			left--
		}
		w.must(batch.Error())
	}
	return rows
}

func (w *world) wantAll(account string) []row {
	w.Helper()
	rows, items := w.stored(account), w.sim.Items(account)
	times := map[string]int{}
	for _, r := range rows {
		times[string(r.data)]++
	}
	lost, twice, disorder := 0, 0, 0
	for _, it := range items {
		switch times[string(it.Raw)] {
		case 0:
			lost++
		case 1:
		default:
			twice++
		}
	}
	last := ""
	for i, r := range rows {
		if r.seq <= last || i < len(items) && len(rows) == len(items) && !bytes.Equal(r.data, items[i].Raw) {
			disorder++
		}
		last = r.seq
	}
	w.Logf("%s: served %d, stored %d, lost %d, doubled %d, out of order %d, pulls %d", account, len(items), len(rows), lost, twice, disorder, w.sim.Calls("kf/sync_msg"))
	if len(rows) != len(items) || lost+twice+disorder > 0 {
		w.Errorf("%s: want %d stored, none lost, doubled or out of order", account, len(items))
	}
	return rows
}

func (w *world) wait(accounts ...string) {
	w.Helper()
	testkit.Eventually(w, "all items and no doorbell", func() bool {
		for _, a := range accounts {
			if w.cursor(a).Seq < uint64(len(w.sim.Items(a))) {
				return false
			}
		}
		return w.sim.PendingCallbacks() == 0 && w.doorbells() == 0
	})
}

func (w *world) cursor(account string) events.Cursor {
	w.Helper()
	var c events.Cursor
	s, err := w.bus.Last(w.ctx(), events.StreamMessage, events.CursorSubject(w.corp.CorpID, account))
	if err != nil {
		return c // not there, or the broker is away
	}
	if e, err := s.Event(); err != nil || e.DataAs(&c) != nil {
		return events.Cursor{} // a test spoiled it
	}
	return c
}

func (w *world) doorbells() int {
	s, err := w.bus.JS.Stream(w.ctx(), events.StreamCallback)
	if err != nil {
		return -1
	}
	return int(s.CachedInfo().State.Msgs)
}

func (w *world) dead(reason string) []events.Dead {
	w.Helper()
	var out []events.Dead
	for from := uint64(1); ; {
		s, err := w.bus.Next(w.ctx(), events.StreamDead, from, events.DeadSubject(bus.ServiceSyncer, reason))
		if errors.Is(err, bus.ErrNotFound) {
			return out
		}
		w.must(err)
		e, err := s.Event()
		w.must(err)
		var d events.Dead
		w.must(e.DataAs(&d))
		out = append(out, d)
		from = s.Seq + 1
	}
}
