// Package console is the web page of `kfbus dev` and its feed: one types as the
// customer on the left, sees in the middle how callback, doorbell, page, event,
// command, API call and outcome follow each other, and on the right what the bus
// knows of the conversation.
//
// It only looks on. Steps come from a core subscription to kf.> and from the
// simulator's journal, the conversation from the bucket kf_conversations that
// every team may read. What a visitor does goes to the simulator, or as an
// ordinary command through the bus; no service knows of the page.
//
// The page shows customers' words and everything on the bus. It is for a
// developer's own machine: serve it on 127.0.0.1 only. See [Console.Handler].
package console

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// Team is the team in whose name the page answers customers.
const Team = "console"

// Config is what the page looks at. Sim, Bus and Corp are required.
type Config struct {
	Sim       *kfsim.Sim
	Bus       *bus.Bus
	Corp      string           // the true corp id
	Accounts  []kfsim.Account  // to choose from, the first is chosen
	Customers []kfsim.Customer // likewise
	Info      Info
	Log       zerolog.Logger
	Now       func() time.Time // nil means time.Now
}

// Info is what the page tells about its surroundings; empty parts are left out.
type Info struct {
	NATSURL     string    `json:"nats_url"`     // where a NATS client connects
	PlatformURL string    `json:"platform_url"` // the simulated WeChat
	ControlURL  string    `json:"control_url"`  // what steers it
	Commands    []Command `json:"commands"`     // to copy into a terminal
}

// Command is one line for a terminal, with a title in both languages. In Text
// the page writes the chosen ids for {corp}, {open_kfid} and {external_userid}.
type Command struct {
	ZH   string `json:"zh"`
	EN   string `json:"en"`
	Text string `json:"text"`
}

// Console is the page of one process. Make it with [New].
type Console struct {
	cfg   Config
	boot  string // tells this process's sequence numbers from another's
	feed  *feed
	pages map[string]page

	heartbeat time.Duration // between comments on a silent feed
	patience  time.Duration // for one write to a slow client
	pause     time.Duration // before the bucket is looked for again

	mu        sync.Mutex // makes a step's flow and its place in the feed one decision
	flows     flows
	callbacks string              // path of the callback URL
	counted   kfsim.Entry         // the last accepted send, whose call is journaled after it
	servicers map[string][]string // userids by account
	heard     recent[heard]       // the newest customer message by conversation key
}

// heard is a customer's message that a command can answer.
type heard struct{ msgID, parent string }

// New checks cfg and puts the page together. It does no I/O.
func New(cfg Config) (*Console, error) {
	switch {
	case cfg.Sim == nil || cfg.Bus == nil:
		return nil, errors.New("console: the simulator and the bus are required")
	case cfg.Corp == "":
		return nil, errors.New("console: the corp id is required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	pages, err := loadPages()
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	return &Console{
		cfg: cfg, boot: rand.Text()[:8], feed: newFeed(), pages: pages,
		heartbeat: 15 * time.Second, patience: 10 * time.Second, pause: 500 * time.Millisecond,
		servicers: map[string][]string{},
	}, nil
}

// Run follows the bus, the simulator's journal and the conversations until ctx
// ends, and then ends all open feeds and returns nil. Call it once. It returns an
// error when the subscription is refused.
func (c *Console) Run(ctx context.Context) error {
	defer c.feed.close()
	sub, err := c.cfg.Bus.NC.Subscribe("kf.>", c.published)
	if err != nil {
		return fmt.Errorf("console: subscribe kf.>: %w", err)
	}
	defer func() {
		if err := sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			c.cfg.Log.Debug().Err(err).Msg("console: unsubscribe")
		}
	}()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		for e := range c.cfg.Sim.Follow(ctx, 0) {
			c.journaled(e)
		}
		return nil
	})
	g.Go(func() error {
		for change := range c.cfg.Sim.PhoneChanges(ctx) {
			c.feed.set("phone "+change.OpenKfID+" "+change.ExternalUserID, "phone", oneLine(change))
		}
		return nil
	})
	g.Go(func() error { return c.watchConversations(ctx) })
	return g.Wait()
}

// Handler serves the page, its assets and its API:
//
//	GET  /                 the page; its assets are under /assets/
//	GET  /api/state        corp, accounts, customers, servicers, info, the platform's time
//	GET  /api/phone        ?open_kfid=&external_userid=: messages on the phone, the platform's view
//	GET  /api/feed         server-sent events; Last-Event-ID resumes
//	POST /api/say          {open_kfid, external_userid, text}: a customer writes
//	POST /api/act          {act, open_kfid, external_userid, …}: see action
//	POST /api/answer       {open_kfid, external_userid, text}: a command of team "console"
//
// There is no login. Every request must name a loopback host, so that no foreign
// name leads here, and may not come from another origin; the API speaks JSON only,
// so that no form of another page can be posted to it. A mistake is a 4xx with
// {"error": "…"} that says what to do.
func (c *Console) Handler() http.Handler {
	mux := http.NewServeMux()
	for path, p := range c.pages {
		mux.Handle("GET "+path, p)
	}
	mux.HandleFunc("GET /api/feed", c.serveFeed)
	mux.Handle("GET /api/state", answering(c.state))
	mux.Handle("GET /api/phone", answering(c.phone))
	mux.Handle("POST /api/say", answering(c.say))
	mux.Handle("POST /api/act", answering(c.act))
	mux.Handle("POST /api/answer", answering(c.answer))
	return guard(mux)
}
