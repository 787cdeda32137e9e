package kfcrypto

import (
	"strings"
	"testing"
)

func TestKeyRing(t *testing.T) {
	const otherToken, otherKey = "OldToken", "OldTestEncodingAesKey9876543210abcdefghijkZ"
	codecs := map[string]*Codec{
		"new":       newCodec(t),
		"old":       newCodecOf(t, otherToken, otherKey, testCorp),
		"old key":   newCodecOf(t, testToken, otherKey, testCorp),
		"old token": newCodecOf(t, otherToken, testKey, testCorp),
		"old corp":  newCodec(t, "wwold"),
		"stranger":  newCodecOf(t, "Stranger", strings.Repeat("X", 43), testCorp),
	}
	for _, tc := range []struct {
		name   string
		ring   []string
		sealed string
		want   error
	}{
		{"only one", []string{"new"}, "new", nil},
		{"the new one", []string{"new", "old"}, "new", nil},
		{"the old one", []string{"new", "old"}, "old", nil},
		{"the last of three", []string{"new", "old", "old token"}, "old token", nil},
		{"same token, new key", []string{"new", "old key"}, "new", nil},
		{"same token, old key", []string{"new", "old key"}, "old key", nil},
		{"same keys, other receiveid first", []string{"old corp", "new"}, "new", nil},
		{"old one, after it was taken out", []string{"new"}, "old", ErrSignature},
		{"old key, after it was taken out", []string{"new", "stranger"}, "old key", ErrMalformed},
		{"the same, the signature last", []string{"stranger", "new"}, "old key", ErrMalformed},
		{"stranger", []string{"new", "old", "old key"}, "stranger", ErrSignature},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var older []*Codec
			for _, name := range tc.ring[1:] {
				older = append(older, codecs[name])
			}
			ring, err := NewKeyRing(codecs[tc.ring[0]], older...)
			if err != nil {
				t.Fatal(err)
			}
			s := seal(t, codecs[tc.sealed], "42")
			m, id, err := ring.Open(s.MsgSignature, s.Timestamp, s.Nonce, s.Encrypt)
			if err != tc.want || err == nil && (string(m) != "42" || id != testCorp) || err != nil && (m != nil || id != "") { //nolint:errorlint // exactly
				t.Errorf("Open: got %q for %q, %v, want error %v", m, id, err, tc.want)
			}
			echo, err := ring.VerifyURL(s.MsgSignature, s.Timestamp, s.Nonce, string(s.Encrypt))
			if err != tc.want || (err == nil) != (echo == "42") { //nolint:errorlint // exactly
				t.Errorf("VerifyURL: got %q, %v, want error %v", echo, err, tc.want)
			}
		})
	}
}

func TestKeyRingNeedsItsCodecs(t *testing.T) {
	c := newCodec(t)
	for name, codecs := range map[string][]*Codec{"no current": {nil}, "no older": {c, nil}, "zero": {{}}} {
		if _, err := NewKeyRing(codecs[0], codecs[1:]...); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	if _, _, err := new(KeyRing).Open("", "", "", nil); err != ErrSignature { //nolint:errorlint // exactly
		t.Errorf("zero ring: got %v, want ErrSignature", err)
	}
}
