package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
)

func convCommand(s std) *cobra.Command {
	c := &cobra.Command{Use: "conv", Short: "see a conversation, and change who holds it",
		Long: `conv shows what kf_conversations tells of a conversation (window, sends left, who holds it), and hands it on:
to the pool or a servicer, back to the assistant, or to its end.`,
		Example: "  kfbus conv get wk… wm…\n  kfbus conv watch\n  kfbus conv pass wk… wm… --to lisi",
		Args:    none, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(convGetCommand(s), convWatchCommand(s), convPassCommand(s), convTakeCommand(s), convReleaseCommand(s))
	return c
}

func convGetCommand(s std) *cobra.Command {
	var n connection
	var o output
	var corp string
	c := &cobra.Command{Use: "get OPEN_KFID EXTERNAL_USERID", Short: "print what is known of a conversation",
		Long: `get prints the view of one conversation as the sender last wrote it.

Exit code 0: printed. 1: the bus knows of no such conversation.`,
		Example: "  kfbus conv get wk… wm…\n  kfbus conv get wk… wm… -o json",
		Args:    exactly(2, "OPEN_KFID and EXTERNAL_USERID"),
		RunE: func(c *cobra.Command, args []string) error {
			if corp == "" {
				return usage(errors.New("no corp: give --corp, or set KF_CORP_ID"))
			}
			b, err := n.dial(c.Context())
			if err != nil {
				return err
			}
			defer b.Close()
			key := events.ConversationKey(corp, args[0], args[1])
			e, err := b.Read(c.Context(), events.BucketConversations, key)
			if err != nil {
				return err
			}
			if e.Value == nil {
				return fmt.Errorf("%s holds no conversation %s: the customer has not written within four days, or no sender runs", events.BucketConversations, key)
			}
			var v events.Conversation
			if err := json.Unmarshal(e.Value, &v); err != nil {
				return fmt.Errorf("conversation %s: %w", key, err)
			}
			if o.json() {
				return o.print(s.out, json.RawMessage(e.Value), "")
			}
			return printConversation(s.out, v, time.Now())
		}}
	corpFlag(c, &corp)
	n.flag(c)
	o.flag(c)
	return c
}

func corpFlag(c *cobra.Command, corp *string) {
	c.Flags().StringVar(corp, "corp", os.Getenv("KF_CORP_ID"), "corp id (default: KF_CORP_ID)")
}

func convWatchCommand(s std) *cobra.Command {
	var n connection
	var o output
	var corp string
	var all bool
	var count int
	c := &cobra.Command{Use: "watch [OPEN_KFID [EXTERNAL_USERID]]", Short: "follow the changes of conversations",
		Long: `watch prints each change of a conversation, one a line: of all, of an account's, or of one. With --all it first prints
what is there. It goes on until it is interrupted, or after -n lines.

Exit code 0: ended as asked.`,
		Example: "  kfbus conv watch\n  kfbus conv watch wk… --all -o json\n  kfbus conv watch wk… wm… -n 1",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 2 {
				return usage(fmt.Errorf("%s takes OPEN_KFID and EXTERNAL_USERID at most", c.CommandPath()))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			b, err := n.dial(ctx)
			if err != nil {
				return err
			}
			defer b.NC.Close()
			w, err := watchConversations(ctx, b, convFilter(corp, args), all)
			if err != nil {
				return err
			}
			return showConversations(ctx, w, count, &o, s)
		}}
	corpFlag(c, &corp)
	c.Flags().BoolVar(&all, "all", false, "first print what is there")
	c.Flags().IntVarP(&count, "count", "n", 0, "end after so many lines; 0 goes on until interrupted")
	n.flag(c)
	o.flag(c)
	return c
}

// convFilter matches the keys of all conversations, of an account's, or of one; corp may be "".
func convFilter(corp string, ids []string) string {
	t := []string{"*", "*", "*"}
	for i, id := range append([]string{corp}, ids...) {
		if id != "" {
			t[i] = events.Token(id)
		}
	}
	return strings.Join(t, ".")
}

func watchConversations(ctx context.Context, b *bus.Bus, filter string, all bool) (jetstream.KeyWatcher, error) {
	kv, err := b.JS.KeyValue(ctx, events.BucketConversations)
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", events.BucketConversations, bus.Classify(err))
	}
	var opts []jetstream.WatchOpt
	if !all {
		opts = append(opts, jetstream.UpdatesOnly())
	}
	w, err := kv.Watch(ctx, filter, opts...)
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", events.BucketConversations, bus.Classify(err))
	}
	return w, nil
}

func showConversations(ctx context.Context, w jetstream.KeyWatcher, count int, o *output, s std) error {
	for shown := 0; count == 0 || shown < count; {
		select {
		case <-ctx.Done():
			return nil
		case e, open := <-w.Updates():
			if !open && ctx.Err() == nil {
				return fmt.Errorf("watch %s: the broker ended it", events.BucketConversations)
			}
			if e == nil { // all that was there has come
				continue
			}
			var v events.Conversation
			if e.Operation() != jetstream.KeyValuePut || json.Unmarshal(e.Value(), &v) != nil {
				continue // forgotten after its time
			}
			if err := o.print(s.out, json.RawMessage(e.Value()), e.Created().Local().Format("15:04:05")+"  "+convLine(v, time.Now())); err != nil {
				return err
			}
			shown++
		}
	}
	return nil
}

func convPassCommand(s std) *cobra.Command {
	var to string
	c := convTransfer(s, "pass", "hand a conversation to the pool, or to a servicer",
		`pass gives the conversation to the people who wait in the pool, or with --to to one of them. From then on commands that
name an older generation are refused. Its outcome has a msg_code for kfbus reply the first time.`,
		"  kfbus conv pass wk… wm…\n  kfbus conv pass wk… wm… --to lisi",
		func() map[string]any {
			if to == "" {
				return map[string]any{"service_state": 2}
			}
			return map[string]any{"service_state": 3, "servicer_userid": to}
		})
	c.Flags().StringVar(&to, "to", "", "userid of the servicer who takes it (default: the pool)")
	return c
}

func convTakeCommand(s std) *cobra.Command {
	return convTransfer(s, "take", "let the assistant have a conversation",
		`take makes the assistant, that is the API, hold the conversation. WeChat lets it take a new one, and refuses to take one out
of the pool or from a servicer (errcode 95016): those end it, and the customer's next message is new.`,
		"  kfbus conv take wk… wm…",
		func() map[string]any { return map[string]any{"service_state": 1} })
}

func convReleaseCommand(s std) *cobra.Command {
	return convTransfer(s, "release", "end a conversation's session",
		`release ends the session, whoever holds it; the customer's next message begins a new one. Its outcome has a msg_code for
closing words, which live 20 s.`,
		"  kfbus conv release wk… wm…",
		func() map[string]any { return map[string]any{"service_state": 4} })
}

// convTransfer is a transfer under a name of its own.
func convTransfer(s std, name, short, long, example string, body func() map[string]any) *cobra.Command {
	var f commanding
	c := &cobra.Command{Use: name + " OPEN_KFID EXTERNAL_USERID", Short: short,
		Long: long + `

Exit code 0: accepted. 1: any other outcome. 3: no outcome in time.`,
		Example: example, Args: exactly(2, "OPEN_KFID and EXTERNAL_USERID"),
		RunE: func(c *cobra.Command, args []string) error {
			return f.publish(c.Context(), s, events.VerbTransfer, args[0], args[1], body())
		}}
	f.flags(c)
	return c
}
