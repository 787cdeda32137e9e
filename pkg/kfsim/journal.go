package kfsim

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"slices"
	"sync"
)

// chunk is how many entries are kept, and forgotten, together.
const chunk = 512

// journal is an append-only list that can be followed. It grows by about half a kilobyte an entry and
// three entries a customer message, until Reset or up to its limit.
type journal struct {
	clock *Clock
	limit int // keep at least this many; 0 means all

	mu     sync.Mutex
	chunks [][]Entry     // all but the last are full
	first  uint64        // Seq of the first entry that is kept
	next   uint64        // Seq of the entry to come
	grown  chan struct{} // closed at the next append; nil while nobody waits
}

func newJournal(c *Clock, limit int) *journal {
	return &journal{clock: c, limit: limit, first: 1, next: 1}
}

func (j *journal) add(e Entry) Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.addLocked(e)
}

func (j *journal) addLocked(e Entry) Entry {
	e.Seq = j.next
	j.next++
	if e.Time.IsZero() {
		e.Time = j.clock.Now()
	}
	last := len(j.chunks) - 1
	if last < 0 || len(j.chunks[last]) == chunk {
		j.chunks = append(j.chunks, make([]Entry, 0, chunk))
		last++
	}
	j.chunks[last] = append(j.chunks[last], e)
	if j.limit > 0 && j.next-j.first >= uint64(j.limit+chunk) {
		j.chunks[0] = nil
		j.chunks, j.first = j.chunks[1:], j.first+chunk
	}
	if j.grown != nil {
		close(j.grown)
		j.grown = nil
	}
	return e
}

// reset forgets all entries; sequence numbers go on, so that followers notice nothing but the gap.
func (j *journal) reset() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.first, j.chunks = j.next, nil
	j.addLocked(Entry{Kind: KindReset})
}

// since returns the entries that are kept from seq on, in pieces, and a channel that is closed when
// there are more.
func (j *journal) since(seq uint64) (pieces [][]Entry, grown <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.grown == nil {
		j.grown = make(chan struct{})
	}
	skip := min(max(seq, j.first), j.next) - j.first
	for _, c := range j.chunks[skip/chunk:] {
		from := skip % chunk
		skip = 0
		if int(from) < len(c) {
			pieces = append(pieces, c[from:len(c):len(c)])
		}
	}
	return pieces, j.grown
}

// Journal returns all entries since the start or the last Reset, in order, or the latest of them: see
// Config.JournalLimit. Entries are never changed once written; the slice is the caller's.
func (s *Sim) Journal() []Entry {
	all, _ := s.journal.since(0)
	return slices.Concat(all...)
}

// WriteJournal writes the entries that Journal returns as JSON lines.
func (s *Sim) WriteJournal(w io.Writer) error {
	all, _ := s.journal.since(0)
	enc := json.NewEncoder(w)
	for _, piece := range all {
		for _, e := range piece {
			if err := enc.Encode(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// Follow yields every entry with Seq >= from, those there already and those to come, until ctx
// ends or the loop is left. It never skips an entry, except those that a Reset has deleted or a limit
// has pushed out before the loop came to them: then Seq jumps.
func (s *Sim) Follow(ctx context.Context, from uint64) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for {
			all, grown := s.journal.since(from)
			for _, piece := range all {
				for _, e := range piece {
					if ctx.Err() != nil || !yield(e) {
						return
					}
					from = e.Seq + 1
				}
			}
			if len(all) > 0 {
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
