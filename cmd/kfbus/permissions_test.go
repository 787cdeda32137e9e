package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/natsconf"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// guardedBroker runs with the configuration that `kfbus nats-config` writes.
type guardedBroker struct {
	seeds, file, team string
	log               *refusals
}

// refusals collects what the server refused.
type refusals struct {
	mu    sync.Mutex
	lines []string
}

func (r *refusals) Errorf(format string, args ...any) {
	if line := fmt.Sprintf(format, args...); strings.Contains(line, "Violation") {
		r.mu.Lock()
		r.lines = append(r.lines, line)
		r.mu.Unlock()
	}
}
func (*refusals) Noticef(string, ...any) {}
func (*refusals) Warnf(string, ...any)   {}
func (*refusals) Fatalf(string, ...any)  {}
func (*refusals) Debugf(string, ...any)  {}
func (*refusals) Tracef(string, ...any)  {}

func (r *refusals) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.lines
	r.lines = nil
	return out
}

// config is how an identity connects; to a broker without users, like anybody.
func (g *guardedBroker) config(url, identity string) bus.Config {
	if g == nil {
		return bus.Config{URL: url}
	}
	return bus.Config{URL: url, NkeyFile: natsconf.SeedFile(g.seeds, identity), InboxPrefix: natsconf.InboxPrefix(identity)}
}

// env is the same as variables.
func (g *guardedBroker) env(identity string) []string {
	return []string{"KF_NATS_NKEY_FILE=" + natsconf.SeedFile(g.seeds, identity), "KF_NATS_INBOX_PREFIX=" + natsconf.InboxPrefix(identity)}
}

// newGuardedRig is a rig whose broker knows its users; the topology is applied by the job that may.
func newGuardedRig(t *testing.T) *rig {
	t.Helper()
	r := newRigWith(t, func(r *rig) {
		dir := t.TempDir()
		g := &guardedBroker{seeds: filepath.Join(dir, "seeds"), file: filepath.Join(dir, "nats.conf"), log: &refusals{}}
		g.team = "orders=" + r.world.corp.CorpID + "/" + r.account()
		code, out, errs := kfbus(t, "nats-config", "--seeds", g.seeds, "--team", g.team, "--team", "other="+r.world.corp.CorpID+"/wkOTHER", "--admin", "--out", g.file)
		if code != 0 || out != "" || strings.Count(errs, "made ") != 9 {
			t.Fatalf("nats-config: code %d, got %s%s", code, out, errs)
		}
		r.guarded = g
	})
	t.Setenv("KF_TOPOLOGY_TEAMS", r.guarded.team)
	t.Setenv("KF_TOPOLOGY_CALLBACK_LANES", "4")
	t.Setenv("KF_TOPOLOGY_COMMAND_LANES", "4")
	t.Setenv("KF_TOPOLOGY_REPLY_LANES", "2")
	r.tool(natsconf.Topology, 0, "topology", "apply")
	r.tool(natsconf.Topology, 0, "topology", "check")
	return r
}

// tool runs one command as an identity, in this process.
func (r *rig) tool(identity string, want int, args ...string) string {
	r.Helper()
	for _, v := range r.guarded.env(identity) {
		name, value, _ := strings.Cut(v, "=")
		r.Setenv(name, value)
	}
	r.Setenv("KF_NATS_URL", r.nats.URL())
	code, out, errs := kfbus(r.T, args...)
	if code != want {
		r.Fatalf("%s as %s: code %d, want %d: %s%s; refused: %v", strings.Join(args, " "), identity, code, want, out, errs, r.guarded.log.take())
	}
	return out
}

// quiet fails the test if the server refused anything since the last time.
func (r *rig) quiet(after string) {
	r.Helper()
	for _, line := range r.guarded.log.take() {
		r.Errorf("%s: refused: %s", after, line)
	}
}

// TestPermissions runs the whole system with the shipped permissions: every service with its own user, two senders and two syncers,
// files, requests, timers, lost cursors, and people's tools. Nothing is refused.
func TestPermissions(t *testing.T) {
	r := newGuardedRig(t)
	g := r.guarded
	var all []*child
	for _, name := range []string{natsconf.Tokenkeeper, natsconf.Ingress, natsconf.Syncer, natsconf.Syncer, natsconf.Sender, natsconf.Sender} {
		all = append(all, r.spawn(name, append(g.env(name), "KF_SYNCER_MEDIA_TYPES=image,voice,video,file", "KF_SENDER_WELCOME_TEXT=欢迎")...))
	}
	r.ready(all...)
	r.quiet("start")

	team, err := bus.Connect(g.config(r.nats.URL(), "team-orders"), "team", zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(team.NC.Close)
	corp, kf, user := r.world.corp.CorpID, r.account(), r.customer()
	r.messageAndAnswers(team)
	r.quiet("a message and its answers")

	r.filesBothWays(team, corp, kf, user)
	r.quiet("files")

	if reply, err := team.NC.RequestWithContext(testkit.Context(t), events.APISubject(corp, "account/list"), []byte("{}")); err != nil || !bytes.Contains(reply.Data, []byte(kf)) {
		t.Errorf("a request: %v, %v", reply, err)
	}
	r.quiet("a request")

	r.lostCursorAndDyingToken(corp, kf, user)
	r.quiet("a lost cursor and a token that died")

	r.peoplesTools(corp, kf, user)
	r.quiet("people's tools")

	if err := team.NC.Publish(events.CommandSubject("other", corp, kf, events.VerbSend, user), nil); err != nil {
		t.Fatal(err)
	}
	if err := team.NC.FlushTimeout(testkit.Patience); err != nil {
		t.Fatal(err)
	}
	if got := g.log.take(); len(got) != 1 {
		t.Errorf("another team's command: %d refusals %v, want 1: this test would not see any", len(got), got)
	}
}

// messageAndAnswers: a customer writes and enters; the team reads it from its durable, answers, recalls, sends what must fail, and hears the outcomes.
func (r *rig) messageAndAnswers(team *bus.Bus) {
	r.Helper()
	ctx := testkit.Context(r.T)
	js, err := jetstream.NewWithDomain(team.NC, natsconf.Domain)
	if err != nil {
		r.Fatal(err)
	}
	outcomes, err := team.NC.SubscribeSync("kf.outcome.orders.>")
	if err != nil {
		r.Fatal(err)
	}
	r.says(r.customer(), 0, 2)
	durable, err := js.Consumer(ctx, events.StreamMessage, "team-orders")
	if err != nil {
		r.Fatal(err)
	}
	m, err := durable.Next(jetstream.FetchMaxWait(testkit.Patience))
	if err == nil {
		err = m.DoubleAck(ctx)
	}
	if err != nil {
		r.Fatal(err)
	}
	send := func(verb, id, body string) string {
		subject := events.CommandSubject("orders", r.world.corp.CorpID, r.account(), verb, r.customer())
		if _, err := team.JS.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: []byte(body), Header: nats.Header{"Nats-Msg-Id": {id}}}); err != nil {
			r.Fatalf("%s: %v", id, err)
		}
		o, err := outcomes.NextMsgWithContext(ctx)
		if err != nil {
			r.Fatalf("%s: no outcome: %v", id, err)
		}
		s, err := events.ParseSubject(o.Subject)
		if err != nil {
			r.Fatal(err)
		}
		return s.Name
	}
	const text = `{"msgtype":"text","text":{"content":"您好"}}`
	for _, c := range []struct{ verb, id, body, want string }{
		{events.VerbSend, "s1", text, events.StateAccepted},
		{events.VerbRecall, "r1", `{"target_command_id":"s1"}`, events.StateRecalled},
		{events.VerbReply, "e1", text, events.StateRefused},
		{events.VerbSend, "bad", `{"msgtype":"nothing"}`, events.StateRefused}, // and a dead letter
	} {
		if got := send(c.verb, c.id, c.body); got != c.want {
			r.Errorf("%s %s: got %s, want %s", c.verb, c.id, got, c.want)
		}
	}
}

// filesBothWays: a customer's picture comes into the store, and one goes out to WeChat.
func (r *rig) filesBothWays(team *bus.Bus, corp, kf, user string) {
	r.Helper()
	ctx := testkit.Context(r.T)
	stored, err := team.NC.SubscribeSync("kf.event." + corp + "." + kf + ".media_stored.>")
	if err == nil {
		err = team.NC.FlushTimeout(testkit.Patience)
	}
	if err == nil {
		_, err = r.sim.Say(kfsim.Say{OpenKfID: kf, ExternalUserID: user, MsgType: "image", Sample: true})
	}
	if err != nil {
		r.Fatal(err)
	}
	if _, err := stored.NextMsgWithContext(ctx); err != nil {
		r.Fatalf("the picture is not stored: %v", err)
	}
	upload := func(body string) string {
		m, err := team.NC.RequestWithContext(ctx, events.APISubject(corp, "media/upload"), []byte(body))
		if err != nil {
			r.Fatal(err)
		}
		return string(m.Data)
	}
	if got := upload(`{"type":"file","filename":"a.txt","data":"aGVsbG8sIGN1c3RvbWVy"}`); !strings.Contains(got, `"media_id"`) {
		r.Errorf("a file within a request: got %s", got)
	}
	file := filepath.Join(r.TempDir(), "b.txt")
	if err := os.WriteFile(file, bytes.Repeat([]byte("hello "), 50_000), 0o600); err != nil {
		r.Fatal(err)
	}
	var put struct {
		MediaID string `json:"media_id"`
	}
	if err := json.Unmarshal([]byte(r.tool(natsconf.Operator, 0, "media", "put", file, "--corp", corp)), &put); err != nil || put.MediaID == "" {
		r.Fatalf("media put: %v", err)
	}
	r.tool(natsconf.Operator, 0, "media", "get", put.MediaID, "--corp", corp, "--output", filepath.Join(r.TempDir(), "back"))
}

// lostCursorAndDyingToken: the syncer reads back what is stored, and the keeper replaces a token that WeChat forgot.
func (r *rig) lostCursorAndDyingToken(corp, kf, user string) {
	r.Helper()
	ctx := testkit.Context(r.T)
	s, err := r.bus.JS.Stream(ctx, events.StreamMessage)
	if err == nil {
		err = s.Purge(ctx, jetstream.WithPurgeSubject(events.CursorSubject(corp, kf)))
	}
	if err != nil {
		r.Fatal(err)
	}
	if n, err := r.sim.RevokeTokens(corp); err != nil || n == 0 {
		r.Fatalf("%d tokens revoked: %v", n, err)
	}
	r.says(user, 2, 1)
	want := len(r.sim.Items(kf))
	testkit.Eventually(r.T, "the message after the lost cursor", func() bool { return r.countStored() >= want })
}

// peoplesTools: what operations.md tells people to run.
func (r *rig) peoplesTools(corp, kf, user string) {
	r.Helper()
	o := natsconf.Operator
	if out := r.tool(o, 0, "dead", "list"); !strings.Contains(out, "sender") {
		r.Errorf("dead list: got %q, want the sender's", out)
	}
	letter, err := r.bus.Last(testkit.Context(r.T), events.StreamDead, "kf.dead.>")
	if err != nil {
		r.Fatal(err)
	}
	seq := fmt.Sprint(letter.Seq)
	r.tool(o, 0, "dead", "show", seq)
	r.tool(o, 0, "dead", "redrive", seq, "--yes", "--delete")
	r.tool(o, 0, "replay", "--since", "1h", "--account", kf, "--dry-run")
	if _, err := r.bus.JS.CreateStream(testkit.Context(r.T), jetstream.StreamConfig{Name: "AGAIN", Subjects: []string{"kf.replay.again.>"}}); err != nil {
		r.Fatal(err)
	}
	r.tool(o, 0, "replay", "--name", "again", "--since", "1h", "--account", kf)
	r.tool(o, 0, "tail", "--since", "1h", "--count", "1", "kf.message.>")
	r.tool(o, 0, "send", "--corp", corp, "--team", "orders", kf, user, "您好")
	r.tool(o, 0, "api", "--corp", corp, "account.list")
	r.tool(o, 0, "topology", "check")
	r.tool("team-orders", 0, "send", "--corp", corp, "--team", "orders", kf, user, "再见")
}
