package ingress

import (
	"net"
	"net/netip"
	"sync"
)

// boundedListener closes connections beyond a number, in all or from one address of the internet, as soon as they come. It never
// stops accepting: who holds connections open keeps others out of his own share only.
type boundedListener struct {
	net.Listener
	most, mostPerIP int // 0: no limit
	limited         func(netip.Addr) bool

	mu    sync.Mutex
	total int
	perIP map[netip.Addr]int
}

func bound(l net.Listener, most, mostPerIP int, limited func(netip.Addr) bool) *boundedListener {
	return &boundedListener{Listener: l, most: most, mostPerIP: mostPerIP, limited: limited, perIP: map[netip.Addr]int{}}
}

// Accept returns the next connection that is within the bounds.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		a := addrOf(c.RemoteAddr().String())
		counted := l.limited(a)
		if l.take(key(a), counted) {
			return &boundedConn{Conn: c, gone: func() { l.give(key(a), counted) }}, nil
		}
		_ = c.Close()
	}
}

func (l *boundedListener) take(a netip.Addr, counted bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.most > 0 && l.total >= l.most || counted && l.mostPerIP > 0 && l.perIP[a] >= l.mostPerIP {
		return false
	}
	l.total++
	if counted {
		l.perIP[a]++
	}
	return true
}

func (l *boundedListener) give(a netip.Addr, counted bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if !counted {
		return
	}
	if l.perIP[a]--; l.perIP[a] == 0 {
		delete(l.perIP, a)
	}
}

type boundedConn struct {
	net.Conn
	once sync.Once
	gone func()
}

// CloseWrite lets net/http end an answer before it closes on what it has not read: a reset would take the answer along.
func (c *boundedConn) CloseWrite() error {
	if tcp, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return tcp.CloseWrite()
	}
	return nil
}

// Close closes the connection and gives its place away.
func (c *boundedConn) Close() error {
	c.once.Do(c.gone)
	return c.Conn.Close()
}
