package kfsim

import (
	"encoding/json"
	"slices"
	"time"
)

// Ways a message reached a customer.
const (
	ViaSend  = "send_msg"
	ViaReply = "send_msg_on_event"
)

// Send is one message that the platform accepted from the API.
type Send struct {
	Call           uint64    `json:"call"` // number of the API call
	Time           time.Time `json:"time"` // by the virtual clock
	Via            string    `json:"via"`  // send_msg or send_msg_on_event
	App            int       `json:"app"`  // which of the corp's secrets, from 1
	OpenKfID       string    `json:"open_kfid"`
	ExternalUserID string    `json:"external_userid"`
	MsgID          string    `json:"msgid"`
	MsgType        string    `json:"msgtype"`
	Window         string    `json:"window,omitempty"`     // the customer message it counts against; empty when it does not count
	Count          int       `json:"count,omitempty"`      // which of the window's five it was
	RecalledAt     time.Time `json:"recalled_at,omitzero"` // when it was taken back
	FailType       *int      `json:"fail_type,omitempty"`  // of msg_send_fail, when it failed later
	Repeat         bool      `json:"repeat,omitempty"`     // its msgid was used before; only with RepeatDeliver
}

// sent is a Send with what the platform keeps about it.
type sent struct {
	Send
	v     *conversation
	phone *PhoneMessage
}

type sendRequest struct {
	ToUser   string  `json:"touser"`
	OpenKfID string  `json:"open_kfid"`
	Code     string  `json:"code"`
	MsgID    *string `json:"msgid"`
	MsgType  string  `json:"msgtype"`
}

// decodeSend reads the common part and the raw bodies of both sending calls.
func (r *request) decodeSend() (req sendRequest, all map[string]json.RawMessage, a answer) {
	if a, good := r.decode(&all); !good {
		return req, nil, a
	}
	if a, good := r.decode(&req); !good {
		return req, nil, a
	}
	if req.MsgID != nil {
		r.entry.MsgID = known(*req.MsgID)
	}
	r.entry.MsgType = known(req.MsgType)
	return req, all, answer{}
}

// sendMsg checks in this order: account, shape, message type and body, customer, msgid, state,
// window, count, media. The platform's own order is not documented.
//
// https://developer.work.weixin.qq.com/document/path/94677
func (r *request) sendMsg() answer {
	req, all, a := r.decodeSend()
	if a.code != 0 {
		return a
	}
	acc, a := r.account(req.OpenKfID)
	if a.code != 0 {
		return a
	}
	r.entry.ExternalUserID = known(req.ToUser)
	if req.ToUser == "" {
		return refuse(r.sim.p.MissingUserCode, "touser is missing")
	}
	if a := checkMsgID(req.MsgID); a.code != 0 {
		return a
	}
	body, a := r.checkBody(req.MsgType, all)
	if a.code != 0 {
		return a
	}
	v, a := r.conversation(acc, req.ToUser)
	if a.code != 0 {
		return a
	}
	repeat := r.repeats(acc, req.MsgID)
	if repeat && !r.sim.p.QuotaBeforeMsgID && r.sim.p.RepeatedMsgID != RepeatDeliver {
		return r.answerRepeat(*req.MsgID)
	}
	var c rules
	if v != nil {
		c = v.rules
	}
	if code, why := c.refusal(r.now, r.sim.p); code != 0 {
		return refuse(code, why)
	}
	if repeat && r.sim.p.RepeatedMsgID != RepeatDeliver {
		return r.answerRepeat(*req.MsgID)
	}
	if a := r.lookUp(v, req.MsgType, body); a.code != 0 {
		return a
	}
	v.used++
	r.sim.record(v, fact{kind: factReplied})
	m := r.accept(v, req, body, Send{Via: ViaSend, Window: v.windowID(), Count: v.used, Repeat: repeat})
	if v.state == stateNew && !r.sim.p.StateStaysNew {
		r.sim.setState(v, stateBot, "", r.entry.Call)
	}
	return ok(struct {
		MsgID string `json:"msgid"`
	}{m.MsgID})
}

// sendMsgOnEvent: https://developer.work.weixin.qq.com/document/path/95122
func (r *request) sendMsgOnEvent() answer {
	req, all, a := r.decodeSend()
	if a.code != 0 {
		return a
	}
	if req.Code == "" {
		return refuse(r.sim.p.EventCodeMissing, "code is missing")
	}
	if a := checkMsgID(req.MsgID); a.code != 0 {
		return a
	}
	body, a := r.checkBody(req.MsgType, all, "text", "msgmenu")
	if a.code != 0 {
		return a
	}
	code := r.st.codes[req.Code]
	if code == nil || code.v.account.corp != r.corp {
		return refuse(r.sim.p.EventCodeBad, "the code was not given out here")
	}
	v := code.v
	r.entry.OpenKfID, r.entry.ExternalUserID = v.account.OpenKfID, v.customer.ExternalUserID
	if _, a := r.account(v.account.OpenKfID); a.code != 0 {
		return a
	}
	repeat := r.repeats(v.account, req.MsgID)
	if repeat && r.sim.p.RepeatedMsgID != RepeatDeliver {
		return r.answerRepeat(*req.MsgID)
	}
	if a := code.refusal(req.MsgType, r.now, r.sim.p); a.code != 0 {
		return a
	}
	if a := r.lookUp(v, req.MsgType, body); a.code != 0 {
		return a
	}
	code.used = true
	if code.kind == codeWelcome {
		v.welcomedAt = r.now
	}
	how := Send{Via: ViaReply, Repeat: repeat}
	if r.sim.p.EventRepliesCount {
		v.used++
		how.Window, how.Count = v.windowID(), v.used
	}
	m := r.accept(v, req, body, how)
	return ok(struct {
		MsgID string `json:"msgid"`
	}{m.MsgID})
}

func checkMsgID(id *string) answer {
	if id != nil && !wellFormedMsgID(*id) {
		return refuse(40058, "msgid is not 1 to 32 of 0-9 a-z A-Z _ -; leave it out to have one made")
	}
	return answer{}
}

// repeats reports whether a msgid was used on the account and is still remembered.
func (r *request) repeats(acc *account, id *string) bool {
	if id == nil {
		return false
	}
	old := acc.msgIDs[*id]
	return old != nil && within(old.Time, r.sim.p.MsgIDMemory, r.now)
}

func (r *request) answerRepeat(id string) answer {
	if r.sim.p.RepeatedMsgID == RepeatAccept {
		return ok(struct {
			MsgID string `json:"msgid"`
		}{id})
	}
	return refuse(r.sim.p.RepeatedMsgIDCode, "the msgid has been used on this account")
}

// lookUp checks what a body refers to: members, mini programs, media.
func (r *request) lookUp(v *conversation, msgType string, m outgoing) answer {
	if a := r.restricted(v, msgType, m); a.code != 0 {
		return a
	}
	if m.isCard {
		switch {
		case !r.corp.members[m.userID]:
			return refuse(60111, "the corp has no such member")
		case !within(v.typedAt, windowLength, r.now):
			return refuse(95024, "the customer wrote nothing in 48 hours; taps do not count")
		case within(v.cardAt, windowLength, r.now):
			return refuse(95025, "the customer got a business card in the last 48 hours")
		}
	}
	for _, id := range m.appIDs {
		if len(r.corp.MiniPrograms) > 0 && !slices.Contains(r.corp.MiniPrograms, id) {
			return refuse(90206, "the mini program is not linked to the corp")
		}
	}
	for _, ref := range m.media {
		if a := r.findMedia(ref); a.code != 0 {
			return a
		}
	}
	return answer{}
}

// accept records a message, shows it to the customer, and fails it when the customer refuses messages.
func (r *request) accept(v *conversation, req sendRequest, body outgoing, how Send) *sent {
	acc := v.account
	if body.isCard {
		v.cardAt = r.now
	}
	how.Call, how.Time, how.App, how.OpenKfID, how.ExternalUserID, how.MsgType = r.entry.Call, r.now, r.app+1, acc.OpenKfID, v.customer.ExternalUserID, req.MsgType
	if req.MsgID != nil {
		how.MsgID = *req.MsgID
	} else {
		how.MsgID = r.st.ids.opaque("", "out msgid", 32)
	}
	m := &sent{Send: how, v: v}
	acc.msgIDs[how.MsgID] = m
	r.st.sends = append(r.st.sends, m)
	r.entry.MsgID = how.MsgID
	r.sim.journal.add(Entry{Kind: KindSend, Call: how.Call, Path: r.entry.Path, CorpID: acc.CorpID, App: how.App, OpenKfID: acc.OpenKfID,
		ExternalUserID: how.ExternalUserID, MsgID: how.MsgID, MsgType: how.MsgType, Window: how.Window, Count: how.Count, Effect: true})
	m.phone = r.sim.show(v, PhoneMessage{MsgID: how.MsgID, From: FromAccount, MsgType: how.MsgType, Body: body.visible, Via: how.Via})
	if r.sim.p.CallbackOnSend {
		r.sim.doorbell(acc)
	}
	if v.blocked {
		r.sim.fail(m, failRefused)
	}
	return m
}

// fail_type of msg_send_fail for a customer who refuses messages.
const failRefused = 10

// fail takes an accepted message away from the customer and tells the account with msg_send_fail.
// Its place among the five stays used.
func (s *Sim) fail(m *sent, failType int) {
	m.FailType = &failType
	m.phone.FailType = &failType
	s.phones.changed(m.OpenKfID, m.ExternalUserID)
	s.journal.add(Entry{Kind: KindFail, Call: m.Call, CorpID: m.v.account.CorpID, OpenKfID: m.OpenKfID, ExternalUserID: m.ExternalUserID, MsgID: m.MsgID, FailType: failType})
	s.addEvent(m.v.account, "msg_send_fail", m.ExternalUserID, str("fail_msgid", m.MsgID), num("fail_type", int64(failType)))
}
