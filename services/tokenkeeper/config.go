package tokenkeeper

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/pkg/events"
)

// Config is the tokenkeeper's own part of the environment. Its zero value is not usable; envconfig fills in the defaults.
type Config struct {
	Credentials []string      `desc:"names of several credentials to keep, each with KF_CREDENTIAL_<NAME>_… of its own; empty: the one of KF_CORP_ID and KF_TOKENKEEPER_SECRET"`
	MinDistance time.Duration `split_words:"true" default:"30s" desc:"time between two calls for one credential's token in the long run; two may follow each other at once"`
}

// Bounds of MinDistance. Failing calls get an address banned at about 2000 an hour; 1 s is twice that, for tests only.
const (
	shortestDistance = time.Second
	longestDistance  = 10 * time.Minute
)

// Validate reports what is out of bounds.
func (c Config) Validate() error {
	if c.MinDistance < shortestDistance || c.MinDistance > longestDistance {
		return fmt.Errorf("KF_TOKENKEEPER_MIN_DISTANCE is %v and must be %v to %v, or WeChat blocks us or a dead token stays",
			c.MinDistance, shortestDistance, longestDistance)
	}
	return nil
}

// Single is the one credential of KF_CORP_ID.
type Single struct {
	Credential string         `default:"kf" desc:"the name under which this tokenkeeper publishes the token; KF_CREDENTIAL of syncer and sender must be the same"`
	Secret     service.Secret `required:"true" desc:"the app's secret (corpsecret), with which access tokens are fetched"`
}

// Validate reports what is out of bounds.
func (s Single) Validate() error {
	if s.Credential == "" {
		return errors.New("KF_TOKENKEEPER_CREDENTIAL is empty; any name will do, kf is the usual one")
	}
	return nil
}

// Of is the credential of this corp.
func (s Single) Of(corp string) Credential {
	return Credential{Corp: corp, Name: s.Credential, Secret: s.Secret}
}

// Kinds of credentials: where an access token comes from.
const (
	KindCorp     = "corp"     // an app of a WeCom corp: gettoken
	KindOfficial = "official" // an official account or mini program: token, of which each call ends the one before
	KindStable   = "stable"   // the same: stable_token, which leaves the others' alone
)

// Named is one credential of several, under KF_CREDENTIAL_<NAME>_.
type Named struct {
	ID     string         `required:"true" example:"ww0123456789abcdef" desc:"the corpid (企业ID), or the appid of an official account or mini program"`
	Kind   string         `default:"corp" unit:"corp, official or stable" desc:"which call brings the token: corp is gettoken of a WeCom app, stable is stable_token of an official account or mini program, official its older token, of which each call ends the one before"`
	Secret service.Secret `required:"true" desc:"the app's secret (corpsecret, AppSecret)"`
}

// Validate reports what is out of bounds.
func (n Named) Validate() error {
	if !slices.Contains([]string{KindCorp, KindOfficial, KindStable}, n.Kind) {
		return errors.New("KF_CREDENTIAL_…_KIND must be corp, official or stable")
	}
	return nil
}

// Of is the credential of this name.
func (n Named) Of(name string) Credential {
	return Credential{Corp: n.ID, Name: name, Kind: n.Kind, Secret: n.Secret}
}

// Credential is one app's secret. A corp may have several: their access tokens differ and are kept apart.
type Credential struct {
	Corp   string // the appid of an official account or mini program
	Name   string // the operator's, unique in the corp
	Kind   string // empty: KindCorp
	Secret service.Secret
}

// check refuses credentials that cannot be kept, and two whose tokens would overwrite each other.
func check(credentials []Credential) error {
	if len(credentials) == 0 {
		return errors.New("no credential is given, so there is no access token to keep")
	}
	seen := map[string]bool{}
	for _, c := range credentials {
		key := events.TokenKey(c.Corp, c.Name)
		switch {
		case c.Corp == "" || c.Name == "":
			return fmt.Errorf("credential %s: the corp or the name is empty", key)
		case c.Secret.IsZero():
			return fmt.Errorf("credential %s: the secret is empty; set KF_TOKENKEEPER_SECRET_FILE to a file that holds it", key)
		case seen[key]:
			return fmt.Errorf("credential %s is there twice; give each app of a corp its own name", key)
		}
		seen[key] = true
	}
	return nil
}
