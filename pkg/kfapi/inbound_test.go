package kfapi

import (
	"reflect"
	"strings"
	"testing"
)

func TestItemBody(t *testing.T) {
	one := StopSuspended
	for _, c := range []struct{ raw, want any }{
		{`{"msgtype":"text","text":{"content":"hi","menu_id":"101","new":1}}`, ReceivedText{"hi", "101"}},
		{`{"msgtype":"image","image":{"media_id":"M"}}`, ReceivedMedia{"M"}},
		{`{"msgtype":"voice","voice":{"media_id":"M"}}`, ReceivedMedia{"M"}},
		{`{"msgtype":"video","video":{"media_id":"M"}}`, ReceivedMedia{"M"}},
		{`{"msgtype":"file","file":{"media_id":"M"}}`, ReceivedMedia{"M"}},
		{`{"msgtype":"location","location":{"latitude":39.9042,"longitude":116.4074,"name":"North gate","address":"1 Example Road"}}`,
			ReceivedLocation{39.9042, 116.4074, "North gate", "1 Example Road"}},
		{`{"msgtype":"link","link":{"title":"T","desc":"D","url":"https:\/\/e.example/a?b=1&c=2","pic_url":"p"}}`,
			ReceivedLink{"T", "D", "https://e.example/a?b=1&c=2", "p"}},
		{`{"msgtype":"miniprogram","miniprogram":{"title":"T","appid":"wx1","pagepath":"p","thumb_media_id":"M"}}`,
			ReceivedMiniprogram{"T", "wx1", "p", "M"}},
		{`{"msgtype":"business_card","business_card":{"userid":"lisi"}}`, ReceivedBusinessCard{"lisi"}},
		{`{"msgtype":"msgmenu","msgmenu":{"head_content":"h","list":[{"type":"click","click":{"id":"1","content":"c"}},{"type":"text","text":{"content":"x","no_newline":1}}],"tail_content":"t"}}`,
			MsgMenu{"h", []MenuItem{{Type: "click", Click: &MenuClick{"1", "c"}}, {Type: "text", Text: &MenuText{"x", true}}}, "t"}},
		{`{"msgtype":"merged_msg","merged_msg":{"title":"T","item":[{"send_time":1699999000,"msgtype":"text","sender_name":"Ann","msg_content":"{\"msgtype\":\"text\"}"},{"send_time":"5","msgtype":1}]}}`,
			MergedMsg{"T", []MergedItem{{1699999000, "text", "Ann", `{"msgtype":"text"}`}, {5, "1", "", ""}}}},
		{`{"msgtype":"event","event":{"event_type":"enter_session","open_kfid":"wk","external_userid":"wm","scene":"home","scene_param":"a=1&b=2","welcome_code":"W","wechat_channels":{"nickname":"TV","scene":1}}}`,
			EnterSession{"wk", "wm", "home", "a=1&b=2", "W", &WechatChannels{Nickname: "TV", Scene: 1}}},
		{`{"msgtype":"event","event":{"event_type":"enter_session","open_kfid":"wk","external_userid":"wm"}}`,
			EnterSession{OpenKfID: "wk", ExternalUserID: "wm"}},
		{`{"msgtype":"event","event":{"event_type":"msg_send_fail","open_kfid":"wk","external_userid":"wm","fail_msgid":"out_1","fail_type":4}}`,
			MsgSendFail{"wk", "wm", "out_1", FailSessionExpired}},
		{`{"msgtype":"event","event":{"event_type":"session_status_change","open_kfid":"wk","external_userid":"wm","change_type":2,"old_servicer_userid":"a","new_servicer_userid":"b","msg_code":"C"}}`,
			SessionStatusChange{"wk", "wm", SessionTransferred, "a", "b", "C"}},
		{`{"msgtype":"event","event":{"event_type":"servicer_status_change","servicer_userid":"a","status":2,"stop_type":1,"open_kfid":"wk"}}`,
			ServicerStatusChange{"a", "wk", 2, &one}},
		{`{"msgtype":"event","event":{"event_type":"servicer_status_change","servicer_userid":"a","status":1,"open_kfid":"wk"}}`,
			ServicerStatusChange{"a", "wk", 1, nil}},
		{`{"msgtype":"event","event":{"event_type":"user_recall_msg","open_kfid":"wk","external_userid":"wm","recall_msgid":"m"}}`,
			UserRecallMsg{"wk", "wm", "m"}},
		{`{"msgtype":"event","event":{"event_type":"servicer_recall_msg","open_kfid":"wk","external_userid":"wm","recall_msgid":"m","servicer_userid":"a"}}`,
			ServicerRecallMsg{"wk", "wm", "m", "a"}},
		{`{"msgtype":"event","event":{"event_type":"reject_customer_msg_switch_change","servicer_userid":"a","open_kfid":"wk","external_userid":"wm","reject_switch":1}}`,
			RejectCustomerMsgSwitchChange{"a", "wk", "wm", true}},
	} {
		it := ParseItem([]byte(c.raw.(string)))
		got := reflect.New(reflect.TypeOf(c.want))
		if err := it.Body(got.Interface()); err != nil || it.Err != nil || !reflect.DeepEqual(got.Elem().Interface(), c.want) {
			t.Errorf("%s: got %+v, %v, %v", c.raw, got.Elem(), err, it.Err)
		}
	}
}

func TestItemBodyRefuses(t *testing.T) {
	for _, raw := range []string{
		`null`, `{}`, `{"msgtype":"note"}`, `{"msgtype":"text","text":{"content":7}}`, `{"msgtype":"text","text":"CANARY"}`, `{`,
	} {
		var v ReceivedText
		if err := ParseItem([]byte(raw)).Body(&v); err == nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: got %v, want a clean error", raw, err)
		}
	}
}

func TestMergedMessagesNest(t *testing.T) {
	raw := `{"msgtype":"merged_msg","merged_msg":{"item":[{"msgtype":"text","msg_content":"{\"msgtype\":\"text\",\"text\":{\"content\":\"deep\"}}"}]}}`
	var merged MergedMsg
	if err := ParseItem([]byte(raw)).Body(&merged); err != nil {
		t.Fatal(err)
	}
	var text ReceivedText
	if err := ParseItem([]byte(merged.Item[0].MsgContent)).Body(&text); err != nil || text.Content != "deep" {
		t.Errorf("got %+v, %v, want deep", text, err)
	}
}
