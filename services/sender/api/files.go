package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

// files are the calls that carry a file. It goes through an object store, so that it need not fit into a message.
func (s *Service) files() []*endpoint {
	list := []*endpoint{
		{Endpoint: kfapi.Endpoint{Path: "media/get", Method: "GET", Page: 90254, Repeatable: true, Style: kfapi.StyleDownload,
			Summary: "fetch a file into the object store " + events.BucketMedia,
			Request: func() kfapi.Request { return new(getRequest) }, Reply: func() any { return new(getReply) }}, serve: s.download(s.API.MediaGet, "")},
		{Endpoint: kfapi.Endpoint{Path: "media/upload", Method: "POST", Page: 90253, Repeatable: true, Style: kfapi.StyleUpload,
			Summary: "upload a file, from an object store or in the request",
			Request: func() kfapi.Request { return new(uploadRequest) }, Reply: func() any { return new(kfapi.MediaUploadResponse) }}, serve: s.mediaUpload},
	}
	list = append(list,
		&endpoint{Endpoint: kfapi.Endpoint{Path: "media/get/jssdk", Method: "GET", Page: 90255, Repeatable: true, Style: kfapi.StyleDownload,
			Summary: "fetch a voice of the JS-SDK, in Speex, into the object store " + events.BucketMedia,
			Request: func() kfapi.Request { return new(getRequest) }, Reply: func() any { return new(getReply) }}, serve: s.download(s.API.MediaGetJSSDK, ".jssdk")},
		&endpoint{Endpoint: kfapi.Endpoint{Path: "media/uploadimg", Method: "POST", Page: 90256, Style: kfapi.StyleUpload,
			Summary: "upload a picture for ever and get its URL, from an object store or in the request",
			Request: func() kfapi.Request { return new(fileRequest) }, Reply: func() any { return new(kfapi.MediaUploadImgResponse) }}, serve: s.mediaUploadImg})
	for _, e := range list {
		e.media, e.timeout = true, s.cfg.MediaTimeout
	}
	return list
}

// strict decodes a request of ours: a field that it does not know is a mistake, as the platform will never see it.
func strict[R kfapi.Request](body []byte, into R) error {
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return &kfapi.LimitError{Field: "body", Why: "is no JSON object, has a field that this call does not know, or one of the wrong type"}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return &kfapi.LimitError{Field: "body", Why: "has something after its end"}
	}
	return into.Validate()
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func mustNot(broken bool, field, why string) error {
	if broken {
		return &kfapi.LimitError{Field: field, Why: why}
	}
	return nil
}
