package tokens_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/localnats"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/internal/tokens"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

const (
	corp       = "ww1"
	credential = "kf"
)

var plain = tokens.Plain(corp, credential)

// put writes an entry as a tokenkeeper would.
func put(t testing.TB, b *bus.Bus, v tokens.Value) {
	t.Helper()
	raw, err := plain.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	putRaw(t, b, raw)
}

func putRaw(t testing.TB, b *bus.Bus, raw []byte) {
	t.Helper()
	if err := b.Put(testkit.Context(t), events.BucketTokens, events.TokenKey(corp, credential), raw, 0); err != nil {
		t.Fatal(err)
	}
}

// run starts a watcher that ends with the test.
func run(t testing.TB, b *bus.Bus) *tokens.Watcher { return runForm(t, b, plain, zerolog.Nop()) }

func runForm(t testing.TB, b *bus.Bus, form tokens.Form, log zerolog.Logger) *tokens.Watcher {
	t.Helper()
	w := tokens.New(b, form, log, time.Now)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := w.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return w
}

func generation(w *tokens.Watcher) uint64 {
	v, _ := w.Current()
	return v.Generation
}

func TestAccessTokenWaitsForTheFirst(t *testing.T) {
	b, _ := testkit.Bus(t)
	w := run(t, b)
	if v, ok := w.Current(); ok {
		t.Fatalf("got %v before there was one", v)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.AccessToken(ctx); !errors.Is(err, tokens.ErrNone) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want ErrNone and the context's error", err)
	}
	got := make(chan tokens.Value)
	go func() {
		v, err := w.AccessToken(testkit.Context(t))
		if err != nil {
			t.Error(err)
		}
		got <- v
	}()
	want := value("first", 7)
	put(t, b, want)
	if v := <-got; !same(v, want) {
		t.Errorf("got %v, want %v", v, want)
	}
}

func TestOnlyANewerTokenReplacesTheOneInHand(t *testing.T) {
	b, _ := testkit.Bus(t)
	w := run(t, b)
	put(t, b, value("seven", 7))
	testkit.Eventually(t, "generation 7", func() bool { return generation(w) == 7 })

	kv, err := b.JS.KeyValue(testkit.Context(t), events.BucketTokens)
	if err != nil {
		t.Fatal(err)
	}
	key := events.TokenKey(corp, credential)
	for name, change := range map[string]func(){
		"an older one":            func() { put(t, b, value("six", 6)) },
		"another of the same age": func() { put(t, b, value("another seven", 7)) },
		"garbage":                 func() { putRaw(t, b, []byte(`{"token":"planted"}`)) },
		"an empty value":          func() { putRaw(t, b, nil) },
		"a deletion":              func() { _ = kv.Delete(testkit.Context(t), key) },
		"a purge":                 func() { _ = kv.Purge(testkit.Context(t), key) },
	} {
		change()
		other := value("eight", generation(w)+1) // comes after the change, by the same ways
		put(t, b, other)
		testkit.Eventually(t, "the token after "+name, func() bool { return generation(w) == other.Generation })
		put(t, b, value("old", 1))
		if v, _ := w.Current(); !same(v, other) {
			t.Errorf("%s: got %v, want %v", name, v, other)
		}
	}
}

func TestLongerLifeOfTheSameTokenIsTaken(t *testing.T) {
	b, _ := testkit.Bus(t)
	w := run(t, b)
	v := value("seven", 7)
	put(t, b, v)
	testkit.Eventually(t, "generation 7", func() bool { return generation(w) == 7 })
	v.Expires = v.Expires.Add(time.Hour)
	put(t, b, v)
	testkit.Eventually(t, "the longer life", func() bool { got, _ := w.Current(); return same(got, v) })
}

func TestTokenStaysInUseWhileTheBusIsAway(t *testing.T) {
	b, server := testkit.Bus(t)
	w := run(t, b)
	put(t, b, value("seven", 7))
	testkit.Eventually(t, "generation 7", func() bool { return generation(w) == 7 })
	server.Close()
	testkit.Eventually(t, "the connection to end", func() bool { return !b.NC.IsConnected() })
	v, err := w.AccessToken(testkit.Context(t))
	if err != nil || v.Token.Reveal() != "seven" {
		t.Errorf("got %v, %v, want the token in hand", v, err)
	}
}

func TestWatcherOutlivesTheBroker(t *testing.T) {
	dir := t.TempDir()
	first := testkit.NATS(t, func(o *localnats.Options) { o.Dir = dir })
	port := first.URL()[len("nats://"):]
	b, err := bus.Connect(bus.Config{URL: first.URL()}, t.Name(), zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.NC.Close)
	if _, err := b.Apply(testkit.Context(t), testkit.Small()); err != nil {
		t.Fatal(err)
	}
	w := run(t, b)
	put(t, b, value("seven", 7))
	testkit.Eventually(t, "generation 7", func() bool { return generation(w) == 7 })
	first.Close()
	testkit.NATS(t, func(o *localnats.Options) { o.Dir, o.Listen = dir, port })
	testkit.Eventually(t, "the connection to come back", b.NC.IsConnected)
	put(t, b, value("eight", 8))
	testkit.Eventually(t, "generation 8", func() bool { return generation(w) == 8 })
}

func TestWatcherOutlivesTheBucket(t *testing.T) {
	b, _ := testkit.Bus(t)
	w := run(t, b)
	put(t, b, value("seven", 7))
	testkit.Eventually(t, "generation 7", func() bool { return generation(w) == 7 })
	ctx := testkit.Context(t)
	if err := b.JS.DeleteKeyValue(ctx, events.BucketTokens); err != nil {
		t.Fatal(err)
	}
	if v, err := w.AccessToken(ctx); err != nil || v.Generation != 7 {
		t.Errorf("without a bucket: got %v, %v, want the token in hand", v, err)
	}
	if _, err := b.Apply(ctx, testkit.Small()); err != nil {
		t.Fatal(err)
	}
	put(t, b, value("eight", 8))
	testkit.Eventually(t, "generation 8", func() bool { return generation(w) == 8 })
}

func TestWatcherWaitsForTheBucket(t *testing.T) {
	b := testkit.Connect(t, testkit.NATS(t), t.Name())
	w := run(t, b)
	ctx := testkit.Context(t)
	for _, c := range testkit.Small().Buckets() {
		if _, err := b.JS.CreateKeyValue(ctx, c); err != nil && !errors.Is(err, jetstream.ErrBucketExists) {
			t.Fatal(err)
		}
	}
	put(t, b, value("first", 7))
	if v, err := w.AccessToken(ctx); err != nil || v.Token.Reveal() != "first" {
		t.Errorf("got %v, %v", v, err)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestNothingShowsTheToken(t *testing.T) {
	b, server := testkit.Bus(t)
	var logs lockedBuffer
	w := tokens.New(b, plain, zerolog.New(&logs), time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	v := value(canary, 7)
	put(t, b, v)
	testkit.Eventually(t, "the token", func() bool { return generation(w) == 7 })
	refused := &kfapi.Error{Op: "send_msg", Code: 42001, Msg: canary}
	short, stop := context.WithTimeout(ctx, 10*time.Millisecond)
	defer stop()
	err := w.Do(short, func(context.Context, string) error { return refused })
	putRaw(t, b, []byte(`{"generation":8,"token":"`+canary+`"}`))
	testkit.Eventually(t, "a look at what is no token", func() bool { return strings.Contains(logs.String(), "is ignored") })
	put(t, b, value("next", 9))
	testkit.Eventually(t, "the next", func() bool { return generation(w) == 9 })
	server.Close()
	w.Refused(value("next", 9), 40014)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	text := logs.String() + err.Error()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		text += fmt.Sprintf(verb, w)
	}
	for _, want := range []string{v.Hash, "is ignored", "the platform refused"} {
		if !strings.Contains(text, want) {
			t.Errorf("the logs lack %q", want)
		}
	}
	if strings.Contains(text, "CANARY") {
		t.Errorf("the token is in\n%s", text)
	}
}
