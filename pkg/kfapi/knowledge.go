package kfapi

import "context"

// Limits of the knowledge base, in characters where they are of texts.
const (
	maxGroupName     = 12
	maxKnowledgePage = 1000
	maxQuestion      = 200
	maxSimilar       = 100
	maxAnswer        = 500
	maxAttachments   = 4
)

// KnowledgeAddGroupRequest describes a new group.
type KnowledgeAddGroupRequest struct {
	Name string `json:"name"` // 1–12 characters, unique
}

// Validate checks every documented limit. Its error is a *LimitError.
func (r KnowledgeAddGroupRequest) Validate() error {
	return checkChars("name", r.Name, 1, maxGroupName)
}

// KnowledgeAddGroupResponse names the new group.
type KnowledgeAddGroupResponse struct {
	GroupID string `json:"group_id"`
	Reply
}

func (r *KnowledgeAddGroupResponse) missing() string { return ifEmpty(r.GroupID, "group_id") }

// KnowledgeAddGroup makes a group of the bot's knowledge base; there may be 100. Like all knowledge calls it is for
// self-built apps only. A repeat may make a second one.
//
// https://developer.work.weixin.qq.com/document/path/95971
func (c *Client) KnowledgeAddGroup(ctx context.Context, accessToken string, req KnowledgeAddGroupRequest) (KnowledgeAddGroupResponse, error) {
	return post[KnowledgeAddGroupResponse](ctx, c, accessToken, "kf/knowledge/add_group", req)
}

// KnowledgeDelGroupRequest names a group, not the default one.
type KnowledgeDelGroupRequest struct {
	GroupID string `json:"group_id"`
}

// Validate checks every documented limit. Its error is a *LimitError.
func (r KnowledgeDelGroupRequest) Validate() error { return checkSize("group_id", r.GroupID, 1, 0) }

// KnowledgeDelGroup deletes a group. It may be repeated.
//
// https://developer.work.weixin.qq.com/document/path/95971
func (c *Client) KnowledgeDelGroup(ctx context.Context, accessToken string, req KnowledgeDelGroupRequest) (Reply, error) {
	return post[Reply](ctx, c, accessToken, "kf/knowledge/del_group", req)
}

// KnowledgeModGroupRequest renames a group, not the default one.
type KnowledgeModGroupRequest struct {
	GroupID string `json:"group_id"`
	Name    string `json:"name"` // 1–12 characters, unique
}

// Validate checks every documented limit. Its error is a *LimitError.
func (r KnowledgeModGroupRequest) Validate() error {
	return first(checkSize("group_id", r.GroupID, 1, 0), checkChars("name", r.Name, 1, maxGroupName))
}

// KnowledgeModGroup renames a group. It may be repeated.
//
// https://developer.work.weixin.qq.com/document/path/95971
func (c *Client) KnowledgeModGroup(ctx context.Context, accessToken string, req KnowledgeModGroupRequest) (Reply, error) {
	return post[Reply](ctx, c, accessToken, "kf/knowledge/mod_group", req)
}

// KnowledgeListGroupRequest asks for one page of groups.
type KnowledgeListGroupRequest struct {
	Cursor  string `json:"cursor,omitempty"`   // NextCursor of the page before
	Limit   int    `json:"limit,omitempty"`    // 1–1000; 0 is the platform's default, 500
	GroupID string `json:"group_id,omitempty"` // this one only
}

// Validate checks every documented limit. Its error is a *LimitError.
func (r KnowledgeListGroupRequest) Validate() error {
	return checkUpTo("limit", r.Limit, maxKnowledgePage)
}

// KnowledgeListGroupResponse is one page of groups.
type KnowledgeListGroupResponse struct {
	NextCursor string           `json:"next_cursor"`
	HasMore    Flag             `json:"has_more"`
	GroupList  []KnowledgeGroup `json:"group_list"`
	Reply
}

// KnowledgeGroup is a group of the knowledge base.
type KnowledgeGroup struct {
	GroupID   string `json:"group_id"`
	Name      string `json:"name"`
	IsDefault Flag   `json:"is_default"`
}

// KnowledgeListGroup returns one page of groups. It may be repeated.
//
// https://developer.work.weixin.qq.com/document/path/95971
func (c *Client) KnowledgeListGroup(ctx context.Context, accessToken string, req KnowledgeListGroupRequest) (KnowledgeListGroupResponse, error) {
	return post[KnowledgeListGroupResponse](ctx, c, accessToken, "kf/knowledge/list_group", req)
}
