package ingress

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestPeerOf(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("203.0.113.7/32")}
	for _, c := range []struct{ name, remote, forwarded, want string }{
		{"nobody between", "198.51.100.1:1000", "", "198.51.100.1"},
		{"a stranger's header is not believed", "198.51.100.1:1000", "8.8.8.8", "198.51.100.1"},
		{"a proxy of ours", "10.0.0.5:1000", "198.51.100.9", "198.51.100.9"},
		{"what the caller put in front is not believed", "10.0.0.5:1000", "1.1.1.1, 198.51.100.9", "198.51.100.9"},
		{"two proxies of ours", "10.0.0.5:1000", "198.51.100.9, 203.0.113.7", "198.51.100.9"},
		{"a proxy of ours that says nothing", "10.0.0.5:1000", "", "10.0.0.5"},
		{"a header that is none", "10.0.0.5:1000", "<script>", "10.0.0.5"},
		{"IPv6", "[2001:db8::1]:1000", "", "2001:db8::1"},
		{"IPv4 in IPv6", "[::ffff:198.51.100.1]:1000", "", "198.51.100.1"},
		{"no address", "@", "", "invalid IP"},
	} {
		r := httptest.NewRequest("POST", "/callback", nil)
		r.RemoteAddr = c.remote
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := newPeers(trusted, 1, time.Now).of(r).String(); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestRefusalsAreCounted(t *testing.T) {
	now := noon()
	p := newPeers(nil, 10, func() time.Time { return now })
	bad, other := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("198.51.100.2")
	for i := range 20 {
		if p.spent(bad) {
			t.Fatalf("spent after %d refusals, want 20", i)
		}
		p.refused(bad)
	}
	if !p.spent(bad) || p.spent(other) {
		t.Errorf("after 20 refusals: spent %v, want true; another: %v, want false", p.spent(bad), p.spent(other))
	}
	now = now.Add(100 * time.Millisecond)
	if p.spent(bad) {
		t.Error("a tenth of a second later one more is looked at")
	}
	for _, a := range []string{"127.0.0.1", "10.1.2.3", "192.168.0.1", "::1", "fd00::1", "169.254.1.1", "100.64.0.1", "100.127.255.255"} {
		near := netip.MustParseAddr(a)
		for range 100 {
			p.refused(near)
		}
		if p.spent(near) {
			t.Errorf("%s is limited; a proxy's callers share it", a)
		}
	}
	for i := range 100 { // one subscriber
		p.refused(netip.MustParseAddr(fmt.Sprintf("2001:db8:1:1::%x", i+1)))
	}
	if !p.spent(netip.MustParseAddr("2001:db8:1:1::ffff")) || p.spent(netip.MustParseAddr("2001:db8:1:2::1")) {
		t.Error("an IPv6 subscriber is a /64")
	}
}

// TestTrustedProxyIsNeverLimited: one of the internet, whose header says nothing that we can use. Whoever floods through it
// would lock the platform out.
func TestTrustedProxyIsNeverLimited(t *testing.T) {
	p := newPeers([]netip.Prefix{netip.MustParsePrefix("203.0.113.7/32")}, 10, noon)
	for _, forwarded := range []string{"", "unknown", "198.51.100.9:4711"} {
		r := httptest.NewRequest("POST", "/callback", nil)
		r.RemoteAddr = "203.0.113.7:1000"
		r.Header.Set("X-Forwarded-For", forwarded)
		for range 100 {
			p.refused(p.of(r))
		}
		if p.spent(p.of(r)) {
			t.Errorf("%q: 100 refusals of somebody behind it and the proxy is limited", forwarded)
		}
	}
}

func TestRefusalsHaveABound(t *testing.T) {
	p := newPeers(nil, 10, noon)
	for i := range 3 * maxBuckets {
		p.refused(netip.AddrFrom4([4]byte{198, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	if n := len(p.buckets); n > maxBuckets {
		t.Errorf("%d addresses are remembered, want %d at most", n, maxBuckets)
	}
}

// TestFloodIsTurnedAway: bad requests of one address are soon not looked at any more; others' are, and good ones cost nothing.
func TestFloodIsTurnedAway(t *testing.T) {
	r := open(t)
	from := func(req *http.Request, ip string) *http.Request { req.RemoteAddr = ip + ":1000"; return req }
	bad := func() *http.Request {
		return httptest.NewRequest("POST", "/callback?"+query(strings.Repeat("0", 40)), strings.NewReader("<xml/>"))
	}
	for range 1000 { // good ones are never counted
		if code, _ := r.ask(from(r.sealed(kf("wk1", "E"), corp, false), "198.51.100.1")); code != 200 {
			t.Fatalf("a good callback: got %d", code)
		}
	}
	got := map[int]int{}
	for range 1000 {
		code, _ := r.ask(from(bad(), "198.51.100.1"))
		got[code]++
	}
	if got[403] != 200 || got[429] != 800 {
		t.Errorf("1000 bad requests at once: %v, want 200 of 403 and 800 of 429", got)
	}
	if code, _ := r.ask(from(r.sealed(kf("wk1", "E"), corp, false), "198.51.100.2")); code != 200 {
		t.Errorf("from elsewhere: got %d", code)
	}
	if code, body := r.ask(from(r.sealed(kf("wk1", "E"), corp, false), "198.51.100.1")); code != 429 || body != "too many requests" {
		t.Errorf("from there: got %d %s", code, body)
	}
}

// pipe is a listener whose connections have the addresses that a test wants.
type pipe chan net.Conn

func (p pipe) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (p pipe) Close() error   { return nil }
func (p pipe) Addr() net.Addr { return &net.TCPAddr{} }

type conn struct {
	net.Conn
	from   string
	closed chan struct{}
}

func (c conn) RemoteAddr() net.Addr { a, _ := net.ResolveTCPAddr("tcp", c.from+":1"); return a }
func (c conn) Close() error         { close(c.closed); return nil }

func TestConnectionsAreBounded(t *testing.T) {
	p := make(pipe, 100)
	l := bound(p, 5, 2, newPeers([]netip.Prefix{netip.MustParsePrefix("203.0.113.7/32")}, 0, noon).limited)
	come := func(from string) conn { c := conn{from: from, closed: make(chan struct{})}; p <- c; return c }
	accept := func() net.Conn {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	come("198.51.100.1")
	come("198.51.100.1")
	third := come("198.51.100.1") // over the bound of one address
	come("203.0.113.7")
	come("203.0.113.7")
	come("203.0.113.7") // a trusted proxy has none
	over := come("198.51.100.2")
	first := accept()
	for range 4 {
		accept()
	}
	<-third.closed
	close(p)
	if _, err := l.Accept(); err == nil {
		t.Error("a sixth connection was taken")
	}
	<-over.closed
	first.(*boundedConn).Conn = conn{closed: make(chan struct{})}
	for range 2 { // a second close gives no second place away
		_ = first.Close()
		first.(*boundedConn).Conn = conn{closed: make(chan struct{})}
	}
	if l.total != 4 || l.perIP[netip.MustParseAddr("198.51.100.1")] != 1 {
		t.Errorf("after one has closed: %d in all, %v", l.total, l.perIP)
	}
}
