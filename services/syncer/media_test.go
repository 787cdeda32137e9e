package syncer

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

func fetching(c *Config, d *Deps) {
	c.Media.Types = events.MediaTypes()
	d.Media = d.API.(*kfapi.Client)
}

// sends lets the customer send a picture.
func (w *world) sends(data []byte) {
	w.Helper()
	id, err := w.sim.AddMedia(kfsim.Media{Type: "image", FileName: "a.jpg", Data: data})
	w.must(err)
	_, err = w.sim.Say(kfsim.Say{OpenKfID: desk, ExternalUserID: ann, MsgType: "image", Body: json.RawMessage(`{"media_id":"` + id + `"}`)})
	w.must(err)
}

// fetched is the last media_stored event.
func (w *world) fetched() (m events.MediaStored, there bool) {
	w.Helper()
	s, err := w.bus.Last(w.ctx(), events.StreamMessage, events.EventSubject(w.corp.CorpID, desk, events.EventMediaStored, ann))
	if err != nil {
		return m, false
	}
	e, err := s.Event()
	w.must(err)
	w.must(e.DataAs(&m))
	return m, true
}

func TestMediaFollowsItsMessage(t *testing.T) {
	w := newWorld(t)
	_, err := w.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultErrCode, ErrCode: 45009, Path: "media/get", Count: 1})
	w.must(err)
	r := w.syncer(fetching)
	want := []byte("\xff\xd8\xff\xe0 a picture")
	w.sends(want)
	w.wait(desk)
	testkit.Eventually(t, "the shared pause", func() bool {
		e, err := w.bus.Read(w.ctx(), events.BucketThrottle, events.ThrottleKey(w.corp.CorpID, "media/get"))
		return err == nil && e.Value != nil
	})
	if _, there := w.fetched(); there {
		t.Error("fetched while the API is shut")
	}
	var got events.MediaStored
	testkit.Eventually(t, "the event", func() (there bool) { got, there = w.fetched(); return there })
	store, err := w.bus.JS.ObjectStore(w.ctx(), got.Bucket)
	w.must(err)
	data, err := store.GetBytes(w.ctx(), got.Object)
	if err != nil || !bytes.Equal(data, want) || got.ContentType != "image/jpeg" {
		t.Errorf("got %+v and %d bytes, %v", got, len(data), err)
	}
	rows := w.stored(desk)
	if !bytes.Equal(rows[0].data, w.sim.Items(desk)[0].Raw) || rows[0].id != got.MsgID || len(rows) != 2 {
		t.Errorf("got %d rows, the first %s; want the message byte for byte and its event", len(rows), rows[0].id)
	}
	r.ready(true, "")
}

// Files that never come keep no message waiting, and nobody from being ready.
func TestPullsDoNotWaitForMedia(t *testing.T) {
	w := newWorld(t)
	id, err := w.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultAcceptThenHang, Path: "media/get"})
	w.must(err)
	r := w.syncer(fetching, sweeping)
	for range 20 {
		w.sends([]byte("\xff\xd8\xff\xe0 a picture"))
	}
	testkit.Eventually(t, "every worker at a file", func() bool { return w.sim.Calls("media/get") >= 4 })
	began := time.Now()
	w.says(desk, 200)
	w.wait(desk)
	t.Logf("200 messages after %v", time.Since(began))
	w.wantAll(desk)
	r.ready(true, "")
	if _, there := w.fetched(); there {
		t.Error("a file came although all hang")
	}
	w.sim.RemoveFault(id)
	w.sim.Close() // ends those that hang
}

func TestMediaNeedsAPlatform(t *testing.T) {
	w := newWorld(t)
	cfg := defaultConfig(t)
	if len(cfg.Media.Types) != 0 || cfg.Media.Workers != 4 {
		t.Errorf("by default: got %+v, want no files fetched", cfg.Media)
	}
	cfg.Media.Types = []string{"image"}
	shell := service.Deps{Log: w.log, Metrics: prometheus.NewRegistry(), Health: service.NewHealth(time.Now), Now: time.Now}
	if _, err := New(cfg, Deps{Deps: shell, Corp: "ww1", Bus: w.bus, API: w.client, Tokens: w.keeper}); err == nil {
		t.Error("files are to be fetched from nowhere: accepted")
	}
}
