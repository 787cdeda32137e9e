package kfsim

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// everyFault is a script under which nearly everything goes wrong now and then.
const everyFault = `{"steps":[
	{"at":"0s", "fault":{"kind":"latency","delay":"5ms","jitter":"20ms","probability":0.2}},
	{"at":"0s", "fault":{"kind":"refuse_connection","probability":0.05}},
	{"at":"0s", "fault":{"kind":"errcode","errcode":-1,"path":"kf/sync_msg","probability":0.1}},
	{"at":"0s", "fault":{"kind":"errcode","errcode":60020,"path":"kf/send_msg","external_userid":"wmBOB","probability":0.1}},
	{"at":"0s", "fault":{"kind":"reset_after","path":"kf/send_msg","probability":0.1}},
	{"at":"0s", "fault":{"kind":"http_500_before","probability":0.05}},
	{"at":"0s", "fault":{"kind":"http_500_after","path":"kf/send_msg","probability":0.1}},
	{"at":"0s", "fault":{"kind":"garbage_after","probability":0.05}},
	{"at":"0s", "fault":{"kind":"cut_after","probability":0.05}},
	{"at":"0s", "fault":{"kind":"redirect","probability":0.02}},
	{"at":"0s", "fault":{"kind":"late_effect","path":"kf/send_msg","delay":"1s","probability":0.1}},
	{"at":"0s", "fault":{"kind":"revoke_token","path":"kf/send_msg","probability":0.05}},
	{"at":"0s", "fault":{"kind":"duplicate_item","probability":0.1}},
	{"at":"0s", "fault":{"kind":"empty_page","probability":0.1}},
	{"at":"0s", "fault":{"kind":"hostile_item","probability":0.1}},
	{"at":"0s", "fault":{"kind":"callback_lost","probability":0.1}},
	{"at":"0s", "fault":{"kind":"callback_duplicated","probability":0.1}},
	{"at":"0s", "fault":{"kind":"callback_repeated","probability":0.1}},
	{"at":"0s", "fault":{"kind":"callback_bad_signature","probability":0.1}},
	{"after":{"calls":100}, "fault":{"kind":"block_minute","path":"kf/send_msg","count":1}},
	{"after":{"calls":150}, "clock":{"speed":60}},
	{"after":{"path":"kf/sync_msg","calls":60}, "personality":{"fresh_retry":true,"idle_cursor":"fresh"}},
	{"at":"10m", "say":{"open_kfid":"wkDESK","external_userid":"wmBOB","text":"still there?"}},
	{"at":"3h", "remove_faults":{}}]}`

// replay plays the script to one client, which pulls, sends and takes tokens as its own dice say, and
// returns the journal and everything the client saw.
func replay(t *testing.T, seed uint64) (journal, seen string) {
	t.Helper()
	now := start()
	m := &mailbox{}
	r := newRig(t, Config{Seed: seed, Now: func() time.Time { return now }, Transport: m, CallbackWorkers: 1,
		Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }, Personality: Personality{TokenlessPerMinute: -1}})
	r.mail(m)
	r.LoadScript(mustScript(t, everyFault))
	dice, cursor := rand.New(rand.NewPCG(1, 2)), ""
	var log strings.Builder
	for i := range 400 {
		now = now.Add(time.Second)
		r.Clock().Advance(0)
		who := []string{ann, bob}[dice.IntN(2)]
		if dice.IntN(3) == 0 {
			r.says(who, fmt.Sprint("message ", i))
		}
		r.must(r.Settle(t.Context()))
		path, body := "kf/sync_msg", any(obj{"open_kfid": kf, "cursor": cursor, "limit": 3})
		if dice.IntN(2) == 0 {
			path, body = "kf/send_msg", textTo(who, fmt.Sprint("m", dice.IntN(200)))
		}
		w, ok := r.dare(path, body)
		fmt.Fprintf(&log, "%v %d %s\n", ok, w.Code, w.Body)
		if a := (answered{}); ok && w.Code == http.StatusOK && decodeStrict(w.Body.Bytes(), &a) == nil {
			if a.code() == 40014 || a.code() == 42001 {
				r.token = r.tryToken(r.token)
			}
			if next := a.str("next_cursor"); next != "" {
				cursor = next
			}
		}
		r.must(r.Settle(t.Context()))
	}
	var b bytes.Buffer
	r.must(r.WriteJournal(&b))
	fmt.Fprint(&log, m.got)
	return b.String(), log.String()
}

// dare makes a call that a fault may cut: then ok is false.
func (r *rig) dare(path string, body any) (w *httptest.ResponseRecorder, ok bool) {
	w = httptest.NewRecorder()
	defer func() { ok = recover() == nil }()
	r.http.ServeHTTP(w, httptest.NewRequest("POST", "/cgi-bin/"+path+"?access_token="+r.token, bytes.NewReader(marshal(body))))
	return w, true
}

func (r *rig) tryToken(old string) string {
	w := httptest.NewRecorder()
	ok := func() (ok bool) {
		defer func() { ok = recover() == nil }()
		r.http.ServeHTTP(w, httptest.NewRequest("GET", "/cgi-bin/gettoken?corpid="+corpA+"&corpsecret=secret-one", nil))
		return true
	}()
	var a answered
	if !ok || decodeStrict(w.Body.Bytes(), &a) != nil || a.code() != 0 {
		return old
	}
	return a.str("access_token")
}

// TestASeedReplaysAScript: two runs, the same journal, byte for byte, and the same bytes to the client.
func TestASeedReplaysAScript(t *testing.T) {
	journal, seen := replay(t, 11)
	again, seenAgain := replay(t, 11)
	if journal != again {
		t.Errorf("the journals part at %s", parting(journal, again))
	}
	if seen != seenAgain {
		t.Errorf("what the client saw parts at %s", parting(seen, seenAgain))
	}
	if other, _ := replay(t, 12); other == journal {
		t.Error("another seed made the same journal")
	}
	for _, k := range faultKinds() {
		if strings.Contains(everyFault, `"`+k.name+`"`) && !strings.Contains(journal, `"fault":"`+k.name+`"`) {
			t.Errorf("no call was struck by %s", k.name)
		}
	}
	if n := strings.Count(journal, "\n"); n < 1500 {
		t.Errorf("the journal has %d entries only", n)
	}
}

// parting shows the first lines that differ.
func parting(a, b string) string {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(as), len(bs)) {
		if as[i] != bs[i] {
			return fmt.Sprintf("line %d:\n%.400s\n%.400s", i+1, as[i], bs[i])
		}
	}
	return "the end of the shorter one"
}
