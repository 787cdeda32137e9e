package ingress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfcrypto"
)

const (
	corp    = "ww0000sim000000001"
	token   = "QDG6eK"
	aesKey  = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
	stamp   = "1700000000"
	nonceOf = "1372623149"
)

type rig struct {
	*testing.T
	in     *Ingress
	b      *bus.Bus
	codec  *kfcrypto.Codec
	health *service.Health
}

// ready reports one readiness check.
func (d *rig) ready(name string) bool {
	d.Helper()
	for _, c := range d.health.Report().Checks {
		if c.Name == name {
			return c.OK
		}
	}
	d.Fatalf("no check %s", name)
	return false
}

func config() Config {
	return Config{Addr: "127.0.0.1:0", PublishTimeout: 3500 * time.Millisecond, GroupCommit: groupAuto, Connections: 2000, ConnectionsPerIP: 50, RefusalsPerIP: 100}
}

func doorConfig() Door {
	return Door{CorpID: corp, CallbackToken: service.NewSecret(token), EncodingAESKey: service.NewSecret(aesKey),
		VerifyURL: true, CommandWords: []string{"help"}}
}

// noon is when the requests of these tests are signed.
func noon() time.Time { return time.Unix(1700000000, 0) }

func open(t *testing.T) *rig {
	t.Helper()
	b, _ := testkit.Bus(t)
	codec, err := kfcrypto.New(token, aesKey, corp)
	if err != nil {
		t.Fatal(err)
	}
	dd := deps()
	in, err := New(config(), []Door{doorConfig()}, dd, b)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{t, in, b, codec, dd.Health}
}

func deps() service.Deps {
	return service.Deps{Log: zerolog.Nop(), Metrics: prometheus.NewRegistry(), Health: service.NewHealth(time.Now), Now: noon}
}

func kf(account, syncToken string) string {
	return fmt.Sprintf(`<xml><ToUserName><![CDATA[%s]]></ToUserName><CreateTime>1700000000</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[kf_msg_or_event]]></Event><Token><![CDATA[%s]]></Token><OpenKfId><![CDATA[%s]]></OpenKfId></xml>`, corp, syncToken, account)
}

// sealed is a request as the platform would make it.
func (d *rig) sealed(plain, receiveID string, json bool) *http.Request {
	d.Helper()
	s, err := d.codec.Seal(rnd{}, stamp, nonceOf, []byte(plain), receiveID)
	if err != nil {
		d.Fatal(err)
	}
	body := fmt.Sprintf(`<xml><ToUserName><![CDATA[%s]]></ToUserName><AgentID></AgentID><Encrypt><![CDATA[%s]]></Encrypt></xml>`, corp, s.Encrypt)
	if json {
		body = fmt.Sprintf(`{"tousername":%q,"encrypt":%q,"agentid":"1"}`, corp, s.Encrypt)
	}
	return httptest.NewRequest("POST", "/callback?"+query(s.MsgSignature), strings.NewReader(body))
}

func query(signature string) string {
	return url.Values{"msg_signature": {signature}, "timestamp": {stamp}, "nonce": {nonceOf}}.Encode()
}

// rnd is a source that repeats itself, so that the same plaintext is the same
// ciphertext.
type rnd struct{}

func (rnd) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte{7}, len(p))), nil }

func (d *rig) ask(r *http.Request) (int, string) {
	d.Helper()
	w := httptest.NewRecorder()
	d.in.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func (d *rig) stored(stream string) uint64 {
	d.Helper()
	s, err := d.b.JS.Stream(testkit.Context(d), stream)
	if err != nil {
		d.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

func TestDoorbell(t *testing.T) {
	for _, json := range []bool{false, true} {
		d := open(t)
		if code, body := d.ask(d.sealed(kf("wk1", "ENC1"), corp, json)); code != 200 || body != "success" {
			t.Fatalf("got %d %s", code, body)
		}
		m, err := d.b.Last(testkit.Context(t), events.StreamCallback, "kf.lane.callback.*.*.wk1")
		if err != nil {
			t.Fatal(err)
		}
		e, err := m.Event()
		if err != nil {
			t.Fatal(err)
		}
		var bell events.Doorbell
		if err := e.DataAs(&bell); err != nil {
			t.Fatal(err)
		}
		if bell.OpenKfID != "wk1" || bell.SyncToken != "ENC1" || bell.CreateTime != 1700000000 || bell.Corp != corp || bell.Event != events.RingMessage {
			t.Errorf("got %+v", bell)
		}
		if _, err := service.ParseTrace(fmt.Sprint(e.Extensions()["traceparent"])); err != nil {
			t.Error(err)
		}
	}
}

func TestRepeatedCallbackIsOneDoorbell(t *testing.T) {
	d := open(t)
	for i := range 100 {
		if code, body := d.ask(d.sealed(kf("wk1", "ENC1"), corp, false)); code != 200 || body != "success" {
			t.Fatalf("%d: got %d %s", i, code, body)
		}
	}
	if n := d.stored(events.StreamCallback); n != 1 {
		t.Errorf("100 times the same bytes are %d doorbells, want 1", n)
	}
	for i := range 100 { // other bytes for the same account: the doorbells coalesce
		if code, _ := d.ask(d.sealed(kf("wk1", fmt.Sprint("ENC", i)), corp, false)); code != 200 {
			t.Fatalf("%d: got %d", i, code)
		}
	}
	if n := d.stored(events.StreamCallback); n != 2 {
		t.Errorf("100 callbacks of one account are %d doorbells, want 2: one in hand and one waiting", n)
	}
}

func TestAuthChangeRingsForTheCorp(t *testing.T) {
	d := open(t)
	plain := `<xml><ToUserName>` + corp + `</ToUserName><FromUserName>sys</FromUserName><CreateTime>1</CreateTime><MsgType>event</MsgType><Event>kf_account_auth_change</Event><AuthAddOpenKfId>wk1</AuthAddOpenKfId><AuthAddOpenKfId>wk2</AuthAddOpenKfId><AuthDelOpenKfId>wk3</AuthDelOpenKfId></xml>`
	if code, _ := d.ask(d.sealed(plain, corp, false)); code != 200 {
		t.Fatal(code)
	}
	m, err := d.b.Last(testkit.Context(t), events.StreamCallback, "kf.lane.callback.*.*.-")
	if err != nil {
		t.Fatal(err)
	}
	e, err := m.Event()
	if err != nil {
		t.Fatal(err)
	}
	var bell events.Doorbell
	if err := e.DataAs(&bell); err != nil || strings.Join(bell.AuthAdd, " ") != "wk1 wk2" || strings.Join(bell.AuthDel, " ") != "wk3" {
		t.Errorf("got %+v, %v", bell, err)
	}
}

func authChange(add string) string {
	return `<xml><ToUserName>` + corp + `</ToUserName><MsgType>event</MsgType><Event>kf_account_auth_change</Event><AuthAddOpenKfId>` + add + `</AuthAddOpenKfId></xml>`
}

// TestAuthChangeIsNotCovered: two that wait say nothing of the accounts of a third.
func TestAuthChangeIsNotCovered(t *testing.T) {
	d := open(t)
	for i, want := range []int{200, 200, 503} {
		if code, _ := d.ask(d.sealed(authChange(fmt.Sprint("wk", i)), corp, false)); code != want {
			t.Errorf("number %d: got %d, want %d", i+1, code, want)
		}
	}
	if !d.ready("publish") {
		t.Error("unready, though the broker stores what it is given")
	}
}

// TestStaleAuthChangesAreKept: a wrong clock makes all of them stale, and each names other accounts.
func TestStaleAuthChangesAreKept(t *testing.T) {
	d := open(t)
	for _, id := range []string{"wk1", "wk2", "wk2"} {
		if code, _ := d.ask(signedAt(t, d.codec, "/callback", authChange(id), corp, noon().Add(-time.Hour))); code != 200 {
			t.Errorf("%s: got %d", id, code)
		}
	}
	if n := d.stored(events.StreamCallback); n != 2 {
		t.Errorf("got %d doorbells, want 2: one of wk1 and one of wk2", n)
	}
}

func TestAppCallbackIsPublishedWhole(t *testing.T) {
	d := open(t)
	plain := `<xml><ToUserName><![CDATA[` + corp + `]]></ToUserName><FromUserName><![CDATA[zhang]]></FromUserName><CreateTime>1700000001</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[help]]></Content><MsgId>4561255354251345929</MsgId><AgentID>218</AgentID></xml>`
	for range 3 {
		if code, body := d.ask(d.sealed(plain, corp, false)); code != 200 || body != "success" {
			t.Fatalf("got %d %s", code, body)
		}
	}
	if n := d.stored(events.StreamMessage); n != 1 {
		t.Errorf("three deliveries are %d events, want 1", n)
	}
	m, err := d.b.Last(testkit.Context(t), events.StreamMessage, "kf.app."+corp+".218.message.text.zhang")
	if err != nil {
		t.Fatal(err)
	}
	e, err := m.Event()
	if err != nil {
		t.Fatal(err)
	}
	var app events.App
	if err := e.DataAs(&app); err != nil || app.Raw != plain || app.Format != "xml" || !bytes.Contains(app.Fields, []byte(`"MsgId":"4561255354251345929"`)) {
		t.Errorf("got %+v, %v", app, err)
	}
	if e.ID() != "4561255354251345929" || e.Extensions()[events.ExtClass] != "command" || e.Type() != "io.github.kfbus.app.message.text.v1" {
		t.Errorf("got %s", e)
	}
}

// refusals are requests that must not get in; those marked uniform must be
// answered alike.
func TestNothingFalseGetsIn(t *testing.T) {
	d := open(t)
	good := func() *http.Request { return d.sealed(kf("wk1", "ENC1"), corp, false) }
	body := func(r *http.Request) string { b, _ := io.ReadAll(r.Body); return string(b) }
	with := func(method, target, b string) *http.Request {
		return httptest.NewRequest(method, target, strings.NewReader(b))
	}
	sig := good().URL.Query().Get("msg_signature")
	foreign, err := kfcrypto.New(token, aesKey, "ww00000000000other")
	if err != nil {
		t.Fatal(err)
	}
	other, err := foreign.Seal(rnd{}, stamp, nonceOf, []byte(kf("wk1", "x")), "ww00000000000other")
	if err != nil {
		t.Fatal(err)
	}
	echo := func() *http.Request { // a captured POST, played back at the URL check
		s, err := d.codec.Seal(rnd{}, stamp, nonceOf, []byte(kf("wk1", "ENC1")), corp)
		if err != nil {
			t.Fatal(err)
		}
		return httptest.NewRequest("GET", "/callback?"+query(s.MsgSignature)+"&echostr="+url.QueryEscape(string(s.Encrypt)), nil)
	}
	gz := good()
	gz.Header.Set("Content-Encoding", "gzip")
	for _, c := range []struct {
		name   string
		r      *http.Request
		code   int
		answer string
	}{
		{"wrong signature", with("POST", "/callback?"+query(strings.Repeat("0", 40)), body(good())), 403, "forbidden"},
		{"no parameters", with("POST", "/callback", body(good())), 403, "forbidden"},
		{"signature in capitals", with("POST", "/callback?"+query(strings.ToUpper(sig)), body(good())), 403, "forbidden"},
		{"a parameter twice", with("POST", "/callback?"+query(sig)+"&nonce=1", body(good())), 403, "forbidden"},
		{"a parameter too many", with("POST", "/callback?"+query(sig)+"&x=1", body(good())), 403, "forbidden"},
		{"timestamp that is none", with("POST", "/callback?msg_signature="+sig+"&timestamp=17000000000&nonce=1", body(good())), 403, "forbidden"},
		{"plaintext without Encrypt", with("POST", "/callback?"+query(sig), kf("wk1", "ENC1")), 403, "forbidden"},
		{"broken XML", with("POST", "/callback?"+query(sig), "<xml><Encrypt>"), 403, "forbidden"},
		{"doctype", with("POST", "/callback?"+query(sig), "<!DOCTYPE x>"+body(good())), 403, "forbidden"},
		{"empty body", with("POST", "/callback?"+query(sig), ""), 403, "forbidden"},
		{"another corp's receiveid", with("POST", "/callback?"+query(other.MsgSignature), string(other.XML())), 403, "forbidden"},
		{"signed text that is no document", d.sealed("hello", corp, false), 403, "forbidden"},
		{"signed XML that is broken", d.sealed("<xml><A>", corp, false), 403, "forbidden"},
		{"a POST played back as GET", echo(), 403, "forbidden"},
		{"1 MiB", with("POST", "/callback?"+query(sig), strings.Repeat("x", 1<<20)), 413, "too large"},
		{"one byte too many", with("POST", "/callback?"+query(sig), strings.Repeat("x", maxBody+1)), 413, "too large"},
		{"compressed", gz, 415, "unsupported"},
		{"another path", with("POST", "/callback/?"+query(sig), body(good())), 404, "not found"},
		{"metrics", with("GET", "/metrics", ""), 404, "not found"},
		{"another method", with("PUT", "/callback?"+query(sig), body(good())), 405, "method not allowed"},
		{"a path that only decodes to ours", with("POST", "/c%61llback?"+query(sig), body(good())), 404, "not found"},
	} {
		if code, answer := d.ask(c.r); code != c.code || answer != c.answer {
			t.Errorf("%s: got %d %q, want %d %q", c.name, code, answer, c.code, c.answer)
		}
	}
	if n := d.stored(events.StreamCallback) + d.stored(events.StreamMessage); n != 0 {
		t.Errorf("%d events were published", n)
	}
	if code, _ := d.ask(good()); code != 200 {
		t.Errorf("afterwards a good callback gets %d", code)
	}
}

func TestUnreadableLengthIsRefused(t *testing.T) {
	d := open(t)
	r := httptest.NewRequest("POST", "/callback?"+query(strings.Repeat("0", 40)), io.LimitReader(rnd{}, 1<<20))
	r.ContentLength = -1 // chunked: only reading tells
	if code, _ := d.ask(r); code != 413 {
		t.Errorf("got %d", code)
	}
}

func TestVerifyURL(t *testing.T) {
	d := open(t)
	get := func(echo string) *http.Request {
		s, err := d.codec.Seal(rnd{}, stamp, nonceOf, []byte(echo), corp)
		if err != nil {
			t.Fatal(err)
		}
		return httptest.NewRequest("GET", "/wework/callback?"+query(s.MsgSignature)+"&echostr="+url.QueryEscape(string(s.Encrypt)), nil)
	}
	if code, body := d.ask(get("1616140317555161061")); code != 200 || body != "1616140317555161061" {
		t.Errorf("got %d %s", code, body)
	}
	for _, echo := range []string{"<xml></xml>", `{"a":1}`, "a b", strings.Repeat("1", 65)} {
		if code, body := d.ask(get(echo)); code != 403 || body != "forbidden" {
			t.Errorf("echo %.10q: got %d %s", echo, code, body)
		}
	}
	d.in.doors["/wework/callback"].VerifyURL = false
	if code, _ := d.ask(get("1616140317555161061")); code != 403 {
		t.Errorf("switched off: got %d", code)
	}
}

func TestNeverYesBeforeItIsKept(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
	}{
		{"full", fmt.Errorf("x: %w", bus.ErrFull)}, {"no resources", bus.ErrResources}, {"no stream", bus.ErrNoStream},
		{"away", bus.ErrDisconnected}, {"no answer", bus.ErrUnknown}, {"anything", errors.New("boom")},
	} {
		d := open(t)
		d.in.cfg.PublishTimeout = 300 * time.Millisecond
		d.in.publish = func(context.Context, bus.Message) (uint64, bool, error) { return 0, false, c.err }
		if code, body := d.ask(d.sealed(kf("wk1", "E"), corp, false)); code != 503 || body != "busy" {
			t.Errorf("%s: got %d %s", c.name, code, body)
		}
		if d.ready("publish") {
			t.Errorf("%s: still ready", c.name)
		}
		d.in.tryPublish(testkit.Context(t))
		if d.ready("publish") {
			t.Errorf("%s: the canary says ready", c.name)
		}
	}
}

// TestShortOutageIsNoRefusal: a broker that is back in time is waited for. What is full is not: it was asked, and said no.
func TestShortOutageIsNoRefusal(t *testing.T) {
	for _, c := range []struct {
		err   error
		tries int
		code  int
	}{{bus.ErrNoStream, 3, 200}, {bus.ErrDisconnected, 3, 200}, {bus.ErrUnknown, 3, 200}, {bus.ErrUnavailable, 3, 200}, {bus.ErrInFlight, 3, 200}, {bus.ErrFull, 1, 503}, {bus.ErrResources, 1, 503}} {
		d := open(t)
		works, tries := d.in.publish, 0
		d.in.publish = func(ctx context.Context, m bus.Message) (uint64, bool, error) {
			if tries++; tries < 3 {
				return 0, false, c.err
			}
			return works(ctx, m)
		}
		code, _ := d.ask(d.sealed(kf("wk1", "E"), corp, false))
		if code != c.code || tries != c.tries || d.ready("publish") != (code == 200) {
			t.Errorf("%v: got %d after %d tries, ready %v; want %d after %d", c.err, code, tries, d.ready("publish"), c.code, c.tries)
		}
	}
}

func TestFailedPublishMakesUnreadyUntilOneWorks(t *testing.T) {
	d := open(t)
	works := d.in.publish
	d.in.cfg.PublishTimeout = time.Millisecond
	d.in.publish = func(context.Context, bus.Message) (uint64, bool, error) { return 0, false, bus.ErrUnknown }
	d.ask(d.sealed(kf("wk1", "E"), corp, false))
	if d.ready("publish") {
		t.Fatal("ready after a failure")
	}
	d.in.publish = works
	d.in.tryPublish(testkit.Context(t)) // an unready replica gets no callbacks: it must find out by itself
	if !d.ready("publish") {
		t.Error("still unready although a publish would work")
	}
	if n := d.stored(events.StreamCallback); n != 0 {
		t.Errorf("the canary left %d messages", n)
	}
}

func TestCoveredIsSuccessForDoorbellsOnly(t *testing.T) {
	d := open(t)
	d.in.publish = func(context.Context, bus.Message) (uint64, bool, error) { return 0, false, bus.ErrCovered }
	if code, _ := d.ask(d.sealed(kf("wk1", "E"), corp, false)); code != 200 {
		t.Errorf("doorbell: got %d", code)
	}
	app := `<xml><MsgType>text</MsgType><Content>x</Content></xml>`
	if code, _ := d.ask(d.sealed(app, corp, false)); code != 503 {
		t.Errorf("app message: got %d", code)
	}
}

func TestPublishHasItsOwnDeadline(t *testing.T) {
	d := open(t)
	d.in.cfg.PublishTimeout = time.Millisecond
	d.in.publish = func(ctx context.Context, _ bus.Message) (uint64, bool, error) {
		<-ctx.Done() // a frozen broker
		return 0, false, bus.Classify(ctx.Err())
	}
	if code, _ := d.ask(d.sealed(kf("wk1", "E"), corp, false)); code != 503 {
		t.Errorf("got %d", code)
	}
}

func TestPanicIsOneAnswer(t *testing.T) {
	d := open(t)
	d.in.publish = func(context.Context, bus.Message) (uint64, bool, error) { panic("bug") }
	if code, body := d.ask(d.sealed(kf("wk1", "E"), corp, false)); code != 403 || body != "forbidden" {
		t.Errorf("got %d %s", code, body)
	}
}

func TestRotationTakesBothKeys(t *testing.T) {
	b, _ := testkit.Bus(t)
	cfg := doorConfig()
	cfg.OldCallbackToken, cfg.OldEncodingAESKey = cfg.CallbackToken, cfg.EncodingAESKey
	newKey := kfcrypto.GenerateKey()
	cfg.CallbackToken, cfg.EncodingAESKey = service.NewSecret("NEW"), service.NewSecret(newKey.Reveal())
	in, err := New(config(), []Door{cfg}, deps(), b)
	if err != nil {
		t.Fatal(err)
	}
	for _, keys := range [][2]string{{token, aesKey}, {"NEW", newKey.Reveal()}} {
		codec, err := kfcrypto.New(keys[0], keys[1], corp)
		if err != nil {
			t.Fatal(err)
		}
		d := &rig{t, in, b, codec, nil}
		if code, _ := d.ask(d.sealed(kf("wk"+keys[0], "E"), corp, false)); code != 200 {
			t.Errorf("token %s: got %d", keys[0], code)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	b, _ := testkit.Bus(t)
	for name, change := range map[string]func(*Door){
		"short key":       func(c *Door) { c.EncodingAESKey = service.NewSecret("short-geheim") },
		"token":           func(c *Door) { c.CallbackToken = service.NewSecret("not letters! geheim") },
		"no corp":         func(c *Door) { c.CorpID = "" },
		"half a rotation": func(c *Door) { c.OldCallbackToken = service.NewSecret("x") },
		"old key unusable": func(c *Door) {
			c.OldCallbackToken, c.OldEncodingAESKey = service.NewSecret("x"), service.NewSecret("geheim")
		},
		"a name with a /":   func(c *Door) { c.Name = "a/b" },
		"capitals":          func(c *Door) { c.Name = "Shop" },
		"a reply too large": func(c *Door) { c.ReplyText = strings.Repeat("x", 2049) },
	} {
		door := doorConfig()
		change(&door)
		if _, err := New(config(), []Door{door}, deps(), b); !errors.Is(err, service.ErrUsage) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := New(config(), nil, deps(), b); err == nil {
		t.Error("no door: accepted")
	}
	if _, err := New(config(), []Door{doorConfig(), doorConfig()}, deps(), b); err == nil {
		t.Error("two doors of one name: accepted")
	}
}

func TestConfigValidate(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no port":             func(c *Config) { c.Addr = "localhost" },
		"over 4.5 s":          func(c *Config) { c.PublishTimeout = 4600 * time.Millisecond },
		"no connection":       func(c *Config) { c.Connections = 0 },
		"no such grouping":    func(c *Config) { c.GroupCommit = "always" },
		"less than none":      func(c *Config) { c.RefusalsPerIP = -1 },
		"a proxy by its name": func(c *Config) { c.TrustedProxies = []string{"proxy.example"} },
	} {
		c := config()
		change(&c)
		if c.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := config().Validate(); err != nil {
		t.Error(err)
	}
}

func TestRunServesAndStops(t *testing.T) {
	d := open(t)
	ctx, cancel := context.WithCancel(testkit.Context(t))
	var err error
	d.in.Listener, err = newListener()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- d.in.Run(ctx) }()
	r := d.sealed(kf("wk1", "E"), corp, false)
	body, _ := io.ReadAll(r.Body)
	res, err := http.Post("http://"+d.in.Listener.Addr().String()+r.URL.RequestURI(), "text/xml", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got, _ := io.ReadAll(res.Body); res.StatusCode != 200 || string(got) != "success" {
		t.Errorf("got %d %s", res.StatusCode, got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func newListener() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }
