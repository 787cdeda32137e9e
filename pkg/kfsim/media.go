package kfsim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"path"
	"strconv"
	"strings"
	"time"
)

const (
	minMedia     = 6        // bytes: more than 5
	maxVoice     = 2 << 20  // bytes
	maxVideo     = 10 << 20 // bytes
	maxFile      = 20 << 20 // bytes
	maxDownload  = 20 << 20 // bytes in one answer
	maxVoiceTime = 60 * time.Second
)

// media is one temporary file of a corp.
type media struct {
	id, kind, name, contentType string
	data                        []byte
	at                          time.Time
}

// mediaUpload: https://developer.work.weixin.qq.com/document/path/90253
func (r *request) mediaUpload() answer {
	kind := r.query.Get("type")
	if kind != "image" && kind != "voice" && kind != "video" && kind != "file" {
		return refuse(40005, "the query parameter type is not image, voice, video or file")
	}
	name, data, a := r.uploadedFile()
	if a.code != 0 {
		return a
	}
	if strings.HasPrefix(name, "/") || strings.ContainsAny(name, `\:`) {
		return refuse(40058, "the file name begins with / or contains \\ or :")
	}
	if a := checkUpload(kind, name, data, r.sim.p); a.code != 0 {
		return a
	}
	m := r.sim.keepMedia(r.corp, kind, name, data)
	r.entry.MsgType = kind
	a = ok(struct {
		Type      string `json:"type"`
		MediaID   string `json:"media_id"`
		CreatedAt string `json:"created_at"`
	}{kind, m.id, strconv.FormatInt(r.now.Unix(), 10)})
	a.silent = true
	return a
}

// uploadedFile reads the part named media.
func (r *request) uploadedFile() (name string, data []byte, a answer) {
	kind, params, err := mime.ParseMediaType(r.http.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" {
		return "", nil, refuse(44001, "the body is no multipart/form-data")
	}
	if strings.Contains(r.http.Header.Get("Content-Type"), `boundary="`) && !r.sim.p.QuotedBoundary {
		return "", nil, refuse(44001, "the boundary is quoted")
	}
	parts := multipart.NewReader(bytes.NewReader(r.body), params["boundary"])
	for {
		part, err := parts.NextRawPart()
		if err != nil {
			return "", nil, refuse(r.sim.p.MediaFieldCode, "there is no part with name media and a filename")
		}
		name, isFile := fileName(part.Header, r.sim.p.FileNameStar)
		if part.FormName() != "media" || !isFile {
			continue
		}
		if data, err = io.ReadAll(part); err != nil {
			return "", nil, refuse(44001, "the part media is cut off")
		}
		if len(data) == 0 {
			return "", nil, refuse(44001, "the part media is empty")
		}
		return name, data, answer{}
	}
}

// fileName, without star as if there were no filename*=…, reads filename="…" as it was sent; Go's own FileName would cut directories off.
func fileName(h textproto.MIMEHeader, star bool) (string, bool) {
	value := h.Get("Content-Disposition")
	if before, after, found := strings.Cut(value, "filename*="); found && !star {
		_, after, _ = strings.Cut(after, ";")
		value = before + after
	}
	_, params, err := mime.ParseMediaType(value)
	name := params["filename"]
	return name, err == nil && name != ""
}

// checkUpload holds a file to the limits of its type.
func checkUpload(kind, name string, data []byte, p Personality) answer {
	size := len(data)
	if size < minMedia {
		return refuse(40006, "the file does not have more than 5 bytes")
	}
	switch {
	case kind == "image" && size > p.MaxImageBytes:
		return refuse(40009, "the image has more than "+strconv.Itoa(p.MaxImageBytes)+" bytes")
	case kind == "voice" && size > maxVoice:
		return refuse(45001, "the voice has more than 2 MiB")
	case kind == "video" && size > maxVideo:
		return refuse(40011, "the video has more than 10 MiB")
	case size > maxFile:
		return refuse(45001, "the file has more than 20 MiB")
	case p.LaxMedia:
		return answer{}
	}
	extension := strings.ToLower(path.Ext(name))
	switch kind {
	case "image":
		if extension != ".jpg" && extension != ".jpeg" && extension != ".png" {
			return refuse(40004, "an image is a .jpg or .png")
		}
		if t := http.DetectContentType(data); t != "image/png" && t != "image/jpeg" {
			return refuse(40123, "the file is no PNG and no JPEG")
		}
	case "voice":
		length, isAMR := amrLength(data)
		if !isAMR {
			return refuse(301017, "the file is no AMR")
		}
		if length > maxVoiceTime {
			return refuse(45007, "the voice is longer than 60 s")
		}
	case "video":
		if extension != ".mp4" || size < 8 || string(data[4:8]) != "ftyp" {
			return refuse(40004, "a video is an .mp4")
		}
	}
	return answer{}
}

// amrLength counts the frames of a narrow-band AMR file, 20 ms each.
func amrLength(data []byte) (time.Duration, bool) {
	frames, isAMR := bytes.CutPrefix(data, []byte("#!AMR\n"))
	if !isAMR {
		return 0, false
	}
	sizes := [16]int{12, 13, 15, 17, 19, 20, 26, 31, 5, 0, 0, 0, 0, 0, 0, 0}
	n := 0
	for len(frames) > 0 {
		frames = frames[min(1+sizes[frames[0]>>3&15], len(frames)):]
		n++
	}
	return time.Duration(n) * 20 * time.Millisecond, true
}

func (s *Sim) keepMedia(c *corp, kind, name string, data []byte) *media {
	types := map[string]string{".jpg": "image/jpg", ".jpeg": "image/jpg", ".png": "image/png", ".bmp": "image/bmp", ".amr": "voice/amr", ".mp4": "video/mp4"}
	m := &media{id: s.st.ids.opaque("3", "media", 60), kind: kind, name: name, data: data, at: s.clock.Now(), contentType: types[strings.ToLower(path.Ext(name))]}
	or(&m.contentType, "application/octet-stream")
	c.media[m.id] = m
	return m
}

// mediaGet: https://developer.work.weixin.qq.com/document/path/90254
func (r *request) mediaGet() answer {
	id := r.query.Get("media_id")
	if id == "" {
		return refuse(41006, "the query parameter media_id is missing")
	}
	m := r.corp.media[id]
	if m == nil || !within(m.at, mediaLength, r.now) {
		return refuse(40007, "the media_id is unknown or older than 3 days")
	}
	if !r.mediaGetBudget(id) {
		return refuse(45033, "the media_id is fetched again and again")
	}
	from, to, partial, satisfiable := byteRange(r.http.Header.Get("Range"), len(m.data))
	a := answer{raw: []byte{}, status: http.StatusOK, header: http.Header{
		"Content-Type":        {m.contentType},
		"Content-Disposition": {disposition(m.name)},
		"Accept-Ranges":       {"bytes"},
	}}
	switch {
	case !satisfiable:
		a.status = http.StatusRequestedRangeNotSatisfiable
		a.header.Set("Content-Range", fmt.Sprintf("bytes */%d", len(m.data)))
		return a
	case to-from > maxDownload:
		return refuse(830002, "more than 20 MiB at once; ask for ranges")
	case partial:
		a.status = http.StatusPartialContent
		a.header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, len(m.data)))
	}
	a.raw = m.data[from:to]
	return a
}

// disposition quotes plain names and encodes the others.
func disposition(name string) string {
	for _, c := range []byte(name) {
		if c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return mime.FormatMediaType("attachment", map[string]string{"filename": name})
		}
	}
	return `attachment; filename="` + name + `"`
}

// byteRange reads bytes=a-b, bytes=a- and bytes=-n as the half-open part [from, to) of size bytes.
// Anything else counts as no range, as HTTP has it.
func byteRange(header string, size int) (from, to int, partial, satisfiable bool) {
	first, last, found := strings.Cut(strings.TrimPrefix(header, "bytes="), "-")
	if !found || !strings.HasPrefix(header, "bytes=") {
		return 0, size, false, true
	}
	a, errA := strconv.ParseUint(first, 10, 31)
	b, errB := strconv.ParseUint(last, 10, 31)
	switch {
	case first == "" && errB == nil: // the last b bytes
		return max(0, size-int(b)), size, true, b > 0
	case errA != nil || last != "" && (errB != nil || b < a):
		return 0, size, false, true
	case int(a) >= size:
		return 0, 0, true, false
	case last == "" || int(b) >= size:
		return int(a), size, true, true
	}
	return int(a), int(b) + 1, true, true
}

// Media is a file that a customer or servicer sends.
type Media struct {
	CorpID   string `json:"corpid"` // may be empty while there is one corp
	Type     string `json:"type"`   // image, voice, video, file, jssdk_voice
	FileName string `json:"filename"`
	Data     []byte `json:"data"` // base64 in JSON
}

// AddMedia keeps a file for media/get, as if it had come with a message, and returns its media_id for
// a Say. It is not held to the limits of uploads. It lives for 3 days.
func (s *Sim) AddMedia(m Media) (mediaID string, err error) {
	if m.Type != "image" && m.Type != "voice" && m.Type != "video" && m.Type != "file" && m.Type != MediaJSSDKVoice {
		return "", fmt.Errorf("media: type is %q; use image, voice, video, file or jssdk_voice", m.Type)
	}
	if m.FileName == "" || len(m.Data) == 0 {
		return "", errors.New("media: filename or data is missing")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.st.corp(m.CorpID)
	if err != nil {
		return "", err
	}
	return s.keepMedia(c, m.Type, m.FileName, bytes.Clone(m.Data)).id, nil
}
