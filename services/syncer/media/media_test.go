package media

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/localnats"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func TestFileOfEachType(t *testing.T) {
	r := newRig(t)
	x := r.start()
	for _, c := range []struct {
		msgType, name string
		data          []byte
		contentType   string
	}{
		{"image", "照片.jpg", jpeg, "image/jpeg"},
		{"voice", "a.amr", amr, "audio/amr"},
		{"voice", "a.silk", silk, "audio/silk"},
		{"voice", "says.amr", silk[1:], "audio/silk"},
		{"video", "a.mp4", mp4, "video/mp4"},
		{"file", "合同.pdf", append([]byte("%PDF-1.7 "), noise(300_000)...), "application/pdf"},
		{"file", "evil.jpg", []byte("<html><script>"), "text/html"},
		{"file", "error.json", []byte(`{"errcode":40007,"errmsg":"of a customer"}`), "application/json"},
	} {
		before := len(r.told())
		id := r.say(c.msgType, c.name, c.data)
		all := r.settled(before + 1)
		got := all[len(all)-1]
		r.wantFile(got, c.data)
		s := got.stored
		if s.ContentType != c.contentType || s.Filename != c.name || s.MsgType != c.msgType || s.MediaID != id || s.OpenKfID != desk || s.ExternalUserID != ann ||
			s.Bucket != events.BucketMedia || s.Object != events.MediaObject(corp, id) || len(s.SHA256) != 64 || s.At.IsZero() {
			t.Errorf("%s: got %+v", c.name, s)
		}
		ext := got.event.Extensions()
		if want := events.EventSubject(corp, desk, events.EventMediaStored, ann); got.subject != want || ext[events.ExtDataRef] != s.Bucket+"/"+s.Object || ext[events.ExtCausationID] != s.MsgID {
			t.Errorf("%s: got %s %v, want it on %s", c.name, got.subject, ext, want)
		}
		if trace, _ := ext[events.ExtTraceParent].(string); !strings.Contains(trace, "0af7651916cd43dd8448eb211c80319c") {
			t.Errorf("%s: trace %q is not the message's", c.name, trace)
		}
	}
	if n := r.counted(x, "kf_syncer_media_total", "voice", resultStored); n != 3 {
		t.Errorf("%d voices counted, want 3", n)
	}
	if n := r.counted(x, "kf_syncer_media_bytes_total", "image", ""); n != len(jpeg) {
		t.Errorf("%d bytes counted, want %d", n, len(jpeg))
	}
}

func TestOnlyWhatIsWanted(t *testing.T) {
	r := newRig(t)
	old := func(in *events.Inbound) { in.History = true }
	r.say("image", "a.jpg", jpeg, old)
	r.say("voice", "a.amr", amr)
	r.say("image", "b.jpg", jpeg)
	r.refer("text", `{"content":"x"}`)
	r.start(func(c *Config) { c.Types = []string{"image"} })
	if all := r.settled(1); all[0].stored.Filename != "b.jpg" {
		t.Errorf("got %+v", all[0].stored)
	}
	if n := r.sim.Calls("media/get"); n != 1 {
		t.Errorf("%d downloads, want 1", n)
	}
	none := r.prepare(func(c *Config) { c.Types = nil })
	ctx, end := context.WithCancel(r.ctx())
	end()
	r.must(none.Run(ctx))
}

func TestHistoryStaysHistory(t *testing.T) {
	r := newRig(t)
	r.say("image", "a.jpg", jpeg, func(in *events.Inbound) { in.History = true })
	r.start(func(c *Config) { c.History = true })
	got := r.settled(1)[0]
	if want := events.HistorySubject(corp, desk, events.EventMediaStored, ann); got.subject != want || got.event.Extensions()[events.ExtHistory] != "true" {
		t.Errorf("got %s %v, want it on %s and flagged", got.subject, got.event.Extensions(), want)
	}
}

func TestLargeFileInParts(t *testing.T) {
	r := newRig(t)
	want := noise(41 << 20)
	r.fault(kfsim.Fault{Kind: kfsim.FaultCutAfter, After: 2, Count: 1})
	r.store(fmt.Appendf(nil, `{"msgid":"m1","open_kfid":"%s","external_userid":"%s","send_time":%d,"origin":3,"msgtype":"file","file":{"media_id":"%s"}}`,
		desk, ann, time.Now().Unix(), r.media(want)))
	r.start(func(c *Config) { c.MaxBytes = map[string]int64{"file": 64 << 20} })
	r.wantFile(r.settled(1)[0], want)
	if n := r.sim.Calls("media/get"); n != 4 {
		t.Errorf("%d requests, want 4: one that is refused for its size, two parts of which the second is cut, and the rest", n)
	}
}

// media keeps a file that no customer could send: the platform would put a text in its place.
func (r *rig) media(data []byte) string {
	r.Helper()
	id, err := r.sim.AddMedia(kfsim.Media{Type: "file", FileName: "film.bin", Data: data})
	r.must(err)
	return id
}

func TestFailures(t *testing.T) {
	for _, c := range []struct {
		name   string
		do     func(r *rig)
		want   events.MediaFailed
		calls  int
		config func(*Config)
	}{
		{"the platform has it no more", func(r *rig) {
			r.fault(kfsim.Fault{Kind: kfsim.FaultErrCode, ErrCode: 40007})
			r.say("image", "a.jpg", jpeg)
		}, events.MediaFailed{Reason: events.MediaExpired, ErrCode: 40007}, 1, nil},
		{"sent three days ago and stored now", func(r *rig) {
			r.say("image", "a.jpg", jpeg, func(in *events.Inbound) { in.SendTime -= 3 * 24 * 3600 })
		}, events.MediaFailed{Reason: events.MediaExpired}, 0, nil},
		{"larger than is let in", func(r *rig) { r.say("image", "a.jpg", slices.Concat(jpeg, noise(1000))) },
			events.MediaFailed{Reason: events.MediaTooLarge, Size: int64(len(jpeg) + 1000)}, 1, func(c *Config) { c.MaxBytes = map[string]int64{"image": 1000} }},
		{"no media_id", func(r *rig) { r.refer("image", `{}`) }, events.MediaFailed{Reason: events.MediaUnreadable}, 0, nil},
		{"a media_id that is none", func(r *rig) { r.refer("image", `{"media_id":["a"]}`) }, events.MediaFailed{Reason: events.MediaUnreadable}, 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			c.do(r)
			if c.config == nil {
				c.config = func(*Config) {}
			}
			x := r.start(c.config)
			got := r.settled(1)[0]
			if got.failed.Reason != c.want.Reason || got.failed.ErrCode != c.want.ErrCode || got.failed.Size != c.want.Size || got.failed.MsgID == "" {
				t.Errorf("got %+v, want %+v", got.failed, c.want)
			}
			if n := r.sim.Calls("media/get"); n != c.calls {
				t.Errorf("%d calls, want %d", n, c.calls)
			}
			if names, pieces := r.objects(); names+pieces != 0 {
				t.Errorf("%d names and %d pieces are stored", names, pieces)
			}
			if n := r.counted(x, "kf_syncer_media_total", "image", c.want.Reason); n != 1 {
				t.Errorf("%d counted as %s", n, c.want.Reason)
			}
		})
	}
}

// What lay unread for three days is no news: a bot would answer last week's message.
func TestLongUnread(t *testing.T) {
	r := newRig(t)
	r.say("image", "a.jpg", jpeg)
	r.clock.advance(life)
	x := r.start()
	testkit.Eventually(t, "the message to be passed over", func() bool { return r.counted(x, "kf_syncer_media_total", "image", resultOld) == 1 })
	r.settled(0)
}

func TestTriedAgain(t *testing.T) {
	for _, f := range []kfsim.Fault{
		{Kind: kfsim.FaultHTTP500Before}, {Kind: kfsim.FaultResetBefore}, {Kind: kfsim.FaultGarbageAfter}, {Kind: kfsim.FaultAcceptThenHang},
		{Kind: kfsim.FaultErrCode, ErrCode: -1}, {Kind: kfsim.FaultErrCode, ErrCode: 60020}, {Kind: kfsim.FaultRedirect},
		{Kind: kfsim.FaultGarbageAfter, Body: `{"errcode":987654,"errmsg":"?"}`}, {Kind: kfsim.FaultGarbageAfter, Body: "<html>"},
	} {
		t.Run(fmt.Sprint(f.Kind, f.ErrCode, f.Body), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			f.Count = 2
			r.fault(f)
			r.say("image", "a.jpg", jpeg)
			x := r.impatient()
			r.wantFile(r.settled(1)[0], jpeg)
			if n := r.counted(x, "kf_syncer_media_total", "image", resultLater); n == 0 { // the HTTP client itself may make a request again
				t.Error("never put off")
			}
		})
	}
}

// After three days of trying it is said that there is no file, with what the platform said last.
func TestGivenUpAfterThreeDays(t *testing.T) {
	r := newRig(t)
	id := r.fault(kfsim.Fault{Kind: kfsim.FaultErrCode, ErrCode: 60020})
	r.say("image", "a.jpg", jpeg)
	x := r.start()
	testkit.Eventually(t, "some tries", func() bool { return r.counted(x, "kf_syncer_media_total", "image", resultLater) > 3 })
	r.clock.advance(life)
	if got := r.settled(1)[0].failed; got.Reason != events.MediaExpired || got.ErrCode != 60020 {
		t.Errorf("got %+v", got)
	}
	r.sim.RemoveFault(id)
	_, err := r.bus.Last(r.ctx(), events.StreamTimer, "kf.timer.>")
	if err == nil {
		t.Error("a timer is left")
	}
}

// The last word comes when the time is over, not when the next try would have been.
func TestGivenUpInTime(t *testing.T) {
	r := newRig(t)
	r.fault(kfsim.Fault{Kind: kfsim.FaultHTTP500Before})
	r.say("image", "a.jpg", jpeg, func(in *events.Inbound) { in.SendTime -= int64((life - 2*time.Second).Seconds()) })
	x := r.prepare()
	x.waits.first, x.waits.most = time.Hour, time.Hour
	r.run(x)
	if got := r.settled(1)[0].failed; got.Reason != events.MediaExpired {
		t.Errorf("got %+v", got)
	}
}

func TestRevokedToken(t *testing.T) {
	r := newRig(t)
	r.fault(kfsim.Fault{Kind: kfsim.FaultRevokeToken, Count: 1})
	r.say("image", "a.jpg", jpeg)
	x := r.start()
	r.wantFile(r.settled(1)[0], jpeg)
	if r.keeper.made != 2 || r.counted(x, "kf_syncer_media_total", "", resultLater) != 0 {
		t.Errorf("%d tokens, want 2 and no second try", r.keeper.made)
	}
}

func TestNoTokenYet(t *testing.T) {
	r := newRig(t)
	r.keeper.none = true
	r.say("image", "a.jpg", jpeg)
	r.start()
	testkit.Eventually(t, "it to wait for a token", func() bool { return strings.Contains(r.logs.String(), errNone.Error()) })
	r.keeper.mu.Lock()
	r.keeper.none = false
	r.keeper.mu.Unlock()
	r.wantFile(r.settled(1)[0], jpeg)
}

// While the API is shut nobody calls it, and what waits is fetched when it opens.
func TestThrottled(t *testing.T) {
	for _, code := range []int{45009, 45033} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.fault(kfsim.Fault{Kind: kfsim.FaultErrCode, ErrCode: code, Count: 1})
			first := r.prepare(func(c *Config) { c.Workers = 1 })
			r.say("image", "0.jpg", jpeg)
			r.run(first)
			testkit.Eventually(t, "the pause", func() bool { r.gate.mu.Lock(); defer r.gate.mu.Unlock(); return r.gate.times == 1 })
			r.gate.mu.Lock()
			opens := r.gate.shut
			r.gate.mu.Unlock()
			r.start()
			const n = 20
			for i := 1; i < n; i++ {
				r.say("image", fmt.Sprint(i, ".jpg"), jpeg)
			}
			calls := r.sim.Calls("media/get")
			if left := time.Until(opens); left > 0 && calls != 1 {
				t.Errorf("%d calls with %v of the pause left", calls, left)
			}
			r.settled(n)
			if left := time.Until(opens); left > 0 {
				t.Errorf("all fetched %v before it opened", left)
			}
			if got := r.sim.Calls("media/get"); got != n+1 {
				t.Errorf("%d calls of %d files, want one more", got, n)
			}
		})
	}
}

// Whoever dies, and where: one file, one event.
func TestKilled(t *testing.T) {
	for _, c := range []struct {
		name string
		die  func(x *replica, really func() (uint64, bool, error)) (uint64, bool, error)
	}{
		{"between the file and its event", func(x *replica, _ func() (uint64, bool, error)) (uint64, bool, error) {
			x.kill()
			return 0, false, bus.ErrDisconnected
		}},
		{"between the event and its ack", func(x *replica, really func() (uint64, bool, error)) (uint64, bool, error) {
			seq, repeat, err := really()
			x.kill()
			return seq, repeat, err
		}},
		{"with the answer to the event", func(x *replica, really func() (uint64, bool, error)) (uint64, bool, error) {
			_, _, _ = really()
			return 0, false, bus.ErrUnknown
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			x := r.prepare(func(c *Config) { c.Workers = 1 })
			died := make(chan struct{})
			var once sync.Once
			x.publish = func(ctx context.Context, m bus.Message) (seq uint64, repeat bool, err error) {
				really := func() (uint64, bool, error) { return x.bus.Publish(ctx, m) }
				seq, repeat, err = 0, false, nil
				hit := false
				once.Do(func() { seq, repeat, err = c.die(x, really); hit = true; close(died) })
				if hit {
					return seq, repeat, err
				}
				return really()
			}
			r.say("file", "a.bin", noise(300_000))
			r.run(x)
			<-died
			r.start()
			r.wantFile(r.settled(1)[0], noise(300_000))
			if names, pieces := r.objects(); names != 1 || pieces != 3 || r.sim.Calls("media/get") != 1 {
				t.Errorf("%d names, %d pieces and %d downloads, want 1, 3 and 1", names, pieces, r.sim.Calls("media/get"))
			}
		})
	}
}

// Four fetchers, two of them killed, a platform that fails in every way.
func TestOnceUnderFaults(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	r := newRig(t)
	for _, f := range []kfsim.Fault{{Kind: kfsim.FaultCutAfter}, {Kind: kfsim.FaultGarbageAfter}, {Kind: kfsim.FaultHTTP500After}, {Kind: kfsim.FaultResetBefore},
		{Kind: kfsim.FaultRevokeToken}, {Kind: kfsim.FaultErrCode, ErrCode: -1}, {Kind: kfsim.FaultErrCode, ErrCode: 45033}} {
		f.Probability = 0.05
		r.fault(f)
	}
	r.fault(kfsim.Fault{Kind: kfsim.FaultAcceptThenHang, Count: 2, After: 10})
	const n = 80
	want := map[string][]byte{}
	victims := []*replica{r.impatient(), r.impatient()}
	for i := range n {
		data := slices.Concat(jpeg, noise(rng.IntN(200_000)))
		want[r.say("image", "a.jpg", data)] = data
		if i == n/3 || i == n/2 {
			victims[0].kill()
			victims = append(victims[1:], r.impatient())
		}
	}
	all := r.settled(n)
	for _, x := range all {
		r.wantFile(x, want[x.stored.MediaID])
	}
	if names, _ := r.objects(); names != n {
		t.Errorf("%d objects, want %d", names, n)
	}
	t.Logf("%d messages, %d events, %d calls, %d pauses, %d tokens", n, len(all), r.sim.Calls("media/get"), r.gate.times, r.keeper.made)
}

// Two messages with one file: one object, two events.
func TestOneFileOfTwoMessages(t *testing.T) {
	r := newRig(t)
	id := r.say("image", "a.jpg", jpeg)
	r.refer("image", `{"media_id":"`+id+`"}`)
	r.start()
	for _, x := range r.settled(2) {
		r.wantFile(x, jpeg)
	}
	if names, _ := r.objects(); names != 1 {
		t.Errorf("%d objects, want 1", names)
	}
}

// The broker forgets ids after a day, and a consumer that was made again delivers everything again.
func TestOldMessagesAgain(t *testing.T) {
	r := newRig(t)
	r.say("image", "a.jpg", jpeg)
	raw := r.sim.Items(desk)[0].Raw
	r.say("image", "b.jpg", jpeg)
	first := r.start()
	r.settled(2)
	first.end()
	<-first.done
	r.clock.advance(25 * time.Hour)
	r.must(r.bus.JS.DeleteConsumer(r.ctx(), events.StreamMessage, bus.DurableMedia))
	_, err := r.bus.Apply(r.ctx(), quick())
	r.must(err)
	second := r.prepare()
	var asked atomic.Int64
	second.publish = func(ctx context.Context, m bus.Message) (uint64, bool, error) {
		asked.Add(1)
		m.MsgID = "" // as if the broker knew it no more
		return second.bus.Publish(ctx, m)
	}
	r.run(second)
	r.settled(2)
	r.store(raw, func(in *events.Inbound) { in.Replay = true }) // read back
	r.settled(2)
	if asked.Load() != 0 {
		t.Errorf("%d events published again", asked.Load())
	}
}

func TestBrokerRestarts(t *testing.T) {
	r := emptyRig(t)
	r.tcp = true
	o := localnats.Options{Dir: t.TempDir()}
	var err error
	r.nats, err = localnats.Start(o)
	r.must(err)
	t.Cleanup(func() { r.nats.Close() })
	o.Listen = strings.TrimPrefix(r.nats.URL(), "nats://")
	r.bus = r.connect()
	_, err = r.bus.Apply(r.ctx(), quick())
	r.must(err)
	const n = 30
	want := map[string][]byte{}
	for i := range n {
		data := slices.Concat(jpeg, noise(100_000+i))
		want[r.say("image", "a.jpg", data)] = data
	}
	r.fault(kfsim.Fault{Kind: kfsim.FaultLatency, Delay: 20 * time.Millisecond})
	r.start()
	r.start()
	for i := range 2 {
		testkit.Eventually(t, "some files", func() bool { return len(r.told()) > (i+1)*n/4 })
		r.nats.Close()
		r.nats, err = localnats.Start(o)
		r.must(err)
	}
	for _, x := range r.settled(n) {
		r.wantFile(x, want[x.stored.MediaID])
	}
	if names, _ := r.objects(); names != n {
		t.Errorf("%d objects, want %d", names, n)
	}
}

func TestWaitsForTheTopology(t *testing.T) {
	r := newRig(t)
	r.must(r.bus.JS.DeleteObjectStore(r.ctx(), events.BucketMedia))
	r.must(r.bus.JS.DeleteConsumer(r.ctx(), events.StreamMessage, bus.DurableMedia))
	r.say("image", "a.jpg", jpeg)
	r.start()
	testkit.Eventually(t, "it to say so", func() bool {
		log := r.logs.String()
		return strings.Contains(log, "object store kf_media is missing") && strings.Contains(log, "consumer media of KF_MESSAGE is missing")
	})
	apply := func() {
		t.Helper()
		_, err := r.bus.Apply(r.ctx(), quick())
		r.must(err)
	}
	apply()
	r.settled(1)
	r.must(r.bus.JS.DeleteConsumer(r.ctx(), events.StreamTimer, bus.DurableDueMedia))
	testkit.Eventually(t, "it to see that one is gone", func() bool { return strings.Contains(r.logs.String(), "consumer due-media of KF_TIMER is missing") })
	apply()
	r.fault(kfsim.Fault{Kind: kfsim.FaultHTTP500Before, Count: 1})
	r.say("image", "b.jpg", jpeg)
	r.settled(2)
}

// A store without room: nothing is broken, and the file comes when there is room.
func TestFullStore(t *testing.T) {
	r := newRig(t)
	limit := func(n int64) {
		t.Helper()
		s, err := r.bus.JS.Stream(r.ctx(), "OBJ_"+events.BucketMedia)
		r.must(err)
		c := s.CachedInfo().Config
		c.MaxBytes = n
		_, err = r.bus.JS.UpdateStream(r.ctx(), c)
		r.must(err)
	}
	limit(200_000)
	r.say("file", "a.bin", noise(300_000))
	x := r.start()
	testkit.Eventually(t, "it to be put off", func() bool { return r.counted(x, "kf_syncer_media_total", "file", resultLater) > 0 })
	if names, _ := r.objects(); names != 0 {
		t.Error("a file without bytes has a name")
	}
	limit(-1)
	r.wantFile(r.settled(1)[0], noise(300_000))
}

func TestForeignAndBroken(t *testing.T) {
	r := newRig(t)
	r.say("image", "a.jpg", jpeg, func(in *events.Inbound) { in.Corp = "ww2" })
	_, err := r.bus.JS.Publish(r.ctx(), events.MessageSubject(corp, desk, "image", ann), []byte("no event"))
	r.must(err)
	_, err = r.bus.JS.Publish(r.ctx(), events.DueSubject(bus.ServiceMedia, "1"), []byte("no timer"), jetstream.WithExpectStream(events.StreamTimer))
	r.must(err)
	_, err = r.bus.JS.Publish(r.ctx(), events.DueSubject(bus.ServiceMedia, "2"), []byte(`{"seq":12345,"id":"gone"}`))
	r.must(err)
	r.say("image", "b.jpg", jpeg)
	r.start()
	testkit.Eventually(t, "the good one", func() bool {
		n := 0
		for from := uint64(1); ; n++ {
			s, err := r.bus.Next(r.ctx(), events.StreamDead, from, ">")
			if err != nil {
				break
			}
			from = s.Seq + 1
		}
		_, err := r.bus.Last(r.ctx(), events.StreamMessage, "kf.event.*.*.media_stored.>")
		return err == nil && n == 3
	})
}

func TestNothingSecretIsLogged(t *testing.T) {
	r := newRig(t)
	r.fault(kfsim.Fault{Kind: kfsim.FaultHTTP500Before, Count: 1})
	r.fault(kfsim.Fault{Kind: kfsim.FaultRedirect, Count: 1})
	r.fault(kfsim.Fault{Kind: kfsim.FaultCutAfter, Count: 1})
	ids := []string{r.say("image", "secret-name.jpg", jpeg), r.say("image", "secret-name.jpg", slices.Concat(jpeg, noise(2000)))}
	r.start(func(c *Config) { c.MaxBytes = map[string]int64{"image": 1000} })
	r.settled(2)
	for _, secret := range append(ids, r.keeper.token, r.corp.Secrets[0], "secret-name") {
		if strings.Contains(r.logs.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	if !strings.Contains(r.logs.String(), "tried again later") {
		t.Fatal("nothing was logged")
	}
}

// One file that hangs keeps no other waiting.
func TestSlowFileIsAlone(t *testing.T) {
	r := newRig(t)
	r.fault(kfsim.Fault{Kind: kfsim.FaultAcceptThenHang, Count: 1})
	r.start()
	r.say("image", "slow.jpg", jpeg)
	testkit.Eventually(t, "the slow one in hand", func() bool { return r.sim.Calls("media/get") == 1 })
	const n = 10
	for i := range n {
		r.say("image", fmt.Sprint(i, ".jpg"), jpeg)
	}
	testkit.Eventually(t, "all the others", func() bool { return len(r.told()) == n })
	r.sim.Close() // ends the slow one
}
