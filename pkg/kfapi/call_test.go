package kfapi

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestDo(t *testing.T) {
	s := serve(t, says(`{"errcode":0,"errmsg":"ok","extra":{"a":1.50}}`))
	ctx := background(t)
	var raw json.RawMessage
	var typed struct{ Extra struct{ A float64 } }
	for _, c := range []struct {
		name, token, method, path string
		in, out                   any
		want                      seen
	}{
		{"raw in, raw out", "tok+/=&", "POST", "/cgi-bin/kf/account/list", json.RawMessage(`{"x": "\u4f60"}`), &raw,
			seen{method: "POST", path: "/cgi-bin/kf/account/list", query: "access_token=tok%2B%2F%3D%26", body: `{"x": "你"}`}},
		{"nothing in", token, "POST", "/cgi-bin/kf/x", nil, nil,
			seen{method: "POST", path: "/cgi-bin/kf/x", query: "access_token=" + token, body: `{}`}},
		{"typed", token, "POST", "/cgi-bin/kf/x", struct{ A string }{"<&>"}, &typed,
			seen{method: "POST", path: "/cgi-bin/kf/x", query: "access_token=" + token, body: `{"A":"<&>"}`}},
		{"GET with a query", token, "GET", "/cgi-bin/kf/servicer/list?open_kfid=wk1", nil, nil,
			seen{method: "GET", path: "/cgi-bin/kf/servicer/list", query: "access_token=" + token + "&open_kfid=wk1"}},
		{"without a token", "", "GET", "/cgi-bin/gettoken?corpid=a&corpsecret=b", nil, nil,
			seen{method: "GET", path: "/cgi-bin/gettoken", query: "corpid=a&corpsecret=b"}},
	} {
		if err := s.Do(ctx, c.token, c.method, c.path, c.in, c.out); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		got := s.last(t)
		if ct := got.header.Get("Content-Type"); (ct == "application/json") != (c.method == "POST") {
			t.Errorf("%s: got content type %q", c.name, ct)
		}
		got.header = nil
		if got.method != c.want.method || got.path != c.want.path || got.query != c.want.query || got.body != c.want.body {
			t.Errorf("%s:\ngot  %+v\nwant %+v", c.name, got, c.want)
		}
	}
	if string(raw) != `{"errcode":0,"errmsg":"ok","extra":{"a":1.50}}` || typed.Extra.A != 1.5 {
		t.Errorf("got %s and %+v", raw, typed)
	}
}

func TestDoRefuses(t *testing.T) {
	s := serve(t, says(`{"errcode":0}`))
	for _, c := range []struct {
		name, method, path string
		in                 any
	}{
		{"another host", "POST", "https://evil.example/cgi-bin/x", nil},
		{"another host without a scheme", "POST", "//evil.example/cgi-bin/x", nil},
		{"a path out of cgi-bin", "POST", "/cgi-bin/../x", nil},
		{"an escaped one", "POST", "/cgi-bin/%2e%2e/x", nil},
		{"a path elsewhere", "POST", "/x", nil},
		{"its own token", "POST", "/cgi-bin/x?access_token=y", nil},
		{"a broken query", "POST", "/cgi-bin/x?a;b=%zz", nil},
		{"another method", "DELETE", "/cgi-bin/x", nil},
		{"GET with a body", "GET", "/cgi-bin/x", struct{}{}},
		{"what is no JSON", "POST", "/cgi-bin/x", json.RawMessage(`{`)},
	} {
		if err := s.Do(background(t), token, c.method, c.path, c.in, nil); !NotSent(err) || Ambiguous(err) {
			t.Errorf("%s: got %v, want a refusal before sending", c.name, err)
		}
	}
	if n := s.count(); n != 0 {
		t.Errorf("the server saw %d requests, want 0", n)
	}
}

// What counts as an answer is errcode and nothing else; everything that is not plainly the platform's is a BodyError.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		name    string
		h       http.HandlerFunc
		code    int    // of an *Error
		strange string // Why of a *BodyError
	}{
		{"success", says(`{"errcode":0,"errmsg":"ok"}`), 0, ""},
		{"success without errmsg", says(" {\"errcode\":0}\n"), 0, ""},
		{"success, whatever the type says", answers(200, "text/plain", `{"errcode":0}`), 0, ""},
		{"refusal with status 200", says(`{"errcode":95001,"errmsg":"send msg count limit"}`), 95001, ""},
		{"system busy", says(`{"errcode":-1,"errmsg":"system busy"}`), -1, ""},
		{"500 with an errcode", answers(500, "application/json", `{"errcode":0}`), 0, "not a success"},
		{"400", answers(400, "text/html", `<html>`), 0, "not a success"},
		{"206 for JSON", answers(206, "application/json", `{"errcode":0}`), 0, "not a success"},
		{"204", answers(204, "application/json", ""), 0, "not a success"},
		{"errcode missing", says(`{"errmsg":"ok"}`), 0, whyNoCode},
		{"errcode in another case", says(`{"ErrCode":0}`), 0, whyNoCode},
		{"errcode a string", says(`{"errcode":"0"}`), 0, whyNoCode},
		{"errcode a fraction", says(`{"errcode":0.5}`), 0, whyNoCode},
		{"errcode null", says(`{"errcode":null}`), 0, whyNoCode},
		{"errcode twice", says(`{"errcode":0,"errcode":1}`), 0, whyNoCode},
		{"errcode deeper", says(`{"data":{"errcode":0}}`), 0, whyNoCode},
		{"an array", says(`[{"errcode":0}]`), 0, whyNotJSON},
		{"empty", says(``), 0, whyNotJSON},
		{"HTML", says(`<html></html>`), 0, whyNotJSON},
		{"cut JSON", says(`{"errcode":0,"errmsg":"o`), 0, whyNotJSON},
		{"something behind it", says(`{"errcode":0} {}`), 0, whyNotJSON},
		{"a NUL behind it", says("{\"errcode\":0}\x00"), 0, whyNotJSON},
		{"a byte order mark", says("\ufeff{\"errcode\":0}"), 0, whyNotJSON},
		{"a field of the wrong type", says(`{"errcode":0,"msgid":{}}`), 0, "a field has the wrong type"},
		{"too large", says(`{"errcode":0,"x":"` + strings.Repeat("x", maxReply) + `"}`), 0, "larger than 67108864 bytes"},
	} {
		s := serve(t, c.h)
		var out SendMsgResponse
		err := s.Do(background(t), token, "POST", "/cgi-bin/kf/x", nil, &out)
		var body *BodyError
		switch {
		case c.strange != "":
			if !errors.As(err, &body) || body.Why != c.strange || !Ambiguous(err) {
				t.Errorf("%s: got %v, want %s", c.name, err, c.strange)
			}
		case c.code != 0:
			if code, _ := Code(err); code != c.code || Ambiguous(err) || NotSent(err) {
				t.Errorf("%s: got %v, want errcode %d", c.name, err, c.code)
			}
		case err != nil:
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	var elsewhere atomic.Int32
	other := serve(t, func(w http.ResponseWriter, r *http.Request) { elsewhere.Add(1) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.url+"?"+r.URL.RawQuery, status)
		})
		for _, err := range []error{
			s.Do(background(t), token, "POST", "/cgi-bin/x", nil, nil), s.Do(background(t), token, "GET", "/cgi-bin/x", nil, nil),
		} {
			var body *BodyError
			if !errors.As(err, &body) || body.Status != status || !Ambiguous(err) {
				t.Errorf("%d: got %v, want a BodyError", status, err)
			}
		}
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("the redirect was followed %d times", n)
	}
}

func TestNotSent(t *testing.T) {
	dead := httptest.NewServer(nil)
	dead.Close()
	noTLS := httptest.NewUnstartedServer(nil) // nobody trusts it
	noTLS.Config.ErrorLog = quiet()
	noTLS.StartTLS()
	defer noTLS.Close()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	s := serve(t, says(`{"errcode":0}`))
	do := func(c *Client, ctx context.Context) error { return c.Do(ctx, token, "POST", "/cgi-bin/x", nil, nil) }
	for name, err := range map[string]error{
		"nobody listens":         do(client(t, dead.URL), background(t)),
		"an unknown certificate": do(client(t, noTLS.URL), background(t)),
		"the context has ended":  do(s.Client, ended),
	} {
		if !NotSent(err) || Ambiguous(err) {
			t.Errorf("%s: got %v, want not sent", name, err)
		}
		var again *TransportError
		if !errors.As(err, &again) || again.Err == nil {
			t.Errorf("%s: got %v, want a TransportError with a cause", name, err)
		}
	}
	if n := s.count(); n != 0 {
		t.Errorf("the server saw %d requests, want 0", n)
	}
}

func TestConnectionThatNeverComes(t *testing.T) {
	dialing := make(chan struct{})
	hc := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		close(dialing)
		<-ctx.Done()
		return nil, ctx.Err()
	}}}
	c, err := New(Config{HTTP: hc})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(background(t))
	go func() {
		<-dialing
		cancel(errors.New("the caller's own words"))
	}()
	err = c.Do(ctx, token, "POST", "/cgi-bin/x", nil, nil)
	if !NotSent(err) || !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "own words") {
		t.Errorf("got %v, want not sent, canceled", err)
	}
}

func TestAmbiguous(t *testing.T) {
	arrived := make(chan struct{}, 1)
	for _, c := range []struct {
		name string
		h    http.HandlerFunc
		want error
	}{
		{"reset before the answer", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, io.ErrUnexpectedEOF},
		{"cut in the body", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, `{"errcode":0`)
		}, io.ErrUnexpectedEOF},
		{"hangs", func(w http.ResponseWriter, r *http.Request) { arrived <- struct{}{}; <-r.Context().Done() }, context.Canceled},
		{"hangs in the body", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `{"errcode":0`)
			w.(http.Flusher).Flush()
			arrived <- struct{}{}
			<-r.Context().Done()
		}, context.Canceled},
	} {
		s := serve(t, c.h)
		ctx, cancel := context.WithCancel(background(t))
		done := make(chan struct{})
		go func() {
			select {
			case <-arrived:
				cancel()
			case <-done:
			}
		}()
		err := s.Do(ctx, token, "POST", "/cgi-bin/x", nil, nil)
		close(done)
		cancel()
		if !Ambiguous(err) || NotSent(err) || !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want ambiguous with %v", c.name, err, c.want)
		}
		if n := s.count(); n != 1 {
			t.Errorf("%s: the server saw %d requests, want 1", c.name, n)
		}
	}
}

// A RoundTripper that tells nothing may have sent everything, and HTTP/2 does not say when it writes.
func TestUnknownRoundTripperIsAmbiguous(t *testing.T) {
	c, err := New(Config{HTTP: &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
		return nil, errors.New("gave up on " + token)
	})}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Do(background(t), token, "POST", "/cgi-bin/x", nil, nil); !Ambiguous(err) || strings.Contains(err.Error(), token) {
		t.Errorf("got %v, want ambiguous", err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestHTTP2IsAmbiguousFromTheConnectionOn(t *testing.T) {
	ts := httptest.NewUnstartedServer(nil)
	ts.Config.ErrorLog = quiet()
	ts.EnableHTTP2 = true
	ts.StartTLS()
	defer ts.Close()
	roots := ts.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	for proto, want := range map[string]bool{"h2": true, "http/1.1": false} {
		conn, err := tls.Dial("tcp", ts.Listener.Addr().String(), &tls.Config{RootCAs: roots, NextProtos: []string{proto}, ServerName: "example.com"})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		c, err := New(Config{HTTP: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			trace := httptrace.ContextClientTrace(r.Context())
			trace.GetConn("example.com:443")
			trace.GotConn(httptrace.GotConnInfo{Conn: conn})
			return nil, io.EOF
		})}})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Do(background(t), token, "POST", "/cgi-bin/x", nil, nil); Ambiguous(err) != want || NotSent(err) == want {
			t.Errorf("%s: got %v, want ambiguous %v", proto, err, want)
		}
	}
}

func TestHTTP2Client(t *testing.T) {
	ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("got %s, want HTTP/2", r.Proto)
		}
		panic(http.ErrAbortHandler)
	}))
	ts.EnableHTTP2 = true
	ts.StartTLS()
	defer ts.Close()
	c, err := New(Config{BaseURL: ts.URL, HTTP: ts.Client()})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Do(background(t), token, "POST", "/cgi-bin/x", nil, nil); !Ambiguous(err) {
		t.Errorf("got %v, want ambiguous", err)
	}
}

// dropSecond answers the first request of every connection and cuts the connection after the second one was read. It
// counts the POSTs it read to the end.
func dropSecond(t *testing.T) (base string, posts *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	posts = &atomic.Int32{}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				for n := range 2 {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					io.Copy(io.Discard, req.Body)
					if req.Method == http.MethodPost {
						posts.Add(1)
					}
					if n == 0 {
						io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"errcode\":0}")
					}
				}
			}()
		}
	}()
	return "http://" + l.Addr().String(), posts
}

// net/http sends a request again when a kept connection dies, if it thinks that it may. It must never think so of a POST.
func TestPostIsSentOnce(t *testing.T) {
	base, posts := dropSecond(t)
	c := client(t, base)
	ctx := background(t)
	if err := c.Do(ctx, token, "POST", "/cgi-bin/kf/send_msg", nil, nil); err != nil {
		t.Fatal(err)
	}
	err := c.Do(ctx, token, "POST", "/cgi-bin/kf/send_msg", nil, nil)
	if !Ambiguous(err) || posts.Load() != 2 {
		t.Errorf("two calls: got %v and %d POSTs, want ambiguous and 2", err, posts.Load())
	}

	// The same server makes an ordinary request with an idempotency key go out twice: the test can fail.
	base, posts = dropSecond(t)
	hc := &http.Client{Transport: &http.Transport{}}
	defer hc.CloseIdleConnections()
	for range 2 {
		req, _ := http.NewRequestWithContext(ctx, http.MethodPost, base, strings.NewReader("{}"))
		req.Header.Set("Idempotency-Key", "x")
		if resp, err := hc.Do(req); err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}
	if n := posts.Load(); n != 3 {
		t.Errorf("control: got %d POSTs for two calls, want 3", n)
	}
}

func TestRequestCannotBeReplayed(t *testing.T) {
	c := client(t, "http://127.0.0.1:1")
	req, err := c.request(background(t), newCall("POST", "kf/send_msg", token).json([]byte(`{"a":1}`)))
	if err != nil {
		t.Fatal(err)
	}
	if req.GetBody != nil || req.Header.Get("Idempotency-Key") != "" || req.Header.Get("X-Idempotency-Key") != "" {
		t.Error("net/http would replay this request")
	}
	if req.ContentLength != 7 {
		t.Errorf("got content length %d, want 7", req.ContentLength)
	}
}

func TestCallsEndWithoutADeadline(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	k := newCall("POST", "kf/x", token).json([]byte(`{}`))
	k.timeout = 20 * time.Millisecond
	_, _, err := s.fetch(t.Context(), k)
	if !Ambiguous(err) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want ambiguous, deadline exceeded", err)
	}
}

func TestEveryCallHasATimeout(t *testing.T) {
	deadline := make(chan time.Duration, 1)
	c, err := New(Config{HTTP: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		d, _ := r.Context().Deadline()
		deadline <- time.Until(d)
		return nil, io.EOF
	})}})
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range calls() {
		call.do(t.Context(), c)
		if got := <-deadline; got <= 0 || got > MediaTimeout || !strings.HasPrefix(call.name, "media") && got > CallTimeout {
			t.Errorf("%s: got %v to live", call.name, got)
		}
	}
}
