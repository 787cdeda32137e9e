package window

import "time"

// checkPost looks at a POST as it leaves.
func (w *world) checkPost(j *job) {
	o, p := j.o, w.p
	w.note("%s: POST attempt %d", o.ID, j.action.Attempt)
	if !w.p.now.Add(j.local).Before(o.ExpiresAt) {
		w.violate("P10 %s posted after its expiry", o.ID)
	}
	if o.Verb == Send && !p.wroteAt.IsZero() && !p.now.Before(p.wroteAt.Add(48*time.Hour)) {
		w.violate("P10 %s posted after the window", o.ID)
	}
	if o.taken {
		w.violate("P10 %s posted after its recall was answered", o.ID)
	}
	if o.Verb == Reply && p.now.After(o.Deadline) {
		w.violate("P16 %s posted after its deadline", o.ID)
	}
	want := map[Verb]string{Send: o.MsgID(), Reply: o.MsgID(), Recall: MsgID("", o.Team, o.Target)}[o.Verb]
	if j.action.MsgID != want {
		w.violate("P17 %s posted with msgid %s", o.ID, j.action.MsgID)
	}
	for _, target := range w.orders {
		if o.Verb == Recall && target.MsgID() == want && target.posts > 0 && p.now.Sub(target.reservedAt) > lateEffect+RecallWithin+recallMargin+3*time.Second {
			w.violate("G6 %s recalled %v after the last attempt", o.ID, p.now.Sub(target.reservedAt))
		}
	}
}

// check holds the world against the promises, after every step.
func (w *world) check() {
	if len(w.faults) > 0 {
		return
	}
	p := w.p
	if p.refused > 0 && !p.foreign {
		w.violate("P9 a sixth message was posted")
	}
	if used := w.load().Used(); used < p.count && !p.foreign {
		w.violate("P14 %d places taken, and the platform counts %d", used, p.count)
	}
	copies := map[string]int{}
	for _, m := range p.sent {
		if m.copies != 1 {
			w.violate("P8 %d copies", m.copies)
		}
	}
	for _, o := range w.orders {
		if p.sent[o.MsgID()] != nil {
			copies[o.ID] = p.sent[o.MsgID()].copies
		}
		w.checkOutcomes(o, copies[o.ID])
	}
	if len(copies) != len(p.sent) {
		w.violate("P8 %d commands, %d messages accepted", len(copies), len(p.sent))
	}
}

func (w *world) checkOutcomes(o *order, accepted int) {
	if len(o.terminal) > 1 || len(o.fixes) > 1 {
		w.violate("P11 %s: %+v, corrected by %+v", o.ID, o.terminal, o.fixes)
	}
	for _, fix := range o.fixes {
		legal := fix.Corrects == Accepted && fix.State == Failed || fix.Corrects == Unknown && fix.State != Unknown
		if !legal || len(o.terminal) > 0 && o.terminal[0].State != fix.Corrects {
			w.violate("P11 %s: %+v corrected by %+v", o.ID, o.terminal, fix)
		}
		if fix.State == Accepted && o.Verb != Transfer && accepted != 1 {
			w.violate("P12 %s: corrected to accepted, with %d copies", o.ID, accepted)
		}
	}
	for _, out := range o.terminal {
		switch {
		case out.State == Unknown:
			target := w.p.sent[MsgID("", o.Team, o.Target)]
			probing := o.Verb == Recall && out.Reason == ReasonNotFound && target == nil
			if !o.doubtful && !probing {
				w.violate("P13 %s: unknown %s, and no attempt was in doubt", o.ID, out.Reason)
			}
		case o.Verb == Transfer:
		case o.Verb == Recall:
			m := w.p.sent[MsgID("", o.Team, o.Target)]
			if out.State == Recalled && m != nil && !m.takenBack {
				w.violate("P15 %s: recalled, and the message stands", o.ID)
			}
		case out.State == Accepted && accepted != 1, out.State != Accepted && accepted != 0:
			w.violate("P12 %s: %s %s, with %d copies", o.ID, out.State, out.Reason, accepted)
		}
	}
}
