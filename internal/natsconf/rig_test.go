package natsconf_test

import (
	"context"
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
	"github.com/kfbus/kfbus/internal/localnats"
	"github.com/kfbus/kfbus/internal/natsconf"
	"github.com/kfbus/kfbus/internal/testkit"
)

// The teams of these tests: two beside each other, and one that reads a whole corp.
var teamTexts = []string{"orders=ww1/wkA", "billing=ww1/wkB", "audit=ww1/*"}

// broker is a server that runs with a generated configuration.
type broker struct {
	*testing.T
	srv   *localnats.Server
	seeds string
	ids   []natsconf.Identity
	log   *violations
	admin *bus.Bus
}

// violations collects what the server refused.
type violations struct {
	mu    sync.Mutex
	lines []string
}

func (v *violations) Errorf(format string, args ...any) {
	if line := fmt.Sprintf(format, args...); strings.Contains(line, "Violation") {
		v.mu.Lock()
		v.lines = append(v.lines, line)
		v.mu.Unlock()
	}
}
func (*violations) Noticef(string, ...any) {}
func (*violations) Warnf(string, ...any)   {}
func (*violations) Fatalf(string, ...any)  {}
func (*violations) Debugf(string, ...any)  {}
func (*violations) Tracef(string, ...any)  {}

func (v *violations) all() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]string(nil), v.lines...)
}

func newBroker(t *testing.T) *broker {
	t.Helper()
	teams, err := bus.ParseTeams(teamTexts)
	if err != nil {
		t.Fatal(err)
	}
	b := &broker{T: t, seeds: t.TempDir(), ids: natsconf.Identities(teams, true), log: &violations{}}
	keys, _, err := natsconf.Seeds(b.seeds, names(b.ids))
	if err != nil {
		t.Fatal(err)
	}
	text, err := natsconf.Config{Identities: b.ids, Keys: keys, Listen: "127.0.0.1:4222", Monitor: "127.0.0.1:8222", StoreDir: "/data"}.Render()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b.srv = testkit.NATS(t, func(o *localnats.Options) { o.Config, o.Logger = file, b.log })
	top := testkit.Small()
	top.Teams = teamTexts
	if _, err := b.as(natsconf.Topology).Apply(testkit.Context(t), top); err != nil {
		t.Fatalf("topology apply under its own permissions: %v; refused: %v", err, b.log.all())
	}
	b.admin = b.as(natsconf.Admin)
	return b
}

func names(ids []natsconf.Identity) []string {
	var out []string
	for _, id := range ids {
		out = append(out, id.Name)
	}
	return out
}

// as connects as an identity does in production: its seed, its inbox.
func (b *broker) as(identity string, more ...nats.Option) *bus.Bus {
	b.Helper()
	cfg := bus.Config{URL: b.srv.URL(), NkeyFile: natsconf.SeedFile(b.seeds, identity), InboxPrefix: natsconf.InboxPrefix(identity)}
	c, err := bus.Connect(cfg, identity, zerolog.Nop(), append(more, b.srv.InProcess())...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.NC.Close)
	if err := c.NC.FlushTimeout(testkit.Patience); err != nil {
		b.Fatalf("%s cannot connect: %v", identity, err)
	}
	return c
}

// messages is how many a stream holds on a subject.
func (b *broker) messages(stream, subject string) int {
	b.Helper()
	s, err := b.admin.JS.Stream(context.Background(), stream)
	if err != nil {
		b.Fatal(err)
	}
	info, err := s.Info(context.Background(), jetstream.WithSubjectFilter(subject))
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for _, c := range info.State.Subjects {
		n += int(c)
	}
	return n
}
