package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// laneCheck is how long it takes at most to notice a lane that was made.
const laneCheck = 5 * time.Second

// consumeLanes consumes the lanes prefix0, prefix1, … of a work stream until ctx
// ends: as many as the operator made, and makes. A stream that is made again has
// its lanes one after the other, so a count taken once may be too small for ever.
func (b *Bus) consumeLanes(ctx context.Context, stream, prefix string, o Consuming, h Handler) error {
	o.Prefetch = 1
	var lanes sync.WaitGroup
	defer lanes.Wait()
	for n := 0; ; {
		name := prefix + strconv.Itoa(n)
		c, err := b.JS.Consumer(ctx, stream, name)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			lanes.Go(func() { b.consumeLane(ctx, c, o, h) })
			n++
			continue
		case n == 0:
			return fmt.Errorf("lane %s of %s: %w", name, stream, Classify(err))
		case !errors.Is(err, jetstream.ErrConsumerNotFound):
			b.log.Debug().Err(err).Str("consumer", name).Msg("look for another lane")
		}
		if wait(ctx, laneCheck) != nil {
			return nil
		}
	}
}

// consumeLane consumes one lane until ctx ends, and again whenever it was deleted and is back.
func (b *Bus) consumeLane(ctx context.Context, c jetstream.Consumer, o Consuming, h Handler) {
	was := c.CachedInfo()
	for ctx.Err() == nil {
		if err := b.Consume(ctx, c, o, h); err != nil {
			b.log.Warn().Err(err).Msg("a lane stopped; taking it up again")
		}
		for try := uint64(1); ; try++ {
			if wait(ctx, min(Backoff(try), laneCheck)) != nil {
				return
			}
			again, err := b.JS.Consumer(ctx, was.Stream, was.Name)
			if err == nil {
				c = again
				break
			}
		}
	}
}
