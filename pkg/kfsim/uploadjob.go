package kfsim

import (
	"crypto/md5" //nolint:gosec // G501: the platform asks for it
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const maxRemote = 200 << 20 // bytes of upload_by_url: path/96219

// States of an upload by URL.
const (
	uploadRunning  = 1
	uploadFinished = 2
	uploadFailed   = 3
)

// uploadJob is one upload by URL.
type uploadJob struct {
	id, kind, name, url, md5 string
	status                   int
	code                     int // why it failed
	why                      string
	media                    *media
}

// RemoteFile is what stands at a URL, for upload_by_url: the simulator itself fetches nothing.
type RemoteFile struct {
	URL     string `json:"url"`                // http or https
	Data    []byte `json:"data"`               // base64 in JSON
	NoRange bool   `json:"no_range,omitempty"` // the server there takes no Range: uploads fail with 830003
}

// ServeURL puts a file at a URL, for every corp, until Reset. It may be repeated with another file.
func (s *Sim) ServeURL(f RemoteFile) error {
	if !fetchable(f.URL) {
		return errors.New("url is not of the form http://… or https://…")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.st.remote[f.URL] = f
	return nil
}

func fetchable(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// uploadByURL starts a job. Unless uploads wait, it has ended when the answer comes, so that a seed
// decides the order of everything.
//
// https://developer.work.weixin.qq.com/document/path/96219
func (r *request) uploadByURL() answer {
	var req struct {
		Scene    int    `json:"scene"`
		Type     string `json:"type"`
		FileName string `json:"filename"`
		URL      string `json:"url"`
		MD5      string `json:"md5"`
	}
	if a, good := r.decode(&req); !good {
		return a
	}
	switch {
	case req.Scene != 1:
		return refuse(40058, "scene is not 1")
	case req.Type != "image" && req.Type != "voice" && req.Type != "video" && req.Type != "file":
		return refuse(40005, "type is not image, voice, video or file")
	case req.FileName == "" || strings.HasPrefix(req.FileName, "/") || strings.ContainsAny(req.FileName, `\:`):
		return refuse(40058, "filename is missing, begins with / or contains \\ or :")
	case len(req.MD5) != 2*md5.Size:
		return refuse(40058, "md5 is not of 32 hex digits")
	case !fetchable(req.URL):
		return refuse(830001, "url is not of the form http://… or https://…")
	}
	j := &uploadJob{id: r.st.ids.opaque("", "upload job", 40), kind: req.Type, name: req.FileName, url: req.URL, md5: strings.ToLower(req.MD5), status: uploadRunning}
	r.corp.jobs[j.id] = j
	if !r.sim.p.UploadJobsWait {
		r.sim.endJob(r.corp, j, 0)
	}
	return ok(struct {
		JobID string `json:"jobid"`
	}{j.id})
}

// endJob ends a job, with an errcode if not 0, and tells the app.
func (s *Sim) endJob(c *corp, j *uploadJob, code int) {
	file, there := s.st.remote[j.url]
	sum := md5.Sum(file.Data)
	switch {
	case code != 0:
		j.code, j.why = code, "failed by the control API"
	case !there:
		j.code, j.why = 830003, "nothing stands at the url"
	case file.NoRange:
		j.code, j.why = 830003, "the server at the url takes no Range"
	case len(file.Data) > maxRemote:
		j.code, j.why = 830003, "the file is larger than 200 MiB"
	case len(file.Data) < minMedia:
		j.code, j.why = 40006, "the file does not have more than 5 bytes"
	case hex.EncodeToString(sum[:]) != j.md5:
		j.code, j.why = s.p.WrongMD5Code, "the file has another md5"
	}
	if j.status = uploadFailed; j.code == 0 {
		j.status, j.media = uploadFinished, s.keepMedia(c, j.kind, j.name, file.Data)
	}
	s.journal.add(Entry{Kind: KindUpload, CorpID: c.CorpID, ErrCode: j.code, Reason: j.why})
	s.ring(&callback{corp: c, plain: kfPlaintext(c, s.clock.Now(), "upload_media_job_finish",
		element{"FromUserName", "sys"}, element{"AgentID", c.AgentID}, element{"JobId", j.id})})
}

// UploadEnd is how an upload by URL that is under way shall end.
type UploadEnd struct {
	CorpID  string `json:"corpid"` // may be empty while there is one corp
	JobID   string `json:"jobid"`
	ErrCode int    `json:"errcode,omitempty"` // 0: it ends with what stands at its URL
}

// FinishUpload ends an upload by URL, with the callback upload_media_job_finish. Uploads end by
// themselves unless Personality.UploadJobsWait is on.
func (s *Sim) FinishUpload(e UploadEnd) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.st.corp(e.CorpID)
	if err != nil {
		return err
	}
	j := c.jobs[e.JobID]
	if j == nil || j.status != uploadRunning {
		return fmt.Errorf("upload job %q is unknown or has ended", clip(e.JobID, 64))
	}
	s.endJob(c, j, e.ErrCode)
	return nil
}

// uploadByURLResult: https://developer.work.weixin.qq.com/document/path/96219
func (r *request) uploadByURLResult() answer {
	var req struct {
		JobID string `json:"jobid"`
	}
	if a, good := r.decode(&req); !good {
		return a
	}
	j := r.corp.jobs[req.JobID]
	if j == nil {
		return refuse(40058, "jobid is missing or was not given out here")
	}
	type detail struct {
		ErrCode   int    `json:"errcode"`
		ErrMsg    string `json:"errmsg"`
		MediaID   string `json:"media_id,omitempty"`
		CreatedAt string `json:"created_at,omitempty"`
	}
	out := struct {
		Status int     `json:"status"`
		Detail *detail `json:"detail,omitempty"`
	}{Status: j.status}
	switch j.status {
	case uploadFinished:
		out.Detail = &detail{0, "ok", j.media.id, strconv.FormatInt(j.media.at.Unix(), 10)}
	case uploadFailed:
		out.Detail = &detail{ErrCode: j.code, ErrMsg: errText(j.code)}
	}
	return ok(out)
}

// mediaGetBudget limits how often one media_id is fetched.
func (r *request) mediaGetBudget(id string) bool {
	return r.st.limits.allow("media "+r.corp.CorpID+" "+id, r.now, r.sim.p.MediaGetsPerMinute, time.Minute)
}
