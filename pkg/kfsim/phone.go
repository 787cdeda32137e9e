package kfsim

import (
	"cmp"
	"context"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"
)

// Who a phone message is from.
const (
	FromCustomer = "customer"
	FromAccount  = "account" // the API
	FromServicer = "servicer"
	FromSystem   = "system" // a notice; Notice says which
)

// Notices on the phone.
const (
	NoticeEntered          = "entered"           // the customer opened the conversation
	NoticeAccountRecalled  = "account_recalled"  // the account took a message back
	NoticeCustomerRecalled = "customer_recalled" // the customer took a message back
	NoticeUpgradeOffered   = "upgrade_offered"   // a member or group was recommended
	NoticeUpgradeCancelled = "upgrade_cancelled" // and taken back
)

// PhoneMessage is one line of the conversation on the customer's phone.
type PhoneMessage struct {
	N              int             `json:"n"` // 1, 2, 3, … in this conversation
	Time           time.Time       `json:"time"`
	From           string          `json:"from"`
	MsgID          string          `json:"msgid,omitempty"`
	MsgType        string          `json:"msgtype,omitempty"`
	Body           json.RawMessage `json:"body,omitempty"` // as the customer sees it: over-long titles cut; gone when recalled
	Via            string          `json:"via,omitempty"`  // of the account's messages: send_msg or send_msg_on_event
	ServicerUserID string          `json:"servicer_userid,omitempty"`
	Notice         string          `json:"notice,omitempty"`
	Recalled       bool            `json:"recalled,omitempty"`
	FailType       *int            `json:"fail_type,omitempty"` // the message never reached the phone
}

// phone is a conversation as the customer sees it.
type phone struct {
	messages []*PhoneMessage
	byID     map[string]*PhoneMessage
}

// show adds a line.
func (s *Sim) show(v *conversation, m PhoneMessage) *PhoneMessage {
	m.N, m.Time = len(v.phone.messages)+1, s.clock.Now()
	v.phone.messages = append(v.phone.messages, &m)
	if m.MsgID != "" {
		if v.phone.byID == nil {
			v.phone.byID = map[string]*PhoneMessage{}
		}
		v.phone.byID[m.MsgID] = &m
	}
	s.phones.changed(v.account.OpenKfID, v.customer.ExternalUserID)
	return &m
}

// takeBack removes a message's content and says so.
func (s *Sim) takeBack(v *conversation, m *PhoneMessage, notice string) {
	m.Recalled, m.Body = true, nil
	s.show(v, PhoneMessage{From: FromSystem, Notice: notice})
}

// Phone returns what the customer sees of an account, oldest first. Messages that failed after they
// were accepted are in it, with their FailType, though the customer does not see them.
func (s *Sim) Phone(openKfID, externalUserID string) []PhoneMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.st.conversation(openKfID, externalUserID)
	if err != nil {
		return nil
	}
	list := make([]PhoneMessage, 0, len(v.phone.messages))
	for _, m := range v.phone.messages {
		list = append(list, *m)
	}
	return list
}

// PhoneChange says that a conversation looks different now; read it with Phone. Both ids are empty
// after a Reset: everything is different.
type PhoneChange struct {
	OpenKfID       string `json:"open_kfid"`
	ExternalUserID string `json:"external_userid"`
}

// phoneFeed tells subscribers what changed. A slow subscriber loses no conversation, only the count
// of its changes.
type phoneFeed struct {
	mu   sync.Mutex
	subs map[*phoneSub]bool
}

type phoneSub struct {
	dirty map[PhoneChange]bool
	wake  chan struct{}
}

func (f *phoneFeed) changed(openKfID, externalUserID string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for sub := range f.subs {
		sub.dirty[PhoneChange{openKfID, externalUserID}] = true
		select {
		case sub.wake <- struct{}{}:
		default:
		}
	}
}

// PhoneChanges yields a change for every conversation that changes from the moment it is called,
// until ctx ends or the loop is left. Changes that come while the loop is busy are merged.
func (s *Sim) PhoneChanges(ctx context.Context) iter.Seq[PhoneChange] {
	f := &s.phones
	sub := &phoneSub{dirty: map[PhoneChange]bool{}, wake: make(chan struct{}, 1)}
	f.mu.Lock()
	if f.subs == nil {
		f.subs = map[*phoneSub]bool{}
	}
	f.subs[sub] = true
	f.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { f.drop(sub) })
	return func(yield func(PhoneChange) bool) {
		defer f.drop(sub)
		defer stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-sub.wake:
			}
			f.mu.Lock()
			changes := slices.SortedFunc(maps.Keys(sub.dirty), func(a, b PhoneChange) int {
				return cmp.Or(cmp.Compare(a.OpenKfID, b.OpenKfID), cmp.Compare(a.ExternalUserID, b.ExternalUserID))
			})
			clear(sub.dirty)
			f.mu.Unlock()
			for _, c := range changes {
				if !yield(c) {
					return
				}
			}
		}
	}
}

func (f *phoneFeed) drop(sub *phoneSub) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.subs, sub)
}
