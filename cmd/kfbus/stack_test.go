package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"sync"
	"testing"
)

// lockedBuffer is a buffer that several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) Bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.b.Bytes())
}

// devContext is a context that the test's clean-up ends: t.Context ends before
// clean-ups run.
func devContext(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithCancel(context.WithoutCancel(t.Context()))
}

// restoreEnv takes away what dev sets in the environment, after the test.
func restoreEnv(t *testing.T) {
	t.Helper()
	was := map[string]bool{}
	for _, v := range os.Environ() {
		was[v] = true
	}
	t.Cleanup(func() {
		for _, v := range os.Environ() {
			if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "KF_") && !was[v] {
				if err := os.Unsetenv(name); err != nil {
					t.Error(err)
				}
			}
		}
	})
}
