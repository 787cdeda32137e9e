package tokens

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

// Do makes one call of the API. call gets the newest access token, which it may wait for as [Watcher.AccessToken] does.
// When the platform refuses the token ([kfapi.TokenRejected]), Do reports it, waits up to [Patience] for a newer one and
// makes the call once more; that is safe for sends too, as the platform looks at the token before anything else. A second
// refusal is final. Do returns what the last call returned, or an [ErrNone] if there was none.
func (w *Watcher) Do(ctx context.Context, call func(ctx context.Context, accessToken string) error) error {
	v, err := w.AccessToken(ctx)
	if err != nil {
		return err
	}
	if err = call(ctx, v.Token.Reveal()); !w.refused(v, err) {
		return err
	}
	v, ok := w.newer(ctx, v.Generation)
	if !ok {
		return err
	}
	err = call(ctx, v.Token.Reveal())
	w.refused(v, err)
	return err
}

func (w *Watcher) refused(v Value, err error) bool {
	if !kfapi.TokenRejected(err) {
		return false
	}
	code, _ := kfapi.Code(err)
	w.Refused(v, code)
	return true
}

// Refused says that the platform refused v with this errcode; see [kfapi.TokenRejected] for which. The tokenkeeper is told,
// at most once in 3 s a token and only if there is none newer; [Watcher.AccessToken] holds v back for a while. For those who
// cannot use [Watcher.Do], which calls it. It does not wait for anything; while the bus is away the report is lost, and the
// next refusal makes it again.
func (w *Watcher) Refused(v Value, errcode int) {
	if !w.suspect(v) {
		return
	}
	err := w.publish(events.Suspect{Corp: w.form.corp, Credential: w.form.credential, Hash: v.Hash, ErrCode: errcode, Generation: v.Generation})
	log := w.log.Warn().Int("errcode", errcode).Str("sha256", v.Hash).Uint64("generation", v.Generation)
	if err != nil {
		w.mu.Lock()
		w.doubt.reported = w.doubt.since.Add(-reportEvery)
		w.mu.Unlock()
		log = log.AnErr("report", err)
	}
	log.Msg("the platform refused the access token")
}

// suspect remembers the refusal and says whether it is to be reported.
func (w *Watcher) suspect(v Value) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.value == nil || w.value.Hash != v.Hash {
		return false // there is a newer one already
	}
	now := w.now()
	if w.doubt.hash != v.Hash {
		w.doubt = doubt{hash: v.Hash, since: now, reported: now}
		return true
	}
	if age := now.Sub(w.doubt.reported); age >= 0 && age < reportEvery {
		return false
	}
	w.doubt.reported = now
	return true
}

func (w *Watcher) publishSuspect(s events.Suspect) error {
	e, err := events.Own(rand.Text(), "/kfbus/tokens", events.TypeSuspect, s)
	if err != nil {
		return err
	}
	body, header, err := bus.Encode(e, bus.ModeStructured)
	if err != nil {
		return err
	}
	msg := &nats.Msg{Subject: events.SuspectSubject(s.Corp), Header: header, Data: body}
	if err := w.bus.NC.PublishMsg(msg); err != nil {
		return fmt.Errorf("report the access token of %s: %w", w.key, bus.Classify(err))
	}
	return nil
}
