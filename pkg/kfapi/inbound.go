package kfapi

// What Item.Body decodes into, by msgtype. Fields that are not listed are only in Item.Raw.
//
// https://developer.work.weixin.qq.com/document/path/94670
type (
	// ReceivedText is msgtype text. MenuID is set if the customer tapped a click item of a menu.
	ReceivedText struct {
		Content string `json:"content"`
		MenuID  string `json:"menu_id,omitempty"`
	}
	// ReceivedMedia is msgtype image, voice, video and file. MediaID works for three days, see MediaGet.
	ReceivedMedia struct {
		MediaID string `json:"media_id"`
	}
	// ReceivedLocation is msgtype location, in degrees.
	ReceivedLocation struct {
		Latitude  float64 `json:"latitude"`
		Longitude float64 `json:"longitude"`
		Name      string  `json:"name"`
		Address   string  `json:"address"`
	}
	// ReceivedLink is msgtype link.
	ReceivedLink struct {
		Title  string `json:"title"`
		Desc   string `json:"desc"`
		URL    string `json:"url"`
		PicURL string `json:"pic_url"`
	}
	// ReceivedMiniprogram is msgtype miniprogram.
	ReceivedMiniprogram struct {
		Title        string `json:"title"`
		AppID        string `json:"appid"`
		PagePath     string `json:"pagepath"`
		ThumbMediaID string `json:"thumb_media_id"`
	}
	// ReceivedBusinessCard is msgtype business_card; UserID is the member on the card.
	ReceivedBusinessCard struct {
		UserID string `json:"userid"`
	}
	// ChannelsShopProduct is msgtype channels_shop_product, a product of a Channels shop.
	ChannelsShopProduct struct {
		ProductID     string      `json:"product_id"`
		HeadImage     string      `json:"head_image"` // URL; also read from head_img
		Title         string      `json:"title"`
		SalesPrice    LooseString `json:"sales_price"` // in 1/100 yuan; some sources show a number
		ShopNickname  string      `json:"shop_nickname"`
		ShopHeadImage string      `json:"shop_head_image"` // URL; also read from shop_head_img
	}
	// ChannelsShopOrder is msgtype channels_shop_order, an order in a Channels shop.
	ChannelsShopOrder struct {
		OrderID       string `json:"order_id"`
		ProductTitles string `json:"product_titles"`
		PriceWording  string `json:"price_wording"`
		State         string `json:"state"`
		ImageURL      string `json:"image_url"`
		ShopNickname  string `json:"shop_nickname"`
	}
	// Channels is msgtype channels, something from Channels (视频号).
	Channels struct {
		SubType  int    `json:"sub_type"` // 1 a post, 2 a live room, 3 a profile card
		Nickname string `json:"nickname"`
		Title    string `json:"title,omitempty"` // with sub_type 1
	}
	// ReceivedOpaque is msgtype note, meeting and schedule, of which the platform shows nothing.
	ReceivedOpaque struct{}
	// MergedMsg is msgtype merged_msg, a forwarded chat history.
	MergedMsg struct {
		Title string       `json:"title"`
		Item  []MergedItem `json:"item"`
	}
	// MergedItem is one message of a MergedMsg.
	MergedItem struct {
		SendTime   LooseInt    `json:"send_time"` // Unix seconds
		MsgType    LooseString `json:"msgtype"`   // a name in practice, a number in the documents
		SenderName string      `json:"sender_name"`
		// MsgContent is JSON in a string, {"msgtype":"text","text":{…}}: see MergedItem.Item. It may nest.
		MsgContent string `json:"msg_content"`
	}
)

// What Item.Body decodes into, by event_type, when MsgType is MsgTypeEvent.
type (
	// EnterSession is event_type enter_session: the customer opened the chat.
	EnterSession struct {
		OpenKfID       string `json:"open_kfid"`
		ExternalUserID string `json:"external_userid"`
		Scene          string `json:"scene,omitempty"`       // as given to add_contact_way
		SceneParam     string `json:"scene_param,omitempty"` // as appended to the link, URL-decoded
		// WelcomeCode is a secret for SendMsgOnEvent, good once and for 20 s after the event. Only present if the
		// customer neither got a welcome nor wrote in the last 48 h.
		WelcomeCode    string          `json:"welcome_code,omitempty"`
		WechatChannels *WechatChannels `json:"wechat_channels,omitempty"` // nil unless entered from Channels
	}
	// WechatChannels says where in Channels (视频号) the customer came from.
	WechatChannels struct {
		Nickname     string `json:"nickname,omitempty"`      // scenes 1, 2, 3
		ShopNickname string `json:"shop_nickname,omitempty"` // scenes 4, 5
		// Scene: 1 profile page, 2 product list of a live room, 3 showcase, 4 product of a shop, 5 order of a shop.
		Scene int `json:"scene"`
	}
	// MsgSendFail is event_type msg_send_fail: a message that send_msg accepted was not delivered.
	MsgSendFail struct {
		OpenKfID       string   `json:"open_kfid"`
		ExternalUserID string   `json:"external_userid"`
		FailMsgID      string   `json:"fail_msgid"` // the msgid that send_msg returned
		FailType       FailType `json:"fail_type"`
	}
	// SessionStatusChange is event_type session_status_change: a servicer did something in the WeCom client.
	SessionStatusChange struct {
		OpenKfID          string `json:"open_kfid"`
		ExternalUserID    string `json:"external_userid"`
		ChangeType        int    `json:"change_type"`                   // one of the Session constants
		OldServicerUserID string `json:"old_servicer_userid,omitempty"` // SessionTransferred, SessionEnded, SessionReentered
		NewServicerUserID string `json:"new_servicer_userid,omitempty"` // SessionPickedUp, SessionTransferred, SessionReentered
		// MsgCode is a secret for SendMsgOnEvent, once: 48 h with SessionPickedUp, 20 s with SessionEnded.
		MsgCode string `json:"msg_code,omitempty"`
	}
	// ServicerStatusChange is event_type servicer_status_change. It has no customer.
	ServicerStatusChange struct {
		ServicerUserID string    `json:"servicer_userid"`
		OpenKfID       string    `json:"open_kfid"`
		Status         int       `json:"status"`              // 1 receiving, 2 stopped (servicer/list counts from 0)
		StopType       *StopType `json:"stop_type,omitempty"` // when stopped
	}
	// UserRecallMsg is event_type user_recall_msg: the customer took a message back.
	UserRecallMsg struct {
		OpenKfID       string `json:"open_kfid"`
		ExternalUserID string `json:"external_userid"`
		RecallMsgID    string `json:"recall_msgid"`
	}
	// ServicerRecallMsg is event_type servicer_recall_msg: a servicer took a message back.
	ServicerRecallMsg struct {
		OpenKfID       string `json:"open_kfid"`
		ExternalUserID string `json:"external_userid"`
		RecallMsgID    string `json:"recall_msgid"`
		ServicerUserID string `json:"servicer_userid"`
	}
	// RejectCustomerMsgSwitchChange is event_type reject_customer_msg_switch_change: a servicer blocks a customer or
	// accepts messages again.
	RejectCustomerMsgSwitchChange struct {
		ServicerUserID string `json:"servicer_userid"`
		OpenKfID       string `json:"open_kfid"`
		ExternalUserID string `json:"external_userid"`
		RejectSwitch   Flag   `json:"reject_switch"` // true: rejects
	}
)

// Values of SessionStatusChange.ChangeType.
const (
	SessionPickedUp    = 1 // from the pool
	SessionTransferred = 2
	SessionEnded       = 3
	SessionReentered   = 4 // an ended or transferred session was opened again
)

// FailType says why a message was not delivered. Values that are not listed may come.
type FailType int

// Values of MsgSendFail.FailType. 3 is not used; 7 and 9 are old but may still come.
const (
	FailUnknown            FailType = 0
	FailAccountDeleted     FailType = 1
	FailAppDisabled        FailType = 2
	FailSessionExpired     FailType = 4 // more than 48 h
	FailSessionClosed      FailType = 5
	FailOverQuota          FailType = 6 // more than 5 messages
	FailNoChannels         FailType = 7
	FailNotVerified        FailType = 8
	FailNoChannelsVerified FailType = 9
	FailRefusedByCustomer  FailType = 10
	FailNoMemberLoggedIn   FailType = 11
	FailTypeForbidden      FailType = 12
	FailSecurity           FailType = 13
)
