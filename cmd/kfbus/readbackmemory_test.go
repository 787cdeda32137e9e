//go:build linux && !race

// The race detector takes memory of its own, several times what is measured here.

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// TestSyncerMemory: a backlog of half a million messages of one account is stored, and, after its cursor is lost, read back and
// pulled again, by a process each that stays small.
func TestSyncerMemory(t *testing.T) {
	const most = 128 << 20
	n := 30_000
	if long() {
		n = 500_000
	} else {
		t.Logf("%d messages; KF_LONG=1 makes it 500,000", n)
	}
	r := newRig(t)
	if err := r.sim.SetCallbacks(kfsim.CallbackSwitches{Drop: true}); err != nil {
		t.Fatal(err)
	}
	r.says(r.customer(), 0, n)
	r.ready(r.spawn("tokenkeeper"))
	run := func(what string, done func() bool) []byte {
		t.Helper()
		c := r.spawn("syncer", "KF_LOG_LEVEL=info")
		began, why := time.Now(), errors.New("too slow")
		eventuallyWithin(r, 10*time.Minute, what, done, &why)
		took, said, rss := time.Since(began), r.metrics(c), c.peak(t)
		c.signal(t, syscall.SIGTERM)
		<-c.done
		t.Logf("%s: %d messages in %v (%.0f/s), %d MiB at most", what, n, took.Round(time.Millisecond), float64(n)/took.Seconds(), rss>>20)
		if rss > most {
			t.Errorf("%s: %d MiB, want at most %d", what, rss>>20, most>>20)
		}
		return said
	}
	cursor := events.CursorSubject(r.world.corp.CorpID, r.account())
	settled := func() bool {
		var c events.Cursor
		m, err := r.bus.Last(t.Context(), events.StreamMessage, cursor)
		if err != nil {
			return false
		}
		e, err := m.Event()
		return err == nil && e.DataAs(&c) == nil && c.Seq == uint64(n) && c.Reset == nil
	}
	run("a backlog", settled)
	s, err := r.bus.JS.Stream(testkit.Context(t), events.StreamMessage)
	if err == nil {
		err = s.Purge(testkit.Context(t), jetstream.WithPurgeSubject(cursor))
	}
	if err != nil {
		t.Fatal(err)
	}
	said := run("a lost cursor", settled)
	if want := fmt.Sprintf("kf_syncer_readback_items_total{what=\"left_out\"} %v\n", float64(n)); !bytes.Contains(said, []byte(want)) {
		t.Errorf("the metrics do not say %s", want)
	}
	if got := r.countStored(); got != n {
		t.Errorf("%d are stored, want %d", got, n)
	}
}

// peak is the most memory that a process has held, in bytes. Rusage would count the process that it was started from.
func (c *child) peak(t *testing.T) (bytes int64) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	if _, err := fmt.Sscan(peak, &bytes); err != nil {
		t.Fatalf("VmHWM: %v", err)
	}
	return bytes << 10 // Linux says KiB
}
