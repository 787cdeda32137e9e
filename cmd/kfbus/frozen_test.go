package main

import (
	"bytes"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/testkit"
)

// gate is a way to the broker that can be shut before the first message of a page: who comes that far has the platform's answer,
// and the broker has nothing of it yet.
type gate struct {
	net.Listener
	to    string
	armed atomic.Bool
	met   chan struct{} // closed when a page stands before the gate
	shut  chan struct{} // closed by open
	open  func()        // lets it through
	all   sync.WaitGroup
}

func (r *rig) gate() *gate {
	r.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.Fatal(err)
	}
	g := &gate{Listener: l, to: r.addr, met: make(chan struct{}), shut: make(chan struct{})}
	g.open = sync.OnceFunc(func() { close(g.shut) })
	g.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial("tcp", g.to)
			if err != nil {
				_ = c.Close()
				continue
			}
			g.all.Go(func() { g.pass(s, c) })
			g.all.Go(func() { _, _ = io.Copy(c, s); _ = c.Close() })
		}
	})
	r.Cleanup(func() { _ = l.Close(); g.open(); g.all.Wait() })
	return g
}

// pass copies what the client says, and closes both when it ends.
func (g *gate) pass(s, c net.Conn) {
	defer s.Close()
	defer c.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		if bytes.Contains(buf[:n], []byte("HPUB kf.cursor.")) && g.armed.CompareAndSwap(true, false) {
			close(g.met)
			<-g.shut
		}
		if _, failed := s.Write(buf[:n]); failed != nil || err != nil {
			return
		}
	}
}

// TestSyncerFrozenBeforeItsCommit: one of four syncers on one account stands still with a page in hand, as a process does whose
// machine is suspended. Its commit reaches the broker when others have long gone on from there.
func TestSyncerFrozenBeforeItsCommit(t *testing.T) {
	r := newRig(t)
	frozen := 5 * time.Second // more than AckWait, which is 3 s here
	if chaotic() {
		frozen = 30 * time.Second
	} else {
		t.Log("frozen for 5 s; KF_CHAOS=1 makes it 30 s")
	}
	r.ready(r.spawn("ingress"), r.spawn("tokenkeeper"))
	r.replicas(3, "syncer", "KF_SYNCER_PAGE_LIMIT=9")
	way := r.gate()
	victim := r.spawn("syncer", "KF_SYNCER_PAGE_LIMIT=9", "KF_NATS_URL=nats://"+way.Addr().String())
	r.ready(victim)
	r.says(r.customer(), 0, 1)
	r.checkInbound() // the account is known: whoever writes its cursor now has a page
	way.armed.Store(true)
	end := r.chatter()
	select {
	case <-way.met:
	case <-time.After(testkit.Patience):
		t.Fatal("the fourth syncer never had a page")
	}
	victim.signal(t, syscall.SIGSTOP)
	before := r.countStored()
	<-time.After(frozen)
	meanwhile := r.countStored() - before
	victim.signal(t, syscall.SIGCONT)
	way.open()
	written := end()
	r.checkInbound()
	r.ready(victim)
	refused, _ := r.refusals(victim)
	t.Logf("frozen for %v: the others stored %d of %d messages meanwhile; commits of the frozen one refused: %v", frozen, meanwhile, written, refused)
	if meanwhile == 0 {
		t.Error("nobody took over")
	}
	if refused["conflict"]+refused["no_answer"] == 0 {
		t.Error("the frozen one lost no race: it was not frozen with a page in hand")
	}
}
