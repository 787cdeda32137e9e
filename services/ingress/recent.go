package ingress

import "sync"

// recent remembers the last ciphertexts that rang. The signed text has no separators, so a captured signature may fit another
// timestamp too, and a doorbell that comes in again as a stale one has another name on the bus. This replica then knows it. The
// other replicas do not: there it is one pull more in a minute, at most.
type recent struct {
	mu   sync.Mutex
	ids  map[string]bool
	ring [4096]string
	next int
}

func (r *recent) add(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ids == nil {
		r.ids = map[string]bool{}
	}
	if r.ids[id] {
		return
	}
	delete(r.ids, r.ring[r.next])
	r.ring[r.next], r.ids[id] = id, true
	r.next = (r.next + 1) % len(r.ring)
}

func (r *recent) has(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ids[id]
}
