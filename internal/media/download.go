package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

const (
	maxPart = 20 << 20 // bytes of one download; more is 830002
	tooBig  = 830002   // errcode: ask for ranges
	mends   = 3        // cuts in a row without a byte between them, and no more
	stall   = 30 * time.Second
)

// Open begins a download, as kfapi's MediaGet does. Its context lives until the body is closed.
type Open func(ctx context.Context, rng kfapi.Range) (*kfapi.Media, error)

// TooLargeError means that a file is larger than it may be.
type TooLargeError struct {
	Size int64 // bytes; -1 if nobody knows
	Max  int64
}

func (e *TooLargeError) Error() string {
	if e.Size < 0 {
		return fmt.Sprintf("the file has more than the %d bytes that are let in", e.Max)
	}
	return fmt.Sprintf("the file has %d bytes, at most %d are let in", e.Size, e.Max)
}

// download reads one file to its end: in parts where it is large, and where a connection is cut or says nothing any more,
// from there on over another.
type download struct {
	ctx   context.Context //nolint:containedctx // of the whole; a reader has no other place for it
	open  Open
	stall time.Duration // longest wait for a byte

	body   io.ReadCloser
	silent *atomic.Bool // nothing came on this connection for too long
	cancel context.CancelFunc
	idle   *time.Timer

	first  *kfapi.Media
	at     int64 // bytes read
	from   int64 // of them before this connection
	total  int64 // -1: unknown
	failed error // what went wrong on the platform's side
	cuts   int   // in a row
	once   bool  // a part of a file is not mended
}

// begin opens a file, or with a range that part of it, which is read as it comes.
func begin(ctx context.Context, open Open, part *kfapi.Range, stall time.Duration) (*download, error) {
	d := &download{ctx: ctx, open: open, stall: stall}
	rng := kfapi.Range{}
	if part != nil {
		rng = *part
	}
	m, err := d.connect(rng)
	if code, _ := kfapi.Code(err); code == tooBig && part == nil {
		m, err = d.connect(kfapi.RangeBytes(0, maxPart-1))
	}
	if err != nil {
		return nil, err
	}
	d.first, d.total, d.once = m, m.Total, part != nil
	switch {
	case d.once:
		d.total = m.Length
	case m.Partial && m.Total < 0:
		d.close()
		return nil, &kfapi.BodyError{Op: "media/get", Status: 206, Why: "a part of a file of unknown size"}
	}
	return d, nil
}

// connect makes a request whose body is then read.
func (d *download) connect(rng kfapi.Range) (*kfapi.Media, error) {
	d.close()
	ctx, cancel := context.WithCancel(d.ctx)
	silent := new(atomic.Bool)
	idle := time.AfterFunc(d.stall, func() { silent.Store(true); cancel() })
	m, err := d.open(ctx, rng)
	if err != nil {
		idle.Stop()
		err = late(silent, err)
		cancel()
		return nil, err
	}
	d.from = d.at
	d.body, d.silent, d.cancel, d.idle = m.Body, silent, cancel, idle
	return m, nil
}

func (d *download) close() {
	if d.body == nil {
		return
	}
	d.idle.Stop()
	_ = d.body.Close() // read to its end, or of no use any more
	d.cancel()
	d.body = nil
}

// Read is that of an [io.Reader].
func (d *download) Read(p []byte) (int, error) {
	for d.failed == nil {
		if d.total >= 0 && d.at >= d.total {
			return 0, io.EOF
		}
		n, err := d.read(p)
		if n > 0 {
			d.at += int64(n)
			d.cuts = 0
			return n, nil // an error will come again
		}
		if err == nil || d.total < 0 && errors.Is(err, io.EOF) {
			return 0, err
		}
		d.failed = d.mend(err)
	}
	return 0, d.failed
}

func (d *download) read(p []byte) (int, error) {
	if d.body == nil {
		return 0, io.ErrUnexpectedEOF // never: a connect that fails ends the download
	}
	d.idle.Reset(d.stall)
	if d.total >= 0 {
		p = p[:min(int64(len(p)), d.total-d.at)]
	}
	n, err := d.body.Read(p)
	d.idle.Stop()
	return n, late(d.silent, err)
}

// late makes an error of a connection on which nothing came for too long what it is.
func late(silent *atomic.Bool, err error) error {
	if err != nil && !errors.Is(err, io.EOF) && silent.Load() {
		return &kfapi.TransportError{Op: "media/get", Written: true, Err: context.DeadlineExceeded}
	}
	return err
}

// mend goes on with the next part, or after a cut; it returns why it cannot.
func (d *download) mend(why error) error {
	next := errors.Is(why, io.EOF)
	if next && d.at == d.from {
		next, why = false, &kfapi.BodyError{Op: "media/get", Status: 206, Why: "a part without a byte"}
	}
	for !d.once && d.ctx.Err() == nil && (next || d.cuts < mends) {
		if !next {
			if d.cuts++; d.cuts > 1 && !pause(d.ctx, bus.Backoff(uint64(d.cuts-1))) {
				break
			}
		}
		next = false
		m, err := d.connect(d.rest())
		switch _, refused := kfapi.Code(err); {
		case err == nil && (!m.Partial || d.total >= 0 && m.Total != d.total):
			return &kfapi.BodyError{Op: "media/get", Status: 200, Why: "the file changed between two parts"}
		case err == nil:
			d.total = m.Total
			return nil
		case refused:
			return fmt.Errorf("from byte %d on: %w", d.at, err)
		}
		why = err
	}
	return fmt.Errorf("from byte %d on: %w", d.at, why)
}

func (d *download) rest() kfapi.Range {
	if d.total < 0 {
		return kfapi.RangeFrom(d.at)
	}
	return kfapi.RangeBytes(d.at, min(d.at+maxPart, d.total)-1)
}

// pause returns true after d, or false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
