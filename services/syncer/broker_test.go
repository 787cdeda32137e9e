package syncer

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/localnats"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

func TestBrokerRestartsWhilePulling(t *testing.T) {
	t.Parallel()
	w := &world{TB: t, ctx: patience(t), tcp: true, log: zerolog.Nop()}
	o := localnats.Options{Dir: t.TempDir()}
	var err error
	w.nats, err = localnats.Start(o)
	w.must(err)
	o.Listen = strings.TrimPrefix(w.nats.URL(), "nats://")
	t.Cleanup(func() { w.nats.Close() })
	w.bus = w.connect("test")
	_, err = w.bus.Apply(w.ctx(), quick(2))
	w.must(err)
	w.platform()
	r := w.syncer(small(5), sweeping)
	r.ready(true, "")
	const restarts = 3
	for i := range restarts {
		done := make(chan struct{})
		go func() { defer close(done); w.says(desk, 100) }()
		testkit.Eventually(t, "a page in hand", func() bool { return w.cursor(desk).Seq > uint64(i*100) })
		w.nats.Close()
		r.ready(false, "bus: ")
		w.nats, err = localnats.Start(o)
		w.must(err)
		<-done
	}
	w.wait(desk)
	r.ready(true, "")
	t.Logf("%d restarts", restarts)
	w.wantAll(desk)
}

func TestFullStream(t *testing.T) {
	w := newWorld(t)
	limit := func(msgs int64) {
		t.Helper()
		s, err := w.bus.JS.Stream(w.ctx(), events.StreamMessage)
		w.must(err)
		c := s.CachedInfo().Config
		c.MaxMsgs = msgs
		_, err = w.bus.JS.UpdateStream(w.ctx(), c)
		w.must(err)
	}
	limit(25)
	r := w.syncer(small(10))
	r.ready(true, "")
	w.says(desk, 60)
	r.ready(false, "stream: KF_MESSAGE takes nothing more (full)")
	testkit.Eventually(t, "some more tries", func() bool { return r.counted("kf_syncer_commits_refused_total", "full") > 5 })
	if w.doorbells() == 0 {
		t.Error("the doorbell is gone although nothing stands for it")
	}
	if got := len(w.stored(desk)); got > 24 || w.cursor(desk).Seq != uint64(got) {
		t.Errorf("got %d stored, and a cursor after %d", got, w.cursor(desk).Seq)
	}
	limit(-1)
	w.wait(desk)
	r.ready(true, "")
	w.wantAll(desk)
}

func TestStopHandsTheAccountOver(t *testing.T) {
	w := newWorld(t)
	w.swallow(true)
	w.says(desk, 100)
	inHand, told := make(chan struct{}), make(chan struct{})
	var once sync.Once
	first := w.syncer(small(1), with(calls{after: func(context.Context, kfapi.SyncMsgRequest, *kfapi.SyncMsgResponse) {
		once.Do(func() { close(inHand); <-told })
	}}))
	w.must(w.ring(events.Doorbell{Corp: "ww1", OpenKfID: desk, Event: events.RingSweep}))
	<-inHand
	second := w.prepare(small(1))
	first.end()
	close(told)
	first.stop()
	if seq := w.cursor(desk).Seq; seq != 1 {
		t.Errorf("stopped after %d pages, want 1: the one in hand", seq)
	}
	began := time.Now()
	second.start()
	testkit.Eventually(t, "the other to go on", func() bool { return second.counted("kf_syncer_pages_total") > 0 })
	t.Logf("went on after %v", time.Since(began))
	w.wait(desk)
	w.wantAll(desk)
}

func TestBusyAccountDoesNotStarveItsLane(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"sync-0", "sync-1"} { // one lane for all
		w.must(w.bus.JS.DeleteConsumer(w.ctx(), events.StreamCallback, name))
	}
	_, err := w.bus.JS.CreateConsumer(w.ctx(), events.StreamCallback, jetstream.ConsumerConfig{
		Durable: "sync-0", AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Second, MaxAckPending: 1, FilterSubject: "kf.lane.callback.>"})
	w.must(err)
	w.account("wkSMALL")
	w.swallow(true)
	w.says(desk, 200)
	w.says("wkSMALL", 1)
	var mu sync.Mutex
	var order []string
	both := make(chan struct{})
	r := w.prepare(small(2), with(calls{
		before: func(context.Context, kfapi.SyncMsgRequest) error { <-both; return nil },
		after: func(_ context.Context, req kfapi.SyncMsgRequest, _ *kfapi.SyncMsgResponse) {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, req.OpenKfID)
		}}))
	r.start()
	w.must(w.ring(events.Doorbell{Corp: "ww1", OpenKfID: desk, Event: events.RingSweep}))
	w.must(w.ring(events.Doorbell{Corp: "ww1", OpenKfID: "wkSMALL", Event: events.RingSweep}))
	close(both)
	w.wait(desk, "wkSMALL")
	mu.Lock()
	defer mu.Unlock()
	for i, id := range order {
		if id == "wkSMALL" {
			t.Logf("its turn came after %d pages of %d", i, len(order)-1)
			if i > 20 {
				t.Errorf("the small account waited for %d pages, want at most a turn of 20", i)
			}
			break
		}
	}
	w.wantAll(desk)
	w.wantAll("wkSMALL")
}
