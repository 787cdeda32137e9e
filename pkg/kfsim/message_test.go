package kfsim

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestMessageTypes(t *testing.T) {
	r := newRig(t, Config{})
	media := map[string]string{}
	for _, kind := range []string{"image", "voice", "video", "file"} {
		id, err := r.AddMedia(Media{Type: kind, FileName: "a." + kind, Data: []byte("0123456789")})
		r.must(err)
		media[kind] = id
	}
	_, err := r.AddCorp(Corp{CorpID: "ww0000000000000002"})
	r.must(err)
	r.must(r.AddServicer(Servicer{OpenKfID: kf, UserID: "lisi"}))
	x := func(n int) string { return strings.Repeat("x", n) }
	link := func(change obj) obj {
		m := obj{"title": "T", "url": "https://e.example/?a=1&b=2", "thumb_media_id": media["image"]}
		for k, v := range change {
			m[k] = v
		}
		return m
	}
	click := func(id, content string) obj { return obj{"type": "click", "click": obj{"id": id, "content": content}} }
	menu := func(items ...obj) obj { return obj{"head_content": "?", "list": items} }
	var eleven []obj
	for range 11 {
		eleven = append(eleven, click("1", "x"))
	}
	for _, c := range []struct {
		name, msgtype string
		body          any
		want          int
	}{
		{"text", "text", obj{"content": "x"}, 0},
		{"text of 2048 bytes", "text", obj{"content": x(2048)}, 0},
		{"text of 2049 bytes", "text", obj{"content": x(2049)}, 45002},
		{"text, 683 characters of 3 bytes", "text", obj{"content": strings.Repeat("中", 683)}, 45002},
		{"empty text", "text", obj{"content": ""}, 44004},
		{"text without content", "text", obj{}, 44004},
		{"text with a number", "text", obj{"content": 5}, 40058},
		{"text that is no object", "text", "x", 40058},
		{"image", "image", obj{"media_id": media["image"]}, 0},
		{"voice", "voice", obj{"media_id": media["voice"]}, 0},
		{"video", "video", obj{"media_id": media["video"]}, 0},
		{"file", "file", obj{"media_id": media["file"]}, 0},
		{"image without media_id", "image", obj{}, 41006},
		{"image of another kind", "image", obj{"media_id": media["file"]}, 40007},
		{"image that nobody uploaded", "image", obj{"media_id": "nope"}, 40007},
		{"link", "link", link(nil), 0},
		{"link with a long title: cut", "link", link(obj{"title": x(129), "desc": x(600)}), 0},
		{"link of 2048 bytes", "link", link(obj{"url": "http://" + x(2041)}), 0},
		{"link of 2049 bytes", "link", link(obj{"url": "http://" + x(2042)}), 40058},
		{"link without scheme", "link", link(obj{"url": "e.example"}), 45034},
		{"link without title", "link", link(obj{"title": ""}), 40058},
		{"link without thumbnail", "link", link(obj{"thumb_media_id": ""}), 40058},
		{"link with a thumbnail that is a file", "link", link(obj{"thumb_media_id": media["file"]}), 40007},
		{"miniprogram", "miniprogram", obj{"appid": "wx01", "thumb_media_id": media["image"], "pagepath": "p.html"}, 0},
		{"miniprogram without appid", "miniprogram", obj{"thumb_media_id": media["image"], "pagepath": "p.html"}, 90200},
		{"miniprogram with a strange appid", "miniprogram", obj{"appid": "ab", "thumb_media_id": media["image"], "pagepath": "p"}, 90207},
		{"miniprogram without pagepath", "miniprogram", obj{"appid": "wx01", "thumb_media_id": media["image"]}, 40058},
		{"menu", "msgmenu", menu(click("101", "Yes"), obj{"type": "view", "view": obj{"url": "https://e.example", "content": "Go"}},
			obj{"type": "miniprogram", "miniprogram": obj{"appid": "wx01", "pagepath": "p.html", "content": "Go"}}, obj{"type": "text", "text": obj{"content": "a\nb", "no_newline": 1}}), 0},
		{"menu of 10", "msgmenu", menu(eleven[:10]...), 0},
		{"menu of 11", "msgmenu", menu(eleven...), 95008},
		{"menu without items", "msgmenu", obj{"head_content": "x"}, 0},
		{"empty menu", "msgmenu", obj{}, 40058},
		{"menu head of 1024", "msgmenu", obj{"head_content": x(1024), "tail_content": x(1024)}, 0},
		{"menu head of 1025", "msgmenu", obj{"head_content": x(1025)}, 40058},
		{"menu tail of 1025", "msgmenu", obj{"tail_content": x(1025)}, 40058},
		{"menu item of an unknown type", "msgmenu", menu(obj{"type": "button"}), 95009},
		{"menu item without body", "msgmenu", menu(obj{"type": "click"}), 40058},
		{"menu click of 128", "msgmenu", menu(click(x(128), x(128))), 0},
		{"menu click of 129", "msgmenu", menu(click("", x(129))), 40058},
		{"menu click id of 129", "msgmenu", menu(click(x(129), "x")), 40058},
		{"menu click without content", "msgmenu", menu(click("1", "")), 40058},
		{"menu text of 257", "msgmenu", menu(obj{"type": "text", "text": obj{"content": x(257)}}), 40058},
		{"menu text with no_newline 2", "msgmenu", menu(obj{"type": "text", "text": obj{"content": "x", "no_newline": 2}}), 40058},
		{"location", "location", obj{"latitude": -90, "longitude": 180}, 0},
		{"location without longitude", "location", obj{"latitude": 1}, 40058},
		{"location north of the pole", "location", obj{"latitude": 90.1, "longitude": 0}, 95022},
		{"business card", "business_card", obj{"userid": "lisi"}, 0},
		{"business card again", "business_card", obj{"userid": "lisi"}, 95025},
		{"business card of a stranger", "business_card", obj{"userid": "nobody"}, 60111},
		{"business card of nobody", "business_card", obj{}, 40058},
		{"ca_link", "ca_link", obj{"link_url": "https://work.weixin.qq.com/ca/abc"}, 0},
		{"ca_link to elsewhere", "ca_link", obj{"link_url": "https://e.example/ca/abc"}, 40058},
		{"unknown type", "smoke", obj{}, 40008},
		{"event", "event", obj{}, 40008},
	} {
		r.says(ann, "hi") // five more
		got := r.post("kf/send_msg", obj{"touser": ann, "open_kfid": kf, "msgtype": c.msgtype, c.msgtype: c.body})
		r.wantCode(c.name, got, c.want)
	}
	r.wantCode("no body", r.post("kf/send_msg", obj{"touser": ann, "open_kfid": kf, "msgtype": "text"}), 40058)
}

func TestLongTitlesAreCut(t *testing.T) {
	r := newRig(t, Config{})
	r.says(ann, "hi")
	id, err := r.AddMedia(Media{Type: "image", FileName: "a.png", Data: []byte("0123456789")})
	r.must(err)
	for _, c := range []struct {
		msgtype string
		body    obj
		bytes   int
	}{
		{"link", obj{"title": strings.Repeat("中", 43), "url": "http://e.example", "thumb_media_id": id}, 126}, // 128 would halve a character
		{"link", obj{"title": strings.Repeat("x", 200), "url": "http://e.example", "thumb_media_id": id}, 128},
		{"miniprogram", obj{"title": strings.Repeat("x", 65), "appid": "wx01", "pagepath": "p", "thumb_media_id": id}, 64},
	} {
		r.wantCode(c.msgtype, r.post("kf/send_msg", obj{"touser": ann, "open_kfid": kf, "msgtype": c.msgtype, c.msgtype: c.body}), 0)
		phone := r.Phone(kf, ann)
		var shown struct {
			Title string `json:"title"`
		}
		r.must(json.Unmarshal(phone[len(phone)-1].Body, &shown))
		if len(shown.Title) != c.bytes {
			t.Errorf("%s: the phone shows %d bytes of the title, want %d", c.msgtype, len(shown.Title), c.bytes)
		}
	}
}

func TestBusinessCardNeedsAWrittenMessage(t *testing.T) {
	r := newRig(t, Config{})
	r.must(r.AddServicer(Servicer{OpenKfID: kf, UserID: "lisi"}))
	card := obj{"touser": ann, "open_kfid": kf, "msgtype": "business_card", "business_card": obj{"userid": "lisi"}}
	menu := obj{"touser": ann, "open_kfid": kf, "msgtype": "msgmenu", "msgmenu": obj{"list": []obj{{"type": "click", "click": obj{"content": "Yes"}}}}}
	r.says(ann, "hi")
	r.wantCode("menu", r.post("kf/send_msg", menu), 0)
	r.jump(48 * time.Hour)
	_, err := r.Tap(Tap{OpenKfID: kf, ExternalUserID: ann, Content: "Yes"})
	r.must(err)
	r.wantCode("after a tap only", r.post("kf/send_msg", card), 95024)
	r.says(ann, "hi")
	r.wantCode("after a message", r.post("kf/send_msg", card), 0)
	r.jump(48*time.Hour - time.Second)
	r.says(ann, "hi")
	r.wantCode("a second before 48 h", r.post("kf/send_msg", card), 95025)
	r.Clock().Advance(time.Second)
	r.wantCode("at 48 h sharp", r.post("kf/send_msg", card), 0)
}

func TestMiniProgramMustBeLinkedWhenThereIsAList(t *testing.T) {
	r := newRig(t, Config{})
	c, err := r.AddCorp(Corp{MiniPrograms: []string{"wxGOOD"}})
	r.must(err)
	_, err = r.AddAccount(Account{OpenKfID: "wkMP", CorpID: c.CorpID})
	r.must(err)
	_, err = r.AddCustomer(Customer{ExternalUserID: "wmMP", CorpID: c.CorpID})
	r.must(err)
	_, err = r.CustomerSays("wkMP", "wmMP", "hi")
	r.must(err)
	token := r.get("gettoken", url.Values{"corpid": {c.CorpID}, "corpsecret": {c.Secrets[0]}}).str("access_token")
	for app, want := range map[string]int{"wxGOOD": 0, "wxOTHER": 90206} {
		body := obj{"touser": "wmMP", "open_kfid": "wkMP", "msgtype": "msgmenu", "msgmenu": obj{"list": []obj{{"type": "miniprogram", "miniprogram": obj{"appid": app, "pagepath": "p", "content": "c"}}}}}
		r.wantCode(app, r.postAs(token, "kf/send_msg", body), want)
	}
}

func TestKeysAreExact(t *testing.T) {
	r := newRig(t, Config{})
	r.says(ann, "hi")
	r.wantCode("ToUser", r.post("kf/send_msg", obj{"ToUser": ann, "open_kfid": kf, "msgtype": "text", "text": obj{"content": "x"}}), 40058)
	r.wantCode("Content", r.post("kf/send_msg", obj{"touser": ann, "open_kfid": kf, "msgtype": "text", "text": obj{"Content": "x"}}), 44004)
	r.wantCode("an extra key", r.post("kf/send_msg", obj{"touser": ann, "open_kfid": kf, "Extra": 1, "extra": 2, "msgtype": "text", "text": obj{"content": "x"}}), 0)
}

func TestLargeFilesBecomeATextHint(t *testing.T) {
	for size, want := range map[int]string{2 << 20: "image", 2<<20 + 1: "text"} {
		r := newRig(t, Config{})
		id, err := r.AddMedia(Media{Type: "image", FileName: "a.png", Data: make([]byte, size)})
		r.must(err)
		_, err = r.Say(Say{OpenKfID: kf, ExternalUserID: ann, MsgType: "image", Body: marshal(obj{"media_id": id})})
		r.must(err)
		if got := r.pull(nil).items()[0].str("msgtype"); got != want {
			t.Errorf("an image of %d bytes: got a %s, want a %s", size, got, want)
		}
	}
}
