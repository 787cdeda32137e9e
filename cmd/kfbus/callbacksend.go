package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kfbus/kfbus/internal/service"
)

// sending is the command's flags.
type sending struct {
	sealing
	output
	repeat  int
	yes     bool
	timeout time.Duration
}

func callbackSend(s std) *cobra.Command {
	f := sending{repeat: 1, timeout: 5 * time.Second}
	c := &cobra.Command{Use: "send [FILE]", Short: "make a callback, post it, and print the answer",
		Long: `send makes a callback as make does and posts it to --url. With --get it does what the console does when a URL is saved,
and wants the echo back, byte for byte and within a second.

A callback that is truly signed is believed: of an account that exists it causes a pull, of an app a message.
Plain http to another machine wants --yes, since whoever hears it can send it again.

Exit code 0: every answer was 200, or the echo. 1: any other. 3: no answer.`,
		Example: "  kfbus callback send --kf wk… \n  kfbus callback send --get --url https://kf.example/callback\n  kfbus callback send text.xml --agent 1000002 --repeat 3",
		Args:    atMostOne,
		RunE: func(c *cobra.Command, args []string) error {
			if f.repeat < 1 {
				return usage(errors.New("--repeat is the number of times it is sent, at least 1"))
			}
			cb, err := f.seal(s, args, time.Now())
			if err != nil {
				return err
			}
			if err := f.allowed(); err != nil {
				return err
			}
			return f.send(c.Context(), s, cb)
		}}
	f.flag(c)
	f.flags(c)
	c.Flags().IntVar(&f.repeat, "repeat", f.repeat, "send the same bytes so often")
	c.Flags().BoolVar(&f.yes, "yes", false, "send over plain http to another machine")
	c.Flags().DurationVar(&f.timeout, "timeout", f.timeout, "longest wait for an answer; the platform waits 5s")
	return c
}

// allowed refuses to say something over the network that anybody there could repeat.
func (f *sending) allowed() error {
	u, err := url.Parse(f.url)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return usage(errors.New("--url must be whole, for example https://kf.example/callback"))
	case u.Scheme == "http" && !loopback(u.Host) && !f.yes:
		return usage(fmt.Errorf("%s is not this machine, and http is not encrypted: use https, or --yes if you know who listens", u.Host))
	}
	return nil
}

func (f *sending) send(ctx context.Context, s std, cb callback) error {
	client := newPoster(f.timeout)
	defer client.CloseIdleConnections()
	failed := false
	for range f.repeat {
		a, err := cb.deliver(ctx, client)
		if err != nil {
			return fmt.Errorf("%w: %w", service.ErrNotReady, err)
		}
		why := ""
		if cb.Method == http.MethodGet {
			why = a.echoFault(cb.echo)
		} else if a.Status != http.StatusOK {
			why = fmt.Sprintf("the answer is %d; the platform would send it again", a.Status)
		}
		failed = failed || why != ""
		a.Fault = why
		if err := f.print(s.out, a, a.text()); err != nil {
			return err
		}
	}
	if failed {
		return errSaid
	}
	return nil
}

// answered is what a door says.
type answered struct {
	Status   int     `json:"status"`
	Body     string  `json:"body"`
	Millis   float64 `json:"ms"`
	Fault    string  `json:"fault,omitempty"`
	location string
	took     time.Duration
	header   http.Header
	tls      bool
	expires  time.Time // of the certificate
}

func (a answered) text() string {
	text := fmt.Sprintf("%d %s in %.1f ms: %q", a.Status, http.StatusText(a.Status), a.Millis, a.Body)
	if a.Fault != "" {
		text += "\n  " + a.Fault
	}
	return text
}

// newPoster follows no redirect, as the platform follows none.
func newPoster(timeout time.Duration) *http.Client {
	return &http.Client{Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

const longestAnswer = 4 << 10

// deliver makes one attempt. Errors do not repeat the URL.
func (cb callback) deliver(ctx context.Context, client *http.Client) (answered, error) {
	req, err := http.NewRequestWithContext(ctx, cb.Method, cb.URL, strings.NewReader(cb.Body))
	if err != nil {
		return answered{}, errors.New("the URL cannot be asked")
	}
	if cb.ContentType != "" {
		req.Header.Set("Content-Type", cb.ContentType)
	}
	began := time.Now()
	res, err := client.Do(req)
	if err != nil {
		var wrapped *url.Error // has the whole URL in its text
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return answered{}, fmt.Errorf("no answer from %s: %w", req.URL.Host, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, longestAnswer))
	if err != nil {
		return answered{}, fmt.Errorf("read the answer of %s: %w", req.URL.Host, err)
	}
	took := time.Since(began)
	a := answered{Status: res.StatusCode, Body: string(body), Millis: float64(took.Microseconds()) / 1000, took: took,
		header: res.Header, location: res.Header.Get("Location")}
	if res.TLS != nil && len(res.TLS.PeerCertificates) > 0 {
		a.tls, a.expires = true, res.TLS.PeerCertificates[0].NotAfter
	}
	return a, nil
}

// echoPatience is how long the console waits for an echo.
const echoPatience = time.Second

// echoFault says why an answer would not satisfy the console; "" if it would.
func (a answered) echoFault(echo string) string {
	switch body := strings.TrimSpace(strings.TrimPrefix(a.Body, "\ufeff")); {
	case a.Status == http.StatusOK && a.Body == echo && a.took <= echoPatience:
		return ""
	case a.Status == http.StatusOK && a.Body == echo:
		return fmt.Sprintf("the echo is right and took %v; the console waits 1s: something before the door is slow", a.took.Truncate(time.Millisecond))
	case a.Status/100 == 3:
		return fmt.Sprintf("the answer is a redirect (%d) to %s, which the platform does not follow: put the final URL into the console", a.Status, clipURL(a.location))
	case a.Status == http.StatusOK && strings.Trim(body, `"'`) == echo:
		return "the echo has a newline, a byte order mark or quotes around it: a proxy or another program changes the answer"
	case strings.Contains(a.header.Get("Content-Type"), "html"), strings.HasPrefix(body, "<"):
		return fmt.Sprintf("the answer (%d) is a web page: a proxy, a firewall or another site answers in place of the ingress", a.Status)
	case a.Status == http.StatusForbidden:
		return "the ingress refuses (403): another Token, EncodingAESKey or corp id is in force there, its clock is off, or KF_INGRESS_VERIFY_URL is false"
	case a.Status == http.StatusNotFound:
		return "nothing is at this path (404): the ingress has /callback, and /callback/<name> with KF_CORPS"
	case a.Status == http.StatusTooManyRequests:
		return "too many were refused (429): wait a few seconds"
	case a.Status == http.StatusBadGateway, a.Status == http.StatusServiceUnavailable, a.Status == http.StatusGatewayTimeout:
		return fmt.Sprintf("the proxy does not reach the ingress (%d)", a.Status)
	case a.Status == http.StatusOK:
		return "the answer is 200 and not the echo: another program answers at this URL"
	}
	return fmt.Sprintf("the answer is %d and not the echo", a.Status)
}

// clipURL is a URL without its query and user.
func clipURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "somewhere"
	}
	return u.Scheme + "://" + u.Host + u.EscapedPath()
}
