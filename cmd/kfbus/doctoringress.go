package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/nats-io/nats.go"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/services/ingress"
)

// ingressDoctor looks at what the ingress needs. What a check finds, those after it use.
type ingressDoctor struct {
	urls   []string
	now    func() time.Time
	client *http.Client

	common settings
	own    ingressEnv
	loaded bool // common and own
	doors  []ingress.Door
	bare   []string // secrets that stand in the environment itself
	files  []string // that hold secrets
	bus    *bus.Bus // nil: not connected
}

func doctorIngress(s std) *cobra.Command {
	var o output
	d := ingressDoctor{now: time.Now, client: newPoster(5 * time.Second)}
	c := &cobra.Command{Use: ingress.Name, Short: "why do no callbacks arrive?", Args: none,
		Long: `doctor ingress looks at the settings, the secrets and their files, the ports, the broker and its streams, the clock, and, with
--url, asks the public URL as the console does when it is saved, and once with a forged signature. It reads the variables
of kfbus ingress, stores nothing, and prints no secret. Run it where the ingress runs, beside it or before it starts.

Exit code 0: nothing failed. 1: something did.`,
		Example: "  kfbus doctor ingress\n  kfbus doctor ingress --url https://kf.example/callback -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			defer d.close()
			return examine(c.Context(), s, &o, d.checks())
		}}
	c.Flags().StringArrayVar(&d.urls, "url", nil, "public URL as it is in the console; once for each corp")
	o.flag(c)
	return c
}

func (d *ingressDoctor) checks() []checkup {
	return []checkup{
		{"settings", d.settings},
		{"secrets", d.secrets},
		{"port", d.ports},
		{"broker", d.broker},
		{"streams", d.streams},
		{"publish", d.publish},
		{"clock", d.clocks},
		{"url", d.public},
	}
}

func (d *ingressDoctor) close() {
	if d.bus != nil {
		d.bus.Close()
	}
	d.client.CloseIdleConnections()
}

var noSettings = []verdict{skipped("needs the settings")}

// settings loads what the ingress loads, in parts: what can be looked at without the rest is.
func (d *ingressDoctor) settings(context.Context) []verdict {
	if err := service.Load("KF", &d.common, &d.own); err != nil {
		return complaints(err)
	}
	d.loaded = true
	d.findSecrets()
	doors, _, err := loadDoors(d.own.Corps)
	if err != nil {
		return complaints(err)
	}
	for _, door := range doors {
		if err := door.Validate(); err != nil {
			return complaints(err)
		}
	}
	d.doors = doors
	var names []string
	for _, door := range doors {
		names = append(names, openerOf(door).title())
	}
	return []verdict{fine("callbacks are taken for %s", strings.Join(names, ", "))}
}

// complaints is a line for each thing that Load lists.
func complaints(err error) []verdict {
	var all []verdict
	for line := range strings.Lines(strings.TrimPrefix(err.Error(), service.ErrUsage.Error()+": ")) {
		all = append(all, failing("see kfbus ingress --help", "%s", strings.TrimSpace(line)))
	}
	return all
}

// findSecrets notes where secrets come from, before Load takes them out of the environment.
func (d *ingressDoctor) findSecrets() {
	note := func(prefix string, cfg any) {
		vars, err := service.Variables(prefix, cfg)
		if err != nil {
			panic(err) // the configuration structs are ours
		}
		for _, v := range vars {
			if v.Secret && os.Getenv(v.Name) != "" {
				d.bare = append(d.bare, v.Name)
			}
			if f := os.Getenv(v.Name + "_FILE"); v.Secret && f != "" {
				d.files = append(d.files, f)
			}
		}
	}
	if len(d.own.Corps) == 0 {
		note("KF", &doorEnv{})
	}
	for _, name := range d.own.Corps {
		note(corpPrefix(name), &ingress.Door{})
	}
	for _, f := range []string{d.common.NATS.NkeyFile, d.common.NATS.CredsFile, d.common.NATS.KeyFile} {
		if f != "" {
			d.files = append(d.files, f)
		}
	}
}

// secrets: well-formed, in files, for their owner's eyes, and each app's own.
func (d *ingressDoctor) secrets(context.Context) []verdict {
	if len(d.doors) == 0 {
		return noSettings
	}
	var all []verdict
	for i, door := range d.doors {
		o := openerOf(door)
		if f := (&exam{all: []opener{o}}).settings(); f != nil {
			all = append(all, failing(f.do, "%s: %s", o.title(), f.cause))
		}
		if len(o.pairs) > 1 && o.pairs[0].token.Equal(o.pairs[1].token) && o.pairs[0].key.Equal(o.pairs[1].key) {
			all = append(all, warning("take the …_OLD_… variables away, or give them what was there before", "%s: the old Token and key are the present ones", o.title()))
		}
		for _, other := range d.doors[:i] {
			if other.CallbackToken.Equal(door.CallbackToken) || other.EncodingAESKey.Equal(door.EncodingAESKey) {
				all = append(all, warning("make new ones with kfbus keygen: shared keys let one corp sign for the other", "%s and %s share a Token or an EncodingAESKey", other.Name, door.Name))
			}
		}
	}
	for _, name := range d.bare {
		all = append(all, warning("put it into a file and set "+name+"_FILE", "%s is in the environment, which /proc and crash reports show", name))
	}
	for _, path := range d.files {
		if info, err := os.Stat(path); err != nil {
			all = append(all, failing("let the service's user read it", "%v", err))
		} else if info.Mode().Perm()&0o004 != 0 {
			all = append(all, warning("chmod 600, or defaultMode 0400 in Kubernetes", "everybody on this machine may read %s", path))
		}
	}
	if len(all) == 0 {
		all = append(all, fine("%d files, every Token and EncodingAESKey well-formed", len(d.files)))
	}
	return all
}

// ports: free, or ours already.
func (d *ingressDoctor) ports(ctx context.Context) []verdict {
	if !d.loaded {
		return noSettings
	}
	path := "/callback"
	if len(d.own.Corps) > 0 {
		path += "/" + d.own.Corps[0]
	}
	public := d.port(ctx, "port", "KF_INGRESS_ADDR", d.own.Ingress.Addr, path, http.StatusForbidden)
	return []verdict{public, d.port(ctx, "admin port", "KF_ADMIN_ADDR", d.common.AdminAddr, "/livez", http.StatusOK)}
}

func (d *ingressDoctor) port(ctx context.Context, check, variable, addr, path string, ours int) verdict {
	v := fine("%s is free", addr)
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	switch {
	case err == nil:
		if err := l.Close(); err != nil {
			v = failing("look at what else uses it", "%s: %v", addr, err)
		}
	case errors.Is(err, syscall.EADDRINUSE) && d.status(ctx, "http://"+near(addr)+path) == ours:
		v = fine("%s is taken, by a kfbus that answers", addr)
	case errors.Is(err, syscall.EADDRINUSE):
		v = failing("stop it, or set "+variable, "%s is taken by another program", addr)
	case errors.Is(err, syscall.EACCES):
		v = failing("choose one above 1023 in "+variable, "%s is not allowed to this user", addr)
	default:
		v = failing("correct "+variable, "%s cannot be listened on: %v", addr, err)
	}
	v.Check = check
	return v
}

// near is where an address is reached from this machine.
func near(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host != "" && host != "0.0.0.0" && host != "::" {
		return addr
	}
	return net.JoinHostPort("127.0.0.1", port)
}

// status is the answer to a GET; 0 if there is none.
func (d *ingressDoctor) status(ctx context.Context, url string) int {
	a, err := callback{Method: http.MethodGet, URL: url}.deliver(ctx, d.client)
	if err != nil {
		return 0
	}
	return a.Status
}

func (d *ingressDoctor) broker(context.Context) []verdict {
	if !d.loaded {
		return noSettings
	}
	b, err := bus.Connect(d.common.NATS, "kfbus doctor", zerolog.Nop(), nats.RetryOnFailedConnect(false), nats.Timeout(toolConnect))
	if err != nil {
		return []verdict{failing("start it, or correct KF_NATS_URL and the KF_NATS_… credentials", "%v", err)}
	}
	d.bus = b
	return []verdict{fine("connected to %s, %s", b.NC.ConnectedUrlRedacted(), b.NC.ConnectedServerVersion())}
}

var noBroker = []verdict{skipped("needs the broker")}

func (d *ingressDoctor) streams(ctx context.Context) []verdict {
	if d.bus == nil {
		return noBroker
	}
	diffs, err := d.bus.Assert(ctx, ingress.Name)
	if err != nil {
		return []verdict{failing("look at the broker's log, and whether this user may read the streams' configuration", "%v", err)}
	}
	var all []verdict
	for _, diff := range diffs {
		all = append(all, failing("run kfbus topology apply as an administrator", "%s", diff))
	}
	if len(all) == 0 {
		streams := slices.Clone(bus.UsesOf(ingress.Name).Streams)
		all = append(all, fine("%s are as wanted", strings.Join(streams, " and ")))
	}
	return all
}
