package kfapi

import (
	"context"
	"encoding/json"
)

// KnowledgeAddIntentRequest describes a new entry: one question, others like it, one answer.
type KnowledgeAddIntentRequest struct {
	GroupID          string             `json:"group_id"`
	Question         *KnowledgeQuestion `json:"question"` // unique over all groups
	SimilarQuestions *SimilarQuestions  `json:"similar_questions,omitempty"`
	Answers          []KnowledgeAnswer  `json:"answers"` // exactly 1
}

// Validate checks every documented limit. Its error is a *LimitError.
func (r KnowledgeAddIntentRequest) Validate() error {
	if r.Question == nil {
		return &LimitError{Field: "question", Why: "is missing"}
	}
	return first(checkSize("group_id", r.GroupID, 1, 0), checkIntent(r.Question, r.SimilarQuestions, r.Answers),
		checkCount("answers", len(r.Answers), 1, 1))
}

// KnowledgeAddIntentResponse names the new entry.
type KnowledgeAddIntentResponse struct {
	IntentID string `json:"intent_id"`
	Reply
}

func (r *KnowledgeAddIntentResponse) missing() string { return ifEmpty(r.IntentID, "intent_id") }

// KnowledgeAddIntent adds an entry to a group, which may have 200. A repeat may add a second one.
//
// https://developer.work.weixin.qq.com/document/path/95972
func (c *Client) KnowledgeAddIntent(ctx context.Context, accessToken string, req KnowledgeAddIntentRequest) (KnowledgeAddIntentResponse, error) {
	return post[KnowledgeAddIntentResponse](ctx, c, accessToken, "kf/knowledge/add_intent", req)
}

// KnowledgeDelIntentRequest names an entry.
type KnowledgeDelIntentRequest struct {
	IntentID string `json:"intent_id"`
}

// Validate checks every documented limit. Its error is a *LimitError.
func (r KnowledgeDelIntentRequest) Validate() error { return checkSize("intent_id", r.IntentID, 1, 0) }

// KnowledgeDelIntent deletes an entry. It may be repeated.
//
// https://developer.work.weixin.qq.com/document/path/95972
func (c *Client) KnowledgeDelIntent(ctx context.Context, accessToken string, req KnowledgeDelIntentRequest) (Reply, error) {
	return post[Reply](ctx, c, accessToken, "kf/knowledge/del_intent", req)
}

// KnowledgeModIntentRequest changes an entry: a part that is nil stays, one that is there replaces the whole part.
type KnowledgeModIntentRequest struct {
	IntentID         string             `json:"intent_id"`
	Question         *KnowledgeQuestion `json:"question,omitempty"`
	SimilarQuestions *SimilarQuestions  `json:"similar_questions,omitempty"`
	Answers          []KnowledgeAnswer  `json:"answers,omitempty"` // up to 1
}

// Validate checks every documented limit. Its error is a *LimitError.
func (r KnowledgeModIntentRequest) Validate() error {
	return first(checkSize("intent_id", r.IntentID, 1, 0), checkIntent(r.Question, r.SimilarQuestions, r.Answers),
		checkCount("answers", len(r.Answers), 0, 1))
}

// KnowledgeModIntent changes an entry. It may be repeated.
//
// https://developer.work.weixin.qq.com/document/path/95972
func (c *Client) KnowledgeModIntent(ctx context.Context, accessToken string, req KnowledgeModIntentRequest) (Reply, error) {
	return post[Reply](ctx, c, accessToken, "kf/knowledge/mod_intent", req)
}

// KnowledgeListIntentRequest asks for one page of entries.
type KnowledgeListIntentRequest struct {
	Cursor   string `json:"cursor,omitempty"`    // NextCursor of the page before
	Limit    int    `json:"limit,omitempty"`     // 1–1000; 0 is the platform's default, 500
	GroupID  string `json:"group_id,omitempty"`  // of this group only
	IntentID string `json:"intent_id,omitempty"` // this one only
}

// Validate checks every documented limit. Its error is a *LimitError.
func (r KnowledgeListIntentRequest) Validate() error {
	return checkUpTo("limit", r.Limit, maxKnowledgePage)
}

// KnowledgeListIntentResponse is one page of entries.
type KnowledgeListIntentResponse struct {
	NextCursor string            `json:"next_cursor"`
	HasMore    Flag              `json:"has_more"`
	IntentList []KnowledgeIntent `json:"intent_list"`
	Reply
}

// KnowledgeListIntent returns one page of entries. It may be repeated.
//
// https://developer.work.weixin.qq.com/document/path/95972
func (c *Client) KnowledgeListIntent(ctx context.Context, accessToken string, req KnowledgeListIntentRequest) (KnowledgeListIntentResponse, error) {
	return post[KnowledgeListIntentResponse](ctx, c, accessToken, "kf/knowledge/list_intent", req)
}

// KnowledgeIntent is an entry of the knowledge base.
type KnowledgeIntent struct {
	GroupID          string             `json:"group_id"`
	IntentID         string             `json:"intent_id"`
	Question         *KnowledgeQuestion `json:"question,omitempty"`
	SimilarQuestions *SimilarQuestions  `json:"similar_questions,omitempty"`
	Answers          []KnowledgeAnswer  `json:"answers,omitempty"`
}

// UnmarshalJSON also takes similar questions and answers that stand inside the question: the platform's page shows both.
func (k *KnowledgeIntent) UnmarshalJSON(b []byte) error {
	type beside KnowledgeIntent
	var inside struct {
		Question struct {
			SimilarQuestions *SimilarQuestions `json:"similar_questions"`
			Answers          []KnowledgeAnswer `json:"answers"`
		} `json:"question"`
	}
	if err := json.Unmarshal(b, (*beside)(k)); err != nil {
		return err
	}
	if err := json.Unmarshal(b, &inside); err != nil {
		return err
	}
	if k.SimilarQuestions == nil {
		k.SimilarQuestions = inside.Question.SimilarQuestions
	}
	if k.Answers == nil {
		k.Answers = inside.Question.Answers
	}
	return nil
}
