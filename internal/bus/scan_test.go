package bus_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
)

// What is read ahead is cut by number and by bytes, and either may come first.
func TestScanHandsOverAllInOrder(t *testing.T) {
	b, _ := testkit.Bus(t)
	ctx := testkit.Context(t)
	const n = 1500
	sizes := map[int]int{3: 3 << 20, 4: 5 << 20, 5: 7 << 20, 700: 4 << 20, 701: 6 << 20, 702: 6 << 20, 703: 6 << 20, 704: 6 << 20}
	for i := range n {
		account := []string{"wk1", "wk2"}[i%2]
		f, err := b.JS.PublishAsync("kf.message.ww1."+account+".text.wm1", make([]byte, max(sizes[i], 10)))
		if err != nil {
			t.Fatal(err)
		}
		if i%50 == 49 || sizes[i] > 0 {
			select {
			case <-f.Ok():
			case err := <-f.Err():
				t.Fatal(err)
			case <-ctx.Done():
				t.Fatal("not stored")
			}
		}
	}
	both := []string{"kf.message.ww1.wk1.>", "kf.message.ww1.wk2.>"}
	stop := errors.New("stop")
	for _, c := range []struct {
		name     string
		subjects []string
		upto     uint64
		each     func(bus.Stored) error
		want     int
		err      error
	}{
		{"all", both, n + 100, nil, n, nil},
		{"of one account", both[:1], n, nil, n / 2, nil},
		{"up to one", both, 701, nil, 701, nil},
		{"until the caller has enough", both, n, func(m bus.Stored) error {
			if m.Seq == 702 {
				return stop
			}
			return nil
		}, 702, stop},
		{"of an account without any", []string{"kf.message.ww1.wk3.>"}, n, nil, 0, nil},
	} {
		got, last := 0, uint64(0)
		err := b.Scan(ctx, events.StreamMessage, c.subjects, time.Time{}, c.upto, func(m bus.Stored) error {
			if m.Seq <= last || len(m.Data) != max(sizes[int(m.Seq)-1], 10) {
				return fmt.Errorf("%d of %d bytes after %d", m.Seq, len(m.Data), last)
			}
			got, last = got+1, m.Seq
			if c.each != nil {
				return c.each(m)
			}
			return nil
		})
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: got %d and %v, want %d and %v", c.name, got, err, c.want, c.err)
		}
	}
}

// deaf is a connection over which the broker does not hear a client's request for messages.
type deaf struct {
	net.Conn
	times *atomic.Int32
}

func (d deaf) Write(p []byte) (int, error) {
	if i := bytes.Index(p, []byte("$JS.API.CONSUMER.MSG.NEXT.")); i >= 0 && d.times.Add(-1) >= 0 {
		p = bytes.Clone(p)
		p[i+len("$JS.AP")] = 'X' // nobody's subject
	}
	return d.Conn.Write(p)
}

type deafDialer struct{ times atomic.Int32 }

func (d *deafDialer) Dial(network, address string) (net.Conn, error) {
	c, err := net.Dial(network, address)
	return deaf{c, &d.times}, err
}

// A request that is lost, as in the election of a consumer's leader, holds nothing up: here the first, and one in the middle.
func TestScanSurvivesALostRequest(t *testing.T) {
	own, server := testkit.Bus(t)
	ctx := testkit.Context(t)
	const n = 1000
	for range n {
		if _, err := own.JS.Publish(ctx, "kf.message.ww1.wk1.text.wm1", []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	d := &deafDialer{}
	b, err := bus.Connect(bus.Config{URL: server.URL()}, "deaf", zerolog.Nop(), nats.SetCustomDialer(d))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.NC.Close)
	d.times.Store(1)
	last := uint64(0)
	if err := b.Scan(ctx, events.StreamMessage, []string{"kf.message.>"}, time.Time{}, n, func(m bus.Stored) error {
		if m.Seq != last+1 {
			t.Errorf("%d comes after %d", m.Seq, last)
		}
		if last = m.Seq; last == n/2 {
			d.times.Store(1)
		}
		return nil
	}); err != nil || last != n {
		t.Errorf("got %v after %d of %d messages", err, last, n)
	}
	if d.times.Load() >= 0 {
		t.Error("no request was lost")
	}
}
