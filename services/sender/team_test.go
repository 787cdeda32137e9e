package sender

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/services/sender/window"
)

func TestParseTeams(t *testing.T) {
	for _, c := range []struct{ name, text, want, err string }{
		{"none", " \n# nobody yet\n", "[]", ""},
		{"one", "shop: accounts=wkA,wkB rate=600 share=4", "[{shop [wkA wkB] 600 4}]", ""},
		{"one a line, and a comment", "shop: accounts=wkA # ours\r\ncrm:accounts=*\n", "[{shop [wkA] 0 0} {crm [] 0 0}]", ""},
		{"two on a line", "shop: accounts=wkA ; crm: accounts=* share=1;", "[{shop [wkA] 0 0} {crm [] 0 1}]", ""},
		{"no accounts", "shop: rate=1", "", "line 1: team shop owns no account"},
		{"an empty account", "shop: accounts=wkA,", "", "neither * nor"},
		{"all and one", "shop: accounts=*,wkA", "", "neither * nor"},
		{"twice", "\nshop: accounts=wkA\nshop: accounts=wkB", "", "there twice"},
		{"a key twice", "shop: accounts=wkA accounts=wkB", "", "accounts twice"},
		{"an unknown key", "shop: accounts=wkA quota=4", "", "quota: is none of"},
		{"too large a share", "shop: accounts=wkA share=6", "", "no number from 1 to 5"},
		{"no share", "shop: accounts=wkA share=0", "", "no number from 1 to 5"},
		{"a rate that is none", "shop: accounts=wkA rate=fast", "", "no number"},
		{"no name", ": accounts=wkA", "", "is not NAME:"},
		{"no colon", "shop accounts=wkA", "", "is not NAME:"},
	} {
		got, err := ParseTeams(c.text)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: got %v, want an error with %q", c.name, err, c.err)
			}
		} else if err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("%s: got %v, %v, want %s", c.name, got, err, c.want)
		}
	}
}

// teamed starts a sender that knows these teams.
func (w *world) teamed(text string, change ...func(*Config)) *replica {
	w.Helper()
	list, err := ParseTeams(text)
	w.must(err)
	r := w.make(change...)
	r.teams = newTeams(list, r.cfg.WelcomeText != "")
	return r.run()
}

// by publishes a send of a team's.
func (w *world) by(team, user, id string) {
	w.Helper()
	data, err := json.Marshal(with(text(), obj{"command_id": id}))
	w.must(err)
	w.raw(events.CommandSubject(team, corp, desk, events.VerbSend, user), nil, data)
}

func TestWhoMayCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.says(ann)
	w.teamed("shop: accounts=wkDESK,wkOTHER\ncrm: accounts=wkOTHER\n日: accounts=*", func(c *Config) { c.WelcomeText = canary })
	w.by("crm", ann, "foreign")
	w.by("cmr", ann, "stranger")
	w.by("日", ann, "hashed")
	w.by("shop", ann, "owner")
	w.want("owner", "accepted")
	w.want("hashed", "accepted")
	for id, want := range map[string]string{"foreign": "not_owner/open_kfid", "stranger": "unknown_team/team"} {
		if o := w.want(id, "refused"); o.Reason+"/"+o.Field != want || strings.Contains(o.Detail, canary) {
			t.Errorf("%s: got %s, %s, %q, want %s", id, o.Reason, o.Field, o.Detail, want)
		}
	}
	w.quiet()
	testkit.Eventually(t, "two dead letters", func() bool { return len(w.deadLetters()) == 2 })
	for _, d := range w.deadLetters() {
		if d.Reason != "not_owner" && d.Reason != "unknown_team" || strings.Contains(d.Detail, canary) {
			t.Errorf("dead letter %s: %q", d.Reason, d.Detail)
		}
	}
}

// A team that uses another's command id, or recalls it, changes nothing of the other's.
func TestTeamsDoNotMeet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.says(ann)
	w.teamed("shop: accounts=*; evil: accounts=*")
	recall, err := json.Marshal(obj{"command_id": "r", "target_command_id": "c"})
	w.must(err)
	w.raw(events.CommandSubject("evil", corp, desk, events.VerbRecall, ann), nil, recall)
	w.want("r", "recalled/before_send") // of its own c, which never comes
	w.by("evil", ann, "d")
	w.want("d", "accepted")
	w.by("shop", ann, "c")
	w.want("c", "accepted")
	w.by("shop", ann, "d")
	testkit.Eventually(t, "both outcomes", func() bool { return len(w.of("d")) == 2 })
	mine, theirs := w.of("d")[1], w.of("d")[0]
	if mine.State != "accepted" || mine.MsgID == theirs.MsgID || mine.eventID == theirs.eventID {
		t.Errorf("one id in two teams: got %+v and %+v", theirs.Outcome, mine.Outcome)
	}
	for _, o := range append(w.of("d"), append(w.of("c"), w.of("r")...)...) {
		if want := "kf.outcome." + o.Team + "."; !strings.HasPrefix(o.subject, want) {
			t.Errorf("the outcome of team %s is on %s", o.Team, o.subject)
		}
	}
	w.quiet()
	if got := len(w.sim.Accepted()); got != 3 {
		t.Errorf("the platform accepted %d messages, want 3", got)
	}
}

func TestShare(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.says(ann)
	w.teamed("bulk: accounts=* share=2\ncare: accounts=*")
	for _, id := range ids("b", 4) {
		w.by("bulk", ann, id)
	}
	w.want("b-2", "refused/share_spent")
	w.want("b-3", "refused/share_spent")
	for _, id := range ids("c", 4) {
		w.by("care", ann, id)
	}
	for i, want := range []string{"accepted", "accepted", "accepted", "refused/quota_spent"} {
		w.want(ids("c", 4)[i], want)
	}
	w.pass(10 * time.Second)
	w.says(ann)
	w.noted()
	w.by("bulk", ann, "again")
	w.want("again", "accepted")
	w.quiet()
	if got := w.posts(apiSend); got != 6 {
		t.Errorf("%d requests, want 6", got)
	}
}

// A team that floods is held to its rate, in order, and another's commands in the same lane do not wait for its turns.
func TestFloodOfATeam(t *testing.T) {
	t.Parallel()
	const flood, care = 60, 20
	w := newWorld(t, lanes(1))
	for i := range flood {
		w.customer(fmt.Sprintf("wmFLOOD%d", i))
		w.says(fmt.Sprintf("wmFLOOD%d", i))
	}
	for i := range care {
		w.customer(fmt.Sprintf("wmCARE%d", i))
		w.says(fmt.Sprintf("wmCARE%d", i))
	}
	r := w.teamed("bulk: accounts=* rate=240\ncare: accounts=*")
	w.noted()
	rate := r.teams.byToken["bulk"].turns
	began := time.Now()
	for i, id := range ids("f", flood) {
		w.by("bulk", fmt.Sprintf("wmFLOOD%d", i), id)
	}
	for i, id := range ids("c", care) {
		w.by("care", fmt.Sprintf("wmCARE%d", i), id)
	}
	for _, id := range ids("c", care) {
		w.want(id, "accepted")
	}
	w.mu.Lock()
	before := 0
	for _, o := range w.outcomes {
		if o.Team == "bulk" {
			before++
		}
	}
	w.mu.Unlock()
	most := rate.Burst() + int(float64(rate.Limit())*time.Since(began).Seconds()) + 1
	if before > most {
		t.Errorf("%d of the flood went before the last of the other team, want at most %d: its rate", before, most)
	}
	w.quiet()
	took := time.Since(began)
	if most := rate.Burst() + int(float64(rate.Limit())*took.Seconds()) + 1; flood > most {
		t.Errorf("%d commands in %v, its rate allows %d", flood, took, most)
	}
	var order []string
	for _, a := range w.sim.Accepted() {
		if strings.HasPrefix(a.ExternalUserID, "wmFLOOD") {
			order = append(order, a.ExternalUserID)
		}
	}
	displaced := 0
	for i, u := range order {
		if want := fmt.Sprintf("wmFLOOD%d", i); u != want {
			displaced++
		}
	}
	if len(order) != flood || displaced > flood/4 { // two timers that are due within milliseconds may be taken up by two workers
		t.Errorf("%d of %d arrived, %d out of their order", len(order), flood, displaced)
	}
	t.Logf("flood of %d: %d of it went before the last of %d others; all in %v, %d out of order", flood, before, care, took.Round(time.Millisecond), displaced)
}

func TestTeamRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.says(ann)
	w.teamed("bulk: accounts=* rate=1")
	w.by("bulk", ann, "first")
	w.want("first", "accepted")
	body := with(text(), obj{"command_id": "late", "expirytime": time.Now().Add(30 * time.Second).Format(time.RFC3339)})
	data, err := json.Marshal(body)
	w.must(err)
	w.raw(events.CommandSubject("bulk", corp, desk, events.VerbSend, ann), nil, data)
	o := w.want("late", "refused/team_rate")
	if o.Attempts != 0 || o.SendsLeft == nil || *o.SendsLeft != 4 {
		t.Errorf("got %+v, want that nothing was spent", o.Outcome)
	}
	w.by("bulk", ann, "patient") // it may wait for 10 minutes
	testkit.Eventually(t, "it to wait", func() bool { l, _ := w.ledger(ann); return len(l.Parked) == 1 })
	recall, err := json.Marshal(obj{"command_id": "r", "target_command_id": "patient"})
	w.must(err)
	w.raw(events.CommandSubject("bulk", corp, desk, events.VerbRecall, ann), nil, recall)
	w.want("r", "recalled/before_send") // no turn of its team's is needed for that
	w.want("patient", "cancelled/taken_back")
	w.quiet()
	if l, _ := w.ledger(ann); l.Used() != 1 {
		t.Errorf("%d places are taken, want 1", l.Used())
	}
}

func TestRefuse(t *testing.T) {
	r, now := window.Defaults(), window.Now{Local: time.Now(), Platform: time.Now(), Fresh: true}
	c := window.Command{Team: team, ID: "c", Conversation: "x", Verb: window.Send, ExpiresAt: now.Local.Add(time.Hour)}
	l, act := r.Refuse(window.Ledger{}, c, window.ReasonTeamRate, 0, now)
	if act.Kind != window.Finish || act.Outcome.State != window.Refused || act.Outcome.Reason != window.ReasonTeamRate || l.Used() != 0 {
		t.Errorf("got %+v", act)
	}
	if _, act = r.Refuse(l, c, window.ReasonNotFound, 0, now); act.Kind != window.Again || act.Outcome.Reason != window.ReasonTeamRate {
		t.Errorf("refused twice: got %+v, want the first outcome again", act)
	}
	l, _ = window.Ledger{}.CustomerWrote(now.Platform, "m", 1)
	l, act = r.Decide(l, c, now)
	l, _ = r.Settle(l, c, act.Attempt, window.Answer{}, now) // in doubt
	if _, act = r.Refuse(l, c, window.ReasonTeamRate, 0, now); act.Outcome.State != window.Unknown {
		t.Errorf("refused in doubt: got %+v, want unknown", act)
	}
}
