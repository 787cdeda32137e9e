package kfapi

import (
	"errors"
	"fmt"
	"strings"
)

// Error is a refusal: the platform read the request and answered an errcode other than 0.
//
// https://developer.work.weixin.qq.com/document/path/90313
type Error struct {
	Op   string // the call, "send_msg"
	Code int    // errcode, the only thing to decide on
	// Msg is the platform's errmsg, for people only: its wording changes without notice. At most 512 bytes, secrets of
	// the request blotted out. It may still repeat what the request said, so it is in no error text and in no JSON.
	Msg string `json:"-"`
}

// Error names the call, the code and the catalogue's meaning of it, never the platform's own text.
func (e *Error) Error() string {
	meaning := "not in the catalogue"
	if info, ok := Lookup(e.Code); ok {
		meaning = info.Meaning
	}
	return fmt.Sprintf("%s: errcode %d: %s", e.Op, e.Code, meaning)
}

// GoString keeps Msg out of %#v.
func (e *Error) GoString() string { return e.Error() }

// TransportError means that no whole answer was read.
type TransportError struct {
	Op string
	// Written is false only if nothing of the request can have reached the platform: no connection, no TLS, or a
	// context that ended before the first byte. True means that the platform may have acted.
	Written bool
	// Err is context.Canceled, context.DeadlineExceeded, a network or TLS error, or io.ErrUnexpectedEOF. It never
	// holds the URL or a byte of the answer.
	Err error
}

func (e *TransportError) Error() string {
	if e.Written {
		return fmt.Sprintf("%s: sent, but no whole answer came: %v", e.Op, e.Err)
	}
	return fmt.Sprintf("%s: not sent: %v", e.Op, e.Err)
}

func (e *TransportError) Unwrap() error { return e.Err }

// BodyError is an answer that is not the platform's: another status than 200 (or 206 for media), a redirect, or a body
// that is not the expected JSON. Nothing of the body is kept: it may be a proxy's echo of the request.
type BodyError struct {
	Op          string
	Status      int    // HTTP status
	ContentType string // without parameters; empty when absent or odd
	Length      int64  // bytes of the body as far as it was read
	Why         string // one of our own phrases
}

func (e *BodyError) Error() string {
	typ := e.ContentType
	if typ == "" {
		typ = "no content type"
	}
	return fmt.Sprintf("%s: unexpected answer: %s (HTTP %d, %s, %d bytes)", e.Op, e.Why, e.Status, typ, e.Length)
}

// LimitError means that the request breaks a documented limit. Nothing was sent.
type LimitError struct {
	Field string // where: "text.content", "msgmenu.list[3].click.id"
	Why   string // what, with limit and size; never the value
	Limit int    // the limit that was broken, when it is a size
	Got   int    // the size that broke it
}

func (e *LimitError) Error() string { return e.Field + ": " + e.Why }

// Code returns the errcode in err's chain. ok is false when err is no refusal.
func Code(err error) (code int, ok bool) {
	var e *Error
	if !errors.As(err, &e) {
		return 0, false
	}
	return e.Code, true
}

func codeIn(err error, codes ...int) bool {
	code, ok := Code(err)
	if !ok {
		return false
	}
	for _, c := range codes {
		if c == code {
			return true
		}
	}
	return false
}

// TokenRejected reports whether a new access token, fetched once, may help. The platform did not act. A refusal of a call
// that fetches one, gettoken or those of official accounts, is none of these: there 40001 is a wrong secret.
func TokenRejected(err error) bool {
	var e *Error
	return errors.As(err, &e) && !fetchesToken(e.Op) && ShouldRefreshToken(e.Code)
}

func fetchesToken(op string) bool { return op == opGetToken || op == "token" || op == "stable_token" }

// Busy reports whether the platform did not act for want of breath; the same request may be repeated after a pause.
func Busy(err error) bool { return codeIn(err, -1, 6000, 45033) }

// RateLimited reports whether the call frequency was exceeded. The API then stays shut for as long as the broken window:
// a minute, an hour, the rest of the day.
//
// https://developer.work.weixin.qq.com/document/path/90312
func RateLimited(err error) bool { return codeIn(err, 45009) }

// NotSent reports whether the request certainly never reached the platform: refused here, or never written.
func NotSent(err error) bool {
	var limit *LimitError
	if errors.As(err, &limit) {
		return true
	}
	var t *TransportError
	return errors.As(err, &t) && !t.Written
}

// Ambiguous reports whether the platform may have acted although we have no definite answer: timeout, reset, cut body,
// another status than 200, a body that is not the platform's JSON. Repeat a send only with the same msgid.
func Ambiguous(err error) bool {
	var b *BodyError
	if errors.As(err, &b) {
		return true
	}
	var t *TransportError
	return errors.As(err, &t) && t.Written
}

// WrongJSONFormat reports whether the platform could not parse the request's JSON wholly, whatever the errcode.
func WrongJSONFormat(err error) bool {
	var e *Error
	return errors.As(err, &e) && IsWrongJSONFormat(e.Msg)
}

// IsWrongJSONFormat is WrongJSONFormat for an errmsg, also that of a success: errcode 0 may come with this warning, and
// then fields of the request may be missing on the platform's side.
func IsWrongJSONFormat(errmsg string) bool {
	return strings.Contains(strings.ToLower(errmsg), "wrong json format")
}

// WrongJSONFormatMsg is [IsWrongJSONFormat] by its first name.
func WrongJSONFormatMsg(errmsg string) bool { return IsWrongJSONFormat(errmsg) }
