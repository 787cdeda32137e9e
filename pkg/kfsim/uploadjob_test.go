package kfsim

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

func md5Of(data []byte) string {
	s := md5.Sum(data)
	return hex.EncodeToString(s[:])
}

func TestUploadByURL(t *testing.T) {
	r := newRig(t, Config{})
	data := []byte("a film of some bytes")
	r.must(r.ServeURL(RemoteFile{URL: "https://e.example/v.mp4", Data: data}))
	r.must(r.ServeURL(RemoteFile{URL: "https://e.example/small", Data: []byte("12345")}))
	r.must(r.ServeURL(RemoteFile{URL: "https://e.example/norange", Data: data, NoRange: true}))
	start := func(change obj) answered {
		m := obj{"scene": 1, "type": "video", "filename": "v.mp4", "url": "https://e.example/v.mp4", "md5": md5Of(data)}
		for k, v := range change {
			m[k] = v
		}
		return r.post("media/upload_by_url", m)
	}
	result := func(job string) answered { return r.post("media/get_upload_by_url_result", obj{"jobid": job}) }
	for _, c := range []struct {
		name   string
		change obj
		code   int     // of the call
		status float64 // of the job
		detail int
	}{
		{"there", nil, 0, 2, 0},
		{"md5 in capitals", obj{"md5": strings.ToUpper(md5Of(data))}, 0, 2, 0},
		{"nothing there", obj{"url": "https://e.example/none"}, 0, 3, 830003},
		{"no Range there", obj{"url": "https://e.example/norange"}, 0, 3, 830003},
		{"5 bytes there", obj{"url": "https://e.example/small", "md5": md5Of([]byte("12345"))}, 0, 3, 40006},
		{"another md5", obj{"md5": md5Of([]byte("x"))}, 0, 3, 830003},
		{"no scheme", obj{"url": "e.example/v.mp4"}, 830001, 0, 0},
		{"ftp", obj{"url": "ftp://e.example/v.mp4"}, 830001, 0, 0},
		{"scene 2", obj{"scene": 2}, 40058, 0, 0},
		{"another type", obj{"type": "sticker"}, 40005, 0, 0},
		{"no filename", obj{"filename": ""}, 40058, 0, 0},
		{"a path", obj{"filename": "/v.mp4"}, 40058, 0, 0},
		{"no md5", obj{"md5": ""}, 40058, 0, 0},
	} {
		got := start(c.change)
		r.wantCode(c.name, got, c.code)
		if c.code != 0 {
			continue
		}
		res := result(got.str("jobid"))
		detail, _ := res["detail"].(map[string]any)
		if res["status"] != c.status || answered(detail).code() != c.detail {
			t.Errorf("%s: got %v, want status %v with %d", c.name, res, c.status, c.detail)
		}
		if id, _ := detail["media_id"].(string); (id != "") != (c.detail == 0) {
			t.Errorf("%s: got media_id %q", c.name, id)
		} else if id != "" {
			q := url.Values{"access_token": {r.token}, "media_id": {id}}
			if body := r.do("GET", "media/get", q, nil).Body.Bytes(); !bytes.Equal(body, data) {
				t.Errorf("%s: media/get gave %q", c.name, body)
			}
		}
	}
	r.wantCode("unknown job", result("none"), 40058)
	r.must(r.SetPersonality(Personality{UploadJobsWait: true, WrongMD5Code: 7}))
	job := start(nil).str("jobid")
	if got := result(job); got["status"] != 1.0 || got["detail"] != nil {
		t.Errorf("under way: got %v, want status 1", got)
	}
	r.must(r.FinishUpload(UploadEnd{JobID: job, ErrCode: 45001}))
	if got := result(job); got["status"] != 3.0 || answered(got["detail"].(map[string]any)).code() != 45001 {
		t.Errorf("failed: got %v", got)
	}
	if r.FinishUpload(UploadEnd{JobID: job}) == nil || r.FinishUpload(UploadEnd{JobID: "none"}) == nil {
		t.Error("a job ended twice, or one that is not there ended")
	}
	job = start(obj{"md5": md5Of([]byte("x"))}).str("jobid")
	r.must(r.FinishUpload(UploadEnd{JobID: job}))
	if got := result(job); answered(got["detail"].(map[string]any)).code() != 7 {
		t.Errorf("another md5, by a switch: got %v, want 7", got)
	}
	if r.ServeURL(RemoteFile{URL: "nowhere"}) == nil {
		t.Error("a file stands nowhere")
	}
}

func TestUploadFinishCallback(t *testing.T) {
	r := newRig(t, Config{})
	got := make(chan string, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, hr *http.Request) {
		var b bytes.Buffer
		_, _ = b.ReadFrom(hr.Body)
		s := b.String()
		_, s, _ = strings.Cut(s, "<Encrypt><![CDATA[")
		s, _, _ = strings.Cut(s, "]]>")
		q := hr.URL.Query()
		plain, _, err := r.st.corps[corpA].codec.Open(q.Get("msg_signature"), q.Get("timestamp"), q.Get("nonce"), []byte(s))
		if err != nil {
			t.Error(err)
		}
		got <- string(plain)
	}))
	defer srv.Close()
	r.must(r.SetCallback(CallbackSettings{CallbackURL: srv.URL}))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	job := r.post("media/upload_by_url", obj{"scene": 1, "type": "video", "filename": "v.mp4", "url": "https://e.example/none", "md5": md5Of(nil)}).str("jobid")
	plain := <-got
	for _, part := range []string{"<Event><![CDATA[upload_media_job_finish]]></Event>", "<JobId><![CDATA[" + job + "]]></JobId>", "<MsgType><![CDATA[event]]></MsgType>", "<FromUserName><![CDATA[sys]]></FromUserName>"} {
		if job == "" || !strings.Contains(plain, part) {
			t.Errorf("the callback %s lacks %s", plain, part)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// form posts a file to an upload path.
func (r *rig) form(path, name string, data []byte) answered {
	r.t.Helper()
	var b bytes.Buffer
	b.WriteString("--B\r\nContent-Disposition: form-data; name=\"media\"; filename=\"" + name + "\"\r\n\r\n")
	b.Write(data)
	b.WriteString("\r\n--B--\r\n")
	req := httptest.NewRequest(http.MethodPost, "/cgi-bin/"+path+"?"+url.Values{"access_token": {r.token}}.Encode(), &b)
	req.Header.Set("Content-Type", "multipart/form-data; boundary=B")
	w := httptest.NewRecorder()
	r.http.ServeHTTP(w, req)
	return r.parse(w)
}

func TestUploadImage(t *testing.T) {
	r := newRig(t, Config{})
	pad := func(head string, n int) []byte { return append([]byte(head), make([]byte, n-len(head))...) }
	for _, c := range []struct {
		name, file string
		data       []byte
		want       int
	}{
		{"png", "a.png", []byte(png), 0},
		{"jpg of 2 MiB", "a.jpg", pad("\xff\xd8\xff", 2<<20), 0},
		{"2 MiB and a byte", "a.png", pad(png, 2<<20+1), 40009},
		{"jpg of 5 bytes", "a.jpg", pad("\xff\xd8\xff", 5), 0},
		{"4 bytes", "a.jpg", pad("\xff\xd8\xff", 4), 40006},
		{"gif", "a.gif", []byte("GIF89a"), 40004},
		{"a gif called png", "a.png", []byte("GIF89a"), 40123},
		{"empty", "a.png", nil, 44001},
	} {
		got := r.form("media/uploadimg", c.file, c.data)
		r.wantCode(c.name, got, c.want)
		if c.want == 0 && (!strings.HasPrefix(got.str("url"), "https://") || got.str("errmsg") != "") {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
	for _, c := range []struct {
		name string
		p    Personality
		wait time.Duration
	}{{"a day", Personality{ImagesPerDay: 2}, 24 * time.Hour}, {"30 days", Personality{ImagesPerMonth: 2}, 720 * time.Hour}} {
		r := newRig(t, Config{Personality: c.p})
		up := func() answered { return r.form("media/uploadimg", "a.png", []byte(png)) }
		up()
		r.wantCode("second in "+c.name, up(), 0)
		r.wantCode("third in "+c.name, up(), 45009)
		r.jump(c.wait - time.Second)
		r.wantCode("a second before its end", up(), 45009)
		r.jump(time.Second)
		r.wantCode("at its end", up(), 0)
	}
	if d := (Personality{}).withDefaults(); d.ImagesPerDay != 1000 || d.ImagesPerMonth != 3000 {
		t.Errorf("got %d a day and %d a month, want 1000 and 3000", d.ImagesPerDay, d.ImagesPerMonth)
	}
}

func TestJSSDKVoice(t *testing.T) {
	r := newRig(t, Config{})
	id, err := r.AddMedia(Media{Type: MediaJSSDKVoice, FileName: "v.speex", Data: []byte("speex data")})
	r.must(err)
	get := func(id string) *httptest.ResponseRecorder {
		return r.do("GET", "media/get/jssdk", url.Values{"access_token": {r.token}, "media_id": {id}}, nil)
	}
	if w := get(id); w.Body.String() != "speex data" || w.Header().Get("Content-Disposition") == "" {
		t.Errorf("got %q", w.Body)
	}
	r.wantCode("an ordinary voice", r.parse(get(r.upload("voice", "media", "a.amr", amr(1)).str("media_id"))), 40007)
	r.wantCode("unknown", r.parse(get("none")), 40007)
	r.wantCode("missing", r.parse(get("")), 41006)
	r.jump(72 * time.Hour)
	r.wantCode("3 days later", r.parse(get(id)), 40007)
}

func TestOneMediaTooOften(t *testing.T) {
	r := newRig(t, Config{Personality: Personality{MediaGetsPerMinute: 2, MediaFieldCode: 41006}})
	a, b := r.image(), r.image()
	get := func(id string) *httptest.ResponseRecorder {
		return r.do("GET", "media/get", url.Values{"access_token": {r.token}, "media_id": {id}}, nil)
	}
	get(a)
	get(a)
	r.wantCode("third time", r.parse(get(a)), 45033)
	if got := get(b).Body.String(); got != png {
		t.Errorf("another media: got %q", got)
	}
	r.wantCode("another part name, by a switch", r.upload("file", "file", "a.txt", []byte("123456")), 41006)
}
