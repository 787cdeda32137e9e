package kfsim

import (
	"encoding/json"
	"slices"
	"strings"
)

// outgoing is a checked message body: what must still be looked up, and what the customer sees.
type outgoing struct {
	media   []mediaRef
	isCard  bool
	userID  string   // of the business card
	appIDs  []string // of mini programs
	visible []byte   // the body as shown, over-long titles cut; nil means as sent
}

type mediaRef struct{ id, kind string }

// bodyCheck looks at one body without looking anything up.
type bodyCheck func(body json.RawMessage) (outgoing, answer)

// bodyChecks is the table of message types that send_msg takes.
//
// https://developer.work.weixin.qq.com/document/path/94677
func bodyChecks() map[string]bodyCheck {
	return map[string]bodyCheck{
		"text": checkText, "image": checkMedia("image"), "voice": checkMedia("voice"), "video": checkMedia("video"), "file": checkMedia("file"),
		"link": checkLink, "miniprogram": checkMiniProgram, "msgmenu": checkMenu, "location": checkLocation,
		"business_card": checkCard, "ca_link": checkCALink,
	}
}

// checkBody finds and runs the check of a message type.
func (r *request) checkBody(msgType string, all map[string]json.RawMessage, allowed ...string) (outgoing, answer) {
	check := r.sim.bodies[msgType]
	if check == nil || len(allowed) > 0 && !slices.Contains(allowed, msgType) {
		return outgoing{}, refuse(40008, "the msgtype is not one that can be sent here")
	}
	body := all[msgType]
	if body == nil {
		return outgoing{}, refuse(40058, "the body "+msgType+" is missing")
	}
	out, a := check(body)
	if out.visible == nil {
		out.visible = body
	}
	return out, a
}

func checkText(body json.RawMessage) (out outgoing, a answer) {
	var m struct {
		Content string `json:"content"`
	}
	if a = into(body, &m); a.code != 0 {
		return out, a
	}
	switch {
	case m.Content == "":
		return out, refuse(44004, "text.content is empty")
	case len(m.Content) > 2048:
		return out, refuse(45002, "text.content has more than 2048 bytes")
	}
	return out, a
}

func checkMedia(kind string) bodyCheck {
	return func(body json.RawMessage) (out outgoing, a answer) {
		var m struct {
			MediaID string `json:"media_id"`
		}
		if a = into(body, &m); a.code == 0 && m.MediaID == "" {
			a = refuse(41006, kind+".media_id is missing")
		}
		out.media = []mediaRef{{m.MediaID, kind}}
		return out, a
	}
}

func checkLink(body json.RawMessage) (out outgoing, a answer) {
	var m struct {
		Title        string `json:"title"`
		Desc         string `json:"desc,omitempty"`
		URL          string `json:"url"`
		ThumbMediaID string `json:"thumb_media_id"`
	}
	if a = into(body, &m); a.code != 0 {
		return out, a
	}
	switch {
	case m.Title == "" || m.URL == "" || m.ThumbMediaID == "":
		return out, refuse(40058, "link needs title, url and thumb_media_id")
	case !strings.HasPrefix(m.URL, "http://") && !strings.HasPrefix(m.URL, "https://"):
		return out, refuse(45034, "link.url does not begin with http:// or https://")
	case len(m.URL) > 2048:
		return out, refuse(40058, "link.url has more than 2048 bytes")
	}
	m.Title, m.Desc = cutBytes(m.Title, 128), cutBytes(m.Desc, 512)
	out.media, out.visible = []mediaRef{{m.ThumbMediaID, "image"}}, marshal(m)
	return out, a
}

func checkMiniProgram(body json.RawMessage) (out outgoing, a answer) {
	var m struct {
		AppID        string `json:"appid"`
		Title        string `json:"title,omitempty"`
		ThumbMediaID string `json:"thumb_media_id"`
		PagePath     string `json:"pagepath"`
	}
	if a = into(body, &m); a.code != 0 {
		return out, a
	}
	switch {
	case m.AppID == "":
		return out, refuse(90200, "miniprogram.appid is missing")
	case !wellFormedAppID(m.AppID):
		return out, refuse(90207, "miniprogram.appid is not of the form wx…, 32 bytes at most")
	case m.ThumbMediaID == "" || m.PagePath == "":
		return out, refuse(40058, "miniprogram needs thumb_media_id and pagepath")
	}
	m.Title = cutBytes(m.Title, 64)
	out.media, out.appIDs, out.visible = []mediaRef{{m.ThumbMediaID, "image"}}, []string{m.AppID}, marshal(m)
	return out, a
}

func wellFormedAppID(id string) bool { return strings.HasPrefix(id, "wx") && len(id) <= 32 }

func checkLocation(body json.RawMessage) (out outgoing, a answer) {
	var m struct {
		Latitude  *float64 `json:"latitude"`
		Longitude *float64 `json:"longitude"`
		Name      string   `json:"name"`
		Address   string   `json:"address"`
	}
	if a = into(body, &m); a.code != 0 {
		return out, a
	}
	switch {
	case m.Latitude == nil || m.Longitude == nil:
		return out, refuse(40058, "location needs latitude and longitude")
	case *m.Latitude < -90 || *m.Latitude > 90 || *m.Longitude < -180 || *m.Longitude > 180:
		return out, refuse(95022, "location lies outside -90..90, -180..180")
	}
	return out, a
}

func checkCard(body json.RawMessage) (out outgoing, a answer) {
	var m struct {
		UserID string `json:"userid"`
	}
	if a = into(body, &m); a.code == 0 && m.UserID == "" {
		a = refuse(40058, "business_card.userid is missing")
	}
	out.isCard, out.userID = true, m.UserID
	return out, a
}

func checkCALink(body json.RawMessage) (out outgoing, a answer) {
	var m struct {
		LinkURL string `json:"link_url"`
	}
	if a = into(body, &m); a.code == 0 && !strings.HasPrefix(m.LinkURL, "https://work.weixin.qq.com/ca/") {
		a = refuse(40058, "ca_link.link_url does not begin with https://work.weixin.qq.com/ca/")
	}
	return out, a
}

// cutBytes cuts a title the way the customer sees it: at most n bytes, whole characters.
func cutBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

// wellFormedMsgID: 1 to 32 of [0-9a-zA-Z_-].
func wellFormedMsgID(id string) bool { return isWord(id, 32) }

// isWord reports whether s is 1 to most of [0-9a-zA-Z_-].
func isWord(s string, most int) bool {
	for _, c := range []byte(s) {
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_', c == '-':
		default:
			return false
		}
	}
	return s != "" && len(s) <= most
}
