package window

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// edit is l with a change to the record of key, if there is one.
func edit(l Ledger, key string, change func(*Record)) Ledger {
	if rec, ok := l.find(key); ok {
		change(&rec)
		l = l.with(rec)
	}
	return l
}

func editAll(l Ledger, change func(*Record)) Ledger {
	l.Records = slices.Clone(l.Records)
	for i := range l.Records {
		change(&l.Records[i])
	}
	return l
}

func forget(l Ledger, key string) Ledger {
	l.Records = slices.DeleteFunc(slices.Clone(l.Records), func(rec Record) bool { return rec.Key == key })
	return l
}

// mutants are senders with one mistake each, of the kind one makes, and the promises that it breaks.
var mutants = []struct {
	name   string
	breaks string // promises, any of which may be the first to show
	change func(*subject)
}{
	{"stores without comparing", "P8 P9 P11 P12 P14 GEN 4.18", func(s *subject) { s.blind = true }},
	{"allows six", "P9", func(s *subject) {
		decide := s.decide
		s.decide = func(l Ledger, c Command, now Now) (Ledger, Action) {
			if l.Used() != Quota {
				return decide(l, c, now)
			}
			i := slices.IndexFunc(l.Records, func(rec Record) bool { return rec.Counts })
			next, a := decide(edit(l, l.Records[i].Key, func(rec *Record) { rec.Counts = false }), c, now)
			return edit(next, l.Records[i].Key, func(rec *Record) { rec.Counts = rec.State.Open() || rec.State == Accepted }), a
		}
	}},
	{"counts only what is settled", "P9 P14", func(s *subject) {
		decide := s.decide
		s.decide = func(l Ledger, c Command, now Now) (Ledger, Action) {
			return decide(editAll(l, func(rec *Record) { rec.Counts = rec.Counts && rec.State.Final() }), c, now)
		}
	}},
	{"gives the place back when no answer comes", "P9 P14", func(s *subject) {
		settle := s.settle
		s.settle = func(l Ledger, c Command, attempt int, a Answer, now Now) (Ledger, Result) {
			l, res := settle(l, c, attempt, a, now)
			if a.Kind == AnswerAmbiguous {
				l = edit(l, c.MsgID(), func(rec *Record) { rec.Counts = false })
			}
			return l, res
		}
	}},
	{"takes no answer for a refusal", "P12", func(s *subject) { answering(s, AnswerAmbiguous, AnswerOf(40096)) }},
	{"takes no answer for not sent", "P12 P14", func(s *subject) { answering(s, AnswerAmbiguous, Answer{Kind: AnswerNotSent}) }},
	{"takes a refusal in doubt at its word", "P12 P14", func(s *subject) {
		settle := s.settle
		s.settle = func(l Ledger, c Command, attempt int, a Answer, now Now) (Ledger, Result) {
			return settle(edit(l, c.MsgID(), func(rec *Record) { rec.Doubt = false }), c, attempt, a, now)
		}
	}},
	{"doubts everything", "P13", func(s *subject) {
		settle := s.settle
		s.settle = func(l Ledger, c Command, attempt int, a Answer, now Now) (Ledger, Result) {
			if c.Verb == Transfer { // of a transfer the refusal itself is doubted
				return settle(l, c, attempt, a, now)
			}
			return settle(edit(l, c.MsgID(), func(rec *Record) { rec.Doubt = true }), c, attempt, a, now)
		}
	}},
	{"takes over without doubt", "P12 P14", func(s *subject) {
		decide := s.decide
		s.decide = func(l Ledger, c Command, now Now) (Ledger, Action) {
			next, a := decide(l, c, now)
			if rec, ok := l.find(c.MsgID()); ok && a.Kind == Post {
				next = edit(next, c.MsgID(), func(r *Record) { r.Doubt = rec.Doubt })
			}
			return next, a
		}
	}},
	{"clears all places when the customer writes", "P9 P14", func(s *subject) {
		s.wrote = wroteAnd(func(rec *Record) { rec.Counts = false })
	}},
	{"clears what is settled when the customer writes", "P9 P14", func(s *subject) {
		s.wrote = wroteAnd(func(rec *Record) { rec.Counts = rec.Counts && rec.State.Open() })
	}},
	{"clears what is in doubt when the customer writes", "P9 P14", func(s *subject) {
		s.wrote = wroteAnd(func(rec *Record) { rec.Counts = rec.Counts && rec.State != Unknown })
	}},
	{"lets an old message move the window", "4.18", func(s *subject) {
		s.wrote = func(l Ledger, at time.Time, msgid string, seq uint64) (Ledger, bool) {
			l.CustomerAt = 0
			return l.CustomerWrote(at, msgid, seq)
		}
	}},
	{"takes a new msgid for each attempt", "P8 P17", func(s *subject) {
		decide := s.decide
		s.decide = func(l Ledger, c Command, now Now) (Ledger, Action) {
			l, a := decide(l, c, now)
			if a.Attempt > 1 && c.Verb == Send {
				a.MsgID = MsgID("", c.Team, fmt.Sprint(c.ID, a.Attempt))
			}
			return l, a
		}
	}},
	{"leaves no tombstone", "P10 P12 P15", func(s *subject) {
		decide := s.decide
		s.decide = func(l Ledger, c Command, now Now) (Ledger, Action) {
			l, a := decide(l, c, now)
			if a.Kind == Finish && a.Outcome.Reason == ReasonBeforeSend {
				l = forget(l, MsgID("", c.Team, c.Target))
			}
			return l, a
		}
	}},
	{"cancels what is in flight", "P11 P12 P14 P15", func(s *subject) {
		decide := s.decide
		s.decide = func(l Ledger, c Command, now Now) (Ledger, Action) {
			if c.Verb == Recall {
				l = edit(l, MsgID("", c.Team, c.Target), func(rec *Record) {
					if rec.State == Sending {
						rec.State, rec.Doubt = Retry, false
					}
				})
			}
			return decide(l, c, now)
		}
	}},
	{"takes not found for recalled", "P12 P15", func(s *subject) {
		settle := s.settle
		s.settle = func(l Ledger, c Command, attempt int, a Answer, now Now) (Ledger, Result) {
			if c.Verb == Recall && a.Code == codeNoMessage {
				a = AnswerOf(0)
			}
			return settle(l, c, attempt, a, now)
		}
	}},
	{"recalls at any time", "G6", func(s *subject) {
		decide := s.decide
		s.decide = func(l Ledger, c Command, now Now) (Ledger, Action) {
			if c.Verb == Recall {
				l = edit(l, MsgID("", c.Team, c.Target), func(rec *Record) { rec.ReservedAt, rec.SentAt = At(now.Platform), 0 })
			}
			return decide(l, c, now)
		}
	}},
	{"forgets what is finished", "P11 P12 P14", func(s *subject) {
		settle := s.settle
		s.settle = func(l Ledger, c Command, attempt int, a Answer, now Now) (Ledger, Result) {
			l, res := settle(l, c, attempt, a, now)
			if res.Kind == Finished {
				l = forget(l, c.MsgID())
			}
			return l, res
		}
	}},
	{"posts until the last moment of the window, and beyond", "P10", func(s *subject) {
		s.rules.Margin = -2 * time.Second
		s.decide, s.settle = s.rules.Decide, s.rules.Settle
	}},
	{"ignores the expiry", "P10", func(s *subject) {
		decide := s.decide
		s.decide = func(l Ledger, c Command, now Now) (Ledger, Action) {
			c.ExpiresAt = c.ExpiresAt.Add(time.Minute)
			return decide(l, c, now)
		}
	}},
	{"ignores the life of a code", "P16", func(s *subject) {
		decide := s.decide
		s.decide = func(l Ledger, c Command, now Now) (Ledger, Action) {
			c.Deadline = c.Deadline.Add(time.Minute)
			return decide(l, c, now)
		}
	}},
	{"takes a dead code for a used one", "P12 P15", func(s *subject) {
		settle := s.settle
		s.settle = func(l Ledger, c Command, attempt int, a Answer, now Now) (Ledger, Result) {
			c.Deadline = c.Deadline.Add(time.Hour)
			return settle(l, c, attempt, a, now)
		}
	}},
	{"corrects twice", "P11", func(s *subject) {
		failed := s.failed
		s.failed = func(l Ledger, msgid string, kind int, at time.Time, now Now) (Ledger, Result) {
			return failed(edit(l, msgid, func(rec *Record) { rec.Fix = "" }), msgid, kind, at, now)
		}
	}},
	{"joins no msg_send_fail", "FIX", func(s *subject) {
		s.failed = func(l Ledger, _ string, _ int, _ time.Time, _ Now) (Ledger, Result) { return l, Result{} }
	}},
	{"takes a command over at once", "A5", func(s *subject) { ruling(s, func(r *Rules) { r.Grace = 0 }) }},
	{"posts however old the decision is", "P10 A5 P16", func(s *subject) { s.fenceless = true }},
	{"takes a lost answer of the ledger for a yes", "P9 P11 P12 P14 A5 P22 LIVE FIX P13b", func(s *subject) { s.hopeful = true }},
	{"lets an old attempt's answer settle a new one", "FENCE", func(s *subject) {
		settle := s.settle
		s.settle = func(l Ledger, c Command, attempt int, a Answer, now Now) (Ledger, Result) {
			if rec, ok := l.find(c.MsgID()); ok {
				attempt = rec.Attempt
			}
			return settle(l, c, attempt, a, now)
		}
	}},
	{"does not take the refusal of a used msgid for proof", "P13b", func(s *subject) { ruling(s, func(r *Rules) { r.DupCodes = nil }) }},
	{"posts again where a used msgid is delivered again", "P8", func(s *subject) { ruling(s, func(r *Rules) { r.NeverRepost = false }) }},
	{"gives the place back when a message is recalled", "P14", func(s *subject) {
		settle := s.settle
		s.settle = func(l Ledger, c Command, attempt int, a Answer, now Now) (Ledger, Result) {
			l, res := settle(l, c, attempt, a, now)
			if c.Verb == Recall && res.Outcome.State == Recalled {
				l = edit(l, c.TargetMsgID(), func(rec *Record) { rec.Counts = false })
			}
			return l, res
		}
	}},
	{"takes busy for accepted", "P12 P15", func(s *subject) { answering(s, AnswerBusy, AnswerOf(0)) }},
	{"ignores the generation", "GEN", func(s *subject) { asking(s, func(c *Command, _ *Ledger, _ *Now) { c.Generation = nil }) }},
	{"does not hold", "HOLD", func(s *subject) { asking(s, func(c *Command, _ *Ledger, _ *Now) { c.Hold = false }) }},
	{"posts into a human session", "HUMAN", func(s *subject) { asking(s, func(_ *Command, l *Ledger, _ *Now) { l.Session = sessionNew }) }},
	{"does not ask the stream before it refuses", "P25", func(s *subject) { asking(s, func(_ *Command, _ *Ledger, now *Now) { now.Fresh = true }) }},
	{"overtakes those who were put aside", "ORDER", func(s *subject) { asking(s, func(_ *Command, l *Ledger, _ *Now) { l.Parked = nil }) }},
	{"has no doubt after the ledger was lost", "P8 P11 P12 P13b", func(s *subject) { asking(s, func(c *Command, _ *Ledger, _ *Now) { c.Again = false }) }},
	{"reserves like another", "P8 A5", func(s *subject) { asking(s, func(c *Command, _ *Ledger, _ *Now) { c.By = "" }) }},
	{"takes the first of several messages for all", "P12", func(s *subject) {
		settle := s.settle
		s.settle = func(l Ledger, c Command, attempt int, a Answer, now Now) (Ledger, Result) {
			return settle(edit(l, c.MsgID(), func(rec *Record) {
				if a.Kind == AnswerAccepted && rec.Parts > 0 && !rec.State.Final() {
					rec.Done = rec.Parts - 1
					a.Part = rec.Parts
				}
			}), c, attempt, a, now)
		}
	}},
	{"takes the answer to an earlier message for one to the message in hand", "P12 PARTS", func(s *subject) {
		settle := s.settle
		s.settle = func(l Ledger, c Command, attempt int, a Answer, now Now) (Ledger, Result) {
			if rec, ok := l.find(c.MsgID()); ok && a.Part > 0 {
				a.Part = rec.Done + 1
			}
			return settle(l, c, attempt, a, now)
		}
	}},
	{"counts several messages as one", "P9 P14 P12 PARTS", func(s *subject) { asking(s, func(c *Command, _ *Ledger, _ *Now) { c.Parts = 0 }) }},
	{"ignores the minimum gap", "GAP", func(s *subject) {
		hasty := s.rules
		hasty.Gap = 0
		s.decide = hasty.Decide
	}},
	{"ignores the share", "SHARE", func(s *subject) { asking(s, func(c *Command, _ *Ledger, _ *Now) { c.Share = 0 }) }},
	{"waits for the past", "LIVE", func(s *subject) {
		decide := s.decide
		s.decide = func(l Ledger, c Command, now Now) (Ledger, Action) {
			l, a := decide(l, c, now)
			a.Until = now.Local
			return l, a
		}
	}},
}

// ruling changes the rules.
func ruling(s *subject, change func(*Rules)) {
	change(&s.rules)
	s.decide, s.settle = s.rules.Decide, s.rules.Settle
}

// asking changes what is decided on, and not what is stored.
func asking(s *subject, change func(*Command, *Ledger, *Now)) {
	decide := s.decide
	s.decide = func(l Ledger, c Command, now Now) (Ledger, Action) {
		session, parked := l.Session, l.Parked
		change(&c, &l, &now)
		next, a := decide(l, c, now)
		if session != l.Session {
			next.Session = session
		}
		if l.Parked == nil {
			next.Parked = parked
		}
		return next, a
	}
}

func answering(s *subject, kind AnswerKind, instead Answer) {
	settle := s.settle
	s.settle = func(l Ledger, c Command, attempt int, a Answer, now Now) (Ledger, Result) {
		if a.Kind == kind {
			a = instead
		}
		return settle(l, c, attempt, a, now)
	}
}

func wroteAnd(change func(*Record)) func(Ledger, time.Time, string, uint64) (Ledger, bool) {
	return func(l Ledger, at time.Time, msgid string, seq uint64) (Ledger, bool) {
		was := l.CustomerAt
		l, changed := l.CustomerWrote(at, msgid, seq)
		if l.CustomerAt != was {
			l = editAll(l, change)
		}
		return l, changed
	}
}

// rare are worlds that catch a mutant which most do not, to begin with.
var rare = map[string]uint64{
	"clears what is settled when the customer writes": 190, "clears what is in doubt when the customer writes": 1340,
	"takes a dead code for a used one": 8470, "reserves like another": 7280, "has no doubt after the ledger was lost": 1390,
}

// patience is how many worlds a mutant may survive; most die within a hundred.
const patience = 20_000

// TestMutants runs each mutant until a promise breaks, and prints by which seed it was caught: make mutants. One that lives
// means that the worlds are too kind, or that the mistake is none.
func TestMutants(t *testing.T) {
	var b strings.Builder
	caught := 0
	for _, m := range mutants {
		mutate := func(r Rules) subject {
			s := ours(r)
			m.change(&s)
			return s
		}
		seed, fault := firstFault(mutate, rare[m.name])
		if fault == "" {
			fmt.Fprintf(&b, "%-62s SURVIVES %d worlds\n", m.name, patience)
			t.Errorf("%s: survives %d worlds", m.name, patience)
			continue
		}
		caught++
		fmt.Fprintf(&b, "%-62s seed %5d  %.60s\n", m.name, seed, fault)
		if broken, _, _ := strings.Cut(fault, " "); !slices.Contains(strings.Fields(m.breaks), broken) {
			t.Errorf("%s: seed %d: got %q, want one of %s\n%s", m.name, seed, fault, m.breaks, run(seed, mutate, true).dump())
		}
	}
	t.Logf("%d of %d planted mistakes are caught\n%s", caught, len(mutants), b.String())
}

// firstFault is the first of the worlds in which a promise breaks, and which.
func firstFault(mutate func(Rules) subject, from uint64) (seed uint64, fault string) {
	for seed = from; seed < from+patience; seed++ {
		if w := run(seed, mutate, false); len(w.faults) > 0 {
			return seed, w.faults[0]
		}
	}
	return 0, ""
}
