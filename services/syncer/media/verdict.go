package media

import (
	"errors"
	"time"

	"github.com/kfbus/kfbus/internal/media"
	"github.com/kfbus/kfbus/internal/tokens"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

const (
	apiGet = "media/get" // as it is named in [events.BucketThrottle]

	codeInvalid = 40007 // too old, or no media_id
	codeTooMany = 45033 // of this file, or at the same time

	// life is how long the platform keeps a file.
	//
	// https://developer.work.weixin.qq.com/document/path/94670
	life = 72 * time.Hour
)

// act is what to do after a try.
type act int

const (
	done   act = iota
	giveUp     // the file cannot be had: reason says why
	later      // try this file again, by a timer
	shut       // the platform wants fewer calls: pause for all
	wait       // nothing can be fetched now, this file or another
	lane       // the broker is in trouble: the message stays where it is
)

// gateError means that nobody knows whether the API is shut.
type gateError struct{ error }

func (e *gateError) Unwrap() error { return e.error }

// judge turns what came of a download into what to do.
func judge(err error) (a act, reason string) {
	var limit *kfapi.LimitError
	code, refused := kfapi.Code(err)
	switch {
	case err == nil:
		return done, ""
	case errors.As(err, new(*gateError)):
		return lane, ""
	case errors.As(err, new(*media.TooLargeError)):
		return giveUp, events.MediaTooLarge
	case errors.As(err, &limit): // never sent
		return giveUp, events.MediaUnreadable
	case refused && code == codeInvalid:
		return giveUp, events.MediaExpired
	case kfapi.RateLimited(err), refused && code == codeTooMany:
		return shut, ""
	case errors.Is(err, tokens.ErrNone):
		return wait, ""
	}
	return later, ""
}

// waits are the pauses of a fetcher. They are a field, not constants, because tests have less time.
type waits struct {
	first   time.Duration // before a file is tried again; doubles with each try
	most    time.Duration // but never more than this
	token   time.Duration // for an access token when there is none, and then before the next look for one
	spread  time.Duration // over which workers come back when the API opens
	stall   time.Duration // without a byte, and the connection is given up
	restart time.Duration // between two looks for what is not there yet
}

func defaultWaits() waits {
	return waits{first: 5 * time.Second, most: time.Hour, token: 5 * time.Second, spread: 5 * time.Second, stall: 30 * time.Second, restart: 5 * time.Second}
}

// backoff is the pause before the next try; tries counts those that were made.
func (w waits) backoff(tries int) time.Duration {
	d := w.first
	for ; tries > 1 && d < w.most; tries-- {
		d *= 2
	}
	return min(d, w.most)
}
