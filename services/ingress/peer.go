package ingress

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// peers knows who is at the other end of a connection, and how many refusals each address of the internet has earned.
// Addresses of private networks and of trusted proxies are shared by their callers: they are never limited.
type peers struct {
	trusted []netip.Prefix
	rate    int // refusals a second; 0: no limit
	now     func() time.Time

	mu      sync.Mutex
	buckets map[netip.Addr]*bucket
}

// bucket is what an address may still be refused before it is not even looked at.
type bucket struct {
	left float64
	at   time.Time
}

const (
	burst      = 2     // seconds of refusals at once
	maxBuckets = 16384 // addresses remembered; those beyond take the place of idle ones, or of any
)

func newPeers(trusted []netip.Prefix, rate int, now func() time.Time) *peers {
	return &peers{trusted: trusted, rate: rate, now: now, buckets: map[netip.Addr]*bucket{}}
}

// of is the address a request came from: the connection's, or, if that is a trusted proxy, the last one in X-Forwarded-For
// that is not. It is the zero Addr if nobody can tell.
func (p *peers) of(r *http.Request) netip.Addr {
	addr := addrOf(r.RemoteAddr)
	if !p.trusts(addr) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			return addr
		}
		if addr = hop.Unmap(); !p.trusts(addr) {
			return addr
		}
	}
	return addr
}

func addrOf(hostport string) netip.Addr {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap()
}

func (p *peers) trusts(a netip.Addr) bool {
	for _, t := range p.trusted {
		if t.Contains(a) {
			return true
		}
	}
	return false
}

// shared is the address space of carriers and clouds (RFC 6598), from which their load balancers speak to us.
var shared = netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, 0, 0}), 10)

// limited reports whether an address is one of the internet, and not of a proxy of ours: only those are limited.
func (p *peers) limited(a netip.Addr) bool {
	return a.IsValid() && !a.IsPrivate() && !a.IsLoopback() && !a.IsLinkLocalUnicast() && !shared.Contains(a) && !p.trusts(a)
}

// key is what is counted: an IPv6 subscriber has a /64.
func key(a netip.Addr) netip.Addr {
	if a.Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// spent reports whether an address has been refused too often lately.
func (p *peers) spent(a netip.Addr) bool {
	if p.rate == 0 || !p.limited(a) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.buckets[key(a)]
	return b != nil && p.fill(b) < 1
}

// refused counts a refusal against an address.
func (p *peers) refused(a netip.Addr) {
	if p.rate == 0 || !p.limited(a) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.buckets[key(a)]
	if b == nil {
		p.makeRoom()
		b = &bucket{left: float64(burst * p.rate), at: p.now()}
		p.buckets[key(a)] = b
	}
	if p.fill(b) >= 1 {
		b.left--
	}
}

func (p *peers) fill(b *bucket) float64 {
	now := p.now()
	b.left = min(b.left+max(0, now.Sub(b.at).Seconds())*float64(p.rate), float64(burst*p.rate))
	b.at = now
	return b.left
}

// makeRoom forgets a few addresses when there are too many: the full buckets among those it meets, and one in any case.
func (p *peers) makeRoom() {
	if len(p.buckets) < maxBuckets {
		return
	}
	looked := 0
	for a, b := range p.buckets {
		if looked++; p.fill(b) >= float64(burst*p.rate) || looked == 1 {
			delete(p.buckets, a)
		}
		if looked == 64 {
			return
		}
	}
}
