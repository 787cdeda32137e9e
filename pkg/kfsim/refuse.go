package kfsim

import (
	"net"
	"net/http"
	"sync"
)

// doors remembers, for connections that came through a Listener, which have just been let in: their
// first request was looked at when they were accepted.
type doors struct{ fresh sync.Map }

// Listener is l with refused connections: while a fault refuse_connection without path is in force, a
// new connection is reset as soon as it is accepted, before anything is read. Without it, and for a
// fault with a path, the request's connection is reset when its head has been read.
func (s *Sim) Listener(l net.Listener) net.Listener { return &refusing{l, s} }

type refusing struct {
	net.Listener
	s *Sim
}

// Accept resets what a fault refuses and returns the first connection that it does not.
func (l *refusing) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if !l.s.refuses("", false) {
			l.s.doors.fresh.Store(conn.RemoteAddr().String(), true)
			return conn, nil
		}
		resetConn(conn)
	}
}

// refuses reports whether a fault refuses a connection (path "") or a request; looked says that faults
// without path have had their turn.
func (s *Sim) refuses(path string, looked bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.strikes(target{at: onConnection, entry: Entry{Path: path}, looked: looked})) > 0
}

// refused reports whether hr is turned away unread. A request that opens a connection which a Listener
// has let in was looked at there already.
func (s *Sim) refused(hr *http.Request, path string) bool {
	_, looked := s.doors.fresh.LoadAndDelete(hr.RemoteAddr)
	return s.refuses(path, looked)
}

// resetConn closes a connection with a reset where the transport knows one.
func resetConn(conn net.Conn) {
	if tcp, isTCP := conn.(*net.TCPConn); isTCP {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
