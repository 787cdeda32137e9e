package conformance

import (
	"bytes"
	"crypto/md5" //nolint:gosec // the platform asks for it
	"encoding/hex"
	"io"
	"strings"
	"time"

	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

func mediaCalls() map[string]func(*world) {
	return map[string]func(*world){
		"media/upload":                   mediaUpload,
		"media/uploadimg":                uploadImage,
		"media/upload_by_url":            uploadByURL,
		"media/get_upload_by_url_result": uploadByURL,
		"media/get":                      mediaGet,
		"media/get/jssdk":                mediaGetVoice,
	}
}

// download is the bytes behind a media_id.
func (w *world) download(mediaID string, rng kfapi.Range) string {
	w.t.Helper()
	return w.read(got(w.c.MediaGet(w.t.Context(), w.token, mediaID, rng))(w))
}

func (w *world) read(m *kfapi.Media) string {
	w.t.Helper()
	b, err := io.ReadAll(m.Body)
	w.must(err)
	w.must(m.Body.Close())
	return string(b)
}

func mediaUpload(w *world) {
	for kind, typ := range map[string]string{kfapi.MediaImage: "image/jpg", kfapi.MediaVoice: "voice/amr", kfapi.MediaVideo: "video/mp4", kfapi.MediaFile: "application/octet-stream"} {
		name, data := sample(kind)
		name = "文件 one; two" + name[1:]
		if kind == kfapi.MediaImage {
			name, data = "a.jpg", []byte("\xff\xd8\xff\xe0 a jpeg")
		}
		r := got(w.c.MediaUpload(w.t.Context(), w.token, kind, name, "", bytes.NewReader(data), int64(len(data))))(w)
		same(w.t, "errmsg", r.ErrMsg, "")
		same(w.t, "type", r.Type, kind)
		same(w.t, "created_at", int64(r.CreatedAt), now().Unix())
		m := got(w.c.MediaGet(w.t.Context(), w.token, r.MediaID, kfapi.Range{}))(w)
		same(w.t, "its name", m.Filename, name)
		same(w.t, "its type", m.ContentType, typ)
		same(w.t, "its bytes", w.read(m), string(data))
	}
	id := w.file(kfapi.MediaFile)
	w.later(72*time.Hour - time.Second)
	w.download(id, kfapi.Range{})
	w.later(time.Second)
	_, err := w.c.MediaGet(w.t.Context(), w.token, id, kfapi.Range{})
	w.refused("after three days", err, 40007)
}

func uploadImage(w *world) {
	name, data := sample(kfapi.MediaImage)
	upload := func() string {
		r := got(w.c.MediaUploadImg(w.t.Context(), w.token, name, "", bytes.NewReader(data), int64(len(data))))(w)
		same(w.t, "errmsg", r.ErrMsg, "")
		same(w.t, "a URL", strings.HasPrefix(r.URL, "https://"), true)
		return r.URL
	}
	first := upload()
	same(w.t, "another URL each time", upload() != first, true)
}

func hexMD5(data []byte) string {
	sum := md5.Sum(data) //nolint:gosec // as above
	return hex.EncodeToString(sum[:])
}

func uploadByURL(w *world) {
	data := []byte("a large file")
	w.must(w.ServeURL(kfsim.RemoteFile{URL: pageLink, Data: data}))
	req := kfapi.MediaUploadByURLRequest{Scene: 1, Type: kfapi.MediaFile, Filename: "手册.pdf", URL: pageLink, MD5: hexMD5(data)}
	start := func() string {
		r := got(w.c.MediaUploadByURL(w.t.Context(), w.token, req))(w)
		w.fine(r.Reply)
		return r.JobID
	}
	result := func(job string) kfapi.MediaGetUploadByURLResultResponse {
		r := got(w.c.MediaGetUploadByURLResult(w.t.Context(), w.token, kfapi.MediaGetUploadByURLResultRequest{JobID: job}))(w)
		w.fine(r.Reply)
		return r
	}
	done := result(start())
	same(w.t, "status", done.Status, 2)
	same(w.t, "errcode", done.Detail.ErrCode, 0)
	same(w.t, "created_at", int64(done.Detail.CreatedAt), now().Unix())
	same(w.t, "the file", w.download(done.Detail.MediaID, kfapi.Range{}), string(data))

	w.likes(kfsim.Personality{UploadJobsWait: true})
	job := start()
	same(w.t, "under way", result(job).Status, 1)
	w.must(w.FinishUpload(kfsim.UploadEnd{JobID: job}))
	same(w.t, "ended", result(job).Status, 2)

	w.likes(kfsim.Personality{})
	for what, file := range map[string]kfsim.RemoteFile{
		"no Range": {URL: pageLink, Data: data, NoRange: true}, "another file": {URL: pageLink, Data: []byte("something else")},
	} {
		w.must(w.ServeURL(file))
		failed := result(start())
		same(w.t, what+": status", failed.Status, 3)
		same(w.t, what+": errcode", failed.Detail.ErrCode, 830003)
		same(w.t, what+": no file", failed.Detail.MediaID, "")
	}
}

func mediaGet(w *world) {
	data := strings.Repeat("0123456789", 100)
	id := got(w.AddMedia(kfsim.Media{Type: "file", FileName: `表 "1".csv`, Data: []byte(data)}))(w)
	for _, c := range []struct {
		what        string
		rng         kfapi.Range
		first, last int64
	}{
		{"from 10 to 19", kfapi.RangeBytes(10, 19), 10, 19},
		{"beyond the end", kfapi.RangeBytes(990, 2000), 990, 999},
		{"from 995", kfapi.RangeFrom(995), 995, 999},
		{"the last 7", kfapi.RangeLast(7), 993, 999},
		{"the last 5000", kfapi.RangeLast(5000), 0, 999},
	} {
		m := got(w.c.MediaGet(w.t.Context(), w.token, id, c.rng))(w)
		same(w.t, c.what, []int64{m.First, m.Last, m.Total, m.Length}, []int64{c.first, c.last, 1000, c.last - c.first + 1})
		same(w.t, c.what+": partial", m.Partial, true)
		same(w.t, c.what+": name", m.Filename, `表 "1".csv`)
		same(w.t, c.what+": bytes", w.read(m), data[c.first:c.last+1])
	}
	m := got(w.c.MediaGet(w.t.Context(), w.token, id, kfapi.Range{}))(w)
	same(w.t, "all", []int64{m.Length, m.Total}, []int64{1000, 1000})
	same(w.t, "partial", m.Partial, false)
	same(w.t, "bytes", w.read(m), data)
	_, err := w.c.MediaGet(w.t.Context(), w.token, id, kfapi.RangeFrom(1000))
	same(w.t, "behind the end: an error", err != nil, true)

	looks := `{"errcode":40007,"errmsg":"I am a customer's file"}`
	id = got(w.AddMedia(kfsim.Media{Type: "file", FileName: "a.json", Data: []byte(looks)}))(w)
	same(w.t, "a file that looks like a refusal", w.download(id, kfapi.Range{}), looks)
}

func mediaGetVoice(w *world) {
	id := got(w.AddMedia(kfsim.Media{Type: kfsim.MediaJSSDKVoice, FileName: "a.speex", Data: []byte("speex bytes")}))(w)
	m := got(w.c.MediaGetJSSDK(w.t.Context(), w.token, id, kfapi.RangeLast(5)))(w)
	same(w.t, "name", m.Filename, "a.speex")
	same(w.t, "bytes", w.read(m), "bytes")
}
