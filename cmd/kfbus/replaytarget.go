package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
)

// target is where copies go: one subject, or a prefix before the tokens of the originals.
type target struct {
	base   string
	prefix bool
}

// parseTarget reads --to. Subjects of the contract are refused, since services and teams take what comes there for the
// first time it came.
func parseTarget(to string) (target, error) {
	base, prefix := strings.CutSuffix(to, ".>")
	words := strings.Split(base, ".")
	for _, w := range words {
		if w == "" || strings.ContainsAny(w, "*> \t\r\n") {
			return target{}, fmt.Errorf("--to is %q; it must be a subject, or a prefix that ends with .>", to)
		}
	}
	if strings.HasPrefix(base, "$") || strings.HasPrefix(base, "_") {
		return target{}, fmt.Errorf("--to is %q; subjects that begin with $ or _ are the broker's", to)
	}
	const least = 3 // kf.replay.<name>
	if words[0] == "kf" && (len(words) < least || words[1] != "replay") {
		return target{}, fmt.Errorf("--to is %q; of kf.> only kf.replay.<name> takes replays: whoever reads the others would take a copy for news", to)
	}
	return target{base, prefix}, nil
}

// subject is where the copy of what was published on original goes.
func (t target) subject(original string) string {
	if t.prefix {
		return t.base + strings.TrimPrefix(original, "kf")
	}
	return t.base
}

func (t target) String() string {
	if t.prefix {
		return t.base + ".>"
	}
	return t.base
}

// outlet takes copies, in order.
type outlet interface {
	put(*nats.Msg) error
	// settle waits until at most most copies are not known to be taken. It returns how many now are, the first ones, and
	// how many of these were there before.
	settle(most int) (taken, repeated int, err error)
	// abandon waits for what is under way after an error, and returns how many were taken after the one that failed.
	abandon() int
}

// acked publishes to a stream. A publish is never repeated by itself: it would come after those behind it.
type acked struct {
	js      jetstream.JetStream
	opts    []jetstream.PublishOpt
	pending []jetstream.PubAckFuture
}

// toStream finds the stream that takes the copies. It must be no stream of ours.
func toStream(ctx context.Context, b *bus.Bus, t target, name string) (*acked, *jetstream.StreamInfo, error) {
	found, err := b.JS.StreamNameBySubject(ctx, t.String())
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil, fmt.Errorf("%w: no stream takes %s: make one with that subject, or publish to whoever listens with --core", service.ErrNotReady, t)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("look for the stream of %s: %w", t, bus.Classify(err))
	}
	a := &acked{js: b.JS, opts: []jetstream.PublishOpt{jetstream.WithRetryAttempts(0)}}
	if name != "" {
		found = name
		a.opts = append(a.opts, jetstream.WithExpectStream(name))
	}
	if strings.HasPrefix(found, "KF_") {
		return nil, nil, usage(fmt.Errorf("%s is taken by %s, which is no team's stream", t, found))
	}
	st, err := b.JS.Stream(ctx, found)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: stream %s: %w", service.ErrNotReady, found, bus.Classify(err))
	}
	return a, st.CachedInfo(), nil
}

func (a *acked) put(m *nats.Msg) error {
	f, err := a.js.PublishMsgAsync(m, a.opts...)
	if err == nil {
		a.pending = append(a.pending, f)
	}
	return err
}

func (a *acked) settle(most int) (taken, repeated int, err error) {
	for len(a.pending) > most {
		f := a.pending[0]
		a.pending = a.pending[1:]
		select {
		case ack := <-f.Ok():
			taken++
			if ack.Duplicate {
				repeated++
			}
		case err := <-f.Err():
			return taken, repeated, err
		}
	}
	return taken, repeated, nil
}

func (a *acked) abandon() (ahead int) {
	for len(a.pending) > 0 {
		n, _, _ := a.settle(0) // it drops one that failed, so this ends
		ahead += n
	}
	return ahead
}

// core publishes to whoever listens. Taken means that the server has it.
type core struct {
	nc      *nats.Conn
	pending int
}

const flushWithin = 10 * time.Second

func (c *core) put(m *nats.Msg) error {
	err := c.nc.PublishMsg(m)
	if err == nil {
		c.pending++
	}
	return err
}

func (c *core) settle(most int) (taken, repeated int, err error) {
	if c.pending <= most {
		return 0, 0, nil
	}
	if err := c.nc.FlushTimeout(flushWithin); err != nil {
		return 0, 0, err
	}
	taken, c.pending = c.pending, 0
	return taken, 0, nil
}

func (c *core) abandon() int { return 0 }

// nowhere is for a dry run.
type nowhere struct{ pending int }

func (n *nowhere) put(*nats.Msg) error { n.pending++; return nil }

func (n *nowhere) settle(most int) (taken, repeated int, err error) {
	taken = max(n.pending-most, 0)
	n.pending -= taken
	return taken, 0, nil
}

func (n *nowhere) abandon() int { return 0 }
