package kfsim

import "unicode/utf8"

const maxAccountName = 16 // characters: path/94662

// accountAdd: https://developer.work.weixin.qq.com/document/path/94662
func (r *request) accountAdd() answer {
	var req struct {
		Name    string `json:"name"`
		MediaID string `json:"media_id"`
	}
	if a, good := r.decode(&req); !good {
		return a
	}
	if a := checkAccountName(req.Name); a.code != 0 {
		return a
	}
	p := r.sim.p
	switch n := len(r.corp.accounts) + 1; {
	case r.corp.PoorUse:
		return refuse(95026, "the corp uses its accounts too little to get another")
	case r.corp.Unverified && !fits(n, p.UnverifiedAccountLimit):
		return refuse(95027, "a corp that is not verified has no more accounts")
	case !fits(n, p.AccountLimit):
		return refuse(95005, "a corp has no more accounts")
	}
	avatar, a := r.avatar(req.MediaID)
	if a.code != 0 {
		return a
	}
	made, err := r.sim.makeAccount(r.corp, Account{Name: req.Name, Avatar: avatar})
	if err != nil {
		return refuse(-1, err.Error())
	}
	r.entry.OpenKfID = made.OpenKfID
	return ok(struct {
		OpenKfID string `json:"open_kfid"`
	}{made.OpenKfID})
}

func checkAccountName(name string) answer {
	if n := utf8.RuneCountInString(name); n < 1 || n > maxAccountName {
		return refuse(95006, "the name has not 1 to 16 characters")
	}
	return answer{}
}

// avatar is the permanent address of an uploaded image.
func (r *request) avatar(mediaID string) (string, answer) {
	if mediaID == "" {
		return "", refuse(41006, "media_id is missing")
	}
	if a := r.findMedia(mediaRef{mediaID, "image"}); a.code != 0 {
		return "", a
	}
	return r.sim.imageURL(), answer{}
}

// findMedia looks a file up that a call refers to.
func (r *request) findMedia(ref mediaRef) answer {
	if got := r.corp.media[ref.id]; got == nil || got.kind != ref.kind || !within(got.at, mediaLength, r.now) {
		return refuse(40007, "the media_id is unknown, older than 3 days or no "+ref.kind)
	}
	return answer{}
}

// accountDel: https://developer.work.weixin.qq.com/document/path/94663
func (r *request) accountDel() answer {
	var req struct {
		OpenKfID string `json:"open_kfid"`
	}
	if a, good := r.decode(&req); !good {
		return a
	}
	acc, a := r.account(req.OpenKfID)
	if a.code != 0 {
		return a
	}
	if len(r.corp.accounts) == 1 && !r.sim.p.LastAccountDeletable {
		return refuse(95005, "the last account of a corp cannot be deleted")
	}
	r.sim.removeAccount(acc, r.entry.Call)
	return ok(nil)
}

// accountUpdate changes what is given, or nothing when any of it is refused.
//
// https://developer.work.weixin.qq.com/document/path/94664
func (r *request) accountUpdate() answer {
	var req struct {
		OpenKfID string  `json:"open_kfid"`
		Name     *string `json:"name"`
		MediaID  *string `json:"media_id"`
	}
	if a, good := r.decode(&req); !good {
		return a
	}
	acc, a := r.account(req.OpenKfID)
	if a.code != 0 {
		return a
	}
	if req.Name == nil && req.MediaID == nil && !r.sim.p.EmptyUpdateAllowed {
		return refuse(40058, "neither name nor media_id is given")
	}
	next := acc.Account
	if req.Name != nil {
		if a := checkAccountName(*req.Name); a.code != 0 {
			return a
		}
		next.Name = *req.Name
	}
	if req.MediaID != nil {
		if next.Avatar, a = r.avatar(*req.MediaID); a.code != 0 {
			return a
		}
	}
	acc.Account = next
	r.sim.journal.add(Entry{Kind: KindAccount, Call: r.entry.Call, CorpID: acc.CorpID, OpenKfID: acc.OpenKfID, Reason: "updated"})
	return ok(nil)
}
