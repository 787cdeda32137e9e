package kfapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// call is one HTTP exchange. Every secret in it must be in token or secrets, so that errors can be kept free of it.
type call struct {
	op      string
	method  string
	path    string // from /cgi-bin on
	query   url.Values
	token   string // goes into the query; empty for gettoken
	secrets []string
	header  http.Header
	body    io.Reader // with size bytes; nil for GET
	size    int64
	timeout time.Duration // of all of it
	// official: the call goes to the host of official accounts, whose success has no errcode.
	official bool
}

// newCall is a call of path, "kf/account/list", without parameters.
func newCall(method, path, token string) call {
	return call{op: opOf(path), method: method, path: "/cgi-bin/" + path, token: token, timeout: CallTimeout}
}

// json makes body the body.
func (k call) json(body []byte) call {
	k.header = http.Header{"Content-Type": {"application/json"}}
	k.body, k.size = bytes.NewReader(body), int64(len(body))
	return k
}

func needToken(token string) error { return checkSize("access_token", token, 1, 0) }

// decode makes the call, refuses an errcode other than 0 and any body that has none, and decodes the rest into out.
func (c *Client) decode(ctx context.Context, k call, out any) error {
	body, meta, err := c.fetch(ctx, k)
	if err != nil {
		return err
	}
	reply, why := readHead(body)
	if k.official && reply.codes == 0 && why == whyNoCode {
		why = "" // out says whether it is a success
	}
	if why != "" {
		return k.odd(meta, int64(len(body)), why)
	}
	if reply.code != 0 {
		return k.refusal(reply)
	}
	switch out := out.(type) {
	case nil:
	case *json.RawMessage:
		*out = body
	default:
		if json.Unmarshal(body, out) != nil { // its text quotes the body
			return k.odd(meta, int64(len(body)), "a field has the wrong type")
		}
	}
	if out, ok := out.(keeper); ok {
		out.keep(cleanMsg(reply.msg, k.hidden()), body)
	}
	if out, ok := out.(whole); ok && out.missing() != "" {
		return k.odd(meta, int64(len(body)), out.missing()+" missing")
	}
	return nil
}

// meta is what an error says of an answer.
type meta struct {
	status      int
	contentType string
}

// fetch makes the call and reads the whole answer, up to maxReply.
func (c *Client) fetch(ctx context.Context, k call) ([]byte, meta, error) {
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	resp, err := c.open(ctx, k)
	if err != nil {
		return nil, meta{}, err
	}
	defer resp.Body.Close()
	m := metaOf(resp)
	if resp.StatusCode != http.StatusOK {
		return nil, m, k.badStatus(resp)
	}
	body, err := readAll(resp)
	switch {
	case err != nil:
		return nil, m, k.cut(ctx, err)
	case len(body) > maxReply:
		return nil, m, k.odd(m, int64(len(body)), fmt.Sprintf("larger than %d bytes", maxReply))
	}
	return body, m, nil
}

// open sends the request and returns once the header of the answer is there. The caller closes the body.
func (c *Client) open(ctx context.Context, k call) (*http.Response, error) {
	var sent progress
	req, err := c.request(httptrace.WithClientTrace(ctx, sent.trace()), k)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, &TransportError{Op: k.op, Err: clean(ctx, err, false, k.hidden())}
	}
	start := c.now()
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, &TransportError{Op: k.op, Written: sent.written(), Err: clean(ctx, err, sent.written(), k.hidden())}
	}
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err == nil && resp.StatusCode < 300 && !k.official {
		c.clock.observe(date, start, c.now())
	}
	return resp, nil
}

func (c *Client) request(ctx context.Context, k call) (*http.Request, error) {
	query := url.Values{}
	for name, values := range k.query {
		query[name] = values
	}
	if k.token != "" {
		query.Set("access_token", k.token)
	}
	base := c.base
	if k.official {
		base = c.official
	}
	req, err := http.NewRequestWithContext(ctx, k.method, base+k.path, nil)
	if err != nil {
		return nil, errors.New("the path makes no URL")
	}
	req.URL.RawQuery = query.Encode()
	for name, values := range k.header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", "kfbus")
	if k.body != nil {
		// Set here and not by NewRequest, which would add GetBody and with it let net/http send a POST twice.
		req.Body, req.ContentLength = io.NopCloser(k.body), k.size
	}
	return req, nil
}

// progress watches how far a request came.
type progress struct{ asked, wrote atomic.Bool }

func (p *progress) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) { p.asked.Store(true) },
		GotConn: func(info httptrace.GotConnInfo) {
			// HTTP/2 writes from a goroutine of its own, which net/http does not wait for.
			if conn, ok := info.Conn.(*tls.Conn); ok && conn.ConnectionState().NegotiatedProtocol == "h2" {
				p.wrote.Store(true)
			}
		},
		WroteHeaders: func() { p.wrote.Store(true) },
	}
}

// written is false only if we know better: a RoundTripper that reports nothing may have sent everything.
func (p *progress) written() bool { return p.wrote.Load() || !p.asked.Load() }

func (k call) hidden() []string { return append([]string{k.token}, k.secrets...) }

func (k call) refusal(h head) error {
	return &Error{Op: k.op, Code: h.code, Msg: cleanMsg(h.msg, k.hidden())}
}

func (k call) cut(ctx context.Context, err error) error {
	return &TransportError{Op: k.op, Written: true, Err: clean(ctx, err, true, k.hidden())}
}

func (k call) odd(m meta, length int64, why string) error {
	return &BodyError{Op: k.op, Status: m.status, ContentType: cleanType(m.contentType, k.hidden()), Length: length, Why: why}
}

// badStatus drains a little, so that the connection can be used again.
func (k call) badStatus(resp *http.Response) error {
	n, _ := io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	why := "not a success"
	if resp.StatusCode/100 == 3 {
		why = "a redirect, which is never followed"
	}
	return k.odd(metaOf(resp), n, why)
}

func metaOf(resp *http.Response) meta {
	return meta{resp.StatusCode, resp.Header.Get("Content-Type")}
}

// readAll reads up to one byte more than maxReply.
func readAll(resp *http.Response) ([]byte, error) {
	var buf bytes.Buffer
	if n := resp.ContentLength; 0 < n && n <= maxTrusted {
		buf.Grow(int(n) + bytes.MinRead)
	}
	_, err := buf.ReadFrom(io.LimitReader(resp.Body, maxReply+1))
	return buf.Bytes(), err
}

// opOf names a path in errors: "kf/account/list" is "account/list".
func opOf(path string) string { return strings.TrimPrefix(path, "kf/") }

// Do makes any call of the platform: path is the reference's, "/cgi-bin/kf/account/list", with a query if it needs one
// ("?open_kfid=wk1"); method is GET or POST. in is encoded as the body of a POST; nil sends {}. A json.RawMessage is sent as
// it is, except that \uXXXX escapes, which the platform refuses (40033), become the characters they stand for. out is filled
// from the answer; nil drops it, a *json.RawMessage takes it byte for byte. accessToken is "" for calls that take none.
// An answer over 64 MiB is a *BodyError. Whether Do may be repeated is the call's own matter.
func (c *Client) Do(ctx context.Context, accessToken, method, path string, in, out any) error {
	u, err := url.Parse(path)
	if err != nil || u.Host != "" || u.Scheme != "" || !plainPath(u.EscapedPath()) {
		return &LimitError{Field: "path", Why: "is not of the form /cgi-bin/kf/account/list"}
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || query.Has("access_token") {
		return &LimitError{Field: "path", Why: "has a broken query or brings its own access_token"}
	}
	k := newCall(method, strings.TrimPrefix(u.Path, "/cgi-bin/"), accessToken)
	k.query = query
	for _, values := range query {
		k.secrets = append(k.secrets, values...)
	}
	switch {
	case method == http.MethodPost:
		body, err := encode(in)
		if err != nil {
			return fmt.Errorf("%s: %w", k.op, err)
		}
		k = k.json(body)
	case method != http.MethodGet || in != nil:
		return fmt.Errorf("%s: %w", k.op, &LimitError{Field: "method", Why: "must be POST, or GET without a body"})
	}
	err = c.decode(ctx, k, out)
	return err
}

func plainPath(path string) bool {
	rest, ok := strings.CutPrefix(path, "/cgi-bin/")
	return ok && rest != "" && len(rest) <= 64 && only(rest, lower+upper+digits+"_/")
}
