package kfsim

import (
	"fmt"
	"strings"
)

// convertKfID turns the ids of accounts into those that a provider sees.
//
// https://developer.work.weixin.qq.com/document/path/97062
func (r *request) convertKfID() answer {
	var req struct {
		List []string `json:"open_kfid_list"`
	}
	if a, good := r.decode(&req); !good {
		return a
	}
	if r.corp.app(r.app).Kind != AppThirdParty && !r.sim.p.AnyAppConverts {
		return refuse(48002, "this call is for third-party apps only")
	}
	if len(req.List) == 0 {
		return refuse(40058, "open_kfid_list is empty")
	}
	type row struct {
		OpenKfID string `json:"open_kfid"`
		New      string `json:"new_open_kfid"`
	}
	items, invalid := []row{}, []string{}
	for _, id := range req.List {
		if a := r.st.accounts[id]; a == nil || a.removed || a.corp != r.corp {
			invalid = append(invalid, id)
			continue
		}
		items = append(items, row{id, "wk" + strings.ToUpper(fmt.Sprintf("%x", r.st.ids.mac("provider", id)[:15]))})
	}
	return ok(struct {
		Items   []row    `json:"items"`
		Invalid []string `json:"invalid_open_kfid_list"`
	}{items, invalid})
}
