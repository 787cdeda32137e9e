package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// verify is the command's flags.
type verify struct {
	keyFlags
	output
	body, file, at string
	show           bool
}

func callbackVerify(s std) *cobra.Command {
	var v verify
	c := &cobra.Command{Use: "verify [URL [BODY]]", Short: "say whether a captured callback is good, or which step fails and why",
		Long: `verify takes a callback apart as the ingress would, and names the step that fails, the likely cause and what to do.
URL is what was asked for, in quotes: whole, or from the ? on. With an echostr and no body it is the console's check.
The body is BODY, --body FILE, or what is piped in. --file takes a whole HTTP request as it went over the wire instead.

It asks nobody and changes nothing. It prints no Token, no key and no content; --show prints the decrypted document,
in which there may be a customer's words, a sync Token and a WelcomeCode.

Exit code 0: good. 1: bad. 2: wrong flags or settings.`,
		Example: `  kfbus callback verify 'https://kf.example/callback?msg_signature=…&timestamp=…&nonce=…&echostr=…'
  kfbus callback verify 'https://kf.example/callback?msg_signature=…&timestamp=…&nonce=…' --body body.xml
  kfbus callback verify --file request.http --at 2026-01-31T08:00:00Z
  kfbus callback verify --file request.http --token-file token --aes-key-file key --corp ww… --show`,
		Args: func(_ *cobra.Command, args []string) error { return v.args(args) },
		RunE: func(_ *cobra.Command, args []string) error { return v.run(s, args) }}
	v.flags(c)
	c.Flags().StringSliceVar(&v.receiveIDs, "receive-id", nil, "receiveids that are taken, beside --token-file (default: --corp)")
	v.flag(c)
	c.Flags().StringVar(&v.body, "body", "", "file with the body of the POST; - is what is piped in")
	c.Flags().StringVar(&v.file, "file", "", "file with the whole HTTP request; - is what is piped in")
	c.Flags().StringVar(&v.at, "at", "", "when it arrived: Unix seconds, RFC 3339, or a duration such as -20m (default: not known)")
	c.Flags().BoolVar(&v.show, "show", false, "print the decrypted document, secrets included")
	return c
}

func (v *verify) args(args []string) error {
	switch {
	case v.file != "" && (len(args) > 0 || v.body != ""):
		return usage(errors.New("--file holds URL and body; give nothing beside it"))
	case v.file == "" && (len(args) < 1 || len(args) > 2):
		return usage(errors.New("kfbus callback verify takes a URL and perhaps a BODY, or --file; see kfbus callback verify --help"))
	case len(args) == 2 && v.body != "":
		return usage(errors.New("give BODY or --body, not both"))
	}
	return nil
}

func (v *verify) run(s std, args []string) error {
	all, err := v.load()
	if err != nil {
		return err
	}
	at, err := parseAt(v.at, time.Now())
	if err != nil {
		return err
	}
	c, err := v.capture(s, args)
	if err != nil {
		return err
	}
	door := doorAt(all, c.path, v.door)
	if door < 0 {
		return usage(fmt.Errorf("the path %q belongs to no corp in KF_CORPS, and the ingress answers 404; --door names one to try with", c.path))
	}
	f := diagnose(c, all, door, at, v.at != "")
	if !v.show {
		f.Document = ""
	}
	if err := v.print(s.out, f, f.text()); err != nil {
		return err
	}
	if !f.OK {
		return errSaid
	}
	return nil
}

func (v *verify) capture(s std, args []string) (captured, error) {
	if v.file != "" {
		raw, err := s.slurp(v.file, "the HTTP request")
		if err != nil {
			return captured{}, err
		}
		return capturedRequest(raw)
	}
	var body []byte
	var err error
	switch {
	case len(args) == 2:
		body = []byte(args[1])
	case v.body != "", !hasEcho(args[0][strings.Index(args[0], "?")+1:]):
		body, err = s.slurp(v.body, "the body")
	}
	if err != nil {
		return captured{}, err
	}
	return capturedURL(args[0], body)
}

func (f finding) text() string {
	var b strings.Builder
	if f.OK {
		fmt.Fprintf(&b, "good: %s", f.Kind)
		if f.Account != "" {
			fmt.Fprintf(&b, " of account %s", f.Account)
		}
		if f.AgentID != "" {
			fmt.Fprintf(&b, ", app %s", f.AgentID)
		}
		fmt.Fprintf(&b, "\n  opened with  %s\n  receiveid    %s", f.Keys, f.ReceiveID)
	} else {
		fmt.Fprintf(&b, "bad: %s\n  likely       %s\n  do           %s", f.Step, f.Cause, f.Do)
		if len(f.Passed) > 0 {
			fmt.Fprintf(&b, "\n  good so far  %s", strings.Join(f.Passed, ", "))
		}
	}
	for _, n := range f.Notes {
		fmt.Fprintf(&b, "\n  note         %s", n)
	}
	if f.Document != "" {
		fmt.Fprintf(&b, "\n\n%s", f.Document)
	}
	return b.String()
}

// parseAt reads a time as people write it; "" is now.
func parseAt(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return now, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Unix(n, 0), nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(d), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	return now, usage(fmt.Errorf("--at is %q; it must be Unix seconds, RFC 3339 or a duration such as -20m", text))
}
