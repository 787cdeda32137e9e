package kfsim

import (
	"encoding/json"
	"slices"
	"unicode/utf8"
)

const (
	maxIntents     = 200 // of a group: path/95972
	maxSimilar     = 100 // path/95972
	maxQuestion    = 200 // characters: path/95972
	maxAnswer      = 500 // characters: path/95972
	maxAttachments = 4   // path/95972
)

// intent is a question that the assistant can answer.
type intent struct {
	n                          int
	id                         string
	group                      *group
	question, similar, answers json.RawMessage // as list_intent shows them
	asked                      []string        // the question first, then those like it
}

type textPart struct {
	Text *struct {
		Content string `json:"content"`
	} `json:"text"`
}

type intentRequest struct {
	GroupID  string    `json:"group_id"`
	IntentID string    `json:"intent_id"`
	Question *textPart `json:"question"`
	Similar  *struct {
		Items []textPart `json:"items"`
	} `json:"similar_questions"`
	Answers []struct {
		textPart
		Attachments []json.RawMessage `json:"attachments"`
	} `json:"answers"`
	Cursor string  `json:"cursor"`
	Limit  *uint32 `json:"limit"`
}

// content reads a text of 1 to most characters.
func (t textPart) content(what string, most int) (string, answer) {
	if t.Text == nil || t.Text.Content == "" {
		return "", refuse(40058, what+" has no text")
	}
	if utf8.RuneCountInString(t.Text.Content) > most {
		return "", refuse(40058, what+" has too many characters")
	}
	return t.Text.Content, answer{}
}

func (t textPart) json() []byte {
	return object(field{"text", object(str("content", t.Text.Content))})
}

// fill puts the parts that are given into i, which is a copy.
func (r *request) fill(i *intent, req intentRequest) answer {
	if req.Question != nil {
		q, a := req.Question.content("question", maxQuestion)
		if a.code != 0 {
			return a
		}
		for _, o := range r.corp.knowledge.intents {
			if o.id != i.id && o.asked[0] == q {
				return refuse(r.sim.p.KnowledgeCode, "the question is there already")
			}
		}
		i.question, i.asked = req.Question.json(), append([]string{q}, i.asked[min(1, len(i.asked)):]...)
	}
	if req.Similar != nil {
		if len(req.Similar.Items) > maxSimilar {
			return refuse(40058, "similar_questions has more than 100 items")
		}
		i.asked = i.asked[:1:1]
		rows := []json.RawMessage{}
		for _, t := range req.Similar.Items {
			q, a := t.content("a similar question", maxQuestion)
			if a.code != 0 {
				return a
			}
			i.asked = append(i.asked, q)
			rows = append(rows, t.json())
		}
		i.similar = object(field{"items", marshal(rows)})
	}
	if req.Answers != nil {
		return r.fillAnswers(i, req)
	}
	return answer{}
}

func (r *request) fillAnswers(i *intent, req intentRequest) answer {
	if len(req.Answers) != 1 {
		return refuse(40058, "answers does not hold exactly one")
	}
	got := req.Answers[0]
	if _, a := got.content("the answer", maxAnswer); a.code != 0 {
		return a
	}
	if len(got.Attachments) > maxAttachments {
		return refuse(40058, "the answer has more than 4 attachments")
	}
	rows := []json.RawMessage{}
	for _, raw := range got.Attachments {
		shown, a := r.attachment(raw)
		if a.code != 0 {
			return a
		}
		rows = append(rows, shown)
	}
	fields := []field{{"text", object(str("content", got.Text.Content))}}
	if len(rows) > 0 {
		fields = append(fields, field{"attachments", marshal(rows)})
	}
	i.answers = marshal([]json.RawMessage{object(fields...)})
	return answer{}
}

// addIntent: https://developer.work.weixin.qq.com/document/path/95972
func (r *request) addIntent() answer {
	var req intentRequest
	if a, good := r.decode(&req); !good {
		return a
	}
	g, a := r.findGroup(req.GroupID)
	if a.code != 0 {
		return a
	}
	k := &r.corp.knowledge
	inGroup := 0
	for _, i := range k.intents {
		if i.group == g {
			inGroup++
		}
	}
	switch {
	case req.Question == nil || req.Answers == nil:
		return refuse(40058, "question or answers is missing")
	case inGroup >= maxIntents:
		return refuse(40058, "the group has 200 questions already")
	}
	i := &intent{group: g}
	if a := r.fill(i, req); a.code != 0 {
		return a
	}
	k.made++
	i.n, i.id = k.made, r.st.ids.opaque("", "intent", 24)
	k.intents = append(k.intents, i)
	r.noteKnowledge("question made")
	return ok(struct {
		IntentID string `json:"intent_id"`
	}{i.id})
}

// decodeIntent reads a call about a question that must be there.
func (r *request) decodeIntent() (req intentRequest, i *intent, a answer) {
	if a, good := r.decode(&req); !good {
		return req, nil, a
	}
	i, a = r.findIntent(req.IntentID)
	return req, i, a
}

func (r *request) findIntent(id string) (*intent, answer) {
	if id == "" {
		return nil, refuse(40058, "intent_id is missing")
	}
	for _, i := range r.corp.knowledge.intents {
		if i.id == id {
			return i, answer{}
		}
	}
	return nil, refuse(r.sim.p.KnowledgeCode, "there is no such question")
}

// delIntent: https://developer.work.weixin.qq.com/document/path/95972
func (r *request) delIntent() answer {
	_, i, a := r.decodeIntent()
	if a.code != 0 {
		return a
	}
	k := &r.corp.knowledge
	k.intents = slices.DeleteFunc(k.intents, func(o *intent) bool { return o == i })
	r.noteKnowledge("question deleted")
	return ok(nil)
}

// modIntent replaces each part that is given as a whole, or nothing when any of it is refused.
//
// https://developer.work.weixin.qq.com/document/path/95972
func (r *request) modIntent() answer {
	req, i, a := r.decodeIntent()
	if a.code != 0 {
		return a
	}
	next := *i
	if a := r.fill(&next, req); a.code != 0 {
		return a
	}
	*i = next
	r.noteKnowledge("question changed")
	return ok(nil)
}

// listIntent: https://developer.work.weixin.qq.com/document/path/95972
func (r *request) listIntent() answer {
	var req intentRequest
	if a, good := r.decode(&req); !good {
		return a
	}
	if req.GroupID != "" {
		if _, a := r.findGroup(req.GroupID); a.code != 0 {
			return a
		}
	}
	if req.IntentID != "" {
		if _, a := r.findIntent(req.IntentID); a.code != 0 {
			return a
		}
	}
	var all []*intent
	for _, i := range r.corp.knowledge.intents {
		if (req.GroupID == "" || i.group.id == req.GroupID) && (req.IntentID == "" || i.id == req.IntentID) {
			all = append(all, i)
		}
	}
	part, next, more, a := knowledgePage(r, "intents", all, func(i *intent) int { return i.n }, req.Cursor, req.Limit)
	if a.code != 0 {
		return a
	}
	rows := []json.RawMessage{}
	for _, i := range part {
		fields := []field{str("group_id", i.group.id), str("intent_id", i.id), {"question", i.question}}
		if i.similar != nil {
			fields = append(fields, field{"similar_questions", i.similar})
		}
		rows = append(rows, object(append(fields, field{"answers", i.answers})...))
	}
	return ok(struct {
		NextCursor string            `json:"next_cursor"`
		HasMore    int               `json:"has_more"`
		List       []json.RawMessage `json:"intent_list"`
	}{next, more, rows})
}

// knows reports whether a text is one of the questions.
func (k *knowledge) knows(text string) bool {
	return slices.ContainsFunc(k.intents, func(i *intent) bool { return slices.Contains(i.asked, text) })
}
