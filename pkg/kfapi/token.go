package kfapi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

const opGetToken = "gettoken"

// GetTokenResponse is an access token. It prints without the token.
type GetTokenResponse struct {
	AccessToken string        // reserve 512 bytes
	ExpiresIn   time.Duration // what is left of its life, whole seconds; normally 2 hours
}

func (r GetTokenResponse) String() string   { return fmt.Sprintf("access token for %v", r.ExpiresIn) }
func (r GetTokenResponse) GoString() string { return r.String() }

// GetToken fetches the access token of an app. While a token lives the platform returns the same one again, so it may be
// repeated, but seldom: too many calls are blocked (45009), and wrong secrets in a row get the calling address banned for an
// hour. 40001, 40013 and 40091 will not get better by themselves.
//
// https://developer.work.weixin.qq.com/document/path/91039
func (c *Client) GetToken(ctx context.Context, corpID, corpSecret string) (GetTokenResponse, error) {
	err := first(checkSize("corpid", corpID, 1, 0), checkSize("corpsecret", corpSecret, 1, 0))
	if err != nil {
		return GetTokenResponse{}, fmt.Errorf("%s: %w", opGetToken, err)
	}
	k := call{
		op: opGetToken, method: http.MethodGet, path: "/cgi-bin/gettoken", limit: maxReply, timeout: CallTimeout,
		query: url.Values{"corpid": {corpID}, "corpsecret": {corpSecret}}, secrets: []string{corpSecret},
	}
	var out struct {
		AccessToken string   `json:"access_token"`
		ExpiresIn   LooseInt `json:"expires_in"`
	}
	if _, err := c.decode(ctx, k, &out); err != nil {
		return GetTokenResponse{}, err
	}
	if out.AccessToken == "" || out.ExpiresIn <= 0 || out.ExpiresIn > 1<<31 {
		return GetTokenResponse{}, &BodyError{Op: opGetToken, Status: 200, Why: "access_token or expires_in missing"}
	}
	return GetTokenResponse{out.AccessToken, time.Duration(out.ExpiresIn) * time.Second}, nil
}
