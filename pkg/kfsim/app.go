package kfsim

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Editions of a corp: how it runs Kf.
const (
	EditionJoint      = "joint"      // 联合版, inside WeCom
	EditionStandalone = "standalone" // 独立版, at kf.weixin.qq.com
)

// Kinds of apps: what a secret is of.
const (
	AppSelfBuilt  = "self_built"  // an app that the corp made
	AppBuiltIn    = "built_in"    // the app 微信客服 of corps from before December 2023
	AppStandalone = "standalone"  // the secret of the standalone edition
	AppThirdParty = "third_party" // a provider's app
)

// App is what an administrator decides about one app of a corp. The zero value is an app that fits
// the corp's edition and may do everything.
type App struct {
	Kind       string   `json:"kind,omitempty"`        // self_built, built_in, standalone, third_party; standalone or self_built by the corp's edition when empty
	Forbidden  bool     `json:"forbidden,omitempty"`   // not among 可调用接口的应用: kf calls are 48002
	Disabled   bool     `json:"disabled,omitempty"`    // gettoken is 40001, every call 50003 (50006 for built_in)
	TrustedIPs []string `json:"trusted_ips,omitempty"` // addresses or prefixes (10.0.0.0/8) of callers, else 60020; none means every address
	Hidden     []string `json:"hidden,omitempty"`      // members outside the app's visible range
}

// app is what the administrator decided about the app of the corp's secret with this index.
func (c *corp) app(index int) App { return appOf(c.Corp, index) }

func appOf(c Corp, index int) App {
	var a App
	if index < len(c.Apps) {
		a = c.Apps[index]
	}
	if a.Kind == "" {
		a.Kind = AppSelfBuilt
		if c.Edition == EditionStandalone {
			a.Kind = AppStandalone
		}
	}
	return a
}

func (a App) validate() error {
	if a.Kind != "" && !slices.Contains([]string{AppSelfBuilt, AppBuiltIn, AppStandalone, AppThirdParty}, a.Kind) {
		return fmt.Errorf("kind of an app is %q; use self_built, built_in, standalone or third_party", a.Kind)
	}
	for _, ip := range a.TrustedIPs {
		if _, err := prefix(ip); err != nil {
			return fmt.Errorf("trusted_ips has %q; write an address or a prefix like 10.0.0.0/8", clip(ip, 64))
		}
	}
	return nil
}

// prefix reads an address or a prefix.
func prefix(s string) (netip.Prefix, error) {
	if strings.Contains(s, "/") {
		return netip.ParsePrefix(s)
	}
	a, err := netip.ParseAddr(s)
	return netip.PrefixFrom(a, a.BitLen()), err
}

// trusts reports whether a list of addresses, checked when it was set, has ip in it.
func trusts(list []string, ip string) bool {
	if len(list) == 0 {
		return true
	}
	a, err := netip.ParseAddr(ip)
	return err == nil && slices.ContainsFunc(list, func(s string) bool {
		p, err := prefix(s)
		return err == nil && p.Contains(a.Unmap())
	})
}

// trustDelay is how long a changed list of trusted addresses takes to work.
const trustDelay = time.Minute

// permitted decides what does not depend on the call's parameters: address, app, edition, switch.
//
// https://developer.work.weixin.qq.com/document/path/90313
func (r *request) permitted() answer {
	c, app := r.corp, r.corp.app(r.app)
	ips := app.TrustedIPs
	if !r.sim.p.TrustedIPsAtOnce && within(c.trustAt, trustDelay, r.now) {
		ips = c.trusted[r.app]
	}
	kf := strings.HasPrefix(r.entry.Path, "kf/")
	switch {
	case !trusts(ips, r.ip):
		return refuse(60020, "the address is not among the app's trusted ones")
	case app.Disabled && app.Kind == AppBuiltIn:
		return refuse(50006, "the built-in app is disabled")
	case app.Disabled:
		return refuse(50003, "the app is disabled")
	case !kf:
		return answer{}
	case c.Edition == EditionStandalone && app.Kind != AppStandalone:
		return refuse(95012, "the corp is in standalone mode, and the token is of a joint secret")
	case c.Edition != EditionStandalone && app.Kind == AppStandalone:
		return refuse(95011, "the corp is in joint mode, and the token is of a standalone secret")
	case app.Forbidden:
		return refuse(48002, "the app is not among those that may call the API")
	case selfBuiltOnly(r.entry.Path) && app.Kind != AppSelfBuilt && app.Kind != AppBuiltIn:
		return refuse(48002, "this call is for self-built apps only")
	case c.APIOff:
		return refuse(95017, "the corp's API switch is off")
	case c.ProviderAPI && app.Kind != AppThirdParty:
		return refuse(95023, "the API switch is granted to a provider's app")
	}
	return answer{}
}

// selfBuiltOnly are the calls that neither the standalone edition nor providers have.
//
// https://developer.work.weixin.qq.com/document/path/95971
func selfBuiltOnly(path string) bool { return strings.HasPrefix(path, "kf/knowledge/") }
