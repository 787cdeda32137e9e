package kfapi

import "encoding/json"

// Message is what send_msg can carry: Text, Image, Voice, Video, File, Link, Miniprogram, MsgMenu, Location, BusinessCard,
// CALink, or what ParseMessage returned. All limits are in bytes of UTF-8, not in characters.
//
// https://developer.work.weixin.qq.com/document/path/94677
type Message interface {
	MsgType() string
	body() (json.RawMessage, error) // the object under the key MsgType
}

type (
	// Text is msgtype text.
	Text struct {
		Content string `json:"content"` // 1–2048 bytes; may contain newlines
	}
	// Image is msgtype image.
	Image struct {
		MediaID string `json:"media_id"` // of an uploaded image
	}
	// Voice is msgtype voice.
	Voice struct {
		MediaID string `json:"media_id"` // of an uploaded AMR of up to 60 s
	}
	// Video is msgtype video.
	Video struct {
		MediaID string `json:"media_id"`
	}
	// File is msgtype file.
	File struct {
		MediaID string `json:"media_id"`
	}
	// Link is msgtype link.
	Link struct {
		Title        string `json:"title"`          // 1–128 bytes
		Desc         string `json:"desc,omitempty"` // up to 512 bytes
		URL          string `json:"url"`            // 1–2048 bytes, http:// or https://
		ThumbMediaID string `json:"thumb_media_id"` // of an uploaded image
	}
	// Miniprogram is msgtype miniprogram. The mini program must be linked to the corp.
	Miniprogram struct {
		AppID        string `json:"appid"`
		Title        string `json:"title,omitempty"` // up to 64 bytes
		ThumbMediaID string `json:"thumb_media_id"`  // of an uploaded image, best 520×416 pixels
		// PagePath should end in .html before its query; WeChat shows "page does not exist" otherwise. Not checked here.
		PagePath string `json:"pagepath"`
	}
	// Location is msgtype location, in degrees.
	Location struct {
		Latitude  float64 `json:"latitude"`  // −90–90
		Longitude float64 `json:"longitude"` // −180–180
		Name      string  `json:"name,omitempty"`
		Address   string  `json:"address,omitempty"`
	}
	// BusinessCard is msgtype business_card: one a customer and 48 h.
	BusinessCard struct {
		UserID string `json:"userid"` // a member of the corp, 1–64 bytes
	}
	// CALink is msgtype ca_link, a customer acquisition link (获客链接).
	CALink struct {
		LinkURL string `json:"link_url"` // https://work.weixin.qq.com/ca/…
	}
)

// MsgMenu is msgtype msgmenu, sent to a customer or found in an Item. All parts are optional.
type MsgMenu struct {
	HeadContent string     `json:"head_content,omitempty"` // up to 1024 bytes
	List        []MenuItem `json:"list,omitempty"`         // up to 10
	TailContent string     `json:"tail_content,omitempty"` // up to 1024 bytes
}

// MenuItem is one line of a MsgMenu. Type is "click", "view", "miniprogram" or "text", and the field of that name is set.
type MenuItem struct {
	Type        string           `json:"type"`
	Click       *MenuClick       `json:"click,omitempty"`
	View        *MenuView        `json:"view,omitempty"`
	Miniprogram *MenuMiniprogram `json:"miniprogram,omitempty"`
	Text        *MenuText        `json:"text,omitempty"`
}

type (
	// MenuClick makes the customer send a text of Content with menu_id ID.
	MenuClick struct {
		ID      string `json:"id,omitempty"` // up to 128 bytes
		Content string `json:"content"`      // 1–128 bytes
	}
	// MenuView opens a page.
	MenuView struct {
		URL     string `json:"url"`     // 1–2048 bytes
		Content string `json:"content"` // 1–1024 bytes
	}
	// MenuMiniprogram opens a mini program.
	MenuMiniprogram struct {
		AppID    string `json:"appid"`    // 1–32 bytes
		PagePath string `json:"pagepath"` // 1–1024 bytes
		Content  string `json:"content"`  // 1–1024 bytes
	}
	// MenuText is a line that cannot be tapped.
	MenuText struct {
		Content   string `json:"content"`              // 1–256 bytes; may contain newlines
		NoNewline Flag   `json:"no_newline,omitempty"` // true: the next item goes on in the same line
	}
)

func (Text) MsgType() string         { return "text" }
func (Image) MsgType() string        { return "image" }
func (Voice) MsgType() string        { return "voice" }
func (Video) MsgType() string        { return "video" }
func (File) MsgType() string         { return "file" }
func (Link) MsgType() string         { return "link" }
func (Miniprogram) MsgType() string  { return "miniprogram" }
func (MsgMenu) MsgType() string      { return "msgmenu" }
func (Location) MsgType() string     { return "location" }
func (BusinessCard) MsgType() string { return "business_card" }
func (CALink) MsgType() string       { return "ca_link" }

func (m Text) body() (json.RawMessage, error)         { return encode(m) }
func (m Image) body() (json.RawMessage, error)        { return encode(m) }
func (m Voice) body() (json.RawMessage, error)        { return encode(m) }
func (m Video) body() (json.RawMessage, error)        { return encode(m) }
func (m File) body() (json.RawMessage, error)         { return encode(m) }
func (m Link) body() (json.RawMessage, error)         { return encode(m) }
func (m Miniprogram) body() (json.RawMessage, error)  { return encode(m) }
func (m MsgMenu) body() (json.RawMessage, error)      { return encode(m) }
func (m Location) body() (json.RawMessage, error)     { return encode(m) }
func (m BusinessCard) body() (json.RawMessage, error) { return encode(m) }
func (m CALink) body() (json.RawMessage, error)       { return encode(m) }
