package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kfbus/kfbus/pkg/kfsim"
)

// setup is a simulated WeChat and what an operator has configured for it.
type setup struct {
	sim   *kfsim.Sim
	world world
	env   map[string]string
	now   func() time.Time
}

func newSetup(t *testing.T) *setup {
	t.Helper()
	sim, err := kfsim.New(kfsim.Config{Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	w, err := populate(sim, worldSpec{customers: 1, secret: "CANARYcorpsecret0123456789abcdefghijklmnopq"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var g errgroup.Group
	g.Go(func() error { return serve(ctx, l, sim.Platform()) })
	t.Cleanup(func() {
		cancel()
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
	})
	return &setup{sim, w, map[string]string{"KF_CORP_ID": w.corp.CorpID, "KF_TOKENKEEPER_SECRET": w.corp.Secrets[0], "KF_API_BASE_URL": at(l), "KF_OFFICIAL_BASE_URL": at(l)}, time.Now}
}

func (s *setup) corp(change func(*kfsim.Corp)) error {
	return s.sim.UpdateCorp(s.world.corp.CorpID, func(c *kfsim.Corp) error { change(c); return nil })
}

func (s *setup) app(a kfsim.App) error {
	if err := s.corp(func(c *kfsim.Corp) { c.Apps = []kfsim.App{a} }); err != nil {
		return err
	}
	s.sim.Clock().Advance(2 * time.Minute) // a list of addresses works after one
	s.now = func() time.Time { return time.Now().Add(2 * time.Minute) }
	return nil
}

// odd are the states that are not ok, in order.
func odd(states map[string]string) string {
	var all []string
	for _, check := range []string{checkSettings, checkSecret, checkClock, checkAddress, checkEdition, checkPermission, checkAccounts} {
		if states[check] != stateOK {
			all = append(all, check+":"+states[check])
		}
	}
	return strings.Join(all, " ")
}

var chinese = regexp.MustCompile(`\p{Han}`)

// TestDoctorPlatform: each broken setup has its cause named, and what to click, in both languages.
func TestDoctorPlatform(t *testing.T) {
	const blind = "secret:skip clock:skip address:skip edition:skip permission:skip accounts:skip"
	for _, c := range []struct {
		name   string
		breaks func(*setup) error
		want   string // states that are not ok
		words  string // of the detail, in either language
		clicks string // of what to do
	}{
		{"all is well", func(*setup) error { return nil }, "", "1 servicers, 1 of them receiving", ""},

		// the six
		{"a wrong secret", func(s *setup) error { s.env["KF_TOKENKEEPER_SECRET"] = "CANARYother"; return nil },
			"secret:fail address:skip edition:skip permission:skip accounts:skip", "40001", "应用管理"},
		{"an address that is not trusted", func(s *setup) error { return s.app(kfsim.App{TrustedIPs: []string{"203.0.113.9"}}) },
			"address:fail edition:skip permission:skip accounts:skip", "127.0.0.1", "企业可信IP"},
		{"a standalone secret in joint mode", func(s *setup) error { return s.app(kfsim.App{Kind: kfsim.AppStandalone}) },
			"address:skip edition:fail permission:skip accounts:skip", "95011", "work.weixin.qq.com"},
		{"a joint secret in standalone mode", func(s *setup) error {
			return s.corp(func(c *kfsim.Corp) {
				c.Edition, c.Apps = kfsim.EditionStandalone, []kfsim.App{{Kind: kfsim.AppSelfBuilt}}
			})
		}, "address:skip edition:fail permission:skip accounts:skip", "95012", "kf.weixin.qq.com"},
		{"an app that may not call", func(s *setup) error { return s.app(kfsim.App{Forbidden: true}) },
			"address:skip edition:skip permission:fail accounts:skip", "48002", "可调用接口的应用"},
		{"an account that is not the app's", func(s *setup) error { return s.sim.Authorize(s.world.account.OpenKfID, false) },
			"accounts:fail", "48007", "管理账号、分配会话和收发消息"},

		// and more
		{"an unknown corp", func(s *setup) error { s.env["KF_CORP_ID"] = "ww0000000000000000"; return nil },
			"secret:fail address:skip edition:skip permission:skip accounts:skip", "40013", "企业ID"},
		{"the API is off", func(s *setup) error { return s.corp(func(c *kfsim.Corp) { c.APIOff = true }) },
			"address:skip edition:skip permission:fail accounts:skip", "95017", "API"},
		{"a disabled app", func(s *setup) error { return s.app(kfsim.App{Disabled: true}) },
			"secret:fail address:skip edition:skip permission:skip accounts:skip", "40001", "应用管理"},
		{"our clock is wrong", func(s *setup) error {
			s.now = func() time.Time { return time.Now().Add(-10 * time.Minute) }
			return nil
		},
			"clock:fail", "10m0s", "NTP"},
		{"our clock is off", func(s *setup) error { s.now = func() time.Time { return time.Now().Add(30 * time.Second) }; return nil },
			"clock:warn", "30s", "NTP"},
		{"nobody answers", func(s *setup) error { s.env["KF_API_BASE_URL"] = "http://127.0.0.1:1"; return nil },
			"secret:fail clock:skip address:skip edition:skip permission:skip accounts:skip", "connection refused", "DNS"},
		{"no accounts", func(s *setup) error { return s.sim.RemoveAccount(s.world.account.OpenKfID) }, "accounts:warn", "", "api account.add"},
		{"an account without servicers", func(s *setup) error {
			_, err := s.sim.AddAccount(kfsim.Account{CorpID: s.world.corp.CorpID, OpenKfID: "wkEmpty", Name: "\x1b[31mEmpty"})
			return err
		}, "", "wkEmpty �[31mEmpty", "接待人员"},
		{"busy", func(s *setup) error {
			_, err := s.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultErrCode, Path: "kf/account/list", ErrCode: 50002})
			return err
		}, "address:skip edition:skip permission:fail accounts:skip", "50002", ""},
		{"no secret", func(s *setup) error { s.env["KF_TOKENKEEPER_SECRET"] = ""; return nil }, "settings:fail " + blind, "KF_TOKENKEEPER_SECRET is required", "tokenkeeper --help"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, lang := range []string{"en", "zh"} {
				s := newSetup(t)
				if err := c.breaks(s); err != nil {
					t.Fatal(err)
				}
				for name, value := range s.env {
					t.Setenv(name, value)
				}
				var out bytes.Buffer
				d := platformDoctor{lang: lang, now: s.now}
				err := examine(t.Context(), std{out: &out}, &output{format: "json"}, d.checks())
				got, _ := states(t, out.String())
				if odd(got) != c.want {
					t.Errorf("%s: got %q, want %q:\n%s", lang, odd(got), c.want, out.String())
				}
				if !strings.Contains(out.String(), c.words) && lang == "en" || !strings.Contains(out.String(), c.clicks) {
					t.Errorf("%s: want %q and %q in:\n%s", lang, c.words, c.clicks, out.String())
				}
				if n := len(chinese.FindAllString(out.String(), -1)); lang == "zh" && n < 20 {
					t.Errorf("%d Chinese characters in:\n%s", n, out.String())
				}
				if failed := strings.Contains(c.want, ":fail"); (err != nil) != failed {
					t.Errorf("%s: got %v, and it failed: %v", lang, err, failed)
				}
				if strings.Contains(out.String(), "CANARY") || d.grant.AccessToken != "" && strings.Contains(out.String(), d.grant.AccessToken) {
					t.Errorf("a secret is in:\n%s", out.String())
				}
				if s.sim.Calls("gettoken") > 1 {
					t.Errorf("gettoken was called %d times, want once at most", s.sim.Calls("gettoken"))
				}
			}
		})
	}
}

// An official account has a token and an address, and nothing of Kf.
func TestDoctorOfficialAccount(t *testing.T) {
	for _, c := range []struct {
		name  string
		ips   []string
		want  string
		words string
	}{
		{"well", nil, "edition:skip permission:skip accounts:skip", "trusted"},
		{"its address is not on the list", []string{"203.0.113.9"}, "address:fail edition:skip permission:skip accounts:skip", "40164"},
	} {
		s := newSetup(t)
		oa, err := s.sim.AddOfficialAccount(kfsim.OfficialAccount{IPs: c.ips})
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"KF_CREDENTIAL_SHOP_ID": oa.AppID, "KF_CREDENTIAL_SHOP_KIND": "stable", "KF_CREDENTIAL_SHOP_SECRET": oa.Secret,
			"KF_API_BASE_URL": s.env["KF_API_BASE_URL"], "KF_OFFICIAL_BASE_URL": s.env["KF_API_BASE_URL"]} {
			t.Setenv(name, value)
		}
		_, out, errs := kfbus(t, "doctor", "platform", "--credential", "shop", "--lang", "en", "-o", "json")
		got, _ := states(t, out)
		if odd := odd(got); !strings.Contains(odd, c.want) || !strings.Contains(out, c.words) || strings.Contains(out+errs, oa.Secret) {
			t.Errorf("%s: got %q, want %q and %q:\n%s%s", c.name, odd, c.want, c.words, out, errs)
		}
	}
}

func TestDoctorWithoutMore(t *testing.T) {
	s := newSetup(t)
	for name, value := range s.env {
		t.Setenv(name, value)
	}
	code, out, errs := kfbus(t, "doctor", "--lang", "zh")
	if code != 0 || !strings.Contains(out, "ok    accounts") || !chinese.MatchString(out) {
		t.Errorf("code %d:\n%s%s", code, out, errs)
	}
	if code, _, errs := kfbus(t, "doctor", "--lang", "fr"); code != 2 || !strings.Contains(errs, "en or zh") {
		t.Errorf("--lang fr: code %d, %s", code, errs)
	}
	if code, _, _ := kfbus(t, "doctor", "nobody"); code != 2 {
		t.Errorf("doctor nobody: code %d, want 2", code)
	}
}

// Each piece of advice has both languages, and its check is one of the doctor's.
func TestAdviceIsBilingual(t *testing.T) {
	checks := []string{checkSecret, checkAddress, checkEdition, checkPermission, checkAccounts}
	seen := map[int]bool{}
	for _, a := range append(slices.Clone(advices), adviceOn(-1, checkSecret), adviceOn(123456, checkSecret)) {
		number := fmt.Sprintf("(%d)", a.code)
		for _, b := range []bilingual{a.detail, a.do} {
			if b.en == "" || !chinese.MatchString(b.zh) {
				t.Errorf("%d: got %q and %q", a.code, b.en, b.zh)
			}
		}
		if !strings.Contains(strings.ReplaceAll(a.detail.en, "（", "("), number) || !slices.Contains(checks, a.check) || seen[a.code] {
			t.Errorf("%d: %q, check %s, there before: %v", a.code, a.detail.en, a.check, seen[a.code])
		}
		seen[a.code] = true
	}
}
