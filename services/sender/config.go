package sender

import (
	"errors"
	"fmt"
	"time"

	"github.com/kfbus/kfbus/services/sender/api"
	"github.com/kfbus/kfbus/services/sender/window"
)

// Config is the sender's own part of the environment. Its zero value is not usable; envconfig fills in the defaults.
type Config struct {
	PostTimeout     time.Duration `split_words:"true" default:"4s" desc:"one request to WeChat; less than half of the lanes' KF_TOPOLOGY_ACK_WAIT"`
	Tries           int           `default:"8" desc:"requests of one message that may end without a definite answer before its outcome is unknown or failed"`
	LaneWait        time.Duration `split_words:"true" default:"5s" desc:"how long a command may hold up its lane; one that must wait longer is put aside, and the lane goes on"`
	FreshWait       time.Duration `split_words:"true" default:"75s" desc:"how long a send is held that would be refused for the customer's window or session, until its account has been pulled; 0s refuses at once"`
	DueWorkers      int           `split_words:"true" default:"4" desc:"commands that were put aside and are taken up again at the same time"`
	InboxWorkers    int           `split_words:"true" default:"4" desc:"messages and events of customers that are noted at the same time"`
	CallsPerMinute  int           `split_words:"true" default:"9500" desc:"requests of this replica to one API in any minute; WeChat takes 10000 of all replicas together"`
	CallsPerHour    int           `split_words:"true" default:"145000" desc:"the same in any hour; WeChat takes 150000"`
	MsgidIdempotent bool          `split_words:"true" default:"true" desc:"WeChat refuses a msgid it has seen, as it documents; false: never repeat a request in doubt"`
	DupMsgidCodes   []int         `split_words:"true" default:"40058" desc:"errcodes by which WeChat refuses a msgid it has seen"`
	API             api.Config    // requests for other calls: KF_SENDER_API_…
	MinGap          time.Duration `split_words:"true" default:"0s" desc:"least time between two messages to one customer; a later one waits, in its order"`
	WindowEvents    bool          `split_words:"true" default:"true" desc:"tell of windows on kf.event: window_closing, last_slot, window_closed"`
	WelcomeText     string        `split_words:"true" desc:"text with which the sender itself welcomes a customer who enters; empty: the teams do, or nobody"`
}

const (
	maxWelcome = 2048 // bytes, the platform's limit of a text
	// settleTime is what a reservation needs beyond the fence and the request: the write of the answer.
	settleTime = 3 * time.Second
)

// Validate reports what is out of bounds, all at once.
func (c Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.PostTimeout < 100*time.Millisecond {
		fail("KF_SENDER_POST_TIMEOUT is %v and must be at least 100ms, or no answer is ever waited for", c.PostTimeout)
	}
	if c.LaneWait < 0 || c.LaneWait > time.Minute {
		fail("KF_SENDER_LANE_WAIT is %v and must be 0s to 1m: other conversations wait behind it", c.LaneWait)
	}
	if c.FreshWait < 0 || c.FreshWait > 10*time.Minute {
		fail("KF_SENDER_FRESH_WAIT is %v and must be 0s to 10m", c.FreshWait)
	}
	if c.MinGap < 0 || c.MinGap > time.Minute {
		fail("KF_SENDER_MIN_GAP is %v and must be 0s to 1m: five messages would outlive the time that a command may wait", c.MinGap)
	}
	for _, f := range []struct {
		name string
		n    int
	}{{"DUE_WORKERS", c.DueWorkers}, {"INBOX_WORKERS", c.InboxWorkers}} {
		if f.n < 1 || f.n > 64 {
			fail("KF_SENDER_%s is %d and must be 1 to 64", f.name, f.n)
		}
	}
	if c.CallsPerMinute < 1 || c.CallsPerHour < c.CallsPerMinute {
		fail("KF_SENDER_CALLS_PER_MINUTE is %d and KF_SENDER_CALLS_PER_HOUR %d; the first must be at least 1, the second not less than the first",
			c.CallsPerMinute, c.CallsPerHour)
	}
	if c.MsgidIdempotent && len(c.DupMsgidCodes) == 0 {
		fail("KF_SENDER_DUP_MSGID_CODES is empty; name the errcode of a repeated msgid, or set KF_SENDER_MSGID_IDEMPOTENT=false")
	}
	if len(c.WelcomeText) > maxWelcome {
		fail("KF_SENDER_WELCOME_TEXT has %d bytes and may have %d", len(c.WelcomeText), maxWelcome)
	}
	if err := c.API.Validate(); err != nil {
		errs = append(errs, err)
	}
	if err := c.rules().Validate(); err != nil {
		fail("KF_SENDER_TRIES, KF_SENDER_POST_TIMEOUT: %w", err)
	}
	return errors.Join(errs...)
}

// rules are the rules of sending as this configuration wants them. A reservation is left alone for longer than the fence,
// one request and the write of its answer can last: sooner, a second sender would post while the first still does.
func (c Config) rules() window.Rules {
	r := window.Defaults()
	r.Tries, r.DupCodes, r.NeverRepost, r.Gap = c.Tries, c.DupMsgidCodes, !c.MsgidIdempotent, c.MinGap
	r.Grace = max(r.Grace, r.Fence+c.PostTimeout+settleTime)
	return r
}
