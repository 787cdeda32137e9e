package kfcrypto

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
)

const (
	keyLength        = 43 // characters of an EncodingAESKey: base64 of 32 bytes without its "="
	maxCallbackToken = 32
	alphabet         = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
)

// Key is an EncodingAESKey: 43 letters and digits that stand for the 32 bytes of an AES-256 key.
// It prints as [secret]; only Reveal gives it away. The zero Key reveals "" and opens nothing.
//
// https://developer.work.weixin.qq.com/document/path/90968
type Key struct{ secret }

// CallbackToken is the signing token of a callback URL: 1 to 32 letters and digits.
// It prints as [secret]; only Reveal gives it away. The zero CallbackToken reveals "" and signs nothing.
//
// https://developer.work.weixin.qq.com/document/path/90930
type CallbackToken struct{ secret }

// ParseKey checks an EncodingAESKey as the admin console shows it.
// The 43rd character carries two spare bits; real keys, the official sample among them, do not keep them zero.
// The error says what is wrong and quotes nothing.
func ParseKey(s string) (Key, error) {
	if len(s) != keyLength {
		return Key{}, fmt.Errorf("encodingaeskey: has %d characters, want 43; copy it again from the admin console", len(s))
	}
	if i := notAlphanumeric(s); i >= 0 {
		return Key{}, fmt.Errorf("encodingaeskey: character %d is no ASCII letter or digit; copy it again from the admin console", i+1)
	}
	return Key{secret{&s}}, nil
}

// GenerateKey makes a new Key from crypto/rand, each of the 62^43 with the same probability.
func GenerateKey() Key {
	s := randomAlphanumeric(keyLength)
	return Key{secret{&s}}
}

// aes returns the 32 bytes behind a parsed key.
func (k Key) aes() ([]byte, error) {
	return base64.StdEncoding.DecodeString(k.Reveal() + "=") // lenient about the spare bits; Strict() would not be
}

// ParseCallbackToken checks a callback Token as the admin console shows it.
// The error says what is wrong and quotes nothing.
func ParseCallbackToken(s string) (CallbackToken, error) {
	if len(s) < 1 || len(s) > maxCallbackToken {
		return CallbackToken{}, fmt.Errorf("callback token: has %d characters, want 1 to 32; copy it again from the admin console", len(s))
	}
	if i := notAlphanumeric(s); i >= 0 {
		return CallbackToken{}, fmt.Errorf("callback token: character %d is no ASCII letter or digit; copy it again from the admin console", i+1)
	}
	return CallbackToken{secret{&s}}, nil
}

// GenerateCallbackToken makes a new CallbackToken of n characters from crypto/rand; n is 1 to 32, and 0 means 32.
func GenerateCallbackToken(n int) (CallbackToken, error) {
	if n == 0 {
		n = maxCallbackToken
	}
	if n < 1 || n > maxCallbackToken {
		return CallbackToken{}, fmt.Errorf("callback token: asked for %d characters, the platform takes 1 to 32", n)
	}
	s := randomAlphanumeric(n)
	return CallbackToken{secret{&s}}, nil
}

// randomAlphanumeric draws n characters of the alphabet, unbiased.
func randomAlphanumeric(n int) string {
	const fair = 256 / len(alphabet) * len(alphabet) // 248: above it, some characters would come up more often
	out := make([]byte, 0, n)
	var b [2 * keyLength]byte
	for {
		_, _ = rand.Read(b[:]) // never fails: it ends the program instead
		for _, c := range b {
			if int(c) >= fair {
				continue
			}
			if out = append(out, alphabet[int(c)%len(alphabet)]); len(out) == n {
				return string(out)
			}
		}
	}
}

// notAlphanumeric returns the index of the first byte of s that is no ASCII letter or digit, or -1.
func notAlphanumeric(s string) int {
	for i := range len(s) {
		if !alphanumeric(s[i]) {
			return i
		}
	}
	return -1
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}
