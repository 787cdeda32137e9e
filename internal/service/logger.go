package service

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"
)

const (
	logTime     = "2006-01-02T15:04:05.000Z"
	consoleTime = "15:04:05.000"
)

// NewLogger returns a logger of cfg's level and format with the fields time (UTC, milliseconds), version and service.
// Each event is one Write to w, which must take concurrent ones, as os.Stderr does. The console format has colours only
// on a terminal and without NO_COLOR. It fails, with ErrUsage, for a level that does not exist.
func NewLogger(w io.Writer, cfg Config, app App, now func() time.Time) (zerolog.Logger, error) {
	log, err := namelessLogger(w, cfg, app, now)
	return named(log, app.Name), err
}

func named(log zerolog.Logger, service string) zerolog.Logger {
	return log.With().Str("service", service).Logger()
}

func namelessLogger(w io.Writer, cfg Config, app App, now func() time.Time) (zerolog.Logger, error) {
	level, err := zerolog.ParseLevel(cfg.LogLevel)
	if err != nil || cfg.LogLevel == "" {
		return zerolog.Nop(), fmt.Errorf("%w: KF_LOG_LEVEL must be debug, info, warn or error", ErrUsage)
	}
	if cfg.LogFormat == "console" {
		w = zerolog.ConsoleWriter{Out: w, NoColor: !terminal(w), TimeFormat: consoleTime}
	}
	stamp := zerolog.HookFunc(func(e *zerolog.Event, _ zerolog.Level, _ string) {
		e.Str("time", now().UTC().Format(logTime))
	})
	return zerolog.New(w).Level(level).Hook(stamp).With().Str("version", app.Version).Logger(), nil
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
