package service

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
)

// Trace is one W3C trace context, version 00: the trace that joins callback, message, command and outcome, and one step
// in it. The zero Trace is none. Comparable.
//
// https://www.w3.org/TR/trace-context/
type Trace struct {
	trace [16]byte
	span  [8]byte
	flags byte
}

const traceSampled = 0x01 // the only flag; some readers of version 00 refuse a value over 2

// NewTrace starts a trace. It is marked as sampled: nothing is recorded here, but a consumer's tracer that follows its
// parent would drop the trace otherwise.
func NewTrace() Trace {
	var random [24]byte
	_, _ = rand.Read(random[:]) // never fails
	t := Trace{trace: [16]byte(random[:16]), span: [8]byte(random[16:]), flags: traceSampled}
	if t.trace == [16]byte{} || t.span == [8]byte{} { // what the specification calls invalid
		return NewTrace()
	}
	return t
}

// Child returns the next step in the same trace; of the zero Trace, a new one.
func (t Trace) Child() Trace {
	if t.trace == [16]byte{} {
		return NewTrace()
	}
	for t.span = [8]byte{}; t.span == [8]byte{}; {
		_, _ = rand.Read(t.span[:])
	}
	return t
}

// ParseTrace reads the value of a traceparent header. Versions after 00 are read as 00, as the specification wants.
// The error does not repeat the value; the usual answer to it is NewTrace.
func ParseTrace(traceparent string) (Trace, error) {
	var t Trace
	var version, flags [1]byte
	head, rest := traceparent, ""
	if len(traceparent) > 55 {
		head, rest = traceparent[:55], traceparent[55:]
	}
	parts := strings.Split(head, "-")
	ok := len(parts) == 4 && unhex(version[:], parts[0]) && unhex(t.trace[:], parts[1]) &&
		unhex(t.span[:], parts[2]) && unhex(flags[:], parts[3]) &&
		version[0] != 0xff && t.trace != [16]byte{} && t.span != [8]byte{} &&
		(rest == "" || version[0] != 0 && rest[0] == '-')
	if !ok {
		return Trace{}, fmt.Errorf("traceparent of %d bytes: not 00-<32 hex>-<16 hex>-<2 hex>", len(traceparent))
	}
	t.flags = flags[0] & traceSampled
	return t, nil
}

// unhex decodes exactly len(dst) bytes of lower-case hex.
func unhex(dst []byte, s string) bool {
	if len(s) != 2*len(dst) || s != strings.ToLower(s) {
		return false
	}
	_, err := hex.Decode(dst, []byte(s))
	return err == nil
}

// String returns the value for a traceparent header or attribute, "" for the zero Trace.
func (t Trace) String() string {
	if t == (Trace{}) {
		return ""
	}
	b := append(make([]byte, 0, 55), "00-"...)
	b = append(hex.AppendEncode(b, t.trace[:]), '-')
	b = append(hex.AppendEncode(b, t.span[:]), '-')
	return string(hex.AppendEncode(b, []byte{t.flags}))
}

// TraceID returns the 32 hex digits that all steps share, for logs; "" for the zero Trace.
func (t Trace) TraceID() string {
	if t == (Trace{}) {
		return ""
	}
	return hex.EncodeToString(t.trace[:])
}
