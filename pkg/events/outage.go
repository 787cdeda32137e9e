package events

import (
	"strconv"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
)

// Events of our own about an account that could not be pulled. They have no kfseq: they are no items of the platform's.
const (
	EventSyncLag = "sync_lag" // nothing was pulled for a day or longer; data is a [SyncLag]
	EventGap     = "gap"      // what the platform no longer has may be lost; data is a [Gap]
)

// HistoryKept is how long the platform keeps what nobody has pulled.
//
// https://developer.work.weixin.qq.com/document/path/94670
const HistoryKept = 72 * time.Hour

// SyncLag is the data of a sync_lag event: one after 24, 48 and 60 hours.
type SyncLag struct {
	Corp     string    `json:"corp"`
	OpenKfID string    `json:"open_kfid"`
	Hours    int       `json:"hours"`     // 24, 48 or 60
	PulledAt time.Time `json:"pulled_at"` // the last pull that was stored, exact to the hour
	LostFrom time.Time `json:"lost_from"` // from then on messages are lost
}

// Event makes the CloudEvent, which has the same id whoever makes it.
func (l SyncLag) Event() (event.Event, error) {
	return ownOf(l.Corp, l.OpenKfID, EventSyncLag, strconv.Itoa(l.Hours)+":"+strconv.FormatInt(l.PulledAt.Unix(), 10), l)
}

// Gap is the data of a gap event. It stands in the stream between the last item before the gap and the first one after it.
type Gap struct {
	Corp     string    `json:"corp"`
	OpenKfID string    `json:"open_kfid"`
	From     time.Time `json:"from"`      // the last pull that was stored, exact to the hour
	To       time.Time `json:"to"`        // what was sent later, the platform still had
	AfterSeq uint64    `json:"after_seq"` // the last kfseq before it
	Cursor   string    `json:"cursor"`    // where the next pull began
}

// Event makes the CloudEvent.
func (g Gap) Event() (event.Event, error) {
	return ownOf(g.Corp, g.OpenKfID, EventGap, strconv.FormatInt(g.From.Unix(), 10), g)
}

// ownOf makes an event of our own about an account.
func ownOf(corp, openKfID, name, id string, data any) (event.Event, error) {
	e, err := Own(name+":"+id, Source(corp, openKfID), TypeOf(KindEvent, name), data)
	if err != nil {
		return e, err
	}
	e.SetDataSchema(SchemaOf(KindEvent, name))
	setText(&e, ExtOpenKfID, openKfID)
	return e, nil
}
