package window

import (
	"slices"
	"time"
)

// Parked is a command that waits outside its lane: for the end of a human session, for the end of a pause, or for those
// that came before it. The caller keeps the command itself, and decides it again when its time has come.
type Parked struct {
	Key       string  `json:"k"` // MsgID(conversation, Team, ID)
	ExpiresAt Instant `json:"xa"`
	Held      bool    `json:"h,omitempty"` // for the end of a human session
}

const (
	maxParked = 256         // in one conversation, in which 5 may be sent
	lostAfter = time.Minute // so long after its expiry a parked command that was not decided is taken for lost
)

// Park notes that c is put aside, behind those that are already; held is Action.Held. Only sends and transfers keep an
// order among them. The bool says whether the ledger changed. A command leaves the list when it is over.
func (l Ledger) Park(c Command, held bool, now Now) (Ledger, bool) {
	if c.Verb != Send && c.Verb != Transfer {
		return l, false
	}
	p := Parked{Key: c.MsgID(), ExpiresAt: At(c.ExpiresAt), Held: held}
	i := slices.IndexFunc(l.Parked, func(p Parked) bool { return p.Key == c.MsgID() })
	if i >= 0 && l.Parked[i] == p {
		return l, false
	}
	l.Parked = slices.Clone(l.Parked)
	if i >= 0 {
		l.Parked[i] = p
	} else {
		l.Parked = append(l.Parked, p)
	}
	return l.prune(now), true
}

// Next is the key of the first parked command, which is the one to go on.
func (l Ledger) Next(now Now) (key string, ok bool) {
	for _, p := range l.Parked {
		if !p.lost(now) {
			return p.Key, true
		}
	}
	return "", false
}

// behind reports whether c has to wait for a parked command. A transfer does not wait for one that is held: it may be what
// ends the human session.
func (l Ledger) behind(c Command, now Now) bool {
	for _, p := range l.Parked {
		switch {
		case p.Key == c.MsgID():
			return false
		case p.lost(now):
		case c.Verb == Send, c.Verb == Transfer && !p.Held:
			return true
		}
	}
	return false
}

// queueFull reports whether there is no room to park c, if it is not parked yet.
func (l Ledger) queueFull(c Command) bool {
	return len(l.Parked) >= maxParked && !slices.ContainsFunc(l.Parked, func(p Parked) bool { return p.Key == c.MsgID() })
}

func (p Parked) lost(now Now) bool { return now.Local.After(p.ExpiresAt.plus(lostAfter)) }

func (l Ledger) unpark(key string) Ledger {
	if slices.ContainsFunc(l.Parked, func(p Parked) bool { return p.Key == key }) {
		l.Parked = slices.DeleteFunc(slices.Clone(l.Parked), func(p Parked) bool { return p.Key == key })
	}
	return l
}

func (l Ledger) unparkStale(now Now) Ledger {
	if slices.ContainsFunc(l.Parked, func(p Parked) bool { return p.lost(now) }) {
		l.Parked = slices.DeleteFunc(slices.Clone(l.Parked), func(p Parked) bool { return p.lost(now) })
	}
	return l
}
