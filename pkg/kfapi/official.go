package kfapi

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

const grantType = "client_credential"

// OfficialTokenRequest is the credential of an official account or a mini program. It prints without the secret.
type OfficialTokenRequest struct {
	GrantType string `json:"grant_type"` // "client_credential"; the methods of Client fill it in
	AppID     string `json:"appid"`      // "wx…"
	Secret    string `json:"secret"`
}

func (r OfficialTokenRequest) String() string   { return "credential of an official account" }
func (r OfficialTokenRequest) GoString() string { return r.String() }

// Validate checks every documented limit. Its error is a *LimitError.
func (r OfficialTokenRequest) Validate() error {
	switch {
	case r.GrantType != grantType:
		return &LimitError{Field: "grant_type", Why: "must be " + grantType}
	case strings.HasPrefix(r.AppID, "ww"):
		return &LimitError{Field: "appid", Why: "begins with ww as a corpid does; the token of a corp comes from gettoken"}
	}
	return first(checkSize("appid", r.AppID, 1, 0), checkSize("secret", r.Secret, 1, 0))
}

// StableTokenRequest is the credential of an official account or a mini program. It prints without the secret.
type StableTokenRequest struct {
	GrantType    string `json:"grant_type"` // "client_credential"; the methods of Client fill it in
	AppID        string `json:"appid"`      // "wx…"
	Secret       string `json:"secret"`
	ForceRefresh bool   `json:"force_refresh,omitempty"`
}

func (r StableTokenRequest) String() string   { return "credential of an official account" }
func (r StableTokenRequest) GoString() string { return r.String() }

// Validate checks every documented limit. Its error is a *LimitError.
func (r StableTokenRequest) Validate() error {
	return OfficialTokenRequest{r.GrantType, r.AppID, r.Secret}.Validate()
}

// OfficialToken fetches the access token of an official account or a mini program. No call of this package takes it. Each
// call makes a new token and ends the old one after about 5 minutes, so do not repeat it without need; 2000 a day.
// 40013 and 40125 will not get better by themselves; 40164 is an address that is not allow-listed.
func (c *Client) OfficialToken(ctx context.Context, appID, secret string) (GetTokenResponse, error) {
	return c.officialToken(ctx, http.MethodGet, "token", secret, OfficialTokenRequest{grantType, appID, secret})
}

// StableToken fetches the access token of an official account or a mini program, apart from those of OfficialToken. It
// returns the same token as long as it lives, and in its last 5 minutes the next one, so it may be repeated. With force
// the old token ends at once: 20 times a day and not within 30 s.
func (c *Client) StableToken(ctx context.Context, appID, secret string, force bool) (GetTokenResponse, error) {
	return c.officialToken(ctx, http.MethodPost, "stable_token", secret, StableTokenRequest{grantType, appID, secret, force})
}

func (c *Client) officialToken(ctx context.Context, method, path, secret string, req Request) (GetTokenResponse, error) {
	k := newCall(method, path, "")
	k.official, k.secrets = true, []string{secret}
	return c.credential(ctx, k, req)
}

// credential makes a call that returns an access token.
func (c *Client) credential(ctx context.Context, k call, req Request) (GetTokenResponse, error) {
	body, err := encode(req)
	if err == nil {
		err = req.Validate()
	}
	if err != nil {
		return GetTokenResponse{}, fmt.Errorf("%s: %w", k.op, err)
	}
	fields, why := parseTree(body)
	if why != "" {
		return GetTokenResponse{}, fmt.Errorf("%s: %w", k.op, &LimitError{Field: "body", Why: why})
	}
	var out GetTokenResponse
	if err := c.decode(ctx, k.with(body, fields), &out); err != nil {
		return GetTokenResponse{}, err
	}
	return out, nil
}
