package conformance

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

const sending = "kf/send_msg"

func hello() kfapi.Message { return kfapi.Text{Content: "hello"} }

func (w *world) try(id string, m kfapi.Message) error {
	return second(w.c.SendMsg(w.t.Context(), w.token, kfapi.SendMsgRequest{ToUser: ann, OpenKfID: desk, MsgID: id, Message: m}))
}

// message is a row that sends m once Ann has written and set has been done.
func message(what string, code int, m kfapi.Message, set func(*world)) row {
	return row{sending, what, code, func(w *world) error {
		w.says(ann, "hello")
		if set != nil {
			set(w)
		}
		return w.try("", m)
	}}
}

// held lets lisi hold Ann's session.
func (w *world) held() {
	w.servicer("lisi", kfsim.ServicerReceiving)
	w.trans(kfapi.StateHuman, "lisi")
}

// tapped leaves Ann with a window that a tap opened, without a word of hers.
func (w *world) tapped() {
	got(w.reply(w.welcomed(ann), menu()))(w)
	got(w.Tap(kfsim.Tap{OpenKfID: desk, ExternalUserID: ann, ID: "101"}))(w)
}

// sendRows are the rules of a send that the client cannot know of.
func sendRows() []row {
	card, ca := kfapi.BusinessCard{UserID: "lisi"}, kfapi.CALink{LinkURL: "https://work.weixin.qq.com/ca/x"}
	mini := kfapi.Miniprogram{AppID: appID, ThumbMediaID: "x", PagePath: "a.html"}
	lapse := func(w *world) { w.later(48 * time.Hour) }
	end := func(w *world) { w.trans(kfapi.StateEnded, "") }
	rows := []row{
		{sending, "a customer who never wrote", 95018, func(w *world) error { return w.try("", hello()) }},
		{sending, "after an entry only", 95018, func(w *world) error { w.welcomed(ann); return w.try("", hello()) }},
		message("in the pool", 95018, hello(), func(w *world) { w.trans(kfapi.StatePool, "") }),
		message("a servicer has it", 95018, hello(), (*world).held),
		message("the session has ended", 95013, hello(), end),
		message("the session has ended, by the other code", 95018, hello(), func(w *world) { w.likes(kfsim.Personality{EndedCode: 95018}); end(w) }),
		message("after 48 hours", 95002, hello(), lapse),
		message("after 48 hours, by the other code", 95018, hello(), func(w *world) { w.likes(kfsim.Personality{LapsedCode: 95018}); lapse(w) }),
		message("the sixth", 95001, hello(), func(w *world) {
			for range 5 {
				w.send(ann, "", hello())
			}
		}),
		{sending, "a msgid again", 40058, func(w *world) error {
			w.says(ann, "hello")
			w.send(ann, "one", hello())
			return w.try("one", hello())
		}},
		{sending, "a card after a tap only", 95024, func(w *world) error { w.tapped(); return w.try("", card) }},
		{sending, "a link of customer acquisition after a tap only", 95031, func(w *world) error { w.tapped(); return w.try("", ca) }},
		message("a second card", 95025, card, func(w *world) { w.send(ann, "", card) }),
		message("a card of nobody", 60111, kfapi.BusinessCard{UserID: "nobody"}, nil),
		message("the hundred-and-first customer", 95003, hello(), withCorp(func(c *kfsim.Corp) { c.Unverified, c.PastCustomers = true, 100 })),
		message("a type that is not let out", 95030, hello(), func(w *world) {
			w.must(w.UpdateAccount(desk, func(a *kfsim.Account) error { a.ForbiddenTypes = []string{"text"}; return nil }))
		}),
		message("a forbidden word", 40201, hello(), withCorp(func(c *kfsim.Corp) { c.ForbiddenWords = []string{"hello"} })),
		message("an unknown file", 40007, kfapi.Image{MediaID: "none"}, nil),
		message("an unknown thumbnail", 40007, mini, nil),
		message("a mini program of others", 90206, mini, withCorp(func(c *kfsim.Corp) { c.MiniPrograms = []string{"wx1"} })),
		message("an appid that is none", 90207, kfapi.Miniprogram{AppID: "abc", ThumbMediaID: "x", PagePath: "a.html"}, nil),
		{sending, "a file of another kind", 40007, func(w *world) error {
			w.says(ann, "hello")
			return w.try("", kfapi.Image{MediaID: w.file(kfapi.MediaFile)})
		}},
		{sending, "a file after three days", 40007, func(w *world) error {
			id := w.file(kfapi.MediaImage)
			w.later(72 * time.Hour)
			w.says(ann, "hello")
			return w.try("", kfapi.Image{MediaID: id})
		}},
		byFault(sending, 40003, "one source has it for a customer, where the page says 40096"),
		byFault(sending, 95004, "one source has it for a customer, where the page says 40096"),
		byFault(sending, 90208, "nothing here knows which appid fits which page"),
	}
	return append(rows, replyRows()...)
}

// replyRows are the rules of send_msg_on_event and recall_msg.
func replyRows() []row {
	const replying, recalling = "kf/send_msg_on_event", "kf/recall_msg"
	welcome := func(what string, code int, m kfapi.Message, set func(w *world, code string)) row {
		return row{replying, what, code, func(w *world) error {
			c := w.welcomed(ann)
			if set != nil {
				set(w, c)
			}
			return second(w.reply(c, m))
		}}
	}
	pool := func(what string, code int, m kfapi.Message, set func(*world)) row {
		return row{replying, what, code, func(w *world) error {
			w.says(ann, "hello")
			c := w.trans(kfapi.StatePool, "")
			set(w)
			return second(w.reply(c, m))
		}}
	}
	recall := func(what string, code int, set func(w *world, id string)) row {
		return row{recalling, what, code, func(w *world) error {
			w.says(ann, "hello")
			id := w.send(ann, "", hello())
			set(w, id)
			return w.c.RecallMsg(w.t.Context(), w.token, kfapi.RecallMsgRequest{MsgID: id, OpenKfID: desk})
		}}
	}
	return []row{
		{replying, "no code", 41049, func(w *world) error { return w.raw(replying, `{"msgtype":"text","text":{"content":"x"}}`) }},
		{replying, "an unknown code", 41050, func(w *world) error { return second(w.reply("nonsense", hello())) }},
		welcome("a code after 20 seconds", 41050, hello(), func(w *world, _ string) { w.Clock().Advance(20 * time.Second) }),
		{replying, "a code again", 41050, func(w *world) error {
			c := w.welcomed(ann)
			got(w.reply(c, hello()))(w)
			return second(w.c.SendMsgOnEvent(w.t.Context(), w.token, kfapi.SendMsgOnEventRequest{Code: c, Message: hello()}))
		}},
		welcome("a msgid again", 40058, hello(), func(w *world, c string) { got(w.reply(c, hello()))(w) }),
		welcome("once the customer has written", 41051, hello(), func(w *world, _ string) {
			w.likes(kfsim.Personality{LateWelcomeCode: 41051})
			w.Clock().Advance(time.Second)
			w.says(ann, "hello")
		}),
		welcome("an account that is not the app's", 48007, hello(), func(w *world, _ string) { w.must(w.Authorize(desk, false)) }),
		welcome("a deleted account", 95004, hello(), func(w *world, _ string) { w.must(w.RemoveAccount(desk)) }),
		welcome("a forbidden word", 40201, hello(), func(w *world, _ string) { w.corp(func(c *kfsim.Corp) { c.ForbiddenWords = []string{"hello"} }) }),
		pool("a pool code in another state", 95018, hello(), func(w *world) {
			w.servicer("lisi", kfsim.ServicerReceiving)
			w.trans(kfapi.StateHuman, "lisi")
		}),
		pool("a pool code after 48 hours", 41050, hello(), func(w *world) { w.later(48 * time.Hour) }),
		pool("a menu for the pool", 40008, menu(), func(*world) {}),
		byFault(replying, 95007, "a candidate beside 41050, which the simulator answers"),
		byFault(replying, 95016, "a candidate beside 95018, which the simulator answers"),

		recall("an unknown msgid", 95028, func(w *world, id string) {
			w.must(w.c.RecallMsg(w.t.Context(), w.token, kfapi.RecallMsgRequest{MsgID: id, OpenKfID: desk}))
		}),
		recall("after two minutes", 95029, func(w *world, _ string) { w.later(2 * time.Minute) }),
		recall("another app's message", 40058, func(w *world, _ string) { w.token = w.app("secret-two") }),
		{recalling, "a message of nobody's", 95028, func(w *world) error {
			return w.c.RecallMsg(w.t.Context(), w.token, kfapi.RecallMsgRequest{MsgID: "none", OpenKfID: desk})
		}},
		{recalling, "no msgid", 40058, func(w *world) error { return w.raw(recalling, `{"open_kfid":"`+desk+`"}`) }},
	}
}

// bodyRows are messages that the client would not send.
func bodyRows() []row {
	items := func(n int) string {
		return strings.TrimSuffix(strings.Repeat(`{"type":"text","text":{"content":"x"}},`, n), ",")
	}
	var rows []row
	for _, b := range []struct {
		what, msgType, body string
		code                int
		onEvent             bool // refused alike in a reply to an event
	}{
		{"an empty text", "text", `{"content":""}`, 44004, true},
		{"a text of 2049 bytes", "text", `{"content":"` + strings.Repeat("x", 2049) + `"}`, 45002, true},
		{"a text that is a number", "text", `{"content":7}`, 40058, true},
		{"an unknown type", "sticker", `{"x":1}`, 40008, true},
		{"no type", "", `{"x":1}`, 40008, true},
		{"no file", "image", `{}`, 41006, false},
		{"a link without scheme", "link", `{"title":"T","url":"e.example/a","thumb_media_id":"x"}`, 45034, false},
		{"a link without thumbnail", "link", `{"title":"T","url":"https://e.example"}`, 40058, false},
		{"a mini program without appid", "miniprogram", `{"pagepath":"a.html","thumb_media_id":"x"}`, 90200, false},
		{"eleven menu items", "msgmenu", `{"list":[` + items(11) + `]}`, 95008, true},
		{"an unknown menu item", "msgmenu", `{"list":[{"type":"jump","jump":{}}]}`, 95009, true},
		{"a long menu item", "msgmenu", `{"list":[{"type":"text","text":{"content":"` + strings.Repeat("x", 257) + `"}}]}`, 40058, true},
		{"a place off the globe", "location", `{"latitude":90.1,"longitude":0}`, 95022, false},
		{"no place", "location", `{"latitude":1}`, 40058, false},
		{"a card of nobody", "business_card", `{}`, 40058, false},
		{"no link of customer acquisition", "ca_link", `{"link_url":"https://e.example"}`, 40058, false},
	} {
		do := func(path, to string) row {
			return row{path, b.what, b.code, func(w *world) error {
				w.says(ann, "hello")
				typ, _ := json.Marshal(b.msgType)
				return w.raw(path, `{`+to+`,"msgtype":`+string(typ)+`,"`+b.msgType+`":`+b.body+`}`)
			}}
		}
		rows = append(rows, do(sending, `"touser":"`+ann+`","open_kfid":"`+desk+`"`))
		if b.onEvent {
			rows = append(rows, do("kf/send_msg_on_event", `"code":"c"`))
		}
	}
	for what, id := range map[string]string{"an empty msgid": "", "a msgid of 33 bytes": strings.Repeat("x", 33), "a msgid with a dot": "a.b"} {
		for path, to := range map[string]string{sending: `"touser":"` + ann + `","open_kfid":"` + desk + `"`, "kf/send_msg_on_event": `"code":"c"`} {
			rows = append(rows, row{path, what, 40058, func(w *world) error {
				return w.raw(path, `{`+to+`,"msgid":"`+id+`","msgtype":"text","text":{"content":"x"}}`)
			}})
		}
	}
	return append(rows,
		row{sending, "a type without body", 40058, func(w *world) error {
			return w.raw(sending, `{"touser":"`+ann+`","open_kfid":"`+desk+`","msgtype":"text"}`)
		}},
		row{"kf/send_msg_on_event", "a picture", 40008, func(w *world) error {
			return w.raw("kf/send_msg_on_event", `{"code":"c","msgtype":"image","image":{"media_id":"x"}}`)
		}})
}
