package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
)

func tailCommand(s std) *cobra.Command {
	var n connection
	var o output
	var since time.Duration
	var count int
	c := &cobra.Command{Use: "tail [SUBJECT...]", Short: "print events as they come",
		Long: `tail prints what is published on the subjects, by default kf.message.>, kf.event.> and kf.outcome.>. With --since it
first prints what the streams still hold. Messages are customers' words: mind who reads your terminal.`,
		Example: "  kfbus tail\n  kfbus tail 'kf.message.*.*.text.>' -o json\n  kfbus tail 'kf.outcome.orders.>' --since 1h",
		RunE: func(c *cobra.Command, subjects []string) error {
			if len(subjects) == 0 {
				subjects = []string{"kf.message.>", "kf.event.>", "kf.outcome.>"}
			}
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			b, err := n.dial(ctx)
			if err != nil {
				return err
			}
			defer b.NC.Close()
			ch := make(chan bus.Stored, 256)
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			for _, subject := range subjects {
				if err := follow(ctx, b, subject, since, ch); err != nil {
					return fmt.Errorf("tail %s: %w", subject, err)
				}
			}
			return show(ctx, ch, count, &o, s.out)
		}}
	c.Flags().DurationVar(&since, "since", 0, "also print what is stored since so long ago")
	c.Flags().IntVarP(&count, "count", "n", 0, "end after so many events; 0 goes on until interrupted")
	n.flag(c)
	o.flag(c)
	return c
}

// follow hands what is published on subject to ch: from the past through the
// stream that holds it, else as any subscriber sees it.
func follow(ctx context.Context, b *bus.Bus, subject string, since time.Duration, ch chan<- bus.Stored) error {
	give := func(m bus.Stored) {
		select {
		case ch <- m:
		case <-ctx.Done():
		}
	}
	if since <= 0 {
		_, err := b.NC.Subscribe(subject, func(m *nats.Msg) {
			give(bus.Stored{Subject: m.Subject, Time: time.Now(), Header: m.Header, Data: m.Data})
		})
		return errors.Join(err, b.NC.FlushTimeout(toolConnect))
	}
	stream, err := b.JS.StreamNameBySubject(ctx, subject)
	if err != nil {
		return err
	}
	from := time.Now().Add(-since)
	oc, err := b.JS.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject},
		DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &from})
	if err != nil {
		return err
	}
	_, err = oc.Consume(func(m jetstream.Msg) {
		st := bus.Stored{Subject: m.Subject(), Header: m.Headers(), Data: m.Data()}
		if meta, err := m.Metadata(); err == nil {
			st.Seq, st.Time = meta.Sequence.Stream, meta.Timestamp
		}
		give(st)
	})
	return err
}

func show(ctx context.Context, ch <-chan bus.Stored, count int, o *output, w io.Writer) error {
	for i := 0; count == 0 || i < count; i++ {
		select {
		case <-ctx.Done():
			return nil
		case m := <-ch:
			if o.json() {
				if _, err := fmt.Fprintf(w, "%s\n", oneLine(m.Data)); err != nil {
					return err
				}
				continue
			}
			if _, err := fmt.Fprintf(w, "%s  %s  %s\n", m.Time.Local().Format("15:04:05"), m.Subject, summary(m)); err != nil {
				return err
			}
		}
	}
	return nil
}

// summary is one line for a person: what an event says, cut short.
func summary(m bus.Stored) string {
	e, err := m.Event()
	if err != nil {
		return fmt.Sprintf("(%d bytes)", len(m.Data))
	}
	var o events.Outcome
	if strings.HasPrefix(m.Subject, "kf.outcome.") && e.DataAs(&o) == nil {
		return outcomeText(o)
	}
	const most = 160
	line := []rune(string(oneLine(content(e.Data()))))
	if len(line) > most {
		line = append(line[:most], '…')
	}
	return printableText(string(line))
}

// content is what an item says, without its ids: a text's words, else the object
// under the name of its msgtype; of anything else, all of it.
func content(data []byte) []byte {
	var item map[string]json.RawMessage
	var msgType string
	if json.Unmarshal(data, &item) != nil || json.Unmarshal(item["msgtype"], &msgType) != nil || item[msgType] == nil {
		return data
	}
	var text struct{ Content string }
	if msgType == "text" && json.Unmarshal(item["text"], &text) == nil {
		return []byte(text.Content)
	}
	return item[msgType]
}

func oneLine(b []byte) []byte {
	return []byte(strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ").Replace(string(b)))
}

// printableText keeps a customer's control characters, such as the escapes that
// paint a terminal, from being obeyed.
func printableText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x202e || r == 0x2066 || r == 0x2067 {
			return '�'
		}
		return r
	}, s)
}
