package sender

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/tokens"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/services/sender/window"
)

func TestAnswerOf(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want window.AnswerKind
	}{
		{"accepted", nil, window.AnswerAccepted},
		{"too old to be posted", errFenced, window.AnswerNotSent},
		{"no access token", fmt.Errorf("of ww1: %w: %w", tokens.ErrNone, context.Canceled), window.AnswerNotSent},
		{"no connection", &kfapi.TransportError{Op: "send_msg", Err: io.EOF}, window.AnswerNotSent},
		{"over a limit", fmt.Errorf("send_msg: %w", &kfapi.LimitError{Field: "text.content"}), window.AnswerNotSent},
		{"written, then cut", &kfapi.TransportError{Op: "send_msg", Written: true, Err: io.ErrUnexpectedEOF}, window.AnswerAmbiguous},
		{"written, then too late", &kfapi.TransportError{Op: "send_msg", Written: true, Err: context.DeadlineExceeded}, window.AnswerAmbiguous},
		{"a proxy's page", &kfapi.BodyError{Op: "send_msg", Status: 200}, window.AnswerAmbiguous},
		{"a 500", &kfapi.BodyError{Op: "send_msg", Status: 500}, window.AnswerAmbiguous},
		{"an error of nobody's", errors.New("?"), window.AnswerAmbiguous},
		{"a context's own error", context.DeadlineExceeded, window.AnswerAmbiguous},
	} {
		if got := answerOf(c.err); got.Kind != c.want || got.Code != 0 {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// Every errcode means the same to the client and to the rules.
func TestAnswerOfEveryErrcode(t *testing.T) {
	known := 0
	for code := -10; code <= 900_000; code++ {
		_, documented := kfapi.Lookup(code)
		if code == 0 || !documented && code%997 != 0 { // and a few that nobody has documented
			continue
		}
		known++
		err := fmt.Errorf("wrapped: %w", &kfapi.Error{Op: "send_msg", Code: code})
		want := window.AnswerRefused
		switch {
		case kfapi.TokenRejected(err):
			want = window.AnswerTokenRejected
		case kfapi.Busy(err):
			want = window.AnswerBusy
		case kfapi.RateLimited(err):
			want = window.AnswerRateLimited
		}
		if got := answerOf(err); got.Kind != want || got.Code != code {
			t.Errorf("errcode %d: got %v, want kind %v", code, got, want)
		}
	}
	t.Logf("%d errcodes", known)
}

func TestConfig(t *testing.T) {
	good := testConfig()
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	slow := good
	slow.PostTimeout = 20 * time.Second
	if r := slow.rules(); r.Grace <= r.Fence+slow.PostTimeout {
		t.Errorf("a reservation is left alone for %v, less than a request may last", r.Grace)
	}
	for name, change := range map[string]func(*Config){
		"KF_SENDER_POST_TIMEOUT":     func(c *Config) { c.PostTimeout = 0 },
		"KF_SENDER_LANE_WAIT":        func(c *Config) { c.LaneWait = time.Hour },
		"KF_SENDER_DUE_WORKERS":      func(c *Config) { c.DueWorkers = 0 },
		"KF_SENDER_INBOX_WORKERS":    func(c *Config) { c.InboxWorkers = 65 },
		"KF_SENDER_CALLS_PER_MINUTE": func(c *Config) { c.CallsPerHour = c.CallsPerMinute - 1 },
		"KF_SENDER_DUP_MSGID_CODES":  func(c *Config) { c.DupMsgidCodes = nil },
		"KF_SENDER_WELCOME_TEXT":     func(c *Config) { c.WelcomeText = strings.Repeat("x", 2049) },
		"KF_SENDER_TRIES":            func(c *Config) { c.Tries = 0 },
	} {
		c := good
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s out of bounds: got %v", name, err)
		}
	}
}

// Everything that can be said of an outcome has words for people.
func TestDetail(t *testing.T) {
	for _, reason := range []window.Reason{
		window.ReasonInvalid, window.ReasonExpired, window.ReasonDeadline, window.ReasonGeneration, window.ReasonSessionState,
		window.ReasonNeverOpened, window.ReasonWindowClosed, window.ReasonQuotaSpent, window.ReasonQueueFull, window.ReasonRecallWindow,
		window.ReasonNotFound, window.ReasonBeforeSend, window.ReasonTakenBack, window.ReasonLateEvidence, window.ReasonMsgIDConflict,
		window.ReasonNoAnswer, window.ReasonUnreachable, window.ReasonAbandoned, window.ReasonDeliveryFailed,
	} {
		if got := detail(window.Outcome{Reason: reason}); got == "" || strings.Contains(got, "errcode 0") {
			t.Errorf("%s: got %q", reason, got)
		}
	}
	if got := detail(window.Outcome{Reason: window.ReasonPlatformQuota, Errcode: 95001}); !strings.Contains(got, "95001") || !strings.Contains(got, "5 after") {
		t.Errorf("got %q", got)
	}
	if got := detail(window.Outcome{Reason: window.ReasonPlatformUndocumented, Errcode: 77777}); !strings.Contains(got, "77777") {
		t.Errorf("got %q", got)
	}
}

func TestRemember(t *testing.T) {
	at := time.Now()
	var l window.Ledger
	for _, o := range []events.Outcome{
		{CommandID: "a", Team: team, Verb: "send", State: "accepted", ConfirmedBy: "duplicate", At: at},
		{CommandID: "b", Team: team, Verb: "send", State: "unknown", Reason: "no_answer", At: at},
		{CommandID: "c", Team: team, Verb: "send", State: "refused", Reason: "quota_spent", At: at},
		{CommandID: "d", Team: team, Verb: "reply", State: "accepted", At: at},
		{CommandID: "e", Team: team, Verb: "send", State: "refused", Reason: "invalid", At: at}, // the mended one may still come
		{CommandID: "", Team: team, Verb: "send", State: "refused", Reason: "invalid", At: at},
		{CommandID: "f", Team: team, Verb: "send", State: "accepted", At: at},
		{CommandID: "f", Team: team, Verb: "send", State: "failed", Corrects: "accepted", FailType: 6, Reason: "delivery_failed", At: at},
		{CommandID: "g", Team: team, Verb: "send", State: "accepted", At: at},
		{CommandID: "g", Team: team, Verb: "send", State: "failed", Corrects: "accepted", FailType: 10, Reason: "delivery_failed", At: at},
		{CommandID: "h", Team: team, Verb: "transfer", State: "accepted", MsgCode: "MC", At: at},
		{CommandID: "i", Team: team, Verb: "send", State: "levitated", At: at},
	} {
		l = remember(l, "", o)
	}
	if len(l.Records) != 7 || l.Used() != 3 { // a, b, g
		t.Errorf("got %d commands and %d places, want 7 and 3", len(l.Records), l.Used())
	}
	rules, now := window.Defaults(), window.Now{Local: at, Platform: at}
	for _, r := range l.Records {
		_, act := rules.Decide(l, window.Command{Team: team, ID: r.ID, Verb: r.Verb, ExpiresAt: at.Add(time.Hour)}, now)
		if act.Kind != window.Again || (len(act.Corrections) == 1) != (r.ID == "f" || r.ID == "g") {
			t.Errorf("%s comes again: got %+v", r.ID, act)
		}
	}
}

func TestCodeDies(t *testing.T) {
	for _, c := range []struct {
		name, event string
		want        time.Duration // after the event; 0: not known
	}{
		{"welcome", `"event_type":"enter_session","welcome_code":"C"`, 20 * time.Second},
		{"picked up", `"event_type":"session_status_change","change_type":1,"msg_code":"C"`, 48 * time.Hour},
		{"ended", `"event_type":"session_status_change","change_type":3,"msg_code":"C"`, 20 * time.Second},
		{"another code", `"event_type":"enter_session","welcome_code":"D"`, 0},
		{"no code", `"event_type":"enter_session"`, 0},
		{"odd", `"event_type":"enter_session","welcome_code":7`, 0},
	} {
		it := kfapi.ParseItem([]byte(`{"msgid":"e","send_time":1700000000,"origin":4,"msgtype":"event","event":{"open_kfid":"wk","external_userid":"wm",` + c.event + `}}`))
		got := codeDies(it, "C")
		if c.want == 0 && !got.IsZero() || c.want != 0 && got.Sub(time.Unix(1700000000, 0)) != c.want {
			t.Errorf("%s: got %v, want %v after the event", c.name, got, c.want)
		}
	}
}
