package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestLocalOnly(t *testing.T) {
	h := localOnly(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	for _, c := range []struct {
		name, host, origin, site string
		want                     int
	}{
		{"a program", "127.0.0.1:8091", "", "", 204},
		{"a program by name", "localhost:8091", "", "", 204},
		{"IPv6", "[::1]:8091", "", "", 204},
		{"our own page", "127.0.0.1:8091", "http://127.0.0.1:8091", "same-origin", 204},
		{"another site", "127.0.0.1:8091", "http://evil.example", "cross-site", 403},
		{"another site that hides its origin", "127.0.0.1:8091", "", "cross-site", 403},
		{"a sandboxed page", "127.0.0.1:8091", "null", "", 403},
		{"a name that points here", "evil.example", "", "", 403},
		{"another port of this machine", "127.0.0.1:8091", "http://127.0.0.1:3000", "same-site", 403},
	} {
		r := httptest.NewRequest("POST", "/say", nil)
		r.Host = c.host
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		if c.site != "" {
			r.Header.Set("Sec-Fetch-Site", c.site)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s: got %d, want %d", c.name, w.Code, c.want)
		}
	}
}
