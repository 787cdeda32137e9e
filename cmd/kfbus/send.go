package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
	"github.com/spf13/cobra"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/pkg/events"
)

// commanding is what all commands share: where to publish, and how long to
// wait for the outcome.
type commanding struct {
	connection
	output
	corp, team, id string
	wait, expiry   time.Duration
}

func (f *commanding) flags(c *cobra.Command) {
	f.connection.flag(c)
	f.output.flag(c)
	c.Flags().StringVar(&f.corp, "corp", os.Getenv("KF_CORP_ID"), "corp id (default: KF_CORP_ID)")
	c.Flags().StringVar(&f.team, "team", "cli", "team that commands")
	c.Flags().StringVar(&f.id, "id", "", "command id; the same id is never sent twice (default: a new one)")
	c.Flags().DurationVar(&f.wait, "wait", 15*time.Second, "wait so long for the outcome; 0 only publishes")
	c.Flags().DurationVar(&f.expiry, "expires-in", events.DefaultExpiry, "after this time it is not sent any more, 48h at most")
}

// message is what send and reply carry: a text, or --type and --body.
type message struct{ msgType, body string }

func (m *message) flags(c *cobra.Command) {
	c.Flags().StringVar(&m.msgType, "type", "text", "msgtype")
	c.Flags().StringVar(&m.body, "body", "", "JSON of the message body, instead of TEXT")
}

// args takes n arguments and a TEXT, or n arguments and --body.
func (m *message) args(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == n+1 && m.body == "" || len(args) == n && m.body != "" {
			return nil
		}
		return usage(fmt.Errorf("%s takes %s and either TEXT or --body", c.CommandPath(), what))
	}
}

// in puts the message into a command; rest holds the TEXT, if there is one.
func (m *message) in(command map[string]any, rest []string) error {
	content := json.RawMessage(m.body)
	if len(rest) == 1 {
		content = jsonOf(map[string]string{"content": rest[0]})
	} else if !json.Valid(content) {
		return usage(errors.New("--body is not JSON"))
	}
	command["msgtype"], command[m.msgType] = m.msgType, content
	return nil
}

func sendCommand(s std) *cobra.Command {
	var f commanding
	var m message
	var file attached
	var dry, split bool
	c := &cobra.Command{Use: "send OPEN_KFID EXTERNAL_USERID [TEXT]", Short: "send a message to a customer and wait for the outcome",
		Long: `send publishes one command, as any NATS client can, and waits for its outcome. TEXT is a text message; for other
types give --type and --body, the platform's own JSON for that type. A picture, voice, video or file is uploaded by the
sender: give --type, and --file for one of this machine (1 MiB at most, less where the broker takes less) or --object for
one that lies in an object store.

Exit code 0: accepted, or would be sent. 1: any other outcome. 3: no outcome in time.`,
		Example: "  kfbus send wk… wm… '您好，已发货'\n  kfbus send wk… wm… --type link --body '{\"title\":\"Guide\",\"url\":\"https://e.example\",\"thumb_media_id\":\"M\"}'\n  kfbus send wk… wm… --type image --file a.png",
		Args: func(c *cobra.Command, args []string) error {
			if err := file.into(&m); err != nil {
				return err
			}
			return m.args(2, "OPEN_KFID, EXTERNAL_USERID")(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			command := map[string]any{}
			if err := m.in(command, args[2:]); err != nil {
				return err
			}
			if dry {
				command["dry_run"] = true
			}
			if split {
				command["split"] = true
			}
			return f.publish(c.Context(), s, events.VerbSend, args[0], args[1], command)
		}}
	c.Flags().BoolVar(&dry, "dry-run", false, "only ask what would come of it: nothing is sent")
	c.Flags().BoolVar(&split, "split", false, "let a TEXT above 2048 bytes go as up to 5 messages, each of which takes one of the five")
	m.flags(c)
	file.flags(c)
	f.flags(c)
	return c
}

func replyCommand(s std) *cobra.Command {
	var f commanding
	var m message
	c := &cobra.Command{Use: "reply OPEN_KFID EXTERNAL_USERID CODE [TEXT]", Short: "answer an event with its welcome_code or msg_code",
		Long: `reply publishes one command that answers an event, and waits for its outcome. CODE is the welcome_code of
enter_session (20 s), or the msg_code of session_status_change or of a transfer (48 h; 20 s after the end of a
session). It is good for one text or msgmenu, and for as long as the session stays where it gave the code.

Exit code 0: accepted. 1: any other outcome. 3: no outcome in time.`,
		Example: "  kfbus reply wk… wm… WELCOME_CODE '欢迎'\n  kfbus reply wk… wm… WELCOME_CODE --type msgmenu --body '{\"head_content\":\"您好\",\"list\":[{\"type\":\"click\",\"click\":{\"id\":\"1\",\"content\":\"人工\"}}]}'",
		Args:    m.args(3, "OPEN_KFID, EXTERNAL_USERID, CODE"),
		RunE: func(c *cobra.Command, args []string) error {
			command := map[string]any{"code": args[2]}
			if err := m.in(command, args[3:]); err != nil {
				return err
			}
			return f.publish(c.Context(), s, events.VerbReply, args[0], args[1], command)
		}}
	m.flags(c)
	f.flags(c)
	return c
}

func transferCommand(s std) *cobra.Command {
	var f commanding
	var servicer string
	c := &cobra.Command{Use: "transfer OPEN_KFID EXTERNAL_USERID STATE", Short: "move a conversation to the assistant, the pool, a person, or its end",
		Long: `transfer changes who holds a conversation: STATE is 1 assistant, 2 waiting pool, 3 a servicer (--servicer), 4 ended.
The outcome of the first move to 2 or 3, and of one to 4, has a msg_code for kfbus reply.

Exit code 0: accepted. 1: any other outcome. 3: no outcome in time.`,
		Example: "  kfbus transfer wk… wm… 2\n  kfbus transfer wk… wm… 3 --servicer lisi",
		Args:    exactly(3, "OPEN_KFID, EXTERNAL_USERID and STATE"),
		RunE: func(c *cobra.Command, args []string) error {
			state, err := strconv.Atoi(args[2])
			if err != nil {
				return usage(errors.New("STATE is not a number from 1 to 4"))
			}
			command := map[string]any{"service_state": state}
			if servicer != "" {
				command["servicer_userid"] = servicer
			}
			return f.publish(c.Context(), s, events.VerbTransfer, args[0], args[1], command)
		}}
	c.Flags().StringVar(&servicer, "servicer", "", "userid of the servicer who takes it, with STATE 3")
	f.flags(c)
	return c
}

func recallCommand(s std) *cobra.Command {
	var f commanding
	c := &cobra.Command{Use: "recall OPEN_KFID EXTERNAL_USERID COMMAND_ID", Short: "take back what a command sent, within 2 minutes",
		Long:    "recall names the command, not the message: before it was sent, it never is; after, it is taken back.",
		Example: "  kfbus recall wk… wm… cli-5Hx… ",
		Args:    exactly(3, "OPEN_KFID, EXTERNAL_USERID and COMMAND_ID"),
		RunE: func(c *cobra.Command, args []string) error {
			return f.publish(c.Context(), s, events.VerbRecall, args[0], args[1], map[string]any{"target_command_id": args[2]})
		}}
	f.flags(c)
	return c
}

// publish sends one bare JSON command, and waits for what comes of it.
func (f *commanding) publish(ctx context.Context, s std, verb, openKfID, user string, body map[string]any) error {
	if f.corp == "" {
		return usage(errors.New("no corp: give --corp, or set KF_CORP_ID"))
	}
	if f.id == "" {
		f.id = f.team + "-" + nuid.Next()
	}
	b, err := f.dial(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	body["command_id"] = f.id
	body["expirytime"] = time.Now().Add(f.expiry).UTC().Format(time.RFC3339)
	body["external_userid"], body["open_kfid"] = user, openKfID // needed where the subject holds a hash
	subject := events.CommandSubject(f.team, f.corp, openKfID, verb, user)
	outcomes, err := b.NC.SubscribeSync(outcomeFilter(f.team, f.corp, openKfID, user))
	if err != nil {
		return fmt.Errorf("watch for the outcome: %w", err)
	}
	if err := b.NC.FlushTimeout(toolConnect); err != nil {
		return fmt.Errorf("watch for the outcome: %w", err)
	}
	ack, err := b.JS.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: jsonOf(body), Header: nats.Header{"Nats-Msg-Id": {f.id}}})
	if err != nil {
		return fmt.Errorf("publish %s: %w", subject, bus.Classify(err))
	}
	if f.wait == 0 {
		return f.print(s.out, map[string]any{"command_id": f.id, "subject": subject, "sequence": ack.Sequence}, "published "+f.id)
	}
	o, err := awaitOutcome(ctx, outcomes, f.id, f.wait)
	if err != nil {
		return fmt.Errorf("%w: command %s was stored, but has no outcome after %v: is a sender running?", service.ErrNotReady, f.id, f.wait)
	}
	if err := f.print(s.out, o, outcomeText(o)); err != nil {
		return err
	}
	if o.State != events.StateAccepted && o.State != events.StateRecalled && o.Would != events.WouldSend {
		return errSaid
	}
	return nil
}

func outcomeFilter(team, corp, openKfID, user string) string {
	s := events.Subject{Team: events.Token(team), Corp: events.Token(corp), Account: events.Token(openKfID), User: events.Token(user)}
	return events.OutcomeSubject(s, "*")
}

// awaitOutcome waits for the terminal outcome of one command; corrections come
// later and are for `kfbus tail`.
func awaitOutcome(ctx context.Context, sub *nats.Subscription, id string, wait time.Duration) (events.Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return events.Outcome{}, err
		}
		e, err := bus.Decode(m.Header, m.Data)
		if err != nil {
			continue // not ours
		}
		var o events.Outcome
		if e.DataAs(&o) == nil && o.CommandID == id {
			return o, nil
		}
	}
}

func outcomeText(o events.Outcome) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", o.State, o.CommandID)
	for _, p := range []struct{ name, value string }{{"would", o.Would}, {"reason", o.Reason}, {"field", o.Field}, {"corrects", o.Corrects}, {"confirmed by", o.ConfirmedBy}, {"detail", o.Detail}} {
		if p.value != "" {
			fmt.Fprintf(&b, " · %s %s", p.name, p.value)
		}
	}
	if o.ErrCode != 0 {
		fmt.Fprintf(&b, " · errcode %d", o.ErrCode)
	}
	if o.Parts > 0 {
		fmt.Fprintf(&b, " · %d of %d messages", o.PartsSent, o.Parts)
	}
	if o.MsgCode != "" {
		fmt.Fprintf(&b, " · msg_code %s", o.MsgCode)
	}
	if o.SendsLeft != nil {
		fmt.Fprintf(&b, " · %d sends left", *o.SendsLeft)
	}
	return b.String()
}

func jsonOf(v any) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // only called with what this package built
	}
	return bytes.TrimSpace(b.Bytes())
}
