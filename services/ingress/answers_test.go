package ingress

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kfbus/kfbus/internal/bus"
)

// documented are the answers in the README's table.
func documented(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([1-5]\\d\\d [^`]+)` \\|").FindAllStringSubmatch(string(b), -1) {
		out = append(out, m[1])
	}
	if len(out) < 10 {
		t.Fatalf("only %d answers in the README: has its table moved?", len(out))
	}
	return out
}

// answerServer answers everything there is: its only door replies, a publish for the account wkfull fails, and a caller behind
// the proxy may be refused twice.
func answerServer(t *testing.T) *wire {
	d := open(t)
	cfg := config()
	cfg.TrustedProxies, cfg.RefusalsPerIP = []string{"127.0.0.1"}, 1
	door := doorConfig()
	door.ReplyText = "ok"
	in, err := New(cfg, []Door{door}, deps(), d.b)
	if err != nil {
		t.Fatal(err)
	}
	works := in.publish
	in.publish = func(ctx context.Context, m bus.Message) (uint64, bool, error) {
		if strings.HasSuffix(m.Subject, ".wkfull") {
			return 0, false, bus.ErrFull
		}
		return works(ctx, m)
	}
	d.in = in
	return serve(d)
}

// named is the README's name for an answer.
func named(r reply) string {
	switch {
	case r.status == 200 && (strings.HasPrefix(r.body, "<xml><Encrypt>") || strings.HasPrefix(r.body, "{")):
		return "200 <reply>"
	case r.status == 200 && r.body != "success":
		return "200 <echo>"
	case r.header.Get("X-Content-Type-Options") == "": // net/http's own: a reason may follow
		own, _, _ := strings.Cut(r.body, ":")
		if own == "" || own == "Unsupported transfer encoding" {
			own = fmt.Sprint(r.status, " ", http.StatusText(r.status))
		}
		return own
	}
	return fmt.Sprint(r.status, " ", r.body)
}

// TestEveryAnswer makes each answer of the README happen, and no other.
func TestEveryAnswer(t *testing.T) {
	w := answerServer(t)
	lines := func(l ...string) []byte { return []byte(strings.Join(l, "\r\n") + "\r\n\r\n") }
	post := func(plain string) []byte { return wireForm(t, w.sealed(plain, corp, false)) }
	echo := expand(t, "echo", "GET /callback?{{query}}&echostr={{echostr}}", sealing{"1616140317555161061", corp}.texts(t))
	stranger := lines("GET /callback HTTP/1.1", "Host: x", "X-Forwarded-For: 198.51.100.1")
	for range 2 {
		w.must(t, stranger)
	}
	seen := map[string]bool{}
	for _, c := range []struct {
		want string
		raw  []byte
	}{
		{"200 success", post(kf("wk1", "E"))},
		{"200 <echo>", onWire(echo)},
		{"200 <reply>", post(appXML("<MsgType>text</MsgType><Content>x</Content>"))},
		{"403 forbidden", lines("GET /callback HTTP/1.1", "Host: x")},
		{"403 forbidden", []byte("POST /callback?" + query(strings.Repeat("0", 40)) + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n\r\n")},
		{"404 not found", lines("GET / HTTP/1.0")},
		{"404 not found", lines("OPTIONS * HTTP/1.1", "Host: x")},
		{"404 not found", lines("CONNECT x:443 HTTP/1.1", "Host: x:443")},
		{"404 not found", lines("PRI * HTTP/2.0", "", "SM")},
		{"405 method not allowed", lines("DELETE /callback HTTP/1.1", "Host: x")},
		{"413 too large", lines("POST /callback HTTP/1.1", "Host: x", "Content-Length: 65537")},
		{"415 unsupported", lines("POST /callback HTTP/1.1", "Host: x", "Content-Encoding: br", "Content-Length: 0")},
		{"429 too many requests", stranger},
		{"503 busy", post(kf("wkfull", "E"))},
		{"400 Bad Request", lines("hello")},
		{"400 Bad Request", lines("GET /callback HTTP/1.1")},
		{"400 Bad Request", lines("GET /callback HTTP/1.1", "Host: x", "Host: y")},
		{"400 Bad Request", lines("GET /callback HTTP/1.1", "Host: x y")},
		{"400 Bad Request", lines("GET /callback HTTP/1.1", "Host: x", "a b: c")},
		{"400 Bad Request", lines("GET /callback HTTP/1.1", "Host: x", "A: b\x00")},
		{"400 Bad Request", lines("GET /%zz HTTP/1.1", "Host: x")},
		{"400 Bad Request", lines("GET callback HTTP/1.1", "Host: x")},
		{"400 Bad Request", lines("G@T /callback HTTP/1.1", "Host: x")},
		{"400 Bad Request", lines("POST /callback HTTP/1.1", "Host: x", "Content-Length: -1")},
		{"400 Bad Request", lines("POST /callback HTTP/1.1", "Host: x", "Content-Length: 1", "Content-Length: 2")},
		{"400 Bad Request", []byte("\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n")},
		{"417 Expectation Failed", lines("POST /callback HTTP/1.1", "Host: x", "Expect: the-unexpected", "Content-Length: 1")},
		{"431 Request Header Fields Too Large", lines("GET /callback HTTP/1.1", "Host: x", "A: "+strings.Repeat("x", 16<<10))},
		{"431 Request Header Fields Too Large", lines("GET /callback?"+strings.Repeat("x", 16<<10)+" HTTP/1.1", "Host: x")},
		{"501 Not Implemented", lines("POST /callback HTTP/1.1", "Host: x", "Transfer-Encoding: gzip")},
		{"505 HTTP Version Not Supported", lines("GET /callback HTTP/3.0", "Host: x")},
		{"505 HTTP Version Not Supported", lines("GET /callback HTTP/0.9", "Host: x")},
	} {
		got := named(w.must(t, c.raw))
		seen[got] = true
		if got != c.want {
			t.Errorf("%.60q: got %s, want %s", c.raw, got, c.want)
		}
	}
	if got, want := slices.Sorted(maps.Keys(seen)), slices.Sorted(slices.Values(documented(t))); !slices.Equal(got, want) {
		t.Errorf("the port answers\n%s\nthe README says\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// scanned are 200 paths: ours, their neighbours, and what scanners try.
func scanned() []string {
	paths := append(prefixes(), "/", "/*", "/favicon.ico", "/robots.txt", "/.well-known/security.txt", "/.env", "/.git/HEAD", "/.git/config",
		"/.svn/entries", "/.DS_Store", "/.aws/credentials", "/.ssh/id_rsa", "/metrics", "/livez", "/readyz", "/healthz", "/health", "/varz", "/connz",
		"/jsz", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline", "/debug/vars", "/debug/requests", "/status", "/server-status",
		"/actuator", "/actuator/env", "/actuator/health", "/api", "/api/v1", "/api/v1/pods", "/v1/agent/self", "/v2/_catalog", "/graphql", "/swagger.json",
		"/openapi.json", "/docs", "/login", "/admin", "/admin/", "/console", "/manager/html", "/wp-login.php", "/wp-admin/", "/xmlrpc.php", "/phpinfo.php",
		"/index.php", "/index.html", "/cgi-bin/gettoken", "/cgi-bin/kf/sync_msg", "/cgi-bin/test.cgi", "/cgi-bin/.%2e/.%2e/bin/sh", "/boaform/admin/formLogin",
		"/solr/admin/info/system", "/owa/auth/logon.aspx", "/ecp/default.flt", "/HNAP1", "/sdk", "/evox/about", "/nmaplowercheck", "/proxy.pac",
		"/WEB-INF/web.xml", "/etc/passwd", "/../../etc/passwd", "/..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd", "/static/../../etc/passwd",
		"/callback.php", "/callbacks", "/callbac", "/Callback", "/CALLBACK", "/call%62ack", "/callback%20", "/callback%0a", "/callback%2f", "/callback%3f",
		"/wework", "/wework/", "/wechat", "/wechat/", "/wework%2fcallback", "/wechat%2Fcallback", "//callback", "///callback", "/./callback", "/x/../callback",
		"http://callback.example/elsewhere", "http://callback.example", "http://169.254.169.254/latest/meta-data/", "*")
	for _, p := range prefixes() {
		for _, tail := range []string{"/", "//", "/.", "/..", "/x", "/a/b", "/%00", ";x", ";x=1", ":80", "~", ".json", ".xml", ".bak", "/metrics", "/admin", "/healthz",
			"/shop", "/desk", "/callback", "%00", "%09", "%20x", "\\", "/..;/", "/%2e", "/%2e%2e/", "/%252e", "/%c0%ae", "#x", "/*", "/{id}", "/$", "/=", "/@", "/+"} {
			paths = append(paths, p+tail)
		}
	}
	return paths
}

// TestScan: whoever knocks on other paths and with other methods learns of nothing.
func TestScan(t *testing.T) {
	w := serve(open(t))
	table, paths := documented(t), scanned()
	methods := []string{"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"}
	if len(paths) < 200 {
		t.Fatalf("only %d paths", len(paths))
	}
	count := map[string]int{}
	for _, path := range paths {
		for _, method := range methods {
			got := w.must(t, []byte(method+" "+path+" HTTP/1.1\r\nHost: callback.example\r\nContent-Length: 0\r\n\r\n"))
			answer := named(got)
			if method == "HEAD" { // which has no body, so the status must do
				answer = table[max(0, slices.IndexFunc(table, func(s string) bool { return strings.HasPrefix(s, fmt.Sprint(got.status)) }))]
			}
			count[answer]++
			ours := slices.Contains(prefixes(), path)
			want := "404 not found"
			switch {
			case ours && (method == "GET" || method == "POST"):
				want = "403 forbidden"
			case ours:
				want = "405 method not allowed"
			}
			if answer != want || !slices.Contains(table, answer) {
				t.Errorf("%s %s: got %s, want %s", method, path, answer, want)
			}
			for name := range got.header {
				if !slices.Contains([]string{"Content-Type", "Content-Length", "X-Content-Type-Options", "Allow", "Connection"}, name) {
					t.Errorf("%s %s: has the header %s", method, path, name)
				}
			}
		}
	}
	w.nothingPublished(t)
	t.Logf("%d paths × %d methods: %v", len(paths), len(methods), count)
}
