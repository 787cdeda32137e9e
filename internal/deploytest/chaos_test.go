//go:build container

package deploytest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/natsconf"
	"github.com/kfbus/kfbus/pkg/events"
)

// TestChaos: customers write all the while, a bot answers each message, and one after the other containers are killed, frozen, cut off and
// restarted, brokers and services. Nothing is lost, nothing comes twice, and no outcome is untrue.
func TestChaos(t *testing.T) {
	s := start(t)
	s.up()
	bot := s.bot()
	s.sim("/load", `{"per_second":10,"customers":60}`, nil)
	for _, fault := range []struct {
		name string
		do   func()
	}{
		{"a broker is killed", func() { s.kill("n2"); bot.progress("without n2"); s.compose("start", "n2") }},
		{"a broker freezes", func() { s.compose("pause", "n3"); bot.progress("while n3 is frozen"); s.compose("unpause", "n3") }},
		{"a broker is cut off", func() { s.cut("n2"); bot.progress("while n2 is cut off"); s.mend("n2") }},
		{"services are killed", func() { s.kill("syncer"); s.kill("sender"); s.compose("start", "syncer", "sender") }},
		{"every service restarts", func() { s.compose("restart", "ingress", "syncer", "sender", "tokenkeeper") }},
		{"the brokers restart, one after the other", s.rollBrokers},
	} {
		began := time.Now()
		fault.do()
		s.green()
		bot.progress("after: " + fault.name)
		t.Logf("%s: %v", fault.name, time.Since(began).Round(100*time.Millisecond))
	}
	s.end()
	s.checkInbound()
	bot.checkOutbound()
}

// kill ends every container of a service as a power cut does.
func (s *stack) kill(service string) { s.Helper(); s.compose("kill", "--signal", "KILL", service) }

func (s *stack) network() string { return s.project + "_bus" }

// cut takes a server off the network; its connections notice nothing but silence.
func (s *stack) cut(service string) {
	s.Helper()
	must(s.T, "network", "disconnect", s.network(), s.project+"-"+service+"-1")
}

func (s *stack) mend(service string) {
	s.Helper()
	must(s.T, "network", "connect", "--alias", service, s.network(), s.project+"-"+service+"-1")
}

// rollBrokers restarts them in order; the next only when the one before has caught up.
func (s *stack) rollBrokers() {
	s.Helper()
	for _, n := range []string{"n3", "n2", "n1"} {
		s.compose("restart", n)
		s.green()
	}
}

// green waits until every container is healthy again; topology is a job, and has done its work.
func (s *stack) green() {
	s.Helper()
	s.eventually("every container to be healthy", func() bool {
		for line := range strings.Lines(s.compose("ps", "--all", "--format", "{{.Service}} {{.Health}}")) {
			if line = strings.TrimSpace(line); line != "topology" && !strings.HasSuffix(line, " healthy") {
				return false
			}
		}
		return true
	})
}

// end lets the customers stop, and waits until everything they wrote is stored.
func (s *stack) end() {
	s.Helper()
	req, err := command(s.Context(), "", nil, "curl", "-fsS", "-X", "DELETE", "http://127.0.0.1:"+s.ports["SIM_CONTROL"]+"/load")
	if err != nil {
		s.Fatalf("end the load: %s, %v", req, err)
	}
	want := len(s.items())
	b := s.as(natsconf.Operator)
	var own []string // events that the sender makes
	for _, name := range events.WindowEvents() {
		own = append(own, "kf.event.*.*."+name+".>")
	}
	s.eventually(fmt.Sprintf("%d items to be stored", want), func() bool {
		ours := countOf(b, own...)
		return ours >= 0 && countOf(b, "kf.message.>", "kf.event.>", "kf.history.>")-ours >= want
	})
}

type item struct {
	MsgID string
	Raw   json.RawMessage
}

func (s *stack) items() (out []item) {
	s.Helper()
	s.sim("/items?open_kfid="+account, "", &out)
	return out
}

func countOf(b *bus.Bus, filters ...string) int {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	st, err := b.JS.Stream(ctx, events.StreamMessage)
	if err != nil {
		return -1
	}
	n := 0
	for _, f := range filters {
		info, err := st.Info(ctx, jetstream.WithSubjectFilter(f))
		if err != nil {
			return -1
		}
		for _, c := range info.State.Subjects {
			n += int(c)
		}
	}
	return n
}

// checkInbound holds the stream against the platform: the same items, once each, in order, byte for byte.
func (s *stack) checkInbound() {
	s.Helper()
	want, i, doubled, seen := s.items(), 0, 0, map[string]bool{}
	err := s.read(events.StreamMessage, []events.Kind{events.KindMessage, events.KindEvent, events.KindHistory}, func(m bus.Stored) error {
		e, err := m.Event()
		if err != nil {
			return err
		}
		if e.Extensions()[events.ExtSeq] == nil { // an event of our own
			return nil
		}
		if seen[e.ID()] {
			doubled++
		}
		seen[e.ID()] = true
		if i < len(want) && (e.ID() != want[i].MsgID || string(e.Data()) != string(want[i].Raw)) {
			return fmt.Errorf("item %d is %s, want %s", i, e.ID(), want[i].MsgID)
		}
		i++
		return nil
	})
	if err != nil || i != len(want) || doubled > 0 {
		s.Errorf("the platform has %d items, stored are %d, %d of them doubled: %v", len(want), i, doubled, err)
	}
	s.Logf("%d items: lost %d, twice %d", len(want), len(want)-len(seen), doubled)
}

// read hands out all that a stream holds of some kinds, in order, from its leader; while there is none it asks again.
func (s *stack) read(stream string, kinds []events.Kind, each func(bus.Stored) error) error {
	s.Helper()
	b := s.as(natsconf.Operator)
	for next := uint64(1); ; {
		var m bus.Stored
		var err error
		s.eventually("an answer of "+stream, func() bool {
			m, err = b.Next(s.Context(), stream, next, ">")
			return err == nil || errors.Is(err, bus.ErrNotFound)
		})
		if err != nil {
			return nil //nolint:nilerr // not found: that was all
		}
		next = m.Seq + 1
		if subject, err := m.Published(); err != nil || !slices.Contains(kinds, subject.Kind) {
			continue
		}
		if err := each(m); err != nil {
			return err
		}
	}
}

// bot answers every message of a customer, as the team demo.
type bot struct {
	*stack
	mu   sync.Mutex
	sent map[string]bool // command ids
}

func (s *stack) bot() *bot {
	s.Helper()
	b := &bot{stack: s, sent: map[string]bool{}}
	c := s.as("team-demo")
	js, err := jetstream.NewWithDomain(c.NC, natsconf.Domain)
	if err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
	defer cancel()
	d, err := js.Consumer(ctx, events.StreamMessage, "team-demo")
	if err != nil {
		s.Fatal(err)
	}
	cc, err := d.Consume(func(m jetstream.Msg) { b.answer(c, m) }, jetstream.PullHeartbeat(5*time.Second), jetstream.PullExpiry(30*time.Second))
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(cc.Stop)
	return b
}

// answer publishes one command for a message, again until it is stored: a repetition does no harm. The message is acknowledged after it.
func (b *bot) answer(c *bus.Bus, m jetstream.Msg) {
	e, err := bus.Decode(m.Headers(), m.Data())
	s, serr := events.ParseSubject(m.Subject())
	if err != nil || serr != nil || s.Kind != events.KindMessage {
		_ = m.Ack() // an event
		return
	}
	id := "answer-" + e.ID()
	subject := events.CommandSubject("demo", s.Corp, s.Account, events.VerbSend, s.User)
	for b.Context().Err() == nil {
		ctx, cancel := context.WithTimeout(b.Context(), 5*time.Second)
		_, err := c.JS.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: []byte(`{"msgtype":"text","text":{"content":"answer"}}`), Header: nats.Header{"Nats-Msg-Id": {id}}})
		cancel()
		if err == nil {
			break
		}
	}
	b.mu.Lock()
	b.sent[id] = true
	b.mu.Unlock()
	_ = m.Ack() // lost, it comes again, and so does the command
}

func (b *bot) answers() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.sent)
}

// progress waits for forty more answers.
func (b *bot) progress(when string) {
	b.Helper()
	want := b.answers() + 40
	b.eventually("answers "+when, func() bool { return b.answers() >= want })
}

// checkOutbound: every command has one terminal outcome, and the platform took a message where it says so and nowhere else.
func (b *bot) checkOutbound() {
	b.Helper()
	want := countOf(b.as(natsconf.Operator), "kf.message.>")
	b.eventually(fmt.Sprintf("%d messages to be answered", want), func() bool { return b.answers() >= want })
	var all map[string][]events.Outcome
	b.eventually(fmt.Sprintf("%d outcomes", want), func() bool {
		all = map[string][]events.Outcome{}
		err := b.read(events.StreamOutcome, []events.Kind{events.KindOutcome}, func(m bus.Stored) error {
			e, err := m.Event()
			var o events.Outcome
			if err = errors.Join(err, json.Unmarshal(e.Data(), &o)); err == nil {
				all[o.CommandID] = append(all[o.CommandID], o)
			}
			return err
		})
		return err == nil && len(all) >= want
	})
	var sends []struct{ MsgID, Window string }
	b.sim("/sends", "", &sends)
	copies, windows, states := map[string]int{}, map[string]int{}, map[string]int{}
	for _, x := range sends {
		copies[x.MsgID]++
		windows[x.Window]++
	}
	for id := range b.sent {
		var terminal []events.Outcome
		for _, o := range all[id] {
			if o.Corrects == "" {
				terminal = append(terminal, o)
			}
		}
		if len(terminal) != 1 {
			b.Errorf("%s has %d terminal outcomes", id, len(terminal))
			continue
		}
		o := terminal[0]
		states[o.State]++
		n := copies[o.MsgID]
		if o.State == events.StateAccepted && n != 1 || o.State != events.StateAccepted && o.State != events.StateUnknown && o.MsgID != "" && n != 0 || n > 1 {
			b.Errorf("%s is %s, and the platform took %d copies", id, o.State, n)
		}
	}
	for w, n := range windows {
		if w != "" && n > 5 {
			b.Errorf("window %s: %d messages", w, n)
		}
	}
	b.Logf("%d commands, %d taken by the platform, outcomes %s", len(b.sent), len(sends), strings.TrimPrefix(fmt.Sprint(states), "map"))
}
