package bus

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Object is a file in an object store.
type Object struct {
	Bucket, Name string
	Size         uint64 // bytes
	SHA256       string // hex
	Header       nats.Header
	Stored       time.Time // when the broker got it

	revision uint64 // of the name; 0: never used
	id       string // of its bytes
}

// objectChunk is how much of a file is one message, in bytes: what every client writes.
const objectChunk = 128 << 10

func objectStream(bucket string) string { return "OBJ_" + bucket }

func objectMeta(bucket, name string) string {
	return "$O." + bucket + ".M." + base64.URLEncoding.EncodeToString([]byte(name))
}

func objectChunks(bucket, id string) string { return "$O." + bucket + ".C." + id }

// Object says what the store knows of a file, as the leader has it. [ErrNotFound] where there is none, or none any more.
func (b *Bus) Object(ctx context.Context, bucket, name string) (Object, error) {
	o := Object{Bucket: bucket, Name: name}
	s, err := b.Last(ctx, objectStream(bucket), objectMeta(bucket, name))
	if err != nil {
		return o, err
	}
	var info jetstream.ObjectInfo
	if err := json.Unmarshal(s.Data, &info); err != nil {
		return o, fmt.Errorf("read object %s of %s: %w", name, bucket, err)
	}
	o.revision = s.Seq
	if info.Deleted {
		return o, fmt.Errorf("read object %s of %s: deleted: %w", name, bucket, ErrNotFound)
	}
	sum, err := base64.URLEncoding.DecodeString(strings.TrimPrefix(info.Digest, "SHA-256="))
	if err != nil {
		return o, fmt.Errorf("read object %s of %s: digest: %w", name, bucket, err)
	}
	o.id = info.NUID
	o.Size, o.SHA256, o.Header, o.Stored = info.Size, hex.EncodeToString(sum), info.Headers, s.Time
	return o, nil
}

// StoreObject stores what r gives under a name that nobody uses. [ErrConflict] means that somebody else did meanwhile: then
// theirs stays. The name appears when all bytes are on the broker and not before, whatever dies; bytes that got no name
// are deleted, or after a crash go with the bucket's age. Any client of object stores can read it.
//
// It is not the client's own Put: that writes the name before the bytes are known to be stored, and over another's.
func (b *Bus) StoreObject(ctx context.Context, bucket, name string, header nats.Header, r io.Reader) (Object, error) {
	o, err := b.Object(ctx, bucket, name)
	switch {
	case err == nil:
		return o, fmt.Errorf("store object %s in %s: %w", name, bucket, ErrConflict)
	case !errors.Is(err, ErrNotFound):
		return o, err
	}
	id := rand.Text()
	info := jetstream.ObjectInfo{Bucket: bucket, NUID: id, ObjectMeta: jetstream.ObjectMeta{Name: name, Headers: header,
		Opts: &jetstream.ObjectMetaOptions{ChunkSize: objectChunk}}}
	chunks := objectChunks(bucket, id)
	if err = b.storeChunks(ctx, chunks, &info, r); err == nil {
		err = b.nameObject(ctx, o, info)
	}
	// After a lost answer the name may be there: it must keep its bytes.
	if err != nil && !errors.Is(err, errNamed) && info.Chunks > 0 {
		b.dropChunks(ctx, bucket, chunks)
	}
	if err != nil {
		return o, fmt.Errorf("store object %s in %s: %w", name, bucket, err)
	}
	return b.Object(ctx, bucket, name)
}

// errNamed: the name may have been stored.
var errNamed = errors.New("named or not, nobody knows")

func (b *Bus) storeChunks(ctx context.Context, subject string, info *jetstream.ObjectInfo, r io.Reader) error {
	h, buf := sha256.New(), make([]byte, objectChunk)
	for {
		n, err := fill(r, buf)
		if err != nil && err != io.EOF { //nolint:errorlint // a reader ends with io.EOF itself; one that is wrapped is a failure
			return err
		}
		if n > 0 {
			h.Write(buf[:n])
			info.Chunks++ // before: it may be stored although no answer came
			if _, err := b.publish(ctx, &nats.Msg{Subject: subject, Data: buf[:n]}); err != nil {
				return err
			}
			info.Size += uint64(n)
		}
		if err != nil {
			info.Digest = "SHA-256=" + base64.URLEncoding.EncodeToString(h.Sum(nil))
			return nil
		}
	}
}

// fill reads until buf is full or r has ended: what comes in small pieces would become many messages. Unlike io.ReadFull it
// leaves every error of r as it is.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var k int
		k, err = r.Read(buf[n:])
		n += k
	}
	return n, err
}

func (b *Bus) nameObject(ctx context.Context, o Object, info jetstream.ObjectInfo) error {
	body, err := json.Marshal(info)
	if err != nil {
		return err
	}
	_, err = b.publish(ctx, &nats.Msg{Subject: objectMeta(o.Bucket, o.Name), Data: body, Header: nats.Header{
		jetstream.MsgRollup:                 {jetstream.MsgRollupSubject},
		jetstream.ExpectedLastSubjSeqHeader: {strconv.FormatUint(o.revision, 10)},
	}})
	if errors.Is(err, ErrUnknown) {
		return fmt.Errorf("%w: %w", errNamed, err)
	}
	return err
}

// dropChunks deletes bytes that got no name; what it leaves goes with the bucket's age.
func (b *Bus) dropChunks(ctx context.Context, bucket, subject string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.timeout)
	defer cancel()
	s, err := b.JS.Stream(ctx, objectStream(bucket))
	if err == nil {
		err = s.Purge(ctx, jetstream.WithPurgeSubject(subject))
	}
	if err != nil {
		b.log.Warn().Err(Classify(err)).Str("bucket", bucket).Msg("bytes without a name stay until the bucket's age")
	}
}
