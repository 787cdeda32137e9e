package syncer

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

// mixedPage is msg_list of n items of the kinds and sizes that customers send.
func mixedPage(n int) []byte {
	kinds := []string{
		`"msgtype":"text","text":{"content":"请问这款羽绒服有没有黑色 XL 码的？我身高 178，体重 75 公斤"}`,
		`"msgtype":"text","text":{"content":"好的，谢谢！🙏"}`,
		`"msgtype":"text","text":{"content":"收到货了，但是有一只杯子是碎的，\n照片发给你看一下，怎么处理？","menu_id":"101"}`,
		`"msgtype":"image","image":{"media_id":"3aKh8Qw0Tz5rYbN1mXc7VdLpEuJgSfRi2oBnMkHtWqZxCvAlDs4jFhGy6eUwPiOr"}`,
		`"msgtype":"link","link":{"title":"冬季新款","desc":"限时满减","url":"https:\/\/shop.example.cn\/item\/48151623?from=kf&src=1","pic_url":"https:\/\/img.example.cn\/a8s7d6f5.jpg"}`,
		`"msgtype":"miniprogram","miniprogram":{"title":"商品详情","appid":"wx0123456789abcdef","thumb_media_id":"3aKh8Qw0Tz5rYbN1mXc7VdLpEuJgSfRi","pagepath":"pages\/goods\/detail.html?goods_id=4711&share=1"}`,
		`"msgtype":"merged_msg","merged_msg":{"title":"群聊的聊天记录","item":[{"send_time":1700000001,"msgtype":"text","sender_name":"张三","msg_content":"{\"text\":{\"content\":\"在吗？\"}}"},{"send_time":1700000002,"msgtype":"text","sender_name":"李四","msg_content":"{\"text\":{\"content\":\"在的\"}}"}]}`,
	}
	var b bytes.Buffer
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		if i%8 == 7 {
			fmt.Fprintf(&b, `{"msgid":"4kbench_%016d","send_time":%d,"origin":4,"msgtype":"event","event":{"event_type":"enter_session","open_kfid":"wkDESK","external_userid":"wm%030d","scene":"123","scene_param":"a%%3D1","welcome_code":"WelcomeCodeWelcomeCodeWelcomeCodeWelcome"}}`, i, 1700000000+i, i)
			continue
		}
		fmt.Fprintf(&b, `{"msgid":"4kbench_%016d","open_kfid":"wkDESK","external_userid":"wm%030d","send_time":%d,"origin":3,%s}`, i, i, 1700000000+i, kinds[i%len(kinds)])
	}
	return b.Bytes()
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPage pulls pages over HTTP and stores them; stub, broker and syncer share the process and its CPU time.
func BenchmarkPage(b *testing.B) {
	for _, n := range []int{100, 500, 999} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			w := emptyWorld(b)
			_, err := w.bus.Apply(w.ctx(), quick(2))
			w.must(err)
			list, page := mixedPage(n), 0
			srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				page++
				fmt.Fprintf(rw, `{"errcode":0,"errmsg":"ok","next_cursor":"c%d","has_more":1,"msg_list":[%s]}`, page, list)
			}))
			b.Cleanup(srv.Close)
			w.client, err = kfapi.New(kfapi.Config{BaseURL: srv.URL})
			w.must(err)
			w.corp.CorpID, w.keeper = "ww1", &keeper{token: "t"}
			s := w.prepare(small(n), func(c *Config, _ *Deps) { c.TokenlessPerMinute = 1 << 30 })
			log := zerolog.Nop()
			t := &turn{s: s.Syncer, log: &log, bell: bell{Doorbell: events.Doorbell{Corp: "ww1", OpenKfID: desk}}, trace: testTrace, limit: n}
			start := cpu()
			for b.Loop() {
				if _, err := t.page(w.ctx()); err != nil {
					b.Fatal(err)
				}
			}
			items := float64(b.N * n)
			b.ReportMetric(items/b.Elapsed().Seconds(), "items/s")
			b.ReportMetric(float64((cpu()-start).Microseconds())/items, "cpu-us/item")
			if got := w.cursor(desk).Seq; got != uint64(items) {
				b.Errorf("got %d items counted, want %v", got, items)
			}
		})
	}
}
