package conformance

import (
	"fmt"
	"strings"

	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// times is n times a JSON value, as the inside of a list.
func times(n int, value string) string { return strings.TrimSuffix(strings.Repeat(value+",", n), ",") }

// accountLimits is an open_kfid of 64 bytes, and one of 65, for each call that names an account.
func accountLimits() []limit {
	var all []limit
	id := "wk" + strings.Repeat("x", 62)
	for path, more := range map[string]string{
		"kf/service_state/get": `,"external_userid":"wmANN"`, "kf/account/del": ``, "kf/add_contact_way": ``, "kf/servicer/list": ``,
		"kf/service_state/trans": `,"external_userid":"wmANN","service_state":1`, "kf/sync_msg": ``, "kf/account/update": `,"name":"new"`,
		"kf/servicer/add": `,"userid_list":["lisi"]`, "kf/servicer/del": `,"userid_list":["lisi"]`,
		"kf/customer/upgrade_service": `,"external_userid":"wmANN","type":2,"groupchat":{"chat_id":"wrGROUP"}`, "kf/customer/cancel_upgrade_service": `,"external_userid":"wmANN"`,
		"kf/get_corp_statistic": span(0, 0), "kf/get_servicer_statistic": span(0, 0),
	} {
		all = append(all, limit{path: path, what: "account", code: 95000, at: `{"open_kfid":"` + id + `"` + more + `}`, over: `{"open_kfid":"` + id + `x"` + more + `}`, set: func(w *world) {
			w.upgrades(false)
			got(w.AddAccount(kfsim.Account{OpenKfID: id}))(w)
			got(w.CustomerSays(id, ann, "hello"))(w)
		}})
	}
	return all
}

// span is the days of a statistic, in seconds from and to the midnight of yesterday.
func span(from, to int64) string {
	return fmt.Sprintf(`,"start_time":%d,"end_time":%d`, day(-1)+from, day(-1)+to)
}

func callLimits() []limit {
	const (
		on       = `{"open_kfid":"` + desk + `"`
		with     = on + `,"external_userid":"` + ann + `"`
		dayLong  = 24 * 3600
		monthAgo = -30 * dayLong // of 31 days in all
	)
	says := func(w *world) { w.says(ann, "hello") }
	sent := func(w *world) { w.says(ann, "hello"); w.send(ann, strings.Repeat("x", 32), hello()) }
	upgrades := func(w *world) { w.upgrades(false) }
	userID := func(w *world) {
		w.says(ann, "hello")
		got(w.AddAccount(kfsim.Account{OpenKfID: "wkOTHER"}))(w)
		w.servicer(strings.Repeat("u", 64), kfsim.ServicerReceiving)
	}
	all := []limit{
		size("kf/recall_msg", "msgid", on+`,"msgid":"§"}`, "x", 32, 33, 95028).given(sent),
		size("kf/recall_msg", "msgid", on+`,"msgid":"§"}`, strings.Repeat("x", 32), 1, 0, 40058).given(sent),
		{path: "kf/sync_msg", what: "limit", code: 40058, at: on + `,"limit":1000}`, over: on + `,"limit":1001}`},
		{path: "kf/sync_msg", what: "limit below zero", code: 40058, at: on + `,"limit":0}`, over: on + `,"limit":-1}`},
		{path: "kf/sync_msg", what: "voice_format", code: 40058, at: on + `,"voice_format":1}`, over: on + `,"voice_format":2}`},
		{path: "kf/service_state/get", what: "customer", code: 40058, at: with + `}`, over: on + `}`},
		{path: "kf/service_state/trans", what: "state", code: 40058, at: with + `,"service_state":4}`, over: with + `,"service_state":5}`, set: says},
		{path: "kf/service_state/trans", what: "state below zero", code: 40058, atCode: 95016, at: with + `,"service_state":0}`, over: with + `,"service_state":-1}`, set: says},
		size("kf/service_state/trans", "servicer", with+`,"service_state":3,"servicer_userid":"§"}`, "u", 64, 65, 95014).given(userID),
		size("kf/service_state/trans", "servicer", with+`,"service_state":3,"servicer_userid":"§"}`, strings.Repeat("u", 64), 1, 0, 40058).given(userID),

		size("kf/account/add", "name", `{"name":"§","media_id":"$PIC"}`, "客", 16, 17, 95006),
		size("kf/account/add", "name", `{"name":"§","media_id":"$PIC"}`, "客", 1, 0, 95006),
		size("kf/account/add", "picture", `{"name":"A","media_id":"§"}`, "$PIC", 1, 0, 41006),
		size("kf/account/add", "picture", `{"name":"A","media_id":"§"}`, "x", 128, 129, 40007).anyway(40007),
		size("kf/account/update", "name", on+`,"name":"§"}`, "客", 16, 17, 95006),
		size("kf/account/update", "picture", on+`,"media_id":"§"}`, "x", 128, 129, 40007).anyway(40007),
		{path: "kf/account/list", what: "limit", code: 40058, at: `{"limit":100}`, over: `{"limit":101}`},
		{path: "kf/account/list", what: "offset", code: 40058, at: `{"offset":0}`, over: `{"offset":-1}`},
		size("kf/add_contact_way", "scene", on+`,"scene":"§"}`, "x", 32, 33, 40058),
		{path: "kf/add_contact_way", what: "characters of a scene", code: 40058, at: on + `,"scene":"aZ09_-"}`, over: on + `,"scene":"a.b"}`},

		{path: "kf/servicer/list", what: "no account", code: 40058, at: on + `}`, over: `{}`},
		{path: "idconvert/open_kfid", what: "accounts", code: 40058, at: `{"open_kfid_list":["wkDESK"]}`, over: `{"open_kfid_list":[]}`, set: func(w *world) { w.likes(kfsim.Personality{AnyAppConverts: true}) }},
		{path: "kf/customer/batchget", what: "customers", code: 40058, at: `{"external_userid_list":[` + times(100, `"wmANN"`) + `]}`, over: `{"external_userid_list":[` + times(101, `"wmANN"`) + `]}`},
		{path: "kf/customer/batchget", what: "no customer", code: 40058, at: `{"external_userid_list":["wmANN"]}`, over: `{"external_userid_list":[]}`},
		{path: "kf/customer/batchget", what: "context", code: 40058, at: `{"external_userid_list":["wmANN"],"need_enter_session_context":1}`, over: `{"external_userid_list":["wmANN"],"need_enter_session_context":2}`},
		{path: "kf/customer/upgrade_service", what: "type", code: 40058, at: with + `,"type":2,"groupchat":{"chat_id":"wrGROUP"}}`, over: with + `,"type":3,"groupchat":{"chat_id":"wrGROUP"}}`, set: upgrades},
		{path: "kf/customer/upgrade_service", what: "group", code: 40058, at: with + `,"type":2,"groupchat":{"chat_id":"wrGROUP"}}`, over: with + `,"type":2}`, set: upgrades},
		size("kf/customer/upgrade_service", "member", with+`,"type":1,"member":{"userid":"§"}}`, "lisi", 1, 0, 41009).given(upgrades),
		size("kf/customer/upgrade_service", "member", with+`,"type":1,"member":{"userid":"§"}}`, "u", 64, 65, 60111).anyway(60111).given(upgrades),
	}
	for _, path := range []string{"kf/servicer/add", "kf/servicer/del"} {
		all = append(all,
			limit{path: path, what: "members", code: 40058, at: on + `,"userid_list":[` + times(100, `"lisi"`) + `]}`, over: on + `,"userid_list":[` + times(101, `"lisi"`) + `]}`},
			limit{path: path, what: "departments", code: 40058, at: on + `,"department_id_list":[` + times(100, `2`) + `]}`, over: on + `,"department_id_list":[` + times(101, `2`) + `]}`},
			limit{path: path, what: "neither", code: 40058, at: on + `,"userid_list":[],"department_id_list":[2]}`, over: on + `,"userid_list":[]}`})
	}
	for _, path := range []string{"kf/get_corp_statistic", "kf/get_servicer_statistic"} {
		all = append(all,
			limit{path: path, what: "days", code: 40058, at: on + span(monthAgo, dayLong-1) + `}`, over: on + span(monthAgo-1, dayLong-1+1) + `}`},
			limit{path: path, what: "end before start", code: 40058, at: on + span(0, 0) + `}`, over: on + span(0, -1) + `}`},
			limit{path: path, what: "start", code: 40058, at: on + span(0, 0) + `}`, over: on + span(-day(-1), 0) + `}`})
	}
	all = append(all, size("kf/get_servicer_statistic", "servicer", on+span(0, 0)+`,"servicer_userid":"§"}`, "u", 64, 65, 60111).given((*world).ready))
	return append(append(all, accountLimits()...), urlLimits()...)
}

// urlLimits are media/upload_by_url and its result.
func urlLimits() []limit {
	const path = "media/upload_by_url"
	body := func(scene, kind, name, url, sum string) string {
		return `{"scene":` + scene + `,"type":"` + kind + `","filename":"` + name + `","url":"` + url + `","md5":"` + sum + `"}`
	}
	sum := strings.Repeat("0aF9", 8)
	fine := body("1", "file", "a.txt", pageLink, sum)
	return []limit{
		{path: path, what: "scene", code: 40058, at: fine, over: body("0", "file", "a.txt", pageLink, sum)},
		{path: path, what: "type", code: 40005, at: fine, over: body("1", "gif", "a.txt", pageLink, sum)},
		{path: path, what: "no name", code: 40058, at: fine, over: body("1", "file", "", pageLink, sum)},
		{path: path, what: "a name with a colon", code: 40058, at: fine, over: body("1", "file", "c:a", pageLink, sum)},
		{path: path, what: "a path", code: 40058, at: fine, over: body("1", "file", "/a", pageLink, sum)},
		{path: path, what: "scheme", code: 830001, at: fine, over: body("1", "file", "a.txt", "e.example/a", sum)},
		{path: path, what: "md5", code: 40058, at: fine, over: body("1", "file", "a.txt", pageLink, sum+"0")},
		{path: "media/get_upload_by_url_result", what: "job", code: 40058, atCode: 40058, at: `{"jobid":"none"}`, over: `{}`},
	}
}

func knowledgeLimits() []limit {
	const path = "kf/knowledge/"
	entry := func(question, similar, answers string) string {
		return `{"group_id":"$GROUP","question":{"text":{"content":"` + question + `"}},"similar_questions":{"items":[` + similar + `]},"answers":[` + answers + `]}`
	}
	const answer, like = `{"text":{"content":"x"}}`, `{"text":{"content":"y"}}`
	attached := func(list string) string { return `{"text":{"content":"x"},"attachments":[` + list + `]}` }
	link := `{"msgtype":"link","link":{"title":"T","url":"https://e.example"}}`
	all := []limit{
		size(path+"add_group", "name", `{"name":"§"}`, "客", 12, 13, 40058),
		size(path+"add_group", "name", `{"name":"§"}`, "客", 1, 0, 40058),
		size(path+"mod_group", "name", `{"group_id":"$GROUP","name":"§"}`, "客", 12, 13, 40058).given(func(w *world) { w.likes(kfsim.Personality{DefaultGroupRenamable: true}) }),
		size(path+"mod_group", "name", `{"group_id":"$GROUP","name":"§"}`, "客", 1, 0, 40058).given(func(w *world) { w.likes(kfsim.Personality{DefaultGroupRenamable: true}) }),
		size(path+"mod_group", "group", `{"group_id":"§","name":"x"}`, "x", 1, 0, 40058).anyway(40058),
		size(path+"del_group", "group", `{"group_id":"§"}`, "x", 1, 0, 40058).anyway(40058),
		size(path+"add_intent", "group", `{"group_id":"§","question":`+like+`,"answers":[`+answer+`]}`, "$GROUP", 1, 0, 40058),
		size(path+"add_intent", "question", entry("§", "", answer), "客", 200, 201, 40058),
		size(path+"add_intent", "question", entry("§", "", answer), "客", 1, 0, 40058),
		{path: path + "add_intent", what: "similar questions", code: 40058, at: entry("x", times(100, like), answer), over: entry("x", times(101, like), answer)},
		size(path+"add_intent", "similar question", entry("x", `{"text":{"content":"§"}}`, answer), "客", 200, 201, 40058),
		size(path+"add_intent", "similar question", entry("x", `{"text":{"content":"§"}}`, answer), "客", 1, 0, 40058),
		{path: path + "add_intent", what: "answers", code: 40058, at: entry("x", "", answer), over: entry("x", "", times(2, answer))},
		{path: path + "add_intent", what: "no answer", code: 40058, at: entry("x", "", answer), over: entry("x", "", "")},
		{path: path + "add_intent", what: "no question", code: 40058, at: entry("x", "", answer), over: `{"group_id":"$GROUP","answers":[` + answer + `]}`},
		size(path+"add_intent", "answer", entry("x", "", `{"text":{"content":"§"}}`), "客", 500, 501, 40058),
		size(path+"add_intent", "answer", entry("x", "", `{"text":{"content":"§"}}`), "客", 1, 0, 40058),
		{path: path + "add_intent", what: "attachments", code: 40058, at: entry("x", "", attached(times(4, link))), over: entry("x", "", attached(times(5, link)))},
		{path: path + "add_intent", what: "kind of attachment", code: 40008, at: entry("x", "", attached(link)), over: entry("x", "", attached(strings.ReplaceAll(link, "link", "voice")))},
		{path: path + "add_intent", what: "attachment without body", code: 40058, at: entry("x", "", attached(link)), over: entry("x", "", attached(`{"msgtype":"link"}`))},
		size(path+"add_intent", "picture", entry("x", "", attached(`{"msgtype":"image","image":{"media_id":"§"}}`)), "$PIC", 1, 0, 40007),
		size(path+"del_intent", "intent", `{"intent_id":"§"}`, "x", 1, 0, 40058).anyway(40058),
		size(path+"mod_intent", "intent", `{"intent_id":"§"}`, "x", 1, 0, 40058).anyway(40058),
	}
	for _, list := range []string{"list_group", "list_intent"} {
		all = append(all,
			limit{path: path + list, what: "limit", code: 40058, at: `{"limit":1000}`, over: `{"limit":1001}`},
			limit{path: path + list, what: "limit below zero", code: 40058, at: `{"limit":1}`, over: `{"limit":-1}`})
	}
	for what, parts := range map[string][2]string{
		"question": {`"question":{"text":{"content":"` + strings.Repeat("客", 200) + `"}}`, `"question":{"text":{"content":"` + strings.Repeat("客", 201) + `"}}`},
		"answer":   {`"answers":[{"text":{"content":"` + strings.Repeat("客", 500) + `"}}]`, `"answers":[{"text":{"content":"` + strings.Repeat("客", 501) + `"}}]`},
		"answers":  {`"answers":[` + answer + `]`, `"answers":[` + times(2, answer) + `]`},
		"similar":  {`"similar_questions":{"items":[` + times(100, like) + `]}`, `"similar_questions":{"items":[` + times(101, like) + `]}`},
	} {
		all = append(all, limit{path: path + "mod_intent", what: "changed " + what, code: 40058, at: `{"intent_id":"$INTENT",` + parts[0] + `}`, over: `{"intent_id":"$INTENT",` + parts[1] + `}`})
	}
	return all
}

// anIntent is the id of a question, made when it is asked for.
func anIntent(w *world) string {
	w.t.Helper()
	return got(w.c.KnowledgeAddIntent(w.t.Context(), w.token, intent(w, "why?", []kfapi.KnowledgeAttachment{})))(w).IntentID
}
