package kfsim

import (
	"net/http"
	"path"
	"strings"
	"time"
)

const (
	minImageURL = 5       // bytes of uploadimg, one fewer than of other uploads: path/90256
	maxImageURL = 2 << 20 // bytes of uploadimg: path/90256
	imageMonth  = 30 * 24 * time.Hour
)

// uploadImage: https://developer.work.weixin.qq.com/document/path/90256
func (r *request) uploadImage() answer {
	name, data, a := r.uploadedFile()
	switch ext := strings.ToLower(path.Ext(name)); {
	case a.code != 0:
		return a
	case len(data) < minImageURL:
		return refuse(40006, "the image does not have 5 bytes")
	case len(data) > maxImageURL:
		return refuse(40009, "the image has more than 2 MiB")
	case r.sim.p.LaxMedia:
	case ext != ".jpg" && ext != ".jpeg" && ext != ".png":
		return refuse(40004, "an image is a .jpg or .png")
	default:
		if t := http.DetectContentType(data); t != "image/png" && t != "image/jpeg" {
			return refuse(40123, "the file is no PNG and no JPEG")
		}
	}
	key := "images " + r.corp.CorpID
	if !r.st.limits.allow(key+" month", r.now, r.sim.p.ImagesPerMonth, imageMonth) || !r.st.limits.allow(key+" day", r.now, r.sim.p.ImagesPerDay, 24*time.Hour) {
		return refuse(45009, "too many images in a day or in 30 days")
	}
	a = ok(struct {
		URL string `json:"url"`
	}{r.sim.imageURL()})
	a.silent = true
	return a
}

// imageURL is a permanent address of an image. Nothing is served there.
func (s *Sim) imageURL() string {
	return "https://img.example/" + s.st.ids.opaque("", "image url", 32) + "/0"
}

// mediaGetVoice gives only what was kept as a voice of the JS-SDK.
//
// https://developer.work.weixin.qq.com/document/path/90255
func (r *request) mediaGetVoice() answer {
	id := r.query.Get("media_id")
	if m := r.corp.media[id]; m != nil && m.kind != MediaJSSDKVoice {
		return refuse(40007, "the media_id is not of a voice that the JS-SDK uploaded")
	}
	return r.mediaGet()
}

// MediaJSSDKVoice is the type of a Media that a page uploaded with the JS-SDK: media/get/jssdk has it.
const MediaJSSDKVoice = "jssdk_voice"
