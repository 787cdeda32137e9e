package kfapi

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Where the platform answers.
const (
	DefaultBaseURL         = "https://qyapi.weixin.qq.com"
	DefaultOfficialBaseURL = "https://api.weixin.qq.com" // OfficialToken and StableToken
)

// No call outlives these, however long the caller's context lives. A shorter deadline of the context wins.
const (
	CallTimeout  = 20 * time.Second // every JSON call, the reading of the answer included
	MediaTimeout = 2 * time.Minute  // MediaUpload, and MediaGet until its Body is closed: 20 MiB at 170 KiB/s
)

const (
	// maxReply is what an answer in JSON may weigh before it is refused with a *BodyError. A page of 1000 messages or of
	// 1000 knowledge entries, each with 100 similar questions of 200 characters, stays below it.
	maxReply   = 64 << 20
	maxTrusted = 1 << 20 // the most that is allocated on an announced length alone
)

// Config says where and how to call. The zero value calls the real platform.
type Config struct {
	// BaseURL is DefaultBaseURL when empty. It must be https, unless its host is loopback or AllowHTTP is set.
	// A path is kept as a prefix; user info, query and fragment are refused.
	BaseURL string
	// OfficialBaseURL is DefaultOfficialBaseURL when empty. The rules of BaseURL hold.
	OfficialBaseURL string
	// AllowHTTP permits plain http to a host that is not loopback. Tokens and secrets then cross the network in the clear.
	AllowHTTP bool
	// HTTP replaces the client's own http.Client, which speaks HTTP/1.1, ignores the proxy variables of the environment
	// and has 5 s for a connection, 5 s for the TLS handshake, 20 s for the first header, 60 s for an idle connection.
	// It is copied; redirects are never followed and cookies never kept, whatever it says.
	HTTP *http.Client
	// Now is time.Now when nil. It is only used to compare the platform's clock with ours, see ServerOffset.
	Now func() time.Time
}

// Client calls the Kf API. It holds no token, retries nothing, and may be used by many goroutines at once.
type Client struct {
	base     string
	official string
	http     *http.Client
	now      func() time.Time
	clock    serverClock
}

// New checks cfg and makes a client. It does no I/O.
func New(cfg Config) (*Client, error) {
	base, err := checkBase(cfg.BaseURL, DefaultBaseURL, cfg.AllowHTTP)
	if err != nil {
		return nil, err
	}
	official, err := checkBase(cfg.OfficialBaseURL, DefaultOfficialBaseURL, cfg.AllowHTTP)
	if err != nil {
		return nil, err
	}
	hc := http.Client{Transport: newTransport()}
	if cfg.HTTP != nil {
		hc = *cfg.HTTP
	}
	hc.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	hc.Jar = nil
	now := cfg.Now
	if now == nil {
		now = time.Now
	}
	return &Client{base: base, official: official, http: &hc, now: now}, nil
}

// CloseIdleConnections closes the connections that are kept for the next call. It may be called at any time.
func (c *Client) CloseIdleConnections() { c.http.CloseIdleConnections() }

// checkBase never quotes the URL: it may carry a password.
func checkBase(base, fallback string, allowHTTP bool) (string, error) {
	if base == "" {
		return fallback, nil
	}
	u, err := url.Parse(base)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return "", errors.New("kfapi: the base URL is not a URL with a host, like " + fallback)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("kfapi: the base URL must not have user info, a query or a fragment")
	case u.Scheme == "https":
	case u.Scheme != "http":
		return "", errors.New("kfapi: the base URL must be https (or http, see AllowHTTP)")
	case !allowHTTP && !loopback(u.Hostname()):
		return "", errors.New("kfapi: the base URL is plain http, which would show the access token to the network; use https or set AllowHTTP")
	}
	return strings.TrimRight(u.String(), "/"), nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// newTransport speaks HTTP/1.1 only: there a failed request is either not written at all or may have been acted on, and
// net/http has settled which before it returns. HTTP/2 shares one connection between calls and replays what a GOAWAY left.
func newTransport() *http.Transport {
	var http1 http.Protocols
	http1.SetHTTP1(true)
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  CallTimeout,
		ExpectContinueTimeout:  time.Second,
		IdleConnTimeout:        60 * time.Second,
		MaxIdleConns:           128,
		MaxIdleConnsPerHost:    128, // one host; the default of 2 would open a connection for almost every call
		MaxResponseHeaderBytes: 64 << 10,
		Protocols:              &http1,
	}
}
