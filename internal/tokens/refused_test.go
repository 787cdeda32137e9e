package tokens

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

var (
	errRefused = error(&kfapi.Error{Op: "send_msg", Code: 42001})
	errOther   = error(&kfapi.Error{Op: "send_msg", Code: 95001})
)

// offline is a watcher without a bus: give puts a token into its hand, reports holds what it published.
type offline struct {
	*Watcher
	mu      sync.Mutex
	reports []events.Suspect
	down    bool
}

func newOffline(generation uint64) *offline {
	o := &offline{Watcher: New(nil, Plain("ww1", "kf"), zerolog.Nop(), time.Now)}
	o.publish = func(s events.Suspect) error {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.down {
			return bus.ErrDisconnected
		}
		o.reports = append(o.reports, s)
		return nil
	}
	if generation > 0 {
		o.give(generation)
	}
	return o
}

func tokenOf(generation uint64) string { return "token " + string(rune('a'+generation)) }

func (o *offline) give(generation uint64) {
	token := tokenOf(generation)
	raw, _ := o.form.Encode(Value{Token: service.NewSecret(token), Hash: Hash(token), Generation: generation})
	o.take(raw, generation)
}

func (o *offline) seen() []events.Suspect {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.reports)
}

func TestDo(t *testing.T) {
	answers := func(errs ...error) func(n int) error { return func(n int) error { return errs[n] } }
	for _, c := range []struct {
		name    string
		answer  func(n int) error
		renewed bool // the tokenkeeper has a newer token a second after the report
		want    error
		used    string // generations of the tokens used
		reports int
	}{
		{"a success is made once", answers(nil), true, nil, "1", 0},
		{"another refusal is the caller's", answers(errOther), true, errOther, "1", 0},
		{"a refused gettoken is no refused token", answers(&kfapi.Error{Op: "gettoken", Code: 40001}), true, &kfapi.Error{Op: "gettoken", Code: 40001}, "1", 0},
		{"a refused token is repeated with the newer one", answers(errRefused, nil), true, nil, "12", 1},
		{"what the repetition says counts", answers(errRefused, errOther), true, errOther, "12", 1},
		{"a second refusal is final, and reported", answers(errRefused, errRefused), true, errRefused, "12", 2},
		{"without a newer token it is not repeated", answers(errRefused), false, errRefused, "1", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffline(1)
				if c.renewed {
					time.AfterFunc(time.Second, func() { o.give(2) })
				}
				began, used := time.Now(), ""
				err := o.Do(t.Context(), func(_ context.Context, token string) error {
					used += string(token[len(token)-1] - 'a' + '0')
					return c.answer(len(used) - 1)
				})
				if !sameError(err, c.want) || used != c.used || len(o.seen()) != c.reports {
					t.Errorf("got %v after %s and %d reports, want %v after %s and %d", err, used, len(o.seen()), c.want, c.used, c.reports)
				}
				if took := time.Since(began); took > Patience {
					t.Errorf("took %v, more than %v", took, Patience)
				}
				synctest.Wait()
			})
		})
	}
}

func sameError(a, b error) bool {
	ca, _ := kfapi.Code(a)
	cb, _ := kfapi.Code(b)
	return (a == nil) == (b == nil) && ca == cb
}

func TestDoEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffline(1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		err := o.Do(ctx, func(context.Context, string) error { return errRefused })
		if !errors.Is(err, errRefused) || time.Since(began) != time.Second {
			t.Errorf("got %v after %v, want the refusal after 1s", err, time.Since(began))
		}
		err = newOffline(0).Do(ctx, func(context.Context, string) error { t.Error("called without a token"); return nil })
		if !errors.Is(err, ErrNone) {
			t.Errorf("got %v, want ErrNone", err)
		}
	})
}

func TestARefusedTokenIsHeldBackOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffline(1)
		wait := func() time.Duration {
			began := time.Now()
			if _, err := o.AccessToken(t.Context()); err != nil {
				t.Error(err)
			}
			return time.Since(began)
		}
		if got := wait(); got != 0 {
			t.Errorf("before any refusal: waited %v", got)
		}
		v, _ := o.Current()
		o.Refused(v, 42001)
		if got := wait(); got != Patience {
			t.Errorf("after the refusal: waited %v, want %v", got, Patience)
		}
		o.Refused(v, 42001)
		if got := wait(); got != 0 {
			t.Errorf("after another refusal, with no newer token to be had: waited %v, want none", got)
		}
		o.give(2)
		v, _ = o.Current()
		o.Refused(v, 42001)
		time.AfterFunc(time.Second, func() { o.give(3) })
		if got := wait(); got != time.Second {
			t.Errorf("with a newer token after 1s: waited %v", got)
		}
	})
}

func TestRefusedReportsATokenOnceInAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffline(1)
		v, _ := o.Current()
		for range 1000 {
			o.Refused(v, 40014)
		}
		want := events.Suspect{Corp: "ww1", Credential: "kf", Hash: v.Hash, ErrCode: 40014, Generation: 1}
		if got := o.seen(); len(got) != 1 || got[0] != want {
			t.Fatalf("got %v, want %v once", got, want)
		}
		<-time.After(reportEvery)
		o.Refused(v, 40014)
		if got := o.seen(); len(got) != 2 {
			t.Errorf("after %v: got %d reports, want 2", reportEvery, len(got))
		}
		o.give(2)
		o.Refused(v, 40014)
		if got := o.seen(); len(got) != 2 {
			t.Errorf("of a token that was replaced: got %d reports, want none more", len(got))
		}
	})
}

func TestALostReportIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffline(1)
		v, _ := o.Current()
		o.down = true
		o.Refused(v, 40014)
		o.down = false
		o.Refused(v, 40014)
		if got := o.seen(); len(got) != 1 {
			t.Errorf("got %d reports, want 1", len(got))
		}
	})
}

// A thousand callers use one token when it dies. Each makes at most two calls, and none begins one with the token that
// is known to be bad.
func TestAThousandCallersRecoverTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffline(1)
		var dead, after, calls atomic.Int64
		dead.Store(1)
		call := func(_ context.Context, token string) error {
			calls.Add(1)
			if token == tokenOf(1) {
				if len(o.seen()) > 0 {
					after.Add(1)
				}
				return errRefused
			}
			return nil
		}
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() {
				<-time.After(time.Duration(i) * time.Millisecond)
				if err := o.Do(t.Context(), call); err != nil {
					t.Error(err)
				}
			})
		}
		time.AfterFunc(1500*time.Millisecond, func() { o.give(2) })
		wg.Wait()
		if got := len(o.seen()); got != 1 {
			t.Errorf("got %d reports, want 1", got)
		}
		if got := after.Load(); got != 0 {
			t.Errorf("got %d calls with a token that was known to be bad, want none", got)
		}
		if got := calls.Load(); got != 1001 {
			t.Errorf("got %d calls, want 1001", got)
		}
	})
}

func TestReportOnTheWire(t *testing.T) {
	b, _ := testkit.Bus(t)
	sub, err := b.NC.SubscribeSync(events.SuspectSubject("ww1"))
	if err != nil {
		t.Fatal(err)
	}
	w := New(b, Plain("ww1", "kf"), zerolog.Nop(), time.Now)
	raw, _ := w.form.Encode(Value{Token: service.NewSecret("CANARY"), Hash: Hash("CANARY"), Generation: 1})
	w.take(raw, 1)
	v, _ := w.Current()
	w.Refused(v, 42001)
	m, err := sub.NextMsgWithContext(testkit.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(m.Data), "CANARY") {
		t.Errorf("the token is in %s", m.Data)
	}
	e, err := bus.Decode(m.Header, m.Data)
	if err != nil {
		t.Fatal(err)
	}
	var got events.Suspect
	if err := json.Unmarshal(e.Data(), &got); err != nil {
		t.Fatal(err)
	}
	if want := (events.Suspect{Corp: "ww1", Credential: "kf", Hash: v.Hash, ErrCode: 42001, Generation: 1}); got != want || e.Type() != events.TypeSuspect {
		t.Errorf("got %s %v, want %v", e.Type(), got, want)
	}
}

func TestAReportWithoutABusIsAnError(t *testing.T) {
	b, _ := testkit.Bus(t)
	b.NC.Close()
	w := New(b, Plain("ww1", "kf"), zerolog.Nop(), time.Now)
	if err := w.publishSuspect(events.Suspect{Corp: "ww1", Credential: "kf", Hash: "00000000"}); !errors.Is(err, bus.ErrDisconnected) {
		t.Errorf("got %v, want ErrDisconnected", err)
	}
}
