package window

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// subject is what the world runs: our rules, or a mutant of them.
type subject struct {
	rules  Rules
	decide func(Ledger, Command, Now) (Ledger, Action)
	settle func(Ledger, Command, int, Answer, Now) (Ledger, Result)
	wrote  func(Ledger, time.Time, string, uint64) (Ledger, bool)
	failed func(Ledger, string, int, time.Time, Now) (Ledger, Result)

	blind     bool // stores without comparing
	hopeful   bool // takes a lost answer of the ledger's for a yes
	fenceless bool // posts however old its decision is
}

func ours(r Rules) subject {
	return subject{rules: r, decide: r.Decide, settle: r.Settle, wrote: Ledger.CustomerWrote, failed: Ledger.SendFailed}
}

// order is a command with all that the world knows of it.
type order struct {
	Command
	came       uint64 // the stream's sequence when it came
	msgid      string
	msgids     []string             // of each of its messages
	proofs     int                  // how many of them the platform said that it has
	left       map[string]time.Time // by msgid: the last POST
	acked      bool
	doubtful   bool         // some attempt ended without a definite answer
	pending    map[int]bool // attempts stored, and not settled by a definite answer
	posts      int
	told       int       // times an outcome of it was published
	reservedAt time.Time // the last attempt
	terminal   []Outcome // distinct ones published
	fixes      []Outcome
	taken      bool      // a recall of it was answered "before_send"
	held       bool      // put aside for the end of a human session
	proved     bool      // the platform said that it has it, and that was written down
	forgotten  bool      // it was on its way when the ledger was lost
	untold     bool      // … and nobody can know that there was a ledger
	again      bool      // its timer knows that it may have been posted
	handed     bool      // it was in some sender's hands
	wakeAt     time.Time // when its timer brings it back, once it was put aside
}

// arrival is a request on its way to the platform.
type arrival struct {
	at   time.Time
	run  func() int
	done func(code int)
}

// told is an outcome in its stream.
type told struct {
	Outcome
	at time.Time
}

type world struct {
	rng      *rand.Rand
	p        *platform
	s        subject
	senders  []*sender
	stored   Ledger // the bucket, as it reads
	absent   bool   // the bucket has nothing
	lost     bool   // the bucket was emptied once
	traces   bool   // and shows it
	revision int
	applied  map[uint64]bool
	outcomes []told
	orders   []*order
	aside    []*order // in the order in which they were put there
	jobs     []*job
	begun    int
	arrivals []arrival

	takenOver uint64                                                   // newest takeover by a human that the ledger was told of
	rates     struct{ crash, lost, late, busy, slow, stall, loss int } // percent
	mix       [3]int                                                   // percent of commands: send, reply, recall; the rest transfer
	hasty     bool                                                     // little time passes
	coded     bool                                                     // the bucket holds JSON, which costs most of the time
	skew      time.Duration                                            // of the senders' own clocks, where it is large
	shares    map[string]int                                           // by team
	calm      bool
	loud      bool // keeps a log

	seen   tally
	hits   [nPoints]bool
	faults []string // violations
	log    []string
}

// skewMost is how far a sender's own clock is off at most.
const skewMost = 10 * time.Minute

func newWorld(seed uint64, mutate func(Rules) subject, loud bool) *world {
	rng := rand.New(rand.NewPCG(seed, 7))
	w := &world{rng: rng, loud: loud, p: newPlatform(rng), applied: map[uint64]bool{}}
	r := rules
	r.DupCodes = []int{w.p.dupCode} // as a probe learns it
	r.NeverRepost = w.p.repeated == "deliver" || rng.IntN(8) == 0
	r.Gap = []time.Duration{0, 0, 10 * time.Second}[rng.IntN(3)]
	w.shares = map[string]int{"t1": []int{0, 0, 1, 3}[rng.IntN(4)]}
	w.s = mutate(r)
	w.note("%v, never repost: %v", w.p.personality, r.NeverRepost)
	for _, r := range []*int{&w.rates.crash, &w.rates.lost, &w.rates.late, &w.rates.busy, &w.rates.slow, &w.rates.stall} {
		*r = []int{0, 3, 10, 40}[rng.IntN(4)]
	}
	w.rates.loss = []int{0, 0, 0, 0, 2}[rng.IntN(5)]
	w.mix = [][3]int{{62, 10, 23}, {95, 2, 3}, {50, 0, 50}, {10, 80, 10}, {60, 0, 5}}[rng.IntN(5)]
	w.hasty = rng.IntN(2) == 0
	w.coded = rng.IntN(4) == 0
	skew := 1500
	if rng.IntN(4) == 0 {
		skew = int(skewMost / time.Millisecond)
		w.skew = skewMost
	}
	for n := range 3 {
		w.senders = append(w.senders, &sender{n: n, local: w.error(skew), plat: w.error(900)})
	}
	w.prologue()
	return w
}

// prologue brings most worlds near a limit: an open conversation, up to five messages into its window.
func (w *world) prologue() {
	n := w.rng.IntN(9) - 2
	if n < 0 {
		return
	}
	w.calm = true
	w.p.customerWrites()
	w.apply(w.p.stream[0])
	for i := range min(n, 5) {
		o := &order{Command: Command{Team: "t0", ID: fmt.Sprint("p", i), Verb: Send, ExpiresAt: t0.Add(time.Hour), CameAt: w.p.now}, pending: map[int]bool{}, left: map[string]time.Time{}}
		w.orders = append(w.orders, o)
		w.begin(o)
		for !o.acked && len(w.faults) == 0 {
			if len(w.jobs) == 0 && !w.p.now.Before(o.wakeAt) { // put aside for the gap
				w.begin(o)
			}
			w.workAll()
			w.advance(100 * time.Millisecond)
		}
	}
	w.calm = false
}

// MsgID is worked out once.
func (o *order) MsgID() string {
	if o.msgid == "" {
		o.msgid = o.Command.MsgID()
	}
	return o.msgid
}

// all are the msgids of its messages, the first its own.
func (o *order) all() []string {
	for len(o.msgids) < max(1, o.Parts) {
		o.msgids = append(o.msgids, PartMsgID(o.MsgID(), len(o.msgids)+1))
	}
	return o.msgids
}

// maybe lets a fault happen at a point, or not.
func (w *world) maybe(at point, percent int) bool {
	if w.calm || w.rng.IntN(100) >= percent {
		return false
	}
	w.hits[at] = true
	return true
}

func (w *world) note(format string, args ...any) {
	if !w.loud {
		return
	}
	w.log = append(w.log, fmt.Sprintf("%-12s ", w.p.now.Sub(t0))+fmt.Sprintf(format, args...))
}

// load reads the ledger. One that is not there is made anew from the streams.
func (w *world) load() Ledger {
	if !w.absent {
		return w.stored
	}
	var l Ledger
	for _, o := range w.outcomes {
		l = l.Remember(o.Outcome, o.at)
	}
	for _, n := range w.p.stream {
		if n.failed == "" {
			l, _, _ = w.heard(l, n)
		}
	}
	if w.traces || len(l.Records) > 0 {
		l.MadeAt = At(w.p.now)
	}
	return l
}

// store is the compare-and-set. Its answer may be lost, whether it was done or not.
func (w *world) store(l Ledger, revision int) (ok, known bool) {
	if w.maybe(casNotDone, w.rates.lost/2) {
		return false, false
	}
	if revision != w.revision && !w.s.blind {
		return false, !w.maybe(casLost, w.rates.lost)
	}
	w.must(windowForward, l.CustomerAt != w.stored.CustomerAt, l.CustomerAt >= w.stored.CustomerAt, "the window moves back from %v to %v", w.stored.CustomerAt.Time(), l.CustomerAt.Time())
	w.stored, w.absent = l, false
	if w.coded {
		w.stored = w.decode(w.encode(l))
	}
	for _, o := range w.orders { // given up while its sender was slow
		if rec, _ := w.stored.find(o.MsgID()); rec.Reason == ReasonAbandoned && len(o.pending) > 0 {
			o.doubtful = true
		}
	}
	w.revision++
	return true, !w.maybe(casLost, w.rates.lost)
}

func (w *world) encode(l Ledger) []byte {
	data, err := json.Marshal(l)
	if err != nil {
		w.violate(goesOn, "the ledger cannot be stored: %v", err)
	}
	return data
}

func (w *world) decode(data []byte) (l Ledger) {
	if err := json.Unmarshal(data, &l); err != nil {
		w.violate(goesOn, "the ledger cannot be read: %v", err)
	}
	return l
}

// step lets one thing happen.
func (w *world) step() {
	switch n := w.rng.IntN(100); {
	case n < 16:
		if d := w.span(); w.p.now.Add(d).Before(t0.Add(20 * time.Hour).Add(Length)) { // within the memory of the ledger
			w.advance(d)
			if d > time.Hour {
				w.command()
			}
		}
	case n < 22:
		if w.rng.IntN(2) == 0 {
			w.p.customerWrites()
			w.note("customer writes")
		}
	case n < 24:
		if w.rng.IntN(3) == 0 {
			w.p.servicerActs()
			w.note("servicer acts: session %d", w.p.session)
		}
	case n < 26:
		w.p.drop()
	case n < 28:
		if w.p.foreign && w.p.open() && w.p.count < 5 {
			w.p.count++
			w.note("somebody else spends one")
		}
	case n < 36:
		w.applyOne()
	case n < 48:
		w.command()
	case n < 54:
		w.deliver()
	case n < 56:
		w.misfortune()
	default:
		if len(w.jobs) > 0 {
			j := w.jobs[w.rng.IntN(len(w.jobs))]
			for range 1 + w.rng.IntN(4) {
				if slices.Contains(w.jobs, j) {
					w.work(j)
				}
			}
		}
	}
	w.check()
}

// misfortune strikes a whole sender, or the ledger.
func (w *world) misfortune() {
	s := w.senders[w.rng.IntN(len(w.senders))]
	switch {
	case w.maybe(senderDies, w.rates.crash):
		w.note("sender %d dies", s.n)
		w.jobs = slices.DeleteFunc(w.jobs, func(j *job) bool {
			if j.s == s {
				j.abandon()
			}
			return j.s == s
		})
	case w.maybe(senderStalls, w.rates.stall): // SIGSTOP: past the fence, or past the grace
		until := w.p.now.Add(time.Duration(w.rng.IntN(60_000)) * time.Millisecond)
		w.note("sender %d stalls until %v", s.n, until.Sub(t0))
		for _, j := range w.jobs {
			if j.s == s && j.notBefore.Before(until) {
				j.notBefore = until
			}
		}
	case w.maybe(ledgerLost, w.rates.loss*10):
		w.note("the ledger is lost")
		w.stored, w.absent, w.lost = Ledger{}, true, true
		w.revision++
		w.traces = w.rng.IntN(2) == 0 // a key was deleted, not the whole bucket
		w.forget()
	}
}

// forget notes what nobody can know any more, since the ledger is lost.
func (w *world) forget() {
	blank := w.load().MadeAt == 0 // nothing shows that there was one
	for _, o := range w.orders {
		o.forgotten = o.forgotten || !o.acked && o.handed
		o.doubtful = o.doubtful || o.forgotten
		aside := !o.wakeAt.IsZero() && !o.again && o.posts > 0 // by one of two who had it, and the other posted it
		o.untold = o.untold || o.forgotten && (blank || aside)
		if len(o.terminal) == 0 {
			o.proved, o.proofs = false, 0
		}
	}
	for _, j := range w.jobs { // written down, and not told yet; or in the hands of one who got it late, and takes himself for the first
		written := j.phase == telling || j.phase == storing && j.action.Kind == Finish || j.phase == recording
		j.o.untold = j.o.untold || written || !j.again && j.o.posts > 0
	}
}

func (w *world) span() time.Duration {
	switch n := w.rng.IntN(100); {
	case n < 50, w.hasty && n < 85:
		return time.Duration(w.rng.IntN(2000)) * time.Millisecond
	case n < 85:
		return time.Duration(w.rng.IntN(20000)) * time.Millisecond
	case n < 93:
		return time.Duration(w.rng.IntN(200)) * time.Second
	case n < 99: // about the end of the window
		if edge := w.p.wroteAt.Add(48*time.Hour - time.Minute + time.Duration(w.rng.IntN(70))*time.Second); edge.After(w.p.now) && !w.p.wroteAt.IsZero() {
			return edge.Sub(w.p.now)
		}
	}
	return time.Duration(w.rng.IntN(50*3600)) * time.Second
}

// advance moves time, and lets requests arrive at theirs.
func (w *world) advance(d time.Duration) {
	until := w.p.now.Add(d)
	for {
		next := -1
		for i, a := range w.arrivals {
			if !a.at.After(until) && (next < 0 || a.at.Before(w.arrivals[next].at)) {
				next = i
			}
		}
		if next < 0 {
			break
		}
		a := w.arrivals[next]
		w.arrivals = slices.Delete(w.arrivals, next, next+1)
		if a.at.After(w.p.now) {
			w.p.now = a.at
		}
		a.done(a.run())
		w.check()
	}
	w.p.now = until
}

func (w *world) command() {
	c := Command{Team: "t" + string(rune('0'+w.rng.IntN(2))), ID: fmt.Sprint("c", len(w.orders)), Hold: w.rng.IntN(2) == 0}
	c.ExpiresAt = w.p.now.Add([]time.Duration{20 * time.Second, 10 * time.Minute, 10 * time.Minute, 48 * time.Hour}[w.rng.IntN(4)])
	c.Hold = c.Hold && c.ExpiresAt.Sub(w.p.now) < time.Hour // it looks again every 30 s
	if w.rng.IntN(4) == 0 {
		g := w.load().Generation
		c.Generation = &g
	}
	switch n := w.rng.IntN(100); {
	case n < w.mix[0]:
		c.Verb = Send
	case n < w.mix[0]+w.mix[1]:
		c.Verb, c.Deadline = Reply, w.p.now.Add(time.Duration(11+w.rng.IntN(10))*time.Second)
	case n < w.mix[0]+w.mix[1]+w.mix[2]:
		c.Verb, c.Target = Recall, fmt.Sprint("c", max(0, len(w.orders)-w.rng.IntN(4)+1)) // perhaps one to come
		if c.Target == c.ID {
			c.Target = fmt.Sprint("c", len(w.orders)+1)
		}
		for _, o := range w.orders { // of the same team, if it exists
			if o.ID == c.Target {
				c.Team = o.Team
			}
		}
	default:
		c.Verb, c.State = Transfer, 1+w.rng.IntN(4)
	}
	if len(w.orders) > 0 { // a send that a recall of its team has named already
		if last := w.orders[len(w.orders)-1]; last.Verb == Recall && last.Target == c.ID {
			c.Team = last.Team
		}
	}
	if c.CameAt = w.p.now; c.Verb == Send {
		c.Share = w.shares[c.Team]
		if w.rng.IntN(4) == 0 {
			c.Parts = 2 + w.rng.IntN(3)
		}
	}
	w.orders = append(w.orders, &order{Command: c, came: uint64(len(w.p.stream)), pending: map[int]bool{}, left: map[string]time.Time{}})
	w.note("%s: %s %s %d", c.ID, c.Verb, c.Target, c.Parts)
	if w.rng.IntN(4) != 0 {
		w.begin(w.orders[len(w.orders)-1])
	}
}

func (w *world) applyOne() {
	if len(w.p.stream) == 0 {
		return
	}
	n := w.p.stream[w.rng.IntN(len(w.p.stream))] // late, twice and in any order
	for _, m := range w.p.stream {
		if !w.applied[m.seq] && w.rng.IntN(3) != 0 {
			n = m
			break
		}
	}
	w.apply(n)
}

// heard is l with one item of the stream.
func (w *world) heard(l Ledger, n notice) (next Ledger, changed bool, res Result) {
	switch {
	case n.wrote != "":
		next, changed = w.s.wrote(l, n.at, n.wrote, n.seq)
	case n.agent:
		next, changed = l.AgentWrote(n.at)
	case n.change != 0:
		next, changed = l.SessionChanged(n.change, n.at, n.seq)
	default:
		next, res = w.s.failed(l, n.failed, n.kind, n.at, Now{Local: w.p.now, Platform: w.p.now})
		changed = res.Changed
	}
	return next, changed, res
}

// apply is the sender's consumer of events.
func (w *world) apply(n notice) {
	revision := w.revision
	l, changed, res := w.heard(w.load(), n)
	if changed || w.absent {
		if ok, known := w.store(l, revision); !ok || !known {
			return // it comes again
		}
	}
	if n.change == 1 || n.change == 2 || n.change == 4 {
		w.takenOver = max(w.takenOver, uint64(n.at.Unix()))
	}
	if w.maybe(inboxDies, w.rates.crash) {
		return // before publishing: the event comes again
	}
	w.publish(res)
	w.applied[n.seq] = true
	w.wakeNext()
}

// wakeNext makes the timer due of the first command that was put aside.
func (w *world) wakeNext() {
	key, ok := w.load().Next(Now{Local: w.p.now})
	for _, o := range w.orders {
		if ok && o.MsgID() == key {
			o.wakeAt = w.p.now
		}
	}
}

// settleDown ends all faults, hears out the stream, and runs every command to its outcome.
func (w *world) settleDown() {
	w.calm = true
	for _, s := range w.senders {
		s.local = min(s.local, 1500*time.Millisecond) // clocks that are behind expire late
		s.local = max(s.local, -1500*time.Millisecond)
	}
	w.advance(2 * time.Minute)
	for _, n := range w.p.stream {
		if !w.applied[n.seq] {
			w.apply(n)
		}
	}
	end := w.p.now
	for _, o := range w.orders {
		if at := o.ExpiresAt; at.After(end) {
			end = at
		}
	}
	for end = end.Add(time.Minute + w.skew); !w.p.now.After(end) && len(w.faults) == 0; w.advance(w.pause(end)) {
		for _, o := range w.orders {
			if !o.acked && !w.p.now.Before(o.wakeAt) {
				w.begin(o)
			}
		}
		w.workAll()
		w.check()
		if !slices.ContainsFunc(w.orders, func(o *order) bool { return !o.acked }) {
			break
		}
	}
	for _, n := range w.p.stream { // failures of what was sent meanwhile
		w.apply(n)
	}
	w.check()
	if len(w.faults) == 0 {
		w.checkEnd()
	}
}

// pause is the time until the next thing can happen.
func (w *world) pause(end time.Time) time.Duration {
	next := end.Add(time.Second)
	for _, j := range w.jobs {
		at := j.notBefore
		if j.phase == awaiting {
			at = j.answerAt
		}
		if at.After(w.p.now) && at.Before(next) {
			next = at
		}
	}
	for _, a := range w.arrivals {
		if a.at.Before(next) {
			next = a.at
		}
	}
	for _, o := range w.orders {
		inHand := slices.ContainsFunc(w.jobs, func(j *job) bool { return j.o == o })
		if !o.acked && !inHand && o.wakeAt.Before(next) {
			next = o.wakeAt
		}
	}
	return max(next.Sub(w.p.now), 10*time.Millisecond)
}

func (w *world) dump() string {
	return strings.Join(w.log, "\n")
}
