package service

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want int
	}{
		{"clean", nil, 0},
		{"failed", errors.New("x"), 1},
		{"cancelled", context.Canceled, 1},
		{"second signal", ErrKilled, 1},
		{"second signal during a timeout", errors.Join(ErrStopTimeout, ErrKilled), 1},
		{"configuration", fmt.Errorf("%w: %w", ErrUsage, errors.New("x")), 2},
		{"not ready", fmt.Errorf("x: %w", ErrNotReady), 3},
		{"stop timeout", fmt.Errorf("x: %w", ErrStopTimeout), 3},
		{"deadline", fmt.Errorf("x: %w", context.DeadlineExceeded), 3},
	} {
		if got := ExitCode(c.err); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}
