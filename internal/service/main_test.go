package service

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const (
	canary    = "c4n4ry/s3cr3t+value=" // must never be seen
	panicMode = "SERVICE_TEST_PANIC"   // set in a child: TestMain panics with a secret
	loadMode  = "SERVICE_TEST_LOAD"    // set in a child: TestMain loads its environment and shows /proc/self/environ
)

func TestMain(m *testing.M) {
	if mode := os.Getenv(panicMode); mode != "" {
		panicWithSecret(mode)
	}
	if os.Getenv(loadMode) != "" {
		loadAndShow()
	}
	goleak.VerifyTestMain(m)
}

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with testdata/name.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; run go test -update and look at the difference\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

// clock is a hand-moved now.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// pass lets time pass; only for the virtual time of a synctest bubble.
func pass(d time.Duration) { <-time.After(d) }

// logBuffer takes concurrent log lines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) has(words ...string) bool {
	for line := range strings.Lines(l.String()) {
		all := true
		for _, w := range words {
			all = all && strings.Contains(line, w)
		}
		if all {
			return true
		}
	}
	return false
}

func writeFile(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func fileWith(t *testing.T, content string) string {
	t.Helper()
	return writeFile(t, filepath.Join(t.TempDir(), "secret"), content)
}

func panicWithSecret(mode string) {
	s := NewSecret(canary)
	switch mode {
	case "value":
		panic(s)
	case "pointer":
		panic(&s)
	case "struct":
		panic(struct{ S Secret }{s})
	case "error":
		panic(fmt.Errorf("wrapped %v %+v %#v %s", s, s, s, s))
	}
	panic("no such mode")
}
