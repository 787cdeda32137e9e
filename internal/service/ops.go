package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
)

const opsCloseTimeout = time.Second // a scrape in flight may end

// opsHandler answers GET and HEAD on three exact paths, and nothing else. There is no pprof.
func opsHandler(health *Health, reg *prometheus.Registry, log zerolog.Logger) http.Handler {
	metrics := promhttp.HandlerFor(reg, promhttp.HandlerOpts{
		ErrorLog:            stdlog.New(warnings{log}, "", 0),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: 4,
		Timeout:             5 * time.Second,
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if r.URL.Path != "/livez" && r.URL.Path != "/readyz" && r.URL.Path != "/metrics" {
			answer(w, http.StatusNotFound, "not found\n")
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			answer(w, http.StatusMethodNotAllowed, "method not allowed\n")
			return
		}
		switch r.URL.Path {
		case "/livez":
			livez(w, health)
		case "/readyz":
			readyz(w, health)
		default:
			metrics.ServeHTTP(w, r)
		}
	})
}

// livez is about the process only: no broker, no network, else an election there would restart every service here.
func livez(w http.ResponseWriter, health *Health) {
	if !health.alive() {
		answer(w, http.StatusServiceUnavailable, "stop took too long\n")
		return
	}
	answer(w, http.StatusOK, "ok\n")
}

func readyz(w http.ResponseWriter, health *Health) {
	report := health.Report()
	status := http.StatusOK
	if !report.Ready {
		status = http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(report) // the prober has gone: nothing to do
}

func answer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// warnings logs what net/http and promhttp have to say.
type warnings struct{ log zerolog.Logger }

// Write logs p as one warning.
func (w warnings) Write(p []byte) (int, error) {
	w.log.Warn().Str("part", "admin server").Msg(strings.TrimSpace(string(p)))
	return len(p), nil
}

// opsServer is a server between serveOps and close. Requests are small and rare; every limit is tight.
type opsServer struct {
	http  http.Server
	ended chan error // what Serve returned, nil after close
}

// serveOps starts serving h on l; failed is called too if that ends before close.
func serveOps(l net.Listener, h http.Handler, log zerolog.Logger, failed context.CancelCauseFunc) *opsServer {
	s := &opsServer{ended: make(chan error, 1), http: http.Server{
		Handler:           h,
		ReadHeaderTimeout: 2 * time.Second,
		ReadTimeout:       4 * time.Second,
		WriteTimeout:      10 * time.Second, // over the 5 s of a scrape
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          stdlog.New(warnings{log}, "", 0),
	}}
	go func() {
		err := s.http.Serve(l)
		if errors.Is(err, http.ErrServerClosed) {
			s.ended <- nil
			return
		}
		err = fmt.Errorf("admin server: %w", err)
		s.ended <- err
		failed(err)
	}()
	return s
}

// close ends the server, in a second at most, and returns why it ended before, if it did.
func (s *opsServer) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), opsCloseTimeout)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close()
	}
	return <-s.ended
}
