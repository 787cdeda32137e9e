// Package window holds the rules for sending to a customer: 48 hours, 5 messages, 2 minutes to recall, session states,
// and what an answer proves. It is pure: a ledger and the time go in, a ledger and what to do come out.
// It knows no stream, no bucket, no HTTP and no clock, and starts nothing.
//
// The caller's loop, for each command:
//
//	load the ledger → Decide
//	  Post    compare-and-set the ledger; if that held, and Rules.Fence has not passed: POST → Settle → compare-and-set → publish
//	  Finish  compare-and-set the ledger → publish the outcome → acknowledge
//	  Again   publish the outcome (the ledger has it already) → acknowledge
//	  Ask     apply what the stream has of this conversation that is newer → Decide with Now.Fresh
//	  Wait    Decide again at Action.Until, or when the ledger changes; where that is long, Ledger.Park
//
// A compare-and-set that fails, or whose answer is lost, means: load again and call the same function again.
// Everything may be repeated; a reservation made by a lost answer is taken over after Rules.Grace.
package window

import (
	"errors"
	"slices"
	"time"
	"unicode/utf8"
)

// The platform's numbers. https://developer.work.weixin.qq.com/document/path/94677
const (
	Length       = 48 * time.Hour    // a window is half-open: closed at exactly CustomerAt+Length
	Quota        = 5                 // messages through the API after one of the customer's
	RecallWithin = 120 * time.Second // after acceptance
)

const (
	recallMargin = 5 * time.Second  // inside it the platform decides
	codeMargin   = time.Second      // what our estimate of the platform's clock may be slow by, where a reply's code dies
	lookAgain    = time.Second      // a recall waits for its send in such steps
	holdPoll     = 30 * time.Second // a held command looks at the session again
	maxID        = 256              // bytes of a team name or command id: 1024 records stay below 1 MiB
)

// Rules are the parts of the rules that are ours to choose. Use Defaults and change what differs.
type Rules struct {
	Margin      time.Duration // the window closes this much early, for the error of Now.Platform
	Fence       time.Duration // the caller does not POST if more than this passed since Now.Local; longer than a compare-and-set
	Grace       time.Duration // a reservation is left alone this long; longer than Fence, one POST and its compare-and-set
	Tries       int           // attempts that reached, or may have reached, the platform without result
	DupCodes    []int         // errcodes of send_msg that mean: this msgid was used; see Defaults
	NeverRepost bool          // the platform does not refuse a used msgid: never repeat a POST in doubt
	Gap         time.Duration // a send leaves no sooner than this after another message to the customer; 0: at once
}

// Defaults are the documented defaults. The code for a used msgid is not documented; 40058, the likely one, also stands for
// an illegal parameter. It is proof of delivery only because the caller checks a body before its first attempt; where a
// probe found a code of its own, set DupCodes to that alone.
func Defaults() Rules {
	return Rules{
		Margin: 30 * time.Second, Fence: time.Second, Grace: 13 * time.Second, Tries: 8, DupCodes: []int{codeParam},
	}
}

// Validate checks the rules across fields.
func (r Rules) Validate() error {
	switch {
	case r.Tries < 1:
		return errors.New("tries must be at least 1, or nothing is ever sent")
	case r.Fence <= 0:
		return errors.New("fence must be positive, or nothing is ever posted")
	case r.Margin < r.Fence:
		return errors.New("margin must not be below fence, or a message is posted after its window")
	case r.Gap < 0:
		return errors.New("gap must not be negative")
	case r.Grace <= r.Fence:
		return errors.New("grace must exceed fence, or two senders post the same command at once")
	}
	return nil
}

func (r Rules) dup(code int) bool { return slices.Contains(r.DupCodes, code) }

// Now is what the caller knows at the moment of a call.
type Now struct {
	Local    time.Time // this machine's clock: expiry
	Platform time.Time // the platform's, estimated from its Date header: everything else
	Fresh    bool      // the ledger has all customer messages and session changes that the stream had after c came
}

// Verb is what a command asks for.
type Verb string

const (
	Send     Verb = "send"     // send_msg
	Reply    Verb = "reply"    // send_msg_on_event
	Recall   Verb = "recall"   // recall_msg
	Transfer Verb = "transfer" // service_state/trans
)

// Command is what the rules need of a command. Its body is the caller's to validate before Decide.
type Command struct {
	Team, ID string // 1–256 bytes of UTF-8 each
	// Conversation is the ledger's own name: the same id in another conversation is another command.
	Conversation string
	Verb         Verb
	ExpiresAt    time.Time // local clock; required, as the zero time has passed
	CameAt       time.Time // when it was stored
	By           string    // who has it in hand, unlike anybody else: two who reserve at one moment must not write the same
	Again        bool      // somebody may have reserved it before: it was handed out before, or is decided after a reservation or a long pause
	Generation   *uint64   // refuse if a human took over since; nil: do not care
	Hold         bool      // send: wait while a human or the pool has the conversation, rather than be refused
	Deadline     time.Time // reply: when its code dies, platform's clock; zero: unknown, only ExpiresAt binds
	Target       string    // recall: the id of the command whose message is taken back, same team
	Share        int       // send: how many of the five places the team may hold; 0: all
	Parts        int       // send: in so many messages, whose places are reserved together; 0 and 1: one
	State        int       // transfer: the session state asked for, 0–4
	Servicer     string    // transfer: to whom, with state 3
}

// MsgID is the command's msgid and its key in the ledger.
func (c Command) MsgID() string { return MsgID(c.Conversation, c.Team, c.ID) }

// TargetMsgID is that of the command which a recall takes back.
func (c Command) TargetMsgID() string { return MsgID(c.Conversation, c.Team, c.Target) }

func (c Command) valid() bool {
	name := func(s string) bool { return s != "" && len(s) <= maxID && utf8.ValidString(s) }
	switch c.Verb {
	case Send, Reply:
	case Recall:
		if !name(c.Target) || c.Target == c.ID {
			return false
		}
	case Transfer:
		if c.State < sessionNew || c.State > sessionEnded {
			return false
		}
	default:
		return false
	}
	return name(c.Team) && name(c.ID)
}

// ActionKind is what the caller does next; see the package comment.
type ActionKind int

const (
	Wait ActionKind = iota
	Ask
	Again
	Finish
	Post
)

// Action is what Decide wants done. Only Post and Finish come with a changed ledger.
type Action struct {
	Kind        ActionKind
	Attempt     int       // Post: hand it to Settle
	Part        int       // Post: of several messages the one to send or to take back, from 1; 0: there is one
	MsgID       string    // Post: the msgid of the request; of a recall, the one to take back; none in a transfer
	Outcome     Outcome   // Finish, Again: publish; Ask: what it would be if the stream has nothing newer
	Corrections []Outcome // Again: publish too
	Until       time.Time // Wait: local clock
	Held        bool      // Wait: for the end of a human session, which may be long
	Behind      bool      // Wait: for parked commands of the same conversation, which may be long
	Apart       bool      // Wait: for Rules.Gap
}

// Decide says what to do about c now. It reserves before every POST: what Post returns must be stored, by
// compare-and-set, before the request leaves. A command that is known is never begun anew. Safe to repeat.
func (r Rules) Decide(l Ledger, c Command, now Now) (Ledger, Action) {
	if !c.valid() { // always so, hence not worth a record
		return l, Action{Kind: Finish, Outcome: newRecord(c).finished(Refused, ReasonInvalid, 0, now).outcome()}
	}
	rec, known := l.find(c.MsgID())
	switch {
	case !known && l.full(c.Team, now):
		if r.expired(c, now) {
			return l, Action{Kind: Finish, Outcome: l.begin(c).finished(Expired, ReasonExpired, 0, now).outcome()}
		}
		return l, wait(now, now.Local.Add(holdPoll), c.ExpiresAt)
	case !known:
		return r.try(l, l.begin(c), c, now)
	case rec.State.Final():
		if rec.Verb == "" {
			rec.Verb = c.Verb // a tombstone did not know it
		}
		res := l.result(rec, c.TargetMsgID(), false)
		return l, Action{Kind: Again, Outcome: res.Outcome, Corrections: res.Corrections}
	case rec.Verb != c.Verb: // another command under the same id: it will get that one's outcome
	case rec.State == Retry:
		if pause := rec.NextAt.Time().Sub(now.Platform); pause > 0 && !r.expired(c, now) {
			return l, wait(now, now.Local.Add(pause), c.ExpiresAt)
		}
		return r.try(l, rec, c, now)
	case rec.State == Sending:
		if age := now.Platform.Sub(rec.ReservedAt.Time()); age < r.Grace {
			return l, wait(now, now.Local.Add(r.Grace-age), now.Local.Add(r.Grace))
		}
		rec.Doubt = true // whoever had it may have posted
		rec.Tries++
		return r.try(l, rec, c, now)
	}
	return l, wait(now, now.Local.Add(r.Grace), c.ExpiresAt) // or a state of a newer version, whose replicas see to it
}

// Refuse ends c for a reason that only the caller knows, in place of a Post that Decide wanted. Where an attempt is in doubt
// it becomes Unknown; one that is over already stays what it is. Safe to repeat.
func (r Rules) Refuse(l Ledger, c Command, why Reason, code int, now Now) (Ledger, Action) {
	rec, known := l.find(c.MsgID())
	switch {
	case !known:
		rec = newRecord(c)
	case rec.State.Final():
		return r.Decide(l, c, now)
	}
	rec = rec.finished(Refused, why, code, now)
	return l.with(rec).prune(now), Action{Kind: Finish, Outcome: rec.outcome()}
}

// try reserves the next attempt if the gate is open, and does what the gate says if not.
func (r Rules) try(l Ledger, rec Record, c Command, now Now) (Ledger, Action) {
	v := r.gate(l, rec, c, now)
	switch {
	case v.open():
		rec.State, rec.NextAt = Sending, 0
		rec.Attempt++
		rec.ReservedAt, rec.Window, rec.By = At(now.Platform), l.CustomerAt, c.By
		rec.Counts = c.Verb == Send
		if rec.Attempt == 1 {
			rec.Parts = l.partsOf(c)
		}
		return l.with(rec).prune(now), Action{Kind: Post, Attempt: rec.Attempt, Part: rec.part(), MsgID: PartMsgID(c.requestMsgID(), rec.part())}
	case !v.until.IsZero():
		a := wait(now, v.until, c.ExpiresAt)
		a.Held, a.Behind, a.Apart = v.held, v.behind, v.apart
		return l, a
	}
	rec = rec.finished(v.state, v.reason, 0, now)
	if v.ask && !now.Fresh {
		return l, Action{Kind: Ask, Outcome: rec.outcome()}
	}
	if v.reason == ReasonBeforeSend {
		l = l.cancel(c, now)
	}
	return l.with(rec).prune(now), Action{Kind: Finish, Outcome: rec.outcome()}
}

func (c Command) requestMsgID() string {
	switch c.Verb {
	case Recall:
		return c.TargetMsgID()
	case Transfer:
		return ""
	}
	return c.MsgID()
}

// wait is until the earlier of two moments, and a moment at least.
func wait(now Now, until, limit time.Time) Action {
	if limit.Before(until) {
		until = limit
	}
	if soon := now.Local.Add(100 * time.Millisecond); until.Before(soon) {
		until = soon
	}
	return Action{Kind: Wait, Until: until}
}
