package tokenkeeper

import (
	"errors"
	"fmt"
	"time"

	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/pkg/events"
)

// Config is the tokenkeeper's own part of the environment, for one credential. Its zero value is not usable; envconfig
// fills in the defaults.
type Config struct {
	Credential  string         `default:"kf" desc:"your name for the app that the secret belongs to; callers ask for its access token by this name"`
	Secret      service.Secret `required:"true" desc:"the app's secret (corpsecret), with which access tokens are fetched"`
	MinDistance time.Duration  `split_words:"true" default:"30s" desc:"time between two calls of gettoken in the long run; two may follow each other at once"`
}

// Bounds of MinDistance. Failing calls get an address banned at about 2000 an hour; 1 s is twice that, for tests only.
const (
	shortestDistance = time.Second
	longestDistance  = 10 * time.Minute
)

// Validate reports what is out of bounds, all at once.
func (c Config) Validate() error {
	var errs []error
	if c.Credential == "" {
		errs = append(errs, errors.New("KF_TOKENKEEPER_CREDENTIAL is empty; any name will do, kf is the usual one"))
	}
	if c.MinDistance < shortestDistance || c.MinDistance > longestDistance {
		errs = append(errs, fmt.Errorf("KF_TOKENKEEPER_MIN_DISTANCE is %v and must be %v to %v, or WeChat blocks us or a dead token stays",
			c.MinDistance, shortestDistance, longestDistance))
	}
	return errors.Join(errs...)
}

// Credentials returns the one credential that the environment can name.
func (c Config) Credentials(corp string) []Credential {
	return []Credential{{Corp: corp, Name: c.Credential, Secret: c.Secret}}
}

// Credential is one app's secret. A corp may have several: their access tokens differ and are kept apart.
type Credential struct {
	Corp   string
	Name   string // the operator's, unique in the corp
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
