package console

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// state is what the page needs to begin.
func (c *Console) state(*http.Request) (any, error) {
	c.mu.Lock()
	servicers := make(map[string][]string, len(c.servicers))
	for account, ids := range c.servicers {
		servicers[account] = slices.Clone(ids)
	}
	c.mu.Unlock()
	return struct {
		Corp      string              `json:"corp"`
		Accounts  []kfsim.Account     `json:"accounts"`
		Customers []kfsim.Customer    `json:"customers"`
		Servicers map[string][]string `json:"servicers"` // userids by open_kfid
		Info      Info                `json:"info"`
		Now       time.Time           `json:"now"`       // by the platform's clock
		OffsetMS  int64               `json:"offset_ms"` // how far that was moved
	}{c.cfg.Corp, orEmpty(c.cfg.Accounts), orEmpty(c.cfg.Customers), servicers, c.cfg.Info,
		c.cfg.Sim.Clock().Now(), c.cfg.Sim.Clock().Offset().Milliseconds()}, nil
}

func orEmpty[T any](list []T) []T { return append([]T{}, list...) }

// phone is what one customer sees of one account, and how the platform sees the two.
func (c *Console) phone(r *http.Request) (any, error) {
	q := r.URL.Query()
	platform, err := c.cfg.Sim.Conversation(q.Get("open_kfid"), q.Get("external_userid"))
	if err != nil {
		return nil, &refusal{http.StatusNotFound, err.Error()}
	}
	return struct {
		Messages []kfsim.PhoneMessage `json:"messages"`
		Platform kfsim.Conversation   `json:"platform"`
	}{orEmpty(c.cfg.Sim.Phone(q.Get("open_kfid"), q.Get("external_userid"))), platform}, nil
}

// text is one side's words to the other.
type text struct {
	OpenKfID       string `json:"open_kfid"`
	ExternalUserID string `json:"external_userid"`
	Text           string `json:"text"`
}

func (t text) check() error {
	switch {
	case t.OpenKfID == "" || t.ExternalUserID == "":
		return errors.New("open_kfid and external_userid are required; /api/state lists them")
	case strings.TrimSpace(t.Text) == "":
		return errors.New("text is empty; write something")
	}
	return nil
}

// say lets a customer write.
func (c *Console) say(r *http.Request) (any, error) {
	var t text
	if err := decode(r, &t); err != nil {
		return nil, err
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	id, err := c.cfg.Sim.CustomerSays(t.OpenKfID, t.ExternalUserID, t.Text)
	return map[string]string{"msgid": id}, err
}

// answer sends a text to the customer as any team would: one bare JSON command on
// its subject.
func (c *Console) answer(r *http.Request) (any, error) {
	var t text
	if err := decode(r, &t); err != nil {
		return nil, err
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	return c.command(r.Context(), events.VerbSend, t.OpenKfID, t.ExternalUserID, func(b *body) {
		b.MsgType, b.Text = "text", &content{t.Text}
	})
}

// body is a command as the page publishes it. It is what a newcomer copies, so it
// has no field that is not needed.
type body struct {
	CommandID      string   `json:"command_id"`
	CausationID    string   `json:"causationid,omitempty"`
	TraceParent    string   `json:"traceparent,omitempty"`
	OpenKfID       string   `json:"open_kfid,omitempty"`       // where the subject holds its hash
	ExternalUserID string   `json:"external_userid,omitempty"` // likewise
	MsgType        string   `json:"msgtype,omitempty"`
	Text           *content `json:"text,omitempty"`
	ServiceState   int      `json:"service_state,omitempty"`
}

type content struct {
	Content string `json:"content"`
}

// command publishes one command of team "console" and returns where and what. It
// answers the customer's newest message, if there is one, in its trace.
func (c *Console) command(ctx context.Context, verb, openKfID, user string, fill func(*body)) (any, error) {
	b := body{CommandID: Team + "-" + strings.ToLower(rand.Text()[:12])}
	c.mu.Lock()
	if h, ok := c.heard.get(events.ConversationKey(c.cfg.Corp, openKfID, user)); ok {
		b.CausationID, b.TraceParent = h.msgID, h.parent
	}
	c.mu.Unlock()
	if events.Token(openKfID) != openKfID {
		b.OpenKfID = openKfID
	}
	if events.Token(user) != user {
		b.ExternalUserID = user
	}
	fill(&b)
	var data bytes.Buffer
	enc := json.NewEncoder(&data)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(b); err != nil {
		return nil, err
	}
	m := &nats.Msg{
		Subject: events.CommandSubject(Team, c.cfg.Corp, openKfID, verb, user),
		Data:    bytes.TrimSpace(data.Bytes()),
		Header:  nats.Header{nats.MsgIdHdr: {b.CommandID}},
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := c.cfg.Bus.JS.PublishMsg(ctx, m); err != nil {
		return nil, &refusal{http.StatusBadGateway,
			fmt.Sprintf("the command was not stored: %v; is the broker running, and the topology applied? try again", bus.Classify(err))}
	}
	return map[string]string{"command_id": b.CommandID, "subject": m.Subject, "body": string(m.Data)}, nil
}

// action is something a visitor does besides writing.
type action struct {
	Act            string `json:"act"`
	OpenKfID       string `json:"open_kfid"`
	ExternalUserID string `json:"external_userid"`
	MsgID          string `json:"msgid"`           // recall, tap
	ID             string `json:"id"`              // tap: of the menu item, or
	Content        string `json:"content"`         // tap: its content
	Scene          string `json:"scene"`           // enter
	SceneParam     string `json:"scene_param"`     // enter
	ServicerUserID string `json:"servicer_userid"` // pick_up, transfer, end
	ToUserID       string `json:"to_userid"`       // transfer
	Advance        string `json:"advance"`         // clock: "30m", "48h"
}

// act does one action. Each says what it needs; the simulator refuses what the
// platform would not let happen.
func (c *Console) act(r *http.Request) (any, error) {
	var a action
	if err := decode(r, &a); err != nil {
		return nil, err
	}
	sim := c.cfg.Sim
	by := kfsim.ServicerAct{OpenKfID: a.OpenKfID, ExternalUserID: a.ExternalUserID, UserID: a.ServicerUserID, ToUserID: a.ToUserID}
	switch a.Act {
	case "enter": // the customer opens the conversation
		return message(sim.Enter(kfsim.Enter{OpenKfID: a.OpenKfID, ExternalUserID: a.ExternalUserID, Scene: a.Scene, SceneParam: a.SceneParam}))
	case "recall": // the customer takes a message of theirs back
		return done(sim.Recall(kfsim.Recall{OpenKfID: a.OpenKfID, ExternalUserID: a.ExternalUserID, MsgID: a.MsgID}))
	case "tap": // the customer taps a menu item
		return message(sim.Tap(kfsim.Tap{OpenKfID: a.OpenKfID, ExternalUserID: a.ExternalUserID, MsgID: a.MsgID, ID: a.ID, Content: a.Content}))
	case "pick_up":
		return done(sim.PickUp(by))
	case "transfer":
		return done(sim.Transfer(by))
	case "end":
		return done(sim.End(by))
	case "hand_over": // team "console" puts the session into the pool of humans
		if _, err := sim.Conversation(a.OpenKfID, a.ExternalUserID); err != nil {
			return nil, err
		}
		return c.command(r.Context(), events.VerbTransfer, a.OpenKfID, a.ExternalUserID, func(b *body) { b.ServiceState = poolState })
	case "clock":
		d, err := time.ParseDuration(a.Advance)
		if err != nil || d <= 0 || d > maxAdvance {
			return nil, fmt.Errorf(`advance must be a duration over 0 and up to %v, such as "30m" or "48h"`, maxAdvance)
		}
		return map[string]time.Time{"now": sim.Clock().Advance(d)}, nil
	}
	return nil, errors.New("act is none of enter, recall, tap, pick_up, transfer, end, hand_over, clock")
}

const (
	poolState  = 2 // service_state: waits for a human
	maxAdvance = 30 * 24 * time.Hour
)

func message(id string, err error) (any, error) { return map[string]string{"msgid": id}, err }
func done(err error) (any, error)               { return struct{}{}, err }
