package kfapi

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
)

// wrongType is an error to which encoding/json adds the name of the field.
func wrongType[T any]() error {
	return &json.UnmarshalTypeError{Value: "value", Type: reflect.TypeFor[T]()}
}

// Flag is a boolean that the platform writes as 0 and 1 in some fields and as true and false in others; both are read
// everywhere. It is written as 0 or 1. null leaves it alone.
type Flag bool

func (f Flag) MarshalJSON() ([]byte, error) {
	if f {
		return []byte("1"), nil
	}
	return []byte("0"), nil
}

func (f *Flag) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case "1", "true":
		*f = true
	case "0", "false":
		*f = false
	case "null":
	default:
		return wrongType[Flag]()
	}
	return nil
}

// Bool is a Flag that the platform documents as true and false, and is written so.
type Bool bool

func (f *Bool) UnmarshalJSON(b []byte) error { return (*Flag)(f).UnmarshalJSON(b) }

// LooseInt is a whole number that sources show as a number and as a string; both are read. It is written as a number.
type LooseInt int64

func (n *LooseInt) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	v, err := strconv.ParseInt(string(bytes.Trim(b, `"`)), 10, 64)
	if err != nil {
		return wrongType[LooseInt]()
	}
	*n = LooseInt(v)
	return nil
}

// StringInt is a LooseInt that the platform writes as a string, and is written so.
type StringInt int64

func (n StringInt) MarshalJSON() ([]byte, error) {
	return []byte(`"` + strconv.FormatInt(int64(n), 10) + `"`), nil
}

func (n *StringInt) UnmarshalJSON(b []byte) error { return (*LooseInt)(n).UnmarshalJSON(b) }

// LooseString is a string that sources also show as a number; both are read, a number as its own digits.
type LooseString string

func (s *LooseString) UnmarshalJSON(b []byte) error {
	switch c := b[0]; {
	case c == '"':
		return json.Unmarshal(b, (*string)(s))
	case c == '-' || '0' <= c && c <= '9':
		*s = LooseString(b)
	case string(b) != "null":
		return wrongType[LooseString]()
	}
	return nil
}
