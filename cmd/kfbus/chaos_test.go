package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/kfbus/kfbus/internal/localnats"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// Chaos runs take minutes: make chaos-syncer, chaos-sender, chaos-tokens. KF_SEED repeats a run as far as processes can be repeated.

const (
	chaosKills    = 100 // of syncers
	chaosRestarts = 20  // of the broker

	brokerDir  = "KFBUS_TEST_BROKER_DIR" // the test binary is a broker when it is set
	brokerAddr = "KFBUS_TEST_BROKER_ADDR"
)

func chaos(t *testing.T) {
	t.Helper()
	if !chaotic() {
		t.Skip("SKIP: it takes minutes; make chaos-syncer, chaos-sender or chaos-tokens, or KF_CHAOS=1")
	}
}

func chaotic() bool { return os.Getenv("KF_CHAOS") == "1" }

// broker runs a broker until the process is killed.
func broker() {
	if _, err := localnats.Start(localnats.Options{Dir: os.Getenv(brokerDir), Listen: os.Getenv(brokerAddr)}); err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	select {}
}

// chatter lets a customer write to all accounts until end is called, never far ahead of what is stored.
func (r *rig) chatter() (end func() (written int)) {
	written := 0
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			for range 5 {
				to := r.accounts()[written%len(r.accounts())]
				if _, err := r.sim.CustomerSays(to, r.customer(), fmt.Sprintf("message %d 你好", written)); err != nil {
					r.Error(err)
					return
				}
				written++
			}
			for n := 0; n < 400 && r.countStored() < written-50; n++ {
				wait5ms()
			}
		}
	})
	end = sync.OnceValue(func() int { close(stop); wg.Wait(); return written })
	r.Cleanup(func() { end() })
	return end
}

// TestChaosSyncer kills three syncers at random, each time somewhere between a platform's answer and the next.
func TestChaosSyncer(t *testing.T) {
	chaos(t)
	r := newRig(t)
	dice := seeded(t)
	r.ready(r.spawn("ingress"), r.spawn("tokenkeeper"))
	rs := r.replicas(3, "syncer", "KF_SYNCER_PAGE_LIMIT=9")
	progress := make(chan struct{}, 1)
	defer r.sim.OnAnswer(func(c kfsim.Call) {
		if c.Path != "kf/sync_msg" || c.Items == 0 {
			return
		}
		select {
		case progress <- struct{}{}:
		default:
		}
	})()
	end := r.chatter()
	for rs.kills() < chaosKills {
		for range 1 + dice.IntN(4) { // of a pull that has something
			select {
			case <-progress:
			case <-time.After(testkit.Patience):
				t.Fatalf("nothing is pulled any more after %d kills", rs.kills())
			}
		}
		pause(dice, 30*time.Millisecond)
		rs.killOne(dice.IntN(3))
	}
	written := end()
	t.Logf("kill -9 of syncers: %d, while %d messages were written", rs.kills(), written)
	r.checkInbound()
}

// pause ends anywhere within d: it is where in its work a process is struck, not a wait for anything.
func pause(dice *rand.Rand, d time.Duration) { <-time.After(time.Duration(dice.Int64N(int64(d)))) }

// TestChaosBroker kills the broker, as a process, while everything writes.
func TestChaosBroker(t *testing.T) {
	chaos(t)
	r := newRig(t)
	dice := seeded(t)
	r.nats.Close()
	b := r.brokerProcess()
	testkit.Eventually(t, "the test's own connection", r.bus.NC.IsConnected)
	r.ready(r.spawn("ingress"), r.spawn("tokenkeeper"), r.spawn("syncer"), r.spawn("syncer"))
	end := r.chatter()
	for range chaosRestarts {
		stored := make(chan struct{}, 64)
		sub, err := r.bus.NC.Subscribe("kf.message.>", func(*nats.Msg) {
			select {
			case stored <- struct{}{}:
			default:
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 1 + dice.IntN(40) {
			select {
			case <-stored:
			case <-time.After(testkit.Patience):
				t.Fatal("nothing is stored any more")
			}
		}
		if err := sub.Unsubscribe(); err != nil {
			t.Fatal(err)
		}
		b.kill()
		b = r.brokerProcess()
		testkit.Eventually(t, "the test's own connection", r.bus.NC.IsConnected)
	}
	written := end()
	t.Logf("kill -9 of the broker: %d, while %d messages were written", chaosRestarts, written)
	r.checkInbound()
}

func (r *rig) brokerProcess() *child {
	r.Helper()
	c := &child{name: "broker", done: make(chan struct{})}
	c.cmd = exec.Command(os.Args[0])
	c.cmd.Env = append(os.Environ(), brokerDir+"="+r.dir, brokerAddr+"="+r.addr)
	c.cmd.Stderr = os.Stderr
	if err := c.cmd.Start(); err != nil {
		r.Fatal(err)
	}
	go func() { defer close(c.done); _ = c.cmd.Wait() }()
	r.Cleanup(c.kill)
	return c
}

// seedGiven returns KF_SEED, or a new seed.
func seedGiven() uint64 {
	if seed, err := strconv.ParseUint(os.Getenv("KF_SEED"), 10, 64); err == nil {
		return seed
	}
	return uint64(time.Now().UnixNano())
}
