package kfapi

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

const token = "access-token-CANARY-0001"

// seen is a request as the server read it.
type seen struct {
	method, path, query, body string
	header                    http.Header
}

// server answers with h and keeps what was asked.
type server struct {
	*Client
	url  string
	mu   sync.Mutex
	reqs []seen
}

func serve(t testing.TB, h http.HandlerFunc) *server {
	t.Helper()
	s := &server{}
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.reqs = append(s.reqs, seen{r.Method, r.URL.Path, r.URL.RawQuery, string(body), r.Header})
		s.mu.Unlock()
		h(w, r)
	}))
	t.Cleanup(ts.Close)
	s.url = ts.URL
	s.Client = client(t, ts.URL)
	return s
}

func client(t testing.TB, base string) *Client {
	t.Helper()
	c, err := New(Config{BaseURL: base, OfficialBaseURL: base})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func (s *server) last(t *testing.T) seen {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.reqs) == 0 {
		t.Fatal("the server saw no request")
	}
	return s.reqs[len(s.reqs)-1]
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.reqs)
}

func says(body string) http.HandlerFunc { return answers(200, "application/json", body) }

func answers(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func background(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// quiet is for servers whose failed handshakes are the point.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
