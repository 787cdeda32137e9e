package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/services/tokenkeeper"
)

// platformDoctor looks at one credential with the platform's eyes. It asks twice, and once for each account; the checks then
// tell what they see in the answers.
type platformDoctor struct {
	lang  string
	named string // of KF_TOKENKEEPER_CREDENTIALS
	now   func() time.Time

	credential tokenkeeper.Credential
	api        *kfapi.Client
	grant      kfapi.GetTokenResponse
	refused    error // why gettoken brought no token, or the accounts could not be listed
	accounts   []kfapi.Account
	listed     bool
}

const maxDoctorAccounts = 50 // each costs a call

func doctorPlatform(s std) *cobra.Command {
	return platformDoctorCommand(s, "platform", "will the platform take this credential?")
}

func platformDoctorCommand(s std, use, short string) *cobra.Command {
	var o output
	d := platformDoctor{now: time.Now}
	c := &cobra.Command{Use: use, Short: short, Args: none,
		Long: `doctor platform asks WeChat, or the simulator, with the credential of kfbus tokenkeeper: gettoken, the list of accounts, and
the servicers of each account. It says whether the clock is right, the secret and the corp belong together, the address is
trusted (and which one WeChat sees), the secret is of the right edition, the app has the permissions, and which accounts
there are, and what to click where. It reads KF_CORP_ID and KF_TOKENKEEPER_SECRET_FILE, or with --credential what
KF_TOKENKEEPER_CREDENTIALS names, and KF_API_BASE_URL. Run it where the tokenkeeper, the syncer and the sender run: the
address counts. It changes nothing, and prints no secret and no token.

Exit code 0: nothing failed. 1: something did.`,
		Example: "  KF_CORP_ID=ww… KF_TOKENKEEPER_SECRET_FILE=… kfbus doctor platform --lang zh\n  kfbus doctor platform --credential shop -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			if d.lang != "" && d.lang != "en" && d.lang != "zh" {
				return usage(fmt.Errorf("--lang is %q; it must be en or zh", d.lang))
			}
			return examine(c.Context(), s, &o, d.checks())
		}}
	c.Flags().StringVar(&d.lang, "lang", "", "en or zh (default: by LC_ALL, LC_MESSAGES or LANG)")
	c.Flags().StringVar(&d.named, "credential", "", "one of KF_TOKENKEEPER_CREDENTIALS")
	o.flag(c)
	return c
}

func (d *platformDoctor) checks() []checkup {
	return []checkup{
		{checkSettings, d.settings},
		{checkSecret, d.secret},
		{checkClock, d.clock},
		{checkAddress, d.address},
		{checkEdition, d.edition},
		{checkPermission, d.permission},
		{checkAccounts, d.states},
	}
}

// say is one of two texts.
func (d *platformDoctor) say(en, zh string) string { return bilingual{en, zh}.in(languageOf(d.lang)) }

func (d *platformDoctor) needs(en, zh string) []verdict { return []verdict{skipped(d.say(en, zh))} }

func (d *platformDoctor) settings(context.Context) []verdict {
	var common settings
	var own struct {
		OfficialBaseURL string `split_words:"true" default:"https://api.weixin.qq.com"`
	}
	err := d.load(&common, &own)
	if err == nil {
		d.api, err = kfapi.New(kfapi.Config{BaseURL: common.APIBaseURL, OfficialBaseURL: own.OfficialBaseURL, AllowHTTP: common.AllowHTTP, Now: d.now})
	}
	if err != nil {
		all := complaints(err)
		for i := range all {
			all[i].Do = d.say("see kfbus tokenkeeper --help", "参见 kfbus tokenkeeper --help")
		}
		return all
	}
	return []verdict{fine(d.say("credential %s of %s, asked at %s", "凭证 %s（%s），接口地址 %s"), d.credential.Name, d.credential.Corp, common.APIBaseURL)}
}

func (d *platformDoctor) load(common *settings, own any) error {
	if d.named == "" {
		var corp corpEnv
		var one singleEnv
		err := service.Load("KF", common, own, &corp, &one)
		d.credential = one.Tokenkeeper.Of(corp.CorpID)
		return err
	}
	if !shortName.MatchString(d.named) {
		return errors.New("--credential is not a name of KF_TOKENKEEPER_CREDENTIALS")
	}
	var n tokenkeeper.Named
	err := errors.Join(service.Load("KF", common, own), service.Load(credentialPrefix(d.named), &n))
	d.credential = n.Of(d.named)
	return err
}

// secret fetches the token, as often as the platform likes it: once. Of an official account the stable one, as the other call
// would end the tokenkeeper's.
func (d *platformDoctor) secret(ctx context.Context) []verdict {
	if d.api == nil {
		return d.needs("needs the settings", "需要先修正配置")
	}
	c := d.credential
	var err error
	if c.Kind == "" || c.Kind == tokenkeeper.KindCorp {
		d.grant, err = d.api.GetToken(ctx, c.Corp, c.Secret.Reveal())
	} else {
		d.grant, err = d.api.StableToken(ctx, c.Corp, c.Secret.Reveal(), false)
	}
	if d.refused = err; err == nil {
		if d.official() {
			return []verdict{d.good()}
		}
		d.list(ctx)
		return []verdict{d.good()}
	}
	if _, answered := kfapi.Code(err); !answered {
		return []verdict{failing(d.say("look at DNS, the proxy, the firewall and KF_API_BASE_URL", "检查 DNS、代理、防火墙和 KF_API_BASE_URL"),
			d.say("the platform is not reached: %v", "无法访问平台：%v"), err)}
	}
	if v, mine := d.refusal(checkSecret, err); mine {
		return []verdict{v}
	}
	return d.needs("the platform does not say, before what is below is mended", "修正以下问题后才能得知")
}

func (d *platformDoctor) good() verdict {
	return fine(d.say("it brings an access token, with %v left", "可以获取 access_token，剩余 %v"), d.grant.ExpiresIn)
}

func (d *platformDoctor) official() bool {
	return d.credential.Kind != "" && d.credential.Kind != tokenkeeper.KindCorp
}

func (d *platformDoctor) list(ctx context.Context) {
	for a, err := range d.api.Accounts(ctx, d.grant.AccessToken) {
		if err != nil {
			d.refused = err
			return
		}
		d.accounts = append(d.accounts, a)
	}
	d.listed = true
}

// refusal is the verdict if the platform refused for a reason of this check.
func (d *platformDoctor) refusal(check string, err error) (v verdict, mine bool) {
	code, answered := kfapi.Code(err)
	other := checkPermission
	if d.grant.AccessToken == "" {
		other = checkSecret
	}
	if !answered {
		return v, false
	}
	a := adviceOn(code, other)
	if a.check != check {
		return v, false
	}
	lang := languageOf(d.lang)
	return failing(a.do.in(lang), "%s", a.detail.in(lang)), true
}

// clock compares ours with the platform's, by the Date of its answers. Windows of 48 hours and 20 seconds hang on it.
func (d *platformDoctor) clock(context.Context) []verdict {
	if d.api == nil {
		return d.needs("needs the settings", "需要先修正配置")
	}
	ahead, known := d.api.ServerOffset()
	off := -ahead
	word := d.say("ahead of", "快")
	if off < 0 {
		word = d.say("behind", "慢")
	}
	do := d.say("set the clock by NTP", "请用 NTP 校准时钟")
	text := d.say("ours is %v %s the platform's", "本机时钟比平台%[2]s %[1]v")
	switch shown := off.Abs().Round(time.Second); {
	case !known:
		return d.needs("the platform does not tell its time", "平台未返回时间")
	case off.Abs() > checkTolerance:
		return []verdict{failing(do, text, shown, word)}
	case off.Abs() > clockWarn:
		return []verdict{warning(do, text, shown, word)}
	}
	return []verdict{fine("%s", d.say("agrees with the platform's", "与平台一致"))}
}

// address: the platform names the caller's own in the errmsg of its refusals, and nowhere else.
func (d *platformDoctor) address(context.Context) []verdict {
	v, mine := d.refusal(checkAddress, d.refused)
	switch {
	case mine:
		var e *kfapi.Error
		if errors.As(d.refused, &e) {
			if ip, ok := kfapi.CallerAddress(e.Msg); ok {
				v.Detail += d.say("; WeChat sees ", "；平台看到的地址为 ") + ip.String()
			}
		}
		return []verdict{v}
	case d.listed, d.official() && d.refused == nil && d.api != nil:
		return []verdict{fine("%s", d.say("trusted, or the app trusts every address", "可信，或应用未限制 IP"))}
	}
	return d.needs("not known before the rest is mended", "需先修正其他问题")
}

func (d *platformDoctor) edition(context.Context) []verdict {
	return d.kf(checkEdition, "the secret is of the corp's edition", "secret 与企业的版本一致")
}

func (d *platformDoctor) permission(context.Context) []verdict {
	return d.kf(checkPermission, "the app may call the Kf API", "应用可以调用微信客服接口")
}

// kf is a check that the list of accounts answers.
func (d *platformDoctor) kf(check, en, zh string) []verdict {
	if v, mine := d.refusal(check, d.refused); mine && d.grant.AccessToken != "" {
		return []verdict{v}
	}
	switch {
	case d.official():
		return d.needs("official accounts and mini programs have none", "公众号和小程序没有此项")
	case d.listed:
		return []verdict{fine("%s", d.say(en, zh))}
	}
	return d.needs("not known before the rest is mended", "需先修正其他问题")
}

// states is a line for each account: may the app use it, and is there anybody to talk to?
func (d *platformDoctor) states(ctx context.Context) []verdict {
	switch {
	case d.official():
		return d.needs("official accounts and mini programs have none", "公众号和小程序没有此项")
	case !d.listed:
		return d.needs("they cannot be listed", "无法列出客服账号")
	case len(d.accounts) == 0:
		return []verdict{warning(d.say(consoleJoint+" → 微信客服: make one, or kfbus api account.add", "登录 "+consoleJoint+" → 微信客服：创建客服账号，或使用 kfbus api account.add"),
			"%s", d.say("there is no account", "没有客服账号"))}
	}
	var all []verdict
	for i, a := range d.accounts {
		if i == maxDoctorAccounts {
			return append(all, skipped(fmt.Sprintf(d.say("%d more accounts", "另有 %d 个客服账号"), len(d.accounts)-i)))
		}
		all = append(all, d.state(ctx, a))
	}
	return all
}

func (d *platformDoctor) state(ctx context.Context, a kfapi.Account) verdict {
	lang := languageOf(d.lang)
	name := printableText(a.OpenKfID + " " + a.Name)
	servicers, err := d.api.ServicerList(ctx, d.grant.AccessToken, kfapi.ServicerListRequest{OpenKfID: a.OpenKfID})
	code, _ := kfapi.Code(err)
	switch {
	case code == 48007, a.ManagePrivilege != nil && !bool(*a.ManagePrivilege):
		x := adviceOn(48007, checkAccounts)
		return failing(x.do.in(lang), "%s: %s", name, x.detail.in(lang))
	case code != 0:
		x := adviceOn(code, checkAccounts)
		return failing(x.do.in(lang), "%s: %s", name, x.detail.in(lang))
	case err != nil:
		return failing(d.say("try again", "请重试"), "%s: %v", name, err)
	}
	working := 0
	for _, s := range servicers.ServicerList {
		if s.Status != nil && *s.Status == kfapi.ServicerReceiving {
			working++
		}
	}
	people := fmt.Sprintf(d.say("%d servicers, %d of them receiving", "接待人员 %d 名，其中 %d 名正在接待"), len(servicers.ServicerList), working)
	if len(servicers.ServicerList) == 0 {
		return warning(d.say(consoleJoint+" → 微信客服 → the account → 接待人员: add one, or a customer who wants a person finds none", "登录 "+consoleJoint+" → 微信客服 → 该账号 → 接待人员：请添加，否则无法转人工"), "%s: %s", name, people)
	}
	return fine("%s: %s", name, strings.TrimSpace(people))
}
