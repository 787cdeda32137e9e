package kfapi

import "context"

// MediaUploadByURLRequest asks the platform to fetch a file of up to 200 MB itself.
type MediaUploadByURLRequest struct {
	Scene    int    `json:"scene"`    // 1, customer contact: the only one that is documented
	Type     string `json:"type"`     // one of the Media constants
	Filename string `json:"filename"` // as for MediaUpload
	URL      string `json:"url"`      // http:// or https://; its server must support Range, or 830001 and 830003 follow
	MD5      string `json:"md5"`      // of the file, in hex
}

// Validate checks every documented limit. Its error is a *LimitError.
func (r MediaUploadByURLRequest) Validate() error {
	switch {
	case r.Scene < 1:
		return &LimitError{Field: "scene", Why: "must be 1 or more"}
	case len(r.MD5) != 32 || !only(r.MD5, digits+"abcdefABCDEF"):
		return &LimitError{Field: "md5", Why: "must be 32 hex digits", Limit: 32, Got: len(r.MD5)}
	}
	return first(checkKind(r.Type), checkFilename(r.Filename), checkScheme("url", r.URL))
}

// MediaUploadByURLResponse names the job.
type MediaUploadByURLResponse struct {
	JobID string `json:"jobid"`
	Reply
}

func (r *MediaUploadByURLResponse) missing() string { return ifEmpty(r.JobID, "jobid") }

// MediaUploadByURL starts an upload that the platform does by itself; MediaGetUploadByURLResult tells how it went, and a
// callback upload_media_job_finish that it has ended. It may be repeated: an upload too many only expires.
//
// https://developer.work.weixin.qq.com/document/path/96219
func (c *Client) MediaUploadByURL(ctx context.Context, accessToken string, req MediaUploadByURLRequest) (MediaUploadByURLResponse, error) {
	return post[MediaUploadByURLResponse](ctx, c, accessToken, "media/upload_by_url", req)
}

// MediaGetUploadByURLResultRequest names a job.
type MediaGetUploadByURLResultRequest struct {
	JobID string `json:"jobid"`
}

// Validate checks every documented limit. Its error is a *LimitError.
func (r MediaGetUploadByURLResultRequest) Validate() error { return checkSize("jobid", r.JobID, 1, 0) }

// MediaGetUploadByURLResultResponse is how far a job came.
type MediaGetUploadByURLResultResponse struct {
	Status int `json:"status"` // as the platform's page lists them
	Detail struct {
		ErrCode   int       `json:"errcode"` // as in Error.Code; 0 if the file is there
		ErrMsg    string    `json:"errmsg"`
		MediaID   string    `json:"media_id"`   // good for three days
		CreatedAt StringInt `json:"created_at"` // Unix seconds
	} `json:"detail"`
	Reply
}

// MediaGetUploadByURLResult asks how far a job of MediaUploadByURL came. It may be repeated.
//
// https://developer.work.weixin.qq.com/document/path/96219
func (c *Client) MediaGetUploadByURLResult(ctx context.Context, accessToken string, req MediaGetUploadByURLResultRequest) (MediaGetUploadByURLResultResponse, error) {
	return post[MediaGetUploadByURLResultResponse](ctx, c, accessToken, "media/get_upload_by_url_result", req)
}
