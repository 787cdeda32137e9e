package window

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// fields are members of a JSON object that this version does not know, kept as they came.
type fields map[string]json.RawMessage

// flat is a ledger without the methods that look for such fields: the common case, at half the cost.
type flat struct {
	flatLedger
	Records []flatRecord `json:"r,omitempty"` // hides that of flatLedger
}

type (
	flatLedger Ledger
	flatRecord Record
)

// MarshalJSON writes the ledger, the fields of newer versions included.
func (l Ledger) MarshalJSON() ([]byte, error) {
	l.V = max(l.V, version)
	if l.extra != nil { // it was read the slow way: it or a record has something of a newer version
		return join(flatLedger(l), l.extra)
	}
	f := flat{flatLedger(l), make([]flatRecord, len(l.Records))}
	for i := range l.Records {
		f.Records[i] = flatRecord(l.Records[i])
	}
	return json.Marshal(f)
}

// UnmarshalJSON reads a ledger of any version. An error leaves l in no particular state.
func (l *Ledger) UnmarshalJSON(data []byte) error {
	var f flat
	if strict(data, &f) == nil {
		*l = Ledger(f.flatLedger)
		l.Records = make([]Record, len(f.Records))
		for i := range f.Records {
			l.Records[i] = Record(f.Records[i])
		}
		return nil
	}
	var p flatLedger
	extra, err := split(data, &p)
	if err != nil {
		return fmt.Errorf("decode ledger: %w", err)
	}
	*l = Ledger(p)
	l.extra = extra
	return nil
}

// MarshalJSON writes the record, the fields of newer versions included.
func (rec Record) MarshalJSON() ([]byte, error) {
	return join(flatRecord(rec), rec.extra)
}

// UnmarshalJSON reads a record of any version. An error leaves rec in no particular state.
func (rec *Record) UnmarshalJSON(data []byte) error {
	var p flatRecord
	extra, err := split(data, &p)
	if err != nil {
		return err
	}
	*rec = Record(p)
	rec.extra = extra
	return nil
}

// strict decodes data into known, and refuses members that it does not have.
func strict(data []byte, known any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(known)
}

// split decodes data into known, a pointer to a zero struct, and returns the members that it does not have.
func split(data []byte, known any) (fields, error) {
	if err := json.Unmarshal(data, known); err != nil {
		return nil, err
	}
	var extra fields
	if err := json.Unmarshal(data, &extra); err != nil {
		return nil, err
	}
	for f := range reflect.TypeOf(known).Elem().Fields() {
		if !f.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		maps.DeleteFunc(extra, func(k string, _ json.RawMessage) bool { return strings.EqualFold(k, name) })
	}
	return extra, nil
}

// join encodes known, a struct with at least one member, and puts extra behind its members.
func join(known any, extra fields) ([]byte, error) {
	data, err := json.Marshal(known)
	if err != nil || len(extra) == 0 {
		return data, err
	}
	data = data[:len(data)-1]
	for _, k := range slices.Sorted(maps.Keys(extra)) {
		name, err := json.Marshal(k)
		if err != nil {
			return nil, err
		}
		data = append(append(append(append(data, ','), name...), ':'), extra[k]...)
	}
	return append(data, '}'), nil
}
