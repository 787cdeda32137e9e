package window

// State is what became of a command. The first two are on the way; the others are terminal.
type State string

const (
	Sending   State = "sending"   // reserved: somebody posts it, or died doing so
	Retry     State = "retry"     // not posting now; another attempt is due at NextAt
	Accepted  State = "accepted"  // the platform accepted exactly one copy
	Refused   State = "refused"   // a rule, ours or the platform's, says no; nothing was accepted
	Failed    State = "failed"    // it never got through, though no rule forbids it; nothing was accepted
	Expired   State = "expired"   // too late; nothing was accepted
	Cancelled State = "cancelled" // recalled before it was sent; nothing was accepted, nothing will be
	Recalled  State = "recalled"  // of a recall: the message is taken back, or was never sent and never will be
	Partial   State = "partial"   // of several messages the first Outcome.Sent were accepted (or taken back), and no more will be
	Unknown   State = "unknown"   // an attempt ended without a definite answer and nothing resolved the doubt
)

// Open reports whether the command is still on its way.
func (s State) Open() bool { return s == Sending || s == Retry }

// Final reports whether s is a terminal state known to this version.
func (s State) Final() bool {
	switch s {
	case Accepted, Refused, Failed, Expired, Cancelled, Recalled, Partial, Unknown:
		return true
	}
	return false
}

// Reason says why, in an outcome. The set is closed within a version; a new version may only add.
// With state unknown it says what ended the attempts to find out.
type Reason string

// Reasons found here, without asking the platform.
const (
	ReasonNone           Reason = ""
	ReasonInvalid        Reason = "invalid"         // the command is not well formed, or names a command that cannot be recalled
	ReasonExpired        Reason = "expired"         // expirytime has passed
	ReasonDeadline       Reason = "deadline"        // of a reply: its code is no longer valid
	ReasonGeneration     Reason = "generation"      // a human took over after the command was written
	ReasonSessionState   Reason = "session_state"   // waiting pool, human or ended: the API may not send
	ReasonNeverOpened    Reason = "never_opened"    // this customer has never written
	ReasonWindowClosed   Reason = "window_closed"   // 48 hours since the customer's last message
	ReasonQuotaSpent     Reason = "quota_spent"     // 5 messages since the customer's last one
	ReasonMedia          Reason = "media"           // the file it names cannot be used: not there, or of a size or type that the platform does not take
	ReasonShareSpent     Reason = "share_spent"     // the team has as many of the 5 as it may take
	ReasonTeamRate       Reason = "team_rate"       // the team's turn would come after the command expires
	ReasonNotOwner       Reason = "not_owner"       // the team does not own the account
	ReasonUnknownTeam    Reason = "unknown_team"    // no such team
	ReasonQueueFull      Reason = "queue_full"      // too many commands of this conversation wait already
	ReasonRecallWindow   Reason = "recall_window"   // more than 2 minutes since the message was accepted
	ReasonNotFound       Reason = "not_found"       // the platform has no such message to take back
	ReasonBeforeSend     Reason = "before_send"     // of a recall: the message was not sent and never will be
	ReasonTakenBack      Reason = "taken_back"      // of a cancelled send: a recall came first
	ReasonDuplicate      Reason = "duplicate"       // accepted, and known by the refusal of a repeated attempt
	ReasonLateEvidence   Reason = "late_evidence"   // a correction: an answer or event proved it after all
	ReasonMsgIDConflict  Reason = "msgid_conflict"  // the account has seen this msgid, though not from this command
	ReasonNoAnswer       Reason = "no_answer"       // every attempt ended without a definite answer
	ReasonUnreachable    Reason = "unreachable"     // no attempt reached the platform
	ReasonAbandoned      Reason = "abandoned"       // the command never came back from the stream after an attempt
	ReasonDeliveryFailed Reason = "delivery_failed" // a correction: msg_send_fail; FailType says why
)

// Reasons given by the platform; Errcode has the number.
const (
	ReasonPlatformQuota        Reason = "platform_quota"        // 95001: its count is ahead of ours
	ReasonPlatformWindow       Reason = "platform_window"       // its 48 hours are over
	ReasonPlatformSession      Reason = "platform_session"      // session or servicer in a state that forbids it
	ReasonPlatformCode         Reason = "platform_code"         // welcome_code or msg_code used, expired or unknown
	ReasonPlatformParam        Reason = "platform_param"        // a parameter or the body is illegal
	ReasonPlatformMedia        Reason = "platform_media"        // media_id unknown, expired (3 days) or of another kind
	ReasonPlatformNotFound     Reason = "platform_not_found"    // customer, account or servicer unknown
	ReasonPlatformLimit        Reason = "platform_limit"        // a business limit other than the five messages
	ReasonPlatformPermission   Reason = "platform_permission"   // app, account, IP or edition may not do this
	ReasonPlatformContent      Reason = "platform_content"      // antispam
	ReasonPlatformUnsupported  Reason = "platform_unsupported"  // type or API switched off
	ReasonPlatformToken        Reason = "platform_token"        // the access token was refused each time
	ReasonPlatformBusy         Reason = "platform_busy"         // system busy each time
	ReasonPlatformRate         Reason = "platform_rate"         // call frequency exceeded until it was too late
	ReasonPlatformUndocumented Reason = "platform_undocumented" // an errcode in no document
)
