package sender

import (
	"context"
	"errors"
	"time"

	"github.com/kfbus/kfbus/internal/tokens"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/services/sender/window"
)

// errFenced: too much time has passed since the decision, and nothing was posted.
var errFenced = errors.New("not posted: the decision is too old")

// answerOf says what a request came to, as far as anyone can know. What it does not recognise is in doubt, which is safe.
func answerOf(err error) window.Answer {
	code, refused := kfapi.Code(err)
	switch {
	case err == nil:
		return window.Answer{Kind: window.AnswerAccepted}
	case refused:
		return window.AnswerOf(code)
	case errors.Is(err, errFenced), errors.Is(err, tokens.ErrNone), kfapi.NotSent(err):
		return window.Answer{Kind: window.AnswerNotSent}
	}
	return window.Answer{Kind: window.AnswerAmbiguous}
}

// post makes the request, unless more than the fence has passed since it was decided: then another replica may have taken
// the command over. A refused access token is replaced and the request made once more, inside the same fence.
func (s *Sender) post(ctx context.Context, j *job, decided time.Time) (window.Answer, said) {
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	none := time.AfterFunc(s.rules.Fence, cancel) // a token that comes later is of no use to this decision
	defer none.Stop()
	var got said
	err := s.tokens.Do(waiting, func(_ context.Context, accessToken string) error {
		none.Stop()
		if s.now().Sub(decided) > s.rules.Fence {
			return errFenced
		}
		ctx, cancel := context.WithTimeout(ctx, s.cfg.PostTimeout)
		defer cancel()
		start := s.now()
		var err error
		got, err = j.request(ctx, accessToken)
		s.metrics.postSeconds.WithLabelValues(j.api).Observe(s.now().Sub(start).Seconds())
		return err
	})
	s.answered(ctx, j, err)
	return answerOf(err), got
}

// answered takes note of what an answer says of the platform and of the API as a whole.
func (s *Sender) answered(ctx context.Context, j *job, err error) {
	_, refused := kfapi.Code(err)
	switch {
	case errors.Is(err, errFenced):
		s.metrics.fenced.Inc()
	case kfapi.RateLimited(err):
		s.limits.Shut(ctx, j.api)
	case err == nil, refused && !kfapi.TokenRejected(err) && !kfapi.Busy(err):
		s.probes.platform.OK()
	case !errors.Is(err, context.Canceled) || errors.Is(err, tokens.ErrNone):
		s.probes.platform.Fail(err.Error())
	}
}
