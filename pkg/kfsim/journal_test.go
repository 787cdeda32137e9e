package kfsim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// scene plays a bit of everything, without a network, and returns the ids that came up.
func (r *rig) scene() (ids []string) {
	r.t.Helper()
	r.must(r.AddServicer(Servicer{OpenKfID: kf, UserID: "lisi"}))
	code := r.enter()
	r.wantCode("welcome", r.onEvent(code, "text", obj{"msgid": "w1"}), 0)
	ids = append(ids, code, r.says(ann, "canary-text-1"), r.says(bob, "canary-text-2"))
	r.wantCode("send", r.post("kf/send_msg", obj{"touser": ann, "open_kfid": kf, "msgtype": "text", "msgid": "m1", "text": obj{"content": "canary-text-3"}}), 0)
	r.wantCode("send again", r.text("m1"), 40058)
	ids = append(ids, r.text("").str("msgid"))
	r.wantCode("recall", r.post("kf/recall_msg", obj{"msgid": "m1", "open_kfid": kf}), 0)
	ids = append(ids, r.trans(3, "lisi").str("msg_code"))
	r.must(r.FailSend(FailSend{kf, "m1", 13}))
	p := r.pull(obj{"limit": 2})
	ids = append(ids, p.str("next_cursor"), p.msgIDs(), r.pull(obj{"cursor": p.str("next_cursor")}).msgIDs(), r.token)
	_, err := r.AddFault(Fault{Kind: FaultErrCode, ErrCode: -1, Count: 1})
	r.must(err)
	r.wantCode("fault", r.pull(nil), -1)
	r.Clock().Advance(time.Hour)
	_, err = r.RevokeTokens("")
	r.must(err)
	return ids
}

func TestSeedRepeatsARun(t *testing.T) {
	run := func(seed uint64) (string, []string) {
		r := newRig(t, Config{Seed: seed})
		ids := r.scene()
		var b bytes.Buffer
		r.must(r.WriteJournal(&b))
		return b.String(), ids
	}
	journal, ids := run(5)
	again, idsAgain := run(5)
	if journal != again || !slices.Equal(ids, idsAgain) {
		t.Error("the same seed gave another run")
	}
	if _, other := run(6); other[0] == ids[0] || other[len(other)-1] == ids[len(ids)-1] {
		t.Error("another seed gave the same codes or tokens")
	}
}

func TestResetRepeatsARun(t *testing.T) {
	r := newRig(t, Config{Seed: 5})
	first := r.scene()
	r.Reset()
	if n := len(r.Journal()); n != 1 || r.Clock().Offset() != 0 || r.Calls("kf/send_msg") != 0 || len(r.State().Corps) != 0 {
		t.Errorf("after Reset: %d journal entries, offset %v, %d calls, %d corps", n, r.Clock().Offset(), r.Calls("kf/send_msg"), len(r.State().Corps))
	}
	r.furnish()
	if again := r.scene(); !slices.Equal(first, again) {
		t.Errorf("after Reset the same acts gave other ids:\n%q\n%q", first, again)
	}
}

func TestJournalIsComplete(t *testing.T) {
	r := newRig(t, Config{})
	r.scene()
	var got []string
	for _, e := range r.Journal() {
		if e.Kind != KindCallback { // one for each item
			got = append(got, fmt.Sprintf("%s %s %d %s", e.Kind, strings.TrimPrefix(e.Path, "kf/"), e.ErrCode, e.Change))
		}
	}
	want := []string{
		"corp  0 ", "account  0 ", "customer  0 ", "customer  0 ",
		"token  0 ", "call gettoken 0 ",
		"servicer  0 ",
		"item  0 ", "send send_msg_on_event 0 ", "call send_msg_on_event 0 ",
		"state  0 4->0", "item  0 ", "state  0 4->0", "item  0 ",
		"send send_msg 0 ", "state  0 0->1", "call send_msg 0 ",
		"call send_msg 40058 ",
		"send send_msg 0 ", "call send_msg 0 ",
		"recall  0 ", "call recall_msg 0 ",
		"state  0 1->3", "call service_state/trans 0 ",
		"fail  0 ", "item  0 ",
		"call sync_msg 0 ", "call sync_msg 0 ",
		"fault  0 ", "fault sync_msg 0 ", "fault  0 ", "call sync_msg -1 ",
		"clock  0 ", "token  0 ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	for i, e := range r.Journal() {
		if e.Seq != uint64(i+1) || e.Time.IsZero() {
			t.Errorf("entry %d has sequence number %d and time %v", i, e.Seq, e.Time)
		}
	}
	var pages []string
	for _, e := range r.kinds(KindCall) {
		if e.Path == "kf/sync_msg" && e.ErrCode == 0 {
			pages = append(pages, fmt.Sprintf("%d-%d %d more=%v", e.From, e.Next, len(e.Items), e.HasMore))
		}
	}
	if want := []string{"0-2 2 more=true", "2-4 2 more=false"}; !slices.Equal(pages, want) {
		t.Errorf("pages: got %q, want %q", pages, want)
	}
	if s := r.kinds(KindSend)[1]; s.Window != kf+"/"+ann+"#1" || s.Count != 1 || s.MsgID != "m1" || s.ExternalUserID != ann || s.App != 1 {
		t.Errorf("the send of m1: got %+v", s)
	}
}

func TestJournalHoldsNoSecret(t *testing.T) {
	r := newRig(t, Config{Personality: Personality{EchoTimeout: 20 * time.Second}})
	l := r.listen(nil)
	ids := r.scene()
	r.wait(KindDelivered, 4)
	r.must(r.VerifyURL(context.Background(), ""))
	var b bytes.Buffer
	r.must(r.WriteJournal(&b))
	r.mu.Lock()
	c := r.st.corps[corpA].Corp
	secrets := []string{"canary-text", ids[0], ids[4], r.token, c.CallbackToken, c.EncodingAESKey, "secret-one"}
	for code := range r.st.codes {
		secrets = append(secrets, code)
	}
	for token := range r.st.accounts[kf].syncTokens {
		secrets = append(secrets, token)
	}
	r.mu.Unlock()
	state := string(marshal(r.State()))
	for _, s := range secrets {
		if s == "" || strings.Contains(b.String(), s) || strings.Contains(state, s) {
			t.Errorf("the journal or the state holds the secret %q", s)
		}
	}
	if len(secrets) < 12 || len(l.got()) < 4 {
		t.Errorf("looked for %d secrets only", len(secrets))
	}
	for line := range strings.Lines(b.String()) {
		var e Entry
		r.must(json.Unmarshal([]byte(line), &e))
	}
}

func TestFollow(t *testing.T) {
	r := newRig(t, Config{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	seen := make(chan uint64)
	go func() {
		defer close(seen)
		for e := range r.Follow(ctx, 3) {
			seen <- e.Seq
		}
	}()
	want := uint64(3)
	for range 4 { // of the furnishing: 3, 4, 5, 6
		if got := <-seen; got != want {
			t.Errorf("got entry %d, want %d", got, want)
		}
		want++
	}
	for range 3 {
		r.Clock().Advance(time.Second)
		if got := <-seen; got != want {
			t.Errorf("got entry %d, want %d", got, want)
		}
		want++
	}
	r.Reset()
	if got := <-seen; got != want {
		t.Errorf("after Reset: got entry %d, want %d", got, want)
	}
	cancel()
	if _, open := <-seen; open {
		t.Error("following went on after its context ended")
	}
	for e := range r.Follow(context.Background(), 0) {
		if e.Kind != KindReset {
			t.Errorf("got %s first, want what is there after the Reset", e.Kind)
		}
		break
	}
}

func TestJournalLimit(t *testing.T) {
	const limit = 1000
	r := newRig(t, Config{JournalLimit: limit})
	for n := range 5000 {
		r.Clock().Advance(time.Second)
		if n == 200 && r.Journal()[0].Seq != 1 {
			t.Error("entries were dropped below the limit")
		}
	}
	all := r.Journal()
	last := all[len(all)-1].Seq
	if len(all) < limit || len(all) >= limit+chunk || all[0].Seq != last-uint64(len(all))+1 {
		t.Errorf("%d entries are kept, %d to %d; want the last %d at least", len(all), all[0].Seq, last, limit)
	}
	for from, want := range map[uint64]uint64{1: all[0].Seq, last - 3: last - 3, all[0].Seq + 700: all[0].Seq + 700} {
		for e := range r.Follow(context.Background(), from) {
			if e.Seq != want {
				t.Errorf("following from %d: got %d first, want %d", from, e.Seq, want)
			}
			break
		}
	}
	r.Reset()
	if all := r.Journal(); len(all) != 1 || all[0].Seq != last+1 {
		t.Errorf("after Reset: got %v", all)
	}
}

func TestClock(t *testing.T) {
	now := start()
	s, err := New(Config{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := s.Clock()
	if got := c.Now(); !got.Equal(start()) {
		t.Errorf("got %v, want the base", got)
	}
	c.Advance(49 * time.Hour)
	now = now.Add(time.Minute)
	if got, want := c.Now(), start().Add(49*time.Hour+time.Minute); !got.Equal(want) {
		t.Errorf("after 49 h and a minute: got %v, want %v", got, want)
	}
	to := time.Date(2030, 5, 6, 7, 8, 9, 0, time.FixedZone("", 3600))
	if got := c.Set(to); !got.Equal(to) || got.Location() != time.UTC {
		t.Errorf("set: got %v, want %v in UTC", got, to)
	}
	c.Advance(-time.Hour)
	if got := c.Now(); !got.Equal(to.Add(-time.Hour)) {
		t.Errorf("back an hour: got %v", got)
	}
}

func TestPhone(t *testing.T) {
	r := newRig(t, Config{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	changes := r.PhoneChanges(ctx)
	r.says(ann, "hi")
	r.says(bob, "hi")
	r.says(ann, "hi")
	var got []string
	for c := range changes {
		if got = append(got, c.ExternalUserID); len(got) == 2 {
			break
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, []string{ann, bob}) {
		t.Errorf("changes: got %v, want Ann and Bob once each", got)
	}
	r.enter()
	r.wantCode("send", r.text("m1"), 0)
	var lines []string
	for i, m := range r.Phone(kf, ann) {
		if m.N != i+1 {
			t.Errorf("line %d has number %d", i+1, m.N)
		}
		lines = append(lines, m.From+" "+m.MsgType+m.Notice)
	}
	if want := []string{"customer text", "customer text", "system entered", "account text"}; !slices.Equal(lines, want) {
		t.Errorf("got %q, want %q", lines, want)
	}
	if r.Phone(kf, "wmNOBODY") != nil {
		t.Error("a stranger has a phone")
	}
	done := make(chan struct{})
	go func() {
		for range r.PhoneChanges(ctx) {
		}
		close(done)
	}()
	cancel()
	<-done
	r.phones.mu.Lock()
	defer r.phones.mu.Unlock()
	if n := len(r.phones.subs); n != 0 {
		t.Errorf("got %d subscribers left, want none", n)
	}
}

func TestNewRefusesABadPersonality(t *testing.T) {
	for name, cfg := range map[string]Config{
		"repeated_msgid":    {Personality: Personality{RepeatedMsgID: "perhaps"}},
		"idle_cursor":       {Personality: Personality{IdleCursor: "perhaps"}},
		"repeated_gettoken": {Personality: Personality{RepeatedGetToken: "perhaps"}},
		"negative ttl":      {Personality: Personality{SyncTokenTTL: -1}},
		"tiny token ttl":    {Personality: Personality{AccessTokenTTL: 1}},
		"page cap":          {Personality: Personality{PageCap: -1}},
		"journal limit":     {JournalLimit: -1},
		"reorder":           {Callbacks: CallbackSwitches{Reorder: true}},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: New took it", name)
		}
	}
}

func TestTextInTheWrongPlaceStaysOutOfTheJournal(t *testing.T) {
	r := newRig(t, Config{})
	text := "canary text of a customer"
	r.wantCode("send", r.post("kf/send_msg", obj{"touser": text, "open_kfid": kf, "msgid": text, "msgtype": text}), 40058)
	r.wantCode("account", r.pull(obj{"open_kfid": text}), 95000)
	r.wantCode("state", r.post("kf/service_state/get", obj{"open_kfid": kf, "external_userid": text}), 40096)
	r.wantCode("recall", r.post("kf/recall_msg", obj{"open_kfid": kf, "msgid": text}), 95028)
	var b bytes.Buffer
	r.must(r.WriteJournal(&b))
	if strings.Contains(b.String(), "canary") {
		t.Errorf("the journal holds the text: %s", b.String())
	}
}

func TestOddIDs(t *testing.T) {
	r := newRig(t, Config{})
	account, customer := "wk a.*>\r\n", "wm.客户\x00"
	_, err := r.AddAccount(Account{OpenKfID: account, Name: "odd"})
	r.must(err)
	_, err = r.AddCustomer(Customer{ExternalUserID: customer})
	r.must(err)
	_, err = r.CustomerSays(account, customer, "hi")
	r.must(err)
	it := r.pull(obj{"open_kfid": account}).items()
	if len(it) != 1 || it[0].str("open_kfid") != account || it[0].str("external_userid") != customer {
		t.Errorf("got %v, want the odd ids as they are", it)
	}
	r.wantCode("send", r.post("kf/send_msg", obj{"touser": customer, "open_kfid": account, "msgtype": "text", "text": obj{"content": "x"}}), 0)
	if e := r.kinds(KindSend)[0]; e.OpenKfID != account || e.ExternalUserID != customer {
		t.Errorf("the journal says %+v", e)
	}
}
