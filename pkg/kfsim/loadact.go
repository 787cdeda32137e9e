package kfsim

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"
)

// loader is one load under way.
type loader struct {
	s       *Sim
	load    Load
	dice    *rand.Rand
	desks   []desk
	acts    []weighted
	weight  int // of all acts
	unpaced int // acts that may be done before the next look at the time
}

// weighted is an act with the weights up to and including its own.
type weighted struct {
	name string
	upTo int
	do   loadAct
}

// desk is an account with those who write to it.
type desk struct {
	kf, corp  string
	customers []string
	media     map[string]sample // by type
}

// sample is a file that messages of a load refer to.
type sample struct {
	id string
	at time.Time
}

func (s *Sim) newLoader(load Load) (*loader, error) {
	g := &loader{s: s, load: load, dice: rand.New(rand.NewPCG(s.cfg.Seed, 1<<32+load.Seed))}
	for _, name := range sortedKeys(load.Types) {
		g.weight += load.Types[name]
		g.acts = append(g.acts, weighted{name, g.weight, loadActs()[name]})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	accounts, err := s.accountsFor(load.Accounts)
	if err != nil {
		return nil, err
	}
	for _, a := range accounts {
		d := desk{kf: a.OpenKfID, corp: a.CorpID, media: map[string]sample{}}
		for i := range load.Customers {
			id := fmt.Sprintf("wmLOAD%06d", i+1)
			if a.corp.customers[id] == nil {
				a.corp.customers[id] = &customer{Customer: Customer{ExternalUserID: id, CorpID: a.CorpID, Nickname: "load " + strconv.Itoa(i+1)}, corp: a.corp}
				s.journal.add(Entry{Kind: KindCustomer, CorpID: a.CorpID, ExternalUserID: id, Reason: "made"})
			}
			d.customers = append(d.customers, id)
		}
		if load.Customers == 0 {
			d.customers = sortedKeys(a.corp.customers)
		}
		if len(d.customers) == 0 {
			return nil, fmt.Errorf("load: corp %s has no customer; make some, or give customers", a.CorpID)
		}
		g.desks = append(g.desks, d)
	}
	return g, nil
}

// act lets one customer do something.
func (g *loader) act(n int) {
	d := &g.desks[g.dice.IntN(len(g.desks))]
	user := d.customers[g.dice.IntN(len(d.customers))]
	throw := g.dice.IntN(g.weight)
	act := g.acts[slices.IndexFunc(g.acts, func(a weighted) bool { return throw < a.upTo })]
	what := act.name
	did, err := act.do(g, d, user, n)
	if !did && err == nil {
		what, err = "text", g.say(d, user, "text", object(str("content", "load "+strconv.Itoa(n))))
	}
	g.s.load.did(what, err)
}

// loadAct does one thing; did is false when there was no occasion for it.
type loadAct func(g *loader, d *desk, user string, n int) (did bool, err error)

// loadActs is the table of what customers can do under a load.
func loadActs() map[string]loadAct {
	return map[string]loadAct{
		"text":  func(*loader, *desk, string, int) (bool, error) { return false, nil },
		"image": loadFile("image", "a.png", "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="),
		"file":  loadFile("file", "a.txt", "a2Zic2lt"),
		"location": func(g *loader, d *desk, user string, n int) (bool, error) {
			body := object(num("latitude", int64(n%90)), num("longitude", int64(n%180)), str("name", "place "+strconv.Itoa(n)), str("address", "1 Example Road"))
			return true, g.say(d, user, "location", body)
		},
		"link": func(g *loader, d *desk, user string, n int) (bool, error) {
			body := object(str("title", "link "+strconv.Itoa(n)), str("desc", "a page"), str("url", "https://example.com/?a=1&n="+strconv.Itoa(n)), str("pic_url", "https://example.com/a.png"))
			return true, g.say(d, user, "link", body)
		},
		"enter": func(g *loader, d *desk, user string, _ int) (bool, error) {
			return true, second(g.s.Enter(Enter{OpenKfID: d.kf, ExternalUserID: user, Scene: "load"}))
		},
		"tap":    loadTap,
		"recall": loadRecall,
	}
}

func (g *loader) say(d *desk, user, msgType string, body []byte) error {
	return second(g.s.Say(Say{OpenKfID: d.kf, ExternalUserID: user, MsgType: msgType, Body: body}))
}

// loadFile refers to a file that is made when first needed, and again before it is 3 days old.
func loadFile(kind, name, data string) loadAct {
	return func(g *loader, d *desk, user string, _ int) (bool, error) {
		now := g.s.clock.Now()
		file := d.media[kind]
		if !within(file.at, mediaLength-24*time.Hour, now) {
			b, err := base64.StdEncoding.DecodeString(data)
			if err != nil {
				return false, err
			}
			id, err := g.s.AddMedia(Media{CorpID: d.corp, Type: kind, FileName: name, Data: b})
			if err != nil {
				return false, err
			}
			file = sample{id, now}
			d.media[kind] = file
		}
		return true, g.say(d, user, kind, object(str("media_id", file.id)))
	}
}

// recent is how many lines of a phone a customer looks back over.
const recent = 20

// lookBack finds the newest line on a customer's phone that fits.
func (g *loader) lookBack(d *desk, user string, fits func(PhoneMessage) bool) (m PhoneMessage, found bool) {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	v, err := g.s.st.conversation(d.kf, user)
	if err != nil {
		return m, false
	}
	lines := v.phone.messages
	for i := len(lines) - 1; i >= max(0, len(lines)-recent); i-- {
		if fits(*lines[i]) {
			return *lines[i], true
		}
	}
	return m, false
}

func loadTap(g *loader, d *desk, user string, n int) (bool, error) {
	menu, found := g.lookBack(d, user, func(m PhoneMessage) bool {
		return m.MsgType == "msgmenu" && m.Body != nil && m.FailType == nil && len(clickItems(m.Body)) > 0
	})
	if !found {
		return false, nil
	}
	items := clickItems(menu.Body)
	click := items[n%len(items)].Click
	return true, second(g.s.Tap(Tap{OpenKfID: d.kf, ExternalUserID: user, MsgID: menu.MsgID, ID: click.ID, Content: click.Content}))
}

func loadRecall(g *loader, d *desk, user string, _ int) (bool, error) {
	now := g.s.clock.Now()
	mine, found := g.lookBack(d, user, func(m PhoneMessage) bool {
		return m.From == FromCustomer && !m.Recalled && within(m.Time, recallLength, now)
	})
	if !found {
		return false, nil
	}
	return true, g.s.Recall(Recall{OpenKfID: d.kf, ExternalUserID: user, MsgID: mine.MsgID})
}
