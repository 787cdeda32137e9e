package kfsim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Where the platform puts a fresh session of an account.
const (
	RouteAPI      = "api"      // state 0: the program decides
	RoutePool     = "pool"     // state 2
	RouteServicer = "servicer" // state 3 with the first servicer who receives, else the pool
)

// Account is a customer service account of a corp.
type Account struct {
	OpenKfID      string `json:"open_kfid"`                // wk…, 64 bytes at most; made when empty
	CorpID        string `json:"corpid,omitempty"`         // may be empty while there is one corp
	Name          string `json:"name,omitempty"`           // 16 characters at most
	Avatar        string `json:"avatar,omitempty"`         // URL
	Routing       string `json:"routing,omitempty"`        // api (default), pool, servicer
	NativeWelcome bool   `json:"native_welcome,omitempty"` // the platform greets by itself: no welcome_code
	Unauthorized  bool   `json:"unauthorized,omitempty"`   // the app may not use it: 48007

	ForbiddenTypes []string `json:"forbidden_types,omitempty"` // msgtypes that the Kf component does not let out: 95030
	NoHistory      bool     `json:"no_history,omitempty"`      // the component's right to the history is void: sync_msg is 95032
}

type account struct {
	Account
	corp          *corp
	removed       bool
	servicers     []*servicer
	departments   []int                    // whose members are servicers too
	scenes        map[string]string        // scenes of links, by enc_scene
	facts         []fact                   // what statistics are counted from
	conversations map[string]*conversation // by external_userid
	log           itemLog
	items         map[string]*item // by msgid
	msgIDs        map[string]*sent // last accepted use of a msgid
	syncTokens    map[string]time.Time
	syncQueue     []string // sync tokens, oldest first
	doorbells     int      // callbacks waiting to go out
}

// AddAccount makes an account and returns it with what was left to make.
func (s *Sim) AddAccount(a Account) (Account, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.st.corp(a.CorpID)
	if err != nil {
		return Account{}, err
	}
	return s.makeAccount(c, a)
}

// makeAccount is AddAccount for a corp that has been found.
func (s *Sim) makeAccount(c *corp, a Account) (Account, error) {
	a.CorpID = c.CorpID
	or(&a.OpenKfID, s.st.ids.opaque("wk", "account", 30))
	or(&a.Routing, RouteAPI)
	or(&a.Name, "account "+a.OpenKfID[:min(len(a.OpenKfID), 6)])
	switch {
	case !wellFormedKfID(a.OpenKfID):
		return Account{}, fmt.Errorf("open_kfid %q is not of the form wk…, 64 bytes at most", clip(a.OpenKfID, 64))
	case s.st.accounts[a.OpenKfID] != nil:
		return Account{}, fmt.Errorf("account %s is there already, or was; choose another open_kfid or reset", a.OpenKfID)
	}
	if err := a.validate(); err != nil {
		return Account{}, err
	}
	n := &account{
		Account: a, corp: c, conversations: map[string]*conversation{}, items: map[string]*item{},
		msgIDs: map[string]*sent{}, syncTokens: map[string]time.Time{}, scenes: map[string]string{},
	}
	n.log.scope = c.CorpID + "/" + a.OpenKfID
	s.st.accounts[a.OpenKfID] = n
	c.accounts = append(c.accounts, n)
	s.journal.add(Entry{Kind: KindAccount, CorpID: c.CorpID, OpenKfID: a.OpenKfID, Reason: "made"})
	return a, nil
}

func (a Account) validate() error {
	switch {
	case len([]rune(a.Name)) > 16:
		return errors.New("the name of an account has 16 characters at most")
	case !slices.Contains([]string{RouteAPI, RoutePool, RouteServicer}, a.Routing):
		return fmt.Errorf("routing is %q; use api, pool or servicer", a.Routing)
	}
	return nil
}

// RemoveAccount deletes an account: the API answers 95004 for it from now on.
func (s *Sim) RemoveAccount(openKfID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.st.account(openKfID)
	if err != nil {
		return err
	}
	s.removeAccount(a, 0)
	return nil
}

func (s *Sim) removeAccount(a *account, call uint64) {
	a.removed = true
	a.corp.accounts = slices.DeleteFunc(a.corp.accounts, func(o *account) bool { return o == a })
	s.journal.add(Entry{Kind: KindAccount, Call: call, CorpID: a.CorpID, OpenKfID: a.OpenKfID, Reason: "removed"})
}

// Authorize grants or withdraws the app's right to an account, with the callback
// kf_account_auth_change. Without it the API answers 48007.
func (s *Sim) Authorize(openKfID string, on bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.st.account(openKfID)
	if err != nil {
		return err
	}
	a.Unauthorized = !on
	why, name := "authorized", "AuthAddOpenKfId"
	if !on {
		why, name = "no longer authorized", "AuthDelOpenKfId"
	}
	s.journal.add(Entry{Kind: KindAccount, CorpID: a.CorpID, OpenKfID: openKfID, Reason: why})
	s.ring(&callback{corp: a.corp, plain: kfPlaintext(a.corp, s.clock.Now(), "kf_account_auth_change", element{"FromUserName", "sys"}, element{name, openKfID})})
	return nil
}

// account finds an account for the actions of people; the API has its own way, request.account.
func (st *state) account(openKfID string) (*account, error) {
	if a := st.accounts[openKfID]; a != nil && !a.removed {
		return a, nil
	}
	if openKfID == "" {
		return nil, errors.New("open_kfid is missing; name the account")
	}
	return nil, fmt.Errorf("account %q is unknown; make it first", clip(openKfID, 64))
}

func wellFormedKfID(id string) bool {
	return strings.HasPrefix(id, "wk") && len(id) <= 64
}

// account finds the account that a call names, with the platform's refusals.
func (r *request) account(openKfID string) (*account, answer) {
	r.entry.OpenKfID = known(openKfID)
	a := r.st.accounts[openKfID]
	if a != nil {
		r.entry.OpenKfID = openKfID
	}
	switch {
	case openKfID == "":
		return nil, refuse(40058, "open_kfid is missing")
	case !wellFormedKfID(openKfID):
		return nil, refuse(95000, "open_kfid is not of the form wk…")
	case a == nil || a.removed || a.corp != r.corp:
		return nil, refuse(95004, "the corp has no such account")
	case a.Unauthorized:
		return nil, refuse(48007, "the account is not authorized to the app")
	}
	return a, answer{}
}

// accountList: https://developer.work.weixin.qq.com/document/path/94661
func (r *request) accountList() answer {
	req := struct {
		Offset uint32  `json:"offset"`
		Limit  *uint32 `json:"limit"`
	}{}
	if len(r.body) > 0 {
		if a, good := r.decode(&req); !good {
			return a
		}
	}
	limit := uint32(100)
	if req.Limit != nil {
		limit = *req.Limit
	}
	if limit < 1 || limit > 100 {
		return refuse(40058, "limit is not between 1 and 100")
	}
	type row struct {
		OpenKfID        string `json:"open_kfid"`
		Name            string `json:"name"`
		Avatar          string `json:"avatar"`
		ManagePrivilege *bool  `json:"manage_privilege,omitempty"` // not for third-party apps
	}
	list := []row{}
	all := r.corp.accounts
	for _, a := range all[min(int(req.Offset), len(all)):] {
		if len(list) == int(limit) {
			break
		}
		w := row{a.OpenKfID, a.Name, a.Avatar, nil}
		if may := !a.Unauthorized; r.corp.app(r.app).Kind != AppThirdParty {
			w.ManagePrivilege = &may
		}
		list = append(list, w)
	}
	return ok(struct {
		AccountList []row `json:"account_list"`
	}{list})
}
