package conformance

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// situation is a refusal that many calls share: set makes it and may choose the parameters.
type situation struct {
	what string
	code int
	set  func(*world)
}

func withApp(app kfsim.App) func(*world) {
	return func(w *world) { w.corp(func(c *kfsim.Corp) { c.Apps = []kfsim.App{app} }) }
}

func withCorp(change func(*kfsim.Corp)) func(*world) { return func(w *world) { w.corp(change) } }

// tokenSituations refuse every call that takes an access token.
func tokenSituations() []situation {
	return []situation{
		{"no token", 41001, func(w *world) { w.token = "" }},
		{"a token of nobody", 40014, func(w *world) { w.token = "nonsense" }},
		{"a token that died early", 40014, func(w *world) { got(w.RevokeTokens(""))(w) }},
		{"a token that died early, by the other code", 40001, func(w *world) {
			w.likes(kfsim.Personality{RevokedCode: 40001})
			got(w.RevokeTokens(""))(w)
		}},
		{"a token after two hours", 42001, func(w *world) { w.Clock().Advance(2 * time.Hour) }},
		{"an address that is not trusted", 60020, func(w *world) {
			withApp(kfsim.App{TrustedIPs: []string{"10.0.0.0/8"}})(w)
			w.Clock().Advance(time.Minute)
		}},
		{"a disabled app", 50003, withApp(kfsim.App{Disabled: true})},
		{"a disabled built-in app", 50006, withApp(kfsim.App{Disabled: true, Kind: kfsim.AppBuiltIn})},
		{"the second call in a minute", 45009, func(w *world) { w.likes(kfsim.Personality{CallsPerMinute: 1}) }},
		{"the second call of an address in an hour", 45009, func(w *world) { w.likes(kfsim.Personality{IPCallsPerHour: 1}) }},
	}
}

// kfSituations refuse every call under kf/.
func kfSituations() []situation {
	return []situation{
		{"an app that may not call", 48002, withApp(kfsim.App{Forbidden: true})},
		{"joint mode, standalone secret", 95011, withApp(kfsim.App{Kind: kfsim.AppStandalone})},
		{"standalone mode, joint secret", 95012, func(w *world) {
			w.corp(func(c *kfsim.Corp) {
				c.Edition, c.Apps = kfsim.EditionStandalone, []kfsim.App{{Kind: kfsim.AppSelfBuilt}}
			})
		}},
		{"the API switch is off", 95017, withCorp(func(c *kfsim.Corp) { c.APIOff = true })},
		{"the API belongs to a provider", 95023, withCorp(func(c *kfsim.Corp) { c.ProviderAPI = true })},
	}
}

// bodySituations refuse every call that takes JSON.
func bodySituations() []situation {
	return []situation{
		{"an escape", 40033, func(w *world) {
			w.likes(kfsim.Personality{RefuseEscapes: true})
			w.body("application/json", `{"x":"\u4f60"}`)
		}},
		{"no body", 40063, func(w *world) { w.body("application/json", "") }},
		{"half a body", 40058, func(w *world) { w.body("application/json", `{"open_kfid":"wk`) }},
		{"a field of the wrong type", 40058, func(w *world) { w.body("application/json", `[]`) }},
		{"a method of another call", 40058, func(w *world) { w.alter = func(r *http.Request) { r.Method = http.MethodPut } }},
	}
}

// commonRows is each situation with each call it is for.
func commonRows() []row {
	var rows []row
	for _, e := range kfapi.Endpoints() {
		var list []situation
		rows = append(rows, byFault(e.Path, -1, "nothing here is ever too busy"))
		if e.Style != kfapi.StyleCredential {
			list = append(list, tokenSituations()...)
			if e.Path != "media/get" { // which has its own rule
				rows = append(rows, byFault(e.Path, 45033, "concurrency is not counted"))
			}
		}
		if strings.HasPrefix(e.Path, "kf/") {
			list = append(list, kfSituations()...)
		}
		if e.Method == http.MethodPost && e.Style != kfapi.StyleUpload && e.Path != "kf/account/list" { // account/list needs no body
			list = append(list, bodySituations()...)
		}
		for _, s := range list {
			rows = append(rows, row{e.Path, s.what, s.code, func(w *world) error {
				s.set(w)
				err := w.raw(e.Path, "{}")
				if strings.HasPrefix(s.what, "the second call") {
					err = w.raw(e.Path, "{}")
				}
				wrong := s.what == "half a body" || s.what == "a field of the wrong type"
				if kfapi.WrongJSONFormat(err) != wrong {
					w.t.Errorf("wrong JSON: got %v, want %v", !wrong, wrong)
				}
				return err
			}})
		}
	}
	return append(rows,
		row{"kf/account/list", "half a body", 40058, func(w *world) error { return w.broken("kf/account/list", `{"limit":`) }},
		row{sending, "a body of 2 MiB", 40206, func(w *world) error { return w.raw(sending, `{"x":"`+large(2<<20)+`"}`) }},
		byFault("gettoken", 45033, "concurrency is not counted"),
		row{"kf/account/list", "the sixth call with debug=1", 45009, func(w *world) error {
			for range 5 {
				w.query("debug", "1")
				w.must(w.raw("kf/account/list", "{}"))
			}
			w.query("debug", "1")
			return w.raw("kf/account/list", "{}")
		}},
	)
}

// broken makes a call with a body that is no JSON.
func (w *world) broken(path, body string) error {
	w.body("application/json", body)
	return w.raw(path, "{}")
}

// namesAccount is the calls whose request names an account.
func namesAccount() []string {
	return []string{
		"kf/sync_msg", "kf/send_msg", "kf/recall_msg", "kf/service_state/get", "kf/service_state/trans", "kf/account/del", "kf/account/update",
		"kf/add_contact_way", "kf/servicer/add", "kf/servicer/del", "kf/servicer/list", "kf/customer/upgrade_service", "kf/customer/cancel_upgrade_service",
		"kf/get_corp_statistic", "kf/get_servicer_statistic",
	}
}

// accountRows refuse every call that names an account, or a customer.
func accountRows() []row {
	var rows []row
	for _, path := range namesAccount() {
		for _, s := range []struct {
			situation
			openKfID string
		}{
			{situation{"the token of a link", 95000, nil}, "kfc0123456789abcdef"},
			{situation{"an id of 65 bytes", 95000, nil}, "wk" + strings.Repeat("x", 63)},
			{situation{"an unknown account", 95004, nil}, "wkNOBODY"},
			{situation{"a deleted account", 95004, func(w *world) { w.must(w.RemoveAccount(desk)) }}, desk},
			{situation{"an account of another corp", 95004, func(w *world) {
				got(w.AddCorp(kfsim.Corp{CorpID: "ww0000000000000002"}))(w)
				got(w.AddAccount(kfsim.Account{OpenKfID: "wkTHEIRS", CorpID: "ww0000000000000002"}))(w)
			}}, "wkTHEIRS"},
			{situation{"an account that is not the app's", 48007, func(w *world) { w.must(w.Authorize(desk, false)) }}, desk},
		} {
			rows = append(rows, row{path, s.what, s.code, func(w *world) error {
				if s.set != nil {
					s.set(w)
				}
				return w.raw(path, `{"open_kfid":"`+s.openKfID+`"}`)
			}})
		}
		if path != "kf/get_corp_statistic" { // where none is the whole corp
			rows = append(rows, row{path, "no account", 40058, func(w *world) error { return w.raw(path, "{}") }})
		}
	}
	rows = append(rows, row{"kf/get_corp_statistic", "no account", 40058, func(w *world) error {
		w.likes(kfsim.Personality{StatisticNeedsAccount: true})
		return second(w.c.GetCorpStatistic(w.t.Context(), w.token, kfapi.GetCorpStatisticRequest{StartTime: day(-1), EndTime: day(-1)}))
	}})
	return append(rows, userRows()...)
}

// userRows refuse every call that names a customer.
func userRows() []row {
	var rows []row
	for path, more := range map[string]string{
		"kf/send_msg":                        `"msgtype":"text","text":{"content":"x"}`,
		"kf/service_state/get":               `"x":1`,
		"kf/service_state/trans":             `"service_state":1`,
		"kf/customer/upgrade_service":        `"type":1,"member":{"userid":"lisi"}`,
		"kf/customer/cancel_upgrade_service": `"x":1`,
	} {
		body := func(user string) string {
			b, _ := json.Marshal(user)
			return `{"open_kfid":"` + desk + `","touser":` + string(b) + `,"external_userid":` + string(b) + `,` + more + `}`
		}
		rows = append(rows,
			row{path, "an unknown customer", 40096, func(w *world) error { return w.raw(path, body("wmNOBODY")) }},
			row{path, "a customer's name", 40096, func(w *world) error { return w.raw(path, body("Ann <1>")) }},
			row{path, "no customer", 40058, func(w *world) error { return w.raw(path, body("")) }},
			row{path, "no customer, by the other code", 41035, func(w *world) error {
				w.likes(kfsim.Personality{MissingUserCode: 41035})
				return w.raw(path, body(""))
			}})
	}
	return rows
}

// credentialRows are the calls that take a secret.
func credentialRows() []row {
	ask := func(id, secret string) func(*world) error {
		return func(w *world) error { return second(w.c.GetToken(w.t.Context(), id, secret)) }
	}
	after := func(set func(*world), do func(*world) error) func(*world) error {
		return func(w *world) error { set(w); return do(w) }
	}
	right := ask(corpID, "secret-one")
	rows := []row{
		{"gettoken", "a wrong secret", 40001, ask(corpID, "wrong")},
		{"gettoken", "a disabled app", 40001, after(withApp(kfsim.App{Disabled: true}), right)},
		{"gettoken", "an unknown corp", 40013, ask("ww9999999999999999", "secret-one")},
		{"gettoken", "an appid for a corpid", 40013, ask(appID, "secret-one")},
		{"gettoken", "another corp's secret", 40091, after(func(w *world) {
			got(w.AddCorp(kfsim.Corp{CorpID: "ww0000000000000002", Secrets: []string{"theirs"}}))(w)
		}, ask(corpID, "theirs"))},
		{"gettoken", "no corpid", 41002, after(func(w *world) { w.query("corpid", "") }, right)},
		{"gettoken", "no secret", 41004, after(func(w *world) { w.query("corpsecret", "") }, right)},
		{"gettoken", "too often", 45009, after(func(w *world) { w.likes(kfsim.Personality{CallsPerMinute: 1}) }, right)},
		{"gettoken", "after too many wrong secrets", 45009, after(func(w *world) {
			w.likes(kfsim.Personality{BadSecretsPerHour: 1})
			for range 2 {
				w.refused("a wrong secret", ask(corpID, "wrong")(w), 40001)
			}
		}, right)},
	}
	for path, token := range map[string]func(w *world, id, secret string) error{
		"token": func(w *world, id, secret string) error { return second(w.c.OfficialToken(w.t.Context(), id, secret)) },
		"stable_token": func(w *world, id, secret string) error {
			return second(w.c.StableToken(w.t.Context(), id, secret, true))
		},
	} {
		part := func(what string, code int, name, value string) row {
			return row{path, what, code, func(w *world) error {
				w.official()
				all := map[string]string{"grant_type": "client_credential", "appid": appID, "secret": appSecret}
				all[name] = value
				body, err := json.Marshal(all)
				w.must(err)
				return w.raw(path, string(body))
			}}
		}
		rows = append(rows,
			part("another grant_type", 40002, "grant_type", "x"), part("no appid", 41002, "appid", ""), part("no secret", 41004, "secret", ""),
			row{path, "an unknown appid", 40013, func(w *world) error { return token(w, "wx9999999999999999", "x") }},
			row{path, "a wrong secret", 40125, func(w *world) error { w.official(); return token(w, appID, "wrong") }},
			row{path, "an address that is not allow-listed", 40164, func(w *world) error {
				got(w.AddOfficialAccount(kfsim.OfficialAccount{AppID: appID, Secret: appSecret, IPs: []string{"10.0.0.0/8"}}))(w)
				return token(w, appID, appSecret)
			}},
			row{path, "one a day too many", 45009, func(w *world) error {
				w.official()
				w.likes(kfsim.Personality{OATokensPerDay: 1, OAForcedPerDay: 1})
				w.must(token(w, appID, appSecret))
				w.Clock().Advance(time.Minute)
				return token(w, appID, appSecret)
			}})
		for _, code := range []int{89503, 89506, 89507} {
			rows = append(rows, byFault(path, code, "nobody confirms addresses here"))
		}
	}
	return rows
}
