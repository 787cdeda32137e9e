package kfapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const (
	maxRange = 20 << 20 // bytes of one download; more is 830002
	maxSniff = 64 << 10 // bytes of an answer that may be an error in JSON
)

// Range selects a part of a file; the zero value is all of it. Files over 20 MiB must be read in parts of up to 20 MiB.
type Range struct {
	header string
	first  int64 // -1 when it counts from the end
	err    error
}

// RangeBytes is the bytes from first to last, both included, counted from 0.
func RangeBytes(first, last int64) Range {
	r := Range{header: fmt.Sprintf("bytes=%d-%d", first, last), first: first}
	switch {
	case first < 0 || last < first:
		r.err = &LimitError{Field: "range", Why: "ends before it starts"}
	case last-first >= maxRange:
		r.err = &LimitError{Field: "range", Why: fmt.Sprintf("is larger than %d bytes", maxRange), Limit: maxRange, Got: int(last - first + 1)}
	}
	return r
}

// RangeFrom is everything from first on, counted from 0.
func RangeFrom(first int64) Range {
	r := Range{header: fmt.Sprintf("bytes=%d-", first), first: first}
	if first < 0 {
		r.err = &LimitError{Field: "range", Why: "starts before the file"}
	}
	return r
}

// RangeLast is the last n bytes.
func RangeLast(n int64) Range {
	r := Range{header: fmt.Sprintf("bytes=-%d", n), first: -1}
	if n <= 0 || n > maxRange {
		r.err = &LimitError{Field: "range", Why: fmt.Sprintf("must be 1 to %d bytes", maxRange), Limit: maxRange, Got: int(n)}
	}
	return r
}

// Media is a file or a part of one. ContentType and Filename are the sender's words: trust neither.
type Media struct {
	// Body streams the bytes until MediaTimeout after the call and must be closed. A download that breaks off ends in a
	// *TransportError, never in io.EOF, if the platform said how long it is.
	Body        io.ReadCloser
	ContentType string
	Filename    string // without any path; empty if none was given
	Length      int64  // of Body; -1 if unknown
	Partial     bool   // Body is First to Last of Total bytes; false although a Range was asked: the platform sent all
	First, Last int64
	Total       int64 // -1 if unknown
}

// MediaGetRequest names a file.
type MediaGetRequest struct {
	MediaID string `json:"media_id"`
}

// Validate checks that there is an id. Its error is a *LimitError.
func (r MediaGetRequest) Validate() error { return checkSize("media_id", r.MediaID, 1, 0) }

// MediaGet downloads a file by its id, which works for three days. It may be repeated, but one id again and again is refused
// with 45033; an id that is too old, or wrong, with 40007.
//
// https://developer.work.weixin.qq.com/document/path/90254
func (c *Client) MediaGet(ctx context.Context, accessToken, mediaID string, rng Range) (*Media, error) {
	return c.download(ctx, accessToken, "media/get", mediaID, rng)
}

// MediaGetJSSDK downloads a voice in Speex of 16 kHz, better than MediaGet's AMR. Only what the JS-SDK's uploadVoice made can be
// had so, no message of a customer. It may be repeated as MediaGet.
//
// https://developer.work.weixin.qq.com/document/path/90255
func (c *Client) MediaGetJSSDK(ctx context.Context, accessToken, mediaID string, rng Range) (*Media, error) {
	return c.download(ctx, accessToken, "media/get/jssdk", mediaID, rng)
}

func (c *Client) download(ctx context.Context, accessToken, path, mediaID string, rng Range) (*Media, error) {
	err := first(needToken(accessToken), MediaGetRequest{mediaID}.Validate(), rng.err)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	k := newCall(http.MethodGet, path, accessToken)
	k.query, k.secrets = url.Values{"media_id": {mediaID}}, []string{mediaID}
	k.header = http.Header{"Accept-Encoding": {"identity"}} // or net/http unpacks and the lengths are gone
	if rng.header != "" {
		k.header["Range"] = []string{rng.header}
	}
	ctx, cancel := context.WithTimeout(ctx, MediaTimeout)
	resp, err := c.open(ctx, k) //nolint:bodyclose // closed through Media.Body
	if err != nil {
		cancel()
		return nil, err
	}
	body := &mediaBody{
		r:     resp.Body,
		cut:   func(err error) error { return k.cut(ctx, err) },
		close: func() error { defer cancel(); return resp.Body.Close() },
	}
	m, err := k.media(resp, body, rng)
	if err != nil {
		_ = body.Close() // the answer has failed already
		return nil, err
	}
	return m, nil
}

func (k call) media(resp *http.Response, body *mediaBody, rng Range) (*Media, error) {
	m := &Media{
		Body: body, ContentType: resp.Header.Get("Content-Type"), Length: resp.ContentLength, Total: resp.ContentLength,
		Filename: filename(resp.Header.Get("Content-Disposition")),
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return m, k.sniff(resp, body)
	case http.StatusPartialContent:
		var ok bool
		m.First, m.Last, m.Total, ok = contentRange(resp.Header.Get("Content-Range"))
		wrong := rng.header == "" || rng.first >= 0 && m.First != rng.first || m.Length >= 0 && m.Length != m.Last-m.First+1
		if !ok || wrong {
			return nil, k.odd(metaOf(resp), 0, "not the range that was asked for")
		}
		m.Partial = true
		return m, nil
	}
	return nil, k.badStatus(resp)
}

// sniff finds the error that comes with status 200. A customer may send a .json file, so anything with a file name is a file.
func (k call) sniff(resp *http.Response, body *mediaBody) error {
	typ := cleanType(resp.Header.Get("Content-Type"), nil)
	if resp.Header.Get("Content-Disposition") != "" || typ != "" && typ != "application/json" && !strings.HasPrefix(typ, "text/") {
		return nil
	}
	start, err := io.ReadAll(io.LimitReader(body, maxSniff))
	if err != nil {
		return err
	}
	if h, why := readHead(start); why == "" && h.code != 0 {
		return k.refusal(h)
	}
	body.r = io.MultiReader(strings.NewReader(string(start)), body.r)
	return nil
}

// mediaBody keeps errors of the download free of anything but their kind.
type mediaBody struct {
	r     io.Reader
	cut   func(error) error
	close func() error
}

func (b *mediaBody) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.cut(err)
	}
	return n, err
}

func (b *mediaBody) Close() error { return b.close() }

// contentRange reads "bytes 0-1023/146515"; the total may be "*".
func contentRange(header string) (first, last, total int64, ok bool) {
	span, size, ok1 := strings.Cut(strings.TrimPrefix(header, "bytes "), "/")
	from, to, ok2 := strings.Cut(span, "-")
	first, err1 := strconv.ParseInt(from, 10, 64)
	last, err2 := strconv.ParseInt(to, 10, 64)
	total, err3 := strconv.ParseInt(size, 10, 64)
	if size == "*" {
		total, err3 = -1, nil
	}
	ok = ok1 && ok2 && errors.Join(err1, err2, err3) == nil && 0 <= first && first <= last && (total < 0 || last < total)
	return first, last, total, ok
}

// filename reads filename*=UTF-8”…, filename="…" and filename=… and drops what looks like a path.
func filename(disposition string) string {
	_, params, err := mime.ParseMediaType(disposition)
	name := params["filename"]
	if err != nil { // raw UTF-8 or spaces without quotes
		_, name, _ = strings.Cut(disposition, "filename=")
		if quoted, ok := strings.CutPrefix(name, `"`); ok {
			name, _, _ = strings.Cut(quoted, `"`)
		} else {
			name, _, _ = strings.Cut(name, ";")
		}
	}
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	return strings.ToValidUTF8(name, "_")
}
