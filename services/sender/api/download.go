package api

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"strconv"
	"strings"
	"unicode"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

const (
	maxPart   = 20 << 20  // bytes of one download; more is 830002
	maxObject = 256 << 20 // bytes of a file; the platform's largest is 200 MB
	tooBig    = 830002    // errcode: ask for ranges
)

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

// getReply says where the file is. Filename and content type are what the sender of the file calls it: trust neither.
type getReply struct {
	Bucket      string `json:"bucket"`
	Object      string `json:"object"`
	Size        uint64 `json:"size"` // bytes
	ContentType string `json:"content_type"`
	Filename    string `json:"filename"`
	SHA256      string `json:"sha256"` // hex
}

// headerFilename keeps the name beside the object.
const headerFilename = "Kf-Filename"

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
	store, err := s.Bus.JS.ObjectStore(ctx, events.BucketMedia)
	if err != nil {
		return nil, &storeError{"open " + events.BucketMedia, err, sentNo}
	}
	name := events.MediaObject(s.Corp, r.MediaID) + variant
	if r.Range != "" {
		name += "." + strings.TrimPrefix(r.Range, "bytes=")
	}
	info, err := store.GetInfo(ctx, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		info, err = s.fetch(ctx, r, store, name, func(rng kfapi.Range) (m *kfapi.Media, err error) {
			err = s.ask(ctx, e, func(ctx context.Context, accessToken string) error {
				m, err = open(ctx, accessToken, r.MediaID, rng)
				return err
			})
			return m, err
		})
	} else if err != nil {
		err = &storeError{"look into " + events.BucketMedia, err, sentNo}
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(getReply{Bucket: events.BucketMedia, Object: name, Size: info.Size, SHA256: digest(info),
		ContentType: info.Headers.Get("Content-Type"), Filename: info.Headers.Get(headerFilename)})
}

func digest(info *jetstream.ObjectInfo) string {
	b, err := base64.URLEncoding.DecodeString(strings.TrimPrefix(info.Digest, "SHA-256="))
	if err != nil {
		return ""
	}
	return hex.EncodeToString(b)
}

// fetch downloads the file, or the part of it, and stores it.
func (s *Service) fetch(ctx context.Context, r getRequest, store jetstream.ObjectStore, name string,
	open func(kfapi.Range) (*kfapi.Media, error)) (*jetstream.ObjectInfo, error) {
	part, err := r.part()
	if err != nil {
		return nil, err
	}
	m, err := open(part)
	if code, _ := kfapi.Code(err); code == tooBig && r.Range == "" {
		m, err = inParts(open)
	}
	if err != nil {
		return nil, err
	}
	defer m.Body.Close()
	d := &source{r: m.Body}
	info, err := store.Put(ctx, jetstream.ObjectMeta{Name: name, Headers: nats.Header{
		"Content-Type": {plainType(m.ContentType)}, headerFilename: {plainName(m.Filename)}}}, whole{d})
	switch {
	case d.failed != nil:
		return nil, d.failed
	case err != nil:
		return nil, &storeError{"store the file in " + events.BucketMedia, err, sentYes}
	}
	return info, nil
}

// source keeps what went wrong on the platform's side, and ends where a file is larger than any should be.
type source struct {
	r      io.Reader
	n      int
	failed error
}

func (d *source) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	if d.n += n; d.n > maxObject {
		err = &tooLarge{"reply", d.n, maxObject}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		d.failed = err
	}
	return n, err
}

// inParts is a file that is too large for one download.
func inParts(open func(kfapi.Range) (*kfapi.Media, error)) (*kfapi.Media, error) {
	m, err := open(kfapi.RangeBytes(0, maxPart-1))
	if err != nil || !m.Partial {
		return m, err
	}
	if m.Total < 0 {
		_ = m.Body.Close() // of no use
		return nil, &kfapi.BodyError{Op: "media/get", Status: 206, Why: "a part of a file of unknown size"}
	}
	m.Body = &parts{ReadCloser: m.Body, open: open, next: m.Last + 1, total: m.Total}
	return m, nil
}

// parts reads a file part after part.
type parts struct {
	io.ReadCloser
	open        func(kfapi.Range) (*kfapi.Media, error)
	next, total int64
}

func (p *parts) Read(b []byte) (int, error) {
	for {
		n, err := p.ReadCloser.Read(b)
		if n > 0 && errors.Is(err, io.EOF) {
			err = nil // it will be said again
		}
		if n > 0 || !errors.Is(err, io.EOF) || p.next >= p.total {
			return n, err
		}
		m, err := p.open(kfapi.RangeBytes(p.next, min(p.next+maxPart, p.total)-1))
		if err != nil {
			return 0, fmt.Errorf("part from byte %d on: %w", p.next, err)
		}
		_ = p.Close() // read to its end
		p.ReadCloser, p.next = m.Body, m.Last+1
		if !m.Partial || m.Total != p.total {
			return 0, &kfapi.BodyError{Op: "media/get", Status: 200, Why: "the file changed between two parts"}
		}
	}
}

// plainType keeps a content type only if it is a plain one.
func plainType(header string) string {
	typ, _, err := mime.ParseMediaType(header)
	if err != nil || len(typ) > 64 || strings.Count(typ, "/") != 1 || strings.Trim(typ, "abcdefghijklmnopqrstuvwxyz0123456789/.+-") != "" {
		return "application/octet-stream"
	}
	return typ
}

// plainName keeps of a file name what can harm nobody: no path, no control character, not hidden, not too long.
func plainName(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || strings.ContainsRune(`/\:*?"<>|`, r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, ""))
	name = strings.TrimLeft(name, ". ")
	const most = 200
	for len(name) > most {
		name = name[1:] // the end says more: the extension
		name = strings.ToValidUTF8(name, "")
	}
	return name
}
