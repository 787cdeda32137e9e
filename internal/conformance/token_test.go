package conformance

import (
	"time"

	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

const (
	appID     = "wx0000000000000009"
	appSecret = "app-secret"
)

func tokenCalls() map[string]func(*world) {
	return map[string]func(*world){
		"gettoken":          getToken,
		"getcallbackip":     func(w *world) { ipList(w, got(w.c.GetCallbackIP(w.t.Context(), w.token))(w)) },
		"get_api_domain_ip": func(w *world) { ipList(w, got(w.c.GetAPIDomainIP(w.t.Context(), w.token))(w)) },
		"token":             officialToken,
		"stable_token":      stableToken,
	}
}

func getToken(w *world) {
	first := got(w.c.GetToken(w.t.Context(), corpID, "secret-two"))(w)
	w.fine(first.Reply)
	same(w.t, "life", first.ExpiresIn, 2*time.Hour)
	same(w.t, "the token of another app is the same", first.AccessToken == w.token, false)
	got(w.c.AccountList(w.t.Context(), first.AccessToken, 0, 0))(w)

	w.Clock().Advance(30 * time.Minute)
	again := got(w.c.GetToken(w.t.Context(), corpID, "secret-two"))(w)
	same(w.t, "the same token again", again.AccessToken == first.AccessToken, true)
	same(w.t, "what is left of its life", again.ExpiresIn, 90*time.Minute)

	w.Clock().Advance(90 * time.Minute)
	_, err := w.c.AccountList(w.t.Context(), first.AccessToken, 0, 0)
	w.refused("the old token", err, 42001)
	next := got(w.c.GetToken(w.t.Context(), corpID, "secret-two"))(w)
	same(w.t, "another token after its end", next.AccessToken != first.AccessToken, true)
	got(w.c.AccountList(w.t.Context(), next.AccessToken, 0, 0))(w)
}

func ipList(w *world, r kfapi.IPListResponse) {
	w.t.Helper()
	w.fine(r.Reply)
	same(w.t, "ip_list", r.IPList, []string{"101.226.103.0/25", "203.0.113.7"})
}

func (w *world) official() {
	w.t.Helper()
	got(w.AddOfficialAccount(kfsim.OfficialAccount{AppID: appID, Secret: appSecret}))(w)
}

func officialToken(w *world) {
	w.official()
	first := got(w.c.OfficialToken(w.t.Context(), appID, appSecret))(w)
	same(w.t, "life", first.ExpiresIn, 2*time.Hour)
	same(w.t, "valid", w.OATokenValid(first.AccessToken), true)
	second := got(w.c.OfficialToken(w.t.Context(), appID, appSecret))(w)
	same(w.t, "another token", second.AccessToken != first.AccessToken, true)
	w.Clock().Advance(5*time.Minute - time.Second)
	same(w.t, "the first one in its last second", w.OATokenValid(first.AccessToken), true)
	w.Clock().Advance(time.Second)
	same(w.t, "the first one after 5 minutes", w.OATokenValid(first.AccessToken), false)
	same(w.t, "the second one then", w.OATokenValid(second.AccessToken), true)
	_, err := w.c.AccountList(w.t.Context(), second.AccessToken, 0, 0)
	w.refused("a call with it", err, 40014)
}

func stableToken(w *world) {
	w.official()
	first := got(w.c.StableToken(w.t.Context(), appID, appSecret, false))(w)
	same(w.t, "life", first.ExpiresIn, 2*time.Hour)
	w.Clock().Advance(time.Minute)
	again := got(w.c.StableToken(w.t.Context(), appID, appSecret, false))(w)
	same(w.t, "the same token", again.AccessToken == first.AccessToken, true)
	same(w.t, "what is left", again.ExpiresIn, 119*time.Minute)
	w.Clock().Advance(114 * time.Minute)
	next := got(w.c.StableToken(w.t.Context(), appID, appSecret, false))(w)
	same(w.t, "the next one in the last 5 minutes", next.AccessToken != first.AccessToken, true)
	same(w.t, "the first one beside it", w.OATokenValid(first.AccessToken), true)
	forced := got(w.c.StableToken(w.t.Context(), appID, appSecret, true))(w)
	same(w.t, "the forced one is another", forced.AccessToken != next.AccessToken, true)
	same(w.t, "the one before it", w.OATokenValid(next.AccessToken), false)
	same(w.t, "the forced one", w.OATokenValid(forced.AccessToken), true)
}
