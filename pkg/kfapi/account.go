package kfapi

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
)

// Account is a Kf account.
type Account struct {
	OpenKfID string `json:"open_kfid"`
	Name     string `json:"name"`
	Avatar   string `json:"avatar"` // URL
	// ManagePrivilege: the app may manage the account. nil for component callers.
	ManagePrivilege *Bool `json:"manage_privilege,omitempty"`
}

const (
	maxAccountName = 16 // characters
	accountPage    = 100
	maxAccounts    = 10_000 // twice what a corp may have
)

// AccountAddRequest describes a new account.
type AccountAddRequest struct {
	Name    string `json:"name"`     // 1–16 characters
	MediaID string `json:"media_id"` // of an uploaded image, the avatar
}

// Validate checks every documented limit. Its error is a *LimitError.
func (r AccountAddRequest) Validate() error {
	return first(checkChars("name", r.Name, 1, maxAccountName), checkSize("media_id", r.MediaID, 1, maxMediaID))
}

// AccountAddResponse names the new account.
type AccountAddResponse struct {
	OpenKfID string `json:"open_kfid"`
	Reply
}

func (r *AccountAddResponse) missing() string { return ifEmpty(r.OpenKfID, "open_kfid") }

// AccountAdd makes an account. A corp may have 5000, an unverified one 10 (95027). A repeat after an Ambiguous error may
// make a second one.
//
// https://developer.work.weixin.qq.com/document/path/94662
func (c *Client) AccountAdd(ctx context.Context, accessToken string, req AccountAddRequest) (AccountAddResponse, error) {
	return post[AccountAddResponse](ctx, c, accessToken, "kf/account/add", req)
}

// AccountDelRequest names an account.
type AccountDelRequest struct {
	OpenKfID string `json:"open_kfid"`
}

// Validate checks every documented limit. Its error is a *LimitError.
func (r AccountDelRequest) Validate() error { return checkID("open_kfid", r.OpenKfID) }

// AccountDel deletes an account. It may be repeated; a repeat is refused with 95004 if the first one got through.
//
// https://developer.work.weixin.qq.com/document/path/94663
func (c *Client) AccountDel(ctx context.Context, accessToken string, req AccountDelRequest) (Reply, error) {
	return post[Reply](ctx, c, accessToken, "kf/account/del", req)
}

// AccountUpdateRequest changes what is not empty.
type AccountUpdateRequest struct {
	OpenKfID string `json:"open_kfid"`
	Name     string `json:"name,omitempty"`     // up to 16 characters
	MediaID  string `json:"media_id,omitempty"` // of an uploaded image, the avatar
}

// Validate checks every documented limit. Its error is a *LimitError.
func (r AccountUpdateRequest) Validate() error {
	return first(checkID("open_kfid", r.OpenKfID), checkChars("name", r.Name, 0, maxAccountName),
		checkSize("media_id", r.MediaID, 0, maxMediaID))
}

// AccountUpdate changes name or avatar of an account. It may be repeated.
//
// https://developer.work.weixin.qq.com/document/path/94664
func (c *Client) AccountUpdate(ctx context.Context, accessToken string, req AccountUpdateRequest) (Reply, error) {
	return post[Reply](ctx, c, accessToken, "kf/account/update", req)
}

// AccountListRequest asks for one page of accounts.
type AccountListRequest struct {
	Offset int `json:"offset,omitempty"` // of the first account wanted
	Limit  int `json:"limit,omitempty"`  // 1–100; 0 means 100
}

// Validate checks every documented limit. Its error is a *LimitError.
func (r AccountListRequest) Validate() error {
	return first(checkUpTo("offset", r.Offset, math.MaxInt32), checkUpTo("limit", r.Limit, accountPage))
}

// AccountListResponse is one page of accounts.
type AccountListResponse struct {
	AccountList []Account `json:"account_list"`
	Reply
}

// AccountList returns up to limit accounts from offset on; limit is 1–100, and 0 means 100. There is no total: the list has
// ended when fewer than limit come back. It may be repeated.
//
// https://developer.work.weixin.qq.com/document/path/94661
func (c *Client) AccountList(ctx context.Context, accessToken string, offset, limit int) (AccountListResponse, error) {
	return post[AccountListResponse](ctx, c, accessToken, "kf/account/list", AccountListRequest{Offset: offset, Limit: limit})
}

// ErrNoProgress ends an iterator when the platform's pages do not move on. To be found with errors.Is.
var ErrNoProgress = errors.New("the platform's pages do not move on")

// Accounts goes through all accounts of the corp, 100 a call, and ends with the first page that is not full. It ends in an
// error when a call fails, and with ErrNoProgress when a page begins as the one before it or the accounts do not end. It
// may be run again, from the start.
//
// https://developer.work.weixin.qq.com/document/path/94661
func (c *Client) Accounts(ctx context.Context, accessToken string) iter.Seq2[Account, error] {
	return func(yield func(Account, error) bool) {
		last := ""
		for offset := 0; ; offset += accountPage {
			page, err := c.AccountList(ctx, accessToken, offset, accountPage)
			list := page.AccountList
			if err == nil && len(list) >= accountPage && (list[0].OpenKfID == last || offset >= maxAccounts) {
				err = fmt.Errorf("account/list: offset %d: %w", offset, ErrNoProgress)
			}
			if err != nil {
				yield(Account{}, err)
				return
			}
			for _, a := range list {
				if !yield(a, nil) {
					return
				}
			}
			if len(list) < accountPage {
				return
			}
			last = list[0].OpenKfID
		}
	}
}
