package kfapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSyncMsg(t *testing.T) {
	text := `{"msgid":"m1","open_kfid":"wk1","external_userid":"wm1","send_time":1700000000,"origin":3,"msgtype":"text","text":{"content":"hello","menu_id":"101"}}`
	event := `{ "msgid" : "e1", "send_time":1700000010,"origin":4,"event":{"event_type":"enter_session","open_kfid":"wk1","external_userid":"wm2","scene":"s"},"msgtype":"event"}`
	typed := `{"msgid":"m2","open_kfid":"wk1","external_userid":"wm1","send_time":1700000002,"origin":5,"servicer_userid":"lisi","msgtype":"brand_new","brand_new":{"n":1.50}}`
	s := serve(t, says(`{"errcode":0,"errmsg":"ok","next_cursor":"c2","has_more":1,"msg_list":[ `+text+" ,\n"+event+`,`+typed+`]}`))
	got, err := s.SyncMsg(background(t), token, SyncMsgRequest{Cursor: "c1", SyncToken: "t1", Limit: 500, VoiceFormat: 1, OpenKfID: "wk1"})
	if err != nil {
		t.Fatal(err)
	}
	want := SyncMsgResponse{NextCursor: "c2", HasMore: true, MsgList: []Item{
		{Raw: []byte(text), MsgID: "m1", OpenKfID: "wk1", ExternalUserID: "wm1", SendTime: 1700000000, Origin: OriginCustomer, MsgType: "text"},
		{Raw: []byte(event), MsgID: "e1", OpenKfID: "wk1", ExternalUserID: "wm2", SendTime: 1700000010, Origin: OriginSystem, MsgType: "event", EventType: "enter_session"},
		{Raw: []byte(typed), MsgID: "m2", OpenKfID: "wk1", ExternalUserID: "wm1", SendTime: 1700000002, Origin: OriginServicer, ServicerUserID: "lisi", MsgType: "brand_new"},
	}}
	want.Reply = Reply{"ok", got.Raw}
	if !reflect.DeepEqual(got, want) || !strings.Contains(string(got.Raw), event) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	req := s.last(t)
	if want := `{"cursor":"c1","token":"t1","limit":500,"voice_format":1,"open_kfid":"wk1"}`; req.path != "/cgi-bin/kf/sync_msg" || req.body != want {
		t.Errorf("got %s %s, want %s", req.path, req.body, want)
	}
	if _, err := s.SyncMsg(background(t), token, SyncMsgRequest{}); err != nil || s.last(t).body != `{}` {
		t.Errorf("empty request: got %s, %v, want {}", s.last(t).body, err)
	}
}

func TestSyncMsgRefuses(t *testing.T) {
	c := client(t, "http://127.0.0.1:1")
	for _, req := range []SyncMsgRequest{{Limit: -1}, {Limit: 1001}, {VoiceFormat: 2}, {OpenKfID: strings.Repeat("x", 65)}} {
		var limit *LimitError
		if _, err := c.SyncMsg(background(t), token, req); !errors.As(err, &limit) {
			t.Errorf("%+v: got %v, want a LimitError", req, err)
		}
	}
}

func TestPage(t *testing.T) {
	for _, c := range []struct {
		name, body string
		next       string
		more       bool
		items      int
		code       int
		why        string
	}{
		{"empty with more", `{"errcode":0,"next_cursor":"c","has_more":1,"msg_list":[]}`, "c", true, 0, 0, ""},
		{"no list", `{"errcode":0,"next_cursor":"c","has_more":0}`, "c", false, 0, 0, ""},
		{"null list", `{"errcode":0,"has_more":0,"msg_list":null}`, "", false, 0, 0, ""},
		{"null cursor", `{"errcode":0,"has_more":0,"next_cursor":null}`, "", false, 0, 0, ""},
		{"booleans", `{"errcode":0,"has_more":true}`, "", true, 0, 0, ""},
		{"boolean false", `{"errcode":0,"has_more":false}`, "", false, 0, 0, ""},
		{"fields in any order", `{"msg_list":[{"msgtype":"text"}],"has_more":1,"x":{"has_more":0,"errcode":7},"errcode":0}`, "", true, 1, 0, ""},
		{"escaped keys", `{"err\u0063ode":0,"has_mor\u0065":1}`, "", true, 0, 0, ""},
		{"a refusal needs nothing else", `{"errcode":95007,"errmsg":"invalid msg token"}`, "", false, 0, 95007, ""},

		{"errcode missing", `{"has_more":0,"msg_list":[]}`, "", false, 0, 0, whyNoCode},
		{"errcode a string", `{"errcode":"0","has_more":0}`, "", false, 0, 0, whyNoCode},
		{"errcode in another case", `{"ErrCode":0,"has_more":0}`, "", false, 0, 0, whyNoCode},
		{"has_more missing", `{"errcode":0,"next_cursor":"c","msg_list":[]}`, "", false, 0, 0, "has_more missing"},
		{"has_more 2", `{"errcode":0,"has_more":2}`, "", false, 0, 0, "has_more is not 0 or 1"},
		{"has_more a string", `{"errcode":0,"has_more":"1"}`, "", false, 0, 0, "has_more is not 0 or 1"},
		{"has_more null", `{"errcode":0,"has_more":null}`, "", false, 0, 0, "has_more is not 0 or 1"},
		{"list an object", `{"errcode":0,"has_more":0,"msg_list":{}}`, "", false, 0, 0, "msg_list is not an array"},
		{"list a string", `{"errcode":0,"has_more":0,"msg_list":"x"}`, "", false, 0, 0, "msg_list is not an array"},
		{"list false", `{"errcode":0,"has_more":0,"msg_list":false}`, "", false, 0, 0, "msg_list is not an array"},
		{"cursor a number", `{"errcode":0,"has_more":0,"next_cursor":5}`, "", false, 0, 0, "next_cursor is not a string"},
		{"a cursor twice", `{"errcode":0,"has_more":0,"next_cursor":"a","next_cursor":"b"}`, "", false, 0, 0, "a key stands twice"},
		{"a list twice", `{"errcode":0,"has_more":0,"msg_list":[],"msg_list":[]}`, "", false, 0, 0, "a key stands twice"},
		{"a flaw in the head", `{"errcode":0,"has_more":0,"x":nul}`, "", false, 0, 0, whyNotJSON},
		{"a flaw in the head before a list", `{"errcode":0,"has_more":0,"x":"\q","msg_list":[{"msgtype":"x"}]}`, "", false, 0, 0, whyNotJSON},
		{"cut in the list", `{"errcode":0,"has_more":0,"msg_list":[{"msgid":"a"},{"msg`, "", false, 0, 0, whyNotJSON},
		{"cut behind the list", `{"errcode":0,"has_more":0,"msg_list":[]`, "", false, 0, 0, whyNotJSON},
		{"a comma too many", `{"errcode":0,"has_more":0,"msg_list":[{},]}`, "", false, 0, 0, whyNotJSON},
		{"a bracket too many", `{"errcode":0,"has_more":0,"msg_list":[{}]]}`, "", false, 0, 0, whyNotJSON},
		{"brackets crossed", `{"errcode":0,"has_more":0,"msg_list":[{"a":[}]]}`, "", false, 0, 0, whyNotJSON},
		{"something behind it", `{"errcode":0,"has_more":0}x`, "", false, 0, 0, whyNotJSON},
		{"an array", `[]`, "", false, 0, 0, whyNotJSON},
		{"empty", ``, "", false, 0, 0, whyNotJSON},
	} {
		pg, why := readPage([]byte(c.body))
		if why != c.why {
			t.Errorf("%s: got %q, want %q", c.name, why, c.why)
			continue
		}
		if why == "" && (pg.next != c.next || pg.hasMore != c.more || len(pg.items) != c.items || pg.code != c.code) {
			t.Errorf("%s: got %+v, want %+v", c.name, pg, c)
		}
	}
}

// A strange page is an error of SyncMsg that no caller can take for a page.
func TestStrangePageIsAnError(t *testing.T) {
	s := serve(t, says(`{"errcode":0,"errmsg":"ok","data":{"next_cursor":"x"}}`))
	got, err := s.SyncMsg(background(t), token, SyncMsgRequest{})
	var body *BodyError
	if !errors.As(err, &body) || !reflect.DeepEqual(got, SyncMsgResponse{}) {
		t.Errorf("got %+v, %v, want nothing and a BodyError", got, err)
	}
	s = serve(t, says(`{"errcode":95007,"errmsg":"invalid msg token"}`))
	if _, err = s.SyncMsg(background(t), token, SyncMsgRequest{}); err == nil || !codeIn(err, 95007) {
		t.Errorf("got %v, want 95007", err)
	}
}

// Pages may be much larger than other answers, but not without end.
func TestSyncMsgSizes(t *testing.T) {
	for _, c := range []struct {
		mib  int
		fits bool
	}{{2, true}, {64, false}} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `{"errcode":0,"has_more":0,"msg_list":[`)
			for range c.mib {
				w.Write(bytes.Repeat([]byte(" "), 1<<20))
			}
			io.WriteString(w, `]}`)
		})
		_, err := s.SyncMsg(background(t), token, SyncMsgRequest{})
		var body *BodyError
		if c.fits && err != nil || !c.fits && (!errors.As(err, &body) || body.Why != "larger than 67108864 bytes") {
			t.Errorf("%d MiB: got %v, want fits %v", c.mib, err, c.fits)
		}
	}
}

// One bad item keeps its bytes and says so; its neighbours do not notice.
func TestBadItems(t *testing.T) {
	good := `{"msgid":"ok","msgtype":"text","text":{}}`
	for _, c := range []struct{ name, raw, err string }{
		{"null", `null`, "item: item is not an object"},
		{"a number", `17`, "item: item is not an object"},
		{"a string", `"x,]}"`, "item: item is not an object"},
		{"an array", `[{"msgid":"x"}]`, "item: item is not an object"},
		{"empty", `{}`, "item without msgtype"},
		{"msgid a number", `{"msgid":5,"msgtype":"text"}`, "item: msgid is not a string"},
		{"msgtype an object", `{"msgid":"x","msgtype":{"a":[1]}}`, "item: msgtype is not a string"},
		{"open_kfid an array", `{"open_kfid":["x"],"msgtype":"text"}`, "item: open_kfid is not a string"},
		{"send_time a string", `{"msgtype":"text","send_time":"1700000000"}`, "item: send_time is not a whole number"},
		{"send_time a fraction", `{"msgtype":"text","send_time":1.5}`, "item: send_time is not a whole number"},
		{"send_time huge", `{"msgtype":"text","send_time":99999999999999999999}`, "item: send_time is not a whole number"},
		{"origin null", `{"msgtype":"text","origin":null}`, "item: origin is not a whole number"},
		{"event without its body", `{"msgtype":"event"}`, "item: event without event_type"},
		{"event a string", `{"msgtype":"event","event":"x"}`, "item: event without event_type"},
		{"event_type a number", `{"msgtype":"event","event":{"event_type":1}}`, "item: event_type is not a string"},
		{"not UTF-8", "{\"msgtype\":\"text\",\"text\":{\"content\":\"\xff\xfe\"}}", "item is not UTF-8"},
		{"not UTF-8 in an id", "{\"msgtype\":\"text\",\"msgid\":\"a\xffb\"}", "item is not UTF-8"},
		{"a bare control character", "{\"msgtype\":\"text\",\"text\":\"a\nb\"}", "item: a bare control character in a string"},
		{"a bad escape", `{"msgtype":"text","text":"\x \u12g4"}`, "item: a bad escape in a string"},
		{"a bad word", `{"msgtype":"text","n":NaN}`, "item: a bare word that is no JSON"},
		{"a bad number", `{"msgtype":"text","n":01}`, "item: a bare word that is no JSON"},
		{"far too deep", `{"msgtype":"text","x":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, "item: nested too deeply"},
	} {
		pg, why := readPage([]byte(`{"errcode":0,"has_more":0,"msg_list":[` + good + `, ` + c.raw + ` ,` + good + `]}`))
		if why != "" || len(pg.items) != 3 {
			t.Errorf("%s: got %q, %d items, want 3", c.name, why, len(pg.items))
			continue
		}
		for _, i := range []int{0, 2} {
			if it := pg.items[i]; it.Err != nil || string(it.Raw) != good || it.MsgID != "ok" {
				t.Errorf("%s: a neighbour is %+v", c.name, it)
			}
		}
		bad := pg.items[1]
		if bad.Err == nil || bad.Err.Error() != c.err || string(bad.Raw) != c.raw {
			t.Errorf("%s: got %v and %.60s, want %s", c.name, bad.Err, bad.Raw, c.err)
		}
		if !utf8.ValidString(bad.MsgID) {
			t.Errorf("%s: msgid %q is not UTF-8", c.name, bad.MsgID)
		}
		if again := ParseItem([]byte(c.raw)); !reflect.DeepEqual(again, bad) {
			t.Errorf("%s: ParseItem gives %+v, want %+v", c.name, again, bad)
		}
	}
}

func TestItemFields(t *testing.T) {
	for _, c := range []struct {
		name, raw string
		want      Item
	}{
		{"escapes are decoded", `{"msgtype":"te\u0078t","msgid":"a\/\"\u4f60","external_userid":"\ud83d\ude4f"}`,
			Item{MsgType: "text", MsgID: `a/"你`, ExternalUserID: "🙏"}},
		{"null is absent", `{"msgtype":"text","msgid":null,"servicer_userid":null,"open_kfid":null}`, Item{MsgType: "text"}},
		{"an event keeps the inner ids", `{"msgtype":"event","open_kfid":"outer","external_userid":"o","event":{"event_type":"x","open_kfid":"inner"}}`,
			Item{MsgType: "event", EventType: "x", OpenKfID: "inner", ExternalUserID: "o"}},
		{"a message ignores an event", `{"msgtype":"text","open_kfid":"wk","event":{"event_type":"x","open_kfid":"inner"}}`,
			Item{MsgType: "text", OpenKfID: "wk"}},
		{"fields of the body do not count", `{"text":{"msgid":"x","msgtype":"y","send_time":1},"msgtype":"text"}`, Item{MsgType: "text"}},
		{"keys are exact", `{"MsgType":"x","msgtype":"text","MSGID":"y"}`, Item{MsgType: "text"}},
		{"negative numbers", `{"msgtype":"text","send_time":-5,"origin":-1}`, Item{MsgType: "text", SendTime: -5, Origin: -1}},
	} {
		got := ParseItem([]byte(c.raw))
		c.want.Raw = []byte(c.raw)
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", c.name, got, c.want)
		}
	}
	for _, raw := range []string{``, `{`, `{"msgtype":"text"} x`, `x`} {
		if it := ParseItem([]byte(raw)); it.Err == nil || string(it.Raw) != raw {
			t.Errorf("%q: got %+v, want an error", raw, it)
		}
	}
	if it := ParseItem([]byte(" {\"msgtype\":\"text\"}\n")); it.Err != nil || it.MsgType != "text" {
		t.Errorf("white space: got %+v", it)
	}
}

// A page remembers the last account so as not to copy it again; that must never show.
func TestAccountsOfAPage(t *testing.T) {
	ids := []string{"wk1", "wk1", "wk", "wk12", `wk\"1`, `wk\"1`, "wk1", "", "wk1", "你", "你", `a\\n`, `a\n`, `a\\n`}
	var list []string
	for _, id := range ids {
		list = append(list, `{"msgtype":"text","open_kfid":"`+id+`"}`)
	}
	pg, why := readPage([]byte(`{"errcode":0,"has_more":0,"msg_list":[` + strings.Join(list, ",") + `]}`))
	if why != "" {
		t.Fatal(why)
	}
	for i, it := range pg.items {
		var want string
		json.Unmarshal([]byte(`"`+ids[i]+`"`), &want)
		if it.OpenKfID != want || it.Err != nil {
			t.Errorf("%d: got %q, %v, want %q", i, it.OpenKfID, it.Err, want)
		}
	}
}

// randomValue writes JSON with random layout, and what encoding/json would make of it is what counts.
func randomValue(r *rand.Rand, depth int) string {
	space := func() string { return []string{"", " ", "\n", "\t\r\n"}[r.IntN(4)] }
	text := func() string {
		parts := []string{`a`, `你好`, `🙏`, `\"`, `\\`, `\u4f60`, `\ud83d\ude4f`, `{`, `]`, `,`, `:`, ` `, `\/`, `12345678`}
		var b strings.Builder
		for range r.IntN(12) {
			b.WriteString(parts[r.IntN(len(parts))])
		}
		return `"` + b.String() + `"`
	}
	switch n := r.IntN(8); {
	case n < 2 && depth > 0:
		var b strings.Builder
		b.WriteString("{" + space())
		for i := range r.IntN(4) {
			if i > 0 {
				b.WriteString("," + space())
			}
			b.WriteString(text() + space() + ":" + space() + randomValue(r, depth-1) + space())
		}
		return b.String() + "}"
	case n < 4 && depth > 0:
		var b strings.Builder
		b.WriteString("[" + space())
		for i := range r.IntN(4) {
			if i > 0 {
				b.WriteString("," + space())
			}
			b.WriteString(randomValue(r, depth-1) + space())
		}
		return b.String() + "]"
	case n < 6:
		return text()
	case n < 7:
		return []string{"0", "-1", "1.50", "1e9", "-0.0E-2", "1700000000"}[r.IntN(6)]
	}
	return []string{"true", "false", "null"}[r.IntN(3)]
}

func TestItemsAreTheBytesOfTheWire(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 2000 {
		var raws []string
		body := `{"x":` + randomValue(r, 3) + `,"errcode":0,"has_more":1,"msg_list": [`
		for i := range r.IntN(6) {
			if i > 0 {
				body += " ,\n"
			}
			raw := fmt.Sprintf(`{"msgid":"m%d", "msgtype" :"text","text":%s,"z":%s}`, i, randomValue(r, 4), randomValue(r, 2))
			body += raw
			raws = append(raws, raw)
		}
		body += `] ,"y":` + randomValue(r, 3) + `}`
		if !json.Valid([]byte(body)) {
			t.Fatalf("the test makes bad JSON: %s", body)
		}
		pg, why := readPage([]byte(body))
		if why != "" || len(pg.items) != len(raws) {
			t.Fatalf("got %q and %d items, want %d: %s", why, len(pg.items), len(raws), body)
		}
		for i, it := range pg.items {
			if string(it.Raw) != raws[i] || it.Err != nil || it.MsgID != fmt.Sprintf("m%d", i) {
				t.Fatalf("item %d: got %+v\nof %s", i, it, body)
			}
		}
	}
}

// FuzzPage holds the splitter to encoding/json: it takes no more pages, and splits and reads those it takes the same way.
func FuzzPage(f *testing.F) {
	f.Add([]byte(`{"errcode":0,"errmsg":"ok","next_cursor":"c","has_more":1,"msg_list":[{"msgid":"m","msgtype":"text","text":{"content":"x"}}]}`))
	f.Add([]byte(`{"errcode":0,"has_more":0,"msg_list":[null,{"msgtype":"event","event":{"event_type":"e","open_kfid":"wk"}},"\ud83d\ude4f"]}`))
	f.Add([]byte(`{"errcode":95007}`))
	f.Add([]byte("{\"errcode\":0,\"has_more\":0,\"msg_list\":[\"\xff\",{\"a\":\"\x01\"},01]}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		pg, why := readPage(body)
		if why != "" {
			return
		}
		clean := true
		for _, it := range pg.items {
			if !bytes.Contains(body, it.Raw) {
				t.Fatalf("%q is not of the page", it.Raw)
			}
			if it.Err != nil {
				clean = false
				continue
			}
			if !json.Valid(it.Raw) || !utf8.Valid(it.Raw) {
				t.Fatalf("%q passes as JSON", it.Raw)
			}
		}
		if !clean {
			return
		}
		var all map[string]json.RawMessage
		if err := json.Unmarshal(body, &all); err != nil {
			t.Fatalf("%q passes as JSON: %v", body, err)
		}
		var list []json.RawMessage
		json.Unmarshal(all["msg_list"], &list)
		if len(list) != len(pg.items) {
			t.Fatalf("got %d items, want %d", len(pg.items), len(list))
		}
		for i, raw := range list {
			if !bytes.Equal(raw, pg.items[i].Raw) {
				t.Fatalf("item %d: got %q, want %q", i, pg.items[i].Raw, raw)
			}
			var fields map[string]any
			json.Unmarshal(raw, &fields)
			if got, want := pg.items[i].MsgType, fields["msgtype"]; got != want {
				t.Fatalf("item %d: got msgtype %q, want %q", i, got, want)
			}
			if want, ok := fields["msgid"].(string); ok && pg.items[i].MsgID != want {
				t.Fatalf("item %d: got msgid %q, want %q", i, pg.items[i].MsgID, want)
			}
		}
	})
}
