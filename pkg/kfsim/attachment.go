package kfsim

import (
	"encoding/json"
	"slices"
	"strings"
)

// attachment checks an attachment and returns it as list_intent shows it.
func (r *request) attachment(raw json.RawMessage) (json.RawMessage, answer) {
	var m struct {
		MsgType string `json:"msgtype"`
	}
	all := map[string]json.RawMessage{}
	if a := into(raw, &m); a.code != 0 {
		return nil, a
	}
	if a := into(raw, &all); a.code != 0 {
		return nil, a
	}
	var b struct {
		MediaID      string `json:"media_id"`
		Title        string `json:"title"`
		PicURL       string `json:"pic_url"`
		OldPicURL    string `json:"picurl"`
		Desc         string `json:"desc"`
		URL          string `json:"url"`
		ThumbMediaID string `json:"thumb_media_id"`
		AppID        string `json:"appid"`
		PagePath     string `json:"pagepath"`
	}
	if !slices.Contains([]string{"image", "video", "link", "miniprogram"}, m.MsgType) {
		return nil, refuse(40008, "an attachment is not image, video, link or miniprogram")
	}
	if a := into(all[m.MsgType], &b); a.code != 0 {
		return nil, a
	}
	var fields []field
	var a answer
	switch m.MsgType {
	case "image", "video":
		if a = r.findMedia(mediaRef{b.MediaID, m.MsgType}); a.code == 0 {
			fields = []field{str("name", r.corp.media[b.MediaID].name)}
		}
	case "link":
		or(&b.PicURL, b.OldPicURL)
		fields = []field{str("title", b.Title), str("pic_url", b.PicURL), str("desc", b.Desc), str("url", b.URL)}
		switch {
		case b.Title == "" || b.URL == "":
			a = refuse(40058, "a link needs title and url")
		case !strings.HasPrefix(b.URL, "http://") && !strings.HasPrefix(b.URL, "https://"):
			a = refuse(45034, "link.url does not begin with http:// or https://")
		}
	case "miniprogram":
		fields = []field{str("title", b.Title), str("appid", b.AppID), str("pagepath", b.PagePath)}
		switch {
		case b.AppID == "":
			a = refuse(90200, "miniprogram.appid is missing")
		case !wellFormedAppID(b.AppID):
			a = refuse(90207, "miniprogram.appid is not of the form wx…, 32 bytes at most")
		case b.PagePath == "":
			a = refuse(40058, "miniprogram.pagepath is missing")
		default:
			a = r.findMedia(mediaRef{b.ThumbMediaID, "image"})
		}
	}
	return object(str("msgtype", m.MsgType), field{m.MsgType, object(fields...)}), a
}
