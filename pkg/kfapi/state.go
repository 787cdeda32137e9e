package kfapi

import (
	"context"
	"fmt"
)

// ServiceState says who holds a conversation.
type ServiceState int

// States of a session. SendMsg works in StateNew and StateAssistant.
const (
	StateNew       ServiceState = 0 // the customer wrote, nobody took it
	StateAssistant ServiceState = 1 // the API answers
	StatePool      ServiceState = 2 // waits for a servicer
	StateHuman     ServiceState = 3 // a servicer has it
	StateEnded     ServiceState = 4 // over, or not begun; the next customer message makes it StateNew
)

// ServiceStateGetRequest names a conversation.
type ServiceStateGetRequest struct {
	OpenKfID       string `json:"open_kfid"`
	ExternalUserID string `json:"external_userid"`
}

// Validate checks every documented limit. Its error is a *LimitError.
func (r ServiceStateGetRequest) Validate() error {
	return first(checkID("open_kfid", r.OpenKfID), checkID("external_userid", r.ExternalUserID))
}

// ServiceStateGetResponse is the state of a conversation.
type ServiceStateGetResponse struct {
	ServiceState   ServiceState // may be a value that is not listed here
	ServicerUserID string       // with StateHuman
}

// ServiceStateGet asks who holds a conversation. It may be repeated.
//
// https://developer.work.weixin.qq.com/document/path/94669
func (c *Client) ServiceStateGet(ctx context.Context, accessToken string, req ServiceStateGetRequest) (ServiceStateGetResponse, error) {
	const op = "service_state/get"
	if err := req.Validate(); err != nil {
		return ServiceStateGetResponse{}, fmt.Errorf("%s: %w", op, err)
	}
	var out struct {
		ServiceState   *ServiceState `json:"service_state"`
		ServicerUserID string        `json:"servicer_userid"`
	}
	if _, err := c.postJSON(ctx, op, accessToken, req, &out); err != nil {
		return ServiceStateGetResponse{}, err
	}
	if out.ServiceState == nil { // 0 would say that the API may send
		return ServiceStateGetResponse{}, &BodyError{Op: op, Status: 200, Why: "service_state missing"}
	}
	return ServiceStateGetResponse{*out.ServiceState, out.ServicerUserID}, nil
}

// ServiceStateTransRequest moves a conversation.
type ServiceStateTransRequest struct {
	OpenKfID       string       `json:"open_kfid"`
	ExternalUserID string       `json:"external_userid"`
	ServiceState   ServiceState `json:"service_state"`             // where to
	ServicerUserID string       `json:"servicer_userid,omitempty"` // with StateHuman, and only then
}

// Validate checks every documented limit. Whether the transition is legal only the platform knows. Its error is a *LimitError.
func (r ServiceStateTransRequest) Validate() error {
	err := first(checkID("open_kfid", r.OpenKfID), checkID("external_userid", r.ExternalUserID),
		checkSize("servicer_userid", r.ServicerUserID, 0, maxID))
	switch {
	case err != nil:
		return err
	case r.ServiceState < StateNew || r.ServiceState > StateEnded:
		return &LimitError{Field: "service_state", Why: "must be 0 to 4"}
	case r.ServiceState == StateHuman && r.ServicerUserID == "":
		return &LimitError{Field: "servicer_userid", Why: "is needed for service_state 3"}
	}
	return nil
}

// ServiceStateTransResponse may hold a code for one message.
type ServiceStateTransResponse struct {
	// MsgCode is a secret for SendMsgOnEvent: 48 h after the first move to StatePool or StateHuman, 20 s after one to
	// StateEnded, empty otherwise.
	MsgCode string `json:"msg_code"`
	ErrMsg  string `json:"errmsg"` // see SendMsgResponse
}

// ServiceStateTrans moves a conversation to another state. A repeat after an Ambiguous error may be refused with 95016
// because the first one got through; its MsgCode is then lost.
//
// https://developer.work.weixin.qq.com/document/path/94669
func (c *Client) ServiceStateTrans(ctx context.Context, accessToken string, req ServiceStateTransRequest) (ServiceStateTransResponse, error) {
	const op = "service_state/trans"
	var out ServiceStateTransResponse
	if err := req.Validate(); err != nil {
		return out, fmt.Errorf("%s: %w", op, err)
	}
	errmsg, err := c.postJSON(ctx, op, accessToken, req, &out)
	out.ErrMsg = errmsg
	return out, err
}
