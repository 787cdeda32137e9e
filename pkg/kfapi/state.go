package kfapi

import (
	"context"
	"encoding/json"
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
	ServiceState   ServiceState `json:"service_state"`             // may be a value that is not listed here
	ServicerUserID string       `json:"servicer_userid,omitempty"` // with StateHuman
	Reply
}

const noState = -1

func (r *ServiceStateGetResponse) UnmarshalJSON(b []byte) error {
	type plain ServiceStateGetResponse
	r.ServiceState = noState // 0 would say that the API may send
	return json.Unmarshal(b, (*plain)(r))
}

func (r *ServiceStateGetResponse) missing() string {
	if r.ServiceState == noState {
		return "service_state"
	}
	return ""
}

// ServiceStateGet asks who holds a conversation. It may be repeated.
//
// https://developer.work.weixin.qq.com/document/path/94669
func (c *Client) ServiceStateGet(ctx context.Context, accessToken string, req ServiceStateGetRequest) (ServiceStateGetResponse, error) {
	return post[ServiceStateGetResponse](ctx, c, accessToken, "kf/service_state/get", req)
}

// ServiceStateTransRequest moves a conversation.
type ServiceStateTransRequest struct {
	OpenKfID       string       `json:"open_kfid"`
	ExternalUserID string       `json:"external_userid"`
	ServiceState   ServiceState `json:"service_state"`             // where to
	ServicerUserID string       `json:"servicer_userid,omitempty"` // with StateHuman, and only then
}

// UnmarshalJSON tells a state that is not there from StateNew.
func (r *ServiceStateTransRequest) UnmarshalJSON(b []byte) error {
	type plain ServiceStateTransRequest
	r.ServiceState = noState // which Validate refuses
	return json.Unmarshal(b, (*plain)(r))
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
	MsgCode string `json:"msg_code,omitempty"`
	Reply
}

// ServiceStateTrans moves a conversation to another state. A repeat after an Ambiguous error may be refused with 95016
// because the first one got through; its MsgCode is then lost.
//
// https://developer.work.weixin.qq.com/document/path/94669
func (c *Client) ServiceStateTrans(ctx context.Context, accessToken string, req ServiceStateTransRequest) (ServiceStateTransResponse, error) {
	return post[ServiceStateTransResponse](ctx, c, accessToken, "kf/service_state/trans", req)
}
