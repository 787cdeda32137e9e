package window

import "time"

// ClosingFor is how long before its end a window is said to be closing.
const ClosingFor = 30 * time.Minute

// Phase is where a window stands in time, whatever was sent in it.
type Phase int

const (
	NoWindow Phase = iota // the customer has never written
	Opened                // more than ClosingFor is left
	Closing               // ClosingFor is left, or less
	Closed                // its 48 hours are over
)

// Phase is that of l at now, and when the next begins, platform's clock; the zero time: never.
func (l Ledger) Phase(now Now) (p Phase, next time.Time) {
	end := l.CustomerAt.plus(Length)
	closing := end.Add(-ClosingFor)
	switch {
	case l.CustomerAt == 0:
		return NoWindow, time.Time{}
	case now.Platform.Before(closing):
		return Opened, closing
	case now.Platform.Before(end):
		return Closing, end
	}
	return Closed, time.Time{}
}

// Spent is how many of the five are gone: those that were accepted, or may have been. Unlike [Ledger.Used] it leaves out
// what is on its way, and may be given back.
func (l Ledger) Spent() int {
	n := 0
	for i := range l.Records {
		if l.Records[i].State.Final() {
			n += l.Records[i].places()
		}
	}
	return n
}

// LastSent is the newest message that the platform accepted and did not fail to deliver, a reply to an event included: its
// msgid and the moment by which it was accepted, platform's clock. The zero time: none that is remembered. The order is that
// in which they were begun: the estimates of the clock behind two such moments may differ by more than the moments.
func (l Ledger) LastSent() (msgid string, at time.Time) {
	for i := len(l.Records) - 1; i >= 0; i-- {
		rec := &l.Records[i]
		if (rec.Verb == Send || rec.Verb == Reply) && (rec.fate() == Accepted || rec.fate() == Partial) && rec.SentAt != 0 {
			return PartMsgID(rec.Key, rec.Done), rec.SentAt.Time()
		}
	}
	return "", time.Time{}
}
