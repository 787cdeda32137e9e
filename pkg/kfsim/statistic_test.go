package kfsim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// midnight is a local midnight, at UTC+8, n days after that of start.
func midnight(n int) time.Time { return time.Date(2026, 1, 2+n, -8, 0, 0, 0, time.UTC) }

func (r *rig) statistic(path string, from, to int, more obj) answered {
	r.t.Helper()
	m := obj{"open_kfid": kf, "start_time": midnight(from).Unix(), "end_time": midnight(to).Unix()}
	for k, v := range more {
		m[k] = v
	}
	return r.post(path, m)
}

// figures are the statistic of the only day of an answer; nil when there is none.
func figures(t *testing.T, a answered) answered {
	t.Helper()
	rows := a.rows("statistic_list")
	if len(rows) != 1 {
		t.Fatalf("got %d days (%v), want 1", len(rows), a)
	}
	f, _ := rows[0]["statistic"].(map[string]any)
	return f
}

func TestStatisticsOfOneDay(t *testing.T) {
	r := newRig(t, Config{})
	r.staff()
	r.setCorp(func(c *Corp) { c.Upgrade = &UpgradeRange{UserIDs: []string{"lisi"}, ChatIDs: []string{"wrONE"}} })
	r.enterState(stateHuman) // Ann writes once; the assistant never answers; lisi gets the session
	r.Clock().Advance(10 * time.Second)
	r.says(ann, "are you there?")
	r.Clock().Advance(7 * time.Second)
	for range 2 {
		_, err := r.ServicerSay(ServicerSay{OpenKfID: kf, ExternalUserID: ann, UserID: "lisi", Text: "yes"})
		r.must(err)
	}
	upgrade := obj{"open_kfid": kf, "external_userid": ann, "type": 1, "member": obj{"userid": "lisi"}}
	r.wantCode("upgrade", r.post("kf/customer/upgrade_service", upgrade), 0)
	r.must(r.AcceptUpgrade(Contact{kf, ann}))
	r.must(r.Rate(Rating{kf, ann, "lisi", RatingSatisfied}))
	r.must(r.Rate(Rating{kf, ann, "lisi", ""}))
	r.must(r.RejectCustomer(Reject{kf, ann, "lisi", true}))
	r.must(r.RejectCustomer(Reject{kf, ann, "lisi", false}))

	question := obj{"group_id": r.st.corps[corpA].knowledge.groups[0].id, "question": obj{"text": obj{"content": "return?"}}, "answers": []obj{{"text": obj{"content": "use the form"}}}}
	r.wantCode("intent", r.post("kf/knowledge/add_intent", question), 0)
	r.says(bob, "return?")
	r.says(bob, "something else")
	r.wantCode("assistant", r.post("kf/send_msg", obj{"touser": bob, "open_kfid": kf, "msgtype": "text", "text": obj{"content": "x"}}), 0)
	r.wantCode("to the pool", r.post("kf/service_state/trans", obj{"open_kfid": kf, "external_userid": bob, "service_state": 2}), 0)

	r.Clock().Set(midnight(1).Add(6 * time.Hour))
	r.token = r.getToken("secret-one")
	want := answered{"session_cnt": 2.0, "customer_cnt": 2.0, "customer_msg_cnt": 4.0, "upgrade_service_customer_cnt": 1.0,
		"ai_session_reply_cnt": 1.0, "ai_transfer_rate": 1.0, "ai_knowledge_hit_rate": 0.5, "msg_rejected_customer_cnt": 1.0}
	if got := figures(t, r.statistic("kf/get_corp_statistic", 0, 0, nil)); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("corp: got %v, want %v", got, want)
	}
	want = answered{"session_cnt": 1.0, "customer_cnt": 1.0, "customer_msg_cnt": 1.0, "reply_rate": 1.0, "first_reply_average_sec": 17.0,
		"satisfaction_investgate_cnt": 2.0, "satisfaction_participation_rate": 0.5, "satisfied_rate": 1.0, "middling_rate": 0.0, "dissatisfied_rate": 0.0,
		"upgrade_service_customer_cnt": 1.0, "upgrade_service_member_invite_cnt": 1.0, "upgrade_service_member_customer_cnt": 1.0,
		"upgrade_service_groupchat_invite_cnt": 0.0, "upgrade_service_groupchat_customer_cnt": 0.0, "msg_rejected_customer_cnt": 1.0}
	for _, who := range []obj{nil, {"servicer_userid": "lisi"}} {
		if got := figures(t, r.statistic("kf/get_servicer_statistic", 0, 0, who)); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("servicer %v: got %v, want %v", who, got, want)
		}
	}
	if got := figures(t, r.statistic("kf/get_servicer_statistic", 0, 0, obj{"servicer_userid": "wang"})); got != nil {
		t.Errorf("wang did nothing: got %v, want no statistic", got)
	}
}

func TestStatisticsMissingFields(t *testing.T) {
	r := newRig(t, Config{})
	r.says(ann, "hi")
	r.Clock().Set(midnight(1).Add(6 * time.Hour))
	r.token = r.getToken("secret-one")
	got := figures(t, r.statistic("kf/get_corp_statistic", 0, 0, nil))
	if got["ai_transfer_rate"] != nil || got["ai_knowledge_hit_rate"] != nil || got["ai_session_reply_cnt"] != 0.0 {
		t.Errorf("nothing was answered: got %v, want no rates", got)
	}
}

func TestStatisticPeriods(t *testing.T) {
	r := newRig(t, Config{})
	r.staff()
	r.says(ann, "hi")
	_, err := r.AddAccount(Account{OpenKfID: "wkTWO"})
	r.must(err)
	_, err = r.CustomerSays("wkTWO", ann, "hi")
	r.must(err)
	r.Clock().Set(midnight(1))
	r.token = r.getToken("secret-one")
	const corp, servicer = "kf/get_corp_statistic", "kf/get_servicer_statistic"
	if got := figures(t, r.statistic(corp, 0, 0, nil)); got != nil {
		t.Errorf("at midnight yesterday has figures: %v", got)
	}
	r.must(r.SetPersonality(Personality{StatisticHour: -1}))
	if got := figures(t, r.statistic(corp, 0, 0, nil)); got == nil {
		t.Error("statistic_hour -1: yesterday has no figures at midnight")
	}
	r.Clock().Set(midnight(190).Add(time.Hour))
	r.token = r.getToken("secret-one")
	sec := func(day, second int) int64 { return midnight(day).Unix() + int64(second) }
	for _, path := range []string{corp, servicer} {
		for _, c := range []struct {
			name       string
			start, end any
			want, days int
		}{
			{"yesterday", sec(189, 0), sec(189, 0), 0, 1},
			{"yesterday's last second", sec(189, 0), sec(189, 86399), 0, 1},
			{"rounded down to the day", sec(188, 5), sec(189, 1), 0, 2},
			{"31 days", sec(159, 0), sec(189, 0), 0, 31},
			{"32 days", sec(158, 0), sec(189, 0), 40058, 0},
			{"today", sec(189, 0), sec(190, 0), 40058, 0},
			{"180 days back", sec(10, 0), sec(11, 0), 0, 2},
			{"181 days back", sec(9, 0), sec(11, 0), 40058, 0},
			{"backwards", sec(189, 0), sec(188, 0), 40058, 0},
			{"no start", nil, sec(189, 0), 40058, 0},
			{"no end", sec(189, 0), nil, 40058, 0},
			{"a text", "yesterday", sec(189, 0), 40058, 0},
		} {
			got := r.post(path, obj{"open_kfid": kf, "start_time": c.start, "end_time": c.end})
			r.wantCode(path+" "+c.name, got, c.want)
			if rows := got.rows("statistic_list"); len(rows) != c.days || c.days > 0 && rows[0]["statistic"] != nil {
				t.Errorf("%s: got %v, want %d days without data", c.name, rows, c.days)
			}
		}
		r.wantCode(path+" unknown account", r.statistic(path, 189, 189, obj{"open_kfid": "wkX"}), 95004)
	}
	r.wantCode("servicers need an account", r.statistic(servicer, 189, 189, obj{"open_kfid": ""}), 40058)
	r.wantCode("unknown servicer", r.statistic(servicer, 189, 189, obj{"servicer_userid": "nobody"}), 60111)
	r.wantCode("whole corp", r.statistic(corp, 189, 189, obj{"open_kfid": ""}), 0)
	r.must(r.SetPersonality(Personality{StatisticNeedsAccount: true, StatisticCode: 7}))
	r.wantCode("whole corp, by a switch", r.statistic(corp, 189, 189, obj{"open_kfid": ""}), 40058)
	r.wantCode("today, by a switch", r.statistic(corp, 190, 190, nil), 7)
	r.Clock().Set(midnight(2))
	r.token = r.getToken("secret-one")
	r.must(r.SetPersonality(Personality{}))
	if got := figures(t, r.statistic(corp, 0, 0, obj{"open_kfid": ""})); got["session_cnt"] != 2.0 || got["customer_cnt"] != 1.0 {
		t.Errorf("whole corp: got %v, want 2 sessions of 1 customer", got)
	}
}

// TestStatisticsAddUpToTheJournal lets people act at random over some days and counts again, from the
// journal alone.
func TestStatisticsAddUpToTheJournal(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 7))
	r := newRig(t, Config{})
	r.enterState(stateNew)
	const days = 4
	for r.Clock().Now().Before(midnight(days)) {
		r.jump(time.Duration(dice.IntN(90)) * time.Minute)
		user := []string{ann, bob}[dice.IntN(2)]
		who := []string{"lisi", "wang"}[dice.IntN(2)]
		act := ServicerAct{OpenKfID: kf, ExternalUserID: user, UserID: who, ToUserID: "lisi"}
		switch dice.IntN(9) { // what is refused is not counted
		case 0, 1, 2:
			r.says(user, "hi")
		case 3:
			r.post("kf/send_msg", obj{"touser": user, "open_kfid": kf, "msgtype": "text", "text": obj{"content": "x"}})
		case 4:
			r.post("kf/service_state/trans", obj{"open_kfid": kf, "external_userid": user, "service_state": 1 + dice.IntN(4), "servicer_userid": who})
		case 5:
			_ = r.PickUp(act)
		case 6, 7:
			_, _ = r.ServicerSay(ServicerSay{OpenKfID: kf, ExternalUserID: user, UserID: who, Text: "yes"})
		case 8:
			_ = r.End(act)
		}
	}
	r.Clock().Set(midnight(days + 1))
	r.token = r.getToken("secret-one")
	corp := r.statistic("kf/get_corp_statistic", 0, days-1, nil).rows("statistic_list")
	servicers := r.statistic("kf/get_servicer_statistic", 0, days-1, nil).rows("statistic_list")
	want := recount(r.Journal())
	for d := range days {
		for kind, rows := range map[string][]answered{"corp": corp, "servicers": servicers} {
			got, _ := rows[d]["statistic"].(map[string]any)
			expected := want[midnight(d).Unix()][kind]
			if len(expected) == 0 {
				t.Errorf("day %d, %s: nothing to compare with", d, kind)
			}
			for name, n := range expected {
				if g, _ := got[name].(float64); math.Abs(g-n) > 1e-9 {
					t.Errorf("day %d, %s: got %s %v, want %v", d, kind, name, got[name], n)
				}
			}
		}
	}
}

// recount is the figures of each day, out of a journal.
func recount(journal []Entry) map[int64]map[string]map[string]float64 {
	type key struct {
		user string
		n    int
	}
	type day struct {
		messages, held                           float64
		wrote, replied, moved, handled, answered map[key]bool
	}
	state, holder, session := map[string]string{}, map[string]string{}, map[string]int{}
	perDay := map[int64]*day{}
	for _, e := range journal {
		d := perDay[dayOf(e.Time).Unix()]
		if d == nil {
			d = &day{wrote: map[key]bool{}, replied: map[key]bool{}, moved: map[key]bool{}, handled: map[key]bool{}, answered: map[key]bool{}}
			perDay[dayOf(e.Time).Unix()] = d
		}
		user := e.ExternalUserID
		here := key{user, session[user]}
		switch {
		case e.Kind == KindState:
			from, to, _ := strings.Cut(e.Change, "->")
			if from == "4" && e.ServicerUserID == "" {
				session[user]++
				here.n++
			}
			if (from == "0" || from == "1") && (to == "2" || to == "3") {
				d.moved[here] = true
			}
			if to == "3" {
				holder[user] = e.ServicerUserID
				d.handled[here] = true
			}
			state[user] = to
		case e.Kind == KindItem && e.MsgType != "event" && e.ServicerUserID == "":
			d.messages++
			d.wrote[here] = true
			if state[user] == "3" {
				d.held++
				d.handled[here] = true
			}
		case e.Kind == KindItem && e.MsgType != "event":
			d.handled[here], d.answered[here] = true, true
		case e.Kind == KindSend && e.Path == "kf/send_msg":
			d.replied[here] = true
		}
	}
	people := func(set map[key]bool) float64 {
		seen := map[string]bool{}
		for k := range set {
			seen[k.user] = true
		}
		return float64(len(seen))
	}
	out := map[int64]map[string]map[string]float64{}
	for at, d := range perDay {
		transferred := 0.0
		for k := range d.replied {
			if d.moved[k] {
				transferred++
			}
		}
		out[at] = map[string]map[string]float64{
			"corp": {"session_cnt": float64(len(d.wrote)), "customer_cnt": people(d.wrote), "customer_msg_cnt": d.messages,
				"ai_session_reply_cnt": float64(len(d.replied)), "ai_transfer_rate": transferred / max(1, float64(len(d.replied)))},
			"servicers": {"session_cnt": float64(len(d.handled)), "customer_cnt": people(d.handled), "customer_msg_cnt": d.held,
				"reply_rate": float64(len(d.answered)) / max(1, float64(len(d.handled)))},
		}
	}
	return out
}
