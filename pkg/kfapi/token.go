package kfapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const opGetToken = "gettoken"

// GetTokenRequest is the credential of an app. It prints without the secret.
type GetTokenRequest struct {
	CorpID     string `json:"corpid"`
	CorpSecret string `json:"corpsecret"`
}

func (r GetTokenRequest) String() string   { return "credential of an app" }
func (r GetTokenRequest) GoString() string { return r.String() }

// Validate checks every documented limit. Its error is a *LimitError.
func (r GetTokenRequest) Validate() error {
	return first(checkSize("corpid", r.CorpID, 1, 0), checkSize("corpsecret", r.CorpSecret, 1, 0))
}

// GetTokenResponse is an access token. It prints without the token; as JSON it is the platform's answer.
type GetTokenResponse struct {
	AccessToken string        // reserve 512 bytes
	ExpiresIn   time.Duration // what is left of its life, whole seconds; normally 2 hours
	Reply                     // Raw holds the token too
}

func (r GetTokenResponse) String() string   { return fmt.Sprintf("access token for %v", r.ExpiresIn) }
func (r GetTokenResponse) GoString() string { return r.String() }

type tokenJSON struct {
	AccessToken string   `json:"access_token"`
	ExpiresIn   LooseInt `json:"expires_in"`
	ErrMsg      string   `json:"errmsg,omitempty"`
}

// MarshalJSON is the platform's answer, with the token.
func (r GetTokenResponse) MarshalJSON() ([]byte, error) {
	return json.Marshal(tokenJSON{r.AccessToken, LooseInt(r.ExpiresIn / time.Second), r.ErrMsg})
}

func (r *GetTokenResponse) UnmarshalJSON(b []byte) error {
	var t tokenJSON
	if err := json.Unmarshal(b, &t); err != nil {
		return err
	}
	if t.ExpiresIn < 0 || t.ExpiresIn > 1<<31 {
		return wrongType[LooseInt]()
	}
	r.AccessToken, r.ExpiresIn, r.ErrMsg = t.AccessToken, time.Duration(t.ExpiresIn)*time.Second, t.ErrMsg
	return nil
}

func (r *GetTokenResponse) missing() string {
	if r.AccessToken == "" || r.ExpiresIn == 0 {
		return "access_token or expires_in"
	}
	return ""
}

// GetToken fetches the access token of an app. While a token lives the platform returns the same one again, so it may be
// repeated, but seldom: too many calls are blocked (45009), and wrong secrets in a row get the calling address banned for an
// hour. 40001, 40013 and 40091 will not get better by themselves.
//
// https://developer.work.weixin.qq.com/document/path/91039
func (c *Client) GetToken(ctx context.Context, corpID, corpSecret string) (GetTokenResponse, error) {
	k := newCall(http.MethodGet, opGetToken, "")
	k.secrets = []string{corpSecret}
	out, err := c.credential(ctx, k, GetTokenRequest{corpID, corpSecret})
	if code, _ := Code(err); code == 40013 && strings.HasPrefix(corpID, "wx") {
		err = fmt.Errorf("%w; it begins with wx as an appid does, and the token of an official account comes from token or stable_token", err)
	}
	return out, err
}
