package kfapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
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

// SyncMsgResponse is one page. As JSON it is the platform's answer.
type SyncMsgResponse struct {
	NextCursor string // where the next call starts; empty: keep the old one
	HasMore    bool   // call again at once, even if MsgList is empty
	MsgList    []Item // oldest first, as far as anybody knows
	Reply
}

// MarshalJSON is the platform's answer, each item as it came.
func (r SyncMsgResponse) MarshalJSON() ([]byte, error) {
	list := make([]json.RawMessage, len(r.MsgList))
	for i, it := range r.MsgList {
		list[i] = it.Raw
	}
	return encode(struct {
		Reply
		NextCursor string            `json:"next_cursor"`
		HasMore    Flag              `json:"has_more"`
		MsgList    []json.RawMessage `json:"msg_list"`
	}{r.Reply, r.NextCursor, Flag(r.HasMore), list})
}

// UnmarshalJSON reads a successful answer of the platform. Its error never quotes it.
func (r *SyncMsgResponse) UnmarshalJSON(b []byte) error {
	pg, why := readPage(b)
	if why == "" && pg.code != 0 {
		why = "a refusal"
	}
	if why != "" {
		return errors.New("page: " + why)
	}
	*r = pg.response(pg.msg, b)
	return nil
}

func (pg page) response(errmsg string, raw json.RawMessage) SyncMsgResponse {
	return SyncMsgResponse{NextCursor: pg.next, HasMore: pg.hasMore, MsgList: pg.items, Reply: Reply{errmsg, raw}}
}

// SyncMsg pulls one page of messages and events of the last 3 days after the cursor. Without a SyncToken the platform throttles
// hard; 95007 means that the token is spent or too old. Safe to repeat: nothing moves until the caller stores NextCursor.
// One bad element of the page is an Item with Err; an answer that is not plainly a page, a proxy's JSON for instance, is a
// *BodyError, so that no cursor moves by it.
//
// https://developer.work.weixin.qq.com/document/path/94670
func (c *Client) SyncMsg(ctx context.Context, accessToken string, req SyncMsgRequest) (SyncMsgResponse, error) {
	k, err := jsonCall(accessToken, http.MethodPost, "kf/sync_msg", req)
	if err != nil {
		return SyncMsgResponse{}, fmt.Errorf("sync_msg: %w", err)
	}
	body, meta, err := c.fetch(ctx, k)
	if err != nil {
		return SyncMsgResponse{}, err
	}
	pg, why := readPage(body)
	switch {
	case why != "":
		return SyncMsgResponse{}, k.odd(meta, int64(len(body)), why)
	case pg.code != 0:
		return SyncMsgResponse{}, k.refusal(pg.head)
	}
	return pg.response(cleanMsg(pg.msg, k.hidden()), body), nil
}
