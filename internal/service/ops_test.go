package service

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// pipeListener hands out in-memory connections, so that a server can run inside a synctest bubble.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9090} }

func (l *pipeListener) dial() (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// get asks for path and returns status and body, or 0 if the listener is closed.
func (l *pipeListener) get(t *testing.T, path string) (int, string) {
	t.Helper()
	conn, err := l.dial()
	if err != nil {
		return 0, ""
	}
	defer func() { _ = conn.Close() }()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://admin"+path, nil)
	must(t, err)
	req.Close = true
	must(t, req.Write(conn))
	res, err := http.ReadResponse(bufio.NewReader(conn), req)
	must(t, err)
	body, err := io.ReadAll(res.Body)
	must(t, err)
	return res.StatusCode, string(body)
}

func opsFixture() (*Health, http.Handler) {
	h := NewHealth(newClock().now)
	return h, opsHandler(h, newMetrics(App{"sender", "1.2.3", "abc"}, h), zerolog.Nop())
}

func TestOpsAnswersThreePathsOnly(t *testing.T) {
	health, handler := opsFixture()
	health.Check("publish").OK()
	for _, c := range []struct {
		method, path string
		status       int
		body         string // prefix
	}{
		{"GET", "/livez", 200, "ok\n"},
		{"HEAD", "/livez", 200, "ok\n"}, // net/http cuts the body
		{"GET", "/livez?x=1", 200, "ok\n"},
		{"GET", "/readyz", 200, `{"ready":true,`},
		{"GET", "/metrics", 200, "# HELP"},
		{"POST", "/livez", 405, "method not allowed\n"},
		{"DELETE", "/metrics", 405, "method not allowed\n"},
		{"OPTIONS", "/readyz", 405, "method not allowed\n"},
		{"GET", "/", 404, "not found\n"},
		{"GET", "//livez", 404, "not found\n"},
		{"GET", "/livez/", 404, "not found\n"},
		{"GET", "/readyz/../livez", 404, "not found\n"},
		{"GET", "/debug/pprof/", 404, "not found\n"},
		{"GET", "/debug/vars", 404, "not found\n"},
		{"POST", "/nothing", 404, "not found\n"},
	} {
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), c.method, c.path, nil))
		if rec.Code != c.status || !strings.HasPrefix(rec.Body.String(), c.body) {
			t.Errorf("%s %s: got %d %.40q, want %d %q", c.method, c.path, rec.Code, rec.Body, c.status, c.body)
		}
		if c.status >= 400 && rec.Body.String() != c.body {
			t.Errorf("%s %s: got the body %q, want just %q", c.method, c.path, rec.Body, c.body)
		}
		if got := rec.Header().Get("Allow"); (got == "GET, HEAD") != (c.status == 405) {
			t.Errorf("%s %s: got Allow %q", c.method, c.path, got)
		}
		if rec.Header().Get("Cache-Control") != "no-store" || rec.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: got headers %v", c.method, c.path, rec.Header())
		}
	}
}

func TestOpsReadyzListsChecks(t *testing.T) {
	clk := newClock()
	health := NewHealth(clk.now)
	handler := opsHandler(health, newMetrics(App{}, health), zerolog.Nop())
	pub, top := health.Check("publish").FreshFor(10*time.Second), health.Check("topology")
	for _, step := range []struct {
		name   string
		do     func()
		status int
		body   string
	}{
		{"nothing known yet", func() { pub.OK() }, 503, `{"ready":false,"stopping":false,"checks":[` +
			`{"name":"publish","ok":true,"since":"2026-03-01T08:00:00Z"},` +
			`{"name":"topology","ok":false,"since":"2026-03-01T08:00:00Z","reason":"not checked yet"}]}`},
		{"ready", func() { top.OK() }, 200, `{"ready":true,"stopping":false,"checks":[` +
			`{"name":"publish","ok":true,"since":"2026-03-01T08:00:00Z"},{"name":"topology","ok":true,"since":"2026-03-01T08:00:00Z"}]}`},
		{"publish too long ago", func() { clk.add(12 * time.Second) }, 503, `{"ready":false,"stopping":false,"checks":[` +
			`{"name":"publish","ok":false,"since":"2026-03-01T08:00:10Z","reason":"no success for 12s, at most 10s allowed"},` +
			`{"name":"topology","ok":true,"since":"2026-03-01T08:00:00Z"}]}`},
		{"stopping, though all works", func() { pub.OK(); health.stop() }, 503, `{"ready":false,"stopping":true,"checks":[` +
			`{"name":"publish","ok":true,"since":"2026-03-01T08:00:12Z"},{"name":"topology","ok":true,"since":"2026-03-01T08:00:00Z"}]}`},
	} {
		step.do()
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", "/readyz", nil))
		if rec.Code != step.status || strings.TrimSpace(rec.Body.String()) != step.body {
			t.Errorf("%s: got %d %s, want %d %s", step.name, rec.Code, rec.Body, step.status, step.body)
		}
		if got := rec.Header().Get("Content-Type"); got != "application/json" || !json.Valid(rec.Body.Bytes()) {
			t.Errorf("%s: got content type %q", step.name, got)
		}
	}
}

func TestOpsLivezOnlyFailsForAStopThatHangs(t *testing.T) {
	health, handler := opsFixture()
	health.Check("nats").Fail("no servers")
	for _, step := range []struct {
		name   string
		do     func()
		status int
	}{
		{"not ready is alive", func() {}, 200},
		{"stopping is alive", health.stop, 200},
		{"stop hangs", health.die, 503},
	} {
		step.do()
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", "/livez", nil))
		if rec.Code != step.status {
			t.Errorf("%s: got %d, want %d", step.name, rec.Code, step.status)
		}
	}
}

func TestOpsMetrics(t *testing.T) {
	health, handler := opsFixture()
	health.Check("publish").OK()
	health.Check("topology").Fail("KF_MESSAGE is not there")
	scrape := func() string {
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
		return rec.Body.String()
	}
	first := scrape()
	for _, want := range []string{
		`kf_build_info{goversion="go1.`, `revision="abc",service="sender",version="1.2.3"} 1`,
		"go_goroutines ", "process_open_fds ", "kf_ready 0\n",
		`kf_check_ok{check="publish"} 1` + "\n", `kf_check_ok{check="topology"} 0` + "\n",
	} {
		if !strings.Contains(first, want) {
			t.Errorf("got no %q in\n%s", want, first)
		}
	}
	health.Check("topology").OK()
	if second := scrape(); !strings.Contains(second, "kf_ready 1\n") || !strings.Contains(second, `kf_check_ok{check="topology"} 1`) {
		t.Errorf("got no kf_ready 1 in\n%s", second)
	}
}

func TestOpsCutsOffSlowAndLargeRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, handler := opsFixture()
		l := newPipeListener()
		ops := serveOps(l, handler, zerolog.Nop(), func(err error) { t.Errorf("ended with %v", err) })
		defer func() { must(t, ops.close(t.Context())) }()
		const get, host = "GET /livez HTTP/1.1\r\n", "Host: a\r\n"
		for _, c := range []struct {
			name, send string
			lazy       time.Duration // until the client reads
			want       string        // prefix of the answer
			after      time.Duration // when the connection ends
		}{
			{"sends nothing", "", 0, "", 2 * time.Second},
			{"never ends its header", get + host, 0, "", 2 * time.Second},
			{"never sends its body", get + host + "Content-Length: 9\r\n\r\n", 0, "HTTP/1.1 200 OK", 4 * time.Second},
			{"header over 8 KiB", get + host + "X: " + strings.Repeat("x", 16<<10) + "\r\n\r\n", 0, "HTTP/1.1 431 ", 500 * time.Millisecond},
			{"idle after an answer", get + host + "\r\n", 0, "HTTP/1.1 200 OK", 60 * time.Second},
			{"does not read the answer", get + host + "\r\n", 11 * time.Second, "", 11 * time.Second},
		} {
			conn, err := l.dial()
			must(t, err)
			begin := time.Now()
			go func() { _, _ = io.WriteString(conn, c.send) }()
			pass(c.lazy)
			answer, err := io.ReadAll(conn)
			if err != nil && !errors.Is(err, io.ErrClosedPipe) || !strings.HasPrefix(string(answer), c.want) || c.want == "" && len(answer) > 0 {
				t.Errorf("%s: got %q, %v, want %q", c.name, answer, err, c.want)
			}
			if took := time.Since(begin); took != c.after {
				t.Errorf("%s: cut off after %v, want %v", c.name, took, c.after)
			}
			must(t, conn.Close())
		}
	})
}

func TestOpsCloseDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		reached, release := make(chan struct{}), make(chan struct{})
		stuck := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(reached); <-release })
		ops := serveOps(l, stuck, zerolog.Nop(), func(err error) { t.Errorf("ended with %v", err) })
		conn, err := l.dial()
		must(t, err)
		go func() { _, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n") }()
		<-reached
		begin := time.Now()
		must(t, ops.close(t.Context()))
		if took := time.Since(begin); took != opsCloseTimeout {
			t.Errorf("closed after %v, want %v", took, opsCloseTimeout)
		}
		if answer, err := io.ReadAll(conn); len(answer) > 0 || err != nil {
			t.Errorf("got %q, %v, want a closed connection", answer, err)
		}
		close(release)
		must(t, conn.Close())
	})
}

func TestOpsLogsWhatTheServerSays(t *testing.T) {
	var out logBuffer
	n, err := warnings{zerolog.New(&out)}.Write([]byte("http: bad\n"))
	if n != 10 || err != nil || out.String() != `{"level":"warn","part":"admin server","message":"http: bad"}`+"\n" {
		t.Errorf("got %d, %v, %q", n, err, out.String())
	}
}
