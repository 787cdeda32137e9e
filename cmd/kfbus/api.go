package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/spf13/cobra"

	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/services/sender/api"
)

// requesting is how to ask a sender for a call.
type requesting struct {
	connection
	corp    string
	timeout time.Duration
}

func (f *requesting) flags(c *cobra.Command) {
	f.flag(c)
	c.Flags().StringVar(&f.corp, "corp", os.Getenv("KF_CORP_ID"), "corp id (default: KF_CORP_ID, else that of the sender that answers)")
	c.Flags().DurationVar(&f.timeout, "timeout", 0, "wait so long for the answer (default: 15s, with a file 2m)")
}

func apiCommand(s std) *cobra.Command {
	var f requesting
	var raw, list bool
	c := &cobra.Command{Use: "api PATH [JSON]", Short: "make a call of WeChat's API through a sender",
		Long: `api asks a running sender over NATS, as any program can, and prints the platform's answer. PATH is the platform's own,
with dots or slashes, with or without cgi-bin/kf/. JSON is the request: an object, @FILE, or - for standard input.

Exit code 0: done. 1: refused; errcode, meaning and what to do are on standard error. 3: no sender, or no answer in time.`,
		Example: "  kfbus api account.list\n  kfbus api customer.batchget '{\"external_userid_list\":[\"wm…\"]}'\n  kfbus api --list",
		Args: func(c *cobra.Command, args []string) error {
			if list && len(args) == 0 || !list && (len(args) == 1 || len(args) == 2) {
				return nil
			}
			return usage(fmt.Errorf("%s takes PATH and the request's JSON, if it needs one; --list shows the calls", c.CommandPath()))
		},
		RunE: func(c *cobra.Command, args []string) error {
			if list {
				return listCalls(s.out)
			}
			body, err := requestBody(s.in, args[1:])
			if err != nil {
				return err
			}
			reply, err := f.ask(c.Context(), s, args[0], body)
			if err != nil {
				return err
			}
			return printJSON(s.out, reply, raw)
		}}
	f.flags(c)
	c.Flags().BoolVar(&raw, "raw", false, "print the answer byte for byte")
	c.Flags().BoolVar(&list, "list", false, "show the calls, without a connection")
	return c
}

// maxRequestFile is more than any broker lets pass.
const maxRequestFile = 64 << 20

func requestBody(in io.Reader, args []string) ([]byte, error) {
	if len(args) == 0 {
		return []byte("{}"), nil
	}
	body := []byte(args[0])
	name, isFile := strings.CutPrefix(args[0], "@")
	var err error
	switch {
	case args[0] == "-":
		body, err = io.ReadAll(io.LimitReader(in, maxRequestFile))
	case isFile:
		body, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, usage(fmt.Errorf("read the request: %w", err))
	}
	if body = bytes.TrimSpace(body); !json.Valid(body) || body[0] != '{' {
		return nil, usage(errors.New("the request is no JSON object"))
	}
	return body, nil
}

// callPath is a path as [kfapi.Endpoint] has it, from any of its spellings.
func callPath(s string) string {
	s = strings.Trim(strings.ReplaceAll(s, ".", "/"), "/")
	return strings.TrimPrefix(strings.TrimPrefix(s, "cgi-bin/"), "kf/")
}

// ask makes a request and returns the reply, or tells the refusal.
func (f *requesting) ask(ctx context.Context, s std, path string, body []byte) ([]byte, error) {
	path = callPath(path)
	if why, ok := api.Elsewhere(path); ok {
		return nil, usage(errors.New(why))
	}
	b, err := f.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	if f.timeout <= 0 {
		if f.timeout = 15 * time.Second; strings.HasPrefix(path, "media/") {
			f.timeout = 2 * time.Minute
		}
	}
	if err := f.discover(ctx, b.NC, path); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	m := nats.NewMsg(events.APISubject(f.corp, path))
	m.Data = body
	m.Header.Set(api.HeaderTimeout, (f.timeout * 9 / 10).String()) // its answer is to come before we go
	reply, err := b.NC.RequestMsgWithContext(ctx, m)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return nil, noSender(" for corp " + f.corp)
	case errors.Is(err, nats.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("%w: no answer to %s in %v; WeChat may have done it", service.ErrNotReady, path, f.timeout)
	case err != nil:
		return nil, fmt.Errorf("ask for %s: %w", path, err)
	}
	if reply.Header.Get(micro.ErrorCodeHeader) != "" {
		return nil, tellRefusal(s.err, path, reply)
	}
	return reply.Data, nil
}

// discovery is how long senders may take to say what they serve.
const discovery = time.Second

// discover asks the senders what they serve. A request alone would not tell: while anybody listens to kf.>, the broker does
// not say that nobody answers. A user who may not ask goes on without knowing.
func (f *requesting) discover(ctx context.Context, nc *nats.Conn, path string) error {
	sub, err := nc.SubscribeSync(nc.NewInbox())
	if err == nil {
		err = nc.PublishRequest("$SRV.INFO."+api.ServiceName, sub.Subject, nil)
	}
	if err != nil {
		return fmt.Errorf("look for a sender: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, discovery)
	defer cancel()
	var corps []string
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if errors.Is(err, nats.ErrNoResponders) {
			return noSender("")
		}
		if err != nil {
			break
		}
		var info micro.Info
		if json.Unmarshal(m.Data, &info) != nil {
			continue
		}
		corp := info.Metadata["corp"]
		if f.corp == "" {
			f.corp = corp
		}
		if corps = append(corps, corp); corp == f.corp {
			return serves(info, events.APISubject(corp, path), path)
		}
	}
	switch {
	case len(corps) > 0:
		return noSender(fmt.Sprintf(" for corp %s, but for %s", f.corp, strings.Join(slices.Compact(corps), ", ")))
	case f.corp == "":
		return usage(errors.New("no corp: give --corp, or set KF_CORP_ID"))
	}
	return nil
}

func serves(info micro.Info, subject, path string) error {
	for _, e := range info.Endpoints {
		if e.Subject == subject {
			return nil
		}
	}
	return usage(fmt.Errorf("there is no call %q; kfbus api --list shows them", path))
}

func noSender(what string) error {
	return fmt.Errorf("%w: no sender answers%s; start one with `kfbus sender`, or everything with `kfbus dev`", service.ErrNotReady, what)
}

// tellRefusal writes what a person must know of a refusal.
func tellRefusal(w io.Writer, path string, m *nats.Msg) error {
	var body struct {
		Errmsg   string `json:"errmsg"`
		Hint     string `json:"hint"`
		Category string `json:"category"`
	}
	_ = json.Unmarshal(m.Data, &body) // the headers say enough
	fmt.Fprintf(w, "kfbus: %s: refused (%s %s)", path, m.Header.Get(micro.ErrorCodeHeader), m.Header.Get(api.HeaderCategory))
	if code := m.Header.Get(api.HeaderErrcode); code != "" {
		fmt.Fprintf(w, ": errcode %s", code)
	}
	fmt.Fprintf(w, ": %s\n", body.Errmsg)
	for _, line := range []struct{ what, text string }{
		{"hint", body.Hint}, {"try again after", secondsText(m.Header.Get(api.HeaderRetry))}, {"did WeChat get it", m.Header.Get(api.HeaderSent)},
	} {
		if line.text != "" && line.text != body.Errmsg {
			fmt.Fprintf(w, "  %s: %s\n", line.what, line.text)
		}
	}
	return errSaid
}

func secondsText(s string) string {
	if s == "" {
		return ""
	}
	return s + " s"
}

func printJSON(w io.Writer, reply []byte, raw bool) error {
	var b bytes.Buffer
	if raw || json.Indent(&b, reply, "", "  ") != nil {
		b.Reset()
		b.Write(reply)
	}
	if !raw {
		b.WriteByte('\n')
	}
	_, err := w.Write(b.Bytes())
	return err
}

// listCalls shows what can be asked for.
func listCalls(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, e := range api.Calls() {
		fmt.Fprintf(t, "%s\t%s\n", strings.ReplaceAll(callPath(e.Path), "/", "."), e.Summary)
	}
	return t.Flush()
}
