package kfapi

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestBaseURL(t *testing.T) {
	for _, c := range []struct {
		name, base string
		allow      bool
		want       string // "" is refused
	}{
		{"the platform by default", "", false, DefaultBaseURL},
		{"https", "https://proxy.example", false, "https://proxy.example"},
		{"a prefix, one slash dropped", "https://proxy.example/kf/", false, "https://proxy.example/kf"},
		{"http to loopback", "http://127.0.0.1:8080", false, "http://127.0.0.1:8080"},
		{"http to loopback, IPv6", "http://[::1]:8080", false, "http://[::1]:8080"},
		{"http to localhost", "http://localhost:8080", false, "http://localhost:8080"},
		{"http to a host by permission", "http://sim:8080", true, "http://sim:8080"},
		{"http to a host", "http://sim:8080", false, ""},
		{"http to a host that looks local", "http://127.0.0.1.evil.example", false, ""},
		{"password", "https://user:hunter2hunter2@proxy.example", false, ""},
		{"query", "https://proxy.example/?x=hunter2hunter2", false, ""},
		{"fragment", "https://proxy.example/#hunter2hunter2", false, ""},
		{"another scheme", "ftp://proxy.example", true, ""},
		{"no host", "https:///cgi-bin", false, ""},
		{"no URL", "https://[hunter2hunter2", false, ""},
	} {
		got, err := New(Config{BaseURL: c.base, AllowHTTP: c.allow})
		if c.want == "" {
			if err == nil {
				t.Errorf("%s: got no error", c.name)
			} else if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: the error quotes the URL: %v", c.name, err)
			}
			continue
		}
		if err != nil || got.base != c.want {
			t.Errorf("%s: got %+v, %v, want %s", c.name, got, err, c.want)
		}
	}
}

func TestOwnClientSpeaksHTTP1WithoutProxy(t *testing.T) {
	var proto string
	ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proto = r.Proto
		says(`{"errcode":0}`)(w, r)
	}))
	ts.EnableHTTP2 = true
	ts.StartTLS()
	defer ts.Close()
	c := client(t, ts.URL)
	tr := c.http.Transport.(*http.Transport)
	if tr.Proxy != nil {
		t.Error("the proxy variables of the environment are read")
	}
	tr.TLSClientConfig.RootCAs = ts.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	if err := c.Do(background(t), token, "POST", "/cgi-bin/x", nil, nil); err != nil {
		t.Fatal(err)
	}
	if proto != "HTTP/1.1" {
		t.Errorf("got %s, want HTTP/1.1", proto)
	}
}

func TestGivenClientIsCopiedAndTamed(t *testing.T) {
	given := &http.Client{Jar: nopJar{}}
	c, err := New(Config{HTTP: given})
	if err != nil {
		t.Fatal(err)
	}
	if given.CheckRedirect != nil || given.Jar == nil {
		t.Error("the caller's client was changed")
	}
	if !errors.Is(c.http.CheckRedirect(nil, nil), http.ErrUseLastResponse) || c.http.Jar != nil {
		t.Error("redirects or cookies are still on")
	}
}

type nopJar struct{ http.CookieJar }
