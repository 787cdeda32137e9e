package kfsim

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Periods of official accounts' tokens.
const (
	oaTokenLife    = 7200 * time.Second
	oaTokenOverlap = 5 * time.Minute  // how long a replaced token goes on; and how early stable_token has the next one
	oaForcePause   = 30 * time.Second // between two forced refreshes
	oaDay          = 24 * time.Hour

	stablePerMinute = 10_000
	stablePerDay    = 500_000
)

// OfficialAccount is an official account or mini program: only its tokens are simulated, and no call
// here takes them.
type OfficialAccount struct {
	AppID  string   `json:"appid"`             // wx…; made when empty
	Secret string   `json:"secret"`            // made when empty
	IPs    []string `json:"ip_list,omitempty"` // addresses or prefixes of callers, else 40164; none means every address
}

type official struct {
	OfficialAccount
	token, stable oaToken
	forcedAt      time.Time
}

// oaToken is a token and when it was made; the zero value is none.
type oaToken struct {
	value string
	at    time.Time
}

// AddOfficialAccount makes an official account and returns it with what was left to make.
func (s *Sim) AddOfficialAccount(o OfficialAccount) (OfficialAccount, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	or(&o.AppID, fmt.Sprintf("wx%x", s.st.ids.next("appid", 8)))
	or(&o.Secret, s.st.ids.opaque("", "appsecret", 32))
	switch {
	case !wellFormedAppID(o.AppID):
		return OfficialAccount{}, errors.New("appid is not of the form wx…, 32 bytes at most")
	case s.st.officials[o.AppID] != nil:
		return OfficialAccount{}, fmt.Errorf("official account %s is there already", o.AppID)
	}
	if err := (App{TrustedIPs: o.IPs}).validate(); err != nil {
		return OfficialAccount{}, err
	}
	s.st.officials[o.AppID] = &official{OfficialAccount: o}
	return o, nil
}

// official finds the official account that a call is made for.
func (r *request) official(grant, appID, secret string) (*official, answer) {
	o := r.st.officials[appID]
	switch {
	case grant != "client_credential":
		return nil, refuse(40002, "grant_type is not client_credential")
	case appID == "":
		return nil, refuse(41002, "appid is missing")
	case secret == "":
		return nil, refuse(41004, "secret is missing")
	case o == nil:
		return nil, refuse(40013, "no such appid")
	case o.Secret != secret:
		return nil, refuse(40125, "the secret is wrong")
	case !trusts(o.IPs, r.ip):
		return nil, refuse(40164, "the address is not among the official account's")
	}
	return o, answer{}
}

// oaToken makes a new token at each call.
//
// https://developers.weixin.qq.com/doc/offiaccount/Basic_Information/Get_access_token.html
func (r *request) oaToken() answer {
	o, a := r.official(r.query.Get("grant_type"), r.query.Get("appid"), r.query.Get("secret"))
	if a.code != 0 {
		return a
	}
	if !r.st.limits.allow("oa token "+o.AppID, r.now, r.sim.p.OATokensPerDay, oaDay) {
		return refuse(45009, "too many tokens in a day")
	}
	o.token = r.newOAToken(o.token, oaTokenOverlap)
	return r.grantOA(o.token)
}

// oaStableToken gives the same token until shortly before its end.
//
// https://developers.weixin.qq.com/doc/offiaccount/Basic_Information/getStableAccessToken.html
func (r *request) oaStableToken() answer {
	var req struct {
		GrantType string `json:"grant_type"`
		AppID     string `json:"appid"`
		Secret    string `json:"secret"`
		Force     bool   `json:"force_refresh"`
	}
	if a, good := r.decode(&req); !good {
		return a
	}
	o, a := r.official(req.GrantType, req.AppID, req.Secret)
	if a.code != 0 {
		return a
	}
	key := "oa stable " + o.AppID
	if !r.st.limits.allow(key+" minute", r.now, stablePerMinute, time.Minute) || !r.st.limits.allow(key+" day", r.now, stablePerDay, oaDay) {
		return refuse(45009, "too many calls in a minute or in a day")
	}
	switch {
	case req.Force && !within(o.forcedAt, oaForcePause, r.now):
		if !r.st.limits.allow("oa forced "+o.AppID, r.now, r.sim.p.OAForcedPerDay, oaDay) {
			return refuse(45009, "too many forced refreshes in a day")
		}
		o.forcedAt = r.now
		o.stable = r.newOAToken(o.stable, 0)
	case !within(o.stable.at, oaTokenLife-oaTokenOverlap, r.now):
		o.stable = r.newOAToken(o.stable, oaTokenOverlap)
	}
	return r.grantOA(o.stable)
}

// newOAToken makes a token; the one before lives on for overlap at most.
func (r *request) newOAToken(old oaToken, overlap time.Duration) oaToken {
	if end := r.now.Add(overlap); old.value != "" && r.st.oaTokens[old.value].After(end) {
		r.st.oaTokens[old.value] = end
	}
	t := oaToken{r.st.ids.opaque("", "oa token", 136), r.now}
	r.st.oaTokens[t.value] = r.now.Add(oaTokenLife)
	return t
}

// grantOA is a success as official accounts have it: without errcode.
func (r *request) grantOA(t oaToken) answer {
	r.entry.Token, r.entry.Expires = fingerprint(t.value), t.at.Add(oaTokenLife)
	return answer{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}, raw: marshal(struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"` // seconds
	}{t.value, int64(t.at.Add(oaTokenLife).Sub(r.now) / time.Second)})}
}

// OATokenValid reports whether a token of an official account is still good, by the virtual clock.
func (s *Sim) OATokenValid(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock.Now().Before(s.st.oaTokens[token])
}
