package sender

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// brisk makes a crash cheap to wait for.
func brisk(c *Config) { c.PostTimeout, c.LaneWait = 900*time.Millisecond, 20*time.Second }

// forget makes the broker forget the ids of the outcomes so far, as it does of itself after ten minutes.
func (w *world) forget() {
	w.Helper()
	e, err := events.Own("probe", "/test", "test.probe", nil)
	w.must(err)
	probe := func() (repeat bool) {
		_, repeat, err := w.bus.Publish(w.ctx(), bus.Message{Subject: "kf.outcome.x.x.x.accepted.x", Event: e, MsgID: "probe"})
		w.must(err)
		return repeat
	}
	probe()
	s, err := w.bus.JS.Stream(w.ctx(), events.StreamOutcome)
	w.must(err)
	cfg := s.CachedInfo().Config
	update := func(window time.Duration) {
		cfg.Duplicates = window
		_, err := w.bus.JS.UpdateStream(w.ctx(), cfg)
		w.must(err)
	}
	window, asked := cfg.Duplicates, time.Duration(0)
	testkit.Eventually(w, "the broker to forget", func() bool {
		if asked++; asked%40 == 1 { // again and again: it may look at the ids before it knows the new window
			update(100*time.Millisecond + asked)
		}
		return !probe()
	})
	update(window)
}

// A sender dies at each point of a command's way; a fresh one finishes it: one copy, one outcome, one place taken.
func TestCrash(t *testing.T) {
	for _, c := range []struct{ number, step, want string }{
		{"4.1", "decided", "before the reservation"},
		{"4.2", "reserved", "after the reservation, before the request"},
		{"4.3", "effect", "after the platform accepted, before its answer"},
		{"4.4", "posted", "after the answer, before it was written down"},
		{"4.5", "settled", "after it was written down, before the outcome"},
		{"4.6", "published", "after the outcome, before the acknowledgement"},
	} {
		for verb, publish := range map[string]func(w *world, id string){
			events.VerbSend:   func(w *world, id string) { w.send(ann, id) },
			events.VerbRecall: func(w *world, id string) { w.recall(ann, id, "before") },
			events.VerbTransfer: func(w *world, id string) {
				w.command(events.VerbTransfer, ann, id, obj{"service_state": 3, "servicer_userid": "li"})
			},
			events.VerbReply: func(w *world, id string) { w.reply(ann, id, w.enter(ann)) },
		} {
			t.Run(c.number+" "+c.want+" "+verb, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, ackWait(2*time.Second), lanes(2))
				w.servicers("li")
				if verb != events.VerbReply { // who wrote gets no welcome code
					w.says(ann)
				}
				first := w.make(brisk)
				if verb == events.VerbRecall {
					pre := w.start(brisk)
					w.send(ann, "before")
					w.want("before", "accepted")
					w.quiet()
					pre.halt()
				}
				if c.step == "effect" {
					first.killAt("-", 0)
					var once sync.Once
					w.sim.OnEffect(func(call kfsim.Call) {
						if strings.HasPrefix(call.Path, "kf/") {
							once.Do(first.kill)
						}
					})
				} else {
					first.killAt(c.step, 1)
				}
				first.run()
				publish(w, "c")
				first.died()
				w.forget()
				w.start(brisk)
				o := w.await("c")
				tally := w.audit("c")
				switch {
				case verb == events.VerbTransfer && (c.step == "reserved" || c.step == "effect" || c.step == "posted"):
					if o.State != "unknown" { // a transfer is never repeated: by then others may hold the conversation
						t.Errorf("got %s, want unknown", o.State)
					}
				case verb == events.VerbRecall && (c.step == "effect" || c.step == "posted"):
					if o.State != "recalled" && o.State != "unknown" { // a second recall finds nothing
						t.Errorf("got %s, want recalled or unknown", o.State)
					}
				case verb == events.VerbRecall && o.State != "recalled", verb != events.VerbRecall && o.State != "accepted":
					t.Errorf("got %s/%s, want accepted", o.State, o.Reason)
				}
				if verb == events.VerbTransfer && o.State == "accepted" && o.MsgCode == "" {
					t.Error("the transfer's msg_code is lost")
				}
				if verb == events.VerbSend {
					if l, _ := w.ledger(ann); l.Used() != 1 || len(w.sim.Accepted()) != 1 {
						t.Errorf("%d places taken, %d copies accepted; want 1 and 1", l.Used(), len(w.sim.Accepted()))
					}
				}
				t.Log(tally, "attempts:", o.Attempts, "confirmed by:", o.ConfirmedBy)
			})
		}
	}
}

// The inbox dies after it changed the ledger and before anybody was told.
func TestCrashOfTheInbox(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ackWait(2*time.Second))
	w.says(ann)
	pre := w.start(brisk)
	w.send(ann, "c")
	w.want("c", "accepted")
	w.quiet()
	pre.halt()
	first := w.make(brisk).killAt("noted", 1).run()
	w.must(w.sim.FailSend(kfsim.FailSend{OpenKfID: desk, MsgID: msgID(ann, "c"), FailType: 0}))
	w.pump()
	first.died()
	w.forget()
	w.start(brisk)
	w.audit("c")
	if got := w.of("c"); len(got) != 2 || got[1].Corrects != "accepted" {
		t.Errorf("got %d outcomes, want the outcome and its correction", len(got))
	}
}

// A command comes back long after its outcome: the broker has forgotten the outcome's id, the ledger has not forgotten it.
func TestCommandComesBackLongAfter(t *testing.T) {
	w := newWorld(t)
	w.says(ann)
	w.start()
	var list []string
	for _, id := range ids("c", 7) { // five accepted, two refused
		w.send(ann, id)
		w.await(id)
		list = append(list, id)
	}
	for range 2 {
		w.quiet()
		w.forget()
		for _, id := range list {
			w.command(events.VerbSend, ann, "", with(text(), obj{"command_id": id}))
		}
	}
	tally := w.audit(list...)
	if got := len(w.sim.Accepted()); got != 5 || tally["accepted"] != 5 {
		t.Errorf("got %v and %d copies, want 5 and 5", tally, got)
	}
}

// A sender dies when the platform has accepted a message, and the ledger is lost: nobody may say that it was not delivered.
func TestLedgerLostUnderWay(t *testing.T) {
	for name, c := range map[string]struct {
		pass time.Duration
		want string
	}{
		"repeated":           {0, "accepted"},
		"too late to repeat": {time.Hour, "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, ackWait(2*time.Second), lanes(2))
			w.says(ann)
			first := w.make(brisk).killAt("-", 0)
			var once sync.Once
			w.sim.OnEffect(func(call kfsim.Call) {
				if call.Path == "kf/send_msg" {
					once.Do(first.kill)
				}
			})
			first.run()
			w.noted()
			w.send(ann, "c")
			first.died()
			w.purgeLedger(ann)
			w.pass(c.pass)
			w.newToken()
			w.start(brisk)
			o := w.want("c", c.want)
			w.audit("c")
			if got := len(w.sim.Accepted()); got != 1 {
				t.Errorf("%d copies accepted, want 1", got)
			}
			t.Log("attempts:", o.Attempts, "confirmed by:", o.ConfirmedBy)
		})
	}
}

// deliverOn hands the same command to a sender as a lane would.
func (w *world) deliverOn(r *replica, user, id string) error {
	data, err := json.Marshal(text())
	if err != nil {
		return err
	}
	j, err := r.read(bus.Stored{Subject: events.CommandSubject(team, corp, desk, events.VerbSend, user), Time: r.now(),
		Header: nats.Header{"Nats-Msg-Id": {id}}, Data: data})
	if err != nil {
		return err
	}
	return r.deliver(context.Background(), j)
}

// Two replicas have one command: the lane's patience ran out.
func TestOneCommandInTwoHands(t *testing.T) {
	t.Parallel()
	const commands = 50
	w := newWorld(t)
	a, b := w.make(brisk), w.make(brisk)
	var g errgroup.Group
	list := ids("c", commands)
	for i, id := range list {
		user := fmt.Sprintf("wmTWO%d", i)
		w.customer(user)
		w.says(user)
		for _, r := range []*replica{a, b} {
			g.Go(func() error { return w.deliverOn(r, user, id) })
		}
	}
	w.must(g.Wait())
	a.run()
	tally := w.audit(list...)
	if posts := w.posts(apiSend); tally["accepted"] != commands || posts != commands {
		t.Errorf("got %v with %d requests, want %d accepted, each by one request", tally, posts, commands)
	}
}

// A sender stalls after its reservation, another takes over, and the first wakes up.
func TestStalledSenderDoesNotPost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.says(ann)
	a, b := w.make(brisk), w.make(brisk)
	stalled, resume := make(chan struct{}), make(chan struct{})
	var once sync.Once
	a.step = func(name string) {
		if name == "reserved" {
			once.Do(func() { close(stalled); <-resume })
		}
	}
	var g errgroup.Group
	g.Go(func() error { return w.deliverOn(a, ann, "c") })
	<-stalled
	w.must(w.deliverOn(b, ann, "c"))
	close(resume)
	w.must(g.Wait())
	if o := w.want("c", "accepted"); o.Attempts != 2 {
		t.Errorf("got %d attempts, want the stalled one and the other's", o.Attempts)
	}
	if posts := w.posts(apiSend); posts != 1 || counter(t, a.reg, "kf_sender_fenced_total") != 1 {
		t.Errorf("got %d requests, want 1: the stalled sender must see that its decision is old", posts)
	}
	b.run()
	w.audit("c")
}

// A sender that only noticed itself that it was slow gives its reservation back and goes on.
func TestShortStallIsDecidedAgain(t *testing.T) {
	w := newWorld(t)
	w.says(ann)
	a := w.make()
	var once sync.Once
	a.step = func(name string) {
		if name == "reserved" {
			once.Do(func() { a.skew.Add(int64(1500 * time.Millisecond)) })
		}
	}
	w.must(w.deliverOn(a, ann, "c"))
	if o := w.want("c", "accepted"); o.Attempts != 2 || w.posts(apiSend) != 1 {
		t.Errorf("got %d attempts and %d requests, want 2 and 1", o.Attempts, w.posts(apiSend))
	}
}

// proxy is a link to the broker whose answers can be kept back.
type proxy struct {
	net.Listener
	to    string
	until atomic.Int64 // answers wait until then; Unix nanoseconds
}

func (p *proxy) serve() {
	for {
		c, err := p.Accept()
		if err != nil {
			return
		}
		s, err := net.Dial("tcp", p.to)
		if err != nil {
			_ = c.Close()
			continue
		}
		go func() { _, _ = io.Copy(s, c); _ = s.Close() }()
		go func() {
			defer c.Close()
			buf := make([]byte, 32<<10)
			for {
				n, err := s.Read(buf)
				if err != nil {
					return
				}
				if d := time.Until(time.Unix(0, p.until.Load())); d > 0 {
					<-time.After(d)
				}
				if _, err := c.Write(buf[:n]); err != nil {
					return
				}
			}
		}()
	}
}

// The broker's answer to a write of the ledger is lost, or late: 4.12.
func TestLostAnswerOfTheLedger(t *testing.T) {
	for _, c := range []struct {
		name, step string
		nth        int
		stall      time.Duration
	}{
		{"the reservation's is late", "decided", 1, 700 * time.Millisecond},
		{"the reservation's is lost", "decided", 1, 2500 * time.Millisecond},
		{"the settlement's is late", "posted", 1, 700 * time.Millisecond},
		{"the settlement's is lost", "posted", 1, 2500 * time.Millisecond},
		{"the outcome's is lost", "settled", 1, 2500 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, ackWait(3*time.Second), lanes(2))
			w.says(ann)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			w.must(err)
			p := &proxy{Listener: l, to: strings.TrimPrefix(w.srv.URL(), "nats://")}
			t.Cleanup(func() { _ = l.Close() })
			go p.serve()
			r := w.make(brisk)
			r.bus.NC.Close()
			b, err := bus.Connect(bus.Config{URL: "nats://" + l.Addr().String(), Timeout: 500 * time.Millisecond}, "sender", zerolog.New(&w.logs))
			w.must(err)
			t.Cleanup(b.NC.Close)
			r.bus, r.outlet.bus, r.limits.bus = b, b, b
			var once sync.Once
			r.step = func(name string) {
				if name == c.step {
					once.Do(func() { p.until.Store(time.Now().Add(c.stall).UnixNano()) })
				}
			}
			r.run()
			w.send(ann, "c")
			o := w.want("c", "accepted")
			w.audit("c")
			if l, _ := w.ledger(ann); l.Used() != 1 {
				t.Errorf("%d places taken, want 1", l.Used())
			}
			t.Log("attempts:", o.Attempts, "confirmed by:", o.ConfirmedBy, "requests:", w.posts(apiSend))
		})
	}
}

// Commands that waited out a long stop of all senders are not sent late: 4.19.
func TestStaleCommandsExpire(t *testing.T) {
	for _, down := range []time.Duration{15 * time.Minute, 3 * time.Hour} {
		t.Run(down.String(), func(t *testing.T) { staleCommandsExpire(t, down) })
	}
}

func staleCommandsExpire(t *testing.T, down time.Duration) {
	const n = 100
	w := newWorld(t)
	list := ids("c", n)
	for i, id := range list {
		user := fmt.Sprintf("wmSTALE%d", i%20)
		if i < 20 {
			w.customer(user)
			w.says(user)
		}
		w.send(user, id)
	}
	w.pass(down)
	w.newToken()
	w.start()
	tally := w.audit(list...)
	if tally["expired"] != n || w.posts(apiSend) != 0 {
		t.Errorf("got %v and %d requests, want %d expired and none", tally, w.posts(apiSend), n)
	}
}

// Senders die at random while commands of many conversations come: one outcome each, no copy twice, and in each
// conversation the order of the commands.
func TestRandomCrashes(t *testing.T) {
	t.Parallel()
	const conversations, commands, kills = 12, 5, 10
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 1))
	w := newWorld(t, ackWait(2*time.Second))
	patient := func(c *Config) { brisk(c); c.Tries = kills + 1 } // one command may meet every crash; with fewer tries it ends as unknown
	steps := []string{"decided", "reserved", "posted", "settled", "published"}
	var list []string
	for i := range conversations {
		user := fmt.Sprintf("wmCHAOS%d", i)
		w.customer(user)
		w.says(user)
	}
	current := w.make(patient).killAt(steps[dice.IntN(len(steps))], 1+int64(dice.IntN(3)))
	current.run()
	for n := range commands {
		for i := range conversations {
			id := fmt.Sprintf("k%d-%d", i, n)
			w.send(fmt.Sprintf("wmCHAOS%d", i), id)
			list = append(list, id)
		}
	}
	died := 0
	for died < kills {
		current.died()
		died++
		w.forget()
		current = w.make(patient)
		if died < kills {
			current.killAt(steps[dice.IntN(len(steps))], 1+int64(dice.IntN(3)))
		}
		current.run()
	}
	tally := w.audit(list...)
	if tally["accepted"] != conversations*commands {
		t.Errorf("got %v, want all %d accepted", tally, conversations*commands)
	}
	w.inOrder(list)
	t.Logf("%d senders died: %v, %d requests, %d accepted", died, tally, w.posts(apiSend), len(w.sim.Accepted()))
}

// inOrder checks that messages of one customer were accepted in the order of this list.
func (w *world) inOrder(list []string) {
	w.Helper()
	last := map[string]int{}
	for _, a := range w.sim.Accepted() {
		i := slices.IndexFunc(list, func(id string) bool { return msgID(a.ExternalUserID, id) == a.MsgID })
		if i < 0 {
			continue
		}
		if i < last[a.ExternalUserID] {
			w.Errorf("%s was accepted after a later one of %s", list[i], a.ExternalUserID)
		}
		last[a.ExternalUserID] = i
	}
}

// Replicas come and go in order: nothing is sent twice, nothing is lost, and no lane waits for a crash to be noticed.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var list []string
	for i := range 20 {
		user := fmt.Sprintf("wmROLL%d", i)
		w.customer(user)
		w.says(user)
	}
	_, err := w.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultLatency, Path: "kf/send_msg", Delay: 20 * time.Millisecond})
	w.must(err)
	r := w.start()
	for n := range 5 {
		for i := range 20 {
			id := fmt.Sprintf("roll%d-%d", i, n)
			w.send(fmt.Sprintf("wmROLL%d", i), id)
			list = append(list, id)
		}
		next := w.start()
		r.halt()
		r = next
	}
	tally := w.audit(list...)
	if posts := w.posts(apiSend); tally["accepted"] != len(list) || posts != len(list) {
		t.Errorf("got %v with %d requests, want %d accepted by one each", tally, posts, len(list))
	}
	w.inOrder(list)
}

// A command that is put aside, by a sender that dies at that moment, is still sent once, and in its place.
func TestCrashWhenPutAside(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ackWait(2*time.Second))
	w.servicers("li")
	w.says(ann)
	first := w.start(brisk)
	w.command(events.VerbTransfer, ann, "t", obj{"service_state": 3, "servicer_userid": "li"})
	w.want("t", "accepted")
	w.quiet()
	first.halt()
	second := w.make(brisk).killAt("parked", 1).run()
	w.command(events.VerbSend, ann, "a", with(text(), obj{"in_human_session": "hold"}))
	second.died()
	w.command(events.VerbSend, ann, "b", with(text(), obj{"in_human_session": "hold"}))
	w.start(brisk)
	testkit.Eventually(t, "both to be put aside", func() bool { l, _ := w.ledger(ann); return len(l.Parked) == 2 })
	w.must(w.sim.End(kfsim.ServicerAct{OpenKfID: desk, ExternalUserID: ann, UserID: "li"}))
	w.pass(5 * time.Second)
	w.says(ann)
	w.audit("t", "a", "b")
	w.want("a", "accepted")
	w.want("b", "accepted")
	w.inOrder([]string{"a", "b"})
}

// One msgid was accepted twice: nobody can tell a silent repeat from a second copy, so a person is called.
func TestMsgIDAcceptedTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, personality(kfsim.Personality{RepeatedMsgID: kfsim.RepeatAccept}))
	w.says(ann)
	a, b := w.make(brisk), w.make(brisk)
	stalled, resume := make(chan struct{}), make(chan struct{})
	var once sync.Once
	a.step = func(name string) {
		if name == "posted" { // with the answer in hand
			once.Do(func() { close(stalled); <-resume })
		}
	}
	var g errgroup.Group
	g.Go(func() error { return w.deliverOn(a, ann, "c") })
	<-stalled
	w.must(w.deliverOn(b, ann, "c"))
	close(resume)
	w.must(g.Wait())
	if got := counter(t, a.reg, "kf_sender_msgid_reuse_accepted_total"); got != 1 {
		t.Errorf("the tripwire counted %v, want 1", got)
	}
	b.run()
	w.audit("c")
}
