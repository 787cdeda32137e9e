package ingress

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/testkit"
)

// wire is a running ingress as a client sees it: bytes to it, bytes back.
type wire struct {
	*rig
	addr string
}

// serve runs the rig's ingress on a port of its own until the test ends.
func serve(d *rig) *wire {
	d.Helper()
	l, err := newListener()
	if err != nil {
		d.Fatal(err)
	}
	d.in.Listener = l
	ctx, cancel := context.WithCancel(context.WithoutCancel(d.Context()))
	done := make(chan error, 1)
	go func() { done <- d.in.Run(ctx) }()
	d.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			d.Error(err)
		}
	})
	return &wire{d, l.Addr().String()}
}

// reply is an answer as it came; Date, which is the only part that may differ, is taken away.
type reply struct {
	status int
	body   string
	header http.Header
}

// exchange sends bytes on a connection of their own and reads one answer; none is an error.
func (w *wire) exchange(raw []byte) (reply, error) {
	c, err := net.Dial("tcp", w.addr)
	if err != nil {
		return reply{}, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(testkit.Patience)); err != nil {
		return reply{}, err
	}
	sent := make(chan struct{})
	go func() { defer close(sent); _, _ = c.Write(raw) }() // the answer may come before the end, and the connection close
	defer func() { <-sent }()
	method, _, _ := bytes.Cut(raw, []byte(" "))
	res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: string(method)})
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	res.Header.Del("Date")
	return reply{res.StatusCode, string(body), res.Header}, err
}

func (w *wire) must(t *testing.T, raw []byte) reply {
	t.Helper()
	r, err := w.exchange(raw)
	if err != nil {
		t.Fatalf("%.100q: %v", raw, err)
	}
	return r
}

// wireForm is a request as bytes.
func wireForm(t testing.TB, r *http.Request) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
