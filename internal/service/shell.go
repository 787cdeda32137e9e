package service

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// Part is one thing a shell runs. Run blocks until ctx ends, then stops taking work, finishes what is in hand and
// returns nil. The context's end is not a deadline: the shell's StopTimeout is.
type Part struct {
	Name string
	Run  func(ctx context.Context) error
}

// Shell is one process: its logger, metrics, readiness, admin server, and the order of starting and stopping.
// Make it with NewShell; Signals and Admin may be set before Run.
type Shell struct {
	Log     zerolog.Logger
	Metrics *prometheus.Registry // with process, Go runtime, kf_build_info, kf_ready and kf_check_ok
	Health  *Health

	Signals <-chan os.Signal // ask to stop; nil is SIGTERM and SIGINT of this process
	Admin   net.Listener     // where the admin server listens, closed by Run; nil is Config.AdminAddr

	cfg      Config
	nameless zerolog.Logger // without the field service
	now      func() time.Time
	cleanups cleanups
}

// NewShell wires a shell; it does no I/O and starts nothing. Logs go to w, see NewLogger. It fails, with ErrUsage, only
// if cfg is not valid.
func NewShell(app App, cfg Config, w io.Writer, now func() time.Time) (*Shell, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	log, err := namelessLogger(w, cfg, app, now)
	if err != nil {
		return nil, err
	}
	health := NewHealth(now)
	return &Shell{
		Log: named(log, app.Name), Metrics: newMetrics(app, health), Health: health,
		cfg: cfg, nameless: log, now: now,
	}, nil
}

// Deps returns what the New of this service takes: a logger with its name, and a Health that puts "name." before its
// checks, so that several can share one process.
func (s *Shell) Deps(service string) Deps {
	return Deps{Log: named(s.nameless, service), Metrics: s.Metrics, Health: s.Health.Named(service), Now: s.now}
}

// Cleanup adds something for Run to call after all parts have ended, last added first: close what New opened. All
// cleanups together have 5 s, which their context says. May be called until the parts have ended.
func (s *Shell) Cleanup(name string, f func(ctx context.Context) error) { s.cleanups.add(name, f) }

// heed calls ask at the first signal, and closes killed at the second, until free is called.
func (s *Shell) heed(ask context.CancelCauseFunc) (killed <-chan struct{}, free func()) {
	signals, quiet := s.Signals, func() {}
	if signals == nil {
		own := make(chan os.Signal, 2)
		signal.Notify(own, syscall.SIGTERM, os.Interrupt)
		signals, quiet = own, func() { signal.Stop(own) }
	}
	second, done := make(chan struct{}), make(chan struct{})
	go func() {
		select {
		case <-done:
			return
		case sig := <-signals:
			ask(fmt.Errorf("signal %v", sig))
		}
		select {
		case <-done:
		case <-signals:
			close(second)
		}
	}()
	return second, func() { quiet(); close(done) }
}
