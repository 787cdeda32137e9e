package media

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

// Limits are what is asked of a file. The zero value lets 256 MiB in, of any type.
type Limits struct {
	Part   *kfapi.Range  // only this part of it
	Max    int64         // bytes
	Binary bool          // a text is no such file, whatever the platform calls it
	Stall  time.Duration // longest wait for a byte; 0 means 30 s
}

// maxObject is more than any file of the platform's, in bytes.
const maxObject = 256 << 20

// StoreError means that the broker did not do its part. The platform did.
type StoreError struct{ Err error }

func (e *StoreError) Error() string { return "store the file: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *StoreError) Unwrap() error { return e.Err }

// Store downloads a file and stores it in [events.BucketMedia] under a name that is not there, with its type and its name
// as headers. Where somebody else was faster, theirs is returned. What answers instead of a file is a *kfapi.BodyError; a
// *TooLargeError, a *StoreError and what open returns are the others. It may be repeated.
func Store(ctx context.Context, b *bus.Bus, name string, open Open, l Limits) (bus.Object, error) {
	if l.Max <= 0 || l.Max > maxObject {
		l.Max = maxObject
	}
	if l.Stall <= 0 {
		l.Stall = stall
	}
	d, err := begin(ctx, open, l.Part, l.Stall)
	if err != nil {
		return bus.Object{}, err
	}
	defer d.close()
	if d.total > l.Max {
		return bus.Object{}, &TooLargeError{d.total, l.Max}
	}
	head, err := io.ReadAll(io.LimitReader(d, sniffBytes))
	if err != nil {
		return bus.Object{}, err
	}
	typ := TypeUnknown
	if d.first.First == 0 {
		typ = Sniff(head)
	}
	if why := unlike(d.first, typ, len(head), l.Binary); why != "" {
		return bus.Object{}, &kfapi.BodyError{Op: "media/get", Status: 200, Length: d.at, Why: why}
	}
	file := &capped{Reader: io.MultiReader(bytes.NewReader(head), d), max: l.Max}
	o, err := b.StoreObject(ctx, events.BucketMedia, name, nats.Header{HeaderType: {typ}, HeaderFilename: {Name(d.first.Filename)}}, file)
	switch {
	case err == nil:
		return o, nil
	case d.failed != nil:
		return o, d.failed
	case errors.As(err, new(*TooLargeError)):
		return o, err
	case errors.Is(err, bus.ErrConflict):
		if o, err = b.Object(ctx, events.BucketMedia, name); err == nil {
			return o, nil
		}
	}
	return o, &StoreError{err}
}

// unlike says why an answer is no file; "" if it is one. The platform says the name of every file, so that a text without
// one is an error page or half an error.
func unlike(m *kfapi.Media, typ string, size int, binary bool) string {
	switch {
	case size == 0:
		return "an empty file"
	case isText(typ) && (binary || m.Filename == ""):
		return fmt.Sprintf("no file but %s", typ)
	}
	return ""
}

// capped ends where a file is larger than it may be.
type capped struct {
	io.Reader
	n, max int64
}

func (c *capped) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if c.n += int64(n); c.n > c.max {
		return 0, &TooLargeError{-1, c.max}
	}
	return n, err
}
