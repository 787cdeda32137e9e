package kfsim

import (
	"fmt"
	"net/url"
	"testing"
)

// staff gives the corp members and departments.
func (r *rig) staff() {
	r.t.Helper()
	r.setCorp(func(c *Corp) {
		c.Members = []string{"lisi", "wang", "zhao", "far", "new"}
		c.Inactive = []string{"new"}
		c.Apps = []App{{Hidden: []string{"far"}}}
		c.Departments = []Department{{ID: 2, Members: []string{"lisi", "qian"}}, {ID: 4, Members: []string{"sun"}}}
	})
}

// rowCodes is what became of each row, as "0 success".
func rowCodes(a answered) (out []string) {
	for _, w := range a.rows("result_list") {
		out = append(out, fmt.Sprint(w.code(), " ", w.str("errmsg")))
	}
	return out
}

func TestServicerAddDelList(t *testing.T) {
	r := newRig(t, Config{})
	r.staff()
	add := func(m obj) answered { m["open_kfid"] = kf; return r.post("kf/servicer/add", m) }
	got := add(obj{"userid_list": []string{"lisi", "lisi", "nobody", "far", "new", "!"}, "department_id_list": []int{2, 2, 9}})
	want := []string{"0 success", "0 ignored", "60111 userid not found", "60011 no privilege to access the member", "95014 invalid servicer",
		"40003 invalid userid", "0 success", "0 ignored", "60003 department not found"}
	if fmt.Sprint(rowCodes(got)) != fmt.Sprint(want) || got.code() != 0 {
		t.Errorf("add: got %v, want %v", rowCodes(got), want)
	}
	if rows := got.rows("result_list"); rows[0].str("userid") != "lisi" || rows[6]["department_id"] != 2.0 || rows[6]["userid"] != nil {
		t.Errorf("add: got rows %v", rows)
	}
	list := func() string {
		return fmt.Sprint(r.get("kf/servicer/list", url.Values{"access_token": {r.token}, "open_kfid": {kf}}).rows("servicer_list"))
	}
	if got, want := list(), "[map[status:0 userid:lisi] map[department_id:2]]"; got != want {
		t.Errorf("list: got %s, want %s", got, want)
	}
	for status, want := range map[ServicerState]string{ServicerStopped: "map[status:1 stop_type:0 userid:lisi]", ServicerSuspended: "map[status:1 stop_type:1 userid:lisi]"} {
		r.must(r.ServicerStatus(Servicer{OpenKfID: kf, UserID: "lisi", Status: status}))
		if got := list(); got != "["+want+" map[department_id:2]]" {
			t.Errorf("%s: got %s", status, got)
		}
	}
	r.wantCode("list by POST", r.post("kf/servicer/list", obj{"open_kfid": kf}), 0)

	r.says(ann, "hi")
	r.wantCode("a member of a department takes the session", r.trans(3, "qian"), 0)
	del := r.post("kf/servicer/del", obj{"open_kfid": kf, "userid_list": []string{"lisi", "wang", "!"}, "department_id_list": []int{2, 4}})
	want = []string{"0 success", "0 ignored", "40003 invalid userid", "0 success", "0 ignored"}
	if fmt.Sprint(rowCodes(del)) != fmt.Sprint(want) {
		t.Errorf("del: got %v, want %v", rowCodes(del), want)
	}
	if got := list(); got != "[]" {
		t.Errorf("after del: got %s, want none", got)
	}
	r.says(bob, "hi")
	got = r.post("kf/service_state/trans", obj{"open_kfid": kf, "external_userid": bob, "service_state": 3, "servicer_userid": "qian"})
	r.wantCode("no longer a servicer", got, 95014)

	for _, path := range []string{"kf/servicer/add", "kf/servicer/del"} {
		r.refusals([]refusal{
			{"nobody", path, obj{"open_kfid": kf}, 40058},
			{"101 members", path, obj{"open_kfid": kf, "userid_list": make([]string, 101)}, 40058},
			{"101 departments", path, obj{"open_kfid": kf, "department_id_list": make([]int, 101)}, 40058},
			{"department 0", path, obj{"open_kfid": kf, "department_id_list": []int{0}}, 40066},
			{"departments as text", path, obj{"open_kfid": kf, "department_id_list": []string{"2"}}, 40058},
			{"unknown account", path, obj{"open_kfid": "wkX", "userid_list": []string{"lisi"}}, 95004},
		})
	}
	r.wantCode("list of an unknown account", r.get("kf/servicer/list", url.Values{"access_token": {r.token}, "open_kfid": {"wkX"}}), 95004)
	r.wantCode("list of none", r.get("kf/servicer/list", url.Values{"access_token": {r.token}}), 40058)
}

func TestServicerLimits(t *testing.T) {
	r := newRig(t, Config{Personality: Personality{ServicerLimit: 2, DepartmentLimit: 1, ServicerLimitCode: 7, HiddenMemberCode: 60021, UnknownDepartmentCode: 60123}})
	r.staff()
	got := r.post("kf/servicer/add", obj{"open_kfid": kf, "userid_list": []string{"lisi", "wang", "zhao", "far"}, "department_id_list": []int{2, 4, 9}})
	var codes []int
	for _, w := range got.rows("result_list") {
		codes = append(codes, w.code())
	}
	if fmt.Sprint(codes) != "[0 0 7 60021 0 7 60123]" {
		t.Errorf("got %v, want the third member and the second department refused", codes)
	}
	if d := (Personality{}).withDefaults(); d.ServicerLimit != 2000 || d.DepartmentLimit != 20 {
		t.Errorf("got limits %d and %d, want 2000 and 20", d.ServicerLimit, d.DepartmentLimit)
	}
}

func TestDepartmentMembersGetRoutedSessions(t *testing.T) {
	r := newRig(t, Config{})
	r.staff()
	_, err := r.AddAccount(Account{OpenKfID: "wkR", Routing: RouteServicer})
	r.must(err)
	r.wantCode("add", r.post("kf/servicer/add", obj{"open_kfid": "wkR", "department_id_list": []int{4}}), 0)
	_, err = r.CustomerSays("wkR", ann, "hi")
	r.must(err)
	if c, _ := r.Conversation("wkR", ann); c.State != stateHuman || c.ServicerUserID != "sun" {
		t.Errorf("got %+v, want sun to hold it", c)
	}
	r.setCorp(func(c *Corp) { c.Departments = nil })
	_, err = r.CustomerSays("wkR", bob, "hi")
	r.must(err)
	if c, _ := r.Conversation("wkR", bob); c.State != statePool {
		t.Errorf("the department is gone: got state %d, want the pool", c.State)
	}
}
