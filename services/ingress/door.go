package ingress

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"github.com/kfbus/kfbus/pkg/kfcrypto"
)

// door is one path with the keys and the ids that belong to it. Which door a callback goes through is decided by its path
// alone, never by what it says.
type door struct {
	Door
	log    zerolog.Logger
	checks *rate.Limiter // checks of the URL: a person clicks a button

	mu   sync.Mutex
	from [4]string // the secrets the ring was made of
	ring *kfcrypto.KeyRing
}

// prefixes are the paths of a single door; with several, each is followed by /<name>.
func prefixes() []string { return []string{"/callback", "/wework/callback", "/wechat/callback"} }

// newDoors checks the doors and returns them by path.
func newDoors(cfgs []Door, log zerolog.Logger) (map[string]*door, error) {
	doors := map[string]*door{}
	if len(cfgs) == 0 {
		return nil, errors.New("no corp is configured; set KF_CORP_ID, or KF_CORPS")
	}
	for _, cfg := range cfgs {
		if err := cfg.Validate(); err != nil {
			return nil, err
		}
		if cfg.CorpID == "" {
			return nil, cfg.fail("the corpid is empty; it is the 企业ID of the admin console, ww and 16 digits")
		}
		d := &door{Door: cfg, log: log.With().Str("corp", cfg.CorpID).Logger(), checks: rate.NewLimiter(rate.Every(6*time.Second), 10)}
		if _, err := d.load(); err != nil {
			return nil, err
		}
		for _, path := range prefixes() {
			if cfg.Name != "" {
				path += "/" + cfg.Name
			}
			if doors[path] != nil {
				return nil, fmt.Errorf("two corps have the path %s; give each a name of its own in KF_CORPS", path)
			}
			doors[path] = d
		}
	}
	return doors, nil
}

// keys returns the key ring of the secrets as they are now. While a changed one cannot be used, the ring before goes on,
// and the log says so.
func (d *door) keys() *kfcrypto.KeyRing {
	ring, err := d.load()
	if err != nil {
		d.log.Error().Err(err).Msg("a changed secret cannot be used; the one before stays in force")
	}
	return ring
}

func (d *door) load() (*kfcrypto.KeyRing, error) {
	now := [4]string{d.CallbackToken.Reveal(), d.EncodingAESKey.Reveal(), d.OldCallbackToken.Reveal(), d.OldEncodingAESKey.Reveal()}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ring != nil && now == d.from {
		return d.ring, nil
	}
	d.from = now // if it cannot be used, that is said once: anybody may cause a call
	ring, err := newRing(now, d.receiveIDs())
	if err != nil {
		return d.ring, d.fail(err.Error())
	}
	d.ring = ring
	return ring, nil
}

func newRing(s [4]string, receiveIDs []string) (*kfcrypto.KeyRing, error) {
	current, err := kfcrypto.New(s[0], s[1], receiveIDs...)
	if err != nil {
		return nil, fmt.Errorf("CALLBACK_TOKEN or ENCODING_AES_KEY: %w", err)
	}
	if s[2] == "" || s[3] == "" {
		return kfcrypto.NewKeyRing(current)
	}
	old, err := kfcrypto.New(s[2], s[3], receiveIDs...)
	if err != nil {
		return nil, fmt.Errorf("OLD_CALLBACK_TOKEN or OLD_ENCODING_AES_KEY: %w", err)
	}
	return kfcrypto.NewKeyRing(current, old)
}

// isFor reports whether a decrypted callback is addressed to this door. The platform's commands to third-party apps name no
// receiver.
func (d *door) isFor(doc document) bool {
	to := doc.get("ToUserName")
	return to == "" || to == d.CorpID || slices.Contains(d.ReceiveID, to)
}

// paths lists where callbacks may arrive, for the log.
func (in *Ingress) paths() string {
	var all []string
	for path := range in.doors {
		all = append(all, path)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}
