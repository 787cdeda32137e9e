package kfcrypto

import (
	"encoding/base64"
	"strings"
	"testing"
)

func TestParseKey(t *testing.T) {
	for _, tc := range []struct {
		name, key string
		ok        bool
	}{
		{"official sample, spare bits set", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", true},
		{"canonical", "4Ma3YBrSBbX2aez8MJpXGBne5LSDwgGqHbhM9WPYIws", true},
		{"empty", "", false},
		{"42 characters", testKey[:42], false},
		{"44 characters", testKey + "A", false},
		{"with its equals sign", testKey[:42] + "=", false},
		{"plus", "+" + testKey[1:], false},
		{"slash at the end", testKey[:42] + "/", false},
		{"URL-safe", testKey[:20] + "_" + testKey[21:], false},
		{"space pasted along", testKey[:42] + " ", false},
		{"letters that are not ASCII", testKey[:41] + "é", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k, err := ParseKey(tc.key)
			if (err == nil) != tc.ok {
				t.Fatalf("got error %v, want ok %v", err, tc.ok)
			}
			if tc.ok && k.Reveal() != tc.key {
				t.Errorf("got %q, want %q", k.Reveal(), tc.key)
			}
			if !tc.ok && k.Reveal() != "" {
				t.Errorf("a refused key reveals %q", k.Reveal())
			}
			if _, err := New(testToken, tc.key, testCorp); (err == nil) != tc.ok {
				t.Errorf("New: got error %v, want ok %v", err, tc.ok)
			}
		})
	}
}

func TestParseCallbackToken(t *testing.T) {
	for _, tc := range []struct {
		name, token string
		ok          bool
	}{
		{"one character", "a", true},
		{"32 characters", strings.Repeat("Z9", 16), true},
		{"empty", "", false},
		{"33 characters", strings.Repeat("a", 33), false},
		{"underscore", "a_b", false},
		{"newline", "abc\n", false},
		{"full-width digit", "１", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseCallbackToken(tc.token)
			if (err == nil) != tc.ok {
				t.Fatalf("got error %v, want ok %v", err, tc.ok)
			}
			if tc.ok && got.Reveal() != tc.token {
				t.Errorf("got %q, want %q", got.Reveal(), tc.token)
			}
			if _, err := New(tc.token, testKey, testCorp); (err == nil) != tc.ok {
				t.Errorf("New: got error %v, want ok %v", err, tc.ok)
			}
		})
	}
}

func TestGeneratedKeysWork(t *testing.T) {
	seen := make(map[string]bool)
	spare := 0
	for range 500 {
		k := GenerateKey()
		if _, err := ParseKey(k.Reveal()); err != nil {
			t.Fatal(err)
		}
		if raw, err := k.aes(); err != nil || len(raw) != 32 {
			t.Fatalf("got %d bytes, %v, want 32", len(raw), err)
		}
		if _, err := base64.StdEncoding.Strict().DecodeString(k.Reveal() + "="); err != nil {
			spare++
		}
		seen[k.Reveal()] = true
	}
	if len(seen) != 500 {
		t.Errorf("got %d different keys of 500", len(seen))
	}
	if spare == 0 || spare == 500 { // about 3 of 4; the chance of either is below 1e-62
		t.Errorf("%d of 500 keys are not canonical, want some but not all", spare)
	}
}

func TestGenerateCallbackToken(t *testing.T) {
	for _, tc := range []struct{ ask, want int }{{0, 32}, {1, 1}, {17, 17}, {32, 32}} {
		got, err := GenerateCallbackToken(tc.ask)
		if err != nil || len(got.Reveal()) != tc.want {
			t.Errorf("%d: got %d characters, %v, want %d", tc.ask, len(got.Reveal()), err, tc.want)
		}
		if _, err := ParseCallbackToken(got.Reveal()); err != nil {
			t.Error(err)
		}
	}
	for _, n := range []int{-1, 33} {
		if got, err := GenerateCallbackToken(n); err == nil || got.Reveal() != "" {
			t.Errorf("%d characters: got no error", n)
		}
	}
}

// A byte taken modulo 62 would give the first eight characters 5 chances to the others' 4: chi-square near 2,000 here.
func TestGeneratedCharactersAreEvenlySpread(t *testing.T) {
	var count [256]int
	const keys = 5000
	for range keys {
		for _, c := range []byte(GenerateKey().Reveal()) {
			count[c]++
		}
	}
	want := float64(keys*keyLength) / float64(len(alphabet))
	chi := 0.0
	for _, c := range []byte(alphabet) {
		d := float64(count[c]) - want
		chi += d * d / want
	}
	if chi > 170 { // 61 degrees of freedom: passed by chance once in more than 1e11 runs
		t.Errorf("got chi-square %.0f, want about 61", chi)
	}
}
