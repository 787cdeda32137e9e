package kfapi

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
)

// Golden bodies, letter for letter. Each is also read back by ParseMessage, which must come out the same.
func TestSendMsgBodies(t *testing.T) {
	const msgid = "out_1"
	for _, c := range []struct {
		msg  Message
		want string
	}{
		{Text{"Your parcel <1> left & more\n你好"}, `"msgtype":"text","text":{"content":"Your parcel <1> left & more\n你好"}`},
		{Image{"MEDIA_I"}, `"msgtype":"image","image":{"media_id":"MEDIA_I"}`},
		{Voice{"MEDIA_V"}, `"msgtype":"voice","voice":{"media_id":"MEDIA_V"}`},
		{Video{"MEDIA_M"}, `"msgtype":"video","video":{"media_id":"MEDIA_M"}`},
		{File{"MEDIA_F"}, `"msgtype":"file","file":{"media_id":"MEDIA_F"}`},
		{Link{"Guide", "How", "https://e.example/return?id=7&x=1", "MEDIA_I"},
			`"msgtype":"link","link":{"title":"Guide","desc":"How","url":"https://e.example/return?id=7&x=1","thumb_media_id":"MEDIA_I"}`},
		{Link{Title: "Guide", URL: "http://e.example", ThumbMediaID: "M"},
			`"msgtype":"link","link":{"title":"Guide","url":"http://e.example","thumb_media_id":"M"}`},
		{Miniprogram{"wx01", "Order", "MEDIA_I", "pages/order.html?id=7"},
			`"msgtype":"miniprogram","miniprogram":{"appid":"wx01","title":"Order","thumb_media_id":"MEDIA_I","pagepath":"pages/order.html?id=7"}`},
		{MsgMenu{"How did we do?", []MenuItem{
			{Type: "click", Click: &MenuClick{"101", "Good"}},
			{Type: "view", View: &MenuView{"https://e.example", "Open site"}},
			{Type: "miniprogram", Miniprogram: &MenuMiniprogram{"wx01", "pages/faq.html", "Open FAQ"}},
			{Type: "text", Text: &MenuText{"plain\nline", false}},
			{Type: "text", Text: &MenuText{"and", true}},
		}, "Thanks"}, `"msgtype":"msgmenu","msgmenu":{"head_content":"How did we do?","list":[{"type":"click","click":{"id":"101","content":"Good"}},{"type":"view","view":{"url":"https://e.example","content":"Open site"}},{"type":"miniprogram","miniprogram":{"appid":"wx01","pagepath":"pages/faq.html","content":"Open FAQ"}},{"type":"text","text":{"content":"plain\nline"}},{"type":"text","text":{"content":"and","no_newline":1}}],"tail_content":"Thanks"}`},
		{MsgMenu{}, `"msgtype":"msgmenu","msgmenu":{}`},
		{Location{23.1, 113.3, "Store", "1 Example Road"},
			`"msgtype":"location","location":{"latitude":23.1,"longitude":113.3,"name":"Store","address":"1 Example Road"}`},
		{Location{}, `"msgtype":"location","location":{"latitude":0,"longitude":0}`},
		{BusinessCard{"lisi"}, `"msgtype":"business_card","business_card":{"userid":"lisi"}`},
		{CALink{"https://work.weixin.qq.com/ca/abc123"}, `"msgtype":"ca_link","ca_link":{"link_url":"https://work.weixin.qq.com/ca/abc123"}`},
	} {
		s := serve(t, says(`{"errcode":0,"errmsg":"ok","msgid":"out_1"}`))
		req := SendMsgRequest{ToUser: "wm1", OpenKfID: "wk1", MsgID: msgid, Message: c.msg}
		got, err := s.SendMsg(background(t), token, req)
		if err != nil || got.MsgID != "out_1" || got.ErrMsg != "ok" {
			t.Errorf("%s: got %+v, %v", c.msg.MsgType(), got, err)
			continue
		}
		want := `{"touser":"wm1","open_kfid":"wk1","msgid":"out_1",` + c.want + `}`
		if sent := s.last(t); sent.body != want || sent.path != "/cgi-bin/kf/send_msg" || sent.method != "POST" {
			t.Errorf("%s:\ngot  %s\nwant %s", c.msg.MsgType(), sent.body, want)
		}
		again, err := ParseMessage([]byte("{" + c.want + "}"))
		if err != nil {
			t.Errorf("%s: ParseMessage: %v", c.msg.MsgType(), err)
			continue
		}
		req.Message = again
		if got, err := req.encode(); err != nil || string(got) != want {
			t.Errorf("%s, parsed:\ngot  %s, %v\nwant %s", c.msg.MsgType(), got, err, want)
		}
		if direct, err := json.Marshal(req); err != nil || !json.Valid(direct) {
			t.Errorf("%s: json.Marshal: %s, %v", c.msg.MsgType(), direct, err)
		}
	}
}

func TestMsgIDIsLeftOutWhenEmpty(t *testing.T) {
	got, err := SendMsgRequest{ToUser: "wm1", OpenKfID: "wk1", Message: Text{"x"}}.encode()
	if want := `{"touser":"wm1","open_kfid":"wk1","msgtype":"text","text":{"content":"x"}}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

// The answer may warn that it understood only half, with errcode 0.
func TestWarningOfSuccess(t *testing.T) {
	s := serve(t, says(`{"errcode":0,"errmsg":"ok. Warning: wrong json format. ","msgid":"m"}`))
	got, err := s.SendMsg(background(t), token, SendMsgRequest{ToUser: "wm1", OpenKfID: "wk1", Message: Text{"x"}})
	if err != nil || !WrongJSONFormatMsg(got.ErrMsg) {
		t.Errorf("got %+v, %v, want the warning", got, err)
	}
}

func TestSendMsgOnEvent(t *testing.T) {
	s := serve(t, says(`{"errcode":0,"errmsg":"ok","msgid":"w_1"}`))
	got, err := s.SendMsgOnEvent(background(t), token, SendMsgOnEventRequest{Code: "WC_1", MsgID: "w_1", Message: Text{"Welcome"}})
	if err != nil || got.MsgID != "w_1" {
		t.Errorf("got %+v, %v", got, err)
	}
	want := `{"code":"WC_1","msgid":"w_1","msgtype":"text","text":{"content":"Welcome"}}`
	if sent := s.last(t); sent.body != want || sent.path != "/cgi-bin/kf/send_msg_on_event" {
		t.Errorf("got %s %s, want %s", sent.path, sent.body, want)
	}
	if direct, err := json.Marshal(SendMsgOnEventRequest{Code: "WC_1", MsgID: "w_1", Message: Text{"Welcome"}}); err != nil || string(direct) != want {
		t.Errorf("json.Marshal: got %s, %v, want %s", direct, err, want)
	}
	menu, err := ParseMessage([]byte(`{"msgtype":"msgmenu","msgmenu":{"head_content":"Hi"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := (SendMsgOnEventRequest{Code: "WC_1", Message: menu}).Validate(); err != nil {
		t.Errorf("a menu: %v", err)
	}
	for name, req := range map[string]SendMsgOnEventRequest{
		"image":        {Code: "WC_1", Message: Image{"M"}},
		"no code":      {Message: Text{"x"}},
		"no message":   {Code: "WC_1"},
		"bad msgid":    {Code: "WC_1", MsgID: "a b", Message: Text{"x"}},
		"text too big": {Code: "WC_1", Message: Text{strings.Repeat("x", 2049)}},
	} {
		if _, err := s.SendMsgOnEvent(background(t), token, req); !NotSent(err) {
			t.Errorf("%s: got %v, want a refusal before sending", name, err)
		}
	}
	if n := s.count(); n != 1 {
		t.Errorf("the server saw %d requests, want 1", n)
	}
}

func TestRecallMsg(t *testing.T) {
	s := serve(t, says(`{"errcode":0,"errmsg":"ok"}`))
	if err := s.RecallMsg(background(t), token, RecallMsgRequest{MsgID: "out_1", OpenKfID: "wk1"}); err != nil {
		t.Fatal(err)
	}
	if sent := s.last(t); sent.body != `{"msgid":"out_1","open_kfid":"wk1"}` || sent.path != "/cgi-bin/kf/recall_msg" {
		t.Errorf("got %s %s", sent.path, sent.body)
	}
	for _, req := range []RecallMsgRequest{{OpenKfID: "wk1"}, {MsgID: "m"}, {MsgID: "a b", OpenKfID: "wk1"}} {
		if err := s.RecallMsg(background(t), token, req); !NotSent(err) {
			t.Errorf("%+v: got %v, want a refusal before sending", req, err)
		}
	}
}

// limitOf sends and says which field was refused, "" if none.
func limitOf(t *testing.T, req SendMsgRequest) string {
	t.Helper()
	err := req.Validate()
	if err == nil {
		return ""
	}
	var limit *LimitError
	if !errors.As(err, &limit) {
		t.Fatalf("got %T, want a *LimitError", err)
	}
	return limit.Field
}

func TestAddressLimits(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	for _, c := range []struct {
		name string
		req  SendMsgRequest
		want string
	}{
		{"all at their limits", SendMsgRequest{x(64), x(64), x(32), Text{"x"}}, ""},
		{"every character of a msgid", SendMsgRequest{"wm", "wk", "azAZ09_-", Text{"x"}}, ""},
		{"no touser", SendMsgRequest{"", "wk", "", Text{"x"}}, "touser"},
		{"touser too long", SendMsgRequest{x(65), "wk", "", Text{"x"}}, "touser"},
		{"no open_kfid", SendMsgRequest{"wm", "", "", Text{"x"}}, "open_kfid"},
		{"open_kfid too long", SendMsgRequest{"wm", x(65), "", Text{"x"}}, "open_kfid"},
		{"msgid too long", SendMsgRequest{"wm", "wk", x(33), Text{"x"}}, "msgid"},
		{"msgid with a dot", SendMsgRequest{"wm", "wk", "a.b", Text{"x"}}, "msgid"},
		{"msgid beyond ASCII", SendMsgRequest{"wm", "wk", "é", Text{"x"}}, "msgid"},
		{"no message", SendMsgRequest{"wm", "wk", "", nil}, "msgtype"},
		{"NaN", SendMsgRequest{"wm", "wk", "", Location{Latitude: math.NaN()}}, "body"},
	} {
		if got := limitOf(t, c.req); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
