package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
)

// conv runs `kfbus conv` against the stack.
func (s *stack) conv(args ...string) (code int, out, errs string) {
	s.Helper()
	return kfbus(s.T, append(append([]string{"conv"}, args...), "--nats", s.urls.nats, "--corp", s.corp())...)
}

// known waits until a conversation's view is as it should be, and returns it as `kfbus conv get -o json` prints it.
func (s *stack) known(ok func(events.Conversation) bool) (c events.Conversation) {
	s.Helper()
	testkit.Eventually(s, "the view", func() bool {
		code, out, _ := s.conv("get", s.kf(), s.user(), "-o", "json")
		c = events.Conversation{}
		return code == 0 && json.Unmarshal([]byte(out), &c) == nil && ok(c)
	})
	return c
}

func TestConvGetPassTakeRelease(t *testing.T) {
	s := startStack(t)
	if code, _, errs := s.conv("get", s.kf(), s.user()); code != 1 || !strings.Contains(errs, "no conversation") {
		t.Errorf("before the customer wrote: code %d, %s", code, errs)
	}
	s.say("hi")
	c := s.known(func(c events.Conversation) bool { return c.SendsLeft == 5 })
	if c.LastMessage == nil || c.LastMessage.MsgType != "text" || c.WindowEndsAt == nil {
		t.Errorf("got %+v", c)
	}
	code, out, errs := s.conv("get", s.kf(), s.user())
	for _, want := range []string{s.kf() + " " + s.user(), "open until", "sends left    5", "session       new", "last message", "text " + c.LastMessage.MsgID} {
		if !strings.Contains(out, want) {
			t.Errorf("code %d, %q is missing in:\n%s%s", code, want, out, errs)
		}
	}

	steps := []struct {
		args  []string
		code  int
		state int
		who   string
		want  string // of the output
	}{
		{[]string{"take"}, 0, 1, "", "accepted"},
		{[]string{"pass"}, 0, 2, "", "msg_code"},
		{[]string{"take"}, 1, 2, "", "95016"},
		{[]string{"pass", "--to", "nobody"}, 1, 2, "", "95014"},
		{[]string{"pass", "--to", "lisi"}, 0, 3, "lisi", "accepted"},
		{[]string{"release"}, 0, 4, "", "accepted"},
		{[]string{"release"}, 1, 4, "", "95013"},
	}
	s.sim.Clock().Advance(5 * time.Second) // what ends in the second of the customer's message begins anew by it
	generation := c.Generation
	for _, st := range steps {
		args := append([]string{st.args[0], s.kf(), s.user()}, st.args[1:]...)
		code, out, errs := s.conv(args...)
		if code != st.code || !strings.Contains(out, st.want) {
			t.Errorf("conv %v: code %d, want %d and %q in %s%s", st.args, code, st.code, st.want, out, errs)
		}
		t.Logf("conv %v: code %d, %s", st.args, code, out)
		c := s.known(func(c events.Conversation) bool { return c.SessionState == st.state && c.Servicer == st.who })
		if passed := st.args[0] == "pass" && st.code == 0; (c.Generation > generation) != passed {
			t.Errorf("conv %v: generation %d after %d", st.args, c.Generation, generation)
		}
		generation = c.Generation
	}
	s.sim.Clock().Advance(5 * time.Second)
	s.say("hello again")
	s.known(func(c events.Conversation) bool { return c.SessionState == 0 && c.SendsLeft == 5 })
}

func TestConvWatch(t *testing.T) {
	s := startStack(t)
	s.say("hi")
	s.known(func(c events.Conversation) bool { return c.SendsLeft == 5 })

	code, out, errs := s.conv("watch", "--all", "-n", "1")
	if code != 0 || !strings.Contains(out, s.user()+" · new · 5 sends left · window open until") {
		t.Errorf("--all: code %d, %s%s", code, out, errs)
	}
	if code, out, errs := s.conv("watch", s.kf(), s.user(), "--all", "-n", "1", "-o", "json"); code != 0 || !json.Valid([]byte(out)) {
		t.Errorf("as JSON: code %d, %s%s", code, out, errs)
	}

	// A change of the conversation that is watched, and none of another.
	other := s.world.customers[1].ExternalUserID
	ctx, stop := context.WithTimeout(t.Context(), testkit.Patience)
	defer stop()
	var o, e bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		args := []string{"conv", "watch", s.kf(), s.user(), "-n", "1", "--nats", s.urls.nats}
		ended <- run(ctx, args, strings.NewReader(""), &o, &e)
	}()
	for n := 0; ; n++ { // until it watches
		if _, err := s.sim.CustomerSays(s.kf(), other, "hi"); err != nil {
			t.Fatal(err)
		}
		s.sim.Clock().Advance(5 * time.Second)
		s.say("again")
		select {
		case code := <-ended:
			if code != 0 || !strings.Contains(o.String(), s.user()) || strings.Contains(o.String(), other) || strings.Count(o.String(), "\n") != 1 {
				t.Errorf("code %d, %s%s; want one line, of %s", code, o.String(), e.String(), s.user())
			}
			return
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("no change was seen, of %d", n)
		}
	}
}

// What happens by itself near the end of a window is told to any NATS client.
func TestWindowEventsReachEverybody(t *testing.T) {
	s := startStack(t)
	next, slot := s.subscribe("kf.message.>"), s.subscribe("kf.event.*.*.last_slot.>")
	outcomes := s.subscribe("kf.outcome.orders.>")
	s.say("hi")
	next()
	for i := range 4 {
		s.publish("send", string(rune('a'+i)), `{"msgtype":"text","text":{"content":"x"}}`)
		if o := outcome(t, outcomes()); o.State != "accepted" {
			t.Fatalf("answer %d: %+v", i, o)
		}
	}
	var e struct {
		ID, Type, Subject, KfOrigin string
		Data                        events.Conversation
	}
	m := slot()
	if err := json.Unmarshal(m.Data, &e); err != nil || e.Type != "io.github.kfbus.event.last_slot.v1" || e.Subject != s.user() || e.KfOrigin != "" ||
		e.Data.SendsLeft != 1 || e.Data.LastSend == nil {
		t.Errorf("got %s, %v", m.Data, err)
	}
}
