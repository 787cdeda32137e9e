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
	decide func(Ledger, Command, Now) (Ledger, Action)
	settle func(Ledger, Command, int, Answer, Now) (Ledger, Result)
	wrote  func(Ledger, time.Time, string, uint64) (Ledger, bool)
	failed func(Ledger, string, int, time.Time, Now) (Ledger, Result)
	blind  bool // stores without comparing
}

func ours(r Rules) subject {
	return subject{decide: r.Decide, settle: r.Settle, wrote: Ledger.CustomerWrote, failed: Ledger.SendFailed}
}

// order is a command with all that the world knows of it.
type order struct {
	Command
	msgid      string
	acked      bool
	doubtful   bool         // some attempt ended without a definite answer
	pending    map[int]bool // attempts stored, and not settled by a definite answer
	posts      int
	reservedAt time.Time // the last attempt
	terminal   []Outcome // distinct ones published
	fixes      []Outcome
	taken      bool // a recall of it was answered "before_send"
}

// arrival is a request on its way to the platform.
type arrival struct {
	at   time.Time
	run  func() int
	done func(code int)
}

type world struct {
	rng      *rand.Rand
	p        *platform
	s        subject
	stored   Ledger // the bucket, as it reads
	revision int
	applied  map[uint64]bool
	orders   []*order
	jobs     []*job
	arrivals []arrival
	rates    struct{ crash, lost, late, busy, slow int } // percent
	mix      [3]int                                      // percent of commands: send, reply, recall; the rest transfer
	hasty    bool                                        // little time passes
	coded    bool                                        // the bucket holds JSON, which costs most of the time
	calm     bool
	faults   []string // violations
	log      []string
}

func newWorld(seed uint64, s subject) *world {
	rng := rand.New(rand.NewPCG(seed, 7))
	w := &world{rng: rng, p: newPlatform(rng), s: s, applied: map[uint64]bool{}}
	for _, r := range []*int{&w.rates.crash, &w.rates.lost, &w.rates.late, &w.rates.busy, &w.rates.slow} {
		*r = []int{0, 3, 10, 40}[rng.IntN(4)]
	}
	w.mix = [][3]int{{62, 10, 23}, {95, 2, 3}, {50, 0, 50}, {10, 80, 10}}[rng.IntN(4)]
	w.hasty = rng.IntN(2) == 0
	w.coded = rng.IntN(4) == 0
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
		o := &order{Command: Command{Team: "t0", ID: fmt.Sprint("p", i), Verb: Send, ExpiresAt: t0.Add(time.Hour)}, pending: map[int]bool{}}
		w.orders = append(w.orders, o)
		w.begin(o)
		for !o.acked && len(w.faults) == 0 {
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

func (w *world) maybe(percent int) bool { return !w.calm && w.rng.IntN(100) < percent }

func (w *world) note(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf("%-12s ", w.p.now.Sub(t0))+fmt.Sprintf(format, args...))
}

func (w *world) violate(format string, args ...any) {
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
	w.note("VIOLATION "+format, args...)
}

func (w *world) load() Ledger { return w.stored }

// store is the compare-and-set.
func (w *world) store(l Ledger, revision int) bool {
	if revision != w.revision && !w.s.blind {
		return false
	}
	w.stored = l
	if w.coded {
		data, err := json.Marshal(l)
		if err == nil {
			w.stored = Ledger{}
			err = json.Unmarshal(data, &w.stored)
		}
		if err != nil {
			w.violate("the ledger cannot be stored: %v", err)
		}
	}
	for _, o := range w.orders { // given up while its sender was slow
		if rec, _ := w.stored.find(o.MsgID()); rec.Reason == ReasonAbandoned && len(o.pending) > 0 {
			o.doubtful = true
		}
	}
	w.revision++
	return true
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
	w.orders = append(w.orders, &order{Command: c, pending: map[int]bool{}})
	w.note("%s: %s %s", c.ID, c.Verb, c.Target)
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

// apply is the sender's consumer of events.
func (w *world) apply(n notice) {
	l, now := w.load(), Now{Local: w.p.now, Platform: w.p.now}
	var changed bool
	var res Result
	switch {
	case n.wrote != "":
		l, changed = w.s.wrote(l, n.at, n.wrote, n.seq)
	case n.change != 0:
		l, changed = l.SessionChanged(n.change, n.at, n.seq)
	default:
		l, res = w.s.failed(l, n.failed, n.kind, n.at, now)
		changed = res.Changed
	}
	if changed {
		w.store(l, w.revision)
	}
	if w.maybe(w.rates.crash) {
		return // before publishing: the event comes again
	}
	w.publish(res)
	w.applied[n.seq] = true
}

// settleDown ends all faults, hears out the stream, and runs every command to its outcome.
func (w *world) settleDown() {
	w.calm = true
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
	for end = end.Add(time.Minute); !w.p.now.After(end) && len(w.faults) == 0; w.advance(w.pause(end)) {
		for _, o := range w.orders {
			if !o.acked {
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
	for _, o := range w.orders {
		if len(o.terminal) != 1 {
			w.violate("P22 %s: %d outcomes a minute after its expiry", o.ID, len(o.terminal))
		}
		failed := slices.ContainsFunc(w.p.stream, func(n notice) bool { return n.failed == o.MsgID() })
		if failed && len(o.fixes) != 1 && w.p.now.Sub(o.reservedAt) < recordKeep {
			w.violate("%s: msg_send_fail came, and %d corrections", o.ID, len(o.fixes))
		}
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
	return max(next.Sub(w.p.now), 10*time.Millisecond)
}

func (w *world) dump() string {
	return strings.Join(w.log, "\n")
}
