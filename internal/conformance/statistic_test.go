package conformance

import (
	"time"

	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

func statisticCalls() map[string]func(*world) {
	return map[string]func(*world){"kf/get_corp_statistic": corpStatistic, "kf/get_servicer_statistic": servicerStatistic}
}

// day is the local midnight that many days from the first one.
func day(n int) int64 {
	return time.Date(2026, 1, 2+n, 0, 0, 0, 0, time.FixedZone("UTC+8", 8*3600)).Unix()
}

// aDay is what happens on the first day: three sessions of two customers, one of which a servicer takes over.
func (w *world) aDay() {
	w.t.Helper()
	w.upgrades(false)
	w.servicer("lisi", kfsim.ServicerReceiving)
	got(w.AddAccount(kfsim.Account{OpenKfID: "wkOTHER"}))(w)
	got(w.CustomerSays("wkOTHER", bob, "at another account"))(w)
	act := kfsim.ServicerAct{OpenKfID: desk, ExternalUserID: ann, UserID: "lisi"}
	got(w.c.KnowledgeAddIntent(w.t.Context(), w.token, intent(w, "returns?", nil)))(w)

	w.says(ann, "returns?")
	w.send(ann, "", kfapi.Text{Content: "use the form"})
	w.says(ann, "something else?")
	w.trans(kfapi.StatePool, "")
	w.must(w.PickUp(act))
	w.Clock().Advance(17 * time.Second)
	got(w.ServicerSay(kfsim.ServicerSay{OpenKfID: desk, ExternalUserID: ann, UserID: "lisi", Text: "hello"}))(w)
	w.says(ann, "thanks")
	w.must(w.Rate(kfsim.Rating{OpenKfID: desk, ExternalUserID: ann, UserID: "lisi", Rating: kfsim.RatingSatisfied}))
	w.must(w.Rate(kfsim.Rating{OpenKfID: desk, ExternalUserID: ann, UserID: "lisi"}))
	got(w.c.CustomerUpgradeService(w.t.Context(), w.token, kfapi.UpgradeToMember(desk, ann, "lisi", "")))(w)
	w.must(w.AcceptUpgrade(kfsim.Contact{OpenKfID: desk, ExternalUserID: ann}))
	got(w.c.CustomerUpgradeService(w.t.Context(), w.token, kfapi.UpgradeToGroupChat(desk, ann, "wrGROUP", "")))(w)
	w.must(w.RejectCustomer(kfsim.Reject{OpenKfID: desk, ExternalUserID: ann, UserID: "lisi", On: true}))
	w.must(w.End(act))
	w.says(bob, "hello")
	w.send(bob, "", kfapi.Text{Content: "hi"})
	w.says(ann, "back again")
}

func corpStatistic(w *world) {
	w.aDay()
	ask := func(openKfID string) []kfapi.CorpDay {
		r := got(w.c.GetCorpStatistic(w.t.Context(), w.token, kfapi.GetCorpStatisticRequest{OpenKfID: openKfID, StartTime: day(-1) + 3600, EndTime: day(0) + 7}))(w)
		w.fine(r.Reply)
		return r.StatisticList
	}
	w.later(18 * time.Hour) // 05:04 on the next day: yesterday has no figures yet
	same(w.t, "before 6 o'clock", ask(desk), []kfapi.CorpDay{{StatTime: day(-1)}, {StatTime: day(0)}})
	w.later(time.Hour)
	want := kfapi.CorpStatistic{
		SessionCnt: ptr[int64](3), CustomerCnt: ptr[int64](2), CustomerMsgCnt: ptr[int64](5), UpgradeServiceCustomerCnt: ptr[int64](1), AISessionReplyCnt: ptr[int64](2),
		AITransferRate: ptr(0.5), AIKnowledgeHitRate: ptr(0.25), MsgRejectedCustomerCnt: ptr[int64](1),
	}
	same(w.t, "the account", ask(desk), []kfapi.CorpDay{{StatTime: day(-1)}, {StatTime: day(0), Statistic: &want}})
	other := ask("wkOTHER")[1].Statistic
	same(w.t, "what cannot be computed is missing", other.AITransferRate, nil)
	all := ask("")[1].Statistic
	same(w.t, "messages of both accounts are the corp's", *all.CustomerMsgCnt, *want.CustomerMsgCnt+*other.CustomerMsgCnt)
	same(w.t, "and its sessions", *all.SessionCnt, *want.SessionCnt+*other.SessionCnt)
	written := 0
	for _, e := range w.Journal() {
		if e.Kind == kfsim.KindItem && e.OpenKfID == desk && e.EventType == "" && e.ServicerUserID == "" {
			written++
		}
	}
	same(w.t, "messages in the journal", int64(written), *want.CustomerMsgCnt)
}

func servicerStatistic(w *world) {
	w.aDay()
	w.later(19 * time.Hour)
	want := kfapi.ServicerStatistic{
		SessionCnt: ptr[int64](1), CustomerCnt: ptr[int64](1), CustomerMsgCnt: ptr[int64](1), ReplyRate: ptr(1.0), FirstReplyAverageSec: ptr(17.0),
		SatisfactionInvestigateCnt: ptr[int64](2), SatisfactionParticipationRate: ptr(0.5), SatisfiedRate: ptr(1.0), MiddlingRate: ptr(0.0), DissatisfiedRate: ptr(0.0),
		UpgradeServiceCustomerCnt: ptr[int64](1), UpgradeServiceMemberInviteCnt: ptr[int64](1), UpgradeServiceMemberCustomerCnt: ptr[int64](1),
		UpgradeServiceGroupChatInviteCnt: ptr[int64](1), UpgradeServiceGroupChatCustomerCnt: ptr[int64](0), MsgRejectedCustomerCnt: ptr[int64](1),
	}
	for _, who := range []string{"lisi", "", "wang"} {
		r := got(w.c.GetServicerStatistic(w.t.Context(), w.token, kfapi.GetServicerStatisticRequest{OpenKfID: desk, ServicerUserID: who, StartTime: day(0), EndTime: day(0)}))(w)
		w.fine(r.Reply)
		row := kfapi.ServicerDay{StatTime: day(0), Statistic: &want}
		if who == "wang" {
			row.Statistic = nil
		}
		same(w.t, "figures of "+who, r.StatisticList, []kfapi.ServicerDay{row})
	}
}
