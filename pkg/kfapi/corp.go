package kfapi

import (
	"context"
	"fmt"
)

// GetCorpQualificationResponse says what decides how many customers a corp may serve.
type GetCorpQualificationResponse struct {
	WechatChannelsBinding Bool `json:"wechat_channels_binding"` // at least one Channels account is bound and confirmed
	Reply
}

// GetCorpQualification says whether a Channels account (视频号) is bound. An unverified corp may serve 100 customers in all, a
// verified one 10,000, one with Channels any number; beyond that 95003. It may be repeated.
//
// https://developer.work.weixin.qq.com/document/path/94638
func (c *Client) GetCorpQualification(ctx context.Context, accessToken string) (GetCorpQualificationResponse, error) {
	return get[GetCorpQualificationResponse](ctx, c, accessToken, "kf/get_corp_qualification", nil)
}

// IPListResponse is addresses of the platform.
type IPListResponse struct {
	IPList []string `json:"ip_list"` // single addresses and CIDR ranges
	Reply
}

// GetCallbackIP returns where callbacks come from, for a firewall. The list changes: ask once a day. It may be repeated.
//
// https://developer.work.weixin.qq.com/document/path/90930
func (c *Client) GetCallbackIP(ctx context.Context, accessToken string) (IPListResponse, error) {
	return get[IPListResponse](ctx, c, accessToken, "getcallbackip", nil)
}

// GetAPIDomainIP returns the addresses of DefaultBaseURL, for a firewall. The list changes: ask once a day. It may be
// repeated.
//
// https://developer.work.weixin.qq.com/document/path/92520
func (c *Client) GetAPIDomainIP(ctx context.Context, accessToken string) (IPListResponse, error) {
	return get[IPListResponse](ctx, c, accessToken, "get_api_domain_ip", nil)
}

// IDConvertOpenKfIDRequest names accounts by their old ids.
type IDConvertOpenKfIDRequest struct {
	OpenKfIDList []string `json:"open_kfid_list"`
}

// Validate checks every documented limit. Its error is a *LimitError.
func (r IDConvertOpenKfIDRequest) Validate() error {
	for i, id := range r.OpenKfIDList {
		if err := checkID(fmt.Sprintf("open_kfid_list[%d]", i), id); err != nil {
			return err
		}
	}
	return checkCount("open_kfid_list", len(r.OpenKfIDList), 1, 0)
}

// IDConvertOpenKfIDResponse is the new ids.
type IDConvertOpenKfIDResponse struct {
	Items []struct {
		OpenKfID    string `json:"open_kfid"`
		NewOpenKfID string `json:"new_open_kfid"`
	} `json:"items"`
	InvalidOpenKfIDList []string `json:"invalid_open_kfid_list,omitempty"`
	Reply
}

// IDConvertOpenKfID turns the ids of a corp's accounts into those a third-party provider uses. It may be repeated.
//
// https://developer.work.weixin.qq.com/document/path/97064
func (c *Client) IDConvertOpenKfID(ctx context.Context, accessToken string, req IDConvertOpenKfIDRequest) (IDConvertOpenKfIDResponse, error) {
	return post[IDConvertOpenKfIDResponse](ctx, c, accessToken, "idconvert/open_kfid", req)
}
