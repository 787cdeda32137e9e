package tokenkeeper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/tokens"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

// source fetches access tokens. It is *kfapi.Client.
type source interface {
	GetToken(ctx context.Context, corpID, corpSecret string) (kfapi.GetTokenResponse, error)
	OfficialToken(ctx context.Context, appID, secret string) (kfapi.GetTokenResponse, error)
	StableToken(ctx context.Context, appID, secret string, force bool) (kfapi.GetTokenResponse, error)
}

// fetch makes the call that brings the credential's token.
func (c Credential) fetch(ctx context.Context, api source, secret string) (kfapi.GetTokenResponse, error) {
	switch c.Kind {
	case KindOfficial:
		return api.OfficialToken(ctx, c.Corp, secret)
	case KindStable:
		return api.StableToken(ctx, c.Corp, secret, false)
	}
	return api.GetToken(ctx, c.Corp, secret)
}

// store is the bucket. It is *bus.Bus.
type store interface {
	Read(ctx context.Context, bucket, key string) (bus.Entry, error)
	Swap(ctx context.Context, bucket, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error)
}

const (
	poll  = 2 * time.Second // the entry and the lease are looked at this often
	drain = 5 * time.Second // a stop waits this long for a call under way
)

// keeper keeps the access token of one credential. All but report runs in the goroutine of run.
type keeper struct {
	Credential
	key     string
	form    tokens.Form
	store   store
	api     source
	log     zerolog.Logger
	now     func() time.Time // the wall clock: only written into values, and compared with what is in them
	dice    func() float64
	poll    time.Duration
	drain   time.Duration
	token   *service.Probe
	broker  *service.Probe
	metrics keeperMetrics
	reports inbox

	started     time.Time // carries the monotonic clock
	lease       lease
	schedule    schedule
	held        *tokens.Value // nil: none yet
	began, ends instant       // of the held token's life
	unpublished bool          // held was changed here and is not stored
	overtook    instant       // the last overtake; 0: none
	strange     uint64        // revision of the last entry that was not ours, so that it is logged once
	calling     bool          // gettoken is under way
	answers     chan answer
	tried       service.Secret // what the last call was made with
	trouble     string         // why the last call brought no token
	away        bool           // the bucket could not be read or written the last time
}

func (k *keeper) clock() instant { return time.Since(k.started) }

// run keeps the token until ctx ends; then it waits for a call under way, publishes what it brought and gives the lease
// back.
func (k *keeper) run(ctx context.Context) {
	work, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	tick, due := time.NewTicker(k.poll), time.NewTimer(0)
	defer tick.Stop()
	defer due.Stop()
	k.sync(work)
	for {
		k.refreshIfDue(work)
		k.show()
		due.Reset(k.untilDue())
		select {
		case <-ctx.Done():
			k.stop(work, abandon)
			return
		case <-tick.C:
			k.sync(work)
		case <-due.C:
		case <-k.reports.bell:
			k.suspected(work)
		case a := <-k.answers:
			k.finish(work, a)
		}
	}
}

func (k *keeper) stop(work context.Context, abandon context.CancelFunc) {
	if k.calling {
		select {
		case a := <-k.answers:
			k.finish(work, a)
		case <-time.After(k.drain):
		}
	}
	if err := k.lease.release(work); err != nil {
		k.log.Debug().Err(err).Msg("the lease was not given back; it runs out by itself")
	}
	abandon()
	if k.calling {
		<-k.answers
	}
}

// untilDue is how long to wait for the next call. What makes it sooner arrives by itself: a tick, a report, an answer.
func (k *keeper) untilDue() time.Duration {
	if k.calling || !k.lease.held {
		return time.Hour
	}
	return max(k.schedule.next()-k.clock(), 0)
}

// sync renews the lease and brings what is held and the entry together.
func (k *keeper) sync(ctx context.Context) {
	err := errors.Join(k.lease.keep(ctx, k.clock()), k.reconcile(ctx))
	was := k.away
	k.away = err != nil
	if !k.away {
		k.broker.OK()
		if was {
			k.log.Info().Msg("the bucket can be used again")
		}
		return
	}
	k.broker.Fail("the bucket " + events.BucketTokens + " cannot be used: " + bus.Reason(err))
	if was {
		return
	}
	e := k.log.Error() // full, or no permission: a person must act
	if bus.Temporary(err) {
		e = k.log.Warn()
	}
	e.Err(err).Str("reason", bus.Reason(err)).Msg("the bucket cannot be used; the token is kept in memory and published when it can")
}

// show tells the metrics and the readiness how things are.
func (k *keeper) show() {
	now := k.clock()
	k.metrics.show(k.generation(), now-k.began, k.held != nil, k.lease.held, k.schedule.stopped())
	switch {
	case k.schedule.stopped():
		k.token.Fail(fmt.Sprintf("the platform refused the secret of %s %d times (%s): put the right one into its file; "+
			"without a change it is tried once an hour", k.key, k.schedule.wrong, k.trouble))
	case k.held == nil:
		k.token.Fail(fmt.Sprintf("there is no access token of %s yet%s", k.key, k.because()))
	case now >= k.ends:
		k.token.Fail(fmt.Sprintf("the access token of %s expired %v ago%s", k.key, (now - k.ends).Truncate(time.Second), k.because()))
	default:
		k.token.OK()
	}
}

func (k *keeper) because() string {
	if k.trouble == "" {
		return ""
	}
	return ": " + k.trouble
}
