package kfsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Customer is a WeChat user as one corp sees them.
type Customer struct {
	ExternalUserID string `json:"external_userid"`  // wm… or wo…, 64 bytes at most; made when empty
	CorpID         string `json:"corpid,omitempty"` // may be empty while there is one corp
	Nickname       string `json:"nickname"`
	Avatar         string `json:"avatar"`
	Gender         int    `json:"gender"` // 0 unknown, 1 male, 2 female
	UnionID        string `json:"unionid,omitempty"`
}

type customer struct {
	Customer
	corp    *corp
	seenAt  time.Time     // last entered or wrote, at any account
	rank    int           // of those who ever wrote to the corp, from 1; 0: never
	context *enterContext // of the last entry
}

// enterContext is how a customer came in, as enter_session and batchget show it.
type enterContext struct {
	Scene          string          `json:"scene"`
	SceneParam     string          `json:"scene_param"`
	WechatChannels json.RawMessage `json:"wechat_channels,omitempty"`
	at             time.Time
}

// AddCustomer makes a customer and returns them with what was left to make. Making one has no
// effect on any account: the customer has not entered and not written yet.
func (s *Sim) AddCustomer(c Customer) (Customer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	owner, err := s.st.corp(c.CorpID)
	if err != nil {
		return Customer{}, err
	}
	c.CorpID = owner.CorpID
	or(&c.ExternalUserID, s.st.ids.opaque("wm", "customer", 30))
	switch {
	case c.ExternalUserID[:min(2, len(c.ExternalUserID))] != "wm" && !strings.HasPrefix(c.ExternalUserID, "wo"), len(c.ExternalUserID) > 64:
		return Customer{}, fmt.Errorf("external_userid %q is not of the form wm… or wo…, 64 bytes at most", clip(c.ExternalUserID, 64))
	case owner.customers[c.ExternalUserID] != nil:
		return Customer{}, fmt.Errorf("customer %s is there already; choose another external_userid or reset", c.ExternalUserID)
	case c.Gender < 0 || c.Gender > 2:
		return Customer{}, errors.New("gender is 0 (unknown), 1 (male) or 2 (female)")
	}
	owner.customers[c.ExternalUserID] = &customer{Customer: c, corp: owner}
	s.journal.add(Entry{Kind: KindCustomer, CorpID: c.CorpID, ExternalUserID: c.ExternalUserID, Reason: "made"})
	return c, nil
}

// customerBatchGet: https://developer.work.weixin.qq.com/document/path/95159
func (r *request) customerBatchGet() answer {
	var req struct {
		List    []string `json:"external_userid_list"`
		Context int      `json:"need_enter_session_context"`
	}
	if a, good := r.decode(&req); !good {
		return a
	}
	if len(req.List) < 1 || len(req.List) > 100 {
		return refuse(40058, "external_userid_list does not hold 1 to 100 ids")
	}
	if req.Context != 0 && req.Context != 1 {
		return refuse(40058, "need_enter_session_context is neither 0 nor 1")
	}
	type row struct {
		ExternalUserID string        `json:"external_userid"`
		Nickname       string        `json:"nickname"`
		Avatar         *string       `json:"avatar,omitempty"` // not for third-party apps
		Gender         int           `json:"gender"`
		UnionID        string        `json:"unionid,omitempty"`
		Context        *enterContext `json:"enter_session_context,omitempty"`
	}
	found, invalid := []row{}, []string{}
	for _, id := range req.List {
		c := r.corp.customers[id]
		if c == nil || !within(c.seenAt, windowLength, r.now) && !r.sim.p.InactiveCustomersFound {
			invalid = append(invalid, id)
			continue
		}
		w := row{c.ExternalUserID, c.Nickname, &c.Avatar, c.Gender, c.UnionID, nil}
		switch {
		case r.corp.app(r.app).Kind == AppThirdParty:
			w.Avatar, w.Gender, w.UnionID = nil, 0, ""
		case r.corp.NoUnionID:
			w.UnionID = ""
		}
		if req.Context == 1 && c.context != nil && within(c.context.at, windowLength, r.now) {
			w.Context = c.context
		}
		found = append(found, w)
	}
	return ok(struct {
		CustomerList []row    `json:"customer_list"`
		Invalid      []string `json:"invalid_external_userid"`
	}{found, invalid})
}
