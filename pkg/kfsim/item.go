package kfsim

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"
)

// Origins of items.
const (
	originCustomer = 3
	originSystem   = 4
	originServicer = 5
)

// item is one message or event that sync_msg serves: its bytes are made once.
type item struct {
	id       string // msgid, also where the JSON has none
	at       time.Time
	raw      []byte
	customer string // who it is about; "" in some events
	origin   int
	served   bool
}

// itemLog is a history that cursors point into. Positions count from its first item ever.
type itemLog struct {
	scope string // what its cursors are bound to
	items []*item
	trim  int // items before this one are too old to be served
	pulls int
}

// trimTo hides what is older than the platform's history. Hidden items stay hidden when the clock
// goes back.
func (l *itemLog) trimTo(now time.Time) {
	for l.trim < len(l.items) && !within(l.items[l.trim].at, historyLength, now) {
		l.trim++
	}
}

// field is one member of an item's JSON, already encoded.
type field struct {
	name string
	json []byte
}

func str(name, value string) field { return field{name, marshal(value)} }

func num(name string, value int64) field { return field{name, strconv.AppendInt(nil, value, 10)} }

// object writes fields in order, their bytes untouched.
func object(fields ...field) []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range fields {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(marshal(f.name))
		b.WriteByte(':')
		b.Write(f.json)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// addMessage makes a message pullable and causes its callback. body may be nil: then there is no
// member of the msgtype's name.
func (s *Sim) addMessage(a *account, customer string, origin int, servicer, msgType string, body []byte) *item {
	now := s.clock.Now()
	it := &item{id: s.st.ids.opaque("", "msgid", 24), at: now, customer: customer, origin: origin}
	fields := []field{str("msgid", it.id), str("open_kfid", a.OpenKfID), str("external_userid", customer),
		num("send_time", now.Unix()), num("origin", int64(origin))}
	if servicer != "" {
		fields = append(fields, str("servicer_userid", servicer))
	}
	fields = append(fields, str("msgtype", msgType))
	if body != nil {
		fields = append(fields, field{msgType, body})
	}
	it.raw = object(fields...)
	s.publish(a, it, Entry{MsgType: msgType, ServicerUserID: servicer})
	return it
}

// addEvent makes an event pullable and causes its callback. open_kfid is added; customer may be empty.
func (s *Sim) addEvent(a *account, eventType, customer string, more ...field) *item {
	now := s.clock.Now()
	it := &item{id: s.st.ids.opaque("", "msgid", 24), at: now, customer: customer, origin: originSystem}
	event := []field{str("event_type", eventType), str("open_kfid", a.OpenKfID)}
	if customer != "" {
		event = append(event, str("external_userid", customer))
	}
	fields := []field{num("send_time", now.Unix()), num("origin", originSystem), str("msgtype", "event"), {"event", object(append(event, more...)...)}}
	if !s.p.EventsWithoutMsgID {
		fields = append([]field{str("msgid", it.id)}, fields...)
	}
	it.raw = object(fields...)
	s.publish(a, it, Entry{MsgType: "event", EventType: eventType})
	return it
}

// publish appends an item to its account's history and rings the corp's doorbell.
func (s *Sim) publish(a *account, it *item, e Entry) {
	a.log.items = append(a.log.items, it)
	a.corp.log.items = append(a.corp.log.items, it)
	a.items[it.id] = it
	sum := sha256.Sum256(it.raw)
	e.Kind, e.CorpID, e.OpenKfID, e.ExternalUserID, e.MsgID = KindItem, a.CorpID, a.OpenKfID, it.customer, it.id
	e.SHA256 = hex.EncodeToString(sum[:])
	s.journal.add(e)
	s.doorbell(a)
}

// Item is one message or event of an account's history, trimmed or not.
type Item struct {
	MsgID          string          `json:"msgid"` // also of an event that carries none
	Time           time.Time       `json:"time"`  // by the virtual clock
	ExternalUserID string          `json:"external_userid,omitempty"`
	Origin         int             `json:"origin"` // 3 customer, 4 event, 5 servicer
	Served         bool            `json:"served"` // was in a page at least once
	Raw            json.RawMessage `json:"raw"`    // exactly as sync_msg serves it
}

// Items returns everything that ever became pullable at an account, in order.
func (s *Sim) Items(openKfID string) []Item {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.st.accounts[openKfID]
	if a == nil {
		return nil
	}
	list := make([]Item, 0, len(a.log.items))
	for _, it := range a.log.items {
		list = append(list, Item{it.id, it.at, it.customer, it.origin, it.served, it.raw})
	}
	return list
}
