package syncer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"

	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

// once leaves out what a page has twice, and its first item if the page before it ended with that: the same msgid and the same bytes. Where
// the bytes differ, or there is no msgid, nobody can say that it is the same.
func once(c events.Cursor, items []kfapi.Item) []kfapi.Item {
	at := make(map[string]int, len(items)) // msgid → its place in rest
	rest := items[:0:0]
	for n, it := range items {
		if it.MsgID != "" {
			if i, there := at[it.MsgID]; there && bytes.Equal(rest[i].Raw, it.Raw) || n == 0 && it.MsgID == c.LastID && sumOf(it.Raw) == c.LastSum {
				continue
			}
			at[it.MsgID] = len(rest)
		}
		rest = append(rest, it)
	}
	return rest
}

// remember puts the last item of a page into the cursor after it.
func remember(c *events.Cursor, items []kfapi.Item) {
	if len(items) == 0 {
		return
	}
	c.LastID, c.LastSum = "", ""
	last := items[len(items)-1]
	if id := (events.Inbound{MsgID: last.MsgID, Raw: last.Raw}).ID(); id == last.MsgID { // not one that is too long or odd
		c.LastID, c.LastSum = id, sumOf(last.Raw)
	}
}

func sumOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8])
}
