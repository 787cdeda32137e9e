package kfsim

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

const (
	linkPrefix    = "https://work.weixin.qq.com/kf/"
	maxScene      = 32  // bytes: path/94665
	maxSceneParam = 128 // bytes: path/94665
)

// linkToken is what stands for an account in its links; it is no open_kfid.
func (st *state) linkToken(a *account) string {
	return "kfc" + hex.EncodeToString(st.ids.mac("contact way", a.OpenKfID)[:8])
}

// addContactWay gives the same link for the same scene.
//
// https://developer.work.weixin.qq.com/document/path/94665
func (r *request) addContactWay() answer {
	var req struct {
		OpenKfID string `json:"open_kfid"`
		Scene    string `json:"scene"`
	}
	if a, good := r.decode(&req); !good {
		return a
	}
	acc, a := r.account(req.OpenKfID)
	if a.code != 0 {
		return a
	}
	if req.Scene != "" && !isWord(req.Scene, maxScene) {
		return refuse(40058, "scene is not 32 bytes at most of 0-9 a-z A-Z _ -")
	}
	enc := "ENC" + hex.EncodeToString(r.st.ids.mac("scene", acc.OpenKfID, req.Scene)[:16])
	acc.scenes[enc] = req.Scene
	name := "enc_scene"
	if r.sim.p.OldContactLinks {
		name = "encScene"
	}
	return ok(struct {
		URL string `json:"url"`
	}{linkPrefix + r.st.linkToken(acc) + "?" + name + "=" + enc})
}

// openLink fills in what a link says about an entry. A link whose scene was altered still leads to
// the account, without any scene; scene_param comes only with a scene, and not by an old link.
func (st *state) openLink(m Enter) (Enter, error) {
	if m.OpenKfID != "" || m.Scene != "" || m.SceneParam != "" {
		return m, errors.New("enter: a link says which account and scene; leave open_kfid, scene and scene_param out")
	}
	rest, ours := strings.CutPrefix(m.Link, linkPrefix)
	u, err := url.Parse(rest)
	if !ours || err != nil {
		return m, fmt.Errorf("enter: the link does not begin with %s, or is no link", linkPrefix)
	}
	for id, a := range st.accounts {
		if !a.removed && st.linkToken(a) == u.Path {
			m.OpenKfID = id
			q := u.Query()
			if m.Scene = a.scenes[q.Get("enc_scene")]; m.Scene == "" {
				m.Scene = a.scenes[q.Get("encScene")]
			} else if param := q.Get("scene_param"); len(param) <= maxSceneParam {
				m.SceneParam = param
			}
			return m, nil
		}
	}
	return m, errors.New("enter: the link leads to no account here; take one from kf/add_contact_way")
}
