package tokens_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/tokens"
)

const canary = "CANARY-access-token-0123456789"

func value(token string, generation uint64) tokens.Value {
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	return tokens.Value{Token: service.NewSecret(token), Generation: generation, Hash: tokens.Hash(token), Obtained: at, Expires: at.Add(2 * time.Hour)}
}

// same compares what can be compared.
func same(a, b tokens.Value) bool {
	return a.Token.Equal(b.Token) && a.Generation == b.Generation && a.Hash == b.Hash && a.Obtained.Equal(b.Obtained) && a.Expires.Equal(b.Expires)
}

func TestHashIsEightDigits(t *testing.T) {
	// printf abc | sha256sum
	if got, want := tokens.Hash("abc"), "ba7816bf"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestEncodeDecode(t *testing.T) {
	want := value(canary, 7)
	raw, err := plain.Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := plain.Decode(raw)
	if err != nil || !same(got, want) || got.Token.Reveal() != canary {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	const wire = `{"generation":7,"obtained":"2026-03-01T08:00:00Z","expires":"2026-03-01T10:00:00Z","sha256":"HASH","token":"CANARY-access-token-0123456789"}`
	if string(raw) != strings.Replace(wire, "HASH", want.Hash, 1) {
		t.Errorf("got %s, want %s", raw, wire)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := `{"generation":7,"sha256":"` + tokens.Hash(canary) + `","token":"` + canary + `"}`
	if _, err := plain.Decode([]byte(good)); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	for name, raw := range map[string]string{
		"nothing":              "",
		"no JSON":              canary,
		"another type":         strings.Replace(good, `"`+canary+`"`, `["`+canary+`"]`, 1),
		"no token":             `{"generation":7,"sha256":"e3b0c442"}`,
		"another token's hash": strings.Replace(good, tokens.Hash(canary), tokens.Hash("other"), 1),
		"no generation":        strings.Replace(good, "7", "0", 1),
		"endless generation":   strings.Replace(good, "7", "9007199254740991", 1),
		"negative generation":  strings.Replace(good, "7", "-7", 1),
	} {
		v, err := plain.Decode([]byte(raw))
		if err == nil {
			t.Errorf("%s: accepted as %v", name, v)
		} else if strings.Contains(err.Error(), canary) {
			t.Errorf("%s: the error shows the token: %v", name, err)
		}
	}
}

func TestValueNeverPrintsTheToken(t *testing.T) {
	v := value(canary, 7)
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb, v, &v)
		fmt.Fprintf(&out, verb, []tokens.Value{v})
		fmt.Fprintf(&out, verb, struct{ V tokens.Value }{v})
		fmt.Fprintf(&out, verb, struct{ v *tokens.Value }{&v})
	}
	if err := json.NewEncoder(&out).Encode(map[string]any{"v": v, "p": &v}); err != nil {
		t.Fatal(err)
	}
	log := zerolog.New(&out)
	log.Info().Interface("v", v).Any("p", &v).Msg("")
	hex := fmt.Sprintf("%x", canary)
	if got := out.String(); strings.Contains(got, "CANARY") || strings.Contains(got, hex) {
		t.Errorf("the token is in %s", got)
	}
}
