package console

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kfbus/kfbus/internal/testkit"
)

// sse is one server-sent event as a client reads it.
type sse struct{ id, name, data string }

// listener reads a feed.
type listener struct {
	t       *testing.T
	scan    *bufio.Scanner
	comment int
}

// listen opens the feed of a served console.
func listen(t *testing.T, ctx context.Context, url, lastID string) *listener {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/feed", nil)
	must(t, err)
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	t.Cleanup(func() { resp.Body.Close() })
	if ct := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || ct != "text/event-stream" {
		t.Fatalf("got %d %q, want 200 text/event-stream", resp.StatusCode, ct)
	}
	l := &listener{t: t, scan: bufio.NewScanner(resp.Body)}
	l.scan.Buffer(nil, 1<<20)
	return l
}

// next reads one event; ok is false at the end.
func (l *listener) next() (e sse, ok bool) {
	for l.scan.Scan() {
		line := l.scan.Text()
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			e.data = value
		case "":
			if strings.HasPrefix(line, ":") {
				l.comment++
			} else if e.name != "" {
				return e, true
			}
		}
	}
	return e, false
}

func (l *listener) want(name, data string) sse {
	l.t.Helper()
	e, ok := l.next()
	if !ok || e.name != name || e.data != data {
		l.t.Fatalf("got %+v (%t), want %s %s", e, ok, name, data)
	}
	return e
}

func TestFeedStreams(t *testing.T) {
	c := newConsole(t)
	srv := httptest.NewServer(c.Handler())
	t.Cleanup(srv.Close) // after the clients have left
	c.feed.add(false, []byte(`"before"`))
	ctx, leave := context.WithCancel(testkit.Context(t))
	l := listen(t, ctx, srv.URL, "")
	l.want("hello", `{"resumed":false}`)
	first := l.want("step", `"before"`)
	c.feed.set("phone", "phone", []byte(`"p"`))
	l.want("phone", `"p"`)
	leave()
	if _, ok := l.next(); ok {
		t.Error("an event after leaving")
	}

	c.feed.add(false, []byte(`"meanwhile"`))
	l = listen(t, testkit.Context(t), srv.URL, first.id)
	l.want("hello", `{"resumed":true}`)
	l.want("phone", `"p"`)
	last := l.want("step", `"meanwhile"`)

	for name, id := range map[string]string{
		"of another process":    "XXXXXXXX-1",
		"that never was":        c.boot + "-99",
		"that is no number":     c.boot + "-x",
		"without a number":      c.boot,
		"of nonsense":           "-",
		"that is far too large": last.id + "00000000000000000000",
	} {
		l := listen(t, testkit.Context(t), srv.URL, id)
		if e, _ := l.next(); e.data != `{"resumed":false}` {
			t.Errorf("an id %s: got %q, want a fresh start", name, e.data)
		}
		l.want("step", `"before"`)
	}
}

func TestFeedEndsWithTheConsole(t *testing.T) {
	c := newConsole(t)
	srv := httptest.NewServer(c.Handler())
	t.Cleanup(srv.Close) // after the clients have left
	l := listen(t, testkit.Context(t), srv.URL, "")
	l.want("hello", `{"resumed":false}`)
	c.feed.add(false, []byte(`"last"`))
	c.feed.close()
	l.want("step", `"last"`)
	if e, ok := l.next(); ok {
		t.Errorf("got %+v after the end", e)
	}
}

func TestFeedAfterAGapStartsAgain(t *testing.T) {
	c := newConsole(t)
	srv := httptest.NewServer(c.Handler())
	t.Cleanup(srv.Close) // after the clients have left
	for range maxSteps + 2 {
		c.feed.add(false, []byte(`1`))
	}
	for id, want := range map[int]string{1: `{"resumed":false}`, 2: `{"resumed":true}`} {
		l := listen(t, testkit.Context(t), srv.URL, fmt.Sprintf("%s-%d", c.boot, id))
		l.want("hello", want)
	}
}

// A client that reads nothing is dropped when its buffers are full, and neither the
// writers nor another client wait for it.
func TestSlowClientIsDropped(t *testing.T) {
	c := newConsole(t)
	c.patience = 200 * time.Millisecond
	dropped := make(chan struct{})
	var first atomic.Bool
	h := c.Handler()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		slow := first.CompareAndSwap(false, true)
		h.ServeHTTP(w, r)
		if slow {
			close(dropped)
		}
	}))
	t.Cleanup(srv.Close) // after the clients have left
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	must(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "GET /api/feed HTTP/1.1\r\nHost: localhost\r\n\r\n")
	must(t, err)
	testkit.Eventually(t, "the slow client", first.Load)

	big := []byte(`"` + strings.Repeat("x", maxBody) + `"`)
	for range maxSteps {
		c.feed.add(false, big)
	}
	l := listen(t, testkit.Context(t), srv.URL, "")
	for range maxSteps + 1 {
		if _, ok := l.next(); !ok {
			t.Fatal("the quick client was dropped, too")
		}
	}
	select {
	case <-dropped:
	case <-testkit.Context(t).Done():
		t.Fatal("the slow client was never dropped")
	}
}

// gate is a client that takes hello, and then nothing until it is opened.
type gate struct {
	*httptest.ResponseRecorder
	reached, open chan struct{}
	writes        int
}

func (g *gate) Write(b []byte) (int, error) {
	if g.writes++; g.writes == 2 {
		close(g.reached)
		<-g.open
	}
	return g.ResponseRecorder.Write(b)
}

func TestClientThatFallsBehindIsDropped(t *testing.T) {
	c := newConsole(t)
	c.feed.add(false, []byte(`"seen"`))
	g := &gate{httptest.NewRecorder(), make(chan struct{}), make(chan struct{}), 0}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r := httptest.NewRequest(http.MethodGet, "/api/feed", nil)
		r.Host = "localhost"
		c.Handler().ServeHTTP(g, r)
	}()
	<-g.reached
	for range maxSteps + 1 {
		c.feed.add(false, []byte(`"missed"`))
	}
	close(g.open)
	<-done // by itself: the request's context does not end
	if body := g.Body.String(); !strings.Contains(body, "seen") || strings.Contains(body, "missed") {
		t.Errorf("got %q, want the step that was seen and none after the gap", body)
	}
}

func TestSilentFeedIsKeptAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Console{feed: newFeed(), boot: "b", heartbeat: 15 * time.Second, patience: time.Second}
		ctx, leave := context.WithTimeout(t.Context(), 31*time.Second)
		defer leave()
		rec := httptest.NewRecorder()
		c.serveFeed(rec, httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/feed", nil))
		if got := strings.Count(rec.Body.String(), ": still here\n\n"); got != 2 {
			t.Errorf("got %d comments in 31 s, want 2: %q", got, rec.Body)
		}
	})
}

// broken is a client that went without a word.
type broken struct{ *httptest.ResponseRecorder }

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestClientThatWentIsLeft(t *testing.T) {
	c := newConsole(t)
	r := httptest.NewRequest(http.MethodGet, "/api/feed", nil) // its context does not end
	r.Host = "localhost"
	c.Handler().ServeHTTP(broken{httptest.NewRecorder()}, r)
}
