package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const probeTimeout = 5 * time.Second

// ProbeURL asks a health endpoint, for example http://127.0.0.1:9090/readyz, once, and returns nil for 200. It gives up
// after 5 s or with ctx. Anything else is an ErrNotReady that names the checks which are not ok; a URL that cannot be
// asked is an ErrUsage. Redirects and proxies are not followed. Errors do not repeat the URL's user or query.
func ProbeURL(ctx context.Context, rawURL string) error {
	transport := &http.Transport{DisableKeepAlives: true} // no Proxy: what is probed is near
	return probe(ctx, rawURL, transport)
}

func probe(ctx context.Context, rawURL string, transport http.RoundTripper) error {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%w: the health URL must be absolute, for example http://127.0.0.1:9090/readyz", ErrUsage)
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fmt.Errorf("%w: the health URL cannot be asked", ErrUsage)
	}
	client := http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	where := u.Scheme + "://" + u.Host + u.Path
	res, err := client.Do(req)
	if err != nil {
		var wrapped *url.Error // has the whole URL in its text
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return fmt.Errorf("%s: %w: %w", where, ErrNotReady, err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusOK {
		return nil
	}
	return fmt.Errorf("%s: %w: http %d%s", where, ErrNotReady, res.StatusCode, failedChecks(res.Body))
}

// failedChecks says what a /readyz body complains of; "" for any other body.
func failedChecks(body io.Reader) string {
	var report Report
	if json.NewDecoder(io.LimitReader(body, 64<<10)).Decode(&report) != nil {
		return ""
	}
	var b strings.Builder
	if report.Stopping {
		b.WriteString("; stopping")
	}
	for _, c := range report.Checks {
		if !c.OK {
			fmt.Fprintf(&b, "; %s: %s", c.Name, c.Reason)
		}
	}
	return b.String()
}
