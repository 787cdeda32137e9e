//go:build linux && !race

// The race detector takes memory of its own, several times what is measured here.

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
)

// TestReplayMemoryIsFlat: a replay of 128 MiB by a process of its own does not hold what it copied:
// that would be 112 MiB more than a replay of 16 MiB needs. What the garbage collector leaves is up to it.
func TestReplayMemoryIsFlat(t *testing.T) {
	p := newPast(t)
	ctx := testkit.Context(t)
	p.teamStream()
	in := item("wk1 wm1 file 1")
	in.Raw = json.RawMessage(`{"text":"` + strings.Repeat("x", 64<<10) + `"}`)
	for i := range 128 << 20 / (64 << 10) {
		in.MsgID = fmt.Sprint(i)
		if _, err := p.JS.PublishMsgAsync(wire(t, in)); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-p.JS.PublishAsyncComplete():
	case <-ctx.Done():
		t.Fatal("not all were stored")
	}
	needs := func(name, limit string) int64 {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), "KFBUS_TEST_ARGS=replay --nats "+p.server.URL()+" --name "+name+" --limit "+limit)
		if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "copied "+limit+" events") {
			t.Fatalf("%v\n%s", err, out)
		}
		rss := c.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10 // Linux says KiB
		t.Logf("%s copies: %d MiB", limit, rss>>20)
		return rss
	}
	small, large := needs("small", "256"), needs("large", "2048")
	if large-small > 96<<20 {
		t.Errorf("16 MiB need %d MiB of memory, 128 MiB need %d", small>>20, large>>20)
	}
}

func wire(t *testing.T, in events.Inbound) *nats.Msg {
	t.Helper()
	body, h, err := bus.Encode(in.Event(), bus.ModeStructured)
	if err != nil {
		t.Fatal(err)
	}
	return &nats.Msg{Subject: in.Subject(), Header: h, Data: body}
}
