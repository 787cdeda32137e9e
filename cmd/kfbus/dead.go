package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
)

func deadCommand(s std) *cobra.Command {
	c := &cobra.Command{Use: "dead", Short: "look at what could not be processed, and publish it again where that helps",
		Long: `Dead letters are what a service could not process: each says which service, why, and where it came from, and holds the
original up to 64 KiB. They stay in KF_DEAD for 30 days. Bodies may hold what customers wrote: only show --body prints one.`}
	c.AddCommand(deadList(s), deadShow(s), deadRedrive(s))
	return c
}

// letter is one dead letter.
type letter struct {
	events.Dead
	DeadSeq  uint64
	BuriedAt time.Time
	ID       string // of its event: the same for the same original and reason
	Broken   error  // it cannot be read
}

func readLetter(m bus.Stored) letter {
	l := letter{DeadSeq: m.Seq, BuriedAt: m.Time.UTC()}
	e, err := m.Event()
	if err == nil {
		l.ID, err = e.ID(), e.DataAs(&l.Dead)
	}
	if err != nil {
		l.Broken = errors.New("it is no dead letter that this version can read")
	}
	return l
}

// deadLine is a dead letter as list and show print it: without --body, nothing of what the original said.
type deadLine struct {
	Seq        uint64              `json:"seq"` // in KF_DEAD
	BuriedAt   time.Time           `json:"buried_at"`
	Service    string              `json:"service"`
	Reason     string              `json:"reason"`
	Detail     string              `json:"detail,omitempty"`
	Stream     string              `json:"stream,omitempty"`
	StreamSeq  uint64              `json:"stream_seq,omitempty"`
	Subject    string              `json:"subject,omitempty"` // of the original
	At         *time.Time          `json:"at,omitempty"`      // of the original
	Bytes      int                 `json:"bytes"`             // of it that are kept
	Cut        bool                `json:"cut,omitempty"`
	CanRedrive bool                `json:"can_redrive"`
	Why        string              `json:"why,omitempty"` // it cannot, and what to do instead
	Header     map[string][]string `json:"header,omitempty"`
	Payload    []byte              `json:"payload,omitempty"` // base64; both only with --body
}

func (l letter) line(now time.Time) deadLine {
	out := deadLine{Seq: l.DeadSeq, BuriedAt: l.BuriedAt, Service: l.Service, Reason: l.Reason, Detail: l.Detail, Stream: l.Stream,
		StreamSeq: l.Seq, Subject: published(l.Subject), Bytes: len(l.Payload), Cut: l.Cut}
	if !l.At.IsZero() {
		out.At = &l.At
	}
	_, why := l.original(now)
	out.CanRedrive, out.Why = why == "", why
	return out
}

// published is a subject as it was published on, where that can be told.
func published(subject string) string {
	if s, err := events.ParseSubject(subject); err == nil {
		return s.String()
	}
	return subject
}

const deadColumns = "%-7s  %-20s  %-11s  %-12s  %-3s  %s  %s"

func (l deadLine) text() string {
	can := "no"
	if l.CanRedrive {
		can = "yes"
	}
	return printableText(fmt.Sprintf(deadColumns, strconv.FormatUint(l.Seq, 10), l.BuriedAt.Format(time.RFC3339), l.Service, l.Reason, can, orDash(l.Subject), l.Detail))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// deadChoice says which dead letters are meant.
type deadChoice struct{ service, reason, since string }

func (d *deadChoice) flags(c *cobra.Command) {
	c.Flags().StringVar(&d.service, "service", "", "only of this service")
	c.Flags().StringVar(&d.reason, "reason", "", "only for this reason")
	c.Flags().StringVar(&d.since, "since", "", "only what was buried since then: how long ago (36h) or a time (2026-01-02T15:04:05Z)")
}

func (d *deadChoice) any() bool { return *d != deadChoice{} }

// each hands every dead letter that is meant to f, in order.
func (d *deadChoice) each(ctx context.Context, b *bus.Bus, now time.Time, f func(letter) error) error {
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: []string{"kf.dead." + wild(d.service) + "." + wild(d.reason)}}
	since, err := moment("--since", d.since, now)
	if err != nil {
		return usage(err)
	}
	if !since.IsZero() {
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &since
	}
	return walk(ctx, b, events.StreamDead, cfg, func(m bus.Stored, _ uint64) (bool, error) { return true, f(readLetter(m)) })
}

func deadList(s std) *cobra.Command {
	var n connection
	var o output
	var d deadChoice
	c := &cobra.Command{Use: "list", Short: "list dead letters, oldest first", Args: none,
		Long: `list prints a line for each dead letter: its sequence in KF_DEAD, when it was buried, service, reason, whether it can be
redriven, the subject of the original, and what was wrong.`,
		Example: "  kfbus dead list --since 24h\n  kfbus dead list --service sender --reason invalid -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			b, err := n.dial(c.Context())
			if err != nil {
				return err
			}
			defer b.NC.Close()
			if !o.json() {
				if _, err := fmt.Fprintf(s.out, deadColumns+"\n", "SEQ", "BURIED", "SERVICE", "REASON", "CAN", "SUBJECT", "DETAIL"); err != nil {
					return err
				}
			}
			now := time.Now()
			return d.each(c.Context(), b, now, func(l letter) error {
				line := l.line(now)
				return o.print(s.out, line, line.text())
			})
		}}
	d.flags(c)
	n.flag(c)
	o.flag(c)
	return c
}

func deadShow(s std) *cobra.Command {
	var n connection
	var o output
	var body bool
	c := &cobra.Command{Use: "show SEQ", Short: "show one dead letter", Args: exactly(1, "SEQ, a sequence of KF_DEAD"),
		Example: "  kfbus dead show 17\n  kfbus dead show 17 --body",
		RunE: func(c *cobra.Command, args []string) error {
			seqs, err := sequences(args)
			if err != nil {
				return err
			}
			b, err := n.dial(c.Context())
			if err != nil {
				return err
			}
			defer b.NC.Close()
			l, err := getLetter(c.Context(), b, seqs[0])
			if err != nil {
				return err
			}
			line := l.line(time.Now())
			if body {
				line.Header, line.Payload = l.Header, l.Payload
			}
			if o.json() {
				return o.print(s.out, line, "")
			}
			return line.show(s.out, body)
		}}
	c.Flags().BoolVar(&body, "body", false, "also the headers and the body of the original, which may hold what a customer wrote")
	n.flag(c)
	o.flag(c)
	return c
}

// show prints a line a field.
func (l deadLine) show(w io.Writer, body bool) error {
	kept := strconv.Itoa(l.Bytes) + " bytes"
	if l.Cut {
		kept += ", cut"
	}
	original := orDash(l.Subject)
	if l.Stream != "" {
		original += fmt.Sprintf(" (%s, sequence %d)", l.Stream, l.StreamSeq)
	}
	if l.At != nil {
		original += ", " + l.At.UTC().Format(time.RFC3339)
	}
	redrive := "possible"
	if !l.CanRedrive {
		redrive = "no: " + l.Why
	}
	var b strings.Builder
	for _, f := range [][2]string{{"sequence", strconv.FormatUint(l.Seq, 10)}, {"buried", l.BuriedAt.Format(time.RFC3339)},
		{"service", l.Service}, {"reason", l.Reason}, {"detail", l.Detail}, {"original", original}, {"kept", kept}, {"redrive", redrive}} {
		fmt.Fprintf(&b, "%-9s %s\n", f[0], printableText(f[1]))
	}
	if body {
		for _, k := range slices.Sorted(maps.Keys(l.Header)) {
			fmt.Fprintf(&b, "%-9s %s\n", "header", printableText(k+": "+strings.Join(l.Header[k], ", ")))
		}
		text := printableText(string(oneLine(l.Payload)))
		if !utf8.Valid(l.Payload) {
			text = fmt.Sprintf("%x", l.Payload)
		}
		fmt.Fprintf(&b, "%-9s %s\n", "body", text)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func sequences(args []string) ([]uint64, error) {
	var out []uint64
	for _, a := range args {
		n, err := strconv.ParseUint(a, 10, 64)
		if err != nil || n == 0 {
			return nil, usage(fmt.Errorf("SEQ is %q; it must be a sequence of KF_DEAD, as kfbus dead list prints it", a))
		}
		out = append(out, n)
	}
	return out, nil
}

func getLetter(ctx context.Context, b *bus.Bus, seq uint64) (letter, error) {
	m, err := b.Next(ctx, events.StreamDead, seq, ">")
	switch {
	case errors.Is(err, bus.ErrNotFound) || err == nil && m.Seq != seq:
		return letter{}, fmt.Errorf("there is no dead letter %d: it was deleted, or is older than 30 days; see kfbus dead list", seq)
	case err != nil:
		return letter{}, err
	}
	return readLetter(m), nil
}
