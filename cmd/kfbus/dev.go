package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/console"
	"github.com/kfbus/kfbus/internal/localnats"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/tokens"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfsim"
	"github.com/kfbus/kfbus/services/ingress"
	"github.com/kfbus/kfbus/services/tokenkeeper"
)

// devOptions are the flags of `kfbus dev`. An address whose port is taken gives
// way to a free one, unless its flag was given.
type devOptions struct {
	data                                        string
	seed                                        uint64
	nats, page, platform, control, calls, admin string
	given                                       func(flag string) bool
}

func defaultDev() devOptions {
	return devOptions{seed: 1, nats: "127.0.0.1:4222", page: "127.0.0.1:8088", platform: "127.0.0.1:8090",
		control: "127.0.0.1:8091", calls: "127.0.0.1:8080", admin: "127.0.0.1:9090", given: func(string) bool { return false }}
}

// freePorts lets every address be a free port: for tests.
func freePorts() devOptions {
	const free = "127.0.0.1:0"
	return devOptions{seed: 1, nats: free, page: free, platform: free, control: free, calls: free, admin: free, given: func(string) bool { return true }}
}

func devCommand(s std) *cobra.Command {
	o := defaultDev()
	c := &cobra.Command{Use: "dev", Short: "everything in one process: NATS, a simulated WeChat, the four services, a chat page", Args: none,
		Long: `dev runs the whole system on this machine: an embedded NATS server with JetStream, the simulated platform, the four
services exactly as in production, and a page on which you are the customer. Everything listens on 127.0.0.1 only.
Without --data, what it holds is gone when it ends. With it the streams stay, while the simulated WeChat begins anew under
other ids. A port that is taken gives way to a free one, and the banner says so. The services' variables (KF_…) apply here too.`,
		Example: "  kfbus dev\n  kfbus dev --data ./data --nats 127.0.0.1:14222",
		RunE: func(c *cobra.Command, _ []string) error {
			o.given = c.Flags().Changed
			if o.data != "" && !o.given("seed") { // the simulator forgets, the streams do not: do not meet old ids again
				o.seed = uint64(time.Now().UnixNano())
			}
			began := time.Now()
			d, err := newDev(c.Context(), o, s.err)
			if err != nil {
				return err
			}
			if err := d.start(c.Context()); err != nil {
				return err
			}
			if _, err := fmt.Fprint(s.out, d.banner(time.Since(began))); err != nil {
				return err
			}
			return d.wait()
		}}
	c.Flags().StringVar(&o.data, "data", "", "keep the streams in this folder")
	c.Flags().Uint64Var(&o.seed, "seed", o.seed, "seed of every simulated id")
	c.Flags().StringVar(&o.nats, "nats", o.nats, "host:port of the NATS server")
	c.Flags().StringVar(&o.page, "page", o.page, "host:port of the chat page")
	c.Flags().StringVar(&o.platform, "platform", o.platform, "host:port of the simulated platform")
	c.Flags().StringVar(&o.control, "control", o.control, "host:port of the simulator's control API")
	c.Flags().StringVar(&o.calls, "callback", o.calls, "host:port of the ingress")
	c.Flags().StringVar(&o.admin, "admin", o.admin, "host:port of /livez, /readyz and /metrics")
	return c
}

// dev is the whole system in one process.
type dev struct {
	nats    *localnats.Server
	sim     *kfsim.Sim
	world   world
	process *process
	admin   *bus.Bus // the console's connection
	parts   []service.Part
	urls    devURLs
	ended   chan error
}

// devURLs are where everything is; moved names the flags whose ports were taken.
type devURLs struct {
	moved                                          []string
	nats, page, platform, control, callback, admin string
}

// newDev starts NATS, makes the streams and wires the rest; nothing else runs
// before start.
func newDev(ctx context.Context, o devOptions, logs io.Writer) (*dev, error) {
	d := &dev{ended: make(chan error, 1)}
	if err := d.wire(ctx, o, logs); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *dev) close() {
	if d.sim != nil {
		d.sim.Close()
	}
	if d.nats != nil {
		d.nats.Close()
	}
}

func (d *dev) wire(ctx context.Context, o devOptions, logs io.Writer) error {
	ls, err := listeners(ctx, o)
	if err != nil {
		return err
	}
	if d.nats, err = localnats.Start(localnats.Options{Dir: o.data, Listen: ls.nats}); err != nil {
		return err
	}
	if d.sim, err = kfsim.New(kfsim.Config{Seed: o.seed}); err != nil {
		return err
	}
	d.urls = devURLs{moved: ls.moved, nats: d.nats.URL(), page: at(ls.page), platform: at(ls.platform), control: at(ls.control),
		callback: at(ls.calls) + "/callback", admin: at(ls.admin)}
	if d.world, err = populate(d.sim, worldSpec{callback: d.urls.callback, customers: 2}); err != nil {
		return err
	}
	env, err := d.load()
	if err != nil {
		return err
	}
	if d.process, err = newProcess("dev", env.settings, logs); err != nil {
		return err
	}
	d.process.corp = env.CorpID
	d.process.shell.Admin = ls.admin
	d.process.dialer = []nats.Option{d.nats.InProcess()}
	if d.admin, err = d.process.connect("console"); err != nil {
		return err
	}
	if _, err := d.admin.Apply(ctx, env.Topology); err != nil {
		return err
	}
	d.parts = []service.Part{
		{Name: "platform", Run: func(ctx context.Context) error { return serve(ctx, ls.platform, localOnly(d.sim.Platform())) }},
		{Name: "control", Run: func(ctx context.Context) error { return serve(ctx, ls.control, localOnly(d.sim.Control())) }},
		{Name: "callbacks", Run: d.sim.Run},
	}
	if err := d.wireServices(env, ls.calls); err != nil {
		return err
	}
	page, err := console.New(console.Config{Sim: d.sim, Bus: d.admin, Corp: d.world.corp.CorpID,
		Accounts: []kfsim.Account{d.world.account}, Customers: d.world.customers,
		Info: d.info(), Log: d.process.shell.Deps("console").Log})
	if err != nil {
		return err
	}
	d.parts = append(d.parts, service.Part{Name: "console", Run: page.Run},
		service.Part{Name: "page", Run: func(ctx context.Context) error { return serve(ctx, ls.page, page.Handler()) }})
	return nil
}

func (d *dev) wireServices(env *devEnv, calls net.Listener) error {
	p := d.process
	keeper, err := p.tokenkeeper(env.tokenkeeperEnv, []tokenkeeper.Credential{env.singleEnv.Tokenkeeper.Of(env.CorpID)})
	if err != nil {
		return err
	}
	env.doorEnv.Ingress.CorpID = env.CorpID
	in, door, err := p.ingress(env.ingressEnv.Ingress, []ingress.Door{env.doorEnv.Ingress})
	if err != nil {
		return err
	}
	door.Listener = calls
	sy, err := p.syncer(env.Syncer, env.readerEnv)
	if err != nil {
		return err
	}
	se, err := p.sender(env.senderEnv, env.readerEnv)
	if err != nil {
		return err
	}
	for _, parts := range [][]service.Part{keeper, in, sy, se} {
		d.parts = append(d.parts, parts...)
	}
	return nil
}

// devEnv is everything the environment may set in `dev`.
type devEnv struct {
	settings
	corpEnv
	ingressEnv
	doorEnv
	syncerEnv
	senderEnv
	readerEnv
	tokenkeeperEnv
	singleEnv
	topologyConfig
}

// load reads the environment as the services do. What the simulator made goes
// before what is set; what suits a laptop goes after.
func (d *dev) load() (*devEnv, error) {
	c := d.world.corp
	for name, value := range map[string]string{
		"KF_CORP_ID": c.CorpID, "KF_API_BASE_URL": d.urls.platform, "KF_NATS_URL": d.urls.nats,
		"KF_INGRESS_CALLBACK_TOKEN": c.CallbackToken, "KF_INGRESS_ENCODING_AES_KEY": c.EncodingAESKey, "KF_TOKENKEEPER_SECRET": c.Secrets[0],
		"KF_INGRESS_CALLBACK_TOKEN_FILE": "", "KF_INGRESS_ENCODING_AES_KEY_FILE": "", "KF_TOKENKEEPER_SECRET_FILE": "",
	} {
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	for name, value := range map[string]string{
		"KF_LOG_LEVEL": "warn", "KF_LOG_FORMAT": "console", "KF_LAME_DUCK": "0s", "KF_STOP_TIMEOUT": "5s", "KF_TOKEN_SEAL": tokens.SealPlain,
		"KF_TOPOLOGY_CALLBACK_LANES": "8", "KF_TOPOLOGY_COMMAND_LANES": "16", "KF_TOPOLOGY_REPLY_LANES": "4",
		"KF_SYNCER_MEDIA_TYPES": strings.Join(events.MediaTypes(), ","),
	} {
		if os.Getenv(name) == "" {
			if err := os.Setenv(name, value); err != nil {
				return nil, err
			}
		}
	}
	env := &devEnv{}
	return env, service.Load("KF", &env.settings, &env.corpEnv, &env.ingressEnv, &env.doorEnv, &env.syncerEnv, &env.senderEnv, &env.readerEnv, &env.tokenkeeperEnv, &env.singleEnv, &env.topologyConfig)
}

// start runs everything and returns when the services are ready.
func (d *dev) start(ctx context.Context) error {
	go func() {
		err := d.process.shell.Run(ctx, d.parts...)
		d.close()
		d.ended <- err
	}()
	t := time.NewTicker(10 * time.Millisecond)
	defer t.Stop()
	late := time.NewTimer(devReady)
	defer late.Stop()
	for !d.process.shell.Health.Ready() {
		select {
		case err := <-d.ended:
			return errors.Join(err, errors.New("dev ended before it was ready"))
		case <-late.C:
			return fmt.Errorf("%w after %v: %s", service.ErrNotReady, devReady, notReady(d.process.shell.Health.Report()))
		case <-t.C:
		}
	}
	return nil
}

const devReady = 20 * time.Second

func notReady(r service.Report) string {
	for _, c := range r.Checks {
		if !c.OK {
			return c.Name + ": " + c.Reason
		}
	}
	return "everything is ready now"
}

// wait blocks until dev has ended: a signal, or a part that failed.
func (d *dev) wait() error { return <-d.ended }

// taken reports whether an address is in use by somebody else.
func taken(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }

type devListeners struct {
	moved                                 []string
	nats                                  string
	page, platform, control, calls, admin net.Listener
}

func listeners(ctx context.Context, o devOptions) (devListeners, error) {
	var ls devListeners
	var opened []net.Listener
	open := func(flag, addr string) (net.Listener, error) {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", addr)
		if taken(err) && !o.given(flag) {
			l, err = lc.Listen(ctx, "tcp", "127.0.0.1:0")
			ls.moved = append(ls.moved, "--"+flag+" "+addr)
		}
		if err != nil {
			return nil, usage(fmt.Errorf("--%s %s: %w; give another address", flag, addr, err))
		}
		opened = append(opened, l)
		return l, nil
	}
	err := func() (err error) {
		for _, x := range []struct {
			flag, addr string
			to         *net.Listener
		}{{"page", o.page, &ls.page}, {"platform", o.platform, &ls.platform}, {"control", o.control, &ls.control},
			{"callback", o.calls, &ls.calls}, {"admin", o.admin, &ls.admin}} {
			if *x.to, err = open(x.flag, x.addr); err != nil {
				return err
			}
		}
		probe, err := open("nats", o.nats) // the server opens its own port: find one that is free
		if err != nil {
			return err
		}
		ls.nats = probe.Addr().String()
		return probe.Close()
	}()
	if err != nil {
		for _, l := range opened {
			_ = l.Close() // dev does not start
		}
	}
	return ls, err
}

func at(l net.Listener) string { return "http://" + l.Addr().String() }
