package tokenkeeper

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/kfbus/kfbus/pkg/kfapi"
)

func TestClassify(t *testing.T) {
	code := func(n int) error { return fmt.Errorf("around it: %w", &kfapi.Error{Op: "gettoken", Code: n}) }
	for _, c := range []struct {
		name string
		err  error
		want failure
	}{
		{"wrong secret", code(40001), wrongSecret},
		{"wrong corp", code(40013), wrongSecret},
		{"another corp's secret", code(40091), wrongSecret},
		{"an official account's wrong secret", code(40125), wrongSecret},
		{"an address that the official account does not know", code(40164), refused},
		{"called too often", code(45009), rateLimited},
		{"out of breath", code(-1), busy},
		{"too many at once", code(45033), busy},
		{"address not trusted", code(60020), refused},
		{"app disabled", code(50003), refused},
		{"a code of tomorrow", code(123456), refused},
		{"an empty secret", fmt.Errorf("gettoken: %w", &kfapi.LimitError{Field: "corpsecret"}), refused},
		{"not sent", &kfapi.TransportError{Op: "gettoken", Err: io.EOF}, noAnswer},
		{"sent", &kfapi.TransportError{Op: "gettoken", Written: true, Err: io.EOF}, noAnswer},
		{"a proxy's page", &kfapi.BodyError{Op: "gettoken", Status: 502}, noAnswer},
		{"anything else", errors.New("x"), noAnswer},
	} {
		if got := classify(c.err); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestInbox(t *testing.T) {
	i := inbox{bell: make(chan struct{}, 1)}
	step := func(what string, hash string, generation uint64, why suspicion, refused bool, ahead uint64) {
		t.Helper()
		got, ok := i.put(hash, generation)
		if got != why || ok != (why == "") {
			t.Errorf("%s: got %q, %v, want %q", what, got, ok, why)
		}
		if gotRefused, gotAhead := i.take(); gotRefused != refused || gotAhead != ahead {
			t.Errorf("%s: took %v, %d, want %v, %d", what, gotRefused, gotAhead, refused, ahead)
		}
	}
	step("without a token any report counts", "a", 1, "", true, 0)
	i.about("b", 5)
	step("the token in hand", "b", 5, "", true, 0)
	step("the token in hand, by a caller that knows no generation", "b", 0, "", true, 0)
	step("an older one", "a", 4, suspectStale, false, 0)
	step("another of the same age", "x", 5, suspectStale, false, 0)
	step("a later one", "c", 6, "", false, 6)
	step("one of a far future", "c", 5+maxAhead+1, suspectStale, false, 0)

	for range 3 {
		_, _ = i.put("b", 5)
	}
	if why, _ := i.put("b", 5); why != suspectRepeated {
		t.Errorf("the same again: got %q", why)
	}
	_, _ = i.put("c", 6)
	i.about("c", 7)
	if refused, ahead := i.take(); refused || ahead != 0 {
		t.Errorf("after a newer token: took %v, %d, want nothing", refused, ahead)
	}
	if len(i.bell) != 1 {
		t.Errorf("the bell is rung %d times, want once", len(i.bell))
	}
}
