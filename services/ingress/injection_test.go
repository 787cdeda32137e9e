package ingress

import (
	"bytes"
	"context"
	"encoding/json"
	stdlog "log"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
)

// lines is a log that several goroutines write.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSuffix(l.b.String(), "\n"), "\n")
}

// TestLogInjection: whatever is sent, in whatever place, each line of the log is one JSON object that we wrote, and nothing is
// written beside it.
func TestLogInjection(t *testing.T) {
	var log, std lines
	defer stdlog.SetOutput(stdlog.Writer())
	stdlog.SetOutput(&std)
	d := open(t)
	dd := deps()
	dd.Log = zerolog.New(&log)
	in, err := New(config(), []Door{doorConfig()}, dd, d.b)
	if err != nil {
		t.Fatal(err)
	}
	works := in.publish
	in.publish = func(ctx context.Context, m bus.Message) (uint64, bool, error) {
		if strings.Contains(string(m.Event.Data()), "FULL") {
			return 0, false, bus.ErrFull
		}
		return works(ctx, m)
	}
	d.in = in
	w := serve(d)
	stdlog.New(serverLog{dd.Log}, "", 0).Print("http: panic serving \r\n\x1b[31m\x00") // as net/http would
	payloads := []string{"\r\n{\"level\":\"info\",\"message\":\"callback accepted\"}", "\n2026-01-01 root logged in", "\x1b[31mred\x1b[0m", "\x00", "%0d%0aforged",
		`","message":"callback accepted","x":"`, "${jndi:ldap://127.0.0.1/x}", "\u2028\u2029", strings.Repeat("A", 5000), "%s%n%x", "'; DROP TABLE", "<script>alert(1)</script>"}
	sent := 0
	for _, p := range payloads {
		oneLine := strings.NewReplacer("\r", "%0d", "\n", "%0a", " ", "%20", "\x00", "%00").Replace(p)
		for _, raw := range []string{
			"GET /callback" + oneLine + " HTTP/1.1\r\nHost: x\r\n\r\n",
			"GET /callback?nonce=" + oneLine + ";x HTTP/1.1\r\nHost: x\r\n\r\n",
			"GET /callback HTTP/1.1\r\nHost: x\r\nUser-Agent: " + p + "\r\nX-Forwarded-For: " + p + "\r\n\r\n",
			"GET /callback HTTP/1.1\r\nHost: " + p + "\r\n\r\n",
			p + " /callback HTTP/1.1\r\nHost: x\r\n\r\n",
			p + "\r\n\r\n",
		} {
			_, _ = w.exchange([]byte(raw)) // whatever the answer
			sent++
		}
		asJSON, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, event := range []string{"kf_msg_or_event", "kf_account_auth_change", "click"} {
			for _, more := range []string{"", "FULL"} {
				plain := `{"ToUserName":"` + corp + `","MsgType":"event","Event":"` + event + `","OpenKfId":` + string(asJSON) + `,"FromUserName":` + string(asJSON) +
					`,"ChangeType":` + string(asJSON) + `,"AgentID":` + string(asJSON) + `,"Token":"` + more + `"}`
				w.must(t, wireForm(t, d.sealed(plain, corp, false)))
				sent++
			}
		}
	}
	known := []string{"waiting for callbacks", "callback accepted", "callback not stored: answered 503, WeChat will repeat it", "http server", "the caller left before the answer"}
	count := map[string]int{}
	for _, line := range log.all() {
		var entry struct{ Message, Level string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Errorf("a line that is no JSON: %q", line)
			continue
		}
		count[entry.Message]++
		if len(line) > 1500 || strings.ContainsAny(line, "\x1b\r\x00") || entry.Level == "" {
			t.Errorf("a line that is too long, has no level, or has control characters: %.200q", line)
		}
	}
	for message := range count {
		found := false
		for _, k := range known {
			found = found || k == message
		}
		if !found {
			t.Errorf("a line says %q, which we never say", message)
		}
	}
	if want := 3 * len(payloads); count["callback accepted"] != want {
		t.Errorf("%d callbacks are logged as accepted, want %d", count["callback accepted"], want)
	}
	if want := 3 * len(payloads); count["callback not stored: answered 503, WeChat will repeat it"] != want {
		t.Errorf("got %v, want %d of not stored", count, want)
	}
	if count["http server"] != 1 {
		t.Errorf("got %v, want one of net/http's", count)
	}
	if got := std.all(); len(got) != 1 || got[0] != "" {
		t.Errorf("beside the log was written: %q", got)
	}
	t.Logf("%d requests, %v", sent, count)
}
