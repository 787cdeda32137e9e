package conformance

import (
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

func servicerCalls() map[string]func(*world) {
	return map[string]func(*world){
		"kf/servicer/add":  servicerAdd,
		"kf/servicer/del":  servicerDel,
		"kf/servicer/list": servicerList,
	}
}

func servicerAdd(w *world) {
	r := got(w.c.ServicerAdd(w.t.Context(), w.token, kfapi.ServicerAddRequest{
		OpenKfID: desk, UserIDList: []string{"lisi", "lisi", "nobody"}, DepartmentIDList: []int{2, 9},
	}))(w)
	w.fine(r.Reply)
	failed := r.Failed()
	for i := range r.ResultList {
		if r.ResultList[i].ErrCode != 0 {
			r.ResultList[i].ErrMsg = ""
		}
	}
	same(w.t, "rows", r.ResultList, []kfapi.ServicerResult{
		{UserID: "lisi", ErrMsg: "success"}, {UserID: "lisi", ErrMsg: "ignored"}, {UserID: "nobody", ErrCode: 60111},
		{DepartmentID: 2, ErrMsg: "success"}, {DepartmentID: 9, ErrCode: 60003},
	})
	same(w.t, "failed", len(failed), 2)
	same(w.t, "list", w.servicers(), []kfapi.Servicer{{UserID: "lisi", Status: ptr(kfapi.ServicerReceiving)}, {DepartmentID: 2}})
	// The platform gives them customers: lisi by name, sun by the department.
	for _, who := range []string{"lisi", "sun"} {
		w.says(ann, "hello")
		_, err := w.c.ServiceStateTrans(w.t.Context(), w.token, kfapi.ServiceStateTransRequest{OpenKfID: desk, ExternalUserID: ann, ServiceState: kfapi.StateHuman, ServicerUserID: who})
		w.must(err)
		same(w.t, "who holds it", got(w.Conversation(desk, ann))(w).ServicerUserID, who)
	}
}

func (w *world) servicers() []kfapi.Servicer {
	w.t.Helper()
	r := got(w.c.ServicerList(w.t.Context(), w.token, kfapi.ServicerListRequest{OpenKfID: desk}))(w)
	w.fine(r.Reply)
	return r.ServicerList
}

func servicerDel(w *world) {
	w.servicer("lisi", kfsim.ServicerReceiving)
	w.servicer("wang", kfsim.ServicerReceiving)
	got(w.c.ServicerAdd(w.t.Context(), w.token, kfapi.ServicerAddRequest{OpenKfID: desk, DepartmentIDList: []int{2, 3}}))(w)
	r := got(w.c.ServicerDel(w.t.Context(), w.token, kfapi.ServicerDelRequest{OpenKfID: desk, UserIDList: []string{"lisi", "nobody"}, DepartmentIDList: []int{2, 9}}))(w)
	w.fine(r.Reply)
	same(w.t, "rows", r.ResultList, []kfapi.ServicerResult{
		{UserID: "lisi", ErrMsg: "success"}, {UserID: "nobody", ErrMsg: "ignored"}, {DepartmentID: 2, ErrMsg: "success"}, {DepartmentID: 9, ErrMsg: "ignored"},
	})
	same(w.t, "failed", len(r.Failed()), 0)
	same(w.t, "list", w.servicers(), []kfapi.Servicer{{UserID: "wang", Status: ptr(kfapi.ServicerReceiving)}, {DepartmentID: 3}})
	w.says(ann, "hello")
	_, err := w.c.ServiceStateTrans(w.t.Context(), w.token, kfapi.ServiceStateTransRequest{OpenKfID: desk, ExternalUserID: ann, ServiceState: kfapi.StateHuman, ServicerUserID: "lisi"})
	w.refused("a customer for lisi", err, 95014)
}

func servicerList(w *world) {
	w.servicer("lisi", kfsim.ServicerReceiving)
	w.servicer("wang", kfsim.ServicerStopped)
	w.servicer("zhao", kfsim.ServicerSuspended)
	got(w.c.ServicerAdd(w.t.Context(), w.token, kfapi.ServicerAddRequest{OpenKfID: desk, DepartmentIDList: []int{3}}))(w)
	same(w.t, "list", w.servicers(), []kfapi.Servicer{
		{UserID: "lisi", Status: ptr(kfapi.ServicerReceiving)},
		{UserID: "wang", Status: ptr(kfapi.ServicerStopped), StopType: ptr(kfapi.StopFull)},
		{UserID: "zhao", Status: ptr(kfapi.ServicerStopped), StopType: ptr(kfapi.StopSuspended)},
		{DepartmentID: 3},
	})
	w.must(w.ServicerStatus(kfsim.Servicer{OpenKfID: desk, UserID: "zhao", Status: kfsim.ServicerReceiving}))
	same(w.t, "after a change", w.servicers()[2], kfapi.Servicer{UserID: "zhao", Status: ptr(kfapi.ServicerReceiving)})
}
