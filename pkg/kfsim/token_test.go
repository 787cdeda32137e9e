package kfsim

import (
	"fmt"
	"net/url"
	"testing"
	"time"
)

func (r *rig) gettoken(corpID, secret string) answered {
	r.t.Helper()
	q := url.Values{}
	if corpID != "" {
		q.Set("corpid", corpID)
	}
	if secret != "" {
		q.Set("corpsecret", secret)
	}
	return r.get("gettoken", q)
}

func TestGetToken(t *testing.T) {
	r := newRig(t, Config{})
	_, err := r.AddCorp(Corp{CorpID: "ww0000000000000002", Secrets: []string{"foreign"}})
	r.must(err)
	for _, c := range []struct {
		name, corp, secret string
		want               int
	}{
		{"good", corpA, "secret-one", 0},
		{"no corpid", "", "secret-one", 41002},
		{"no secret", corpA, "", 41004},
		{"wrong corpid", "ww9", "secret-one", 40013},
		{"wrong secret", corpA, "guess", 40001},
		{"another corp's secret", corpA, "foreign", 40091},
	} {
		got := r.gettoken(c.corp, c.secret)
		r.wantCode(c.name, got, c.want)
		if (got.str("access_token") != "") != (c.want == 0) {
			t.Errorf("%s: got access_token %v", c.name, got["access_token"])
		}
	}
	if one, two := r.gettoken(corpA, "secret-one"), r.gettoken(corpA, "secret-two"); one.str("access_token") == two.str("access_token") {
		t.Error("two apps share a token")
	}
}

func TestRepeatedGetToken(t *testing.T) {
	for _, c := range []struct {
		mode        string
		same, oldOK bool
		wantRemains float64
	}{
		{TokenSame, true, true, 6200},
		{TokenNew, false, true, 7200},
		{TokenNewKillsOld, false, false, 7200},
	} {
		r := newRig(t, Config{Personality: Personality{RepeatedGetToken: c.mode}})
		r.Clock().Advance(1000 * time.Second)
		got := r.gettoken(corpA, "secret-one")
		if same := got.str("access_token") == r.token; same != c.same || got["expires_in"] != c.wantRemains {
			t.Errorf("%s: got same token %v, %v s, want %v, %v s", c.mode, same, got["expires_in"], c.same, c.wantRemains)
		}
		if ok := r.pull(nil).code() == 0; ok != c.oldOK {
			t.Errorf("%s: the old token works %v, want %v", c.mode, ok, c.oldOK)
		}
		r.wantCode(c.mode, r.postAs(got.str("access_token"), "kf/sync_msg", obj{"open_kfid": kf}), 0)
	}
}

func TestTokenLife(t *testing.T) {
	r := newRig(t, Config{})
	r.Clock().Advance(7200*time.Second - time.Second)
	r.wantCode("a second before its end", r.pull(nil), 0)
	r.Clock().Advance(time.Second)
	r.wantCode("at its end", r.pull(nil), 42001)
	r.wantCode("made up", r.postAs("tok", "kf/sync_msg", obj{}), 40014)
	r.wantCode("missing", r.postAs("", "kf/sync_msg", obj{"access_token": r.token}), 41001)
	r.token = r.getToken("secret-one")
	r.wantCode("a new one", r.pull(nil), 0)
}

func TestRevokeTokens(t *testing.T) {
	r := newRig(t, Config{Personality: Personality{RevokedCode: 42001}})
	second := r.getToken("secret-two")
	if n, err := r.RevokeTokens(""); n != 2 || err != nil {
		t.Errorf("revoke: got %d, %v, want 2", n, err)
	}
	r.wantCode("revoked", r.pull(nil), 42001)
	r.wantCode("the other app's too", r.postAs(second, "kf/sync_msg", obj{}), 42001)
	if again := r.getToken("secret-one"); again == r.token {
		t.Error("gettoken gave the revoked token again")
	}
}

func TestWrongSecretsBanTheAddress(t *testing.T) {
	r := newRig(t, Config{Personality: Personality{BadSecretsPerHour: 3}})
	for i := range 4 {
		r.wantCode(fmt.Sprint("guess ", i+1), r.gettoken(corpA, "guess"), 40001)
	}
	r.wantCode("banned, even with the right one", r.gettoken(corpA, "secret-one"), 45009)
	r.Clock().Advance(time.Hour)
	r.wantCode("after an hour", r.gettoken(corpA, "secret-one"), 0)
}
