package tokenkeeper

import "sync"

// maxAhead is how far ahead of our generation a report's is believed: a week of seconds. Otherwise one report could use up
// all the numbers there are.
const maxAhead = 7 * 24 * 3600

// inbox takes reports from any goroutine, leaves out those that need no attention, and makes one of many.
type inbox struct {
	bell chan struct{} // capacity 1: there is something to take

	mu         sync.Mutex
	hash       string // of the token in hand; "" without one
	generation uint64
	refused    bool   // a caller was refused it
	ahead      uint64 // the latest generation of a reported token that is later than ours
}

// about says which token is in hand now. Reports of the one before need no answer any more.
func (i *inbox) about(hash string, generation uint64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.hash != hash {
		i.refused = false
	}
	i.hash, i.generation = hash, generation
}

// put takes a report of a token. ok is false, and why says so, if it needs no attention. Without a token in hand every report
// counts: it proves that the platform answers.
func (i *inbox) put(hash string, generation uint64) (why suspicion, ok bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case hash == i.hash || i.hash == "":
		if i.refused {
			return suspectRepeated, false
		}
		i.refused = true
	case generation > i.generation && generation-i.generation <= maxAhead:
		i.ahead = max(i.ahead, generation)
	default:
		return suspectStale, false
	}
	select {
	case i.bell <- struct{}{}:
	default:
	}
	return "", true
}

// take empties the inbox. ahead is 0 if nobody reported a token of a later generation than ours.
func (i *inbox) take() (refused bool, ahead uint64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	refused, ahead = i.refused, i.ahead
	i.refused, i.ahead = false, 0
	if ahead <= i.generation {
		ahead = 0
	}
	return refused, ahead
}
