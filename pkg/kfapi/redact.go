package kfapi

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"mime"
	"net"
	"net/url"
	"strings"
	"syscall"
	"unicode"
)

const maxErrmsg = 512

var (
	errNoAnswer = errors.New("the connection closed or the answer was unreadable")
	errNoDetail = errors.New("connection failed")
)

// clean returns what may be shown of a transport error. *url.Error quotes the URL with the token in it; and once the
// request is written, net/http quotes the answer ("malformed HTTP response …"), which may be an echo of the request. So
// before writing everything but the URL is kept, and after it only errors whose text is known.
func clean(ctx context.Context, err error, written bool, secrets []string) error {
	for u := (*url.Error)(nil); errors.As(err, &u); {
		err = u.Err
	}
	var errno syscall.Errno
	var alert tls.AlertError
	var timeout net.Error
	switch {
	case err == nil:
		return errNoDetail
	case ctx.Err() != nil:
		return ctx.Err() // not context.Cause: that is the caller's own text
	case !written && mentions(err.Error(), secrets):
		return errNoDetail
	case !written:
		return err
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.As(err, &timeout) && timeout.Timeout():
		return context.DeadlineExceeded
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return io.ErrUnexpectedEOF
	case errors.As(err, &errno):
		return errno
	case errors.As(err, &alert):
		return alert
	}
	return errNoAnswer
}

// forms are the spellings under which a secret may come back. What is too short for a secret has none: it would be found
// in every address.
func forms(secret string) []string {
	if len(secret) < 6 {
		return nil
	}
	return []string{secret, url.QueryEscape(secret), url.PathEscape(secret)}
}

func mentions(text string, secrets []string) bool {
	for _, s := range secrets {
		for _, f := range forms(s) {
			if strings.Contains(text, f) {
				return true
			}
		}
	}
	return false
}

// cleanMsg makes an errmsg fit to be kept: no secret, no control character, bounded.
func cleanMsg(msg string, secrets []string) string {
	for _, s := range secrets {
		for _, f := range forms(s) {
			msg = strings.ReplaceAll(msg, f, "[secret]")
		}
	}
	msg = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, msg)
	if len(msg) > maxErrmsg {
		msg = strings.ToValidUTF8(msg[:maxErrmsg], "")
	}
	return msg
}

// cleanType keeps a content type only if it is a plain one: a header may be an echo too.
func cleanType(header string, secrets []string) string {
	typ, _, err := mime.ParseMediaType(header)
	if err != nil || len(typ) > 64 || mentions(header, secrets) {
		return ""
	}
	major, minor, _ := strings.Cut(typ, "/")
	switch major {
	case "application", "audio", "image", "multipart", "text", "video":
		if minor != "" && only(minor, lower+digits+".+-") {
			return typ
		}
	}
	return ""
}
