package conformance

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

func (w *world) upload(kind, name string, data []byte) error {
	return second(w.c.MediaUpload(w.t.Context(), w.token, kind, name, "", bytes.NewReader(data), int64(len(data))))
}

func (w *world) uploadImage(name string, data []byte) error {
	return second(w.c.MediaUploadImg(w.t.Context(), w.token, name, "", bytes.NewReader(data), int64(len(data))))
}

// form makes the next upload carry another form: one part of this name.
func (w *world) form(part, filename, data string) {
	w.body("multipart/form-data; boundary=B", fmt.Sprintf("--B\r\nContent-Disposition: form-data; name=%q; filename=\"%s\"\r\n\r\n%s\r\n--B--\r\n", part, filename, data))
}

// voice is an AMR of so many frames of 20 ms.
func voice(frames int) []byte {
	return []byte("#!AMR\n" + strings.Repeat("\x04"+strings.Repeat("x", 12), frames))
}

func large(n int) string { return strings.Repeat("x", n) }

const png = "\x89PNG\r\n\x1a\n"

func mediaRows() []row {
	const up, image = "media/upload", "media/uploadimg"
	file := func(what string, code int, kind, name string, data []byte) row {
		return row{up, what, code, func(w *world) error { return w.upload(kind, name, data) }}
	}
	// form is what the client does not send.
	form := func(what string, code int, kind, part, name, data string) row {
		return row{up, what, code, func(w *world) error {
			w.form(part, name, data)
			return w.upload(kind, "a.png", []byte(png))
		}}
	}
	picture := func(what string, code int, part, name, data string) row {
		return row{image, what, code, func(w *world) error {
			w.form(part, name, data)
			return w.uploadImage("a.png", []byte(png))
		}}
	}
	return append([]row{
		file("a picture that is a .gif", 40004, kfapi.MediaImage, "a.gif", []byte(png)),
		file("a picture that is none", 40123, kfapi.MediaImage, "a.png", []byte("no picture")),
		file("a video that is none", 40004, kfapi.MediaVideo, "a.mp4", []byte("no video at all")),
		file("a voice that is no AMR", 301017, kfapi.MediaVoice, "a.amr", []byte("no voice")),
		file("a voice of 60.02 s", 45007, kfapi.MediaVoice, "a.amr", voice(3001)),
		{up, "a picture larger than older pages allow", 40009, func(w *world) error {
			w.likes(kfsim.Personality{MaxImageBytes: 2 << 20})
			return w.upload(kfapi.MediaImage, "a.png", []byte(png+large(2<<20)))
		}},
		{up, "an unknown kind", 40005, func(w *world) error { w.query("type", "gif"); return w.upload(kfapi.MediaImage, "a.png", []byte(png)) }},
		form("five bytes", 40006, kfapi.MediaFile, "media", "a.txt", "12345"),
		form("a video of more than 10 MiB", 40011, kfapi.MediaVideo, "media", "a.mp4", large(10<<20+1)),
		form("a picture of more than 10 MiB", 40009, kfapi.MediaImage, "media", "a.png", large(10<<20+1)),
		form("a voice of more than 2 MiB", 45001, kfapi.MediaVoice, "media", "a.amr", large(2<<20+1)),
		form("a file of more than 20 MiB", 45001, kfapi.MediaFile, "media", "a.txt", large(20<<20+1)),
		form("no bytes", 44001, kfapi.MediaFile, "media", "a.txt", ""),
		form("a part of another name", 44001, kfapi.MediaFile, "file", "a.txt", "sample"),
		form("a name with a colon", 40058, kfapi.MediaFile, "media", "c:a.txt", "sample"),
		form("a path", 40058, kfapi.MediaFile, "media", "/a.txt", "sample"),
		{up, "a part of another name, by the other code", 41006, func(w *world) error {
			w.likes(kfsim.Personality{MediaFieldCode: 41006})
			w.form("file", "a.txt", "sample")
			return w.upload(kfapi.MediaFile, "a.txt", []byte("sample"))
		}},

		picture("four bytes", 40006, "media", "a.jpg", "\xff\xd8\xff\xe0"),
		picture("more than 2 MiB", 40009, "media", "a.png", png+large(2<<20)),
		picture("no bytes", 44001, "media", "a.png", ""),
		{image, "a .gif", 40004, func(w *world) error { return w.uploadImage("a.gif", []byte(png)) }},
		{image, "no picture", 40123, func(w *world) error { return w.uploadImage("a.png", []byte("no picture")) }},
		{image, "one a day too many", 45009, func(w *world) error {
			w.likes(kfsim.Personality{ImagesPerDay: 1})
			w.must(w.uploadImage("a.png", []byte(png)))
			return w.uploadImage("a.png", []byte(png))
		}},
		{image, "one in 30 days too many", 45009, func(w *world) error {
			w.likes(kfsim.Personality{ImagesPerMonth: 1})
			w.must(w.uploadImage("a.png", []byte(png)))
			w.later(29 * 24 * time.Hour)
			return w.uploadImage("a.png", []byte(png))
		}},
	}, downloadRows()...)
}

func downloadRows() []row {
	const get, jssdk, byURL, result = "media/get", "media/get/jssdk", "media/upload_by_url", "media/get_upload_by_url_result"
	add := func(w *world, data string) string {
		return got(w.AddMedia(kfsim.Media{Type: "file", FileName: "a.bin", Data: []byte(data)}))(w)
	}
	fetch := func(w *world, id string, rng kfapi.Range) error {
		return second(w.c.MediaGet(w.t.Context(), w.token, id, rng))
	}
	fetchVoice := func(w *world, id string) error {
		return second(w.c.MediaGetJSSDK(w.t.Context(), w.token, id, kfapi.Range{}))
	}
	rows := []row{
		{get, "an unknown id", 40007, func(w *world) error { return fetch(w, "none", kfapi.Range{}) }},
		{get, "after three days", 40007, func(w *world) error {
			id := add(w, "sample")
			w.later(72 * time.Hour)
			return fetch(w, id, kfapi.RangeFrom(1))
		}},
		{get, "no id", 41006, func(w *world) error { w.query("media_id", ""); return fetch(w, "x", kfapi.Range{}) }},
		{get, "more than 20 MiB at once", 830002, func(w *world) error { return fetch(w, add(w, large(20<<20+1)), kfapi.Range{}) }},
		{get, "more than 20 MiB in one range", 830002, func(w *world) error { return fetch(w, add(w, large(20<<20+2)), kfapi.RangeFrom(1)) }},
		{get, "one file again and again", 45033, func(w *world) error {
			w.likes(kfsim.Personality{MediaGetsPerMinute: 1})
			id := add(w, "sample")
			w.download(id, kfapi.Range{})
			return fetch(w, id, kfapi.Range{})
		}},
		{jssdk, "an unknown id", 40007, func(w *world) error { return fetchVoice(w, "none") }},
		{jssdk, "a customer's file", 40007, func(w *world) error { return fetchVoice(w, add(w, "sample")) }},
		{jssdk, "no id", 41006, func(w *world) error { w.query("media_id", ""); return fetchVoice(w, "x") }},
		{result, "an unknown job", 40058, func(w *world) error {
			return second(w.c.MediaGetUploadByURLResult(w.t.Context(), w.token, kfapi.MediaGetUploadByURLResultRequest{JobID: "none"}))
		}},
	}
	body := func(scene int, kind, name, url, sum string) string {
		return fmt.Sprintf(`{"scene":%d,"type":%q,"filename":%q,"url":%q,"md5":%q}`, scene, kind, name, url, sum)
	}
	sum := hexMD5([]byte("sample"))
	for what, r := range map[string]struct {
		code int
		body string
	}{
		"a url without scheme": {830001, body(1, "file", "a", "e.example/a", sum)},
		"another scheme":       {830001, body(1, "file", "a", "ftp://e.example/a", sum)},
		"an unknown kind":      {40005, body(1, "gif", "a", pageLink, sum)},
		"scene 0":              {40058, body(0, "file", "a", pageLink, sum)},
		"no filename":          {40058, body(1, "file", "", pageLink, sum)},
		"half an md5":          {40058, body(1, "file", "a", pageLink, sum[:16])},
	} {
		rows = append(rows, row{byURL, what, r.code, func(w *world) error { return w.raw(byURL, r.body) }})
	}
	for what, f := range map[string]struct {
		code int
		file *kfsim.RemoteFile
	}{
		"nothing at the url":        {830003, nil},
		"a server without Range":    {830003, &kfsim.RemoteFile{URL: pageLink, Data: []byte("sample"), NoRange: true}},
		"another file than the md5": {830003, &kfsim.RemoteFile{URL: pageLink, Data: []byte("another")}},
		"five bytes":                {40006, &kfsim.RemoteFile{URL: pageLink, Data: []byte("12345")}},
	} {
		rows = append(rows, row{result, what, f.code, func(w *world) error {
			if f.file != nil {
				w.must(w.ServeURL(*f.file))
			}
			job := got(w.c.MediaUploadByURL(w.t.Context(), w.token, kfapi.MediaUploadByURLRequest{Scene: 1, Type: "file", Filename: "a", URL: pageLink, MD5: sum}))(w)
			r := got(w.c.MediaGetUploadByURLResult(w.t.Context(), w.token, kfapi.MediaGetUploadByURLResultRequest{JobID: job.JobID}))(w)
			return &kfapi.Error{Op: "upload", Code: r.Detail.ErrCode, Msg: r.Detail.ErrMsg}
		}})
	}
	return rows
}
