package kfapi

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestMediaGetRanges(t *testing.T) {
	file := []byte("0123456789abcdef")
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("media_id") != "M" || r.URL.Query().Get("access_token") != token || r.Method != http.MethodGet ||
			r.Header.Get("Accept-Encoding") != "identity" {
			t.Errorf("got %s %s", r.Method, r.URL)
		}
		w.Header().Set("Content-Type", "image/png")
		w.Header().Set("Content-Disposition", `attachment; filename="a b.png"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file))
	}))
	defer ts.Close()
	c := client(t, ts.URL)
	for _, test := range []struct {
		name        string
		rng         Range
		want        string
		partial     bool
		first, last int64
	}{
		{"all", Range{}, "0123456789abcdef", false, 0, 0},
		{"from to", RangeBytes(2, 4), "234", true, 2, 4},
		{"one byte", RangeBytes(0, 0), "0", true, 0, 0},
		{"open end", RangeFrom(10), "abcdef", true, 10, 15},
		{"from the start", RangeFrom(0), "0123456789abcdef", true, 0, 15},
		{"the last three", RangeLast(3), "def", true, 13, 15},
		{"beyond the end", RangeBytes(14, 99), "ef", true, 14, 15},
	} {
		m, err := c.MediaGet(background(t), token, "M", test.rng)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		got, err := io.ReadAll(m.Body)
		m.Body.Close()
		if string(got) != test.want || err != nil || m.Length != int64(len(test.want)) || m.Total != 16 {
			t.Errorf("%s: got %q of %d of %d, %v, want %q", test.name, got, m.Length, m.Total, err, test.want)
		}
		if m.Partial != test.partial || m.First != test.first || m.Last != test.last {
			t.Errorf("%s: got %v %d-%d, want %v %d-%d", test.name, m.Partial, m.First, m.Last, test.partial, test.first, test.last)
		}
		if m.Filename != "a b.png" || m.ContentType != "image/png" {
			t.Errorf("%s: got %q, %q", test.name, m.Filename, m.ContentType)
		}
	}
	_, err := c.MediaGet(background(t), token, "M", RangeFrom(16))
	var body *BodyError
	if !errors.As(err, &body) || body.Status != 416 {
		t.Errorf("a range behind the end: got %v, want status 416", err)
	}
	for name, rng := range map[string]Range{
		"backwards": RangeBytes(4, 2), "before the start": RangeBytes(-1, 2), "more than 20 MiB": RangeBytes(0, maxRange),
		"negative": RangeFrom(-1), "the last none": RangeLast(0), "the last too many": RangeLast(maxRange + 1),
	} {
		if _, err := c.MediaGet(background(t), token, "M", rng); !NotSent(err) {
			t.Errorf("%s: got %v, want a refusal before sending", name, err)
		}
	}
	for _, rng := range []Range{RangeBytes(0, maxRange-1), RangeLast(maxRange)} {
		if rng.err != nil {
			t.Errorf("20 MiB sharp: got %v", rng.err)
		}
	}
}

// Errors of media/get come with status 200; a customer's JSON file does too.
func TestMediaGetSniffs(t *testing.T) {
	big := `{"errcode":40007,"x":"` + strings.Repeat("x", 2*maxSniff) + `"}`
	for _, c := range []struct {
		name, typ, disposition, body string
		code                         int
	}{
		{"an error", "application/json; charset=UTF-8", "", `{"errcode":40007,"errmsg":"invalid media_id"}`, 40007},
		{"an error as text", "text/plain", "", `{"errcode":42001}`, 42001},
		{"an error without a type", "", "", `{"errcode":-1}`, -1},
		{"a file that looks like an error", "application/json", `attachment; filename="x.json"`, `{"errcode":40007}`, 0},
		{"JSON that is no error", "application/json", "", `{"a":1}`, 0},
		{"errcode 0", "application/json", "", `{"errcode":0}`, 0},
		{"text that is no JSON", "text/plain", "", "hello", 0},
		{"text larger than any error", "text/plain", "", big, 0},
		{"an image that looks like an error", "image/png", "", `{"errcode":40007}`, 0},
		{"nothing", "text/plain", "", "", 0},
	} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = []string{c.typ}
			if c.disposition != "" {
				w.Header().Set("Content-Disposition", c.disposition)
			}
			io.WriteString(w, c.body)
		})
		m, err := s.MediaGet(background(t), token, "M", Range{})
		if c.code != 0 {
			if code, _ := Code(err); code != c.code {
				t.Errorf("%s: got %v, want %d", c.name, err, c.code)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got, err := io.ReadAll(m.Body)
		m.Body.Close()
		if err != nil || string(got) != c.body {
			t.Errorf("%s: got %.40q, %v, want %.40q", c.name, got, err, c.body)
		}
	}
}

func TestMediaGetRefusesOtherRanges(t *testing.T) {
	for name, h := range map[string]string{
		"none": "", "nonsense": "bytes x-y/z", "another start": "bytes 1-3/10", "backwards": "bytes 2-1/10",
		"behind the end": "bytes 2-10/10", "another length": "bytes 2-3/10", "negative": "bytes -2-3/10",
	} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Range", h)
			w.WriteHeader(http.StatusPartialContent)
			io.WriteString(w, "xyz")
		})
		_, err := s.MediaGet(background(t), token, "M", RangeBytes(2, 4))
		var body *BodyError
		if !errors.As(err, &body) {
			t.Errorf("%s: got %v, want a BodyError", name, err)
		}
	}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Range", "bytes 2-4/*")
		w.WriteHeader(http.StatusPartialContent)
		io.WriteString(w, "xyz")
	})
	m, err := s.MediaGet(background(t), token, "M", RangeBytes(2, 4))
	if err != nil || m.Total != -1 || m.First != 2 || m.Last != 4 {
		t.Fatalf("unknown total: got %+v, %v", m, err)
	}
	m.Body.Close()
	s = serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Range", "bytes 0-2/10")
		w.WriteHeader(http.StatusPartialContent)
		io.WriteString(w, "abc")
	})
	if _, err := s.MediaGet(background(t), token, "M", Range{}); err == nil {
		t.Error("a part that nobody asked for passed as the file")
	}
}

func TestMediaGetCut(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "image/png")
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "half")
	})
	m, err := s.MediaGet(background(t), token, "M", Range{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Body.Close()
	got, err := io.ReadAll(m.Body)
	var cut *TransportError
	if string(got) != "half" || !errors.As(err, &cut) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %q, %v, want half and a TransportError", got, err)
	}
}

func TestFilename(t *testing.T) {
	for in, want := range map[string]string{
		``:                                "",
		`attachment`:                      "",
		`attachment; filename="name.ext"`: "name.ext",
		`attachment; filename=name.ext`:   "name.ext",
		`attachment; filename=two words.ext; x=1`:                      "two words.ext",
		`attachment; filename="a;b.ext"`:                               "a;b.ext",
		`attachment; filename="报价.pdf"`:                                "报价.pdf",
		`attachment; filename=报价.pdf`:                                  "报价.pdf",
		`attachment; filename*=UTF-8''%E6%8A%A5.pdf`:                   "报.pdf",
		`attachment; filename*=utf-8'zh'%E6%8A%A5.pdf`:                 "报.pdf",
		`attachment; filename="x.pdf"; filename*=UTF-8''%E6%8A%A5.pdf`: "报.pdf",
		`attachment; filename="../../etc/passwd"`:                      "passwd",
		`attachment; filename="C:\\dir\\a.txt"`:                        "a.txt",
		`attachment; filename="` + "\xff" + `.png"`:                    "_.png",
	} {
		if got := filename(in); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

func TestMediaUpload(t *testing.T) {
	var form, name, typ, length string
	var contentLength int64
	s := serve(t, nil)
	s.Client = client(t, handler(t, func(w http.ResponseWriter, r *http.Request) {
		contentLength = r.ContentLength
		raw, _ := io.ReadAll(r.Body)
		if int64(len(raw)) != contentLength {
			t.Errorf("got %d bytes, %d announced", len(raw), contentLength)
		}
		_, boundary, _ := strings.Cut(r.Header.Get("Content-Type"), "boundary=")
		part, err := multipart.NewReader(bytes.NewReader(raw), boundary).NextPart()
		if err != nil || r.URL.Path != "/cgi-bin/media/upload" || r.URL.Query().Get("type") != "image" {
			t.Errorf("got %s, %v", r.URL, err)
			return
		}
		body, _ := io.ReadAll(part)
		form, name, typ = string(body), part.FileName(), part.Header.Get("Content-Type")
		if part.FormName() != "media" {
			t.Errorf("got part %q, want media", part.FormName())
		}
		_, length, _ = strings.Cut(part.Header.Get("Content-Disposition"), "filelength=")
		io.WriteString(w, `{"errcode":0,"errmsg":"","type":"image","media_id":"3Sim","created_at":"1700000000"}`)
	}))
	got, err := s.MediaUpload(background(t), token, MediaImage, "报价 1.png", "", iotest.OneByteReader(strings.NewReader("\r\n--x--\r\n")), 9)
	if err != nil || got.Type != "image" || got.MediaID != "3Sim" || got.CreatedAt != 1700000000 {
		t.Fatalf("got %+v, %v", got, err)
	}
	if form != "\r\n--x--\r\n" || name != "报价 1.png" || typ != "image/png" || length != "9" {
		t.Errorf("got %q, %q, %q, %q", form, name, typ, length)
	}
	if _, err := s.MediaUpload(background(t), token, MediaImage, "a.x", "image/webp", strings.NewReader("123456"), 6); err != nil || typ != "image/webp" {
		t.Errorf("own type: got %q, %v", typ, err)
	}
}

func TestMediaUploadReaderAndSizeMustAgree(t *testing.T) {
	broken := errors.New("disk on fire")
	for _, c := range []struct {
		name string
		r    io.Reader
		want error
	}{
		{"too short", strings.NewReader("12345678"), ErrFileShort},
		{"too long", strings.NewReader("12345678901"), ErrFileLong},
		{"broken", io.MultiReader(strings.NewReader("1234"), iotest.ErrReader(broken)), broken},
		{"broken at the end", io.MultiReader(strings.NewReader("1234567890"), iotest.ErrReader(broken)), broken},
	} {
		complete := false
		ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, err := io.ReadAll(r.Body)
			complete = err == nil
		}))
		_, err := client(t, ts.URL).MediaUpload(background(t), token, MediaFile, "a", "", c.r, 10)
		ts.Close() // waits for the handler
		if !errors.Is(err, c.want) || strings.Contains(err.Error(), "disk") || complete {
			t.Errorf("%s: got %v, complete %v, want %v", c.name, err, complete, c.want)
		}
	}
}

func TestMediaUploadLimits(t *testing.T) {
	const mb = 1 << 20
	ok := handler(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, `{"errcode":0,"media_id":"M"}`)
	})
	c := client(t, ok)
	for _, test := range []struct {
		kind, name, typ string
		size            int64
		field           string
	}{
		{MediaImage, "a.png", "", 6, ""},
		{MediaImage, "a.png", "", 5, "media"},
		{MediaImage, "a.png", "", -1, "media"},
		{MediaImage, "a.png", "", 10 * mb, ""},
		{MediaImage, "a.png", "", 10*mb + 1, "media"},
		{MediaVoice, "a.amr", "", 2 * mb, ""},
		{MediaVoice, "a.amr", "", 2*mb + 1, "media"},
		{MediaVideo, "a.mp4", "", 10 * mb, ""},
		{MediaVideo, "a.mp4", "", 10*mb + 1, "media"},
		{MediaFile, "a.bin", "", 20 * mb, ""},
		{MediaFile, "a.bin", "", 20*mb + 1, "media"},
		{"sticker", "a.png", "", 6, "type"},
		{MediaFile, "", "", 6, "filename"},
		{MediaFile, "/etc/passwd", "", 6, "filename"},
		{MediaFile, `a\b`, "", 6, "filename"},
		{MediaFile, "C:a", "", 6, "filename"},
		{MediaFile, `a"b`, "", 6, "filename"},
		{MediaFile, "a\r\nX: y", "", 6, "filename"},
		{MediaFile, "\xff", "", 6, "filename"},
		{MediaFile, "a", "text/plain\r\nX: y", 6, "content_type"},
		{MediaFile, "a", "nonsense/", 6, "content_type"},
		{MediaFile, "a", "text/plain; a=\"\x01\"", 6, "content_type"},
	} {
		r := io.LimitReader(zeros{}, max(test.size, 0))
		_, err := c.MediaUpload(background(t), token, test.kind, test.name, test.typ, r, test.size)
		var limit *LimitError
		switch {
		case test.field == "" && err != nil:
			t.Errorf("%+v: got %v", test, err)
		case test.field != "" && (!errors.As(err, &limit) || limit.Field != test.field):
			t.Errorf("%+v: got %v", test, err)
		}
	}
	for name, want := range map[string]string{
		"a.JPG": "image/jpg", "a.jpeg": "image/jpg", "a.bmp": "image/bmp", "a.amr": "voice/amr", "a.mp4": "video/mp4", "a": "application/octet-stream",
	} {
		if got := typeByName(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A file in many parts comes together again.
func TestMediaGetInParts(t *testing.T) {
	file := bytes.Repeat([]byte("0123456789"), 1000)
	c := client(t, handler(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "video/mp4")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file))
	}))
	var got []byte
	for total := int64(1); int64(len(got)) < total; {
		m, err := c.MediaGet(background(t), token, "M", RangeBytes(int64(len(got)), int64(len(got))+999))
		if err != nil {
			t.Fatal(err)
		}
		part, err := io.ReadAll(m.Body)
		m.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		got, total = append(got, part...), m.Total
	}
	if !bytes.Equal(got, file) {
		t.Errorf("got %d bytes, want the file of %d", len(got), len(file))
	}
}
