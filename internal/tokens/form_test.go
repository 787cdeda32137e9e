package tokens_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/internal/tokens"
	"github.com/kfbus/kfbus/pkg/events"
)

// xkey is a pair as an operator has it.
type xkey struct{ private, public string }

func newXkey(t testing.TB) xkey {
	t.Helper()
	private, public, err := tokens.NewSealKey()
	if err != nil {
		t.Fatal(err)
	}
	return xkey{private.Reveal(), public}
}

func (k xkey) seals(t testing.TB, corp, credential string, readers ...string) tokens.Form {
	t.Helper()
	f, err := tokens.Sealing{Seal: "xkey", Readers: readers, SealKey: service.NewSecret(k.private)}.Form(corp, credential)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (k xkey) opens(t testing.TB, corp, credential string, keepers ...string) tokens.Form {
	t.Helper()
	f, err := tokens.Opening{OpenKey: service.NewSecret(k.private), Keeper: keepers}.Form(corp, credential)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func encoded(t testing.TB, f tokens.Form, v tokens.Value) []byte {
	t.Helper()
	raw, err := f.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// boxFor is a box of an entry.
func boxFor(t testing.TB, raw []byte, i int) []byte {
	t.Helper()
	var e events.AccessToken
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	return e.Sealed[i].Box
}

func TestSealedForItsReaders(t *testing.T) {
	keeper, syncer, sender, other := newXkey(t), newXkey(t), newXkey(t), newXkey(t)
	form := keeper.seals(t, corp, credential, "syncer="+syncer.public, " sender="+sender.public)
	v := value(canary, 7)
	raw := encoded(t, form, v)
	for _, form := range []string{canary, "CANARY", "Q0FOQVJ", syncer.private, keeper.private} {
		if bytes.Contains(raw, []byte(form)) {
			t.Errorf("%s is in the value %s", form, raw)
		}
	}
	for name, f := range map[string]tokens.Form{
		"the tokenkeeper": form, "the syncer": syncer.opens(t, corp, credential, keeper.public),
		"the sender, while the keeper's key changes": sender.opens(t, corp, credential, other.public, keeper.public),
	} {
		if got, err := f.Decode(raw); err != nil || !same(got, v) {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, v)
		}
	}
	if !form.Current(raw) {
		t.Error("what was just written is not current")
	}
	for name, f := range map[string]tokens.Form{
		"another reader":     keeper.seals(t, corp, credential, "syncer="+syncer.public, "sender="+other.public),
		"a reader more":      keeper.seals(t, corp, credential, "syncer="+syncer.public, "sender="+sender.public, "third="+other.public),
		"another keeper key": other.seals(t, corp, credential, "syncer="+syncer.public, "sender="+sender.public),
	} {
		if f.Current(raw) {
			t.Errorf("%s: still current", name)
		}
	}
}

// 5.11: everything that somebody with the right to write into the bucket can put there.
func TestPlantedEntriesAreRefused(t *testing.T) {
	keeper, syncer, sender, thief := newXkey(t), newXkey(t), newXkey(t), newXkey(t)
	form := keeper.seals(t, corp, credential, "syncer="+syncer.public, "sender="+sender.public)
	mine := syncer.opens(t, corp, credential, keeper.public)
	v := value(canary, 7)
	good := encoded(t, form, v)
	change := func(f func(*events.AccessToken)) []byte {
		var e events.AccessToken
		if err := json.Unmarshal(good, &e); err != nil {
			t.Fatal(err)
		}
		f(&e)
		raw, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	for _, c := range []struct {
		name, reason string
		raw          []byte
	}{
		{"plain", tokens.ReasonPlain, encoded(t, plain, value("planted-token", 8))},
		{"garbage", tokens.ReasonMalformed, []byte(`{"sealed":"x"}`)},
		{"sealed by a thief", tokens.ReasonForged, encoded(t, thief.seals(t, corp, credential, "syncer="+syncer.public), value("planted-token", 8))},
		{"sealed by a thief who names the keeper", tokens.ReasonForged, bytes.ReplaceAll(
			encoded(t, thief.seals(t, corp, credential, "syncer="+syncer.public), value("planted-token", 8)), []byte(thief.public), []byte(keeper.public))},
		{"sealed by another reader", tokens.ReasonForged, encoded(t, sender.seals(t, corp, credential, "syncer="+syncer.public), value("planted-token", 8))},
		{"the box of another credential", tokens.ReasonForged, encoded(t, keeper.seals(t, corp, "other", "syncer="+syncer.public), v)},
		{"the box of another corp", tokens.ReasonForged, encoded(t, keeper.seals(t, "ww2", credential, "syncer="+syncer.public), v)},
		{"another's box under our key", tokens.ReasonForged, change(func(e *events.AccessToken) { e.Sealed[1].Box = e.Sealed[2].Box })},
		{"one bit", tokens.ReasonForged, change(func(e *events.AccessToken) { e.Sealed[1].Box[len(e.Sealed[1].Box)-1] ^= 1 })},
		{"cut short", tokens.ReasonForged, change(func(e *events.AccessToken) { e.Sealed[1].Box = e.Sealed[1].Box[:20] })},
		{"our box is missing", tokens.ReasonNotForUs, change(func(e *events.AccessToken) { e.Sealed = e.Sealed[2:] })},
		{"a box that does not open before ours", tokens.ReasonForged, change(func(e *events.AccessToken) {
			e.Sealed = append([]events.TokenBox{{Reader: "syncer", Key: syncer.public, Box: []byte("x")}}, e.Sealed...)
		})},
		{"a box that holds no token", tokens.ReasonMalformed, encoded(t, form, tokens.Value{Generation: 8})},
	} {
		got, err := mine.Decode(c.raw)
		if err == nil {
			t.Errorf("%s: taken as %v", c.name, got)
			continue
		}
		if r := tokens.Reason(err); r != c.reason {
			t.Errorf("%s: got %s (%v), want %s", c.name, r, err, c.reason)
		}
		for _, secret := range []string{canary, "planted-token", syncer.private} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: a secret is in %v", c.name, err)
			}
		}
	}
	for name, spoiled := range map[string][]byte{
		"a reader's box":          change(func(e *events.AccessToken) { e.Sealed[2].Box[30] ^= 1 }),
		"a reader's older box":    change(func(e *events.AccessToken) { e.Sealed[2].Box = boxFor(t, encoded(t, form, value(canary, 6)), 2) }),
		"the generation outside":  change(func(e *events.AccessToken) { e.Generation = 99 }),
		"the hash outside":        change(func(e *events.AccessToken) { e.Hash = "00000000" }),
		"the end outside":         change(func(e *events.AccessToken) { e.Expires = e.Expires.Add(1) }),
		"a token outside":         change(func(e *events.AccessToken) { e.Token = "planted" }),
		"one more box than asked": change(func(e *events.AccessToken) { e.Sealed = append(e.Sealed, e.Sealed[2]) }),
	} {
		if _, err := form.Decode(spoiled); err != nil {
			t.Errorf("%s: the tokenkeeper's own box does not open: %v", name, err)
		}
		if form.Current(spoiled) {
			t.Errorf("%s is spoiled, and the entry is current: it would not be repaired", name)
		}
	}
	// What stands outside the box is not believed.
	raised := change(func(e *events.AccessToken) { e.Generation, e.Hash, e.Token = 99, "00000000", "planted" })
	if got, err := mine.Decode(raised); err != nil || !same(got, v) {
		t.Errorf("another outside: got %v, %v, want %v", got, err, v)
	}
	if _, err := plain.Decode(good); tokens.Reason(err) != tokens.ReasonSealed || !strings.Contains(err.Error(), "KF_TOKEN_OPEN_KEY_FILE") {
		t.Errorf("without a key: got %v", err)
	}
}

func TestSealingRefuses(t *testing.T) {
	k := newXkey(t)
	private := service.NewSecret(k.private)
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"no choice", tokens.Sealing{}.Validate(), "KF_TOKEN_SEAL must be xkey or plain"},
		{"another word", tokens.Sealing{Seal: "none"}.Validate(), "KF_TOKEN_SEAL must be xkey or plain"},
		{"plain", tokens.Sealing{Seal: "plain"}.Validate(), ""},
		{"no key", tokens.Sealing{Seal: "xkey", Readers: []string{"a=" + k.public}}.Validate(), "KF_TOKEN_SEAL_KEY_FILE"},
		{"a public key as the private one", tokens.Sealing{Seal: "xkey", Readers: []string{"a=" + k.public}, SealKey: service.NewSecret(k.public)}.Validate(), "SX"},
		{"nobody to read", tokens.Sealing{Seal: "xkey", SealKey: private}.Validate(), "nobody could read"},
		{"a reader without a name", tokens.Sealing{Seal: "xkey", SealKey: private, Readers: []string{k.public}}.Validate(), "entry 1 of KF_TOKEN_READERS"},
		{"a reader's private key", tokens.Sealing{Seal: "xkey", SealKey: private, Readers: []string{"a=" + k.public, "b=" + k.private}}.Validate(), "entry 2 of KF_TOKEN_READERS"},
		{"all of it", tokens.Sealing{Seal: "xkey", SealKey: private, Readers: []string{"a=" + k.public}}.Validate(), ""},
		{"a reader of plain ones", tokens.Opening{}.Validate(), ""},
		{"a key and no keeper", tokens.Opening{OpenKey: private}.Validate(), "go together"},
		{"a keeper and no key", tokens.Opening{Keeper: []string{k.public}}.Validate(), "go together"},
		{"a keeper's private key", tokens.Opening{OpenKey: private, Keeper: []string{k.private}}.Validate(), "entry 1 of KF_TOKEN_KEEPER"},
		{"a key that is none", tokens.Opening{OpenKey: service.NewSecret("x"), Keeper: []string{k.public}}.Validate(), "KF_TOKEN_OPEN_KEY"},
		{"both", tokens.Opening{OpenKey: private, Keeper: []string{" " + k.public}}.Validate(), ""},
	} {
		got := ""
		if c.err != nil {
			got = c.err.Error()
		}
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		if strings.Contains(got, k.private) {
			t.Errorf("%s: the private key is in the error", c.name)
		}
	}
}

// A watcher that expects sealed tokens keeps the one it has, says so once an entry, and counts.
func TestAPlantedTokenIsIgnoredAndCounted(t *testing.T) {
	b, _ := testkit.Bus(t)
	keeper, syncer, thief := newXkey(t), newXkey(t), newXkey(t)
	seal := func(k xkey, v tokens.Value) []byte {
		return encoded(t, k.seals(t, corp, credential, "syncer="+syncer.public), v)
	}
	logs := &log{}
	w := runForm(t, b, syncer.opens(t, corp, credential, keeper.public), zerolog.New(logs))
	reg := prometheus.NewRegistry()
	if err := reg.Register(w); err != nil {
		t.Fatal(err)
	}
	want := value(canary, 7)
	putRaw(t, b, seal(keeper, want))
	testkit.Eventually(t, "the sealed token", func() bool { return generation(w) == 7 })
	for i, planted := range [][]byte{encoded(t, plain, value("planted-token", 100)), seal(thief, value("planted-token", 101)), []byte("{}")} {
		putRaw(t, b, planted)
		testkit.Eventually(t, fmt.Sprintf("planted entry %d to be counted", i), func() bool { return ignoredTotal(t, reg) >= float64(i+1) })
		if v, _ := w.Current(); !same(v, want) {
			t.Errorf("planted entry %d: got %v, want %v", i, v, want)
		}
	}
	next := value("next", 8)
	putRaw(t, b, seal(keeper, next))
	testkit.Eventually(t, "the next sealed token", func() bool { v, _ := w.Current(); return same(v, next) })
	for _, want := range []string{`"reason":"plain"`, `"reason":"forged"`, `"level":"error"`} {
		if !strings.Contains(logs.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, logs)
		}
	}
	if strings.Contains(logs.String(), "planted-token") || strings.Contains(logs.String(), canary) {
		t.Errorf("a token is in the log:\n%s", logs)
	}
}

// ignoredTotal is the sum of kf_access_tokens_ignored_total.
func ignoredTotal(t testing.TB, reg *prometheus.Registry) (sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			sum += m.GetCounter().GetValue()
		}
	}
	return sum
}

// log takes lines of several goroutines.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func BenchmarkSealed(b *testing.B) {
	keeper, syncer := newXkey(b), newXkey(b)
	form, mine := keeper.seals(b, corp, credential, "syncer="+syncer.public), syncer.opens(b, corp, credential, keeper.public)
	raw := encoded(b, form, value(strings.Repeat("x", 512), 7))
	b.Run("seal", func(b *testing.B) {
		for b.Loop() {
			encoded(b, form, value(strings.Repeat("x", 512), 7))
		}
	})
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			if _, err := mine.Decode(raw); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.ReportMetric(float64(len(raw)), "bytes")
}
