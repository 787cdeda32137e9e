package window

import (
	"slices"
	"time"
)

// Instant is a time as the ledger stores it: Unix milliseconds. Zero means never.
type Instant int64

// At is t as an Instant, cut to the millisecond; the zero time is never.
func At(t time.Time) Instant {
	if t.IsZero() {
		return 0
	}
	return Instant(t.UnixMilli())
}

// Time is i in UTC; never is the zero time.
func (i Instant) Time() time.Time {
	if i == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(i)).UTC()
}

func (i Instant) plus(d time.Duration) time.Time { return time.UnixMilli(int64(i)).Add(d) }

// Session states of the platform. 0 and 1 allow sending.
// https://developer.work.weixin.qq.com/document/path/94669
const (
	sessionNew   = 0
	sessionPool  = 2
	sessionHuman = 3
	sessionEnded = 4
)

const (
	recordKeep = 72 * time.Hour  // a command stays known this long after it finished; longer than the longest expiry, 48 h
	tombKeep   = 48 * time.Hour  // a recall still stops a send that comes this much later: the longest expiry
	staleAfter = time.Hour       // so long after its expiry nobody will come back with a command
	lateEffect = 2 * time.Minute // a POST has its effect within this time of its reservation, or never
	skew       = time.Second     // our estimate of the platform's clock is wrong by less; see Record.mayCountSince
	maxRecords = 1024            // see Ledger.Records
	maxOwn     = 768             // of them of one team
	version    = 1
)

// Ledger is all that is known of one conversation (corp, open_kfid, external_userid); one key, one compare-and-set.
// The zero value has never heard of the customer. Operations return a new ledger and leave their argument alone.
type Ledger struct {
	V int `json:"v"` // highest version that wrote it; fields this version does not know survive a rewrite

	CustomerAt    Instant `json:"c,omitempty"`  // send_time of the customer's newest message
	CustomerMsgID string  `json:"m,omitempty"`  // and its msgid
	CustomerType  string  `json:"mt,omitempty"` // and its msgtype; the caller's to set
	CustomerSeq   uint64  `json:"q,omitempty"`  // highest stream sequence of a customer message applied
	AgentAt       Instant `json:"a,omitempty"`  // send_time of the newest message by a human; not counted
	Session       int     `json:"s,omitempty"`  // as last told, at SessionAt; SessionState has the state in force
	SessionAt     Instant `json:"sa,omitempty"` // platform's clock
	SessionSeq    uint64  `json:"sq,omitempty"` // stream sequence of that event; decides within one second
	Servicer      string  `json:"h,omitempty"`  // who holds it in state 3, as last told; the caller's to set
	Generation    uint64  `json:"g,omitempty"`  // Unix second of the newest takeover by a human: survives the loss of the ledger
	ExhaustedAt   Instant `json:"x,omitempty"`  // the platform said 95001 since CustomerAt
	ClosedAt      Instant `json:"o,omitempty"`  // the platform said ClosedCode since CustomerAt
	ClosedCode    int     `json:"oc,omitempty"` // 95002, 95013 or 95018
	MadeAt        Instant `json:"ma,omitempty"` // it was lost, and made anew then from what is stored of outcomes; platform's clock

	// Records has one entry for each command: in flight, finished, or (a tombstone) cancelled before it came.
	// A finished one is kept for 72 h. Beyond 1024 (768 of one team) the oldest go sooner, but none before its own expiry and an hour;
	// if that leaves no room, new commands wait. At about 150 B each that is little; the largest is below 1 MiB.
	Records []Record `json:"r,omitempty"`

	// Parked are the commands that wait outside their lane, in the order in which they came.
	Parked []Parked `json:"p,omitempty"`

	extra fields
}

// Record is one command's slot and its history.
type Record struct {
	Key     string `json:"k"` // MsgID(conversation, Team, ID)
	Team    string `json:"t"`
	ID      string `json:"i"`
	Verb    Verb   `json:"b,omitempty"` // empty in a tombstone: what was to come is not known
	State   State  `json:"s"`
	Reason  Reason `json:"w,omitempty"`
	Code    int    `json:"c,omitempty"` // errcode behind Reason
	Attempt int    `json:"a,omitempty"` // the newest attempt, from 1
	Tries   int    `json:"y,omitempty"` // attempts that count against Rules.Tries

	Doubt  bool `json:"d,omitempty"`  // an attempt may have been accepted without our knowing
	Busy   bool `json:"u,omitempty"`  // an attempt was answered "system busy"
	Counts bool `json:"n,omitempty"`  // holds one of the five places since CustomerAt
	Parts  int  `json:"pn,omitempty"` // of several messages: how many; they hold as many places
	Done   int  `json:"pd,omitempty"` // how many of them were accepted
	Freed  int  `json:"pz,omitempty"` // those that hold no place any more, a bit each
	Lost   bool `json:"l,omitempty"`  // begun on a ledger that was made anew: each of several messages may have been posted before
	Zero   int  `json:"z,omitempty"`  // the attempt that was answered with errcode 0

	By string `json:"by,omitempty"` // Command.By of the newest attempt, while it is under way

	// On the platform's clock, which all replicas estimate alike whatever their own says:
	ReservedAt Instant `json:"ra,omitempty"` // when the newest attempt was reserved
	Window     Instant `json:"wa,omitempty"` // CustomerAt at that moment: the window a refusal speaks of
	NextAt     Instant `json:"na,omitempty"` // state retry: not before
	SentAt     Instant `json:"sa,omitempty"` // accepted no later than this
	// On the clock of the replica that wrote it:
	DoneAt    Instant `json:"da,omitempty"`
	ExpiresAt Instant `json:"xa"`

	MsgCode   string `json:"mc,omitempty"` // of an accepted transfer: the code for one reply, a secret
	TakenBack bool   `json:"tb,omitempty"` // a recall succeeded
	Fix       State  `json:"f,omitempty"`  // the one correction of State
	FixReason Reason `json:"fr,omitempty"`
	FailType  int    `json:"ft,omitempty"` // of msg_send_fail, with ReasonDeliveryFailed

	extra fields
}

// begin is the record of a command that is not known. If it was handed out before and the ledger is younger than it, then an
// attempt may have been made of which the lost ledger knew.
func (l Ledger) begin(c Command) Record {
	rec := newRecord(c)
	rec.Lost = c.Again && l.MadeAt != 0 && !l.MadeAt.plus(skew).Before(c.CameAt)
	rec.Doubt = rec.Lost
	return rec
}

func newRecord(c Command) Record {
	rec := Record{Key: c.MsgID(), Team: c.Team, ID: c.ID, Verb: c.Verb, ExpiresAt: At(c.ExpiresAt)}
	if c.Verb == Send && c.Parts > 1 { // also of one that ends before its first attempt: a lost ledger may have known of one
		rec.Parts = c.Parts
	}
	return rec
}

// fate is the state after any correction.
func (rec Record) fate() State {
	if rec.Fix != "" {
		return rec.Fix
	}
	return rec.State
}

// tookEffectBy is the latest moment, on the platform's clock, at which the platform can have accepted rec.
func (rec Record) tookEffectBy() time.Time {
	by := rec.ReservedAt.plus(lateEffect)
	older := rec.Parts > 0 && rec.State == Unknown // SentAt is of the message before the one in doubt
	if rec.SentAt != 0 && !older && rec.SentAt.Time().Before(by) {
		return rec.SentAt.Time()
	}
	return by
}

// mayCountSince reports whether the platform may count rec among the five that follow the customer's message at at. That
// message came at or within the second after at, as send_time is cut, and rec was accepted no later than our estimate of the
// platform's clock said, which is wrong by less than skew: half a second for its Date, half a round trip, and the rest for
// the difference between its own machines. So what is let go was accepted before for certain, and of what came within the
// two seconds before the customer's message some is kept that need not be.
func (rec Record) mayCountSince(at Instant) bool {
	return !rec.State.Final() || !rec.tookEffectBy().Add(skew).Before(at.Time())
}

// droppable reports whether rec may go before its 72 hours.
func (rec Record) droppable(now Now) bool {
	return rec.State.Final() && !rec.Counts && now.Local.After(rec.ExpiresAt.plus(staleAfter))
}

// Used is how many of the five places are taken since the customer's last message: by messages on their way, accepted,
// or in doubt, those of an earlier window included while they may still count.
func (l Ledger) Used() int {
	n := 0
	for i := range l.Records {
		n += l.Records[i].places()
	}
	return n
}

// usedBy is how many of them are a team's.
func (l Ledger) usedBy(team string) int {
	n := 0
	for i := range l.Records {
		if l.Records[i].Team == team {
			n += l.Records[i].places()
		}
	}
	return n
}

// SessionState is the state in force: a message of the customer's makes an ended session new.
func (l Ledger) SessionState() int {
	if l.Session == sessionEnded && l.CustomerAt >= l.SessionAt {
		return sessionNew
	}
	return l.Session
}

func (l Ledger) find(key string) (Record, bool) {
	i := slices.IndexFunc(l.Records, func(rec Record) bool { return rec.Key == key })
	if i < 0 {
		return Record{}, false
	}
	return l.Records[i], true
}

// with is l with rec in place of the record of the same key, or at the end. What is over does not wait any more.
func (l Ledger) with(rec Record) Ledger {
	if rec.State.Final() {
		l = l.unpark(rec.Key)
	}
	l.Records = slices.Clone(l.Records)
	if i := slices.IndexFunc(l.Records, func(r Record) bool { return r.Key == rec.Key }); i >= 0 {
		l.Records[i] = rec
	} else {
		l.Records = append(l.Records, rec)
	}
	return l
}

// full reports whether no room can be made for another command of a team. One alone cannot take all of it.
func (l Ledger) full(team string, now Now) bool {
	n, own := 0, 0
	for i := range l.Records {
		if l.Records[i].droppable(now) {
			continue
		}
		if n++; l.Records[i].Team == team {
			own++
		}
	}
	return n >= maxRecords || own >= maxOwn
}

// prune forgets what is old, and settles what was left behind in flight: a command that a person removed from the stream.
func (l Ledger) prune(now Now) Ledger {
	excess := len(l.Records) - maxRecords
	kept := make([]Record, 0, len(l.Records))
	for _, rec := range l.Records {
		if rec.State.Open() && now.Local.After(rec.ExpiresAt.plus(staleAfter)) {
			rec = rec.abandoned(now)
		}
		old := rec.State.Final() && !rec.Counts && now.Local.After(rec.DoneAt.plus(recordKeep))
		if old || excess > 0 && rec.droppable(now) {
			excess--
			continue
		}
		kept = append(kept, rec)
	}
	l.Records = kept
	return l.unparkStale(now)
}

func (rec Record) abandoned(now Now) Record {
	if rec.State == Sending {
		rec.Doubt = true
	}
	return rec.finished(Expired, ReasonAbandoned, 0, now)
}

// finished is rec in a terminal state. Where there is doubt, a state that denies delivery becomes Unknown.
func (rec Record) finished(s State, why Reason, code int, now Now) Record {
	switch {
	case s == Accepted || s == Recalled:
		rec.Done = rec.Parts
	case rec.Doubt && why != ReasonInvalid: // which was never posted
		s = Unknown
	case rec.Done > 0:
		s = Partial
	}
	rec.State, rec.Reason, rec.Code = s, why, code
	rec.DoneAt, rec.NextAt, rec.By = At(now.Local), 0, ""
	rec.Counts = rec.Counts && (s == Accepted || s == Partial || s == Unknown)
	return rec
}
