package kfsim

import (
	"sync/atomic"
	"time"
)

// Clock is the platform's clock: Config.Now plus an offset that only Advance and Set change.
// Nothing waits on it. Everything that lives for a while (tokens, windows, codes, history) is
// measured against it at the moment somebody asks, so a jump of 49 hours costs nothing.
// All methods may be called from any goroutine.
type Clock struct {
	base   func() time.Time
	offset atomic.Int64
	moved  func(offset time.Duration)
}

func newClock(base func() time.Time) *Clock { return &Clock{base: base} }

// Now is the platform's time, in UTC.
func (c *Clock) Now() time.Time {
	return c.base().Add(time.Duration(c.offset.Load())).UTC()
}

// Offset is how far Now is ahead of Config.Now; negative when behind.
func (c *Clock) Offset() time.Duration { return time.Duration(c.offset.Load()) }

// Advance moves the clock by d, which may be negative, and returns the new time.
func (c *Clock) Advance(d time.Duration) time.Time {
	off := c.offset.Add(int64(d))
	if c.moved != nil {
		c.moved(time.Duration(off))
	}
	return c.Now()
}

// Set moves the clock so that Now is t at this moment; from there it runs with Config.Now.
func (c *Clock) Set(t time.Time) time.Time { return c.Advance(t.Sub(c.Now())) }
