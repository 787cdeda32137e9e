package bus

import (
	"context"
	"errors"
	"time"
)

// Verb is what is said to the broker about a delivered message.
type Verb int

// Verbs. Bury is a dead letter first and then an ack: a message that is
// terminated in a work queue would vanish before anyone could copy it.
const (
	Ack   Verb = iota // done
	Retry             // deliver again, after Verdict.After
	Bury              // poison: no redelivery can help
)

// Verdict is the answer to one delivery.
type Verdict struct {
	Verb   Verb
	After  time.Duration
	Reason string // Bury: a word for the dead letter's subject
}

type dropError struct {
	reason string
	err    error
}

func (e *dropError) Error() string { return e.err.Error() }
func (e *dropError) Unwrap() error { return e.err }

// Drop marks an error as final: the message becomes a dead letter under reason,
// one word of a closed set.
func Drop(reason string, err error) error { return &dropError{reason, err} }

type afterError struct {
	d   time.Duration
	err error
}

func (e *afterError) Error() string { return e.err.Error() }
func (e *afterError) Unwrap() error { return e.err }

// After marks an error as temporary: redeliver no sooner than d.
func After(d time.Duration, err error) error { return &afterError{d, err} }

// First and last pause before a message is tried again.
const (
	firstBackoff = 250 * time.Millisecond
	lastBackoff  = 30 * time.Second
)

// Judge turns a handler's error and the number of deliveries so far (1 for the
// first) into a verdict.
func Judge(err error, delivered uint64) Verdict {
	var drop *dropError
	var after *afterError
	switch {
	case err == nil:
		return Verdict{Verb: Ack}
	case errors.As(err, &drop):
		return Verdict{Verb: Bury, Reason: drop.reason}
	case errors.As(err, &after):
		return Verdict{Verb: Retry, After: after.d}
	case errors.Is(err, context.Canceled): // we are stopping: another replica takes it at once
		return Verdict{Verb: Retry}
	}
	return Verdict{Verb: Retry, After: Backoff(delivered)}
}

// Backoff doubles from 250 ms to 30 s; attempt counts from 1.
func Backoff(attempt uint64) time.Duration {
	d := firstBackoff
	for i := uint64(1); i < attempt && d < lastBackoff; i++ {
		d *= 2
	}
	return min(d, lastBackoff)
}
