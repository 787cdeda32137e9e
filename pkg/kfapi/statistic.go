package kfapi

import "context"

const (
	maxSpan   = 31 * 24 * 3600 // seconds of a statistic
	maxUint32 = 1<<32 - 1
)

// GetCorpStatisticRequest asks for the days from StartTime to EndTime, both rounded down to local midnight and both
// included: at most 31 days, of the last 180, up to yesterday, whose figures come after about 6 o'clock. Which days are
// too old or too new the platform alone decides.
type GetCorpStatisticRequest struct {
	OpenKfID  string `json:"open_kfid,omitempty"` // the platform demands it now; once empty was the whole corp
	StartTime int64  `json:"start_time"`          // Unix seconds
	EndTime   int64  `json:"end_time"`            // Unix seconds, up to 31 days after StartTime
}

// Validate checks every documented limit but those that depend on the date. Its error is a *LimitError.
func (r GetCorpStatisticRequest) Validate() error {
	return first(checkSize("open_kfid", r.OpenKfID, 0, maxID), checkDays(r.StartTime, r.EndTime))
}

func checkDays(start, end int64) error {
	switch {
	case start <= 0 || start > maxUint32:
		return &LimitError{Field: "start_time", Why: "must be Unix seconds"}
	case end < start || end > maxUint32:
		return &LimitError{Field: "end_time", Why: "must be Unix seconds and not before start_time"}
	case end-start > maxSpan:
		return &LimitError{Field: "end_time", Limit: maxSpan, Got: int(end - start), Why: "is more than 31 days after start_time"}
	}
	return nil
}

// GetCorpStatisticResponse is the days that were asked for.
type GetCorpStatisticResponse struct {
	StatisticList []CorpDay `json:"statistic_list"`
	Reply
}

// CorpDay is one day. Statistic is nil when there is no data.
type CorpDay struct {
	StatTime  int64          `json:"stat_time"` // Unix seconds, local midnight
	Statistic *CorpStatistic `json:"statistic,omitempty"`
}

// CorpStatistic is the figures of a day. A nil one could not be computed; rates are 0 to 1.
type CorpStatistic struct {
	SessionCnt                *int64   `json:"session_cnt,omitempty"`  // sessions in which the customer wrote
	CustomerCnt               *int64   `json:"customer_cnt,omitempty"` // customers who wrote
	CustomerMsgCnt            *int64   `json:"customer_msg_cnt,omitempty"`
	UpgradeServiceCustomerCnt *int64   `json:"upgrade_service_customer_cnt,omitempty"` // customers who took an upgrade
	AISessionReplyCnt         *int64   `json:"ai_session_reply_cnt,omitempty"`         // sessions that the assistant answered
	AITransferRate            *float64 `json:"ai_transfer_rate,omitempty"`             // share of those that went to people
	AIKnowledgeHitRate        *float64 `json:"ai_knowledge_hit_rate,omitempty"`
	MsgRejectedCustomerCnt    *int64   `json:"msg_rejected_customer_cnt,omitempty"` // customers whom servicers rejected
}

// GetCorpStatistic returns the daily figures of an account. It may be repeated.
//
// https://developer.work.weixin.qq.com/document/path/95489
func (c *Client) GetCorpStatistic(ctx context.Context, accessToken string, req GetCorpStatisticRequest) (GetCorpStatisticResponse, error) {
	return post[GetCorpStatisticResponse](ctx, c, accessToken, "kf/get_corp_statistic", req)
}

// GetServicerStatisticRequest asks for the days from StartTime to EndTime; see GetCorpStatisticRequest.
type GetServicerStatisticRequest struct {
	OpenKfID       string `json:"open_kfid,omitempty"`
	ServicerUserID string `json:"servicer_userid,omitempty"` // empty: all servicers of the account
	StartTime      int64  `json:"start_time"`
	EndTime        int64  `json:"end_time"`
}

// Validate checks every documented limit but those that depend on the date. Its error is a *LimitError.
func (r GetServicerStatisticRequest) Validate() error {
	return first(checkSize("open_kfid", r.OpenKfID, 0, maxID), checkSize("servicer_userid", r.ServicerUserID, 0, maxID),
		checkDays(r.StartTime, r.EndTime))
}

// GetServicerStatisticResponse is the days that were asked for.
type GetServicerStatisticResponse struct {
	StatisticList []ServicerDay `json:"statistic_list"`
	Reply
}

// ServicerDay is one day. Statistic is nil when there is no data.
type ServicerDay struct {
	StatTime  int64              `json:"stat_time"` // Unix seconds, local midnight
	Statistic *ServicerStatistic `json:"statistic,omitempty"`
}

// ServicerStatistic is the figures of a day, of what people handled. A nil one could not be computed; rates are 0 to 1.
type ServicerStatistic struct {
	SessionCnt           *int64   `json:"session_cnt,omitempty"`
	CustomerCnt          *int64   `json:"customer_cnt,omitempty"`
	CustomerMsgCnt       *int64   `json:"customer_msg_cnt,omitempty"`
	ReplyRate            *float64 `json:"reply_rate,omitempty"`              // share of sessions that were answered
	FirstReplyAverageSec *float64 `json:"first_reply_average_sec,omitempty"` // seconds
	// SatisfactionInvestigateCnt is the rating requests that were sent. The key is the platform's own spelling.
	SatisfactionInvestigateCnt         *int64   `json:"satisfaction_investgate_cnt,omitempty"`
	SatisfactionParticipationRate      *float64 `json:"satisfaction_participation_rate,omitempty"`
	SatisfiedRate                      *float64 `json:"satisfied_rate,omitempty"`
	MiddlingRate                       *float64 `json:"middling_rate,omitempty"`
	DissatisfiedRate                   *float64 `json:"dissatisfied_rate,omitempty"`
	UpgradeServiceCustomerCnt          *int64   `json:"upgrade_service_customer_cnt,omitempty"`
	UpgradeServiceMemberInviteCnt      *int64   `json:"upgrade_service_member_invite_cnt,omitempty"`
	UpgradeServiceMemberCustomerCnt    *int64   `json:"upgrade_service_member_customer_cnt,omitempty"`
	UpgradeServiceGroupChatInviteCnt   *int64   `json:"upgrade_service_groupchat_invite_cnt,omitempty"`
	UpgradeServiceGroupChatCustomerCnt *int64   `json:"upgrade_service_groupchat_customer_cnt,omitempty"`
	MsgRejectedCustomerCnt             *int64   `json:"msg_rejected_customer_cnt,omitempty"`
}

// GetServicerStatistic returns the daily figures of one servicer or of all together. It may be repeated.
//
// https://developer.work.weixin.qq.com/document/path/95490
func (c *Client) GetServicerStatistic(ctx context.Context, accessToken string, req GetServicerStatisticRequest) (GetServicerStatisticResponse, error) {
	return post[GetServicerStatisticResponse](ctx, c, accessToken, "kf/get_servicer_statistic", req)
}
