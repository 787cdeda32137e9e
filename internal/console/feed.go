package console

import (
	"cmp"
	"encoding/json"
	"slices"
	"sync"
)

// How many steps a page that is opened later can still see. Quiet ones, such as
// the empty page of each minute's sweep, must not push the others out.
const (
	maxSteps = 500
	maxQuiet = 100
)

// note is one server-sent event.
type note struct {
	seq   uint64
	name  string
	data  []byte // one line of JSON
	quiet bool
}

// feed is what readers follow: the newest steps, and for each thing that has only
// a present (a phone, a conversation) its last event. All share one sequence, so
// that one number says how far a reader has come. Writers never wait for readers.
type feed struct {
	mu     sync.Mutex
	seq    uint64
	steps  []note // oldest first
	quiet  int    // how many of steps are
	gone   uint64 // the newest step that is not quiet and was dropped
	latest map[string]note
	grown  chan struct{} // closed at the next event
	closed bool
}

func newFeed() *feed {
	return &feed{latest: map[string]note{}, grown: make(chan struct{})}
}

// add appends a step.
func (f *feed) add(quiet bool, data []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.steps = append(f.steps, note{f.next(), "step", data, quiet})
	if quiet {
		f.quiet++
	}
	f.trim()
}

// set replaces the last event of key.
func (f *feed) set(key, name string, data []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.latest[key] = note{seq: f.next(), name: name, data: data}
}

// next takes a sequence number and wakes the readers, who wait for the lock.
func (f *feed) next() uint64 {
	if !f.closed {
		close(f.grown)
		f.grown = make(chan struct{})
	}
	f.seq++
	return f.seq
}

func (f *feed) trim() {
	var at int
	switch {
	case f.quiet > maxQuiet:
		at = slices.IndexFunc(f.steps, func(e note) bool { return e.quiet })
	case len(f.steps) > maxSteps: // the oldest
	default:
		return
	}
	if e := f.steps[at]; e.quiet {
		f.quiet--
	} else {
		f.gone = e.seq
	}
	f.steps = slices.Delete(f.steps, at, at+1)
}

// since returns the events after a sequence number, in order, and a channel that
// is closed when there are more. whole is false when steps between are gone, or
// when there never was such a number.
func (f *feed) since(after uint64) (list []note, whole bool, grown <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	from, _ := slices.BinarySearchFunc(f.steps, after+1, func(e note, seq uint64) int {
		return cmp.Compare(e.seq, seq)
	})
	list = slices.Clone(f.steps[from:])
	for _, e := range f.latest {
		if e.seq > after {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b note) int { return cmp.Compare(a.seq, b.seq) })
	return list, after >= f.gone && after <= f.seq, f.grown
}

// close wakes the readers for the last time.
func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.closed = true
		close(f.grown)
	}
}

func (f *feed) isClosed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closed
}

// oneLine encodes what this package or the simulator built.
func oneLine(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
