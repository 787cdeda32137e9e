package api

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/media"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

const maxPart = 20 << 20 // bytes of one download; more is 830002

// getRequest asks for a file.
type getRequest struct {
	MediaID string `json:"media_id"`
	Range   string `json:"range,omitempty"` // "bytes=0-1023", "bytes=1024-", "bytes=-500"; all of it when empty
}

// Validate checks the form; whether the file has such a part only the platform knows.
func (r *getRequest) Validate() error {
	_, err := r.part()
	return firstOf(mustNot(r.MediaID == "", "media_id", "is empty"), mustNot(len(r.MediaID) > 512, "media_id", "is longer than 512 bytes"), err)
}

// part is the range that is asked for.
func (r *getRequest) part() (kfapi.Range, error) {
	if r.Range == "" {
		return kfapi.Range{}, nil
	}
	spec, ok := strings.CutPrefix(r.Range, "bytes=")
	from, to, ok2 := strings.Cut(spec, "-")
	first, err1 := strconv.ParseUint(from, 10, 62)
	last, err2 := strconv.ParseUint(to, 10, 62)
	switch {
	case ok && ok2 && err1 == nil && to == "":
		return kfapi.RangeFrom(int64(first)), nil
	case ok && ok2 && err2 == nil && from == "" && last > 0 && last <= maxPart:
		return kfapi.RangeLast(int64(last)), nil
	case ok && ok2 && err1 == nil && err2 == nil && first <= last && last-first < maxPart:
		return kfapi.RangeBytes(int64(first), int64(last)), nil
	}
	return kfapi.Range{}, &kfapi.LimitError{Field: "range", Why: `must be "bytes=0-1023", "bytes=1024-" or "bytes=-500", of up to 20 MiB`}
}

// getReply says where the file is. The content type is what its first bytes say, the filename what its sender calls it: trust
// neither.
type getReply struct {
	Bucket      string `json:"bucket"`
	Object      string `json:"object"`
	Size        uint64 `json:"size"` // bytes
	ContentType string `json:"content_type"`
	Filename    string `json:"filename"`
	SHA256      string `json:"sha256"` // hex
}

// opener begins a download, as MediaGet does.
type opener func(ctx context.Context, accessToken, mediaID string, rng kfapi.Range) (*kfapi.Media, error)

// download serves a call that fetches a file into the object store, unless it is there. variant tells apart what two calls
// make of one id.
func (s *Service) download(open opener, variant string) server {
	return func(ctx context.Context, e *endpoint, body []byte) ([]byte, error) {
		return s.mediaGet(ctx, e, open, variant, body)
	}
}

func (s *Service) mediaGet(ctx context.Context, e *endpoint, open opener, variant string, body []byte) ([]byte, error) {
	var r getRequest
	if err := strict(body, &r); err != nil {
		return nil, err
	}
	name := events.MediaObject(s.Corp, r.MediaID) + variant
	if r.Range != "" {
		name += "." + strings.TrimPrefix(r.Range, "bytes=")
	}
	o, err := s.Bus.Object(ctx, events.BucketMedia, name)
	switch {
	case errors.Is(err, bus.ErrNotFound):
		o, err = s.fetch(ctx, r, name, func(ctx context.Context, rng kfapi.Range) (m *kfapi.Media, err error) {
			err = s.ask(ctx, e, func(ctx context.Context, accessToken string) error {
				m, err = open(ctx, accessToken, r.MediaID, rng)
				return err
			})
			return m, err
		})
	case err != nil:
		err = &storeError{"look into " + events.BucketMedia, err, sentNo}
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(getReply{Bucket: o.Bucket, Object: o.Name, Size: o.Size, SHA256: o.SHA256,
		ContentType: o.Header.Get(media.HeaderType), Filename: o.Header.Get(media.HeaderFilename)})
}

// fetch downloads the file, or the part of it, and stores it.
func (s *Service) fetch(ctx context.Context, r getRequest, name string, open media.Open) (bus.Object, error) {
	limits := media.Limits{Stall: s.cfg.MediaTimeout} // the wait for its turn is in it
	if r.Range != "" {
		part, err := r.part()
		if err != nil {
			return bus.Object{}, err
		}
		limits.Part = &part
	}
	o, err := media.Store(ctx, s.Bus, name, open, limits)
	var store *media.StoreError
	var large *media.TooLargeError
	switch {
	case errors.As(err, &store):
		return o, &storeError{"store the file in " + events.BucketMedia, store.Err, sentYes}
	case errors.As(err, &large):
		return o, &tooLarge{"reply", int(large.Size), int(large.Max)}
	}
	return o, err
}
