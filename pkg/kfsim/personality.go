package kfsim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// What the platform does with a msgid that was used before on the same account.
const (
	RepeatRefuse  = "refuse"  // an error, and no second message; what the page says
	RepeatAccept  = "accept"  // errcode 0, and no second message
	RepeatDeliver = "deliver" // errcode 0, and a second message: the page would be wrong
)

// What next_cursor is when there was nothing to serve.
const (
	IdleSame  = "same"  // the cursor that was sent
	IdleFresh = "fresh" // another opaque value for the same place
	IdleEmpty = "empty" // an empty string
)

// What gettoken answers while a token is still valid.
const (
	TokenSame        = "same"          // the same token with its remaining lifetime
	TokenNew         = "new"           // a new one; the old one stays valid
	TokenNewKillsOld = "new_kills_old" // a new one; the old one is dead
)

// Personality answers the questions that the platform's pages leave open, one field each. A zero
// field means the default, which is named in its comment; in limits a negative value means none.
// Every period is half-open: it holds from its first instant up to, and not including, its end.
type Personality struct {
	RepeatedMsgID     string        `json:"repeated_msgid"`      // a msgid used before: refuse (default), accept, deliver
	RepeatedMsgIDCode int           `json:"repeated_msgid_code"` // errcode of repeated_msgid refuse; 40058
	MsgIDMemory       time.Duration `json:"msgid_memory"`        // how long a used msgid is remembered; 72h
	QuotaBeforeMsgID  bool          `json:"quota_before_msgid"`  // look at state, window and count before the msgid

	EventRepliesCount     bool `json:"event_replies_count"`     // send_msg_on_event uses up one of the five
	ServicerMessagesCount bool `json:"servicer_messages_count"` // a human's message uses up one of the five
	TapKeepsWindow        bool `json:"tap_keeps_window"`        // a tap on a menu item opens no new window
	StateStaysNew         bool `json:"state_stays_new"`         // an API message leaves state 0 alone, instead of 0 -> 1
	EndedCode             int  `json:"ended_code"`              // send_msg into an ended session; 95013
	LapsedCode            int  `json:"lapsed_code"`             // send_msg 48 h after the customer's last message; 95002
	RecallTwiceCode       int  `json:"recall_twice_code"`       // recall of what is recalled already; 95028

	UnknownUserCode  int    `json:"unknown_user_code"`  // a customer the corp does not know; 40096
	EventCodeMissing int    `json:"event_code_missing"` // send_msg_on_event without code; 41049
	EventCodeBad     int    `json:"event_code_bad"`     // send_msg_on_event with a code that is unknown, used or expired; 41050
	EventCodeState   int    `json:"event_code_state"`   // … when the session has gone on since; 95018
	EventCodeType    int    `json:"event_code_type"`    // … with a msgtype the code does not allow; 40008
	StrangersAreNew  bool   `json:"strangers_are_new"`  // service_state/get of two who never met is 0, instead of 4
	ExtraTransitions string `json:"extra_transitions"`  // for service_state/trans, beside the table: "3->2 2->4"; none
	CallbackOnSend   bool   `json:"callback_on_send"`   // a message sent by the API causes a callback too
	OversizeText     string `json:"oversize_text"`      // text in place of a customer's file that is too large; "[the file is too large to be shown here]"

	OptionalOpenKfID   bool          `json:"optional_open_kfid"`   // sync_msg without open_kfid pulls all accounts of the corp
	PageCap            int           `json:"page_cap"`             // most items a page, whatever limit says; 1000
	EmptyPageEvery     int           `json:"empty_page_every"`     // each nth pull of an account is empty with has_more=1; 1 means for ever
	IdleCursor         string        `json:"idle_cursor"`          // next_cursor when there is nothing to serve: same (default), fresh, empty
	UnknownCursorCode  int           `json:"unknown_cursor_code"`  // a cursor that was not given out for this account; 40058
	EventsWithoutMsgID bool          `json:"events_without_msgid"` // events carry no msgid
	SyncTokenTTL       time.Duration `json:"sync_token_ttl"`       // how long the token of a callback lives; 10m
	TokenlessPerMinute int           `json:"tokenless_per_minute"` // sync_msg without token, per account; 60
	CorpSyncTokens     bool          `json:"corp_sync_tokens"`     // a sync token is good for all accounts of the corp
	PageNewestFirst    bool          `json:"page_newest_first"`    // the items of a page come newest first

	AccessTokenTTL    time.Duration `json:"access_token_ttl"`     // how long an access token lives; 2h
	RepeatedGetToken  string        `json:"repeated_gettoken"`    // gettoken while a token is valid: same (default), new, new_kills_old
	RevokedCode       int           `json:"revoked_code"`         // errcode for a token that died early; 40014
	FullExpiresIn     bool          `json:"full_expires_in"`      // expires_in is the whole lifetime, also of a token given out again
	EmptyTokenOnError bool          `json:"empty_token_on_error"` // a refusal of gettoken carries an empty access_token
	CallsPerMinute    int           `json:"calls_per_minute"`     // limit for one corp, one path; 10000
	CallsPerHour      int           `json:"calls_per_hour"`       // limit for one corp, one path; 150000
	IPCallsPerMinute  int           `json:"ip_calls_per_minute"`  // limit for one address, one path; 20000
	IPCallsPerHour    int           `json:"ip_calls_per_hour"`    // limit for one address, one path; 600000
	BadSecretsPerHour int           `json:"bad_secrets_per_hour"` // failing gettoken calls of one address before an hour's ban; 2000

	MissingUserCode int `json:"missing_user_code"` // touser or external_userid is missing; 40058, perhaps 41035
	LateWelcomeCode int `json:"late_welcome_code"` // a welcome_code once the customer has written: 0 lets it pass; perhaps 41051

	AccountLimit           int  `json:"account_limit"`            // of a corp; 5000, older pages say 10
	UnverifiedAccountLimit int  `json:"unverified_account_limit"` // of a corp that is not verified; 10
	LastAccountDeletable   bool `json:"last_account_deletable"`   // account/del of the last one, instead of 95005
	EmptyUpdateAllowed     bool `json:"empty_update_allowed"`     // account/update with neither name nor media_id, instead of 40058
	OldContactLinks        bool `json:"old_contact_links"`        // links carry encScene=, which takes no scene_param
	ServicerLimit          int  `json:"servicer_limit"`           // members of one account; 2000, older pages say 500
	DepartmentLimit        int  `json:"department_limit"`         // departments of one account; 20
	ServicerLimitCode      int  `json:"servicer_limit_code"`      // errcode of the row beyond either; 40058
	HiddenMemberCode       int  `json:"hidden_member_code"`       // errcode of the row of a member the app cannot see; 60011, perhaps 60021
	UnknownDepartmentCode  int  `json:"unknown_department_code"`  // errcode of the row of a department there is not; 60003, perhaps 60123

	InactiveCustomersFound bool `json:"inactive_customers_found"` // batchget finds customers who were silent for 48 h
	UnverifiedCapacity     int  `json:"unverified_capacity"`      // customers of a corp that is not verified; 100
	VerifiedCapacity       int  `json:"verified_capacity"`        // customers of a verified corp without Channels; 10000
	UpgradeRangeCode       int  `json:"upgrade_range_code"`       // upgrade_service to a member or group outside the range; 40058
	NoUpgradeConfigCode    int  `json:"no_upgrade_config_code"`   // get_upgrade_service_config without any; 0 answers empty ranges
	NoUpgradeCode          int  `json:"no_upgrade_code"`          // cancel_upgrade_service without an upgrade; 0 lets it pass
	StatisticCode          int  `json:"statistic_code"`           // a period that statistics do not take; 40058
	StatisticHour          int  `json:"statistic_hour"`           // local hour from which yesterday has figures; 6, negative: from midnight
	StatisticNeedsAccount  bool `json:"statistic_needs_account"`  // get_corp_statistic without open_kfid is 40058, instead of the corp's total
	KnowledgeCode          int  `json:"knowledge_code"`           // unknown or repeated group or question; 40058
	FullGroupsDeletable    bool `json:"full_groups_deletable"`    // del_group takes a group's questions along
	DefaultGroupRenamable  bool `json:"default_group_renamable"`  // mod_group of the default group

	MediaFieldCode     int  `json:"media_field_code"`      // an upload without a part named media; 44001, perhaps 41006
	MediaGetsPerMinute int  `json:"media_gets_per_minute"` // of one media_id, beyond it 45033; 100
	ImagesPerDay       int  `json:"images_per_day"`        // uploadimg of one corp; 1000
	ImagesPerMonth     int  `json:"images_per_month"`      // uploadimg of one corp in 30 days; 3000
	UploadJobsWait     bool `json:"upload_jobs_wait"`      // an upload_by_url is under way until FinishUpload
	WrongMD5Code       int  `json:"wrong_md5_code"`        // an upload_by_url whose md5 does not fit; 830003

	DebugPerMinute   int  `json:"debug_per_minute"`    // calls of one corp with debug=1; 5
	TrustedIPsAtOnce bool `json:"trusted_ips_at_once"` // a changed list works at once, instead of after a minute
	AnyAppConverts   bool `json:"any_app_converts"`    // idconvert for every app, instead of third-party apps only
	OATokensPerDay   int  `json:"oa_tokens_per_day"`   // token of one official account; 2000
	OAForcedPerDay   int  `json:"oa_forced_per_day"`   // stable_token with force_refresh of one official account; 20

	CallbackAttempts  int           `json:"callback_attempts"`  // deliveries of one callback, in total; 3
	CallbackTimeout   time.Duration `json:"callback_timeout"`   // real time for one attempt; 5s
	CallbackPause     time.Duration `json:"callback_pause"`     // real time between attempts; none
	FreshRetry        bool          `json:"fresh_retry"`        // a repeated callback is encrypted anew, instead of the same bytes
	CoalesceCallbacks bool          `json:"coalesce_callbacks"` // no second callback for an account while one waits to go out
	EchoTimeout       time.Duration `json:"echo_timeout"`       // real time for the answer to URL verification; 1s

	MaxImageBytes   int  `json:"max_image_bytes"` // of an upload; older pages say 2 MiB
	LaxMedia        bool `json:"lax_media"`       // take any bytes as image, voice or video
	QuotedBoundary  bool `json:"quoted_boundary"` // take an upload whose boundary is quoted; 44001 otherwise
	FileNameStar    bool `json:"filename_star"`   // understand filename*=…; 44001 otherwise
	RefuseEscapes   bool `json:"refuse_escapes"`  // a request body with \uXXXX escapes is 40033
	InsistOnJSON    bool `json:"insist_on_json"`  // a JSON body needs Content-Type application/json; 40058
	BareErrMsg      bool `json:"bare_errmsg"`     // errmsg without hint, address and link
	RetryAfterLimit bool `json:"retry_after"`     // 45009 carries the header Retry-After: 60
}

func (p Personality) withDefaults() Personality {
	or(&p.RepeatedMsgID, RepeatRefuse)
	or(&p.RepeatedMsgIDCode, 40058)
	or(&p.MsgIDMemory, 72*time.Hour)
	or(&p.EndedCode, 95013)
	or(&p.LapsedCode, 95002)
	or(&p.RecallTwiceCode, 95028)
	or(&p.UnknownUserCode, 40096)
	or(&p.EventCodeMissing, 41049)
	or(&p.EventCodeBad, 41050)
	or(&p.EventCodeState, 95018)
	or(&p.EventCodeType, 40008)
	or(&p.OversizeText, "[the file is too large to be shown here]")
	or(&p.PageCap, maxPage)
	or(&p.IdleCursor, IdleSame)
	or(&p.UnknownCursorCode, 40058)
	or(&p.SyncTokenTTL, 10*time.Minute)
	or(&p.TokenlessPerMinute, 60)
	or(&p.AccessTokenTTL, 7200*time.Second)
	or(&p.RepeatedGetToken, TokenSame)
	or(&p.RevokedCode, 40014)
	or(&p.CallsPerMinute, 10_000)
	or(&p.CallsPerHour, 150_000)
	or(&p.IPCallsPerMinute, 20_000)
	or(&p.IPCallsPerHour, 600_000)
	or(&p.BadSecretsPerHour, 2000)
	or(&p.CallbackAttempts, 3)
	or(&p.CallbackTimeout, 5*time.Second)
	or(&p.EchoTimeout, time.Second)
	or(&p.MaxImageBytes, 10<<20)
	p.callDefaults()
	return p
}

func or[T comparable](field *T, def T) {
	var zero T
	if *field == zero {
		*field = def
	}
}

func (p Personality) validate() error {
	for _, f := range []struct {
		name, value string
		allowed     []string
	}{
		{"repeated_msgid", p.RepeatedMsgID, []string{RepeatRefuse, RepeatAccept, RepeatDeliver}},
		{"idle_cursor", p.IdleCursor, []string{IdleSame, IdleFresh, IdleEmpty}},
		{"repeated_gettoken", p.RepeatedGetToken, []string{TokenSame, TokenNew, TokenNewKillsOld}},
	} {
		if !slices.Contains(f.allowed, f.value) {
			return fmt.Errorf("personality %s is %q; use one of %q", f.name, f.value, f.allowed)
		}
	}
	for name, d := range map[string]time.Duration{
		"msgid_memory": p.MsgIDMemory, "sync_token_ttl": p.SyncTokenTTL, "access_token_ttl": p.AccessTokenTTL,
		"callback_timeout": p.CallbackTimeout, "callback_pause": p.CallbackPause, "echo_timeout": p.EchoTimeout,
	} {
		if d < 0 {
			return fmt.Errorf("personality %s is %v; it cannot be negative", name, d)
		}
	}
	if _, err := p.transitions(); err != nil {
		return err
	}
	if p.AccessTokenTTL < time.Second {
		return fmt.Errorf("personality access_token_ttl is %v; use at least 1s", p.AccessTokenTTL)
	}
	if p.PageCap < 1 || p.CallbackAttempts < 1 || p.EmptyPageEvery < 0 || p.MaxImageBytes < 1 {
		return fmt.Errorf("personality page_cap, callback_attempts and max_image_bytes must be at least 1, empty_page_every at least 0")
	}
	return nil
}

// transitions reads ExtraTransitions.
func (p Personality) transitions() (list [][2]int, err error) {
	for word := range strings.FieldsSeq(p.ExtraTransitions) {
		var from, to int
		if n, err := fmt.Sscanf(word, "%d->%d", &from, &to); err != nil || n != 2 || from < stateNew || from > stateEnded || to < stateNew || to > stateEnded || len(word) != 4 {
			return nil, fmt.Errorf("personality extra_transitions has %q; write states 0 to 4 like 3->2, with spaces between", clip(word, 32))
		}
		list = append(list, [2]int{from, to})
	}
	return list, nil
}

// personalityText is Personality with its durations as text ("10m").
type personalityText struct {
	*plainPersonality
	MsgIDMemory     textDuration `json:"msgid_memory"`
	SyncTokenTTL    textDuration `json:"sync_token_ttl"`
	AccessTokenTTL  textDuration `json:"access_token_ttl"`
	CallbackTimeout textDuration `json:"callback_timeout"`
	CallbackPause   textDuration `json:"callback_pause"`
	EchoTimeout     textDuration `json:"echo_timeout"`
}

type plainPersonality Personality

func (p *Personality) asText() personalityText {
	return personalityText{
		(*plainPersonality)(p), textDuration(p.MsgIDMemory), textDuration(p.SyncTokenTTL), textDuration(p.AccessTokenTTL),
		textDuration(p.CallbackTimeout), textDuration(p.CallbackPause), textDuration(p.EchoTimeout),
	}
}

// MarshalJSON writes durations as text, "10m0s".
func (p Personality) MarshalJSON() ([]byte, error) { return json.Marshal(p.asText()) }

// UnmarshalJSON changes the fields that the object names and leaves the others as they are;
// an unknown field is an error.
func (p *Personality) UnmarshalJSON(b []byte) error {
	w := p.asText()
	if err := decodeStrict(b, &w); err != nil {
		return err
	}
	p.MsgIDMemory, p.SyncTokenTTL, p.AccessTokenTTL = time.Duration(w.MsgIDMemory), time.Duration(w.SyncTokenTTL), time.Duration(w.AccessTokenTTL)
	p.CallbackTimeout, p.CallbackPause, p.EchoTimeout = time.Duration(w.CallbackTimeout), time.Duration(w.CallbackPause), time.Duration(w.EchoTimeout)
	return nil
}

// textDuration is a duration that JSON sees as "1m30s".
type textDuration time.Duration

func (t textDuration) MarshalText() ([]byte, error) { return []byte(time.Duration(t).String()), nil }

func (t *textDuration) UnmarshalText(b []byte) error {
	d, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("duration %q: write it like 1500ms, 20s or 49h", b)
	}
	*t = textDuration(d)
	return nil
}

func decodeStrict(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("there is something after the JSON value")
	}
	return nil
}
