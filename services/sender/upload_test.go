package sender

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// png is a file that WeChat takes for an image, of n bytes that no other has.
func png(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return append([]byte("\x89PNG\r\n\x1a\n"), b...)
}

// keep puts a file into kf_media.
func (w *world) keep(name string, data []byte) {
	w.Helper()
	_, err := w.bus.StoreObject(w.ctx(), events.BucketMedia, name, nil, bytes.NewReader(data))
	w.must(err)
}

func picture(o obj) obj { return obj{"msgtype": "image", "image": o} }

func (w *world) uploads() int { return w.sim.Calls("media/upload") }

// delivered is the media_id of what the platform accepted of a command.
func (w *world) delivered(user, id string) string {
	w.Helper()
	for _, a := range w.sim.Phone(desk, user) {
		if a.MsgID == msgID(user, id) {
			_, rest, _ := strings.Cut(string(a.Body), `media_id":"`)
			got, _, _ := strings.Cut(rest, `"`)
			return got
		}
	}
	w.Errorf("%s was not accepted", id)
	return ""
}

// A file is uploaded once, whoever names it and however: by name, by its bytes, as an image or as the picture of a link.
func TestFileIsUploadedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	data := png(1, 40_000)
	w.keep("a", data)
	w.keep("b", data)
	w.customer("wmBOB")
	w.says(ann)
	w.says("wmBOB")
	a := w.start()
	w.noted()
	w.command(events.VerbSend, ann, "name", picture(obj{"object": "a"}))
	w.want("name", "accepted")
	b := w.start() // what one replica uploaded any other knows
	w.command(events.VerbSend, "wmBOB", "again", picture(obj{"object": "b", "bucket": events.BucketMedia, "filename": "x.jpeg"}))
	w.want("again", "accepted")
	a.halt()
	w.command(events.VerbSend, ann, "bytes", picture(obj{"data": data}))
	w.command(events.VerbSend, ann, "link", obj{"msgtype": "link", "link": obj{"title": "a < b & c", "url": "https://e.example", "thumb": obj{"object": "a"}}})
	w.command(events.VerbSend, ann, "mini", obj{"msgtype": "miniprogram", "miniprogram": obj{"appid": "wx0123456789abcdef", "pagepath": "a.html", "thumb": obj{"data": data}}})
	for _, id := range []string{"bytes", "link", "mini"} {
		w.want(id, "accepted")
	}
	first := w.delivered(ann, "name")
	for user, list := range map[string][]string{ann: {"bytes", "link", "mini"}, "wmBOB": {"again"}} {
		for _, id := range list {
			if got := w.delivered(user, id); got != first {
				t.Errorf("%s went with another media_id", id)
			}
		}
	}
	if n := w.uploads(); n != 1 || counter(t, a.reg, "kf_sender_uploads_total")+counter(t, b.reg, "kf_sender_uploads_total") != 1 {
		t.Errorf("%d uploads, want 1", n)
	}
	w.command(events.VerbSend, ann, "file", obj{"msgtype": "file", "file": obj{"object": "a", "filename": "合同.png"}})
	w.want("file", "accepted")
	if n := w.uploads(); n != 2 {
		t.Errorf("%d uploads, want one more: a file is another kind, under a name that the customer sees", n)
	}
	w.audit("name", "bytes", "link", "mini", "file", "again")
}

// What WeChat has forgotten is uploaded again, by its age or because it says so; what it refuses at once is not.
func TestForgottenFileIsUploadedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.keep("a", png(1, 1000))
	w.says(ann)
	r := w.start()
	w.noted()
	forget := func() {
		_, err := w.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultErrCode, Path: "kf/send_msg", ErrCode: 40007, Count: 1})
		w.must(err)
	}
	forget()
	w.command(events.VerbSend, ann, "fresh", picture(obj{"object": "a"}))
	w.want("fresh", "refused/platform_media")
	w.command(events.VerbSend, ann, "good", picture(obj{"object": "a"}))
	w.want("good", "accepted")
	forget()
	w.command(events.VerbSend, ann, "forgotten", picture(obj{"object": "a"}))
	if o := w.want("forgotten", "accepted"); o.Attempts != 2 || *o.SendsLeft != 3 {
		t.Errorf("got %d attempts and %d sends left, want 2 and 3", o.Attempts, *o.SendsLeft)
	}
	if n := w.uploads(); n != 2 {
		t.Errorf("%d uploads, want 2", n)
	}
	w.audit("fresh", "good", "forgotten")
	r.halt()
	w.sim.Clock().Advance(mediaLife + time.Hour)
	w.newToken()
	w.says(ann)
	w.start()
	w.command(events.VerbSend, ann, "old", picture(obj{"object": "a"}))
	if o := w.want("old", "accepted"); o.Attempts != 1 {
		t.Errorf("got %d attempts: it is known by its age", o.Attempts)
	}
}

// An upload that fails spends nothing: no place, no request.
func TestFileThatCannotBeSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.keep("text", []byte("this is no picture, whatever it is called"))
	w.keep("small", []byte("x"))
	w.keep("large", png(1, 10<<20))
	w.keep("good", png(2, 100))
	w.says(ann)
	w.start()
	w.noted()
	for id, c := range map[string]struct{ object, bucket, want string }{
		"missing":   {"nowhere", "", "media/image.object"},
		"no-bucket": {"a", "no_such_bucket", "media/image.object"},
		"text":      {"text", "", "media/image.object"},
		"small":     {"small", "", "media/image.object"},
		"large":     {"large", "", "media/image.object"},
	} {
		o := obj{"object": c.object, "filename": "a.png"}
		if c.bucket != "" {
			o["bucket"] = c.bucket
		}
		w.command(events.VerbSend, ann, id, picture(o))
		if o := w.want(id, "refused"); o.Reason+"/"+o.Field != c.want || *o.SendsLeft != 5 || o.Attempts != 0 {
			t.Errorf("%s: got %+v, want %s and all 5 places", id, o.Outcome, c.want)
		}
	}
	if n := w.uploads(); n != 0 {
		t.Errorf("%d uploads of files that WeChat takes none of", n)
	}
	_, err := w.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultErrCode, Path: "media/upload", ErrCode: 40004, Count: 1})
	w.must(err)
	w.command(events.VerbSend, ann, "refused", picture(obj{"object": "good"}))
	if o := w.want("refused", "refused/platform_media"); o.ErrCode != 40004 || *o.SendsLeft != 5 {
		t.Errorf("got %+v, want WeChat's errcode and all 5 places", o.Outcome)
	}
	if got := w.posts(apiSend); got != 0 {
		t.Errorf("%d requests, want none", got)
	}
	w.audit("missing", "no-bucket", "text", "small", "large", "refused")
}

// An upload without an answer is made again; the command waits aside, and the lane goes on.
func TestUploadIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lanes(1))
	w.keep("a", png(1, 1000))
	w.customer("wmBOB")
	w.says(ann)
	w.says("wmBOB")
	w.start(func(c *Config) { c.LaneWait = time.Second })
	w.noted()
	_, err := w.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultHTTP500After, Path: "media/upload", Count: 1})
	w.must(err)
	w.command(events.VerbSend, ann, "picture", picture(obj{"object": "a"}))
	w.send("wmBOB", "other")
	w.want("other", "accepted")
	if len(w.of("picture")) != 0 {
		t.Error("the lane waited for the upload")
	}
	w.want("picture", "accepted")
	if n := w.uploads(); n != 2 {
		t.Errorf("%d uploads, want 2", n)
	}
	w.audit("picture", "other")
}

// The sender dies when the file is with WeChat and the message is not.
func TestCrashAfterTheUpload(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"reserved", "posted"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, ackWait(time.Second))
			w.keep("a", png(1, 1000))
			w.says(ann)
			r := w.make(func(c *Config) { c.PostTimeout = 400 * time.Millisecond }).killAt(step, 1).run()
			w.command(events.VerbSend, ann, "picture", picture(obj{"object": "a"}))
			r.died()
			w.start(func(c *Config) { c.PostTimeout = 400 * time.Millisecond })
			w.want("picture", "accepted")
			w.audit("picture")
			if n := w.uploads(); n != 1 {
				t.Errorf("%d uploads, want 1", n)
			}
		})
	}
}

// A command with a file in it is put aside and taken up again, as large as the broker takes it.
func TestLargeCommandAside(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.servicers("li")
	w.says(ann)
	w.start()
	w.noted()
	w.command(events.VerbTransfer, ann, "t", obj{"service_state": 3, "servicer_userid": "li"})
	w.want("t", "accepted")
	data := png(1, events.MaxCommandFile-8)
	w.command(events.VerbSend, ann, "large", with(picture(obj{"data": data}), obj{"in_human_session": "hold"}))
	w.command(events.VerbSend, ann, "too-large", picture(obj{"data": png(2, events.MaxCommandFile)}))
	if o := w.want("too-large", "refused/invalid"); o.Field != "image.data" || !strings.Contains(o.Detail, "object store") {
		t.Errorf("got %s, %q", o.Field, o.Detail)
	}
	testkit.Eventually(t, "it to be put aside", func() bool { l, _ := w.ledger(ann); return len(l.Parked) == 1 })
	w.command(events.VerbTransfer, ann, "end", obj{"service_state": 4})
	w.want("end", "accepted")
	w.wrote(ann, -time.Second)
	w.want("large", "accepted")
	if n := w.uploads(); n != 1 {
		t.Errorf("%d uploads, want 1", n)
	}
	w.audit("large", "too-large", "t", "end")
}

// An object that claims the sum of another file does not get that file's place in the memory of uploads.
func TestForgedSum(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.keep("good", png(1, 1000))
	good, err := w.bus.Object(w.ctx(), events.BucketMedia, "good")
	w.must(err)
	store, err := w.bus.JS.ObjectStore(w.ctx(), events.BucketMedia)
	w.must(err)
	info, err := store.PutBytes(w.ctx(), "evil", png(2, 1000))
	w.must(err)
	mine, err := store.GetInfo(w.ctx(), "good")
	w.must(err)
	name := base64.URLEncoding.EncodeToString([]byte("evil"))
	meta := fmt.Sprintf(`{"name":"evil","bucket":"kf_media","nuid":%q,"size":%d,"chunks":%d,"digest":%q}`, info.NUID, info.Size, info.Chunks, mine.Digest)
	_, err = w.bus.JS.PublishMsg(w.ctx(), &nats.Msg{Subject: "$O.kf_media.M." + name, Data: []byte(meta), Header: nats.Header{jetstream.MsgRollup: {"sub"}}})
	w.must(err)
	if forged, err := w.bus.Object(w.ctx(), events.BucketMedia, "evil"); err != nil || forged.SHA256 != good.SHA256 {
		t.Fatalf("the sum is not forged: %+v, %v", forged, err)
	}
	w.says(ann)
	w.start()
	w.noted()
	w.command(events.VerbSend, ann, "evil", with(picture(obj{"object": "evil"}), obj{"expirytime": time.Now().Add(4 * time.Second).UTC().Format(time.RFC3339Nano)}))
	w.want("evil", "expired")
	e, err := w.bus.Read(w.ctx(), events.BucketUploads, events.UploadKey(corp, "image", "", good.SHA256))
	if err != nil || e.Value != nil {
		t.Errorf("remembered %s, %v, want nothing", e.Value, err)
	}
	w.command(events.VerbSend, ann, "good", picture(obj{"object": "good"}))
	w.want("good", "accepted")
	w.audit("evil", "good")
}

func TestTakeFile(t *testing.T) {
	b64 := base64.StdEncoding.EncodeToString(png(1, 100))
	for _, c := range []struct{ name, body, field string }{
		{"a media_id is none", `{"msgtype":"image","image":{"media_id":"M"}}`, "-"},
		{"a text is none", `{"msgtype":"text","text":{"content":"object"}}`, "-"},
		{"by name", `{"msgtype":"image","image":{"object":"a"}}`, ""},
		{"by its bytes", `{"msgtype":"image","image":{"data":"` + b64 + `","filename":"a.png","content_type":"image/png"}}`, ""},
		{"of a link", `{"msgtype":"link","link":{"title":"t","url":"https://e.example","thumb":{"object":"a","bucket":"pictures"}}}`, ""},
		{"both", `{"msgtype":"image","image":{"object":"a","data":"` + b64 + `"}}`, "image.object"},
		{"and a media_id", `{"msgtype":"image","image":{"object":"a","media_id":"M"}}`, "image"},
		{"and a thumb_media_id", `{"msgtype":"link","link":{"thumb_media_id":"M","thumb":{"object":"a"}}}`, "link.thumb"},
		{"a URL", `{"msgtype":"image","image":{"object":"a","url":"http://169.254.169.254/"}}`, "image"},
		{"no name", `{"msgtype":"image","image":{"object":""}}`, "image.object"},
		{"not base64", `{"msgtype":"image","image":{"data":"*"}}`, "image.data"},
		{"no bytes", `{"msgtype":"image","image":{"data":""}}`, "image.object"},
		{"another type", `{"msgtype":"voice","voice":{"data":"` + b64 + `"}}`, "voice.data"},
		{"too small", `{"msgtype":"file","file":{"data":"YQ=="}}`, "file.data"},
		{"a bucket with a dot", `{"msgtype":"image","image":{"object":"a","bucket":"a.b"}}`, "image.bucket"},
		{"a bucket without an object", `{"msgtype":"image","image":{"data":"` + b64 + `","bucket":"a"}}`, "image.bucket"},
		{"a path", `{"msgtype":"image","image":{"object":"a","filename":"../a.png"}}`, "image.filename"},
		{"a name of two lines", `{"msgtype":"image","image":{"object":"a","filename":"a\r\nb.png"}}`, "image.filename"},
		{"a type of two lines", `{"msgtype":"image","image":{"object":"a","content_type":"image/png\r\nx"}}`, "image.content_type"},
		{"a key twice", `{"msgtype":"image","image":{"object":"a","object":"b"}}`, "message"},
		{"no object at all", `{"msgtype":"link","link":{"thumb":3}}`, "link.thumb"},
	} {
		f, with, err := takeFile([]byte(c.body))
		_, field := "", ""
		if err != nil {
			_, field = reasonFor(err)
		}
		switch {
		case c.field == "-" && (f != nil || err != nil):
			t.Errorf("%s: got %+v, %v, want no file", c.name, f, err)
		case c.field != "-" && field != c.field:
			t.Errorf("%s: got %q (%v), want %q", c.name, field, err, c.field)
		case c.field == "" && !strings.Contains(string(with("M<1>")), `media_id":"M<1>"`):
			t.Errorf("%s: got %s", c.name, with("M<1>"))
		}
	}
}

// A command that no timer could hold is refused before anything is done about it.
func TestRoomAside(t *testing.T) {
	f := &file{field: "image"}
	const payload = 1 << 20
	for n, ok := range map[int64]bool{0: true, asideInline: true, payload - asideMargin: true, payload - asideMargin + 1: false} {
		if err := roomAside(n, payload, f); (err == nil) != ok {
			t.Errorf("%d bytes: got %v", n, err)
		}
	}
}

func TestParkedForms(t *testing.T) {
	for _, n := range []int{0, 10, asideInline, asideInline + 1, 1 << 20} {
		was := parked{Subject: "s", Seq: 7, StoredAt: time.Now().UTC(), Header: nats.Header{"a": {"b"}}, Data: png(1, n)[:n]}
		body, err := was.encode()
		if err != nil {
			t.Fatal(err)
		}
		var got parked
		if err := got.decode(body); err != nil || !bytes.Equal(got.Data, was.Data) || got.Subject != "s" || !got.StoredAt.Equal(was.StoredAt) {
			t.Errorf("%d bytes: got %d back, %v", n, len(got.Data), err)
		}
		if n > asideInline && len(body) > n+1024 {
			t.Errorf("%d bytes became %d", n, len(body))
		}
	}
	if new(parked).decode([]byte("no timer of ours")) == nil {
		t.Error("anything is a timer")
	}
}
