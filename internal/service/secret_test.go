package service

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"text/template"

	"github.com/rs/zerolog"
)

type exposed struct {
	Field  Secret
	Ptr    *Secret
	List   []Secret
	Map    map[string]Secret
	Any    any
	hidden Secret
	ptr    *Secret
	list   []Secret
}

func expose(s Secret) exposed {
	return exposed{s, &s, []Secret{s}, map[string]Secret{"k": s}, s, s, &s, []Secret{s}}
}

// hides fails if text has the canary, also in quotes, hex or base64.
func hides(t *testing.T, how, text string) {
	t.Helper()
	for _, form := range []string{
		canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), fmt.Sprintf("%v", []byte(canary)),
		strings.Trim(fmt.Sprintf("%q", canary), `"`), "YzRuNHJ5",
	} {
		if strings.Contains(text, form) {
			t.Errorf("%s shows the secret: %s", how, text)
		}
	}
}

func TestSecretIsHiddenFromEveryVerb(t *testing.T) {
	file, err := SecretFile(fileWith(t, canary), newClock().now)
	if err != nil {
		t.Fatal(err)
	}
	for source, s := range map[string]Secret{"value": NewSecret(canary), "file": file} {
		for _, flags := range []string{"", "+", "#", "-", " ", "0", "30", ".50"} {
			for _, verb := range "vTtbcdoOqxXUeEfFgGsp%z!" {
				format := "%" + flags + string(verb)
				for _, v := range []any{s, &s, expose(s), &exposed{hidden: s, Any: &s}, []any{s, expose(s)}} {
					hides(t, source+" "+format, fmt.Sprintf(format, v))
				}
			}
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if got := fmt.Sprintf(verb, NewSecret(canary)); got != hidden {
			t.Errorf("%s: got %q, want %q", verb, got, hidden)
		}
	}
}

func TestSecretIsHiddenFromEncoders(t *testing.T) {
	s := NewSecret(canary)
	e := expose(s)
	outputs := map[string]string{"String": s.String(), "Print": fmt.Sprint(s, e), "Println": fmt.Sprintln(s)}

	js, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	outputs["json"] = string(js)
	if n := strings.Count(outputs["json"], hidden); n != 5 {
		t.Errorf("json: got %d placeholders, want 5: %s", n, js)
	}
	x, err := xml.Marshal(struct {
		XMLName xml.Name `xml:"x"`
		S       Secret
	}{S: s})
	if err != nil {
		t.Fatal(err)
	}
	outputs["xml"] = string(x)

	var b bytes.Buffer
	z := zerolog.New(&b)
	z.Info().Interface("i", s).Interface("e", e).Any("a", &s).Stringer("s", s).Fields(map[string]any{"f": s, "e": e}).
		Err(fmt.Errorf("with %v", s)).Type("t", s).Msgf("%v %+v %#v", s, s, e)
	slog.New(slog.NewTextHandler(&b, nil)).Info("m", "s", s, "e", e)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("m", "s", s, "e", e)
	if err := template.Must(template.New("").Parse("{{.}} {{.Field}} {{print .Field}}")).Execute(&b, e); err != nil {
		t.Fatal(err)
	}
	outputs["loggers"] = b.String()
	for how, text := range outputs {
		hides(t, how, text)
		if !strings.Contains(text, hidden) {
			t.Errorf("%s: got %s, want %s in it", how, text, hidden)
		}
	}
}

// reachable finds every string that reflection reaches from v, as printers and deep-equal reporters do.
func reachable(v reflect.Value, depth int, found *[]string) {
	if depth == 0 {
		return
	}
	switch v.Kind() {
	case reflect.String:
		*found = append(*found, v.String())
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			reachable(v.Elem(), depth-1, found)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			reachable(v.Field(i), depth-1, found)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			reachable(v.Index(i), depth-1, found)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			reachable(k, depth-1, found)
			reachable(v.MapIndex(k), depth-1, found)
		}
	}
}

func TestSecretIsOutOfReachOfReflection(t *testing.T) {
	s := NewSecret(canary)
	for name, v := range map[string]any{"value": s, "pointer": &s, "struct": expose(s), "map": map[string]any{"s": s}, "error": fmt.Errorf("with %v", s)} {
		var found []string
		reachable(reflect.ValueOf(v), 20, &found)
		hides(t, name, strings.Join(found, " "))
	}
	var found []string
	if reachable(reflect.ValueOf(struct{ inner *struct{ v string } }{&struct{ v string }{canary}}), 20, &found); len(found) != 1 || found[0] != canary {
		t.Errorf("the search does not find an unexported string behind a pointer: %q", found)
	}
}

func TestSecretIsHiddenFromPanic(t *testing.T) {
	for _, mode := range []string{"value", "pointer", "struct", "error"} {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), panicMode+"="+mode, "GOTRACEBACK=all")
		out, err := cmd.CombinedOutput()
		if err == nil || !bytes.Contains(out, []byte("panic:")) || bytes.Contains(out, []byte("no such mode")) {
			t.Fatalf("%s: the child did not panic as wanted: %v\n%s", mode, err, out)
		}
		hides(t, "panic with "+mode, string(out))
	}
}

func TestSecretRevealAndEqual(t *testing.T) {
	var zero, decoded Secret
	if err := decoded.Decode(canary); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		secret Secret
		want   string
	}{
		{"zero", zero, ""},
		{"empty", NewSecret(""), ""},
		{"given", NewSecret(canary), canary},
		{"decoded", decoded, canary},
		{"copy", func(s Secret) Secret { return s }(decoded), canary},
	} {
		if got := c.secret.Reveal(); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		if got := c.secret.IsZero(); got != (c.want == "") {
			t.Errorf("%s: IsZero is %v", c.name, got)
		}
		if got := c.secret.Equal(NewSecret(canary)); got != (c.want == canary) {
			t.Errorf("%s: Equal is %v", c.name, got)
		}
	}
	if NewSecret("a").Equal(NewSecret("ab")) || !zero.Equal(NewSecret("")) {
		t.Error("Equal: got a prefix equal, or two empty ones not")
	}
	if err := decoded.Decode(""); err != nil || !decoded.IsZero() {
		t.Errorf("decoding nothing: got %v, %v, want the zero Secret", decoded.IsZero(), err)
	}
}
