package syncer

import (
	"errors"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

var noon = time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)

func TestLook(t *testing.T) {
	one := []kfapi.Item{{MsgType: "text"}}
	for _, c := range []struct {
		name   string
		cursor string
		page   kfapi.SyncMsgResponse
		want   found
	}{
		{"items and a new cursor", "c1", kfapi.SyncMsgResponse{NextCursor: "c2", MsgList: one}, moved},
		{"items, a new cursor and more", "c1", kfapi.SyncMsgResponse{NextCursor: "c2", MsgList: one, HasMore: true}, moved},
		{"the first page", "", kfapi.SyncMsgResponse{NextCursor: "c1", MsgList: one}, moved},
		{"no items and a new cursor", "c1", kfapi.SyncMsgResponse{NextCursor: "c2"}, moved},
		{"no items, a new cursor and more", "c1", kfapi.SyncMsgResponse{NextCursor: "c2", HasMore: true}, moved},
		{"idle with the same cursor", "c1", kfapi.SyncMsgResponse{NextCursor: "c1"}, nothing},
		{"idle with no cursor", "c1", kfapi.SyncMsgResponse{}, nothing},
		{"idle from the start", "", kfapi.SyncMsgResponse{}, nothing},
		{"more but the same cursor", "c1", kfapi.SyncMsgResponse{NextCursor: "c1", HasMore: true}, stuck},
		{"more but no cursor", "c1", kfapi.SyncMsgResponse{HasMore: true}, stuck},
		{"items that would come again", "c1", kfapi.SyncMsgResponse{NextCursor: "c1", MsgList: one}, stuck},
		{"items and no cursor", "c1", kfapi.SyncMsgResponse{MsgList: one}, stuck},
	} {
		if got := look(c.cursor, c.page); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestAdvance(t *testing.T) {
	c := events.Cursor{Cursor: "c4", Seq: 10, Page: 3, ColdStart: noon, Newest: 500, Previous: []string{"c3", "c2", "c1"}}
	page := kfapi.SyncMsgResponse{NextCursor: "c5", MsgList: []kfapi.Item{
		{SendTime: 700}, {SendTime: 600}, {SendTime: 9e9, Err: errors.New("not to be trusted")}}}
	want := events.Cursor{Cursor: "c5", Seq: 13, Page: 4, ColdStart: noon, PulledAt: noon.Add(time.Hour), Newest: 700, Previous: []string{"c4", "c3", "c2"}}
	if got := advance(c, page, noon.Add(time.Hour)); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if c.Previous[0] != "c3" {
		t.Errorf("the cursor before was changed: %+v", c)
	}
	empty := advance(c, kfapi.SyncMsgResponse{}, noon)
	if empty.Cursor != "c4" || empty.Seq != 10 || empty.Page != 4 || empty.Newest != 500 || len(empty.Previous) != 3 {
		t.Errorf("an idle page: got %+v, want the place kept", empty)
	}
	if first := advance(events.Cursor{}, page, noon); len(first.Previous) != 0 {
		t.Errorf("the first page: got previous %q, want none", first.Previous)
	}
}

func TestColdStart(t *testing.T) {
	start := noon
	callback := func(create time.Duration) events.Doorbell {
		return events.Doorbell{Event: events.RingMessage, CreateTime: start.Add(create).Unix()}
	}
	for _, c := range []struct {
		name   string
		bell   events.Doorbell
		stored time.Duration // after start
		want   time.Duration // after start, the margin not counted
	}{
		{"a doorbell that waited while no syncer ran", callback(-2 * time.Hour), -2*time.Hour + time.Second, -2 * time.Hour},
		{"a doorbell after start", callback(time.Hour), time.Hour, 0},
		{"the broker's clock is behind", callback(0), -time.Minute, -time.Minute},
		{"a repetition that was stored late", callback(-20 * time.Second), -5 * time.Second, -20 * time.Second},
		{"a sweep", events.Doorbell{Event: events.RingSweep}, time.Minute, 0},
		{"a doorbell from before all time", events.Doorbell{ReceivedAt: time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)}, 0, 0},
		{"a doorbell of the year 1", events.Doorbell{ReceivedAt: time.Date(1, 1, 1, 0, 1, 0, 0, time.UTC)}, 0, 0},
		{"a doorbell from after all time", events.Doorbell{CreateTime: math.MaxInt64}, 0, 0},
		{"a doorbell that a timer brought back", events.Doorbell{Event: events.RingMessage, ReceivedAt: start.Add(-time.Hour)}, time.Hour, -time.Hour},
	} {
		got := coldStart(c.bell, start.Add(c.stored), start)
		if want := start.Add(c.want - coldStartMargin); !got.Equal(want) {
			t.Errorf("%s: got %v, want %v", c.name, got.Sub(start), want.Sub(start))
		}
	}
}

func TestFirstMessageIsNeverHistory(t *testing.T) {
	// The message that rang is as old as the callback, or older by the repetitions the platform made, with seconds cut off.
	for late := time.Duration(0); late <= 30*time.Second; late += 250 * time.Millisecond {
		said := noon.Add(-time.Hour)
		rang := said.Add(late)
		start := coldStart(events.Doorbell{Event: events.RingMessage, CreateTime: rang.Unix()}, rang, noon)
		_, kinds, _ := origin{maxPayload: 1 << 20}.split(events.Cursor{ColdStart: start},
			[]kfapi.Item{{MsgType: "text", SendTime: said.Unix(), Raw: []byte(`{}`)}})
		if kinds[0] != events.KindMessage {
			t.Fatalf("rung %v late: got %s", late, kinds[0])
		}
	}
}
