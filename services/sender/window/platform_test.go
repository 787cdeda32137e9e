package window

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// platform is the other side of one conversation, written from the platform's rules and not from ours. It keeps its own
// count. What its documents leave open is its personality, drawn by lot.
type platform struct {
	rng *rand.Rand
	now time.Time
	personality

	wroteAt time.Time           // customer's last message; zero: never
	count   int                 // accepted since then
	session int                 // 0–4
	sent    map[string]*message // by msgid
	codes   map[string]bool     // used event codes
	refused int                 // 95001 for a message that was new to it
	stream  []notice            // what sync_msg will serve
}

// personality answers what the platform's pages leave open.
type personality struct {
	repeated   string // what a used msgid comes to: refuse, accept (silently), deliver (a second copy)
	dupCode    int    // with refuse
	quotaFirst bool   // state, window and count are looked at before the msgid
	foreign    bool   // others spend from the five too: another app, a human's messages, replies
	endedCode  int
	lapsedCode int
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
	agent  bool      // a servicer's message
	change int       // change_type of a session_status_change
	failed string    // fail_msgid of a msg_send_fail, with failType
	kind   int
}

func newPlatform(rng *rand.Rand) *platform {
	return &platform{rng: rng, now: t0, sent: map[string]*message{}, codes: map[string]bool{}, personality: personality{
		repeated:   []string{"refuse", "refuse", "refuse", "accept", "deliver"}[rng.IntN(5)],
		dupCode:    []int{codeParam, codeParam, 95033}[rng.IntN(3)],
		quotaFirst: rng.IntN(4) == 0,
		foreign:    rng.IntN(4) == 0,
		endedCode:  []int{codeEnded, codeState}[rng.IntN(2)],
		lapsedCode: []int{codeWindow, codeWindow, 95031}[rng.IntN(3)],
	}}
}

func (p personality) String() string {
	return fmt.Sprintf("a used msgid: %s (%d), quota first: %v, others spend: %v, ended: %d, lapsed: %d",
		p.repeated, p.dupCode, p.quotaFirst, p.foreign, p.endedCode, p.lapsedCode)
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
		switch p.rng.IntN(4) {
		case 0:
			p.tell(notice{change: 2})
			return
		case 1:
			p.tell(notice{agent: true})
			if p.foreign && p.open() {
				p.count++
			}
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
	ids := make([]string, 0, len(p.sent))
	for id, m := range p.sent {
		if !m.takenBack {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return
	}
	slices.Sort(ids) // a map has no order, and a seed must repeat
	id := ids[p.rng.IntN(len(ids))]
	m, kind := p.sent[id], []int{0, 4, 5, 6, 10}[p.rng.IntN(5)]
	if (kind == 4 || kind == 6) && m.counted {
		if m.counted = false; m.window.Equal(p.wroteAt) {
			p.count--
		}
	}
	p.tell(notice{failed: id, kind: kind})
}

func (p *platform) open() bool {
	return !p.wroteAt.IsZero() && p.now.Before(p.wroteAt.Add(48*time.Hour))
}

// used answers a msgid that it has seen.
func (p *platform) used(m *message) int {
	switch p.repeated {
	case "refuse":
		return p.dupCode
	case "deliver":
		m.copies++
		p.count++
	}
	return 0
}

func (p *platform) send(msgid string) int {
	m := p.sent[msgid]
	switch {
	case m != nil && !p.quotaFirst:
		return p.used(m)
	case p.session == sessionPool || p.session == sessionHuman:
		return codeState
	case p.session == sessionEnded:
		return p.endedCode
	case !p.open():
		return p.lapsedCode
	case p.count >= 5:
		if m == nil {
			p.refused++
		}
		return codeQuota
	case m != nil:
		return p.used(m)
	}
	p.sent[msgid] = &message{at: p.now, copies: 1, window: p.wroteAt, counted: true}
	p.count++
	return 0
}

func (p *platform) reply(msgid, code string, deadline time.Time) int {
	if p.codes[code] || !p.now.Before(deadline) {
		return codeReplyCode
	}
	if m := p.sent[msgid]; m != nil {
		return p.used(m)
	}
	p.codes[code] = true
	p.sent[msgid] = &message{at: p.now, copies: 1}
	if p.foreign && p.open() {
		p.count++
	}
	return 0
}

func (p *platform) recall(msgid string) int {
	m := p.sent[msgid]
	switch {
	case m == nil, m.takenBack:
		return codeNoMessage
	case p.now.After(m.at.Add(2 * time.Minute)):
		return codeRecallWindow
	}
	m.takenBack = true
	return 0
}

func (p *platform) transfer(state int) int {
	legal := map[int][]int{0: {1, 2, 3, 4}, 1: {2, 3, 4}, 2: {3, 4}, 3: {4}}
	if slices.Contains(legal[p.session], state) {
		p.session = state
		return 0
	}
	return 95016
}
