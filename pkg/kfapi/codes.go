package kfapi

import (
	"cmp"
	"iter"
	"slices"
)

// Category says what kind of trouble an errcode is.
type Category string

// Categories of errcodes.
const (
	CategoryNone        Category = ""            // success, and codes that nobody has documented
	CategoryAuth        Category = "auth"        // token or credential
	CategoryPerm        Category = "perm"        // permission, caller's address, product mode
	CategoryParam       Category = "param"       // the request is wrong
	CategoryNotFound    Category = "notfound"    // the thing named does not exist
	CategoryLimit       Category = "limit"       // a business quota is used up
	CategoryState       Category = "state"       // session, window or timing forbids it
	CategoryContent     Category = "content"     // refused for what it says
	CategoryFreq        Category = "freq"        // called too often
	CategoryTransient   Category = "transient"   // busy
	CategoryUnsupported Category = "unsupported" // this account or component cannot do it
	CategoryCrypto      Category = "crypto"      // callback signature, envelope or key: a library's code, never an answer
)

// Action is what a client does about an errcode. The hint of the code says how.
type Action string

// Actions.
const (
	ActionNone     Action = ""         // success, and codes that nobody has documented
	ActionRefresh  Action = "refresh"  // fetch a new access token, then repeat once
	ActionRetry    Action = "retry"    // pause, then repeat: see [ShouldRetry]
	ActionBackoff  Action = "backoff"  // leave this API alone until the broken window is over
	ActionFix      Action = "fix"      // correct the request; as it is it will be refused again
	ActionWait     Action = "wait"     // wait for the customer, or for the window to pass
	ActionAlert    Action = "alert"    // a person must act, mostly in the admin console
	ActionStop     Action = "stop"     // stop this account or customer, and tell a person
	ActionReupload Action = "reupload" // upload the media again and use the new media_id
	ActionReread   Action = "reread"   // read the session state again, then decide
	ActionDrop     Action = "drop"     // give it up: its time or its code is spent
)

// Info is what is known of an errcode. Texts are ours, not the platform's errmsg.
type Info struct {
	Code        int
	Category    Category
	Action      Action
	Unconfirmed bool   // one source only, or documented for a neighbouring API and not seen for this one
	Meaning     string // English, one phrase
	MeaningZH   string // the same in Chinese
	Hint        string // English: what to check, with limits; one or two sentences
	HintZH      string // the same in Chinese
}

// sure and unsure fill Info.Unconfirmed.
const (
	sure   = false
	unsure = true
)

// Lookup returns what is known of an errcode; ok is false for a code that is not in the catalogue. The negative codes from
// -40014 to -40001 are those of the callback crypto libraries; no call answers them.
//
// https://developer.work.weixin.qq.com/document/path/90313
func Lookup(code int) (info Info, ok bool) {
	for _, part := range catalogue() {
		if code > part[len(part)-1].Code {
			continue
		}
		i, ok := slices.BinarySearchFunc(part, code, func(i Info, code int) int { return cmp.Compare(i.Code, code) })
		if !ok {
			return Info{}, false
		}
		return part[i], true
	}
	return Info{}, false
}

// Catalogue yields everything that Lookup knows, by ascending code.
func Catalogue() iter.Seq[Info] {
	return func(yield func(Info) bool) {
		for _, part := range catalogue() {
			for _, info := range part {
				if !yield(info) {
					return
				}
			}
		}
	}
}

// catalogue returns the parts in ascending order; each is sorted by code and never written to.
func catalogue() [5][]Info {
	return [5][]Info{catalogueCrypto[:], catalogue40[:], catalogue41[:], catalogue48[:], catalogue95[:]}
}

// CategoryOf returns the category of an errcode; CategoryNone for success and for codes that are not in the catalogue.
func CategoryOf(code int) Category {
	info, _ := Lookup(code)
	return info.Category
}

// IsTemporary reports whether the trouble passes without anybody doing anything: busy, or called too often. See
// [ShouldRetry] for how to wait.
func IsTemporary(code int) bool {
	c := CategoryOf(code)
	return c == CategoryTransient || c == CategoryFreq
}

// IsParam reports whether the request itself is wrong.
func IsParam(code int) bool { return CategoryOf(code) == CategoryParam }

// IsLimitOrState reports whether a rule of the business forbids it now: a quota is used up, a window is closed, a session
// is in another state.
func IsLimitOrState(code int) bool {
	c := CategoryOf(code)
	return c == CategoryLimit || c == CategoryState
}

// IsNotFound reports whether something that the request names does not exist, or not for this corp.
func IsNotFound(code int) bool { return CategoryOf(code) == CategoryNotFound }

// IsAuth reports whether a token or credential is wrong. What a valid credential may not do is CategoryPerm, not this.
func IsAuth(code int) bool { return CategoryOf(code) == CategoryAuth }
