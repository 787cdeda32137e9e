package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/time/rate"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/pkg/events"
)

// replay is the command's flags.
type replay struct {
	connection
	output
	choice
	name, to, stream, rate string
	core, dryRun           bool
	inFlight               int
}

func replayCommand(s std) *cobra.Command {
	var r replay
	c := &cobra.Command{Use: "replay", Short: "copy a range of messages and events to a subject of yours, flagged as replayed", Args: none,
		Long: `replay copies what KF_MESSAGE holds, by time, account, customer and type, to another subject, in order. A copy keeps its
data byte for byte, its headers and its CloudEvents attributes; it gets the extension kfreplay="true" and the headers
Kf-Replay, Kf-Replay-Subject and Kf-Replay-Seq. Times are those at which the broker stored a message.

--to is a subject, or a prefix that ends with .>, under which the tokens of the original follow; the default is
kf.replay.NAME.>. A stream must take it, so that each copy is acknowledged; --core publishes to whoever listens, and
nobody knows what they missed.

Repeat a replay under its name, and the stream stores nothing twice that it took within its duplicate window. When a
replay is interrupted or fails it says where to go on: --from-seq. A replay killed outright stopped after the
Kf-Replay-Seq of the last copy.

Exit code 0: all copied. 1: failed. 3: interrupted, or no stream takes the copies.`,
		Example: `  kfbus replay --since 24h --account wk… --type text --dry-run
  kfbus replay --name bot-fix --since 2026-01-02T09:00:00+08:00 --until 2026-01-02T12:00:00+08:00 --customer wm…
  kfbus replay --name bot-fix --to 'orders.again.>' --stream ORDERS --rate 200/s --from-seq 123456 -o json`,
		RunE: func(c *cobra.Command, _ []string) error {
			cp, err := r.plan(time.Now())
			if err != nil {
				return usage(err)
			}
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			defer context.AfterFunc(ctx, stop)() // a second signal ends it at once
			b, err := r.dial(ctx)
			if err != nil {
				return err
			}
			defer b.NC.Close()
			cp.bus, cp.progress = b, s.err
			if err := r.open(ctx, cp, b); err != nil {
				return err
			}
			sum, err := cp.run(ctx)
			return r.conclude(s, sum, err)
		}}
	f := c.Flags()
	f.StringVar(&r.name, "name", "", "name of the replay, A-Z a-z 0-9 _ -: the same name and event are copied once")
	f.StringVar(&r.to, "to", "", "subject, or prefix ending with .> (default: kf.replay.NAME.>)")
	f.StringVar(&r.stream, "stream", "", "the stream that must take the copies (default: whichever does)")
	f.BoolVar(&r.core, "core", false, "publish without a stream, to whoever listens")
	f.StringVar(&r.rate, "rate", "", "at most so many a second: 200/s (default: as fast as they are taken)")
	f.IntVar(&r.inFlight, "in-flight", 128, "copies published before the first is acknowledged; 1 keeps the order even where one fails")
	f.BoolVar(&r.dryRun, "dry-run", false, "only count, and say which are the first and the last")
	r.flags(c)
	r.connection.flag(c)
	r.output.flag(c)
	return c
}

// plan checks the flags and makes a copier of them that lacks only its connection.
func (r *replay) plan(now time.Time) (*copier, error) {
	c := &copier{from: r.fromSeq, limit: r.limit, name: r.name, dry: r.dryRun, inFlight: r.inFlight, now: time.Now}
	var err error
	if c.span, err = r.span(now); err != nil {
		return nil, err
	}
	if c.filters, err = r.filters(); err != nil {
		return nil, err
	}
	switch {
	case r.name == "" && !r.dryRun:
		return nil, errors.New("a replay needs a --name, by which a repeat of it is known")
	case r.name != "" && events.Token(r.name) != r.name:
		return nil, fmt.Errorf("--name is %q; it must be up to 64 of A-Z a-z 0-9 _ -", r.name)
	case r.core && r.stream != "":
		return nil, errors.New("--core and --stream exclude each other")
	case r.inFlight < 1:
		return nil, fmt.Errorf("--in-flight is %d; it must be at least 1", r.inFlight)
	}
	if r.to == "" && r.name != "" {
		r.to = events.ReplayPrefix(r.name) + ".>"
	}
	if r.to != "" {
		if c.to, err = parseTarget(r.to); err != nil {
			return nil, err
		}
	}
	if c.rate, err = parseRate(r.rate); err != nil {
		return nil, err
	}
	c.sum = replayed{Name: r.name, To: r.to, DryRun: r.dryRun}
	if !c.span.to.IsZero() {
		c.sum.Until = &c.span.to
	}
	return c, nil
}

func parseRate(text string) (*rate.Limiter, error) {
	if text == "" {
		return rate.NewLimiter(rate.Inf, 1), nil
	}
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, "/s"), 64)
	if err != nil || !(n > 0) {
		return nil, fmt.Errorf("--rate is %q; it must be a number a second, such as 200/s", text)
	}
	return rate.NewLimiter(rate.Limit(n), 1), nil
}

// open finds where the copies go.
func (r *replay) open(ctx context.Context, c *copier, b *bus.Bus) error {
	switch {
	case r.dryRun:
		c.out = &nowhere{}
	case r.core:
		c.out = &core{nc: b.NC}
	default:
		out, info, err := toStream(ctx, b, c.to, r.stream)
		if err != nil {
			return err
		}
		c.out, c.sum.Stream = out, info.Config.Name
		fmt.Fprintf(c.progress, "stream %s takes the copies; what it took within %v it does not take twice\n", info.Config.Name, info.Config.Duplicates)
	}
	return nil
}

// conclude says what came of it, and where to go on.
func (r *replay) conclude(s std, sum replayed, err error) error {
	if printed := r.print(s.out, sum, sum.text()); printed != nil {
		return errors.Join(err, printed)
	}
	if err == nil {
		return nil
	}
	on := fmt.Sprintf("go on with the same command and --from-seq %d", sum.NextSeq)
	if sum.Until != nil {
		on += " --until " + sum.Until.Format(time.RFC3339Nano)
	}
	if sum.Ahead > 0 {
		on += fmt.Sprintf("; %d copies behind the one that failed were taken, and it will stand after them", sum.Ahead)
	}
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w: interrupted: %s", service.ErrNotReady, on)
	}
	return fmt.Errorf("%w; %s", err, on)
}

func (r replayed) text() string {
	did := "copied"
	if r.DryRun {
		did = "would copy"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d events, %d bytes", did, r.Copied, r.Bytes)
	if r.To != "" {
		fmt.Fprintf(&b, ", to %s", r.To)
	}
	if r.Repeated > 0 {
		fmt.Fprintf(&b, "; %d of them were there already", r.Repeated)
	}
	if r.LeftOut > 0 {
		fmt.Fprintf(&b, "; left out %d that are no CloudEvents", r.LeftOut)
	}
	for _, p := range []struct {
		name string
		at   *place
	}{{"first", r.First}, {"last", r.Last}} {
		if p.at != nil {
			fmt.Fprintf(&b, "\n%-5s  sequence %d, stored %s", p.name, p.at.Seq, p.at.Time.Format(time.RFC3339))
		}
	}
	return b.String()
}
