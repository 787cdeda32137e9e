package kfsim

import "context"

// quiet is how Settle learns that there is less to wait for.
type quiet struct {
	late    int           // effects still to come
	waiters chan struct{} // closed when a callback or a late effect is over; nil while nobody waits
}

// less wakes Settle. The caller holds Sim.mu.
func (q *quiet) less() {
	if q.waiters != nil {
		close(q.waiters)
		q.waiters = nil
	}
}

// Settle returns once no callback waits or is on its way and no late effect is to come, or with the
// error when ctx ends. With one client that settles before each step, one callback worker and an
// injected clock, a seed makes the same journal again, byte for byte. Callbacks go out only while Run
// runs.
func (s *Sim) Settle(ctx context.Context) error {
	for {
		s.mu.Lock()
		if len(s.st.callbacks)+s.st.delivering+s.quiet.late == 0 {
			s.mu.Unlock()
			return nil
		}
		if s.quiet.waiters == nil {
			s.quiet.waiters = make(chan struct{})
		}
		over := s.quiet.waiters
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-over:
		}
	}
}
