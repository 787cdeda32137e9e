package ingress

import (
	"bytes"
	"context"
	"fmt"
	"io"
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
	"github.com/kfbus/kfbus/pkg/kfcrypto"
)

// benchKinds are the callbacks that matter: the doorbell of a message, and an app's message, larger with pad bytes more.
func benchKinds() []benchKind {
	return []benchKind{{"doorbell", 0, kf}, {"message", 0, textMessage}, {"message10KB", 6800, textMessage}}
}

type benchKind struct {
	name string
	pad  int
	doc  func(id, text string) string
}

func textMessage(id, text string) string {
	return fmt.Sprintf(`<xml><ToUserName><![CDATA[%s]]></ToUserName><FromUserName><![CDATA[ZhangSan]]></FromUserName><CreateTime>1700000000</CreateTime>`+
		`<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[你好，请问这个订单什么时候可以发货？%s]]></Content><MsgId>%s</MsgId><AgentID>1000002</AgentID></xml>`, corp, text, id)
}

// post is a request that can be served again and again.
type post struct {
	r    *http.Request
	body []byte
	read bytes.Reader
}

func newPost(tb testing.TB, k benchKind, id string) *post {
	tb.Helper()
	codec, err := kfcrypto.New(token, aesKey, corp)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := codec.Seal(nil, stamp, nonceOf, []byte(k.doc(id, strings.Repeat("x", k.pad))), corp)
	if err != nil {
		tb.Fatal(err)
	}
	p := &post{body: fmt.Appendf(nil, `<xml><ToUserName><![CDATA[%s]]></ToUserName><AgentID></AgentID><Encrypt><![CDATA[%s]]></Encrypt></xml>`, corp, s.Encrypt)}
	p.r = httptest.NewRequest("POST", "/callback?"+url.Values{"msg_signature": {s.MsgSignature}, "timestamp": {stamp}, "nonce": {nonceOf}}.Encode(), nil)
	p.r.RemoteAddr = "127.0.0.1:40000"
	p.r.ContentLength = int64(len(p.body))
	return p
}

func (p *post) request() *http.Request {
	p.read.Reset(p.body)
	p.r.Body = io.NopCloser(&p.read)
	return p.r
}

// answerTo is a ResponseWriter that costs nothing.
type answerTo struct {
	h      http.Header
	status int
}

func (a *answerTo) Header() http.Header         { return a.h }
func (a *answerTo) WriteHeader(status int)      { a.status = status }
func (a *answerTo) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkHandler is what the door does itself: everything but the socket and the broker, with every log line written.
func BenchmarkHandler(b *testing.B) {
	for _, k := range benchKinds() {
		b.Run(k.name, func(b *testing.B) {
			in := quietIngress(b)
			p, w := newPost(b, k, "wk1"), &answerTo{h: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.h)
				if in.ServeHTTP(w, p.request()); w.status != 200 {
					b.Fatalf("got %d", w.status)
				}
			}
		})
	}
}

// quietIngress encodes what it would publish and stores nothing.
func quietIngress(tb testing.TB) *Ingress {
	tb.Helper()
	nobody, err := bus.Connect(bus.Config{URL: "nats://127.0.0.1:1"}, "bench", zerolog.Nop())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(nobody.NC.Close)
	log := zerolog.New(io.Discard).Hook(zerolog.HookFunc(func(e *zerolog.Event, _ zerolog.Level, _ string) {
		e.Str("time", time.Now().UTC().Format(time.RFC3339Nano))
	})).With().Str("version", "bench").Str("service", Name).Logger()
	in, err := New(config(), []Door{doorConfig()}, service.Deps{Log: log, Metrics: prometheus.NewRegistry(), Health: service.NewHealth(time.Now), Now: noon}, nobody)
	if err != nil {
		tb.Fatal(err)
	}
	in.publish = func(_ context.Context, m bus.Message) (uint64, bool, error) {
		_, _, err := bus.Encode(m.Event, bus.ModeStructured)
		return 1, false, err
	}
	return in
}
