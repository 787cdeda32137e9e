package conformance

import (
	"encoding/json"
	"time"

	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

func messageCalls() map[string]func(*world) {
	return map[string]func(*world){
		"kf/sync_msg":          syncMsg,
		"kf/send_msg":          sendMsg,
		"kf/send_msg_on_event": sendMsgOnEvent,
		"kf/recall_msg":        recallMsg,
	}
}

// send sends a message that must be accepted, and returns its id.
func (w *world) send(user, msgID string, m kfapi.Message) string {
	w.t.Helper()
	r := got(w.c.SendMsg(w.t.Context(), w.token, kfapi.SendMsgRequest{ToUser: user, OpenKfID: desk, MsgID: msgID, Message: m}))(w)
	w.fine(r.Reply)
	return r.MsgID
}

// onPhone is the last line of the customer's phone.
func (w *world) onPhone(user string) kfsim.PhoneMessage {
	w.t.Helper()
	lines := w.Phone(desk, user)
	if len(lines) == 0 {
		w.t.Fatal("the phone is empty")
	}
	return lines[len(lines)-1]
}

func menu() kfapi.MsgMenu {
	return kfapi.MsgMenu{HeadContent: "How did we do? <1>", List: []kfapi.MenuItem{
		{Type: "click", Click: &kfapi.MenuClick{ID: "101", Content: "Good & cheap"}},
		{Type: "view", View: &kfapi.MenuView{URL: pageLink, Content: "Open site"}},
		{Type: "miniprogram", Miniprogram: &kfapi.MenuMiniprogram{AppID: appID, PagePath: "pages/faq.html", Content: "Open FAQ"}},
		{Type: "text", Text: &kfapi.MenuText{Content: "plain\nline", NoNewline: true}},
	}, TailContent: "Thanks"}
}

// everyMessage is one message of each type that can be sent, its files uploaded.
func (w *world) everyMessage() []kfapi.Message {
	picture := w.file(kfapi.MediaImage)
	return []kfapi.Message{
		kfapi.Text{Content: "你好 \u2028 <b>&</b> \"quoted\"\n\ttab 😀"},
		kfapi.Image{MediaID: picture},
		kfapi.Voice{MediaID: w.file(kfapi.MediaVoice)},
		kfapi.Video{MediaID: w.file(kfapi.MediaVideo)},
		kfapi.File{MediaID: w.file(kfapi.MediaFile)},
		kfapi.Link{Title: "Guide", Desc: "How to return", URL: pageLink, ThumbMediaID: picture},
		kfapi.Miniprogram{AppID: appID, Title: "Order", ThumbMediaID: picture, PagePath: "pages/order.html?id=7"},
		menu(),
		kfapi.Location{Latitude: 23.1, Longitude: -113.25, Name: "Store", Address: "1 Example Road"},
		kfapi.BusinessCard{UserID: "lisi"},
		kfapi.CALink{LinkURL: "https://work.weixin.qq.com/ca/abc123"},
	}
}

func sendMsg(w *world) {
	w.likes(kfsim.Personality{RefuseEscapes: true}) // the client sends none
	for i, m := range w.everyMessage() {
		if i%5 == 0 {
			w.says(ann, "hello")
		}
		id := "out_" + m.MsgType() + "-1"
		same(w.t, "msgid", w.send(ann, id, m), id)
		sends := w.Accepted()
		same(w.t, "accepted", len(sends), i+1)
		last := sends[i]
		same(w.t, "as accepted", kfsim.Send{Via: last.Via, App: last.App, OpenKfID: last.OpenKfID, ExternalUserID: last.ExternalUserID, MsgID: last.MsgID, MsgType: last.MsgType, Count: last.Count},
			kfsim.Send{Via: kfsim.ViaSend, App: 1, OpenKfID: desk, ExternalUserID: ann, MsgID: id, MsgType: m.MsgType(), Count: i%5 + 1})
		line := w.onPhone(ann)
		same(w.t, "on the phone", []string{line.From, line.MsgID, line.MsgType}, []string{kfsim.FromAccount, id, m.MsgType()})
		want, err := json.Marshal(m)
		w.must(err)
		sameJSON(w.t, m.MsgType(), line.Body, want)
	}
	same(w.t, "state after it", got(w.Conversation(desk, ann))(w).State, int(kfapi.StateAssistant))
	made := w.send(ann, "", kfapi.Text{Content: "no id"})
	same(w.t, "an id of the platform's", made != "" && made == w.onPhone(ann).MsgID, true)
}

func recallMsg(w *world) {
	w.says(ann, "hello")
	id := w.send(ann, "", kfapi.Text{Content: "oops"})
	before := w.onPhone(ann).N
	w.later(2*time.Minute - time.Second)
	w.must(w.c.RecallMsg(w.t.Context(), w.token, kfapi.RecallMsgRequest{MsgID: id, OpenKfID: desk}))
	same(w.t, "recalled at", w.Accepted()[0].RecalledAt.Equal(w.Clock().Now()), true)
	line := w.Phone(desk, ann)[before-1]
	same(w.t, "gone from the phone", line.Recalled && line.Body == nil, true)
	same(w.t, "with a notice", w.onPhone(ann).Notice, kfsim.NoticeAccountRecalled)
	same(w.t, "still counted", got(w.Conversation(desk, ann))(w).Sent, 1)
	w.refused("a repeat", w.c.RecallMsg(w.t.Context(), w.token, kfapi.RecallMsgRequest{MsgID: id, OpenKfID: desk}), 95028)
}

// reply answers an event.
func (w *world) reply(code string, m kfapi.Message) (string, error) {
	r, err := w.c.SendMsgOnEvent(w.t.Context(), w.token, kfapi.SendMsgOnEventRequest{Code: code, MsgID: "r" + code[:8], Message: m})
	return r.MsgID, err
}

// welcomed lets a customer enter and returns the welcome code as sync_msg shows it.
func (w *world) welcomed(user string) string {
	w.t.Helper()
	got(w.Enter(kfsim.Enter{OpenKfID: desk, ExternalUserID: user}))(w)
	return w.lastEvent().(*kfapi.EnterSession).WelcomeCode
}

// lastEvent is the newest item of the history as the client reads it.
func (w *world) lastEvent() any {
	w.t.Helper()
	page := got(w.c.SyncMsg(w.t.Context(), w.token, kfapi.SyncMsgRequest{OpenKfID: desk}))(w)
	return got(page.MsgList[len(page.MsgList)-1].Typed())(w)
}

func sendMsgOnEvent(w *world) {
	w.servicer("lisi", kfsim.ServicerReceiving)
	welcome := w.welcomed(ann)
	w.Clock().Advance(20*time.Second - time.Second)
	w.replied(welcome, menu())
	_, err := w.reply(welcome, kfapi.Text{Content: "again"})
	w.refused("the same msgid again", err, 40058)

	tapped := got(w.Tap(kfsim.Tap{OpenKfID: desk, ExternalUserID: ann, ID: "101"}))(w) // a session begins with it
	page := got(w.c.SyncMsg(w.t.Context(), w.token, kfapi.SyncMsgRequest{OpenKfID: desk}))(w)
	tap := page.MsgList[len(page.MsgList)-1]
	same(w.t, "the tap", tap.MsgID, tapped)
	same(w.t, "what it says", got(tap.Typed())(w), any(&kfapi.ReceivedText{Content: "Good & cheap", MenuID: "101"}))

	pool := w.trans(kfapi.StatePool, "")
	w.later(47 * time.Hour)
	w.replied(pool, kfapi.Text{Content: "you are in the queue"})
	w.must(w.PickUp(kfsim.ServicerAct{OpenKfID: desk, ExternalUserID: ann, UserID: "lisi"}))
	w.replied(w.lastEvent().(*kfapi.SessionStatusChange).MsgCode, kfapi.Text{Content: "one moment"})
	w.must(w.End(kfsim.ServicerAct{OpenKfID: desk, ExternalUserID: ann, UserID: "lisi"}))
	w.replied(w.lastEvent().(*kfapi.SessionStatusChange).MsgCode, menu())
	same(w.t, "none of them counts", got(w.Conversation(desk, ann))(w).Sent, 0)
}

func (w *world) replied(code string, m kfapi.Message) {
	w.t.Helper()
	id := got(w.reply(code, m))(w)
	line := w.onPhone(ann)
	same(w.t, "msgid", id, "r"+code[:8])
	same(w.t, "on the phone", []string{line.Via, line.MsgID, line.MsgType}, []string{kfsim.ViaReply, id, m.MsgType()})
	want, err := json.Marshal(m)
	w.must(err)
	sameJSON(w.t, "body", line.Body, want)
}
