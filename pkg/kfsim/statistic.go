package kfsim

import (
	"slices"
	"time"
)

const (
	maxStatisticDays = 31  // in one call: path/95489
	statisticHistory = 180 // days: path/95489
)

// dayOf is the local midnight, at UTC+8, at which the day of t begins.
func dayOf(t time.Time) time.Time {
	t = t.In(time.FixedZone("UTC+8", 8*3600))
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, t.Location())
}

type statisticRequest struct {
	OpenKfID string `json:"open_kfid"`
	Servicer string `json:"servicer_userid"`
	Start    int64  `json:"start_time"`
	End      int64  `json:"end_time"`
}

// days lists the days of a period, which is closed, and refuses one that statistics do not take.
func (r *request) days(q statisticRequest) ([]time.Time, answer) {
	today, code := dayOf(r.now), r.sim.p.StatisticCode
	first, last := dayOf(time.Unix(q.Start, 0)), dayOf(time.Unix(q.End, 0))
	switch {
	case q.Start <= 0 || q.End <= 0:
		return nil, refuse(code, "start_time or end_time is missing")
	case q.End < q.Start:
		return nil, refuse(code, "end_time lies before start_time")
	case !last.Before(today):
		return nil, refuse(code, "end_time does not lie before today, at UTC+8")
	case first.Before(today.AddDate(0, 0, -statisticHistory)):
		return nil, refuse(code, "start_time lies more than 180 days back")
	case last.AddDate(0, 0, 1-maxStatisticDays).After(first):
		return nil, refuse(code, "the period has more than 31 days")
	}
	var list []time.Time
	for d := first; !d.After(last); d = d.AddDate(0, 0, 1) {
		list = append(list, d)
	}
	return list, answer{}
}

// statistics answers with one row a day; day is what the figures of some facts are.
func (r *request) statistics(accounts []*account, days []time.Time, wanted func(fact) bool, day func([]fact) any) answer {
	byDay := map[int64][]fact{}
	for _, a := range accounts {
		for _, f := range a.facts {
			if wanted(f) {
				at := dayOf(f.at).Unix()
				byDay[at] = append(byDay[at], f)
			}
		}
	}
	type row struct {
		StatTime  int64 `json:"stat_time"`
		Statistic any   `json:"statistic,omitempty"` // none for a day without data
	}
	rows := []row{}
	for _, d := range days {
		w := row{StatTime: d.Unix()}
		ready := d.AddDate(0, 0, 1).Add(time.Duration(max(0, r.sim.p.StatisticHour)) * time.Hour)
		if facts := byDay[d.Unix()]; len(facts) > 0 && !r.now.Before(ready) {
			w.Statistic = day(facts)
		}
		rows = append(rows, w)
	}
	return ok(struct {
		List []row `json:"statistic_list"`
	}{rows})
}

// corpStatistic: https://developer.work.weixin.qq.com/document/path/95489
func (r *request) corpStatistic() answer {
	var req statisticRequest
	if a, good := r.decode(&req); !good {
		return a
	}
	accounts := r.corp.accounts
	if req.OpenKfID != "" || r.sim.p.StatisticNeedsAccount {
		acc, a := r.account(req.OpenKfID)
		if a.code != 0 {
			return a
		}
		accounts = []*account{acc}
	}
	days, a := r.days(req)
	if a.code != 0 {
		return a
	}
	return r.statistics(accounts, days, fact.ofCorp, corpDay)
}

// servicerStatistic: https://developer.work.weixin.qq.com/document/path/95490
func (r *request) servicerStatistic() answer {
	var req statisticRequest
	if a, good := r.decode(&req); !good {
		return a
	}
	acc, a := r.account(req.OpenKfID)
	if a.code != 0 {
		return a
	}
	if req.Servicer != "" && !r.corp.members[req.Servicer] {
		return refuse(60111, "the corp has no such member")
	}
	days, a := r.days(req)
	if a.code != 0 {
		return a
	}
	return r.statistics([]*account{acc}, days, func(f fact) bool {
		return f.servicer != "" && (req.Servicer == "" || f.servicer == req.Servicer)
	}, servicerDay)
}

// ofCorp picks what the corp's figures are made of.
func (f fact) ofCorp() bool {
	return slices.Contains([]factKind{factWrote, factReplied, factMoved, factRejected, factJoined}, f.kind)
}

// countFacts is how many facts fit.
func countFacts(facts []fact, fits func(fact) bool) (n int) {
	for _, f := range facts {
		if fits(f) {
			n++
		}
	}
	return n
}

func ofKind(kinds ...factKind) func(fact) bool {
	return func(f fact) bool { return slices.Contains(kinds, f.kind) }
}

func ofDetail(kind factKind, detail int) func(fact) bool {
	return func(f fact) bool { return f.kind == kind && f.detail == detail }
}

// sessionKey names a session among all.
type sessionKey struct {
	v *conversation
	n int
}

func sessionsOf(facts []fact, fits func(fact) bool) map[sessionKey]bool {
	set := map[sessionKey]bool{}
	for _, f := range facts {
		if fits(f) {
			set[sessionKey{f.v, f.session}] = true
		}
	}
	return set
}

// customersOf is how many different customers the fitting facts are about.
func customersOf(facts []fact, fits func(fact) bool) int {
	set := map[*customer]bool{}
	for _, f := range facts {
		if fits(f) {
			set[f.v.customer] = true
		}
	}
	return len(set)
}

// share is part/whole, or nothing when there is no whole: then the field is missing.
func share(part, whole int) *float64 {
	if whole == 0 {
		return nil
	}
	f := float64(part) / float64(whole)
	return &f
}

// corpDay is the figures of one day.
func corpDay(facts []fact) any {
	replied, moved := sessionsOf(facts, ofKind(factReplied)), sessionsOf(facts, ofKind(factMoved))
	transferred := 0
	for s := range replied {
		if moved[s] {
			transferred++
		}
	}
	questions := countFacts(facts, func(f fact) bool { return f.question })
	return struct {
		Sessions  int      `json:"session_cnt"`
		Customers int      `json:"customer_cnt"`
		Messages  int      `json:"customer_msg_cnt"`
		Upgraded  int      `json:"upgrade_service_customer_cnt"`
		Replied   int      `json:"ai_session_reply_cnt"`
		Transfer  *float64 `json:"ai_transfer_rate,omitempty"`
		Hits      *float64 `json:"ai_knowledge_hit_rate,omitempty"`
		Rejected  int      `json:"msg_rejected_customer_cnt"`
	}{
		len(sessionsOf(facts, ofKind(factWrote))), customersOf(facts, ofKind(factWrote)), countFacts(facts, ofKind(factWrote)), customersOf(facts, ofKind(factJoined)),
		len(replied), share(transferred, len(replied)), share(countFacts(facts, func(f fact) bool { return f.hit }), questions), customersOf(facts, ofKind(factRejected)),
	}
}

// servicerDay is the figures of one day of one servicer, or of all.
func servicerDay(facts []fact) any {
	handled := ofKind(factWrote, factTaken, factAnswered)
	all := len(sessionsOf(facts, handled))
	var waited time.Duration
	for _, f := range facts {
		if f.first {
			waited += f.after
		}
	}
	var first *float64
	if n := countFacts(facts, func(f fact) bool { return f.first }); n > 0 {
		sec := waited.Seconds() / float64(n)
		first = &sec
	}
	asked, rated := countFacts(facts, ofKind(factAsked)), countFacts(facts, ofKind(factRated))
	return struct {
		Sessions       int      `json:"session_cnt"`
		Customers      int      `json:"customer_cnt"`
		Messages       int      `json:"customer_msg_cnt"`
		ReplyRate      *float64 `json:"reply_rate,omitempty"`
		FirstReply     *float64 `json:"first_reply_average_sec,omitempty"`
		Asked          int      `json:"satisfaction_investgate_cnt"`
		Participation  *float64 `json:"satisfaction_participation_rate,omitempty"`
		Satisfied      *float64 `json:"satisfied_rate,omitempty"`
		Middling       *float64 `json:"middling_rate,omitempty"`
		Dissatisfied   *float64 `json:"dissatisfied_rate,omitempty"`
		Upgraded       int      `json:"upgrade_service_customer_cnt"`
		MemberInvites  int      `json:"upgrade_service_member_invite_cnt"`
		MemberUpgraded int      `json:"upgrade_service_member_customer_cnt"`
		GroupInvites   int      `json:"upgrade_service_groupchat_invite_cnt"`
		GroupUpgraded  int      `json:"upgrade_service_groupchat_customer_cnt"`
		Rejected       int      `json:"msg_rejected_customer_cnt"`
	}{
		all, customersOf(facts, handled), countFacts(facts, ofKind(factWrote)), share(len(sessionsOf(facts, ofKind(factAnswered))), all), first,
		asked, share(rated, asked), share(countFacts(facts, ofDetail(factRated, 0)), rated), share(countFacts(facts, ofDetail(factRated, 1)), rated),
		share(countFacts(facts, ofDetail(factRated, 2)), rated), customersOf(facts, ofKind(factJoined)),
		countFacts(facts, ofDetail(factInvited, upgradeMember)), customersOf(facts, ofDetail(factJoined, upgradeMember)),
		countFacts(facts, ofDetail(factInvited, upgradeGroup)), customersOf(facts, ofDetail(factJoined, upgradeGroup)),
		customersOf(facts, ofKind(factRejected)),
	}
}
