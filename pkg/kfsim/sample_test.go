package kfsim

import (
	"encoding/json"
	"net/url"
	"testing"
)

// inboundTypes are the message types of the platform's page, and who can send them.
func inboundTypes() map[string]string {
	return map[string]string{
		"text": "CS", "image": "CS", "voice": "CS", "video": "CS", "file": "CS", "location": "CS", "link": "CS", "business_card": "CS",
		"miniprogram": "CS", "msgmenu": "S", "channels_shop_product": "C", "channels_shop_order": "C", "merged_msg": "C", "channels": "C",
		"note": "C", "meeting": "S", "schedule": "S",
	}
}

func TestSamplesOfEveryType(t *testing.T) {
	r := newRig(t, Config{})
	r.enterState(stateHuman)
	for kind, who := range inboundTypes() {
		var err error
		for _, c := range who {
			origin := 3.0
			if c == 'C' {
				_, err = r.Say(Say{OpenKfID: kf, ExternalUserID: ann, MsgType: kind, Sample: true})
			} else {
				origin = 5
				_, err = r.ServicerSay(ServicerSay{OpenKfID: kf, ExternalUserID: ann, UserID: "lisi", MsgType: kind, Sample: true})
			}
			r.must(err)
			items := r.pull(nil).items()
			it := items[len(items)-1]
			body, there := it[kind].(map[string]any)
			none := kind == "note" || kind == "meeting" || kind == "schedule"
			if it.str("msgtype") != kind || it["origin"] != origin || there == none {
				t.Errorf("%s by %c: got %v", kind, c, it)
			}
			if id, _ := body["media_id"].(string); id != "" {
				if w := r.do("GET", "media/get", url.Values{"access_token": {r.token}, "media_id": {id}}, nil); w.Header().Get("Content-Disposition") == "" {
					t.Errorf("%s: media/get gave %s", kind, w.Body)
				}
			}
		}
	}
	if n := len(sampleBodies()) + len(sampleFiles()); n != len(inboundTypes()) {
		t.Errorf("got samples of %d types, want %d", n, len(inboundTypes()))
	}
	var merged struct {
		Item []struct {
			Content string `json:"msg_content"`
		} `json:"item"`
	}
	r.must(json.Unmarshal(sampleBodies()["merged_msg"], &merged))
	for _, it := range merged.Item {
		if !json.Valid([]byte(it.Content)) {
			t.Errorf("msg_content %s is no JSON", it.Content)
		}
	}
	for kind, f := range sampleFiles() {
		if a := checkUpload(kind, f.FileName, f.Data, Personality{}.withDefaults()); a.code != 0 {
			t.Errorf("the sample of %s would not pass as an upload: %s", kind, a.why)
		}
	}
	for name, m := range map[string]Say{"unknown": {MsgType: "smoke"}, "with body": {MsgType: "note", Body: []byte("{}")}, "event": {MsgType: "event"}} {
		m.OpenKfID, m.ExternalUserID, m.Sample = kf, ann, true
		if _, err := r.Say(m); err == nil {
			t.Errorf("a sample that is %s was said", name)
		}
	}
}

func TestChannelsEntry(t *testing.T) {
	r := newRig(t, Config{})
	_, err := r.Enter(Enter{OpenKfID: kf, ExternalUserID: ann, WechatChannels: []byte(`{"nickname":"Shop TV","scene":2}`)})
	r.must(err)
	if c, _ := r.lastEvent(kf)["wechat_channels"].(map[string]any); c["nickname"] != "Shop TV" || c["scene"] != 2.0 {
		t.Errorf("event: got %v", r.lastEvent(kf))
	}
	got := r.post("kf/customer/batchget", obj{"external_userid_list": []string{ann}, "need_enter_session_context": 1}).rows("customer_list")
	context, _ := got[0]["enter_session_context"].(map[string]any)
	if c, _ := context["wechat_channels"].(map[string]any); c["scene"] != 2.0 {
		t.Errorf("batchget: got %v", got)
	}
}
