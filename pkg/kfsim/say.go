package kfsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Say is a message that a customer sends to an account.
type Say struct {
	OpenKfID       string          `json:"open_kfid"`
	ExternalUserID string          `json:"external_userid"`
	MsgType        string          `json:"msgtype"`          // any; text when empty
	Body           json.RawMessage `json:"body,omitempty"`   // what stands under the msgtype's name, passed on byte for byte
	Text           string          `json:"text,omitempty"`   // instead of a body of type text
	Sample         bool            `json:"sample,omitempty"` // instead of a body: one that is well formed, of any type the platform is known to have
}

// Say lets a customer send a message and returns its msgid. It begins a session where none is, and a
// window of 48 hours and 5 messages.
func (s *Sim) Say(m Say) (msgID string, err error) {
	if m, err = checkSay(m); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.st.conversation(m.OpenKfID, m.ExternalUserID)
	if err != nil {
		return "", err
	}
	if m, err = s.sampled(v.account.corp, m); err != nil {
		return "", err
	}
	return s.say(v, m, false), nil
}

// CustomerSays is Say for a text.
func (s *Sim) CustomerSays(openKfID, externalUserID, content string) (msgID string, err error) {
	return s.Say(Say{OpenKfID: openKfID, ExternalUserID: externalUserID, Text: content})
}

func (s *Sim) say(v *conversation, m Say, tap bool) string {
	s.touch(v, tap)
	s.recordMessage(v, m)
	if s.oversize(v.account.corp, m) {
		m.MsgType, m.Body = "text", object(str("content", s.p.OversizeText))
	}
	it := s.addMessage(v.account, v.customer.ExternalUserID, originCustomer, "", m.MsgType, m.Body)
	s.show(v, PhoneMessage{MsgID: it.id, From: FromCustomer, MsgType: m.MsgType, Body: m.Body})
	return it.id
}

// oversize reports whether a message refers to a file that is too large to come in: the platform puts
// a text in its place.
//
// https://developer.work.weixin.qq.com/document/path/94670
func (s *Sim) oversize(c *corp, m Say) bool {
	limit := map[string]int{"image": 2 << 20, "voice": 2 << 20, "video": 10 << 20, "file": 20 << 20}[m.MsgType]
	var body struct {
		MediaID string `json:"media_id"`
	}
	if limit == 0 || json.Unmarshal(m.Body, &body) != nil {
		return false
	}
	file := c.media[body.MediaID]
	return file != nil && len(file.data) > limit
}

// checkSay fills in what is left out.
func checkSay(m Say) (Say, error) {
	or(&m.MsgType, "text")
	if m.Text != "" {
		if m.MsgType != "text" || m.Body != nil {
			return m, errors.New("say: give text for a text message, or msgtype and body")
		}
		m.Body = object(str("content", m.Text))
	}
	switch {
	case m.Sample && m.Body != nil:
		return m, errors.New("say: give a body or ask for a sample, not both")
	case m.Sample:
		return m, nil
	case m.MsgType == "event":
		return m, errors.New("say: a customer cannot say an event; use inject")
	case m.MsgType == "text" && m.Body == nil:
		return m, errors.New(`say: what? give text, or body as {"content":"…"}`)
	case m.Body != nil && !json.Valid(m.Body):
		return m, errors.New("say: the body is no JSON")
	}
	return m, nil
}

// Tap is a customer's tap on a click item of a menu they received.
type Tap struct {
	OpenKfID       string `json:"open_kfid"`
	ExternalUserID string `json:"external_userid"`
	MsgID          string `json:"msgid,omitempty"`   // of the menu; empty means the latest with such an item
	ID             string `json:"id,omitempty"`      // of the item, or
	Content        string `json:"content,omitempty"` // its content, for items without id
}

// Tap sends the text that a tap on a menu item sends, with menu_id, and returns its msgid.
func (s *Sim) Tap(t Tap) (msgID string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.st.conversation(t.OpenKfID, t.ExternalUserID)
	if err != nil {
		return "", err
	}
	for i := len(v.phone.messages) - 1; i >= 0; i-- {
		m := v.phone.messages[i]
		if m.MsgType != "msgmenu" || m.Body == nil || m.FailType != nil || t.MsgID != "" && m.MsgID != t.MsgID {
			continue
		}
		for _, it := range clickItems(m.Body) {
			if t.ID != "" && it.Click.ID == t.ID || t.ID == "" && it.Click.Content == t.Content {
				body := []field{str("content", it.Click.Content)}
				if it.Click.ID != "" {
					body = append(body, str("menu_id", it.Click.ID))
				}
				return s.say(v, Say{MsgType: "text", Body: object(body...)}, true), nil
			}
		}
	}
	return "", errors.New("tap: the phone shows no menu with such a click item; GET /phone lists them")
}

// Enter is a customer opening the conversation.
type Enter struct {
	OpenKfID       string          `json:"open_kfid"`
	ExternalUserID string          `json:"external_userid"`
	Scene          string          `json:"scene,omitempty"`
	SceneParam     string          `json:"scene_param,omitempty"`     // only with a scene
	WechatChannels json.RawMessage `json:"wechat_channels,omitempty"` // an object, when entered from Channels
	Link           string          `json:"link,omitempty"`            // instead of open_kfid and scene: from kf/add_contact_way, &scene_param=… added or not
}

// Enter lets a customer open the conversation, with the event enter_session, and returns its msgid.
// There is a welcome_code in it if the customer neither got a welcome nor wrote in the last 48 hours
// and the account has no native welcome.
func (s *Sim) Enter(m Enter) (msgID string, err error) {
	switch {
	case m.SceneParam != "" && m.Scene == "":
		return "", errors.New("enter: scene_param comes only with a scene; give one")
	case len(m.SceneParam) > maxSceneParam || len(m.Scene) > maxScene:
		return "", errors.New("enter: scene has 32 bytes at most, scene_param 128")
	case m.WechatChannels != nil && (!json.Valid(m.WechatChannels) || m.WechatChannels[0] != '{'):
		return "", errors.New("enter: wechat_channels is no JSON object")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.Link != "" {
		if m, err = s.st.openLink(m); err != nil {
			return "", err
		}
	}
	v, err := s.st.conversation(m.OpenKfID, m.ExternalUserID)
	if err != nil {
		return "", err
	}
	now := s.clock.Now()
	fields := []field{str("scene", m.Scene), str("scene_param", m.SceneParam)}
	if v.welcomeDue(now) {
		fields = append(fields, str("welcome_code", s.newCode(v, codeWelcome)))
	}
	if m.WechatChannels != nil {
		fields = append(fields, field{"wechat_channels", m.WechatChannels})
	}
	v.customer.seenAt, v.customer.context = now, &enterContext{m.Scene, m.SceneParam, m.WechatChannels, now}
	s.show(v, PhoneMessage{From: FromSystem, Notice: NoticeEntered})
	return s.addEvent(v.account, "enter_session", v.customer.ExternalUserID, fields...).id, nil
}

// welcomeDue: https://developer.work.weixin.qq.com/document/path/95122
func (v *conversation) welcomeDue(now time.Time) bool {
	return !v.account.NativeWelcome && !within(v.welcomedAt, windowLength, now) && !within(v.wroteAt, windowLength, now)
}

// Block is a customer's choice about one account.
type Block struct {
	OpenKfID       string `json:"open_kfid"`
	ExternalUserID string `json:"external_userid"`
	On             bool   `json:"on"`
}

// Block lets a customer refuse an account's messages, or take them again. While they refuse, every
// message is accepted from the API and then fails with msg_send_fail, fail_type 10.
func (s *Sim) Block(b Block) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.st.conversation(b.OpenKfID, b.ExternalUserID)
	if err != nil {
		return err
	}
	v.blocked = b.On
	return nil
}

// FailSend is an accepted message that shall fail after all.
type FailSend struct {
	OpenKfID string `json:"open_kfid"`
	MsgID    string `json:"msgid"`
	FailType int    `json:"fail_type"` // 0 to 13, as in msg_send_fail
}

// FailSend takes an accepted message away from the customer, with the event msg_send_fail.
// A message fails once.
func (s *Sim) FailSend(f FailSend) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.st.account(f.OpenKfID)
	if err != nil {
		return err
	}
	m := a.msgIDs[f.MsgID]
	switch {
	case m == nil:
		return fmt.Errorf("fail: no message %q was accepted on account %s; GET /sends lists them", clip(f.MsgID, 64), f.OpenKfID)
	case m.FailType != nil:
		return errors.New("fail: the message has failed already")
	case f.FailType < 0 || f.FailType > 13:
		return errors.New("fail: fail_type is between 0 and 13")
	}
	s.fail(m, f.FailType)
	return nil
}

// Inject puts any JSON object into an account's history, byte for byte as given, and returns the
// msgid the journal knows it by: its own, or one made up when it has none or one that is taken.
func (s *Sim) Inject(openKfID string, raw json.RawMessage) (msgID string, err error) {
	var names struct {
		MsgID string `json:"msgid"`
	}
	if !json.Valid(raw) {
		return "", errors.New("inject: this is no JSON")
	}
	_ = json.Unmarshal(raw, &names) // poison is welcome here
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.st.account(openKfID)
	if err != nil {
		return "", err
	}
	it := &item{id: names.MsgID, at: s.clock.Now(), raw: raw}
	if it.id == "" || a.items[it.id] != nil {
		it.id = s.st.ids.opaque("", "msgid", 24)
	}
	s.publish(a, it, Entry{Reason: "injected"})
	return it.id, nil
}
