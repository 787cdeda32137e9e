package kfsim

import (
	"slices"
	"time"
)

// accessToken is what gettoken gave out.
type accessToken struct {
	value   string
	corp    *corp
	app     int // index of the secret
	expires time.Time
	revoked bool
}

// getToken: https://developer.work.weixin.qq.com/document/path/91039
func (r *request) getToken() answer {
	id, secret := r.query.Get("corpid"), r.query.Get("corpsecret")
	switch {
	case id == "":
		return refuse(41002, "the parameter corpid is missing")
	case secret == "":
		return refuse(41004, "the parameter corpsecret is missing")
	}
	ban := r.st.limits["bad secret ip "+r.ip]
	if ban != nil && r.now.Before(ban.blocked) {
		return refuse(45009, "this address is banned for an hour after too many wrong secrets")
	}
	c, a := r.checkSecret(id, secret)
	if a.code != 0 {
		r.st.limits.allow("bad secret ip "+r.ip, r.now, r.sim.p.BadSecretsPerHour, time.Hour)
		return a
	}
	r.corp, r.entry.CorpID, r.entry.App = c, c.CorpID, r.app+1
	t := r.issue()
	r.entry.Token, r.entry.Expires = fingerprint(t.value), t.expires
	left := t.expires.Sub(r.now)
	if r.sim.p.FullExpiresIn {
		left = r.sim.p.AccessTokenTTL
	}
	return ok(struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"` // seconds
	}{t.value, int64(left / time.Second)})
}

// checkSecret finds the corp and the app that a secret belongs to.
func (r *request) checkSecret(id, secret string) (*corp, answer) {
	c := r.st.corps[id]
	if c == nil {
		return nil, refuse(40013, "no such corp")
	}
	if r.app = slices.Index(c.Secrets, secret); r.app >= 0 {
		if c.app(r.app).Disabled {
			return nil, refuse(40001, "the app is disabled")
		}
		return c, answer{}
	}
	for _, other := range r.st.corps {
		if slices.Contains(other.Secrets, secret) {
			return nil, refuse(40091, "the secret is another corp's")
		}
	}
	return nil, refuse(40001, "the secret is wrong")
}

// issue returns the token that this app shall use now.
func (r *request) issue() *accessToken {
	p, old := r.sim.p, r.corp.current[r.app]
	alive := old != nil && !old.revoked && old.expires.Sub(r.now) >= time.Second
	if alive && p.RepeatedGetToken == TokenSame {
		return old
	}
	if alive && p.RepeatedGetToken == TokenNewKillsOld {
		old.revoked = true
	}
	t := &accessToken{value: r.st.ids.opaque("", "access token", 200), corp: r.corp, app: r.app, expires: r.now.Add(p.AccessTokenTTL)}
	r.st.tokens[t.value] = t
	r.corp.current[r.app] = t
	r.sim.journal.add(Entry{Kind: KindToken, Call: r.entry.Call, CorpID: r.corp.CorpID, App: r.app + 1, Token: fingerprint(t.value), Expires: t.expires, Reason: "made"})
	return t
}

// authorize finds the corp and app of the call's access token.
func (r *request) authorize() answer {
	value := r.query.Get("access_token")
	if value == "" {
		return refuse(41001, "the query parameter access_token is missing")
	}
	t := r.st.tokens[value]
	if t == nil {
		return refuse(40014, "nobody got this access_token here")
	}
	r.corp, r.app = t.corp, t.app
	r.entry.CorpID, r.entry.App, r.entry.Token = t.corp.CorpID, t.app+1, fingerprint(value)
	switch {
	case t.revoked:
		return refuse(r.sim.p.RevokedCode, "the access_token was revoked early")
	case !r.now.Before(t.expires):
		return refuse(42001, "the access_token has expired")
	}
	return answer{}
}

// RevokeTokens makes every access token of a corp invalid, early, and returns how many were valid.
// corpID may be empty while there is one corp.
func (s *Sim) RevokeTokens(corpID string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.st.corp(corpID)
	if err != nil {
		return 0, err
	}
	n, now := 0, s.clock.Now()
	for _, t := range s.st.tokens {
		if t.corp == c && !t.revoked && now.Before(t.expires) {
			t.revoked = true
			n++
		}
	}
	s.journal.add(Entry{Kind: KindToken, CorpID: c.CorpID, Reason: "revoked", Count: n})
	return n, nil
}

// revoke kills one access token.
func (s *Sim) revoke(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.st.tokens[value]; t != nil && !t.revoked {
		t.revoked = true
		s.journal.add(Entry{Kind: KindToken, CorpID: t.corp.CorpID, App: t.app + 1, Token: fingerprint(value), Reason: "revoked", Count: 1})
	}
}
