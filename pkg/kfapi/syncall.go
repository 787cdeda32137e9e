package kfapi

import (
	"context"
	"fmt"
	"iter"
)

// maxStill is how many pages in a row may leave the cursor where it is, or where it has been.
const maxStill = 20

// SyncAll pulls page after page from req on and ends with the first whose HasMore is false, never because a page is empty.
// Every page is yielded, the empty ones too, and its NextCursor is where the next one starts: the cursor before it if the
// platform gave none. It ends in an error when a call fails, and with ErrNoProgress after 20 pages in a row that left the
// cursor where it was, or where it had been in this run. It may be run again from any cursor.
//
// https://developer.work.weixin.qq.com/document/path/94670
func (c *Client) SyncAll(ctx context.Context, accessToken string, req SyncMsgRequest) iter.Seq2[SyncMsgResponse, error] {
	return func(yield func(SyncMsgResponse, error) bool) {
		next := req
		been := map[string]bool{req.Cursor: true}
		for still := 0; ; {
			page, err := c.SyncMsg(ctx, accessToken, next)
			if err != nil {
				yield(SyncMsgResponse{}, err)
				return
			}
			if page.NextCursor == "" {
				page.NextCursor = next.Cursor
			}
			if still++; !been[page.NextCursor] {
				still = 0
			}
			been[page.NextCursor] = true
			next.Cursor = page.NextCursor
			if !yield(page, nil) || !page.HasMore {
				return
			}
			if still == maxStill {
				yield(SyncMsgResponse{}, fmt.Errorf("sync_msg %s: has_more but no new cursor %d times: %w", req.OpenKfID, still, ErrNoProgress))
				return
			}
		}
	}
}
