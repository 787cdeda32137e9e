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
	{"stores without comparing", "P8 P9 P11 P12 P14", func(s *subject) { s.blind = true }},
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
	{"takes no answer for not sent", "P12", func(s *subject) { answering(s, AnswerAmbiguous, Answer{Kind: AnswerNotSent}) }},
	{"takes a refusal in doubt at its word", "P12", func(s *subject) {
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
	{"takes over without doubt", "P12", func(s *subject) {
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
	{"lets an old message move the window", "P9 P10 P14 P22", func(s *subject) {
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
		r := rules
		r.Margin = -2 * time.Second
		s.decide, s.settle = r.Decide, r.Settle
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

const patience = 2000 // worlds for each mutant; most die within ten

// TestTheOracleBites runs each mutant until a promise breaks; a mutant that lives means that the worlds are too kind.
func TestTheOracleBites(t *testing.T) {
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			s := ours(rules)
			m.change(&s)
			for seed := range uint64(patience) {
				w := run(seed, s)
				if len(w.faults) == 0 {
					continue
				}
				broken, _, _ := strings.Cut(w.faults[0], " ")
				if !slices.Contains(strings.Fields(m.breaks), broken) {
					t.Errorf("seed %d: got %q, want one of %s\n%s", seed, w.faults[0], m.breaks, w.dump())
				}
				t.Logf("seed %d: %s", seed, w.faults[0])
				return
			}
			t.Errorf("survives %d worlds", patience)
		})
	}
}
