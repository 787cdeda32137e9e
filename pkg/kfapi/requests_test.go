package kfapi

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
)

// put sets the value at path, "answers.0.text.content"; nil takes it away.
func put(t *testing.T, v any, path string, value any) {
	t.Helper()
	name, rest, deeper := strings.Cut(path, ".")
	if list, ok := v.([]any); ok {
		i, err := strconv.Atoi(name)
		if err != nil || i >= len(list) {
			t.Fatalf("%s leads nowhere", path)
		}
		if deeper {
			put(t, list[i], rest, value)
		} else {
			list[i] = value
		}
		return
	}
	o, ok := v.(map[string]any)
	switch {
	case !ok:
		t.Fatalf("%s leads nowhere", path)
	case deeper:
		put(t, o[name], rest, value)
	case value == nil:
		delete(o, name)
	default:
		o[name] = value
	}
}

func many(n int, v any) []any {
	list := make([]any, n)
	for i := range list {
		list[i] = v
	}
	return list
}

// Each documented limit of each request, broken in its example file: the refusal names the field, the limit and the
// length, and never the value. What is just inside the limit passes.
func TestEveryRequestLimit(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	char := func(n int) string { return strings.Repeat("你", n) } // 3 bytes each
	question := map[string]any{"text": map[string]any{"content": "q"}}
	answer := map[string]any{"text": map[string]any{"content": "a"}}
	attachment := map[string]any{"msgtype": "image", "image": map[string]any{"media_id": "M"}}
	const day = 24 * 3600
	tried := map[string]bool{}
	for _, c := range []struct {
		path, variant, set string
		ok, bad            any // nil: nothing is tried, or the field is taken away
		field              string
		limit, got         int // of the refusal, where it is a size
	}{
		{"gettoken", "", "corpid", "ww", nil, "corpid", 0, 0},
		{"gettoken", "", "corpsecret", "s", "", "corpsecret", 0, 0},
		{"token", "", "appid", "wx", "ww0000sim000000001", "appid", 0, 0},
		{"token", "", "secret", "s", "", "secret", 0, 0},
		{"token", "", "grant_type", nil, "CANARY", "grant_type", 0, 0},
		{"stable_token", "", "appid", "wx", "", "appid", 0, 0},
		{"stable_token", "", "appid", "wx", "ww1", "appid", 0, 0},
		{"kf/sync_msg", "", "limit", 1000, 1001, "limit", 1000, 1001},
		{"kf/sync_msg", "", "limit", 1, -1, "limit", 1000, -1},
		{"kf/sync_msg", "", "voice_format", 0, 2, "voice_format", 0, 0},
		{"kf/sync_msg", "", "open_kfid", x(64), x(65), "open_kfid", 64, 65},
		{"kf/send_msg", "", "touser", x(64), x(65), "touser", 64, 65},
		{"kf/send_msg", "", "touser", nil, "", "touser", 0, 0},
		{"kf/send_msg", "", "open_kfid", nil, "", "open_kfid", 0, 0},
		{"kf/send_msg", "", "msgid", x(32), x(33), "msgid", 32, 33},
		{"kf/send_msg", "", "msgid", "a_-Z9", "CANARY 1", "msgid", 0, 0},
		{"kf/send_msg", "", "msgtype", nil, "CANARY", "msgtype", 0, 0},
		{"kf/send_msg", "", "text.content", x(2048), x(2049), "text.content", 2048, 2049},
		{"kf/send_msg", "", "text.content", nil, "", "text.content", 0, 0},
		{"kf/send_msg", "image", "image.media_id", x(128), x(129), "image.media_id", 128, 129},
		{"kf/send_msg", "voice", "voice.media_id", nil, "", "voice.media_id", 0, 0},
		{"kf/send_msg", "video", "video.media_id", nil, "", "video.media_id", 0, 0},
		{"kf/send_msg", "file", "file.media_id", nil, "", "file.media_id", 0, 0},
		{"kf/send_msg", "link", "link.title", x(128), x(129), "link.title", 128, 129},
		{"kf/send_msg", "link", "link.desc", x(512), x(513), "link.desc", 512, 513},
		{"kf/send_msg", "link", "link.url", "https://" + x(2040), "https://" + x(2041), "link.url", 2048, 2049},
		{"kf/send_msg", "link", "link.url", "http://e.example", "ftp://CANARY", "link.url", 0, 0},
		{"kf/send_msg", "miniprogram", "miniprogram.title", x(64), x(65), "miniprogram.title", 64, 65},
		{"kf/send_msg", "miniprogram", "miniprogram.pagepath", nil, "", "miniprogram.pagepath", 0, 0},
		{"kf/send_msg", "msgmenu", "msgmenu.head_content", x(1024), x(1025), "msgmenu.head_content", 1024, 1025},
		{"kf/send_msg", "msgmenu", "msgmenu.tail_content", x(1024), x(1025), "msgmenu.tail_content", 1024, 1025},
		{"kf/send_msg", "msgmenu", "msgmenu.list.0.click.id", x(128), x(129), "msgmenu.list[0].click.id", 128, 129},
		{"kf/send_msg", "msgmenu", "msgmenu.list.3.text.content", x(256), x(257), "msgmenu.list[3].text.content", 256, 257},
		{"kf/send_msg", "location", "location.latitude", 90, 90.5, "location.latitude", 0, 0},
		{"kf/send_msg", "location", "location.longitude", -180, -180.5, "location.longitude", 0, 0},
		{"kf/send_msg", "business_card", "business_card.userid", x(64), x(65), "business_card.userid", 64, 65},
		{"kf/send_msg", "ca_link", "ca_link.link_url", nil, "CANARY", "ca_link.link_url", 0, 0},
		{"kf/send_msg_on_event", "", "code", nil, "", "code", 0, 0},
		{"kf/send_msg_on_event", "", "msgid", x(32), x(33), "msgid", 32, 33},
		{"kf/recall_msg", "", "msgid", x(32), x(33), "msgid", 32, 33},
		{"kf/recall_msg", "", "msgid", nil, "", "msgid", 0, 0},
		{"kf/recall_msg", "", "open_kfid", nil, "", "open_kfid", 0, 0},
		{"kf/service_state/get", "", "external_userid", x(64), x(65), "external_userid", 64, 65},
		{"kf/service_state/trans", "", "service_state", 3, 5, "service_state", 0, 0},
		{"kf/service_state/trans", "", "service_state", nil, nil, "service_state", 0, 0},
		{"kf/service_state/trans", "", "service_state", nil, "CANARY", "service_state", 0, 0},
		{"kf/service_state/trans", "", "servicer_userid", x(64), x(65), "servicer_userid", 64, 65},
		{"kf/service_state/trans", "", "servicer_userid", nil, "", "servicer_userid", 0, 0},
		{"kf/account/add", "", "name", char(16), char(17), "name", 16, 17},
		{"kf/account/add", "", "name", nil, "", "name", 0, 0},
		{"kf/account/add", "", "media_id", x(128), x(129), "media_id", 128, 129},
		{"kf/account/del", "", "open_kfid", x(64), x(65), "open_kfid", 64, 65},
		{"kf/account/update", "", "open_kfid", nil, "", "open_kfid", 0, 0},
		{"kf/account/update", "", "name", char(16), char(17), "name", 16, 17},
		{"kf/account/update", "", "media_id", x(128), x(129), "media_id", 128, 129},
		{"kf/account/list", "", "limit", 100, 101, "limit", 100, 101},
		{"kf/account/list", "", "offset", 0, -1, "offset", 1<<31 - 1, -1},
		{"kf/add_contact_way", "", "open_kfid", nil, "", "open_kfid", 0, 0},
		{"kf/add_contact_way", "", "scene", x(32), x(33), "scene", 32, 33},
		{"kf/add_contact_way", "", "scene", "aZ9_-", "CANARY!", "scene", 0, 0},
		{"kf/servicer/add", "", "userid_list", many(100, "a"), many(101, "a"), "userid_list", 100, 101},
		{"kf/servicer/add", "", "userid_list.1", x(64), x(65), "userid_list[1]", 64, 65},
		{"kf/servicer/add", "", "department_id_list", many(100, 2), many(101, 2), "department_id_list", 100, 101},
		{"kf/servicer/del", "", "userid_list", []any{}, many(101, "a"), "userid_list", 100, 101},
		{"kf/servicer/list", "", "open_kfid", x(64), "", "open_kfid", 0, 0},
		{"idconvert/open_kfid", "", "open_kfid_list", many(1, "a"), []any{}, "open_kfid_list", 1, 0},
		{"idconvert/open_kfid", "", "open_kfid_list.1", x(64), x(65), "open_kfid_list[1]", 64, 65},
		{"kf/customer/batchget", "", "external_userid_list", many(100, "a"), many(101, "a"), "external_userid_list", 100, 101},
		{"kf/customer/batchget", "", "external_userid_list", many(1, "a"), []any{}, "external_userid_list", 1, 0},
		{"kf/customer/batchget", "", "external_userid_list.0", x(64), "", "external_userid_list[0]", 0, 0},
		{"kf/customer/batchget", "", "need_enter_session_context", 1, 2, "need_enter_session_context", 0, 0},
		{"kf/customer/upgrade_service", "", "type", 1, 3, "type", 0, 0},
		{"kf/customer/upgrade_service", "", "type", nil, 2, "member", 0, 0},
		{"kf/customer/upgrade_service", "", "member", nil, nil, "member", 0, 0},
		{"kf/customer/upgrade_service", "", "groupchat", nil, map[string]any{"chat_id": "wr"}, "groupchat", 0, 0},
		{"kf/customer/upgrade_service", "", "member.userid", x(64), x(65), "member.userid", 64, 65},
		{"kf/customer/upgrade_service", "groupchat", "groupchat.chat_id", "wr", "", "groupchat.chat_id", 0, 0},
		{"kf/customer/upgrade_service", "groupchat", "groupchat", nil, nil, "groupchat", 0, 0},
		{"kf/customer/cancel_upgrade_service", "", "external_userid", x(64), x(65), "external_userid", 64, 65},
		{"kf/get_corp_statistic", "", "end_time", 1700006400 + 31*day, 1700006400 + 31*day + 1, "end_time", 31 * day, 31*day + 1},
		{"kf/get_corp_statistic", "", "end_time", 1700006400, 1700006399, "end_time", 0, 0},
		{"kf/get_corp_statistic", "", "start_time", nil, nil, "start_time", 0, 0},
		{"kf/get_corp_statistic", "", "end_time", nil, 1 << 33, "end_time", 0, 0},
		{"kf/get_corp_statistic", "", "open_kfid", x(64), x(65), "open_kfid", 64, 65},
		{"kf/get_servicer_statistic", "", "servicer_userid", x(64), x(65), "servicer_userid", 64, 65},
		{"kf/get_servicer_statistic", "", "end_time", nil, 1700006400 + 32*day, "end_time", 31 * day, 32 * day},
		{"kf/knowledge/add_group", "", "name", char(12), char(13), "name", 12, 13},
		{"kf/knowledge/add_group", "", "name", nil, "", "name", 0, 0},
		{"kf/knowledge/del_group", "", "group_id", nil, "", "group_id", 0, 0},
		{"kf/knowledge/mod_group", "", "group_id", nil, "", "group_id", 0, 0},
		{"kf/knowledge/mod_group", "", "name", char(12), char(13), "name", 12, 13},
		{"kf/knowledge/list_group", "", "limit", 1000, 1001, "limit", 1000, 1001},
		{"kf/knowledge/add_intent", "", "group_id", nil, "", "group_id", 0, 0},
		{"kf/knowledge/add_intent", "", "question", question, nil, "question", 0, 0},
		{"kf/knowledge/add_intent", "", "question.text.content", char(200), char(201), "question.text.content", 200, 201},
		{"kf/knowledge/add_intent", "", "question.text.content", nil, "", "question.text.content", 0, 0},
		{"kf/knowledge/add_intent", "", "similar_questions.items", many(100, question), many(101, question), "similar_questions.items", 100, 101},
		{"kf/knowledge/add_intent", "", "similar_questions.items.1.text.content", char(200), char(201), "similar_questions.items[1].text.content", 200, 201},
		{"kf/knowledge/add_intent", "", "answers", many(1, answer), many(2, answer), "answers", 1, 2},
		{"kf/knowledge/add_intent", "", "answers", nil, []any{}, "answers", 1, 0},
		{"kf/knowledge/add_intent", "", "answers.0.text.content", char(500), char(501), "answers[0].text.content", 500, 501},
		{"kf/knowledge/add_intent", "", "answers.0.attachments", many(4, attachment), many(5, attachment), "answers[0].attachments", 4, 5},
		{"kf/knowledge/add_intent", "", "answers.0.attachments.0.msgtype", nil, "CANARY", "answers[0].attachments[0].msgtype", 0, 0},
		{"kf/knowledge/add_intent", "", "answers.0.attachments.0.video", nil, map[string]any{"media_id": "M"}, "answers[0].attachments[0].video", 0, 0},
		{"kf/knowledge/add_intent", "", "answers.0.attachments.2.link", nil, nil, "answers[0].attachments[2].link", 0, 0},
		{"kf/knowledge/add_intent", "", "answers.0.attachments.0.image.media_id", x(128), x(129), "answers[0].attachments[0].image.media_id", 128, 129},
		{"kf/knowledge/add_intent", "", "answers.0.attachments.1.video.media_id", nil, "", "answers[0].attachments[1].video.media_id", 0, 0},
		{"kf/knowledge/add_intent", "", "answers.0.attachments.3.miniprogram.thumb_media_id", x(128), x(129), "answers[0].attachments[3].miniprogram.thumb_media_id", 128, 129},
		{"kf/knowledge/del_intent", "", "intent_id", nil, "", "intent_id", 0, 0},
		{"kf/knowledge/mod_intent", "", "intent_id", nil, "", "intent_id", 0, 0},
		{"kf/knowledge/mod_intent", "", "question", nil, map[string]any{"text": map[string]any{"content": ""}}, "question.text.content", 0, 0},
		{"kf/knowledge/mod_intent", "", "answers", []any{}, many(2, answer), "answers", 1, 2},
		{"kf/knowledge/list_intent", "", "limit", 1000, 1001, "limit", 1000, 1001},
		{"media/upload", "", "type", "file", "CANARY", "type", 0, 0},
		{"media/upload", "", "filelength", 6, 5, "media", 10 << 20, 5},
		{"media/upload", "", "filelength", 10 << 20, 10<<20 + 1, "media", 10 << 20, 10<<20 + 1},
		{"media/upload", "", "filename", "报价.png", "a/CANARY", "filename", 0, 0},
		{"media/upload", "", "content_type", "image/jpg", "CANARY\r\n", "content_type", 0, 0},
		{"media/uploadimg", "", "filelength", 5, 4, "media", 2 << 20, 4},
		{"media/uploadimg", "", "filelength", 2 << 20, 2<<20 + 1, "media", 2 << 20, 2<<20 + 1},
		{"media/uploadimg", "", "filename", "a", "", "filename", 0, 0},
		{"media/upload_by_url", "", "scene", 1, 0, "scene", 0, 0},
		{"media/upload_by_url", "", "type", "file", "CANARY", "type", 0, 0},
		{"media/upload_by_url", "", "filename", nil, "", "filename", 0, 0},
		{"media/upload_by_url", "", "url", "http://e", "CANARY", "url", 0, 0},
		{"media/upload_by_url", "", "md5", strings.Repeat("aF", 16), x(31), "md5", 32, 31},
		{"media/get_upload_by_url_result", "", "jobid", nil, "", "jobid", 0, 0},
		{"media/get", "", "media_id", nil, "", "media_id", 0, 0},
		{"media/get/jssdk", "", "media_id", nil, "", "media_id", 0, 0},
	} {
		tried[c.path] = true
		name := c.path + " " + c.variant + " " + c.set
		if c.ok != nil {
			if err := changed(t, c.path, c.variant, c.set, c.ok); err != nil {
				t.Errorf("%s within the limit: %v", name, err)
			}
		}
		err := changed(t, c.path, c.variant, c.set, c.bad)
		var limit *LimitError
		switch {
		case !errors.As(err, &limit):
			t.Errorf("%s: got %v, want a refusal", name, err)
		case limit.Field != c.field || limit.Limit != c.limit || limit.Got != c.got:
			t.Errorf("%s: got %+v", name, *limit)
		case strings.Contains(err.Error(), "CANARY") || strings.Contains(err.Error(), "xxx") || strings.Contains(err.Error(), "你"):
			t.Errorf("%s: %v shows the value", name, err)
		}
	}
	for _, e := range endpoints() {
		if e.Request != nil && !tried[e.Path] {
			t.Errorf("no limit of %s is tried", e.Path)
		}
	}
}

// changed checks the example of a request with one value in it replaced.
func changed(t *testing.T, path, variant, set string, value any) error {
	t.Helper()
	e, ok := LookupEndpoint(path)
	if !ok {
		t.Fatal(path)
	}
	files := wire(t, path, "request")
	file := files[0]
	for _, f := range files {
		if variant == "" && strings.HasSuffix(f, ".request.json") || variant != "" && strings.HasSuffix(f, ".request."+variant+".json") {
			file = f
		}
	}
	example := tree(t, read(t, file))
	put(t, example, set, value)
	raw, err := json.Marshal(example)
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.check(raw)
	return err
}

func TestCallRefusesBadJSON(t *testing.T) {
	s := serve(t, says(`{"errcode":0}`))
	for body, field := range map[string]string{
		`{"limit":"CANARY"}`:              "limit",
		`{"limit":1,"limit":2}`:           "body",
		`{"limit":1,"Limit":5000}`:        "body",
		`{"limit":1,"a":[{"ſ":1,"S":2}]}`: "body",
		`[]`:                              "body",
		`{"limit":1`:                      "body",
		"{\"x\":\"\xff\"}":                "body",
	} {
		_, err := s.Call(background(t), token, "kf/account/list", json.RawMessage(body))
		var limit *LimitError
		if !errors.As(err, &limit) || limit.Field != field || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: got %v, want a refusal of %s", body, err, field)
		}
	}
	if n := s.count(); n != 0 {
		t.Errorf("the server saw %d requests, want 0", n)
	}
	if _, err := s.Call(background(t), token, "kf/account/list", json.RawMessage(`{"limit":1,"new_field":[1.50]}`)); err != nil || s.last(t).body != `{"limit":1,"new_field":[1.50]}` {
		t.Errorf("a new field: got %s, %v", s.last(t).body, err)
	}
}
