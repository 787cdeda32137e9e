package repotest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark|Example)\w+)\(`)

// tests is every test function of the repository, by name.
func tests(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for _, f := range goFiles(t) {
		if !strings.HasSuffix(f.path, "_test.go") {
			continue
		}
		src, err := os.ReadFile(filepath.Join("../..", f.path))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range testFunc.FindAllSubmatch(src, -1) {
			all[string(m[1])] = true
		}
	}
	return all
}

var (
	quoted = regexp.MustCompile("`([^`]+)`")
	folder = regexp.MustCompile(`^(?:pkg|internal|services|examples|cmd|docs)/[\w/.-]+$`)
	opened = regexp.MustCompile(`\bissue [0-9]+\b`)
)

// lacks is what a line of the table of features does not have; "" if it has all.
func lacks(line string, known map[string]bool) string {
	cells := strings.Split(strings.Trim(line, "|"), "|")
	if len(cells) != 3 {
		return "three cells"
	}
	for _, c := range cells {
		if strings.TrimSpace(c) == "" {
			return "a cell that is not empty"
		}
	}
	for _, m := range quoted.FindAllStringSubmatch(cells[1], -1) {
		if folder.MatchString(m[1]) {
			if _, err := os.Stat(filepath.Join("../..", m[1])); err != nil {
				return "the place " + m[1]
			}
		}
	}
	shown := quoted.FindAllStringSubmatch(cells[2], -1)
	if len(shown) == 0 && !opened.MatchString(cells[2]) {
		return "a test, or the issue that brings it"
	}
	for _, m := range shown {
		if !known[m[1]] {
			return "the test " + m[1]
		}
	}
	return ""
}

// TestFeatures: docs/features.md promises nothing that is not there.
func TestFeatures(t *testing.T) {
	known := tests(t)
	doc, err := os.ReadFile("../../docs/features.md")
	if err != nil {
		t.Fatal(err)
	}
	lines, inside := 0, false // of a table that says what shows it
	for i, line := range strings.Split(string(doc), "\n") {
		if !strings.HasPrefix(line, "|") || strings.HasSuffix(line, "| shown by |") {
			inside = strings.HasPrefix(line, "|")
			continue
		}
		if !inside || strings.HasPrefix(line, "|---") {
			continue
		}
		lines++
		if what := lacks(line, known); what != "" {
			t.Errorf("docs/features.md:%d lacks %s: %s", i+1, what, line)
		}
	}
	if lines < 40 {
		t.Errorf("only %d lines found", lines)
	}
}

// TestLacks breaks the rule on purpose.
func TestLacks(t *testing.T) {
	known := map[string]bool{"TestX": true}
	for line, want := range map[string]string{
		"| a | `pkg/kfapi` `X` | `TestX` |":         "",
		"| a | `pkg/kfapi` | issue 4 |":             "",
		"| a | `pkg/kfapi` | `TestX`, `TestGone` |": "the test TestGone",
		"| a | `pkg/gone` | `TestX` |":              "the place pkg/gone",
		"| a |  | `TestX` |":                        "a cell that is not empty",
		"| a | `pkg/kfapi` | soon |":                "a test, or the issue that brings it",
		"| a | b |":                                 "three cells",
	} {
		if got := lacks(line, known); got != want {
			t.Errorf("%s: lacks %q, want %q", line, got, want)
		}
	}
}
