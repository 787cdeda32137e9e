package api

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/kfbus/kfbus/pkg/kfapi"
)

// Headers of requests and replies, besides those of NATS micro.
const (
	HeaderTimeout  = "Kf-Timeout"     // of a request: how long the caller waits, "3s"
	HeaderErrcode  = "Kf-Errcode"     // the platform's errcode
	HeaderCategory = "Kf-Category"    // a word for what kind of trouble it is
	HeaderSent     = "Kf-Sent"        // no, yes or maybe: did the platform get the request?
	HeaderRetry    = "Kf-Retry-After" // seconds until it makes sense to try again
)

// request is one message that asks for a call.
type request struct {
	data    []byte
	header  nats.Header
	replyTo string
}

// get finds a header whatever the case of its name: clients of other languages differ.
func (r request) get(name string) string {
	for k, v := range r.header {
		if strings.EqualFold(k, name) && len(v) > 0 {
			return v[0]
		}
	}
	return ""
}

// answerable reports whether the reply goes to a caller. What is published on our own subjects or on the broker's is not for
// callers to say: where they may not write, a reply of ours must not do it for them.
func (r request) answerable() bool {
	return r.replyTo != "" && !strings.HasPrefix(r.replyTo, "kf.") && !strings.HasPrefix(r.replyTo, "$")
}

// admit takes a request in hand, beside others, or refuses it at once: nothing waits in a queue without end.
func (s *Service) admit(ctx context.Context, room places, e *endpoint, r request) {
	switch {
	case !r.answerable():
		s.Log.Debug().Str("api", e.api()).Msg("a request without a reply subject of the caller's is not answered, and not made")
	case !room.take():
		s.finish(e, r, nil, errBusy, 0)
	default:
		go func() {
			defer room.leave()
			s.handle(ctx, e, r)
		}()
	}
}

func (s *Service) handle(ctx context.Context, e *endpoint, r request) {
	start := time.Now()
	timeout, err := patience(r.get(HeaderTimeout), e.timeout)
	var reply []byte
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		reply, err = e.serve(ctx, e, r.data)
	}
	s.finish(e, r, reply, err, time.Since(start))
}

// patience is how long a call may take: what the caller says, up to most.
func patience(header string, most time.Duration) (time.Duration, error) {
	if header == "" {
		return most, nil
	}
	d, err := time.ParseDuration(header)
	if err != nil || d <= 0 {
		return 0, &kfapi.LimitError{Field: HeaderTimeout, Why: `is no duration like "3s" or "500ms"`}
	}
	return min(d, most), nil
}

// finish answers, counts and logs.
func (s *Service) finish(e *endpoint, r request, reply []byte, err error, took time.Duration) {
	if most := s.Bus.NC.MaxPayload(); err == nil && int64(len(reply)) > most {
		err = &tooLarge{what: "reply", size: len(reply), most: int(most)}
	}
	e.requests.Add(1)
	s.metrics.seconds.WithLabelValues(e.api()).Observe(took.Seconds())
	if err == nil {
		s.metrics.requests.WithLabelValues(e.api(), resultOK).Inc()
		s.publish(&nats.Msg{Subject: r.replyTo, Data: reply})
		return
	}
	no := refusalOf(err)
	e.errors.Add(1)
	s.metrics.requests.WithLabelValues(e.api(), no.category).Inc()
	line := s.Log.Info()
	if no.ours() {
		line = s.Log.Debug()
	}
	line.Str("api", e.api()).Int("code", no.code).Str("category", no.category).Str("sent", no.sent).Dur("took", took).Err(err).Msg("request not done")
	s.respond(r, no)
}

func (s *Service) respond(r request, no refusal) {
	if r.answerable() {
		s.publish(&nats.Msg{Subject: r.replyTo, Header: no.header(), Data: no.body()})
	}
}

func (s *Service) publish(m *nats.Msg) {
	if err := s.Bus.NC.PublishMsg(m); err != nil {
		s.Log.Warn().Err(err).Msg("a reply is lost: the caller will find its request unanswered")
	}
}

// spare is what is kept of a call's time for the call itself, when it has to wait for its turn.
const spare = time.Second

// ask makes one request to the platform: in its turn, with an access token.
func (s *Service) ask(ctx context.Context, e *endpoint, do func(ctx context.Context, accessToken string) error) error {
	if err := s.turn(ctx, e.api()); err != nil {
		return err
	}
	err := s.Tokens.Do(ctx, do)
	if kfapi.RateLimited(err) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectWait)
		defer cancel()
		s.Limits.Shut(ctx, e.api())
	}
	return err
}

// turn waits until the request may be made. One whose turn would come too late is refused at once.
func (s *Service) turn(ctx context.Context, api string) error {
	for paid := false; ; {
		end, _ := ctx.Deadline()
		left := time.Until(end)
		if left <= 0 {
			return errors.Join(errNoTime, context.DeadlineExceeded)
		}
		patience := left - min(left/2, spare)
		var wait time.Duration
		wait, paid = s.Limits.Take(ctx, api, patience, paid)
		switch {
		case wait > patience:
			return &tooSoon{wait}
		case wait <= 0 && paid:
			return nil
		}
		if err := sleep(ctx, wait); err != nil {
			return errors.Join(errNoTime, err)
		}
	}
}

// sleep returns nil after d, or the error of ctx if that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
