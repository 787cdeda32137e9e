package conformance

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

func customerCalls() map[string]func(*world) {
	return map[string]func(*world){
		"kf/customer/batchget":                   batchGet,
		"kf/customer/get_upgrade_service_config": upgradeConfig,
		"kf/customer/upgrade_service":            upgradeService,
		"kf/customer/cancel_upgrade_service":     cancelUpgrade,
		"kf/get_corp_qualification":              qualification,
	}
}

func batchGet(w *world) {
	got(w.Enter(kfsim.Enter{OpenKfID: desk, ExternalUserID: ann, Scene: "s", SceneParam: "p", WechatChannels: json.RawMessage(`{"shop_nickname":"Shop","scene":4}`)}))(w)
	row := kfapi.Customer{ExternalUserID: ann, Nickname: "Ann", Avatar: "https://img.example/ann", Gender: 2, UnionID: "oANN"}
	ask := func(need kfapi.Flag) kfapi.CustomerBatchGetResponse {
		r := got(w.c.CustomerBatchGet(w.t.Context(), w.token, kfapi.CustomerBatchGetRequest{ExternalUserIDList: []string{ann, bob, "wmNOBODY"}, NeedEnterSessionContext: need}))(w)
		w.fine(r.Reply)
		same(w.t, "invalid: who was silent, and nobody", r.InvalidExternalUserID, []string{bob, "wmNOBODY"})
		return r
	}
	same(w.t, "without context", ask(false).CustomerList, []kfapi.Customer{row})
	row.EnterSessionContext = &kfapi.EnterSessionContext{Scene: "s", SceneParam: "p", WechatChannels: &kfapi.WechatChannels{ShopNickname: "Shop", Scene: 4}}
	same(w.t, "with context", ask(true).CustomerList, []kfapi.Customer{row})
	w.later(47 * time.Hour)
	w.says(ann, "still here")
	w.later(time.Hour)
	row.EnterSessionContext = nil
	same(w.t, "48 h after the entry", ask(true).CustomerList, []kfapi.Customer{row})
	w.corp(func(c *kfsim.Corp) { c.Apps = []kfsim.App{{Kind: kfsim.AppThirdParty}} })
	same(w.t, "to a provider's app", ask(true).CustomerList, []kfapi.Customer{{ExternalUserID: ann, Nickname: "Ann"}})
	batchGetAll(w)
}

// batchGetAll asks for more than one call takes.
func batchGetAll(w *world) {
	var ids, found, invalid []string
	for i := range 250 {
		id := fmt.Sprintf("wm%03d", i)
		ids = append(ids, id)
		got(w.AddCustomer(kfsim.Customer{ExternalUserID: id, Nickname: id}))(w)
		if i%50 == 0 {
			invalid = append(invalid, id)
			continue
		}
		w.says(id, "hello")
		found = append(found, id)
	}
	calls := w.Calls("kf/customer/batchget")
	all := got(w.c.CustomerBatchGetAll(w.t.Context(), w.token, kfapi.CustomerBatchGetRequest{ExternalUserIDList: ids}))(w)
	var names []string
	for _, c := range all.CustomerList {
		names = append(names, c.Nickname)
	}
	same(w.t, "found", names, found)
	same(w.t, "invalid", all.InvalidExternalUserID, invalid)
	same(w.t, "calls", w.Calls("kf/customer/batchget")-calls, 3)
}

// upgrades is what the administrator lets recommend.
func (w *world) upgrades(exclusive bool) {
	w.t.Helper()
	w.corp(func(c *kfsim.Corp) {
		c.Upgrade = &kfsim.UpgradeRange{UserIDs: []string{"lisi"}, DepartmentIDs: []int{2, 3}, ChatIDs: []string{"wrGROUP"}, Exclusive: exclusive}
	})
}

func upgradeConfig(w *world) {
	ask := func() (users []string, departments []int, chats []string) {
		r := got(w.c.CustomerGetUpgradeServiceConfig(w.t.Context(), w.token))(w)
		w.fine(r.Reply)
		return r.MemberRange.UserIDList, r.MemberRange.DepartmentIDList, r.GroupChatRange.ChatIDList
	}
	users, departments, chats := ask()
	same(w.t, "none", len(users)+len(departments)+len(chats), 0)
	w.upgrades(false)
	users, departments, chats = ask()
	same(w.t, "members", users, []string{"lisi"})
	same(w.t, "departments", departments, []int{2, 3})
	same(w.t, "groups", chats, []string{"wrGROUP"})
}

func upgradeService(w *world) {
	w.upgrades(false)
	w.says(ann, "hello")
	contact := kfsim.Contact{OpenKfID: desk, ExternalUserID: ann}
	for _, req := range []kfapi.CustomerUpgradeServiceRequest{
		kfapi.UpgradeToMember(desk, ann, "lisi", "I am your contact"),
		kfapi.UpgradeToMember(desk, ann, "sun", ""), // of a department
		kfapi.UpgradeToGroupChat(desk, ann, "wrGROUP", "Join us"),
	} {
		if err := w.AcceptUpgrade(contact); err == nil {
			w.t.Error("a customer took what nobody recommended")
		}
		w.fine(got(w.c.CustomerUpgradeService(w.t.Context(), w.token, req))(w))
		same(w.t, "notice", w.onPhone(ann).Notice, kfsim.NoticeUpgradeOffered)
		w.must(w.AcceptUpgrade(contact))
	}
}

func cancelUpgrade(w *world) {
	w.upgrades(false)
	w.fine(got(w.c.CustomerUpgradeService(w.t.Context(), w.token, kfapi.UpgradeToMember(desk, ann, "lisi", "")))(w))
	req := kfapi.CustomerCancelUpgradeServiceRequest{OpenKfID: desk, ExternalUserID: ann}
	w.fine(got(w.c.CustomerCancelUpgradeService(w.t.Context(), w.token, req))(w))
	same(w.t, "notice", w.onPhone(ann).Notice, kfsim.NoticeUpgradeCancelled)
	if err := w.AcceptUpgrade(kfsim.Contact{OpenKfID: desk, ExternalUserID: ann}); err == nil {
		w.t.Error("the recommendation is still there")
	}
	w.fine(got(w.c.CustomerCancelUpgradeService(w.t.Context(), w.token, req))(w)) // may be repeated
}

func qualification(w *world) {
	for _, bound := range []bool{false, true} {
		w.corp(func(c *kfsim.Corp) { c.ChannelsBound = bound })
		r := got(w.c.GetCorpQualification(w.t.Context(), w.token))(w)
		w.fine(r.Reply)
		same(w.t, "bound", bool(r.WechatChannelsBinding), bound)
	}
}
