package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// noise is n bytes that repeat nowhere.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func (r *rig) media(name string, data []byte) (mediaID string) {
	r.Helper()
	id, err := r.sim.AddMedia(kfsim.Media{Type: "file", FileName: name, Data: data})
	r.must(err)
	return id
}

// get fetches a file and holds the object against what it must be.
func (r *rig) get(body string, want []byte) getReply {
	r.Helper()
	m := r.ask("media/get", body)
	var got getReply
	r.must(json.Unmarshal(m.Data, &got))
	if m.Header.Get(micro.ErrorCodeHeader) != "" {
		r.Fatalf("got %v %s", m.Header, m.Data)
	}
	store, err := r.bus.JS.ObjectStore(testkit.Context(r), got.Bucket)
	r.must(err)
	data, err := store.GetBytes(testkit.Context(r), got.Object)
	r.must(err)
	sum := sha256.Sum256(want)
	if !bytes.Equal(data, want) || got.Size != uint64(len(want)) || got.SHA256 != hex.EncodeToString(sum[:]) || got.Bucket != events.BucketMedia {
		r.Errorf("got %+v and %d bytes, want %d bytes with sha256 %x", got, len(data), len(want), sum)
	}
	return got
}

func TestMediaGetTwiceIsOneDownload(t *testing.T) {
	r := newRig(t)
	r.start()
	want := append([]byte("%PDF-1.7\n"), noise(300_000)...)
	id := r.media("合同 1.pdf", want)
	first := r.get(`{"media_id":"`+id+`"}`, want)
	if first.Filename != "合同 1.pdf" || first.ContentType != "application/pdf" || strings.Contains(first.Object, id) {
		t.Errorf("got %+v, want its name, and an object that does not show the media_id", first)
	}
	r.start() // any replica knows
	for range 5 {
		if again := r.get(`{"media_id":"`+id+`"}`, want); again != first {
			t.Errorf("got %+v, want %+v again", again, first)
		}
	}
	if n := r.sim.Calls("media/get"); n != 1 {
		t.Errorf("downloaded %d times, want once", n)
	}
	r.get(`{"media_id":"`+id+`","range":"bytes=100-199"}`, want[100:200])
	r.get(`{"media_id":"`+id+`","range":"bytes=299900-"}`, want[299_900:])
	r.get(`{"media_id":"`+id+`","range":"bytes=-7"}`, want[len(want)-7:])
	r.get(`{"media_id":"`+id+`"}`, want)
	if n := r.sim.Calls("media/get"); n != 4 {
		t.Errorf("downloaded %d times, want once for each part and once for all", n)
	}
}

func TestMediaGetRefused(t *testing.T) {
	r := newRig(t)
	r.start()
	body := r.refusedAs(r.ask("media/get", `{"media_id":"`+canary+`"}`), "400", "param", "yes")
	if body.Errcode == nil || *body.Errcode != 40007 {
		t.Errorf("got errcode %v, want 40007", body.Errcode)
	}
	id := r.media("a.bin", noise(1000))
	_, err := r.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultGarbageAfter, Path: "media/get", Count: 1, Body: `{"errcode":987654}`})
	r.must(err)
	r.refusedAs(r.ask("media/get", `{"media_id":"`+id+`"}`), "500", "unknown", "yes")
	r.refusedAs(r.ask("media/get", `{"media_id":"`+id+`","range":"bytes=1000-"}`), "400", "param", "yes")
	r.must(r.bus.JS.DeleteObjectStore(testkit.Context(t), events.BucketMedia))
	r.refusedAs(r.ask("media/get", `{"media_id":"`+id+`"}`), "503", "busy", "no")
	if n := r.sim.Calls("media/get"); n != 3 {
		t.Errorf("called %d times, want none without a place for the file", n)
	}
}

// A file over 20 MiB comes in parts, and is one object.
func TestLargeMedia(t *testing.T) {
	r := newRig(t)
	p := r.start()
	want := noise(2*maxPart + 12345)
	r.get(`{"media_id":"`+r.media("film.mp4", want)+`"}`, want)
	p.limits.mu.Lock()
	defer p.limits.mu.Unlock()
	if len(p.limits.took) != 4 || r.sim.Calls("media/get") != 4 {
		t.Errorf("%d turns for %d calls, want 4 of each: one that is refused for its size, and three parts", len(p.limits.took), r.sim.Calls("media/get"))
	}
}

// A part that is missing is no file.
func TestLargeMediaCut(t *testing.T) {
	r := newRig(t)
	r.start()
	id := r.media("film.mp4", noise(2*maxPart))
	fault, err := r.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultResetBefore, Path: "media/get", After: 2})
	r.must(err)
	r.refusedAs(r.ask("media/get", `{"media_id":"`+id+`"}`), "502", "network", "maybe")
	store, err := r.bus.JS.ObjectStore(testkit.Context(t), events.BucketMedia)
	r.must(err)
	if _, err := store.GetInfo(testkit.Context(t), events.MediaObject(corp, id)); !errors.Is(err, jetstream.ErrObjectNotFound) {
		t.Errorf("half a file was stored: %v", err)
	}
	r.sim.RemoveFault(fault)
}

func TestMediaUpload(t *testing.T) {
	r := newRig(t)
	p := r.start()
	want := append([]byte("%PDF-1.4 "), noise(50_000)...)
	store, err := r.bus.JS.CreateObjectStore(testkit.Context(t), jetstream.ObjectStoreConfig{Bucket: "orders_files"})
	r.must(err)
	_, err = store.PutBytes(testkit.Context(t), "invoice", want)
	r.must(err)
	media, err := r.bus.JS.ObjectStore(testkit.Context(t), events.BucketMedia)
	r.must(err)
	_, err = media.PutBytes(testkit.Context(t), "invoice", want)
	r.must(err)
	_, err = r.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultRevokeToken, Path: "media/upload", Count: 1}) // the file is read from its start again
	r.must(err)
	for _, from := range []string{`"object":"invoice"`, `"object":"invoice","bucket":"orders_files"`, `"data":"` + base64.StdEncoding.EncodeToString(want) + `"`} {
		m := r.ask("media/upload", `{"type":"file","filename":"账单.pdf",`+from+`}`)
		var got struct {
			Errcode   *int   `json:"errcode"`
			Type      string `json:"type"`
			MediaID   string `json:"media_id"`
			CreatedAt string `json:"created_at"`
		}
		r.must(json.Unmarshal(m.Data, &got))
		if m.Header.Get(micro.ErrorCodeHeader) != "" || got.Errcode == nil || *got.Errcode != 0 || got.Type != "file" || got.CreatedAt == "" {
			t.Fatalf("%.40s: got %v %s", from, m.Header, m.Data)
		}
		back, err := p.client.MediaGet(testkit.Context(t), r.creds.get(), got.MediaID, kfapi.Range{})
		r.must(err)
		data, err := io.ReadAll(back.Body)
		r.must(errors.Join(err, back.Body.Close()))
		if !bytes.Equal(data, want) {
			t.Errorf("%.40s: the platform has %d bytes, want %d", from, len(data), len(want))
		}
	}
	calls := r.sim.Calls("media/upload")
	for _, c := range []struct{ body, code, category string }{
		{`{"type":"file","filename":"a.pdf","object":"nothing"}`, "404", "notfound"},
		{`{"type":"file","filename":"a.pdf","object":"invoice","bucket":"nothing"}`, "404", "notfound"},
		{`{"type":"voice","filename":"a.amr","data":"AAAA"}`, "400", "param"},
		{`{"type":"file","filename":"../a.pdf","object":"invoice"}`, "400", "param"},
		{`{"type":"film","filename":"a.pdf","object":"invoice"}`, "400", "param"},
	} {
		r.refusedAs(r.ask("media/upload", c.body), c.code, c.category, "no")
	}
	p.limits.mu.Lock()
	turns := len(p.limits.took)
	p.limits.mu.Unlock()
	for _, body := range []string{`{"type":"film","filename":"a.pdf","object":"invoice"}`, `{"type":"voice","filename":"a.amr","data":"AAAA"}`} {
		r.refusedAs(r.ask("media/upload", body), "400", "param", "no")
	}
	p.limits.mu.Lock()
	if n := len(p.limits.took) - turns; n != 0 {
		t.Errorf("requests that can never be made took %d turns of the rate limit", n)
	}
	p.limits.mu.Unlock()
	if n := r.sim.Calls("media/upload"); n != calls {
		t.Errorf("called %d times for what is refused here", n-calls)
	}
}

// Every call of the table that carries a file is served, and no other is missing.
func TestEveryFileCallIsServed(t *testing.T) {
	served := map[string]bool{}
	for _, e := range Calls() {
		served[e.Path] = true
	}
	elsewhere := refused()
	for _, e := range kfapi.Endpoints() {
		if _, ok := elsewhere[e.Path]; !ok && !served[e.Path] {
			t.Errorf("%s is neither served nor pointed elsewhere", e.Path)
		}
	}
}

func TestPictureForEver(t *testing.T) {
	r := newRig(t)
	r.start()
	png := append([]byte("\x89PNG\r\n\x1a\n"), noise(1000)...)
	m := r.ask("media/uploadimg", `{"filename":"a.png","data":"`+base64.StdEncoding.EncodeToString(png)+`"}`)
	var got struct {
		Errcode *int   `json:"errcode"`
		URL     string `json:"url"`
	}
	r.must(json.Unmarshal(m.Data, &got))
	if got.Errcode == nil || *got.Errcode != 0 || !strings.HasPrefix(got.URL, "http") {
		t.Errorf("got %v %s", m.Header, m.Data)
	}
	r.refusedAs(r.ask("media/uploadimg", `{"filename":"a.png","data":"AAAA"}`), "400", "param", "no")
}
