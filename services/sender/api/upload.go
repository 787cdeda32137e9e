package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

// fileRequest brings a file, or says where it is.
type fileRequest struct {
	Filename    string `json:"filename"`
	ContentType string `json:"content_type,omitempty"` // from the name when empty
	Object      string `json:"object,omitempty"`       // its name in the object store: this, or data
	Bucket      string `json:"bucket,omitempty"`       // of the object; kf_media when empty
	Data        []byte `json:"data,omitempty"`         // the file itself, where a message holds it
}

// Validate checks the form; sizes and types are checked with the file in hand.
func (r *fileRequest) Validate() error {
	return firstOf(
		mustNot(r.Filename == "", "filename", "is missing"),
		mustNot((r.Object == "") == (len(r.Data) == 0), "object", "and data: give one of them"),
		mustNot(r.Bucket != "" && r.Object == "", "bucket", "is of no use without object"),
		mustNot(!events.IsToken(r.bucket()) || strings.HasPrefix(r.bucket(), "="), "bucket", "is no name of an object store"),
	)
}

func (r *fileRequest) bucket() string {
	if r.Bucket == "" {
		return events.BucketMedia
	}
	return r.Bucket
}

// size is what is known of the file before it is opened: an object may be of any that is allowed.
func (r *fileRequest) size() int64 {
	if r.Object != "" {
		return smallest
	}
	return int64(len(r.Data))
}

const smallest = 6 // bytes of a file that WeChat takes

// uploadRequest is a file for messages.
type uploadRequest struct {
	Type string `json:"type"` // image, voice, video, file
	fileRequest
}

// Validate checks the form.
func (r *uploadRequest) Validate() error {
	return firstOf(mustNot(r.Type == "", "type", "is missing: image, voice, video or file"), r.fileRequest.Validate())
}

// mediaUpload uploads a file. The reply has the platform's fields.
func (s *Service) mediaUpload(ctx context.Context, e *endpoint, body []byte) ([]byte, error) {
	var r uploadRequest
	if err := strict(body, &r); err != nil {
		return nil, err
	}
	known := kfapi.MediaUploadRequest{Type: r.Type, Filename: r.Filename, ContentType: r.ContentType, FileLength: r.size()}
	if err := known.Validate(); err != nil {
		return nil, err
	}
	var got kfapi.MediaUploadResponse
	err := s.upload(ctx, e, r.fileRequest, func(ctx context.Context, accessToken string, file io.Reader, size int64) (err error) {
		got, err = s.API.MediaUpload(ctx, accessToken, r.Type, r.Filename, r.ContentType, file, size)
		return err
	})
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Errcode   int    `json:"errcode"`
		Errmsg    string `json:"errmsg"`
		Type      string `json:"type"`
		MediaID   string `json:"media_id"`
		CreatedAt string `json:"created_at"` // the platform's form
	}{Type: got.Type, MediaID: got.MediaID, CreatedAt: strconv.FormatInt(int64(got.CreatedAt), 10)})
}

// mediaUploadImg uploads a picture for ever. The reply has the platform's fields.
func (s *Service) mediaUploadImg(ctx context.Context, e *endpoint, body []byte) ([]byte, error) {
	var r fileRequest
	if err := strict(body, &r); err != nil {
		return nil, err
	}
	known := kfapi.MediaUploadImgRequest{Filename: r.Filename, ContentType: r.ContentType, FileLength: r.size()}
	if err := known.Validate(); err != nil {
		return nil, err
	}
	var got kfapi.MediaUploadImgResponse
	err := s.upload(ctx, e, r, func(ctx context.Context, accessToken string, file io.Reader, size int64) (err error) {
		got, err = s.API.MediaUploadImg(ctx, accessToken, r.Filename, r.ContentType, file, size)
		return err
	})
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Errcode int    `json:"errcode"`
		Errmsg  string `json:"errmsg"`
		URL     string `json:"url"`
	}{URL: got.URL})
}

// upload makes a call with the file of r, from its start each time.
func (s *Service) upload(ctx context.Context, e *endpoint, r fileRequest,
	do func(ctx context.Context, accessToken string, file io.Reader, size int64) error) error {
	return s.ask(ctx, e, func(ctx context.Context, accessToken string) error {
		if r.Object == "" {
			return do(ctx, accessToken, bytes.NewReader(r.Data), int64(len(r.Data)))
		}
		o, file, err := s.Bus.OpenObject(ctx, r.bucket(), r.Object)
		if errors.Is(err, bus.ErrNotFound) {
			return noObject{}
		}
		if err != nil {
			return &storeError{"read the object", err, sentNo}
		}
		return do(ctx, accessToken, file, int64(o.Size))
	})
}
