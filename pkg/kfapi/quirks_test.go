package kfapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestContactURL(t *testing.T) {
	const link = "https://work.weixin.qq.com/kf/kfc0123456789abcdef?enc_scene=ENCsim1%2B"
	for _, c := range []struct {
		name, link, param, want string // want: the link, or the field that is refused
	}{
		{"plain", link, "a=1&b=2", link + "&scene_param=a%3D1%26b%3D2"},
		{"a space and Chinese", link, "a b+你", link + "&scene_param=a%20b%2B%E4%BD%A0"},
		{"128 bytes", link, strings.Repeat("x", 128), link + "&scene_param=" + strings.Repeat("x", 128)},
		{"129 bytes", link, strings.Repeat("x", 129), "scene_param"},
		{"nothing", link, "", "scene_param"},
		{"no enc_scene", "https://work.weixin.qq.com/kf/kfc01", "a", "link"},
		{"an empty one", "https://work.weixin.qq.com/kf/kfc01?enc_scene=", "a", "link"},
		{"the old one", "https://work.weixin.qq.com/kf/kfc01?encScene=E", "a", "link"},
		{"both", link + "&encScene=E", "a", "link"},
		{"one already", link + "&scene_param=b", "a", "link"},
		{"a fragment", link + "#x", "a", "link"},
		{"a broken query", link + "&a=%zz", "a", "link"},
		{"no link", "kfc01?enc_scene=1", "a", "link"},
		{"another scheme", "ftp://e.example/?enc_scene=1", "a", "link"},
	} {
		got, err := ContactURL(c.link, c.param)
		var limit *LimitError
		if errors.As(err, &limit) {
			got = limit.Field
		}
		if got != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.name, got, err, c.want)
		}
	}
}

func TestServicerRowsThatFailed(t *testing.T) {
	var got ServicerAddResponse
	if err := json.Unmarshal(read(t, wire(t, "kf/servicer/add", "reply")[0]), &got); err != nil {
		t.Fatal(err)
	}
	want := []ServicerResult{{DepartmentID: 4, ErrCode: 60003, ErrMsg: "department not found"}}
	if failed := got.Failed(); !reflect.DeepEqual(failed, want) {
		t.Errorf("got %+v, want %+v", failed, want)
	}
	if failed := (ServicerDelResponse{ResultList: []ServicerResult{{UserID: "a", ErrMsg: "ignored"}}}).Failed(); failed != nil {
		t.Errorf("ignored: got %+v, want none", failed)
	}
}

// What sources write in more than one way is read in each.
func TestLooseReplies(t *testing.T) {
	for _, c := range []struct{ into, raw, want string }{
		{"kf/knowledge/list_intent", `{"has_more":true,"intent_list":[{"intent_id":"i","question":{"text":{"content":"q"},"similar_questions":{"items":[{"text":{"content":"s"}}]},"answers":[{"text":{"content":"a"},"attachments":[{"msgtype":"link","link":{"picurl":"P"}}]}]}}]}`,
			`{"next_cursor":"","has_more":1,"intent_list":[{"group_id":"","intent_id":"i","question":{"text":{"content":"q"}},"similar_questions":{"items":[{"text":{"content":"s"}}]},"answers":[{"text":{"content":"a"},"attachments":[{"msgtype":"link","link":{"pic_url":"P"}}]}]}],"errmsg":""}`},
		{"kf/knowledge/list_group", `{"has_more":0,"group_list":[{"is_default":true}]}`,
			`{"next_cursor":"","has_more":0,"group_list":[{"group_id":"","name":"","is_default":1}],"errmsg":""}`},
		{"media/upload", `{"type":"image","media_id":"M","created_at":1700000000}`, `{"type":"image","media_id":"M","created_at":"1700000000","errmsg":""}`},
		{"kf/get_corp_qualification", `{"wechat_channels_binding":1}`, `{"wechat_channels_binding":true,"errmsg":""}`},
		{"kf/account/list", `{"account_list":[{"manage_privilege":0}]}`, `{"account_list":[{"open_kfid":"","name":"","avatar":"","manage_privilege":false}],"errmsg":""}`},
		{"kf/sync_msg", `{"errcode":0,"has_more":true,"next_cursor":null,"msg_list":null}`, `{"errmsg":"","next_cursor":"","has_more":1,"msg_list":[]}`},
	} {
		e, _ := LookupEndpoint(c.into)
		v := e.Reply()
		err := json.Unmarshal([]byte(c.raw), v)
		if got, _ := encode(v); err != nil || string(got) != c.want {
			t.Errorf("%s: got  %s, %v\nwant %s", c.into, got, err, c.want)
		}
	}
	for _, raw := range []string{`{"errcode":40001}`, `{"errcode":0}`, `[]`} {
		if err := json.Unmarshal([]byte(raw), new(SyncMsgResponse)); err == nil {
			t.Errorf("%s: read as a page", raw)
		}
	}
	product := ParseItem([]byte(`{"msgtype":"channels_shop_product","channels_shop_product":{"head_img":"H","shop_head_img":"S","sales_price":19900}}`))
	got, err := product.Typed()
	if want := (&ChannelsShopProduct{HeadImage: "H", ShopHeadImage: "S", SalesPrice: "19900"}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestKnowledgeSendsNothingEmpty(t *testing.T) {
	s := serve(t, says(`{"errcode":0,"intent_id":"i"}`))
	_, err := s.KnowledgeModIntent(background(t), token, KnowledgeModIntentRequest{IntentID: "i", SimilarQuestions: &SimilarQuestions{}})
	if want := `{"intent_id":"i","similar_questions":{"items":[]}}`; err != nil || s.last(t).body != want {
		t.Errorf("got %s, %v, want %s", s.last(t).body, err, want)
	}
	_, err = s.KnowledgeAddIntent(background(t), token, KnowledgeAddIntentRequest{
		GroupID: "g", Question: &KnowledgeQuestion{KnowledgeText{"q"}},
		Answers: []KnowledgeAnswer{{KnowledgeText{"a"}, []KnowledgeAttachment{{MsgType: "image", Image: &KnowledgeFile{MediaID: "M"}}}}},
	})
	want := `{"group_id":"g","question":{"text":{"content":"q"}},"answers":[{"text":{"content":"a"},"attachments":[{"msgtype":"image","image":{"media_id":"M"}}]}]}`
	if err != nil || s.last(t).body != want {
		t.Errorf("got %s, %v, want %s", s.last(t).body, err, want)
	}
}

func TestUpgradeSendsOneObject(t *testing.T) {
	s := serve(t, says(`{"errcode":0}`))
	for _, c := range []struct {
		req  CustomerUpgradeServiceRequest
		want string
	}{
		{UpgradeToMember("wk", "wm", "lisi", ""), `{"open_kfid":"wk","external_userid":"wm","type":1,"member":{"userid":"lisi"}}`},
		{UpgradeToGroupChat("wk", "wm", "wr", "hi"), `{"open_kfid":"wk","external_userid":"wm","type":2,"groupchat":{"chat_id":"wr","wording":"hi"}}`},
	} {
		if _, err := s.CustomerUpgradeService(background(t), token, c.req); err != nil || s.last(t).body != c.want {
			t.Errorf("got %s, %v, want %s", s.last(t).body, err, c.want)
		}
	}
}

func TestOfficialTokens(t *testing.T) {
	wecom := serve(t, says(`{"errcode":0}`))
	official := serve(t, says(`{"access_token":"oa","expires_in":7200,"extra":1}`))
	c, err := New(Config{BaseURL: wecom.url, OfficialBaseURL: official.url})
	if err != nil {
		t.Fatal(err)
	}
	ctx := background(t)
	got, err := c.OfficialToken(ctx, "wx1", "s+/=")
	if err != nil || got.AccessToken != "oa" || got.ExpiresIn != 2*time.Hour || !strings.Contains(string(got.Raw), "extra") {
		t.Errorf("got %v, %v", got, err)
	}
	if r := official.last(t); r.method != "GET" || r.path != "/cgi-bin/token" || r.query != "appid=wx1&grant_type=client_credential&secret=s%2B%2F%3D" {
		t.Errorf("got %+v", r)
	}
	for force, want := range map[bool]string{
		false: `{"grant_type":"client_credential","appid":"wx1","secret":"s"}`,
		true:  `{"grant_type":"client_credential","appid":"wx1","secret":"s","force_refresh":true}`,
	} {
		got, err := c.StableToken(ctx, "wx1", "s", force)
		if r := official.last(t); err != nil || got.AccessToken != "oa" || r.method != "POST" || r.path != "/cgi-bin/stable_token" || r.body != want || r.query != "" {
			t.Errorf("got %v, %v, %+v", got, err, r)
		}
	}
	if _, ok := c.ServerOffset(); ok || wecom.count() != 0 {
		t.Error("the other platform was asked, or the clock of this one believed")
	}
	for body, want := range map[string]string{
		`{"errcode":40125,"errmsg":"invalid appsecret"}`:                  "token: errcode 40125",
		`{"errcode":40125,"access_token":"oa","expires_in":7200}`:         "token: errcode 40125",
		`{"errcode":0,"access_token":"","expires_in":7200}`:               "missing",
		`{"access_token":"oa"}`:                                           "missing",
		`{}`:                                                              "missing",
		`{"errcode":"0","access_token":"oa","expires_in":7200}`:           whyNoCode,
		`{"errcode":0,"errcode":0,"access_token":"oa","expires_in":7200}`: whyNoCode,
		`{"access_token":"oa","expires_in":"x"}`:                          "wrong type",
		`<html>`:                                                          whyNotJSON,
	} {
		s := serve(t, says(body))
		if got, err := s.OfficialToken(ctx, "wx1", "s"); err == nil || !strings.Contains(err.Error(), want) || got.AccessToken != "" {
			t.Errorf("%s: got %v, %v, want %s", body, got, err, want)
		}
	}
	// A success of the corp's own calls still needs its errcode.
	if _, err := official.GetToken(ctx, "ww1", "s"); !isBody(200)("gettoken", err) {
		t.Errorf("gettoken: got %v", err)
	}
}

func TestSwappedCredentials(t *testing.T) {
	s := serve(t, says(`{"errcode":40013,"errmsg":"invalid appid"}`))
	ctx := background(t)
	_, err := s.OfficialToken(ctx, "ww0000sim000000001", secretCanary)
	if !NotSent(err) || !strings.Contains(err.Error(), "gettoken") || s.count() != 0 {
		t.Errorf("a corpid as appid: got %v", err)
	}
	if _, err := s.StableToken(ctx, "ww0000sim000000001", secretCanary, false); !NotSent(err) {
		t.Errorf("a corpid as appid: got %v", err)
	}
	// Old corps have ids that begin with wx, so only the platform's refusal tells.
	_, err = s.GetToken(ctx, "wx0000000000000001", secretCanary)
	if code, _ := Code(err); code != 40013 || !strings.Contains(err.Error(), "stable_token") {
		t.Errorf("an appid as corpid: got %v", err)
	}
	if _, err = s.GetToken(ctx, "ww1", secretCanary); strings.Contains(err.Error(), "stable_token") {
		t.Errorf("a corpid: got %v", err)
	}
}

func TestCredentialsPrintNoSecret(t *testing.T) {
	for _, r := range []any{
		GetTokenRequest{"ww1", secretCanary}, OfficialTokenRequest{grantType, "wx1", secretCanary}, StableTokenRequest{grantType, "wx1", secretCanary, true},
		GetTokenResponse{AccessToken: secretCanary, Reply: Reply{Raw: []byte(secretCanary)}},
	} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
			if got := fmt.Sprintf(format, r); strings.Contains(got, "CANARY") || strings.Contains(got, "67, 65, 78") {
				t.Errorf("%s: got %s", format, got)
			}
		}
	}
}

func TestMergedWalk(t *testing.T) {
	nest := func(content string) string {
		inside, _ := json.Marshal(content)
		return `{"msgtype":"merged_msg","merged_msg":{"title":"T","item":[{"send_time":7,"msgtype":"text","sender_name":"Ann","msg_content":"{\"text\":{\"content\":\"a\"}}"},{"msgtype":3,"msg_content":"CANARY"},{"msgtype":"merged_msg","msg_content":` + string(inside) + `}]}}`
	}
	walk := func(levels int) (log []string, err error) {
		raw := `{"msgtype":"text","text":{"content":"deep"}}`
		for range levels {
			raw = nest(raw)
		}
		var merged MergedMsg
		if err := ParseItem([]byte(raw)).Body(&merged); err != nil {
			t.Fatal(err)
		}
		err = merged.Walk(func(depth int, from MergedItem, it Item) {
			what := it.MsgType
			if v, err := it.Typed(); err == nil {
				if text, ok := v.(*ReceivedText); ok {
					what = text.Content + fmt.Sprint(it.SendTime)
				}
			}
			if it.Err != nil {
				what = "bad"
			}
			log = append(log, fmt.Sprint(depth, " ", what))
		})
		return log, err
	}
	got, err := walk(2)
	if want := []string{"1 a7", "1 bad", "1 merged_msg", "2 a7", "2 bad", "2 deep0"}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	// Each level doubles the escapes, so a history that is nested for ever is made in memory only.
	deep := MergedMsg{}
	if err := deep.walk(maxMerged, func(int, MergedItem, Item) {}); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if err := deep.walk(maxMerged+1, func(int, MergedItem, Item) {}); err == nil || !strings.Contains(err.Error(), "16") {
		t.Errorf("beyond the limit: got %v", err)
	}
}

func TestTypedOfWhatNobodyKnows(t *testing.T) {
	for _, raw := range []string{`{"msgtype":"brand_new","brand_new":{}}`, `{"msgtype":"event","event":{"event_type":"brand_new"}}`, `{}`} {
		if v, err := ParseItem([]byte(raw)).Typed(); !errors.Is(err, ErrUnknownType) || v != nil {
			t.Errorf("%s: got %v, %v", raw, v, err)
		}
	}
	if v, err := ParseItem([]byte(`{"msgtype":"note"}`)).Typed(); err != nil || !reflect.DeepEqual(v, &ReceivedOpaque{}) {
		t.Errorf("a note without a body: got %v, %v", v, err)
	}
	if v, err := ParseItem([]byte(`{"msgtype":"text","text":{"content":7}}`)).Typed(); err == nil || v != nil {
		t.Errorf("a text of the wrong type: got %v, %v", v, err)
	}
}

func TestOfficialBaseURLIsHeldToTheSameRules(t *testing.T) {
	for _, bad := range []string{"http://api.example", "https://u:CANARY@api.example", "api.example"} {
		if _, err := New(Config{OfficialBaseURL: bad}); err == nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: got %v, want a clean refusal", bad, err)
		}
	}
	if c, err := New(Config{}); err != nil || c.official != DefaultOfficialBaseURL {
		t.Errorf("got %+v, %v", c, err)
	}
}
