package kfsim

import (
	"net/url"
	"strings"
	"testing"
)

// platformIndex is the platform's list of calls: how each is called, and whether without a token.
const platformIndex = `
GET gettoken open
GET getcallbackip
GET get_api_domain_ip
POST kf/sync_msg
POST kf/send_msg
POST kf/send_msg_on_event
POST kf/recall_msg
POST kf/service_state/get
POST kf/service_state/trans
POST kf/account/add
POST kf/account/del
POST kf/account/update
POST kf/account/list
POST kf/add_contact_way
POST kf/servicer/add
POST kf/servicer/del
GET kf/servicer/list
POST kf/customer/batchget
GET kf/customer/get_upgrade_service_config
POST kf/customer/upgrade_service
POST kf/customer/cancel_upgrade_service
GET kf/get_corp_qualification
POST kf/get_corp_statistic
POST kf/get_servicer_statistic
POST kf/knowledge/add_group
POST kf/knowledge/del_group
POST kf/knowledge/mod_group
POST kf/knowledge/list_group
POST kf/knowledge/add_intent
POST kf/knowledge/del_intent
POST kf/knowledge/mod_intent
POST kf/knowledge/list_intent
POST media/upload
POST media/uploadimg
POST media/upload_by_url
POST media/get_upload_by_url_result
GET media/get
GET media/get/jssdk
POST idconvert/open_kfid
GET token open
POST stable_token open
`

// TestEveryCallIsThere calls each path of the index as the index says, without a token: whoever needs
// one says so, and nobody says that the method is wrong.
func TestEveryCallIsThere(t *testing.T) {
	r := newRig(t, Config{})
	there := platformEndpoints()
	n := 0
	for line := range strings.Lines(strings.TrimSpace(platformIndex)) {
		n++
		f := strings.Fields(line)
		method, path, open := f[0], f[1], len(f) > 2
		if there[path].handle == nil {
			t.Errorf("%s is not served", path)
			continue
		}
		w := r.do(method, path, url.Values{}, strings.NewReader("{}"))
		got, why := r.parse(w), w.Header().Get("Kfsim-Reason")
		if (got.code() != 41001) != open || strings.Contains(why, "method") {
			t.Errorf("%s %s without a token: got %d, %s", method, path, got.code(), why)
		}
		if method == "POST" && path != "kf/account/list" {
			w := r.do("GET", path, url.Values{"access_token": {r.token}}, nil)
			r.wantCode("GET "+path, r.parse(w), 40058)
		}
	}
	if n != len(there) {
		t.Errorf("the index has %d calls, the simulator serves %d", n, len(there))
	}
}
