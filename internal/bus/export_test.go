package bus

import "time"

// ThinkSlow makes g believe, for a while, that a message by itself takes very long: so it makes a batch of any sixteen.
func (g *Group) ThinkSlow() {
	for _, l := range g.lines {
		l.mu.Lock()
		for range l.single.took {
			l.single.add(time.Hour, 1)
		}
		l.until = time.Time{}
		l.mu.Unlock()
	}
}

// Batches returns how many were tried, and Idle whether nobody waits and nothing is under way.
func (g *Group) Batches() (n int) {
	for _, l := range g.lines {
		l.mu.Lock()
		n += l.count
		l.mu.Unlock()
	}
	return n
}

func (g *Group) Idle() bool {
	idle := true
	for _, l := range g.lines {
		l.mu.Lock()
		idle = idle && !l.busy && l.alone == 0 && len(l.queue) == 0
		l.mu.Unlock()
	}
	return idle
}
