package natsconf

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nkeys"
)

// Config is what a server's configuration is made from. The zero value lacks the
// keys; [Config.Validate] says what else.
type Config struct {
	Identities   []Identity
	Keys         map[string]string // the public nkey (U…) of each identity
	Nodes        []string          // host names of a cluster's servers; empty: one server alone
	Listen       string            // host:port for clients
	Monitor      string            // host:port of /healthz and /jsz, which ask nobody who they are
	StoreDir     string
	MaxStore     string        // such as 50GB; empty: three quarters of the disk
	SyncInterval time.Duration // 0: always. One server alone must sync always
	TLS          TLS
	Encrypt      bool // at rest, with the key in the variable [EncryptionKey]
}

// TLS names PEM files on the servers; the zero value is no TLS. Clients' connections and routes
// use the same. With VerifyClients a client needs a certificate of the CA besides its nkey;
// servers need one always.
type TLS struct {
	CA, Cert, Key string
	VerifyClients bool
}

// EncryptionKey is the variable of the servers' environment that holds the key of what they store: letters and digits, the first
// a letter, since the server reads it as a piece of its configuration.
const EncryptionKey = "KF_NATS_ENCRYPTION_KEY"

// ServerName is the variable of a cluster's servers' environment that holds the name of each, such as nats-0.
const ServerName = "KF_NATS_SERVER_NAME"

const (
	clusterPort = 6222
	maxPayload  = 8 << 20   // a page of messages, a file's part; as the server of `kfbus dev`
	maxMemory   = 256 << 20 // no stream is in memory, consumers of the tools are
)

var (
	hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$`)
	size     = regexp.MustCompile(`^[1-9][0-9]*[KMGT]i?B$`)
)

// Validate says what is missing or cannot be.
func (c Config) Validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	of := map[string]string{}
	for _, id := range c.Identities {
		key := c.Keys[id.Name]
		if !nkeys.IsValidPublicUserKey(key) {
			wrong("%s has no public key of a user, which begins with U", id.Name)
		} else if other := of[key]; other != "" {
			wrong("%s and %s have the same key", other, id.Name)
		}
		of[key] = id.Name
	}
	for _, n := range c.Nodes {
		if !hostName.MatchString(n) {
			wrong("%q is no host name of a server", n)
		}
	}
	if len(c.Nodes) == 2 || len(c.Nodes) == 1 {
		wrong("a cluster has 3 or 5 servers; name no server for one alone")
	}
	if len(c.Nodes) == 0 && c.SyncInterval != 0 {
		wrong("one server alone must sync always: what it acknowledged would be gone after a power cut")
	}
	for what, addr := range map[string]string{"listen": c.Listen, "monitor": c.Monitor} {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			wrong("%s address %q: want host:port", what, addr)
		}
	}
	if c.StoreDir == "" {
		wrong("the store needs a folder")
	}
	if c.MaxStore != "" && !size.MatchString(c.MaxStore) {
		wrong("the largest store is %q; want a size such as 50GB", c.MaxStore)
	}
	if t := c.TLS; (t != TLS{}) && (t.Cert == "" || t.Key == "" || t.CA == "") {
		wrong("TLS needs the certificate, its key and the CA")
	}
	return errors.Join(errs...)
}

// Render writes the configuration; the same Config gives the same bytes.
func (c Config) Render() (string, error) {
	if err := c.Validate(); err != nil {
		return "", err
	}
	w := &writer{}
	w.line("# Made by `kfbus nats-config`: make it again rather than change it.")
	if len(c.Nodes) > 0 { // a name by flag is forgotten when the configuration is read again
		w.line("server_name: $%s", ServerName)
	}
	w.line("listen: %s", strconv.Quote(c.Listen))
	w.line("http: %s", strconv.Quote(c.Monitor))
	w.line("max_payload: %d", maxPayload)
	w.line("max_connections: 4096")
	w.line("max_subscriptions: 4096")
	w.line("max_control_line: 4096")
	w.line("write_deadline: \"10s\"")
	w.line("lame_duck_grace_period: \"5s\"")
	w.line("lame_duck_duration: \"30s\"")
	c.jetstream(w)
	c.tls(w, c.TLS.VerifyClients)
	c.cluster(w)
	c.accounts(w)
	return w.String(), nil
}

func (c Config) jetstream(w *writer) {
	w.open("jetstream")
	w.line("store_dir: %s", strconv.Quote(c.StoreDir))
	w.line("max_memory_store: %d", maxMemory)
	if c.MaxStore != "" {
		w.line("max_file_store: %s", c.MaxStore)
	}
	sync := "always" // else an acknowledged message may be gone after a power cut
	if c.SyncInterval != 0 {
		sync = strconv.Quote(c.SyncInterval.String())
	}
	w.line("sync_interval: %s", sync)
	if c.Encrypt {
		w.line("cipher: chachapoly")
		w.line("key: $%s", EncryptionKey)
	}
	w.shut()
}

func (c Config) tls(w *writer, verify bool) {
	if (c.TLS == TLS{}) {
		return
	}
	w.open("tls")
	w.line("cert_file: %s", strconv.Quote(c.TLS.Cert))
	w.line("key_file: %s", strconv.Quote(c.TLS.Key))
	w.line("ca_file: %s", strconv.Quote(c.TLS.CA))
	w.line("verify: %v", verify)
	w.line("min_version: \"1.3\"")
	w.shut()
}

func (c Config) cluster(w *writer) {
	if len(c.Nodes) == 0 {
		return
	}
	w.open("cluster")
	w.line("name: kf")
	w.line("listen: \"0.0.0.0:%d\"", clusterPort)
	w.line("no_advertise: true")
	var routes []string
	for _, n := range c.Nodes {
		routes = append(routes, strconv.Quote(fmt.Sprintf("nats://%s:%d", n, clusterPort)))
	}
	w.line("routes: [ %s ]", strings.Join(routes, ", "))
	c.tls(w, true)
	w.shut()
}
