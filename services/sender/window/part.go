package window

import (
	"crypto/sha256"
	"encoding/base64"
	"math/bits"
	"slices"
	"strconv"
)

// A text that is too long for one message goes as several: one record, one outcome, a place and a msgid for each. The places
// are reserved together, before the first. The record says which one is in hand, so that whoever takes it up goes on there;
// what is known of an attempt (doubt, tries) is known of that one only. A recall takes back the same ones, one after the other.

// PartMsgID is the msgid of one of several messages, from 1: that of the first is the command's own.
func PartMsgID(msgid string, part int) string {
	if part <= 1 {
		return msgid
	}
	sum := sha256.Sum256([]byte("part " + strconv.Itoa(part) + " of " + msgid))
	return base64.RawURLEncoding.EncodeToString(sum[:24])
}

// part is the one in hand, 0 where there is only one.
func (rec Record) part() int {
	if rec.Parts < 2 {
		return 0
	}
	return rec.Done + 1
}

// partsOf is how many messages c is, 0 where there is only one.
func (l Ledger) partsOf(c Command) int {
	n := c.Parts
	if c.Verb == Recall {
		target, _ := l.find(c.TargetMsgID())
		if n = target.Done; target.inDoubt() && target.Parts > 1 {
			n++
		}
	}
	if n < 2 || c.Verb == Reply || c.Verb == Transfer {
		return 0
	}
	return n
}

// inDoubt reports whether the message in hand at the end may have been accepted, and is not among Done. That one of the others
// was not delivered says nothing of it.
func (rec Record) inDoubt() bool {
	return rec.State == Unknown && rec.Fix != Accepted && rec.Fix != Partial
}

// nextPart is rec after the one in hand was accepted, and whether there is another.
func (rec Record) nextPart(now Now) (Record, bool) {
	if rec.Parts == 0 || rec.Done+1 >= rec.Parts {
		return rec, false
	}
	rec.Done++
	rec.State, rec.NextAt, rec.SentAt = Retry, At(now.Platform), At(now.Platform)
	rec.Doubt, rec.Busy, rec.Tries, rec.Zero = rec.Lost, false, 0, 0
	return rec, true
}

// places is how many of the five rec holds: before the first message all that it needs, at the end those that were accepted
// or may have been.
func (rec Record) places() int {
	switch {
	case !rec.Counts:
		return 0
	case rec.Parts < 2:
		return 1
	}
	n := rec.Parts
	if rec.State.Final() {
		if n = rec.Done; rec.inDoubt() {
			n++
		}
	}
	return max(0, n-bits.OnesCount(uint(rec.Freed))) //nolint:gosec // never negative
}

// findPart finds the record of a message by its msgid, and which of several it is.
func (l Ledger) findPart(msgid string) (rec Record, part int, ok bool) {
	if rec, ok = l.find(msgid); ok {
		return rec, 1, true
	}
	i := slices.IndexFunc(l.Records, func(r Record) bool {
		for part = 2; part <= r.Parts && r.Verb == Send; part++ {
			if PartMsgID(r.Key, part) == msgid {
				return true
			}
		}
		return false
	})
	if i < 0 {
		return rec, 0, false
	}
	return l.Records[i], part, true
}

// partFailed notes that one of several messages was not delivered. The first such event is the correction of them all; it is
// told when the others are over.
func (l Ledger) partFailed(rec Record, part, failType int) (Ledger, Result) {
	bit := 1 << (part - 1)
	frees := GivesBack(failType)
	changed := rec.Fix == "" || frees && rec.Freed&bit == 0
	if frees {
		rec.Freed |= bit
	}
	if rec.Fix == "" {
		rec.Fix, rec.FixReason, rec.FailType = Failed, ReasonDeliveryFailed, failType
	}
	if rec.State.Open() {
		return l.with(rec), Result{Changed: changed}
	}
	return l.with(rec), l.with(rec).result(rec, "", changed)
}
