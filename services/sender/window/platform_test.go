package window

import (
	"math/rand/v2"
	"time"
)

// platform is the other side of one conversation, written from the platform's rules and not from ours. It keeps its own
// count. What its documents leave open is drawn by lot.
type platform struct {
	rng *rand.Rand
	now time.Time

	wroteAt time.Time           // customer's last message; zero: never
	count   int                 // accepted since then
	foreign bool                // somebody else spends from the five too
	session int                 // 0–4
	sent    map[string]*message // by msgid
	codes   map[string]bool     // used event codes
	refused int                 // 95001 for a message that was new to it
	stream  []notice            // what sync_msg will serve

	silentRepeats bool // a used msgid is answered with 0 and not delivered again
	quotaFirst    bool // 95001 is checked before the msgid
}

// message is one that the platform accepted.
type message struct {
	at        time.Time
	copies    int
	window    time.Time
	takenBack bool
	counted   bool
}

// notice is one item of the stream. Exactly one of its parts is set.
type notice struct {
	seq    uint64
	at     time.Time // send_time: whole seconds
	wrote  string    // msgid of a customer's message
	change int       // change_type of a session_status_change
	failed string    // fail_msgid of a msg_send_fail, with failType
	kind   int
}

func newPlatform(rng *rand.Rand) *platform {
	return &platform{
		rng: rng, now: t0, sent: map[string]*message{}, codes: map[string]bool{},
		foreign: rng.IntN(4) == 0, silentRepeats: rng.IntN(4) == 0, quotaFirst: rng.IntN(4) == 0,
	}
}

func (p *platform) tell(n notice) {
	n.seq, n.at = uint64(len(p.stream)+1), p.now.Truncate(time.Second)
	p.stream = append(p.stream, n)
}

func (p *platform) customerWrites() {
	p.wroteAt, p.count = p.now, 0
	if p.session == sessionEnded {
		p.session = sessionNew
	}
	p.tell(notice{wrote: "in" + string(rune('A'+len(p.stream)%50))})
}

func (p *platform) servicerActs() {
	switch p.session {
	case sessionHuman:
		if p.rng.IntN(3) == 0 {
			p.tell(notice{change: 2})
			return
		}
		p.session = sessionEnded
		p.tell(notice{change: 3})
	case sessionEnded:
		p.session = sessionHuman
		p.tell(notice{change: 4})
	default:
		p.session = sessionHuman
		p.tell(notice{change: 1})
	}
}

// drop fails to deliver an accepted message and says so.
func (p *platform) drop() {
	for id, m := range p.sent {
		if m.takenBack || p.rng.IntN(3) != 0 {
			continue
		}
		kind := []int{0, 4, 5, 6, 10}[p.rng.IntN(5)]
		if (kind == 4 || kind == 6) && m.counted {
			if m.counted = false; m.window.Equal(p.wroteAt) {
				p.count--
			}
		}
		p.tell(notice{failed: id, kind: kind})
		return
	}
}

func (p *platform) open() bool {
	return !p.wroteAt.IsZero() && p.now.Before(p.wroteAt.Add(48*time.Hour))
}

func (p *platform) send(msgid string) int {
	used := func() int {
		if p.silentRepeats {
			return 0
		}
		return 40058
	}
	m := p.sent[msgid]
	switch {
	case m != nil && !p.quotaFirst:
		return used()
	case p.session == sessionPool || p.session == sessionHuman:
		return 95018
	case p.session == sessionEnded:
		return 95013
	case !p.open():
		return 95002
	case p.count >= 5:
		if m == nil {
			p.refused++
		}
		return 95001
	case m != nil:
		return used()
	}
	p.sent[msgid] = &message{at: p.now, copies: 1, window: p.wroteAt, counted: true}
	p.count++
	return 0
}

func (p *platform) reply(msgid, code string, deadline time.Time) int {
	if p.codes[code] || !p.now.Before(deadline) {
		return 41050
	}
	if p.sent[msgid] != nil {
		return 40058
	}
	p.codes[code] = true
	p.sent[msgid] = &message{at: p.now, copies: 1}
	return 0
}

func (p *platform) recall(msgid string) int {
	m := p.sent[msgid]
	switch {
	case m == nil, m.takenBack:
		return 95028
	case p.now.After(m.at.Add(2 * time.Minute)):
		return 95029
	}
	m.takenBack = true
	return 0
}

func (p *platform) transfer(state int) int {
	legal := map[int][]int{0: {1, 2, 3, 4}, 1: {2, 3, 4}, 2: {3, 4}, 3: {4}}
	for _, to := range legal[p.session] {
		if to == state {
			p.session = state
			return 0
		}
	}
	return 95016
}
