package syncer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/localnats"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

// mixed is msg_list of n items of the kinds and sizes that customers send. at says where in it the 16 digits of each
// msgid are.
func mixed(n int) (list []byte, at []int) {
	kinds := []string{
		`"msgtype":"text","text":{"content":"请问这款羽绒服有没有黑色 XL 码的？我身高 178，体重 75 公斤"}`,
		`"msgtype":"text","text":{"content":"好的，谢谢！🙏"}`,
		`"msgtype":"text","text":{"content":"收到货了，但是有一只杯子是碎的，\n照片发给你看一下，怎么处理？","menu_id":"101"}`,
		`"msgtype":"image","image":{"media_id":"3aKh8Qw0Tz5rYbN1mXc7VdLpEuJgSfRi2oBnMkHtWqZxCvAlDs4jFhGy6eUwPiOr"}`,
		`"msgtype":"link","link":{"title":"冬季新款","desc":"限时满减","url":"https:\/\/shop.example.cn\/item\/48151623?from=kf&src=1","pic_url":"https:\/\/img.example.cn\/a8s7d6f5.jpg"}`,
		`"msgtype":"miniprogram","miniprogram":{"title":"商品详情","appid":"wx0123456789abcdef","thumb_media_id":"3aKh8Qw0Tz5rYbN1mXc7VdLpEuJgSfRi","pagepath":"pages\/goods\/detail.html?goods_id=4711&share=1"}`,
		`"msgtype":"merged_msg","merged_msg":{"title":"群聊的聊天记录","item":[{"send_time":1700000001,"msgtype":"text","sender_name":"张三","msg_content":"{\"text\":{\"content\":\"在吗？\"}}"},{"send_time":1700000002,"msgtype":"text","sender_name":"李四","msg_content":"{\"text\":{\"content\":\"在的\"}}"}]}`,
	}
	const msgid = `{"msgid":"4kbench_`
	var b bytes.Buffer
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		at = append(at, b.Len()+len(msgid))
		if i%8 == 7 {
			fmt.Fprintf(&b, msgid+`%016d","send_time":%d,"origin":4,"msgtype":"event","event":{"event_type":"enter_session","open_kfid":"wkDESK","external_userid":"wm%030d","scene":"123","scene_param":"a%%3D1","welcome_code":"WelcomeCodeWelcomeCodeWelcomeCodeWelcome"}}`, i, 1700000000+i, i)
			continue
		}
		fmt.Fprintf(&b, msgid+`%016d","open_kfid":"wkDESK","external_userid":"wm%030d","send_time":%d,"origin":3,%s}`, i, i, 1700000000+i, kinds[i%len(kinds)])
	}
	return b.Bytes(), at
}

// endless is a platform that always has more: pages of n items that were never served before.
func endless(n int) http.HandlerFunc {
	list, at := mixed(n)
	var served atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		first := served.Add(int64(n)) - int64(n)
		page := fmt.Appendf(make([]byte, 0, len(list)+128), `{"errcode":0,"errmsg":"ok","next_cursor":"c%d","has_more":1,"msg_list":[`, first)
		begin := len(page)
		page = append(page, list...)
		for i, p := range at {
			_ = fmt.Appendf(page[:begin+p], "%016d", first+int64(i))
		}
		_, _ = w.Write(append(page, "]}"...)) // the puller may be gone
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

const (
	rounds  = 5
	lapSize = 16_000 // items that each contender stores in a round
)

// BenchmarkSyncer prints how this syncer compares with two bare ones over HTTP and a NATS server in this process, which
// share its cores: "async" publishes every item by itself with a message id, waits for all acks and then moves a cursor in
// a bucket; "txn" stores page and cursor as one atomic batch. Neither checks or routes anything. Contenders take turns,
// and each ratio is the median over the rounds: x-async and x-txn above 1 are faster, x-cpu-async and x-cpu-txn dearer,
// and x-one is how much faster several accounts are than one. parse-% is what reading, routing and writing the items
// takes of the CPU time.
func BenchmarkSyncer(b *testing.B) {
	for _, c := range []struct {
		always   bool
		accounts int
		page     int
	}{{false, 1, 500}, {false, 1, 999}, {false, 4, 500}, {false, 16, 500}, {true, 1, 500}, {true, 1, 999}, {true, 4, 999}} {
		name := fmt.Sprintf("sync=%s/accounts=%d/page=%d", map[bool]string{false: "default", true: "always"}[c.always], c.accounts, c.page)
		b.Run(name, func(b *testing.B) {
			r := newRace(b, c.always, c.page)
			for b.Loop() {
				r.run(b, c.accounts)
			}
		})
	}
}

// race is three syncers on one broker and one platform.
type race struct {
	*world
	replica *replica
	url     string
	page    int
	js      jetstream.JetStream
	kv      jetstream.KeyValue
	number  atomic.Int64 // of accounts
}

func newRace(b *testing.B, always bool, page int) *race {
	b.Helper()
	r := &race{world: &world{TB: b, ctx: func() context.Context { return context.Background() }, log: zerolog.Nop(),
		nats: testkit.NATS(b, func(o *localnats.Options) { o.SyncAlways = always })}, page: page}
	r.bus = r.connect("test")
	_, err := r.bus.Apply(r.ctx(), quick(2))
	r.must(err)
	srv := httptest.NewServer(endless(page))
	b.Cleanup(srv.Close)
	r.url = srv.URL
	r.client, err = kfapi.New(kfapi.Config{BaseURL: srv.URL})
	r.must(err)
	r.corp.CorpID, r.keeper = "ww1", &keeper{token: "t"}
	r.replica = r.prepare(small(page), func(c *Config, _ *Deps) { c.TokenlessPerMinute = 1 << 30 })
	r.js, err = jetstream.New(r.bus.NC)
	r.must(err)
	for _, name := range []string{"async", "txn"} {
		_, err = r.js.CreateStream(r.ctx(), jetstream.StreamConfig{Name: name, Subjects: []string{name + ".>"}, AllowRollup: true, AllowAtomicPublish: true})
		r.must(err)
	}
	r.kv, err = r.js.CreateKeyValue(r.ctx(), jetstream.KeyValueConfig{Bucket: "cursors"})
	r.must(err)
	return r
}

// lap is one contender's part of a round.
type lap struct{ rate, cpu float64 } // items a second, seconds an item

func (r *race) run(b *testing.B, accounts int) {
	b.Helper()
	contenders := map[string]func(int){"ours": r.ours, "async": r.async, "txn": r.txn}
	laps := map[string][]lap{}
	lapOf := func(name string, accounts int, pull func(pages int)) {
		pages := max(1, lapSize/r.page/accounts)
		began, spent := time.Now(), cpu()
		var wg sync.WaitGroup
		for range accounts {
			wg.Go(func() { pull(pages) })
		}
		wg.Wait()
		n := float64(pages * accounts * r.page)
		laps[name] = append(laps[name], lap{n / time.Since(began).Seconds(), (cpu() - spent).Seconds() / n})
	}
	for round := range rounds + 1 {
		for name, pull := range contenders {
			lapOf(name, accounts, pull)
		}
		if accounts > 1 {
			lapOf("one", 1, r.ours)
		}
		if round == 0 { // connections, code, caches
			clear(laps)
		}
	}
	median := func(of func(i int) float64) float64 {
		all := make([]float64, rounds)
		for i := range all {
			all[i] = of(i)
		}
		slices.Sort(all)
		return all[rounds/2]
	}
	ours := laps["ours"]
	for _, base := range []string{"async", "txn"} {
		b.ReportMetric(median(func(i int) float64 { return ours[i].rate / laps[base][i].rate }), "x-"+base)
		b.ReportMetric(median(func(i int) float64 { return ours[i].cpu / laps[base][i].cpu }), "x-cpu-"+base)
	}
	if accounts > 1 {
		b.ReportMetric(median(func(i int) float64 { return ours[i].rate / laps["one"][i].rate }), "x-one")
	}
	b.ReportMetric(median(func(i int) float64 { return ours[i].rate }), "items/s")
	each := median(func(i int) float64 { return ours[i].cpu })
	b.ReportMetric(each*1e6, "cpu-us/item")
	b.ReportMetric(100*r.split(b).Seconds()/each, "parse-%")
}

// split is the CPU time of an item from the platform's answer to what is handed to the NATS library.
func (r *race) split(b *testing.B) time.Duration {
	rec := httptest.NewRecorder()
	endless(r.page)(rec, httptest.NewRequest(http.MethodPost, "/", http.NoBody))
	o := origin{corp: "ww1", openKfID: desk, trace: testTrace, maxPayload: 1 << 20}
	const times = 20
	spent := cpu()
	for range times {
		var page kfapi.SyncMsgResponse
		r.must(page.UnmarshalJSON(rec.Body.Bytes()))
		ms, _, dead := o.split(events.Cursor{}, once(events.Cursor{}, page.MsgList))
		if len(ms) != r.page || len(dead) != 0 {
			b.Fatalf("got %d messages and %d dead of %d items", len(ms), len(dead), r.page)
		}
		for _, m := range ms {
			m.Item.AppendJSON(make([]byte, 0, len(m.Item.Raw)+640))
		}
	}
	return (cpu() - spent) / time.Duration(times*r.page)
}

// ours pulls pages of a new account as a turn does.
func (r *race) ours(pages int) {
	log := zerolog.Nop()
	account := fmt.Sprint("wk", r.number.Add(1))
	t := &turn{s: r.replica.Syncer, log: &log, bell: bell{Doorbell: events.Doorbell{Corp: "ww1", OpenKfID: account}}, trace: testTrace, limit: r.page}
	defer t.drop()
	for i := range pages {
		t.last = i == pages-1
		if _, err := t.page(r.ctx()); err != nil {
			r.Error(err)
			return
		}
	}
	if got := r.cursor(account).Seq; got != uint64(pages*r.page) {
		r.Errorf("got %d items counted, want %d", got, pages*r.page)
	}
}

// async is the bare syncer that most would write first, with every ack waited for.
func (r *race) async(pages int) {
	account := fmt.Sprint("wk", r.number.Add(1))
	rev, err := r.kv.Create(r.ctx(), account, nil)
	for range pages {
		if err != nil {
			break
		}
		var page kfapi.SyncMsgResponse
		if page, err = r.pull(); err != nil {
			break
		}
		acks := make([]jetstream.PubAckFuture, len(page.MsgList))
		for i, it := range page.MsgList {
			m := bare("async", account, it)
			m.Header = nats.Header{jetstream.MsgIDHeader: {it.MsgID}}
			acks[i], err = r.js.PublishMsgAsync(m)
			r.must(err)
		}
		for _, ack := range acks {
			select {
			case <-ack.Ok():
			case err := <-ack.Err():
				r.Error(err)
				return
			}
		}
		rev, err = r.kv.Update(r.ctx(), account, []byte(page.NextCursor), rev)
	}
	if err != nil {
		r.Error(err)
	}
}

// txn is the bare syncer with one atomic batch a page, the cursor last.
func (r *race) txn(pages int) {
	account := fmt.Sprint("wk", r.number.Add(1))
	last := uint64(0)
	for i := range pages {
		page, err := r.pull()
		if err != nil {
			r.Error(err)
			return
		}
		id := []string{account + "-" + strconv.Itoa(i)}
		cursor := &nats.Msg{Subject: "txn.cursor." + account, Data: []byte(page.NextCursor), Header: nats.Header{
			jetstream.ExpectedLastSubjSeqHeader: {strconv.FormatUint(last, 10)}, jetstream.MsgRollup: {jetstream.MsgRollupSubject},
			"Nats-Batch-Id": id, "Nats-Batch-Sequence": {strconv.Itoa(len(page.MsgList) + 1)}, "Nats-Batch-Commit": {"1"}}}
		for n, it := range page.MsgList {
			m := bare("txn", account, it)
			m.Header = nats.Header{jetstream.MsgIDHeader: {it.MsgID}, "Nats-Batch-Id": id, "Nats-Batch-Sequence": {strconv.Itoa(n + 1)}}
			r.must(r.bus.NC.PublishMsg(m))
		}
		answer, err := r.bus.NC.RequestMsgWithContext(r.ctx(), cursor)
		var ack struct {
			Seq   uint64
			Error *jetstream.APIError
		}
		if err == nil {
			err = json.Unmarshal(answer.Data, &ack)
		}
		if err != nil || ack.Error != nil {
			r.Errorf("%v %v", err, ack.Error)
			return
		}
		last = ack.Seq
	}
}

func (r *race) pull() (page kfapi.SyncMsgResponse, err error) {
	res, err := http.Post(r.url+"/cgi-bin/kf/sync_msg?access_token=t", "application/json", http.NoBody)
	if err != nil {
		return page, err
	}
	defer res.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(res.Body); err != nil {
		return page, err
	}
	return page, page.UnmarshalJSON(body.Bytes())
}

// bare is the least that is an event.
func bare(stream, account string, it kfapi.Item) *nats.Msg {
	b := fmt.Appendf(make([]byte, 0, len(it.Raw)+300), `{"specversion":"1.0","id":"%s","source":"/wecom/ww1/kf/%s","type":"kf.%s","time":"2023-11-14T22:13:20Z","datacontenttype":"application/json","data":`,
		it.MsgID, account, it.MsgType)
	return &nats.Msg{Subject: stream + ".kf." + account + "." + it.MsgType, Data: append(append(b, it.Raw...), '}')}
}
