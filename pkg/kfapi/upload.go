package kfapi

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync/atomic"
	"unicode"
	"unicode/utf8"
)

// Kinds of media.
const (
	MediaImage = "image" // JPG or PNG, up to 10 MiB
	MediaVoice = "voice" // AMR, up to 2 MiB and 60 s
	MediaVideo = "video" // MP4, up to 10 MiB
	MediaFile  = "file"  // anything, up to 20 MiB
)

// MediaUploadResponse is an uploaded file.
type MediaUploadResponse struct {
	Type      string   `json:"type"`
	MediaID   string   `json:"media_id"`   // good for three days, for every app of the corp
	CreatedAt LooseInt `json:"created_at"` // Unix seconds
}

// MediaUpload uploads size bytes of r as a file of 6 bytes or more; kind is one of the Media constants. filename is what
// the customer sees for MediaFile: no path, no quotes, no control characters. An empty contentType is derived from it. r is
// streamed and must yield exactly size bytes; after an error it must not be used until its last Read has returned. It may be
// repeated with a fresh r: an upload too many only expires.
//
// https://developer.work.weixin.qq.com/document/path/90253
func (c *Client) MediaUpload(ctx context.Context, accessToken, kind, filename, contentType string, r io.Reader, size int64) (MediaUploadResponse, error) {
	const op = "media/upload"
	var out MediaUploadResponse
	if contentType == "" {
		contentType = typeByName(filename)
	}
	err := first(needToken(accessToken), checkUpload(kind, size), checkFilename(filename), checkType(contentType))
	if err != nil {
		return out, fmt.Errorf("%s: %w", op, err)
	}
	boundary := "kfbus" + rand.Text()
	start := fmt.Sprintf("--%s\r\nContent-Disposition: form-data; name=\"media\"; filename=\"%s\"; filelength=%d\r\nContent-Type: %s\r\n\r\n",
		boundary, filename, size, contentType)
	end := "\r\n--" + boundary + "--\r\n"
	file := &exactReader{r: r, left: size}
	_, err = c.decode(ctx, call{
		op: op, method: http.MethodPost, path: "/cgi-bin/media/upload", token: accessToken, limit: maxReply,
		query: url.Values{"type": {kind}}, timeout: MediaTimeout,
		header: http.Header{"Content-Type": {"multipart/form-data; boundary=" + boundary}},
		body:   io.MultiReader(strings.NewReader(start), file, strings.NewReader(end)),
		size:   int64(len(start)) + size + int64(len(end)),
	}, &out)
	var t *TransportError
	if cause := file.failed.Load(); cause != nil && errors.As(err, &t) {
		t.Err = &readError{*cause}
	}
	return out, err
}

// readError is the failure of the caller's own reader. Its text stays with the caller: it may name a file.
type readError struct{ err error }

func (e *readError) Error() string { return "the file to upload could not be read to its end" }
func (e *readError) Unwrap() error { return e.err }

func checkUpload(kind string, size int64) error {
	var most int64
	switch kind {
	case MediaVoice:
		most = 2 << 20
	case MediaImage, MediaVideo:
		most = 10 << 20
	case MediaFile:
		most = 20 << 20
	default:
		return &LimitError{Field: "type", Why: "must be image, voice, video or file"}
	}
	if size <= 5 || size > most {
		return &LimitError{Field: "media", Limit: int(most), Got: int(size),
			Why: fmt.Sprintf("is %d bytes, a file of type %s must be 6 to %d", size, kind, most)}
	}
	return nil
}

func checkFilename(name string) error {
	if name == "" || !utf8.ValidString(name) || strings.ContainsAny(name, `/\:"`) || strings.ContainsFunc(name, unicode.IsControl) {
		return &LimitError{Field: "filename", Why: `must be UTF-8 without / \ : " and control characters`}
	}
	return nil
}

func checkType(contentType string) error {
	if _, _, err := mime.ParseMediaType(contentType); err != nil || strings.ContainsFunc(contentType, unicode.IsControl) {
		return &LimitError{Field: "content_type", Why: "is not a media type"}
	}
	return nil
}

// typeByName is the table of the platform's own documentation.
func typeByName(filename string) string {
	switch strings.ToLower(path.Ext(filename)) {
	case ".jpg", ".jpeg":
		return "image/jpg"
	case ".png":
		return "image/png"
	case ".bmp":
		return "image/bmp"
	case ".amr":
		return "voice/amr"
	case ".mp4":
		return "video/mp4"
	}
	return "application/octet-stream"
}

// Why a file to upload cannot be read to its end, to be found with errors.Is.
var (
	ErrFileShort = errors.New("kfapi: the file has fewer bytes than announced")
	ErrFileLong  = errors.New("kfapi: the file has more bytes than announced")
)

// exactReader reads left bytes and fails if there are fewer or more, before the upload is complete.
type exactReader struct {
	r      io.Reader
	left   int64
	failed atomic.Pointer[error]
}

func (e *exactReader) Read(p []byte) (int, error) {
	n, err := e.read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		e.failed.Store(&err)
	}
	return n, err
}

func (e *exactReader) read(p []byte) (int, error) {
	if e.left == 0 {
		var more [1]byte
		_, err := io.ReadFull(e.r, more[:])
		if err == nil {
			err = ErrFileLong
		}
		return 0, err
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.left)])
	e.left -= int64(n)
	if errors.Is(err, io.EOF) {
		err = nil
		if e.left > 0 {
			err = ErrFileShort
		}
	}
	return n, err
}
