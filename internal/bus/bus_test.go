package bus_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/bus/bustest"
	"github.com/kfbus/kfbus/internal/localnats"
	"github.com/kfbus/kfbus/internal/testkit"
)

// TestCases runs the suite on a server in this process; containertest runs it on
// real ones.
func TestCases(t *testing.T) {
	for _, c := range bustest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			s := testkit.NATS(t)
			c.Run(t, bustest.Env{URL: s.URL(), Options: []nats.Option{s.InProcess()}, Replicas: 1})
		})
	}
}

func doorbell(t testing.TB, account string) bus.Message {
	t.Helper()
	return bustest.Doorbell(t, account)
}

func TestTopologyValidate(t *testing.T) {
	for name, change := range map[string]func(*bus.Topology){
		"two replicas":       func(t *bus.Topology) { t.Replicas = 2 },
		"no lanes":           func(t *bus.Topology) { t.CallbackLanes = 0 },
		"too many lanes":     func(t *bus.Topology) { t.CommandLanes = 513 },
		"more reply lanes":   func(t *bus.Topology) { t.ReplyLanes = t.CommandLanes + 1 },
		"messages too young": func(t *bus.Topology) { t.MessageAge = 72 * time.Hour },
		"no ack wait":        func(t *bus.Topology) { t.AckWait = 0 },
	} {
		top := bus.DefaultTopology()
		change(&top)
		if err := top.Validate(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := bus.DefaultTopology().Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
}

func TestPublishWithoutBroker(t *testing.T) {
	s := testkit.NATS(t)
	b := testkit.Connect(t, s, t.Name())
	s.Close()
	testkit.Eventually(t, "the client to notice", func() bool { return !b.NC.IsConnected() })
	_, _, err := b.Publish(testkit.Context(t), doorbell(t, "wk1"))
	if !errors.Is(err, bus.ErrDisconnected) {
		t.Errorf("got %v, want ErrDisconnected: nothing was sent, so it is no unknown", err)
	}
}

func TestLocalStoreIsLocked(t *testing.T) {
	dir := t.TempDir()
	s, err := localnats.Start(localnats.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := localnats.Start(localnats.Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second server on the same store: got %v", err)
	}
}

// overTCP connects as a client does that lives longer than its server.
func overTCP(t testing.TB, url string) *bus.Bus {
	t.Helper()
	b, err := bus.Connect(bus.Config{URL: url}, t.Name(), zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.NC.Close)
	return b
}
