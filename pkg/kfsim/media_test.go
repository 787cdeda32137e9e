package kfsim

import (
	"bytes"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

const png = "\x89PNG\r\n\x1a\n"

// upload posts one part and returns the answer.
func (r *rig) upload(kind, part, name string, data []byte) answered {
	r.t.Helper()
	var b bytes.Buffer
	b.WriteString("--B\r\nContent-Disposition: form-data; name=\"" + part + "\"; filename=\"" + name + "\"; filelength=6\r\nContent-Type: application/octet-stream\r\n\r\n")
	b.Write(data)
	b.WriteString("\r\n--B--\r\n")
	req := httptest.NewRequest(http.MethodPost, "/cgi-bin/media/upload?"+url.Values{"access_token": {r.token}, "type": {kind}}.Encode(), &b)
	req.Header.Set("Content-Type", "multipart/form-data; boundary=B")
	w := httptest.NewRecorder()
	r.http.ServeHTTP(w, req)
	return r.parse(w)
}

func amr(seconds int) []byte {
	b := []byte("#!AMR\n")
	for range seconds * 50 {
		b = append(b, append([]byte{7 << 3}, make([]byte, 31)...)...) // mode 7, 12.2 kbit/s
	}
	return b
}

func TestUpload(t *testing.T) {
	fill := func(head string, n int) []byte { return append([]byte(head), make([]byte, n-len(head))...) }
	for _, c := range []struct {
		name, kind, part, file string
		data                   []byte
		want                   int
	}{
		{"png", "image", "media", "a.png", fill(png, 100), 0},
		{"jpg", "image", "media", "a.JPG", fill("\xff\xd8\xff", 100), 0},
		{"png of 10 MiB", "image", "media", "a.png", fill(png, 10<<20), 0},
		{"png beyond 10 MiB", "image", "media", "a.png", fill(png, 10<<20+1), 40009},
		{"png that is none", "image", "media", "a.png", fill("GIF89a", 100), 40123},
		{"gif", "image", "media", "a.gif", fill("GIF89a", 100), 40004},
		{"voice", "voice", "media", "a.amr", amr(60), 0},
		{"voice of 61 s", "voice", "media", "a.amr", amr(61), 45007},
		{"voice that is none", "voice", "media", "a.amr", fill("RIFF", 100), 301017},
		{"voice beyond 2 MiB", "voice", "media", "a.amr", fill("#!AMR\n", 2<<20+1), 45001},
		{"video", "video", "media", "a.mp4", fill("\x00\x00\x00\x18ftypmp42", 100), 0},
		{"video that is none", "video", "media", "a.mp4", fill("x", 100), 40004},
		{"video beyond 10 MiB", "video", "media", "a.mp4", fill("\x00\x00\x00\x18ftypmp42", 10<<20+1), 40011},
		{"file of 6 bytes", "file", "media", "a.txt", []byte("123456"), 0},
		{"file of 5 bytes", "file", "media", "a.txt", []byte("12345"), 40006},
		{"file of 20 MiB", "file", "media", "a.bin", fill("x", 20<<20), 0},
		{"file beyond 20 MiB", "file", "media", "a.bin", fill("x", 20<<20+1), 45001},
		{"empty", "file", "media", "a.txt", nil, 44001},
		{"another part name", "file", "file", "a.txt", []byte("123456"), 44001},
		{"a path", "file", "media", "/etc/x", []byte("123456"), 40058},
		{"a drive", "file", "media", "C:x", []byte("123456"), 40058},
		{"another type", "sticker", "media", "a.txt", []byte("123456"), 40005},
	} {
		r := newRig(t, Config{})
		got := r.upload(c.kind, c.part, c.file, c.data)
		r.wantCode(c.name, got, c.want)
		if c.want == 0 && (got.str("type") != c.kind || got.str("created_at") != "1767323045" || got.str("errmsg") != "" || got.str("media_id") == "") {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
	small := newRig(t, Config{Personality: Personality{MaxImageBytes: 2 << 20, LaxMedia: true}})
	small.wantCode("beyond the older limit", small.upload("image", "media", "a.png", fill(png, 2<<20+1)), 40009)
	small.wantCode("lax", small.upload("image", "media", "a.gif", fill("x", 100)), 0)
}

func TestMediaGet(t *testing.T) {
	r := newRig(t, Config{})
	data := []byte("0123456789")
	id := r.upload("file", "media", "n.txt", data).str("media_id")
	get := func(id, ranges string) *httptest.ResponseRecorder {
		req := httptest.NewRequest(http.MethodGet, "/cgi-bin/media/get?"+url.Values{"access_token": {r.token}, "media_id": {id}}.Encode(), nil)
		if ranges != "" {
			req.Header.Set("Range", ranges)
		}
		w := httptest.NewRecorder()
		r.http.ServeHTTP(w, req)
		return w
	}
	for _, c := range []struct {
		ranges string
		status int
		body   string
		where  string
	}{
		{"", 200, "0123456789", ""},
		{"bytes=0-3", 206, "0123", "bytes 0-3/10"},
		{"bytes=4-", 206, "456789", "bytes 4-9/10"},
		{"bytes=-3", 206, "789", "bytes 7-9/10"},
		{"bytes=-30", 206, "0123456789", "bytes 0-9/10"},
		{"bytes=9-99", 206, "9", "bytes 9-9/10"},
		{"bytes=9-9", 206, "9", "bytes 9-9/10"},
		{"bytes=10-", 416, "", "bytes */10"},
		{"bytes=5-4", 200, "0123456789", ""},
		{"bytes=0-1,3-4", 200, "0123456789", ""},
		{"lines=0-1", 200, "0123456789", ""},
		{"bytes=x", 200, "0123456789", ""},
	} {
		w := get(id, c.ranges)
		if w.Code != c.status || w.Body.String() != c.body || w.Header().Get("Content-Range") != c.where {
			t.Errorf("%q: got %d %q %q, want %d %q %q", c.ranges, w.Code, w.Body, w.Header().Get("Content-Range"), c.status, c.body, c.where)
		}
		if c.status != 416 && (w.Header().Get("Accept-Ranges") != "bytes" || w.Header().Get("Content-Disposition") != `attachment; filename="n.txt"`) {
			t.Errorf("%q: got headers %v", c.ranges, w.Header())
		}
	}
	w := get("nope", "")
	if got := r.parse(w); w.Code != http.StatusOK || got.code() != 40007 || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		t.Errorf("unknown: got HTTP %d %v, want 200 and 40007 in JSON", w.Code, got)
	}
	r.wantCode("missing", r.parse(get("", "")), 41006)
	r.jump(72*time.Hour - time.Second)
	if w := get(id, ""); w.Body.String() != string(data) {
		t.Errorf("a second before 3 days: got %s", w.Body)
	}
	r.jump(time.Second)
	r.wantCode("at 3 days sharp", r.parse(get(id, "")), 40007)
}

func TestMediaNamesAndSizes(t *testing.T) {
	r := newRig(t, Config{})
	for _, name := range []string{"报告 final.pdf", "plain name.txt"} {
		id := r.upload("file", "media", name, []byte("123456")).str("media_id")
		w := r.do("GET", "media/get", url.Values{"access_token": {r.token}, "media_id": {id}}, nil)
		if _, p, err := mime.ParseMediaType(w.Header().Get("Content-Disposition")); err != nil || p["filename"] != name {
			t.Errorf("got %q, want the name %q in it", w.Header().Get("Content-Disposition"), name)
		}
	}
	id, err := r.AddMedia(Media{Type: "file", FileName: "big", Data: make([]byte, maxDownload+1)})
	r.must(err)
	q := url.Values{"access_token": {r.token}, "media_id": {id}}
	r.wantCode("more than 20 MiB at once", r.parse(r.do("GET", "media/get", q, nil)), 830002)
	for name, m := range map[string]Media{"type": {Type: "x", FileName: "a", Data: []byte("x")}, "name": {Type: "file", Data: []byte("x")}, "data": {Type: "file", FileName: "a"}, "corp": {Type: "file", FileName: "a", Data: []byte("x"), CorpID: "ww9"}} {
		if _, err := r.AddMedia(m); err == nil {
			t.Errorf("media without a good %s was kept", name)
		}
	}
}
