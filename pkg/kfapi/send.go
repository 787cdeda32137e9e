package kfapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// SendMsgRequest is one message to one customer.
type SendMsgRequest struct {
	ToUser   string // the customer's external_userid, 1–64 bytes
	OpenKfID string // the account that sends, 1–64 bytes
	// MsgID is up to 32 of [0-9a-zA-Z_-], unique in the account for as long as the platform remembers; a used one is
	// refused, which is what makes a repeated send safe. Empty: the platform makes one, and a repeat may deliver twice.
	MsgID   string
	Message Message
}

// Validate checks every documented limit. Its error is a *LimitError.
func (r SendMsgRequest) Validate() error {
	_, err := r.encode()
	return err
}

// UnmarshalJSON reads the body of a request. Fields beside the message that nobody documents are left out.
func (r *SendMsgRequest) UnmarshalJSON(b []byte) (err error) {
	type address struct {
		ToUser   string `json:"touser"`
		OpenKfID string `json:"open_kfid"`
		MsgID    string `json:"msgid"`
	}
	var a address
	r.Message, err = readMessage(b, &a)
	r.ToUser, r.OpenKfID, r.MsgID = a.ToUser, a.OpenKfID, a.MsgID
	return err
}

// MarshalJSON is the body of the request, if it is valid.
func (r SendMsgRequest) MarshalJSON() ([]byte, error) { return r.encode() }

func (r SendMsgRequest) encode() (json.RawMessage, error) {
	if err := first(checkID("touser", r.ToUser), checkID("open_kfid", r.OpenKfID), checkMsgID(r.MsgID)); err != nil {
		return nil, err
	}
	return encodeMessage(r.Message, pair{"touser", r.ToUser}, pair{"open_kfid", r.OpenKfID}, pair{"msgid", r.MsgID})
}

// pair is a member of a request; an empty value leaves it out.
type pair struct{ name, value string }

// encodeMessage puts the pairs before the message. It is done by hand because encoding/json would reformat a body that
// must go out as it was written.
func encodeMessage(m Message, pairs ...pair) (json.RawMessage, error) {
	if m == nil {
		return nil, &LimitError{Field: "msgtype", Why: "is missing"}
	}
	body, err := m.body()
	if err != nil {
		return nil, err
	}
	if err := checkBody(m.MsgType(), body); err != nil {
		return nil, err
	}
	out := []byte{'{'}
	for _, p := range pairs {
		if p.value != "" {
			out = append(fmt.Appendf(out, `"%s":`, p.name), quote(p.value)...)
			out = append(out, ',')
		}
	}
	out = fmt.Appendf(out, `"msgtype":"%s","%[1]s":`, m.MsgType())
	return append(append(out, body...), '}'), nil
}

// SendMsgResponse is what an accepted send returns.
type SendMsgResponse struct {
	MsgID string `json:"msgid"` // the request's, or the platform's own
	Reply
}

// SendMsg sends a message. It is allowed in session states 0 and 1, for 48 hours after the customer's last message, 5 times
// after each. No error means accepted, not delivered: a msg_send_fail event may follow. Repeat it only with the same MsgID;
// with an Ambiguous error the message may have gone out. A *LimitError was not sent.
//
// https://developer.work.weixin.qq.com/document/path/94677
func (c *Client) SendMsg(ctx context.Context, accessToken string, req SendMsgRequest) (SendMsgResponse, error) {
	body, err := req.encode()
	return c.send(ctx, accessToken, "kf/send_msg", body, err)
}

// send posts a message as it is written; encoding/json would reformat it. err is why there is none.
func (c *Client) send(ctx context.Context, accessToken, path string, body json.RawMessage, err error, secrets ...string) (SendMsgResponse, error) {
	if err := first(err, needToken(accessToken)); err != nil {
		return SendMsgResponse{}, fmt.Errorf("%s: %w", opOf(path), err)
	}
	k := newCall(http.MethodPost, path, accessToken).json(body)
	k.secrets = secrets
	var out SendMsgResponse
	if err := c.decode(ctx, k, &out); err != nil {
		return SendMsgResponse{}, err
	}
	return out, nil
}

// SendMsgOnEventRequest answers an event. The code implies account and customer.
type SendMsgOnEventRequest struct {
	Code    string  // a welcome_code or msg_code: a secret, good once
	MsgID   string  // as in SendMsgRequest
	Message Message // Text or MsgMenu; for the pool and for a pick-up the platform takes Text only
}

// Validate checks every documented limit. Its error is a *LimitError.
func (r SendMsgOnEventRequest) Validate() error {
	_, err := r.encode()
	return err
}

// UnmarshalJSON reads the body of a request. Fields beside the message that nobody documents are left out.
func (r *SendMsgOnEventRequest) UnmarshalJSON(b []byte) (err error) {
	type address struct {
		Code  string `json:"code"`
		MsgID string `json:"msgid"`
	}
	var a address
	r.Message, err = readMessage(b, &a)
	r.Code, r.MsgID = a.Code, a.MsgID
	return err
}

// MarshalJSON is the body of the request, if it is valid.
func (r SendMsgOnEventRequest) MarshalJSON() ([]byte, error) { return r.encode() }

func (r SendMsgOnEventRequest) encode() (json.RawMessage, error) {
	if err := first(checkSize("code", r.Code, 1, 0), checkMsgID(r.MsgID)); err != nil {
		return nil, err
	}
	if r.Message != nil && r.Message.MsgType() != "text" && r.Message.MsgType() != "msgmenu" {
		return nil, &LimitError{Field: "msgtype", Why: "must be text or msgmenu in a reply to an event"}
	}
	return encodeMessage(r.Message, pair{"code", r.Code}, pair{"msgid", r.MsgID})
}

// SendMsgOnEvent sends the one message that an event allows: 20 seconds after enter_session and the end of a session, 48
// hours after a move to the pool or to a servicer. The rules of SendMsg do not apply. A code is used up by the first
// accepted send; after an Ambiguous error a repeat with the same MsgID is refused if the first one got through.
//
// https://developer.work.weixin.qq.com/document/path/95122
func (c *Client) SendMsgOnEvent(ctx context.Context, accessToken string, req SendMsgOnEventRequest) (SendMsgResponse, error) {
	body, err := req.encode()
	return c.send(ctx, accessToken, "kf/send_msg_on_event", body, err, req.Code)
}

// RecallMsgRequest names a message that SendMsg sent.
type RecallMsgRequest struct {
	MsgID    string `json:"msgid"`
	OpenKfID string `json:"open_kfid"`
}

// Validate checks every documented limit. Its error is a *LimitError.
func (r RecallMsgRequest) Validate() error {
	return first(checkSize("msgid", r.MsgID, 1, maxMsgID), checkMsgID(r.MsgID), checkID("open_kfid", r.OpenKfID))
}

// RecallMsg takes a message back within 2 minutes of its send. It stays counted against the 5. It may be repeated.
//
// https://developer.work.weixin.qq.com/document/path/94677
func (c *Client) RecallMsg(ctx context.Context, accessToken string, req RecallMsgRequest) error {
	_, err := post[Reply](ctx, c, accessToken, "kf/recall_msg", req)
	return err
}
