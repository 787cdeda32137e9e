package sender

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfsim"
	"github.com/kfbus/kfbus/services/sender/window"
)

func (w *world) stream(name string, change func(*jetstream.StreamConfig)) {
	w.Helper()
	s, err := w.bus.JS.Stream(w.ctx(), name)
	w.must(err)
	cfg := s.CachedInfo().Config
	change(&cfg)
	_, err = w.bus.JS.UpdateStream(w.ctx(), cfg)
	w.must(err)
}

// reason is why a check of readiness fails; "" if it does not.
func (r *replica) reason(check string) string {
	for _, c := range r.health.Report().Checks {
		if c.Name == check {
			return c.Reason
		}
	}
	return "no such check"
}

// While outcomes find no room, nothing is sent: 4.23.
func TestFullOutcomesStopTheSender(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.says(ann)
	w.stream(events.StreamOutcome, func(c *jetstream.StreamConfig) { c.MaxMsgs = 1 })
	w.raw("kf.outcome.x.x.x.accepted.x", nil, []byte(`{}`)) // full
	r := w.start(func(c *Config) { c.DueWorkers, c.InboxWorkers = 1, 1 })
	list := ids("c", 3)
	for _, id := range list {
		w.send(ann, id)
	}
	testkit.Eventually(t, "the sender to be unready", func() bool { return strings.Contains(r.reason("outcomes"), "full") })
	w.noted()
	if got := w.posts(apiSend); got != 0 {
		t.Fatalf("got %d requests whose outcomes find no room", got)
	}
	w.stream(events.StreamOutcome, func(c *jetstream.StreamConfig) { c.MaxMsgs = -1 })
	if tally := w.audit(list...); tally["accepted"] != 3 {
		t.Errorf("with room again: got %v, want 3 accepted", tally)
	}
	if why := r.reason("outcomes"); why != "" {
		t.Errorf("still unready: %s", why)
	}
}

// The stream fills up under way: what is on its way is told later, and nothing more is begun.
func TestOutcomesFillUp(t *testing.T) {
	t.Parallel()
	const users = 12
	w := newWorld(t)
	list := make([]string, 0, users)
	for i := range users {
		user := fmt.Sprintf("wmFILL%d", i)
		w.customer(user)
		w.says(user)
	}
	r := w.start()
	w.noted()
	w.stream(events.StreamOutcome, func(c *jetstream.StreamConfig) { c.MaxMsgs = 3 })
	for i := range users {
		id := fmt.Sprint("c", i)
		w.send(fmt.Sprintf("wmFILL%d", i), id)
		list = append(list, id)
	}
	testkit.Eventually(t, "the sender to be unready", func() bool { return strings.Contains(r.reason("outcomes"), "full") })
	lanes := testkit.Small().CommandLanes
	if got := w.posts(apiSend); got > 3+lanes {
		t.Errorf("got %d requests, want at most 3 and one a lane (%d)", got, lanes)
	}
	w.stream(events.StreamOutcome, func(c *jetstream.StreamConfig) { c.MaxMsgs = -1 })
	if tally := w.audit(list...); tally["accepted"] != users {
		t.Errorf("with room again: got %v, want %d accepted", tally, users)
	}
}

func (w *world) purgeLedger(user string) {
	w.Helper()
	kv, err := w.bus.JS.KeyValue(w.ctx(), events.BucketLedger)
	w.must(err)
	w.must(kv.Purge(w.ctx(), events.ConversationKey(corp, desk, user)))
}

// The ledger is lost: what was sent still counts, and no command is sent again: 4.13, 4.14.
func TestLostLedger(t *testing.T) {
	for name, lose := range map[string]func(w *world){
		"deleted": func(w *world) { w.purgeLedger(ann) },
		"corrupt": func(w *world) {
			_, revision := w.ledger(ann)
			_, err := w.bus.Swap(w.ctx(), events.BucketLedger, events.ConversationKey(corp, desk, ann), []byte(`{"r":7`), revision, 0)
			w.must(err)
		},
		"the whole bucket": func(w *world) {
			s, err := w.bus.JS.Stream(w.ctx(), "KV_"+events.BucketLedger)
			w.must(err)
			w.must(s.Purge(w.ctx()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.says(ann)
			w.start()
			w.noted()
			for _, id := range ids("c", 3) {
				w.send(ann, id)
				w.want(id, "accepted")
			}
			w.must(w.sim.FailSend(kfsim.FailSend{OpenKfID: desk, MsgID: msgID(ann, "c-0"), FailType: 4}))
			w.pump()
			w.quiet()
			lose(w)
			w.command(events.VerbSend, ann, "", with(text(), obj{"command_id": "c-1"})) // once more
			list := ids("c", 6)
			for _, id := range list[3:] {
				w.send(ann, id)
				w.await(id)
			}
			tally := w.audit(list...)
			if got := len(w.sim.Accepted()); got > 5 || tally["accepted"] != got || tally["refused"] == 0 && got < 5 {
				t.Errorf("got %v, the platform accepted %d", tally, got)
			}
			if l, _ := w.ledger(ann); len(l.Records) != 6 {
				t.Errorf("the ledger knows %d commands, want 6", len(l.Records))
			}
			t.Log(tally)
		})
	}
}

// One who wrote before this bus was there is known from the history only.
func TestHistoryOpensAWindow(t *testing.T) {
	w := newWorld(t)
	_, err := w.sim.CustomerSays(desk, ann, canary)
	w.must(err)
	raw := w.sim.Items(desk)[0].Raw
	in := events.Inbound{Corp: corp, OpenKfID: desk, ExternalUserID: ann, MsgID: "m", MsgType: "text", SendTime: time.Now().Unix(), Origin: 3, Raw: raw, History: true}
	_, _, err = w.bus.Publish(w.ctx(), bus.Message{Subject: in.Subject(), Event: in.Event()})
	w.must(err)
	w.start()
	w.send(ann, "c")
	w.want("c", "accepted")
}

// 45009 shuts the API for all replicas; nothing is lost, the lanes go on with other calls, and the order stays.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, personality(kfsim.Personality{CallsPerMinute: 3}))
	w.says(ann)
	other := "wmOTHER"
	w.customer(other)
	w.says(other)
	soon := func(c *Config) { c.LaneWait = 200 * time.Millisecond }
	a, b := w.make(soon), w.make(soon)
	a.limits.block, b.limits.block = 3*time.Second, 3*time.Second
	a.run()
	b.run()
	w.noted()
	first := ids("a", 5)
	for _, id := range first {
		w.send(ann, id)
	}
	testkit.Eventually(t, "the pause to be shared", func() bool {
		return a.limits.apis[apiSend].paused(a.now()) > 0 && b.limits.apis[apiSend].paused(b.now()) > 0
	})
	calls := w.posts(apiSend)
	w.recall(other, "r", "nothing")
	w.want("r", "recalled/before_send") // another API goes on
	w.send(other, "o")
	w.sim.Clock().Advance(2 * time.Minute)
	tally := w.audit(append(first, "r", "o")...)
	if tally["accepted"] != 6 || tally["recalled"] != 1 {
		t.Errorf("got %v, want 6 accepted and 1 recalled", tally)
	}
	w.inOrder(first)
	if refused := w.sim.Answers("kf/send_msg", 45009); refused > 2 {
		t.Errorf("got %d requests while the API was shut", refused)
	}
	t.Log(tally, "requests at the pause:", calls, "in all:", w.posts(apiSend), "refused with 45009:", w.sim.Answers("kf/send_msg", 45009))
}

// Our own buckets stay below the platform's limit.
func TestBuckets(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		minute, hour int
		over         time.Duration
		most         int
	}{{60, 3600, time.Minute, 60}, {9500, 145000, time.Minute, 9500}, {9500, 145000, time.Hour, 145000}, {100, 200, time.Hour, 200}} {
		cfg := testConfig()
		cfg.CallsPerMinute, cfg.CallsPerHour = c.minute, c.hour
		l := newLimits(nil, corp, cfg, testLog(t), time.Now)
		passed, at := 0, now
		for at.Before(now.Add(c.over)) {
			j := job{api: apiSend}
			wait := l.take(&j, at, 0)
			if wait == 0 {
				passed++
				continue
			}
			if j.paid {
				t.Fatal("paid for a wait over its patience")
			}
			at = at.Add(max(wait, time.Microsecond))
		}
		if passed > c.most || passed < c.most*9/10 {
			t.Errorf("%d a minute, %d an hour: %d passed in %v, want close to and at most %d", c.minute, c.hour, passed, c.over, c.most)
		}
	}
	l := newLimits(nil, corp, testConfig(), testLog(t), time.Now)
	j := job{api: apiRecall}
	for l.take(&j, now, time.Hour) == 0 {
		j.paid = false
	}
	if !j.paid || l.take(&j, now, 0) != 0 {
		t.Error("after a wait that was paid for, the request may not be made")
	}
}

// Where the sender's clock and the platform's are minutes apart, windows and codes live by the platform's: 4.27.
func TestWrongClock(t *testing.T) {
	for name, c := range map[string]struct{ ours, platform time.Duration }{
		"ours is ahead":            {10 * time.Minute, 0},
		"ours is behind":           {-10 * time.Minute, 0},
		"the platform's is ahead":  {0, 10 * time.Minute},
		"the platform's is behind": {0, -10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.sim.Clock().Advance(c.platform)
			w.newToken()
			for user, ago := range map[string]time.Duration{"wmOPEN": 48*time.Hour - 2*time.Minute, "wmLAST": 48*time.Hour - 20*time.Second, "wmSHUT": 48 * time.Hour} {
				w.customer(user)
				w.wrote(user, ago)
			}
			r := w.make()
			r.skew.Store(int64(c.ours))
			r.run()
			code := w.enter(ann)
			for id, user := range map[string]string{"open": "wmOPEN", "last": "wmLAST", "shut": "wmSHUT"} {
				w.command(events.VerbSend, user, id, with(text(), obj{"expirytime": time.Now().Add(time.Hour).Format(time.RFC3339)}))
			}
			w.command(events.VerbReply, ann, "welcome", with(text(), obj{"code": code, "expirytime": time.Now().Add(time.Hour).Format(time.RFC3339)}))
			w.want("open", "accepted")
			w.want("last", "refused/window_closed") // half a minute is left for the error of clocks
			w.want("shut", "refused/window_closed")
			w.want("welcome", "accepted")
			w.audit("open", "last", "shut", "welcome")
		})
	}
}

// Messages of a customer may come twice and in any order; the window never moves back.
func TestShuffledInbox(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 1))
	w := newWorld(t)
	for range 8 {
		w.sim.Clock().Advance(time.Minute)
		_, err := w.sim.CustomerSays(desk, ann, canary)
		w.must(err)
	}
	end := w.sim.Clock().Now().Truncate(time.Second).Add(window.Length)
	items := w.sim.Items(desk)
	all := append(items, items...)
	dice.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
	w.start(func(c *Config) { c.InboxWorkers = 8 })
	for _, it := range all {
		w.publish(it.Raw)
	}
	w.noted()
	if v := w.view(ann); v.WindowEndsAt == nil || !v.WindowEndsAt.Equal(end) || v.SendsLeft != 5 {
		t.Errorf("got %+v, want a window until %v", v, end)
	}
}

// Poison in the inbox or among the timers is put away, and what follows is read.
func TestPoisonInInboxAndTimers(t *testing.T) {
	w := newWorld(t)
	w.start()
	for _, subject := range []string{"kf.message." + corp + "." + desk + ".text." + ann, "kf.event." + corp + "." + desk + ".session_status_change." + ann} {
		w.raw(subject, nil, []byte(`not an event`))
		e, err := events.Own("x", "/test", "test.odd", json.RawMessage(`{"msgtype":7,"origin":"three","send_time":"never"}`))
		w.must(err)
		_, _, err = w.bus.Publish(w.ctx(), bus.Message{Subject: subject, Event: e})
		w.must(err)
	}
	w.must(w.bus.Arm(w.ctx(), bus.ServiceSender, "odd", time.Now(), []byte("not a command")))
	w.says(ann)
	w.noted()
	w.quiet()
	if v := w.view(ann); v.SendsLeft != 5 {
		t.Errorf("the message after the poison was not noted: %+v", v)
	}
	if got := len(w.deadLetters()); got != 3 {
		t.Errorf("got %d dead letters, want 3", got)
	}
}

// A request must be over before its lane would go to another replica.
func TestLanesThatAreTooImpatient(t *testing.T) {
	w := newWorld(t, ackWait(2*time.Second))
	r := w.start() // with requests of 4 s
	testkit.Eventually(t, "the sender to say why it is not ready", func() bool {
		return strings.Contains(r.reason("topology"), "KF_SENDER_POST_TIMEOUT is 4s and must be less than half")
	})
	w.says(ann)
	w.send(ann, "c")
	testkit.Eventually(t, "the command to be stored", func() bool { return w.count(events.StreamCommand, ">") == 1 })
	if got := w.posts(apiSend); got != 0 {
		t.Errorf("got %d requests", got)
	}
}

// Only sends and transfers wait for each other; a command whose turn has not come waits without a request.
func TestThoseBehindWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.servicers("li")
	w.says(ann)
	w.start()
	w.noted()
	hold := with(text(), obj{"in_human_session": "hold"})
	w.command(events.VerbTransfer, ann, "t", obj{"service_state": 3, "servicer_userid": "li"})
	w.want("t", "accepted")
	w.command(events.VerbSend, ann, "held", hold)
	w.command(events.VerbSend, ann, "short", with(hold, obj{"expirytime": time.Now().Add(2 * time.Second).Format(time.RFC3339Nano)}))
	w.send(ann, "behind")
	testkit.Eventually(t, "three to wait", func() bool { l, _ := w.ledger(ann); return len(l.Parked) == 3 })
	w.want("short", "expired/expired") // in time, although others stand before it
	w.recall(ann, "r", "behind")
	w.want("r", "recalled/before_send")
	w.want("behind", "cancelled/taken_back") // at once: it is woken
	w.command(events.VerbTransfer, ann, "end", obj{"service_state": 4})
	w.want("end", "accepted") // it does not wait for what it may set free
	w.want("held", "refused/session_state")
	w.audit("t", "held", "short", "behind", "r", "end")
	if l, _ := w.ledger(ann); len(l.Parked) != 0 {
		t.Errorf("%d still wait", len(l.Parked))
	}
}

// No more than one access token is used up by a refusal, and the command goes on.
func TestTokenRefusedOnce(t *testing.T) {
	w := newWorld(t)
	w.says(ann)
	r := w.make()
	var once sync.Once
	r.step = func(name string) {
		if name == "reserved" {
			once.Do(func() { _, err := w.sim.RevokeTokens(corp); w.must(err) })
		}
		if name == "posted" {
			w.newToken()
		}
	}
	r.run()
	w.send(ann, "c")
	if o := w.want("c", "accepted"); o.Attempts != 2 {
		t.Errorf("got %d attempts, want 2", o.Attempts)
	}
	w.audit("c")
}

// A sender is ready when all it needs is there, and says so when the broker is gone.
func TestReadiness(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.make()
	if r.health.Ready() {
		t.Error("ready before it runs")
	}
	r.run()
	testkit.Eventually(t, "the sender to be ready", r.health.Ready)
	began := time.Now()
	w.srv.Close()
	testkit.Eventually(t, "the sender to be unready", func() bool { return r.reason("bus") != "" })
	t.Logf("unready after %v", time.Since(began).Truncate(time.Millisecond))
	r.halt() // in order, also without a broker
}
