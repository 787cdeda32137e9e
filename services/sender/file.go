package sender

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/kfbus/kfbus/internal/media"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

// file is what a send carries instead of a media_id: the bytes, or where they are. It is never fetched from a URL.
type file struct {
	kind  string // image, voice, video, file
	field string // of the command, where it stands
	fileFields

	head []byte // the first bytes of an object that was opened
}

type fileFields struct {
	Object      string `json:"object"`
	Bucket      string `json:"bucket"`
	Data        []byte `json:"data"`
	Filename    string `json:"filename"`
	ContentType string `json:"content_type"`
}

// takeFile finds the file in the body of a send, and returns the body as WeChat knows it for a media_id. Without a file
// there is none to return.
func takeFile(body json.RawMessage) (f *file, with func(mediaID string) json.RawMessage, err error) {
	var top map[string]json.RawMessage
	var kind string
	if json.Unmarshal(body, &top) != nil || json.Unmarshal(top["msgtype"], &kind) != nil {
		return nil, nil, nil // it is refused by those who know messages
	}
	var message map[string]json.RawMessage
	if json.Unmarshal(top[kind], &message) != nil {
		return nil, nil, nil
	}
	f = &file{kind: kind, field: kind}
	into, fields := "media_id", message
	switch {
	case slices.Contains(events.MediaTypes(), kind) && (message["object"] != nil || message["data"] != nil):
		message = map[string]json.RawMessage{}
	case (kind == "link" || kind == "miniprogram") && message["thumb"] != nil:
		f.kind, f.field, into = kfapi.MediaImage, kind+".thumb", "thumb_media_id"
		raw := message["thumb"]
		delete(message, "thumb")
		if fields = nil; json.Unmarshal(raw, &fields) != nil {
			return nil, nil, &kfapi.LimitError{Field: f.field, Why: "is no object"}
		}
		if message[into] != nil {
			return nil, nil, &kfapi.LimitError{Field: f.field, Why: "and " + into + ": give one of them"}
		}
	default:
		return nil, nil, nil
	}
	if err := twice(body); err != nil {
		return nil, nil, err
	}
	if err := f.read(fields); err != nil {
		return nil, nil, err
	}
	return f, func(mediaID string) json.RawMessage {
		message[into] = marshalled(mediaID)
		top[kind] = marshalled(message)
		return marshalled(top)
	}, nil
}

// twice refuses what ParseMessage refuses before it looks at any field: a key that stands twice, at any depth.
func twice(body json.RawMessage) error {
	var l *kfapi.LimitError
	if _, err := kfapi.ParseMessage(body); errors.As(err, &l) && l.Field == "message" {
		return err
	}
	return nil
}

func (f *file) read(fields map[string]json.RawMessage) error {
	wrong := func(field, why string) error { return &kfapi.LimitError{Field: f.field + "." + field, Why: why} }
	for name, value := range fields {
		into := map[string]any{"object": &f.Object, "bucket": &f.Bucket, "data": &f.Data, "filename": &f.Filename, "content_type": &f.ContentType}[name]
		switch {
		case into == nil:
			return &kfapi.LimitError{Field: f.field, Why: "has a field that is none of a file: object, bucket, data, filename and content_type are; or it has a media_id too"}
		case json.Unmarshal(value, into) != nil:
			return wrong(name, "is not of its type: text, and data base64")
		}
	}
	if f.Bucket == "" {
		f.Bucket = events.BucketMedia
	} else if f.Object == "" {
		return wrong("bucket", "is of no use without object")
	}
	switch {
	case (f.Object == "") == (len(f.Data) == 0):
		return wrong("object", "and data: give one of them")
	case !events.IsToken(f.Bucket) || strings.HasPrefix(f.Bucket, "="):
		return wrong("bucket", "is no name of an object store")
	case len(f.Data) > events.MaxCommandFile:
		return &kfapi.LimitError{Field: f.field + ".data", Limit: events.MaxCommandFile, Got: len(f.Data),
			Why: fmt.Sprintf("is %d bytes, at most %d are taken; put it into an object store", len(f.Data), events.MaxCommandFile)}
	case f.Object != "":
		return f.check(smallest) // its size is not known yet
	}
	f.head = f.Data
	return f.check(int64(len(f.Data)))
}

const smallest = 6 // bytes of a file that WeChat takes

// check holds the file to what WeChat takes. Its type is what its first bytes say, where they are known.
func (f *file) check(size int64) error {
	r := kfapi.MediaUploadRequest{Type: f.kind, Filename: f.name(), FileLength: size, ContentType: f.ContentType}
	if err := r.Validate(); err != nil {
		var l *kfapi.LimitError
		if !errors.As(err, &l) {
			return err
		}
		field := map[string]string{"media": f.field + f.place(), "filename": f.field + ".filename", "content_type": f.field + ".content_type"}[l.Field]
		return &kfapi.LimitError{Field: field, Limit: l.Limit, Got: l.Got, Why: l.Why}
	}
	takes := map[string][]string{kfapi.MediaImage: {"image/jpeg", "image/png"}, kfapi.MediaVoice: {"audio/amr"}, kfapi.MediaVideo: {"video/mp4"}}[f.kind]
	if typ := media.Sniff(f.head); f.head != nil && takes != nil && !slices.Contains(takes, typ) {
		return &kfapi.LimitError{Field: f.field + f.place(), Why: fmt.Sprintf("is %s; WeChat takes %s for a message of type %s", typ, strings.Join(takes, " and "), f.kind)}
	}
	return nil
}

func (f *file) place() string {
	if f.Object != "" {
		return ".object"
	}
	return ".data"
}

// name is what the file is called. WeChat goes by the extension.
func (f *file) name() string {
	name := f.Filename
	if name == "" {
		name = f.kind
	}
	fits := map[string][]string{kfapi.MediaImage: {".jpg", ".jpeg", ".png"}, kfapi.MediaVoice: {".amr"}, kfapi.MediaVideo: {".mp4"}}[f.kind]
	if fits == nil || slices.Contains(fits, strings.ToLower(path.Ext(name))) {
		return name
	}
	if media.Sniff(f.head) == "image/png" {
		return name + ".png"
	}
	return name + fits[0]
}

// shown is the part of the name that the customer sees.
func (f *file) shown() string {
	if f.kind == kfapi.MediaFile {
		return f.name()
	}
	return ""
}

// sum is the SHA-256 of the bytes, in hex; of an object as its store has it.
func (s *Sender) sum(ctx context.Context, f *file) (string, error) {
	if f.Object == "" {
		sum := sha256.Sum256(f.Data)
		return hex.EncodeToString(sum[:]), nil
	}
	o, err := s.bus.Object(ctx, f.Bucket, f.Object)
	if err == nil && f.Filename == "" {
		f.Filename = media.Name(o.Header.Get(media.HeaderFilename))
	}
	if err == nil {
		err = f.check(int64(o.Size)) //nolint:gosec // a store holds less than 8 EiB
	}
	return o.SHA256, err
}

// open begins to read the bytes, and looks at the first of them. An object whose bytes are not those of its name ends in an
// error, so that nothing is uploaded under a sum that is not its own.
func (s *Sender) open(ctx context.Context, f *file) (r io.Reader, size int64, err error) {
	if f.Object == "" {
		return bytes.NewReader(f.Data), int64(len(f.Data)), nil
	}
	o, r, err := s.bus.OpenObject(ctx, f.Bucket, f.Object)
	if err != nil {
		return nil, 0, err
	}
	size = int64(o.Size) //nolint:gosec // a store holds less than 8 EiB
	if f.head, err = io.ReadAll(io.LimitReader(r, sniffed)); err != nil {
		return nil, 0, err
	}
	return io.MultiReader(bytes.NewReader(f.head), r), size, f.check(size)
}

const sniffed = 8 << 10 // bytes; media.Sniff looks at no more

// marshalled leaves <, > and & as they are, since WeChat refuses what stands for them.
func marshalled(v any) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // only called with what was decoded
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
