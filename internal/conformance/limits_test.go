package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// limit is a documented limit that both sides keep: at is a request exactly at it, which both let pass; over is one beyond
// it, which the client refuses itself and the simulator with code. In both, $PIC is an uploaded picture, $GROUP the default
// group of the knowledge base and $INTENT a question there.
type limit struct {
	path, what string
	at, over   string
	code       int
	atCode     int          // what the request at the limit is refused with for another reason; 0 for none
	set        func(*world) // before each request; may be nil
}

// size is a limit on how much stands for § in a body.
func size(path, what, body, unit string, at, over, code int) limit {
	fill := func(n int) string { return strings.ReplaceAll(body, "§", strings.Repeat(unit, n)) }
	return limit{path: path, what: fmt.Sprintf("%s: %d, not %d", what, at, over), at: fill(at), over: fill(over), code: code}
}

// given adds what must be there first.
func (l limit) given(set func(*world)) limit { l.set = set; return l }

// anyway says that the request at the limit is refused for another reason.
func (l limit) anyway(code int) limit { l.atCode = code; return l }

func (l limit) fill(w *world, body string) string {
	if strings.Contains(body, "$PIC") {
		body = strings.ReplaceAll(body, "$PIC", w.file(kfapi.MediaImage))
	}
	if strings.Contains(body, "$GROUP") {
		body = strings.ReplaceAll(body, "$GROUP", w.groups(kfapi.KnowledgeListGroupRequest{})[0].GroupID)
	}
	if strings.Contains(body, "$INTENT") {
		body = strings.ReplaceAll(body, "$INTENT", anIntent(w))
	}
	return body
}

func everyLimit() []limit {
	var all []limit
	for _, part := range [][]limit{messageLimits(), itemLimits(), callLimits(), knowledgeLimits()} {
		all = append(all, part...)
	}
	return all
}

func TestLocalLimitsAgree(t *testing.T) {
	seen := map[string]bool{}
	for _, l := range everyLimit() {
		seen[l.path] = true
		t.Run(l.path+"/"+l.what, func(t *testing.T) {
			t.Parallel()
			l.check(t, l.at, true, l.atCode)
			l.check(t, l.over, false, l.code)
		})
	}
	for _, e := range kfapi.Endpoints() {
		if e.Style == kfapi.StyleJSON && e.Request != nil && !seen[e.Path] {
			t.Errorf("%s has no limit here", e.Path)
		}
	}
}

// check holds one request against both sides.
func (l limit) check(t *testing.T, body string, passes bool, code int) {
	t.Helper()
	w := newWorld(t)
	if l.set != nil {
		l.set(w)
	}
	body = l.fill(w, body)
	same(t, "the client lets it pass", local(t, l.path, body), passes)
	err := w.raw(l.path, body)
	if code != 0 {
		w.refused("the simulator", err, code)
	} else if err != nil {
		t.Errorf("the simulator: got %v, want success", err)
	}
}

// local reports whether the client would send a request.
func local(t *testing.T, path, body string) bool {
	t.Helper()
	e, ok := kfapi.LookupEndpoint(path)
	if !ok {
		t.Fatalf("there is no call %s", path)
	}
	err := e.Check(json.RawMessage(body))
	var limit *kfapi.LimitError
	if err != nil && !errors.As(err, &limit) {
		t.Errorf("the client: got %v, want a *LimitError", err)
	}
	return err == nil
}

// sendBody is the body of a send_msg with a message.
func sendBody(msgType, body string) string {
	return `{"touser":"` + ann + `","open_kfid":"` + desk + `","msgtype":"` + msgType + `","` + msgType + `":` + body + `}`
}

func (w *world) ready() {
	w.says(ann, "hello")
	w.corp(func(c *kfsim.Corp) { c.Members = append(c.Members, strings.Repeat("u", 64)) })
}

func messageLimits() []limit {
	long := func(prefix string) string { return prefix + strings.Repeat("x", 64-len(prefix)) }
	to := func(user, account string) string {
		return `{"touser":"` + user + `","open_kfid":"` + account + `","msgtype":"text","text":{"content":"x"}}`
	}
	strangers := func(w *world) {
		got(w.AddAccount(kfsim.Account{OpenKfID: long("wk")}))(w)
		got(w.AddCustomer(kfsim.Customer{ExternalUserID: long("wm")}))(w)
		got(w.CustomerSays(desk, long("wm"), "hello"))(w)
		got(w.CustomerSays(long("wk"), ann, "hello"))(w)
	}
	link := func(url string) string {
		return sendBody("link", `{"title":"T","url":"`+url+`","thumb_media_id":"$PIC"}`)
	}
	place := func(lat, long string) string {
		return sendBody("location", `{"latitude":`+lat+`,"longitude":`+long+`}`)
	}
	all := []limit{
		size(sending, "text", sendBody("text", `{"content":"§"}`), "x", 2048, 2049, 45002),
		size(sending, "text", sendBody("text", `{"content":"§"}`), "x", 1, 0, 44004),
		size(sending, "text in characters of 3 bytes", sendBody("text", `{"content":"xx§"}`), "客", 682, 683, 45002),
		size(sending, "msgid", strings.Replace(to(ann, desk), "{", `{"msgid":"§",`, 1), "x", 32, 33, 40058),
		{path: sending, what: "characters of a msgid", code: 40058, at: strings.Replace(to(ann, desk), "{", `{"msgid":"aZ09_-",`, 1), over: strings.Replace(to(ann, desk), "{", `{"msgid":"a.b",`, 1)},
		{path: sending, what: "customer", code: 40096, at: to(long("wm"), desk), over: to(long("wm")+"x", desk), set: strangers},
		{path: sending, what: "account", code: 95000, at: to(ann, long("wk")), over: to(ann, long("wk")+"x"), set: strangers},
		{path: sending, what: "type", code: 40008, at: to(ann, desk), over: strings.ReplaceAll(to(ann, desk), `"text"`, `"event"`)},
		size(sending, "media_id", sendBody("image", `{"media_id":"§"}`), "x", 128, 129, 40007).anyway(40007),
		size(sending, "media_id", sendBody("image", `{"media_id":"§"}`), "x", 1, 0, 41006).anyway(40007),
		size(sending, "url", link("https://e.example/§"), "x", 2048-18, 2049-18, 40058),
		{path: sending, what: "scheme", code: 45034, at: link("http://e.example"), over: link("ftp://e.example")},
		size(sending, "link title", sendBody("link", `{"title":"§","url":"https://e.example","thumb_media_id":"$PIC"}`), "x", 1, 0, 40058),
		size(sending, "pagepath", sendBody("miniprogram", `{"appid":"wx1","thumb_media_id":"$PIC","pagepath":"§"}`), "x", 1, 0, 40058),
		size(sending, "mini program", sendBody("miniprogram", `{"appid":"§","thumb_media_id":"$PIC","pagepath":"a"}`), "wx1", 1, 0, 90200),
		{path: sending, what: "north", code: 95022, at: place("90", "0"), over: place("90.01", "0")},
		{path: sending, what: "south", code: 95022, at: place("-90", "0"), over: place("-90.01", "0")},
		{path: sending, what: "east", code: 95022, at: place("0", "180"), over: place("0", "180.01")},
		{path: sending, what: "west", code: 95022, at: place("0", "-180"), over: place("0", "-180.01")},
		{path: sending, what: "no place", code: 40058, at: place("0", "0"), over: sendBody("location", `{"latitude":1}`)},
		size(sending, "card", sendBody("business_card", `{"userid":"§"}`), "u", 64, 65, 60111),
		{path: sending, what: "customer acquisition", code: 40058, at: sendBody("ca_link", `{"link_url":"https://work.weixin.qq.com/ca/x"}`), over: sendBody("ca_link", `{"link_url":"work.weixin.qq.com/ca/x"}`)},
	}
	for i := range all {
		if all[i].set == nil {
			all[i].set = (*world).ready
		}
	}
	return all
}

func itemLimits() []limit {
	menu := func(body string) string { return sendBody("msgmenu", body) }
	item := func(kind, body string) string {
		return menu(`{"list":[{"type":"` + kind + `","` + kind + `":` + body + `}]}`)
	}
	ten := strings.Repeat(`{"type":"text","text":{"content":"x"}},`, 9)
	all := []limit{
		size(sending, "menu head", menu(`{"head_content":"§"}`), "x", 1024, 1025, 40058),
		size(sending, "menu tail", menu(`{"tail_content":"§"}`), "x", 1024, 1025, 40058),
		size(sending, "menu items", menu(`{"list":[`+ten+`§{"type":"click","click":{"content":"x"}}]}`), `{"type":"view","view":{"url":"https://e.example","content":"x"}},`, 0, 1, 95008),
		size(sending, "click id", item("click", `{"id":"§","content":"x"}`), "x", 128, 129, 40058),
		size(sending, "click", item("click", `{"content":"§"}`), "x", 128, 129, 40058),
		size(sending, "click", item("click", `{"content":"§"}`), "x", 1, 0, 40058),
		size(sending, "view url", item("view", `{"url":"§","content":"x"}`), "x", 2048, 2049, 40058),
		size(sending, "view url", item("view", `{"url":"§","content":"x"}`), "x", 1, 0, 40058),
		size(sending, "view", item("view", `{"url":"x","content":"§"}`), "x", 1024, 1025, 40058),
		size(sending, "view", item("view", `{"url":"x","content":"§"}`), "x", 1, 0, 40058),
		size(sending, "menu appid", item("miniprogram", `{"appid":"wx§","pagepath":"a","content":"x"}`), "x", 30, 31, 40058),
		size(sending, "menu pagepath", item("miniprogram", `{"appid":"wx1","pagepath":"§","content":"x"}`), "x", 1024, 1025, 40058),
		size(sending, "menu mini program", item("miniprogram", `{"appid":"wx1","pagepath":"a","content":"§"}`), "x", 1024, 1025, 40058),
		size(sending, "menu mini program", item("miniprogram", `{"appid":"wx1","pagepath":"a","content":"§"}`), "x", 1, 0, 40058),
		size(sending, "menu text", item("text", `{"content":"§"}`), "x", 256, 257, 40058),
		size(sending, "menu text", item("text", `{"content":"§"}`), "x", 1, 0, 40058),
		{path: sending, what: "no_newline", code: 40058, at: item("text", `{"content":"x","no_newline":1}`), over: item("text", `{"content":"x","no_newline":2}`)},
		{path: sending, what: "kind of item", code: 95009, at: item("text", `{"content":"x"}`), over: item("jump", `{"content":"x"}`)},
	}
	for i := range all {
		all[i].set = (*world).ready
	}
	const reply = "kf/send_msg_on_event"
	body := func(m string) string { return `{"code":"c",` + m + `}` }
	return append(all, // the code is of nobody, which is looked at last
		size(reply, "text", body(`"msgtype":"text","text":{"content":"§"}`), "x", 2048, 2049, 45002).anyway(41050),
		size(reply, "msgid", body(`"msgid":"§","msgtype":"text","text":{"content":"x"}`), "x", 32, 33, 40058).anyway(41050),
		size(reply, "code", `{"code":"§","msgtype":"text","text":{"content":"x"}}`, "c", 1, 0, 41049).anyway(41050),
		limit{path: reply, what: "type", code: 40008, atCode: 41050, at: body(`"msgtype":"msgmenu","msgmenu":{"head_content":"x"}`), over: body(`"msgtype":"image","image":{"media_id":"x"}`)},
	)
}
