package tokenkeeper

import (
	"context"
	"time"

	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/tokens"
	"github.com/kfbus/kfbus/pkg/events"
)

// moved is by how much the end of a token must be elsewhere than was said for it to be published again.
const moved = time.Minute

// overtakeEvery is how often reports of later generations are acted on. An honest caller reports again after 3 s.
const overtakeEvery = 2 * time.Second

// answer is what came of one call of gettoken.
type answer struct {
	token string
	life  time.Duration
	err   error
	base  uint64 // generation in hand when the call began
	began instant
	wall  time.Time // the same on the wall clock
}

// refreshIfDue begins a call of gettoken, if it is time and our turn. At most one is under way.
func (k *keeper) refreshIfDue(ctx context.Context) {
	if k.schedule.wrong > 0 && !k.Secret.Equal(k.tried) {
		k.log.Info().Msg("the secret has changed; trying the new one")
		k.schedule.secretChanged()
	}
	if !k.due() {
		return
	}
	k.sync(ctx) // another keeper may have been faster, or lead by now
	if !k.due() {
		return
	}
	now := k.clock()
	k.schedule.called(now)
	k.calling = true
	secret := k.Secret.Reveal()
	k.tried = service.NewSecret(secret)
	a := answer{base: k.generation(), began: now, wall: k.now().UTC()}
	go func() {
		r, err := k.fetch(ctx, k.api, secret)
		a.token, a.life, a.err = r.AccessToken, r.ExpiresIn, err
		k.answers <- a
	}()
}

func (k *keeper) due() bool {
	return !k.calling && k.lease.held && k.clock() >= k.schedule.next()
}

func (k *keeper) generation() uint64 {
	if k.held == nil {
		return 0
	}
	return k.held.Generation
}

// finish takes an answer of gettoken.
func (k *keeper) finish(ctx context.Context, a answer) {
	k.calling = false
	if a.err != nil {
		k.failed(a.err)
		return
	}
	k.trouble = ""
	ends, expires, hash := a.began+a.life, a.wall.Add(a.life), tokens.Hash(a.token)
	switch {
	case k.generation() != a.base: // adopted meanwhile, and the schedule with it
		k.metrics.refreshed(resultSuperseded)
		return
	case k.held != nil && k.held.Hash == hash:
		k.metrics.refreshed(resultSame)
		k.log.Debug().Str("sha256", hash).Dur("left", a.life).Msg("the platform gave the same access token again")
		k.ends = ends
		k.schedule.same(k.clock(), ends)
		if expires.Sub(k.held.Expires).Abs() > moved {
			v := *k.held
			v.Expires = expires
			k.hold(v, true)
		}
	default:
		k.metrics.refreshed(resultNew)
		v := tokens.Value{Token: service.NewSecret(a.token), Hash: hash, Generation: nextGeneration(a.base, a.wall), Obtained: a.wall, Expires: expires}
		k.began, k.ends = a.began, ends
		k.schedule.renewed(a.began, ends, k.dice())
		k.hold(v, true)
		k.log.Info().Uint64("generation", v.Generation).Str("sha256", hash).Dur("life", a.life).
			Dur("next_in", k.schedule.next()-k.clock()).Msg("access token refreshed")
	}
	k.sync(ctx)
}

func (k *keeper) hold(v tokens.Value, unpublished bool) {
	k.held, k.unpublished = &v, unpublished
	k.reports.about(v.Hash, v.Generation)
}

// failed takes an answer that is no token. The one in hand stays in use: whether it is dead, only the platform knows.
func (k *keeper) failed(err error) {
	why, before := classify(err), k.schedule.stopped()
	k.schedule.failed(k.clock(), why, k.dice())
	k.metrics.refreshed(string(why))
	k.trouble = err.Error()
	e, text := k.log.Warn(), "access token not refreshed; the one in hand stays in use"
	switch {
	case k.schedule.stopped() && !before:
		e, text = k.log.Error(), "the platform refuses the secret; it is tried once an hour, or when its file changes"
	case why == refused:
		e = k.log.Error() // a person must change a setting
	}
	e.Err(err).Str("reason", string(why)).Int("failures", k.schedule.failures).Dur("again_in", k.schedule.next()-k.clock()).Msg(text)
}

// report takes a caller's report; it may be called from any goroutine.
func (k *keeper) report(s events.Suspect) {
	if why, ok := k.reports.put(s.Hash, s.Generation); !ok {
		k.metrics.suspected(why)
		return
	}
	k.log.Debug().Int("errcode", s.ErrCode).Msg("a caller's access token was refused")
}

// suspected takes what callers reported.
func (k *keeper) suspected(ctx context.Context) {
	refused, ahead := k.reports.take()
	if ahead > 0 {
		k.overtake(ctx, ahead)
	}
	if !refused {
		return // it was about the token before
	}
	s := k.schedule.suspect(k.clock()) // remembered by a follower too: it may lead before the leader has acted
	if !k.lease.held {
		s = suspectFollower
	}
	k.metrics.suspected(s)
	if s == suspectTaken {
		k.log.Info().Uint64("generation", k.generation()).Msg("access token reported as refused")
	}
}

// overtake publishes the token in hand under a generation after that of a caller's dead one: the bucket has lost what the
// caller still has, and it would not take ours otherwise.
func (k *keeper) overtake(ctx context.Context, ahead uint64) {
	if !k.lease.held {
		k.metrics.suspected(suspectFollower)
		return
	}
	now := k.clock()
	if k.overtook > 0 && now-k.overtook < overtakeEvery {
		k.metrics.suspected(suspectSlowed)
		return
	}
	k.overtook = now
	k.metrics.suspected(suspectAhead)
	k.log.Warn().Uint64("generation", ahead).Msg("a caller has a later access token than the bucket, and it is dead; ours is published again")
	v := *k.held
	v.Generation = nextGeneration(ahead, k.now())
	k.hold(v, true)
	k.sync(ctx)
}
