package service

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestProbeURL(t *testing.T) {
	answers := map[string]func(http.ResponseWriter, *http.Request){
		"/ok":       func(_ http.ResponseWriter, _ *http.Request) {},
		"/plain":    func(w http.ResponseWriter, _ *http.Request) { http.Error(w, canary, http.StatusServiceUnavailable) },
		"/created":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) },
		"/redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ok", http.StatusFound) },
		"/huge": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"checks":[{"name":"` + strings.Repeat("x", 1<<20) + `"}]}`))
		},
		"/readyz": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"stopping":true,"checks":[{"name":"a","ok":true},{"name":"b","reason":"no servers"}]}`))
		},
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answers[r.URL.Path](w, r) }))
	defer srv.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	withUser := strings.Replace(srv.URL, "http://", "http://user:"+"pa55word@", 1)
	for _, c := range []struct {
		name, url string
		is        error
		want      string
	}{
		{"ready", srv.URL + "/ok", nil, ""},
		{"503 without a report", srv.URL + "/plain", ErrNotReady, "/plain: not ready: http 503"},
		{"any other 2xx", srv.URL + "/created", ErrNotReady, "http 201"},
		{"redirect is not followed", srv.URL + "/redirect", ErrNotReady, "http 302"},
		{"report is cut", srv.URL + "/huge", ErrNotReady, "http 503"},
		{"failing checks are named", srv.URL + "/readyz", ErrNotReady, "http 503; stopping; b: no servers"},
		{"nobody there", gone.URL + "/readyz?key=pa55word", ErrNotReady, "connection refused"},
		{"user and query are not repeated", withUser + "/readyz?key=pa55word", ErrNotReady, "http 503"},
		{"no scheme", "127.0.0.1:9090/readyz", ErrUsage, "must be absolute"},
		{"other scheme", "file:///etc/passwd", ErrUsage, "must be absolute"},
		{"no host", "http:///readyz", ErrUsage, "must be absolute"},
		{"nothing", "", ErrUsage, "must be absolute"},
		{"not a URL", "http://[pa55word", ErrUsage, "must be absolute"},
	} {
		err := ProbeURL(t.Context(), c.url)
		if !errors.Is(err, c.is) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %v with %q", c.name, err, c.is, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "pa55word") {
			t.Errorf("%s: the error repeats a secret: %v", c.name, err)
		}
		if err != nil && len(err.Error()) > 400 {
			t.Errorf("%s: the error is %d bytes long", c.name, len(err.Error()))
		}
	}
}

func TestProbeURLGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		err := probe(t.Context(), "http://admin/readyz", silentTransport{})
		if !errors.Is(err, ErrNotReady) || !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != probeTimeout {
			t.Errorf("got %v after %v, want a timeout after %v", err, time.Since(begin), probeTimeout)
		}
	})
}

// silentTransport never answers.
type silentTransport struct{}

func (silentTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}
