package conformance

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfcrypto"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// received is what a customer's messages of every type must become.
func received() []struct {
	msgType string
	want    any
} {
	inner := `{"msgtype":"merged_msg","merged_msg":{"title":"Inner","item":[]}}`
	return []struct {
		msgType string
		want    any
	}{
		{"text", &kfapi.ReceivedText{Content: "你好"}},
		{"location", &kfapi.ReceivedLocation{Latitude: 39.9042, Longitude: 116.4074, Name: "North gate", Address: "1 Example Road"}},
		{"link", &kfapi.ReceivedLink{Title: "Guide", Desc: "How to return", URL: "https://e.example/a?b=1&c=2", PicURL: "https://e.example/p.png"}},
		{"business_card", &kfapi.ReceivedBusinessCard{UserID: "lisi"}},
		{"miniprogram", &kfapi.ReceivedMiniprogram{Title: "Order", AppID: "wx0000000000000001", PagePath: "pages/order.html?id=7", ThumbMediaID: "none"}},
		{"msgmenu", &kfapi.MsgMenu{HeadContent: "How did we do?", List: []kfapi.MenuItem{
			{Type: "click", Click: &kfapi.MenuClick{ID: "101", Content: "Good"}}, {Type: "text", Text: &kfapi.MenuText{Content: "plain"}},
		}, TailContent: "Thanks"}},
		{"channels_shop_product", &kfapi.ChannelsShopProduct{ProductID: "p1", HeadImage: "https://e.example/h.png", Title: "Tea", SalesPrice: "1990", ShopNickname: "Shop TV", ShopHeadImage: "https://e.example/s.png"}},
		{"channels_shop_order", &kfapi.ChannelsShopOrder{OrderID: "o1", ProductTitles: "Tea", PriceWording: "¥19.90", State: "已付款", ImageURL: "https://e.example/o.png", ShopNickname: "Shop TV"}},
		{"merged_msg", &kfapi.MergedMsg{Title: "Chat history", Item: []kfapi.MergedItem{
			{SendTime: 1699999000, MsgType: "text", SenderName: "Ann", MsgContent: `{"msgtype":"text","text":{"content":"hi"}}`},
			{SendTime: 1699999001, MsgType: "merged_msg", SenderName: "Bob", MsgContent: inner},
		}}},
		{"channels", &kfapi.Channels{SubType: 1, Nickname: "Shop TV", Title: "New arrivals"}},
		{"note", &kfapi.ReceivedOpaque{}},
		{"meeting", &kfapi.ReceivedOpaque{}},
		{"schedule", &kfapi.ReceivedOpaque{}},
	}
}

// syncMsg: every msgtype and event_type, each member of an item, and the paging.
func syncMsg(w *world) {
	w.servicer("lisi", kfsim.ServicerReceiving)
	w.servicer("wang", kfsim.ServicerReceiving)
	var want []kfapi.Item // without Raw
	var bodies []any
	add := func(it kfapi.Item, body any) {
		it.OpenKfID, it.SendTime = desk, w.Clock().Now().Unix()
		want, bodies = append(want, it), append(bodies, body)
	}
	event := func(user string, body any) {
		items := w.Items(desk)
		add(kfapi.Item{MsgID: items[len(items)-1].MsgID, ExternalUserID: user, Origin: kfapi.OriginSystem, MsgType: kfapi.MsgTypeEvent}, body)
	}
	for _, m := range received() {
		id := got(w.Say(kfsim.Say{OpenKfID: desk, ExternalUserID: ann, MsgType: m.msgType, Sample: true}))(w)
		add(kfapi.Item{MsgID: id, ExternalUserID: ann, Origin: kfapi.OriginCustomer, MsgType: m.msgType}, m.want)
		w.Clock().Advance(time.Second)
	}
	for _, kind := range []string{"image", "voice", "video", "file"} {
		media := got(w.AddMedia(kfsim.Media{Type: kind, FileName: "a." + kind, Data: []byte("bytes of " + kind)}))(w)
		id := got(w.Say(kfsim.Say{OpenKfID: desk, ExternalUserID: ann, MsgType: kind, Body: json.RawMessage(`{"media_id":"` + media + `"}`)}))(w)
		add(kfapi.Item{MsgID: id, ExternalUserID: ann, Origin: kfapi.OriginCustomer, MsgType: kind}, &kfapi.ReceivedMedia{MediaID: media})
		same(w.t, "the file behind it", w.download(media, kfapi.Range{}), "bytes of "+kind)
	}

	got(w.Enter(kfsim.Enter{OpenKfID: desk, ExternalUserID: bob, Scene: "s", SceneParam: "a=1&b=2", WechatChannels: json.RawMessage(`{"nickname":"Shop TV","scene":1}`)}))(w)
	event(bob, &kfapi.EnterSession{OpenKfID: desk, ExternalUserID: bob, Scene: "s", SceneParam: "a=1&b=2", WechatChannels: &kfapi.WechatChannels{Nickname: "Shop TV", Scene: 1}})
	out := w.send(ann, "", kfapi.Text{Content: "hi"})
	w.must(w.FailSend(kfsim.FailSend{OpenKfID: desk, MsgID: out, FailType: 13}))
	event(ann, &kfapi.MsgSendFail{OpenKfID: desk, ExternalUserID: ann, FailMsgID: out, FailType: kfapi.FailSecurity})
	w.must(w.ServicerStatus(kfsim.Servicer{OpenKfID: desk, UserID: "wang", Status: kfsim.ServicerSuspended}))
	event("", &kfapi.ServicerStatusChange{ServicerUserID: "wang", OpenKfID: desk, Status: 2, StopType: ptr(kfapi.StopSuspended)})
	w.must(w.ServicerStatus(kfsim.Servicer{OpenKfID: desk, UserID: "wang", Status: kfsim.ServicerReceiving}))
	event("", &kfapi.ServicerStatusChange{ServicerUserID: "wang", OpenKfID: desk, Status: 1})
	w.trans(kfapi.StatePool, "") // no event: the API did it
	act := kfsim.ServicerAct{OpenKfID: desk, ExternalUserID: ann, UserID: "lisi", ToUserID: "wang"}
	w.must(w.PickUp(act))
	event(ann, &kfapi.SessionStatusChange{OpenKfID: desk, ExternalUserID: ann, ChangeType: kfapi.SessionPickedUp, NewServicerUserID: "lisi"})
	typed := got(w.ServicerSay(kfsim.ServicerSay{OpenKfID: desk, ExternalUserID: ann, UserID: "lisi", Text: "hello"}))(w)
	add(kfapi.Item{MsgID: typed, ExternalUserID: ann, Origin: kfapi.OriginServicer, ServicerUserID: "lisi", MsgType: "text"}, &kfapi.ReceivedText{Content: "hello"})
	w.must(w.ServicerRecall(kfsim.Recall{OpenKfID: desk, ExternalUserID: ann, MsgID: typed}))
	event(ann, &kfapi.ServicerRecallMsg{OpenKfID: desk, ExternalUserID: ann, RecallMsgID: typed, ServicerUserID: "lisi"})
	w.must(w.Transfer(act))
	event(ann, &kfapi.SessionStatusChange{OpenKfID: desk, ExternalUserID: ann, ChangeType: kfapi.SessionTransferred, OldServicerUserID: "lisi", NewServicerUserID: "wang"})
	w.must(w.RejectCustomer(kfsim.Reject{OpenKfID: desk, ExternalUserID: ann, UserID: "wang", On: true}))
	event(ann, &kfapi.RejectCustomerMsgSwitchChange{ServicerUserID: "wang", OpenKfID: desk, ExternalUserID: ann, RejectSwitch: true})
	w.must(w.End(kfsim.ServicerAct{OpenKfID: desk, ExternalUserID: ann, UserID: "wang"}))
	event(ann, &kfapi.SessionStatusChange{OpenKfID: desk, ExternalUserID: ann, ChangeType: kfapi.SessionEnded, OldServicerUserID: "wang"})
	said := w.says(ann, "oops")
	add(kfapi.Item{MsgID: said, ExternalUserID: ann, Origin: kfapi.OriginCustomer, MsgType: "text"}, &kfapi.ReceivedText{Content: "oops"})
	w.must(w.Recall(kfsim.Recall{OpenKfID: desk, ExternalUserID: ann, MsgID: said}))
	event(ann, &kfapi.UserRecallMsg{OpenKfID: desk, ExternalUserID: ann, RecallMsgID: said})

	w.checkItems(want, bodies)
	syncPages(w, len(want))
}

// checkItems pulls all that an account has and holds it against what was done.
func (w *world) checkItems(want []kfapi.Item, bodies []any) {
	w.t.Helper()
	page := got(w.c.SyncMsg(w.t.Context(), w.token, kfapi.SyncMsgRequest{OpenKfID: desk}))(w)
	w.fine(page.Reply)
	same(w.t, "has_more", page.HasMore, false)
	if len(page.MsgList) != len(want) {
		w.t.Fatalf("got %d items, want %d", len(page.MsgList), len(want))
	}
	own := w.Items(desk)
	for i, it := range page.MsgList {
		same(w.t, "bytes", string(it.Raw), string(own[i].Raw))
		same(w.t, "served", own[i].Served, true)
		w.must(it.Err)
		body := got(it.Typed())(w)
		switch b := body.(type) { // codes come from the platform
		case *kfapi.EnterSession:
			same(w.t, "a welcome code", b.WelcomeCode != "", true)
			b.WelcomeCode = ""
		case *kfapi.SessionStatusChange:
			same(w.t, "a msg_code", b.MsgCode != "", b.ChangeType == kfapi.SessionPickedUp || b.ChangeType == kfapi.SessionEnded)
			b.MsgCode = ""
		}
		same(w.t, "body of "+it.MsgType+it.EventType, body, bodies[i])
		same(w.t, "event_type", it.EventType != "", it.MsgType == kfapi.MsgTypeEvent)
		it.Raw, it.EventType = nil, ""
		same(w.t, "item", it, want[i])
	}
}

// syncPages reads the same history in small pages, empty ones among them.
func syncPages(w *world, n int) {
	w.t.Helper()
	w.likes(kfsim.Personality{EmptyPageEvery: 3})
	var ids, want []string
	pages, last := 0, ""
	for page, err := range w.c.SyncAll(w.t.Context(), w.token, kfapi.SyncMsgRequest{OpenKfID: desk, Limit: 4}) {
		w.must(err)
		pages++
		last = page.NextCursor
		for _, it := range page.MsgList {
			ids = append(ids, it.MsgID)
		}
	}
	for _, it := range w.Items(desk) {
		want = append(want, it.MsgID)
	}
	same(w.t, "items by pages", ids, want)
	same(w.t, "more pages than full ones", pages > (n+3)/4, true)
	w.likes(kfsim.Personality{})
	id := w.says(ann, "one more")
	page := got(w.c.SyncMsg(w.t.Context(), w.token, kfapi.SyncMsgRequest{OpenKfID: desk, Cursor: last, VoiceFormat: 1}))(w)
	same(w.t, "what came after the cursor", len(page.MsgList) == 1 && page.MsgList[0].MsgID == id, true)
	again := got(w.c.SyncMsg(w.t.Context(), w.token, kfapi.SyncMsgRequest{OpenKfID: desk, Cursor: last}))(w)
	same(w.t, "the same cursor, the same page", string(again.Raw), string(page.Raw))
}

// TestSyncTokenOfACallback follows a token from the callback into sync_msg.
func TestSyncTokenOfACallback(t *testing.T) {
	w := newWorld(t)
	bodies := make(chan *http.Request, 4)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			r = r.Clone(t.Context())
			r.Header.Set("Body", string(body))
			bodies <- r
		}
	}))
	defer srv.Close()
	const callbackToken, aesKey = "callbacktoken", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	w.must(w.SetCallback(kfsim.CallbackSettings{CallbackURL: srv.URL, CallbackToken: callbackToken, EncodingAESKey: aesKey}))
	done := make(chan struct{})
	go func() { defer close(done); w.Run(t.Context()) }()
	id := w.says(ann, "hello")

	r := <-bodies
	codec, err := kfcrypto.New(callbackToken, aesKey, corpID)
	w.must(err)
	envelope, err := kfcrypto.ScanEnvelope([]byte(r.Header.Get("Body")))
	w.must(err)
	q := r.URL.Query()
	plain, _, err := codec.Open(q.Get("msg_signature"), q.Get("timestamp"), q.Get("nonce"), envelope.Encrypt)
	w.must(err)
	var event struct{ Event, Token, OpenKfId string } //nolint:revive // the platform's spelling
	w.must(xml.Unmarshal(plain, &event))
	same(t, "event", event.Event, "kf_msg_or_event")
	same(t, "account", event.OpenKfId, desk)

	w.likes(kfsim.Personality{TokenlessPerMinute: 1}) // so that only the token can help
	req := kfapi.SyncMsgRequest{OpenKfID: desk, SyncToken: event.Token}
	for range 3 {
		page := got(w.c.SyncMsg(w.t.Context(), w.token, req))(w)
		same(t, "the message", len(page.MsgList) == 1 && page.MsgList[0].MsgID == id, true)
	}
	w.later(10*time.Minute - time.Second)
	got(w.c.SyncMsg(w.t.Context(), w.token, req))(w)
	w.later(time.Second)
	_, err = w.c.SyncMsg(w.t.Context(), w.token, req)
	w.refused("the token after 10 minutes", err, 95007)
}
