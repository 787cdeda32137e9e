package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
)

// cluster is three nats-servers as processes, with every stream on all of them, instead of the rig's one broker.
type cluster struct {
	r       *rig
	top     bus.Topology
	servers [3]*child
	clients [3]string // where they listen
	confs   [3]string
}

// cluster starts the servers and connects the rig to all of them.
func (r *rig) cluster() *cluster {
	r.Helper()
	r.bus.NC.Close()
	r.nats.Close()
	c := &cluster{r: r, top: testkit.Small()}
	c.top.Replicas, c.top.AckWait = 3, 3*time.Second
	var routes [3]string
	for i := range routes {
		c.clients[i], routes[i] = freeAddr(r.T), freeAddr(r.T)
	}
	for i := range c.servers {
		c.confs[i] = fmt.Sprintf("listen: %q\nserver_name: n%d\nmax_payload: 8MB\njetstream { store_dir: %q, max_file_store: 8GB, max_mem: 64MB }\ncluster { name: kfbus, listen: %q, routes: [nats://%s] }\n",
			c.clients[i], i, r.TempDir(), routes[i], strings.Join(routes[:], ", nats://"))
		c.start(i)
	}
	var err error
	if r.bus, err = bus.Connect(bus.Config{URL: c.url()}, "rig", zerolog.Nop()); err != nil {
		r.Fatal(err)
	}
	r.Cleanup(r.bus.NC.Close)
	testkit.Eventually(r.T, "the cluster to take the topology", func() bool {
		ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
		defer cancel()
		_, err := r.bus.Apply(ctx, c.top)
		return err == nil
	})
	return c
}

func (c *cluster) url() string { return "nats://" + strings.Join(c.clients[:], ",nats://") }

// env is what a service needs to find all servers.
func (c *cluster) env() string { return "KF_NATS_URL=" + c.url() }

// start starts a server on its own port and store.
func (c *cluster) start(i int) { c.r.Helper(); c.servers[i] = c.r.broker(c.confs[i]) }

// leader waits until a stream has a leader and returns its number.
func (c *cluster) leader(stream string) (n int) {
	c.r.Helper()
	testkit.Eventually(c.r.T, "a leader of "+stream, func() bool {
		s, err := c.r.bus.JS.Stream(c.r.Context(), stream)
		if err != nil || s.CachedInfo().Cluster == nil {
			return false
		}
		_, err = fmt.Sscanf(s.CachedInfo().Cluster.Leader, "n%d", &n)
		return err == nil
	})
	return n
}

// whole waits until every stream has a leader and two replicas that are level with it, and looks at what servers say they lost.
func (c *cluster) whole() {
	c.r.Helper()
	for _, want := range c.top.Streams() {
		var last error
		ok := func() bool {
			s, err := c.r.bus.JS.Stream(c.r.Context(), want.Name)
			if last = err; err != nil {
				return false
			}
			info := s.CachedInfo()
			if info.State.Lost != nil {
				c.r.Fatalf("%s lost %d messages", want.Name, len(info.State.Lost.Msgs))
			}
			if info.Cluster == nil || info.Cluster.Leader == "" || len(info.Cluster.Replicas) != 2 {
				last = errors.New("no leader, or not two replicas")
				return false
			}
			for _, p := range info.Cluster.Replicas {
				if !p.Current || p.Offline || p.Lag > 0 {
					last = fmt.Errorf("%s is %d behind, current %v, offline %v", p.Name, p.Lag, p.Current, p.Offline)
					return false
				}
			}
			return true
		}
		eventuallyWithin(c.r, 2*time.Minute, want.Name+" on three servers", ok, &last)
	}
}

// eventuallyWithin is for what a cluster may need longer for than [testkit.Patience].
func eventuallyWithin(r *rig, d time.Duration, what string, ok func() bool, why *error) {
	r.Helper()
	end := time.NewTimer(d)
	defer end.Stop()
	for !ok() {
		select {
		case <-end.C:
			r.Fatalf("waited %v for %s: %v", d, what, *why)
		default:
			wait5ms()
		}
	}
}

const clusterKills = 15

// TestChaosCluster kills one server of three again and again, each time in the midst of what is being stored, while syncers
// serve four accounts. The first one killed leads the messages. It runs short where chaos was not asked for.
func TestChaosCluster(t *testing.T) {
	kills, down := clusterKills, 5*time.Second
	if !chaotic() {
		kills, down = 2, time.Second
		t.Logf("%d servers are killed; KF_CHAOS=1 makes it %d", kills, clusterKills)
	}
	r := newRig(t)
	dice := seeded(t)
	nodes := r.cluster()
	r.addAccounts(3)
	cs := []*child{r.spawn("ingress", nodes.env()), r.spawn("tokenkeeper", nodes.env())}
	for range 3 {
		cs = append(cs, r.spawn("syncer", nodes.env(), "KF_SYNCER_PAGE_LIMIT=9"))
	}
	r.ready(cs...)
	end := r.chatter()
	killed, led := [3]int{}, 0
	for n := range kills {
		r.untilStored(1 + dice.IntN(200))
		lead, victim := nodes.leader(events.StreamMessage), dice.IntN(3)
		if n == 0 || dice.IntN(3) == 0 {
			victim = lead
		}
		if victim == lead {
			led++
		}
		nodes.servers[victim].kill()
		killed[victim]++
		pause(dice, down)
		nodes.start(victim)
	}
	r.untilStored(1)
	written := end()
	t.Logf("kill -9 of brokers: %v, %d times the leader of %s, while %d messages were written", killed, led, events.StreamMessage, written)
	nodes.whole()
	r.checkInbound()
	refused, codes := r.refusals(cs...)
	t.Logf("commits refused: %v; codes in the logs: %v", refused, codes)
	if refused["other"] > 0 {
		t.Errorf("%d commits were refused for a reason that has no name; codes in the logs: %v", refused["other"], codes)
	}
}

// untilStored waits until KF_MESSAGE has stored n more.
func (r *rig) untilStored(n int) {
	r.Helper()
	first := uint64(0)
	err := errors.New("no progress")
	eventuallyWithin(r, 2*testkit.Patience, "messages to be stored", func() bool {
		s, failed := r.bus.JS.Stream(r.Context(), events.StreamMessage)
		if failed != nil {
			err = failed
			return false
		}
		last := s.CachedInfo().State.LastSeq
		if first == 0 {
			first = last
		}
		return last >= first+uint64(n)
	}, &err)
}

var (
	refusal = regexp.MustCompile(`(?m)^kf_syncer_commits_refused_total\{reason="(\w+)"\} (\d+)`)
	errCode = regexp.MustCompile(`err_code=(\d+)`)
)

// metrics returns what a service tells Prometheus.
func (r *rig) metrics(c *child) []byte {
	r.Helper()
	res, err := patient.Get("http://" + c.admin() + "/metrics")
	if err != nil {
		r.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	if _ = res.Body.Close(); err != nil || res.StatusCode != http.StatusOK {
		r.Fatalf("metrics of %s: %s %v", c.name, res.Status, err)
	}
	return text
}

// refusals counts the commits that were refused by reason, and the broker's codes in the logs.
func (r *rig) refusals(cs ...*child) (reasons map[string]int, codes map[string]int) {
	r.Helper()
	reasons, codes = map[string]int{}, map[string]int{}
	for _, c := range cs {
		for _, m := range refusal.FindAllSubmatch(r.metrics(c), -1) {
			var n int
			if _, err := fmt.Sscan(string(m[2]), &n); err != nil {
				r.Fatal(err)
			}
			reasons[string(m[1])] += n
		}
		log, err := os.ReadFile(c.log)
		if err != nil {
			r.Fatal(err)
		}
		for _, m := range errCode.FindAllSubmatch(log, -1) {
			codes[c.name+" "+string(m[1])]++
		}
	}
	return reasons, codes
}
