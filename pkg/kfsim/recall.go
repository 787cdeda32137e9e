package kfsim

import (
	"errors"
	"fmt"
)

// recallMsg takes back a message that this app sent on this account less than 2 minutes ago. The
// message stays counted.
func (r *request) recallMsg() answer {
	var req struct {
		MsgID    string `json:"msgid"`
		OpenKfID string `json:"open_kfid"`
	}
	if a, good := r.decode(&req); !good {
		return a
	}
	r.entry.MsgID = known(req.MsgID)
	acc, a := r.account(req.OpenKfID)
	if a.code != 0 {
		return a
	}
	if req.MsgID == "" {
		return refuse(40058, "msgid is missing")
	}
	m := acc.msgIDs[req.MsgID]
	switch {
	case m == nil:
		return refuse(95028, "no such message was sent on this account")
	case m.App != r.app+1:
		return refuse(40058, "the message was sent by another app")
	case !m.RecalledAt.IsZero():
		return refuse(r.sim.p.RecallTwiceCode, "the message has been recalled already")
	case !within(m.Time, recallLength, r.now):
		return refuse(95029, "the message was sent 2 minutes ago or earlier")
	}
	r.entry.ExternalUserID = m.ExternalUserID
	m.RecalledAt = r.now
	r.sim.journal.add(Entry{Kind: KindRecall, Call: r.entry.Call, CorpID: acc.CorpID, OpenKfID: acc.OpenKfID, ExternalUserID: m.ExternalUserID, MsgID: m.MsgID, Reason: "by the API", Effect: true})
	r.sim.takeBack(m.v, m.phone, NoticeAccountRecalled)
	return ok(nil)
}

// Recall is a message taken back by a person.
type Recall struct {
	OpenKfID       string `json:"open_kfid"`
	ExternalUserID string `json:"external_userid"`
	MsgID          string `json:"msgid"`
}

// Recall lets a customer take back a message of theirs, within 2 minutes. The message stays in the
// history; the event user_recall_msg names it.
func (s *Sim) Recall(r Recall) error {
	return s.recall(r, originCustomer, NoticeCustomerRecalled, "user_recall_msg", "by the customer")
}

// ServicerRecall lets the servicer who wrote a message take it back, within 2 minutes, with the
// event servicer_recall_msg.
func (s *Sim) ServicerRecall(r Recall) error {
	return s.recall(r, originServicer, NoticeAccountRecalled, "servicer_recall_msg", "by a servicer")
}

func (s *Sim) recall(r Recall, origin int, notice, event, by string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.st.conversation(r.OpenKfID, r.ExternalUserID)
	if err != nil {
		return err
	}
	it := v.account.items[r.MsgID]
	m := v.phone.byID[r.MsgID]
	switch {
	case it == nil || m == nil || it.origin != origin || it.customer != r.ExternalUserID:
		return fmt.Errorf("recall: there is no message %q %s in this conversation; GET /phone lists them", clip(r.MsgID, 64), by)
	case m.Recalled:
		return errors.New("recall: the message has been recalled already")
	case !within(it.at, recallLength, s.clock.Now()):
		return errors.New("recall: the message is older than 2 minutes")
	}
	s.takeBack(v, m, notice)
	s.journal.add(Entry{Kind: KindRecall, CorpID: v.account.CorpID, OpenKfID: r.OpenKfID, ExternalUserID: r.ExternalUserID, MsgID: r.MsgID, Reason: by})
	more := []field{str("recall_msgid", r.MsgID)}
	if origin == originServicer {
		more = append(more, str("servicer_userid", m.ServicerUserID))
	}
	s.addEvent(v.account, event, r.ExternalUserID, more...)
	return nil
}
