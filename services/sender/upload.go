package sender

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/services/sender/window"
)

// A file is uploaded before a place is reserved for its message, so that an upload that fails spends nothing. Whatever dies
// in between, an upload too many only expires.

const (
	apiUpload   = "media/upload"
	mediaLife   = 71 * time.Hour // of the platform's three days; the rest is for clocks and queues
	uploadPause = 5 * time.Second
	codeMedia   = 40007 // the media_id is unknown, or its three days are over
)

// uploads are those of this replica: one of a file at a time.
type uploads struct {
	room chan struct{} // one place for each that may be under way

	mu  sync.Mutex
	all map[string]*upload // by key in [events.BucketUploads]
}

// upload is one that is under way, or was.
type upload struct {
	done  chan struct{} // closed when the rest is known
	id    string
	err   error
	at    time.Time  // our clock
	aside []timerRef // who waits for it aside; under mu
}

func newUploads(room int) *uploads {
	return &uploads{room: make(chan struct{}, room), all: map[string]*upload{}}
}

// begin returns the upload of a key, and whether it is the caller's to do. One that failed is begun anew after a pause.
func (u *uploads) begin(key string, now time.Time) (*upload, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for k, old := range u.all { // few: each is forgotten after a pause
		if old.over() && now.Sub(old.at).Abs() > uploadPause {
			delete(u.all, k)
		}
	}
	if up := u.all[key]; up != nil {
		return up, false
	}
	up := &upload{done: make(chan struct{}), at: now}
	u.all[key] = up
	return up, true
}

func (up *upload) over() bool {
	select {
	case <-up.done:
		return true
	default:
		return false
	}
}

func (u *uploads) end(up *upload, id string, err error, now time.Time) (woken []timerRef) {
	u.mu.Lock()
	defer u.mu.Unlock()
	up.id, up.err, up.at = id, err, now
	woken, up.aside = up.aside, nil
	close(up.done)
	return woken
}

func (u *uploads) forget(key string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if up := u.all[key]; up != nil && up.over() {
		delete(u.all, key)
	}
}

func (u *uploads) setAside(up *upload, ref timerRef) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if up.over() {
		return false
	}
	up.aside = append(up.aside, ref)
	return true
}

// bring makes sure that the file of j is with WeChat. waits is false where it is; else the command is decided again, waits
// aside, or is over.
func (s *Sender) bring(ctx context.Context, j *job, in entry, now window.Now) (waits, done bool, err error) {
	f := j.file
	if f == nil || j.mediaID != "" {
		return false, false, nil
	}
	sum, err := s.sum(ctx, f)
	if err != nil {
		return s.unbrought(ctx, j, in, now, err)
	}
	j.upload = events.UploadKey(s.corp, f.kind, f.shown(), sum)
	if j.mediaID = s.uploaded(ctx, j.upload, now.Platform); j.mediaID != "" {
		return true, false, nil // reading it took time
	}
	up, mine := s.uploads.begin(j.upload, s.now())
	if mine {
		go s.doUpload(context.WithoutCancel(ctx), j.upload, up, *f)
	}
	if patience := s.cfg.LaneWait - j.waited; !up.over() && patience > 0 && !j.aside {
		began := s.now()
		if err := s.pausedUntil(ctx, up.done, patience); err != nil {
			return true, false, err
		}
		j.waited += max(s.now().Sub(began), 0)
	}
	switch {
	case !up.over():
		if done, err = s.park(ctx, j, in, s.cfg.API.MediaTimeout, window.Action{}); !done || err != nil {
			return true, done, err
		}
		if ref := (timerRef{j.conversation(), j.ask.MsgID()}); !s.uploads.setAside(up, ref) {
			err = s.wake(ctx, ref.conversation, ref.msgid)
		}
		return true, true, err
	case up.err != nil:
		return s.unbrought(ctx, j, in, now, up.err)
	}
	j.mediaID, j.uploaded = up.id, mine
	return true, false, nil
}

// unbrought decides what becomes of a command whose file is not with WeChat.
func (s *Sender) unbrought(ctx context.Context, j *job, in entry, now window.Now, cause error) (waits, done bool, err error) {
	var limit *kfapi.LimitError
	code, refused := kfapi.Code(cause)
	switch {
	case errors.As(cause, &limit):
		j.flaw = refusal{window.ReasonMedia, limit.Field, cause.Error()}
	case errors.Is(cause, bus.ErrNotFound), noBucket(cause):
		j.flaw = refusal{window.ReasonMedia, j.file.field + ".object", "the object store " + j.file.Bucket + " has no such object"}
	case refused && !kfapi.Busy(cause) && !kfapi.RateLimited(cause) && !kfapi.TokenRejected(cause):
		j.flaw = refusal{window.ReasonPlatformMedia, j.file.field, ""}
	default:
		zerolog.Ctx(ctx).Warn().Err(cause).Dur("after", uploadPause).Msg("the file of a command is not uploaded yet")
		done, err = s.park(ctx, j, in, uploadPause+time.Second, window.Action{})
		return true, done, err
	}
	next, act := s.rules.Refuse(in.Ledger, j.ask, j.flaw.reason, code, now)
	done, err = s.finish(ctx, j, in, next, act)
	return true, done, err
}

func noBucket(err error) bool {
	var broker *jetstream.APIError
	return errors.As(err, &broker) && broker.ErrorCode == jetstream.JSErrCodeStreamNotFound
}

func unfit(err error) bool { return errors.As(err, new(*kfapi.LimitError)) }

// uploaded is the media_id of a file that was uploaded before, "" if there is none.
func (s *Sender) uploaded(ctx context.Context, key string, platform time.Time) string {
	e, err := s.bus.Read(ctx, events.BucketUploads, key)
	var u events.Upload
	switch {
	case err != nil:
		zerolog.Ctx(ctx).Debug().Err(err).Msg("not known whether a file was uploaded before; kfbus topology apply makes the bucket")
		return ""
	case len(e.Value) == 0 || json.Unmarshal(e.Value, &u) != nil || platform.Sub(u.At) > mediaLife:
		return ""
	}
	return u.MediaID
}

// doUpload uploads a file and tells those who wait for it. It is given up when we are told to stop: whoever takes the command
// up next does it again.
func (s *Sender) doUpload(ctx context.Context, key string, up *upload, f file) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.API.MediaTimeout)
	defer cancel()
	go func() {
		select {
		case <-s.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	id, err := s.uploadFile(ctx, &f)
	if err == nil {
		s.metrics.uploads.Inc()
		value := marshalled(events.Upload{MediaID: id, At: s.clock(window.Ledger{}, false).Platform.UTC()})
		if err := s.bus.Put(ctx, events.BucketUploads, key, value, mediaLife); err != nil {
			zerolog.Ctx(ctx).Warn().Err(err).Msg("an upload is not remembered: the next command with this file uploads it again; kfbus topology apply makes the bucket")
		}
	}
	for _, ref := range s.uploads.end(up, id, err, s.now()) {
		if err := s.wake(ctx, ref.conversation, ref.msgid); err != nil {
			zerolog.Ctx(ctx).Debug().Err(err).Msg("a command is not woken; it will be looked at")
		}
	}
}

func (s *Sender) uploadFile(ctx context.Context, f *file) (mediaID string, err error) {
	select {
	case s.uploads.room <- struct{}{}:
		defer func() { <-s.uploads.room }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	for paid := false; ; {
		var wait time.Duration
		wait, paid = s.limits.Take(ctx, apiUpload, s.cfg.API.MediaTimeout, paid)
		if wait <= 0 {
			break
		}
		if err := sleep(ctx, wait); err != nil {
			return "", err
		}
	}
	err = s.tokens.Do(ctx, func(ctx context.Context, accessToken string) error {
		r, size, err := s.open(ctx, f)
		if err != nil {
			return err
		}
		got, err := s.api.MediaUpload(ctx, accessToken, f.kind, f.name(), f.ContentType, r, size)
		mediaID = got.MediaID
		return err
	})
	if kfapi.RateLimited(err) {
		s.limits.Shut(ctx, apiUpload)
	}
	return mediaID, err
}

// staleMedia makes of the refusal of a media_id that was uploaded long ago an attempt that did nothing: the file is uploaded
// anew. One that was uploaded for this very attempt is refused for good.
func (s *Sender) staleMedia(ctx context.Context, j *job, a window.Answer) window.Answer {
	if j.file == nil || j.uploaded || a.Kind != window.AnswerRefused || a.Code != codeMedia {
		return a
	}
	zerolog.Ctx(ctx).Info().Msg("WeChat has forgotten an uploaded file; it is uploaded again")
	s.uploads.forget(j.upload)
	if err := s.bus.Put(ctx, events.BucketUploads, j.upload, nil, time.Minute); err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("a file that WeChat has forgotten is still remembered here")
	}
	j.mediaID = ""
	return window.Answer{Kind: window.AnswerNotSent, Code: a.Code, Part: a.Part}
}
