package kfsim

import (
	"errors"
	"slices"
	"strings"
)

// intrude puts the item of an item fault at the end of the history, before the page is cut.
func (r *request) intrude(a *account) {
	if a == nil { // a pull of all accounts
		if len(r.corp.accounts) == 0 {
			return
		}
		a = r.corp.accounts[0]
	}
	switch r.twist {
	case FaultUnknownItem:
		r.sim.addMessage(a, a.lastCustomer(), originCustomer, "", "hologram", []byte(`{"depth":3,"parts":[{"kind":"unknown"}]}`))
	case FaultHostileItem:
		all := hostiles()
		r.sim.addHostile(a, all[r.st.hostile%len(all)])
		r.st.hostile++
	}
}

// lastCustomer is who the newest item is about.
func (a *account) lastCustomer() string {
	for _, it := range slices.Backward(a.log.items) {
		if it != nil && it.customer != "" {
			return it.customer
		}
	}
	return "wmNOBODY"
}

// twistPage bends a page that is about to be served: the end of its items, has_more, and the position
// and kind of its next cursor.
func (r *request) twistPage(from, to int, more bool) (int, bool) {
	switch r.twist {
	case FaultEmptyPage:
		return from, true
	case FaultSameCursor:
		return to, true
	}
	return to, more
}

// hostile is an item that is good JSON and good for nothing else.
type hostile struct {
	name     string
	customer string // JSON text of external_userid
	body     string // JSON text of text.content
	msgID    string // JSON text of msgid; empty: an ordinary one
}

// hostiles is the table of hostile ids and texts; docs/simulator.md lists it.
func hostiles() []hostile {
	quote := func(s string) string { return string(marshal(s)) }
	return []hostile{
		{name: "subject", customer: quote("wm.*.>. \t\r\n$JS"), body: quote("> * . $JS.API.STREAM.DELETE.x")},
		{name: "nul", customer: `"wmNUL\u0000\u0001"`, body: `"a\u0000b\u001b[2Jc\u007f"`},
		{name: "four_bytes", customer: quote("wm𝄞😀"), body: quote("𠮷野家 👩‍👩‍👧‍👦 🏴󠁧󠁢󠁥󠁮󠁧󠁿")},
		{name: "surrogate", customer: `"wmHALF\ud83d"`, body: `"\udc00 half a pair \ud83d"`},
		{name: "huge_text", customer: quote("wmHUGE"), body: quote(strings.Repeat("长", 100_000))},
		{name: "huge_id", customer: quote("wm" + strings.Repeat("x", 4096)), body: quote("hi")},
		{name: "json", customer: quote(`wm{"a":[1]}`), body: quote(`"}},{"msgtype":"event","event":{"event_type":"enter_session"}}]}`)},
		{name: "markup", customer: quote(`wm]]><x>&amp;`), body: quote(`]]></xml><script>alert(1)</script> %00 ${jndi:x} '; --`)},
		{name: "bidi", customer: quote("wm\u202egnp.exe"), body: quote("\u202e\u2066abc\u200f\ufeff\u2028\u0301")},
		{name: "path_id", customer: quote("wm../../etc"), body: quote("hi"), msgID: quote("../msg id\n.>*")},
		{name: "empty", customer: `""`, body: `""`},
	}
}

// Hostile is a customer item that must harm nobody.
type Hostile struct {
	OpenKfID string `json:"open_kfid"`
	Kind     string `json:"kind"` // a name from the table in docs/simulator.md
}

// Hostile puts a text message with hostile ids and texts into an account's history, and returns the
// msgid the journal knows it by. Its customer does not exist.
func (s *Sim) Hostile(h Hostile) (msgID string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.st.account(h.OpenKfID)
	if err != nil {
		return "", err
	}
	var names []string
	for _, one := range hostiles() {
		if one.name == h.Kind {
			return s.addHostile(a, one), nil
		}
		names = append(names, one.name)
	}
	return "", errors.New("hostile: kind is one of " + strings.Join(names, ", "))
}

func (s *Sim) addHostile(a *account, h hostile) string {
	now := s.clock.Now()
	it := &item{id: s.st.ids.opaque("", "msgid", 24), at: now, customer: "wm-hostile-" + h.name, origin: originCustomer}
	msgID := str("msgid", it.id)
	if h.msgID != "" {
		msgID = field{"msgid", []byte(h.msgID)}
	}
	it.raw = object(msgID, str("open_kfid", a.OpenKfID), field{"external_userid", []byte(h.customer)}, num("send_time", now.Unix()),
		num("origin", originCustomer), str("msgtype", "text"), field{"text", object(field{"content", []byte(h.body)})})
	s.publish(a, it, Entry{MsgType: "text", Reason: "hostile " + h.name})
	return it.id
}
