package service

import (
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/kelseyhightower/envconfig"
)

const fileSuffix = "_FILE"

// Variable is one environment variable that a configuration reads. It is made from a field and its tags:
// default, required, desc (what it is for), unit (what to write instead of the Go type) and example.
type Variable struct {
	Name        string `json:"name"`
	Type        string `json:"type"` // the unit tag, or a word for the Go type
	Default     string `json:"default,omitempty"`
	Required    bool   `json:"required"`         // and has no default
	Secret      bool   `json:"secret,omitempty"` // Name_FILE is read too, and is a variable of its own in no list
	Description string `json:"description"`
	Example     string `json:"example,omitempty"`
}

// Variables lists what Load(prefix, cfgs...) would read, in the order of the fields. A variable that two of them share
// is listed once. cfgs are pointers to structs and may be zero; they are not changed. It fails only for a struct that
// cannot be a configuration.
func Variables(prefix string, cfgs ...any) ([]Variable, error) {
	blank := make([]any, len(cfgs)) // gathering makes nil pointers to structs
	for i, cfg := range cfgs {
		t := reflect.TypeOf(cfg)
		if t == nil || t.Kind() != reflect.Pointer {
			return nil, envconfig.ErrInvalidSpecification
		}
		blank[i] = reflect.New(t.Elem()).Interface()
	}
	fields, err := gather(prefix, blank)
	if err != nil {
		return nil, err
	}
	var vars []Variable
	seen := map[string]bool{}
	for _, f := range fields {
		if !seen[f.Name] {
			vars = append(vars, f.Variable)
		}
		seen[f.Name] = true
	}
	return vars, nil
}

// field is a variable and where its value goes.
type field struct {
	Variable
	word  string // for the Go type, even where a unit is shown
	value reflect.Value
}

// secret returns the field if it is a Secret, else nil.
func (f field) secret() *Secret {
	s, _ := f.value.Addr().Interface().(*Secret)
	return s
}

// gather asks envconfig itself which variables it reads, through a usage template, so that names cannot differ.
func gather(prefix string, cfgs []any) ([]field, error) {
	var fields []field
	collect := func(info any) (string, error) {
		v := reflect.ValueOf(info) // envconfig's varInfo: the type is unexported, its fields are not
		tags, _ := v.FieldByName("Tags").Interface().(reflect.StructTag)
		value, _ := v.FieldByName("Field").Interface().(reflect.Value)
		f := newField(v.FieldByName("Key").String(), tags, value)
		if alt := v.FieldByName("Alt").String(); alt != "" {
			return "", fmt.Errorf("%s: the tag envconfig:%q also reads %s without the prefix; use split_words", f.Name, alt, alt)
		}
		if !f.Secret && holdsSecret(value.Type()) {
			return "", fmt.Errorf("%s: a secret must be a plain field, not %s", f.Name, value.Type())
		}
		fields = append(fields, f)
		return "", nil
	}
	each := template.Must(template.New("").Funcs(template.FuncMap{"collect": collect}).Parse("{{range .}}{{collect .}}{{end}}"))
	for _, cfg := range cfgs {
		if err := envconfig.Usaget(prefix, cfg, io.Discard, each); err != nil {
			return nil, fmt.Errorf("configuration %T: %w", cfg, err)
		}
	}
	return fields, nil
}

func newField(name string, tags reflect.StructTag, value reflect.Value) field {
	required, _ := strconv.ParseBool(tags.Get("required"))
	f := field{value: value, word: typeWord(value.Type()), Variable: Variable{
		Name:        name,
		Type:        tags.Get("unit"),
		Default:     tags.Get("default"),
		Required:    required && tags.Get("default") == "",
		Secret:      value.Type() == reflect.TypeFor[Secret](),
		Description: tags.Get("desc"),
		Example:     tags.Get("example"),
	}}
	if f.Type == "" {
		f.Type = f.word
	}
	if f.Example == "" {
		f.Example = f.Default
	}
	return f
}

func holdsSecret(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return t.Elem() == reflect.TypeFor[Secret]() || holdsSecret(t.Elem())
	}
	return false
}

func typeWord(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[Secret]():
		return "secret"
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case t.Kind() == reflect.Pointer:
		return typeWord(t.Elem())
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		return "integer"
	case t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64:
		return "number"
	case t.Kind() == reflect.Slice:
		return "comma-separated list of " + typeWord(t.Elem())
	case t.Kind() == reflect.Map:
		return "comma-separated list of " + typeWord(t.Key()) + ":" + typeWord(t.Elem())
	}
	return strings.ToLower(t.Name())
}
