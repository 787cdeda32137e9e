package service

import (
	"strings"
	"testing"
)

const sampleTrace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" // from the specification

func TestParseTrace(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"sampled", sampleTrace, sampleTrace},
		{"not sampled", strings.TrimSuffix(sampleTrace, "1") + "0", strings.TrimSuffix(sampleTrace, "1") + "0"},
		{"unknown flags are cleared", strings.TrimSuffix(sampleTrace, "01") + "ff", sampleTrace},
		{"later version", "cc" + sampleTrace[2:], sampleTrace},
		{"later version with more", "cc" + sampleTrace[2:] + "-what-ever", sampleTrace},
		{"later version with more, not set off", "cc" + sampleTrace[2:] + "x", ""},
		{"version 00 with more", sampleTrace + "-x", ""},
		{"forbidden version", "ff" + sampleTrace[2:], ""},
		{"empty", "", ""},
		{"too short", sampleTrace[:54], ""},
		{"upper case", strings.ToUpper(sampleTrace), ""},
		{"zero trace", "00-" + strings.Repeat("0", 32) + sampleTrace[35:], ""},
		{"zero span", sampleTrace[:36] + strings.Repeat("0", 16) + "-01", ""},
		{"not hex", strings.Replace(sampleTrace, "4bf9", "4bg9", 1), ""},
		{"other separator", strings.ReplaceAll(sampleTrace, "-", "_"), ""},
		{"hyphens elsewhere", "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01", ""},
		{"line break", sampleTrace[:54] + "\n", ""},
	} {
		got, err := ParseTrace(c.in)
		if got.String() != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: got %q, %v, want %q", c.name, got, err, c.want)
		}
		if err != nil && c.in != "" && strings.Contains(err.Error(), c.in) {
			t.Errorf("%s: the error repeats the value: %v", c.name, err)
		}
	}
}

func TestTraceChildKeepsTheTrace(t *testing.T) {
	root, err := ParseTrace(sampleTrace)
	must(t, err)
	unsampled, err := ParseTrace(strings.TrimSuffix(sampleTrace, "1") + "0")
	must(t, err)
	seen := map[Trace]bool{root: true}
	for range 100 {
		c := root.Child()
		if c.TraceID() != root.TraceID() || c.TraceID() != sampleTrace[3:35] || !strings.HasSuffix(c.String(), "-01") {
			t.Errorf("got %s, want the trace and flags of %s", c, root)
		}
		if seen[c] {
			t.Errorf("%s was there before", c)
		}
		seen[c] = true
	}
	if c := unsampled.Child(); !strings.HasSuffix(c.String(), "-00") {
		t.Errorf("got %s, want it not sampled", c)
	}
}

func TestNewTrace(t *testing.T) {
	var zero Trace
	if zero.String() != "" || zero.TraceID() != "" {
		t.Errorf("the zero Trace: got %q and %q, want nothing", zero.String(), zero.TraceID())
	}
	seen := map[string]bool{}
	for range 100 {
		for _, fresh := range []Trace{NewTrace(), zero.Child()} {
			parsed, err := ParseTrace(fresh.String())
			if err != nil || parsed != fresh || !strings.HasSuffix(fresh.String(), "-01") {
				t.Errorf("got %v, %v, want %v", parsed, err, fresh)
			}
			if seen[fresh.TraceID()] {
				t.Errorf("%s was there before", fresh.TraceID())
			}
			seen[fresh.TraceID()] = true
		}
	}
}

func FuzzParseTrace(f *testing.F) {
	f.Add(sampleTrace)
	f.Add("cc" + sampleTrace[2:] + "-x")
	f.Fuzz(func(t *testing.T, in string) {
		got, err := ParseTrace(in)
		if err != nil {
			if got != (Trace{}) {
				t.Errorf("got %v with an error", got)
			}
			return
		}
		again, err := ParseTrace(got.String())
		if err != nil || again != got || got.TraceID() != in[3:35] || got.String()[:53] != "00"+in[2:53] {
			t.Errorf("%q: got %v, again %v, %v", in, got, again, err)
		}
	})
}
