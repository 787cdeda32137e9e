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

// AccountList returns up to limit accounts from offset on; limit is 1–100, and 0 means 100. There is no total: the list has
// ended when fewer than limit come back. It may be repeated.
//
// https://developer.work.weixin.qq.com/document/path/94661
func (c *Client) AccountList(ctx context.Context, accessToken string, offset, limit int) (AccountListResponse, error) {
	const op = "account/list"
	var out AccountListResponse
	if offset < 0 {
		return out, fmt.Errorf("%s: %w", op, &LimitError{Field: "offset", Why: "is negative", Got: offset})
	}
	if limit < 0 || limit > 100 {
		why := fmt.Sprintf("is %d, must be 0 to 100", limit)
		return out, fmt.Errorf("%s: %w", op, &LimitError{Field: "limit", Why: why, Limit: 100, Got: limit})
	}
	in := struct {
		Offset int `json:"offset,omitempty"`
		Limit  int `json:"limit,omitempty"`
	}{offset, limit}
	errmsg, err := c.postJSON(ctx, op, accessToken, in, &out)
	out.ErrMsg = errmsg
	return out, err
}
