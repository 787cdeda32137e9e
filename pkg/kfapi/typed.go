package kfapi

import (
	"encoding/json"
	"errors"
	"fmt"
)

// newBody makes what a body is decoded into; nil for what this package does not know.
func newBody(msgtype, eventType string) any {
	switch msgtype {
	case "text":
		return new(ReceivedText)
	case "image", "voice", "video", "file":
		return new(ReceivedMedia)
	case "location":
		return new(ReceivedLocation)
	case "link":
		return new(ReceivedLink)
	case "business_card":
		return new(ReceivedBusinessCard)
	case "miniprogram":
		return new(ReceivedMiniprogram)
	case "msgmenu":
		return new(MsgMenu)
	case "channels_shop_product":
		return new(ChannelsShopProduct)
	case "channels_shop_order":
		return new(ChannelsShopOrder)
	case "channels":
		return new(Channels)
	case "merged_msg":
		return new(MergedMsg)
	case "note", "meeting", "schedule":
		return new(ReceivedOpaque)
	case MsgTypeEvent:
		return newEvent(eventType)
	}
	return nil
}

func newEvent(eventType string) any {
	switch eventType {
	case "enter_session":
		return new(EnterSession)
	case "msg_send_fail":
		return new(MsgSendFail)
	case "servicer_status_change":
		return new(ServicerStatusChange)
	case "session_status_change":
		return new(SessionStatusChange)
	case "user_recall_msg":
		return new(UserRecallMsg)
	case "servicer_recall_msg":
		return new(ServicerRecallMsg)
	case "reject_customer_msg_switch_change":
		return new(RejectCustomerMsgSwitchChange)
	}
	return nil
}

// ErrUnknownType is returned by Item.Typed for a msgtype or event_type that this package does not know.
var ErrUnknownType = errors.New("item of a type that is not known here")

// Typed decodes the item into the type of this package for its msgtype, or event_type: a *ReceivedText, a *MsgSendFail.
// A type that is not known is ErrUnknownType, and Raw has it all. A note, a meeting or a schedule is a *ReceivedOpaque,
// whether or not there is a body.
func (it Item) Typed() (any, error) {
	v := newBody(it.MsgType, it.EventType)
	switch v := v.(type) {
	case nil:
		return nil, ErrUnknownType
	case *ReceivedOpaque:
		return v, nil
	}
	if err := it.Body(v); err != nil {
		return nil, err
	}
	return v, nil
}

// maxMerged is how deep MergedMsg.Walk goes; people forward what was forwarded, but not this often.
const maxMerged = 16

// Item is the message inside, as ParseItem reads it; its MsgType is that of the content if it names one, and else that of m.
// It has no account and no customer.
func (m MergedItem) Item() Item {
	it := ParseItem([]byte(m.MsgContent))
	if errors.Is(it.Err, errNoMsgType) && m.MsgType != "" {
		it.MsgType, it.Err = string(m.MsgType), nil
	}
	if it.SendTime == 0 {
		it.SendTime = int64(m.SendTime)
	}
	return it
}

// Walk calls f for each message of a forwarded history and of the histories inside it, in order, with how many histories
// are around it, from 1 on. It goes on after an item that cannot be read, which has Err set. It is an error if more than 16
// histories are nested.
func (m MergedMsg) Walk(f func(depth int, from MergedItem, it Item)) error { return m.walk(1, f) }

func (m MergedMsg) walk(depth int, f func(int, MergedItem, Item)) error {
	if depth > maxMerged {
		return fmt.Errorf("merged_msg: more than %d histories are nested", maxMerged)
	}
	for _, from := range m.Item {
		it := from.Item()
		f(depth, from, it)
		if it.MsgType != "merged_msg" {
			continue
		}
		var inner MergedMsg
		if it.Body(&inner) != nil {
			continue // f has seen it
		}
		if err := inner.walk(depth+1, f); err != nil {
			return err
		}
	}
	return nil
}

// UnmarshalJSON reads both spellings of the pictures.
func (c *ChannelsShopProduct) UnmarshalJSON(b []byte) error {
	type plain ChannelsShopProduct
	var other struct {
		HeadImg     string `json:"head_img"`
		ShopHeadImg string `json:"shop_head_img"`
	}
	if err := json.Unmarshal(b, (*plain)(c)); err != nil {
		return err
	}
	if err := json.Unmarshal(b, &other); err != nil {
		return err
	}
	if c.HeadImage == "" {
		c.HeadImage = other.HeadImg
	}
	if c.ShopHeadImage == "" {
		c.ShopHeadImage = other.ShopHeadImg
	}
	return nil
}
