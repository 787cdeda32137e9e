package window

import (
	"bytes"
	"slices"
	"strconv"
	"time"
)

// point is a place where a fault can strike. Every one must be struck in some worlds.
type point int

const (
	diesDeciding point = iota // a sender dies before …; in the order of the phases
	diesStoring
	diesPosting
	diesAwaiting
	diesSettling
	diesRecording
	diesParking
	diesTelling
	senderDies   // with all it has in hand
	senderStalls // for up to a minute
	inboxDies
	ledgerLost
	casLost    // stored, or refused, and nobody is told
	casNotDone // not stored, and nobody is told
	fenced     // too much time passed since the decision
	repeatLost // published, and published again
	ackLost
	answerBusy
	answerSlow
	postLost
	answerLost
	effectLate
	nPoints
)

var points = [nPoints]string{"dies before deciding", "dies before storing", "dies before posting", "dies awaiting the answer", "dies before settling",
	"dies before recording", "dies putting aside", "dies before telling", "a sender dies", "a sender stalls", "the inbox dies", "the ledger is lost",
	"an answer of the ledger is lost", "a write is lost", "fenced", "an outcome's answer is lost", "an acknowledgement is lost", "busy, rate, token, not sent",
	"slow", "a request is lost", "an answer is lost", "a late effect"}

// sender is one replica. Its clocks are wrong.
type sender struct {
	n           int
	local, plat time.Duration
}

// phase is where a job stands. Between two phases anything may happen.
type phase int

const (
	deciding  phase = iota // to load and decide
	storing                // to compare-and-set the decision
	posting                // to post
	awaiting               // until its answer is due
	settling               // to load and settle
	recording              // to compare-and-set what was settled
	parking                // to put the command aside
	telling                // to publish and acknowledge
)

// job is a sender at work on one command. Two may work on the same: the broker delivers again.
type job struct {
	n         int
	o         *order
	s         *sender
	phase     phase
	again     bool // it is not the first to have the command
	notBefore time.Time
	loaded    int // revision
	seen      Ledger
	next      Ledger
	action    Action
	result    Result
	begun     time.Time
	decided   time.Time
	answer    Answer
	answerAt  time.Time
	undecided bool // nobody else had written down an end when it settled
}

// workAll lets every sender do all it can at this moment.
func (w *world) workAll() {
	busy := true
	for round := 0; busy && len(w.faults) == 0; round++ {
		if busy = false; round > 200 {
			w.violate(goesOn, "the senders turn in circles")
		}
		for _, j := range slices.Clone(w.jobs) {
			was := j.phase
			if w.work(j); j.phase != was {
				busy = true
			}
		}
	}
}

// deliver hands a command to a sender, perhaps beside another.
func (w *world) deliver() {
	var open []*order
	for _, o := range w.orders {
		if !o.acked && (!w.p.now.Before(o.wakeAt) || w.rng.IntN(8) == 0) {
			open = append(open, o)
		}
	}
	if len(open) > 0 {
		w.begin(open[w.rng.IntN(len(open))])
	}
}

func (w *world) begin(o *order) {
	at := 0
	for _, j := range w.jobs {
		if j.o == o {
			at++
		}
	}
	if at < 2 {
		again := o.handed
		if !o.wakeAt.IsZero() { // by its timer
			again = o.again
		}
		w.begun++
		w.jobs = append(w.jobs, &job{n: w.begun, o: o, again: again, begun: w.p.now, s: w.senders[w.rng.IntN(len(w.senders))]})
		o.handed = true
	}
}

func (w *world) error(ms int) time.Duration {
	return time.Duration(w.rng.IntN(2*ms)-ms) * time.Millisecond
}

func (w *world) now(j *job) Now {
	return Now{Local: w.p.now.Add(j.s.local), Platform: w.p.now.Add(j.s.plat)}
}

// abandon notes what a job leaves behind that nobody will ever hear of.
func (j *job) abandon() {
	if j.phase == posting || j.phase == awaiting || j.phase == settling || j.phase == recording {
		j.o.doubtful = true
	}
}

// work lets a sender do its next thing, or die.
func (w *world) work(j *job) {
	if w.p.now.Before(j.notBefore) {
		return
	}
	if w.maybe(diesDeciding+point(j.phase), w.rates.crash/2) {
		w.note("%s: its sender dies", j.o.ID)
		j.abandon()
		w.end(j)
		return
	}
	switch j.phase {
	case deciding:
		w.decide(j)
	case storing:
		w.reserve(j)
	case posting:
		if w.p.now.Sub(j.decided) > w.s.rules.Fence && !w.s.fenceless {
			w.hits[fenced] = true
			j.o.doubtful = true // another sender cannot know that nothing was posted
			j.phase = deciding
			return
		}
		w.post(j)
	case awaiting:
		if !w.p.now.Before(j.answerAt) {
			j.phase = settling
		}
	case settling:
		w.settle(j)
	case recording:
		w.record(j)
	case parking:
		w.park(j)
	case telling:
		w.publish(j.result)
		if w.maybe(repeatLost, w.rates.lost) {
			return // it cannot know, and publishes again
		}
		j.o.acked = !w.maybe(ackLost, w.rates.lost) || j.o.acked
		w.end(j)
		w.wakeNext()
	}
}

func (w *world) decide(j *job) {
	j.loaded, j.decided, j.seen = w.revision, w.p.now, w.load()
	c, now := j.o.Command, w.now(j)
	j.again = j.again || w.p.now.Sub(j.begun) > 10*time.Second // another may have it by now
	c.Again, c.By = j.again, strconv.Itoa(j.n)
	if j.next, j.action = w.s.decide(j.seen, c, now); j.action.Kind == Ask {
		for _, n := range w.p.stream {
			if n.failed == "" {
				j.seen, _, _ = w.heard(j.seen, n)
			}
		}
		now.Fresh = true
		j.next, j.action = w.s.decide(j.seen, c, now)
	}
	if _, known := j.seen.find(j.o.MsgID()); !known && j.seen.begin(c).Doubt { // lost at about the time when it came: nobody can know
		j.o.doubtful = true
	}
	a := j.action
	if a.Outcome.State == Unknown && len(j.o.pending) > 0 {
		j.o.doubtful = true // somebody is slow, or dead
	}
	j.result = Result{Outcome: a.Outcome, Corrections: a.Corrections}
	switch a.Kind {
	case Post, Finish:
		j.phase = storing
	case Again:
		j.phase = telling
	case Wait:
		w.must(goesOn, false, a.Until.After(w.p.now.Add(j.s.local)), "%s waits for the past", j.o.ID)
		j.notBefore = a.Until.Add(-j.s.local)
		if long := j.notBefore.Sub(w.p.now) > 5*time.Second; a.Held || a.Behind || long && w.rng.IntN(2) == 0 {
			j.phase = parking
			j.notBefore = time.Time{}
		}
	}
}

// swap is the compare-and-set as a sender sees it: where the answer is lost it looks for what it wrote.
func (w *world) swap(j *job) bool {
	ok, known := w.store(j.next, j.loaded)
	switch {
	case known:
		return ok
	case w.s.hopeful:
		return true
	case w.rng.IntN(2) == 0: // it does not look, or cannot
		j.o.doubtful = j.o.doubtful || ok
		return false
	}
	return !w.absent && bytes.Equal(w.encode(w.stored), w.encode(j.next))
}

func (w *world) reserve(j *job) {
	post := j.action.Kind == Post
	before := w.revision
	ok := w.swap(j)
	if post && w.revision != before {
		w.checkReserved(j, j.seen)
		w.reserved(j)
		j.again = true
	}
	switch {
	case !ok:
		j.phase = deciding
	case post:
		j.phase = posting
	default:
		w.checkRefusal(j, j.seen)
		j.phase = telling
	}
}

// reserved is called when a POST has been stored.
func (w *world) reserved(j *job) {
	for k := range j.o.pending {
		if k < j.action.Attempt {
			j.o.doubtful = true
		}
	}
	j.o.pending[j.action.Attempt] = true
	j.o.reservedAt = w.p.now
}

func (w *world) settle(j *job) {
	j.loaded, j.seen = w.revision, w.load()
	rec, _ := j.seen.find(j.o.MsgID())
	j.undecided = !rec.State.Final()
	j.next, j.result = w.s.settle(j.seen, j.o.Command, j.action.Attempt, j.answer, w.now(j))
	w.checkSettled(j, rec)
	switch {
	case j.result.Changed:
		j.phase = recording
	case j.result.Kind == Finished:
		j.phase = telling
	default:
		j.phase, j.notBefore = deciding, w.p.now.Add(j.result.After)
	}
}

func (w *world) record(j *job) {
	ok := w.swap(j)
	if !ok {
		j.phase = settling
		return
	}
	if j.answer.Kind != AnswerAmbiguous {
		delete(j.o.pending, j.action.Attempt)
	}
	dup := j.answer.Kind == AnswerRefused && j.answer.Code == w.p.dupCode && w.p.dupCode != codeParam // which has that one meaning
	if (dup || j.answer.Kind == AnswerAccepted) && j.undecided && (j.o.Verb == Send || j.o.Verb == Reply) {
		if j.o.Parts < 2 {
			j.o.proved = true
		}
		j.o.proofs = max(j.o.proofs, j.action.Part)
	}
	if j.result.Kind == Finished {
		j.phase = telling
		return
	}
	j.phase, j.notBefore = deciding, w.p.now.Add(j.result.After)
}

// park puts the command aside; a timer brings it back, or something wakes it.
func (w *world) park(j *job) {
	next, changed := w.load().Park(j.o.Command, j.action.Held, w.now(j))
	j.loaded, j.next = w.revision, next
	before, ok := w.revision, true
	if changed {
		ok = w.swap(j)
	}
	if w.revision != before && !slices.Contains(w.aside, j.o) {
		w.aside = append(w.aside, j.o)
		j.o.held = j.action.Held
		w.note("%s: put aside", j.o.ID)
	}
	if !ok {
		j.phase = deciding
		return
	}
	j.o.again = j.o.again || j.again
	j.o.wakeAt = w.p.now.Add(5 * time.Minute)
	if at := j.action.Until; !j.action.Held && !j.action.Behind {
		j.o.wakeAt = at.Add(-j.s.local)
	}
	if at := j.o.ExpiresAt.Add(-j.s.local); at.Before(j.o.wakeAt) {
		j.o.wakeAt = at
	}
	w.end(j)
}

func (w *world) end(j *job) {
	w.jobs = slices.DeleteFunc(w.jobs, func(other *job) bool { return other == j })
}

// post sends the request, with luck or without.
func (w *world) post(j *job) {
	o, p := j.o, w.p
	w.checkPost(j)
	o.posts++
	j.phase = awaiting
	msgid := j.action.MsgID
	o.left[msgid] = p.now
	call := map[Verb]func() int{
		Send:     func() int { return p.send(msgid) },
		Reply:    func() int { return p.reply(msgid, o.ID, o.Deadline) },
		Recall:   func() int { return p.recall(msgid) },
		Transfer: func() int { return p.transfer(o.State) },
	}[o.Verb]
	soon := time.Duration(20+w.rng.IntN(400)) * time.Millisecond
	if w.maybe(answerSlow, w.rates.slow) {
		soon = time.Duration(w.rng.IntN(9000)) * time.Millisecond
	}
	timeout := func() {
		j.answer, j.answerAt, o.doubtful = Answer{Part: j.action.Part}, p.now.Add(10*time.Second), true
	}
	arrive := func(after time.Duration, answered bool) {
		w.arrivals = append(w.arrivals, arrival{p.now.Add(after), call, func(code int) {
			w.note("%s: attempt %d arrives: %d", o.ID, j.action.Attempt, code)
			if answered {
				j.answer, j.answerAt = AnswerOf(code), p.now
				j.answer.Part = j.action.Part
			}
		}})
	}
	switch {
	case w.maybe(answerBusy, w.rates.busy):
		j.answer = []Answer{AnswerOf(-1), AnswerOf(45009), AnswerOf(42001), {Kind: AnswerNotSent}}[w.rng.IntN(4)]
		j.answer.Part = j.action.Part
		j.answerAt = p.now.Add(soon)
	case w.maybe(postLost, w.rates.lost/2):
		timeout()
	case w.maybe(answerLost, w.rates.lost):
		timeout()
		arrive(soon, false)
	case w.maybe(effectLate, w.rates.late):
		timeout()
		arrive(time.Duration(w.rng.IntN(45000))*time.Millisecond, false)
		if w.rng.IntN(3) == 0 { // and the customer writes, before or after
			wrote := func() int { p.customerWrites(); return 0 }
			w.arrivals = append(w.arrivals, arrival{p.now.Add(time.Duration(w.rng.IntN(45000)) * time.Millisecond), wrote, func(int) { w.note("customer writes") }})
		}
	default:
		j.answerAt = p.now.Add(time.Hour)
		arrive(soon, true)
	}
}

func (w *world) publish(res Result) {
	put := func(list *[]Outcome, o Outcome) {
		if !slices.Contains(*list, o) {
			*list = append(*list, o)
			w.outcomes = append(w.outcomes, told{o, w.p.now})
			w.note("%s: OUTCOME %s %s %d (corrects %q)", o.ID, o.State, o.Reason, o.Errcode, o.Corrects)
		}
	}
	for _, o := range append([]Outcome{res.Outcome}, res.Corrections...) {
		if o.State == "" {
			continue
		}
		i := slices.IndexFunc(w.orders, func(other *order) bool { return other.Team == o.Team && other.ID == o.ID })
		if i < 0 {
			w.violate(goesOn, "an outcome for nobody: %+v", o)
			continue
		}
		to := w.orders[i]
		to.told++
		if o.Corrects != "" {
			put(&to.fixes, o)
			continue
		}
		put(&to.terminal, o)
		if o.Verb == Recall && o.Reason == ReasonBeforeSend {
			for _, other := range w.orders {
				other.taken = other.taken || other.Team == o.Team && other.ID == to.Target
			}
		}
	}
}
