package bus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"regexp"

	"github.com/nats-io/nats.go/jetstream"
)

var bucketName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)

// OpenObject returns a file of an object store, to be read once and within ctx. [ErrNotFound] where there is none, or no such
// bucket. A file that is not what was stored, byte for byte, ends with an error instead of io.EOF.
//
// Like [Bus.Scan] it makes no consumer, as the client's own Get does.
func (b *Bus) OpenObject(ctx context.Context, bucket, name string) (Object, io.Reader, error) {
	if !bucketName.MatchString(bucket) {
		return Object{}, nil, fmt.Errorf("read object of a bucket that cannot be: %w", ErrNotFound)
	}
	o, err := b.Object(ctx, bucket, name)
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamNotFound {
		err = fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	if err != nil {
		return o, nil, err
	}
	return o, &objectReader{ctx: ctx, bus: b, object: o, next: 1, sum: sha256.New()}, nil
}

type objectReader struct {
	ctx    context.Context //nolint:containedctx // io.Reader leaves no other way, and it is read within one call
	bus    *Bus
	object Object
	next   uint64 // sequence of the next part, or before it
	part   []byte
	read   uint64
	sum    hash.Hash
}

func (r *objectReader) Read(p []byte) (int, error) {
	for len(r.part) == 0 {
		if r.read == r.object.Size {
			if hex.EncodeToString(r.sum.Sum(nil)) != r.object.SHA256 {
				return 0, fmt.Errorf("read object %s of %s: its bytes are not those that were stored", r.object.Name, r.object.Bucket)
			}
			return 0, io.EOF
		}
		m, err := r.bus.Next(r.ctx, objectStream(r.object.Bucket), r.next, objectChunks(r.object.Bucket, r.object.id))
		if err != nil {
			return 0, fmt.Errorf("read object %s of %s: %w", r.object.Name, r.object.Bucket, err)
		}
		if r.read += uint64(len(m.Data)); r.read > r.object.Size {
			return 0, fmt.Errorf("read object %s of %s: it has more bytes than it says", r.object.Name, r.object.Bucket)
		}
		r.next, r.part = m.Seq+1, m.Data
		r.sum.Write(m.Data)
	}
	n := copy(p, r.part)
	r.part = r.part[n:]
	return n, nil
}
