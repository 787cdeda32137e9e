package kfsim

import (
	"context"
	"net/http"
	"time"
)

// Config starts a simulator. The zero value works: seed 0, the real clock, the reference personality.
type Config struct {
	// Seed decides every id, token and code, and every throw of the dice in faults and reordering.
	Seed uint64
	// Now is the clock under the virtual clock; nil means time.Now. With one of the caller's, steps of a
	// script are due at calls and moves of Clock only, so that a run can be repeated exactly.
	Now func() time.Time
	// Wait is how latency, pauses between callback attempts and late effects pass time: real time,
	// not the virtual clock. It returns early, with the error, when ctx ends. nil means a timer.
	Wait func(ctx context.Context, d time.Duration) error
	// Transport carries the callbacks; nil means an own http.Transport.
	Transport http.RoundTripper
	// CallbackWorkers is how many callbacks are under way at once; 0 means 8. With 1 they go out one
	// after the other in the order of their causes, as long as none is delayed.
	CallbackWorkers int
	// Personality answers what the platform's pages leave open. See Personality.
	Personality Personality
	// Callbacks disturbs the callbacks from the start. See CallbackSwitches.
	Callbacks CallbackSwitches
	// Script is played from the start, and again after each Reset. Its first steps come with the first
	// call, move of the clock, or Run; corps are made before. See ParseScript.
	Script Script
	// JournalLimit is how many of the latest journal entries are kept, and up to 511 more; 0 means all,
	// about 0.5 KB each. With a limit the journal is no oracle of a whole run any more: Journal,
	// WriteJournal and a Follow that starts late or falls behind begin at the first entry that is kept.
	// Follow from the start, or `kfbus sim --journal FILE`, to have all without keeping them in memory.
	// Messages, conversations and what Accepted returns are kept either way.
	JournalLimit int
}

func (c Config) withDefaults() Config {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Wait == nil {
		c.Wait = waitTimer
	}
	if c.CallbackWorkers <= 0 {
		c.CallbackWorkers = 8
	}
	if c.Transport == nil {
		c.Transport = &http.Transport{MaxIdleConnsPerHost: c.CallbackWorkers, IdleConnTimeout: 30 * time.Second}
	}
	return c
}

func waitTimer(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
