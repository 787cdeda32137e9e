package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kfbus/kfbus/pkg/events"
)

// choice says which messages of KF_MESSAGE are meant.
type choice struct {
	since, until, corp         string
	accounts, customers, types []string
	history, app               bool
	fromSeq, limit             uint64
}

func (c *choice) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.since, "since", "", "what was stored since then: how long ago (36h) or a time (2026-01-02T15:04:05Z)")
	f.StringVar(&c.until, "until", "", "what was stored before then, in the same forms (default: now)")
	f.StringVar(&c.corp, "corp", "", "only of this corp id")
	f.StringSliceVar(&c.accounts, "account", nil, "only of these open_kfids")
	f.StringSliceVar(&c.customers, "customer", nil, "only of these external_userids")
	f.StringSliceVar(&c.types, "type", nil, "only these msgtypes and event_types: text, enter_session, …")
	f.BoolVar(&c.history, "history", false, "also kf.history, what was older than the cold start")
	f.BoolVar(&c.app, "app", false, "also kf.app, ordinary app callbacks")
	f.Uint64Var(&c.fromSeq, "from-seq", 0, "go on at this sequence of KF_MESSAGE")
	f.Uint64Var(&c.limit, "limit", 0, "end after so many; 0 is all")
}

// span is [from, to); zero times leave it open.
type span struct{ from, to time.Time }

func (c *choice) span(now time.Time) (s span, err error) {
	if s.from, err = moment("--since", c.since, now); err != nil {
		return s, err
	}
	if s.to, err = moment("--until", c.until, now); err != nil {
		return s, err
	}
	if !s.to.IsZero() && !s.from.Before(s.to) {
		return s, errors.New("--since is not before --until")
	}
	return s, nil
}

// moment reads how long ago, or a time.
func moment(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d).UTC(), nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s is %q; it must be how long ago, such as 36h, or a time such as 2026-01-02T15:04:05+08:00", flag, text)
	}
	return t.UTC(), nil
}

// filters are the subjects that match; none overlaps another, as a consumer demands.
func (c *choice) filters() ([]string, error) {
	if c.app && len(c.accounts) > 0 {
		return nil, errors.New("--account and --app exclude each other: an app callback is of no account")
	}
	var out []string
	add := func(kind events.Kind, middle []string) {
		for _, m := range middle {
			for _, name := range tokensOf(c.types) {
				for _, user := range tokensOf(c.customers) {
					out = append(out, strings.Join([]string{"kf", string(kind), wild(c.corp), m, name, user}, "."))
				}
			}
		}
	}
	add(events.KindMessage, tokensOf(c.accounts))
	add(events.KindEvent, tokensOf(c.accounts))
	if c.history {
		add(events.KindHistory, tokensOf(c.accounts))
	}
	if c.app {
		add(events.KindApp, []string{"*.*"}) // agent and class
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// tokensOf are the subject tokens of ids; "*" for none.
func tokensOf(ids []string) []string {
	if len(ids) == 0 {
		return []string{"*"}
	}
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = wild(id)
	}
	return out
}

// wild is the token of an id, or of what was a token already; "*" for none.
func wild(id string) string {
	switch {
	case id == "":
		return "*"
	case events.IsToken(id):
		return id
	}
	return events.Token(id)
}
