package kfsim

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestEditionsAndPermissions(t *testing.T) {
	media := func(r *rig) answered { return r.upload("file", "media", "a.txt", []byte("123456")) }
	for _, c := range []struct {
		name      string
		change    func(*Corp)
		kf        int // kf/account/list
		knowledge int
		media     int
	}{
		{"as it is", func(*Corp) {}, 0, 0, 0},
		{"the built-in app", func(c *Corp) { c.Apps = []App{{Kind: AppBuiltIn}} }, 0, 0, 0},
		{"standalone corp", func(c *Corp) { c.Edition = EditionStandalone }, 0, 48002, 0},
		{"joint corp, standalone secret", func(c *Corp) { c.Apps = []App{{Kind: AppStandalone}} }, 95011, 95011, 0},
		{"standalone corp, joint secret", func(c *Corp) { c.Edition, c.Apps = EditionStandalone, []App{{Kind: AppSelfBuilt}} }, 95012, 95012, 0},
		{"third-party app", func(c *Corp) { c.Apps = []App{{Kind: AppThirdParty}} }, 0, 48002, 0},
		{"forbidden", func(c *Corp) { c.Apps = []App{{Forbidden: true}} }, 48002, 48002, 0},
		{"the other app is forbidden", func(c *Corp) { c.Apps = []App{{}, {Forbidden: true}} }, 0, 0, 0},
		{"disabled", func(c *Corp) { c.Apps = []App{{Disabled: true}} }, 50003, 50003, 50003},
		{"built-in app disabled", func(c *Corp) { c.Apps = []App{{Kind: AppBuiltIn, Disabled: true}} }, 50006, 50006, 50006},
		{"switched off", func(c *Corp) { c.APIOff = true }, 95017, 95017, 0},
		{"given to a provider", func(c *Corp) { c.ProviderAPI = true }, 95023, 95023, 0},
		{"given to this provider", func(c *Corp) { c.ProviderAPI, c.Apps = true, []App{{Kind: AppThirdParty}} }, 0, 48002, 0},
	} {
		r := newRig(t, Config{})
		r.setCorp(c.change)
		r.wantCode(c.name+": kf", r.post("kf/account/list", obj{}), c.kf)
		r.wantCode(c.name+": knowledge", r.post("kf/knowledge/list_group", obj{}), c.knowledge)
		r.wantCode(c.name+": media", media(r), c.media)
	}
	r := newRig(t, Config{})
	r.setCorp(func(c *Corp) { c.Apps = []App{{Disabled: true}} })
	r.wantCode("gettoken of a disabled app", r.gettoken(corpA, "secret-one"), 40001)
	r.wantCode("and of the other", r.gettoken(corpA, "secret-two"), 0)
}

func TestTrustedIPs(t *testing.T) {
	call := func(r *rig) answered { return r.pull(nil) } // from 192.0.2.1
	for _, c := range []struct {
		name string
		ips  []string
		want int
	}{
		{"any", nil, 0},
		{"this one", []string{"10.0.0.1", "192.0.2.1"}, 0},
		{"a prefix", []string{"192.0.2.0/24"}, 0},
		{"another one", []string{"192.0.2.2"}, 60020},
		{"another prefix", []string{"10.0.0.0/8"}, 60020},
	} {
		r := newRig(t, Config{Personality: Personality{TrustedIPsAtOnce: true}})
		r.setCorp(func(s *Corp) { s.Apps = []App{{TrustedIPs: c.ips}} })
		r.wantCode(c.name, call(r), c.want)
		r.wantCode(c.name+": gettoken", r.gettoken(corpA, "secret-one"), 0)
	}
	r := newRig(t, Config{})
	r.setCorp(func(c *Corp) { c.Apps = []App{{TrustedIPs: []string{"10.0.0.1"}}} })
	r.Clock().Advance(time.Minute - time.Second)
	r.wantCode("a second before the minute is over", call(r), 0)
	r.Clock().Advance(time.Second)
	r.wantCode("after a minute", call(r), 60020)
	r.setCorp(func(c *Corp) { c.Apps[0].TrustedIPs = append(c.Apps[0].TrustedIPs, "192.0.2.1") })
	r.wantCode("put on the list", call(r), 60020)
	r.Clock().Advance(time.Minute)
	r.wantCode("a minute later", call(r), 0)
}

func TestDebugIsLimited(t *testing.T) {
	r := newRig(t, Config{})
	debug := func() answered {
		return r.parse(r.do("POST", "kf/account/list", url.Values{"access_token": {r.token}, "debug": {"1"}}, strings.NewReader("{}")))
	}
	for range 5 {
		r.wantCode("debug", debug(), 0)
	}
	r.wantCode("sixth in a minute", debug(), 45009)
	r.wantCode("without debug", r.post("kf/account/list", obj{}), 0)
	r.Clock().Advance(time.Minute)
	r.wantCode("a minute later", debug(), 0)
}

func TestUpdateCorpRefusals(t *testing.T) {
	r := newRig(t, Config{})
	for name, change := range map[string]func(*Corp){
		"corpid":       func(c *Corp) { c.CorpID = "ww9" },
		"edition":      func(c *Corp) { c.Edition = "both" },
		"app kind":     func(c *Corp) { c.Apps = []App{{Kind: "x"}} },
		"address":      func(c *Corp) { c.Apps = []App{{TrustedIPs: []string{"10.0.0"}}} },
		"too many":     func(c *Corp) { c.Apps = make([]App, 3) },
		"department":   func(c *Corp) { c.Departments = []Department{{ID: 0}} },
		"twice":        func(c *Corp) { c.Departments = []Department{{ID: 1}, {ID: 1}} },
		"past":         func(c *Corp) { c.PastCustomers = -1 },
		"lost secret":  func(c *Corp) { c.Secrets = c.Secrets[:1] },
		"callback url": func(c *Corp) { c.CallbackURL = "nowhere" },
	} {
		if r.UpdateCorp("", func(c *Corp) error { c.Members = []string{"mole"}; change(c); return nil }) == nil {
			t.Errorf("a bad %s was taken", name)
		}
	}
	r.must(r.AddServicer(Servicer{OpenKfID: kf, UserID: "lisi"}))
	r.setCorp(func(c *Corp) { c.Members = []string{"wang"} })
	r.setCorp(func(c *Corp) { c.Members = nil })
	got := r.post("kf/servicer/add", obj{"open_kfid": kf, "userid_list": []string{"mole", "wang", "lisi"}})
	if codes := rowCodes(got); codes[0] != "60111 userid not found" || codes[1] != codes[0] || codes[2] != "0 ignored" {
		t.Errorf("got %v, want only lisi to be a member", codes)
	}
	for name, change := range map[string]func(*Account){
		"open_kfid": func(a *Account) { a.OpenKfID = "wkX" },
		"name":      func(a *Account) { a.Name = strings.Repeat("x", 17) },
		"routing":   func(a *Account) { a.Routing = "x" },
	} {
		if r.UpdateAccount(kf, func(a *Account) error { change(a); return nil }) == nil {
			t.Errorf("a bad %s was taken", name)
		}
	}
	if r.UpdateAccount("wkX", func(*Account) error { return nil }) == nil {
		t.Error("an account that is not there was changed")
	}
}

func TestSettingsOverControl(t *testing.T) {
	c := newControl(t)
	c.ok("PATCH", "/corps/"+corpA, `{"apps":[{"forbidden":true}],"members":["lisi"]}`)
	c.wantCode("forbidden", c.pull(nil), 48002)
	c.ok("PATCH", "/corps/"+corpA, `{"apps":[{"forbidden":false}],"upgrade":{"userids":["lisi"]}}`)
	c.wantCode("permitted", c.pull(nil), 0)
	c.ok("PATCH", "/accounts/"+kf, `{"no_history":true}`)
	c.wantCode("no history", c.pull(nil), 95032)
	c.ok("PATCH", "/accounts/"+kf, `{"no_history":false}`)
	who := `{"open_kfid":"` + kf + `","external_userid":"` + ann + `"`
	c.wantCode("upgrade", c.post("kf/customer/upgrade_service", obj{"open_kfid": kf, "external_userid": ann, "type": 1, "member": obj{"userid": "lisi"}}), 0)
	c.ok("POST", "/upgrade/accept", who+`}`)
	c.ok("POST", "/servicers", `{"open_kfid":"`+kf+`","userid":"lisi"}`)
	c.ok("POST", "/servicers/rating", who+`,"userid":"lisi","rating":"satisfied"}`)
	c.ok("POST", "/urls", `{"url":"https://e.example/v","data":"MTIzNDU2"}`)
	if got := c.ok("POST", "/official-accounts", `{}`); got["appid"] == "" || got["secret"] == "" {
		t.Errorf("official account: got %v", got)
	}
	for path, body := range map[string]string{
		"/corps/" + corpA: `{"nonsense":1}`, "/corps/ww9": `{}`, "/accounts/wkX": `{}`,
	} {
		if status, _, text := c.do("PATCH", path, body); status != 400 {
			t.Errorf("PATCH %s %s: got HTTP %d %s, want 400", path, body, status, text)
		}
	}
	if status, _, text := c.do("POST", "/servicers/rating", who+`,"userid":"lisi","rating":"great"}`); status != 400 || !strings.Contains(text, "use satisfied") {
		t.Errorf("odd rating: got HTTP %d %s", status, text)
	}
	if status, _, text := c.do("POST", "/uploads/finish", `{"jobid":"x"}`); status != 400 || !strings.Contains(text, "unknown") {
		t.Errorf("unknown job: got HTTP %d %s", status, text)
	}
}
