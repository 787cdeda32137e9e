// Package sender carries commands to customers, inside the platform's rules, and says truthfully what became of each.
//
// Commands come from KF_COMMAND, in lanes: one conversation, one command at a time. Each is decided by the pure rules of
// package window on the conversation's ledger, one key in kf_ledger that every replica changes by compare-and-set only, and
// is reserved there before a request leaves. Customers' messages and events come from KF_MESSAGE and change the same ledger.
// Outcomes go to KF_OUTCOME, exactly one terminal one a command. Beside them it answers requests for the platform's other
// calls: package api.
//
// Any number of senders may run at once. Nothing is kept in memory that matters: whoever takes up a command finds in the
// ledger how far it came, and repeats a request in doubt under the same msgid, which the platform takes once.
package sender

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/services/sender/api"
	"github.com/kfbus/kfbus/services/sender/window"
)

// credential gives calls the corp's access token: a *tokens.Watcher. A refused token is reported, and the call made once
// more with the next one. Without any token it waits until ctx ends, and says [tokens.ErrNone].
type credential interface {
	Do(ctx context.Context, call func(ctx context.Context, accessToken string) error) error
}

// Deps is what a sender works with, besides what every service gets.
type Deps struct {
	service.Deps
	Corp   string        // the corpid whose customers it writes to
	Bus    *bus.Bus      // its connection; the caller closes it after Run
	API    *kfapi.Client // the platform
	Tokens credential    // of an app that may use the accounts; the caller runs it
	Teams  []Team        // who may command, see [ParseTeams]; none: any team, every account
}

// Sender is one replica. Make it with [New].
type Sender struct {
	cfg     Config
	rules   window.Rules
	corp    string
	log     zerolog.Logger
	now     func() time.Time
	bus     *bus.Bus
	api     *kfapi.Client
	tokens  credential
	limits  *limits
	outlet  *outlet
	pulls   *pulls
	uploads *uploads
	teams   *teams
	answers *api.Service // of requests
	metrics *metrics
	probes  probes

	unlike   string            // how the topology differed when last looked at
	stopping <-chan struct{}   // closed when Run is to end
	step     func(name string) // tests stop here; nil otherwise
}

type probes struct {
	topology *service.Probe // the streams are as they must be
	bus      *service.Probe // the broker answers
	platform *service.Probe // WeChat answers, and takes our access token
}

const (
	busFresh   = 10 * time.Second // how old a sign of life of the broker may be
	checkEvery = time.Minute      // between two looks at the topology
	restart    = time.Second      // before a part that failed begins again
	drain      = 15 * time.Second // how long a stop waits for the commands in hand
	clockEvery = 5 * time.Second  // between two tries to learn the platform's clock
)

// New checks and wires; it does no I/O and starts nothing.
func New(cfg Config, d Deps) (*Sender, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if d.Corp == "" {
		return nil, errors.New("sender: no corp id given")
	}
	m, err := newMetrics(d.Metrics)
	if err != nil {
		return nil, fmt.Errorf("sender: %w", err)
	}
	s := &Sender{
		cfg: cfg, rules: cfg.rules(), corp: d.Corp, log: d.Log, now: d.Now, bus: d.Bus, api: d.API, tokens: d.Tokens, metrics: m,
		limits:  newLimits(d.Bus, d.Corp, cfg, d.Log, d.Now, api.APIs()...),
		pulls:   newPulls(),
		uploads: newUploads(cfg.API.MediaInHand),
		teams:   newTeams(d.Teams, cfg.WelcomeText != ""),
		outlet:  &outlet{bus: d.Bus, probe: d.Health.Check("outcomes"), now: d.Now},
		probes:  probes{topology: d.Health.Check("topology"), bus: d.Health.Check("bus").FreshFor(busFresh), platform: d.Health.Check("platform")},
	}
	s.answers, err = api.New(cfg.API, api.Deps{Log: d.Log, Metrics: d.Metrics, Corp: d.Corp, Bus: d.Bus, API: d.API, Tokens: d.Tokens,
		Limits: s.limits, Probe: d.Health.Check("requests"), Moved: s.moved})
	if err != nil {
		return nil, fmt.Errorf("sender: %w", err)
	}
	return s, nil
}

// Run carries commands until ctx ends, and then finishes those in hand. It waits for the streams, however long they take to
// come, and starts again whatever fails; its error is always nil. It may be called once.
func (s *Sender) Run(ctx context.Context) error {
	s.stopping = ctx.Done()
	g, ctx := errgroup.WithContext(ctx)
	every(ctx, g, limitsEvery, s.beat)
	g.Go(func() error {
		s.learnClock(ctx)
		for !s.check(ctx) {
			if sleep(ctx, restart) != nil {
				return nil
			}
		}
		s.log.Info().Str("corp", s.corp).Msg("carrying commands")
		every(ctx, g, checkEvery, func(ctx context.Context) { s.check(ctx) })
		every(ctx, g, outletEvery, s.outlet.watch)
		every(ctx, g, straysEvery, s.strays)
		o := bus.Consuming{Service: bus.ServiceSender, Drain: drain}
		lanes := o
		lanes.Confirm = true
		s.keep(ctx, g, "commands", func(ctx context.Context) error { return s.bus.ConsumeCommands(ctx, lanes, s.command) })
		s.keep(ctx, g, "replies", func(ctx context.Context) error { return s.bus.ConsumeReplies(ctx, lanes, s.command) })
		s.keep(ctx, g, "requests", s.answers.Run)
		s.keep(ctx, g, "pulls", s.hearPulls)
		for range s.cfg.DueWorkers {
			s.keep(ctx, g, "due", func(ctx context.Context) error {
				return s.bus.ConsumeDurable(ctx, events.StreamTimer, bus.DurableDueSender, o, s.due)
			})
		}
		s.keep(ctx, g, "windows", func(ctx context.Context) error {
			return s.bus.ConsumeDurable(ctx, events.StreamTimer, bus.DurableDueWindow, o, s.windowDue)
		})
		for range s.cfg.InboxWorkers {
			s.keep(ctx, g, "inbox", func(ctx context.Context) error {
				return s.bus.ConsumeDurable(ctx, events.StreamMessage, bus.DurableInbox, o, s.inbox)
			})
		}
		return nil
	})
	return g.Wait()
}

// keep runs one part until ctx ends, and again after a pause when it fails.
func (s *Sender) keep(ctx context.Context, g *errgroup.Group, name string, part func(context.Context) error) {
	g.Go(func() error {
		for {
			if err := part(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn().Err(err).Str("part", name).Msg("failed; starting it again")
			}
			if sleep(ctx, restart) != nil {
				return nil
			}
		}
	})
}

// every does something again and again until ctx ends.
func every(ctx context.Context, g *errgroup.Group, d time.Duration, do func(context.Context)) {
	g.Go(func() error {
		for do(ctx); sleep(ctx, d) == nil; do(ctx) {
		}
		return nil
	})
}

// beat reads the shared pauses, which is a sign of life of the broker as well.
func (s *Sender) beat(ctx context.Context) {
	switch err := s.limits.look(ctx); {
	case err == nil:
		s.probes.bus.OK()
	case ctx.Err() == nil:
		s.probes.bus.Fail(bus.Reason(err))
	}
}

// check compares the topology with what is relied on, the lanes' patience included, and looks for room for outcomes.
func (s *Sender) check(ctx context.Context) bool {
	diffs, err := s.bus.Assert(ctx, bus.ServiceSender)
	if err == nil && len(diffs) == 0 {
		diffs, err = s.checkLanes(ctx)
	}
	if err == nil && len(diffs) == 0 {
		err = s.outlet.look(ctx)
	}
	why := strings.Join(diffs, "; ")
	if err != nil {
		why = err.Error()
	}
	switch {
	case ctx.Err() != nil:
		return false
	case why == "":
		s.probes.topology.OK()
	case why != s.unlike:
		s.log.Warn().Str("reason", why).Msg("the broker does not hold what a sender relies on")
		fallthrough
	default:
		s.probes.topology.Fail(why)
	}
	s.unlike = why
	return why == ""
}

// checkLanes makes sure that a request is over long before its lane would go to another replica.
func (s *Sender) checkLanes(ctx context.Context) (diffs []string, err error) {
	for _, d := range bus.UsesOf(bus.ServiceSender).Consumers {
		if d.Stream != events.StreamCommand {
			continue
		}
		c, err := s.bus.JS.Consumer(ctx, d.Stream, d.Name)
		if err != nil {
			return nil, fmt.Errorf("check consumer %s of %s: %w", d.Name, d.Stream, bus.Classify(err))
		}
		if wait := c.CachedInfo().Config.AckWait; 2*s.cfg.PostTimeout >= wait {
			diffs = append(diffs, fmt.Sprintf("KF_SENDER_POST_TIMEOUT is %v and must be less than half of the ack wait of consumer %s (%v)",
				s.cfg.PostTimeout, d.Name, wait))
		}
	}
	return diffs, nil
}

// learnClock asks the platform for something that needs no access token, for the sake of the Date of its answer: windows
// and codes live by the platform's clock, and ours may be wrong. It does not wait for ever: each answer teaches it too.
func (s *Sender) learnClock(ctx context.Context) {
	if _, known := s.api.ServerOffset(); known {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, clockEvery)
	defer cancel()
	err := s.api.Do(ctx, "", "GET", "/cgi-bin/get_api_domain_ip", nil, nil) // refused, with a Date
	if offset, known := s.api.ServerOffset(); known {
		s.probes.platform.OK()
		s.log.Info().Dur("offset", offset).Msg("the platform's clock is known")
		return
	}
	s.probes.platform.Fail("no answer yet")
	s.log.Warn().Err(err).Msg("the platform's clock is not known yet; ours is taken for it")
}

// clock is the time as the rules want it. Whoever wrote did so in the platform's past, so its clock cannot be behind.
func (s *Sender) clock(l window.Ledger, fresh bool) window.Now {
	local := s.now()
	platform := local
	if offset, known := s.api.ServerOffset(); known {
		platform = local.Add(offset)
	}
	if seen := max(l.CustomerAt, l.SessionAt).Time(); seen.After(platform) {
		platform = seen
	}
	return window.Now{Local: local, Platform: platform, Fresh: fresh}
}

// hook is where tests kill a sender.
func (s *Sender) hook(name string) {
	if s.step != nil {
		s.step(name)
	}
}
