package syncer

import (
	"errors"
	"time"

	"github.com/kfbus/kfbus/internal/tokens"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

// act is what to do after a pull.
type act int

const (
	goOn      act = iota
	tokenless     // once more, without the callback's token
	again         // once more, soon
	later         // give the lane free and come back by a timer
	giveUp        // nothing can be done before somebody rings
)

// Why an account is left alone: a closed set, for metrics and logs.
const (
	whyPaused       = "paused"         // the API is shut for all after 45009
	whyBudget       = "budget"         // pulls without a callback's token are used up
	whyToken        = "access_token"   // refused, and no newer one in time; or none there at all
	whyTransport    = "transport"      // no answer, or none of the platform's
	whyBusy         = "busy"           // the platform says so
	whySyncToken    = "sync_token"     // 95007 without one
	whyRefused      = "refused"        // another errcode: a person must look
	whyAccount      = "account"        // no such account, or not ours
	whyCursor       = "cursor"         // the platform does not take the cursor
	whyUnmoved      = "cursor_stuck"   // the cursor stays although more is there
	whyEndless      = "endless"        // a whole turn of empty pages
	whyPageTooLarge = "page_too_large" // more items than fit a batch
)

const (
	codeSyncToken   = 95007
	codeNotOurs     = 48007 // the app may not use the account
	codeNoKfID      = 95000 // not an open_kfid
	codeNoAccount   = 95004
	codeBadArgument = 40058
)

// judge turns the answer to a sync_msg into what to do, and why. A rate limit and a refused access token have been seen to
// before.
func judge(err error, withToken, withCursor bool) (act, string) {
	if err == nil {
		return goOn, ""
	}
	var shut *shutError
	var limit *kfapi.LimitError
	code, refused := kfapi.Code(err)
	switch {
	case errors.As(err, &shut):
		return later, whyPaused
	case errors.As(err, &limit):
		return giveUp, whyAccount
	case errors.Is(err, tokens.ErrNone), kfapi.TokenRejected(err):
		return later, whyToken
	case kfapi.Busy(err):
		return again, whyBusy
	case !refused:
		return again, whyTransport
	}
	switch {
	case code == codeSyncToken && withToken:
		return tokenless, whySyncToken
	case code == codeSyncToken:
		return later, whySyncToken
	case code == codeNotOurs, code == codeNoKfID, code == codeNoAccount:
		return giveUp, whyAccount
	case code == codeBadArgument && withCursor:
		return later, whyCursor
	}
	return later, whyRefused
}

// setback is why an account cannot be pulled now.
type setback struct {
	why  string
	wait time.Duration // until it is worth another try; 0: none, somebody must ring
	err  error
}

// Error says what went wrong.
func (s *setback) Error() string { return s.why + ": " + s.err.Error() }

// Unwrap returns the cause.
func (s *setback) Unwrap() error { return s.err }
