package conformance

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// difference is a request of which the two sides think differently, and why that may stay.
type difference struct {
	path, what, body string
	code             int // of the simulator; 0: it lets pass what the client refuses
	because          string
}

func differences() []difference {
	const (
		on     = `{"open_kfid":"` + desk + `"`
		with   = on + `,"external_userid":"` + ann + `"`
		cut    = "the platform cuts what is too long; the client lets nobody's words be cut"
		typed  = "typed requests leave an empty value out; one that is written by hand is the platform's to judge"
		open   = "the page does not say so; the client leaves it to the platform"
		stray  = "the page wants only the part of the type; what the platform does with another one nobody says"
		longID = "the platform gives no such ids; in a list the simulator answers for each row"
	)
	attached := func(list string) string {
		return `{"group_id":"$GROUP","question":{"text":{"content":"x"}},"answers":[{"text":{"content":"x"},"attachments":[` + list + `]}]}`
	}
	long := strings.Repeat("u", 65)
	sum := strings.Repeat("0", 32)
	return []difference{
		{sending, "link title of 129 bytes", sendBody("link", `{"title":"`+large(129)+`","url":"https://e.example","thumb_media_id":"$PIC"}`), 0, cut},
		{sending, "link description of 513 bytes", sendBody("link", `{"title":"T","desc":"`+large(513)+`","url":"https://e.example","thumb_media_id":"$PIC"}`), 0, cut},
		{sending, "mini program title of 65 bytes", sendBody("miniprogram", `{"appid":"wx1","title":"`+large(65)+`","thumb_media_id":"$PIC","pagepath":"a"}`), 0, cut},
		{sending, "scheme in capitals", sendBody("link", `{"title":"T","url":"HTTPS://e.example","thumb_media_id":"$PIC"}`), 45034, open},
		{sending, "link of another site", sendBody("ca_link", `{"link_url":"https://e.example"}`), 40058, open},
		{sending, "appid that is none", sendBody("miniprogram", `{"appid":"abc","thumb_media_id":"$PIC","pagepath":"a"}`), 90207, open},
		{sending, "menu without anything", sendBody("msgmenu", `{}`), 40058, open},
		{sending, "empty msgid", `{"msgid":"",` + sendBody("text", `{"content":"x"}`)[1:], 40058, typed},
		{"kf/account/list", "limit 0", `{"limit":0}`, 40058, typed},
		{"kf/account/list", "offset beyond 2^31", `{"offset":2147483648}`, 0, "no corp has so many; the client counts with int, of 32 bits on some machines"},
		{"kf/account/update", "empty name", on + `,"name":""}`, 95006, typed},
		{"kf/account/update", "nothing to change", on + `}`, 40058, open},
		{"kf/servicer/add", "member of 65 bytes", on + `,"userid_list":["` + long + `"]}`, 0, longID},
		{"kf/servicer/add", "department 0", on + `,"department_id_list":[0]}`, 40066, open},
		{"kf/customer/batchget", "customer of 65 bytes", `{"external_userid_list":["` + long + `"]}`, 0, longID},
		{"kf/customer/upgrade_service", "both kinds", with + `,"type":1,"member":{"userid":"lisi"},"groupchat":{"chat_id":"wrGROUP"}}`, 0, stray},
		{"kf/get_corp_statistic", "31 days later, which is the 32nd", on + span(-31*24*3600, 0) + `}`, 40058, "the client counts seconds, since it does not know where the platform's days begin"},
		{"kf/get_corp_statistic", "today", on + span(0, 24*3600) + `}`, 40058, "the client does not know the platform's date"},
		{"kf/knowledge/list_group", "limit 0", `{"limit":0}`, 40058, typed},
		{"kf/knowledge/list_intent", "limit 0", `{"limit":0}`, 40058, typed},
		{"kf/knowledge/mod_intent", "no answer", `{"intent_id":"$INTENT","answers":[]}`, 40058, typed},
		{"kf/knowledge/add_intent", "link without title", attached(`{"msgtype":"link","link":{"url":"https://e.example"}}`), 40058, open},
		{"kf/knowledge/add_intent", "link without scheme", attached(`{"msgtype":"link","link":{"title":"T","url":"e.example"}}`), 45034, open},
		{"kf/knowledge/add_intent", "mini program without appid", attached(`{"msgtype":"miniprogram","miniprogram":{"pagepath":"a"}}`), 90200, open},
		{"kf/knowledge/add_intent", "two kinds in one attachment", attached(`{"msgtype":"link","link":{"title":"T","url":"https://e.example"},"image":{"media_id":"x"}}`), 0, stray},
		{"media/upload_by_url", "scene 2", `{"scene":2,"type":"file","filename":"a","url":"https://e.example","md5":"` + sum + `"}`, 40058, open},
		{"media/upload_by_url", "md5 of other letters", `{"scene":1,"type":"file","filename":"a","url":"https://e.example","md5":"` + strings.Repeat("z", 32) + `"}`, 0, "the simulator ends the job with 830003, as for any md5 that does not fit"},
		{"media/upload_by_url", "name with a directory", `{"scene":1,"type":"file","filename":"a/b","url":"https://e.example","md5":"` + sum + `"}`, 0, "the page forbids the first slash; the client takes no path at all"},
	}
}

// TestKnownDifferences fails when a difference is gone, so that the list stays true.
func TestKnownDifferences(t *testing.T) {
	for _, d := range differences() {
		t.Run(d.path+"/"+d.what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.ready()
			w.upgrades(false)
			body := limit{}.fill(w, d.body)
			same(t, "the client lets it pass", local(t, d.path, body), d.code != 0)
			err := w.raw(d.path, body)
			switch {
			case d.code != 0:
				w.refused("the simulator", err, d.code)
			case err != nil:
				t.Errorf("the simulator: got %v, want success (%s)", err, d.because)
			}
		})
	}
}

// TestSizesOfFilesAgree is the limits of uploads, whose requests are no JSON: at the limit both let it pass, beyond it the
// client refuses, and the simulator what another client sends.
func TestSizesOfFilesAgree(t *testing.T) {
	jpeg := "\xff\xd8\xff\xe0"
	for _, c := range []struct {
		kind, name, start string // kind "" is uploadimg
		at, over, code    int
	}{
		{kfapi.MediaImage, "a.jpg", jpeg, 6, 5, 40006},
		{kfapi.MediaImage, "a.jpg", jpeg, 10 << 20, 10<<20 + 1, 40009},
		{kfapi.MediaVoice, "a.amr", "#!AMR\n", 6, 5, 40006},
		{kfapi.MediaVoice, "a.amr", "#!AMR\n\x3c", 60*50*32 + 6, 2<<20 + 1, 45001},
		{kfapi.MediaVideo, "a.mp4", "\x00\x00\x00\x18ftyp", 10 << 20, 10<<20 + 1, 40011},
		{kfapi.MediaFile, "a.bin", "", 6, 5, 40006},
		{kfapi.MediaFile, "a.bin", "", 20 << 20, 20<<20 + 1, 45001},
		{"", "a.jpg", jpeg, 5, 4, 40006},
		{"", "a.jpg", jpeg, 2 << 20, 2<<20 + 1, 40009},
	} {
		t.Run(c.kind+"/"+show(c.at), func(t *testing.T) {
			w := newWorld(t)
			file := func(n int) string { return (c.start + strings.Repeat("\x3c", max(0, n-len(c.start))))[:n] }
			up := func(data string) error {
				if c.kind == "" {
					return w.uploadImage(c.name, []byte(data))
				}
				return w.upload(c.kind, c.name, []byte(data))
			}
			if err := up(file(c.at)); err != nil {
				t.Errorf("%d bytes: %v", c.at, err)
			}
			same(t, "the client refuses one beyond", kfapi.NotSent(up(file(c.over))), true)
			w.form("media", c.name, file(c.over))
			w.refused("the simulator", up(file(c.at)), c.code)
		})
	}
}

// TestSceneParamAgrees is the one limit of a link.
func TestSceneParamAgrees(t *testing.T) {
	w := newWorld(t)
	way := got(w.c.AddContactWay(w.t.Context(), w.token, kfapi.AddContactWayRequest{OpenKfID: desk, Scene: strings.Repeat("s", 32)}))(w)
	param := strings.Repeat("客", 42) + "xx" // 128 bytes
	link := got(kfapi.ContactURL(way.URL, param))(w)
	got(w.Enter(kfsim.Enter{ExternalUserID: ann, Link: link}))(w)
	same(t, "128 bytes come back", w.lastEvent().(*kfapi.EnterSession).SceneParam, param)
	_, err := kfapi.ContactURL(way.URL, param+"x")
	same(t, "129 bytes are refused", kfapi.NotSent(err), true)
	got(w.Enter(kfsim.Enter{ExternalUserID: ann, Link: link + "x"}))(w)
	same(t, "129 bytes do not come back", w.lastEvent().(*kfapi.EnterSession).SceneParam, "")
	w.likes(kfsim.Personality{OldContactLinks: true})
	old := got(w.c.AddContactWay(w.t.Context(), w.token, kfapi.AddContactWayRequest{OpenKfID: desk, Scene: "s"}))(w)
	_, err = kfapi.ContactURL(old.URL, "x")
	same(t, "an old link takes none", kfapi.NotSent(err), true)
}

// TestRangeOfADownloadAgrees: 20 MiB in one range pass both, a byte more neither.
func TestRangeOfADownloadAgrees(t *testing.T) {
	w := newWorld(t)
	id := got(w.AddMedia(kfsim.Media{Type: "file", FileName: "a.bin", Data: bytes.Repeat([]byte("x"), 20<<20+2)}))(w)
	same(t, "20 MiB", len(w.download(id, kfapi.RangeBytes(1, 20<<20))), 20<<20)
	_, err := w.c.MediaGet(w.t.Context(), w.token, id, kfapi.RangeBytes(1, 20<<20+1))
	same(t, "the client refuses a byte more", kfapi.NotSent(err), true)
	_, err = w.c.MediaGet(w.t.Context(), w.token, id, kfapi.RangeLast(20<<20+1))
	same(t, "and at the end", kfapi.NotSent(err), true)
	_, err = w.c.MediaGet(w.t.Context(), w.token, id, kfapi.RangeFrom(1))
	w.refused("the simulator", err, 830002)
}
