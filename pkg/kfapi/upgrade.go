package kfapi

import "context"

// CustomerGetUpgradeServiceConfigResponse is what the admin allows to recommend.
type CustomerGetUpgradeServiceConfigResponse struct {
	MemberRange struct {
		UserIDList       []string `json:"userid_list"`
		DepartmentIDList []int    `json:"department_id_list"`
	} `json:"member_range"`
	GroupChatRange struct {
		ChatIDList []string `json:"chat_id_list"`
	} `json:"groupchat_range"`
	Reply
}

// CustomerGetUpgradeServiceConfig says which members and customer groups may be recommended. It may be repeated.
//
// https://developer.work.weixin.qq.com/document/path/94674
func (c *Client) CustomerGetUpgradeServiceConfig(ctx context.Context, accessToken string) (CustomerGetUpgradeServiceConfigResponse, error) {
	return get[CustomerGetUpgradeServiceConfigResponse](ctx, c, accessToken, "kf/customer/get_upgrade_service_config", nil)
}

// UpgradeType says what is recommended to a customer.
type UpgradeType int

// Values of CustomerUpgradeServiceRequest.Type.
const (
	UpgradeMember    UpgradeType = 1
	UpgradeGroupChat UpgradeType = 2
)

// CustomerUpgradeServiceRequest recommends a member or a group. UpgradeToMember and UpgradeToGroupChat make one.
type CustomerUpgradeServiceRequest struct {
	OpenKfID       string           `json:"open_kfid"`
	ExternalUserID string           `json:"external_userid"`
	Type           UpgradeType      `json:"type"`
	Member         *MemberToAdd     `json:"member,omitempty"`    // with UpgradeMember, and only then
	GroupChat      *GroupChatToJoin `json:"groupchat,omitempty"` // with UpgradeGroupChat, and only then
}

// MemberToAdd is a member whom the customer may add as a contact.
type MemberToAdd struct {
	UserID  string `json:"userid"` // in the range of CustomerGetUpgradeServiceConfig
	Wording string `json:"wording,omitempty"`
}

// GroupChatToJoin is a customer group that the customer may join.
type GroupChatToJoin struct {
	ChatID  string `json:"chat_id"` // in the range of CustomerGetUpgradeServiceConfig
	Wording string `json:"wording,omitempty"`
}

// UpgradeToMember recommends a member; wording may be empty.
func UpgradeToMember(openKfID, externalUserID, userID, wording string) CustomerUpgradeServiceRequest {
	return CustomerUpgradeServiceRequest{
		OpenKfID: openKfID, ExternalUserID: externalUserID, Type: UpgradeMember, Member: &MemberToAdd{userID, wording},
	}
}

// UpgradeToGroupChat recommends a customer group; wording may be empty.
func UpgradeToGroupChat(openKfID, externalUserID, chatID, wording string) CustomerUpgradeServiceRequest {
	return CustomerUpgradeServiceRequest{
		OpenKfID: openKfID, ExternalUserID: externalUserID, Type: UpgradeGroupChat, GroupChat: &GroupChatToJoin{chatID, wording},
	}
}

// Validate checks every documented limit. Its error is a *LimitError.
func (r CustomerUpgradeServiceRequest) Validate() error {
	if err := first(checkID("open_kfid", r.OpenKfID), checkID("external_userid", r.ExternalUserID)); err != nil {
		return err
	}
	switch {
	case r.Type != UpgradeMember && r.Type != UpgradeGroupChat:
		return &LimitError{Field: "type", Why: "must be 1, a member, or 2, a group"}
	case (r.Member != nil) != (r.Type == UpgradeMember):
		return &LimitError{Field: "member", Why: "must be there with type 1 and only then"}
	case (r.GroupChat != nil) != (r.Type == UpgradeGroupChat):
		return &LimitError{Field: "groupchat", Why: "must be there with type 2 and only then"}
	case r.Member != nil:
		return checkID("member.userid", r.Member.UserID)
	}
	return checkSize("groupchat.chat_id", r.GroupChat.ChatID, 1, 0)
}

// CustomerUpgradeService recommends a member or a group to a customer, who sees it in the chat. 95021: the admin has
// configured nothing to recommend; 95015: the admin recommends already. A repeat may recommend twice.
//
// https://developer.work.weixin.qq.com/document/path/94674
func (c *Client) CustomerUpgradeService(ctx context.Context, accessToken string, req CustomerUpgradeServiceRequest) (Reply, error) {
	return post[Reply](ctx, c, accessToken, "kf/customer/upgrade_service", req)
}

// CustomerCancelUpgradeServiceRequest names a customer of an account.
type CustomerCancelUpgradeServiceRequest struct {
	OpenKfID       string `json:"open_kfid"`
	ExternalUserID string `json:"external_userid"`
}

// Validate checks every documented limit. Its error is a *LimitError.
func (r CustomerCancelUpgradeServiceRequest) Validate() error {
	return first(checkID("open_kfid", r.OpenKfID), checkID("external_userid", r.ExternalUserID))
}

// CustomerCancelUpgradeService takes a recommendation back. It may be repeated.
//
// https://developer.work.weixin.qq.com/document/path/94674
func (c *Client) CustomerCancelUpgradeService(ctx context.Context, accessToken string, req CustomerCancelUpgradeServiceRequest) (Reply, error) {
	return post[Reply](ctx, c, accessToken, "kf/customer/cancel_upgrade_service", req)
}
