package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/kfcrypto"
	"github.com/kfbus/kfbus/services/ingress"
)

type vector struct {
	ID             string  `json:"id"`
	Kind           string  `json:"kind"`
	Token          string  `json:"token"`
	EncodingAESKey string  `json:"encoding_aes_key"`
	ReceiveID      string  `json:"receive_id"`
	Timestamp      string  `json:"timestamp"`
	Nonce          string  `json:"nonce"`
	Encrypt        string  `json:"encrypt"`
	MsgSignature   string  `json:"msg_signature"`
	Plaintext      string  `json:"plaintext"`
	PostBody       string  `json:"post_body"`
	BasedOn        string  `json:"based_on"`
	Change         *vector `json:"change"`
}

func vectors(t *testing.T) (good, bad []vector) {
	t.Helper()
	raw, err := os.ReadFile("../../pkg/kfcrypto/testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var f struct{ Vectors, Negative []vector }
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	byID := map[string]vector{}
	for _, v := range f.Vectors {
		byID[v.ID] = v
	}
	for _, n := range f.Negative {
		if n.BasedOn != "" {
			v := byID[n.BasedOn]
			change, err := json.Marshal(n.Change)
			if err != nil {
				t.Fatal(err)
			}
			var set map[string]any
			if err := json.Unmarshal(change, &set); err != nil {
				t.Fatal(err)
			}
			for k, val := range set {
				if val == "" || val == nil {
					delete(set, k)
				}
			}
			if change, err = json.Marshal(set); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(change, &v); err != nil {
				t.Fatal(err)
			}
			v.ID, v.PostBody = n.ID, ""
			n = v
		}
		bad = append(bad, n)
	}
	return f.Vectors, bad
}

func (v vector) captured() captured {
	q := url.Values{"msg_signature": {v.MsgSignature}, "timestamp": {v.Timestamp}, "nonce": {v.Nonce}}
	if v.Kind == "url_verify" {
		q.Set("echostr", v.Encrypt)
		return captured{method: "GET", path: "/callback", query: q.Encode(), said: -1}
	}
	body := v.PostBody
	if body == "" {
		body = "<xml><Encrypt><![CDATA[" + v.Encrypt + "]]></Encrypt></xml>"
	}
	return captured{method: "POST", path: "/callback", query: q.Encode(), body: []byte(body), said: -1}
}

func (v vector) opener() opener {
	return opener{receiveIDs: []string{v.ReceiveID}, answersGET: true, pairs: []pair{{"now", service.NewSecret(v.Token), service.NewSecret(v.EncodingAESKey)}}}
}

func TestDiagnoseVectors(t *testing.T) {
	good, bad := vectors(t)
	for _, v := range good {
		if v.Kind != "url_verify" && v.Kind != "message" {
			continue
		}
		f := diagnose(v.captured(), []opener{v.opener()}, 0, time.Unix(1<<33, 0), false)
		if v.ID == "own-empty-receiveid" { // what is in it is a word
			if f.Step != "content" {
				t.Errorf("%s: got %+v", v.ID, f)
			}
			continue
		}
		if !f.OK || f.Document != v.Plaintext || f.ReceiveID != v.ReceiveID || f.Kind == "" {
			t.Errorf("%s: got %+v", v.ID, f)
		}
	}
	want := map[string]string{"neg-wrong-nonce": "signature", "neg-wrong-token": "signature", "neg-space-for-plus": "", "neg-wrong-receiveid": "receiveid",
		"neg-short-key": "settings", "neg-bad-padding": "padding", "neg-not-block-multiple": "length", "neg-huge-length": "frame"}
	for _, v := range bad {
		step, known := want[v.ID]
		if f := diagnose(v.captured(), []opener{v.opener()}, 0, time.Unix(1<<33, 0), false); !known || f.Step != step {
			t.Errorf("%s: got %q %s, want %q", v.ID, f.Step, f.Cause, step)
		}
	}
}

// lab makes callbacks for two doors, and asks the true ingress about each of them.
type lab struct {
	*testing.T
	all []opener
	now time.Time
	in  *ingress.Ingress
}

const labCorp = "ww00000000000000aa"

func newLab(t *testing.T) *lab {
	t.Helper()
	door := func(name, corp string, old bool) ingress.Door {
		d := ingress.Door{Name: name, CorpID: corp, CallbackToken: newToken(t), EncodingAESKey: newKey(), VerifyURL: true}
		if old {
			d.OldCallbackToken, d.OldEncodingAESKey = newToken(t), newKey()
		}
		return d
	}
	doors := []ingress.Door{door("shop", labCorp, true), door("desk", "ww00000000000000bb", false)}
	b, _ := testkit.Bus(t)
	l := &lab{T: t, now: time.Unix(1_800_000_000, 0)}
	for _, d := range doors {
		l.all = append(l.all, openerOf(d))
	}
	clock := func() time.Time { return l.now }
	var err error
	l.in, err = ingress.New(ingress.Config{GroupCommit: "auto", Addr: "127.0.0.1:0", PublishTimeout: 3 * time.Second, Connections: 10}, doors,
		service.Deps{Log: zerolog.Nop(), Metrics: prometheus.NewRegistry(), Health: service.NewHealth(clock), Now: clock}, b)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func newToken(t *testing.T) service.Secret {
	t.Helper()
	c, err := kfcrypto.GenerateCallbackToken(0)
	if err != nil {
		t.Fatal(err)
	}
	return service.NewSecret(c.Reveal())
}

func newKey() service.Secret { return service.NewSecret(kfcrypto.GenerateKey().Reveal()) }

// sealed is a callback in parts, for the cases to break.
type sealed struct {
	method, path, encrypt string
	q                     url.Values
	to, agent             string
	body                  string // instead of an envelope around encrypt
	coding                string
	rawQuery              string
}

func (s sealed) captured() captured {
	c := captured{method: s.method, path: s.path, query: s.q.Encode(), coding: s.coding, said: -1}
	if s.rawQuery != "" {
		c.query = s.rawQuery
	}
	if s.method == "POST" {
		c.body = []byte("<xml>" + cdata("ToUserName", s.to) + cdata("AgentID", s.agent) + cdata("Encrypt", s.encrypt) + "</xml>")
	}
	if s.body != "" {
		c.body = []byte(strings.TrimPrefix(s.body, "\x00"))
	}
	return c
}

// seal signs with the token of one pair and encrypts with the key of another.
func (l *lab) seal(token, key pair, plain, receiveID string, at time.Time) sealed {
	l.Helper()
	c, err := kfcrypto.New(token.token.Reveal(), key.key.Reveal(), kfcrypto.AnyReceiveID)
	if err != nil {
		l.Fatal(err)
	}
	s, err := c.Seal(nil, strconv.FormatInt(at.Unix(), 10), "n"+strconv.Itoa(rand.Int()), []byte(plain), receiveID)
	if err != nil {
		l.Fatal(err)
	}
	return sealed{method: "POST", path: "/callback/shop", encrypt: string(s.Encrypt), to: labCorp,
		q: url.Values{"msg_signature": {s.MsgSignature}, "timestamp": {s.Timestamp}, "nonce": {s.Nonce}}}
}

// resign signs what the case has made of encrypt.
func (l *lab) resign(s sealed, encrypt string) sealed {
	c, err := l.all[0].pairs[0].codec()
	if err != nil {
		l.Fatal(err)
	}
	s.encrypt = encrypt
	s.q.Set("msg_signature", c.Sign(s.q.Get("timestamp"), s.q.Get("nonce"), []byte(encrypt)))
	return s
}

// asGET makes the console's check of what would be a POST.
func (s sealed) asGET() sealed {
	s.method = "GET"
	s.q.Set("echostr", s.encrypt)
	return s
}

// agree asks the ingress, and holds the diagnosis to its answer.
func (l *lab) agree(name string, c captured, f finding) {
	l.Helper()
	r := httptest.NewRequest("GET", c.path, strings.NewReader(string(c.body)))
	r.Method, r.URL.RawQuery = c.method, c.query
	if c.coding != "" {
		r.Header.Set("Content-Encoding", c.coding)
	}
	w := httptest.NewRecorder()
	l.in.ServeHTTP(w, r)
	if got := w.Code == http.StatusOK; got != f.OK {
		l.Errorf("%s: the ingress answers %d, the diagnosis is %+v", name, w.Code, f)
	}
}

const kfPlain = "<xml><ToUserName><![CDATA[" + labCorp + "]]></ToUserName><CreateTime>1800000000</CreateTime><MsgType><![CDATA[event]]></MsgType>" +
	"<Event><![CDATA[kf_msg_or_event]]></Event><Token><![CDATA[ENCsecret]]></Token><OpenKfId><![CDATA[wk1]]></OpenKfId></xml>"

// withPlus is a sealed echo of which the ciphertext has a + and a /, and ends in =.
func (l *lab) withPlus() sealed {
	for {
		s := l.seal(l.all[0].pairs[0], l.all[0].pairs[0], "1616140317555161061", labCorp, l.now)
		if strings.Contains(s.encrypt, "+") && strings.Contains(s.encrypt, "/") && strings.HasSuffix(s.encrypt, "=") {
			return s
		}
	}
}

func TestDiagnoseCauses(t *testing.T) {
	l := newLab(t)
	shop, old, desk := l.all[0].pairs[0], l.all[0].pairs[1], l.all[1].pairs[0]
	other := pair{"other", newToken(t), newKey()}
	post := func() sealed { return l.seal(shop, shop, kfPlain, labCorp, l.now) }
	plain := func(text string) sealed { return l.seal(shop, shop, text, labCorp, l.now) }
	set := func(name, value string) sealed { s := post(); s.q.Set(name, value); return s }
	body := func(b string) sealed { s := post(); s.body = b; return s }
	raw := func(query string) sealed { s := post(); s.rawQuery = query; return s }
	with := func(s sealed, f func(*sealed)) sealed { f(&s); return s }
	for _, c := range []struct {
		name string
		s    sealed
		step string // that fails; "" is good
		want string // in the cause, or in a note or the kind if it is good
	}{
		{"good", post(), "", "event kf_msg_or_event"},
		{"an app message", plain("<xml><ToUserName>" + labCorp + "</ToUserName><MsgType>text</MsgType><Content>private</Content><AgentID>7</AgentID></xml>"), "", "message of type text"},
		{"JSON inside", plain(`{"ToUserName":"` + labCorp + `","MsgType":"event","Event":"change_contact","ChangeType":"create_user"}`), "", "event change_contact.create_user"},
		{"a command of a suite", plain("<xml><SuiteId>ww1</SuiteId><InfoType>suite_ticket</InfoType></xml>"), "", "command suite_ticket"},
		{"JSON outside", with(post(), func(s *sealed) { s.body = `{"tousername":"ww1","encrypt":"` + s.encrypt + `","agentid":""}` }), "", "kf_msg_or_event"},
		{"an event of an ugly name", plain("<xml><MsgType>event</MsgType><Event>a\u001b[2J</Event></xml>"), "", "event (5 bytes that are no id)"},
		{"a DOCTYPE inside", plain("<!DOCTYPE x><xml><MsgType>text</MsgType></xml>"), "content", "neither XML nor JSON"},
		{"two documents inside", plain("<xml></xml><xml></xml>"), "content", "neither XML nor JSON"},
		{"words behind the document", plain("<xml></xml>words"), "content", "neither XML nor JSON"},
		{"JSON with an ugly name", plain(`{"MsgType":"event","Event":"a\u001b[2J"}`), "", "event (5 bytes that are no id)"},
		{"the echo", l.withPlus().asGET(), "", "console's check"},
		{"the old keys", l.seal(old, old, kfPlain, labCorp, l.now), "", "OLD Token"},
		{"an old one that arrived late", l.seal(shop, shop, kfPlain, labCorp, l.now.Add(-20*time.Minute)), "", "stale"},
		{"one of tomorrow", l.seal(shop, shop, kfPlain, labCorp, l.now.Add(24*time.Hour)), "", "in the future"},

		{"a bare + in echostr", with(l.withPlus().asGET(), func(s *sealed) { s.rawQuery = strings.ReplaceAll(s.q.Encode(), "%2B", "+") }), "", "bare"},
		{"a space in Encrypt", with(l.withPlus(), func(s *sealed) { s.encrypt = strings.ReplaceAll(s.encrypt, "+", " ") }), "signature", "+ became a space"},
		{"encoded twice", with(l.withPlus().asGET(), func(s *sealed) { s.q.Set("echostr", url.QueryEscape(s.encrypt)) }), "signature", "encoded twice"},
		{"line breaks in Encrypt", with(post(), func(s *sealed) { s.encrypt = s.encrypt[:76] + "\n" + s.encrypt[76:] }), "signature", "line breaks"},
		{"made URL-safe on the way", with(l.withPlus(), func(s *sealed) { s.encrypt = strings.NewReplacer("+", "-", "/", "_").Replace(s.encrypt) }), "signature", "URL-safe"},
		{"padding lost on the way", with(l.withPlus().asGET(), func(s *sealed) { s.q.Set("echostr", strings.TrimRight(s.encrypt, "=")) }), "signature", "= at its end"},
		{"another Token", l.seal(other, shop, kfPlain, labCorp, l.now), "signature", "not the Token"},
		{"another nonce", set("nonce", "n1"), "signature", "belong to another request"},
		{"another app of the corp", with(l.seal(other, other, kfPlain, labCorp, l.now), func(s *sealed) { s.agent = "1000009" }), "signature", "AgentID is 1000009"},
		{"another corp", with(l.seal(other, other, kfPlain, "ww9", l.now), func(s *sealed) { s.to = "ww9" }), "signature", "two products share one URL"},
		{"the other door's", l.seal(desk, desk, kfPlain, "ww00000000000000bb", l.now), "signature", "Token of desk"},
		{"the other door's key", l.seal(other, desk, kfPlain, labCorp, l.now), "signature", "EncodingAESKey of desk"},

		{"another EncodingAESKey", l.seal(shop, other, kfPlain, labCorp, l.now), "padding", "garbage"},
		{"the new Token and the old key", l.seal(shop, old, kfPlain, labCorp, l.now), "padding", "opens with the key of the OLD"},
		{"signed, no base64", l.resign(post(), "!!!!"), "base64", "no base64"},
		{"signed URL-safe", with(post(), func(s *sealed) {
			*s = l.resign(*s, strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(s.encrypt), "="))
		}), "", "URL-safe alphabet"},
		{"signed and cut", with(post(), func(s *sealed) { *s = l.resign(*s, s.encrypt[:40]) }), "length", "no whole AES blocks"},
		{"padded to 16", with(post(), func(s *sealed) { *s = l.resign(*s, base64.StdEncoding.EncodeToString(make([]byte, 48))) }), "length", "no multiple of 32"},
		{"another receiveid", l.seal(shop, shop, kfPlain, "ww9", l.now), "receiveid", "ww9"},
		{"an ugly receiveid", l.seal(shop, shop, kfPlain, "ww\x1b[2J", l.now), "receiveid", "6 bytes that are no id"},
		{"no receiveid", l.seal(shop, shop, kfPlain, "", l.now), "receiveid", "empty"},
		{"the other door's receiveid", l.seal(shop, shop, kfPlain, "ww00000000000000bb", l.now), "receiveid", "that of desk"},
		{"no document", plain("hello"), "content", "neither XML nor JSON"},
		{"a callback in echostr", post().asGET(), "content", "no echo"},
		{"to another", plain(strings.ReplaceAll(kfPlain, labCorp, "ww9")), "receiver", "ToUserName is ww9"},
		{"an old echo", l.seal(shop, shop, "123456", labCorp, l.now.Add(-6*time.Minute)).asGET(), "timestamp", "6m0s ago"},
		{"an echo of the future", l.seal(shop, shop, "123456", labCorp, l.now.Add(6*time.Minute)).asGET(), "timestamp", "in the future"},

		{"no body", body("\x00"), "envelope", "empty"},
		{"a byte order mark", body("\ufeff" + string(post().captured().body)), "envelope", "byte order mark"},
		{"a form", body("Encrypt=abc"), "envelope", "form"},
		{"escaped for HTML", body("&lt;xml&gt;"), "envelope", "HTML"},
		{"a JSON string", body(`"<xml></xml>"`), "envelope", "JSON string"},
		{"words", body("hello"), "envelope", "neither XML nor JSON"},
		{"plaintext XML", body(kfPlain), "envelope", "plaintext"},
		{"plaintext JSON", body(`{"MsgType":"text"}`), "envelope", "plaintext"},
		{"XML that is cut", body("<xml><Encrypt><![CDATA[abc"), "envelope", "cut short"},
		{"JSON that is cut", body(`{"encrypt":"abc`), "envelope", "cut short"},
		{"a DOCTYPE", body("<!DOCTYPE x><xml><Encrypt>a</Encrypt></xml>"), "envelope", "DOCTYPE"},
		{"Encrypt twice", body("<xml><Encrypt>a</Encrypt><encrypt>a</encrypt></xml>"), "envelope", "twice"},
		{"no Encrypt", body("<xml><A>a</A></xml>"), "envelope", "no Encrypt"},
		{"an attribute", body(`<xml a="b"><Encrypt>a</Encrypt></xml>`), "envelope", "not as the platform"},

		{"too large", body("<xml>" + strings.Repeat(" ", 64<<10) + "</xml>"), "request", "at most 65536"},
		{"another method", with(post(), func(s *sealed) { s.method = "PUT" }), "request", "PUT"},
		{"encoded", with(post(), func(s *sealed) { s.coding = "gzip" }), "request", "Content-Encoding"},
		{"compressed", body("\x1f\x8b\x08"), "request", "gzip"},

		{"no parameters", raw("a=b"), "parameters", "missing: msg_signature, timestamp, nonce"},
		{"cut by the shell", raw("msg_signature=0123456789012345678901234567890123456789"), "parameters", "only msg_signature"},
		{"HTML in the URL", raw(strings.ReplaceAll(post().q.Encode(), "&", "&amp;")), "parameters", "escaped for HTML"},
		{"a broken escape", raw(post().q.Encode() + "%"), "parameters", "means nothing"},
		{"twice", raw(post().q.Encode() + "&nonce=1"), "parameters", "more than once: nonce"},
		{"an empty part", raw(strings.Replace(post().q.Encode(), "&", "&&", 1)), "parameters", "an empty part between two &"},
		{"a needless escape", raw(strings.Replace(post().q.Encode(), "nonce=", "%6eonce=", 1)), "parameters", "an escape where none is needed"},
		{"one too many", raw(post().q.Encode() + "&from=me"), "parameters", "not of the platform: from"},
		{"an official account's", raw("signature=a&timestamp=1&nonce=2"), "parameters", "公众号"},
		{"an echostr in a POST", set("echostr", "abc"), "parameters", "is a GET"},
		{"capitals", with(post(), func(s *sealed) { s.q.Set("msg_signature", strings.ToUpper("a"+s.q.Get("msg_signature")[1:])) }), "parameters", "capitals"},
		{"a short signature", set("msg_signature", "abc"), "parameters", "3 characters"},
		{"a signature of other characters", set("msg_signature", strings.Repeat("g", 40)), "parameters", "a to f"},
		{"milliseconds", set("timestamp", "1800000000000"), "parameters", "milliseconds"},
		{"no time", set("timestamp", "yesterday"), "parameters", "10 digits"},
		{"an ugly nonce", set("nonce", "a b"), "parameters", "nonce"},
	} {
		req := c.s.captured()
		f := diagnose(req, l.all, doorAt(l.all, req.path, ""), l.now, true)
		said := f.Cause
		if f.OK {
			said = f.Kind + " " + f.Keys + " " + strings.Join(f.Notes, " ")
		}
		if f.Step != c.step || !strings.Contains(said, c.want) || !f.OK && f.Do == "" {
			t.Errorf("%s: got step %q: %s\nwant %q and %q", c.name, f.Step, said, c.step, c.want)
		}
		for _, secret := range append(l.secrets(), "ENCsecret", "private") {
			if strings.Contains(fmt.Sprintf("%+v", withoutDocument(f)), secret) || strings.Contains(withoutDocument(f).text(), secret) {
				t.Errorf("%s: it shows a secret: %+v", c.name, withoutDocument(f))
			}
		}
		l.agree(c.name, req, f)
	}
}

func withoutDocument(f finding) finding { f.Document = ""; return f }

func (l *lab) secrets() []string {
	var all []string
	for _, o := range l.all {
		for _, p := range o.pairs {
			all = append(all, p.token.Reveal(), p.key.Reveal())
		}
	}
	return all
}

// TestDiagnoseSettings: what is wrong with the secrets themselves.
func TestDiagnoseSettings(t *testing.T) {
	good, _ := vectors(t)
	v := good[0]
	for _, c := range []struct{ name, token, key, want string }{
		{"a space behind the Token", v.Token + " ", v.EncodingAESKey, "Token has white space"},
		{"a byte order mark", "\ufeff" + v.Token, v.EncodingAESKey, "byte order mark"},
		{"an = behind the key", v.Token, v.EncodingAESKey + "=", "an = around it"},
		{"half a key", v.Token, v.EncodingAESKey[:20], "has 20 characters, want 43"},
		{"a long Token", strings.Repeat("a", 33), v.EncodingAESKey, "33 characters"},
	} {
		o := v.opener()
		o.pairs[0].token, o.pairs[0].key = service.NewSecret(c.token), service.NewSecret(c.key)
		f := diagnose(v.captured(), []opener{o}, 0, time.Now(), false)
		if f.Step != "settings" || !strings.Contains(f.Cause, c.want) || strings.Contains(f.Cause+f.Do, c.token) {
			t.Errorf("%s: got %+v", c.name, f)
		}
	}
	o := v.opener()
	o.answersGET = false
	if f := diagnose(v.captured(), []opener{o}, 0, time.Now(), false); f.Step != "request" || !strings.Contains(f.Cause, "VERIFY_URL") {
		t.Errorf("the check is off: got %+v", f)
	}
}

// TestDiagnoseAgreesWithTheIngress changes good callbacks at random: what the ingress takes is good, what it refuses is bad.
func TestDiagnoseAgreesWithTheIngress(t *testing.T) {
	l := newLab(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	bytesOf := []byte("aA0+/=-_ <>&{}\"\x00\xff\n")
	for i := range 1000 {
		inside := []byte(kfPlain)
		if at := r.IntN(len(inside)); i%5 == 1 { // what no platform would sign
			inside[at] = bytesOf[r.IntN(len(bytesOf))]
			s := l.seal(l.all[0].pairs[0], l.all[0].pairs[0], string(inside), labCorp, l.now)
			l.agree(string(inside), s.captured(), diagnose(s.captured(), l.all, 0, l.now, true))
			continue
		}
		s := l.seal(l.all[0].pairs[0], l.all[0].pairs[0], kfPlain, labCorp, l.now)
		if i%4 == 0 {
			s = l.seal(l.all[0].pairs[0], l.all[0].pairs[0], "12345678", labCorp, l.now).asGET()
			l.now = l.now.Add(time.Minute) // checks of the URL are rationed
		}
		c := s.captured()
		target := &c.body
		query := []byte(c.query)
		if s.method == "GET" || r.IntN(2) == 0 {
			target = &query
		}
		if at := r.IntN(len(*target)); r.IntN(10) > 0 {
			switch r.IntN(3) {
			case 0:
				(*target)[at] = bytesOf[r.IntN(len(bytesOf))]
			case 1:
				*target = slices.Delete(*target, at, at+1)
			case 2:
				*target = slices.Insert(*target, at, bytesOf[r.IntN(len(bytesOf))])
			}
		}
		c.query = string(query)
		l.agree(fmt.Sprintf("%s?%s %s", c.method, c.query, c.body), c, diagnose(c, l.all, 0, l.now, true))
	}
}

// TestReceiveIDsVariable holds the advice to the configuration.
func TestReceiveIDsVariable(t *testing.T) {
	vars, err := service.Variables("KF", &doorEnv{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(vars, func(v service.Variable) bool { return v.Name == receiveIDsVariable }) {
		t.Errorf("no variable is called %s", receiveIDsVariable)
	}
}
