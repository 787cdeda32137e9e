package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// Senders as processes, a broker, and the simulator, whose journal judges the outcomes. make chaos-sender runs each at full
// size, which takes some minutes; a plain run of the tests is a small one of the same.

// size is the full one in a chaos run, and else the small one.
func size(small, full int) int {
	if chaotic() {
		return full
	}
	return small
}

// crowd is the customers of a rig who have written once, and what became of the commands for them.
type crowd struct {
	*rig
	dice  *rand.Rand
	users []string
	ids   []string

	mu   sync.Mutex
	told map[string]bool // commands with a terminal outcome
}

// newCrowd is a rig with everything but senders. Its customers have written.
func newCrowd(t *testing.T, customers int) *crowd {
	t.Helper()
	c := &crowd{rig: newRig(t), dice: seeded(t), told: map[string]bool{}}
	top := testkit.Small()
	top.AckWait, top.CommandLanes = 3*time.Second, 32
	if _, err := c.bus.Apply(testkit.Context(t), top); err != nil {
		t.Fatal(err)
	}
	c.ready(c.spawn("ingress"), c.spawn("tokenkeeper"), c.spawn("syncer"))
	for i := range customers {
		who, err := c.sim.AddCustomer(kfsim.Customer{CorpID: c.world.corp.CorpID, Nickname: fmt.Sprint("customer ", i)})
		if err != nil {
			t.Fatal(err)
		}
		c.users = append(c.users, who.ExternalUserID)
		c.says(who.ExternalUserID, i, 1)
	}
	c.progress("messages to be stored", customers, c.countStored)
	c.follow()
	return c
}

// progress waits for a count, as long as it grows.
func (c *crowd) progress(what string, want int, count func() int) {
	c.Helper()
	const patience = 90 * time.Second // a frozen or killed sender's commands go on after less
	last, since := -1, time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n := count(); n < want; n = count() {
		if n != last {
			last, since = n, time.Now()
		}
		if time.Since(since) > patience {
			c.Fatalf("%d of %d %s, and no more in %v", n, want, what, patience)
		}
		<-tick.C
	}
}

// follow notes the outcomes as they come.
func (c *crowd) follow() {
	c.Helper()
	oc, err := c.bus.JS.OrderedConsumer(c.Context(), events.StreamOutcome, jetstream.OrderedConsumerConfig{})
	if err != nil {
		c.Fatal(err)
	}
	cc, err := oc.Consume(func(m jetstream.Msg) {
		var e struct {
			Data events.Outcome `json:"data"`
		}
		if err := json.Unmarshal(m.Data(), &e); err != nil {
			c.Error(err)
		}
		if e.Data.Corrects == "" {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.told[e.Data.CommandID] = true
		}
	})
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(cc.Stop)
}

func (c *crowd) ended() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.told)
}

// commands publishes n more for a customer, in order.
func (c *crowd) commands(user, n int) {
	c.Helper()
	for range n {
		id := fmt.Sprintf("c%d-%d", user, len(c.ids))
		c.ids = append(c.ids, id)
		c.command(c.users[user], id, fmt.Sprint("answer ", len(c.ids)))
	}
}

// feed publishes five commands for each customer, never more than some ahead of the outcomes, until enough says so or the
// customers are used up.
func (c *crowd) feed(enough func() bool) {
	c.Helper()
	for user := range c.users {
		if enough() {
			return
		}
		c.commands(user, 5)
		c.progress("outcomes", len(c.ids)-size(20, 120), c.ended)
	}
}

// judge holds all outcomes against the platform's journal.
func (c *crowd) judge() map[string]int {
	c.Helper()
	c.progress("outcomes", len(c.ids), c.ended)
	states := c.checkOutbound(c.ids)
	c.Logf("calls of send_msg: %d, of them refused as used: %d, as a sixth (95001): %d", c.sim.Calls("kf/send_msg"),
		c.sim.Answers("kf/send_msg", 40058), c.sim.Answers("kf/send_msg", 95001))
	return states
}

// inOrder: whatever a customer got came in the order of the commands.
func (c *crowd) inOrder() {
	c.Helper()
	got, wrong := 0, 0
	for _, user := range c.users {
		last := 0
		for _, m := range c.sim.Phone(c.account(), user) {
			var body struct{ Content string }
			if m.Via == "" || json.Unmarshal(m.Body, &body) != nil {
				continue
			}
			var n int
			if _, err := fmt.Sscanf(body.Content, "answer %d", &n); err != nil {
				c.Errorf("a customer got %q", body.Content)
			}
			if got++; n <= last {
				wrong++
			}
			last = n
		}
	}
	c.Logf("%d messages arrived, order violations: %d", got, wrong)
	if wrong > 0 || got == 0 {
		c.Errorf("%d of %d messages are out of order", wrong, got)
	}
}

func (c *crowd) fault(f kfsim.Fault) {
	c.Helper()
	f.Path = "kf/send_msg"
	if _, err := c.sim.AddFault(f); err != nil {
		c.Fatal(err)
	}
}

// TestChaosSenderRace: sixteen commands at once for each customer, and four senders: five are accepted, and the platform is
// never asked for a sixth.
func TestChaosSenderRace(t *testing.T) {
	c := newCrowd(t, size(12, 300))
	c.replicas(size(2, 4), "sender")
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(64)
	for i, user := range c.users {
		for k := range 16 {
			id := fmt.Sprintf("race%d-%d", i, k)
			c.ids = append(c.ids, id)
			g.Go(func() error { return errorOf(ctx, c.tryCommand(user, id, "您好")) })
		}
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	states := c.judge()
	if want := 5 * len(c.users); states[events.StateAccepted] != want || states[events.StateRefused] != len(c.ids)-want {
		t.Errorf("got %v, want %d accepted and the others refused", states, want)
	}
	if n := c.sim.Answers("kf/send_msg", 95001); n > 0 {
		t.Errorf("the platform refused a sixth message %d times", n)
	}
}

func errorOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// doubtful makes about 17 % of the answers of send_msg say nothing definite, before or after the effect.
func (c *crowd) doubtful() {
	c.Helper()
	kinds := []kfsim.Fault{
		{Kind: kfsim.FaultHTTP500After}, {Kind: kfsim.FaultResetAfter}, {Kind: kfsim.FaultGarbageAfter}, {Kind: kfsim.FaultCutAfter},
		{Kind: kfsim.FaultAcceptThenHang, Delay: 3 * time.Second}, {Kind: kfsim.FaultLateEffect, Delay: 2 * time.Second},
		{Kind: kfsim.FaultHTTP500Before}, {Kind: kfsim.FaultResetBefore}, {Kind: kfsim.FaultGarbageBefore},
	}
	for _, f := range kinds {
		f.Probability = 0.0205
		c.fault(f)
	}
}

// TestChaosSenderDoubt: a doubtful answer is followed by the same request, whose refusal proves the first.
func TestChaosSenderDoubt(t *testing.T) {
	c := newCrowd(t, size(20, 400))
	c.doubtful()
	c.replicas(2, "sender") // with eight tries one in 1,400,000 is in doubt each time
	c.feed(func() bool { return false })
	if states := c.judge(); states[events.StateAccepted] != len(c.ids) {
		t.Errorf("got %v, want all %d accepted", states, len(c.ids))
	}
	if c.sim.Answers("kf/send_msg", 40058) == 0 {
		t.Error("nothing was repeated: the test tested nothing")
	}
	c.inOrder()
}

// TestChaosSenderNeverTwice: where a used msgid is delivered again, nothing in doubt is repeated.
func TestChaosSenderNeverTwice(t *testing.T) {
	c := newCrowd(t, size(20, 400))
	if err := c.sim.SetPersonality(kfsim.Personality{TokenlessPerMinute: -1, RepeatedMsgID: kfsim.RepeatDeliver}); err != nil {
		t.Fatal(err)
	}
	c.doubtful()
	c.replicas(2, "sender", "KF_SENDER_MSGID_IDEMPOTENT=false")
	c.feed(func() bool { return false })
	states := c.judge()
	if states[events.StateUnknown] == 0 || states[events.StateAccepted]+states[events.StateUnknown] != len(c.ids) {
		t.Errorf("got %v, want all accepted or unknown, and some unknown", states)
	}
	if calls := c.sim.Calls("kf/send_msg"); calls > len(c.ids) {
		t.Errorf("%d requests for %d commands", calls, len(c.ids))
	}
}

// TestChaosSenderKilled: three senders are killed again and again in the middle of their work.
func TestChaosSenderKilled(t *testing.T) {
	kills, customers := size(8, 200), size(16, 4000)
	c := newCrowd(t, customers)
	c.fault(kfsim.Fault{Kind: kfsim.FaultLatency, Delay: 50 * time.Millisecond, Jitter: 50 * time.Millisecond})
	rs := c.replicas(3, "sender", "KF_LOG_LEVEL=info")
	posted := make(chan struct{}, 1)
	struck := func(call kfsim.Call) {
		if call.Path == "kf/send_msg" {
			select {
			case posted <- struct{}{}:
			default:
			}
		}
	}
	defer c.sim.OnEffect(struck)()
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for rs.kills() < kills {
			select {
			case <-posted:
			case <-done:
				return
			}
			pause(c.dice, time.Duration(size(50, 400))*time.Millisecond)
			rs.killOne(c.dice.IntN(3))
		}
	})
	c.feed(func() bool { return chaotic() && rs.kills() >= kills && len(c.ids) >= 3000 })
	close(done)
	wg.Wait()
	states := c.judge()
	t.Logf("kill -9 of senders: %d, commands: %d, outcomes %v", rs.kills(), len(c.ids), states)
	if rs.kills() < kills && chaotic() || rs.kills() == 0 {
		t.Errorf("killed %d times, want %d", rs.kills(), kills)
	}
	if states[events.StateAccepted]+states[events.StateUnknown] != len(c.ids) {
		t.Errorf("got %v, want all %d accepted, or unknown after four crashes", states, len(c.ids))
	}
	c.inOrder()
}

// TestChaosSenderFrozen: senders stand still, longer than a reservation is left alone, and go on as if nothing had been.
func TestChaosSenderFrozen(t *testing.T) {
	const shortest = 5 * time.Second
	freezes, senders := size(2, 52), size(3, 10)
	longest := time.Duration(size(6, 60)) * time.Second
	c := newCrowd(t, size(8, 4000))
	c.fault(kfsim.Fault{Kind: kfsim.FaultLatency, Delay: 50 * time.Millisecond, Jitter: 150 * time.Millisecond})
	rs := c.replicas(senders, "sender", "KF_LOG_LEVEL=info")
	plan := make([]time.Duration, freezes)
	var sum time.Duration
	for i := range plan {
		plan[i] = shortest + time.Duration(c.dice.Int64N(int64(longest-shortest)))
		sum += plan[i]
	}
	next := make(chan time.Duration, freezes)
	for _, d := range plan {
		next <- d
	}
	close(next)
	var g errgroup.Group
	for i := range senders - 2 { // two are always awake
		g.Go(func() error { return freeze(rs.live[i], next) })
	}
	thawed := make(chan error, 1)
	go func() { thawed <- g.Wait() }()
	over := false
	c.feed(func() bool {
		select {
		case err := <-thawed:
			if over = true; err != nil {
				t.Error(err)
			}
		default:
		}
		return over && chaotic()
	})
	if !over {
		if err := <-thawed; err != nil {
			t.Error(err)
		}
	}
	states := c.judge()
	t.Logf("frozen %d times, %v in all, commands: %d, outcomes %v", freezes, sum.Round(time.Second), len(c.ids), states)
	if states[events.StateAccepted]+states[events.StateUnknown] != len(c.ids) {
		t.Errorf("got %v, want all %d accepted, or unknown", states, len(c.ids))
	}
	c.inOrder()
}

// freeze stops a process for each of some times, with a breath between them.
func freeze(p *child, times <-chan time.Duration) error {
	for d := range times {
		if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			return err
		}
		<-time.After(d)
		if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			return err
		}
		<-time.After(500 * time.Millisecond) // it is to take something up before the next
	}
	return nil
}

// TestChaosSenderLedgerLost: keys of the ledger, and the whole of it, are lost while commands are carried.
func TestChaosSenderLedgerLost(t *testing.T) {
	c := newCrowd(t, size(12, 300))
	c.fault(kfsim.Fault{Kind: kfsim.FaultLatency, Delay: 20 * time.Millisecond, Jitter: 30 * time.Millisecond})
	c.replicas(2, "sender")
	kv, err := c.bus.JS.KeyValue(testkit.Context(t), events.BucketLedger)
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := c.bus.JS.Stream(testkit.Context(t), "KV_"+events.BucketLedger)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	keys, purges := 0, 0
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(10 * time.Millisecond):
			}
			user := c.users[c.dice.IntN(len(c.users))]
			err := kv.Purge(c.Context(), events.ConversationKey(c.world.corp.CorpID, c.account(), user))
			if keys++; keys%50 == 25 {
				purges++
				err = bucket.Purge(c.Context())
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	for user := range c.users {
		c.commands(user, 8)
		c.progress("outcomes", len(c.ids)-200, c.ended)
	}
	c.progress("outcomes", len(c.ids), c.ended)
	close(done)
	wg.Wait()
	c.judge()
	t.Logf("keys lost: %d, the whole bucket: %d times", keys, purges)
	if keys == 0 || purges == 0 {
		t.Error("nothing was lost: the test tested nothing")
	}
}

// TestChaosSenderPublishedAgain: the broker restarts, which makes it forget what it has seen, and all commands are published
// again, in another order.
func TestChaosSenderPublishedAgain(t *testing.T) {
	c := newCrowd(t, size(10, 200))
	c.replicas(2, "sender")
	for user := range c.users {
		c.commands(user, 7) // five accepted, two refused
	}
	first := c.judge()
	calls := c.sim.Calls("kf/send_msg")
	c.restartNATS()
	testkit.Eventually(t, "the test's own connection", c.bus.NC.IsConnected)
	c.dice.Shuffle(len(c.ids), func(i, k int) { c.ids[i], c.ids[k] = c.ids[k], c.ids[i] })
	for _, id := range c.ids {
		var user, n int
		if _, err := fmt.Sscanf(id, "c%d-%d", &user, &n); err != nil {
			t.Fatal(err)
		}
		err := c.tryCommand(c.users[user], id, "once more")
		for try := 0; err != nil && try < 50; try++ { // the broker may just be up
			<-time.After(100 * time.Millisecond)
			err = c.tryCommand(c.users[user], id, "once more")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c.progress("commands to be done", 1, func() int {
		s, err := c.bus.JS.Stream(c.Context(), events.StreamCommand)
		if err != nil || s.CachedInfo().State.Msgs > 0 {
			return 0
		}
		return 1
	})
	second := c.judge()
	if got := c.sim.Calls("kf/send_msg"); got != calls {
		t.Errorf("%d requests for commands that were published again", got-calls)
	}
	if fmt.Sprint(first) != fmt.Sprint(second) || strings.Contains(fmt.Sprint(second), events.StateUnknown) {
		t.Errorf("outcomes %v before, %v after", first, second)
	}
}
