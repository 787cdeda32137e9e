package window

import (
	"slices"
	"time"
)

// phase is where a job stands. Between two phases anything may happen.
type phase int

const (
	deciding  phase = iota // to load and decide
	storing                // to compare-and-set the decision
	posting                // to post
	awaiting               // until its answer is due
	settling               // to load and settle
	recording              // to compare-and-set what was settled
	telling                // to publish and acknowledge
)

// job is a sender at work on one command. Two may work on the same: the broker delivers again.
type job struct {
	o           *order
	phase       phase
	local, plat time.Duration // errors of its clocks
	fresh       bool
	notBefore   time.Time
	loaded      int // revision
	next        Ledger
	action      Action
	result      Result
	decided     time.Time
	answer      Answer
	answerAt    time.Time
}

// workAll lets every sender do all it can at this moment.
func (w *world) workAll() {
	busy := true
	for round := 0; busy && len(w.faults) == 0; round++ {
		if busy = false; round > 200 {
			w.violate("P22 the senders turn in circles")
		}
		for _, j := range slices.Clone(w.jobs) {
			was := j.phase
			if w.work(j); j.phase != was || j.fresh {
				busy = true
			}
		}
	}
}

// deliver hands a command to a sender, perhaps beside another.
func (w *world) deliver() {
	var open []*order
	for _, o := range w.orders {
		if !o.acked {
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
		w.jobs = append(w.jobs, &job{o: o, local: w.error(1500), plat: w.error(900)})
	}
}

func (w *world) error(ms int) time.Duration {
	return time.Duration(w.rng.IntN(2*ms)-ms) * time.Millisecond
}

func (w *world) now(j *job) Now {
	return Now{Local: w.p.now.Add(j.local), Platform: w.p.now.Add(j.plat), Fresh: j.fresh}
}

// work lets a sender do its next thing, or die.
func (w *world) work(j *job) {
	if w.p.now.Before(j.notBefore) {
		return
	}
	if w.maybe(w.rates.crash / 2) {
		w.note("%s: its sender dies", j.o.ID)
		if j.phase == posting || j.phase == awaiting {
			j.o.doubtful = true
		}
		w.end(j)
		return
	}
	switch j.phase {
	case deciding:
		j.loaded, j.decided = w.revision, w.p.now
		j.next, j.action = w.s.decide(w.load(), j.o.Command, w.now(j))
		w.decided(j)
	case storing:
		ok := w.store(j.next, j.loaded)
		if ok && j.action.Kind == Post {
			w.reserved(j)
		}
		if !ok || w.maybe(w.rates.lost) { // lost: stored, but nobody knows
			j.o.doubtful = j.o.doubtful || ok
			j.phase = deciding
			return
		}
		if j.phase = telling; j.action.Kind == Post {
			j.phase = posting
		}
	case posting:
		if w.p.now.Sub(j.decided) > rules.Fence {
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
		j.loaded = w.revision
		j.next, j.result = w.s.settle(w.load(), j.o.Command, j.action.Attempt, j.answer, w.now(j))
		switch {
		case j.result.Changed:
			j.phase = recording
		case j.result.Kind == Finished:
			j.phase = telling
		default:
			j.phase, j.notBefore = deciding, w.p.now.Add(j.result.After)
		}
	case recording:
		ok := w.store(j.next, j.loaded)
		if j.answer.Kind != AnswerAmbiguous && ok {
			delete(j.o.pending, j.action.Attempt)
		}
		switch {
		case !ok || w.maybe(w.rates.lost):
			j.phase = settling
		case j.result.Kind == Finished:
			j.phase = telling
		default:
			j.phase, j.notBefore = deciding, w.p.now.Add(j.result.After)
		}
	case telling:
		w.publish(j.result)
		if w.maybe(w.rates.lost) {
			w.end(j) // published, not acknowledged
			return
		}
		j.o.acked = true
		w.end(j)
	}
}

func (w *world) decided(j *job) {
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
	case Ask:
		for _, n := range w.p.stream {
			if n.failed == "" {
				w.apply(n)
			}
		}
		j.fresh = true
		return
	case Wait:
		if !a.Until.After(w.p.now.Add(j.local)) {
			w.violate("%s waits for the past", j.o.ID)
		}
		j.notBefore = a.Until.Add(-j.local)
	}
	j.fresh = false
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
	call := map[Verb]func() int{
		Send:     func() int { return p.send(msgid) },
		Reply:    func() int { return p.reply(msgid, o.ID, o.Deadline) },
		Recall:   func() int { return p.recall(msgid) },
		Transfer: func() int { return p.transfer(o.State) },
	}[o.Verb]
	soon := time.Duration(20+w.rng.IntN(400)) * time.Millisecond
	if w.maybe(w.rates.slow) {
		soon = time.Duration(w.rng.IntN(9000)) * time.Millisecond
	}
	timeout := func() { j.answer, j.answerAt, o.doubtful = Answer{}, p.now.Add(10*time.Second), true }
	arrive := func(after time.Duration, answered bool) {
		w.arrivals = append(w.arrivals, arrival{p.now.Add(after), call, func(code int) {
			w.note("%s: attempt %d arrives: %d", o.ID, j.action.Attempt, code)
			if answered {
				j.answer, j.answerAt = AnswerOf(code), p.now
			}
		}})
	}
	switch {
	case w.maybe(w.rates.busy):
		j.answer = []Answer{AnswerOf(-1), AnswerOf(45009), AnswerOf(42001), {Kind: AnswerNotSent}}[w.rng.IntN(4)]
		j.answerAt = p.now.Add(soon)
	case w.maybe(w.rates.lost / 2): // never arrives
		timeout()
	case w.maybe(w.rates.lost): // arrives, and the answer does not
		timeout()
		arrive(soon, false)
	case w.maybe(w.rates.late):
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
			w.note("%s: OUTCOME %s %s %d (corrects %q)", o.ID, o.State, o.Reason, o.Errcode, o.Corrects)
		}
	}
	for _, o := range append([]Outcome{res.Outcome}, res.Corrections...) {
		i := slices.IndexFunc(w.orders, func(other *order) bool { return other.Team == o.Team && other.ID == o.ID })
		switch {
		case o.State == "":
		case i < 0:
			w.violate("an outcome for nobody: %+v", o)
		case o.Corrects != "":
			put(&w.orders[i].fixes, o)
		default:
			put(&w.orders[i].terminal, o)
			if o.Verb == Recall && o.Reason == ReasonBeforeSend {
				for _, other := range w.orders {
					other.taken = other.taken || other.Team == o.Team && other.ID == w.orders[i].Target
				}
			}
		}
	}
}
