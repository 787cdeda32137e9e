package kfapi

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestGetToken(t *testing.T) {
	s := serve(t, says(`{"errcode":0,"errmsg":"ok","access_token":"tok","expires_in":7200}`))
	got, err := s.GetToken(background(t), "ww1", "s+/=")
	if err != nil || got.AccessToken != "tok" || got.ExpiresIn != 2*time.Hour {
		t.Errorf("got %v, %v", got, err)
	}
	if sent := s.last(t); sent.method != "GET" || sent.path != "/cgi-bin/gettoken" || sent.query != "corpid=ww1&corpsecret=s%2B%2F%3D" || sent.body != "" {
		t.Errorf("got %+v", sent)
	}
	for _, body := range []string{
		`{"errcode":0,"expires_in":7200}`, `{"errcode":0,"access_token":"","expires_in":7200}`, `{"errcode":0,"access_token":"t"}`,
		`{"errcode":0,"access_token":"t","expires_in":0}`, `{"errcode":0,"access_token":"t","expires_in":1e99}`,
		`{"errcode":0,"access_token":"t","expires_in":99999999999}`, `{"access_token":"t","expires_in":7200}`,
	} {
		var odd *BodyError
		if got, err := serve(t, says(body)).GetToken(background(t), "ww1", "s"); !errors.As(err, &odd) || got.AccessToken != "" {
			t.Errorf("%s: got %v, %v, want a BodyError", body, got, err)
		}
	}
	_, err = serve(t, says(`{"errcode":40001,"errmsg":"invalid credential","access_token":""}`)).GetToken(background(t), "ww1", "s")
	if code, _ := Code(err); code != 40001 || TokenRejected(err) {
		t.Errorf("got %v, want 40001, no rejected token", err)
	}
	for _, args := range [][2]string{{"", "s"}, {"ww1", ""}} {
		if _, err := s.GetToken(background(t), args[0], args[1]); !NotSent(err) {
			t.Errorf("%q: got %v, want a refusal before sending", args, err)
		}
	}
}

func TestServiceStateGet(t *testing.T) {
	s := serve(t, says(`{"errcode":0,"errmsg":"ok","service_state":3,"servicer_userid":"lisi"}`))
	req := ServiceStateGetRequest{OpenKfID: "wk1", ExternalUserID: "wm1"}
	got, err := s.ServiceStateGet(background(t), token, req)
	if err != nil || got.ServiceState != StateHuman || got.ServicerUserID != "lisi" || got.ErrMsg != "ok" || !strings.HasPrefix(string(got.Raw), `{"errcode":0,`) {
		t.Errorf("got %+v, %v", got, err)
	}
	if sent := s.last(t); sent.path != "/cgi-bin/kf/service_state/get" || sent.body != `{"open_kfid":"wk1","external_userid":"wm1"}` {
		t.Errorf("got %s %s", sent.path, sent.body)
	}
	got, err = serve(t, says(`{"errcode":0,"service_state":0}`)).ServiceStateGet(background(t), token, req)
	if err != nil || got.ServiceState != StateNew {
		t.Errorf("state 0: got %+v, %v", got, err)
	}
	// Without a state the answer must not read as "0, the API may send".
	var odd *BodyError
	if _, err = serve(t, says(`{"errcode":0,"errmsg":"ok"}`)).ServiceStateGet(background(t), token, req); !errors.As(err, &odd) {
		t.Errorf("no state: got %v, want a BodyError", err)
	}
	for _, req := range []ServiceStateGetRequest{{OpenKfID: "wk1"}, {ExternalUserID: "wm1"}} {
		if _, err := s.ServiceStateGet(background(t), token, req); !NotSent(err) {
			t.Errorf("%+v: got %v, want a refusal before sending", req, err)
		}
	}
}

func TestServiceStateTrans(t *testing.T) {
	s := serve(t, says(`{"errcode":0,"errmsg":"ok","msg_code":"MC_1"}`))
	for _, c := range []struct {
		req  ServiceStateTransRequest
		want string // "" is refused
	}{
		{ServiceStateTransRequest{"wk1", "wm1", StateHuman, "lisi"}, `{"open_kfid":"wk1","external_userid":"wm1","service_state":3,"servicer_userid":"lisi"}`},
		{ServiceStateTransRequest{"wk1", "wm1", StatePool, ""}, `{"open_kfid":"wk1","external_userid":"wm1","service_state":2}`},
		{ServiceStateTransRequest{"wk1", "wm1", StateNew, ""}, `{"open_kfid":"wk1","external_userid":"wm1","service_state":0}`},
		{ServiceStateTransRequest{"wk1", "wm1", StateHuman, ""}, ""},
		{ServiceStateTransRequest{"wk1", "wm1", 5, ""}, ""},
		{ServiceStateTransRequest{"wk1", "wm1", -1, ""}, ""},
		{ServiceStateTransRequest{"", "wm1", StatePool, ""}, ""},
		{ServiceStateTransRequest{"wk1", "", StatePool, ""}, ""},
	} {
		got, err := s.ServiceStateTrans(background(t), token, c.req)
		if c.want == "" {
			if !NotSent(err) {
				t.Errorf("%+v: got %v, want a refusal before sending", c.req, err)
			}
			continue
		}
		sent := s.last(t)
		if err != nil || got.MsgCode != "MC_1" || sent.body != c.want || sent.path != "/cgi-bin/kf/service_state/trans" {
			t.Errorf("got %+v, %v, %s, want %s", got, err, sent.body, c.want)
		}
	}
}

func TestAccountList(t *testing.T) {
	s := serve(t, says(`{"errcode":0,"errmsg":"ok","account_list":[{"open_kfid":"wk1","name":"Orders","avatar":"https:\/\/img.example\/a","manage_privilege":true},{"open_kfid":"wk2","name":"B","manage_privilege":0},{"open_kfid":"wk3"}]}`))
	got, err := s.AccountList(background(t), token, 100, 50)
	if err != nil || len(got.AccountList) != 3 {
		t.Fatalf("got %+v, %v", got, err)
	}
	a, b, c := got.AccountList[0], got.AccountList[1], got.AccountList[2]
	if a.OpenKfID != "wk1" || a.Name != "Orders" || a.Avatar != "https://img.example/a" || !bool(*a.ManagePrivilege) || bool(*b.ManagePrivilege) || c.ManagePrivilege != nil {
		t.Errorf("got %+v", got.AccountList)
	}
	if sent := s.last(t); sent.method != "POST" || sent.path != "/cgi-bin/kf/account/list" || sent.body != `{"offset":100,"limit":50}` {
		t.Errorf("got %+v", sent)
	}
	if _, err := s.AccountList(background(t), token, 0, 0); err != nil || s.last(t).body != `{}` {
		t.Errorf("defaults: got %s, %v, want {}", s.last(t).body, err)
	}
	for _, args := range [][2]int{{-1, 0}, {0, -1}, {0, 101}} {
		if _, err := s.AccountList(background(t), token, args[0], args[1]); !NotSent(err) {
			t.Errorf("%v: got %v, want a refusal before sending", args, err)
		}
	}
}

// Every call passes on a refusal as it is and takes no other code for a success.
func TestEveryCallReportsRefusals(t *testing.T) {
	s := serve(t, says(`{"errcode":48002,"errmsg":"api forbidden, hint: [1], from ip: 1.2.3.4"}`))
	for _, call := range calls() {
		err := call.do(background(t), s.Client)
		var e *Error
		if !errors.As(err, &e) || e.Code != 48002 || e.Msg != "api forbidden, hint: [1], from ip: 1.2.3.4" {
			t.Errorf("%s: got %v, want 48002", call.name, err)
		}
	}
}

func TestEveryCallNeedsAToken(t *testing.T) {
	s := serve(t, says(`{"errcode":0}`))
	ctx := background(t)
	for name, do := range map[string]func(context.Context) error{
		"sync_msg": func(ctx context.Context) error { _, err := s.SyncMsg(ctx, "", SyncMsgRequest{}); return err },
		"send_msg": func(ctx context.Context) error {
			_, err := s.SendMsg(ctx, "", SendMsgRequest{ToUser: "wm", OpenKfID: "wk", Message: Text{"x"}})
			return err
		},
		"media/get": func(ctx context.Context) error { _, err := s.MediaGet(ctx, "", "M", Range{}); return err },
	} {
		if err := do(ctx); !NotSent(err) {
			t.Errorf("%s: got %v, want a refusal before sending", name, err)
		}
	}
	if n := s.count(); n != 0 {
		t.Errorf("the server saw %d requests, want 0", n)
	}
}
