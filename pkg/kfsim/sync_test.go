package kfsim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPages(t *testing.T) {
	r := newRig(t, Config{})
	var want []string
	for i := range 25 {
		want = append(want, r.says([]string{ann, bob}[i%2], fmt.Sprint("message ", i)))
	}
	var got []string
	cursor, pages := "", 0
	for more := true; more; pages++ {
		p := r.pull(obj{"cursor": cursor, "limit": 10})
		r.wantCode("page", p, 0)
		got = append(got, strings.Fields(p.msgIDs())...)
		cursor, more = p.str("next_cursor"), p["has_more"] == 1.0
	}
	if !slices.Equal(got, want) || pages != 3 {
		t.Errorf("got %d items in %d pages, want the 25 in order in 3", len(got), pages)
	}
	if got := r.Served(kf); !slices.Equal(got, want) {
		t.Errorf("served: got %d items, want the 25 in order", len(got))
	}
	last := r.pull(obj{"cursor": cursor})
	if len(last.items()) != 0 || last["has_more"] != 0.0 || last.str("next_cursor") != cursor {
		t.Errorf("nothing new: got %v, want an empty page with the same cursor", last)
	}
	r.says(ann, "one more")
	if n := len(r.pull(obj{"cursor": cursor}).items()); n != 1 {
		t.Errorf("after one more: got %d items, want 1", n)
	}
}

func TestReusedCursorRepeatsByteForByte(t *testing.T) {
	r := newRig(t, Config{})
	for range 3 {
		r.says(ann, "hi")
	}
	cursor := r.pull(obj{"limit": 1}).str("next_cursor")
	page := func() string {
		body := fmt.Sprintf(`{"open_kfid":%q,"cursor":%q}`, kf, cursor)
		return r.do("POST", "kf/sync_msg", map[string][]string{"access_token": {r.token}}, strings.NewReader(body)).Body.String()
	}
	first := page()
	r.Clock().Advance(time.Hour)
	r.says(bob, "hi")
	if second := page(); second[:len(second)-1] == first || !strings.Contains(second, first[strings.Index(first, `"msg_list":[`)+12:len(first)-2]) {
		t.Errorf("the page read again differs in what it had:\n%s\n%s", first, second)
	}
	for _, it := range r.Items(kf)[1:] {
		if !strings.Contains(page(), string(it.Raw)) {
			t.Errorf("item %s is not served byte for byte", it.MsgID)
		}
	}
}

func TestBodyPassesByteForByte(t *testing.T) {
	r := newRig(t, Config{})
	body := `{"content" : "<b>&\u4f60</b>", "big":12345678901234567890123, "x": null,` + "\n" + `"x":1.50}`
	_, err := r.Say(Say{OpenKfID: kf, ExternalUserID: ann, MsgType: "text", Body: json.RawMessage(body)})
	r.must(err)
	poison := `{"msgtype":7, "text":[], "send_time":"x"}`
	id, err := r.Inject(kf, json.RawMessage(poison))
	r.must(err)
	raw := r.do("POST", "kf/sync_msg", map[string][]string{"access_token": {r.token}}, strings.NewReader(`{"open_kfid":"`+kf+`"}`)).Body.Bytes()
	for _, want := range []string{body, poison} {
		if !bytes.Contains(raw, []byte(want)) {
			t.Errorf("page %s lacks %s", raw, want)
		}
	}
	if got := r.Served(kf); len(got) != 2 || got[1] != id {
		t.Errorf("served: got %v, want two with %s last", got, id)
	}
}

func TestCursors(t *testing.T) {
	r := newRig(t, Config{})
	_, err := r.AddAccount(Account{OpenKfID: "wkOTHER"})
	r.must(err)
	r.says(ann, "hi")
	mine := r.pull(nil).str("next_cursor")
	foreign := r.post("kf/sync_msg", obj{"open_kfid": "wkOTHER"}).str("next_cursor")
	for _, c := range []struct {
		name, cursor string
		want         int
	}{
		{"own", mine, 0},
		{"another account's", foreign, 40058},
		{"made up", "cur_00000012", 40058},
		{"damaged", mine[:len(mine)-2] + "zz", 40058},
	} {
		r.wantCode(c.name, r.pull(obj{"cursor": c.cursor}), c.want)
	}
	if len(mine) > 64 {
		t.Errorf("the cursor has %d bytes, want 64 at most", len(mine))
	}
	again := newRig(t, Config{})
	again.wantCode("of the same seed, but beyond the history", again.pull(obj{"cursor": mine}), 40058)
	odd := newRig(t, Config{Personality: Personality{UnknownCursorCode: 95007}})
	odd.wantCode("with another code", odd.pull(obj{"cursor": "x"}), 95007)
}

func TestIdleCursor(t *testing.T) {
	for _, mode := range []string{IdleSame, IdleFresh, IdleEmpty} {
		r := newRig(t, Config{Personality: Personality{IdleCursor: mode}})
		r.says(ann, "hi")
		cursor := r.pull(nil).str("next_cursor")
		next := r.pull(obj{"cursor": cursor}).str("next_cursor")
		ok := map[string]bool{IdleSame: next == cursor, IdleFresh: next != cursor && next != "", IdleEmpty: next == ""}
		if !ok[mode] {
			t.Errorf("%s: got %q after %q", mode, next, cursor)
		}
		if mode != IdleFresh {
			continue
		}
		id := r.says(ann, "more")
		if got := r.pull(obj{"cursor": next}).msgIDs(); got != id {
			t.Errorf("%s: the fresh cursor gives %q, want %q", mode, got, id)
		}
	}
}

func TestEmptyPagesWithMore(t *testing.T) {
	r := newRig(t, Config{Personality: Personality{EmptyPageEvery: 2, PageCap: 2}})
	for range 6 {
		r.says(ann, "hi")
	}
	cursor, sizes := "", ""
	for range 6 {
		p := r.pull(obj{"cursor": cursor})
		sizes += fmt.Sprintf("%d/%v ", len(p.items()), p["has_more"])
		cursor = p.str("next_cursor")
	}
	if want := "2/1 0/1 2/1 0/1 2/0 0/1 "; sizes != want {
		t.Errorf("got pages %q, want %q", sizes, want)
	}
	if got := len(r.Served(kf)); got != 6 {
		t.Errorf("got %d items served, want 6", got)
	}
	endless := newRig(t, Config{Personality: Personality{EmptyPageEvery: 1}})
	endless.says(ann, "hi")
	p := endless.pull(nil)
	q := endless.pull(obj{"cursor": p.str("next_cursor")})
	if q.str("next_cursor") != p.str("next_cursor") || q["has_more"] != 1.0 || len(q.items()) != 0 {
		t.Errorf("endless: got %v then %v, want the same cursor with has_more for ever", p, q)
	}
}

func TestLimit(t *testing.T) {
	r := newRig(t, Config{})
	for range 1001 {
		r.says(ann, "hi")
	}
	for _, c := range []struct {
		limit any
		want  int
		code  int
	}{{0, 1000, 0}, {1, 1, 0}, {1000, 1000, 0}, {1001, 0, 40058}, {-1, 0, 40058}, {"5", 0, 40058}} {
		p := r.pull(obj{"limit": c.limit})
		r.wantCode(fmt.Sprint("limit ", c.limit), p, c.code)
		if got := len(p.items()); got != c.want {
			t.Errorf("limit %v: got %d items, want %d", c.limit, got, c.want)
		}
	}
	r.wantCode("voice_format 1", r.pull(obj{"voice_format": 1, "limit": 1}), 0)
	r.wantCode("voice_format 2", r.pull(obj{"voice_format": 2}), 40058)
}

func TestHistoryIsThreeDays(t *testing.T) {
	r := newRig(t, Config{})
	old := r.says(ann, "old")
	cursor := r.pull(nil).str("next_cursor")
	r.says(ann, "old too")
	r.jump(time.Second)
	young := r.says(ann, "young")
	r.jump(72*time.Hour - 2*time.Second)
	if got := r.pull(nil).msgIDs(); !strings.HasPrefix(got, old) {
		t.Errorf("a second before 3 days: got %q, want %q first", got, old)
	}
	r.jump(time.Second)
	if got := r.pull(nil).msgIDs(); got != young {
		t.Errorf("at 3 days sharp: got %q, want only %q", got, young)
	}
	if got := r.pull(obj{"cursor": cursor}).msgIDs(); got != young {
		t.Errorf("a cursor into what is gone: got %q, want %q", got, young)
	}
	r.Clock().Advance(-time.Hour)
	if got := r.pull(nil).msgIDs(); got != young {
		t.Errorf("after the clock went back: got %q, want what was gone to stay gone", got)
	}
	if got := len(r.Items(kf)); got != 3 {
		t.Errorf("the oracle has %d items, want all 3", got)
	}
}

func TestOpenKfIDMissing(t *testing.T) {
	r := newRig(t, Config{})
	r.wantCode("strict", r.post("kf/sync_msg", obj{}), 40058)

	loose := newRig(t, Config{Personality: Personality{OptionalOpenKfID: true}})
	_, err := loose.AddAccount(Account{OpenKfID: "wkOTHER"})
	loose.must(err)
	one := loose.says(ann, "hi")
	two, err := loose.CustomerSays("wkOTHER", bob, "hi")
	loose.must(err)
	if got := loose.post("kf/sync_msg", obj{}).msgIDs(); got != one+" "+two {
		t.Errorf("loose: got %q, want both accounts' items", got)
	}
	if got := loose.pull(nil).msgIDs(); got != one {
		t.Errorf("loose with an account: got %q, want its own", got)
	}
}

func TestSyncToken(t *testing.T) {
	r := newRig(t, Config{})
	_, err := r.AddAccount(Account{OpenKfID: "wkOTHER"})
	r.must(err)
	token := func() string { r.mu.Lock(); defer r.mu.Unlock(); return r.syncToken(r.st.accounts[kf]) }
	tok := token()
	r.wantCode("good", r.pull(obj{"token": tok}), 0)
	r.wantCode("good again", r.pull(obj{"token": tok}), 0)
	r.wantCode("for another account", r.pull(obj{"token": tok, "open_kfid": "wkOTHER"}), 95007)
	r.wantCode("made up", r.pull(obj{"token": "ENCx"}), 95007)
	r.jump(10*time.Minute - time.Second)
	r.wantCode("a second before 10 minutes", r.pull(obj{"token": tok}), 0)
	r.jump(time.Second)
	r.wantCode("at 10 minutes sharp", r.pull(obj{"token": tok}), 95007)
	tok = token()
	r.wantCode("a new one", r.pull(obj{"token": tok}), 0)
	if n, err := r.ExpireSyncTokens(kf); err != nil || n != 1 {
		t.Errorf("expire: got %d, %v, want 1", n, err)
	}
	r.wantCode("expired by hand", r.pull(obj{"token": tok}), 95007)
}

func TestTokenlessBudget(t *testing.T) {
	r := newRig(t, Config{})
	_, err := r.AddAccount(Account{OpenKfID: "wkOTHER"})
	r.must(err)
	for i := range 60 {
		r.wantCode(fmt.Sprint("call ", i+1), r.pull(nil), 0)
	}
	r.wantCode("61st", r.pull(nil), 45009)
	r.wantCode("another account", r.pull(obj{"open_kfid": "wkOTHER"}), 0)
	r.Clock().Advance(59 * time.Second)
	r.wantCode("still blocked", r.pull(nil), 45009)
	r.Clock().Advance(time.Second)
	r.wantCode("after the block", r.pull(nil), 0)
}

func TestEventsWithoutMsgID(t *testing.T) {
	for without := range map[bool]bool{true: true, false: false} {
		r := newRig(t, Config{Personality: Personality{EventsWithoutMsgID: without}})
		id, err := r.Enter(Enter{OpenKfID: kf, ExternalUserID: ann})
		r.must(err)
		it := r.pull(nil).items()[0]
		if has := it.str("msgid") == id; has == without {
			t.Errorf("events_without_msgid %v: got msgid %q", without, it.str("msgid"))
		}
		if it["open_kfid"] != nil || it["external_userid"] != nil || it["origin"] != 4.0 {
			t.Errorf("an event has its account or customer at the top, or a wrong origin: %v", it)
		}
		if got := r.Served(kf); len(got) != 1 || got[0] != id {
			t.Errorf("served: got %v, want %s", got, id)
		}
	}
}

func BenchmarkSayAndPull(b *testing.B) {
	r := newRig(b, Config{Personality: Personality{TokenlessPerMinute: -1, CallsPerMinute: -1, CallsPerHour: -1, IPCallsPerMinute: -1, IPCallsPerHour: -1}})
	cursor := ""
	for b.Loop() {
		r.says(ann, "hello")
		cursor = r.pull(obj{"cursor": cursor}).str("next_cursor")
	}
}
