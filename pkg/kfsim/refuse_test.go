package kfsim

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestListenerRefusesConnections(t *testing.T) {
	r := newRig(t, Config{})
	w := &wire{r, httptest.NewUnstartedServer(r.Platform())}
	w.srv.Listener = r.Listener(w.srv.Listener)
	w.srv.Start()
	t.Cleanup(w.srv.Close)
	w.says(ann, "hi")
	_, err := w.AddFault(Fault{Kind: FaultRefuse, After: 1, Count: 1})
	w.must(err)
	fresh := func(id string) error { // on a connection of its own
		w.srv.Client().Transport.(*http.Transport).CloseIdleConnections()
		_, _, err := w.send(id)
		return err
	}
	if err := fresh("m1"); err != nil {
		t.Errorf("the first connection: got %v, want it let in, and its request too", err)
	}
	if err := fresh("m2"); err == nil {
		t.Error("the second connection was not refused")
	}
	if err := fresh("m3"); err != nil {
		t.Errorf("after the fault: %v", err)
	}
	if n := w.Calls("kf/send_msg"); n != 2 {
		t.Errorf("got %d calls, want 2: a refused connection brings none", n)
	}
	_, err = w.AddFault(Fault{Kind: FaultRefuse, Path: "kf/send_msg", Count: 1})
	w.must(err)
	if err := fresh("m4"); err == nil || w.accepted("m4") {
		t.Errorf("a fault with a path, behind a listener: got %v", err)
	}
}

func TestRefusedRequestIsNotRead(t *testing.T) {
	w := newWire(t, Config{})
	_, err := w.AddFault(Fault{Kind: FaultRefuse, Count: 1})
	w.must(err)
	w.OnRequest(func(c Call) { t.Errorf("request %d was read", c.N) })
	conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", w.srv.Listener.Addr().String())
	w.must(err)
	defer func() { _ = conn.Close() }()
	_, err = conn.Write([]byte("POST /cgi-bin/kf/send_msg HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"))
	w.must(err)
	if n, err := conn.Read(make([]byte, 1)); err == nil {
		t.Errorf("got %d bytes, want a reset", n)
	}
}
