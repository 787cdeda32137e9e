package syncer

import (
	"errors"
	"fmt"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/services/syncer/media"
)

// Config is the syncer's own part of the environment. Its zero value is not usable; envconfig fills in the defaults.
type Config struct {
	Accounts           []string      `desc:"accounts (open_kfid) to sweep besides those that are found"`
	Sweep              time.Duration `default:"1m" desc:"an account that was not pulled for this long is pulled without a callback"`
	AccountList        time.Duration `split_words:"true" default:"5m" desc:"how often account/list is asked for new accounts"`
	PageLimit          int           `split_words:"true" default:"500" unit:"1 to 999" desc:"messages asked for at once; a page and its cursor are one atomic batch of at most 1000"`
	TurnPages          int           `split_words:"true" default:"20" desc:"pages of one account before others of its lane have their turn"`
	TokenlessPerMinute int           `split_words:"true" default:"30" desc:"pulls of one account in a minute without a callback's token, which WeChat throttles hard"`
	VoiceFormat        int           `split_words:"true" default:"0" unit:"0 or 1" desc:"media behind voice messages: 0 AMR, 1 Silk"`
	Media              media.Config  // files of messages
}

// shortestSweep is far below what is of use in production, and long enough not to be a busy loop.
const shortestSweep = 50 * time.Millisecond

// Validate reports what is out of bounds, all at once.
func (c Config) Validate() error {
	var errs []error
	if c.Sweep < shortestSweep {
		errs = append(errs, fmt.Errorf("KF_SYNCER_SWEEP is %v and must be at least %v", c.Sweep, shortestSweep))
	}
	if c.AccountList < c.Sweep {
		errs = append(errs, fmt.Errorf("KF_SYNCER_ACCOUNT_LIST is %v and must not be less than KF_SYNCER_SWEEP (%v)", c.AccountList, c.Sweep))
	}
	if c.PageLimit < 1 || c.PageLimit >= bus.MaxBatch {
		errs = append(errs, fmt.Errorf("KF_SYNCER_PAGE_LIMIT is %d and must be 1 to %d: with its cursor a page is one batch of at most %d",
			c.PageLimit, bus.MaxBatch-1, bus.MaxBatch))
	}
	if c.TurnPages < stillPages {
		errs = append(errs, fmt.Errorf("KF_SYNCER_TURN_PAGES is %d and must be at least %d", c.TurnPages, stillPages))
	}
	if c.TokenlessPerMinute < 1 {
		errs = append(errs, fmt.Errorf("KF_SYNCER_TOKENLESS_PER_MINUTE is %d and must be at least 1, or a lost callback is never made good", c.TokenlessPerMinute))
	}
	if c.VoiceFormat != 0 && c.VoiceFormat != 1 {
		errs = append(errs, fmt.Errorf("KF_SYNCER_VOICE_FORMAT is %d and must be 0 (AMR) or 1 (Silk)", c.VoiceFormat))
	}
	return errors.Join(errs...)
}
