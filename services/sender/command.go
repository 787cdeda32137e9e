package sender

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/services/sender/window"
)

// The APIs of the verbs, as they are named in [events.BucketThrottle].
const (
	apiSend     = "send_msg"
	apiReply    = "send_msg_on_event"
	apiRecall   = "recall_msg"
	apiTransfer = "service_state/trans"
)

func apis() []string { return []string{apiSend, apiReply, apiRecall, apiTransfer} }

// job is one command in hand.
type job struct {
	src     bus.Stored // as the team published it
	subject events.Subject
	cmd     events.Command
	ask     window.Command
	api     string
	code    string // of a reply
	request func(ctx context.Context, accessToken string) (said, error)

	waited   time.Duration // in the lane so far
	lingered bool          // it has had its second look
	aside    bool          // it comes out of a timer, and holds up no lane
	asked    time.Time     // when it began to wait for a pull of its account
	resigned bool          // it waits for no pull any more
	paid     bool          // the rate limit has let it through
	turn     time.Time     // when its team may have it sent

	part  int    // of several messages, the one in hand
	msgid string // of the request in hand

	file     *file   // of a send that brings one
	mediaID  string  // of it, once it is with WeChat
	upload   string  // its key in [events.BucketUploads]
	uploaded bool    // it was uploaded for this attempt
	flaw     refusal // what is wrong with it, where that was found later
	anew     bool    // its ledger was made anew: nobody watches the window
}

// said is what an accepted request brought back.
type said struct {
	msgCode string // of a transfer
	errmsg  string
}

// conversation is the key of the ledger.
func (j *job) conversation() string { return j.subject.ConversationKey() }

// read turns what a team published into a job. On error the job holds what could be read; without a subject nobody can be
// answered. The error says which field is wrong and why, never what the field held.
func (s *Sender) read(src bus.Stored) (*job, error) {
	j := &job{src: src}
	var err error
	if j.subject, err = events.LooseCommandSubject(src.Subject); err != nil {
		return j, err
	}
	if _, strange := src.Published(); strange != nil {
		j.cmd = salvage(j.subject, src)
		return j, &events.InvalidCommand{Field: "subject", Why: "has a token that is neither an id nor the hash of one"}
	}
	switch e, decodeErr := src.Event(); {
	case decodeErr == nil:
		j.cmd, err = events.CommandFromEvent(j.subject, e, src.Time)
	case errors.Is(decodeErr, bus.ErrBare):
		j.cmd, err = events.CommandFromJSON(j.subject, src.Header.Get("Nats-Msg-Id"), src.Data, src.Time)
	default:
		j.cmd = salvage(j.subject, src)
		err = &refusal{window.ReasonInvalid, "event", decodeErr.Error()}
	}
	switch {
	case err != nil:
		return j, err
	case j.subject.Corp != events.Token(s.corp):
		return j, &events.InvalidCommand{Field: "subject", Why: "names a corp that no sender serves here"}
	}
	t, err := s.teams.admit(j)
	if err != nil {
		return j, err
	}
	j.ask = window.Command{
		Conversation: j.conversation(), Team: j.subject.Team, ID: j.cmd.ID, Verb: window.Verb(j.subject.Name), ExpiresAt: j.cmd.ExpiresAt,
		Generation: j.cmd.Generation, Hold: j.cmd.InHumanSession == events.HumanHold, Target: j.cmd.Target, Share: t.share(),
		CameAt: src.Time, By: strconv.FormatUint(rand.Uint64(), 36),
	}
	return j, s.prepare(j)
}

// salvage finds the id of a command that cannot be read otherwise, so that its team recognises the refusal.
func salvage(subject events.Subject, src bus.Stored) events.Command {
	cmd := events.Command{Subject: subject, StoredAt: src.Time}
	var body struct {
		ID        string `json:"id"`
		CommandID string `json:"command_id"`
	}
	_ = json.Unmarshal(src.Data, &body) // what cannot be read names nothing
	named := []string{body.ID, body.CommandID}
	for name, values := range src.Header {
		if strings.EqualFold(name, "ce-id") || strings.EqualFold(name, "Nats-Msg-Id") {
			named = append(named, values...)
		}
	}
	for _, id := range named {
		if id != "" && len(id) <= events.MaxCommandID && cmd.ID == "" {
			cmd.ID = id
		}
	}
	return cmd
}

// tooLong: its text alone is what is wrong with a message.
func tooLong(err error) bool {
	var l *kfapi.LimitError
	return errors.As(err, &l) && l.Field == "text.content" && l.Got > textBytes
}

// splitBody returns the parts of a text that may go as several messages.
func splitBody(body json.RawMessage) ([]string, error) {
	var m struct {
		MsgType string `json:"msgtype"`
		Text    struct {
			Content string `json:"content"`
		} `json:"text"`
	}
	if json.Unmarshal(body, &m) != nil || m.MsgType != "text" {
		return nil, &events.InvalidCommand{Field: "split", Why: "is for texts only"}
	}
	parts := splitText(m.Text.Content, textBytes)
	if len(parts) > textParts {
		return nil, &kfapi.LimitError{Field: "text.content", Limit: textParts * textBytes, Got: len(m.Text.Content),
			Why: fmt.Sprintf("is %d bytes, too many for %d messages of %d", len(m.Text.Content), textParts, textBytes)}
	}
	return parts, nil
}

// prepare makes the request of the verb, checked against every limit of the platform that is known.
func (s *Sender) prepare(j *job) error {
	if j.cmd.Split && j.subject.Name != events.VerbSend {
		return &events.InvalidCommand{Field: "split", Why: "is for sends only"}
	}
	switch j.subject.Name {
	case events.VerbSend:
		return s.prepareSend(j)
	case events.VerbReply:
		return s.prepareReply(j)
	case events.VerbRecall:
		return s.prepareRecall(j)
	case events.VerbTransfer:
		return s.prepareTransfer(j)
	}
	return &events.InvalidCommand{Field: "subject", Why: "names a verb that is none of send, reply, recall and transfer"}
}

func (s *Sender) prepareSend(j *job) error {
	f, with, err := takeFile(j.cmd.Body)
	if err != nil {
		return err
	}
	body := j.cmd.Body
	if f != nil {
		body = with("its media_id comes later")
		if err := roomAside(int64(len(j.src.Data)), s.bus.NC.MaxPayload(), f); err != nil {
			return err
		}
	}
	m, err := kfapi.ParseMessage(body)
	if err != nil && (!j.cmd.Split || !tooLong(err)) {
		return err
	}
	req := kfapi.SendMsgRequest{ToUser: j.cmd.ExternalUserID, OpenKfID: j.cmd.OpenKfID, MsgID: j.ask.MsgID(), Message: m}
	j.api, j.file = apiSend, f
	var parts []string
	if j.cmd.Split {
		if parts, err = splitBody(j.cmd.Body); err != nil {
			return err
		}
		j.ask.Parts = len(parts)
		req.Message = kfapi.Text{Content: parts[0]}
	}
	j.request = func(ctx context.Context, token string) (said, error) {
		req := req
		if j.part > 0 {
			req.MsgID, req.Message = j.msgid, kfapi.Text{Content: parts[j.part-1]}
		}
		if f != nil {
			m, err := kfapi.ParseMessage(with(j.mediaID))
			if err != nil {
				return said{}, err
			}
			req.Message = m
		}
		r, err := s.api.SendMsg(ctx, token, req)
		return said{errmsg: r.ErrMsg}, err
	}
	return req.Validate()
}

func (s *Sender) prepareReply(j *job) error {
	m, err := kfapi.ParseMessage(j.cmd.Body, "code")
	if err != nil {
		return err
	}
	var body struct {
		Code string `json:"code"`
	}
	if json.Unmarshal(j.cmd.Body, &body) != nil || body.Code == "" {
		return &events.InvalidCommand{Field: "code", Why: "is missing or not a string; it is the welcome_code or msg_code of the event"}
	}
	req := kfapi.SendMsgOnEventRequest{Code: body.Code, MsgID: j.ask.MsgID(), Message: m}
	j.api, j.code = apiReply, body.Code
	j.request = func(ctx context.Context, token string) (said, error) {
		r, err := s.api.SendMsgOnEvent(ctx, token, req)
		return said{errmsg: r.ErrMsg}, err
	}
	return req.Validate()
}

func (s *Sender) prepareRecall(j *job) error {
	if err := strict(j.cmd.Body, &struct{}{}); err != nil {
		return err
	}
	if j.cmd.Target == j.cmd.ID || len(j.cmd.Target) > events.MaxCommandID {
		return &events.InvalidCommand{Field: "target_command_id", Why: "names this recall itself, or is too long to be a command id"}
	}
	req := kfapi.RecallMsgRequest{MsgID: j.ask.TargetMsgID(), OpenKfID: j.cmd.OpenKfID}
	j.api = apiRecall
	j.request = func(ctx context.Context, token string) (said, error) {
		req := req
		req.MsgID = j.msgid // of several, one after the other
		return said{}, s.api.RecallMsg(ctx, token, req)
	}
	return req.Validate()
}

func (s *Sender) prepareTransfer(j *job) error {
	var body struct {
		ServiceState   *kfapi.ServiceState `json:"service_state"`
		ServicerUserID string              `json:"servicer_userid"`
	}
	if err := strict(j.cmd.Body, &body); err != nil {
		return err
	}
	if body.ServiceState == nil {
		return &events.InvalidCommand{Field: "service_state", Why: "is missing"}
	}
	req := kfapi.ServiceStateTransRequest{OpenKfID: j.cmd.OpenKfID, ExternalUserID: j.cmd.ExternalUserID,
		ServiceState: *body.ServiceState, ServicerUserID: body.ServicerUserID}
	j.api, j.ask.State, j.ask.Servicer = apiTransfer, int(req.ServiceState), req.ServicerUserID
	j.request = func(ctx context.Context, token string) (said, error) {
		r, err := s.api.ServiceStateTrans(ctx, token, req)
		return said{msgCode: r.MsgCode, errmsg: r.ErrMsg}, err
	}
	return req.Validate()
}

// strict decodes a body that has these fields and no other. Its error does not repeat what the body held.
func strict(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if d.Decode(into) != nil {
		return &events.InvalidCommand{Field: "body", Why: "has a field that this verb does not know, or one of the wrong type"}
	}
	if _, err := d.Token(); err != io.EOF {
		return &events.InvalidCommand{Field: "body", Why: "has something after its end"}
	}
	return nil
}
