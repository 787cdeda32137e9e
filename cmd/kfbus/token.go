package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/tokens"
	"github.com/kfbus/kfbus/pkg/events"
)

func tokenCommand(s std) *cobra.Command {
	c := &cobra.Command{Use: "token", Short: "look at the access tokens on the bus, and make the keys that seal them",
		Long: `The tokenkeeper keeps access tokens in the bucket kf_tokens, plain or sealed to named readers (KF_TOKEN_SEAL). Only reveal
prints a token; status and watch never do.`}
	keys := &cobra.Command{Use: "seal-key", Short: "keys with which access tokens are sealed"}
	keys.AddCommand(sealKeyNew(s))
	c.AddCommand(tokenStatus(s), tokenWatch(s), tokenReveal(s), keys)
	return c
}

// tokenQuery is which tokens, and how they are read.
type tokenQuery struct {
	connection
	corp, credential string
	own              struct{ Token tokens.Opening }
}

func (q *tokenQuery) flags(c *cobra.Command, corp, credential string) {
	q.flag(c)
	c.Flags().StringVar(&q.corp, "corp", corp, "corp id, or the appid of an official account")
	c.Flags().StringVar(&q.credential, "credential", credential, "the tokenkeeper's name for the credential")
}

// dial connects, and reads the reader's key if the environment names one.
func (q *tokenQuery) dial(ctx context.Context) (*bus.Bus, error) {
	if err := service.Load("KF", &q.own); err != nil {
		return nil, err
	}
	return q.connection.dial(ctx)
}

// watch follows the entries that are meant. It stops with ctx.
func (q *tokenQuery) watch(ctx context.Context, b *bus.Bus) (jetstream.KeyWatcher, error) {
	kv, err := b.JS.KeyValue(ctx, events.BucketTokens)
	if err != nil {
		return nil, fmt.Errorf("%w: bucket %s: %w; run kfbus topology apply", service.ErrNotReady, events.BucketTokens, bus.Classify(err))
	}
	return kv.Watch(ctx, wildToken(q.corp)+"."+wildToken(q.credential))
}

func wildToken(id string) string {
	if id == "" {
		return "*"
	}
	return events.Token(id)
}

// tokenLine is an entry as it is shown: all but the token.
type tokenLine struct {
	Key        string     `json:"key"` // <corp>.<credential>
	Generation uint64     `json:"generation,omitempty"`
	Hash       string     `json:"sha256,omitempty"` // its first 8 hex digits
	Obtained   *time.Time `json:"obtained,omitempty"`
	Expires    *time.Time `json:"expires,omitempty"`
	Form       string     `json:"form"` // plain, sealed, none
	Readers    []string   `json:"readers,omitempty"`
	Opens      *bool      `json:"opens,omitempty"` // with the key of KF_TOKEN_OPEN_KEY; missing without one
	Problem    string     `json:"problem,omitempty"`
}

// line shows an entry. Without a key, what stands in it is believed.
func (q *tokenQuery) line(key string, value []byte, now time.Time) tokenLine {
	l := tokenLine{Key: key, Form: "none", Problem: "there is no entry: is the tokenkeeper running, and its secret right?"}
	if len(value) == 0 {
		return l
	}
	var t events.AccessToken
	if json.Unmarshal(value, &t) != nil {
		l.Problem = "the entry is not the tokenkeeper's"
		return l
	}
	l.Generation, l.Hash, l.Obtained, l.Expires, l.Form, l.Problem = t.Generation, t.Hash, &t.Obtained, &t.Expires, tokens.SealPlain, ""
	for _, box := range t.Sealed {
		l.Form, l.Readers = "sealed", append(l.Readers, box.Reader)
	}
	if keyed := !q.own.Token.OpenKey.IsZero(); keyed || l.Form == tokens.SealPlain {
		v, err := q.decode(key, value)
		if opens := err == nil; keyed {
			l.Opens = &opens
		}
		if err != nil {
			l.Problem = err.Error()
			return l
		}
		l.Generation, l.Hash, l.Obtained, l.Expires = v.Generation, v.Hash, &v.Obtained, &v.Expires
	}
	if !now.Before(*l.Expires) {
		l.Problem = "it should have expired"
	}
	return l
}

// decode reads an entry as a service with these variables would.
func (q *tokenQuery) decode(key string, value []byte) (tokens.Value, error) {
	corp, credential, _ := strings.Cut(key, ".")
	form, err := q.own.Token.Form(cmp.Or(q.corp, corp), cmp.Or(q.credential, credential))
	if err != nil {
		return tokens.Value{}, err
	}
	return form.Decode(value)
}

func (l tokenLine) text(now time.Time) string {
	how := l.Form
	if len(l.Readers) > 0 {
		how += " for " + strings.Join(l.Readers, ", ")
	}
	if l.Opens != nil && *l.Opens {
		how += "; opens with your key"
	}
	if l.Problem != "" {
		how += "; " + l.Problem
	}
	left := "-"
	if l.Expires != nil {
		left = l.Expires.Sub(now).Truncate(time.Second).String()
	}
	return printableText(fmt.Sprintf("%s  generation %d  sha256 %s  left %s  %s", l.Key, l.Generation, orDash(l.Hash), left, how))
}

func tokenStatus(s std) *cobra.Command {
	var q tokenQuery
	var o output
	c := &cobra.Command{Use: "status", Short: "which access tokens there are, how old, and who can read them", Args: none,
		Long: `status prints a line for each credential: generation, the first 8 hex digits of the token's SHA-256, what is left of its
life, and for whom it is sealed. It prints no token. With KF_TOKEN_OPEN_KEY_FILE and KF_TOKEN_KEEPER it also says whether
that reader takes the entry; without them, what stands in a sealed entry is only what somebody wrote there.

Exit code 3: there is none, or one that cannot be used.`,
		Example: "  kfbus token status\n  kfbus token status --corp ww… --credential kf -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			b, err := q.dial(c.Context())
			if err != nil {
				return err
			}
			defer b.Close()
			w, err := q.watch(c.Context(), b)
			if err != nil {
				return err
			}
			defer func() { _ = w.Stop() }()
			var bad []string
			seen := 0
			for {
				e, err := nextEntry(c.Context(), w)
				if err != nil {
					return err
				}
				if e == nil {
					break
				}
				l := q.line(e.Key(), e.Value(), time.Now())
				if err := o.print(s.out, l, l.text(time.Now())); err != nil {
					return err
				}
				if seen++; l.Problem != "" {
					bad = append(bad, l.Key)
				}
			}
			switch {
			case seen == 0:
				return fmt.Errorf("%w: there is no access token; is the tokenkeeper running, and its secret right?", service.ErrNotReady)
			case bad != nil:
				return fmt.Errorf("%w: %s cannot be used", service.ErrNotReady, strings.Join(bad, ", "))
			}
			return nil
		}}
	q.flags(c, "", "")
	o.flag(c)
	return c
}

// nextEntry waits for the next entry; nil: all there was has come.
func nextEntry(ctx context.Context, w jetstream.KeyWatcher) (jetstream.KeyValueEntry, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case e, open := <-w.Updates():
		if !open {
			return nil, fmt.Errorf("%w: the broker ended the watch", service.ErrNotReady)
		}
		return e, nil
	}
}

func tokenWatch(s std) *cobra.Command {
	var q tokenQuery
	var o output
	c := &cobra.Command{Use: "watch", Short: "a line whenever an access token changes", Args: none,
		Long: `watch prints what status prints, and again at each change, until it is interrupted. Each refresh, each entry that somebody
planted and each deletion is a line. It prints no token.`,
		Example: "  kfbus token watch\n  kfbus token watch --credential kf -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			b, err := q.dial(c.Context())
			if err != nil {
				return err
			}
			defer b.Close()
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			w, err := q.watch(ctx, b)
			if err != nil {
				return err
			}
			defer func() { _ = w.Stop() }()
			for {
				e, err := nextEntry(ctx, w)
				switch {
				case ctx.Err() != nil:
					return nil
				case err != nil:
					return err
				case e == nil:
					continue
				}
				l := q.line(e.Key(), e.Value(), time.Now())
				if err := o.print(s.out, l, l.text(time.Now())); err != nil {
					return err
				}
			}
		}}
	q.flags(c, "", "")
	o.flag(c)
	return c
}
