package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/localnats"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

const (
	corp   = "ww0000000000000001"
	desk   = "wkDESK"
	ann    = "wmANN"
	canary = "CANARY-what-a-request-holds" // must never be logged
)

// rig is a broker, a simulated platform, and any number of replicas.
type rig struct {
	testing.TB
	srv   *localnats.Server
	bus   *bus.Bus // a caller's connection
	sim   *kfsim.Sim
	http  *httptest.Server
	creds *credential
	logs  *buffer
}

// credential is what a *tokens.Watcher is: it gets another token when one is refused, once.
type credential struct {
	mu    sync.Mutex
	token string
	fresh func() string
	times int // tokens replaced
	none  error
}

func (c *credential) get() string { c.mu.Lock(); defer c.mu.Unlock(); return c.token }

func (c *credential) Do(ctx context.Context, call func(ctx context.Context, accessToken string) error) error {
	if c.none != nil {
		return c.none
	}
	err := call(ctx, c.get())
	if !kfapi.TokenRejected(err) {
		return err
	}
	c.mu.Lock()
	c.token, c.times = c.fresh(), c.times+1
	c.mu.Unlock()
	return call(ctx, c.get())
}

// buffer collects log lines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *buffer) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }
func (l *buffer) String() string              { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

// limits are a rate limit of which tests decide.
type limits struct {
	mu     sync.Mutex
	wait   time.Duration
	paused time.Duration // what one that is paid for meets after its wait
	took   []string
	shut   []string
}

func (l *limits) Take(_ context.Context, api string, patience time.Duration, paid bool) (time.Duration, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if paid {
		return l.paused, true
	}
	l.took = append(l.took, api)
	return l.wait, l.wait <= patience
}

func (l *limits) Shut(_ context.Context, api string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shut = append(l.shut, api)
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{TB: t, logs: &buffer{}}
	r.bus, r.srv = testkit.Bus(t)
	var err error
	r.sim, err = kfsim.New(kfsim.Config{Seed: 1, Personality: kfsim.Personality{TokenlessPerMinute: -1}})
	r.must(err)
	t.Cleanup(r.sim.Close)
	r.http = httptest.NewServer(r.sim.Platform())
	t.Cleanup(r.http.Close)
	_, err = r.sim.AddCorp(kfsim.Corp{CorpID: corp, Secrets: []string{"secret"}, AgentID: "1"})
	r.must(err)
	_, err = r.sim.AddAccount(kfsim.Account{OpenKfID: desk, Name: "desk"})
	r.must(err)
	_, err = r.sim.AddCustomer(kfsim.Customer{ExternalUserID: ann})
	r.must(err)
	_, err = r.sim.CustomerSays(desk, ann, "hello")
	r.must(err)
	r.creds = &credential{token: r.newToken(), fresh: r.newToken}
	t.Cleanup(func() {
		text := r.logs.String()
		for what, secret := range map[string]string{"what a request held": canary, "the access token": r.creds.get()} {
			if strings.Contains(text, secret) {
				t.Errorf("a log line holds %s", what)
			}
		}
	})
	return r
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) newToken() string {
	resp, err := http.Get(r.http.URL + "/cgi-bin/gettoken?" + url.Values{"corpid": {corp}, "corpsecret": {"secret"}}.Encode())
	if err != nil {
		r.Error(err)
		return ""
	}
	defer resp.Body.Close()
	var got struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		r.Error(err)
	}
	return got.AccessToken
}

// replica is one service that runs.
type replica struct {
	*Service
	limits *limits
	health *service.Health
	moved  []kfapi.ServiceStateTransRequest
	client *kfapi.Client
	reg    *prometheus.Registry
	stop   context.CancelFunc
	done   chan struct{}
}

func (r *rig) start(change ...func(*Config)) *replica {
	r.Helper()
	cfg := Config{Timeout: 10 * time.Second, MediaTimeout: 30 * time.Second, InHand: 32, MediaInHand: 8}
	for _, f := range change {
		f(&cfg)
	}
	p := &replica{limits: &limits{}, health: service.NewHealth(time.Now), reg: prometheus.NewRegistry(), done: make(chan struct{})}
	var err error
	p.client, err = kfapi.New(kfapi.Config{BaseURL: r.http.URL})
	r.must(err)
	p.Service, err = New(cfg, Deps{Log: zerolog.New(r.logs), Metrics: p.reg, Corp: corp, Bus: testkit.Connect(r, r.srv, "sender"),
		API: p.client, Tokens: r.creds, Limits: p.limits, Probe: p.health.Check("requests"),
		Moved: func(_ context.Context, q kfapi.ServiceStateTransRequest) { p.moved = append(p.moved, q) }})
	r.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	go func() {
		defer close(p.done)
		if err := p.Run(ctx); err != nil {
			r.Errorf("run: %v", err)
		}
	}()
	r.Cleanup(func() { cancel(); <-p.done })
	testkit.Eventually(r, "the service to be ready", p.health.Ready)
	return p
}

// ask makes a request, with pairs of headers.
func (r *rig) ask(path, body string, headers ...string) *nats.Msg {
	r.Helper()
	m, err := r.try(path, body, headers...)
	if err != nil {
		r.Fatalf("%s: %v", path, err)
	}
	return m
}

func (r *rig) try(path, body string, headers ...string) (*nats.Msg, error) {
	m := nats.NewMsg(events.APISubject(corp, path))
	m.Data = []byte(body)
	for i := 0; i < len(headers); i += 2 {
		m.Header.Set(headers[i], headers[i+1])
	}
	return r.bus.NC.RequestMsgWithContext(testkit.Context(r), m)
}

// refusedAs checks the headers of a refusal and returns its body.
func (r *rig) refusedAs(m *nats.Msg, code, category, sent string) (body struct {
	Errcode    *int   `json:"errcode"`
	Errmsg     string `json:"errmsg"`
	Category   string `json:"category"`
	Hint       string `json:"hint"`
	Sent       string `json:"sent"`
	RetryAfter int    `json:"retry_after"`
}) {
	r.Helper()
	got := []string{m.Header.Get("Nats-Service-Error-Code"), m.Header.Get("Kf-Category"), m.Header.Get("Kf-Sent")}
	if got[0] != code || got[1] != category || got[2] != sent {
		r.Errorf("refused as %q (%s), want %q", got, m.Header.Get("Nats-Service-Error"), []string{code, category, sent})
	}
	r.must(json.Unmarshal(m.Data, &body))
	if body.Sent != sent || body.Category != category || m.Header.Get("Nats-Service-Error") == "" || body.Errmsg == "" {
		r.Errorf("the body %s and the headers %v disagree, or say too little", m.Data, m.Header)
	}
	return body
}

// counted is how many requests for an API had a result.
func (p *replica) counted(api, result string) (n float64) {
	families, err := p.reg.Gather()
	if err != nil {
		return -1
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			l := m.GetLabel()
			if f.GetName() == "kf_sender_api_requests_total" && l[0].GetValue() == api && l[1].GetValue() == result {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}
