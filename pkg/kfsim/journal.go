package kfsim

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"sync"
)

// journal is an append-only list that can be followed. It grows until Reset: about half a kilobyte
// an entry and three entries a customer message.
type journal struct {
	clock *Clock

	mu      sync.Mutex
	entries []Entry
	first   uint64        // Seq of entries[0]
	grown   chan struct{} // closed at the next append
}

func newJournal(c *Clock) *journal {
	return &journal{clock: c, first: 1, grown: make(chan struct{})}
}

func (j *journal) add(e Entry) Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.addLocked(e)
}

func (j *journal) addLocked(e Entry) Entry {
	e.Seq = j.first + uint64(len(j.entries))
	if e.Time.IsZero() {
		e.Time = j.clock.Now()
	}
	j.entries = append(j.entries, e)
	close(j.grown)
	j.grown = make(chan struct{})
	return e
}

// reset forgets all entries; sequence numbers go on, so that followers notice nothing but the gap.
func (j *journal) reset() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.first += uint64(len(j.entries))
	j.entries = nil
	j.addLocked(Entry{Kind: KindReset})
}

// since returns the entries from seq on, and a channel that is closed when there are more.
func (j *journal) since(seq uint64) ([]Entry, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	skip := min(max(seq, j.first)-j.first, uint64(len(j.entries)))
	return j.entries[skip:len(j.entries):len(j.entries)], j.grown
}

// Journal returns all entries since the start or the last Reset, in order. Entries are never
// changed once written; the slice is the caller's.
func (s *Sim) Journal() []Entry {
	all, _ := s.journal.since(0)
	return append([]Entry(nil), all...)
}

// WriteJournal writes all entries as JSON lines.
func (s *Sim) WriteJournal(w io.Writer) error {
	all, _ := s.journal.since(0)
	enc := json.NewEncoder(w)
	for _, e := range all {
		if err := enc.Encode(e); err != nil {
			return err
		}
	}
	return nil
}

// Follow yields every entry with Seq >= from, those there already and those to come, until ctx
// ends or the loop is left. It never skips an entry, except those that a Reset has deleted.
func (s *Sim) Follow(ctx context.Context, from uint64) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for {
			batch, grown := s.journal.since(from)
			for _, e := range batch {
				if ctx.Err() != nil || !yield(e) {
					return
				}
				from = e.Seq + 1
			}
			if len(batch) > 0 {
				continue
			}
			select {
			case <-ctx.Done():
				return
			case <-grown:
			}
		}
	}
}
