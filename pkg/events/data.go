package events

import (
	"encoding/json"
	"time"
)

// Doorbell is the data of an event on kf.callback: an account has something to
// pull. It is a hint. Only SyncToken is used of it, and only for 10 minutes.
type Doorbell struct {
	Corp       string    `json:"corp"`
	OpenKfID   string    `json:"open_kfid"`
	Event      string    `json:"event"`                 // kf_msg_or_event, kf_account_auth_change, sweep, or fresh
	SyncToken  string    `json:"sync_token,omitempty"`  // the platform's Token; "" asks for a pull without one
	CreateTime int64     `json:"create_time,omitempty"` // the platform's, Unix seconds
	ReceivedAt time.Time `json:"received_at"`           // the ingress's clock
	AuthAdd    []string  `json:"auth_add,omitempty"`    // kf_account_auth_change: accounts granted
	AuthDel    []string  `json:"auth_del,omitempty"`    // kf_account_auth_change: accounts withdrawn
}

// Events that ring.
const (
	RingMessage    = "kf_msg_or_event"
	RingAuthChange = "kf_account_auth_change"
	RingSweep      = "sweep"
	RingFresh      = "fresh" // a sender is about to refuse, and wants to know first
)

// Cursor is the data of an event on kf.cursor: where sync_msg goes on. It is
// stored in one atomic batch with the page that came before it.
type Cursor struct {
	Cursor    string    `json:"cursor"`               // "" starts at the oldest of 3 days
	Seq       uint64    `json:"seq"`                  // the last kfseq given out
	Page      uint64    `json:"page"`                 // pages committed so far
	ColdStart time.Time `json:"cold_start"`           // items sent before it went to kf.history
	PulledAt  time.Time `json:"pulled_at"`            // when the page was asked for
	Newest    int64     `json:"newest,omitempty"`     // newest send_time seen, Unix seconds
	LastID    string    `json:"last_id,omitempty"`    // of the last item's event, where it has a msgid
	LastSum   string    `json:"last_sum,omitempty"`   // first 16 hex digits of the SHA-256 of that item
	Previous  []string  `json:"previous,omitempty"`   // up to 3 earlier cursors, newest first
	ResetFrom string    `json:"reset_from,omitempty"` // set once when a refused cursor was given up
	Reset     *Reset    `json:"reset,omitempty"`      // while the platform's 3 days are pulled again
}

// Reset is why and from where an account is pulled again: its cursor was lost.
// What the stream holds of it from Since to Upto is left out.
type Reset struct {
	Why    string    `json:"why"`              // one of [Resets]
	Since  time.Time `json:"since"`            // by the time of storing
	Upto   uint64    `json:"upto"`             // sequence in the stream; 0: it holds nothing
	Seq    uint64    `json:"seq,omitempty"`    // the last kfseq before, where it is known
	Newest int64     `json:"newest,omitempty"` // the newest send_time before, where it is known
}

// Why a cursor was given up.
const (
	ResetLost       = "lost"       // it is gone, though messages of the account are there
	ResetUnreadable = "unreadable" // what is in its place is not one
	ResetRefused    = "refused"    // the platform does not take it
)

// Resets returns every reason, in the order of the documentation.
func Resets() []string { return []string{ResetLost, ResetUnreadable, ResetRefused} }

// Pulled is the message on [PulledSubject]: nothing more was to be pulled of an account.
type Pulled struct {
	// Rang is when the broker stored the doorbell that was answered: every pull of that turn began after it.
	Rang time.Time `json:"rang"`
	Seq  uint64    `json:"seq"` // of that doorbell in [StreamCallback]
}

// Outcome is the data of an event on kf.outcome: what came of a command.
type Outcome struct {
	CommandID   string `json:"command_id"`
	Team        string `json:"team"` // token
	Verb        string `json:"verb"`
	State       string `json:"state"`                  // see [States]
	Reason      string `json:"reason,omitempty"`       // a closed set of words; "" for accepted
	Field       string `json:"field,omitempty"`        // of a command that cannot be taken on: what of it is wrong
	Would       string `json:"would,omitempty"`        // of a dry run: one of [Woulds]
	Detail      string `json:"detail,omitempty"`       // for people; never parse it
	MsgID       string `json:"msgid,omitempty"`        // the platform's id of the message
	MsgCode     string `json:"msg_code,omitempty"`     // of transfer: the code for one reply
	ErrCode     int    `json:"errcode,omitempty"`      // the platform's
	FailType    int    `json:"fail_type,omitempty"`    // of msg_send_fail
	Corrects    string `json:"corrects,omitempty"`     // the earlier state that this one corrects
	ConfirmedBy string `json:"confirmed_by,omitempty"` // "duplicate": a refused repeat proved the delivery
	Attempts    int    `json:"attempts,omitempty"`     // requests made to the platform
	Parts       int    `json:"parts,omitempty"`        // of a text that goes as several messages: how many
	PartsSent   int    `json:"parts_sent,omitempty"`   // how many of them the platform has taken for certain; of a recall, taken back

	OpenKfID       string `json:"open_kfid"`
	ExternalUserID string `json:"external_userid"`

	At           time.Time  `json:"at"`
	WindowEndsAt *time.Time `json:"window_ends_at,omitempty"`
	SendsLeft    *int       `json:"sends_left,omitempty"`
	Generation   uint64     `json:"generation,omitempty"`
}

// Dead is the data of an event on kf.dead: what could not be processed. Payload
// and Header may hold customer data: the stream is for operators only.
type Dead struct {
	Service string              `json:"service"`
	Reason  string              `json:"reason"`
	Detail  string              `json:"detail,omitempty"`
	Stream  string              `json:"stream,omitempty"` // that held it; "" for what no stream took
	Seq     uint64              `json:"seq,omitempty"`
	Subject string              `json:"subject,omitempty"` // as stored: see [ParseSubject]
	Header  map[string][]string `json:"header,omitempty"`  // as stored; left out beyond 8 KiB
	Payload []byte              `json:"payload,omitempty"` // base64 in JSON; cut to 64 KiB
	Cut     bool                `json:"cut,omitempty"`     // payload or headers were longer
	At      time.Time           `json:"at"`
}

// Conversation is the value of a key in kf_conversations: what a team should
// know before it writes a word. The zero value is a customer never heard of.
// It is for all teams, and so names no team and no command.
type Conversation struct {
	Corp           string       `json:"corp"`
	OpenKfID       string       `json:"open_kfid"`
	ExternalUserID string       `json:"external_userid"`
	WindowEndsAt   *time.Time   `json:"window_ends_at,omitempty"`  // nil: the customer never wrote
	SendsLeft      int          `json:"sends_left"`                // 0–5; 0 when the window is over, spent, or the platform said so
	SessionState   int          `json:"session_state"`             // 0 new, 1 assistant, 2 pool, 3 human, 4 ended
	Servicer       string       `json:"servicer_userid,omitempty"` // who holds it, in state 3
	Generation     uint64       `json:"generation"`                // rises when a human takes over; 0: none ever did
	LastMessage    *LastMessage `json:"last_message,omitempty"`    // the customer's; nil: never, or not known any more
	LastSend       *LastSend    `json:"last_send,omitempty"`       // ours; nil: none in the last three days
	Revision       uint64       `json:"revision"`                  // rises with what it tells: of two views the one with the higher is the newer
	UpdatedAt      time.Time    `json:"updated_at"`
}

// LastMessage names a customer's newest message, and never says what is in it.
type LastMessage struct {
	MsgID   string    `json:"msgid"`
	At      time.Time `json:"at"`                // the platform's send_time: whole seconds
	MsgType string    `json:"msgtype,omitempty"` // "": not known any more
}

// LastSend names the newest message of ours that the platform accepted, a reply to an event included.
type LastSend struct {
	MsgID string    `json:"msgid"`
	At    time.Time `json:"at"` // accepted no later than this, platform's clock
}

// AccessToken is the value of a key in kf_tokens. Of a sealed one Token is missing, and what stands beside the boxes is for
// people: believe what is inside your own box.
type AccessToken struct {
	Generation uint64    `json:"generation"` // rises with each refresh; at least the Unix time of it, so that a lost bucket cannot make it fall
	Obtained   time.Time `json:"obtained"`
	Expires    time.Time `json:"expires"`
	Hash       string    `json:"sha256"` // first 8 hex digits of the token's SHA-256
	Token      string    `json:"token,omitempty"`

	Keeper string     `json:"keeper,omitempty"` // public xkey of the tokenkeeper that sealed it
	Sealed []TokenBox `json:"sealed,omitempty"` // one for each reader
}

// TokenBox is an access token as one reader can open it, with nkeys xkeys: "xkv1", a nonce of 24 bytes, and a NaCl box of
// the JSON of a [SealedToken].
type TokenBox struct {
	Reader string `json:"reader"` // the operator's name for it
	Key    string `json:"key"`    // its public xkey
	Box    []byte `json:"box"`    // base64 in JSON
}

// SealedToken is what is inside a [TokenBox]. Corp and Credential must be those that were asked for, or somebody has moved
// the box here from another key.
type SealedToken struct {
	Corp       string `json:"corp"`
	Credential string `json:"credential"`
	AccessToken
}

// Suspect is the data of a message on kf.token.suspect: the platform refused
// this token. It names the hash, never the token.
type Suspect struct {
	Corp       string `json:"corp"`
	Credential string `json:"credential"`
	Hash       string `json:"sha256"`
	ErrCode    int    `json:"errcode"`
	Generation uint64 `json:"generation,omitempty"` // of the refused token; one ahead of the tokenkeeper's own counts too
}

// Pause is the value of a key in [BucketThrottle]: the platform said 45009, and
// nobody calls this API as long as the key is there.
type Pause struct {
	API   string    `json:"api"`   // as in the platform's path: sync_msg
	Until time.Time `json:"until"` // when the broker will have removed the key, about
}

// Upload is the value of a key in [BucketUploads].
type Upload struct {
	MediaID string    `json:"media_id"`
	At      time.Time `json:"at"` // the platform keeps it for three days from then on
}

// App is the data of an event on kf.app: an ordinary WeCom app callback, whole.
type App struct {
	Corp    string          `json:"corp"`
	AgentID string          `json:"agentid,omitempty"`
	Fields  json.RawMessage `json:"fields"` // the decrypted document as JSON, elements in their order
	Raw     string          `json:"raw"`    // the decrypted document as it came, XML or JSON
	Format  string          `json:"format"` // "xml" or "json"
}
