package syncer

import (
	"slices"
	"time"

	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

const (
	keptCursors = 3 // earlier ones, in [events.Cursor.Previous]

	// coldStartMargin is by how much older than its doorbell the message may be that rang it: the platform repeats a
	// callback up to three times, 5 s apart, and a repetition may say a new time.
	coldStartMargin = time.Minute
)

// found is what a page turned out to be.
type found int

const (
	nothing found = iota // no items, and the cursor stays: there is nothing to store
	moved                // the cursor moves, with items or without
	stuck                // more is said to be there, but the cursor stays
)

// look compares a page with the cursor it was asked with. An empty next_cursor counts as the old one.
//
// Items on a page that does not move the cursor are not stored: the next page would bring them again, and again.
func look(cursor string, page kfapi.SyncMsgResponse) found {
	switch {
	case page.NextCursor != "" && page.NextCursor != cursor:
		return moved
	case page.HasMore || len(page.MsgList) > 0:
		return stuck
	}
	return nothing
}

// advance returns the cursor that is stored with a page: item i of it has the kfseq c.Seq+1+i.
func advance(c events.Cursor, page kfapi.SyncMsgResponse, pulledAt time.Time) events.Cursor {
	next := c
	next.Page++
	next.Seq += uint64(len(page.MsgList))
	next.PulledAt = pulledAt.UTC()
	next.Newest = max(c.Newest, newestOf(page.MsgList))
	remember(&next, page.MsgList)
	if !page.HasMore {
		next.Reset, next.ResetFrom = nil, ""
	}
	if look(c.Cursor, page) != moved {
		return next
	}
	next.Cursor = page.NextCursor
	if c.Cursor != "" {
		next.Previous = slices.Insert(slices.Clone(c.Previous), 0, c.Cursor)
		next.Previous = next.Previous[:min(len(next.Previous), keptCursors)]
	}
	return next
}

// newestOf returns the newest send_time of items that can be trusted, 0 if there is none.
func newestOf(items []kfapi.Item) (newest int64) {
	for _, it := range items {
		if it.Err == nil {
			newest = max(newest, it.SendTime)
		}
	}
	return newest
}

// coldStart says where an account without a cursor begins: what was sent before goes to kf.history.
//
// bell is the first doorbell that is worked on and stored when the broker got it. horizon is when the accounts were last
// known, at first the start of the process: who was not there then cannot be older, so that a customer whose callback was
// lost is not taken for history, and a new account's three old days are not taken for news.
func coldStart(bell events.Doorbell, stored, horizon time.Time) time.Time {
	at := horizon.Unix()
	for _, rang := range []int64{stored.Unix(), bell.ReceivedAt.Unix(), bell.CreateTime} {
		if rang > 0 { // else it is not said, or nonsense
			at = min(at, rang)
		}
	}
	return time.Unix(at, 0).Add(-coldStartMargin).UTC()
}
