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

func TestCatalogue(t *testing.T) {
	codes := []int{-1, 0, 40001, 40003, 40004, 40005, 40006, 40007, 40008, 40009, 40011, 40013, 40014, 40033, 40035, 40056,
		40057, 40058, 40063, 40066, 40091, 40096, 40123, 40125, 40164, 40201, 40204, 40206, 41001, 41002, 41004, 41006, 41009,
		41035, 41049, 41050, 41051, 41053, 42001, 43009, 43012, 44001, 44004, 45001, 45002, 45007, 45009, 45029, 45031, 45033,
		45034, 48001, 48002, 48003, 48004, 48005, 48006, 48007, 50001, 50002, 50003, 50006, 60003, 60011, 60020, 60021, 60031,
		60111, 60123, 84061, 84074, 90200, 90206, 90207, 90208, 95000, 95001, 95002, 95003, 95004, 95005, 95006, 95007, 95008,
		95009, 95010, 95011, 95012, 95013, 95014, 95015, 95016, 95017, 95018, 95019, 95020, 95021, 95022, 95023, 95024, 95025,
		95026, 95027, 95028, 95029, 95030, 95031, 95032, 301002, 301017, 830001, 830002, 830003, 6000}
	for _, code := range codes {
		info, ok := Lookup(code)
		if !ok || info.Code != code || info.Meaning == "" {
			t.Errorf("%d: got %+v, %v", code, info, ok)
		}
		if info.Category == CategoryNone && code != 0 && code != 95010 && code != 95020 {
			t.Errorf("%d has no category", code)
		}
	}
	if len(codes) != len(catalogue) {
		t.Errorf("got %d codes in the catalogue, want %d", len(catalogue), len(codes))
	}
	for i := range len(catalogue) - 1 {
		if catalogue[i].Code >= catalogue[i+1].Code {
			t.Errorf("%d stands before %d", catalogue[i].Code, catalogue[i+1].Code)
		}
	}
	if info, ok := Lookup(1); ok {
		t.Errorf("1: got %+v, want nothing", info)
	}
	for code, want := range map[int]Category{-1: CategoryTransient, 40014: CategoryAuth, 48007: CategoryPerm, 40058: CategoryParam,
		95004: CategoryNotFound, 95001: CategoryLimit, 95018: CategoryState, 40201: CategoryContent, 45009: CategoryFreq,
		95017: CategoryUnsupported} {
		if info, _ := Lookup(code); info.Category != want {
			t.Errorf("%d: got %q, want %q", code, info.Category, want)
		}
	}
}
