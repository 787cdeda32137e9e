package sender

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// request asks the senders for a call, as any program may; it waits until one of them is there.
func (w *world) request(path string, body any) (m *nats.Msg) {
	w.Helper()
	data, err := json.Marshal(body)
	w.must(err)
	testkit.Eventually(w, "somebody to answer "+path, func() bool {
		m, err = w.bus.NC.RequestWithContext(w.ctx(), events.APISubject(corp, path), data)
		if !errors.Is(err, nats.ErrNoResponders) {
			w.must(err)
		}
		return err == nil
	})
	return m
}

// 45009 to a request pauses that API for the requests of all replicas, and no other API.
func TestRateLimitOfRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t, personality(kfsim.Personality{CallsPerMinute: 3}))
	a, b := w.start(), w.make()
	shut := func() bool { return w.request("account/list", obj{}).Header.Get("Kf-Errcode") == "45009" }
	for range 3 {
		if shut() {
			t.Fatal("paused too soon")
		}
	}
	if !shut() {
		t.Fatal("the platform does not say 45009 to a fourth call")
	}
	a.halt()
	b.run() // it has not heard it itself
	calls := w.posts("account/list")
	m := w.request("account/list", obj{})
	if got := m.Header.Get("Nats-Service-Error-Code") + m.Header.Get("Kf-Errcode") + m.Header.Get("Kf-Sent"); got != "429no" || m.Header.Get("Kf-Retry-After") == "" {
		t.Errorf("got %v, want a refusal of our own", m.Header)
	}
	if n := w.posts("account/list"); n != calls {
		t.Errorf("the other replica made %d calls in the pause", n-calls)
	}
	if m := w.request("service_state/get", obj{"open_kfid": desk, "external_userid": ann}); m.Header.Get("Kf-Errcode") != "" {
		t.Errorf("another API: got %v", m.Header)
	}
}

// Commands and requests for one API share one bucket.
func TestRequestsShareTheBucket(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.start(func(c *Config) { c.CallsPerMinute, c.CallsPerHour = 1, 1 })
	if _, paid := s.limits.Take(w.ctx(), apiTransfer, 0, false); !paid {
		t.Fatal("the first call has to wait")
	}
	m := w.request("service_state/trans", obj{"open_kfid": desk, "external_userid": ann, "service_state": 2})
	if m.Header.Get("Nats-Service-Error-Code") != "429" || w.posts("service_state/trans") != 0 {
		t.Errorf("got %v after %d calls, want 429 after none", m.Header, w.posts("service_state/trans"))
	}
}

// A request that paid for its wait before the pause began waits for the pause as well.
func TestPaidForBeforeThePause(t *testing.T) {
	now := time.Now()
	l := newLimits(nil, corp, testConfig(), testLog(t), func() time.Time { return now })
	a := l.apis[apiTransfer]
	a.asked, a.until = now, now.Add(time.Minute)
	if wait, paid := l.Take(t.Context(), apiTransfer, time.Hour, true); wait != time.Minute || !paid {
		t.Errorf("got %v, %v, want a minute, and not to pay twice", wait, paid)
	}
	now = now.Add(limitsEvery / 2)
	a.until = now
	if wait, paid := l.Take(t.Context(), apiTransfer, 0, true); wait != 0 || !paid {
		t.Errorf("after the pause: got %v, %v, want to go on", wait, paid)
	}
}

// A transition by request is noted as one by command is: the teams are told, and a send is refused without a call.
func TestTransitionByRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.servicers("li")
	w.says(ann)
	w.start()
	w.noted()
	before := w.view(ann)
	m := w.request("service_state/trans", obj{"open_kfid": desk, "external_userid": ann, "service_state": 3, "servicer_userid": "li"})
	var got struct {
		MsgCode string `json:"msg_code"`
	}
	w.must(json.Unmarshal(m.Data, &got))
	if got.MsgCode == "" {
		t.Errorf("got %v %s, want the code for a reply", m.Header, m.Data)
	}
	if v := w.view(ann); v.SessionState != 3 || v.Servicer != "li" || v.Generation <= before.Generation {
		t.Errorf("the teams are told %+v, want that li holds it, in a new generation after %d", v, before.Generation)
	}
	w.send(ann, "late")
	w.want("late", "refused/session_state")
	if n := w.posts(apiSend); n != 0 {
		t.Errorf("posted %d times into a human's session", n)
	}
	w.command(events.VerbSend, ann, "held", with(text(), obj{"in_human_session": "hold"}))
	testkit.Eventually(t, "the command to be held", func() bool { return w.count(events.StreamTimer, "kf.timer.sender.>") > 0 })
	w.request("service_state/trans", obj{"open_kfid": desk, "external_userid": ann, "service_state": 4})
	w.wrote(ann, -time.Second)
	w.want("held", "accepted")
}
