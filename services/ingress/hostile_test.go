package ingress

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfcrypto"
)

// attack is one file of testdata/hostile; the README there says how they are written.
type attack struct {
	name   string
	answer string // status and body
	raw    []byte // the request, as it goes on the wire
}

func attacks(t *testing.T) []attack {
	t.Helper()
	files, err := filepath.Glob("testdata/hostile/*.http")
	if err != nil {
		t.Fatal(err)
	}
	var out []attack
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		head, request, ok := strings.Cut(string(b), "\n\n")
		a := attack{name: strings.TrimSuffix(filepath.Base(file), ".http")}
		s := sealing{plain: kf("wk1", "ENC1"), receiveID: corp}
		for line := range strings.Lines(head) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			switch {
			case strings.HasPrefix(line, "#"):
			case name == "answer":
				a.answer = value
			case name == "plain":
				s.plain = expand(t, a.name, value, texts())
			case name == "receiveid":
				s.receiveID = expand(t, a.name, value, texts())
			default:
				t.Fatalf("%s: no such line: %s", file, line)
			}
		}
		if !ok || a.answer == "" {
			t.Fatalf("%s: no answer, or no request", file)
		}
		a.raw = onWire(expand(t, a.name, strings.TrimSuffix(request, "\n"), s.texts(t)))
		out = append(out, a)
	}
	return out
}

// sealing is the callback that a file's placeholders are made of.
type sealing struct{ plain, receiveID string }

func expand(t *testing.T, name, text string, funcs template.FuncMap) string {
	t.Helper()
	tmpl, err := template.New(name).Funcs(funcs).Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := tmpl.Execute(&b, nil); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// texts are the placeholders that need no callback.
func texts() template.FuncMap {
	return template.FuncMap{
		"corp": func() string { return corp }, "timestamp": func() string { return stamp }, "nonce": func() string { return nonceOf },
		"repeat": func(n int, s string) string { return strings.Repeat(s, n) }, "upper": strings.ToUpper,
		"counts": func(n int) []int {
			return slices.Collect(func(yield func(int) bool) {
				for i := 0; i < n && yield(i); i++ {
				}
			})
		},
	}
}

func (s sealing) texts(t *testing.T) template.FuncMap {
	t.Helper()
	codec, err := kfcrypto.New(token, aesKey, kfcrypto.AnyReceiveID)
	if err != nil {
		t.Fatal(err)
	}
	seal := func(plain, receiveID string) kfcrypto.Sealed {
		sealed, err := codec.Seal(rnd{}, stamp, nonceOf, []byte(plain), receiveID)
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	one, other := seal(s.plain, s.receiveID), seal(kf("wk2", "ENC2"), corp)
	all := texts()
	maps.Copy(all, template.FuncMap{
		"plain":       func() string { return s.plain },
		"encrypt":     func() string { return string(one.Encrypt) },
		"other":       func() string { return string(other.Encrypt) },
		"echostr":     func() string { return url.QueryEscape(string(one.Encrypt)) },
		"signature":   func() string { return one.MsgSignature },
		"envelope":    func() string { return string(one.XML()) },
		"query":       func() string { return query(one.MsgSignature) },
		"querysigned": func(text string) string { return query(codec.Sign(stamp, nonceOf, []byte(text))) },
	})
	return all
}

// onWire adds what a client adds: the version, a Host, line ends, and the length of the body unless something else tells it.
func onWire(request string) []byte {
	head, body, hasBody := strings.Cut(request, "\n\n")
	lines := strings.Split(strings.TrimSuffix(head, "\n"), "\n")
	lines[0] += " HTTP/1.1"
	lines = append(lines, "Host: callback.example")
	if hasBody && !strings.Contains(head, "Content-Length:") && !strings.Contains(head, "Transfer-Encoding:") {
		lines = append(lines, "Content-Length: "+strconv.Itoa(len(body)))
	}
	return []byte(strings.Join(lines, "\r\n") + "\r\n\r\n" + body)
}

func TestHostile(t *testing.T) {
	all := attacks(t)
	if len(all) < 60 {
		t.Fatalf("only %d files", len(all))
	}
	w := serve(open(t))
	var refusal *reply
	for _, a := range all {
		got, err := w.exchange(a.raw)
		if err != nil {
			t.Errorf("%s: no answer: %v", a.name, err)
			continue
		}
		if text := fmt.Sprint(got.status, " ", strings.TrimSuffix(got.body, "\n")); text != a.answer && !strings.HasPrefix(string(a.raw), "HEAD") {
			t.Errorf("%s: got %s, want %s", a.name, text, a.answer)
		}
		if got.status != http.StatusForbidden {
			continue
		}
		if refusal == nil {
			refusal = &got
		}
		if !reflect.DeepEqual(got, *refusal) {
			t.Errorf("%s is refused with %v, another with %v", a.name, got, *refusal)
		}
	}
	w.nothingPublished(t)
	if r := w.must(t, wireForm(t, w.sealed(kf("wk1", "ENC1"), corp, false))); r.status != 200 {
		t.Errorf("afterwards a good callback gets %d", r.status)
	}
	t.Logf("%d attacks", len(all))
}

// nothingPublished: not even something that is gone again.
func (d *rig) nothingPublished(t *testing.T) {
	t.Helper()
	for _, stream := range []string{events.StreamCallback, events.StreamMessage} {
		s, err := d.b.JS.Stream(testkit.Context(t), stream)
		if err != nil {
			t.Fatal(err)
		}
		if n := s.CachedInfo().State.LastSeq; n != 0 {
			t.Errorf("%d events were published to %s", n, stream)
		}
	}
}

// maxCPU is what a request that is refused may cost. The handler alone takes the shortest of several runs, so that neither the
// collector nor other processes count.
const maxCPU = 2 * time.Millisecond

func TestHostileIsCheap(t *testing.T) {
	limit := maxCPU
	if raceEnabled {
		limit *= 20
	}
	d := open(t)
	worst, dear := time.Duration(0), ""
	for _, a := range attacks(t) {
		best := time.Hour
		for range 7 {
			r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(a.raw)))
			if err != nil {
				break // not for the handler
			}
			began := cpuTime(t)
			d.in.ServeHTTP(httptest.NewRecorder(), r)
			if best = min(best, cpuTime(t)-began); best < limit/4 {
				break
			}
		}
		if best == time.Hour {
			continue
		}
		if best > limit {
			t.Errorf("%s costs %v, want %v at most", a.name, best, limit)
		}
		if best > worst {
			worst, dear = best, a.name
		}
	}
	t.Logf("the dearest is %s: %v", dear, worst)
}
