package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/kfbus/kfbus/internal/tokens"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

// What a caller is told of whether the platform got the request.
const (
	sentNo    = "no"    // it did not, for certain
	sentYes   = "yes"   // it did, and answered
	sentMaybe = "maybe" // nobody knows: look before a call is repeated that must not happen twice
)

// Categories of refusals that are not an errcode's; together with those of kfapi a closed set.
const (
	categoryBusy    = "busy"    // we have no room, or no means, right now
	categoryTimeout = "timeout" // the time was over
	categoryNetwork = "network" // no answer, or none of the platform's
	categoryCommand = "command" // this call is made elsewhere
	categoryUnknown = "unknown" // an errcode that no document names
)

// refusal is an error as the caller gets it.
type refusal struct {
	code     int    // as of HTTP
	text     string // for people; safe
	errcode  *int   // the platform's; nil if it said none
	meaning  string // of the errcode, or the text
	category string
	hint     string // what to do
	sent     string
	retry    time.Duration // 0: not known
}

var (
	errBusy   = errors.New("too many requests are in hand, or the sender is stopping")
	errNoTime = errors.New("the time was over before the call could be made")
)

// tooSoon means that the rate limit lets the call through only later.
type tooSoon struct{ wait time.Duration }

func (e *tooSoon) Error() string {
	return fmt.Sprintf("the rate limit of this API lets the next call through in %v", e.wait.Round(time.Millisecond))
}

// tooLarge means that a message does not fit.
type tooLarge struct {
	what       string // request or reply
	size, most int
}

func (e *tooLarge) Error() string {
	return fmt.Sprintf("the %s is %d bytes, at most %d are allowed", e.what, e.size, e.most)
}

// storeError means that the object store did not do its part.
type storeError struct {
	op   string
	err  error
	sent string
}

func (e *storeError) Error() string { return e.op + ": " + e.err.Error() }
func (e *storeError) Unwrap() error { return e.err }

// noObject means that a request names a file that is not there.
type noObject struct{}

func (noObject) Error() string { return "there is no such object in the bucket" }

// refusalOf says what an error means for the caller. What it does not recognise may have happened.
func refusalOf(err error) refusal {
	if code, ok := kfapi.Code(err); ok {
		return platformRefusal(code, err)
	}
	r := localRefusal(err)
	r.text = clean(err.Error())
	r.meaning = r.text
	return r
}

func localRefusal(err error) refusal {
	var limit *kfapi.LimitError
	var soon *tooSoon
	var large *tooLarge
	var store *storeError
	var body *kfapi.BodyError
	switch {
	case errors.As(err, &limit):
		return refusal{code: 400, category: string(kfapi.CategoryParam), sent: sentNo, hint: "mend the field that is named; nothing was sent"}
	case errors.As(err, &large) && large.what == "reply":
		return refusal{code: 413, category: string(kfapi.CategoryParam), sent: sentYes, hint: "ask for less at once"}
	case errors.As(err, &large):
		return refusal{code: 413, category: string(kfapi.CategoryParam), sent: sentNo, hint: "send less, or put the file into the object store"}
	case errors.As(err, &soon):
		return refusal{code: 429, category: string(kfapi.CategoryFreq), sent: sentNo, retry: soon.wait, hint: "wait, then try again"}
	case errors.Is(err, errBusy):
		return refusal{code: 503, category: categoryBusy, sent: sentNo, retry: time.Second, hint: "try again in a moment; if it stays so, add senders"}
	case errors.Is(err, tokens.ErrNone):
		return refusal{code: 503, category: categoryBusy, sent: sentNo, hint: "look at the tokenkeeper"}
	case errors.As(err, new(noObject)):
		return refusal{code: 404, category: string(kfapi.CategoryNotFound), sent: sentNo, hint: "put the file into the bucket first; objects of kf_media live 7 days"}
	case errors.As(err, &store) && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout)):
		return refusal{code: 504, category: categoryTimeout, sent: store.sent, hint: "try again, or allow more time"}
	case errors.As(err, &store):
		return refusal{code: 503, category: categoryBusy, sent: store.sent, hint: "is the object store there? kfbus topology apply makes it"}
	case errors.As(err, &body) && body.Status == http.StatusRequestedRangeNotSatisfiable:
		return refusal{code: 400, category: string(kfapi.CategoryParam), sent: sentYes, hint: "the range begins behind the end of the file"}
	case errors.As(err, &body):
		return refusal{code: 502, category: categoryNetwork, sent: sentMaybe, hint: "something between here and WeChat answered, or WeChat is ill"}
	}
	return transportRefusal(err)
}

func transportRefusal(err error) refusal {
	sent := sentMaybe
	if kfapi.NotSent(err) || errors.Is(err, errNoTime) {
		sent = sentNo
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return refusal{code: 504, category: categoryTimeout, sent: sent, hint: hintSent(sent)}
	case errors.Is(err, context.Canceled):
		return refusal{code: 503, category: categoryBusy, sent: sent, hint: "the sender is stopping; " + hintSent(sent)}
	case sent == sentNo:
		return refusal{code: 503, category: categoryNetwork, sent: sent, hint: "WeChat cannot be reached; try again"}
	}
	return refusal{code: 502, category: categoryNetwork, sent: sent, hint: hintSent(sent)}
}

func hintSent(sent string) string {
	if sent == sentNo {
		return "nothing was sent: try again"
	}
	return "WeChat may have done it: look before a call is repeated that must not happen twice"
}

// codeOf turns the category of an errcode into a code as of HTTP.
func codeOf(c kfapi.Category) int {
	switch c {
	case kfapi.CategoryAuth:
		return 401
	case kfapi.CategoryPerm, kfapi.CategoryUnsupported:
		return 403
	case kfapi.CategoryParam, kfapi.CategoryContent:
		return 400
	case kfapi.CategoryNotFound:
		return 404
	case kfapi.CategoryLimit, kfapi.CategoryState:
		return 409
	case kfapi.CategoryFreq:
		return 429
	case kfapi.CategoryTransient:
		return 503
	}
	return 500
}

// platformRefusal is an errcode other than 0. The platform's own words stay here: they may repeat what the request held.
func platformRefusal(code int, err error) refusal {
	r := refusal{code: 500, text: clean(err.Error()), errcode: &code, meaning: "not in the catalogue", category: categoryUnknown, sent: sentYes}
	if info, ok := kfapi.Lookup(code); ok {
		r.code, r.meaning, r.hint = codeOf(info.Category), info.Meaning, hintOf(info)
		if info.Category != kfapi.CategoryNone {
			r.category = string(info.Category)
		}
	}
	if kfapi.RateLimited(err) {
		r.retry = time.Minute
	}
	return r
}

// hintOf says what to do about an errcode.
func hintOf(info kfapi.Info) string { return info.Hint }

func notHere(why string) refusal {
	return refusal{code: 405, text: why, meaning: why, category: categoryCommand, sent: sentNo, hint: "see docs/contract.md, Commands"}
}

// ours reports whether the request was refused here for its own sake, as every mistake of a caller's is.
func (r refusal) ours() bool { return r.sent == sentNo && r.code < 500 }

func (r refusal) header() nats.Header {
	h := nats.Header{
		micro.ErrorHeader: {r.text}, micro.ErrorCodeHeader: {strconv.Itoa(r.code)},
		HeaderCategory: {r.category}, HeaderSent: {r.sent}, "Content-Type": {"application/json"},
	}
	if r.errcode != nil {
		h[HeaderErrcode] = []string{strconv.Itoa(*r.errcode)}
	}
	if s := r.seconds(); s > 0 {
		h[HeaderRetry] = []string{strconv.Itoa(s)}
	}
	return h
}

func (r refusal) seconds() int { return int(math.Ceil(r.retry.Seconds())) }

// body has no errcode where the platform said none: 0 would be success.
func (r refusal) body() []byte {
	b, err := json.Marshal(struct {
		Errcode    *int   `json:"errcode,omitempty"`
		Errmsg     string `json:"errmsg"`
		Category   string `json:"category"`
		Hint       string `json:"hint,omitempty"`
		Sent       string `json:"sent"`
		RetryAfter int    `json:"retry_after,omitempty"`
	}{r.errcode, r.meaning, r.category, r.hint, r.sent, r.seconds()})
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return b
}

// clean makes a text fit for a header.
func clean(s string) string {
	const most = 512
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}
