package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// cleanupTimeout is for all cleanups together. Lame duck 5 s + stop 25 s + cleanups 5 s + admin server 1 s = 36 s fit
// the 40 s that Kubernetes is told to wait.
const cleanupTimeout = 5 * time.Second

type cleanup struct {
	name string
	run  func(context.Context) error
}

// cleanups are run once, last first.
type cleanups struct {
	mu   sync.Mutex
	list []cleanup
}

func (c *cleanups) add(name string, run func(context.Context) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, cleanup{name, run})
}

// run calls all, one after another. When ctx ends, the one that hangs is left behind and those after it are not begun.
// Each that fails is logged and is in the error.
func (c *cleanups) run(ctx context.Context, log zerolog.Logger) error {
	c.mu.Lock()
	list := slices.Clone(c.list)
	c.list = nil
	c.mu.Unlock()
	var errs []error
	for _, cl := range slices.Backward(list) {
		if err := cl.within(ctx); err != nil {
			log.Error().Err(err).Str("cleanup", cl.name).Msg("cleanup failed")
			errs = append(errs, fmt.Errorf("cleanup %s: %w", cl.name, err))
		}
	}
	return errors.Join(errs...)
}

func (c cleanup) within(ctx context.Context) error {
	if ctx.Err() != nil {
		return fmt.Errorf("not begun: %w", ctx.Err())
	}
	done := make(chan error, 1)
	go func() { done <- c.run(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("left behind: %w", ctx.Err())
	}
}
