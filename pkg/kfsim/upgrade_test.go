package kfsim

import (
	"fmt"
	"net/url"
	"testing"
	"time"
)

func TestUpgradeService(t *testing.T) {
	r := newRig(t, Config{})
	config := func() answered {
		return r.get("kf/customer/get_upgrade_service_config", url.Values{"access_token": {r.token}})
	}
	up := func(more obj) obj {
		m := obj{"open_kfid": kf, "external_userid": ann, "type": 1, "member": obj{"userid": "lisi", "wording": "hello"}}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	const path, cancel = "kf/customer/upgrade_service", "kf/customer/cancel_upgrade_service"
	r.staff()
	r.wantCode("not configured", r.post(path, up(nil)), 95021)
	if got := config(); got.code() != 0 || fmt.Sprint(got["member_range"], got["groupchat_range"]) != "map[department_id_list:[] userid_list:[]] map[chat_id_list:[]]" {
		t.Errorf("config without any: got %v", got)
	}
	r.setCorp(func(c *Corp) {
		c.Upgrade = &UpgradeRange{UserIDs: []string{"lisi"}, DepartmentIDs: []int{4}, ChatIDs: []string{"wrONE"}}
	})
	if got := config(); fmt.Sprint(got["member_range"], got["groupchat_range"]) != "map[department_id_list:[4] userid_list:[lisi]] map[chat_id_list:[wrONE]]" {
		t.Errorf("config: got %v", got)
	}
	group := func(id string) obj { return obj{"type": 2, "groupchat": obj{"chat_id": id}, "member": nil} }
	r.refusals([]refusal{
		{"member", path, up(nil), 0},
		{"member by department", path, up(obj{"member": obj{"userid": "sun"}}), 0},
		{"group", path, up(group("wrONE")), 0},
		{"member outside", path, up(obj{"member": obj{"userid": "wang"}}), 40058},
		{"group outside", path, up(group("wrTWO")), 40058},
		{"nobody", path, up(obj{"member": obj{"userid": "nobody"}}), 60111},
		{"member missing", path, up(obj{"member": nil}), 41009},
		{"group missing", path, up(obj{"type": 2}), 40058},
		{"type 3", path, up(obj{"type": 3}), 40058},
		{"unknown customer", path, up(obj{"external_userid": "wmX"}), 40096},
		{"missing customer", path, up(obj{"external_userid": ""}), 40058},
		{"unknown account", path, up(obj{"open_kfid": "wkX"}), 95004},
		{"there is one", cancel, up(nil), 0},
		{"there is none", cancel, up(nil), 0},
		{"unknown customer", cancel, up(obj{"external_userid": "wmX"}), 40096},
		{"unknown account", cancel, up(obj{"open_kfid": "wkX"}), 95004},
	})
	if p := r.Phone(kf, ann); len(p) != 4 || p[2].Notice != NoticeUpgradeOffered || p[3].Notice != NoticeUpgradeCancelled {
		t.Errorf("phone: got %+v, want three offers and one cancelled", p)
	}
	if r.AcceptUpgrade(Contact{kf, ann}) == nil {
		t.Error("took what was cancelled")
	}
	r.wantCode("offer", r.post(path, up(nil)), 0)
	r.must(r.AcceptUpgrade(Contact{kf, ann}))
	if r.AcceptUpgrade(Contact{kf, ann}) == nil {
		t.Error("took it twice")
	}
	r.setCorp(func(c *Corp) { c.Upgrade.Exclusive = true })
	r.wantCode("exclusive service", r.post(path, up(nil)), 95015)
	r.must(r.SetPersonality(Personality{NoUpgradeConfigCode: 95021, NoUpgradeCode: 40058, UpgradeRangeCode: 50002, MissingUserCode: 41035}))
	r.setCorp(func(c *Corp) { c.Upgrade.Exclusive = false })
	r.refusals([]refusal{
		{"cancel nothing, by a switch", cancel, up(obj{"external_userid": bob}), 40058},
		{"outside, by a switch", path, up(group("wrTWO")), 50002},
		{"missing customer, by a switch", path, up(obj{"external_userid": ""}), 41035},
	})
	r.setCorp(func(c *Corp) { c.Upgrade = nil })
	r.wantCode("config without any, by a switch", config(), 95021)
}

func TestQualificationAndCapacity(t *testing.T) {
	r := newRig(t, Config{})
	send := func(to string) answered {
		return r.post("kf/send_msg", obj{"touser": to, "open_kfid": kf, "msgtype": "text", "text": obj{"content": "x"}})
	}
	for _, c := range []struct {
		name  string
		corp  Corp
		bound bool
		ann   int
		bob   int // the customer after Ann
	}{
		{"99 before, not verified", Corp{Unverified: true, PastCustomers: 99}, false, 0, 95003},
		{"100 before, not verified", Corp{Unverified: true, PastCustomers: 100}, false, 95003, 95003},
		{"9999 before, no Channels", Corp{PastCustomers: 9999}, false, 0, 95003},
		{"10 million before, Channels", Corp{PastCustomers: 10_000_000, ChannelsBound: true}, true, 0, 0},
	} {
		r.setCorp(func(s *Corp) {
			s.Unverified, s.PastCustomers, s.ChannelsBound = c.corp.Unverified, c.corp.PastCustomers, c.corp.ChannelsBound
		})
		if got := r.get("kf/get_corp_qualification", url.Values{"access_token": {r.token}}); got.code() != 0 || got["wechat_channels_binding"] != c.bound {
			t.Errorf("%s: got %v, want %v", c.name, got, c.bound)
		}
		r.says(ann, "hi")
		r.says(bob, "hi")
		r.wantCode(c.name+": Ann", send(ann), c.ann)
		r.wantCode(c.name+": Bob", send(bob), c.bob)
	}
}

func TestBatchGetByAppAndSwitch(t *testing.T) {
	r := newRig(t, Config{Personality: Personality{InactiveCustomersFound: true}})
	_, err := r.AddCustomer(Customer{ExternalUserID: "wmUNI", Avatar: "https://img.example/u", Gender: 1, UnionID: "oU"})
	r.must(err)
	get := func() answered {
		list := r.post("kf/customer/batchget", obj{"external_userid_list": []string{"wmUNI"}}).rows("customer_list")
		if len(list) != 1 {
			t.Fatalf("got %d customers, want the silent one", len(list))
		}
		return list[0]
	}
	if c := get(); c.str("unionid") != "oU" || c.str("avatar") == "" || c["gender"] != 1.0 {
		t.Errorf("own app: got %v", c)
	}
	r.setCorp(func(c *Corp) { c.NoUnionID = true })
	if c := get(); c["unionid"] != nil || c.str("avatar") == "" {
		t.Errorf("no developer account: got %v", c)
	}
	r.setCorp(func(c *Corp) { c.NoUnionID, c.Apps = false, []App{{Kind: AppThirdParty}} })
	if c := get(); c["unionid"] != nil || c["avatar"] != nil || c["gender"] != 0.0 {
		t.Errorf("third-party app: got %v", c)
	}
	if w := r.post("kf/account/list", obj{}).rows("account_list")[0]; w["manage_privilege"] != nil {
		t.Errorf("third-party app's account list: got %v", w)
	}
	r.must(r.SetPersonality(Personality{}))
	_, err = r.CustomerSays(kf, "wmUNI", "hi")
	r.must(err)
	get()
	r.jump(48 * time.Hour)
	if inv := r.post("kf/customer/batchget", obj{"external_userid_list": []string{"wmUNI"}})["invalid_external_userid"]; fmt.Sprint(inv) != "[wmUNI]" {
		t.Errorf("48 h silent: got invalid %v", inv)
	}
}
