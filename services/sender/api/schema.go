package api

import (
	"encoding/json"
	"reflect"
	"strings"
)

// schema is a small JSON Schema of a call's request, from its Go type: names, types, and what must be there. It is a guide
// for people and generators; the limits are checked by the request itself.
func (e *endpoint) schema() string {
	if e.Request == nil {
		return `{"type":"object"}`
	}
	return schemaText(reflect.TypeOf(e.Request()))
}

func schemaText(t reflect.Type) string {
	b, err := json.Marshal(schemaOf(t, nil))
	if err != nil {
		panic(err) // maps of strings always encode
	}
	return string(b)
}

var (
	marshaler   = reflect.TypeFor[json.Marshaler]()
	unmarshaler = reflect.TypeFor[json.Unmarshaler]()
)

// schemaOf describes a type; inside are the structs that it is a part of. What reads its own JSON may be anything.
func schemaOf(t reflect.Type, inside []reflect.Type) map[string]any {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	own := len(inside) > 0 && (reflect.PointerTo(t).Implements(unmarshaler) || t.Implements(marshaler))
	for _, outer := range inside {
		own = own || outer == t
	}
	if own {
		return map[string]any{}
	}
	switch t.Kind() {
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return map[string]any{"type": "integer"}
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return map[string]any{"type": "string", "contentEncoding": "base64"}
		}
		return map[string]any{"type": "array", "items": schemaOf(t.Elem(), inside)}
	case reflect.Map:
		return map[string]any{"type": "object"}
	case reflect.Struct:
		fields, required := map[string]any{}, []string{}
		required = addFields(t, append(inside, t), fields, required)
		shape := map[string]any{"type": "object", "properties": fields}
		if len(required) > 0 {
			shape["required"] = required
		}
		return shape
	}
	return map[string]any{}
}

// addFields adds the fields of a struct, those of embedded ones included, and returns which must be there: all that are sent
// when they are empty.
func addFields(t reflect.Type, inside []reflect.Type, fields map[string]any, required []string) []string {
	for f := range t.Fields() {
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case f.Anonymous && name == "":
			inner := f.Type
			for inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			if inner.Kind() == reflect.Struct {
				required = addFields(inner, append(inside, inner), fields, required)
			}
		case f.IsExported() && name != "":
			fields[name] = schemaOf(f.Type, inside)
			if !strings.Contains(opts, "omitempty") && !strings.Contains(opts, "omitzero") {
				required = append(required, name)
			}
		}
	}
	return required
}
