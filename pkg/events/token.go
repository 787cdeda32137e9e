package events

import (
	"crypto/sha256"
	"encoding/base64"
)

// Missing is the subject token that stands where there is no id.
const Missing = "-"

// maxToken is the longest id, in bytes, that stands for itself in a subject.
const maxToken = 64

// hashedLen is '=' and 22 characters of base64url: 132 bits of the SHA-256.
const hashedLen = 1 + 22

// Token turns an id into one subject token, legal in KV keys too. An id of 1–64
// characters of A–Z, a–z, 0–9, '_' and '-' stands for itself; any other becomes
// '=' and the first 22 characters of base64url(sha256(id)); "" becomes [Missing].
// The id "-" is hashed, so that it is not taken for a missing one.
//
// Different ids give different tokens, except for a collision in 132 bits.
func Token(id string) string {
	if id == "" {
		return Missing
	}
	if id != Missing && isPlain(id) {
		return id
	}
	return hashed(id)
}

func hashed(id string) string {
	sum := sha256.Sum256([]byte(id))
	return "=" + base64.RawURLEncoding.EncodeToString(sum[:])[:22]
}

// IsToken reports whether s is something that [Token] can return.
func IsToken(s string) bool {
	if len(s) == hashedLen && s[0] == '=' {
		return isPlain(s[1:])
	}
	return isPlain(s)
}

func isPlain(s string) bool {
	if s == "" || len(s) > maxToken {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
