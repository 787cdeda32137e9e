package conformance

import (
	"fmt"
	"strings"

	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

func accountCalls() map[string]func(*world) {
	return map[string]func(*world){
		"kf/account/add":      accountAdd,
		"kf/account/del":      accountDel,
		"kf/account/update":   accountUpdate,
		"kf/account/list":     accountList,
		"kf/add_contact_way":  contactWay,
		"idconvert/open_kfid": idConvert,
	}
}

// account is the simulator's own view.
func (w *world) account(openKfID string) (kfsim.Account, bool) {
	for _, a := range w.State().Corps[0].Accounts {
		if a.OpenKfID == openKfID {
			return a, true
		}
	}
	return kfsim.Account{}, false
}

func accountAdd(w *world) {
	name := strings.Repeat("客", 16)
	made := got(w.c.AccountAdd(w.t.Context(), w.token, kfapi.AccountAddRequest{Name: name, MediaID: w.file(kfapi.MediaImage)}))(w)
	w.fine(made.Reply)
	a, there := w.account(made.OpenKfID)
	same(w.t, "made", there, true)
	same(w.t, "name", a.Name, name)
	same(w.t, "an avatar", strings.HasPrefix(a.Avatar, "https://"), true)
	list := got(w.c.AccountList(w.t.Context(), w.token, 1, 1))(w)
	same(w.t, "in the list", list.AccountList, []kfapi.Account{{OpenKfID: made.OpenKfID, Name: name, Avatar: a.Avatar, ManagePrivilege: ptr(kfapi.Bool(true))}})
}

func accountDel(w *world) {
	got(w.AddAccount(kfsim.Account{OpenKfID: "wkOTHER"}))(w)
	w.fine(got(w.c.AccountDel(w.t.Context(), w.token, kfapi.AccountDelRequest{OpenKfID: "wkOTHER"}))(w))
	_, there := w.account("wkOTHER")
	same(w.t, "still there", there, false)
	_, err := w.c.AccountDel(w.t.Context(), w.token, kfapi.AccountDelRequest{OpenKfID: "wkOTHER"})
	w.refused("a repeat", err, 95004)
}

func accountUpdate(w *world) {
	before, _ := w.account(desk)
	w.fine(got(w.c.AccountUpdate(w.t.Context(), w.token, kfapi.AccountUpdateRequest{OpenKfID: desk, Name: "订单"}))(w))
	a, _ := w.account(desk)
	same(w.t, "name", a.Name, "订单")
	same(w.t, "avatar as before", a.Avatar, before.Avatar)
	w.fine(got(w.c.AccountUpdate(w.t.Context(), w.token, kfapi.AccountUpdateRequest{OpenKfID: desk, MediaID: w.file(kfapi.MediaImage)}))(w))
	a, _ = w.account(desk)
	same(w.t, "name as before", a.Name, "订单")
	same(w.t, "another avatar", a.Avatar != before.Avatar, true)
}

func accountList(w *world) {
	one := got(w.c.AccountList(w.t.Context(), w.token, 0, 0))(w)
	w.fine(one.Reply)
	same(w.t, "list", one.AccountList, []kfapi.Account{{OpenKfID: desk, Name: "desk", Avatar: "https://img.example/desk/0", ManagePrivilege: ptr(kfapi.Bool(true))}})

	var want []string
	for i := range 204 {
		want = append(want, fmt.Sprintf("wk%03d", i))
		got(w.AddAccount(kfsim.Account{OpenKfID: want[i]}))(w)
	}
	w.must(w.Authorize("wk203", false))
	var ids []string
	for a, err := range w.c.Accounts(w.t.Context(), w.token) {
		w.must(err)
		ids = append(ids, a.OpenKfID)
		same(w.t, a.OpenKfID+": may be managed", *a.ManagePrivilege, a.OpenKfID != "wk203")
	}
	same(w.t, "all accounts", ids, append([]string{desk}, want...))
	page := got(w.c.AccountList(w.t.Context(), w.token, 3, 2))(w)
	same(w.t, "a page", []string{page.AccountList[0].OpenKfID, page.AccountList[1].OpenKfID}, want[2:4])
	same(w.t, "its length", len(page.AccountList), 2)

	w.corp(func(c *kfsim.Corp) { c.Apps = []kfsim.App{{Kind: kfsim.AppThirdParty}} })
	third := got(w.c.AccountList(w.t.Context(), w.token, 0, 1))(w)
	same(w.t, "a provider's app sees no privilege", third.AccountList[0].ManagePrivilege, nil)
}

func contactWay(w *world) {
	plain := got(w.c.AddContactWay(w.t.Context(), w.token, kfapi.AddContactWayRequest{OpenKfID: desk}))(w)
	w.fine(plain.Reply)
	got(w.Enter(kfsim.Enter{Link: plain.URL, ExternalUserID: bob}))(w)

	scene, param := "home_page-01", "a=1&b=2 中文+%/#?"
	way := got(w.c.AddContactWay(w.t.Context(), w.token, kfapi.AddContactWayRequest{OpenKfID: desk, Scene: scene}))(w)
	link := got(kfapi.ContactURL(way.URL, param))(w)
	got(w.Enter(kfsim.Enter{Link: link, ExternalUserID: ann}))(w)
	same(w.t, "the same scene, the same link", got(w.c.AddContactWay(w.t.Context(), w.token, kfapi.AddContactWayRequest{OpenKfID: desk, Scene: scene}))(w).URL, way.URL)

	page := got(w.c.SyncMsg(w.t.Context(), w.token, kfapi.SyncMsgRequest{OpenKfID: desk}))(w)
	same(w.t, "events", len(page.MsgList), 2)
	for i, want := range []kfapi.EnterSession{
		{OpenKfID: desk, ExternalUserID: bob}, {OpenKfID: desk, ExternalUserID: ann, Scene: scene, SceneParam: param},
	} {
		event, err := page.MsgList[i].Typed()
		w.must(err)
		in := *event.(*kfapi.EnterSession)
		same(w.t, "a welcome code", in.WelcomeCode != "", true)
		in.WelcomeCode = ""
		same(w.t, "enter_session", in, want)
	}
	// What stands in the link reaches batchget as it reaches the event.
	got := got(w.c.CustomerBatchGet(w.t.Context(), w.token, kfapi.CustomerBatchGetRequest{ExternalUserIDList: []string{ann}, NeedEnterSessionContext: true}))(w)
	same(w.t, "context", got.CustomerList[0].EnterSessionContext, &kfapi.EnterSessionContext{Scene: scene, SceneParam: param})
}

func idConvert(w *world) {
	w.corp(func(c *kfsim.Corp) { c.Apps = []kfsim.App{{}, {Kind: kfsim.AppThirdParty}} })
	req := kfapi.IDConvertOpenKfIDRequest{OpenKfIDList: []string{desk, "wkNOBODY"}}
	r := got(w.c.IDConvertOpenKfID(w.t.Context(), w.app("secret-two"), req))(w)
	w.fine(r.Reply)
	same(w.t, "items", len(r.Items), 1)
	same(w.t, "open_kfid", r.Items[0].OpenKfID, desk)
	same(w.t, "another id", strings.HasPrefix(r.Items[0].NewOpenKfID, "wk") && r.Items[0].NewOpenKfID != desk, true)
	same(w.t, "invalid", r.InvalidOpenKfIDList, []string{"wkNOBODY"})
	again := got(w.c.IDConvertOpenKfID(w.t.Context(), w.app("secret-two"), req))(w)
	same(w.t, "the same id again", again.Items, r.Items)
}
