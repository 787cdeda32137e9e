package service

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	maxSecretFile = 64 << 10    // bytes; a key is some hundred
	rereadAfter   = time.Second // so a busy caller costs one small read a second
)

// secretSource is what the copies of one Secret share. path is "" if the value came from the environment.
type secretSource struct {
	path string
	now  func() time.Time

	mu       sync.Mutex
	value    string
	read     time.Time // when the file was last read, well or not
	revision int       // how often the value has changed
	err      error     // of the last read
}

// SecretFile returns the secret in the file at path, without one trailing newline. The file must be a regular one of
// 1 byte to 64 KiB; a link is followed. It is read again as Reveal says, by content, so that a swap of links, as
// Kubernetes does it, is seen even where size and time stay the same. Errors name the path, never the content.
func SecretFile(path string, now func() time.Time) (Secret, error) {
	value, err := readSecret(path)
	if err != nil {
		return Secret{}, err
	}
	return secretOf(&secretSource{path: path, now: now, value: value, read: now()}), nil
}

func (s *secretSource) current() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refresh()
	return s.value
}

// state reads the file as Reveal would, and returns how often it has changed and why the last read failed.
func (s *secretSource) state() (revision int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refresh()
	return s.revision, s.err
}

func (s *secretSource) refresh() {
	if s.path == "" {
		return
	}
	now := s.now()
	if age := now.Sub(s.read); age >= 0 && age < rereadAfter {
		return
	}
	s.read = now
	value, err := readSecret(s.path)
	s.err = err
	if err == nil && value != s.value {
		s.value = value
		s.revision++
	}
}

func readSecret(path string) (string, error) {
	// Not blocking: a pipe without a writer would hold Reveal for ever.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // G703 as G304: an operator names the file
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a regular file", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return "", err
	}
	if len(b) > maxSecretFile {
		return "", fmt.Errorf("%s is larger than %d bytes", path, maxSecretFile)
	}
	value := string(b)
	if line, ok := strings.CutSuffix(value, "\n"); ok {
		value = strings.TrimSuffix(line, "\r")
	}
	if value == "" {
		return "", errors.New(path + " is empty")
	}
	return value, nil
}
