package kfsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// ServicerState is whether a servicer takes sessions.
type ServicerState string

// States of a servicer.
const (
	ServicerReceiving ServicerState = "receiving"
	ServicerStopped   ServicerState = "stopped"
	ServicerSuspended ServicerState = "suspended" // stopped for a while
)

// Servicer is a member of the corp who answers customers at one account.
type Servicer struct {
	OpenKfID string        `json:"open_kfid"`
	UserID   string        `json:"userid"`           // 1–64 bytes
	Status   ServicerState `json:"status,omitempty"` // receiving (default), stopped, suspended
}

type servicer struct {
	userID string
	status ServicerState
	direct bool // by themselves, not only by a department
}

// servicer finds who answers customers at the account, by themselves or by a department.
func (a *account) servicer(userID string) *servicer {
	member := a.inDepartments(userID)
	for _, m := range a.servicers {
		if m.userID == userID && (m.direct || member) {
			return m
		}
	}
	if !member {
		return nil
	}
	m := &servicer{userID: userID, status: ServicerReceiving}
	a.servicers = append(a.servicers, m)
	return m
}

func validStatus(status ServicerState) error {
	if !slices.Contains([]ServicerState{ServicerReceiving, ServicerStopped, ServicerSuspended}, status) {
		return fmt.Errorf("status is %q; use receiving, stopped or suspended", status)
	}
	return nil
}

// AddServicer makes a member of the corp a servicer of an account.
func (s *Sim) AddServicer(m Servicer) error {
	or(&m.Status, ServicerReceiving)
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.st.account(m.OpenKfID)
	if err != nil {
		return err
	}
	if err := validStatus(m.Status); err != nil {
		return err
	}
	if m.UserID == "" || len(m.UserID) > 64 {
		return errors.New("userid is missing or has more than 64 bytes")
	}
	if a.servicer(m.UserID) != nil {
		return fmt.Errorf("servicer %s is there already", m.UserID)
	}
	a.servicers = append(a.servicers, &servicer{m.UserID, m.Status, true})
	a.corp.members[m.UserID] = true
	s.journal.add(Entry{Kind: KindServicer, CorpID: a.CorpID, OpenKfID: a.OpenKfID, ServicerUserID: m.UserID, Reason: string(m.Status)})
	return nil
}

// ServicerStatus changes whether a servicer takes sessions, with the event servicer_status_change.
func (s *Sim) ServicerStatus(m Servicer) error {
	if err := validStatus(m.Status); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.st.account(m.OpenKfID)
	if err != nil {
		return err
	}
	who := a.servicer(m.UserID)
	if who == nil {
		return fmt.Errorf("servicer %q is unknown at account %s; add them first", clip(m.UserID, 64), a.OpenKfID)
	}
	who.status = m.Status
	s.journal.add(Entry{Kind: KindServicer, CorpID: a.CorpID, OpenKfID: a.OpenKfID, ServicerUserID: m.UserID, Reason: string(m.Status)})
	fields := []field{str("servicer_userid", m.UserID)}
	switch m.Status { // 1 receiving, 2 stopped; stop_type 0 stopped, 1 suspended
	case ServicerReceiving:
		fields = append(fields, num("status", 1))
	case ServicerStopped:
		fields = append(fields, num("status", 2), num("stop_type", 0))
	case ServicerSuspended:
		fields = append(fields, num("status", 2), num("stop_type", 1))
	}
	s.addEvent(a, "servicer_status_change", "", fields...)
	return nil
}

// ServicerAct is something a servicer does to a session in the WeCom client.
type ServicerAct struct {
	OpenKfID       string `json:"open_kfid"`
	ExternalUserID string `json:"external_userid"`
	UserID         string `json:"userid"`              // who does it
	ToUserID       string `json:"to_userid,omitempty"` // of Transfer: who shall have it
}

// change types of session_status_change
const (
	changePickedUp    = 1
	changeTransferred = 2
	changeEnded       = 3
	changeReentered   = 4
)

// PickUp takes a session out of the pool: state 2 -> 3, with session_status_change 1.
func (s *Sim) PickUp(act ServicerAct) error {
	return s.act(act, func(v *conversation, state int) error {
		if state != statePool {
			return fmt.Errorf("pick up: the session is in state %d, not in the pool (2)", state)
		}
		s.setState(v, stateHuman, act.UserID, 0)
		v.humanCoded = true
		s.sessionEvent(v, changePickedUp, "", act.UserID, s.newCode(v, codeHuman))
		return nil
	})
}

// Transfer gives a session to another servicer, with session_status_change 2.
func (s *Sim) Transfer(act ServicerAct) error {
	return s.act(act, func(v *conversation, state int) error {
		if state != stateHuman || v.servicer != act.UserID {
			return fmt.Errorf("transfer: %s does not hold the session", act.UserID)
		}
		if act.ToUserID == act.UserID || v.account.servicer(act.ToUserID) == nil {
			return errors.New("transfer: to_userid must be another servicer of the account")
		}
		s.setState(v, stateHuman, act.ToUserID, 0)
		s.sessionEvent(v, changeTransferred, act.UserID, act.ToUserID, "")
		return nil
	})
}

// End ends a session: state 3 -> 4, with session_status_change 3.
func (s *Sim) End(act ServicerAct) error {
	return s.act(act, func(v *conversation, state int) error {
		if state != stateHuman || v.servicer != act.UserID {
			return fmt.Errorf("end: %s does not hold the session", act.UserID)
		}
		s.setState(v, stateEnded, "", 0)
		s.sessionEvent(v, changeEnded, act.UserID, "", s.newCode(v, codeClosing))
		return nil
	})
}

// act finds the conversation and the servicer, and lets do.
func (s *Sim) act(act ServicerAct, do func(v *conversation, state int) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.st.conversation(act.OpenKfID, act.ExternalUserID)
	if err != nil {
		return err
	}
	if v.account.servicer(act.UserID) == nil {
		return fmt.Errorf("servicer %q is unknown at account %s; add them first", clip(act.UserID, 64), act.OpenKfID)
	}
	return do(v, v.stateAt(s.clock.Now()))
}

// sessionEvent is session_status_change; empty ids and codes are left out.
func (s *Sim) sessionEvent(v *conversation, change int64, from, to, code string) {
	fields := []field{num("change_type", change)}
	for _, f := range []struct{ name, value string }{{"old_servicer_userid", from}, {"new_servicer_userid", to}, {"msg_code", code}} {
		if f.value != "" {
			fields = append(fields, str(f.name, f.value))
		}
	}
	s.addEvent(v.account, "session_status_change", v.customer.ExternalUserID, fields...)
}

// ServicerSay is a message that a servicer types in the WeCom client.
type ServicerSay struct {
	OpenKfID       string          `json:"open_kfid"`
	ExternalUserID string          `json:"external_userid"`
	UserID         string          `json:"userid"`
	MsgType        string          `json:"msgtype"`          // text when empty
	Body           json.RawMessage `json:"body,omitempty"`   // as sync_msg serves it
	Text           string          `json:"text,omitempty"`   // instead of a body of type text
	Sample         bool            `json:"sample,omitempty"` // instead of a body, as in Say
}

// ServicerSay sends a servicer's message to the customer and into the account's history, and returns
// its msgid. Whoever held the session before, or writes into one that has ended, takes it back:
// state 3, with session_status_change 4 before the message.
func (s *Sim) ServicerSay(m ServicerSay) (msgID string, err error) {
	say, err := checkSay(Say{MsgType: m.MsgType, Body: m.Body, Text: m.Text, Sample: m.Sample})
	if err != nil {
		return "", err
	}
	err = s.act(ServicerAct{OpenKfID: m.OpenKfID, ExternalUserID: m.ExternalUserID, UserID: m.UserID}, func(v *conversation, state int) error {
		if say, err = s.sampled(v.account.corp, say); err != nil {
			return err
		}
		switch {
		case state == stateHuman && v.servicer == m.UserID:
		case state == stateEnded && v.begun, state == stateHuman && slices.Contains(v.past, m.UserID):
			old := v.servicer
			s.setState(v, stateHuman, m.UserID, 0)
			v.activeAt = s.clock.Now()
			s.sessionEvent(v, changeReentered, old, m.UserID, "")
		default:
			return fmt.Errorf("servicer says: %s does not hold the session (state %d); pick it up or have it transferred first", m.UserID, state)
		}
		if s.p.ServicerMessagesCount {
			v.used++
		}
		s.recordAnswer(v)
		it := s.addMessage(v.account, m.ExternalUserID, originServicer, m.UserID, say.MsgType, say.Body)
		s.show(v, PhoneMessage{MsgID: it.id, From: FromServicer, ServicerUserID: m.UserID, MsgType: say.MsgType, Body: say.Body})
		msgID = it.id
		return nil
	})
	return msgID, err
}

// Reject is a servicer's choice about one customer.
type Reject struct {
	OpenKfID       string `json:"open_kfid"`
	ExternalUserID string `json:"external_userid"`
	UserID         string `json:"userid"`
	On             bool   `json:"on"`
}

// RejectCustomer lets a servicer refuse a customer's messages, or take them again, with the event
// reject_customer_msg_switch_change.
func (s *Sim) RejectCustomer(m Reject) error {
	return s.act(ServicerAct{OpenKfID: m.OpenKfID, ExternalUserID: m.ExternalUserID, UserID: m.UserID}, func(v *conversation, _ int) error {
		on := int64(0)
		if m.On {
			on = 1
		}
		if m.On {
			s.record(v, fact{kind: factRejected, servicer: m.UserID})
		}
		s.addEvent(v.account, "reject_customer_msg_switch_change", m.ExternalUserID, str("servicer_userid", m.UserID), num("reject_switch", on))
		return nil
	})
}
