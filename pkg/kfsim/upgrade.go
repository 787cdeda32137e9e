package kfsim

import (
	"errors"
	"slices"
)

// What upgrade_service recommends.
const (
	upgradeMember = 1
	upgradeGroup  = 2
)

// upgrade is a recommendation to a customer.
type upgrade struct {
	kind     int
	target   string // userid or chat_id
	servicer string // who held the session then
	taken    bool
}

// has reports whether a member or group may be recommended.
func (u *UpgradeRange) has(c *corp, kind int, target string) bool {
	if kind == upgradeGroup {
		return slices.Contains(u.ChatIDs, target)
	}
	return slices.Contains(u.UserIDs, target) || slices.ContainsFunc(u.DepartmentIDs, func(id int) bool {
		d, _ := c.department(id)
		return slices.Contains(d.Members, target)
	})
}

// upgradeConfig: https://developer.work.weixin.qq.com/document/path/94674
func (r *request) upgradeConfig() answer {
	u := r.corp.Upgrade
	if u == nil {
		if code := r.sim.p.NoUpgradeConfigCode; code != 0 {
			return refuse(code, "the upgrade service is not configured")
		}
		u = &UpgradeRange{}
	}
	type members struct {
		UserIDs     []string `json:"userid_list"`
		Departments []int    `json:"department_id_list"`
	}
	type groups struct {
		ChatIDs []string `json:"chat_id_list"`
	}
	return ok(struct {
		Members members `json:"member_range"`
		Groups  groups  `json:"groupchat_range"`
	}{members{orEmpty(u.UserIDs), orEmpty(u.DepartmentIDs)}, groups{orEmpty(u.ChatIDs)}})
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

type upgradeRequest struct {
	OpenKfID       string `json:"open_kfid"`
	ExternalUserID string `json:"external_userid"`
	Type           int    `json:"type"`
	Member         *struct {
		UserID  string `json:"userid"`
		Wording string `json:"wording"`
	} `json:"member"`
	Group *struct {
		ChatID  string `json:"chat_id"`
		Wording string `json:"wording"`
	} `json:"groupchat"`
}

// decodeUpgrade reads a call and finds both sides of its conversation.
func (r *request) decodeUpgrade() (req upgradeRequest, v *conversation, a answer) {
	if a, good := r.decode(&req); !good {
		return req, nil, a
	}
	acc, a := r.account(req.OpenKfID)
	if a.code != 0 {
		return req, nil, a
	}
	if req.ExternalUserID == "" {
		return req, nil, refuse(r.sim.p.MissingUserCode, "external_userid is missing")
	}
	if _, a = r.conversation(acc, req.ExternalUserID); a.code != 0 {
		return req, nil, a
	}
	return req, acc.conversation(r.corp.customers[req.ExternalUserID]), a
}

// target is whom the call recommends.
func (q upgradeRequest) target() (string, answer) {
	switch {
	case q.Type != upgradeMember && q.Type != upgradeGroup:
		return "", refuse(40058, "type is neither 1 nor 2")
	case q.Type == upgradeMember && (q.Member == nil || q.Member.UserID == ""):
		return "", refuse(41009, "member.userid is missing")
	case q.Type == upgradeMember:
		return q.Member.UserID, answer{}
	case q.Group == nil || q.Group.ChatID == "":
		return "", refuse(40058, "groupchat.chat_id is missing")
	}
	return q.Group.ChatID, answer{}
}

// upgradeService: https://developer.work.weixin.qq.com/document/path/94674
func (r *request) upgradeService() answer {
	req, v, a := r.decodeUpgrade()
	if a.code != 0 {
		return a
	}
	target, a := req.target()
	u := r.corp.Upgrade
	switch {
	case a.code != 0:
		return a
	case u == nil:
		return refuse(95021, "the upgrade service is not configured")
	case u.Exclusive:
		return refuse(95015, "the administrator has configured exclusive service")
	case req.Type == upgradeMember && !r.corp.members[target]:
		return refuse(60111, "the corp has no such member")
	case !u.has(r.corp, req.Type, target):
		return refuse(r.sim.p.UpgradeRangeCode, "the member or group is outside the configured range")
	}
	v.upgrade = &upgrade{kind: req.Type, target: target}
	if v.stateAt(r.now) == stateHuman {
		v.upgrade.servicer = v.servicer
	}
	r.sim.record(v, fact{kind: factInvited, servicer: v.upgrade.servicer, detail: req.Type})
	r.noteUpgrade(v, NoticeUpgradeOffered)
	return ok(nil)
}

// cancelUpgradeService: https://developer.work.weixin.qq.com/document/path/94674
func (r *request) cancelUpgradeService() answer {
	_, v, a := r.decodeUpgrade()
	switch {
	case a.code != 0:
		return a
	case v.upgrade == nil:
		if code := r.sim.p.NoUpgradeCode; code != 0 {
			return refuse(code, "nothing was recommended to the customer")
		}
		return ok(nil)
	}
	v.upgrade = nil
	r.noteUpgrade(v, NoticeUpgradeCancelled)
	return ok(nil)
}

func (r *request) noteUpgrade(v *conversation, notice string) {
	r.sim.show(v, PhoneMessage{From: FromSystem, Notice: notice})
	r.sim.journal.add(Entry{Kind: KindUpgrade, Call: r.entry.Call, CorpID: v.account.CorpID, OpenKfID: v.account.OpenKfID, ExternalUserID: v.customer.ExternalUserID, Reason: notice})
}

// Contact names a customer at an account.
type Contact struct {
	OpenKfID       string `json:"open_kfid"`
	ExternalUserID string `json:"external_userid"`
}

// AcceptUpgrade lets a customer take what upgrade_service recommended: add the member or join the
// group. It makes no event: it shows in the statistics. A recommendation is taken once.
func (s *Sim) AcceptUpgrade(c Contact) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.st.conversation(c.OpenKfID, c.ExternalUserID)
	if err != nil {
		return err
	}
	if v.upgrade == nil || v.upgrade.taken {
		return errors.New("accept upgrade: nothing is recommended to the customer, or they took it already; call kf/customer/upgrade_service first")
	}
	v.upgrade.taken = true
	s.record(v, fact{kind: factJoined, servicer: v.upgrade.servicer, detail: v.upgrade.kind})
	s.journal.add(Entry{Kind: KindUpgrade, CorpID: v.account.CorpID, OpenKfID: c.OpenKfID, ExternalUserID: c.ExternalUserID, Reason: "taken"})
	return nil
}

// corpQualification: https://developer.work.weixin.qq.com/document/path/95149
func (r *request) corpQualification() answer {
	return ok(struct {
		Bound bool `json:"wechat_channels_binding"`
	}{r.corp.ChannelsBound})
}
