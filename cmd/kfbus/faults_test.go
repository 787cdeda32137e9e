package main

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// seeded prints the seed it was given, or chose.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := seedGiven()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func TestSameCallbackHundredTimes(t *testing.T) {
	r := newRig(t)
	if err := r.sim.SetCallbacks(kfsim.CallbackSwitches{Duplicate: 100}); err != nil {
		t.Fatal(err)
	}
	r.ready(r.spawn("ingress"), r.spawn("tokenkeeper"), r.spawn("syncer", "KF_SYNCER_SWEEP=1h", "KF_SYNCER_ACCOUNT_LIST=1h"))
	r.says(r.customer(), 0, 3)
	testkit.Eventually(t, "all callbacks to be answered", func() bool { return r.sim.PendingCallbacks() == 0 })
	r.checkInbound()
	if n := attempts(r.sim); n != 300 {
		t.Errorf("%d callbacks were answered, want 300", n)
	}
	t.Logf("300 callbacks for 3 messages: %d pulls", r.sim.Calls("kf/sync_msg"))
}

func attempts(s *kfsim.Sim) int {
	n := 0
	for _, e := range s.Journal() {
		if e.Callback > 0 && e.Attempt > 0 && e.Status > 0 {
			n++
		}
	}
	return n
}

func TestSweepFindsWhatNoCallbackTold(t *testing.T) {
	r := newRig(t)
	if err := r.sim.SetCallbacks(kfsim.CallbackSwitches{Drop: true}); err != nil {
		t.Fatal(err)
	}
	r.ready(r.spawn("tokenkeeper"), r.spawn("syncer"))
	r.says(r.customer(), 0, 20)
	r.checkInbound()
	if n := attempts(r.sim); n != 0 {
		t.Errorf("%d callbacks were sent after all", n)
	}
}

// TestFourSyncersOnOneAccount: rivals without any lease lose nothing and double
// nothing. They get different lanes' doorbells for one account through sweeps.
func TestFourSyncersOnOneAccount(t *testing.T) {
	r := newRig(t)
	r.spawn("ingress")
	r.spawn("tokenkeeper")
	r.replicas(4, "syncer", "KF_SYNCER_SWEEP=100ms", "KF_SYNCER_PAGE_LIMIT=7")
	for i := range 20 {
		r.says(r.customer(), i*20, 20)
	}
	r.checkInbound()
}

// TestKillSyncerAtEveryStep kills a syncer when the platform has answered, which
// is before the commit; when the first of a page is seen on its way to the
// stream; and when a cursor is, before the ack.
func TestKillSyncerAtEveryStep(t *testing.T) {
	r := newRig(t)
	dice := seeded(t)
	r.ready(r.spawn("ingress"), r.spawn("tokenkeeper"))
	rs := r.replicas(2, "syncer", "KF_SYNCER_PAGE_LIMIT=9")

	points := make(chan string, 1024)
	point := func(name string) {
		select {
		case points <- name:
		default:
		}
	}
	defer r.sim.OnAnswer(func(c kfsim.Call) {
		if c.Path == "kf/sync_msg" && c.Items > 0 {
			point("answered")
		}
	})()
	for subject, name := range map[string]string{"kf.message.>": "publishing", "kf.cursor.>": "committing"} {
		if _, err := r.bus.NC.Subscribe(subject, func(*nats.Msg) { point(name) }); err != nil {
			t.Fatal(err)
		}
	}
	killed := map[string]int{}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		skip := dice.IntN(5)
		for {
			select {
			case <-stop:
				return
			case p := <-points:
				if skip--; skip < 0 && killed[p] < 4 {
					rs.killOne(dice.IntN(2))
					killed[p]++
					skip = dice.IntN(12)
				}
			}
		}
	})
	for i := range 40 {
		r.says(r.customer(), i*10, 10)
		for j := 0; rs.kills() < 12 && r.countStored() < (i-4)*10; j++ { // do not run far ahead of the pipeline
			if j > 4000 {
				t.Fatal("the pipeline stands still")
			}
			wait5ms()
		}
	}
	r.checkInbound()
	close(stop)
	wg.Wait()
	t.Logf("kill -9 of syncers: %v", killed)
	if rs.kills() == 0 {
		t.Error("nothing was killed: the test tested nothing")
	}
}

// wait5ms is the pause of a poll, not a guess at how long something takes.
func wait5ms() { <-time.After(5 * time.Millisecond) }

func TestBrokerRestarts(t *testing.T) {
	r := newRig(t)
	r.ready(r.spawn("ingress"), r.spawn("tokenkeeper"), r.spawn("syncer"), r.spawn("sender"))
	for i := range 3 {
		r.says(r.customer(), i*30, 30)
		r.restartNATS()
	}
	testkit.Eventually(t, "the test's own connection", r.bus.NC.IsConnected)
	r.checkInbound()
	r.command(r.customer(), "after", "您好")
	r.checkOutbound([]string{"after"})
	testkit.Eventually(t, "a request to be answered", func() bool {
		m, err := r.bus.NC.Request(events.APISubject(r.world.corp.CorpID, "account/list"), []byte(`{}`), time.Second)
		return err == nil && m.Header.Get("Nats-Service-Error-Code") == ""
	})
}

// TestTwoSendersRaceForTheFifthSlot: seven commands for each customer, of two
// teams, with two senders, and a platform whose every answer is the truth.
func TestTwoSendersRaceForTheFifthSlot(t *testing.T) {
	r := newRig(t)
	r.ready(r.spawn("ingress"), r.spawn("tokenkeeper"), r.spawn("syncer"))
	r.replicas(2, "sender")
	var users []string
	for i := range 12 {
		c, err := r.sim.AddCustomer(kfsim.Customer{CorpID: r.world.corp.CorpID, Nickname: fmt.Sprint("racer ", i)})
		if err != nil {
			t.Fatal(err)
		}
		users = append(users, c.ExternalUserID)
		r.says(c.ExternalUserID, i, 1)
	}
	r.checkInbound()
	before := r.sim.Calls("kf/send_msg")
	var ids []string
	for i, u := range users {
		for j := range 7 {
			id := fmt.Sprintf("race-%d-%d", i, j)
			ids = append(ids, id)
			r.command(u, id, "您好")
		}
	}
	states := r.checkOutbound(ids)
	if states[events.StateAccepted] != 5*len(users) || states[events.StateRefused] != 2*len(users) {
		t.Errorf("got %v, want %d accepted and %d refused", states, 5*len(users), 2*len(users))
	}
	if calls := r.sim.Calls("kf/send_msg") - before; calls != 5*len(users) {
		t.Errorf("%d calls of send_msg, want %d: the sixth is refused before the platform is asked", calls, 5*len(users))
	}
}

// TestDoubtfulSends: the platform takes a message and says nothing, an error, or
// nonsense. Each customer gets one copy, and each outcome is true.
func TestDoubtfulSends(t *testing.T) {
	r := newRig(t)
	r.ready(r.spawn("ingress"), r.spawn("tokenkeeper"), r.spawn("syncer"), r.spawn("sender"))
	kinds := [...]string{kfsim.FaultHTTP500After, kfsim.FaultResetAfter, kfsim.FaultGarbageAfter, kfsim.FaultAcceptThenHang,
		kfsim.FaultHTTP500Before, kfsim.FaultResetBefore, kfsim.FaultGarbageBefore}
	var ids, users []string
	for i, kind := range kinds {
		c, err := r.sim.AddCustomer(kfsim.Customer{CorpID: r.world.corp.CorpID, Nickname: kind})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.sim.AddFault(kfsim.Fault{Kind: kind, Path: "kf/send_msg", ExternalUserID: c.ExternalUserID, Count: 1, Delay: 3 * time.Second}); err != nil {
			t.Fatal(err)
		}
		r.says(c.ExternalUserID, i, 1)
		users = append(users, c.ExternalUserID)
	}
	r.checkInbound()
	for i, kind := range kinds {
		ids = append(ids, "doubt-"+kind)
		r.command(users[i], "doubt-"+kind, "您好")
	}
	states := r.checkOutbound(ids)
	if states[events.StateAccepted] != len(kinds) {
		t.Errorf("got %v, want all %d accepted: a repeat under the same msgid settles each doubt", states, len(kinds))
	}
	for id, os := range r.outcomes() {
		t.Logf("%s: %s %s, attempts %d", id, os[0].State, os[0].ConfirmedBy, os[0].Attempts)
	}
}

// TestKillSender kills senders while the platform is taking messages.
func TestKillSender(t *testing.T) {
	r := newRig(t)
	dice := seeded(t)
	r.ready(r.spawn("ingress"), r.spawn("tokenkeeper"), r.spawn("syncer"))
	rs := r.replicas(2, "sender")
	var calls atomic.Int64
	kill := make(chan struct{}, 64)
	at := func(c kfsim.Call) {
		if c.Path == "kf/send_msg" && calls.Add(1)%5 == 3 {
			select {
			case kill <- struct{}{}:
			default:
			}
		}
	}
	defer r.sim.OnEffect(at)()
	defer r.sim.OnAnswer(at)()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-kill:
				if rs.kills() < 6 {
					rs.killOne(dice.IntN(2))
				}
			}
		}
	})
	var ids, users []string
	for i := range 8 {
		c, err := r.sim.AddCustomer(kfsim.Customer{CorpID: r.world.corp.CorpID, Nickname: fmt.Sprint("victim ", i)})
		if err != nil {
			t.Fatal(err)
		}
		r.says(c.ExternalUserID, i, 1)
		users = append(users, c.ExternalUserID)
	}
	r.checkInbound()
	for j := range 5 {
		for i, u := range users {
			id := fmt.Sprintf("kill-%d-%d", i, j)
			ids = append(ids, id)
			r.command(u, id, fmt.Sprint("answer ", j))
		}
	}
	states := r.checkOutbound(ids)
	close(stop)
	wg.Wait()
	t.Logf("kill -9 of senders: %d", rs.kills())
	if rs.kills() == 0 {
		t.Error("nothing was killed: the test tested nothing")
	}
	if states[events.StateAccepted] != len(ids) {
		t.Errorf("got %v, want all %d accepted", states, len(ids))
	}
	r.checkOrder(5)
}

// checkOrder: what a customer got is in the order in which it was commanded.
func (r *rig) checkOrder(each int) {
	r.Helper()
	wrong := 0
	for _, c := range r.sim.State().Conversations {
		var texts []string
		for _, m := range r.sim.Phone(r.account(), c.ExternalUserID) {
			if m.Via != "" {
				texts = append(texts, string(m.Body))
			}
		}
		for i := range texts {
			if i >= each || texts[i] != fmt.Sprintf(`{"content":"answer %d"}`, i) {
				wrong++
			}
		}
	}
	r.Logf("order violations: %d", wrong)
	if wrong > 0 {
		r.Errorf("%d messages are out of order", wrong)
	}
}
