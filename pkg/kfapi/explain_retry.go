package kfapi

import "time"

// RetryAdvice says whether the same request may be repeated, and how. The zero value advises against it.
type RetryAdvice struct {
	Retry        bool
	Attempts     int           // repetitions at most; the call that was refused does not count
	FirstBackoff time.Duration // pause before the first one; double it each time and add jitter
	Reason       string        // English, one phrase: why, or why not
}

const (
	retryAttempts  = 3
	retryBackoff   = 300 * time.Millisecond // for -1
	slowBackoff    = time.Second            // our choice where no number is published
	windowOfMinute = 60 * time.Second       // the shortest window of 45009; the others are an hour and the rest of the day
)

// ShouldRetry says whether the platform may answer the same request otherwise in a while. It is about the answer only: a
// send is repeated with the same msgid or not at all. Codes of the access token are no retry: fetch a new token first, see
// [ShouldRefreshToken]. Beyond these the platform advises to repeat only after transport errors, see [Ambiguous].
//
// https://developer.work.weixin.qq.com/document/path/90312
func ShouldRetry(code int) RetryAdvice {
	switch code {
	case -1:
		return RetryAdvice{true, retryAttempts, retryBackoff, "the platform is busy"}
	case 6000:
		return RetryAdvice{true, retryAttempts, retryBackoff, "another call changed the same data at the same time"}
	case 45033:
		return RetryAdvice{true, retryAttempts, slowBackoff, "too much at once: make fewer calls in parallel"}
	case 830003:
		return RetryAdvice{true, retryAttempts, slowBackoff, "the source of the file may answer later"}
	case 45009:
		return RetryAdvice{true, 1, windowOfMinute, "the API stays shut for as long as the broken window: a minute, an hour or the rest of the day"}
	case 0:
		return RetryAdvice{Reason: "it succeeded"}
	}
	info, ok := Lookup(code)
	if !ok || info.Action == ActionNone {
		return RetryAdvice{Reason: "its meaning is not known here"}
	}
	return RetryAdvice{Reason: info.Action.Words(English)}
}

// ShouldRefreshToken reports whether a new access token, fetched once, may help. A refusal of gettoken itself is another
// matter: there 40001 is a wrong secret; see [TokenRejected].
func ShouldRefreshToken(code int) bool { return code == 40001 || code == 40014 || code == 42001 }
