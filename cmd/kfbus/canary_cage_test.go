package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

const (
	birdWords  = "CANARYwordsOfTheCustomer" // what a customer writes
	birdAnswer = "CANARYanswerOfTheTeam"    // what a team sends
	birdOnce   = "CANARYpastedByMistake"    // a secret that somebody puts into a URL
)

// cage is a system in which every secret and every text is a bird, and all that can be seen of it.
type cage struct {
	*rig
	keeper, reader sealKey
	secret         string // the corpsecret

	mu      sync.Mutex
	tokens  map[string]bool // access tokens that were used
	wire    map[string]*traffic
	outputs []spot // of tools, and of processes that were looked at before they were killed
}

// traffic is all that went over the broker on one kind of subject.
type traffic struct{ head, data bytes.Buffer }

func newCage(t *testing.T) *cage {
	t.Helper()
	c := &cage{keeper: newSealKey(t), reader: newSealKey(t), tokens: map[string]bool{}, wire: map[string]*traffic{}, secret: "CANARYcorpsecret+/=&" + "0123456789abcdefghijkl"}
	c.rig = newRigOf(t, worldSpec{customers: 1 + len(callFaults), secret: c.secret, token: "CANARYcallbackToken0123456789abc", aesKey: "CANARYencodingAESKey0123456789abcdefghijklm"}, c.listen)
	nc, err := nats.Connect("nats://"+c.addr, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.RetryOnFailedConnect(true))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	sub, err := nc.Subscribe(">", c.overhear)
	if err == nil {
		err = sub.SetPendingLimits(-1, -1)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// listen notes the access tokens, and repeats what it was asked in some refusals, as a bad proxy may.
func (c *cage) listen(h http.Handler) http.Handler {
	n := 0
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := r.URL.Query().Get("access_token")
		c.mu.Lock()
		n++
		echo := n%7 == 3
		if token != "" {
			c.tokens[token] = true
		}
		c.mu.Unlock()
		if !echo {
			h.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Header().Set("X-Echo", r.URL.String())
		fmt.Fprintf(w, `{"errcode":-1,"errmsg":%q}`, "system busy, "+r.URL.String()+" "+string(body))
	})
}

// kinds of subjects on which what people write may be.
var wordy = []string{"kf.message", "kf.command", "kf.lane", "kf.timer", "kf.due", "kf.dead", "_INBOX"}

// overhear takes every message that goes over the broker.
func (c *cage) overhear(m *nats.Msg) {
	kind := strings.Join(strings.SplitN(m.Subject, ".", 3)[:min(2, strings.Count(m.Subject, ".")+1)], ".")
	if strings.HasPrefix(kind, "_INBOX") {
		kind = "_INBOX"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.wire[kind]
	if t == nil {
		t = &traffic{}
		c.wire[kind] = t
	}
	fmt.Fprintln(&t.head, m.Subject, m.Reply, m.Header)
	t.data.Write(m.Data)
	t.data.WriteByte('\n')
}

// start starts one of the services: half of them have their secrets in the environment, and half in files. All have those of
// the others in the environment too, as where one file of variables serves all.
func (c *cage) start(who string) *child {
	c.Helper()
	seal := []string{"KF_TOKEN_SEAL=xkey", "KF_TOKEN_READERS=all=" + c.reader.public, "KF_TOKENKEEPER_MIN_DISTANCE=1s"}
	switch who {
	case "tokenkeeper":
		return c.spawn(who, append(seal, "KF_TOKEN_SEAL_KEY="+c.keeper.private)...)
	case "second":
		file := filepath.Join(c.TempDir(), "corpsecret")
		if err := os.WriteFile(file, []byte(c.secret+"\n"), 0o600); err != nil {
			c.Fatal(err)
		}
		return c.spawn("tokenkeeper", append(seal, "KF_TOKEN_SEAL_KEY_FILE="+c.keeper.file, "KF_TOKENKEEPER_SECRET=", "KF_TOKENKEEPER_SECRET_FILE="+file)...)
	case "syncer":
		return c.spawn(who, "KF_TOKEN_OPEN_KEY="+c.reader.private, "KF_TOKEN_KEEPER="+c.keeper.public)
	case "sender":
		return c.spawn(who, "KF_TOKEN_OPEN_KEY_FILE="+c.reader.file, "KF_TOKEN_KEEPER="+c.keeper.public)
	}
	return c.spawn(who)
}

// look keeps what a running process shows of itself.
func (c *cage) look(who string, p *child) {
	c.Helper()
	for _, path := range []string{"/metrics", "/readyz", "/livez"} {
		resp, err := http.Get("http://" + p.admin() + path)
		if err != nil {
			c.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			c.Fatal(err)
		}
		c.note(path+" of "+who, body)
	}
	for _, name := range []string{"environ", "cmdline"} {
		body, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, name))
		if err != nil {
			c.Logf("SKIP: %v", err) // not Linux
			continue
		}
		c.note("/proc/PID/"+name+" of "+who, body)
	}
}

func (c *cage) note(name string, data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.outputs = append(c.outputs, spot{name: name, data: data})
}

// used are the access tokens that calls came with.
func (c *cage) used() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.tokens))
}

// birds are all that must not be seen.
func (c *cage) birds() []bird {
	all := []bird{{"the corpsecret", false, c.secret}, {"the callback Token", false, c.world.corp.CallbackToken}, {"the EncodingAESKey", false, c.world.corp.EncodingAESKey},
		{"the tokenkeeper's private xkey", false, c.keeper.private}, {"the reader's private xkey", false, c.reader.private}, {"a secret pasted into a URL", false, birdOnce},
		{"a customer's words", true, birdWords}, {"a team's answer", true, birdAnswer}}
	for i, token := range c.used() {
		all = append(all, bird{fmt.Sprint("access token ", i+1), false, token})
	}
	return all
}

// seen is every place there is. The store's files are read as they are on the disk.
func (c *cage) seen(children ...*child) []spot {
	c.Helper()
	var all []spot
	for i, p := range children {
		b, err := os.ReadFile(p.log)
		if err != nil {
			c.Fatal(err)
		}
		all = append(all, spot{name: fmt.Sprintf("stdout and stderr of %s %d", p.name, i), data: b})
	}
	c.mu.Lock()
	for kind, t := range c.wire {
		all = append(all, spot{name: "subjects and headers on " + kind, data: bytes.Clone(t.head.Bytes())},
			spot{name: "data on " + kind, data: bytes.Clone(t.data.Bytes()), text: slices.Contains(wordy, kind)})
	}
	all = append(all, c.outputs...)
	c.mu.Unlock()
	err := filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // gone meanwhile
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		rel, err := filepath.Rel(c.dir, path)
		text := slices.ContainsFunc([]string{events.StreamMessage, events.StreamCommand, events.StreamTimer, events.StreamDead}, func(s string) bool { return strings.Contains(rel, "/"+s+"/msgs/") })
		all = append(all, spot{name: "store file " + rel, data: b, text: text})
		return err
	})
	if err != nil {
		c.Fatal(err)
	}
	return all
}

// callFaults are the kinds that strike any call; those that only wait for a minute or an hour are left out.
var callFaults = []string{kfsim.FaultLatency, kfsim.FaultRefuse, kfsim.FaultResetBefore, kfsim.FaultResetAfter, kfsim.FaultHTTP500Before, kfsim.FaultHTTP500After,
	kfsim.FaultGarbageBefore, kfsim.FaultGarbageAfter, kfsim.FaultCutAfter, kfsim.FaultRedirect, kfsim.FaultAcceptThenHang, kfsim.FaultLateEffect, kfsim.FaultErrCode, kfsim.FaultRevokeToken}

// pullFaults are those of pages and callbacks.
var pullFaults = []string{kfsim.FaultEmptyPage, kfsim.FaultSameCursor, kfsim.FaultNoCursor, kfsim.FaultUnknownItem, kfsim.FaultHostileItem, kfsim.FaultDuplicateItem,
	kfsim.FaultCallbackLost, kfsim.FaultCallbackDuplicated, kfsim.FaultCallbackDelayed, kfsim.FaultCallbackReordered, kfsim.FaultCallbackRepeated, kfsim.FaultCallbackBadSignature}

// fault strikes once, on this path and customer, or on the next call that comes.
func (c *cage) fault(kind, path, customer string) {
	c.Helper()
	f := kfsim.Fault{Kind: kind, Path: path, ExternalUserID: customer, Count: 1, ErrCode: 60020}
	switch kind {
	case kfsim.FaultLatency, kfsim.FaultAcceptThenHang, kfsim.FaultLateEffect, kfsim.FaultCallbackDelayed, kfsim.FaultCallbackReordered:
		f.Delay = 100 * time.Millisecond
	case kfsim.FaultRedirect:
		f.Location = "http://" + c.callback + "/callback?token=" + birdOnce // of ours, which would see it if it were followed
	}
	if _, err := c.sim.AddFault(f); err != nil {
		c.Fatal(err)
	}
}

// everyFault strikes once with every kind: pulls and callbacks, then sends, each to a customer of its own, then gettoken.
func (c *cage) everyFault() (ids []string) {
	c.Helper()
	for _, kind := range slices.Concat(callFaults, pullFaults) {
		c.fault(kind, "", "")
		tries := 0
		testkit.Eventually(c.T, "the fault "+kind, func() bool {
			if tries++; tries%200 == 1 {
				c.say(0)
			}
			return len(c.sim.Faults()) == 0
		})
	}
	for i, kind := range callFaults {
		if kind == kfsim.FaultRefuse { // before it is known what is called
			continue
		}
		u := c.world.customers[1+i].ExternalUserID
		c.fault(kind, "kf/send_msg", u)
		c.command(u, "fault-"+kind, birdAnswer)
		ids = append(ids, "fault-"+kind)
	}
	for _, kind := range []string{kfsim.FaultHTTP500Before, kfsim.FaultRedirect, kfsim.FaultGarbageAfter} {
		c.fault(kind, "gettoken", "")
	}
	if _, err := c.sim.RevokeTokens(c.world.corp.CorpID); err != nil {
		c.Fatal(err)
	}
	tries := 0
	testkit.Eventually(c.T, "the faults of sends and of gettoken", func() bool {
		if tries++; tries%200 == 1 {
			c.say(0)
		}
		return len(c.sim.Faults()) == 0
	})
	return ids
}

// say lets the customer with this number write.
func (c *cage) say(i int) {
	c.Helper()
	if _, err := c.sim.CustomerSays(c.account(), c.world.customers[i].ExternalUserID, "客户说 "+birdWords); err != nil {
		c.Fatal(err)
	}
}

// strangers knock at the ingress with wrong signatures, and with secrets in the URL.
func (c *cage) strangers() {
	c.Helper()
	base := "http://" + c.callback + "/callback"
	good := "?msg_signature=" + strings.Repeat("a", 40) + "&timestamp=1700000000&nonce=1"
	for _, k := range []struct{ method, url, body string }{
		{"GET", base + good + "&echostr=" + birdOnce, ""},
		{"GET", base + "?corpsecret=" + birdOnce, ""},
		{"POST", base + good, "<xml><Encrypt>" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(birdWords, 4))) + "</Encrypt></xml>"},
		{"POST", base + good, "<xml>" + birdWords + "</xml>"},
		{"POST", base + good + "&token=" + url.QueryEscape(birdOnce), birdWords},
		{"PUT", base + "/" + birdOnce, birdWords},
	} {
		req, err := http.NewRequest(k.method, k.url, strings.NewReader(k.body))
		if err != nil {
			c.Fatal(err)
		}
		req.Header.Set("User-Agent", birdOnce)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			c.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode == http.StatusOK {
			c.Errorf("%s %s: got %s, %v", k.method, k.url, resp.Status, err)
		}
		c.note("an answer of the ingress", append(fmt.Append(nil, resp.Header), body...))
	}
}

// orders are commands with texts: good ones, and ones that nobody can carry out.
func (c *cage) orders(round int) (ids []string) {
	c.Helper()
	good := fmt.Sprint("order-", round)
	ids = append(ids, good)
	c.command(c.customer(), good, birdAnswer)
	for i, b := range []string{birdAnswer, `{"msgtype":"` + birdAnswer + `"}`, `{"msgtype":"text","text":{"content":["` + birdAnswer + `"]}}`,
		`{"msgtype":"text","text":{"content":"` + strings.Repeat(birdAnswer, 200) + `"}}`, `{"msgtype":"text","text":{"content":"x"},"expirytime":"` + birdAnswer + `"}`} {
		m := &nats.Msg{Subject: events.CommandSubject("test", c.world.corp.CorpID, c.account(), events.VerbSend, c.customer()),
			Header: nats.Header{"Nats-Msg-Id": {fmt.Sprintf("bad-%d-%d", round, i)}}, Data: []byte(b)}
		if _, err := c.bus.JS.PublishMsg(c.Context(), m); err != nil {
			c.Fatal(err)
		}
		ids = append(ids, m.Header.Get("Nats-Msg-Id"))
	}
	return ids
}

// tools keeps what people's commands print.
func (c *cage) tools() {
	c.Helper()
	for _, args := range [][]string{{"token", "status"}, {"token", "status", "-o", "json"}, {"dead", "list"}, {"topology", "check"}} {
		_, out, errs := kfbus(c.T, append(args, "--nats", "nats://"+c.addr)...)
		c.note("kfbus "+strings.Join(args, " "), []byte(out+errs))
	}
}
