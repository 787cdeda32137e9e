// Package tokenkeeper fetches access tokens and keeps them fresh in the bucket kf_tokens. It is the one service that holds
// corp secrets; everybody else reads tokens, through package tokens, and reports the ones that the platform refuses.
//
// Any number of replicas may run. For each credential one of them, the holder of a lease, calls gettoken; that saves calls.
// What keeps the bucket right is the compare-and-set of every write and the generation, which only rises. A token is never
// taken away because it should have expired: only the platform knows.
//
// How often gettoken may be called is decided by one pure type, schedule, on the monotonic clock.
//
// It must not know: customers, messages, and any other call of the API.
package tokenkeeper

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/tokens"
	"github.com/kfbus/kfbus/pkg/events"
)

// Name is the service's name, in bus.UsesOf too.
const Name = "tokenkeeper"

const (
	assertEvery = time.Minute
	bucketFresh = 10 * time.Second
	maxReport   = 16 << 10
)

// Tokenkeeper keeps the access tokens of its credentials. Make it with New.
type Tokenkeeper struct {
	bus      *bus.Bus
	log      zerolog.Logger
	topology *service.Probe
	metrics  *metrics
	keepers  map[string]*keeper // by key of the token
	differs  string             // what was wrong with the topology the last time
	pause    time.Duration      // between two looks at the topology
}

// New checks and wires; it does no I/O. api is the platform's client, *kfapi.Client. It fails for a configuration that
// cannot work, and when the metrics are registered already.
func New(cfg Config, sealing tokens.Sealing, credentials []Credential, b *bus.Bus, api source, d service.Deps) (*Tokenkeeper, error) {
	if err := errors.Join(cfg.Validate(), sealing.Validate(), check(credentials)); err != nil {
		return nil, err
	}
	m, err := newMetrics(d.Metrics)
	if err != nil {
		return nil, err
	}
	t := &Tokenkeeper{bus: b, log: d.Log, metrics: m, topology: d.Health.Check("topology"), keepers: map[string]*keeper{}, pause: assertEvery}
	for _, c := range credentials {
		form, err := sealing.Form(c.Corp, c.Name)
		if err != nil {
			return nil, err
		}
		t.keepers[form.Key()] = newKeeper(cfg, form, c, b, api, d, m.of(c))
	}
	return t, nil
}

func newKeeper(cfg Config, form tokens.Form, c Credential, s store, api source, d service.Deps, m keeperMetrics) *keeper {
	key := form.Key()
	return &keeper{
		Credential: c, key: key, form: form, store: s, api: api, now: d.Now, dice: mathrand.Float64, poll: poll, drain: drain,
		log:     d.Log.With().Str("corp", c.Corp).Str("credential", c.Name).Logger(),
		token:   d.Health.Check("access_token." + key),
		broker:  d.Health.Check("bucket." + key).FreshFor(bucketFresh),
		metrics: m, reports: inbox{bell: make(chan struct{}, 1)}, answers: make(chan answer, 1),
		started:  time.Now(),
		lease:    lease{store: s, key: events.TokenLeaderKey(c.Corp, c.Name), id: rand.Text(), life: leaseLife},
		schedule: schedule{minDistance: cfg.MinDistance},
	}
}

// Run waits until the bucket is as it must be, and then keeps the tokens until ctx ends. A call under way is waited for,
// 5 s at most, and what it brought is published. It returns nil, or an error if the connection to NATS was closed before.
func (t *Tokenkeeper) Run(ctx context.Context) error {
	if t.bus.WaitAsserted(ctx, Name, poll, t.asserted) != nil {
		return nil // ctx ended
	}
	for corp := range t.corps() {
		sub, err := t.bus.NC.Subscribe(events.SuspectSubject(corp), t.report)
		if err != nil {
			return fmt.Errorf("subscribe to reports of refused tokens: %w", bus.Classify(err))
		}
		defer func() { _ = sub.Unsubscribe() }() // fails only after the connection is closed
	}
	var wg sync.WaitGroup
	for k := range maps.Values(t.keepers) {
		wg.Go(func() { k.run(ctx) })
	}
	defer wg.Wait()
	tick := time.NewTicker(t.pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			t.asserted(t.bus.Assert(ctx, Name))
		}
	}
}

func (t *Tokenkeeper) corps() map[string]bool {
	corps := map[string]bool{}
	for _, k := range t.keepers {
		corps[k.Corp] = true
	}
	return corps
}

// asserted takes what differs on the broker from what is relied on. It logs changes only.
func (t *Tokenkeeper) asserted(diffs []string, err error) {
	differs := strings.Join(diffs, "; ")
	switch {
	case errors.Is(err, context.Canceled):
		return
	case err != nil:
		differs = "the broker's topology cannot be read: " + bus.Reason(err)
		fallthrough
	case differs != "":
		t.topology.Fail(differs)
	default:
		t.topology.OK()
	}
	if differs != t.differs && differs != "" {
		t.log.Warn().Str("differences", differs).AnErr("cause", err).Msg("the broker's topology is not as it must be")
	}
	t.differs = differs
}

// report takes a message of kf.token.suspect. Everybody with the permission may send one, so it can do no more than cause
// a call of gettoken now and then.
func (t *Tokenkeeper) report(m *nats.Msg) {
	s, err := readSuspect(m)
	k := t.keepers[events.TokenKey(s.Corp, s.Credential)]
	if err != nil || k == nil {
		t.metrics.malformed.Inc()
		return
	}
	k.report(s)
}

func readSuspect(m *nats.Msg) (s events.Suspect, err error) {
	if len(m.Data) > maxReport {
		return s, errors.New("too large for a report")
	}
	data := m.Data
	switch e, err := bus.Decode(m.Header, m.Data); {
	case err == nil:
		data = e.Data()
	case !errors.Is(err, bus.ErrBare): // bare JSON is welcome: any client can send it
		return s, err
	}
	return s, json.Unmarshal(data, &s)
}
