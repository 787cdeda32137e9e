package service

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"
	"time"
)

type everyType struct {
	Name    string            `required:"true" desc:"a name" example:"kf"`
	Ratio   float64           `default:"0.5" desc:"a share | of one"`
	On      bool              `desc:"a switch"`
	Size    uint32            `default:"65536" unit:"bytes" desc:"a size"`
	Wait    time.Duration     `default:"1m30s" required:"true" desc:"a default makes required moot"`
	Names   []string          `desc:"some names"`
	Weights map[string]int    `desc:"some weights"`
	Maybe   *int              `desc:"a pointer"`
	Nested  *natsConfig       // a pointer to a struct is read too
	When    customTime        `desc:"a type of its own"`
	Labels  map[string]string `ignored:"true"`
	private string
}

type customTime struct{ time.Time }

// Decode makes envconfig take it for one value.
func (c *customTime) Decode(string) error { return nil }

func TestUsage(t *testing.T) {
	for name, write := range map[string]func(io.Writer, string, ...any) error{"usage.txt": Usage, "usage.md": UsageMarkdown} {
		var b bytes.Buffer
		must(t, write(&b, "KF", new(testConfig), &everyType{private: "not a variable"}))
		golden(t, name, b.Bytes())
	}
}

func TestUsageFails(t *testing.T) {
	for name, write := range map[string]func(io.Writer, string, ...any) error{"table": Usage, "markdown": UsageMarkdown} {
		if err := write(io.Discard, "KF", 7); err == nil {
			t.Errorf("%s of a number: got nil, want an error", name)
		}
		if err := write(brokenPipe{}, "KF", new(testConfig)); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%s to a closed pipe: got %v, want its error", name, err)
		}
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestVariables(t *testing.T) {
	cfg := everyType{}
	vars, err := Variables("KF", &cfg, &cfg)
	must(t, err)
	if cfg.Nested != nil {
		t.Error("the configuration was changed")
	}
	byName := map[string]Variable{}
	for _, v := range vars {
		if _, twice := byName[v.Name]; twice {
			t.Errorf("%s is there twice", v.Name)
		}
		byName[v.Name] = v
	}
	for _, want := range []Variable{
		{Name: "KF_NAME", Type: "string", Required: true, Description: "a name", Example: "kf"},
		{Name: "KF_WAIT", Type: "duration", Default: "1m30s", Description: "a default makes required moot", Example: "1m30s"},
		{Name: "KF_NESTED_PASSWORD", Type: "secret", Secret: true, Description: "password of the bus user"},
	} {
		if got := byName[want.Name]; !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if len(vars) != 11 {
		t.Errorf("got %d variables, want 11: %+v", len(vars), vars)
	}
}
