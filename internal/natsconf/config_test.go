package natsconf_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/natsconf"
)

var update = flag.Bool("update", false, "write the golden files again")

// fixedKeys are public keys that are the same at every run.
func fixedKeys(t *testing.T, ids []natsconf.Identity) map[string]string {
	t.Helper()
	keys := map[string]string{}
	for i, id := range ids {
		pair, err := nkeys.FromRawSeed(nkeys.PrefixByteUser, fmt.Appendf(nil, "%032d", i))
		if err != nil {
			t.Fatal(err)
		}
		if keys[id.Name], err = pair.PublicKey(); err != nil {
			t.Fatal(err)
		}
	}
	return keys
}

func config(t *testing.T, teams ...string) natsconf.Config {
	t.Helper()
	parsed, err := bus.ParseTeams(teams)
	if err != nil {
		t.Fatal(err)
	}
	ids := natsconf.Identities(parsed, false)
	return natsconf.Config{Identities: ids, Keys: fixedKeys(t, ids), Listen: "0.0.0.0:4222", Monitor: "127.0.0.1:8222", StoreDir: "/data"}
}

func TestGolden(t *testing.T) {
	alone := config(t, "orders=ww1/wkA+ww1/wkB")
	cluster := config(t, "orders=ww1/wkA", "audit=ww1/*", "billing=ww1/wk.B")
	cluster.Nodes, cluster.SyncInterval, cluster.MaxStore, cluster.Encrypt = []string{"n1", "n2", "n3"}, 10*time.Second, "50GB", true
	cluster.TLS = natsconf.TLS{CA: "/tls/ca.pem", Cert: "/tls/server.pem", Key: "/tls/server-key.pem", VerifyClients: true}
	for name, c := range map[string]natsconf.Config{"alone": alone, "cluster": cluster} {
		got, err := c.Render()
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := c.Render(); again != got {
			t.Errorf("%s: two different texts of one Config", name)
		}
		file := filepath.Join("testdata", name+".conf")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil || got != string(want) {
			t.Errorf("%s differs from %s (%v); run the test with -update and look at the diff", name, file, err)
		}
	}
}

// TestTheServerReadsIt: every option is one that the server knows, and means what we say.
func TestTheServerReadsIt(t *testing.T) {
	t.Setenv(natsconf.EncryptionKey, "k0123456789abcdef")
	t.Setenv(natsconf.ServerName, "nats-0")
	c := config(t, "orders=ww1/wkA")
	c.Nodes, c.Encrypt, c.MaxStore = []string{"n1", "n2", "n3"}, true, "50GB"
	o := read(t, c)
	if len(o.Routes) != 3 || o.Cluster.Name != "kf" || !o.Cluster.NoAdvertise || o.ServerName != "nats-0" {
		t.Errorf("cluster: got %s in %+v", o.ServerName, o.Cluster)
	}
	if !o.SyncAlways || o.JetStreamKey != "k0123456789abcdef" || o.JetStreamMaxStore != 50<<30 {
		t.Errorf("jetstream: sync always %v, key %q, store %d", o.SyncAlways, o.JetStreamKey, o.JetStreamMaxStore)
	}
	if len(o.Nkeys) != len(c.Identities) || len(o.Users) != 0 || o.NoAuthUser != "" || o.SystemAccount != "SYS" {
		t.Errorf("users: %d nkeys for %d identities, %d with passwords, %q without, system account %q", len(o.Nkeys), len(c.Identities), len(o.Users), o.NoAuthUser, o.SystemAccount)
	}
	for _, u := range o.Nkeys {
		if u.Permissions == nil || u.Permissions.Publish == nil || len(u.Permissions.Publish.Allow) == 0 || u.Permissions.Subscribe == nil {
			t.Errorf("the user %s of %s may do anything", u.Nkey, u.Account.Name)
		}
	}
	c.SyncInterval = 10 * time.Second
	if o := read(t, c); o.SyncAlways || o.SyncInterval != 10*time.Second {
		t.Errorf("sync: got always %v, %v", o.SyncAlways, o.SyncInterval)
	}
}

func read(t *testing.T, c natsconf.Config) *server.Options {
	t.Helper()
	text, err := c.Render()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return o
}

func TestWhatCannotBe(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*natsconf.Config)
		want   string
	}{
		"no key":                        {func(c *natsconf.Config) { delete(c.Keys, "sender") }, "sender has no public key"},
		"a seed for a key":              {func(c *natsconf.Config) { c.Keys["sender"] = "S" + c.Keys["sender"] }, "sender has no public key"},
		"one key for two":               {func(c *natsconf.Config) { c.Keys["sender"] = c.Keys["syncer"] }, "have the same key"},
		"a cluster of two":              {func(c *natsconf.Config) { c.Nodes = []string{"a", "b"} }, "3 or 5"},
		"a node that is no name":        {func(c *natsconf.Config) { c.Nodes = []string{"a", "b", "c\"]"} }, "no host name"},
		"one alone that does not sync":  {func(c *natsconf.Config) { c.SyncInterval = time.Minute }, "must sync always"},
		"half of TLS":                   {func(c *natsconf.Config) { c.TLS.Cert = "/x" }, "TLS needs"},
		"a size that is none":           {func(c *natsconf.Config) { c.MaxStore = "50GB }" }, "want a size"},
		"a listen address without port": {func(c *natsconf.Config) { c.Listen = "n1" }, "host:port"},
	} {
		conf := config(t, "orders=ww1/wkA")
		c.change(&conf)
		if text, err := conf.Render(); err == nil || !strings.Contains(err.Error(), c.want) || text != "" {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
	}
}

func TestSeedsAreMadeOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "seeds")
	first, made, err := natsconf.Seeds(dir, []string{"syncer", "sender"})
	if err != nil || len(made) != 2 {
		t.Fatalf("made %v, %v", made, err)
	}
	info, err := os.Stat(natsconf.SeedFile(dir, "sender"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a seed has mode %v, %v; want 0600", info.Mode(), err)
	}
	if err := os.Remove(natsconf.SeedFile(dir, "sender")); err != nil {
		t.Fatal(err)
	}
	second, made, err := natsconf.Seeds(dir, []string{"syncer", "sender"})
	if err != nil || len(made) != 1 || made[0] != "sender" || first["syncer"] != second["syncer"] || first["sender"] == second["sender"] {
		t.Errorf("again: made %v, %v; %v then %v", made, err, first, second)
	}
	if err := os.WriteFile(natsconf.SeedFile(dir, "sender"), []byte("no seed"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := natsconf.Seeds(dir, []string{"sender"}); err == nil || strings.Contains(err.Error(), "no seed\n") {
		t.Errorf("a file that holds no seed: got %v, want an error without what is in it", err)
	}
}
