package kfsim

import (
	"fmt"
	"net/url"
	"testing"
	"time"
)

// oaRig has an official account.
type oaRig struct{ *rig }

func newOARig(t *testing.T, cfg Config) oaRig {
	t.Helper()
	r := oaRig{newRig(t, cfg)}
	_, err := r.AddOfficialAccount(OfficialAccount{AppID: "wx01", Secret: "oa-secret"})
	r.must(err)
	return r
}

func (r oaRig) get(grant, appID, secret string) answered {
	r.t.Helper()
	return r.rig.get("token", url.Values{"grant_type": {grant}, "appid": {appID}, "secret": {secret}})
}

func (r oaRig) token() answered { r.t.Helper(); return r.get("client_credential", "wx01", "oa-secret") }

func (r oaRig) stable(force bool) answered {
	r.t.Helper()
	return r.postAs("", "stable_token", obj{"grant_type": "client_credential", "appid": "wx01", "secret": "oa-secret", "force_refresh": force})
}

func TestOATokenRefusals(t *testing.T) {
	r := newOARig(t, Config{})
	_, err := r.AddOfficialAccount(OfficialAccount{AppID: "wx02", Secret: "s", IPs: []string{"10.0.0.0/8"}})
	r.must(err)
	for _, c := range []struct {
		name, grant, appID, secret string
		want                       int
	}{
		{"another grant", "password", "wx01", "oa-secret", 40002},
		{"no appid", "client_credential", "", "oa-secret", 41002},
		{"no secret", "client_credential", "wx01", "", 41004},
		{"unknown appid", "client_credential", "wx03", "oa-secret", 40013},
		{"a corpid", "client_credential", corpA, "secret-one", 40013},
		{"wrong secret", "client_credential", "wx01", "guess", 40125},
		{"strange address", "client_credential", "wx02", "s", 40164},
	} {
		r.wantCode("token: "+c.name, r.get(c.grant, c.appID, c.secret), c.want)
		r.wantCode("stable_token: "+c.name, r.postAs("", "stable_token", obj{"grant_type": c.grant, "appid": c.appID, "secret": c.secret}), c.want)
	}
	got := r.token()
	if _, there := got["errcode"]; there || got.str("access_token") == "" || got["expires_in"] != 7200.0 {
		t.Errorf("success: got %v, want a token without errcode", got)
	}
	r.wantCode("a kf call with it", r.postAs(got.str("access_token"), "kf/sync_msg", obj{"open_kfid": kf}), 40014)
	for name, o := range map[string]OfficialAccount{"appid": {AppID: "ww1"}, "second": {AppID: "wx01"}, "ip": {AppID: "wx9", IPs: []string{"here"}}} {
		if _, err := r.AddOfficialAccount(o); err == nil {
			t.Errorf("an official account with a bad %s was made", name)
		}
	}
}

func TestOATokensOverlap(t *testing.T) {
	r := newOARig(t, Config{})
	old := r.token().str("access_token")
	if next := r.token().str("access_token"); next == old || !r.OATokenValid(next) {
		t.Error("the second call made no new token")
	}
	r.Clock().Advance(5*time.Minute - time.Second)
	if !r.OATokenValid(old) {
		t.Error("the old token died before 5 minutes were over")
	}
	r.Clock().Advance(time.Second)
	if r.OATokenValid(old) {
		t.Error("the old token lives after 5 minutes")
	}
}

func TestOAQuota(t *testing.T) {
	r := newOARig(t, Config{Personality: Personality{OATokensPerDay: 2}})
	r.token()
	if got := r.token(); got.str("access_token") == "" {
		t.Errorf("second of the day: got %v", got)
	}
	r.wantCode("third of the day", r.token(), 45009)
	if got := r.stable(false); got.str("access_token") == "" {
		t.Errorf("stable_token has a quota of its own: got %v", got)
	}
	if d := (Personality{}).withDefaults(); d.OATokensPerDay != 2000 || d.OAForcedPerDay != 20 {
		t.Errorf("got quotas %d and %d, want 2000 and 20", d.OATokensPerDay, d.OAForcedPerDay)
	}
}

func TestOAStableToken(t *testing.T) {
	r := newOARig(t, Config{})
	first := r.stable(false).str("access_token")
	r.Clock().Advance(7200*time.Second - 5*time.Minute - time.Second)
	if got := r.stable(false); got.str("access_token") != first || got["expires_in"] != 301.0 {
		t.Errorf("before the last 5 minutes: got %v, want the same token for 301 s", got)
	}
	r.Clock().Advance(time.Second)
	second := r.stable(false).str("access_token")
	if second == first || !r.OATokenValid(first) || !r.OATokenValid(second) {
		t.Error("in the last 5 minutes there are not two living tokens")
	}
	r.Clock().Advance(5 * time.Minute)
	if r.OATokenValid(first) {
		t.Error("the first token outlived its 2 hours")
	}
	third := r.stable(true).str("access_token")
	if third == second || r.OATokenValid(second) {
		t.Error("a forced refresh left the old token alive")
	}
	r.Clock().Advance(30*time.Second - time.Second)
	if r.stable(true).str("access_token") != third {
		t.Error("forced again within 30 s: got a new token")
	}
	if apart := r.token().str("access_token"); !r.OATokenValid(third) || apart == third {
		t.Error("token and stable_token are not apart")
	}
}

func TestOAForcedQuota(t *testing.T) {
	r := newOARig(t, Config{})
	for i := range 21 {
		got := r.stable(true)
		if i < 20 && got.str("access_token") == "" {
			t.Errorf("forced %d: got %v", i+1, got)
		}
		if i == 20 {
			r.wantCode(fmt.Sprint("forced ", i+1), got, 45009)
		}
		r.Clock().Advance(30 * time.Second)
	}
	if got := r.stable(false); got.str("access_token") == "" {
		t.Errorf("not forced: got %v", got)
	}
}

func TestConvertKfID(t *testing.T) {
	r := newRig(t, Config{})
	convert := func() answered { return r.post("idconvert/open_kfid", obj{"open_kfid_list": []string{kf, "wkX"}}) }
	r.wantCode("a self-built app", convert(), 48002)
	r.setCorp(func(c *Corp) { c.Apps = []App{{Kind: AppThirdParty}} })
	got := convert()
	items := got.rows("items")
	if len(items) != 1 || items[0].str("open_kfid") != kf || !wellFormedKfID(items[0].str("new_open_kfid")) || fmt.Sprint(got["invalid_open_kfid_list"]) != "[wkX]" {
		t.Errorf("got %v", got)
	}
	if again := convert().rows("items"); again[0].str("new_open_kfid") != items[0].str("new_open_kfid") {
		t.Error("an id has two new ones")
	}
	r.wantCode("none", r.post("idconvert/open_kfid", obj{"open_kfid_list": []string{}}), 40058)
	r.must(r.SetPersonality(Personality{AnyAppConverts: true}))
	r.setCorp(func(c *Corp) { c.Apps = nil })
	r.wantCode("a self-built app, by a switch", convert(), 0)
}
