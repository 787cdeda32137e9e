package kfsim

import (
	"encoding/json"
	"slices"
)

const maxServicerList = 100 // of each kind in one call: path/94646

// servicerRow is what became of one member or department of servicer/add and del.
type servicerRow struct {
	UserID       string `json:"userid,omitempty"`
	DepartmentID int    `json:"department_id,omitempty"`
	ErrCode      int    `json:"errcode"`
	ErrMsg       string `json:"errmsg"`
}

// outcomeRow says what became of it: refused, ignored because nothing changed, or done.
func outcomeRow(a answer, changed bool) servicerRow {
	switch {
	case a.code != 0:
		return servicerRow{ErrCode: a.code, ErrMsg: errText(a.code)}
	case !changed:
		return servicerRow{ErrMsg: "ignored"}
	}
	return servicerRow{ErrMsg: "success"}
}

// servicerAdd: https://developer.work.weixin.qq.com/document/path/94646
func (r *request) servicerAdd() answer {
	return r.servicers(func(acc *account, userID string) (answer, bool) {
		if a := r.checkServicer(userID); a.code != 0 {
			return a, false
		}
		return r.sim.enlist(acc, userID, r.entry.Call)
	}, func(acc *account, id int) (answer, bool) {
		switch _, there := r.corp.department(id); {
		case !there:
			return refuse(r.sim.p.UnknownDepartmentCode, "the corp has no such department"), false
		case slices.Contains(acc.departments, id):
			return answer{}, false
		case !fits(len(acc.departments)+1, r.sim.p.DepartmentLimit):
			return refuse(r.sim.p.ServicerLimitCode, "the account has no more departments"), false
		}
		acc.departments = append(acc.departments, id)
		return answer{}, true
	})
}

// servicerDel: https://developer.work.weixin.qq.com/document/path/94647
func (r *request) servicerDel() answer {
	return r.servicers(func(acc *account, userID string) (answer, bool) {
		if !wellFormedUserID(userID) {
			return refuse(40003, "a userid is not of letters, digits and _-.@, 64 bytes at most"), false
		}
		before := len(acc.servicers)
		acc.servicers = slices.DeleteFunc(acc.servicers, func(m *servicer) bool { return m.userID == userID && m.direct })
		return answer{}, len(acc.servicers) < before
	}, func(acc *account, id int) (answer, bool) {
		at := slices.Index(acc.departments, id)
		if at >= 0 {
			acc.departments = slices.Delete(acc.departments, at, at+1)
		}
		return answer{}, at >= 0
	})
}

// servicers does something with each member and department that a call names.
func (r *request) servicers(member func(*account, string) (answer, bool), department func(*account, int) (answer, bool)) answer {
	var req struct {
		OpenKfID    string   `json:"open_kfid"`
		UserIDs     []string `json:"userid_list"`
		Departments []int    `json:"department_id_list"`
	}
	if a, good := r.decode(&req); !good {
		return a
	}
	acc, a := r.account(req.OpenKfID)
	switch {
	case a.code != 0:
		return a
	case len(req.UserIDs)+len(req.Departments) == 0:
		return refuse(40058, "userid_list and department_id_list are both empty")
	case len(req.UserIDs) > maxServicerList || len(req.Departments) > maxServicerList:
		return refuse(40058, "userid_list or department_id_list holds more than 100")
	case slices.ContainsFunc(req.Departments, func(id int) bool { return id < 1 }):
		return refuse(40066, "department_id_list has an id that is not positive")
	}
	rows := []servicerRow{}
	for _, id := range req.UserIDs {
		w := outcomeRow(member(acc, id))
		w.UserID = id
		rows = append(rows, w)
	}
	for _, id := range req.Departments {
		w := outcomeRow(department(acc, id))
		w.DepartmentID = id
		rows = append(rows, w)
	}
	return ok(struct {
		ResultList []servicerRow `json:"result_list"`
	}{rows})
}

// checkServicer decides whether a userid may become a servicer.
func (r *request) checkServicer(userID string) answer {
	switch {
	case !wellFormedUserID(userID):
		return refuse(40003, "a userid is not of letters, digits and _-.@, 64 bytes at most")
	case !r.corp.members[userID]:
		return refuse(60111, "the corp has no such member")
	case slices.Contains(r.corp.app(r.app).Hidden, userID):
		return refuse(r.sim.p.HiddenMemberCode, "the member is outside the app's visible range")
	case slices.Contains(r.corp.Inactive, userID):
		return refuse(95014, "the member has not activated WeCom")
	}
	return answer{}
}

// enlist makes a member a servicer in their own right and reports whether they were not before.
func (s *Sim) enlist(a *account, userID string, call uint64) (answer, bool) {
	m := a.servicer(userID)
	if m != nil && m.direct {
		return answer{}, false
	}
	direct := 0
	for _, o := range a.servicers {
		if o.direct {
			direct++
		}
	}
	if !fits(direct+1, s.p.ServicerLimit) {
		return refuse(s.p.ServicerLimitCode, "the account has no more servicers"), false
	}
	if m == nil {
		m = &servicer{userID: userID, status: ServicerReceiving}
		a.servicers = append(a.servicers, m)
	}
	m.direct = true
	s.journal.add(Entry{Kind: KindServicer, Call: call, CorpID: a.CorpID, OpenKfID: a.OpenKfID, ServicerUserID: userID, Reason: string(m.status)})
	return answer{}, true
}

// inDepartments reports whether one of the account's departments has the member.
func (a *account) inDepartments(userID string) bool {
	return slices.ContainsFunc(a.departments, func(id int) bool {
		d, _ := a.corp.department(id)
		return slices.Contains(d.Members, userID)
	})
}

// wellFormedUserID: 1 to 64 letters, digits and _ - . @
func wellFormedUserID(id string) bool {
	for _, c := range []byte(id) {
		if c != '.' && c != '@' && !isWord(string(c), 1) {
			return false
		}
	}
	return id != "" && len(id) <= 64
}

// servicerList: https://developer.work.weixin.qq.com/document/path/94645
func (r *request) servicerList() answer {
	id := r.query.Get("open_kfid")
	if id == "" && len(r.body) > 0 { // some clients POST it
		var req struct {
			OpenKfID string `json:"open_kfid"`
		}
		if a, good := r.decode(&req); !good {
			return a
		}
		id = req.OpenKfID
	}
	acc, a := r.account(id)
	if a.code != 0 {
		return a
	}
	type listed struct {
		UserID       string `json:"userid,omitempty"`
		Status       *int   `json:"status,omitempty"`    // 0 receiving, 1 stopped: not as in the event
		StopType     *int   `json:"stop_type,omitempty"` // 0 stopped, 1 suspended
		DepartmentID int    `json:"department_id,omitempty"`
	}
	zero, one := 0, 1
	how := map[ServicerState]listed{
		ServicerReceiving: {Status: &zero},
		ServicerStopped:   {Status: &one, StopType: &zero},
		ServicerSuspended: {Status: &one, StopType: &one},
	}
	list := []listed{}
	for _, m := range acc.servicers {
		if m.direct {
			w := how[m.status]
			w.UserID = m.userID
			list = append(list, w)
		}
	}
	for _, id := range acc.departments {
		list = append(list, listed{DepartmentID: id})
	}
	return answer{fields: marshal(map[string]json.RawMessage{"servicer_list": marshal(list)})}
}
