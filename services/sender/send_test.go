package sender

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

func TestFiveThenTheSixthIsRefusedHere(t *testing.T) {
	w := newWorld(t)
	w.says(ann)
	w.start()
	list := ids("c", 6)
	for _, id := range list {
		w.send(ann, id)
	}
	for _, id := range list[:5] {
		o := w.want(id, "accepted/")
		if o.MsgID == "" || o.Attempts != 1 || o.ConfirmedBy != "" {
			t.Errorf("outcome of %s: got %+v", id, o.Outcome)
		}
	}
	o := w.want(list[5], "refused/quota_spent")
	if o.SendsLeft == nil || *o.SendsLeft != 0 || o.WindowEndsAt == nil || time.Until(*o.WindowEndsAt) < 47*time.Hour {
		t.Errorf("the refusal does not say how the window is: %+v", o.Outcome)
	}
	if got := w.posts(apiSend); got != 5 {
		t.Errorf("got %d requests, want 5: the sixth is refused before any", got)
	}
	w.pass(10 * time.Second) // what was accepted in the seconds before a message may count after it
	w.says(ann)
	w.noted()
	if v := w.view(ann); v.SendsLeft != 5 || v.SessionState != 0 || v.OpenKfID != desk || v.ExternalUserID != ann || v.Corp != corp {
		t.Errorf("view after the customer's next message: got %+v", v)
	}
	more := ids("d", 5)
	for _, id := range more {
		w.send(ann, id)
	}
	t.Log(w.audit(append(list, more...)...), "requests:", w.posts(apiSend))
	if v := w.view(ann); v.SendsLeft != 0 {
		t.Errorf("view after five more: got %+v", v)
	}
}

func TestWindow(t *testing.T) {
	w := newWorld(t)
	for user, ago := range map[string]time.Duration{"wmOPEN": 48*time.Hour - 90*time.Second, "wmSHARP": 48 * time.Hour, "wmLAST": 48*time.Hour - 20*time.Second} {
		w.customer(user)
		w.wrote(user, ago)
	}
	w.customer("wmNEVER")
	w.start()
	for id, user := range map[string]string{"open": "wmOPEN", "sharp": "wmSHARP", "last": "wmLAST", "never": "wmNEVER"} {
		w.send(user, id)
	}
	w.want("open", "accepted")
	w.want("sharp", "refused/window_closed")
	w.want("last", "refused/window_closed") // half a minute is left for the error of clocks
	w.want("never", "refused/never_opened")
	w.audit("open", "sharp", "last", "never")
	if got := w.posts(apiSend); got != 1 {
		t.Errorf("got %d requests, want 1", got)
	}
}

// An answer may overtake the message that allows it: the inbox has not read it yet.
func TestOvertakingAnswerIsNotRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	w.quiet()
	pause := func(until time.Time) {
		_, err := w.bus.JS.PauseConsumer(w.ctx(), events.StreamMessage, bus.DurableInbox, until)
		w.must(err)
	}
	w.says(ann)
	w.noted()
	for _, id := range ids("c", 5) {
		w.send(ann, id)
		w.want(id, "accepted")
	}
	w.pass(10 * time.Second)
	pause(time.Now().Add(time.Hour))
	w.says(ann)
	// The newest message is a servicer's: the customer's stands before it.
	w.publish([]byte(`{"msgid":"agent1","open_kfid":"wkDESK","external_userid":"wmANN","send_time":` +
		strconv.FormatInt(w.sim.Clock().Now().Unix(), 10) + `,"origin":5,"servicer_userid":"li","msgtype":"text","text":{"content":"x"}}`))
	w.send(ann, "after")
	w.want("after", "accepted")
	w.customer("wmNEW")
	w.says("wmNEW")
	w.send("wmNEW", "first")
	w.want("first", "accepted")
	pause(time.Now())
	w.audit(append(ids("c", 5), "after", "first")...)
}

// Both have read the ledger when four places are taken; only one can write.
func TestTwoSendersRaceForTheFifthPlace(t *testing.T) {
	const conversations = 100
	w := newWorld(t)
	users, list := make([]string, conversations), []string{}
	for i := range users {
		users[i] = fmt.Sprintf("wmRACE%d", i)
		w.customer(users[i])
		w.says(users[i])
	}
	a, b := w.start(), w.start()
	w.noted()
	for i, user := range users {
		for n := range 4 {
			id := fmt.Sprintf("r%d-%d", i, n)
			w.send(user, id)
			list = append(list, id)
		}
	}
	w.audit(list...)
	// Two lanes never have one conversation, so the race is run below them.
	var g errgroup.Group
	for i, user := range users {
		for n, s := range []*replica{a, b} {
			id := fmt.Sprintf("r%d-x%d", i, n)
			list = append(list, id)
			data, err := json.Marshal(text())
			w.must(err)
			j, err := s.read(bus.Stored{Subject: events.CommandSubject(team, corp, desk, "send", user), Time: time.Now(),
				Header: nats.Header{"Nats-Msg-Id": {id}}, Data: data})
			w.must(err)
			g.Go(func() error { return s.deliver(context.Background(), j) })
		}
	}
	w.must(g.Wait())
	tally := w.audit(list...)
	if tally["accepted"] != 5*conversations || tally["refused"] != conversations {
		t.Errorf("got %v, want %d accepted and %d refused", tally, 5*conversations, conversations)
	}
	if got := w.posts(apiSend); got != 5*conversations {
		t.Errorf("got %d requests, want %d", got, 5*conversations)
	}
	for _, u := range users {
		if v := w.view(u); v.SendsLeft != 0 {
			t.Errorf("view of %s: %d sends left, want 0", u, v.SendsLeft)
		}
	}
	t.Log(tally, "conflicts:", counter(t, a.reg, "kf_sender_ledger_conflicts_total")+counter(t, b.reg, "kf_sender_ledger_conflicts_total"))
}

func TestAnswers(t *testing.T) {
	fast := func(c *Config) { c.PostTimeout = 500 * time.Millisecond }
	for _, c := range []struct {
		name     string
		faults   []kfsim.Fault
		p        kfsim.Personality
		change   func(*Config)
		want     string
		by       string
		attempts int
		copies   int
	}{
		{name: "500 after it was accepted", faults: []kfsim.Fault{{Kind: kfsim.FaultHTTP500After, Count: 1}},
			want: "accepted", by: "duplicate", attempts: 2, copies: 1},
		{name: "500 before", faults: []kfsim.Fault{{Kind: kfsim.FaultHTTP500Before, Count: 1}}, want: "accepted", attempts: 2, copies: 1},
		{name: "no answer after it was accepted", faults: []kfsim.Fault{{Kind: kfsim.FaultAcceptThenHang, Count: 1}},
			change: fast, want: "accepted", by: "duplicate", attempts: 2, copies: 1},
		{name: "cut after it was accepted", faults: []kfsim.Fault{{Kind: kfsim.FaultResetAfter, Count: 2}},
			want: "accepted", by: "duplicate", attempts: 3, copies: 1},
		{name: "half an answer", faults: []kfsim.Fault{{Kind: kfsim.FaultGarbageAfter, Count: 1}}, want: "accepted", by: "duplicate", attempts: 2, copies: 1},
		{name: "another's answer", faults: []kfsim.Fault{{Kind: kfsim.FaultGarbageBefore, Body: `<html>portal</html>`, Count: 2}},
			want: "accepted", attempts: 3, copies: 1},
		{name: "an answer without errcode", faults: []kfsim.Fault{{Kind: kfsim.FaultGarbageAfter, Body: `{"ok":true}`, Count: 1}},
			want: "accepted", by: "duplicate", attempts: 2, copies: 1},
		{name: "never any answer", faults: []kfsim.Fault{{Kind: kfsim.FaultGarbageBefore}}, want: "unknown/no_answer", attempts: 4},
		{name: "accepted and never any answer", faults: []kfsim.Fault{{Kind: kfsim.FaultGarbageAfter}}, want: "unknown/no_answer", attempts: 4, copies: 1},
		{name: "accepted silently again", faults: []kfsim.Fault{{Kind: kfsim.FaultHTTP500After, Count: 1}},
			p: kfsim.Personality{RepeatedMsgID: kfsim.RepeatAccept}, want: "accepted", attempts: 2, copies: 1},
		{name: "another code for a repeat", faults: []kfsim.Fault{{Kind: kfsim.FaultHTTP500After, Count: 1}},
			p: kfsim.Personality{RepeatedMsgIDCode: 95999}, change: func(c *Config) { c.DupMsgidCodes = []int{95999} },
			want: "accepted", by: "duplicate", attempts: 2, copies: 1},
		{name: "never posted again where msgids mean nothing", faults: []kfsim.Fault{{Kind: kfsim.FaultHTTP500After, Count: 1}},
			p: kfsim.Personality{RepeatedMsgID: kfsim.RepeatDeliver}, change: func(c *Config) { c.MsgidIdempotent = false },
			want: "unknown/no_answer", attempts: 1, copies: 1},
		{name: "busy twice", faults: []kfsim.Fault{{Kind: kfsim.FaultErrCode, ErrCode: -1, Count: 2}}, want: "accepted", attempts: 3, copies: 1},
		{name: "always busy", faults: []kfsim.Fault{{Kind: kfsim.FaultErrCode, ErrCode: 45033}}, want: "failed/platform_busy", attempts: 4},
		{name: "token refused each time", faults: []kfsim.Fault{{Kind: kfsim.FaultErrCode, ErrCode: 42001}}, want: "failed/platform_token", attempts: 4},
		{name: "its count is ahead of ours", faults: []kfsim.Fault{{Kind: kfsim.FaultErrCode, ErrCode: 95001}}, want: "refused/platform_quota", attempts: 1},
		{name: "an errcode of no document", faults: []kfsim.Fault{{Kind: kfsim.FaultErrCode, ErrCode: 77777}}, want: "refused/platform_undocumented", attempts: 1},
		{name: "a doubt, then a refusal that proves nothing",
			faults: []kfsim.Fault{{Kind: kfsim.FaultHTTP500After, Count: 1}, {Kind: kfsim.FaultErrCode, ErrCode: 95001}},
			want:   "unknown/platform_quota", attempts: 2, copies: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, personality(c.p))
			w.says(ann)
			change := c.change
			if change == nil {
				change = func(*Config) {}
			}
			r := w.start(change)
			w.noted()
			for _, f := range c.faults {
				f.Path = "kf/send_msg"
				_, err := w.sim.AddFault(f)
				w.must(err)
			}
			w.send(ann, "c")
			o := w.want("c", c.want)
			if o.ConfirmedBy != c.by || o.Attempts != c.attempts {
				t.Errorf("got confirmed_by %q after %d attempts, want %q after %d", o.ConfirmedBy, o.Attempts, c.by, c.attempts)
			}
			w.audit("c")
			if got := len(w.sim.Accepted()); got != c.copies {
				t.Errorf("the platform accepted %d copies, want %d", got, c.copies)
			}
			if o.State == "refused" && c.want == "refused/platform_quota" && counter(t, r.reg, "kf_sender_window_disagreements_total") != 1 {
				t.Error("the disagreement was not counted")
			}
		})
	}
}

func TestUnreachableIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.says(ann)
	r := w.make()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	var err error
	away, err := kfapi.New(kfapi.Config{BaseURL: closed.URL})
	w.must(err)
	back := r.api
	r.api = away
	var once sync.Once
	r.step = func(name string) {
		if name == "posted" { // the first attempt found nobody
			once.Do(func() { r.api = back })
		}
	}
	r.run()
	w.send(ann, "c")
	o := w.want("c", "accepted")
	if o.Attempts < 2 {
		t.Errorf("got %d attempts, want one that failed before it", o.Attempts)
	}
	w.audit("c")
}

// counter adds up all series of a metric.
func counter(t testing.TB, reg *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}
