package kfapi

import (
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// Item is one element of msg_list: the platform's own bytes and what is needed to route them.
//
// https://developer.work.weixin.qq.com/document/path/94670
type Item struct {
	// Raw is the element byte for byte as it was received, without the white space around it. It shares memory with
	// the page.
	Raw            json.RawMessage
	MsgID          string // unique message id; may be missing for events
	OpenKfID       string // for events from inside the event
	ExternalUserID string // the customer; for events from inside the event, and some events have none
	SendTime       int64  // Unix seconds
	Origin         int    // one of the Origin constants, or a newer value
	ServicerUserID string // who typed it, with OriginServicer only; events keep theirs inside
	MsgType        string // "text", …; "event" for events
	EventType      string // "enter_session", …; empty for messages
	// Err says why the element cannot be trusted: wrong types, not UTF-8, no msgtype. The fields then hold what could be
	// read. The rest of the page is not affected. Its text never quotes the element.
	Err error
}

// Origins of an item.
const (
	OriginCustomer = 3
	OriginSystem   = 4 // events
	OriginServicer = 5 // a person who types in the WeCom client; what the API sends never comes back
)

var errNoMsgType = errors.New("item without msgtype")

// MsgTypeEvent is the msgtype of an Item that is an event.
const MsgTypeEvent = "event"

// Body decodes what stands under the key named by the item's own msgtype into v: a *ReceivedText, an *EnterSession, or
// a type of your own. It is an error if there is no such key. Keys that v does not know are left out.
func (it Item) Body(v any) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(it.Raw, &all); err != nil {
		return errors.New("item is no JSON object")
	}
	body, ok := all[it.MsgType]
	if !ok || it.MsgType == "" {
		return errors.New("item has no body under its msgtype")
	}
	if json.Unmarshal(body, v) != nil { // its text may quote the customer
		return errors.New("item body: a field has the wrong type")
	}
	return nil
}

// ParseItem reads one element that was kept as JSON, for instance the data of an event on the bus. Raw is raw itself.
func ParseItem(raw []byte) Item {
	p := pageReader{scanner: scanner{b: raw}}
	p.peek()
	it, ok := p.item()
	if !ok || p.peek() != 0 || p.i < len(raw) {
		it.Err = errors.New("item is not JSON")
	}
	it.Raw = raw
	return it
}

// item reads one element. ok is false if the frame is broken, so that nobody can say where the element ends.
func (p *pageReader) item() (it Item, ok bool) {
	start := p.i
	p.flaw, p.high = "", 0
	var event eventHead
	if p.peek() == '{' {
		p.i++
		ok = p.members(&it, &event)
	} else {
		ok = p.skip()
		p.flaw = "item is not an object"
	}
	if !ok {
		return it, false
	}
	it.Raw = p.b[start:p.i:p.i]
	if it.MsgType == MsgTypeEvent {
		event.fill(&it)
		if it.EventType == "" && p.flaw == "" {
			p.flaw = "event without event_type"
		}
	}
	switch {
	case p.high&highBits != 0 && !utf8.Valid(it.Raw):
		it.Err = errors.New("item is not UTF-8")
	case p.flaw != "":
		it.Err = errors.New("item: " + p.flaw)
	case it.MsgType == "":
		it.Err = errNoMsgType
	}
	return it, true
}

// eventHead is what routing needs of an event, which has no account and no customer at the top.
type eventHead struct{ eventType, openKfID, externalUserID string }

func (e eventHead) fill(it *Item) {
	it.EventType = e.eventType
	if e.openKfID != "" {
		it.OpenKfID = e.openKfID
	}
	if e.externalUserID != "" {
		it.ExternalUserID = e.externalUserID
	}
}

func (p *pageReader) members(it *Item, event *eventHead) bool {
	for first := true; ; first = false {
		key, more, ok := p.member(first)
		if !ok || !more {
			return ok
		}
		switch string(key) {
		case "msgid":
			ok = p.readString("msgid", &it.MsgID)
		case "open_kfid":
			ok = p.readAccount(&it.OpenKfID)
		case "external_userid":
			ok = p.readString("external_userid", &it.ExternalUserID)
		case "send_time":
			ok = p.readInt("send_time", &it.SendTime)
		case "origin":
			var n int64
			ok = p.readInt("origin", &n)
			it.Origin = int(n)
		case "servicer_userid":
			ok = p.readString("servicer_userid", &it.ServicerUserID)
		case "msgtype":
			ok = p.readName("msgtype", &it.MsgType)
		case "event":
			if p.peek() != '{' {
				ok = p.skip()
				break
			}
			p.i++
			ok = p.event(event)
		default:
			ok = p.skip()
		}
		if !ok {
			return false
		}
	}
}

func (p *pageReader) event(e *eventHead) bool {
	for first := true; ; first = false {
		key, more, ok := p.member(first)
		if !ok || !more {
			return ok
		}
		switch string(key) {
		case "event_type":
			ok = p.readName("event_type", &e.eventType)
		case "open_kfid":
			ok = p.readAccount(&e.openKfID)
		case "external_userid":
			ok = p.readString("external_userid", &e.externalUserID)
		default:
			ok = p.skip()
		}
		if !ok {
			return false
		}
	}
}

// readText passes a value and stores it if it is a string; null stores nothing and fits too.
func (p *pageReader) readText(dst *string) (fits, ok bool) {
	if p.peek() != '"' {
		word, ok := p.word()
		return word == "null", ok
	}
	text, escaped, ok := p.str()
	*dst = str(text, escaped)
	return true, ok
}

func (p *pageReader) readString(field string, dst *string) bool {
	fits, ok := p.readText(dst)
	if ok && !fits {
		p.flaw = field + " is not a string"
	}
	return ok
}

func (p *pageReader) readInt(field string, dst *int64) bool {
	n, isInt, ok := p.integer()
	if !isInt {
		p.flaw = field + " is not a whole number"
	}
	*dst = n
	return ok
}

// readAccount is readString for ids of which a page holds one again and again.
func (p *pageReader) readAccount(dst *string) bool {
	if n := len(p.kfid); n > 0 && p.peek() == '"' && len(p.b)-p.i > n+1 &&
		string(p.b[p.i+1:p.i+1+n]) == p.kfid && p.b[p.i+1+n] == '"' {
		*dst = p.kfid
		p.i += n + 2
		return true
	}
	ok := p.readString("open_kfid", dst)
	if plainID(*dst) {
		p.kfid = *dst
	}
	return ok
}

func plainID(id string) bool {
	for i := range len(id) {
		if c := id[i]; c < 0x20 || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return false
		}
	}
	return id != ""
}

// readName is readString for the few words that the platform uses as types, which need no memory of their own.
func (p *pageReader) readName(field string, dst *string) bool {
	start := p.i
	if p.peek() == '"' {
		if text, escaped, ok := p.str(); ok && !escaped {
			if known := internName(text); known != "" {
				*dst = known
				return true
			}
		}
		p.i = start
	}
	return p.readString(field, dst)
}

func internName(b []byte) string {
	switch string(b) {
	case "text":
		return "text"
	case "image":
		return "image"
	case "voice":
		return "voice"
	case "video":
		return "video"
	case "file":
		return "file"
	case "location":
		return "location"
	case "link":
		return "link"
	case "miniprogram":
		return "miniprogram"
	case "business_card":
		return "business_card"
	case "msgmenu":
		return "msgmenu"
	case "merged_msg":
		return "merged_msg"
	case "channels":
		return "channels"
	case "channels_shop_product":
		return "channels_shop_product"
	case "channels_shop_order":
		return "channels_shop_order"
	case "note":
		return "note"
	case "user_recall_msg":
		return "user_recall_msg"
	case "servicer_recall_msg":
		return "servicer_recall_msg"
	case MsgTypeEvent:
		return MsgTypeEvent
	case "enter_session":
		return "enter_session"
	case "session_status_change":
		return "session_status_change"
	case "servicer_status_change":
		return "servicer_status_change"
	case "msg_send_fail":
		return "msg_send_fail"
	}
	return ""
}
