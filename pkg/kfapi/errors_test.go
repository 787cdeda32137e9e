package kfapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
)

func TestPredicates(t *testing.T) {
	preds := []struct {
		name string
		is   func(error) bool
	}{
		{"token", TokenRejected}, {"busy", Busy}, {"limited", RateLimited}, {"notsent", NotSent}, {"ambiguous", Ambiguous},
		{"wrongjson", WrongJSONFormat},
	}
	refusal := func(code int) error { return &Error{Op: "send_msg", Code: code} }
	for _, c := range []struct {
		name string
		err  error
		want []string
	}{
		{"no error", nil, nil},
		{"a stranger", io.EOF, nil},
		{"42001", refusal(42001), []string{"token"}},
		{"40014", refusal(40014), []string{"token"}},
		{"40001", refusal(40001), []string{"token"}},
		{"40001 of gettoken is a wrong secret", &Error{Op: "gettoken", Code: 40001}, nil},
		{"40001 of an official account too", &Error{Op: "stable_token", Code: 40001}, nil},
		{"41001 is our own mistake", refusal(41001), nil},
		{"-1", refusal(-1), []string{"busy"}},
		{"6000", refusal(6000), []string{"busy"}},
		{"45033", refusal(45033), []string{"busy"}},
		{"45009", refusal(45009), []string{"limited"}},
		{"95001", refusal(95001), nil},
		{"wrong JSON", &Error{Code: 40058, Msg: "x, warning: Wrong JSON format. y"}, []string{"wrongjson"}},
		{"broken limit", &LimitError{}, []string{"notsent"}},
		{"not written", &TransportError{Err: io.EOF}, []string{"notsent"}},
		{"written", &TransportError{Written: true, Err: context.DeadlineExceeded}, []string{"ambiguous"}},
		{"strange answer", &BodyError{}, []string{"ambiguous"}},
	} {
		for _, err := range []error{c.err, wrap(c.err)} {
			var got []string
			for _, p := range preds {
				if p.is(err) {
					got = append(got, p.name)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: got %v, want %v", c.name, got, c.want)
			}
		}
	}
}

func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("command 7: %w", err)
}

func TestCode(t *testing.T) {
	if code, ok := Code(wrap(&Error{Code: 95001})); code != 95001 || !ok {
		t.Errorf("got %d, %v, want 95001", code, ok)
	}
	if code, ok := Code(io.EOF); code != 0 || ok {
		t.Errorf("got %d, %v, want no code", code, ok)
	}
}

func TestErrorTexts(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&Error{Op: "send_msg", Code: 95001, Msg: "platform's words"},
			"send_msg: errcode 95001: send count limit: 5 after a customer message"},
		{&Error{Op: "send_msg", Code: 12345, Msg: "platform's words"}, "send_msg: errcode 12345: not in the catalogue"},
		{&TransportError{Op: "send_msg", Err: io.EOF}, "send_msg: not sent: EOF"},
		{&TransportError{Op: "send_msg", Written: true, Err: io.ErrUnexpectedEOF},
			"send_msg: sent, but no whole answer came: unexpected EOF"},
		{&BodyError{Op: "send_msg", Status: 502, ContentType: "text/html", Length: 7, Why: "not a success"},
			"send_msg: unexpected answer: not a success (HTTP 502, text/html, 7 bytes)"},
		{&BodyError{Op: "send_msg", Status: 200, Why: "not a JSON object"},
			"send_msg: unexpected answer: not a JSON object (HTTP 200, no content type, 0 bytes)"},
		{checkSize("text.content", "abc", 1, 2), "text.content: is 3 bytes, at most 2 are allowed"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
	if got := fmt.Sprintf("%#v", &Error{Op: "x", Code: -1, Msg: "platform's words"}); got != "x: errcode -1: system busy" {
		t.Errorf("got %s", got)
	}
	if !errors.Is(&TransportError{Err: io.EOF}, io.EOF) {
		t.Error("a TransportError hides its cause")
	}
}
