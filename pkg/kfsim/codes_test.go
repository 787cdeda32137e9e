package kfsim

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"
)

// breach is one way to break the rule that causes an errcode.
type breach struct {
	rule string
	p    Personality // for what the pages leave open
	do   func(r *rig) answered
}

// said is a breach by a message to Ann, who has just written.
func said(rule, kind string, body any) breach {
	return breach{rule: rule, do: func(r *rig) answered { r.says(ann, "hi"); return r.message(kind, body) }}
}

func (r *rig) message(kind string, body any) answered {
	r.t.Helper()
	return r.post("kf/send_msg", obj{"touser": ann, "open_kfid": kf, "msgtype": kind, kind: body})
}

// called is a breach by one call with a body.
func called(rule, path string, body any) breach {
	return breach{rule: rule, do: func(r *rig) answered { return r.post(path, body) }}
}

// settled is a breach by any call, under what the administrator has decided.
func settled(rule string, change func(*Corp)) breach {
	return breach{rule: rule, p: Personality{TrustedIPsAtOnce: true}, do: func(r *rig) answered { r.setCorp(change); return r.pull(nil) }}
}

func (r *rig) file(kind, name string, size int, head string) answered {
	r.t.Helper()
	return r.upload(kind, "media", name, append([]byte(head), make([]byte, size)...))
}

// made is a breach by kf/account/add, under what the administrator has decided.
func made(rule string, p Personality, change func(*Corp)) breach {
	return breach{rule, p, func(r *rig) answered {
		r.setCorp(change)
		img := r.image()
		for range 9 {
			r.post("kf/account/add", obj{"name": "x", "media_id": img})
		}
		return r.post("kf/account/add", obj{"name": "x", "media_id": img})
	}}
}

// firstRow is what became of one member or department in servicer/add.
func firstRow(rule string, p Personality, body obj) breach {
	return breach{rule, p, func(r *rig) answered {
		r.staff()
		body["open_kfid"] = kf
		return r.post("kf/servicer/add", body).rows("result_list")[0]
	}}
}

func menuOf(items ...obj) obj { return obj{"head_content": "x", "list": items} }

func oa(rule, grant, secret string, ips ...string) breach {
	return breach{rule: rule, do: func(r *rig) answered {
		_, err := r.AddOfficialAccount(OfficialAccount{AppID: "wx01", Secret: "s", IPs: ips})
		r.must(err)
		return r.get("token", url.Values{"grant_type": {grant}, "appid": {"wx01"}, "secret": {secret}})
	}}
}

// breaches is the table of errcodes that a rule causes.
func breaches() map[int]breach {
	member := obj{"open_kfid": kf, "external_userid": ann, "type": 1, "member": obj{"userid": "lisi"}}
	click := obj{"type": "click", "click": obj{"content": "x"}}
	return map[int]breach{
		40001: {rule: "a wrong secret", do: func(r *rig) answered { return r.gettoken(corpA, "guess") }},
		40002: oa("another grant_type", "password", "s"),
		40003: firstRow("a userid with other characters", Personality{}, obj{"userid_list": []string{"!"}}),
		40004: {rule: "an image that is a gif", do: func(r *rig) answered { return r.file("image", "a.gif", 10, "GIF89a") }},
		40005: {rule: "an upload of another type", do: func(r *rig) answered { return r.file("sticker", "a", 10, "") }},
		40006: {rule: "a file of 5 bytes", do: func(r *rig) answered { return r.file("file", "a", 5, "") }},
		40007: said("an unknown media_id", "image", obj{"media_id": "none"}),
		40008: said("an unknown msgtype", "smoke", obj{}),
		40009: {rule: "an image over 10 MiB", do: func(r *rig) answered { return r.file("image", "a.png", 10<<20, png) }},
		40011: {rule: "a video over 10 MiB", do: func(r *rig) answered { return r.file("video", "a.mp4", 10<<20+1, "") }},
		40013: {rule: "an unknown corpid", do: func(r *rig) answered { return r.gettoken("ww9", "secret-one") }},
		40014: {rule: "a token of nobody", do: func(r *rig) answered { return r.postAs("tok", "kf/sync_msg", obj{}) }},
		40033: {"an escape in the body", Personality{RefuseEscapes: true}, func(r *rig) answered { return r.post("kf/sync_msg", `{"cursor":"\u0041"}`) }},
		40058: called("a missing open_kfid", "kf/sync_msg", obj{}),
		40063: called("an empty body", "kf/sync_msg", ""),
		40066: called("department 0", "kf/servicer/add", obj{"open_kfid": kf, "department_id_list": []int{0}}),
		40091: {rule: "another corp's secret", do: func(r *rig) answered {
			_, err := r.AddCorp(Corp{CorpID: "ww0000000000000002", Secrets: []string{"foreign"}})
			r.must(err)
			return r.gettoken(corpA, "foreign")
		}},
		40096: called("an unknown customer", "kf/service_state/get", obj{"open_kfid": kf, "external_userid": "wmX"}),
		40123: {rule: "a gif that is called png", do: func(r *rig) answered { return r.file("image", "a.png", 10, "GIF89a") }},
		40125: oa("a wrong appsecret", "client_credential", "guess"),
		40164: oa("an address that is not listed", "client_credential", "s", "10.0.0.1"),
		40201: {rule: "a forbidden word", do: func(r *rig) answered {
			r.setCorp(func(c *Corp) { c.ForbiddenWords = []string{"赌博"} })
			r.says(ann, "hi")
			r.wantCode("another word", r.message("text", obj{"content": "旅行"}), 0)
			return r.message("text", json.RawMessage(`{"content":"x\u8d4c\u535ax"}`)) // escaped or not
		}},
		40206: called("a body over 2 MiB", "kf/sync_msg", strings.Repeat(" ", maxJSONBody+1)),
		41001: {rule: "no token", do: func(r *rig) answered { return r.postAs("", "kf/sync_msg", obj{}) }},
		41002: {rule: "no corpid", do: func(r *rig) answered { return r.gettoken("", "s") }},
		41004: {rule: "no corpsecret", do: func(r *rig) answered { return r.gettoken(corpA, "") }},
		41006: said("an image without media_id", "image", obj{}),
		41009: called("an upgrade to nobody", "kf/customer/upgrade_service", obj{"open_kfid": kf, "external_userid": ann, "type": 1}),
		41035: {"no external_userid", Personality{MissingUserCode: 41035}, func(r *rig) answered { return r.post("kf/service_state/get", obj{"open_kfid": kf}) }},
		41049: called("no code", "kf/send_msg_on_event", obj{"msgtype": "text", "text": obj{"content": "x"}}),
		41050: called("an unknown code", "kf/send_msg_on_event", obj{"code": "none", "msgtype": "text", "text": obj{"content": "x"}}),
		41051: {"a welcome after the customer wrote", Personality{LateWelcomeCode: 41051}, func(r *rig) answered {
			_, err := r.Enter(Enter{OpenKfID: kf, ExternalUserID: ann})
			r.must(err)
			code := r.lastEvent(kf).str("welcome_code")
			r.Clock().Advance(time.Second)
			r.says(ann, "hi")
			return r.post("kf/send_msg_on_event", obj{"code": code, "msgtype": "text", "text": obj{"content": "x"}})
		}},
		42001: {rule: "a token of 2 hours ago", do: func(r *rig) answered { r.Clock().Advance(2 * time.Hour); return r.pull(nil) }},
		44001: {rule: "an empty file", do: func(r *rig) answered { return r.file("file", "a", 0, "") }},
		44004: said("an empty text", "text", obj{"content": ""}),
		45001: {rule: "a file over 20 MiB", do: func(r *rig) answered { return r.file("file", "a", 20<<20+1, "") }},
		45002: said("a text over 2048 bytes", "text", obj{"content": strings.Repeat("x", 2049)}),
		45007: {rule: "a voice over 60 s", do: func(r *rig) answered { return r.upload("voice", "media", "a.amr", amr(61)) }},
		45009: {"a second call in a minute", Personality{CallsPerMinute: 1}, func(r *rig) answered { r.pull(nil); return r.pull(nil) }},
		45033: {"one media fetched twice in a minute", Personality{MediaGetsPerMinute: 1}, func(r *rig) answered {
			q := url.Values{"access_token": {r.token}, "media_id": {r.image()}}
			r.do("GET", "media/get", q, nil)
			return r.get("media/get", q)
		}},
		45034: said("a link without scheme", "link", obj{"title": "T", "url": "e.example", "thumb_media_id": "x"}),
		48002: settled("an app that may not call", func(c *Corp) { c.Apps = []App{{Forbidden: true}} }),
		48007: {rule: "an account of another app", do: func(r *rig) answered { r.must(r.Authorize(kf, false)); return r.pull(nil) }},
		50003: settled("a disabled app", func(c *Corp) { c.Apps = []App{{Disabled: true}} }),
		50006: settled("a disabled built-in app", func(c *Corp) { c.Apps = []App{{Kind: AppBuiltIn, Disabled: true}} }),
		60003: firstRow("an unknown department", Personality{}, obj{"department_id_list": []int{9}}),
		60011: firstRow("a member out of sight", Personality{}, obj{"userid_list": []string{"far"}}),
		60020: settled("a strange address", func(c *Corp) { c.Apps = []App{{TrustedIPs: []string{"10.0.0.1"}}} }),
		60021: firstRow("a member out of sight", Personality{HiddenMemberCode: 60021}, obj{"userid_list": []string{"far"}}),
		60111: firstRow("nobody of the corp", Personality{}, obj{"userid_list": []string{"nobody"}}),
		60123: firstRow("an unknown department", Personality{UnknownDepartmentCode: 60123}, obj{"department_id_list": []int{9}}),
		90200: said("a mini program without appid", "miniprogram", obj{"thumb_media_id": "x", "pagepath": "p.html"}),
		90206: {rule: "a mini program that is not linked", do: func(r *rig) answered {
			r.setCorp(func(c *Corp) { c.MiniPrograms = []string{"wx1"} })
			r.says(ann, "hi")
			return r.message("miniprogram", obj{"appid": "wx2", "thumb_media_id": r.image(), "pagepath": "p.html"})
		}},
		90207: said("an appid that is none", "miniprogram", obj{"appid": "ww1", "thumb_media_id": "x", "pagepath": "p.html"}),
		95000: called("a link's id", "kf/sync_msg", obj{"open_kfid": "kfc1"}),
		95001: {rule: "a sixth message", do: func(r *rig) answered {
			r.says(ann, "hi")
			for range 5 {
				r.text("")
			}
			return r.text("")
		}},
		95002: {rule: "a message after 48 h", do: func(r *rig) answered { r.says(ann, "hi"); r.jump(48 * time.Hour); return r.text("") }},
		95003: {rule: "a customer beyond the capacity", do: func(r *rig) answered {
			r.setCorp(func(c *Corp) { c.Unverified, c.PastCustomers = true, 100 })
			r.says(ann, "hi")
			return r.text("")
		}},
		95004: called("an unknown account", "kf/sync_msg", obj{"open_kfid": "wkX"}),
		95005: called("no account left", "kf/account/del", obj{"open_kfid": kf}),
		95006: called("a name of 17 characters", "kf/account/update", obj{"open_kfid": kf, "name": strings.Repeat("x", 17)}),
		95007: called("an unknown sync token", "kf/sync_msg", obj{"open_kfid": kf, "token": "ENC"}),
		95008: said("11 menu items", "msgmenu", menuOf(click, click, click, click, click, click, click, click, click, click, click)),
		95009: said("a menu item of another type", "msgmenu", menuOf(obj{"type": "smoke"})),
		95011: settled("a standalone secret of a joint corp", func(c *Corp) { c.Apps = []App{{Kind: AppStandalone}} }),
		95012: settled("a joint secret of a standalone corp", func(c *Corp) { c.Edition, c.Apps = EditionStandalone, []App{{Kind: AppSelfBuilt}} }),
		95013: {rule: "an ended session", do: func(r *rig) answered { r.enterState(stateEnded); return r.text("") }},
		95014: firstRow("a member who has not activated WeCom", Personality{}, obj{"userid_list": []string{"new"}}),
		95015: {rule: "exclusive service", do: func(r *rig) answered {
			r.setCorp(func(c *Corp) { c.Upgrade = &UpgradeRange{Exclusive: true} })
			return r.post("kf/customer/upgrade_service", member)
		}},
		95016: {rule: "from the pool to the assistant", do: func(r *rig) answered { r.enterState(statePool); return r.trans(1, "") }},
		95017: settled("the API switched off", func(c *Corp) { c.APIOff = true }),
		95018: {rule: "a message while a human holds the session", do: func(r *rig) answered { r.enterState(stateHuman); return r.text("") }},
		95019: {rule: "a servicer who does not receive", do: func(r *rig) answered {
			r.enterState(stateNew)
			r.must(r.ServicerStatus(Servicer{OpenKfID: kf, UserID: "lisi", Status: ServicerStopped}))
			return r.trans(3, "lisi")
		}},
		95021: called("no upgrade service configured", "kf/customer/upgrade_service", member),
		95022: said("a location off the earth", "location", obj{"latitude": 91, "longitude": 0}),
		95023: settled("the API given to a provider", func(c *Corp) { c.ProviderAPI = true }),
		95024: {rule: "a card after a tap only", do: func(r *rig) answered { r.tapOnly(); return r.message("business_card", obj{"userid": "lisi"}) }},
		95025: {rule: "a second card in 48 h", do: func(r *rig) answered {
			r.staff()
			r.says(ann, "hi")
			r.message("business_card", obj{"userid": "lisi"})
			return r.message("business_card", obj{"userid": "lisi"})
		}},
		95026: made("accounts used too little", Personality{}, func(c *Corp) { c.PoorUse = true }),
		95027: made("an 11th account, not verified", Personality{}, func(c *Corp) { c.Unverified = true }),
		95028: called("recall of nothing", "kf/recall_msg", obj{"open_kfid": kf, "msgid": "m1"}),
		95029: {rule: "recall after 2 minutes", do: func(r *rig) answered {
			r.says(ann, "hi")
			r.text("m1")
			r.Clock().Advance(2 * time.Minute)
			return r.post("kf/recall_msg", obj{"open_kfid": kf, "msgid": "m1"})
		}},
		95030: {rule: "a type that the component forbids", do: func(r *rig) answered {
			r.must(r.UpdateAccount(kf, func(a *Account) error { a.ForbiddenTypes = []string{"text"}; return nil }))
			r.says(ann, "hi")
			return r.text("")
		}},
		95031: {rule: "a link after a tap only", do: func(r *rig) answered {
			r.tapOnly()
			return r.message("ca_link", obj{"link_url": "https://work.weixin.qq.com/ca/x"})
		}},
		95032: {rule: "the history withdrawn", do: func(r *rig) answered {
			r.must(r.UpdateAccount(kf, func(a *Account) error { a.NoHistory = true; return nil }))
			return r.pull(nil)
		}},
		301017: {rule: "a voice that is no AMR", do: func(r *rig) answered { return r.file("voice", "a.amr", 10, "RIFF") }},
		830001: called("a url without scheme", "media/upload_by_url", obj{"scene": 1, "type": "file", "filename": "a", "url": "e.example", "md5": md5Of(nil)}),
		830002: {rule: "more than 20 MiB at once", do: func(r *rig) answered {
			id, err := r.AddMedia(Media{Type: "file", FileName: "big", Data: make([]byte, maxDownload+1)})
			r.must(err)
			return r.get("media/get", url.Values{"access_token": {r.token}, "media_id": {id}})
		}},
		830003: {rule: "nothing at the url", do: func(r *rig) answered {
			job := r.post("media/upload_by_url", obj{"scene": 1, "type": "file", "filename": "a", "url": "https://e.example", "md5": md5Of(nil)}).str("jobid")
			detail, _ := r.post("media/get_upload_by_url_result", obj{"jobid": job})["detail"].(map[string]any)
			return detail
		}},
	}
}

// tapOnly leaves Ann with a tap on a menu as her only message of the last 48 hours.
func (r *rig) tapOnly() {
	r.t.Helper()
	r.staff()
	r.says(ann, "hi")
	r.wantCode("menu", r.message("msgmenu", menuOf(obj{"type": "click", "click": obj{"id": "7", "content": "Yes"}})), 0)
	r.jump(47 * time.Hour)
	_, err := r.Tap(Tap{OpenKfID: kf, ExternalUserID: ann, ID: "7"})
	r.must(err)
	r.jump(2 * time.Hour)
}

// unbroken are the errcodes of the platform's table that no rule here causes, and why.
func unbroken() map[int]string {
	const (
		suite     = "about a provider's suite and its authorization, which are not simulated"
		elsewhere = "no kf or media call has the parameter or the feature it is about"
	)
	return map[int]string{
		-1:     "a busy system follows no rule; a fault gives it",
		0:      "success",
		40035:  "the kf pages name 40058 for lists that are none or too long",
		40056:  elsewhere,
		40057:  "of the console that saves a callback URL: VerifyURL returns an error",
		40204:  "WeChat's own antispam; words are 40201 here",
		41053:  elsewhere,
		43009:  "the kf pages name 95003 and 95027 for what a corp lacks that is not verified",
		43012:  elsewhere,
		45029:  "no page says how large an answer may be",
		45031:  "no page says when a secret is too weak",
		48001:  suite,
		48003:  suite,
		48004:  suite,
		48005:  suite,
		48006:  suite,
		50001:  elsewhere,
		50002:  "no page says when it comes instead of 60011; upgrade_range_code can be set to it",
		60031:  elsewhere,
		84061:  elsewhere,
		84074:  elsewhere,
		90208:  "no page says what the appid must match beside being linked (90206)",
		95010:  "never seen",
		95020:  "never seen",
		301002: elsewhere,
	}
}

// documented are the errcodes of the platform's table, and 40002 of official accounts.
func documented() []int {
	return []int{-1, 0, 40001, 40002, 40003, 40004, 40005, 40006, 40007, 40008, 40009, 40011, 40013, 40014, 40033, 40035, 40056, 40057, 40058, 40063,
		40066, 40091, 40096, 40123, 40125, 40164, 40201, 40204, 40206, 41001, 41002, 41004, 41006, 41009, 41035, 41049, 41050, 41051, 41053, 42001,
		43009, 43012, 44001, 44004, 45001, 45002, 45007, 45009, 45029, 45031, 45033, 45034, 48001, 48002, 48003, 48004, 48005, 48006, 48007, 50001,
		50002, 50003, 50006, 60003, 60123, 60011, 60020, 60021, 60031, 60111, 84061, 84074, 90200, 90206, 90207, 90208, 95000, 95001, 95002, 95003,
		95004, 95005, 95006, 95007, 95008, 95009, 95010, 95011, 95012, 95013, 95014, 95015, 95016, 95017, 95018, 95019, 95020, 95021, 95022, 95023,
		95024, 95025, 95026, 95027, 95028, 95029, 95030, 95031, 95032, 301002, 301017, 830001, 830002, 830003}
}

func TestEveryCodeHasItsRule(t *testing.T) {
	broken, why := breaches(), unbroken()
	for _, code := range documented() {
		b, can := broken[code]
		if can == (why[code] != "") {
			t.Errorf("%d: has a rule %v and a reason for none %q, want one of them", code, can, why[code])
			continue
		}
		if !can {
			continue
		}
		r := newRig(t, Config{Personality: b.p})
		got := b.do(r)
		if got.code() != code {
			t.Errorf("%s: got errcode %d (%s), want %d", b.rule, got.code(), got.str("errmsg"), code)
		}
		if strings.HasPrefix(errText(code), "error ") {
			t.Errorf("%d has no errmsg of its own", code)
		}
	}
	if n := len(documented()); n != len(broken)+len(why) {
		t.Errorf("got %d codes with and %d without a rule, want %d together", len(broken), len(why), n)
	}
}
