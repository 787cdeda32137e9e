package ingress

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/localnats"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/kfcrypto"
)

const (
	rounds = 5
	slice  = time.Second // of each contender in a round
)

// BenchmarkIngress prints how this ingress compares with a bare one, and with itself without group commit, over HTTP and a
// NATS server in this process. Contenders take turns, and each ratio is the median over the rounds: x-op/s above 1 is
// faster, x-p50 and x-p99 above 1 slower. Generator, server and NATS share the cores, which flatters whoever is slower.
func BenchmarkIngress(b *testing.B) {
	for _, always := range []bool{false, true} {
		name := map[bool]string{false: "sync=default", true: "sync=always"}[always]
		b.Run(name, func(b *testing.B) {
			r := newRace(b, always)
			for _, conns := range []int{16, 64, 256} {
				b.Run(fmt.Sprintf("c=%d", conns), func(b *testing.B) {
					for b.Loop() {
						r.run(b, conns)
					}
				})
			}
		})
	}
}

// race is a few contenders on one NATS server.
type race struct {
	codec *kfcrypto.Codec
	addrs map[string]string
}

const (
	ours    = "ours"
	single  = "without group commit"
	floor   = "floor"
	floorTo = "kf.app.floor.1.message.text.u1"
)

func newRace(b *testing.B, always bool) *race {
	b.Helper()
	s := testkit.NATS(b, func(o *localnats.Options) { o.SyncAlways = always })
	if _, err := testkit.Connect(b, s, "setup").Apply(testkit.Context(b), testkit.Small()); err != nil {
		b.Fatal(err)
	}
	codec, err := kfcrypto.New(token, aesKey, corp)
	if err != nil {
		b.Fatal(err)
	}
	r := &race{codec: codec, addrs: map[string]string{}}
	for name, h := range map[string]http.Handler{
		ours: contender(b, s, groupAuto), single: contender(b, s, groupOff), floor: bare(b, s),
	} {
		srv := httptest.NewServer(h)
		b.Cleanup(srv.Close)
		r.addrs[name] = srv.Listener.Addr().String()
	}
	return r
}

// contender is an ingress as production has it, with its log thrown away.
func contender(b *testing.B, s *localnats.Server, grouping string) *Ingress {
	b.Helper()
	conn, err := bus.Connect(bus.Config{URL: s.URL()}, "ingress", zerolog.Nop())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(conn.NC.Close)
	cfg := config()
	cfg.GroupCommit = grouping
	in, err := New(cfg, []Door{doorConfig()}, service.Deps{Log: zerolog.New(io.Discard).Level(zerolog.InfoLevel), Metrics: prometheus.NewRegistry(),
		Health: service.NewHealth(time.Now), Now: time.Now}, conn)
	if err != nil {
		b.Fatal(err)
	}
	return in
}

// bare checks nothing: what a callback costs that is only stored.
func bare(b *testing.B, s *localnats.Server) http.Handler {
	b.Helper()
	nc, err := nats.Connect(s.URL())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			msg := &nats.Msg{Subject: floorTo, Data: body, Header: nats.Header{jetstream.MsgIDHeader: {r.URL.Query().Get("msg_signature")}}}
			_, err = js.PublishMsg(r.Context(), msg)
		}
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
}

// lap is one slice of one contender.
type lap struct {
	rate     float64 // callbacks a second
	p50, p99 float64 // seconds
}

func (r *race) run(b *testing.B, conns int) {
	b.Helper()
	laps := map[string][]lap{}
	for range rounds {
		names := []string{ours, single, floor}
		rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		for _, name := range names {
			laps[name] = append(laps[name], r.lap(b, r.addrs[name], conns))
		}
	}
	against := func(base string, of func(lap) float64) float64 {
		var ratios []float64
		for i, l := range laps[ours] {
			ratios = append(ratios, of(l)/of(laps[base][i]))
		}
		slices.Sort(ratios)
		return ratios[len(ratios)/2]
	}
	rate := func(l lap) float64 { return l.rate }
	b.ReportMetric(against(floor, rate), "x-op/s")
	b.ReportMetric(against(floor, func(l lap) float64 { return l.p50 }), "x-p50")
	b.ReportMetric(against(floor, func(l lap) float64 { return l.p99 }), "x-p99")
	b.ReportMetric(against(single, rate), "x-ungrouped-op/s")
	b.ReportMetric(laps[ours][rounds/2].rate, "op/s")
}

// lap sends on each connection as soon as the answer is there.
func (r *race) lap(b *testing.B, addr string, conns int) lap {
	b.Helper()
	took := make([][]float64, conns)
	end := time.Now().Add(slice)
	var wg sync.WaitGroup
	for i := range conns {
		wg.Go(func() {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				b.Error(err)
				return
			}
			defer c.Close()
			answers := textproto.NewReader(bufio.NewReader(c))
			for began := time.Now(); began.Before(end); began = time.Now() {
				if err := r.exchange(c, answers, fmt.Sprint(i)); err != nil {
					b.Error(err)
					return
				}
				took[i] = append(took[i], time.Since(began).Seconds())
			}
		})
	}
	wg.Wait()
	all := slices.Concat(took...)
	if len(all) == 0 {
		b.Fatal("no callback was answered")
	}
	slices.Sort(all)
	return lap{float64(len(all)) / slice.Seconds(), all[len(all)/2], all[len(all)*99/100]}
}

// exchange sends one callback and wants 200. It is less work than http.Client, which would hide what is measured.
func (r *race) exchange(w io.Writer, answers *textproto.Reader, id string) error {
	now := strconv.FormatInt(time.Now().Unix(), 10)
	s, err := r.codec.Seal(nil, now, "1372623149", []byte(textMessage(id, id)), corp)
	if err != nil {
		return err
	}
	body := s.XML()
	if _, err := fmt.Fprintf(w, "POST /callback?msg_signature=%s&timestamp=%s&nonce=%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s",
		s.MsgSignature, s.Timestamp, s.Nonce, len(body), body); err != nil {
		return err
	}
	status, err := answers.ReadLine()
	if err != nil || !strings.Contains(status, " 200 ") {
		return fmt.Errorf("%s: %w", status, err)
	}
	h, err := answers.ReadMIMEHeader()
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(h.Get("Content-Length"))
	if err != nil {
		return err
	}
	_, err = answers.R.Discard(n)
	return err
}
