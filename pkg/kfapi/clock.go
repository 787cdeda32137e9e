package kfapi

import (
	"slices"
	"sync"
	"time"
)

const (
	clockSamples = 9
	clockJump    = 30 * time.Second
)

// serverClock estimates how far the platform's clock is ahead of ours.
type serverClock struct {
	mu      sync.Mutex
	offsets []time.Duration // the last clockSamples, oldest first
	suspect *time.Duration  // one sample far off the median: noise, unless the next one is far off too
}

// ServerOffset says how far the platform's clock is ahead of Config.Now: the platform's time is Now plus offset. It is
// the median over the last 9 answers of Date header minus the middle of the call, good to about half a second plus half
// a round trip. Two answers in a row that are more than 30 s off the median are believed, and the history starts anew
// with them. ok is false until one answer has been seen.
func (c *Client) ServerOffset() (offset time.Duration, ok bool) {
	c.clock.mu.Lock()
	defer c.clock.mu.Unlock()
	if len(c.clock.offsets) == 0 {
		return 0, false
	}
	return median(c.clock.offsets), true
}

// observe takes the Date of an answer whose request ran from start to end on our clock.
func (s *serverClock) observe(date, start, end time.Time) {
	if end.Before(start) {
		return // our clock was set back meanwhile
	}
	// Date is cut to the second, so the truth lies half a second later on average.
	s.add(date.Add(500 * time.Millisecond).Sub(start.Add(end.Sub(start) / 2)))
}

func (s *serverClock) add(offset time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.offsets) > 0 && (offset-median(s.offsets)).Abs() > clockJump {
		if s.suspect == nil {
			s.suspect = &offset
			return
		}
		s.offsets = append(s.offsets[:0], *s.suspect)
	}
	s.suspect = nil
	s.offsets = append(s.offsets, offset)
	if len(s.offsets) > clockSamples {
		s.offsets = slices.Delete(s.offsets, 0, 1)
	}
}

func median(v []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(v))
	n := len(sorted)
	return sorted[(n-1)/2] + (sorted[n/2]-sorted[(n-1)/2])/2
}
