package main

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// localOnly keeps web pages of other sites away from a port on this machine that
// has no authentication: a browser would let them post to it, and by a name that
// points here even read from it. Programs that are no browsers notice nothing.
func localOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		u, err := url.Parse(origin)
		switch {
		case !loopback(r.Host), origin != "" && (err != nil || u.Host != r.Host), r.Header.Get("Sec-Fetch-Site") == "cross-site":
			http.Error(w, `{"error":"this port answers programs on this machine only, not web pages of other sites"}`, http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// loopback reports whether a Host header or address names this machine.
func loopback(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
