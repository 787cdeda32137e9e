package kfsim

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Kinds of faults. "before": nothing happened inside the platform. "after": it did, and the caller
// cannot know. What each does stands in faultKinds.
const (
	FaultLatency        = "latency"
	FaultRefuse         = "refuse_connection"
	FaultResetBefore    = "reset_before"
	FaultResetAfter     = "reset_after"
	FaultHTTP500Before  = "http_500_before"
	FaultHTTP500After   = "http_500_after"
	FaultGarbageBefore  = "garbage_before"
	FaultGarbageAfter   = "garbage_after"
	FaultCutAfter       = "cut_after"
	FaultRedirect       = "redirect"
	FaultAcceptThenHang = "accept_then_hang"
	FaultLateEffect     = "late_effect"
	FaultErrCode        = "errcode"
	FaultBlockMinute    = "block_minute"
	FaultBlockHour      = "block_hour"
	FaultRevokeToken    = "revoke_token"

	FaultEmptyPage     = "empty_page"
	FaultSameCursor    = "same_cursor"
	FaultNoCursor      = "no_cursor"
	FaultUnknownItem   = "unknown_item"
	FaultHostileItem   = "hostile_item"
	FaultDuplicateItem = "duplicate_item"

	FaultCallbackLost         = "callback_lost"
	FaultCallbackDuplicated   = "callback_duplicated"
	FaultCallbackDelayed      = "callback_delayed"
	FaultCallbackReordered    = "callback_reordered"
	FaultCallbackRepeated     = "callback_repeated"
	FaultCallbackBadSignature = "callback_bad_signature"
)

// faultPlace is where a kind of fault can strike.
type faultPlace int

const (
	onConnection faultPlace = iota // before the request is read
	onCall
	onPage // a call of kf/sync_msg
	onCallback
)

// faultKind is what there is to know about one kind.
type faultKind struct {
	name       string
	at         faultPlace
	adds       bool // strikes beside others; of the rest only the first strikes a call
	needsDelay bool
	sees       string // what the caller, or the receiver of a callback, sees
	happened   string // inside the platform
}

const syncPath = "kf/sync_msg"

// faultKinds is the table of all kinds; docs/simulator.md shows it.
func faultKinds() []faultKind {
	return []faultKind{
		{FaultLatency, onCall, true, true, "the answer, `delay` and a random part of `jitter` later", "yes"},
		{FaultRefuse, onConnection, false, false, "the connection is reset before the request is read", "no"},
		{FaultResetBefore, onCall, false, false, "the connection is reset", "no"},
		{FaultResetAfter, onCall, false, false, "the connection is reset", "yes"},
		{FaultHTTP500Before, onCall, false, false, "HTTP `status` (500) with a page of HTML", "no"},
		{FaultHTTP500After, onCall, false, false, "HTTP `status` (500) with a page of HTML", "yes"},
		{FaultGarbageBefore, onCall, false, false, "HTTP 200 with `body` (half a JSON object)", "no"},
		{FaultGarbageAfter, onCall, false, false, "HTTP 200 with `body` (half a JSON object)", "yes"},
		{FaultCutAfter, onCall, false, false, "the true answer's headers and half of its body, then a reset", "yes"},
		{FaultRedirect, onCall, false, false, "HTTP `status` (302) with Location `location` (http://redirect.invalid/)", "no"},
		{FaultAcceptThenHang, onCall, false, false, "nothing for `delay`, then a reset; without `delay` nothing until the caller goes", "yes"},
		{FaultLateEffect, onCall, false, true, "the connection is reset", "not yet: `delay` later"},
		{FaultErrCode, onCall, false, false, "`errcode`, for example -1, 45009, 60020", "no"},
		{FaultBlockMinute, onCall, false, false, "45009 for this and every call of the path for a minute of the virtual clock", "no"},
		{FaultBlockHour, onCall, false, false, "45009 for this and every call of the path for an hour of the virtual clock", "no"},
		{FaultRevokeToken, onCall, false, false, "40014: the call's access token dies early", "no"},

		{FaultEmptyPage, onPage, false, false, "no items, has_more 1, a cursor that stands still", "the items wait"},
		{FaultSameCursor, onPage, false, false, "the items, has_more 1, and the cursor that was sent", "yes"},
		{FaultNoCursor, onPage, false, false, "the items, and an empty next_cursor", "yes"},
		{FaultUnknownItem, onPage, false, false, "a new item of a msgtype that nobody knows", "it is in the history"},
		{FaultHostileItem, onPage, false, false, "a new item with hostile ids and texts, the next of the table below", "it is in the history"},
		{FaultDuplicateItem, onPage, false, false, "the items; the last of them is in the next page again", "yes"},

		{FaultCallbackLost, onCallback, true, false, "nothing", "the items can be pulled"},
		{FaultCallbackDuplicated, onCallback, true, false, "the callback once more, the same bytes", "yes"},
		{FaultCallbackDelayed, onCallback, true, true, "the callback, `delay` and a random part of `jitter` later", "yes"},
		{FaultCallbackReordered, onCallback, true, true, "the callback a random part of `delay` later, after others", "yes"},
		{FaultCallbackRepeated, onCallback, true, false, "the callback once more, with a new nonce and timestamp", "yes"},
		{FaultCallbackBadSignature, onCallback, true, false, "the callback with a wrong msg_signature, at every attempt", "yes"},
	}
}

func faultKindOf(name string) (k faultKind, known bool) {
	for _, k := range faultKinds() {
		if k.name == name {
			return k, true
		}
	}
	return faultKind{}, false
}

func (f Fault) validate() error {
	k, known := faultKindOf(f.Kind)
	if !known {
		var names []string
		for _, k := range faultKinds() {
			names = append(names, k.name)
		}
		return fmt.Errorf("fault kind %q is unknown; use one of %q", clip(f.Kind, 64), names)
	}
	if err := f.checkTarget(k); err != nil {
		return err
	}
	low, high := 200, 599
	if f.Kind == FaultRedirect {
		low, high = 300, 399
	}
	switch {
	case f.ID != "" && !isWord(f.ID, 64):
		return fmt.Errorf("fault id %q is not 1 to 64 letters, digits, _ and -; leave it out to have one made", clip(f.ID, 64))
	case f.Count < 0 || f.After < 0 || f.Delay < 0 || f.Jitter < 0 || !(f.Probability >= 0 && f.Probability <= 1):
		return errors.New("fault count, after, delay and jitter cannot be negative, and probability is between 0 and 1")
	case f.Kind == FaultErrCode && f.ErrCode == 0:
		return errors.New("a fault of kind errcode needs errcode, for example 45009")
	case k.needsDelay && f.Delay+f.Jitter == 0, f.Kind == FaultCallbackReordered && f.Delay == 0:
		return fmt.Errorf("a fault of kind %s needs a delay, for example 2s", f.Kind)
	case f.Status != 0 && (f.Status < low || f.Status > high):
		return fmt.Errorf("fault status %d is no HTTP status between %d and %d", f.Status, low, high)
	}
	return nil
}

// checkTarget refuses a path, account or customer that the kind can never meet.
func (f Fault) checkTarget(k faultKind) error {
	switch {
	case k.at == onCallback && f.Path != "":
		return fmt.Errorf("a fault of kind %s strikes callbacks, not calls; leave path out", f.Kind)
	case k.at == onPage && f.Path != "" && f.Path != syncPath:
		return fmt.Errorf("a fault of kind %s strikes %s only; leave path out", f.Kind, syncPath)
	case f.Path != "" && platformEndpoints()[f.Path].handle == nil:
		return fmt.Errorf("fault path %q is no path of the platform; write it like kf/send_msg, or leave it out for every path", clip(f.Path, 64))
	case k.at == onConnection && (f.OpenKfID != "" || f.ExternalUserID != ""):
		return fmt.Errorf("a fault of kind %s strikes before the request is read; leave open_kfid and external_userid out", f.Kind)
	case (k.at == onCallback || k.at == onPage) && f.ExternalUserID != "":
		return fmt.Errorf("a fault of kind %s knows no customer; leave external_userid out", f.Kind)
	}
	return nil
}

// blockSpan is how long a call's path stays closed.
func blockSpan(kind string) time.Duration {
	if kind == FaultBlockHour {
		return time.Hour
	}
	return time.Minute
}

// targets reports whether f is one for a place and a path.
func (f *armedFault) targets(at faultPlace, path string) bool {
	places := []faultPlace{at}
	if at == onCall && path == syncPath {
		places = append(places, onPage)
	}
	return slices.Contains(places, f.at) && (f.Path == "" || f.Path == path)
}
