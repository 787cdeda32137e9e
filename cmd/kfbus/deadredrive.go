package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
)

// redrive is the command's flags.
type redrive struct {
	connection
	output
	deadChoice
	yes, dryRun, remove bool
}

func deadRedrive(s std) *cobra.Command {
	var r redrive
	c := &cobra.Command{Use: "redrive [SEQ...]", Short: "publish what a dead letter holds again, where it came from",
		Long: `redrive publishes the original of a dead letter again: on its subject, with its headers, its body and its id, and with the
header Kf-Redrive. Do it after you removed the cause; a letter whose cause is still there comes back as another.

Redriven are doorbells, commands that have not expired, timers, and events that no stream took. Messages and outcomes are
not: they are in their stream, and would be there twice. A letter that was cut or whose original is no longer wanted is
left where it is, and the line says what to do instead. The same letter redriven twice does no harm: a stream remembers
what it took, a doorbell that waits covers another, and of a command id the sender sends one.

The dead letter stays, unless --delete is given: then it is erased after its original was taken.

Exit code 0: all redriven. 1: some were not.`,
		Example: "  kfbus dead redrive 17\n  kfbus dead redrive --service syncer --reason foreign --since 24h --dry-run\n  kfbus dead redrive --service syncer --reason foreign --yes --delete",
		RunE: func(c *cobra.Command, args []string) error {
			seqs, err := sequences(args)
			if err != nil {
				return err
			}
			if (len(seqs) > 0) == r.any() {
				return usage(errors.New("give either SEQ, or --service, --reason or --since"))
			}
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			b, err := r.dial(ctx)
			if err != nil {
				return err
			}
			defer b.NC.Close()
			return r.run(ctx, s, b, seqs)
		}}
	f := c.Flags()
	f.BoolVar(&r.yes, "yes", false, "redrive more than one")
	f.BoolVar(&r.dryRun, "dry-run", false, "only say what would be done")
	f.BoolVar(&r.remove, "delete", false, "erase the dead letter after its original was taken")
	r.flags(c)
	r.connection.flag(c)
	r.output.flag(c)
	return c
}

func (r *redrive) run(ctx context.Context, s std, b *bus.Bus, seqs []uint64) error {
	if len(seqs) == 0 {
		if err := r.each(ctx, b, time.Now(), func(l letter) error { seqs = append(seqs, l.DeadSeq); return nil }); err != nil {
			return err
		}
	}
	if len(seqs) > 1 && !r.yes && !r.dryRun {
		return usage(fmt.Errorf("%d dead letters match; look with --dry-run, then add --yes", len(seqs)))
	}
	left := 0
	for _, seq := range seqs {
		done, err := r.one(ctx, b, seq)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			done.Why = err.Error()
		}
		if done.Why != "" {
			left++
		}
		if err := r.print(s.out, done, done.text()); err != nil {
			return err
		}
	}
	if left > 0 {
		return errSaid
	}
	return nil
}

// redriven is what became of one dead letter.
type redriven struct {
	Seq       uint64 `json:"seq"`
	Redriven  bool   `json:"redriven"`
	DryRun    bool   `json:"dry_run,omitempty"`
	Subject   string `json:"subject,omitempty"`
	Stream    string `json:"stream,omitempty"`     // that took it
	StreamSeq uint64 `json:"stream_seq,omitempty"` // where it is there
	Covered   bool   `json:"covered,omitempty"`    // it was there already, or another does the same
	Deleted   bool   `json:"deleted,omitempty"`    // the dead letter
	Why       string `json:"why,omitempty"`        // something was not done, and what to do instead
}

func (r redriven) text() string {
	text := fmt.Sprintf("%d  ", r.Seq)
	switch {
	case r.DryRun && r.Why == "":
		text += "would be published on " + r.Subject
	case r.Covered:
		text += "is covered: " + r.Subject + " has it already"
	case r.Redriven:
		text += fmt.Sprintf("published on %s (%s, sequence %d)", r.Subject, r.Stream, r.StreamSeq)
	default:
		text += "left"
	}
	if r.Deleted {
		text += ", dead letter erased"
	}
	if r.Why != "" {
		text += ": " + r.Why
	}
	return printableText(text)
}

// one publishes the original of a dead letter. Repeating it is safe.
func (r *redrive) one(ctx context.Context, b *bus.Bus, seq uint64) (redriven, error) {
	done := redriven{Seq: seq, DryRun: r.dryRun}
	l, err := getLetter(ctx, b, seq)
	if err != nil {
		return done, err
	}
	m, why := l.original(time.Now())
	if why != "" {
		done.Why = why
		return done, nil
	}
	done.Subject = m.Subject
	if r.dryRun {
		return done, nil
	}
	ack, err := b.JS.PublishMsg(ctx, m, jetstream.WithRetryAttempts(1))
	switch err = bus.Classify(err); {
	case errors.Is(err, bus.ErrCovered):
		done.Redriven, done.Covered = true, true
	case err != nil:
		return done, fmt.Errorf("publish %s: %w", m.Subject, err)
	default:
		done.Redriven, done.Covered, done.Stream, done.StreamSeq = true, ack.Duplicate, ack.Stream, ack.Sequence
	}
	if !r.remove {
		return done, nil
	}
	return done.erase(ctx, b)
}

func (r redriven) erase(ctx context.Context, b *bus.Bus) (redriven, error) {
	st, err := b.JS.Stream(ctx, events.StreamDead)
	if err == nil {
		err = st.SecureDeleteMsg(ctx, r.Seq)
	}
	if err != nil {
		return r, fmt.Errorf("erase dead letter %d: %w", r.Seq, bus.Classify(err))
	}
	r.Deleted = true
	return r, nil
}
