package kfsim

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
)

// unlimited is a personality for load: no limit of calls.
func unlimited() Personality {
	return Personality{CallsPerMinute: -1, CallsPerHour: -1, IPCallsPerMinute: -1, IPCallsPerHour: -1, TokenlessPerMinute: -1}
}

// sink is a ResponseWriter that keeps nothing.
type sink struct {
	header http.Header
	n      int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(int)             {}
func (s *sink) Write(b []byte) (int, error) { s.n += len(b); return len(b), nil }

// hit calls a path of the handler without parsing the answer.
func (r *rig) hit(path string, body []byte) *sink {
	w := &sink{header: http.Header{}}
	r.http.ServeHTTP(w, httptest.NewRequest("POST", "/cgi-bin/"+path+"?access_token="+r.token, bytes.NewReader(body)))
	return w
}

func perSecond(b *testing.B, messages int) {
	b.Helper()
	b.ReportMetric(float64(messages)/b.Elapsed().Seconds(), "msg/s")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkPull is customers' messages coming out of sync_msg, page by page.
func BenchmarkPull(b *testing.B) {
	for _, limit := range []int{1000, 100} {
		b.Run(fmt.Sprint("limit=", limit), func(b *testing.B) {
			r := newRig(b, Config{Personality: unlimited()})
			for i := range 1000 {
				r.says(ann, fmt.Sprint("message ", i))
			}
			cursor := r.pull(obj{"limit": 1}).str("next_cursor")
			body := marshal(obj{"open_kfid": kf, "cursor": cursor, "limit": limit})
			b.ResetTimer()
			n := 0
			for b.Loop() {
				r.hit("kf/sync_msg", body)
				n += min(limit, 999)
			}
			perSecond(b, n)
		})
	}
}

// BenchmarkSay is customers' messages coming in.
func BenchmarkSay(b *testing.B) {
	r := newRig(b, Config{Personality: unlimited()})
	n := 0
	for b.Loop() {
		r.says(ann, "message")
		n++
	}
	perSecond(b, n)
}

// BenchmarkSend is send_msg, five for each message of a customer.
func BenchmarkSend(b *testing.B) {
	r := newRig(b, Config{Personality: unlimited()})
	n := 0
	for b.Loop() {
		if n%5 == 0 {
			r.says(ann, "go on")
		}
		r.hit("kf/send_msg", fmt.Appendf(nil, `{"touser":%q,"open_kfid":%q,"msgid":"m%d","msgtype":"text","text":{"content":"你好, this is an answer"}}`, ann, kf, n))
		n++
	}
	perSecond(b, n)
	if got := r.Answers("kf/send_msg", 0); got != n {
		b.Errorf("%d of %d were accepted", got, n)
	}
}

// BenchmarkSendOverTCP is BenchmarkSend with the client and the connection on the same core.
func BenchmarkSendOverTCP(b *testing.B) {
	r := newRig(b, Config{Personality: unlimited()})
	srv := httptest.NewServer(r.Platform())
	defer srv.Close()
	n := 0
	for b.Loop() {
		if n%5 == 0 {
			r.says(ann, "go on")
		}
		body := fmt.Appendf(nil, `{"touser":%q,"open_kfid":%q,"msgid":"m%d","msgtype":"text","text":{"content":"hello"}}`, ann, kf, n)
		resp, err := srv.Client().Post(srv.URL+"/cgi-bin/kf/send_msg?access_token="+r.token, "application/json", bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		n++
	}
	perSecond(b, n)
}

// BenchmarkBothWays: customers write, the program pulls them by the hundred and answers each, on one core. One op is a message in
// and a message out.
func BenchmarkBothWays(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	r := newRig(b, Config{Personality: unlimited(), JournalLimit: 10_000})
	cursor, n := "", 0
	for b.Loop() {
		r.says(ann, "where is my parcel?")
		r.hit("kf/send_msg", marshal(textTo(ann, fmt.Sprintf("m%d", n))))
		if n++; n%100 == 0 {
			cursor = r.pull(obj{"cursor": cursor, "limit": 100}).str("next_cursor")
		}
	}
	b.ReportMetric(2*float64(n)/b.Elapsed().Seconds(), "messages/s")
	if got := r.Answers("kf/send_msg", 0); got != n {
		b.Errorf("%d of %d were accepted", got, n)
	}
}
