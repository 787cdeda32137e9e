package kfapi

import (
	"context"
	"fmt"
)

// AccountListResponse is one page of accounts.
type AccountListResponse struct {
	AccountList []Account `json:"account_list"`
	ErrMsg      string    `json:"errmsg"` // see SendMsgResponse
}

// Account is a Kf account.
type Account struct {
	OpenKfID string `json:"open_kfid"`
	Name     string `json:"name"`
	Avatar   string `json:"avatar"` // URL
	// ManagePrivilege: the app may manage the account. nil for component callers.
	ManagePrivilege *Flag `json:"manage_privilege,omitempty"`
}

// AccountListRequest asks for one page of accounts.
type AccountListRequest struct {
	Offset int `json:"offset,omitempty"` // of the first account wanted
	Limit  int `json:"limit,omitempty"`  // 1–100; 0 means 100
}

// Validate checks every documented limit. Its error is a *LimitError.
func (r AccountListRequest) Validate() error {
	if r.Offset < 0 {
		return &LimitError{Field: "offset", Why: "is negative", Got: r.Offset}
	}
	if r.Limit < 0 || r.Limit > 100 {
		return &LimitError{Field: "limit", Why: fmt.Sprintf("is %d, must be 0 to 100", r.Limit), Limit: 100, Got: r.Limit}
	}
	return nil
}

// AccountList returns up to limit accounts from offset on; limit is 1–100, and 0 means 100. There is no total: the list has
// ended when fewer than limit come back. It may be repeated.
//
// https://developer.work.weixin.qq.com/document/path/94661
func (c *Client) AccountList(ctx context.Context, accessToken string, offset, limit int) (AccountListResponse, error) {
	const op = "account/list"
	var out AccountListResponse
	req := AccountListRequest{Offset: offset, Limit: limit}
	if err := req.Validate(); err != nil {
		return out, fmt.Errorf("%s: %w", op, err)
	}
	errmsg, err := c.postJSON(ctx, op, accessToken, req, &out)
	out.ErrMsg = errmsg
	return out, err
}
