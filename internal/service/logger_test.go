package service

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLoggerWritesOneJSONObjectALine(t *testing.T) {
	var out logBuffer
	clk := newClock()
	elsewhere := func() time.Time { return clk.now().In(time.FixedZone("CST", 8*3600)) }
	log, err := NewLogger(&out, Config{LogLevel: "info"}, App{Name: "sender", Version: "1.2.3"}, elsewhere)
	must(t, err)
	log.Debug().Msg("not at this level")
	log.Info().Interface("token", NewSecret(canary)).Str("id", "a\r\n\x1b[31m").Msg("message sent")
	if got := strings.Count(out.String(), "\n"); got != 1 {
		t.Errorf("got %d lines, want 1: %q", got, out.String())
	}
	var got map[string]any
	must(t, json.Unmarshal([]byte(out.String()), &got))
	for k, want := range map[string]any{
		"time": "2026-03-01T08:00:00.000Z", "level": "info", "service": "sender", "version": "1.2.3",
		"token": hidden, "id": "a\r\n\x1b[31m", "message": "message sent",
	} {
		if got[k] != want {
			t.Errorf("%s: got %v, want %v", k, got[k], want)
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("an escape sequence came through: %q", out.String())
	}
}

func TestLoggerForPeople(t *testing.T) {
	var out logBuffer
	cfg := Config{LogLevel: "warn", LogFormat: "console"}
	log, err := NewLogger(&out, cfg, App{Name: "dev", Version: "v0"}, newClock().now)
	must(t, err)
	log.Info().Msg("not at this level")
	log.Warn().Interface("token", NewSecret(canary)).Msg("will retry")
	if got := out.String(); !out.has("WRN", "will retry", "service=dev", "version=v0", ":00:00.000") || strings.Contains(got, "\x1b") || strings.Count(got, "\n") != 1 {
		t.Errorf("got %q, want one line without colours", got)
	}
	hides(t, "console", out.String())

	path := filepath.Join(t.TempDir(), "log")
	file, err := os.Create(path)
	must(t, err)
	log, err = NewLogger(file, cfg, App{}, newClock().now)
	must(t, err)
	log.Warn().Msg("to a file")
	must(t, file.Close())
	if text, err := os.ReadFile(path); err != nil || strings.Contains(string(text), "\x1b") || !strings.Contains(string(text), "to a file") {
		t.Errorf("a file is no terminal: got %q, %v", text, err)
	}
}

func TestLoggerRefusesUnknownLevel(t *testing.T) {
	for _, level := range []string{"", "loud"} {
		if _, err := NewLogger(&logBuffer{}, Config{LogLevel: level}, App{}, newClock().now); !errors.Is(err, ErrUsage) {
			t.Errorf("level %q: got %v, want an ErrUsage", level, err)
		}
	}
}
