package api

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/internal/tokens"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// Every call in the table that takes JSON answers: with the platform's bytes, or with a refusal that says whose it is.
func TestEveryCallAnswers(t *testing.T) {
	r := newRig(t)
	p := r.start()
	for _, e := range kfapi.Endpoints() {
		if _, no := refused()[e.Path]; no || e.Style != kfapi.StyleJSON {
			continue
		}
		m := r.ask(short(e.Path), "")
		if m.Header.Get(micro.ErrorCodeHeader) == "" && !json.Valid(m.Data) {
			t.Errorf("%s: got %q", e.Path, m.Data)
		}
		if m.Header.Get(micro.ErrorCodeHeader) != "" && m.Header.Get(HeaderSent) == "" {
			t.Errorf("%s: the refusal does not say whether the platform got it: %v", e.Path, m.Header)
		}
	}
	for path, body := range map[string]string{
		"kf/account/list":      `{"offset":0,"limit":100}`,
		"kf/service_state/get": `{"open_kfid":"` + desk + `","external_userid":"` + ann + `"}`,
		"kf/sync_msg":          `{"open_kfid":"` + desk + `","limit":10}`,
	} {
		want, err := p.client.Call(testkit.Context(t), r.creds.get(), path, json.RawMessage(body))
		r.must(err)
		if got := r.ask(short(path), body); string(got.Data) != string(want) || len(got.Header) > 0 {
			t.Errorf("%s: got %s with %v, want the platform's own %s", path, got.Data, got.Header, want)
		}
	}
	if n := p.counted("sync_msg", resultOK); n < 1 {
		t.Errorf("sync_msg counted %v times as ok", n)
	}
}

func TestRefusedHereWithoutACall(t *testing.T) {
	r := newRig(t)
	p := r.start()
	for name, c := range map[string]struct{ path, body, header, code string }{
		"limit":               {"account/list", `{"limit":101}`, "", "400"},
		"wrong type":          {"account/list", `{"limit":"` + canary + `"}`, "", "400"},
		"no JSON":             {"account/list", `{"limit":`, "", "400"},
		"an array":            {"account/list", `[]`, "", "400"},
		"a field twice":       {"account/list", `{"limit":1,"limit":2}`, "", "400"},
		"missing field":       {"service_state/get", `{}`, "", "400"},
		"timeout of words":    {"account/list", `{}`, "soon", "400"},
		"timeout of nothing":  {"account/list", `{}`, "0s", "400"},
		"too large":           {"account/list", `{"x":"` + strings.Repeat("x", maxRequest) + `"}`, "", "413"},
		"media without id":    {"media/get", `{}`, "", "400"},
		"media of a strange":  {"media/get", `{"media_id":"m","rang":"bytes=0-1"}`, "", "400"},
		"media, broken range": {"media/get", `{"media_id":"m","range":"bytes=9-1"}`, "", "400"},
		"upload of nothing":   {"media/upload", `{"type":"file","filename":"a"}`, "", "400"},
		"upload of two":       {"media/upload", `{"type":"file","filename":"a","object":"o","data":"AAAA"}`, "", "400"},
		"upload from a KV":    {"media/upload", `{"type":"file","filename":"a","object":"o","bucket":"a.b"}`, "", "400"},
	} {
		headers := []string{}
		if c.header != "" {
			headers = []string{"kf-timeout", c.header} // whatever its case
		}
		m := r.ask(c.path, c.body, headers...)
		body := r.refusedAs(m, c.code, "param", "no")
		if body.Errcode != nil || m.Header.Get(HeaderErrcode) != "" {
			t.Errorf("%s: got errcode %v, want none: the platform said nothing", name, body.Errcode)
		}
		if strings.Contains(string(m.Data), canary) {
			t.Errorf("%s: the refusal repeats the request: %s", name, m.Data)
		}
	}
	for _, e := range Calls() {
		if n := r.sim.Calls(e.Path); n > 0 {
			t.Errorf("%s was called %d times", e.Path, n)
		}
	}
	if len(p.limits.took) > 0 {
		t.Errorf("what is refused here took its turns of %v", p.limits.took)
	}
}

func TestCommandsAndSecretsAreElsewhere(t *testing.T) {
	r := newRig(t)
	r.start()
	for path, word := range map[string]string{"send_msg": ".send.", "send_msg_on_event": ".reply.", "recall_msg": ".recall."} {
		m := r.ask(path, `{}`)
		r.refusedAs(m, "405", "command", "no")
		if text := m.Header.Get(micro.ErrorHeader); !strings.Contains(text, "kf.command.<team>") || !strings.Contains(text, word) {
			t.Errorf("%s: got %q, want where to publish", path, text)
		}
	}
	if _, err := r.try("no/such_call", `{}`); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("an unknown call: got %v, want no responders", err)
	}
}

// An errcode passes with all that is known of it, and one that nobody knows passes as it is.
func TestErrcodesPass(t *testing.T) {
	r := newRig(t)
	p := r.start()
	for _, c := range []struct {
		errcode              int
		code, category, text string
	}{
		{40058, "400", "param", "errcode 40058"}, {48002, "403", "perm", "errcode 48002"}, {95004, "404", "notfound", "errcode 95004"},
		{95013, "409", "state", "session has ended"}, {-1, "503", "transient", "system busy"}, {45009, "429", "freq", "errcode 45009"},
		{40001, "401", "auth", "errcode 40001"}, {987654, "500", "unknown", "errcode 987654: not in the catalogue"},
	} {
		id, err := r.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultErrCode, Path: "kf/account/list", ErrCode: c.errcode})
		r.must(err)
		m := r.ask("account/list", `{}`)
		body := r.refusedAs(m, c.code, c.category, "yes")
		if body.Errcode == nil || *body.Errcode != c.errcode || !strings.Contains(m.Header.Get(micro.ErrorHeader), c.text) {
			t.Errorf("%d: got %s, %q", c.errcode, m.Data, m.Header.Get(micro.ErrorHeader))
		}
		if (c.errcode == 45009) != (m.Header.Get(HeaderRetry) == "60") {
			t.Errorf("%d: got %s %q", c.errcode, HeaderRetry, m.Header.Get(HeaderRetry))
		}
		r.sim.RemoveFault(id)
	}
	if !slices.Equal(p.limits.shut, []string{"account/list"}) {
		t.Errorf("paused %v, want account/list once, after 45009", p.limits.shut)
	}
}

func TestARefusedTokenIsReplacedOnce(t *testing.T) {
	r := newRig(t)
	r.start()
	_, err := r.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultRevokeToken, Path: "kf/account/list", Count: 1})
	r.must(err)
	if m := r.ask("account/list", `{}`); m.Header.Get(micro.ErrorCodeHeader) != "" {
		t.Errorf("got %v %s, want the list", m.Header, m.Data)
	}
	if n := r.sim.Calls("kf/account/list"); n != 2 || r.creds.times != 1 {
		t.Errorf("called %d times with %d new tokens, want 2 and 1", n, r.creds.times)
	}
	r.creds.none = tokens.ErrNone
	r.refusedAs(r.ask("account/list", `{}`), "503", "busy", "no")
}

// A caller that waits too short learns that the platform may have acted.
func TestNoAnswer(t *testing.T) {
	r := newRig(t)
	p := r.start()
	for _, c := range []struct {
		name, kind, code, category, sent string
	}{
		{"no answer in time", kfsim.FaultAcceptThenHang, "504", "timeout", "maybe"},
		{"cut after it was read", kfsim.FaultResetAfter, "502", "network", "maybe"},
		{"half an answer", kfsim.FaultGarbageAfter, "502", "network", "maybe"},
		{"a gateway's answer", kfsim.FaultHTTP500After, "502", "network", "maybe"},
	} {
		id, err := r.sim.AddFault(kfsim.Fault{Kind: c.kind, Path: "kf/account/list"})
		r.must(err)
		start := time.Now()
		m := r.ask("account/list", `{}`, HeaderTimeout, "200ms")
		r.refusedAs(m, c.code, c.category, c.sent)
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s: took %v, want the caller's own 200ms", c.name, took)
		}
		r.sim.RemoveFault(id)
	}
	r.http.Close()
	p.client.CloseIdleConnections() // one that looks alive would be written to
	r.refusedAs(r.ask("account/list", `{}`), "503", "network", "no")
}

// A call whose turn comes too late is refused at once; one whose turn comes in time waits for it.
func TestTurns(t *testing.T) {
	r := newRig(t)
	p := r.start()
	p.limits.wait = 42 * time.Second
	body := r.refusedAs(r.ask("account/list", `{}`), "429", "freq", "no")
	if body.RetryAfter != 42 || r.sim.Calls("kf/account/list") != 0 {
		t.Errorf("got retry_after %d after %d calls, want 42 after none", body.RetryAfter, r.sim.Calls("kf/account/list"))
	}
	p.limits.mu.Lock()
	p.limits.wait = 50 * time.Millisecond
	p.limits.mu.Unlock()
	start := time.Now()
	if m := r.ask("account/list", `{}`); m.Header.Get(micro.ErrorCodeHeader) != "" || time.Since(start) < 50*time.Millisecond {
		t.Errorf("got %v after %v, want an answer after its turn", m.Header, time.Since(start))
	}
}

// A pause that begins while a call waits for its turn holds that call up too.
func TestAPauseWhileItWaits(t *testing.T) {
	r := newRig(t)
	p := r.start()
	p.limits.wait, p.limits.paused = 10*time.Millisecond, time.Minute
	body := r.refusedAs(r.ask("account/list", `{}`), "429", "freq", "no")
	if body.RetryAfter != 60 || r.sim.Calls("kf/account/list") != 0 {
		t.Errorf("got retry_after %d after %d calls, want 60 after none", body.RetryAfter, r.sim.Calls("kf/account/list"))
	}
}

// Whoever gave too little time is told so, and not that calls are too frequent.
func TestNoTimeLeft(t *testing.T) {
	r := newRig(t)
	r.start()
	r.refusedAs(r.ask("account/list", `{}`, HeaderTimeout, "1ns"), "504", "timeout", "no")
	if n := r.sim.Calls("kf/account/list"); n != 0 {
		t.Errorf("%d calls were made, want none", n)
	}
}

// With all hands full the next request is refused at once, and calls with files have hands of their own.
func TestBusy(t *testing.T) {
	r := newRig(t)
	p := r.start(func(c *Config) { c.InHand = 1 })
	inside, leave := make(chan struct{}), make(chan struct{})
	t.Cleanup(r.sim.OnRequest(func(c kfsim.Call) {
		if c.Path == "kf/account/list" {
			close(inside)
			<-leave
		}
	}))
	var first *nats.Msg
	var wg sync.WaitGroup
	wg.Go(func() { first, _ = r.try("account/list", `{}`) })
	<-inside
	r.refusedAs(r.ask("service_state/get", `{}`), "503", "busy", "no")
	r.refusedAs(r.ask("media/get", `{}`), "400", "param", "no")

	p.stop() // and the one in hand is still answered
	testkit.Eventually(t, "the requests to go elsewhere", func() bool {
		_, err := r.try("account/list", `{}`)
		return errors.Is(err, nats.ErrNoResponders)
	})
	select {
	case <-p.done:
		t.Error("it stopped with a request in hand")
	default:
	}
	close(leave)
	<-p.done
	wg.Wait()
	if first == nil || !strings.Contains(string(first.Data), desk) {
		t.Errorf("the request in hand got %+v, want the list", first)
	}
}

// A reply subject is no way to write where only the sender may.
func TestRepliesGoToCallersOnly(t *testing.T) {
	r := newRig(t)
	r.start()
	for _, to := range []string{"kf.outcome.team.corp.desk.accepted.ann", "$KV.kf_throttle.key", "$JS.API.STREAM.PURGE.KF_MESSAGE"} {
		sub, err := r.bus.NC.SubscribeSync(to)
		r.must(err)
		for _, path := range []string{"account/list", "send_msg"} {
			before := r.sim.Calls("kf/account/list")
			r.must(r.bus.NC.PublishRequest(events.APISubject(corp, path), to, []byte(`{}`)))
			r.ask(path, `{}`) // comes after it
			if n := r.sim.Calls("kf/account/list") - before; path == "account/list" && n != 1 {
				t.Errorf("%s with a reply to %s: %d calls, want only the good one's", path, to, n)
			}
		}
		r.must(r.bus.NC.Flush())
		if n, _, err := sub.Pending(); n != 0 || err != nil {
			t.Errorf("%d replies went to %s (%v), want none", n, to, err)
		}
		r.must(sub.Unsubscribe())
	}
}

func TestReplicasShareTheLoad(t *testing.T) {
	r := newRig(t)
	a, b := r.start(), r.start()
	const n = 100
	for range n {
		r.ask("account/list", `{}`)
	}
	if x, y := served(a), served(b); x+y != n || x < n/5 || y < n/5 {
		t.Errorf("two replicas answered %d and %d of %d", x, y, n)
	}
	if calls := r.sim.Calls("kf/account/list"); calls != n {
		t.Errorf("the platform was called %d times for %d requests", calls, n)
	}
}

func served(p *replica) int {
	n := 0
	for _, e := range p.endpoints {
		n += int(e.requests.Load())
	}
	return n
}

// A transition is handed on, and only one that the platform accepted.
func TestATransitionIsHandedOn(t *testing.T) {
	r := newRig(t)
	p := r.start()
	r.refusedAs(r.ask("service_state/trans", `{"open_kfid":"`+desk+`","external_userid":"`+ann+`","service_state":3,"servicer_userid":"nobody"}`),
		"409", "state", "yes")
	r.ask("service_state/trans", `{"open_kfid":"`+desk+`","external_userid":"`+ann+`","service_state":2}`)
	p.stop()
	<-p.done
	if want := (kfapi.ServiceStateTransRequest{OpenKfID: desk, ExternalUserID: ann, ServiceState: 2}); len(p.moved) != 1 || p.moved[0] != want {
		t.Errorf("handed on %+v, want %+v", p.moved, want)
	}
}

func TestInfoListsEveryCall(t *testing.T) {
	r := newRig(t)
	r.start()
	m, err := r.bus.NC.RequestWithContext(testkit.Context(t), "$SRV.INFO."+ServiceName, nil)
	r.must(err)
	const most = 256 << 10 // of the 1 MiB that a broker lets pass by default
	if len(m.Data) > most {
		t.Errorf("INFO is %d bytes, want at most %d", len(m.Data), most)
	}
	var info micro.Info
	r.must(json.Unmarshal(m.Data, &info))
	found := map[string]micro.EndpointInfo{}
	for _, e := range info.Endpoints {
		found[e.Subject] = e
	}
	for _, call := range Calls() {
		path := call.Path
		e, ok := found[events.APISubject(corp, short(path))]
		var schema struct {
			Type       string         `json:"type"`
			Properties map[string]any `json:"properties"`
		}
		r.must(json.Unmarshal([]byte(e.Metadata["schema"]), &schema))
		if !ok || e.Metadata["path"] != "/cgi-bin/"+path || e.Metadata["summary"] == "" || e.Metadata["method"] == "" || schema.Type != "object" {
			t.Errorf("%s: got %+v", path, e)
		}
	}
	if e := found["kf.api."+corp+".service_state.get"]; e.Metadata["schema"] !=
		`{"properties":{"external_userid":{"type":"string"},"open_kfid":{"type":"string"}},"required":["open_kfid","external_userid"],"type":"object"}` {
		t.Errorf("got schema %s", e.Metadata["schema"])
	}
	t.Logf("%d calls, INFO is %d bytes", len(info.Endpoints), len(m.Data))
}

func TestRunEndsWhenTheConnectionIsClosed(t *testing.T) {
	r := newRig(t)
	p := r.start()
	p.stop()
	<-p.done
	ended := make(chan error, 1)
	go func() { ended <- p.Run(context.WithoutCancel(testkit.Context(t))) }() // again: places are new
	testkit.Eventually(t, "the service to be back", func() bool { m, err := r.try("account/list", `{}`); return err == nil && len(m.Header) == 0 })
	p.Bus.NC.Close()
	if err := <-ended; err == nil {
		t.Error("got nil, want an error: somebody must start it again")
	}
	if p.health.Ready() {
		t.Error("ready without taking requests")
	}
	if err := p.Run(testkit.Context(t)); err == nil {
		t.Error("on a closed connection: got nil, want an error at once")
	}
}
