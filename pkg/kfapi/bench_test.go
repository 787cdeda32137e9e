package kfapi

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// benchPage is a page of n mixed messages of about 300 bytes, in the mixture of a shop's day.
func benchPage(n int) []byte {
	texts := []string{
		"请问这款羽绒服有没有黑色 XL 码的？我身高 178，体重 75 公斤", "好的，谢谢！🙏", `是\"加绒\"那款吗？\n还是普通款`,
		"地址改成：广东省深圳市南山区科技园科兴科学城 B 座 1203，电话 138****2211", "Hi, is this item available in size M?",
		"今天活动满 300 减 50 是全场通用的吗？和会员折扣能一起用吗？如果不能的话我就分两单下，你帮我算算哪种更划算一些吧",
	}
	const kfid = "wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw"
	const media = "2iSLeVyqzk4eX0IB5kTi9Ljfa2rt9dwfq5WKRQ4Nvvgw2_HqH7ZM9LSmdmBzbGdJ"
	var b strings.Builder
	b.WriteString(`{"errcode":0,"errmsg":"ok","next_cursor":"4gw7MepFLfgF2VC5npN","has_more":1,"msg_list":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"msgid":"4kbench_%016d"`, i)
		ids := fmt.Sprintf(`"open_kfid":"%s","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM%06d"`, kfid, i)
		if i%8 == 7 {
			fmt.Fprintf(&b, `,"send_time":%d,"origin":4,"msgtype":"event","event":{"event_type":"enter_session",%s,"scene":"123","scene_param":"a=1","welcome_code":"%s"}}`, 1700000000+i, ids, media[:40])
			continue
		}
		fmt.Fprintf(&b, `,%s,"send_time":%d,"origin":3,"msgtype":`, ids, 1700000000+i)
		switch i % 16 {
		case 1, 3, 5:
			fmt.Fprintf(&b, `"image","image":{"media_id":"%s"}}`, media)
		case 9:
			fmt.Fprintf(&b, `"link","link":{"title":"%s","desc":"x","url":"https:\/\/shop.example\/item?id=%d&src=1","pic_url":"https:\/\/img.example\/%s.jpg"}}`, texts[i%6], i, media[:20])
		case 11:
			fmt.Fprintf(&b, `"location","location":{"latitude":31.123456,"longitude":121.654321,"name":"漕河泾新兴技术开发区","address":"上海市徐汇区虹梅路 2007 号"}}`)
		default:
			fmt.Fprintf(&b, `"text","text":{"content":"%s"}}`, texts[i%6])
		}
	}
	b.WriteString("]}")
	return []byte(b.String())
}

func BenchmarkPage(b *testing.B) {
	body := benchPage(1000)
	type route struct {
		MsgID          string `json:"msgid"`
		OpenKfID       string `json:"open_kfid"`
		ExternalUserID string `json:"external_userid"`
		SendTime       int64  `json:"send_time"`
		Origin         int    `json:"origin"`
		MsgType        string `json:"msgtype"`
		Event          struct {
			EventType      string `json:"event_type"`
			OpenKfID       string `json:"open_kfid"`
			ExternalUserID string `json:"external_userid"`
		} `json:"event"`
	}
	for _, c := range []struct {
		name string
		read func() int
	}{
		{"kfapi", func() int {
			pg, _ := readPage(body)
			return len(pg.items)
		}},
		{"encoding-json-twice", func() int {
			var pg struct {
				MsgList []json.RawMessage `json:"msg_list"`
			}
			json.Unmarshal(body, &pg)
			for _, raw := range pg.MsgList {
				var r route
				json.Unmarshal(raw, &r)
			}
			return len(pg.MsgList)
		}},
		{"json.Valid", func() int {
			json.Valid(body)
			return 1000
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if c.read() != 1000 {
					b.Fatal("not 1000 messages")
				}
			}
		})
	}
}

func BenchmarkSendBody(b *testing.B) {
	raw := []byte(`{"msgtype":"text","text":{"content":"今天活动满 300 减 50 是全场通用的吗？和会员折扣能一起用吗？"}}`)
	b.ReportAllocs()
	for b.Loop() {
		m, err := ParseMessage(raw)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := (SendMsgRequest{ToUser: "wm1", OpenKfID: "wk1", MsgID: "m1", Message: m}).encode(); err != nil {
			b.Fatal(err)
		}
	}
}

// The speed of a page rests on what is allocated for a message: its ids, and nothing for its names and its body.
func TestPageAllocatesLittle(t *testing.T) {
	body := benchPage(1000)
	if got := testing.AllocsPerRun(5, func() { readPage(body) }); got > 2100 {
		t.Errorf("got %v allocations for 1000 messages, want two each", got)
	}
}
