package media

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/bus"
)

// ErrNoObject means that there is no such object, or no such bucket.
var ErrNoObject = errors.New("there is no such object in the bucket")

// File is an object that is being read. Its end is an error if it is not what was stored.
type File struct {
	io.ReadCloser
	Size        int64
	Filename    string // as it was stored, cleaned; may be empty
	ContentType string // as it was stored; may be empty
}

// OpenObject begins to read an object of any bucket. The caller closes it. [ErrNoObject] if it is not there.
func OpenObject(ctx context.Context, b *bus.Bus, bucket, name string) (*File, error) {
	store, err := b.JS.ObjectStore(ctx, bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) || errors.Is(err, jetstream.ErrInvalidStoreName) {
		return nil, ErrNoObject
	}
	if err != nil {
		return nil, fmt.Errorf("open the bucket: %w", bus.Classify(err))
	}
	file, err := store.Get(ctx, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil, ErrNoObject
	}
	if err != nil {
		return nil, fmt.Errorf("read the object: %w", bus.Classify(err))
	}
	info, err := file.Info()
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("read the object: %w", bus.Classify(err))
	}
	return &File{ReadCloser: file, Size: int64(info.Size), Filename: Name(info.Headers.Get(HeaderFilename)),
		ContentType: info.Headers.Get(HeaderType)}, nil
}
