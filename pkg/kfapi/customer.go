package kfapi

import (
	"context"
	"slices"
)

const maxCustomers = 100 // of a call

// CustomerBatchGetRequest names customers.
type CustomerBatchGetRequest struct {
	ExternalUserIDList      []string `json:"external_userid_list"` // 1–100
	NeedEnterSessionContext Flag     `json:"need_enter_session_context,omitempty"`
}

// Validate checks every documented limit. Its error is a *LimitError.
func (r CustomerBatchGetRequest) Validate() error {
	return checkIDs("external_userid_list", r.ExternalUserIDList, 1, maxCustomers)
}

// CustomerBatchGetResponse is what is known of the customers.
type CustomerBatchGetResponse struct {
	CustomerList []Customer `json:"customer_list"`
	// InvalidExternalUserID is ids that nobody has, and customers who neither entered nor wrote in the last 48 h: keep
	// what you learned of them before.
	InvalidExternalUserID []string `json:"invalid_external_userid,omitempty"`
	Reply
}

// Customer is a WeChat user as the corp sees it.
type Customer struct {
	ExternalUserID string `json:"external_userid"`
	Nickname       string `json:"nickname"`
	Avatar         string `json:"avatar,omitempty"`  // URL; not for third parties
	Gender         int    `json:"gender"`            // 0 unknown, 1 male, 2 female; third parties always get 0
	UnionID        string `json:"unionid,omitempty"` // only when the corp has bound a WeChat developer account
	// EnterSessionContext is how the customer came in last, within 48 h; nil otherwise and when it was not asked for.
	EnterSessionContext *EnterSessionContext `json:"enter_session_context,omitempty"`
}

// EnterSessionContext says how a customer came in. Its fields are those of EnterSession.
type EnterSessionContext struct {
	Scene          string          `json:"scene,omitempty"`
	SceneParam     string          `json:"scene_param,omitempty"`
	WechatChannels *WechatChannels `json:"wechat_channels,omitempty"`
}

// CustomerBatchGet looks up to 100 customers up. It may be repeated.
//
// https://developer.work.weixin.qq.com/document/path/95159
func (c *Client) CustomerBatchGet(ctx context.Context, accessToken string, req CustomerBatchGetRequest) (CustomerBatchGetResponse, error) {
	return post[CustomerBatchGetResponse](ctx, c, accessToken, "kf/customer/batchget", req)
}

// CustomerBatchGetAll is CustomerBatchGet for any number of customers, 100 a call, one call after the other. All ids are
// checked before the first. With an error comes what was got before it. Without ids no call is made. It may be repeated.
//
// https://developer.work.weixin.qq.com/document/path/95159
func (c *Client) CustomerBatchGetAll(ctx context.Context, accessToken string, req CustomerBatchGetRequest) (CustomerBatchGetResponse, error) {
	var all CustomerBatchGetResponse
	if err := checkIDs("external_userid_list", req.ExternalUserIDList, 0, len(req.ExternalUserIDList)); err != nil {
		return all, err
	}
	for ids := range slices.Chunk(req.ExternalUserIDList, maxCustomers) {
		part, err := c.CustomerBatchGet(ctx, accessToken, CustomerBatchGetRequest{ids, req.NeedEnterSessionContext})
		if err != nil {
			return all, err
		}
		all.CustomerList = append(all.CustomerList, part.CustomerList...)
		all.InvalidExternalUserID = append(all.InvalidExternalUserID, part.InvalidExternalUserID...)
		if all.ErrMsg == "" || WrongJSONFormatMsg(part.ErrMsg) {
			all.ErrMsg = part.ErrMsg
		}
	}
	return all, nil
}
