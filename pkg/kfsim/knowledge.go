package kfsim

import (
	"slices"
	"strconv"
	"unicode/utf8"
)

const (
	maxGroups       = 100  // of a corp: path/95971
	maxGroupName    = 12   // characters: path/95971
	maxKnowledge    = 1000 // in one page, 500 when not said: path/95971
	pageOfKnowledge = 500
)

// knowledge is what the platform's own assistant of a corp knows.
type knowledge struct {
	groups  []*group // in the order they were made; the default one first
	intents []*intent
	made    int
}

type group struct {
	n    int // counts groups and intents of the corp; what cursors point at
	id   string
	name string
}

// begin makes the default group.
func (k *knowledge) begin(ids *ids) { k.addGroup(ids, "默认分组") }

func (k *knowledge) addGroup(ids *ids, name string) *group {
	k.made++
	g := &group{k.made, ids.opaque("", "group", 24), name}
	k.groups = append(k.groups, g)
	return g
}

func (k *knowledge) group(id string) *group {
	for _, g := range k.groups {
		if g.id == id {
			return g
		}
	}
	return nil
}

// isDefault reports whether a group is the one that was there from the start.
func (k *knowledge) isDefault(g *group) bool { return g == k.groups[0] }

// checkGroupName holds the name of a group, other than except, to the rules.
func (r *request) checkGroupName(name string, except *group) answer {
	if n := utf8.RuneCountInString(name); n < 1 || n > maxGroupName {
		return refuse(40058, "name has not 1 to 12 characters")
	}
	for _, g := range r.corp.knowledge.groups {
		if g.name == name && g != except {
			return refuse(r.sim.p.KnowledgeCode, "there is a group of this name")
		}
	}
	return answer{}
}

type groupRequest struct {
	GroupID string  `json:"group_id"`
	Name    string  `json:"name"`
	Cursor  string  `json:"cursor"`
	Limit   *uint32 `json:"limit"`
}

// decodeGroup reads a call about a group that must be there.
func (r *request) decodeGroup() (req groupRequest, g *group, a answer) {
	if a, good := r.decode(&req); !good {
		return req, nil, a
	}
	g, a = r.findGroup(req.GroupID)
	return req, g, a
}

func (r *request) findGroup(id string) (*group, answer) {
	if id == "" {
		return nil, refuse(40058, "group_id is missing")
	}
	g := r.corp.knowledge.group(id)
	if g == nil {
		return nil, refuse(r.sim.p.KnowledgeCode, "there is no such group")
	}
	return g, answer{}
}

// addGroup: https://developer.work.weixin.qq.com/document/path/95971
func (r *request) addGroup() answer {
	var req groupRequest
	if a, good := r.decode(&req); !good {
		return a
	}
	if a := r.checkGroupName(req.Name, nil); a.code != 0 {
		return a
	}
	if len(r.corp.knowledge.groups) >= maxGroups {
		return refuse(40058, "there are 100 groups already")
	}
	g := r.corp.knowledge.addGroup(r.st.ids, req.Name)
	r.noteKnowledge("group made")
	return ok(struct {
		GroupID string `json:"group_id"`
	}{g.id})
}

// delGroup: https://developer.work.weixin.qq.com/document/path/95971
func (r *request) delGroup() answer {
	_, g, a := r.decodeGroup()
	if a.code != 0 {
		return a
	}
	k := &r.corp.knowledge
	inGroup := func(i *intent) bool { return i.group == g }
	switch {
	case k.isDefault(g):
		return refuse(40058, "the default group cannot be deleted")
	case slices.ContainsFunc(k.intents, inGroup) && !r.sim.p.FullGroupsDeletable:
		return refuse(40058, "the group still has questions")
	}
	k.groups = slices.DeleteFunc(k.groups, func(o *group) bool { return o == g })
	k.intents = slices.DeleteFunc(k.intents, inGroup)
	r.noteKnowledge("group deleted")
	return ok(nil)
}

// modGroup: https://developer.work.weixin.qq.com/document/path/95971
func (r *request) modGroup() answer {
	req, g, a := r.decodeGroup()
	if a.code != 0 {
		return a
	}
	if r.corp.knowledge.isDefault(g) && !r.sim.p.DefaultGroupRenamable {
		return refuse(40058, "the default group cannot be renamed")
	}
	if a := r.checkGroupName(req.Name, g); a.code != 0 {
		return a
	}
	g.name = req.Name
	r.noteKnowledge("group renamed")
	return ok(nil)
}

// listGroup: https://developer.work.weixin.qq.com/document/path/95971
func (r *request) listGroup() answer {
	var req groupRequest
	if a, good := r.decode(&req); !good {
		return a
	}
	if req.GroupID != "" {
		if _, a := r.findGroup(req.GroupID); a.code != 0 {
			return a
		}
	}
	k := &r.corp.knowledge
	var all []*group
	for _, g := range k.groups {
		if req.GroupID == "" || g.id == req.GroupID {
			all = append(all, g)
		}
	}
	part, next, more, a := knowledgePage(r, "groups", all, func(g *group) int { return g.n }, req.Cursor, req.Limit)
	if a.code != 0 {
		return a
	}
	type row struct {
		GroupID   string `json:"group_id"`
		Name      string `json:"name"`
		IsDefault int    `json:"is_default"`
	}
	rows := []row{}
	for _, g := range part {
		rows = append(rows, row{g.id, g.name, oneIf(k.isDefault(g))})
	}
	return ok(struct {
		NextCursor string `json:"next_cursor"`
		HasMore    int    `json:"has_more"`
		List       []row  `json:"group_list"`
	}{next, more, rows})
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}

// knowledgePage cuts the page after a cursor out of a list that number orders. A cursor goes on
// behind what it was given for, also when that has been deleted since.
func knowledgePage[T any](r *request, kind string, all []T, number func(T) int, cursor string, limit *uint32) (part []T, next string, more int, a answer) {
	n := pageOfKnowledge
	if limit != nil {
		n = int(*limit)
	}
	if n < 1 || n > maxKnowledge {
		return nil, "", 0, refuse(40058, "limit is not between 1 and "+strconv.Itoa(maxKnowledge))
	}
	scope, after := r.corp.CorpID+" "+kind, 0
	if cursor != "" {
		var known bool
		if after, known = r.st.readPosition(scope, cursor); !known {
			return nil, "", 0, refuse(r.sim.p.UnknownCursorCode, "the cursor was not given out for this list")
		}
	}
	all = slices.DeleteFunc(slices.Clone(all), func(t T) bool { return number(t) <= after })
	part = all[:min(n, len(all))]
	if len(part) > 0 {
		after = number(part[len(part)-1])
	}
	return part, r.st.cursor(&itemLog{scope: scope}, after, 0), oneIf(len(part) < len(all)), answer{}
}

func (r *request) noteKnowledge(what string) {
	r.sim.journal.add(Entry{Kind: KindKnowledge, Call: r.entry.Call, CorpID: r.corp.CorpID, Reason: what})
}
