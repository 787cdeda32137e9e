package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/internal/tokens"
	"github.com/kfbus/kfbus/pkg/events"
)

// TestCanary plants a bird as every secret and as everything that people write, lets everything go wrong that can, at debug
// level, and then looks for the birds in all that can be seen.
//
// What people write may be in the data of kf.message and of kf.command (on a lane too, and, while a send waits for its next
// try, on kf.timer and kf.due), in what the broker delivers of these to an _INBOX, in the original that a dead letter
// keeps, and in the message files of the four streams. Secrets may be nowhere.
func TestCanary(t *testing.T) {
	c := newCage(t)
	all := map[string]*child{}
	var children []*child
	start := func(names ...string) {
		for _, who := range names {
			all[who] = c.start(who)
			children = append(children, all[who])
		}
		c.ready(children[len(children)-len(names):]...)
	}
	start("ingress", "tokenkeeper", "second", "syncer", "sender")
	for i := range c.world.customers {
		c.say(i)
	}
	c.checkInbound()
	ids := slices.Concat(c.orders(0), c.everyFault(), c.orders(1))
	c.strangers()
	planted, err := tokens.Plain(c.world.corp.CorpID, "kf").Encode(tokens.Value{Token: service.NewSecret("planted"), Hash: tokens.Hash("planted"), Generation: 1 << 40})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.bus.Put(testkit.Context(t), events.BucketTokens, events.TokenKey(c.world.corp.CorpID, "kf"), planted, 0); err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"tokenkeeper", "syncer", "sender"} { // kill -9, in the middle of it
		c.look(who+" before its end", all[who])
		all[who].kill()
	}
	c.say(0)
	ids = append(ids, c.orders(2)...)
	c.restartNATS()
	start("tokenkeeper", "syncer", "sender")
	testkit.Eventually(t, "the test's own connection", c.bus.NC.IsConnected)
	testkit.Eventually(t, "an outcome of each order", func() bool {
		done := c.outcomes()
		return !slices.ContainsFunc(ids, func(id string) bool { return len(done[id]) == 0 })
	})
	for _, name := range []string{"ingress", "second", "tokenkeeper", "syncer", "sender"} {
		c.look(name, all[name])
	}
	c.tools()
	if err := all["sender"].cmd.Process.Signal(syscall.SIGQUIT); err != nil { // a crash, with the stacks of all goroutines
		t.Fatal(err)
	}
	<-all["sender"].done

	places, birds := c.seen(children...), c.birds()
	found := search(places, birds)
	t.Logf("looked for %d birds (%d of them access tokens) in %d places, %d KiB: %d hits", len(birds), len(c.used()), found.places, found.bytes>>10, len(found.hits))
	slices.Sort(found.hits)
	for i, h := range found.hits {
		t.Errorf("%s: %s", h, around(places, birds, h))
		if i == 9 {
			break
		}
	}
	c.looked(places, birds)
	c.withoutRedaction(birds)
}

// looked proves that the places are not empty: what must be in them is.
func (c *cage) looked(places []spot, birds []bird) {
	c.Helper()
	for name, want := range map[string]string{"stdout and stderr of sender": `"level":"debug"`, "stdout and stderr of ingress": `"level":`, "/metrics of tokenkeeper": "kf_tokenkeeper_refreshes_total",
		"/metrics of syncer": "kf_access_tokens_ignored_total", "/proc/PID/environ of ingress": "KF_INGRESS_CALLBACK_TOKEN=", "/proc/PID/cmdline of sender": "kfbus", "subjects and headers on kf.message": "Content-Type", "data on kf.outcome": "accepted",
		"data on $KV.kf_tokens": `"sealed":`, "store file": "xkv1", "subjects and headers on kf.dead": "kf.dead.sender.invalid", "kfbus dead list": "invalid"} {
		ok := slices.ContainsFunc(places, func(p spot) bool {
			return strings.HasPrefix(p.name, name) && (bytes.Contains(p.data, []byte(want)) || bytes.Contains(p.data, []byte(base64.StdEncoding.EncodeToString([]byte(want))[:len(want)])))
		})
		if !ok {
			c.Errorf("no place %s… has %q: the search looked at nothing", name, want)
		}
	}
	for _, b := range birds { // where words may be, they are
		if b.text {
			b.text = false
			if r := search(places, []bird{b}); len(r.hits) == 0 {
				c.Errorf("%s is nowhere, not even where it belongs", b.what)
			}
		}
	}
	if n := len(c.used()); n < 2 {
		c.Errorf("%d access tokens were used, want several", n)
	}
}

// leakEnv makes this test binary a program that does what kfbus does, with the redaction removed.
const leakEnv = "KFBUS_TEST_LEAK"

// leak reads its secrets as strings, prints its configuration and an error of net/http, and dies of a panic.
func leak() {
	cfg := struct{ Secret, Key, URL string }{os.Getenv("KF_TOKENKEEPER_SECRET"), os.Getenv("KF_TOKEN_SEAL_KEY"), os.Getenv("KF_API_BASE_URL")}
	fmt.Printf("%+v\n", cfg)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, cfg.URL+"/cgi-bin/gettoken?corpsecret="+url.QueryEscape(cfg.Secret), nil)
	if err == nil {
		_, err = http.DefaultTransport.RoundTrip(req)
	}
	fmt.Fprintln(os.Stderr, &url.Error{Op: "Get", URL: req.URL.String(), Err: err})
	environ, _ := os.ReadFile("/proc/self/environ")
	_, _ = os.Stdout.Write(environ)
	panic(cfg.Key)
}

// withoutRedaction is the negative control: the same search where nothing is hidden finds the birds.
func (c *cage) withoutRedaction(birds []bird) {
	c.Helper()
	cmd := exec.CommandContext(c.Context(), os.Args[0])
	cmd.Env = []string{leakEnv + "=1", "KF_TOKENKEEPER_SECRET=" + c.secret, "KF_TOKEN_SEAL_KEY=" + c.keeper.private, "KF_API_BASE_URL=http://127.0.0.1:1"}
	out, err := cmd.CombinedOutput()
	if err == nil {
		c.Error("the program without redaction did not panic")
	}
	shown := []spot{{name: "a program without redaction", data: out}}
	for _, token := range c.used() { // as KF_TOKEN_SEAL=plain writes it
		raw, err := tokens.Plain(c.world.corp.CorpID, "kf").Encode(tokens.Value{Token: service.NewSecret(token), Hash: tokens.Hash(token), Generation: 1})
		if err != nil {
			c.Fatal(err)
		}
		shown = append(shown, spot{name: "a plain entry", data: raw})
	}
	r := search(shown, birds)
	c.Logf("without redaction: %d hits in %d places", len(r.hits), r.places)
	for _, want := range []string{"the corpsecret in a program without redaction", "the tokenkeeper's private xkey in a program without redaction", "access token 1 in a plain entry"} {
		if !slices.Contains(r.hits, want) {
			c.Errorf("not found: %s; got %q", want, r.hits)
		}
	}
}
