package kfsim

import (
	"fmt"
	"math"
	"sync"
	"time"
)

// maxSpeed is a day in less than a second.
const maxSpeed = 100_000

// Clock is the platform's clock. It runs with Config.Now, at a speed of its own, and can jump.
// Nothing waits on it. Everything that lives for a while (tokens, windows, codes, history) is
// measured against it at the moment somebody asks, so a jump of 49 hours costs nothing.
// All methods may be called from any goroutine.
type Clock struct {
	base  func() time.Time
	moved func(how string) // after every change

	mu    sync.Mutex
	from  time.Time // base's time of the last change
	at    time.Time // and this clock's
	speed float64   // how fast it has run since
}

func newClock(base func() time.Time) *Clock {
	c := &Clock{base: base}
	c.reset()
	return c
}

// reset lets the clock show Config.Now again, at speed 1.
func (c *Clock) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.from = c.base()
	c.at, c.speed = c.from, 1
}

// Now is the platform's time, in UTC.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nowAt(c.base()).UTC()
}

// nowAt keeps the monotonic reading, which UTC would strip: an offset stays exact to the nanosecond.
func (c *Clock) nowAt(base time.Time) time.Time {
	d := base.Sub(c.from)
	if c.speed != 1 {
		d = time.Duration(float64(d) * c.speed)
	}
	return c.at.Add(d)
}

// Offset is how far Now is ahead of Config.Now; negative when behind.
func (c *Clock) Offset() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	base := c.base()
	return c.nowAt(base).Sub(base)
}

// Speed is how many seconds pass on this clock in one of Config.Now; 1 at first.
func (c *Clock) Speed() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.speed
}

// Advance moves the clock by d, which may be negative, and returns the new time.
func (c *Clock) Advance(d time.Duration) time.Time {
	now := c.change(func() { c.at = c.at.Add(d) })
	c.tell("offset is now " + c.Offset().String())
	return now
}

// Set moves the clock so that Now is t at this moment; from there it runs on at its speed.
func (c *Clock) Set(t time.Time) time.Time {
	now := c.change(func() { c.at = t })
	c.tell("offset is now " + c.Offset().String())
	return now
}

// SetSpeed lets the clock run n times as fast as Config.Now from this moment on; 0 lets it stand, 1 is
// the default. Waits that pass by Config.Wait (latency, pauses between callback attempts, load) do not
// change. n is between 0 and 100000.
func (c *Clock) SetSpeed(n float64) error {
	if err := checkSpeed(n); err != nil {
		return err
	}
	c.change(func() { c.speed = n })
	c.tell(fmt.Sprintf("speed is now %g", n))
	return nil
}

func checkSpeed(n float64) error {
	if math.IsNaN(n) || n < 0 || n > maxSpeed {
		return fmt.Errorf("clock speed %g is not between 0 and %d; 1 is real time, 60 a minute a second, 0 stands still", n, maxSpeed)
	}
	return nil
}

// change brings the clock up to date, changes it, and returns its time then.
func (c *Clock) change(do func()) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	base := c.base()
	c.at, c.from = c.nowAt(base), base
	do()
	return c.at.UTC()
}

func (c *Clock) tell(how string) {
	if c.moved != nil {
		c.moved(how)
	}
}
