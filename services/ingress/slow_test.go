package ingress

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/testkit"
)

// abroad is a listener to which 127.0.0.2 and above are addresses of the internet, and which counts who is connected.
type abroad struct {
	net.Listener
	mu         sync.Mutex
	open, most map[string]int
}

func (a *abroad) Accept() (net.Conn, error) {
	c, err := a.Listener.Accept()
	if err != nil {
		return nil, err
	}
	from := c.RemoteAddr().(*net.TCPAddr)
	ip := from.IP.String()
	if ip != "127.0.0.1" {
		from = &net.TCPAddr{IP: net.IPv4(198, 51, 100, from.IP.To4()[3]), Port: from.Port}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open[ip]++
	return &traveller{Conn: c, from: from, gone: func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.open[ip]--
	}}, nil
}

// admitted notes how many are connected now; those that are turned away are so only for a moment.
func (a *abroad) admitted() (total int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for ip, n := range a.open {
		total += n
		a.most[ip] = max(a.most[ip], n)
	}
	return total
}

type traveller struct {
	net.Conn
	from net.Addr
	once sync.Once
	gone func()
}

func (c *traveller) RemoteAddr() net.Addr { return c.from }
func (c *traveller) Close() error         { c.once.Do(c.gone); return c.Conn.Close() }

// TestSlowClients: a thousand connections that send a byte now and then do not touch who sends a callback at once; and they are
// cut, and come again, and are cut.
func TestSlowClients(t *testing.T) {
	if c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).Dial("tcp", deafAddr(t)); err != nil {
		t.Skipf("SKIP: this machine has no second loopback address to be somebody else from: %v", err)
	} else {
		_ = c.Close()
	}
	d := open(t)
	base, err := newListener()
	if err != nil {
		t.Fatal(err)
	}
	outside := &abroad{Listener: base, open: map[string]int{}, most: map[string]int{}}
	d.in.Listener = outside
	before := runtime.NumGoroutine()
	ctx, stop := context.WithCancel(testkit.Context(t))
	defer stop()
	ran := make(chan error, 1)
	go func() { ran <- d.in.Run(ctx) }()

	const slow, addresses, crowd = 1000, 25, 100
	quiet := d.hundredASecond(t, base.Addr().String(), 100, func() {})
	limit := max(500*time.Millisecond, 10*quiet.at(0.99)) // the clients are on this machine too
	if raceEnabled {
		limit = 4 * time.Second // and are watched, which is most of the work then
	}

	attack, cease := context.WithCancel(ctx)
	defer cease()
	var clients sync.WaitGroup
	var cut [2]lifetimes                        // of those slow with the head, and with the body
	stagger := time.NewTicker(time.Millisecond) // or they would all send at the same moment
	defer stagger.Stop()
	for i := range slow {
		<-stagger.C
		clients.Go(func() { crawl(attack, base.Addr().String(), byte(2+i%addresses), i%2 == 1, &cut[i%2]) })
	}
	for range crowd { // all from one address
		clients.Go(func() { crawl(attack, base.Addr().String(), 200, false, &lifetimes{}) })
	}
	testkit.Eventually(t, "the slow ones to be connected", func() bool { return outside.admitted() >= slow })

	goroutines, connected := 0, 0
	answered := d.hundredASecond(t, base.Addr().String(), 600, func() {
		goroutines, connected = max(goroutines, runtime.NumGoroutine()), max(connected, outside.admitted())
	})
	cease()
	clients.Wait()
	if p99 := answered.at(0.99); p99 > limit {
		t.Errorf("good callbacks: p99 %v, want %v at most", p99, limit)
	}
	for i, bound := range []time.Duration{readHeader, readRequest} {
		if len(cut[i]) < 500 || cut[i].at(0.5) > bound+2*time.Second {
			t.Errorf("slow clients were cut %d times, half of them after %v; want 500 times, after %v", len(cut[i]), cut[i].at(0.5), bound)
		}
	}
	if connected > 2000 || goroutines > before+2*connected+2*(slow+crowd)+500 { // two of each connection, and two of each client
		t.Errorf("%d connections, %d goroutines (%d before)", connected, goroutines, before)
	}
	if n := outside.most["127.0.0.200"]; n > 50+10 { // those that are being turned away are counted for a moment
		t.Errorf("one address held %d connections, want 50 at most", n)
	}
	t.Logf("600 good callbacks: p50 %v, p99 %v (alone: %v); %d and %d slow ones cut after %v and %v; at most %d connections, %d goroutines",
		answered.at(0.5), answered.at(0.99), quiet.at(0.99), len(cut[0]), len(cut[1]), cut[0].at(0.5), cut[1].at(0.5), connected, goroutines)
	stop()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	testkit.Eventually(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= before+5 })
}

// hundredASecond posts n callbacks, of which each must be accepted, and returns how long they took.
func (d *rig) hundredASecond(t *testing.T, addr string, n int, each func()) *lifetimes {
	t.Helper()
	var answered lifetimes
	var posts sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i := range n {
		<-tick.C
		each()
		r := d.sealed(kf(fmt.Sprint("wk", i), "E"), corp, false)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		posts.Go(func() {
			began := time.Now()
			res, err := client.Post("http://"+addr+r.URL.RequestURI(), "text/xml", bytes.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			_ = res.Body.Close()
			if res.StatusCode != 200 {
				t.Errorf("a good callback got %d", res.StatusCode)
			}
			answered.add(time.Since(began))
		})
	}
	posts.Wait()
	return &answered
}

// deafAddr is a port that accepts.
func deafAddr(t *testing.T) string {
	t.Helper()
	l, err := newListener()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// crawl connects again and again and sends a byte of a request each second until it is cut.
func crawl(ctx context.Context, addr string, from byte, body bool, cut *lifetimes) {
	request := "POST /callback HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n"
	if body {
		request += "\r\n"
	}
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, from)}}
	pause := time.NewTicker(time.Second)
	defer pause.Stop()
	for ctx.Err() == nil {
		c, err := dialer.DialContext(ctx, "tcp", addr)
		if err != nil {
			select {
			case <-pause.C:
			case <-ctx.Done():
			}
			continue
		}
		began := time.Now()
		gone := make(chan struct{})
		go func() { defer close(gone); _, _ = io.Copy(io.Discard, c) }()
		_, err = io.WriteString(c, request)
		for err == nil {
			select {
			case <-pause.C:
				_, err = io.WriteString(c, "X")
			case <-gone:
				err = io.EOF
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		if ctx.Err() == nil {
			cut.add(time.Since(began))
		}
		_ = c.Close()
		<-gone
	}
}

// lifetimes are durations that several goroutines gather.
type lifetimes []time.Duration

var gathering sync.Mutex

func (l *lifetimes) add(d time.Duration) {
	gathering.Lock()
	defer gathering.Unlock()
	*l = append(*l, d)
}

// at is the duration below which that share lies.
func (l *lifetimes) at(share float64) time.Duration {
	gathering.Lock()
	defer gathering.Unlock()
	if len(*l) == 0 {
		return 0
	}
	slices.Sort(*l)
	return (*l)[int(share*float64(len(*l)-1))]
}
