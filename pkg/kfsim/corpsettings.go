package kfsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Department is a part of a corp. Its members are members of the corp.
type Department struct {
	ID      int      `json:"id"` // 1 or larger
	Members []string `json:"members"`
}

// UpgradeRange is whom upgrade_service may recommend.
type UpgradeRange struct {
	UserIDs       []string `json:"userids,omitempty"`
	DepartmentIDs []int    `json:"department_ids,omitempty"`
	ChatIDs       []string `json:"chat_ids,omitempty"`  // wr…
	Exclusive     bool     `json:"exclusive,omitempty"` // the administrator has arranged exclusive service: 95015
}

// UpdateCorp lets change alter what an administrator decided about a corp, and takes it over when it
// is in order; corpid stays. Tokens go on living. change must not call the simulator. corpID may be
// empty while there is one corp.
func (s *Sim) UpdateCorp(corpID string, change func(*Corp) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.st.corp(corpID)
	if err != nil {
		return err
	}
	next := copyCorp(n.Corp)
	if err := change(&next); err != nil {
		return err
	}
	if next.CorpID != n.CorpID {
		return fmt.Errorf("corpid of %s cannot be changed", n.CorpID)
	}
	if len(next.Secrets) < len(n.Secrets) {
		return errors.New("secrets can be replaced and added, not taken away: the others would become other apps; disable the app instead")
	}
	old := n.Corp
	if err := n.set(next); err != nil {
		return err
	}
	n.changeTrust(old, s.clock.Now())
	n.countMembers()
	s.journal.add(Entry{Kind: KindCorp, CorpID: n.CorpID, Reason: "settings changed"})
	return nil
}

// copyCorp shares nothing with c, so that it can be altered and thrown away.
func copyCorp(c Corp) (out Corp) {
	if err := json.Unmarshal(marshal(c), &out); err != nil {
		panic("kfsim: copy corp: " + err.Error())
	}
	return out
}

// changeTrust remembers the lists of trusted addresses that go on for a minute.
func (c *corp) changeTrust(old Corp, now time.Time) {
	before := map[int][]string{}
	changed := false
	for i := range c.Secrets {
		before[i] = appOf(old, i).TrustedIPs
		changed = changed || !slices.Equal(before[i], c.app(i).TrustedIPs)
	}
	if changed {
		c.trusted, c.trustAt = before, now
	}
}

// countMembers puts the members together: those named, those of departments, and servicers.
func (c *corp) countMembers() {
	clear(c.members)
	for _, m := range c.Members {
		c.members[m] = true
	}
	for _, d := range c.Departments {
		for _, m := range d.Members {
			c.members[m] = true
		}
	}
	for _, a := range c.accounts {
		for _, m := range a.servicers {
			if m.direct {
				c.members[m.userID] = true
			}
		}
	}
}

// department finds a department of the corp.
func (c *corp) department(id int) (Department, bool) {
	i := slices.IndexFunc(c.Departments, func(d Department) bool { return d.ID == id })
	if i < 0 {
		return Department{}, false
	}
	return c.Departments[i], true
}

// checkSettings looks at what is not about callbacks.
func (c Corp) checkSettings() error {
	if c.Edition != "" && c.Edition != EditionJoint && c.Edition != EditionStandalone {
		return fmt.Errorf("edition is %q; use joint or standalone", c.Edition)
	}
	if len(c.Apps) > len(c.Secrets) {
		return fmt.Errorf("there are %d apps and %d secrets; every app has one", len(c.Apps), len(c.Secrets))
	}
	for _, a := range c.Apps {
		if err := a.validate(); err != nil {
			return err
		}
	}
	seen := map[int]bool{}
	for _, d := range c.Departments {
		if d.ID < 1 || seen[d.ID] {
			return fmt.Errorf("department id %d is not positive or is there twice", d.ID)
		}
		seen[d.ID] = true
	}
	if c.PastCustomers < 0 {
		return errors.New("past_customers cannot be negative")
	}
	return nil
}

// UpdateAccount lets change alter what an administrator decided about an account; open_kfid and
// corpid stay. change must not call the simulator.
func (s *Sim) UpdateAccount(openKfID string, change func(*Account) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.st.account(openKfID)
	if err != nil {
		return err
	}
	next := a.Account
	next.ForbiddenTypes = slices.Clone(next.ForbiddenTypes)
	if err := change(&next); err != nil {
		return err
	}
	if next.OpenKfID != a.OpenKfID || next.CorpID != a.CorpID {
		return fmt.Errorf("open_kfid and corpid of account %s cannot be changed", a.OpenKfID)
	}
	if err := next.validate(); err != nil {
		return err
	}
	a.Account = next
	s.journal.add(Entry{Kind: KindAccount, CorpID: a.CorpID, OpenKfID: a.OpenKfID, Reason: "settings changed"})
	return nil
}

// alter changes what the path names by the fields of the body, which is read before anything is locked.
func alter[T any](update func(id string, change func(*T) error) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body := json.RawMessage("{}")
		err := readBody(r, &body)
		if err == nil {
			err = update(r.PathValue("id"), func(v *T) error {
				if err := decodeStrict(body, v); err != nil {
					return errors.New("the body is not the JSON object it should be: " + strings.TrimPrefix(err.Error(), "json: "))
				}
				return nil
			})
		}
		answerErr(w, err)
	}
}

// settings are the control API's ways to what an administrator decides.
func (s *Sim) settings() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"PATCH /corps/{id}":       alter(s.UpdateCorp),
		"PATCH /accounts/{id}":    alter(s.UpdateAccount),
		"POST /upgrade/accept":    doing(s.AcceptUpgrade),
		"POST /servicers/rating":  doing(s.Rate),
		"POST /urls":              doing(s.ServeURL),
		"POST /uploads/finish":    doing(s.FinishUpload),
		"POST /official-accounts": with(func(o OfficialAccount) (any, error) { return s.AddOfficialAccount(o) }),
	}
}
