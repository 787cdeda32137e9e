package syncer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kfbus/kfbus/internal/tokens"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

// platform is what the syncer calls of the Kf API.
type platform interface {
	SyncMsg(ctx context.Context, accessToken string, req kfapi.SyncMsgRequest) (kfapi.SyncMsgResponse, error)
	AccountList(ctx context.Context, accessToken string, offset, limit int) (kfapi.AccountListResponse, error)
}

// credential gives calls the corp's access token: a *tokens.Watcher. A refused token is reported, and the call made once
// more with the next one. Without any token it waits until ctx ends, and says [tokens.ErrNone].
type credential interface {
	Do(ctx context.Context, call func(ctx context.Context, accessToken string) error) error
}

// APIs, as they are named in [events.BucketThrottle].
const (
	apiSync = "sync_msg"
	apiBare = "sync_msg/bare" // without a callback's token: such pulls have a limit of their own
	apiList = "account/list"
)

// minuteBlock is how long the platform shuts an API whose calls a minute were exceeded. Where it is an hour, the first
// call after each minute finds out.
//
// https://developer.work.weixin.qq.com/document/path/90312
const minuteBlock = time.Minute

// mostBlock is how far ahead the end of a pause is believed.
const mostBlock = time.Hour

// shutError: an API is shut for everybody until then.
type shutError struct {
	api   string
	until time.Time
}

// Error names the API and the time.
func (e *shutError) Error() string {
	return fmt.Sprintf("%s is shut until %s, after 45009", e.api, e.until.UTC().Format(time.RFC3339))
}

// call makes one API call with the access token. A rate limit shuts the API for all replicas: ask open before every call.
func (s *Syncer) call(ctx context.Context, api string, do func(ctx context.Context, accessToken string) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	none := time.AfterFunc(s.waits.token, cancel)
	defer none.Stop()
	err := s.tokens.Do(ctx, func(ctx context.Context, accessToken string) error {
		none.Stop() // there is one: from now on the calls' own limits count
		return do(ctx, accessToken)
	})
	if kfapi.RateLimited(err) {
		return s.shut(ctx, api)
	}
	return s.seen(err)
}

// seen keeps the readiness of the platform: an answer is an answer, also a refusal of one account.
func (s *Syncer) seen(err error) error {
	var limit *kfapi.LimitError
	_, refused := kfapi.Code(err)
	switch {
	case errors.As(err, &limit): // never sent: says nothing about the platform
	case err == nil, refused && !kfapi.TokenRejected(err) && !kfapi.Busy(err):
		s.probes.platform.OK()
	case errors.Is(err, tokens.ErrNone), !errors.Is(err, context.Canceled):
		s.probes.platform.Fail(err.Error())
	}
	return err
}

// open returns a shutError while the API is shut. The key's presence decides, not a clock: the broker removes it.
func (s *Syncer) open(ctx context.Context, api string) error {
	asked := s.now()
	if s.pauses.isOpen(api, asked) {
		return nil
	}
	e, err := s.bus.Read(ctx, events.BucketThrottle, events.ThrottleKey(s.corp, api))
	if err != nil {
		return err
	}
	if e.Value == nil {
		s.pauses.saw(api, asked)
		return nil
	}
	var p events.Pause
	if json.Unmarshal(e.Value, &p) != nil || p.Until.IsZero() || p.Until.Sub(asked) > mostBlock {
		p.Until = asked.Add(minuteBlock)
	}
	return &shutError{api, p.Until}
}

// shut closes the API for all replicas.
func (s *Syncer) shut(ctx context.Context, api string) error {
	s.probes.platform.OK()
	return &shutError{api, s.block(ctx, api)}
}

// block tells all replicas that an API is shut, and returns until when.
func (s *Syncer) block(ctx context.Context, api string) time.Time {
	s.pauses.written(s.now())
	until := s.now().Add(s.waits.block).UTC()
	value, err := json.Marshal(events.Pause{API: api, Until: until})
	if err == nil {
		err = s.bus.Put(ctx, events.BucketThrottle, events.ThrottleKey(s.corp, api), value, s.waits.block)
	}
	if err != nil {
		s.log.Warn().Err(err).Str("api", api).Msg("other replicas were not told of the rate limit")
	}
	s.log.Warn().Str("api", api).Time("until", until).Msg("the platform wants fewer calls: paused for all replicas")
	return until
}

// sleep returns true after d, or false when ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
