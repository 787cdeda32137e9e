package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/kfcrypto"
)

// ingressEnviron sets what the ingress of a stack has, for a command in this process.
func (s *stack) ingressEnviron(t *testing.T) map[string]string {
	t.Helper()
	files := secretFiles(t, s.world.corp.CallbackToken, s.world.corp.EncodingAESKey)
	host := func(raw string) string {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		return u.Host
	}
	return map[string]string{"KF_CORP_ID": s.corp(), "KF_NATS_URL": s.urls.nats, "KF_API_BASE_URL": s.urls.platform,
		"KF_INGRESS_CALLBACK_TOKEN_FILE": files[1], "KF_INGRESS_ENCODING_AES_KEY_FILE": files[3],
		"KF_INGRESS_CALLBACK_TOKEN": "", "KF_INGRESS_ENCODING_AES_KEY": "",
		"KF_INGRESS_ADDR": host(s.urls.callback), "KF_ADMIN_ADDR": host(s.urls.admin)}
}

// states reads what the doctor says with -o json: the first state of each check, and the details of all.
func states(t *testing.T, out string) (map[string]string, string) {
	t.Helper()
	all, details := map[string]string{}, ""
	for line := range strings.Lines(out) {
		var v verdict
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if all[v.Check] == "" || v.State == stateFail {
			all[v.Check] = v.State
		}
		if (v.State == stateFail || v.State == stateWarn) && v.Do == "" {
			t.Errorf("%s says nothing to do: %s", v.Check, line)
		}
		details += v.Detail + "\n"
	}
	return all, details
}

// TestDoctorIngress breaks one thing at a time.
func TestDoctorIngress(t *testing.T) {
	s := startStack(t)
	good := s.ingressEnviron(t)
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>hello") }))
	defer page.Close()
	empty := testkit.NATS(t).URL()
	open := filepath.Join(t.TempDir(), "open")
	if err := os.WriteFile(open, []byte(s.world.corp.CallbackToken), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o644); err != nil { // whatever the umask
		t.Fatal(err)
	}
	dirty := filepath.Join(t.TempDir(), "dirty")
	if err := os.WriteFile(dirty, []byte(s.world.corp.CallbackToken+" \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	key := kfcrypto.GenerateKey().Reveal()
	for _, c := range []struct {
		name  string
		env   map[string]string
		url   string
		want  string // states that are not ok
		words string
	}{
		{"all is well", nil, s.urls.callback, "", "byte for byte"},
		{"no URL", nil, "", "url:skip", "--url"},
		{"both ports free", map[string]string{"KF_INGRESS_ADDR": freeAddr(t), "KF_ADMIN_ADDR": freeAddr(t)}, "", "url:skip", "is free"},
		{"another program on the port", map[string]string{"KF_INGRESS_ADDR": page.Listener.Addr().String()}, "", "port:fail url:skip", "another program"},
		{"no such address", map[string]string{"KF_INGRESS_ADDR": "192.0.2.1:80"}, "", "port:fail url:skip", "cannot be listened on"},
		{"no broker", map[string]string{"KF_NATS_URL": "nats://user:hush@127.0.0.1:1"}, "", "broker:fail clock:skip publish:skip streams:skip url:skip", "connect to nats"},
		{"no streams", map[string]string{"KF_NATS_URL": empty}, "", "clock:skip publish:fail streams:fail url:skip", "KF_CALLBACK"},
		{"no corp", map[string]string{"KF_CORP_ID": ""}, s.urls.callback, "publish:skip secrets:skip settings:fail url:skip", "KF_CORP_ID is required"},
		{"a bad number", map[string]string{"KF_INGRESS_CONNECTIONS": "many"}, "", "broker:skip clock:skip port:skip publish:skip secrets:skip settings:fail streams:skip url:skip", "KF_INGRESS_CONNECTIONS"},
		{"a file that everybody may read", map[string]string{"KF_INGRESS_CALLBACK_TOKEN_FILE": open}, "", "secrets:warn url:skip", "everybody"},
		{"a file with a space", map[string]string{"KF_INGRESS_CALLBACK_TOKEN_FILE": dirty}, s.urls.callback, "secrets:fail url:skip", "white space"},
		{"a secret in the environment", map[string]string{"KF_INGRESS_CALLBACK_TOKEN_FILE": "", "KF_INGRESS_CALLBACK_TOKEN": s.world.corp.CallbackToken}, "", "secrets:warn url:skip", "in the environment"},
		{"old keys that are not", map[string]string{"KF_INGRESS_OLD_CALLBACK_TOKEN_FILE": good["KF_INGRESS_CALLBACK_TOKEN_FILE"], "KF_INGRESS_OLD_ENCODING_AES_KEY_FILE": good["KF_INGRESS_ENCODING_AES_KEY_FILE"]},
			"", "secrets:warn url:skip", "are the present ones"},
		{"an old Token alone", map[string]string{"KF_INGRESS_OLD_CALLBACK_TOKEN": "abc"}, "", "publish:skip secrets:skip settings:fail url:skip", "go together"},
		{"other keys here than there", map[string]string{"KF_INGRESS_ENCODING_AES_KEY_FILE": "", "KF_INGRESS_ENCODING_AES_KEY": key}, s.urls.callback, "echo:fail secrets:warn", "another Token"},
		{"the check is switched off here, not there", map[string]string{"KF_INGRESS_VERIFY_URL": "false"}, s.urls.callback, "", "byte for byte"},
		{"a page at the URL", nil, page.URL + "/callback", "echo:fail forgery:fail", "web page"},
		{"nobody at the URL", nil, "http://127.0.0.1:1/callback", "url:fail", "no answer"},
		{"no URL at all", nil, "kf.example", "url:fail", "no URL"},
		{"a query in the URL", nil, s.urls.callback + "?from=console", "url:fail", "has a query"},
		{"a path that is none", nil, s.urls.callback + "/x", "echo:fail", "404"},
		{"the platform is away", map[string]string{"KF_API_BASE_URL": "http://127.0.0.1:1"}, "", "url:skip", "need not reach it"},
		{"two corps", map[string]string{"KF_CORPS": "a,b", "KF_CORP_A_ID": s.corp(), "KF_CORP_A_CALLBACK_TOKEN": "abc", "KF_CORP_A_ENCODING_AES_KEY": key,
			"KF_CORP_B_ID": "ww2", "KF_CORP_B_CALLBACK_TOKEN": "abc", "KF_CORP_B_ENCODING_AES_KEY": newKey().Reveal()}, s.urls.callback, "port:fail secrets:warn url:fail", "a and b share"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, env := range []map[string]string{good, c.env} {
				for name, value := range env {
					t.Setenv(name, value)
				}
			}
			args := []string{"doctor", "ingress", "-o", "json"}
			if c.url != "" {
				args = append(args, "--url", c.url)
			}
			code, out, errs := kfbus(t, args...)
			got, details := states(t, out)
			var odd []string
			for _, check := range []string{"broker", "clock", "echo", "forgery", "port", "publish", "secrets", "settings", "streams", "url"} {
				if got[check] != "" && got[check] != stateOK {
					odd = append(odd, check+":"+got[check])
				}
			}
			if strings.Join(odd, " ") != c.want || errs != "" || !strings.Contains(details, c.words) {
				t.Errorf("got %v, want %q and %q in:\n%s%s", odd, c.want, c.words, details, errs)
			}
			if failed := strings.Contains(c.want, ":fail"); (code == 1) != failed || code > 1 {
				t.Errorf("code %d, and it failed: %v", code, failed)
			}
			for _, secret := range []string{s.world.corp.CallbackToken, s.world.corp.EncodingAESKey, key, "hush"} {
				if strings.Contains(out, secret) {
					t.Errorf("a secret is in:\n%s", out)
				}
			}
		})
	}
	for name, value := range good {
		t.Setenv(name, value)
	}
	if code, out, _ := kfbus(t, "doctor", "ingress"); code != 0 || !strings.Contains(out, "ok    settings      callbacks are taken for "+s.corp()+"\n") || !strings.Contains(out, "\nskip  url           give --url") {
		t.Errorf("code %d\n%s", code, out)
	}
}

// TestDoctorOverTLS puts a proxy with TLS before the ingress, and then one that spoils the answer.
func TestDoctorOverTLS(t *testing.T) {
	s := startStack(t)
	for name, value := range s.ingressEnviron(t) {
		t.Setenv(name, value)
	}
	target, err := url.Parse(strings.TrimSuffix(s.urls.callback, "/callback"))
	if err != nil {
		t.Fatal(err)
	}
	behind := "" // what the proxy adds
	proxy := httptest.NewTLSServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ModifyResponse: func(res *http.Response) error {
			if behind != "" {
				res.Body = struct {
					*bytes.Reader
					closer
				}{bytes.NewReader([]byte("1" + behind)), closer{}}
				res.ContentLength = -1
				res.Header.Del("Content-Length")
			}
			return nil
		}})
	defer proxy.Close()
	for _, c := range []struct {
		name, behind string
		client       *http.Client
		now          func() time.Time
		want         map[string]string
	}{
		{"as it should be", "", proxy.Client(), time.Now, map[string]string{"echo": stateOK, "forgery": stateOK, "certificate": stateOK}},
		{"an answer that was changed", "\n", proxy.Client(), time.Now, map[string]string{"echo": stateFail, "forgery": stateOK}},
		{"a certificate that nobody knows", "", http.DefaultClient, time.Now, map[string]string{"url": stateFail}},
		{"our clock is wrong", "", proxy.Client(), func() time.Time { return time.Now().Add(10 * time.Minute) }, map[string]string{"echo": stateFail, "clock": stateFail, "forgery": stateOK}},
	} {
		var out bytes.Buffer
		behind = c.behind
		d := ingressDoctor{urls: []string{proxy.URL + "/callback"}, now: c.now, client: c.client}
		err := examine(t.Context(), std{out: &out}, &output{format: "json"}, d.checks())
		d.close()
		got, details := states(t, out.String())
		failed := false
		for check, state := range c.want {
			failed = failed || state == stateFail
			if got[check] != state {
				t.Errorf("%s: %s is %s, want %s:\n%s", c.name, check, got[check], state, details)
			}
		}
		if (err != nil) != failed {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

// TestOperationsCommands runs what docs/operations.md says about callbacks that do not arrive.
func TestOperationsCommands(t *testing.T) {
	s := startStack(t)
	doc, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(doc), "## When callbacks do not arrive\n")
	section, _, _ = strings.Cut(section, "\n## ")
	commands := regexp.MustCompile(`(?m)^kfbus .*$`).FindAllString(section, -1)
	if !found || len(commands) < 5 {
		t.Fatalf("got %d commands", len(commands))
	}
	for name, value := range s.ingressEnviron(t) {
		t.Setenv(name, value)
	}
	_, made, _ := kfbus(t, "callback", "make", "--kf", s.kf(), "--url", s.urls.callback)
	at, body, _ := strings.Cut(strings.TrimSpace(made), "\n")
	t.Chdir(t.TempDir())
	for name, content := range map[string]string{"body.xml": body, "request.http": fmt.Sprintf("POST %s HTTP/1.1\r\nHost: kf.example\r\nContent-Length: %d\r\n\r\n%s", at, len(body), body)} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range commands {
		line := strings.NewReplacer("'https://kf.example/callback?msg_signature=…&timestamp=…&nonce=…'", at, "https://kf.example/callback", s.urls.callback, "OPEN_KFID", s.kf()).Replace(line)
		if code, out, errs := kfbus(t, strings.Fields(line)[1:]...); code != 0 {
			t.Errorf("%s: code %d\n%s%s", line, code, out, errs)
		}
	}
}

type closer struct{}

func (closer) Close() error { return nil }

func TestDoctorJudges(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	day := 24 * time.Hour
	echo := func(answersGET bool, status int, body string, took time.Duration) verdict {
		return echoVerdict(answered{Status: status, Body: body, took: took}, "123", answersGET)
	}
	for _, c := range []struct {
		name  string
		v     verdict
		state string
		words string
	}{
		{"clocks agree", clockVerdict("x", at, at, at), stateOK, "within 2s"},
		{"an answer that took long", clockVerdict("x", at, at.Add(-4*time.Second), at.Add(4*time.Second)), stateOK, "x"},
		{"11 s ahead", clockVerdict("x", at, at.Add(11*time.Second), at.Add(11*time.Second)), stateWarn, "11s ahead of x"},
		{"11 s behind", clockVerdict("x", at, at.Add(-11*time.Second), at.Add(-11*time.Second)), stateWarn, "11s behind x"},
		{"6 min behind", clockVerdict("x", at, at.Add(-6*time.Minute), at.Add(-6*time.Minute)), stateFail, "behind"},
		{"a good certificate", certificate(14 * day), stateOK, "14 days"},
		{"one that ends", certificate(14*day - 1), stateWarn, "13 days"},
		{"a good echo", echo(true, 200, "123", time.Second), stateOK, "byte for byte"},
		{"a slow one", echo(true, 200, "123", time.Second+time.Millisecond), stateFail, "1s"},
		{"switched off", echo(false, 403, "forbidden", 0), stateSkip, "switched off"},
		{"switched off and away", echo(false, 502, "", 0), stateFail, "does not reach"},
	} {
		if c.v.State != c.state || !strings.Contains(c.v.Detail, c.words) || (c.state == stateFail) && c.v.Do == "" {
			t.Errorf("%s: got %+v, want %s and %q", c.name, c.v, c.state, c.words)
		}
	}
}
