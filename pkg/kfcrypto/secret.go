package kfcrypto

import (
	"fmt"
	"io"
)

const redacted = "[secret]"

// secret keeps a string out of everything that prints, logs or marshals.
// The value is behind a pointer because fmt calls no methods on unexported fields, and follows no pointer to a string.
type secret struct{ v *string }

// Reveal returns the secret itself, the one way out.
func (s secret) Reveal() string {
	if s.v == nil {
		return ""
	}
	return *s.v
}

// String returns "[secret]".
func (secret) String() string { return redacted }

// Format writes "[secret]" for every verb and flag.
func (secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText returns "[secret]", so that JSON, XML and loggers show no more.
func (secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
