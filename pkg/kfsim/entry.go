package kfsim

import "time"

// Kinds of journal entries.
const (
	KindCorp      = "corp"      // a corp was made or its callback settings changed
	KindAccount   = "account"   // an account was made, removed, authorized or not
	KindCustomer  = "customer"  // a customer was made
	KindServicer  = "servicer"  // a servicer was added or changed status
	KindItem      = "item"      // a message or event became pullable; msgid names it, sha256 is of its exact JSON
	KindCall      = "call"      // an API call; effect tells whether it did anything
	KindLost      = "lost"      // the answer of the call could not be written: the client had gone
	KindSend      = "send"      // send_msg or send_msg_on_event accepted a message
	KindFail      = "fail"      // an accepted message failed later
	KindRecall    = "recall"    // a message was taken back, by the API, the customer or a servicer
	KindState     = "state"     // a session changed state; change is like "0->1"
	KindCallback  = "callback"  // a callback was caused; reason says why, when it was not queued
	KindAttempt   = "attempt"   // one attempt to deliver the callback
	KindDelivered = "delivered" // the callback was answered with 200
	KindGivenUp   = "given_up"  // the callback failed for the last time
	KindVerify    = "verify"    // the callback URL was verified
	KindToken     = "token"     // an access token was made, or tokens were revoked or expired early
	KindFault     = "fault"     // a fault was set, removed or struck
	KindClock     = "clock"     // the virtual clock was moved
	KindScript    = "script"    // a step of the script was played; count is its number, reason its action
	KindLoad      = "load"      // a load has begun or ended; count is how many acts it shall have, or had
	KindReset     = "reset"     // everything was forgotten
	KindUpgrade   = "upgrade"   // a member or group was recommended to a customer, taken back or taken
	KindRating    = "rating"    // a servicer asked for a rating; Reason is the customer's
	KindKnowledge = "knowledge" // a group or question of the knowledge base was made, changed or deleted
	KindUpload    = "upload"    // an upload by URL ended
)

// Entry is one thing the platform did. Fields that do not apply to a kind are absent in JSON, and
// an absent errcode is 0. There is never a secret, a token, a code or a customer's text in it:
// tokens appear as fingerprints, items as ids and hashes.
type Entry struct {
	Seq            uint64    `json:"seq"`  // 1, 2, 3, … in the order in which things happened
	Time           time.Time `json:"time"` // by the virtual clock
	Kind           string    `json:"kind"`
	Call           uint64    `json:"call,omitempty"` // number of the API call that caused it
	Path           string    `json:"path,omitempty"` // as kf/send_msg
	CorpID         string    `json:"corpid,omitempty"`
	App            int       `json:"app,omitempty"` // which of the corp's secrets the token is from, from 1
	OpenKfID       string    `json:"open_kfid,omitempty"`
	ExternalUserID string    `json:"external_userid,omitempty"`
	ServicerUserID string    `json:"servicer_userid,omitempty"`
	MsgID          string    `json:"msgid,omitempty"`
	MsgType        string    `json:"msgtype,omitempty"`
	EventType      string    `json:"event_type,omitempty"`
	SHA256         string    `json:"sha256,omitempty"`
	Effect         bool      `json:"effect,omitempty"` // the call changed or served something
	Late           bool      `json:"late,omitempty"`   // the effect came after the connection was cut
	ErrCode        int       `json:"errcode,omitempty"`
	Reason         string    `json:"reason,omitempty"` // why it was refused or did not happen, for people
	Fault          string    `json:"fault,omitempty"`  // kind of the fault that struck
	FaultID        string    `json:"fault_id,omitempty"`
	Items          []string  `json:"items,omitempty"` // msgids in the page, in order
	From           int       `json:"from,omitempty"`  // position of the page's start in the account's history
	Next           int       `json:"next,omitempty"`  // position of next_cursor
	HasMore        bool      `json:"has_more,omitempty"`
	Window         string    `json:"window,omitempty"` // the window a send was counted in
	Count          int       `json:"count,omitempty"`  // and which of its five it was; or how many things Reason is about
	Change         string    `json:"change,omitempty"` // session states, "0->1"
	FailType       int       `json:"fail_type,omitempty"`
	Callback       uint64    `json:"callback,omitempty"`  // number of the callback
	Attempt        int       `json:"attempt,omitempty"`   // from 1
	Status         int       `json:"status,omitempty"`    // HTTP status of the answer
	InFlight       int       `json:"in_flight,omitempty"` // gettoken: calls for this corp under way, this one included
	Token          string    `json:"token,omitempty"`     // fingerprint of an access token
	Expires        time.Time `json:"expires,omitzero"`
}
