package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/natsconf"
)

// natsConfigOptions are the flags of `kfbus nats-config`.
type natsConfigOptions struct {
	conf   natsconf.Config
	teams  []string
	seeds  string
	public []string
	admin  bool
	out    string
	sync   time.Duration
}

func natsConfigCommand(s std) *cobra.Command {
	var o natsConfigOptions
	c := &cobra.Command{Use: "nats-config", Short: "write the NATS servers' configuration: a user for each service, job and team, with least rights", Args: none,
		Long: `nats-config writes the configuration of one NATS server, or of a cluster's servers, which share it: each finds its name
in its variable ` + natsconf.ServerName + `. Users are known by nkeys. Their seeds are made in the folder --seeds, one file each that its owner alone
may read, or their public keys are given. Seeds that are there stay: the same flags and seeds give the same bytes.
To change a key, delete its seed and run this again.

Services:  ingress, syncer, sender, tokenkeeper
Jobs:      topology (kfbus topology apply)
People:    operator (tail, send, dead, replay, api, media; sees all but access tokens); admin with --admin (everything)
Teams:     team-NAME, each in an account of its own into which only its subjects lead; where a client reads with JetStream
           it names the domain ` + natsconf.Domain + `. Give ` + "`kfbus topology apply`" + ` the same teams in KF_TOPOLOGY_TEAMS: it makes their durables.

Each gives its program KF_NATS_NKEY_FILE=…/NAME.nk and KF_NATS_INBOX_PREFIX=_INBOX_NAME.`,
		Example: "  kfbus nats-config --seeds seeds --team orders=ww…/wkDESK+ww…/wkSHOP --out nats.conf\n" +
			"  kfbus nats-config --seeds seeds --node n1,n2,n3 --tls-ca /tls/ca.pem --tls-cert /tls/server.pem --tls-key /tls/server-key.pem\n" +
			"  kfbus nats-config --public ingress=U… --public syncer=U… …",
		RunE: func(*cobra.Command, []string) error { return o.run(s) }}
	f := c.Flags()
	f.StringArrayVar(&o.teams, "team", nil, "NAME=CORP/OPEN_KFID+CORP/OPEN_KFID, or NAME=CORP/*; may be repeated")
	f.StringVar(&o.seeds, "seeds", "", "FOLDER of seeds, made if they are not there")
	f.StringArrayVar(&o.public, "public", nil, "NAME=U…: the public key of one whose seed is elsewhere; may be repeated")
	f.BoolVar(&o.admin, "admin", false, "an identity admin too, which may do anything")
	f.StringVar(&o.out, "out", "", "FILE to write (standard output)")
	f.StringSliceVar(&o.conf.Nodes, "node", nil, "host names of a cluster's servers; none: one server alone")
	f.StringVar(&o.conf.Listen, "listen", "0.0.0.0:4222", "host:port for clients")
	f.StringVar(&o.conf.Monitor, "monitor", "127.0.0.1:8222", "host:port of /healthz and /jsz, which ask nobody who they are")
	f.StringVar(&o.conf.StoreDir, "store", "/data", "folder of what is stored")
	f.StringVar(&o.conf.MaxStore, "max-store", "", "most that is stored, such as 50GB (three quarters of the disk)")
	f.DurationVar(&o.sync, "sync-interval", 0, "how often a cluster's servers sync to disk; 0 is always, and one server alone always does")
	f.StringVar(&o.conf.TLS.CA, "tls-ca", "", "PEM file on the servers: the CA of servers and clients")
	f.StringVar(&o.conf.TLS.Cert, "tls-cert", "", "PEM file on the servers: their certificate, for clients and routes")
	f.StringVar(&o.conf.TLS.Key, "tls-key", "", "PEM file on the servers: its key")
	f.BoolVar(&o.conf.TLS.VerifyClients, "tls-verify", false, "ask clients for a certificate too")
	f.BoolVar(&o.conf.Encrypt, "encrypt", false, "encrypt what is stored, with the key in the servers' variable "+natsconf.EncryptionKey+": letters and digits, the first a letter")
	return c
}

func (o *natsConfigOptions) run(s std) error {
	teams, err := bus.ParseTeams(o.teams)
	if err != nil {
		return usage(fmt.Errorf("--team: %w", err))
	}
	o.conf.SyncInterval = o.sync
	o.conf.Identities = natsconf.Identities(teams, o.admin)
	made, err := o.keys()
	if err != nil {
		return usage(err)
	}
	text, err := o.conf.Render()
	if err != nil {
		return usage(fmt.Errorf("%w; see kfbus nats-config --help", err))
	}
	for _, name := range made {
		fmt.Fprintln(s.err, "made", natsconf.SeedFile(o.seeds, name))
	}
	if o.out == "" {
		_, err := fmt.Fprint(s.out, text)
		return err
	}
	return os.WriteFile(o.out, []byte(text), 0o644) //nolint:gosec // public keys only: the server may run as another user
}

// keys finds every identity's public key: as given, else from its seed.
func (o *natsConfigOptions) keys() (made []string, err error) {
	o.conf.Keys = map[string]string{}
	var lack []string
	for _, id := range o.conf.Identities {
		i := slices.IndexFunc(o.public, func(p string) bool { return strings.HasPrefix(p, id.Name+"=") })
		if i < 0 {
			lack = append(lack, id.Name)
			continue
		}
		o.conf.Keys[id.Name] = strings.TrimPrefix(o.public[i], id.Name+"=")
		o.public = slices.Delete(o.public, i, i+1)
	}
	switch {
	case len(o.public) > 0:
		return nil, fmt.Errorf("--public %s: there is no such identity", o.public[0])
	case len(lack) == 0:
		return nil, nil
	case o.seeds == "":
		return nil, errors.New("give --seeds, a folder for the seeds, or --public for " + strings.Join(lack, ", "))
	}
	keys, made, err := natsconf.Seeds(o.seeds, lack)
	for name, key := range keys {
		o.conf.Keys[name] = key
	}
	return made, err
}
