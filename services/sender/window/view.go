package window

import "time"

// Conversation is what the teams are told before they write a word.
type Conversation struct {
	WindowEndsAt time.Time // platform's clock; zero: the customer has never written
	SendsLeft    int       // 0–5; 0 when the window is closed, spent, or the platform said so
	SessionState int       // 0 new, 1 assistant, 2 waiting pool, 3 human, 4 ended
	Servicer     bool      // a human holds it
	Generation   uint64    // rises when a human takes over; opaque otherwise; 0: never
	CustomerAt   time.Time // the customer's last message, platform's clock; zero: never
	AgentAt      time.Time // the last message a human wrote; not counted in the five; zero: never
}

// View tells what l allows at now. SendsLeft knows nothing of the session state, which forbids sending in 2, 3 and 4.
func (r Rules) View(l Ledger, now Now) Conversation {
	c := Conversation{
		SessionState: l.SessionState(),
		Servicer:     l.SessionState() == sessionHuman,
		Generation:   l.Generation,
		CustomerAt:   l.CustomerAt.Time(),
		AgentAt:      l.AgentAt.Time(),
	}
	if l.CustomerAt != 0 {
		c.WindowEndsAt = l.CustomerAt.Time().Add(Length)
	}
	if r.windowReason(l, now) == ReasonNone {
		c.SendsLeft = max(0, Quota-l.Used())
	}
	return c
}
