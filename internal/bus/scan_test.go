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
	if i := bytes.Index(p, []byte("$JS.API.DIRECT.GET.")); i >= 0 && d.times.Add(-1) >= 0 {
		p = bytes.Clone(p)
		p[i+len("$J")] = 'X'
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
	if _, err := own.NC.Subscribe("$JX.>", func(*nats.Msg) {}); err != nil { // who says nothing
		t.Fatal(err)
	}
	d := &deafDialer{}
	b, err := bus.Connect(bus.Config{URL: server.URL(), Timeout: time.Second}, "deaf", zerolog.Nop(), nats.SetCustomDialer(d))
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

// TestScan reads subjects that lie between each other and others, over several batches.
func TestScan(t *testing.T) {
	b, _ := testkit.Bus(t)
	ctx := testkit.Context(t)
	const n = 3000
	var middle time.Time
	for i := range n {
		subject := fmt.Sprintf("kf.%s.ww1.wk%d.text.wm1", []string{"message", "event", "history"}[i%3], i%2)
		if _, err := b.JS.PublishMsgAsync(&nats.Msg{Subject: subject, Data: fmt.Append(nil, i), Header: nats.Header{"Kf-N": {fmt.Sprint(i)}}}); err != nil {
			t.Fatal(err)
		}
	}
	<-b.JS.PublishAsyncComplete()
	m, err := b.Next(ctx, events.StreamMessage, n/2, ">")
	if err != nil {
		t.Fatal(err)
	}
	middle = m.Time
	stop := errors.New("enough")
	for _, c := range []struct {
		name     string
		subjects []string
		since    time.Time
		upto     uint64
		most     int
		want     int
		err      error
	}{
		{"all of an account", []string{"kf.message.ww1.wk0.>", "kf.event.ww1.wk0.>", "kf.history.ww1.wk0.>"}, time.Time{}, n, n, n / 2, nil},
		{"one kind", []string{"kf.event.ww1.wk1.>"}, time.Time{}, n, n, n / 6, nil},
		{"up to the middle", []string{"kf.message.ww1.wk0.>", "kf.history.ww1.wk0.>"}, time.Time{}, n / 2, n, n / 6, nil},
		{"up to more than there is", []string{"kf.message.ww1.>"}, time.Time{}, 10 * n, n, n / 3, nil},
		{"since the middle", []string{"kf.*.ww1.>"}, middle, n, n, -1, nil},
		{"since after the end", []string{"kf.message.ww1.>"}, time.Now().Add(time.Hour), n, n, 0, nil},
		{"nothing there", []string{"kf.message.ww9.>"}, time.Time{}, n, n, 0, nil},
		{"until the reader has enough", []string{"kf.message.ww1.>"}, time.Time{}, n, 7, 7, stop},
	} {
		got, last := 0, uint64(0)
		err := b.Scan(ctx, events.StreamMessage, c.subjects, c.since, c.upto, func(m bus.Stored) error {
			if m.Seq <= last || m.Seq > c.upto || m.Time.Before(c.since) {
				t.Errorf("%s: sequence %d after %d, stored at %v", c.name, m.Seq, last, m.Time)
			}
			if i := fmt.Sprint(m.Seq - 1); string(m.Data) != i || m.Header.Get("Kf-N") != i || len(m.Header) != 1 {
				t.Errorf("%s: message %d holds %s and %v", c.name, m.Seq, m.Data, m.Header)
			}
			last = m.Seq
			if got++; got == c.most {
				return stop
			}
			return nil
		})
		if c.want < 0 { // times may be equal: at least those behind it
			if got < n/2 || got > n {
				t.Errorf("%s: got %d messages, want about %d", c.name, got, n/2)
			}
		} else if got != c.want {
			t.Errorf("%s: got %d messages, want %d", c.name, got, c.want)
		}
		if !errors.Is(err, c.err) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.err)
		}
	}
}

func TestScanOfNoStream(t *testing.T) {
	b, _ := testkit.Bus(t)
	if err := b.JS.DeleteStream(testkit.Context(t), events.StreamMessage); err != nil {
		t.Fatal(err)
	}
	err := b.Scan(testkit.Context(t), events.StreamMessage, []string{"kf.message.>"}, time.Time{}, 10, func(bus.Stored) error { return nil })
	if err == nil {
		t.Error("a stream that is not there was read")
	}
}
