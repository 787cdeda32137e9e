package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/service"
)

// secretFiles writes a Token and a key, and returns the flags that name them.
func secretFiles(t *testing.T, token, key string) []string {
	t.Helper()
	dir := t.TempDir()
	for name, value := range map[string]string{"token": token, "key": key} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(value+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"--token-file", filepath.Join(dir, "token"), "--aes-key-file", filepath.Join(dir, "key")}
}

// kfbusIn is kfbus with something piped in.
func kfbusIn(t *testing.T, in string, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(in), &o, &e)
	return code, o.String(), e.String()
}

const (
	sampleToken = "QDG6eK"
	sampleKey   = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
	sampleCorp  = "wx5823bf96d3bd56c7"
	sampleURL   = "https://kf.example/callback?msg_signature=5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3&timestamp=1409659589&nonce=263014780&echostr=P9nAzCzyDtyTWESHep1vC5X9xho%2FqYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp%2B4RPcs8TgAE7OaBO%2BFZXvnaqQ%3D%3D"
)

func TestCallbackVerify(t *testing.T) {
	keys := append(secretFiles(t, sampleToken, sampleKey), "--corp", sampleCorp)
	post := append(secretFiles(t, sampleToken, sampleKey), "--corp", "ww1")
	made := func(args ...string) (url, body string) {
		code, out, errs := kfbus(t, append(append([]string{"callback", "make", "--kf", "wk1"}, post...), args...)...)
		url, body, _ = strings.Cut(strings.TrimSpace(out), "\n")
		if code != 0 || body == "" {
			t.Fatalf("make: code %d %s%s", code, out, errs)
		}
		return url, body
	}
	url, body := made()
	jsonURL, jsonBody := made("--format", "json")
	oldURL, oldBody := made("--at", "-20m")
	path := strings.TrimPrefix(url, "http://127.0.0.1:8080")
	dir := t.TempDir()
	file := func(name, content string) string {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	request := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: kf.example\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
	for _, c := range []struct {
		name string
		keys []string
		in   string
		args []string
		code int
		want []string
		not  string
	}{
		{"the official sample", keys, "", []string{sampleURL}, 0, []string{"good: the console's check", sampleCorp, "note"}, "1616140317555161061"},
		{"the query alone", keys, "", []string{sampleURL[strings.Index(sampleURL, "?"):]}, 0, []string{"good:"}, ""},
		{"when it arrived", keys, "", []string{sampleURL, "--at", "1409659590"}, 0, []string{"good:"}, "note"},
		{"when it did not", keys, "", []string{sampleURL, "--at", "2014-09-03T00:00:00Z"}, 1, []string{"bad: timestamp", "clock"}, ""},
		{"its content", keys, "", []string{sampleURL, "--show"}, 0, []string{"\n1616140317555161061\n"}, ""},
		{"another receiveid", post, "", []string{sampleURL}, 1, []string{"bad: receiveid", sampleCorp, "good so far  settings, request, parameters, envelope, signature"}, "1616140317555161061"},
		{"receiveids by name", post, "", []string{sampleURL, "--receive-id", "a," + sampleCorp}, 0, []string{"good:"}, ""},
		{"a body as argument", post, "", []string{url, body}, 0, []string{"good: event kf_msg_or_event of account wk1"}, "ENC"},
		{"a body in a file", post, "", []string{url, "--body", file("body", body)}, 0, []string{"of account wk1"}, ""},
		{"a body piped in", post, body, []string{url}, 0, []string{"of account wk1"}, ""},
		{"a body named -", post, body, []string{url, "--body", "-"}, 0, []string{"of account wk1"}, ""},
		{"a JSON body", post, jsonBody, []string{jsonURL}, 0, []string{"of account wk1"}, ""},
		{"an old one", post, oldBody, []string{oldURL}, 0, []string{"20m", "ago"}, ""},
		{"a document, shown", post, body, []string{url, "--show"}, 0, []string{"<Token><![CDATA[ENC"}, ""},
		{"a raw request", post, "", []string{"--file", file("request", request)}, 0, []string{"of account wk1"}, ""},
		{"a raw request piped in", post, request, []string{"--file", "-"}, 0, []string{"of account wk1"}, ""},
		{"a raw request by hand", post, "", []string{"--file", file("hand", "\nPOST "+path+" HTTP/1.1\nHost: x\n\n"+body+"\n")}, 0, []string{"of account wk1"}, ""},
		{"a raw request cut short", post, "", []string{"--file", file("short", request[:len(request)-9])}, 1, []string{"bad: request", "cut short"}, ""},
		{"a cut body", post, body[:len(body)-9], []string{url}, 1, []string{"bad: envelope", "cut short"}, ""},
		{"JSON", keys, "", []string{sampleURL, "-o", "json"}, 0, []string{`"ok":true`, `"receiveid":"` + sampleCorp + `"`}, "1616140317555161061"},
		{"JSON of a bad one", post, "", []string{sampleURL, "-o", "json"}, 1, []string{`"ok":false,"step":"receiveid","passed":["settings"`}, ""},

		{"nothing", keys, "", nil, 2, []string{"takes a URL"}, ""},
		{"file and URL", keys, "", []string{sampleURL, "--file", "x"}, 2, []string{"nothing beside it"}, ""},
		{"two bodies", keys, "", []string{url, body, "--body", "x"}, 2, []string{"not both"}, ""},
		{"no such file", keys, "", []string{url, "--body", filepath.Join(dir, "none")}, 2, []string{"none"}, ""},
		{"no request", keys, "", []string{"--file", file("words", "hello")}, 2, []string{"no HTTP request"}, ""},
		{"a bad time", keys, "", []string{sampleURL, "--at", "noon"}, 2, []string{"--at"}, ""},
		{"half the keys", keys[:2], "", []string{sampleURL}, 2, []string{"go together"}, ""},
		{"no keys", nil, "", []string{sampleURL}, 2, []string{"KF_INGRESS_CALLBACK_TOKEN is required", "--token-file"}, ""},
	} {
		code, out, errs := kfbusIn(t, c.in, append(append([]string{"callback", "verify"}, c.args...), c.keys...)...)
		if code != c.code || (code == 2) != (errs != "") || (code == 2) != (out == "") {
			t.Errorf("%s: code %d, want %d\nout: %s\nerr: %s", c.name, code, c.code, out, errs)
		}
		for _, want := range c.want {
			if !strings.Contains(out+errs, want) {
				t.Errorf("%s: %q is missing in\n%s%s", c.name, want, out, errs)
			}
		}
		for _, not := range []string{sampleToken, sampleKey, c.not} {
			if not != "" && strings.Contains(out+errs, not) {
				t.Errorf("%s: %q is in\n%s%s", c.name, not, out, errs)
			}
		}
	}
}

// TestCallbackVerifyTakesTheIngressSettings, of one corp and of several.
func TestCallbackVerifyTakesTheIngressSettings(t *testing.T) {
	for _, c := range []struct {
		name string
		env  map[string]string
		args []string
		code int
		want string
	}{
		{"one corp", map[string]string{"KF_CORP_ID": sampleCorp, "KF_INGRESS_CALLBACK_TOKEN": sampleToken, "KF_INGRESS_ENCODING_AES_KEY": sampleKey}, nil, 0, "good:"},
		{"its suite", map[string]string{"KF_CORP_ID": "ww1", receiveIDsVariable: sampleCorp, "KF_INGRESS_CALLBACK_TOKEN": sampleToken, "KF_INGRESS_ENCODING_AES_KEY": sampleKey}, nil, 0, "good:"},
		{"the keys before", map[string]string{"KF_CORP_ID": sampleCorp, "KF_INGRESS_CALLBACK_TOKEN": "new", "KF_INGRESS_ENCODING_AES_KEY": newKey().Reveal(),
			"KF_INGRESS_OLD_CALLBACK_TOKEN": sampleToken, "KF_INGRESS_OLD_ENCODING_AES_KEY": sampleKey}, nil, 0, "OLD"},
		{"two corps, named", nil, []string{"--door", "b"}, 0, "good:"},
		{"two corps, the other", nil, []string{"--door", "a"}, 1, "Token of b"},
		{"two corps, none", nil, nil, 2, "404"},
		{"two corps, a third", nil, []string{"--door", "c"}, 2, "not in KF_CORPS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.env == nil {
				c.env = map[string]string{"KF_CORPS": "a,b", "KF_CORP_A_ID": "ww1", "KF_CORP_A_CALLBACK_TOKEN": "abc", "KF_CORP_A_ENCODING_AES_KEY": newKey().Reveal(),
					"KF_CORP_B_ID": sampleCorp, "KF_CORP_B_CALLBACK_TOKEN": sampleToken, "KF_CORP_B_ENCODING_AES_KEY": sampleKey}
			}
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			code, out, errs := kfbus(t, append([]string{"callback", "verify", sampleURL}, c.args...)...)
			if code != c.code || !strings.Contains(out+errs, c.want) {
				t.Errorf("code %d, want %d and %q in:\n%s%s", code, c.code, c.want, out, errs)
			}
		})
	}
}

func TestCallbackMake(t *testing.T) {
	keys := append(secretFiles(t, sampleToken, sampleKey), "--corp", "ww1")
	const doc = `<xml><MsgType>text</MsgType><Content>it's</Content></xml>`
	verify := func(url, body string) string {
		args := append([]string{"callback", "verify", url, "--show"}, keys...)
		if body != "" {
			args = append(args, "--body", "-")
		}
		code, out, errs := kfbusIn(t, body, args...)
		if code != 0 {
			t.Errorf("verify: code %d: %s%s", code, out, errs)
		}
		return out
	}
	for _, c := range []struct {
		name string
		in   string
		args []string
		want []string // of the request
		kind string   // of what verify says of it
	}{
		{"a document piped in", doc, nil, []string{"http://127.0.0.1:8080/callback?msg_signature=", "<xml><ToUserName><![CDATA[ww1]]></ToUserName><AgentID><![CDATA[]]>"}, doc},
		{"JSON for an app", `{"MsgType":"text"}`, []string{"--format", "json", "--agent", "7"}, []string{`"tousername":"ww1"`, `"agentid":"7"`}, "message of type text"},
		{"of an account", "", []string{"--kf", "wk1", "--url", "https://kf.example/callback?x=1", "--nonce", "n1", "--at", "1700000000"},
			[]string{"https://kf.example/callback?x=1&", "nonce=n1", "timestamp=1700000000"}, ""},
		{"of an account in JSON", "", []string{"--kf", "wk1", "--format", "json"}, []string{`{"tousername"`}, `"OpenKfId":"wk1"`},
		{"the console's check", "", []string{"--get"}, []string{"echostr="}, "the console's check"},
		{"a strange receiver", doc, []string{"--to", "a]]>b"}, []string{"<ToUserName>a]]&gt;b</ToUserName>"}, ""},
	} {
		code, out, errs := kfbusIn(t, c.in, append(append([]string{"callback", "make"}, c.args...), keys...)...)
		for _, want := range c.want {
			if code != 0 || !strings.Contains(out, want) {
				t.Errorf("%s: code %d, want %q in:\n%s%s", c.name, code, want, out, errs)
			}
		}
		if url, body, _ := strings.Cut(strings.TrimSpace(out), "\n"); c.kind != "" && !strings.Contains(verify(url, body), c.kind) {
			t.Errorf("%s: verify does not say %s", c.name, c.kind)
		}
	}
	for _, c := range []struct {
		name, in string
		args     []string
		want     string
	}{
		{"nothing to seal", " ", nil, "is empty"},
		{"two things to seal", "", []string{"--kf", "wk1", "--get"}, "give one of"},
		{"a file and an account", "", []string{"x", "--kf", "wk1"}, "give one of"},
		{"another format", "", []string{"--kf", "wk1", "--format", "yaml"}, "xml or json"},
		{"an ugly nonce", "", []string{"--kf", "wk1", "--nonce", "a b"}, "nonce"},
		{"no corp", "", []string{"--kf", "wk1", "--corp", ""}, "--corp"},
		{"two files", "", []string{"x", "y"}, "one FILE"},
	} {
		code, out, errs := kfbusIn(t, c.in, append(append([]string{"callback", "make"}, keys...), c.args...)...)
		if code != 2 || !strings.Contains(errs, c.want) || out != "" {
			t.Errorf("%s: code %d, want 2 and %q in:\n%s%s", c.name, code, c.want, out, errs)
		}
	}
}

// TestEchoIsOne: a random echo is always 19 digits.
func TestEchoIsOne(t *testing.T) {
	m := sealing{url: "http://127.0.0.1/callback", to: "ww1", receiveID: "ww1"}
	o := opener{pairs: []pair{{"", service.NewSecret(sampleToken), service.NewSecret(sampleKey)}}}
	for range 1000 {
		cb, err := m.echo(o, time.Unix(1_800_000_000, 0))
		if err != nil || len(cb.echo) != 19 || strings.Trim(cb.echo, "0123456789") != "" {
			t.Fatalf("got %q, %v", cb.echo, err)
		}
	}
}

// TestCallbackCurl gives the line to a shell, in which a function stands for curl.
func TestCallbackCurl(t *testing.T) {
	keys := append(secretFiles(t, sampleToken, sampleKey), "--corp", "it's", "--receive-id", "it's")
	_, line, _ := kfbus(t, append([]string{"callback", "make", "--kf", "wk1", "--curl"}, keys...)...)
	out, err := exec.CommandContext(t.Context(), "sh", "-c", `curl() { printf '%s\n' "$@"; }; `+line).Output()
	if err != nil {
		t.Fatal(err)
	}
	args := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(args) != 6 || args[2] != "Content-Type: text/xml" || !strings.Contains(args[4], "<![CDATA[it's]]>") {
		t.Fatalf("got %q", args)
	}
	if code, said, _ := kfbusIn(t, args[4], append([]string{"callback", "verify", args[5]}, keys...)...); code != 0 {
		t.Errorf("verify: %s", said)
	}
}

func TestCallbackSend(t *testing.T) {
	var got []string
	var answer func(w http.ResponseWriter, r *http.Request, echo string)
	keys := append(secretFiles(t, sampleToken, sampleKey), "--corp", sampleCorp)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = append(got, r.Method+" "+r.URL.RawQuery+" "+r.Header.Get("Content-Type")+" "+string(body))
		echo := ""
		if r.Method == http.MethodGet {
			_, out, _ := kfbus(t, append([]string{"callback", "verify", r.URL.String(), "--show", "-o", "json"}, keys...)...)
			var f finding
			if err := json.Unmarshal([]byte(out), &f); err != nil {
				t.Error(err)
			}
			echo = f.Document
		}
		answer(w, r, echo)
	}))
	defer srv.Close()
	say := func(status int, text string) func(http.ResponseWriter, *http.Request, string) {
		return func(w http.ResponseWriter, _ *http.Request, echo string) {
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(status)
			fmt.Fprint(w, strings.ReplaceAll(text, "ECHO", echo))
		}
	}
	for _, c := range []struct {
		name   string
		answer func(http.ResponseWriter, *http.Request, string)
		args   []string
		code   int
		want   string
		calls  int
	}{
		{"taken", say(200, "success"), []string{"--kf", "wk1"}, 0, `200 OK in `, 1},
		{"three times", say(200, "success"), []string{"--kf", "wk1", "--repeat", "3"}, 0, `"success"`, 3},
		{"refused", say(403, "forbidden"), []string{"--kf", "wk1"}, 1, "send it again", 1},
		{"as JSON", say(200, "success"), []string{"--kf", "wk1", "-o", "json"}, 0, `{"status":200,"body":"success","ms":`, 1},
		{"the echo", say(200, "ECHO"), []string{"--get"}, 0, `200 OK`, 1},
		{"the echo and a newline", say(200, "ECHO\n"), []string{"--get"}, 1, "newline", 1},
		{"the echo and a byte order mark", say(200, "\ufeffECHO"), []string{"--get"}, 1, "byte order mark", 1},
		{"the echo in quotes", say(200, `"ECHO"`), []string{"--get"}, 1, "quotes", 1},
		{"another word", say(200, "ok"), []string{"--get"}, 1, "another program", 1},
		{"a page", say(200, "<!doctype html>"), []string{"--get"}, 1, "web page", 1},
		{"a page that refuses", say(403, "<html>"), []string{"--get"}, 1, "web page", 1},
		{"other keys there", say(403, "forbidden"), []string{"--get"}, 1, "another Token", 1},
		{"no such path", say(404, "not found"), []string{"--get"}, 1, "/callback/<name>", 1},
		{"too often", say(429, ""), []string{"--get"}, 1, "wait", 1},
		{"no ingress behind", say(502, ""), []string{"--get"}, 1, "does not reach", 1},
		{"another code", say(500, ""), []string{"--get"}, 1, "500 and not the echo", 1},
		{"a redirect", func(w http.ResponseWriter, _ *http.Request, _ string) {
			w.Header().Set("Location", "https://u:p@other.example/x?msg_signature=1")
			w.WriteHeader(http.StatusFound)
		}, []string{"--get"}, 1, "redirect (302) to https://other.example/x, ", 1},
		{"no times", nil, []string{"--kf", "wk1", "--repeat", "0"}, 2, "at least 1", 0},
		{"another scheme", nil, []string{"--kf", "wk1", "--url", "ftp://x"}, 2, "whole", 0},
		{"plain http elsewhere", nil, []string{"--kf", "wk1", "--url", "http://192.0.2.1/callback"}, 2, "--yes", 0},
		{"nobody", nil, []string{"--kf", "wk1", "--url", "http://127.0.0.1:1/callback"}, 3, "no answer from 127.0.0.1:1", 0},
		{"nobody over https", nil, []string{"--kf", "wk1", "--url", "https://127.0.0.1:1/callback"}, 3, "no answer", 0},
	} {
		got, answer = nil, c.answer
		code, out, errs := kfbus(t, append(append([]string{"callback", "send", "--url", srv.URL + "/callback"}, keys...), c.args...)...)
		if code != c.code || !strings.Contains(out+errs, c.want) || len(got) != c.calls {
			t.Errorf("%s: code %d, want %d, %d calls, want %d, and %q in:\n%s%s", c.name, code, c.code, len(got), c.calls, c.want, out, errs)
		}
		for _, g := range got {
			if g != got[0] || strings.HasPrefix(g, "POST") && !strings.Contains(g, "text/xml") {
				t.Errorf("%s: got %s, first %s", c.name, g, got[0])
			}
		}
		if strings.Contains(out+errs, "msg_signature") || strings.Contains(out+errs, sampleToken) {
			t.Errorf("%s: it repeats the URL or a secret:\n%s%s", c.name, out, errs)
		}
	}
}

// TestCallbackAgainstTheWiredSystem: what is made is believed, what is simulated is verified.
func TestCallbackAgainstTheWiredSystem(t *testing.T) {
	s := startStack(t)
	keys := append(secretFiles(t, s.world.corp.CallbackToken, s.world.corp.EncodingAESKey), "--corp", s.corp(), "--url", s.urls.callback)
	next := s.subscribe("kf.app.>")
	for _, c := range []struct {
		name, in string
		args     []string
		code     int
		want     string
	}{
		{"a doorbell", "", []string{"--kf", s.kf()}, 0, `"success"`},
		{"twice the same", "", []string{"--kf", s.kf(), "--repeat", "2"}, 0, `"success"`},
		{"the console's check", "", []string{"--get"}, 0, "200 OK"},
		{"for another corp", "", []string{"--kf", s.kf(), "--receive-id", "ww-other"}, 1, `"forbidden"`},
		{"an old check", "", []string{"--get", "--at", "-6m"}, 1, "clock"},
		{"an app message in JSON", `{"ToUserName":"` + s.corp() + `","FromUserName":"lisi","MsgType":"text","Content":"你好","AgentID":7}`, []string{"--format", "json", "--agent", "7"}, 0, `"success"`},
	} {
		code, out, errs := kfbusIn(t, c.in, append(append([]string{"callback", "send"}, keys...), c.args...)...)
		if code != c.code || !strings.Contains(out+errs, c.want) {
			t.Errorf("%s: code %d, want %d and %q in:\n%s%s", c.name, code, c.code, c.want, out, errs)
		}
	}
	if m := next(); !strings.Contains(m.Subject, ".message.text.lisi") {
		t.Errorf("got %s", m.Subject)
	}
	if err := s.sim.VerifyURL(t.Context(), ""); err != nil {
		t.Error(err)
	}
}

// TestCallbackExamplesParse: what --help shows has flags that exist.
func TestCallbackExamplesParse(t *testing.T) {
	flag := regexp.MustCompile(`--[a-z-]+`)
	for _, c := range callbackCommand(std{}).Commands() {
		for _, f := range flag.FindAllString(c.Example, -1) {
			if c.Flags().Lookup(f[2:]) == nil {
				t.Errorf("%s has no flag %s", c.Name(), f)
			}
		}
		if c.Example == "" {
			t.Errorf("%s has no example", c.Name())
		}
	}
}
