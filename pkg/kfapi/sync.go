package kfapi

import (
	"context"
	"fmt"
)

// SyncMsgRequest asks for one page.
type SyncMsgRequest struct {
	Cursor      string `json:"cursor,omitempty"`       // NextCursor of the page before; empty: from the oldest of the last 3 days
	SyncToken   string `json:"token,omitempty"`        // from a callback, good for 10 minutes: a secret
	Limit       int    `json:"limit,omitempty"`        // 1–1000; 0 is the platform's default, 1000
	VoiceFormat int    `json:"voice_format,omitempty"` // of the media behind voice messages: 0 AMR, 1 Silk
	OpenKfID    string `json:"open_kfid,omitempty"`    // the account; the platform demands it since 2024
}

// Validate checks every documented limit but those of the values that the platform itself made. Its error is a *LimitError.
func (r SyncMsgRequest) Validate() error {
	switch {
	case r.Limit < 0 || r.Limit > 1000:
		return &LimitError{Field: "limit", Why: fmt.Sprintf("is %d, must be 0 to 1000", r.Limit), Limit: 1000, Got: r.Limit}
	case r.VoiceFormat != 0 && r.VoiceFormat != 1:
		return &LimitError{Field: "voice_format", Why: "must be 0 or 1"}
	}
	return checkSize("open_kfid", r.OpenKfID, 0, maxID)
}

// SyncMsgResponse is one page.
type SyncMsgResponse struct {
	NextCursor string // where the next call starts; empty: keep the old one
	HasMore    bool   // call again at once, even if MsgList is empty
	MsgList    []Item // oldest first, as far as anybody knows
	ErrMsg     string // see SendMsgResponse
}

// SyncMsg pulls one page of messages and events of the last 3 days after the cursor. Without a SyncToken the platform throttles
// hard; 95007 means that the token is spent or too old. Safe to repeat: nothing moves until the caller stores NextCursor.
// One bad element of the page is an Item with Err; an answer that is not plainly a page, a proxy's JSON for instance, is a
// *BodyError, so that no cursor moves by it.
//
// https://developer.work.weixin.qq.com/document/path/94670
func (c *Client) SyncMsg(ctx context.Context, accessToken string, req SyncMsgRequest) (SyncMsgResponse, error) {
	var out SyncMsgResponse
	if err := first(req.Validate(), needToken(accessToken)); err != nil {
		return out, fmt.Errorf("sync_msg: %w", err)
	}
	in, err := encode(req)
	if err != nil {
		return out, fmt.Errorf("sync_msg: %w", err)
	}
	k := post("sync_msg", accessToken, in)
	k.limit, k.secrets = maxPage, []string{req.SyncToken}
	body, meta, err := c.fetch(ctx, k)
	if err != nil {
		return out, err
	}
	pg, why := readPage(body)
	switch {
	case why != "":
		return out, k.odd(meta, int64(len(body)), why)
	case pg.code != 0:
		return out, k.refusal(pg.head)
	}
	return SyncMsgResponse{NextCursor: pg.next, HasMore: pg.hasMore, MsgList: pg.items, ErrMsg: cleanMsg(pg.msg, k.hidden())}, nil
}
