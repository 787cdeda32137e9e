package conformance

import (
	"fmt"
	"strings"
	"time"

	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// sessionRows are sync_msg and the moves of sessions.
func sessionRows() []row {
	const pull, trans = "kf/sync_msg", "kf/service_state/trans"
	syncs := func(req kfapi.SyncMsgRequest) func(*world) error {
		req.OpenKfID = desk
		return func(w *world) error { return second(w.c.SyncMsg(w.t.Context(), w.token, req)) }
	}
	move := func(what string, code int, to kfapi.ServiceState, servicer string, set func(*world)) row {
		return row{trans, what, code, func(w *world) error {
			w.servicer("lisi", kfsim.ServicerReceiving)
			w.servicer("zhao", kfsim.ServicerSuspended)
			if set != nil {
				set(w)
			}
			return second(w.c.ServiceStateTrans(w.t.Context(), w.token, kfapi.ServiceStateTransRequest{OpenKfID: desk, ExternalUserID: ann, ServiceState: to, ServicerUserID: servicer}))
		}}
	}
	wrote := func(w *world) { w.says(ann, "hello") }
	held := func(w *world) { wrote(w); w.trans(kfapi.StateHuman, "lisi") }
	return []row{
		{pull, "a token of nobody", 95007, syncs(kfapi.SyncMsgRequest{SyncToken: "nonsense"})},
		{pull, "no history", 95032, func(w *world) error {
			w.must(w.UpdateAccount(desk, func(a *kfsim.Account) error { a.NoHistory = true; return nil }))
			return syncs(kfapi.SyncMsgRequest{})(w)
		}},
		{pull, "a cursor of nobody", 40058, syncs(kfapi.SyncMsgRequest{Cursor: "nonsense"})},
		{pull, "without token, too often", 45009, func(w *world) error {
			w.likes(kfsim.Personality{TokenlessPerMinute: 1})
			w.must(syncs(kfapi.SyncMsgRequest{})(w))
			return syncs(kfapi.SyncMsgRequest{})(w)
		}},

		move("they never met", 95013, kfapi.StatePool, "", nil),
		move("the session has ended", 95013, kfapi.StatePool, "", func(w *world) { wrote(w); w.trans(kfapi.StateEnded, "") }),
		move("after 48 hours", 95013, kfapi.StatePool, "", func(w *world) { wrote(w); w.later(48 * time.Hour) }),
		move("back to new", 95016, kfapi.StateNew, "", wrote),
		move("from a servicer to the assistant", 95016, kfapi.StateAssistant, "", held),
		move("from a servicer to the pool", 95016, kfapi.StatePool, "", held),
		move("to who holds it", 95016, kfapi.StateHuman, "lisi", held),
		move("to no servicer", 95014, kfapi.StateHuman, "wang", wrote),
		move("to one who has not activated WeCom", 95014, kfapi.StateHuman, "lisi", func(w *world) {
			wrote(w)
			w.corp(func(c *kfsim.Corp) { c.Inactive = []string{"lisi"} })
		}),
		move("to one who does not receive", 95019, kfapi.StateHuman, "zhao", wrote),
		byFault(trans, 95018, "the simulator has 95013 and 95016 for every state"),
		byFault(trans, 60111, "whoever is no servicer is 95014, member or not"),
		byFault(trans, 40003, "whoever is no servicer is 95014, well formed or not"),
		{trans, "state 5", 40058, func(w *world) error {
			return w.raw(trans, `{"open_kfid":"`+desk+`","external_userid":"`+ann+`","service_state":5}`)
		}},
		{trans, "no servicer named", 40058, func(w *world) error {
			return w.raw(trans, `{"open_kfid":"`+desk+`","external_userid":"`+ann+`","service_state":3}`)
		}},
	}
}

// corpRows are accounts, servicers, customers and figures.
func corpRows() []row {
	const add, update, enlist = "kf/account/add", "kf/account/update", "kf/servicer/add"
	make1 := func(what string, code int, set func(*world)) row {
		return row{add, what, code, func(w *world) error {
			media := w.file(kfapi.MediaImage)
			set(w)
			return second(w.c.AccountAdd(w.t.Context(), w.token, kfapi.AccountAddRequest{Name: "new", MediaID: media}))
		}}
	}
	servicer := func(what string, code int, users []string, departments []int, set func(*world)) row {
		return row{enlist, what, code, func(w *world) error {
			if set != nil {
				set(w)
			}
			r, err := w.c.ServicerAdd(w.t.Context(), w.token, kfapi.ServicerAddRequest{OpenKfID: desk, UserIDList: users, DepartmentIDList: departments})
			return rowError("servicer/add", r, err)
		}}
	}
	upgrade := func(what string, code int, req kfapi.CustomerUpgradeServiceRequest, set func(*world)) row {
		return row{"kf/customer/upgrade_service", what, code, func(w *world) error {
			if set != nil {
				set(w)
			}
			return second(w.c.CustomerUpgradeService(w.t.Context(), w.token, req))
		}}
	}
	member := func(id string) kfapi.CustomerUpgradeServiceRequest { return kfapi.UpgradeToMember(desk, ann, id, "") }
	allowed := func(w *world) { w.upgrades(false) }
	rows := []row{
		make1("a corp that uses its accounts too little", 95026, withCorp(func(c *kfsim.Corp) { c.PoorUse = true })),
		make1("the eleventh of a corp that is not verified", 95027, func(w *world) {
			w.corp(func(c *kfsim.Corp) { c.Unverified = true })
			for range 9 {
				got(w.AddAccount(kfsim.Account{}))(w)
			}
		}),
		make1("one too many", 95005, func(w *world) { w.likes(kfsim.Personality{AccountLimit: 1}) }),
		make1("a picture after three days", 40007, func(w *world) { w.later(72 * time.Hour) }),
		{add, "no name", 95006, func(w *world) error { return w.raw(add, `{"media_id":"x"}`) }},
		{add, "no picture", 41006, func(w *world) error { return w.raw(add, `{"name":"new"}`) }},
		{"kf/account/del", "the last account", 95005, func(w *world) error {
			return second(w.c.AccountDel(w.t.Context(), w.token, kfapi.AccountDelRequest{OpenKfID: desk}))
		}},
		{update, "a name of 17 characters", 95006, func(w *world) error {
			return w.raw(update, `{"open_kfid":"`+desk+`","name":"`+strings.Repeat("客", 17)+`"}`)
		}},
		{update, "an unknown picture", 40007, func(w *world) error {
			return second(w.c.AccountUpdate(w.t.Context(), w.token, kfapi.AccountUpdateRequest{OpenKfID: desk, MediaID: "none"}))
		}},
		{update, "nothing to change", 40058, func(w *world) error {
			return second(w.c.AccountUpdate(w.t.Context(), w.token, kfapi.AccountUpdateRequest{OpenKfID: desk}))
		}},

		servicer("an unknown member", 60111, []string{"nobody"}, nil, nil),
		servicer("a member the app cannot see", 60011, []string{"lisi"}, nil, withApp(kfsim.App{Hidden: []string{"lisi"}})),
		servicer("a member the app cannot see, by the other code", 60021, []string{"lisi"}, nil, func(w *world) {
			withApp(kfsim.App{Hidden: []string{"lisi"}})(w)
			w.likes(kfsim.Personality{HiddenMemberCode: 60021})
		}),
		servicer("a member who has not activated WeCom", 95014, []string{"lisi"}, nil, withCorp(func(c *kfsim.Corp) { c.Inactive = []string{"lisi"} })),
		servicer("an unknown department", 60003, nil, []int{9}, nil),
		servicer("an unknown department, by the other code", 60123, nil, []int{9}, func(w *world) { w.likes(kfsim.Personality{UnknownDepartmentCode: 60123}) }),
		servicer("a userid with a space", 40003, []string{"li si"}, nil, nil),
		servicer("one servicer too many", 40058, []string{"lisi", "wang"}, nil, func(w *world) { w.likes(kfsim.Personality{ServicerLimit: 1}) }),
		servicer("one department too many", 40058, nil, []int{2, 3}, func(w *world) { w.likes(kfsim.Personality{DepartmentLimit: 1}) }),
		{enlist, "a department that is no number above 0", 40066, func(w *world) error { return w.raw(enlist, `{"open_kfid":"`+desk+`","department_id_list":[0]}`) }},
		{"kf/servicer/del", "a userid with a space", 40003, func(w *world) error {
			r, err := w.c.ServicerDel(w.t.Context(), w.token, kfapi.ServicerDelRequest{OpenKfID: desk, UserIDList: []string{"li si"}})
			return rowError("servicer/del", r, err)
		}},
		{"idconvert/open_kfid", "an app of the corp's own", 48002, func(w *world) error {
			return second(w.c.IDConvertOpenKfID(w.t.Context(), w.token, kfapi.IDConvertOpenKfIDRequest{OpenKfIDList: []string{desk}}))
		}},

		{"kf/customer/get_upgrade_service_config", "nothing configured", 95021, func(w *world) error {
			w.likes(kfsim.Personality{NoUpgradeConfigCode: 95021})
			return second(w.c.CustomerGetUpgradeServiceConfig(w.t.Context(), w.token))
		}},
		upgrade("nothing configured", 95021, member("lisi"), nil),
		upgrade("the administrator recommends already", 95015, member("lisi"), func(w *world) { w.upgrades(true) }),
		upgrade("an unknown member", 60111, member("nobody"), allowed),
		upgrade("a member outside the range", 40058, member("wang"), allowed),
		upgrade("a group outside the range", 40058, kfapi.UpgradeToGroupChat(desk, ann, "wrOTHER", ""), allowed),
		{"kf/customer/upgrade_service", "no member", 41009, func(w *world) error {
			return w.raw("kf/customer/upgrade_service", `{"open_kfid":"`+desk+`","external_userid":"`+ann+`","type":1}`)
		}},
		{"kf/customer/cancel_upgrade_service", "nothing to take back", 95021, func(w *world) error {
			w.likes(kfsim.Personality{NoUpgradeCode: 95021})
			return second(w.c.CustomerCancelUpgradeService(w.t.Context(), w.token, kfapi.CustomerCancelUpgradeServiceRequest{OpenKfID: desk, ExternalUserID: ann}))
		}},
		{"kf/get_servicer_statistic", "an unknown servicer", 60111, func(w *world) error {
			return second(w.c.GetServicerStatistic(w.t.Context(), w.token, kfapi.GetServicerStatisticRequest{OpenKfID: desk, ServicerUserID: "nobody", StartTime: day(-1), EndTime: day(-1)}))
		}},
	}
	for what, days := range map[string][2]int{"today": {0, 0}, "half a year and a day ago": {-181, -170}} {
		rows = append(rows,
			row{"kf/get_corp_statistic", what, 40058, func(w *world) error {
				return second(w.c.GetCorpStatistic(w.t.Context(), w.token, kfapi.GetCorpStatisticRequest{OpenKfID: desk, StartTime: day(days[0]), EndTime: day(days[1])}))
			}},
			row{"kf/get_servicer_statistic", what, 40058, func(w *world) error {
				return second(w.c.GetServicerStatistic(w.t.Context(), w.token, kfapi.GetServicerStatisticRequest{OpenKfID: desk, StartTime: day(days[0]), EndTime: day(days[1])}))
			}})
	}
	return rows
}

// knowledgeRows are the rules of the knowledge base that the client cannot know of.
func knowledgeRows() []row {
	const path = "kf/knowledge/"
	defaultGroup := func(w *world) string { return w.groups(kfapi.KnowledgeListGroupRequest{})[0].GroupID }
	addGroup := func(name string) func(*world) error {
		return func(w *world) error {
			return second(w.c.KnowledgeAddGroup(w.t.Context(), w.token, kfapi.KnowledgeAddGroupRequest{Name: name}))
		}
	}
	delGroup := func(w *world, id string) error {
		return second(w.c.KnowledgeDelGroup(w.t.Context(), w.token, kfapi.KnowledgeDelGroupRequest{GroupID: id}))
	}
	modGroup := func(w *world, id, name string) error {
		return second(w.c.KnowledgeModGroup(w.t.Context(), w.token, kfapi.KnowledgeModGroupRequest{GroupID: id, Name: name}))
	}
	addIntent := func(w *world, req kfapi.KnowledgeAddIntentRequest) (string, error) {
		r, err := w.c.KnowledgeAddIntent(w.t.Context(), w.token, req)
		return r.IntentID, err
	}
	modIntent := func(w *world, req kfapi.KnowledgeModIntentRequest) error {
		return second(w.c.KnowledgeModIntent(w.t.Context(), w.token, req))
	}
	rows := []row{
		{path + "add_group", "a name again", 40058, func(w *world) error { w.addGroup("A"); return addGroup("A")(w) }},
		{path + "add_group", "the hundred-and-first", 40058, func(w *world) error {
			for i := range 99 {
				w.addGroup(fmt.Sprint(i))
			}
			return addGroup("A")(w)
		}},
		{path + "del_group", "an unknown group", 40058, func(w *world) error { return delGroup(w, "none") }},
		{path + "del_group", "the default group", 40058, func(w *world) error { return delGroup(w, defaultGroup(w)) }},
		{path + "del_group", "a group that has questions", 40058, func(w *world) error {
			req := intent(w, "why?", nil)
			req.GroupID = w.addGroup("A")
			got(addIntent(w, req))(w)
			return delGroup(w, req.GroupID)
		}},
		{path + "mod_group", "an unknown group", 40058, func(w *world) error { return modGroup(w, "none", "A") }},
		{path + "mod_group", "the default group", 40058, func(w *world) error { return modGroup(w, defaultGroup(w), "A") }},
		{path + "mod_group", "the name of another", 40058, func(w *world) error { w.addGroup("A"); return modGroup(w, w.addGroup("B"), "A") }},
		{path + "list_group", "an unknown group", 40058, func(w *world) error {
			return second(w.c.KnowledgeListGroup(w.t.Context(), w.token, kfapi.KnowledgeListGroupRequest{GroupID: "none"}))
		}},
		{path + "list_group", "a cursor of nobody", 40058, func(w *world) error {
			return second(w.c.KnowledgeListGroup(w.t.Context(), w.token, kfapi.KnowledgeListGroupRequest{Cursor: "none"}))
		}},
		{path + "add_intent", "an unknown group", 40058, func(w *world) error {
			req := intent(w, "why?", nil)
			req.GroupID = "none"
			return second(addIntent(w, req))
		}},
		{path + "add_intent", "a question again, in another group", 40058, func(w *world) error {
			req := intent(w, "why?", nil)
			got(addIntent(w, req))(w)
			req.GroupID = w.addGroup("A")
			return second(addIntent(w, req))
		}},
		{path + "add_intent", "the two-hundred-and-first", 40058, func(w *world) error {
			for i := range 200 {
				got(addIntent(w, intent(w, fmt.Sprint(i), nil)))(w)
			}
			return second(addIntent(w, intent(w, "why?", nil)))
		}},
		{path + "del_intent", "an unknown question", 40058, func(w *world) error {
			return second(w.c.KnowledgeDelIntent(w.t.Context(), w.token, kfapi.KnowledgeDelIntentRequest{IntentID: "none"}))
		}},
		{path + "mod_intent", "an unknown question", 40058, func(w *world) error { return modIntent(w, kfapi.KnowledgeModIntentRequest{IntentID: "none"}) }},
		{path + "mod_intent", "another's question", 40058, func(w *world) error {
			got(addIntent(w, intent(w, "why?", nil)))(w)
			id := got(addIntent(w, intent(w, "how?", nil)))(w)
			return modIntent(w, kfapi.KnowledgeModIntentRequest{IntentID: id, Question: ask("why?")})
		}},
		{path + "list_intent", "an unknown question", 40058, func(w *world) error {
			return second(w.c.KnowledgeListIntent(w.t.Context(), w.token, kfapi.KnowledgeListIntentRequest{IntentID: "none"}))
		}},
		{path + "list_intent", "a cursor of the groups", 40058, func(w *world) error {
			r := got(w.c.KnowledgeListGroup(w.t.Context(), w.token, kfapi.KnowledgeListGroupRequest{}))(w)
			return second(w.c.KnowledgeListIntent(w.t.Context(), w.token, kfapi.KnowledgeListIntentRequest{Cursor: r.NextCursor}))
		}},
	}
	for _, a := range []struct {
		what string
		code int
		kfapi.KnowledgeAttachment
	}{
		{"an unknown picture", 40007, kfapi.KnowledgeAttachment{MsgType: "image", Image: &kfapi.KnowledgeFile{MediaID: "none"}}},
		{"a mini program that is none", 90207, kfapi.KnowledgeAttachment{MsgType: "miniprogram", Miniprogram: &kfapi.KnowledgeMiniprogram{AppID: "abc", PagePath: "a"}}},
	} {
		list := []kfapi.KnowledgeAttachment{a.KnowledgeAttachment}
		rows = append(rows,
			row{path + "add_intent", a.what, a.code, func(w *world) error { return second(addIntent(w, intent(w, "why?", list))) }},
			row{path + "mod_intent", a.what, a.code, func(w *world) error {
				id := got(addIntent(w, intent(w, "why?", nil)))(w)
				return modIntent(w, kfapi.KnowledgeModIntentRequest{IntentID: id, Answers: []kfapi.KnowledgeAnswer{{Text: kfapi.KnowledgeText{Content: "x"}, Attachments: list}}})
			}})
	}
	return rows
}
