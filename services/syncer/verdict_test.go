package syncer

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/tokens"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

func TestJudge(t *testing.T) {
	code := func(n int) error { return fmt.Errorf("pull: %w", &kfapi.Error{Op: "sync_msg", Code: n}) }
	for _, c := range []struct {
		name              string
		err               error
		withToken, cursor bool
		want              act
		why               string
	}{
		{"a page", nil, true, true, goOn, ""},
		{"the callback's token is too old", code(95007), true, true, tokenless, whySyncToken},
		{"the same without one", code(95007), false, true, later, whySyncToken},
		{"the account is gone", code(95004), true, true, giveUp, whyAccount},
		{"it is no account", code(95000), true, true, giveUp, whyAccount},
		{"it is not ours", code(48007), true, true, giveUp, whyAccount},
		{"an id that is too long", &kfapi.LimitError{Field: "open_kfid"}, true, true, giveUp, whyAccount},
		{"busy", code(-1), true, true, again, whyBusy},
		{"busy, of another kind", code(45033), true, true, again, whyBusy},
		{"no answer", &kfapi.TransportError{Op: "sync_msg", Written: true, Err: context.DeadlineExceeded}, true, true, again, whyTransport},
		{"a proxy's page", &kfapi.BodyError{Op: "sync_msg", Status: 502}, true, true, again, whyTransport},
		{"refused tokens, twice", code(42001), true, true, later, whyToken},
		{"no token at all", fmt.Errorf("%w: %w", tokens.ErrNone, context.Canceled), true, true, later, whyToken},
		{"shut for all", &shutError{apiSync, noon}, true, true, later, whyPaused},
		{"the cursor is refused", code(40058), true, true, later, whyCursor},
		{"something else of the request is", code(40058), true, false, later, whyRefused},
		{"our address is not allowed", code(60020), true, true, later, whyRefused},
		{"a code nobody knows", code(123456), true, true, later, whyRefused},
	} {
		got, why := judge(c.err, c.withToken, c.cursor)
		if got != c.want || why != c.why {
			t.Errorf("%s: got %v %q, want %v %q", c.name, got, why, c.want, c.why)
		}
	}
}

func TestWaits(t *testing.T) {
	w := defaultWaits()
	if got := w.of(giveUp, whyAccount, errors.New("x"), noon); got != 0 {
		t.Errorf("an account that is gone: got %v, want 0", got)
	}
	if got := w.of(later, whyPaused, &shutError{apiSync, noon.Add(40 * time.Second)}, noon); got < 40*time.Second || got > 40*time.Second+2*w.spread {
		t.Errorf("a shut API: got %v, want 40s and a little", got)
	}
	if got := w.of(later, whyPaused, &shutError{apiSync, noon.Add(-time.Hour)}, noon); got <= 0 || got > 2*w.spread {
		t.Errorf("an API that was shut: got %v, want a little", got)
	}
	for failures, want := range []time.Duration{5 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second} {
		if got := w.grown(w.soon, failures); got != want {
			t.Errorf("failure %d: got %v, want %v", failures, got, want)
		}
	}
	for _, failures := range []int{20, 1000} {
		if got := w.grown(w.soon, failures); got != w.most {
			t.Errorf("failure %d: got %v, want %v", failures, got, w.most)
		}
	}
}
