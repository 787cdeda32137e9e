package service

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
)

const hidden = "[secret]"

// Secret holds a value that must never be printed: every format verb, String, JSON, text and a panic give "[secret]".
// Reveal is the one way out. The zero Secret is empty. Copies share the value, and so also see a file's new content.
// Secrets cannot be compared with ==; use Equal.
type Secret struct {
	// A function: fmt calls no methods on unexported fields, and follows a pointer to a struct when the verb does not
	// suit it (%s does). A function's captured variables are out of reach for it and for any reflection.
	source func() *secretSource // nil is empty
}

// NewSecret returns a secret that never changes. An empty value gives the zero Secret.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return secretOf(&secretSource{value: value})
}

func secretOf(source *secretSource) Secret {
	return Secret{source: func() *secretSource { return source }}
}

// Decode sets the secret to v; envconfig calls it. It never fails.
func (s *Secret) Decode(v string) error {
	*s = NewSecret(v)
	return nil
}

// Reveal returns the value, "" for the zero Secret. A secret from a file is read again when the last read is a second
// or more ago; if that fails the last good value stays. Callers that derive something from the value (a cipher, a
// client) compare it with the one they used last. Safe for concurrent use.
func (s Secret) Reveal() string {
	if s.source == nil {
		return ""
	}
	return s.source().current()
}

// IsZero reports whether there is no value.
func (s Secret) IsZero() bool { return s.Reveal() == "" }

// Equal reports whether both hold the same value, in a time that depends on neither.
func (s Secret) Equal(o Secret) bool {
	a, b := sha256.Sum256([]byte(s.Reveal())), sha256.Sum256([]byte(o.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// Format writes "[secret]" for every verb and flag.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// String returns "[secret]"; a panic prints it.
func (Secret) String() string { return hidden }

// MarshalText returns "[secret]"; JSON, XML and zerolog's Interface print it.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
