package main

import (
	"fmt"

	"github.com/kfbus/kfbus/pkg/kfapi"
)

// bilingual is a text in both languages of the doctor's.
type bilingual struct{ en, zh string }

func (b bilingual) in(lang kfapi.Lang) string {
	if lang == kfapi.Chinese {
		return b.zh
	}
	return b.en
}

// advice is what an errcode of the platform's says about a credential, and what to click where.
type advice struct {
	code   int
	check  string // which of the doctor's checks it fails
	detail bilingual
	do     bilingual
}

// Checks of the platform's doctor.
const (
	checkSettings   = "settings"
	checkSecret     = "secret"
	checkClock      = "clock"
	checkAddress    = "address"
	checkEdition    = "edition"
	checkPermission = "permission"
	checkAccounts   = "accounts"
)

const (
	consoleJoint  = "work.weixin.qq.com"
	consoleSingle = "kf.weixin.qq.com"
)

// advices are the refusals that a setting causes; for all others the catalogue speaks.
var advices = []advice{
	{40001, checkSecret,
		bilingual{"the platform refuses the secret: mistyped, reset, or the app is disabled (40001)", "secret 错误、已被重置，或应用已停用（40001）"},
		bilingual{consoleJoint + " → 应用管理 → the app → Secret: copy it whole into the file of KF_TOKENKEEPER_SECRET_FILE; see that the app is enabled. Do not try often: many failures ban the address for an hour",
			"登录 " + consoleJoint + " → 应用管理 → 该应用 → Secret：完整复制到 KF_TOKENKEEPER_SECRET_FILE 所指文件，并确认应用已启用。请勿反复尝试：失败过多会封禁 IP 一小时"}},
	{40091, checkSecret,
		bilingual{"the secret is of another corp (40091)", "secret 属于其他企业（40091）"},
		bilingual{"take the secret of an app of this corp, or correct KF_CORP_ID", "改用本企业应用的 secret，或更正 KF_CORP_ID"}},
	{40013, checkSecret,
		bilingual{"the platform does not know this corpid (40013)", "corpid 不存在（40013）"},
		bilingual{consoleJoint + " → 我的企业 → 企业信息 → 企业ID: put it into KF_CORP_ID; an appid (wx…) is none", "登录 " + consoleJoint + " → 我的企业 → 企业信息 → 企业ID：填入 KF_CORP_ID；公众号的 appid（wx…）不能代替"}},
	{40125, checkSecret,
		bilingual{"the AppSecret is wrong (40125)", "AppSecret 错误（40125）"},
		bilingual{"copy the AppSecret of this appid whole", "请完整复制该 appid 的 AppSecret"}},
	{45009, checkSecret,
		bilingual{"called too often, or the address is banned after too many wrong secrets (45009)", "调用过于频繁，或因多次 secret 错误 IP 被封禁（45009）"},
		bilingual{"wait an hour, and see that no program tries a wrong secret meanwhile", "等待一小时，并确认期间没有程序使用错误的 secret"}},
	{60020, checkAddress,
		bilingual{"this address is not trusted (60020)", "调用方 IP 不在可信 IP 中（60020）"},
		bilingual{consoleJoint + " → 应用管理 → the app → 企业可信IP: add the address above; it works after about a minute",
			"登录 " + consoleJoint + " → 应用管理 → 该应用 → 企业可信IP：加入上述地址，约 1 分钟后生效"}},
	{40164, checkAddress,
		bilingual{"this address is not on the list of the official account (40164)", "调用方 IP 不在公众号的白名单中（40164）"},
		bilingual{"add the egress address to the IP allow list (IP白名单) of the official account", "把出口 IP 加入公众号的 IP白名单"}},
	{95011, checkEdition,
		bilingual{"the corp is in joint mode (联合版), and the secret is of the standalone one (95011)", "企业为联合版，而 secret 来自独立版（95011）"},
		bilingual{"take the secret of an app from " + consoleJoint + " → 应用管理, not the one of " + consoleSingle, "改用 " + consoleJoint + " → 应用管理 中应用的 Secret，而不是 " + consoleSingle + " 的 Secret"}},
	{95012, checkEdition,
		bilingual{"the corp is in standalone mode (独立版), and the secret is of a joint one's app (95012)", "企业为独立版，而 secret 来自联合版的应用（95012）"},
		bilingual{"take the secret from " + consoleSingle + ", not the one of an app at " + consoleJoint, "改用 " + consoleSingle + " 的 Secret，而不是 " + consoleJoint + " 中应用的 Secret"}},
	{48002, checkPermission,
		bilingual{"the app may not call the Kf API (48002)", "应用没有调用微信客服接口的权限（48002）"},
		bilingual{consoleJoint + " → 微信客服 → 可调用接口的应用: add the app, and use its own secret; corps since 2023-12-01 cannot use that of the built-in 微信客服",
			"登录 " + consoleJoint + " → 微信客服 → 可调用接口的应用：加入该应用，并使用它自己的 Secret；2023-12-01 之后的企业不能再用内置“微信客服”的 Secret"}},
	{48007, checkAccounts,
		bilingual{"the app may not use the account (48007)", "应用没有该客服账号的权限（48007）"},
		bilingual{consoleJoint + " → 微信客服 → 可调用接口的应用 → the app: grant it 管理账号、分配会话和收发消息 of this account", "登录 " + consoleJoint + " → 微信客服 → 可调用接口的应用 → 该应用：为该客服账号授予“管理账号、分配会话和收发消息”"}},
	{95017, checkPermission,
		bilingual{"the API of Kf is switched off (95017)", "微信客服的 API 功能未开启（95017）"},
		bilingual{"turn on the API of 微信客服 in the console", "请在管理后台开启“微信客服”的 API 功能"}},
	{95023, checkPermission,
		bilingual{"the API of Kf is granted to a provider's app (95023)", "API 权限已授予服务商代开发应用（95023）"},
		bilingual{"change the grant in the console, or use that app's credential", "请在管理后台更改授权，或改用该应用的凭证"}},
	{50003, checkPermission,
		bilingual{"the app is disabled (50003)", "应用已停用（50003）"},
		bilingual{consoleJoint + " → 应用管理 → the app: enable it", "登录 " + consoleJoint + " → 应用管理 → 该应用：启用"}},
	{50006, checkPermission,
		bilingual{"微信客服 is disabled in this corp (50006)", "本企业的“微信客服”已停用（50006）"},
		bilingual{consoleJoint + " → 微信客服: enable it", "登录 " + consoleJoint + " → 微信客服：启用"}},
}

// adviceOn is what to say about an errcode; other is the check of a call that the platform refuses for a reason of its own.
func adviceOn(code int, other string) advice {
	for _, a := range advices {
		if a.code == code {
			return a
		}
	}
	info, _ := kfapi.Lookup(code)
	en, doEn := info.Text(kfapi.English)
	zh, doZh := info.Text(kfapi.Chinese)
	if en == "" {
		en, zh, doEn, doZh = "not in the catalogue", "文档未说明", "see "+kfapi.QueryURL(code), "参见 "+kfapi.QueryURL(code)
	}
	number := fmt.Sprintf(" (%d)", code)
	return advice{code, other, bilingual{en + number, zh + number}, bilingual{doEn, doZh}}
}
