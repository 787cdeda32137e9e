package kfsim

import (
	"fmt"
	"testing"
	"time"
)

func TestAccountList(t *testing.T) {
	r := newRig(t, Config{})
	for i := range 104 {
		_, err := r.AddAccount(Account{OpenKfID: fmt.Sprint("wk", i)})
		r.must(err)
	}
	r.must(r.RemoveAccount("wk0"))
	for _, c := range []struct {
		body string
		rows int
		code int
	}{{"{}", 100, 0}, {`{"offset":100}`, 4, 0}, {`{"limit":1}`, 1, 0}, {`{"offset":999}`, 0, 0}, {`{"limit":0}`, 0, 40058}, {`{"limit":101}`, 0, 40058}} {
		got := r.post("kf/account/list", c.body)
		r.wantCode(c.body, got, c.code)
		if rows, _ := got["account_list"].([]any); len(rows) != c.rows {
			t.Errorf("%s: got %d rows, want %d", c.body, len(rows), c.rows)
		}
	}
}

func TestBatchGet(t *testing.T) {
	r := newRig(t, Config{})
	get := func(more obj) answered {
		m := obj{"external_userid_list": []string{ann, bob, "wmNOBODY"}}
		for k, v := range more {
			m[k] = v
		}
		return r.post("kf/customer/batchget", m)
	}
	found := func(a answered) (out []answered) {
		list, _ := a["customer_list"].([]any)
		for _, v := range list {
			out = append(out, v.(map[string]any))
		}
		return out
	}
	if got := get(nil); len(found(got)) != 0 || len(got["invalid_external_userid"].([]any)) != 3 {
		t.Errorf("nobody came: got %v, want all invalid", got)
	}
	r.enter()
	r.says(bob, "hi")
	got := get(obj{"need_enter_session_context": 1})
	list := found(got)
	if len(list) != 2 || list[0].str("nickname") != "N"+ann || list[0]["gender"] != 2.0 {
		t.Fatalf("got %v, want Ann and Bob", got)
	}
	if c, _ := list[0]["enter_session_context"].(map[string]any); c["scene"] != "home" || list[1]["enter_session_context"] != nil {
		t.Errorf("got contexts %v and %v, want home and none", list[0]["enter_session_context"], list[1]["enter_session_context"])
	}
	if list := found(get(nil)); list[0]["enter_session_context"] != nil {
		t.Error("the context came without being asked for")
	}
	r.jump(48 * time.Hour)
	if n := len(found(get(nil))); n != 0 {
		t.Errorf("after 48 h: got %d customers, want none", n)
	}
	r.wantCode("empty list", get(obj{"external_userid_list": []string{}}), 40058)
	r.wantCode("101 ids", get(obj{"external_userid_list": make([]string, 101)}), 40058)
	r.wantCode("context 2", get(obj{"need_enter_session_context": 2}), 40058)
}
