package kfapi

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// Every size limit: the edge passes, one byte more does not, and bytes are meant, not characters.
func TestSizes(t *testing.T) {
	menu := func(item MenuItem) Message { return MsgMenu{List: []MenuItem{item}} }
	for _, c := range []struct {
		field       string
		least, most int // most 0: none
		msg         func(s string) Message
	}{
		{"text.content", 1, 2048, func(s string) Message { return Text{s} }},
		{"image.media_id", 1, 128, func(s string) Message { return Image{s} }},
		{"voice.media_id", 1, 128, func(s string) Message { return Voice{s} }},
		{"video.media_id", 1, 128, func(s string) Message { return Video{s} }},
		{"file.media_id", 1, 128, func(s string) Message { return File{s} }},
		{"link.title", 1, 128, func(s string) Message { return Link{s, "", "http://e", "M"} }},
		{"link.desc", 0, 512, func(s string) Message { return Link{"t", s, "http://e", "M"} }},
		{"link.thumb_media_id", 1, 128, func(s string) Message { return Link{"t", "", "http://e", s} }},
		{"miniprogram.appid", 1, 0, func(s string) Message { return Miniprogram{s, "", "M", "p"} }},
		{"miniprogram.title", 0, 64, func(s string) Message { return Miniprogram{"a", s, "M", "p"} }},
		{"miniprogram.thumb_media_id", 1, 128, func(s string) Message { return Miniprogram{"a", "", s, "p"} }},
		{"miniprogram.pagepath", 1, 0, func(s string) Message { return Miniprogram{"a", "", "M", s} }},
		{"location.name", 0, 0, func(s string) Message { return Location{0, 0, s, ""} }},
		{"location.address", 0, 0, func(s string) Message { return Location{0, 0, "", s} }},
		{"business_card.userid", 1, 64, func(s string) Message { return BusinessCard{s} }},
		{"msgmenu.head_content", 0, 1024, func(s string) Message { return MsgMenu{HeadContent: s} }},
		{"msgmenu.tail_content", 0, 1024, func(s string) Message { return MsgMenu{TailContent: s} }},
		{"msgmenu.list[0].click.id", 0, 128, func(s string) Message { return menu(MenuItem{Type: "click", Click: &MenuClick{s, "c"}}) }},
		{"msgmenu.list[0].click.content", 1, 128, func(s string) Message { return menu(MenuItem{Type: "click", Click: &MenuClick{"", s}}) }},
		{"msgmenu.list[0].view.url", 1, 2048, func(s string) Message { return menu(MenuItem{Type: "view", View: &MenuView{s, "c"}}) }},
		{"msgmenu.list[0].view.content", 1, 1024, func(s string) Message { return menu(MenuItem{Type: "view", View: &MenuView{"u", s}}) }},
		{"msgmenu.list[0].miniprogram.appid", 1, 32, func(s string) Message {
			return menu(MenuItem{Type: "miniprogram", Miniprogram: &MenuMiniprogram{s, "p", "c"}})
		}},
		{"msgmenu.list[0].miniprogram.pagepath", 1, 1024, func(s string) Message {
			return menu(MenuItem{Type: "miniprogram", Miniprogram: &MenuMiniprogram{"a", s, "c"}})
		}},
		{"msgmenu.list[0].miniprogram.content", 1, 1024, func(s string) Message {
			return menu(MenuItem{Type: "miniprogram", Miniprogram: &MenuMiniprogram{"a", "p", s}})
		}},
		{"msgmenu.list[0].text.content", 1, 256, func(s string) Message { return menu(MenuItem{Type: "text", Text: &MenuText{s, false}}) }},
	} {
		sizes := map[int]bool{0: c.least == 0, 1: true} // size: passes
		if c.most > 0 {
			sizes[c.most], sizes[c.most+1] = true, false
		} else {
			sizes[5000] = true
		}
		for size, passes := range sizes {
			text := strings.Repeat("x", size)
			if size > 4 { // é is two bytes: half as many characters
				text = text[:size%2] + strings.Repeat("é", size/2)
			}
			got := limitOf(t, SendMsgRequest{"wm", "wk", "", c.msg(text)})
			if want := map[bool]string{true: "", false: c.field}[passes]; got != want {
				t.Errorf("%s of %d bytes: got %q, want %q", c.field, size, got, want)
			}
		}
	}
}

func TestLimitErrorHasTheNumbers(t *testing.T) {
	err := SendMsgRequest{"wm", "wk", "", Text{strings.Repeat("é", 1025)}}.Validate()
	var limit *LimitError
	if !errors.As(err, &limit) || limit.Limit != 2048 || limit.Got != 2050 || limit.Field != "text.content" {
		t.Errorf("got %+v, want text.content, 2050 of 2048", limit)
	}
}

func TestOtherLimits(t *testing.T) {
	items := func(n int) (m MsgMenu) {
		for i := range n {
			m.List = append(m.List, MenuItem{Type: "click", Click: &MenuClick{Content: fmt.Sprint(i)}})
		}
		return m
	}
	url := func(s string) Message { return Link{"t", "", s, "M"} }
	for _, c := range []struct {
		name string
		msg  Message
		want string
	}{
		{"10 items", items(10), ""},
		{"11 items", items(11), "msgmenu.list"},
		{"the third item", MsgMenu{List: append(items(2).List, MenuItem{Type: "text", Text: &MenuText{}})}, "msgmenu.list[2].text.content"},
		{"an unknown item", MsgMenu{List: []MenuItem{{Type: "button"}}}, "msgmenu.list[0].type"},
		{"an item without its body", MsgMenu{List: []MenuItem{{Type: "view", Click: &MenuClick{Content: "x"}}}}, "msgmenu.list[0].view"},
		{"http", url("http://e.example"), ""},
		{"HTTPS", url("HTTPS://e.example"), ""},
		{"no scheme", url("e.example"), "link.url"},
		{"another scheme", url("javascript:alert(1)"), "link.url"},
		{"url of 2048 bytes", url("http://" + strings.Repeat("x", 2041)), ""},
		{"url of 2049 bytes", url("http://" + strings.Repeat("x", 2042)), "link.url"},
		{"ca_link without a scheme", CALink{"work.weixin.qq.com/ca/x"}, "ca_link.link_url"},
		{"empty ca_link", CALink{}, "ca_link.link_url"},
		{"the corners of the earth", Location{Latitude: -90, Longitude: 180}, ""},
		{"the other corners", Location{Latitude: 90, Longitude: -180}, ""},
		{"beyond the pole", Location{Latitude: 90.0001}, "location.latitude"},
		{"beyond the other pole", Location{Latitude: -90.0001}, "location.latitude"},
		{"round the world", Location{Longitude: 180.0001}, "location.longitude"},
	} {
		if got := limitOf(t, SendMsgRequest{"wm", "wk", "", c.msg}); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
