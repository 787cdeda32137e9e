package service

import (
	"context"
	"errors"
)

// Exit codes of the kfbus binary. Scripts rely on them; they only grow.
const (
	ExitOK       = 0 // did what it was asked, or stopped in order
	ExitFailed   = 1 // failed, or was stopped by a second signal
	ExitUsage    = 2 // wrong flags or configuration; the same call will fail again
	ExitNotReady = 3 // not ready, or not done in time; the same call may work later
)

// Sentinels that decide the exit code; wrap them.
var (
	ErrUsage       = errors.New("configuration")                             // ExitUsage
	ErrNotReady    = errors.New("not ready")                                 // ExitNotReady
	ErrStopTimeout = errors.New("still busy when the stop timeout was over") // ExitNotReady
	ErrKilled      = errors.New("stopped at once by a second signal")        // ExitFailed
)

// ExitCode returns the code for what a command ended with. A deadline that passed counts as ErrNotReady.
func ExitCode(err error) int {
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, ErrKilled):
		return ExitFailed
	case errors.Is(err, ErrUsage):
		return ExitUsage
	case errors.Is(err, ErrNotReady), errors.Is(err, ErrStopTimeout), errors.Is(err, context.DeadlineExceeded):
		return ExitNotReady
	}
	return ExitFailed
}
