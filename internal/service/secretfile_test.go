package service

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestSecretFileContent(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"as it is", "key", "key"},
		{"one newline goes", "key\n", "key"},
		{"one windows newline goes", "key\r\n", "key"},
		{"only one newline goes", "key\n\n", "key\n"},
		{"spaces stay", " key \n", " key "},
		{"a lone carriage return stays", "key\r", "key\r"},
		{"lines stay", "a\nb\n", "a\nb"},
		{"largest", strings.Repeat("k", maxSecretFile), strings.Repeat("k", maxSecretFile)},
	} {
		s, err := SecretFile(fileWith(t, c.content), newClock().now)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := s.Reveal(); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestSecretFileRefused(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, path, want string }{
		{"missing", filepath.Join(dir, "none"), "no such file"},
		{"directory", dir, "not a regular file"},
		{"pipe, which could block", pipe, "not a regular file"},
		{"empty", fileWith(t, ""), "is empty"},
		{"newline only", fileWith(t, "\n"), "is empty"},
		{"too large", fileWith(t, strings.Repeat(canary, maxSecretFile/len(canary)+1)), "larger than 65536 bytes"},
	} {
		_, err := SecretFile(c.path, newClock().now)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.path) {
			t.Errorf("%s: got %v, want %q and the path", c.name, err, c.want)
			continue
		}
		hides(t, c.name, err.Error())
	}
}

// swapped is a secret mount as Kubernetes makes it: name → ..data/name, and ..data → a directory that is replaced.
type swapped struct {
	t    *testing.T
	dir  string
	when time.Time // every version has the same, so that only the content differs
}

func (m *swapped) path() string { return filepath.Join(m.dir, "token") }

func (m *swapped) put(version, content string) {
	m.t.Helper()
	dir := filepath.Join(m.dir, ".."+version)
	next := filepath.Join(m.dir, "..data_tmp")
	must(m.t, os.Mkdir(dir, 0o700))
	file := writeFile(m.t, filepath.Join(dir, "token"), content)
	must(m.t, os.Chtimes(file, m.when, m.when))
	must(m.t, os.Symlink(".."+version, next))
	must(m.t, os.Rename(next, filepath.Join(m.dir, "..data")))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestSecretFileFollowsSwappedLink(t *testing.T) {
	clk := newClock()
	mount := &swapped{t: t, dir: t.TempDir(), when: clk.now()}
	mount.put("v1", "token-1\n")
	must(t, os.Symlink("..data/token", mount.path()))
	s, err := SecretFile(mount.path(), clk.now)
	if err != nil {
		t.Fatal(err)
	}
	held := s // a copy taken before the rotation
	for _, step := range []struct {
		name    string
		advance time.Duration
		do      func()
		want    string
	}{
		{"at first", 0, func() {}, "token-1"},
		{"swapped, within the second", rereadAfter - 1, func() { mount.put("v2", "token-2\n") }, "token-1"},
		{"swapped, after a second", 1, func() {}, "token-2"},
		{"old version removed", time.Second, func() { must(t, os.RemoveAll(filepath.Join(mount.dir, "..v1"))) }, "token-2"},
		{"link dangles", time.Second, func() { must(t, os.RemoveAll(filepath.Join(mount.dir, "..v2"))) }, "token-2"},
		{"empty version", time.Second, func() { mount.put("v3", "") }, "token-2"},
		{"next version", time.Second, func() { mount.put("v4", "token-4\n") }, "token-4"},
		{"clock set back", -time.Hour, func() { mount.put("v5", "token-5\n") }, "token-5"},
	} {
		step.do()
		clk.add(step.advance)
		if got := s.Reveal(); got != step.want {
			t.Errorf("%s: got %q, want %q", step.name, got, step.want)
		}
		if got := held.Reveal(); got != step.want {
			t.Errorf("%s: the copy has %q, want %q", step.name, got, step.want)
		}
	}
}

func TestSecretFileRevealedConcurrently(t *testing.T) {
	path := fileWith(t, "old")
	clk := newClock()
	s, err := SecretFile(path, clk.now)
	if err != nil {
		t.Fatal(err)
	}
	next := filepath.Join(t.TempDir(), "next")
	writeFile(t, next, "new")
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			for range 200 {
				clk.add(time.Second)
				if got := s.Reveal(); got != "old" && got != "new" {
					t.Errorf("got %q, want old or new", got)
				}
			}
		})
	}
	must(t, os.Rename(next, path))
	readers.Wait()
	clk.add(time.Second)
	if got := s.Reveal(); got != "new" {
		t.Errorf("at the end: got %q, want new", got)
	}
}

func BenchmarkSecretReveal(b *testing.B) {
	path := filepath.Join(b.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(canary), 0o600); err != nil {
		b.Fatal(err)
	}
	s, err := SecretFile(path, time.Now)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if s.Reveal() != canary {
			b.Fatal("wrong value")
		}
	}
}
