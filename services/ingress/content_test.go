package ingress

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfcrypto"
)

// appXML is a payload of the app with these elements.
func appXML(elements string) string {
	return "<xml><ToUserName>" + corp + "</ToUserName><FromUserName>zhang</FromUserName><CreateTime>1700000000</CreateTime>" + elements + "</xml>"
}

// TestLargestContentIsCheap: also what is accepted has a bound on what it costs, though only the platform can send it.
func TestLargestContentIsCheap(t *testing.T) {
	limit := 15 * time.Millisecond
	if raceEnabled {
		limit *= 20
	}
	d := open(t)
	d.in.publish = func(context.Context, bus.Message) (uint64, bool, error) { return 1, false, nil }
	numbered := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	for name, plain := range map[string]string{
		"4000 names":             appXML(numbered(4000, "<a%d/>")),
		"4000 of one name":       appXML(strings.Repeat("<a>1</a>", 4000)),
		"text in 6000 pieces":    appXML("<MsgType>text</MsgType><Content>" + strings.Repeat("a<!---->", 5500) + "</Content>"),
		"CDATA in 3000 pieces":   appXML("<MsgType>text</MsgType><Content>" + strings.Repeat("<![CDATA[a]]>", 3400) + "</Content>"),
		"text beside children":   appXML("<A>" + strings.Repeat("a<b/>", 4000) + "</A>"),
		"10,000 entities":        appXML("<MsgType>text</MsgType><Content>" + strings.Repeat("&lt;", 11000) + "</Content>"),
		"a text of 45 KB":        appXML("<MsgType>text</MsgType><Content>" + strings.Repeat("a1:1 ", 9000) + "</Content>"),
		"a text of 40,000 lines": appXML("<MsgType>text</MsgType><Content>" + strings.Repeat("\n", 40000) + "</Content>"),
		"a text of digits":       appXML("<MsgType>text</MsgType><Content>" + strings.Repeat("1", 45000) + "</Content>"),
		"4000 keys":              `{"ToUserName":"` + corp + `"` + numbered(3900, `,"a%d":1`) + `}`,
	} {
		best := time.Hour
		for range 7 {
			r := d.sealed(plain, corp, false)
			began := cpuTime(t)
			if code, _ := d.ask(r); code != 200 {
				t.Fatalf("%s: got %d", name, code)
			}
			if best = min(best, cpuTime(t)-began); best < limit/4 {
				break
			}
		}
		if best > limit {
			t.Errorf("%s costs %v, want %v at most", name, best, limit)
		}
		t.Logf("%s: %v", name, best)
	}
}

// TestStrangeContentIsStored: what the platform signs is kept, however strange: a 503 would be for ever.
func TestStrangeContentIsStored(t *testing.T) {
	for name, plain := range map[string]string{
		"a time after the year 9999": "<xml><ToUserName>" + corp + "</ToUserName><MsgType>text</MsgType><CreateTime>9223372036854775807</CreateTime></xml>",
		"a MsgId beyond int64":       appXML("<MsgType>text</MsgType><MsgId>18446744073709551615</MsgId>"),
		"ids that break lines":       appXML("<MsgType>te\nxt</MsgType><AgentID>1\r\n2</AgentID>"),
		"ids with dots and stars":    appXML("<MsgType>event</MsgType><Event>a.b.*.&gt;</Event><ChangeType>c d.e</ChangeType><AgentID>*</AgentID>"),
		"an id of 40,000 characters": appXML("<MsgType>text</MsgType><AgentID>" + strings.Repeat("9", 40000) + "</AgentID>"),
		"control characters":         `{"ToUserName":"` + corp + `","MsgType":"text\u0000","FromUserName":"\u001b[31m\r\nroot","AgentID":null}`,
		"no type":                    `{"ToUserName":"` + corp + `"}`,
		"a type that is a list":      `{"ToUserName":"` + corp + `","MsgType":["text"]}`,
	} {
		d := open(t)
		if code, body := d.ask(d.sealed(plain, corp, false)); code != 200 || body != "success" {
			t.Errorf("%s: got %d %s", name, code, body)
			continue
		}
		m, err := d.b.Last(testkit.Context(t), events.StreamMessage, "kf.app.>")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if e, err := m.Event(); err != nil || e.Validate() != nil {
			t.Errorf("%s: stored as %v, %v", name, e, err)
		}
	}
}

// TestAnswersInTime: the broker's time is what the caller has left of it. A body that came slowly shortens the wait.
func TestAnswersInTime(t *testing.T) {
	d := open(t)
	r := d.sealed(kf("wk1", "E"), corp, false)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	query := r.URL.RawQuery
	synctest.Test(t, func(t *testing.T) {
		d.in.now = time.Now
		d.in.publish = func(ctx context.Context, _ bus.Message) (uint64, bool, error) {
			<-ctx.Done() // a frozen broker
			return 0, false, bus.Classify(ctx.Err())
		}
		for _, c := range []struct{ body, most time.Duration }{{0, 3500 * time.Millisecond}, {3 * time.Second, 4400 * time.Millisecond}, {4 * time.Second, 4400 * time.Millisecond}} {
			r := httptest.NewRequest("POST", "/callback?"+query, &late{c.body, bytes.NewReader(body)})
			began, w := time.Now(), httptest.NewRecorder()
			d.in.ServeHTTP(w, r)
			if took := time.Since(began); w.Code != 503 || took != c.most {
				t.Errorf("a body that takes %v: got %d after %v, want 503 after %v", c.body, w.Code, took, c.most)
			}
		}
	})
}

// late is a body that needs some time to come.
type late struct {
	by time.Duration
	io.Reader
}

func (l *late) Read(p []byte) (int, error) {
	<-time.After(l.by)
	l.by = 0
	return l.Reader.Read(p)
}

// TestPassiveReplyForm: the reply is JSON where the envelope was, white space in front or not.
func TestPassiveReplyForm(t *testing.T) {
	d := open(t)
	d.in.doors["/callback"].ReplyText = "ok"
	s, err := d.codec.Seal(rnd{}, stamp, nonceOf, []byte(appXML("<MsgType>text</MsgType><Content>x</Content>")), corp)
	if err != nil {
		t.Fatal(err)
	}
	for _, space := range []string{"", " \r\n\t"} {
		_, body := d.ask(httptest.NewRequest("POST", "/callback?"+query(s.MsgSignature), strings.NewReader(space+fmt.Sprintf(`{"encrypt":%q}`, s.Encrypt))))
		if !strings.HasPrefix(body, "{") {
			t.Errorf("with %q in front: got %s", space, body)
		}
		if _, err := kfcrypto.ScanEnvelope([]byte(body)); err != nil {
			t.Error(err)
		}
	}
}

// TestAuditLine: one line for each callback that is accepted, none for any other, and none says what was in it.
func TestAuditLine(t *testing.T) {
	d := open(t)
	var log bytes.Buffer
	for _, door := range d.in.doors {
		door.log = zerolog.New(&log).Level(zerolog.InfoLevel)
	}
	d.in.log = zerolog.New(&log).Level(zerolog.InfoLevel)
	lines := func() int { return strings.Count(log.String(), "\n") }
	stale := signedAt(t, d.codec, "/callback", kf("wk1", "GEHEIM1"), corp, noon().Add(-time.Hour))
	for i, r := range []*struct {
		code int
		ask  func() (int, string)
	}{
		{200, func() (int, string) { return d.ask(d.sealed(kf("wk1", "GEHEIM1"), corp, false)) }},
		{200, func() (int, string) { return d.ask(d.sealed(kf("wk1", "GEHEIM1"), corp, true)) }},  // repeated
		{200, func() (int, string) { return d.ask(stale) }},                                       // the same ciphertext, another time
		{200, func() (int, string) { return d.ask(d.sealed(kf("wk1", "GEHEIM2"), corp, false)) }}, // the second of the account
		{200, func() (int, string) { return d.ask(d.sealed(kf("wk1", "GEHEIM3"), corp, false)) }}, // covered
		{200, func() (int, string) {
			return d.ask(d.sealed(appXML("<MsgType>text</MsgType><Content>GEHEIM4</Content>"), corp, false))
		}},
	} {
		if code, _ := r.ask(); code != r.code || lines() != i+1 {
			t.Fatalf("callback %d: got %d and %d lines, want %d and %d:\n%s", i, code, lines(), r.code, i+1, log.String())
		}
	}
	before := lines()
	for range 10 {
		d.ask(httptest.NewRequest("POST", "/callback?"+query(strings.Repeat("0", 40)), strings.NewReader("<xml/>")))
	}
	if lines() != before {
		t.Errorf("refusals are logged:\n%s", log.String())
	}
	for _, secret := range []string{"GEHEIM", token, aesKey, "zhang"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log has %s:\n%s", secret, log.String())
		}
	}
	for _, want := range []string{`"callback":"`, `"account":"wk1"`, `"outcome":"covered"`, `"outcome":"repeated"`, `"outcome":"app"`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log has no %s:\n%s", want, log.String())
		}
	}
}
