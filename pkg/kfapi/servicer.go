package kfapi

import (
	"context"
	"fmt"
)

const maxServicers = 100 // of a call, and as many departments

// ServicerAddRequest names members and departments. At least one of the lists is needed.
type ServicerAddRequest struct {
	OpenKfID         string   `json:"open_kfid"`
	UserIDList       []string `json:"userid_list,omitempty"`        // up to 100
	DepartmentIDList []int    `json:"department_id_list,omitempty"` // up to 100
}

// ServicerDelRequest names members and departments. At least one of the lists is needed.
type ServicerDelRequest = ServicerAddRequest

// Validate checks every documented limit. Its error is a *LimitError.
func (r ServicerAddRequest) Validate() error {
	least := 1
	if len(r.DepartmentIDList) > 0 {
		least = 0
	}
	return first(checkID("open_kfid", r.OpenKfID), checkIDs("userid_list", r.UserIDList, least, maxServicers),
		checkCount("department_id_list", len(r.DepartmentIDList), 0, maxServicers))
}

// ServicerAddResponse says what came of each row.
type ServicerAddResponse struct {
	ResultList []ServicerResult `json:"result_list"`
	Reply
}

// ServicerDelResponse says what came of each row.
type ServicerDelResponse = ServicerAddResponse

// ServicerResult is what came of one member or department.
type ServicerResult struct {
	UserID       string `json:"userid,omitempty"`        // or
	DepartmentID int    `json:"department_id,omitempty"` // 0 in the row of a member
	ErrCode      int    `json:"errcode"`                 // as in Error.Code
	// ErrMsg is "success", or "ignored": it was there already, or not there to be taken away. For people only.
	ErrMsg string `json:"errmsg"`
}

// Failed is the rows with an errcode. A call that succeeds says nothing of its rows.
func (r ServicerAddResponse) Failed() []ServicerResult {
	var failed []ServicerResult
	for _, row := range r.ResultList {
		if row.ErrCode != 0 {
			failed = append(failed, row)
		}
	}
	return failed
}

// ServicerAdd lets members and departments answer for an account, 2000 members and 20 departments at most. Each row
// succeeds or fails by itself: see Failed. It may be repeated.
//
// https://developer.work.weixin.qq.com/document/path/94646
func (c *Client) ServicerAdd(ctx context.Context, accessToken string, req ServicerAddRequest) (ServicerAddResponse, error) {
	return post[ServicerAddResponse](ctx, c, accessToken, "kf/servicer/add", req)
}

// ServicerDel takes members and departments off an account. Each row succeeds or fails by itself: see Failed. It may be
// repeated.
//
// https://developer.work.weixin.qq.com/document/path/94647
func (c *Client) ServicerDel(ctx context.Context, accessToken string, req ServicerDelRequest) (ServicerDelResponse, error) {
	return post[ServicerDelResponse](ctx, c, accessToken, "kf/servicer/del", req)
}

// ServicerListRequest names an account.
type ServicerListRequest struct {
	OpenKfID string `json:"open_kfid"`
}

// Validate checks every documented limit. Its error is a *LimitError.
func (r ServicerListRequest) Validate() error { return checkID("open_kfid", r.OpenKfID) }

// ServicerListResponse is all servicers of an account.
type ServicerListResponse struct {
	ServicerList []Servicer `json:"servicer_list"`
	Reply
}

// Servicer is a member or a department.
type Servicer struct {
	UserID       string          `json:"userid,omitempty"`        // or
	DepartmentID int             `json:"department_id,omitempty"` // 0 in the row of a member
	Status       *ServicerStatus `json:"status,omitempty"`        // nil for departments, and for apps that may not see it
	StopType     *StopType       `json:"stop_type,omitempty"`     // with ServicerStopped
}

// ServicerStatus says whether a servicer takes customers. ServicerStatusChange counts from 1 instead.
type ServicerStatus int

// Values of Servicer.Status.
const (
	ServicerReceiving ServicerStatus = 0
	ServicerStopped   ServicerStatus = 1
)

// StopType says how a servicer stopped.
type StopType int

// Values of Servicer.StopType and ServicerStatusChange.StopType.
const (
	StopFull      StopType = 0 // stopped
	StopSuspended StopType = 1 // for a while
)

// ServicerList returns all servicers of an account; there is no paging. It may be repeated.
//
// https://developer.work.weixin.qq.com/document/path/94645
func (c *Client) ServicerList(ctx context.Context, accessToken string, req ServicerListRequest) (ServicerListResponse, error) {
	return get[ServicerListResponse](ctx, c, accessToken, "kf/servicer/list", req)
}

// checkIDs checks a list of ids and each of them.
func checkIDs(field string, ids []string, least, most int) error {
	if err := checkCount(field, len(ids), least, most); err != nil {
		return err
	}
	for i, id := range ids {
		if err := checkID(fmt.Sprintf("%s[%d]", field, i), id); err != nil {
			return err
		}
	}
	return nil
}
