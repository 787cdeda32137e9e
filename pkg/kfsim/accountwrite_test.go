package kfsim

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

// image uploads a picture and returns its media_id.
func (r *rig) image() string {
	r.t.Helper()
	return r.upload("image", "media", "a.png", []byte(png)).str("media_id")
}

// setCorp changes what the administrator decided.
func (r *rig) setCorp(change func(*Corp)) {
	r.t.Helper()
	r.must(r.UpdateCorp(corpA, func(c *Corp) error { change(c); return nil }))
}

// refusal is one call that breaks one rule, or none.
type refusal struct {
	name string
	path string
	body any
	want int
}

func (r *rig) refusals(list []refusal) {
	r.t.Helper()
	for _, c := range list {
		r.wantCode(c.path+" "+c.name, r.post(c.path, c.body), c.want)
	}
}

// rows are the objects of a list in an answer.
func (a answered) rows(name string) (out []answered) {
	list, _ := a[name].([]any)
	for _, v := range list {
		out = append(out, v.(map[string]any))
	}
	return out
}

func TestAccountAddUpdateDel(t *testing.T) {
	r := newRig(t, Config{})
	img := r.image()
	voice := r.upload("voice", "media", "a.amr", amr(1)).str("media_id")
	add := r.post("kf/account/add", obj{"name": strings.Repeat("客", 16), "media_id": img})
	id := add.str("open_kfid")
	if add.code() != 0 || !wellFormedKfID(id) {
		t.Fatalf("add: got %v", add)
	}
	_, err := r.CustomerSays(id, ann, "hi")
	r.must(err)
	r.wantCode("the new account works", r.post("kf/send_msg", obj{"touser": ann, "open_kfid": id, "msgtype": "text", "text": obj{"content": "x"}}), 0)
	listed := func() (out answered) {
		for _, w := range r.post("kf/account/list", obj{}).rows("account_list") {
			if w.str("open_kfid") == id {
				out = w
			}
		}
		return out
	}
	before := listed()
	if before.str("name") != strings.Repeat("客", 16) || before.str("avatar") == "" || before["manage_privilege"] != true {
		t.Errorf("list: got %v", before)
	}
	r.refusals([]refusal{
		{"no name", "kf/account/add", obj{"media_id": img}, 95006},
		{"17 characters", "kf/account/add", obj{"name": strings.Repeat("客", 17), "media_id": img}, 95006},
		{"no avatar", "kf/account/add", obj{"name": "x"}, 41006},
		{"unknown avatar", "kf/account/add", obj{"name": "x", "media_id": "none"}, 40007},
		{"a voice as avatar", "kf/account/add", obj{"name": "x", "media_id": voice}, 40007},
		{"no JSON", "kf/account/add", "name", 40058},
		{"name only", "kf/account/update", obj{"open_kfid": id, "name": "new"}, 0},
		{"nothing", "kf/account/update", obj{"open_kfid": id}, 40058},
		{"empty name", "kf/account/update", obj{"open_kfid": id, "name": ""}, 95006},
		{"17 characters", "kf/account/update", obj{"open_kfid": id, "name": strings.Repeat("x", 17)}, 95006},
		{"name and unknown avatar", "kf/account/update", obj{"open_kfid": id, "name": "half", "media_id": "none"}, 40007},
		{"unknown account", "kf/account/update", obj{"open_kfid": "wkX", "name": "x"}, 95004},
		{"a link's id", "kf/account/update", obj{"open_kfid": "kfc1", "name": "x"}, 95000},
	})
	if got := listed(); got.str("name") != "new" || got.str("avatar") != before.str("avatar") {
		t.Errorf("after a refused update: got %v, want the name new and the old avatar", got)
	}
	r.wantCode("avatar", r.post("kf/account/update", obj{"open_kfid": id, "media_id": img}), 0)
	if got := listed(); got.str("avatar") == before.str("avatar") {
		t.Error("the avatar did not change")
	}
	r.refusals([]refusal{
		{"unknown", "kf/account/del", obj{"open_kfid": "wkX"}, 95004},
		{"missing", "kf/account/del", obj{}, 40058},
		{"there", "kf/account/del", obj{"open_kfid": id}, 0},
		{"again", "kf/account/del", obj{"open_kfid": id}, 95004},
		{"the last one", "kf/account/del", obj{"open_kfid": kf}, 95005},
	})
	r.must(r.SetPersonality(Personality{LastAccountDeletable: true, EmptyUpdateAllowed: true}))
	r.wantCode("empty update", r.post("kf/account/update", obj{"open_kfid": kf}), 0)
	r.wantCode("last, deletable", r.post("kf/account/del", obj{"open_kfid": kf}), 0)
	r.jump(72 * time.Hour)
	r.wantCode("an avatar of 3 days ago", r.post("kf/account/add", obj{"name": "x", "media_id": img}), 40007)
}

func TestAccountLimits(t *testing.T) {
	for _, c := range []struct {
		name string
		p    Personality
		corp func(*Corp)
		room int // how many can be made beside the first
		want int
	}{
		{"not verified", Personality{}, func(c *Corp) { c.Unverified = true }, 9, 95027},
		{"the corp's limit", Personality{AccountLimit: 3}, func(*Corp) {}, 2, 95005},
		{"poorly used", Personality{}, func(c *Corp) { c.PoorUse = true }, 0, 95026},
	} {
		r := newRig(t, Config{Personality: c.p})
		r.setCorp(c.corp)
		img := r.image()
		for i := range c.room + 1 {
			want := 0
			if i == c.room {
				want = c.want
			}
			r.wantCode(fmt.Sprint(c.name, " ", i+2), r.post("kf/account/add", obj{"name": "x", "media_id": img}), want)
		}
	}
	if d := (Personality{}).withDefaults(); d.AccountLimit != 5000 || d.UnverifiedAccountLimit != 10 {
		t.Errorf("got limits %d and %d, want 5000 and 10", d.AccountLimit, d.UnverifiedAccountLimit)
	}
}

func TestContactWay(t *testing.T) {
	r := newRig(t, Config{})
	link := func(scene string) string {
		got := r.post("kf/add_contact_way", obj{"open_kfid": kf, "scene": scene})
		r.wantCode("scene "+scene, got, 0)
		return got.str("url")
	}
	home := link("home_page")
	if !strings.HasPrefix(home, "https://work.weixin.qq.com/kf/kfc") || !strings.Contains(home, "?enc_scene=ENC") {
		t.Errorf("got link %s", home)
	}
	if link("home_page") != home || link("other") == home {
		t.Error("one scene has two links, or two have one")
	}
	plain := r.post("kf/add_contact_way", obj{"open_kfid": kf}).str("url")
	param := "&scene_param=" + url.QueryEscape("a=1&b=你")
	for _, c := range []struct{ name, link, scene, param string }{
		{"as given", home, "home_page", ""},
		{"with a parameter", home + param, "home_page", "a=1&b=你"},
		{"without a scene", plain + param, "", ""},
		{"altered scene", home + "x" + param, "", ""},
		{"scene taken off", home[:strings.Index(home, "?")], "", ""},
		{"parameter of 128 bytes", home + "&scene_param=" + strings.Repeat("x", 128), "home_page", strings.Repeat("x", 128)},
		{"parameter of 129 bytes", home + "&scene_param=" + strings.Repeat("x", 129), "home_page", ""},
	} {
		_, err := r.Enter(Enter{ExternalUserID: ann, Link: c.link})
		r.must(err)
		if e := r.lastEvent(kf); e.str("event_type") != "enter_session" || e.str("scene") != c.scene || e.str("scene_param") != c.param {
			t.Errorf("%s: got scene %q, %q, want %q, %q", c.name, e.str("scene"), e.str("scene_param"), c.scene, c.param)
		}
	}
	_, err := r.AddAccount(Account{OpenKfID: "wkOTHER"})
	r.must(err)
	moved := strings.Replace(home, r.st.linkToken(r.st.accounts[kf]), r.st.linkToken(r.st.accounts["wkOTHER"]), 1)
	_, err = r.Enter(Enter{ExternalUserID: ann, Link: moved})
	r.must(err)
	if e := r.lastEvent("wkOTHER"); e.str("event_type") != "enter_session" || e.str("scene") != "" {
		t.Errorf("a scene moved to another account's link: got %v", e)
	}
	for name, m := range map[string]Enter{
		"not ours":     {ExternalUserID: ann, Link: "https://e.example/kf/kfc1"},
		"unknown":      {ExternalUserID: ann, Link: linkPrefix + "kfcffff"},
		"with account": {ExternalUserID: ann, Link: home, OpenKfID: kf},
	} {
		if _, err := r.Enter(m); err == nil {
			t.Errorf("entered by a link that is %s", name)
		}
	}
	r.refusals([]refusal{
		{"32 bytes", "kf/add_contact_way", obj{"open_kfid": kf, "scene": strings.Repeat("x", 32)}, 0},
		{"33 bytes", "kf/add_contact_way", obj{"open_kfid": kf, "scene": strings.Repeat("x", 33)}, 40058},
		{"a space", "kf/add_contact_way", obj{"open_kfid": kf, "scene": "a b"}, 40058},
		{"unknown account", "kf/add_contact_way", obj{"open_kfid": "wkX"}, 95004},
	})
	r.must(r.SetPersonality(Personality{OldContactLinks: true}))
	old := link("home_page")
	_, err = r.Enter(Enter{ExternalUserID: ann, Link: old + param})
	r.must(err)
	if e := r.lastEvent(kf); !strings.Contains(old, "encScene=") || e.str("scene") != "home_page" || e.str("scene_param") != "" {
		t.Errorf("old link %s: got %v, want the scene without parameter", old, e)
	}
}
