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

// MediaUploadRequest is what a file to upload is, without its bytes.
type MediaUploadRequest struct {
	Type        string `json:"type"`                   // one of the Media constants
	Filename    string `json:"filename"`               // no path, no quotes, no control characters
	FileLength  int64  `json:"filelength"`             // bytes, 6 or more
	ContentType string `json:"content_type,omitempty"` // empty: from Filename
}

// Validate checks every documented limit. Its error is a *LimitError.
func (r MediaUploadRequest) Validate() error {
	return first(checkUpload(r.Type, r.FileLength), checkFilename(r.Filename), checkType(r.ContentType))
}

// MediaUploadResponse is an uploaded file.
type MediaUploadResponse struct {
	Type      string    `json:"type"`
	MediaID   string    `json:"media_id"`   // good for three days, for every app of the corp
	CreatedAt StringInt `json:"created_at"` // Unix seconds
	Reply
}

func (r *MediaUploadResponse) missing() string { return ifEmpty(r.MediaID, "media_id") }

// MediaUpload uploads size bytes of r as a file of 6 bytes or more; kind is one of the Media constants. filename is what
// the customer sees for MediaFile: no path, no quotes, no control characters. An empty contentType is derived from it. r is
// streamed and must yield exactly size bytes; after an error it must not be used until its last Read has returned. It may be
// repeated with a fresh r: an upload too many only expires.
//
// https://developer.work.weixin.qq.com/document/path/90253
func (c *Client) MediaUpload(ctx context.Context, accessToken, kind, filename, contentType string, r io.Reader, size int64) (MediaUploadResponse, error) {
	k := newCall(http.MethodPost, "media/upload", accessToken)
	k.query = url.Values{"type": {kind}}
	req := MediaUploadRequest{kind, filename, size, contentType}
	return upload[MediaUploadResponse](ctx, c, k, req, req, r)
}

// MediaUploadImgRequest is what a picture to upload is, without its bytes.
type MediaUploadImgRequest struct {
	Filename    string `json:"filename"`               // as in MediaUploadRequest
	FileLength  int64  `json:"filelength"`             // 5 bytes to 2 MiB
	ContentType string `json:"content_type,omitempty"` // empty: from Filename
}

// Validate checks every documented limit. Its error is a *LimitError.
func (r MediaUploadImgRequest) Validate() error {
	return first(checkLength(r.FileLength, 5, 2<<20), checkFilename(r.Filename), checkType(r.ContentType))
}

// MediaUploadImgResponse is where the picture is.
type MediaUploadImgResponse struct {
	URL string `json:"url"` // for ever
	Reply
}

func (r *MediaUploadImgResponse) missing() string { return ifEmpty(r.URL, "url") }

// MediaUploadImg uploads size bytes of r, a JPG or PNG of 5 bytes to 2 MiB, for ever. A corp may do so 1000 times a day and
// 3000 times a month, so a repeat costs. Filename, contentType and r are as for MediaUpload.
//
// https://developer.work.weixin.qq.com/document/path/90256
func (c *Client) MediaUploadImg(ctx context.Context, accessToken, filename, contentType string, r io.Reader, size int64) (MediaUploadImgResponse, error) {
	req := MediaUploadImgRequest{filename, size, contentType}
	file := MediaUploadRequest{Filename: filename, FileLength: size, ContentType: contentType}
	return upload[MediaUploadImgResponse](ctx, c, newCall(http.MethodPost, "media/uploadimg", accessToken), req, file, r)
}

// upload streams r as the one part of a form.
func upload[A any](ctx context.Context, c *Client, k call, req Request, f MediaUploadRequest, r io.Reader) (A, error) {
	var out, none A
	if err := first(needToken(k.token), req.Validate()); err != nil {
		return none, fmt.Errorf("%s: %w", k.op, err)
	}
	if f.ContentType == "" {
		f.ContentType = typeByName(f.Filename)
	}
	boundary := "kfbus" + rand.Text()
	start := fmt.Sprintf("--%s\r\nContent-Disposition: form-data; name=\"media\"; filename=\"%s\"; filelength=%d\r\nContent-Type: %s\r\n\r\n",
		boundary, f.Filename, f.FileLength, f.ContentType)
	end := "\r\n--" + boundary + "--\r\n"
	file := &exactReader{r: r, left: f.FileLength}
	k.timeout = MediaTimeout
	k.header = http.Header{"Content-Type": {"multipart/form-data; boundary=" + boundary}}
	k.body = io.MultiReader(strings.NewReader(start), file, strings.NewReader(end))
	k.size = int64(len(start)) + f.FileLength + int64(len(end))
	err := c.decode(ctx, k, &out)
	if err == nil {
		return out, nil
	}
	var t *TransportError
	if cause := file.failed.Load(); cause != nil && errors.As(err, &t) {
		t.Err = &readError{*cause}
	}
	return none, err
}

// readError is the failure of the caller's own reader. Its text stays with the caller: it may name a file.
type readError struct{ err error }

func (e *readError) Error() string { return "the file to upload could not be read to its end" }
func (e *readError) Unwrap() error { return e.err }

func checkUpload(kind string, size int64) error {
	if err := checkKind(kind); err != nil {
		return err
	}
	most := map[string]int64{MediaVoice: 2 << 20, MediaImage: 10 << 20, MediaVideo: 10 << 20, MediaFile: 20 << 20}
	return checkLength(size, 6, most[kind])
}

func checkKind(kind string) error {
	switch kind {
	case MediaImage, MediaVoice, MediaVideo, MediaFile:
		return nil
	}
	return &LimitError{Field: "type", Why: "must be image, voice, video or file"}
}

func checkLength(size, least, most int64) error {
	if size < least || size > most {
		return &LimitError{Field: "media", Limit: int(most), Got: int(size), Why: fmt.Sprintf("is %d bytes, must be %d to %d", size, least, most)}
	}
	return nil
}

func checkFilename(name string) error {
	if name == "" || !utf8.ValidString(name) || strings.ContainsAny(name, `/\:"`) || strings.ContainsFunc(name, unicode.IsControl) {
		return &LimitError{Field: "filename", Why: `must be UTF-8 without / \ : " and control characters`}
	}
	return nil
}

// checkType takes "" for "by the file's name".
func checkType(contentType string) error {
	if contentType == "" {
		return nil
	}
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
