package syncer

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

// A cursor that is lost, unreadable or refused means that the platform's three days are pulled again. What KF_MESSAGE
// holds of the account is left out then; what is not there is published, and flagged where it may have been there once.

const (
	// readbackAge is how far back the stream is read, from the account's newest message on: the platform's three days,
	// and one for what was stored late.
	readbackAge = 96 * time.Hour

	clockMargin = time.Minute // between the platform's send_time and the broker's clock
)

// readback is what the stream holds of an account from before its cursor was lost. An item takes 16 bytes of it.
type readback struct {
	upto   uint64 // as of [events.Reset]
	seed   maphash.Seed
	stored []imprint // sorted when all are there

	items       uint64 // with a kfseq
	first, last uint64 // kfseq
	newest      int64  // send_time, Unix seconds
	floor       int64  // nothing that was stored later is missing, Unix seconds
}

// imprint is what is kept of a stored item: an item is left out only if both are its own, which by accident has a chance of
// one in 2^128 for each that is stored.
type imprint struct{ id, data uint64 } // hashes, with a seed that nobody knows

func (p imprint) compare(q imprint) int {
	return cmp.Or(cmp.Compare(p.id, q.id), cmp.Compare(p.data, q.data))
}

func newReadback(upto uint64) *readback { return &readback{upto: upto, seed: maphash.MakeSeed()} }

func (r *readback) imprint(id string, data []byte) imprint {
	return imprint{maphash.String(r.seed, id), maphash.Bytes(r.seed, data)}
}

func (r *readback) sort() { slices.SortFunc(r.stored, imprint.compare) }

// find says whether an id is stored, and whether with these bytes.
func (r *readback) find(p imprint) (known, same bool) {
	i, same := slices.BinarySearchFunc(r.stored, p, imprint.compare)
	known = same || i < len(r.stored) && r.stored[i].id == p.id || i > 0 && r.stored[i-1].id == p.id
	return known, same
}

// add takes in one stored message. Events of our own have no kfseq and do not count.
func (r *readback) add(s bus.Stored) error {
	e, err := s.Event()
	if err != nil {
		return nil // nothing that we stored
	}
	seq := seqOf(e)
	if seq == 0 {
		return nil
	}
	r.stored = append(r.stored, r.imprint(e.ID(), e.Data()))
	r.items++
	if r.first == 0 {
		r.first = seq
	}
	r.last = max(r.last, seq)
	if !e.Time().IsZero() {
		r.newest = max(r.newest, e.Time().Unix())
	}
	return nil
}

// provenNew says whether an item that is not in the stream cannot have been there: it was sent after all that was stored,
// or nothing is missing of what was stored since it was sent. A gap in kfseq is a message that was deleted, or a dead letter.
func (r *readback) provenNew(sent int64, before events.Reset) bool {
	if sent > max(before.Newest, r.newest) {
		return true
	}
	whole := max(before.Seq, r.last) == 0 || r.items > 0 && max(before.Seq, r.last)-r.first+1 == r.items
	return whole && (r.first <= 1 || sent > r.floor)
}

// leaveOut returns the items of a page that are to be published, and of each of them whether it may have been before.
func (r *readback) leaveOut(before events.Reset, items []kfapi.Item) (rest []kfapi.Item, replay []bool) {
	sent := int64(0)
	for _, it := range items {
		if it.SendTime > 0 {
			sent = it.SendTime
		}
		known, same := r.find(r.imprint(events.Inbound{MsgID: it.MsgID, Raw: it.Raw}.ID(), it.Raw))
		if same {
			continue
		}
		rest = append(rest, it)
		replay = append(replay, known || !r.provenNew(sent, before))
	}
	return rest, replay
}

// ofAccount matches everything that is stored of an account but its cursor.
func ofAccount(corp, openKfID string) []string {
	var out []string
	for _, k := range []events.Kind{events.KindMessage, events.KindEvent, events.KindHistory} {
		out = append(out, "kf."+string(k)+"."+events.Token(corp)+"."+events.Token(openKfID)+".>")
	}
	return out
}

// begin is where an account goes on that has no cursor, or none that can be used: a cold start, or a reset.
func (s *Syncer) begin(ctx context.Context, b bell, why string, revision uint64) (place, error) {
	p := place{revision: revision}
	start := coldStart(b.Doorbell, b.stored, s.accounts.since())
	newest, err := s.newest(ctx, b.OpenKfID)
	if errors.Is(err, bus.ErrNotFound) {
		p.ColdStart = start
		return p, nil
	}
	if err != nil {
		return p, err
	}
	if at, err := newest.Published(); err == nil && at.Kind == events.KindHistory {
		p.ColdStart = start // it was lost before the account's past was all there
	}
	p.PulledAt = pulledBy(newest)
	p.Reset = &events.Reset{Why: why, Since: newest.Time.Add(-readbackAge).UTC(), Upto: newest.Seq}
	return p, nil
}

// reset goes on from the cursor before the one that the platform refused, and at last from the oldest of three days.
func (t *turn) reset(ctx context.Context) error {
	p, err := t.s.begin(ctx, t.bell, events.ResetRefused, t.at.revision)
	if err != nil {
		return err
	}
	c := t.at.Cursor
	if c.Reset == nil {
		c.ResetFrom = c.Cursor
	}
	c.Reset = p.Reset
	if c.Reset == nil { // nothing is there any more
		c.Reset = &events.Reset{Why: events.ResetRefused}
	}
	c.Reset.Seq, c.Reset.Newest = c.Seq, c.Newest
	c.Cursor = ""
	if len(c.Previous) > 0 {
		c.Cursor, c.Previous = c.Previous[0], c.Previous[1:]
	}
	t.at.Cursor, t.known = c, nil
	return nil
}

// leaveOut takes out of a page what was stored before the reset, and says of the rest whether it may have been.
func (t *turn) leaveOut(ctx context.Context, items []kfapi.Item) (rest []kfapi.Item, replay []bool, err error) {
	if t.known == nil {
		if err := t.recall(ctx); err != nil {
			return nil, nil, err
		}
	}
	rest, replay = t.known.leaveOut(*t.at.Reset, items)
	count := t.s.metrics.readback
	count.WithLabelValues("left_out").Add(float64(len(items) - len(rest)))
	for _, r := range replay {
		if r {
			count.WithLabelValues("replay").Inc()
		} else {
			count.WithLabelValues("new").Inc()
		}
	}
	return rest, replay, nil
}

// recall reads what was stored before the reset, unless this replica still knows.
func (t *turn) recall(ctx context.Context) error {
	s, reset := t.s, t.at.Reset
	if t.known = s.readbacks.get(t.bell.OpenKfID, reset.Upto); t.known == nil {
		began := s.now()
		r, err := s.read(ctx, t.bell.OpenKfID, *reset)
		if err != nil {
			return err
		}
		t.known = r
		s.metrics.resets.WithLabelValues(reset.Why).Inc()
		t.log.Error().Str("reason", reset.Why).Time("since", reset.Since).Uint64("upto", reset.Upto).Int("stored", len(r.stored)).Dur("took", s.now().Sub(began)).
			Msg("the cursor is of no use: pulling three days again and leaving out what is stored")
	}
	t.at.Seq, t.at.Newest = max(t.at.Seq, t.known.last), max(t.at.Newest, t.known.newest)
	return nil
}

// read reads an account back.
func (s *Syncer) read(ctx context.Context, openKfID string, reset events.Reset) (*readback, error) {
	r := newReadback(reset.Upto)
	if reset.Upto == 0 {
		return r, nil
	}
	stream, err := s.bus.JS.Stream(ctx, events.StreamMessage)
	if err != nil {
		return nil, bus.Classify(err)
	}
	subjects := ofAccount(s.corp, openKfID)
	if err := s.bus.Scan(ctx, events.StreamMessage, subjects, reset.Since, reset.Upto, r.add); err != nil {
		return nil, err
	}
	floor := reset.Since
	if r.items == 0 { // nothing but events of our own: where kfseq goes on stands further back
		if err := s.bus.Scan(ctx, events.StreamMessage, subjects, time.Time{}, reset.Upto, r.add); err != nil {
			return nil, err
		}
	}
	if first := stream.CachedInfo().State.FirstTime; first.After(floor) {
		floor = first
	}
	r.sort()
	r.floor = floor.Add(clockMargin).Unix()
	return r, nil
}

// readbacks keep what was read back between two turns of an account. They are of a few accounts only: more are read again.
type readbacks struct {
	mu  sync.Mutex
	all map[string]*readback // by open_kfid
}

const mostReadbacks = 4

func (k *readbacks) get(openKfID string, upto uint64) *readback {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r := k.all[openKfID]; r != nil && r.upto == upto {
		return r
	}
	return nil
}

// keep remembers what was read back while the account's cursor is reset, and then forgets it.
func (k *readbacks) keep(openKfID string, c events.Cursor, r *readback) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.all, openKfID)
	if c.Reset == nil {
		return
	}
	for other := range k.all {
		if len(k.all) < mostReadbacks {
			break
		}
		delete(k.all, other)
	}
	k.all[openKfID] = r
}
