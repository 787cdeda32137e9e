package tokenkeeper

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// leaks lists the spellings of a canary that are in text.
func leaks(text, canary string) []string {
	var found []string
	for name, form := range map[string]string{
		"plain": canary, "query-escaped": url.QueryEscape(canary), "path-escaped": url.PathEscape(canary),
		"base64": base64.StdEncoding.EncodeToString([]byte(canary)), "hex": hex.EncodeToString([]byte(canary)),
		"JSON": strings.Trim(string(mustJSON(canary)), `"`),
	} {
		if strings.Contains(text, form) {
			found = append(found, name)
		}
	}
	return found
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// shown is all that a process shows of itself.
func shown(t testing.TB, logs string, health *service.Health, reg *prometheus.Registry) string {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(logs)
	fmt.Fprintf(&b, "%+v", health.Report())
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(&b, families)
	return b.String()
}

// printed is v in every way that people print things.
func printed(v any) string {
	var b strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		fmt.Fprintf(&b, verb, v)
	}
	return b.String()
}

// The request holds the secret in its URL, and net/http quotes URLs and answers in its errors.
func TestNoFailureOfGettokenShowsTheSecret(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request, status int) {
		w.Header().Set("Content-Type", "application/"+r.URL.Query().Get("corpsecret"))
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"errcode":40001,"errmsg":%s}`, mustJSON("bad "+r.URL.String()+" "+r.URL.Query().Get("corpsecret")))
	}
	for name, serve := range map[string]http.HandlerFunc{
		"an errmsg that repeats it": func(w http.ResponseWriter, r *http.Request) { echo(w, r, 200) },
		"an error page with it":     func(w http.ResponseWriter, r *http.Request) { echo(w, r, 502) },
		"a redirect with it": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1"+r.URL.String(), http.StatusFound)
		},
		"an answer that is no HTTP":  func(w http.ResponseWriter, r *http.Request) { raw(w, r.URL.String()+"\r\n\r\n") },
		"a header that is no header": func(w http.ResponseWriter, r *http.Request) { raw(w, "HTTP/1.1 200 OK\r\n"+r.URL.String()+"\r\n\r\n") },
		"half an answer": func(w http.ResponseWriter, r *http.Request) {
			raw(w, "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"+r.URL.String())
		},
		"no answer":            func(w http.ResponseWriter, r *http.Request) { raw(w, "") },
		"JSON of another kind": func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(mustJSON(r.URL.String())) },
		"a token that is none": func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(`{"errcode":0,"access_token":["` + url.QueryEscape(secret) + `"]}`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			web := httptest.NewServer(serve)
			defer web.Close()
			tryLeak(t, web.URL)
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		web := httptest.NewServer(nil)
		web.Close()
		tryLeak(t, web.URL)
	})
	t.Run("a certificate nobody trusts", func(t *testing.T) {
		web := httptest.NewUnstartedServer(nil)
		web.Config.ErrorLog = log.New(io.Discard, "", 0)
		web.StartTLS()
		defer web.Close()
		tryLeak(t, web.URL)
	})
	t.Run("a name nobody knows", func(t *testing.T) { tryLeak(t, "https://"+"nowhere.invalid") })
}

// raw answers with exactly these bytes.
func raw(w http.ResponseWriter, answer string) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetLinger(1)
	_, _ = conn.Write([]byte(answer))
}

// tryLeak lets a keeper fail at this platform and searches all it shows.
func tryLeak(t *testing.T, base string) {
	t.Helper()
	api, err := kfapi.New(kfapi.Config{BaseURL: base})
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, api: api, bucket: newMemory()}
	reg := prometheus.NewRegistry()
	a := s.startWith(service.NewSecret(secret), func(k *keeper) {
		m, err := newMetrics(reg)
		if err != nil {
			t.Fatal(err)
		}
		k.metrics = m.of(k.Credential)
	})
	testkit.Eventually(t, "a failure", func() bool {
		return strings.Contains(s.logs.String(), "again_in") && strings.Contains(fmt.Sprint(a.health.Report()), "gettoken")
	})
	a.stop()
	text := shown(t, s.logs.String(), a.health, reg) + printed(a.keeper)
	if found := leaks(text, secret); len(found) > 0 {
		t.Errorf("the secret is shown (%v) in:\n%s", found, text)
	}
}

// The search finds what it looks for: the same call without redaction shows the secret.
func TestTheSearchForLeaksFindsOne(t *testing.T) {
	web := httptest.NewServer(nil)
	web.Close()
	resp, err := http.Get(web.URL + "/cgi-bin/gettoken?corpsecret=" + url.QueryEscape(secret))
	if err == nil {
		resp.Body.Close()
		t.Fatal("a closed server answered")
	}
	if found := leaks(err.Error(), secret); len(found) == 0 {
		t.Errorf("nothing found in %v", err)
	}
	if found := leaks("a harmless text", secret); len(found) > 0 {
		t.Errorf("found %v where there is nothing", found)
	}
}

// A life with everything in it: a refresh, a report, a planted entry, a broker that goes away.
func TestNothingShowsTheSecretOrTheToken(t *testing.T) {
	r := newRig(t, kfsim.Personality{RepeatedGetToken: kfsim.TokenNew})
	p := r.start()
	r.ready(p)
	first, _ := r.entry()
	r.suspect(first)
	testkit.Eventually(t, "a newer token", func() bool { v, _ := r.entry(); return v.Generation > first.Generation })
	second, _ := r.entry()
	kvPut(t, r, []byte(`{"generation":1,"token":"`+second.Token.Reveal()+`"}`))
	testkit.Eventually(t, "the token to be back", func() bool { v, _ := r.entry(); return v.Generation == second.Generation })
	r.server.Close()
	testkit.Eventually(t, "unreadiness", func() bool { return !p.health.Ready() })
	p.stop(t)
	text := shown(t, r.logs.String(), p.health, p.reg) + printed(p.Tokenkeeper)
	for _, k := range p.keepers {
		text += printed(k)
	}
	if !strings.Contains(text, first.Hash) {
		t.Fatalf("the logs lack what must be in them:\n%s", text)
	}
	for what, canary := range map[string]string{"secret": secret, "first token": first.Token.Reveal(), "second token": second.Token.Reveal()} {
		if found := leaks(text, canary); len(found) > 0 {
			t.Errorf("the %s is shown (%v) in:\n%s", what, found, text)
		}
	}
}

func kvPut(t testing.TB, r *rig, value []byte) {
	t.Helper()
	if err := r.bus.Put(testkit.Context(t), "kf_tokens", corpID+".kf", value, 0); err != nil {
		t.Fatal(err)
	}
}
