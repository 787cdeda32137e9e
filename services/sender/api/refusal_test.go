package api

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kfbus/kfbus/pkg/kfapi"
)

func TestRefusalOf(t *testing.T) {
	sent := &kfapi.TransportError{Op: "x", Written: true, Err: context.Canceled}
	for _, c := range []struct {
		name     string
		err      error
		code     int
		category string
		sent     string
	}{
		{"turn too late", &tooSoon{time.Minute}, 429, "freq", "no"},
		{"reply too large", &tooLarge{"reply", 9, 8}, 413, "param", "yes"},
		{"no time left before the call", errors.Join(errNoTime, context.DeadlineExceeded), 504, "timeout", "no"},
		{"stopped before the call", errors.Join(errNoTime, context.Canceled), 503, "busy", "no"},
		{"stopped in the call", sent, 503, "busy", "maybe"},
		{"no file", noObject{}, 404, "notfound", "no"},
		{"no object store", &storeError{"open", errors.New("gone"), "no"}, 503, "busy", "no"},
		{"object store too slow", &storeError{"store", context.DeadlineExceeded, "yes"}, 504, "timeout", "yes"},
		{"what nobody expected", errors.New("?"), 502, "network", "maybe"},
	} {
		r := refusalOf(c.err)
		if r.code != c.code || r.category != c.category || r.sent != c.sent || r.text == "" {
			t.Errorf("%s: got %d %s %s, want %d %s %s", c.name, r.code, r.category, r.sent, c.code, c.category, c.sent)
		}
		if strings.ContainsAny(r.text, "\r\n") {
			t.Errorf("%s: %q is no header", c.name, r.text)
		}
	}
}

func TestEveryCategoryHasACode(t *testing.T) {
	for _, c := range []kfapi.Category{kfapi.CategoryAuth, kfapi.CategoryPerm, kfapi.CategoryParam, kfapi.CategoryNotFound, kfapi.CategoryLimit,
		kfapi.CategoryState, kfapi.CategoryContent, kfapi.CategoryFreq, kfapi.CategoryTransient, kfapi.CategoryUnsupported} {
		if codeOf(c) == 500 {
			t.Errorf("category %s has no code", c)
		}
	}
}

func TestSchemaOf(t *testing.T) {
	type tree struct {
		Name string  `json:"name"`
		Kids []*tree `json:"kids,omitempty"`
	}
	type odd struct {
		tree
		Raw     kfapi.LooseInt `json:"raw,omitempty"`
		Data    []byte         `json:"data,omitempty"`
		On      *bool          `json:"on,omitempty"`
		Ratio   float64        `json:"ratio,omitempty"`
		Count   uint8          `json:"count"`
		Tags    map[string]int `json:"tags,omitempty"`
		Hidden  string         `json:"-"`
		private string         //nolint:unused // not sent
	}
	got := schemaText(reflect.TypeFor[odd]())
	want := `{"properties":{"count":{"type":"integer"},"data":{"contentEncoding":"base64","type":"string"},"kids":{"items":{},"type":"array"},` +
		`"name":{"type":"string"},"on":{"type":"boolean"},"ratio":{"type":"number"},"raw":{},"tags":{"type":"object"}},"required":["name","count"],"type":"object"}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
