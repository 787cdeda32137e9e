package window

import (
	"fmt"
	"slices"
	"time"
)

// promise is something that must hold after every event of a world.
type promise int

const (
	onceTaken promise = iota
	fiveAtMost
	postInTime
	oneOutcome
	trueOutcome
	doubtWithCause
	proofTaken
	countedPlaces
	recallTrue
	replyInTime
	recallInTime
	oneMsgID
	oneRequest
	handOver
	heldBack
	humanSession
	keptOrder
	freshRefusal
	windowForward
	ownAttempt
	outcomeInTime
	joinedFailure
	inTurn
	keptGap
	keptShare
	goesOn
	nPromises
)

// promises has their names, most as P8 to P25, and what each says.
var promises = [nPromises]struct{ name, text string }{
	onceTaken:      {"P8", "the platform takes at most one copy of a command"},
	fiveAtMost:     {"P9", "we never post a sixth message into a window"},
	postInTime:     {"P10", "no POST after expiry, after the window, or after a recall was answered"},
	oneOutcome:     {"P11", "one terminal outcome a command, and at most one correction, of a lawful kind"},
	trueOutcome:    {"P12", "accepted means one copy; refused, failed, expired and cancelled mean none"},
	doubtWithCause: {"P13", "unknown only where an attempt ended without a definite answer"},
	proofTaken:     {"P13b", "what was proved to be delivered does not end as anything else"},
	countedPlaces:  {"P14", "as many places taken as the platform counts, or more"},
	recallTrue:     {"P15", "recalled means taken back, or never sent"},
	replyInTime:    {"P16", "no reply is posted after its code died"},
	recallInTime:   {"G6", "no recall is posted when it cannot succeed any more"},
	oneMsgID:       {"P17", "every attempt of a command has the same msgid, and no other command has it"},
	oneRequest:     {"A5", "no two requests of one message are under way at once"},
	handOver:       {"GEN", "no message of an older generation is posted after a human took over"},
	heldBack:       {"HOLD", "a held command is not refused while a human has the conversation"},
	humanSession:   {"HUMAN", "nothing is posted into a session that is known to be a human's"},
	keptOrder:      {"ORDER", "a message is not posted while an earlier one of its conversation is put aside"},
	freshRefusal:   {"P25", "no refusal for a window or session of which the stream knows better"},
	windowForward:  {"4.18", "a window never moves back"},
	ownAttempt:     {"FENCE", "an answer that proves nothing settles no other attempt than its own"},
	outcomeInTime:  {"P22", "every command has its outcome a minute after its expiry"},
	joinedFailure:  {"FIX", "a msg_send_fail becomes exactly one correction"},
	inTurn:         {"PARTS", "a message of several is posted when those before it were taken"},
	keptGap:        {"GAP", "two messages keep the minimum gap, those of one command too"},
	keptShare:      {"SHARE", "no team holds more places than its share"},
	goesOn:         {"LIVE", "senders do not turn in circles, and wait for the future only"},
}

// tally counts how often a promise was looked at, and how often when it could well have been broken.
type tally [nPromises]struct{ checked, earnest int }

func (w *world) see(p promise, earnest bool) {
	w.seen[p].checked++
	if earnest {
		w.seen[p].earnest++
	}
}

func (w *world) violate(p promise, format string, args ...any) {
	f := promises[p].name + " " + fmt.Sprintf(format, args...)
	w.faults = append(w.faults, f)
	w.note("VIOLATION %s", f)
}

// must sees p and, if it does not hold, violates it.
func (w *world) must(p promise, earnest, holds bool, format string, args ...any) {
	if w.see(p, earnest); !holds {
		w.violate(p, format, args...)
	}
}

// checkPost looks at a POST as it leaves.
func (w *world) checkPost(j *job) {
	o, p := j.o, w.p
	w.note("%s: POST attempt %d by sender %d", o.ID, j.action.Attempt, j.s.n)
	local := p.now.Add(j.s.local)
	w.must(postInTime, local.After(o.ExpiresAt.Add(-5*time.Second)), local.Before(o.ExpiresAt), "%s posted after its expiry", o.ID)
	if o.Verb == Send && !p.wroteAt.IsZero() {
		end := p.wroteAt.Add(48 * time.Hour)
		w.must(postInTime, p.now.After(end.Add(-5*time.Minute)), p.now.Before(end), "%s posted after the window", o.ID)
	}
	w.must(postInTime, false, !o.taken || w.lost, "%s posted after its recall was answered", o.ID)
	if o.Verb == Reply {
		w.must(replyInTime, p.now.After(o.Deadline.Add(-5*time.Second)), !p.now.After(o.Deadline), "%s posted after its deadline", o.ID)
	}
	first := map[Verb]string{Send: o.MsgID(), Reply: o.MsgID(), Recall: MsgID("", o.Team, o.Target)}[o.Verb]
	want := PartMsgID(first, j.action.Part)
	w.checkParts(j)
	w.must(oneMsgID, o.posts > 0, j.action.MsgID == want, "%s posted with msgid %s", o.ID, j.action.MsgID)
	w.checkRecallPost(o, first)
	for _, other := range w.jobs {
		if other.o == o && other != j && (other.phase != awaiting || other.action.Part == j.action.Part) { // a repeat of one that is known to be accepted is harmless
			w.must(oneRequest, true, other.phase != awaiting || !other.answerAt.After(p.now) || o.forgotten, "%s is posted while a request of it is under way", o.ID)
		}
	}
}

// checkParts looks at what a message has to do with those before it.
func (w *world) checkParts(j *job) {
	o, p := j.o, w.p
	if o.Verb != Send {
		return
	}
	part := max(1, j.action.Part)
	w.must(inTurn, part > 1, part <= max(1, o.Parts), "%s: message %d of %d", o.ID, part, o.Parts)
	for _, before := range o.all()[:min(part, len(o.all()))-1] {
		w.must(inTurn, true, p.sent[before] != nil, "%s: message %d is posted before another of it was taken", o.ID, part)
	}
	gap := w.s.rules.Gap
	if gap == 0 || w.lost {
		return
	}
	for _, other := range w.orders {
		for id, at := range other.left {
			if p.sent[id] == nil || id == j.action.MsgID || other.Verb == Recall {
				continue
			}
			since := p.now.Sub(at) // by clocks that differ by less than 1.8 s, and a POST leaves within the fence
			w.must(keptGap, since < 2*gap, since >= gap-1800*time.Millisecond-w.s.rules.Fence, "%s is posted %v after %s", o.ID, since, other.ID)
		}
	}
}

func (w *world) checkRecallPost(o *order, msgid string) {
	if o.Verb != Recall || w.lost {
		return
	}
	for _, target := range w.orders {
		if target.MsgID() == msgid && target.posts > 0 {
			age := w.p.now.Sub(target.reservedAt)
			w.must(recallInTime, age > RecallWithin-recallMargin, age <= lateEffect+RecallWithin+recallMargin+3*time.Second,
				"%s recalled %v after the last attempt", o.ID, age)
		}
	}
}

// checkReserved looks at a reservation when it is stored: l is the ledger it was decided on.
func (w *world) checkReserved(j *job, l Ledger) {
	o := j.o
	if o.Generation != nil {
		w.must(handOver, w.takenOver > 0, *o.Generation >= w.takenOver, "%s of generation %d goes out after a takeover at %d", o.ID, *o.Generation, w.takenOver)
	}
	if n := j.next.usedBy(o.Team); o.Share > 0 {
		w.must(keptShare, n >= o.Share, n <= o.Share || l.usedBy(o.Team) > o.Share, "%s holds %d places of %d", o.Team, n, o.Share)
	}
	if o.Verb == Send {
		s := l.SessionState()
		w.must(humanSession, s != sessionNew, s != sessionPool && s != sessionHuman && s != sessionEnded, "%s goes out in session state %d", o.ID, s)
	}
	if o.Verb != Send && o.Verb != Transfer || w.lost {
		return
	}
	for _, first := range w.aside {
		if first == o {
			break
		}
		rec, _ := l.find(first.MsgID())
		over := first.acked || rec.State.Final() || w.p.now.Add(skewMost).After(first.ExpiresAt.Add(lostAfter))
		held := first.held && o.Verb == Transfer // it may be what sets them free
		w.must(keptOrder, true, over || held, "%s goes out while %s is put aside", o.ID, first.ID)
	}
}

// checkSettled looks at what an answer did to the record of its command.
func (w *world) checkSettled(j *job, before Record) {
	after, _ := j.next.find(j.o.MsgID())
	foreign := before.State == Sending && before.Attempt != j.action.Attempt
	w.must(ownAttempt, foreign, !foreign || after.State == before.State && after.Attempt == before.Attempt || after.State == Accepted || after.State == Recalled || after.Done > before.Done,
		"the answer to attempt %d of %s makes attempt %d %s", j.action.Attempt, j.o.ID, before.Attempt, after.State)
}

// checkRefusal looks at a decision to refuse without a word of the platform's.
func (w *world) checkRefusal(j *job, l Ledger) {
	o, why := j.o, j.action.Outcome.Reason
	switch why {
	case ReasonNeverOpened, ReasonWindowClosed, ReasonQuotaSpent, ReasonSessionState:
	default:
		return
	}
	news := slices.ContainsFunc(w.p.stream, func(n notice) bool {
		return n.seq <= o.came && (n.wrote != "" && At(n.at) > l.CustomerAt || n.change != 0 && At(n.at) > l.SessionAt)
	})
	w.must(freshRefusal, l.CustomerAt != 0, !news, "%s is refused for %s, and the stream has news", o.ID, why)
	if o.Hold {
		s := l.SessionState()
		w.must(heldBack, why == ReasonSessionState, why != ReasonSessionState || s != sessionPool && s != sessionHuman, "%s is refused in session state %d", o.ID, s)
	}
}

// check holds the world against the promises, after every step.
func (w *world) check() {
	if len(w.faults) > 0 {
		return
	}
	p := w.p
	ours := !p.foreign && !w.lost // what was in flight when the ledger was lost, only the platform counts
	w.must(fiveAtMost, p.count >= Quota, p.refused == 0 || !ours, "a sixth message was posted")
	if ours {
		used := w.load().Used()
		w.must(countedPlaces, p.count > 0, used >= p.count, "%d places taken, and the platform counts %d", used, p.count)
	}
	known := 0
	for _, o := range w.orders {
		taken := 0
		for n, id := range o.all() {
			if m := p.sent[id]; m != nil {
				taken++
				known++
				w.must(onceTaken, o.posts > 1, m.copies <= 1 || o.untold, "%d copies of message %d of %s", m.copies, n+1, o.ID)
			}
		}
		w.checkOutcomes(o, taken)
	}
	w.must(onceTaken, false, known == len(p.sent), "%d commands, %d messages accepted", known, len(p.sent))
}

// takes is how many messages an outcome says that the platform took.
func (o *order) takes(out Outcome) int {
	switch out.State {
	case Accepted:
		return max(1, o.Parts)
	case Partial, Unknown:
		return out.Sent
	}
	return 0
}

func (w *world) checkOutcomes(o *order, taken int) {
	if len(o.terminal)+len(o.fixes) == 0 {
		return
	}
	// What was settled and not yet told when the ledger was lost, another sender settles anew: it may find another reason.
	w.must(oneOutcome, o.told > 1, o.forgotten || o.untold || len(o.terminal) <= 1 && len(o.fixes) <= 1, "%s: %+v, corrected by %+v", o.ID, o.terminal, o.fixes)
	for _, fix := range o.fixes {
		legal := (fix.Corrects == Accepted || fix.Corrects == Partial) && fix.State == Failed || fix.Corrects == Unknown && fix.State != Unknown
		w.must(oneOutcome, true, o.forgotten || o.untold || legal && (len(o.terminal) == 0 || o.terminal[0].State == fix.Corrects), "%s: %+v corrected by %+v", o.ID, o.terminal, fix)
		if (fix.State == Accepted || fix.State == Partial) && o.Verb != Transfer {
			w.must(trueOutcome, true, taken == o.takes(fix), "%s: corrected to %s, and %d were taken", o.ID, fix.State, taken)
		}
	}
	for _, out := range o.terminal {
		switch {
		case out.State == Unknown:
			target := w.p.sent[MsgID("", o.Team, o.Target)]
			probing := o.Verb == Recall && out.Reason == ReasonNotFound && target == nil
			w.must(doubtWithCause, true, o.doubtful || probing, "%s: unknown %s, and no attempt was in doubt", o.ID, out.Reason)
			if o.Verb == Send {
				n := o.takes(out)
				w.must(trueOutcome, o.Parts > 1, taken == n || taken == n+1 || o.untold || o.forgotten, "%s: unknown after %d, and %d were taken", o.ID, n, taken)
			}
		case o.Verb == Transfer:
		case o.Verb == Recall:
			for n := range max(1, out.Parts, 4) {
				m := w.p.sent[PartMsgID(MsgID("", o.Team, o.Target), n+1)]
				back := out.State == Recalled || out.State == Partial && n < out.Sent
				w.must(recallTrue, m != nil, w.lost || !back || m == nil || m.takenBack, "%s: %s, and message %d stands", o.ID, out.State, n+1)
			}
		default:
			w.must(trueOutcome, o.posts > 1, taken == o.takes(out) || o.untold || o.forgotten && o.taken, "%s: %s %s, and %d were taken", o.ID, out.State, out.Reason, taken)
		}
	}
}

// checkEnd looks at every command a minute after the last has expired.
func (w *world) checkEnd() {
	for _, o := range w.orders {
		w.must(outcomeInTime, true, len(o.terminal) == 1 || o.forgotten && len(o.terminal) > 0, "%s: %d outcomes a minute after its expiry", o.ID, len(o.terminal))
		failed := slices.ContainsFunc(w.p.stream, func(n notice) bool { return slices.Contains(o.all(), n.failed) })
		if failed && !w.lost && w.p.now.Sub(o.reservedAt) < recordKeep {
			w.must(joinedFailure, true, len(o.fixes) == 1, "%s: msg_send_fail came, and %d corrections", o.ID, len(o.fixes))
		}
		if o.proved && !o.untold && len(o.terminal) == 1 {
			s := o.terminal[0].State
			w.must(proofTaken, true, s == Accepted || s == Unknown && len(o.fixes) == 1, "%s is %s, and its delivery was proved", o.ID, s)
		}
		if o.Verb == Send && o.Parts > 1 && !o.untold && len(o.terminal) == 1 {
			w.must(proofTaken, o.proofs > 0, o.terminal[0].Sent >= o.proofs || len(o.fixes) == 1, "%s: %d were taken, and %d were proved", o.ID, o.terminal[0].Sent, o.proofs)
		}
	}
}
