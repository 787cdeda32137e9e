package conformance

import (
	"fmt"

	"github.com/kfbus/kfbus/pkg/kfapi"
)

func knowledgeCalls() map[string]func(*world) {
	return map[string]func(*world){
		"kf/knowledge/add_group":   groups,
		"kf/knowledge/mod_group":   groups,
		"kf/knowledge/del_group":   groups,
		"kf/knowledge/list_group":  listGroups,
		"kf/knowledge/add_intent":  intents,
		"kf/knowledge/mod_intent":  intents,
		"kf/knowledge/del_intent":  intents,
		"kf/knowledge/list_intent": listIntents,
	}
}

func (w *world) groups(req kfapi.KnowledgeListGroupRequest) []kfapi.KnowledgeGroup {
	w.t.Helper()
	r := got(w.c.KnowledgeListGroup(w.t.Context(), w.token, req))(w)
	w.fine(r.Reply)
	return r.GroupList
}

func (w *world) addGroup(name string) string {
	w.t.Helper()
	r := got(w.c.KnowledgeAddGroup(w.t.Context(), w.token, kfapi.KnowledgeAddGroupRequest{Name: name}))(w)
	w.fine(r.Reply)
	return r.GroupID
}

func groups(w *world) {
	before := w.groups(kfapi.KnowledgeListGroupRequest{})
	id := w.addGroup("退换货退换货退换货退换货")
	same(w.t, "made", w.groups(kfapi.KnowledgeListGroupRequest{}), append(before, kfapi.KnowledgeGroup{GroupID: id, Name: "退换货退换货退换货退换货"}))
	w.fine(got(w.c.KnowledgeModGroup(w.t.Context(), w.token, kfapi.KnowledgeModGroupRequest{GroupID: id, Name: "Refunds"}))(w))
	same(w.t, "renamed", w.groups(kfapi.KnowledgeListGroupRequest{GroupID: id}), []kfapi.KnowledgeGroup{{GroupID: id, Name: "Refunds"}})
	w.fine(got(w.c.KnowledgeDelGroup(w.t.Context(), w.token, kfapi.KnowledgeDelGroupRequest{GroupID: id}))(w))
	same(w.t, "deleted", w.groups(kfapi.KnowledgeListGroupRequest{}), before)
}

func listGroups(w *world) {
	want := w.groups(kfapi.KnowledgeListGroupRequest{})
	same(w.t, "the default group", len(want) == 1 && bool(want[0].IsDefault), true)
	for i := range 4 {
		name := fmt.Sprintf("group %d", i)
		want = append(want, kfapi.KnowledgeGroup{GroupID: w.addGroup(name), Name: name})
	}
	var all []kfapi.KnowledgeGroup
	cursor := ""
	for i := 0; ; i++ {
		r := got(w.c.KnowledgeListGroup(w.t.Context(), w.token, kfapi.KnowledgeListGroupRequest{Cursor: cursor, Limit: 2}))(w)
		all, cursor = append(all, r.GroupList...), r.NextCursor
		same(w.t, "has_more", bool(r.HasMore), i < 2)
		if !r.HasMore {
			break
		}
	}
	same(w.t, "by pages", all, want)
}

// intent is a question for the default group.
func intent(w *world, question string, attachments []kfapi.KnowledgeAttachment) kfapi.KnowledgeAddIntentRequest {
	w.t.Helper()
	return kfapi.KnowledgeAddIntentRequest{
		GroupID: w.groups(kfapi.KnowledgeListGroupRequest{})[0].GroupID, Question: ask(question),
		SimilarQuestions: &kfapi.SimilarQuestions{Items: []kfapi.KnowledgeQuestion{*ask("like " + question)}},
		Answers:          []kfapi.KnowledgeAnswer{{Text: kfapi.KnowledgeText{Content: "Use the form."}, Attachments: attachments}},
	}
}

func ask(text string) *kfapi.KnowledgeQuestion {
	return &kfapi.KnowledgeQuestion{Text: kfapi.KnowledgeText{Content: text}}
}

func (w *world) intents(req kfapi.KnowledgeListIntentRequest) []kfapi.KnowledgeIntent {
	w.t.Helper()
	r := got(w.c.KnowledgeListIntent(w.t.Context(), w.token, req))(w)
	w.fine(r.Reply)
	return r.IntentList
}

// attachments is one of each kind, as it is sent and as it is listed.
func (w *world) attachments() (sent, listed []kfapi.KnowledgeAttachment) {
	picture, video := w.file(kfapi.MediaImage), w.file(kfapi.MediaVideo)
	link := kfapi.KnowledgeAttachment{MsgType: "link", Link: &kfapi.KnowledgeLink{Title: "Guide", PicURL: "https://e.example/p.png", Desc: "How", URL: pageLink}}
	mini := kfapi.KnowledgeMiniprogram{Title: "Order", AppID: appID, PagePath: "pages/a.html"}
	withThumb := mini
	withThumb.ThumbMediaID = picture
	sent = []kfapi.KnowledgeAttachment{
		{MsgType: "image", Image: &kfapi.KnowledgeFile{MediaID: picture}}, {MsgType: "video", Video: &kfapi.KnowledgeFile{MediaID: video}}, link,
		{MsgType: "miniprogram", Miniprogram: &withThumb},
	}
	listed = []kfapi.KnowledgeAttachment{
		{MsgType: "image", Image: &kfapi.KnowledgeFile{Name: "a.png"}}, {MsgType: "video", Video: &kfapi.KnowledgeFile{Name: "a.mp4"}}, link,
		{MsgType: "miniprogram", Miniprogram: &mini},
	}
	return sent, listed
}

func intents(w *world) {
	sent, listed := w.attachments()
	req := intent(w, "How do I return <a> & b?", sent)
	made := got(w.c.KnowledgeAddIntent(w.t.Context(), w.token, req))(w)
	w.fine(made.Reply)
	want := kfapi.KnowledgeIntent{
		GroupID: req.GroupID, IntentID: made.IntentID, Question: req.Question, SimilarQuestions: req.SimilarQuestions,
		Answers: []kfapi.KnowledgeAnswer{{Text: req.Answers[0].Text, Attachments: listed}},
	}
	same(w.t, "made", w.intents(kfapi.KnowledgeListIntentRequest{}), []kfapi.KnowledgeIntent{want})

	for _, part := range []struct {
		what   string
		change kfapi.KnowledgeModIntentRequest
		then   func()
	}{
		{"question", kfapi.KnowledgeModIntentRequest{Question: ask("Other?")}, func() { want.Question = ask("Other?") }},
		{"similar questions", kfapi.KnowledgeModIntentRequest{SimilarQuestions: &kfapi.SimilarQuestions{}}, func() {
			want.SimilarQuestions = &kfapi.SimilarQuestions{Items: []kfapi.KnowledgeQuestion{}}
		}},
		{"answer", kfapi.KnowledgeModIntentRequest{Answers: []kfapi.KnowledgeAnswer{{Text: kfapi.KnowledgeText{Content: "No."}}}}, func() {
			want.Answers = []kfapi.KnowledgeAnswer{{Text: kfapi.KnowledgeText{Content: "No."}}}
		}},
	} {
		part.change.IntentID = made.IntentID
		w.fine(got(w.c.KnowledgeModIntent(w.t.Context(), w.token, part.change))(w))
		part.then()
		same(w.t, "changed "+part.what, w.intents(kfapi.KnowledgeListIntentRequest{IntentID: made.IntentID}), []kfapi.KnowledgeIntent{want})
	}
	w.fine(got(w.c.KnowledgeDelIntent(w.t.Context(), w.token, kfapi.KnowledgeDelIntentRequest{IntentID: made.IntentID}))(w))
	same(w.t, "deleted", len(w.intents(kfapi.KnowledgeListIntentRequest{})), 0)
}

func listIntents(w *world) {
	other := w.addGroup("other")
	var want []string
	for i := range 5 {
		req := intent(w, fmt.Sprintf("question %d", i), nil)
		if i == 4 {
			req.GroupID = other
		}
		want = append(want, got(w.c.KnowledgeAddIntent(w.t.Context(), w.token, req))(w).IntentID)
	}
	same(w.t, "of one group", w.intents(kfapi.KnowledgeListIntentRequest{GroupID: other})[0].IntentID, want[4])
	var ids []string
	cursor := ""
	for i := 0; ; i++ {
		r := got(w.c.KnowledgeListIntent(w.t.Context(), w.token, kfapi.KnowledgeListIntentRequest{Cursor: cursor, Limit: 2}))(w)
		for _, it := range r.IntentList {
			ids = append(ids, it.IntentID)
		}
		cursor = r.NextCursor
		same(w.t, "has_more", bool(r.HasMore), i < 2)
		if !r.HasMore {
			break
		}
	}
	same(w.t, "by pages", ids, want)
}
