package tokenkeeper

import (
	"errors"
	"slices"

	"github.com/kfbus/kfbus/pkg/kfapi"
)

// failure is why gettoken brought no token: a closed set, also the label of a metric.
type failure string

const (
	wrongSecret failure = "wrong_secret" // 40001, 40013, 40091, and 40125 of official accounts: no repetition helps
	rateLimited failure = "rate_limited" // 45009: called too often, or the address is banned
	busy        failure = "busy"         // the platform is out of breath
	refused     failure = "refused"      // another errcode: a setting at the platform, such as 60020 for the address
	noAnswer    failure = "no_answer"    // no answer of the platform's
)

// classify needs an error of gettoken that is not nil.
//
// https://developer.work.weixin.qq.com/document/path/90313
func classify(err error) failure {
	code, answered := kfapi.Code(err)
	switch {
	case slices.Contains([]int{40001, 40013, 40091, 40125}, code):
		return wrongSecret
	case kfapi.RateLimited(err):
		return rateLimited
	case kfapi.Busy(err):
		return busy
	case answered, errors.As(err, new(*kfapi.LimitError)): // the latter: a secret that cannot be one
		return refused
	}
	return noAnswer
}

// Other results of a refresh.
const (
	resultNew        = "new"
	resultSame       = "same"       // the platform gave the token again that is in hand
	resultSuperseded = "superseded" // another keeper published one first
)

func results() []string {
	return []string{resultNew, resultSame, resultSuperseded,
		string(wrongSecret), string(rateLimited), string(busy), string(refused), string(noAnswer)}
}

// suspicion is what became of a caller's report: a closed set, also the label of a metric.
type suspicion string

const (
	suspectTaken    suspicion = "taken"    // it causes a refresh
	suspectRepeated suspicion = "repeated" // one is under way for it
	suspectStale    suspicion = "stale"    // it is not about the token in hand: there is a newer one
	suspectSlowed   suspicion = "slowed"   // the platform has just said that the token lives, or a report of a later one was just acted on
	suspectAhead    suspicion = "ahead"    // of a later token than ours: ours is published again under a later generation
	suspectFollower suspicion = "follower" // another keeper's turn
)

func suspicions() []suspicion {
	return []suspicion{suspectTaken, suspectRepeated, suspectStale, suspectSlowed, suspectAhead, suspectFollower}
}
