package ingress

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfcrypto"
)

// signedAt is a request for a path, signed at a time.
func signedAt(t *testing.T, c *kfcrypto.Codec, path, plain, receiveID string, at time.Time) *http.Request {
	t.Helper()
	ts := strconv.FormatInt(at.Unix(), 10)
	s, err := c.Seal(rnd{}, ts, nonceOf, []byte(plain), receiveID)
	if err != nil {
		t.Fatal(err)
	}
	q := url.Values{"msg_signature": {s.MsgSignature}, "timestamp": {ts}, "nonce": {nonceOf}}
	return httptest.NewRequest("POST", path+"?"+q.Encode(), strings.NewReader(string(s.XML())))
}

// TestTwoCorps: every pair of a path and a corp's callback but its own is refused, by keys, by receiveid and by the name inside.
func TestTwoCorps(t *testing.T) {
	b, _ := testkit.Bus(t)
	const shop, desk = "ww0000000000shop", "ww0000000000desk"
	keys := map[string]string{shop: kfcrypto.GenerateKey().Reveal(), desk: kfcrypto.GenerateKey().Reveal()}
	door := func(name, id, key string) Door {
		d := doorConfig()
		d.Name, d.CorpID, d.EncodingAESKey = name, id, service.NewSecret(key)
		return d
	}
	in, err := New(config(), []Door{door("shop", shop, keys[shop]), door("desk", desk, keys[desk])}, deps(), b)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t, in, b, nil, nil}
	codec := func(id string) *kfcrypto.Codec {
		c, err := kfcrypto.New(token, keys[id], kfcrypto.AnyReceiveID)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for path, owner := range map[string]string{"/callback/shop": shop, "/wework/callback/desk": desk} {
		for _, sealer := range []string{shop, desk} {
			for _, receiver := range []string{shop, desk} {
				for _, named := range []string{shop, desk} {
					plain := strings.ReplaceAll(kf("wk"+sealer+receiver+named, "E"), corp, named)
					want := http.StatusForbidden
					if sealer == owner && receiver == owner && named == owner {
						want = http.StatusOK
					}
					if code, _ := r.ask(signedAt(t, codec(sealer), path, plain, receiver, noon())); code != want {
						t.Errorf("%s: keys of %s, for %s, to %s: got %d, want %d", path, sealer, receiver, named, code, want)
					}
				}
			}
		}
	}
	if n := r.stored(events.StreamCallback); n != 2 {
		t.Errorf("%d doorbells, want one of each corp", n)
	}
	if code, _ := r.ask(signedAt(t, codec(shop), "/callback", kf("wk", "E"), shop, noon())); code != http.StatusNotFound {
		t.Errorf("the path without a name: got %d, want 404", code)
	}
}

// TestSuite: a third-party app's callbacks come with its suiteid.
func TestSuite(t *testing.T) {
	b, _ := testkit.Bus(t)
	d := doorConfig()
	d.ReceiveID = []string{"ww0000000suite"}
	in, err := New(config(), []Door{d}, deps(), b)
	if err != nil {
		t.Fatal(err)
	}
	c, err := kfcrypto.New(token, aesKey, kfcrypto.AnyReceiveID)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t, in, b, c, nil}
	plain := `<xml><SuiteId>ww0000000suite</SuiteId><InfoType>suite_ticket</InfoType><TimeStamp>1700000000</TimeStamp><SuiteTicket>x</SuiteTicket></xml>`
	if code, body := r.ask(signedAt(t, c, "/callback", plain, "ww0000000suite", noon())); code != 200 || body != "success" {
		t.Errorf("with the suiteid: got %d %s", code, body)
	}
	if code, _ := r.ask(signedAt(t, c, "/callback", plain, corp, noon())); code != 403 {
		t.Errorf("with the corpid: got %d, want 403", code)
	}
	m, err := b.Last(testkit.Context(t), events.StreamMessage, "kf.app."+corp+".>")
	if err != nil || !strings.Contains(m.Subject, ".event.suite_ticket.") {
		t.Errorf("stored on %s, %v", m.Subject, err)
	}
}

// TestStale: what is truly signed but of another time is kept, and never believed to be news.
func TestStale(t *testing.T) {
	for _, c := range []struct {
		name  string
		at    time.Duration
		stale bool
	}{
		{"now", 0, false},
		{"a late repeat", -10 * time.Minute, false},
		{"older than any repeat", -10*time.Minute - time.Second, true},
		{"yesterday", -24 * time.Hour, true},
		{"a clock a little ahead", 5 * time.Minute, false},
		{"from the future", 5*time.Minute + time.Second, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := open(t)
			for i := range 3 { // three callbacks, each with bytes of its own
				plain := kf("wk1", fmt.Sprint("ENC", i))
				if code, body := r.ask(signedAt(t, r.codec, "/callback", plain, corp, noon().Add(c.at))); code != 200 || body != "success" {
					t.Fatalf("got %d %s", code, body)
				}
			}
			m, err := r.b.Last(testkit.Context(t), events.StreamCallback, "kf.lane.callback.*.*.wk1")
			if err != nil {
				t.Fatal(err)
			}
			e, err := m.Event()
			if err != nil {
				t.Fatal(err)
			}
			var bell events.Doorbell
			if err := e.DataAs(&bell); err != nil || (bell.SyncToken == "") != c.stale {
				t.Errorf("got sync token %q, %v", bell.SyncToken, err)
			}
			want := uint64(2) // one in hand, one waiting
			if c.stale {
				want = 1
			}
			if n := r.stored(events.StreamCallback); n != want {
				t.Errorf("%d doorbells, want %d", n, want)
			}
		})
	}
}

// TestStaleOncePerMinute: a replayed capture causes one pull a minute at most.
func TestStaleOncePerMinute(t *testing.T) {
	now := noon()
	r := open(t)
	r.in.now = func() time.Time { return now }
	for range 10_000 {
		plain := kf("wk1", fmt.Sprint(now.UnixNano()))
		if code, _ := r.ask(signedAt(t, r.codec, "/callback", plain, corp, noon().Add(-time.Hour))); code != 200 {
			t.Fatal(code)
		}
		now = now.Add(3 * time.Millisecond)
	}
	js, err := r.b.JS.Stream(testkit.Context(t), events.StreamCallback)
	if err != nil {
		t.Fatal(err)
	}
	if last := js.CachedInfo().State.LastSeq; last > 2 {
		t.Errorf("10000 replays in half a minute are %d doorbells, want one for each minute they touch", last)
	}
}

func TestStaleAppMessageSaysSo(t *testing.T) {
	r := open(t)
	plain := `<xml><ToUserName>` + corp + `</ToUserName><FromUserName>zhang</FromUserName><CreateTime>1700000000</CreateTime><MsgType>text</MsgType><Content>x</Content><MsgId>1</MsgId><AgentID>2</AgentID></xml>`
	if code, _ := r.ask(signedAt(t, r.codec, "/callback", plain, corp, noon().Add(-time.Hour))); code != 200 {
		t.Fatal(code)
	}
	m, err := r.b.Last(testkit.Context(t), events.StreamMessage, "kf.app.>")
	if err != nil {
		t.Fatal(err)
	}
	if e, err := m.Event(); err != nil || e.Extensions()[events.ExtReplay] != "true" {
		t.Errorf("got %v, %v; want it marked", e.Extensions(), err)
	}
}

func TestVerifyURLIsForNow(t *testing.T) {
	r := open(t)
	get := func(at time.Time) *http.Request {
		ts := strconv.FormatInt(at.Unix(), 10)
		s, err := r.codec.Seal(rnd{}, ts, nonceOf, []byte("1616140317555161061"), corp)
		if err != nil {
			t.Fatal(err)
		}
		q := url.Values{"msg_signature": {s.MsgSignature}, "timestamp": {ts}, "nonce": {nonceOf}, "echostr": {string(s.Encrypt)}}
		return httptest.NewRequest("GET", "/callback?"+q.Encode(), nil)
	}
	for _, at := range []time.Duration{-5*time.Minute - time.Second, 5*time.Minute + time.Second} {
		if code, body := r.ask(get(noon().Add(at))); code != 403 || body != "forbidden" {
			t.Errorf("a check of %v: got %d %s", at, code, body)
		}
	}
	for i := range 12 {
		want := 200
		if i >= 10 {
			want = 403
		}
		if code, _ := r.ask(get(noon())); code != want {
			t.Errorf("check %d of a minute: got %d, want %d", i+1, code, want)
		}
	}
}

// TestSecretsChangeWhileItRuns: one that cannot be used changes nothing, and is spoken of once, whoever knocks how often.
func TestSecretsChangeWhileItRuns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	now := noon()
	become := func(secret string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
		now = now.Add(2 * time.Second) // so that it is read again
	}
	become(token)
	secret, err := service.SecretFile(path, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	b, _ := testkit.Bus(t)
	d := doorConfig()
	d.CallbackToken = secret
	var log bytes.Buffer
	dd := deps()
	dd.Log = zerolog.New(&log)
	in, err := New(config(), []Door{d}, dd, b)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t, in, b, nil, nil}
	for _, c := range []struct {
		secret, signed string
		want           int
	}{{token, token, 200}, {"not/a/token", token, 200}, {"NEW", token, 403}, {"NEW", "NEW", 200}} {
		become(c.secret)
		codec, err := kfcrypto.New(c.signed, aesKey, corp)
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			if code, _ := r.ask(signedAt(t, codec, "/callback", kf("wk1", c.secret), corp, noon())); code != c.want {
				t.Fatalf("the file has %s, signed with %s: got %d, want %d", c.secret, c.signed, code, c.want)
			}
		}
	}
	if n := strings.Count(log.String(), "cannot be used"); n != 1 || strings.Contains(log.String(), "not/a/token") {
		t.Errorf("got %d lines about the bad secret, want 1 that does not show it", n)
	}
}

// TestPassiveReply: a text for messages to the app, sealed with the keys that the message came with.
func TestPassiveReply(t *testing.T) {
	b, _ := testkit.Bus(t)
	d := doorConfig()
	d.ReplyText = `<已收到> & "谢谢"`
	d.OldCallbackToken, d.OldEncodingAESKey = service.NewSecret("OLD"), service.NewSecret(kfcrypto.GenerateKey().Reveal())
	in, err := New(config(), []Door{d}, deps(), b)
	if err != nil {
		t.Fatal(err)
	}
	old, err := kfcrypto.New("OLD", d.OldEncodingAESKey.Reveal(), corp)
	if err != nil {
		t.Fatal(err)
	}
	current, err := kfcrypto.New(token, aesKey, corp)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t, in, b, nil, nil}
	message := func(id int, kind string) string {
		return fmt.Sprintf(`<xml><ToUserName>%s</ToUserName><FromUserName>zhang</FromUserName><CreateTime>1</CreateTime><MsgType>%s</MsgType><Content>x</Content><MsgId>%d</MsgId></xml>`, corp, kind, id)
	}
	for i, codec := range []*kfcrypto.Codec{current, old} {
		code, body := r.ask(signedAt(t, codec, "/callback", message(i+1, "text"), corp, noon()))
		reply, err := kfcrypto.ScanEnvelope([]byte(body))
		if code != 200 || err != nil {
			t.Fatalf("got %d %s, %v", code, body, err)
		}
		doc := openReply(t, codec, body, reply.Encrypt)
		if doc.get("ToUserName") != "zhang" || doc.get("FromUserName") != corp || doc.get("Content") != d.ReplyText || doc.get("MsgType") != "text" {
			t.Errorf("got %s", doc.fields())
		}
	}
	asJSON := fmt.Sprintf(`{"ToUserName":%q,"FromUserName":"zhang","CreateTime":1,"MsgType":"text","Content":"x","MsgId":77}`, corp)
	s, err := current.Seal(rnd{}, stamp, nonceOf, []byte(asJSON), corp)
	if err != nil {
		t.Fatal(err)
	}
	_, body := r.ask(httptest.NewRequest("POST", "/callback?"+query(s.MsgSignature), strings.NewReader(fmt.Sprintf(`{"encrypt":%q}`, s.Encrypt))))
	var reply struct{ Encrypt, MsgSignature, Timestamp, Nonce string }
	if err := json.Unmarshal([]byte(body), &reply); err != nil {
		t.Fatalf("got %s, %v", body, err)
	}
	plain, _, err := current.Open(reply.MsgSignature, reply.Timestamp, reply.Nonce, []byte(reply.Encrypt))
	var got struct{ ToUserName, Content string }
	if err != nil || json.Unmarshal(plain, &got) != nil || got.ToUserName != "zhang" || got.Content != d.ReplyText {
		t.Errorf("got %s, %v", plain, err)
	}
	for name, plain := range map[string]string{"a Kf callback": kf("wk1", "E"), "an event": message(9, "event")} {
		if code, body := r.ask(signedAt(t, current, "/callback", plain, corp, noon())); code != 200 || body != "success" {
			t.Errorf("%s: got %d %s", name, code, body)
		}
	}
}

// openReply checks the signature of a passive reply and decrypts it.
func openReply(t *testing.T, c *kfcrypto.Codec, body string, encrypt []byte) document {
	t.Helper()
	outer, err := parseDocument([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	plain, _, err := c.Open(outer.get("MsgSignature"), outer.get("TimeStamp"), outer.get("Nonce"), encrypt)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := parseDocument(plain)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}
