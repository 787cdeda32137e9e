package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/kfbus/kfbus/pkg/kfsim"
)

func simCommand(s std) *cobra.Command {
	var o simOptions
	c := &cobra.Command{Use: "sim", Short: "the simulated WeChat platform alone, for testing any SDK in any language", Args: none,
		Long: `sim answers the platform's calls under /cgi-bin on one port, and is steered over a second one: people who write,
faults, the clock, load, and a journal of all it did. docs/simulator.md is its manual. It starts with one corp,
one account, two customers and a servicer; what no flag fixes is made from the seed, the same at every start.
It has no authentication: keep it on 127.0.0.1.`,
		Example: `  kfbus sim --callback http://127.0.0.1:8080/callback
  kfbus sim --corp ww0123456789abcdef --secret s3cret --token T0ken --aes-key "$KEY" --open-kfid wkDESK
  kfbus sim --script faults.json --journal journal.jsonl --seed 7
  kfbus sim --personality repeated_msgid=accept --personality empty_page_every=3
  kfbus sim --load '{"per_second":200,"duration":"10m","customers":1000,"types":{"text":8,"image":1,"enter":1}}'
  kfbus sim --speed 60
  curl -s 127.0.0.1:8091/state`,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return o.run(ctx, s.out)
		}}
	o.flags(c)
	return c
}

// run serves until ctx ends.
func (o *simOptions) run(ctx context.Context, out io.Writer) (err error) {
	cfg, load, err := o.config()
	if err != nil {
		return usage(err)
	}
	script := cfg.Script
	cfg.Script = kfsim.Script{} // begins when its people are there
	sim, err := kfsim.New(cfg)
	if err != nil {
		return usage(fmt.Errorf("--personality: %w", err))
	}
	defer sim.Close()
	if o.speed != 1 {
		if err := sim.Clock().SetSpeed(o.speed); err != nil {
			return usage(fmt.Errorf("--speed: %w", err))
		}
	}
	w, err := populate(sim, o.world)
	if err != nil {
		return usage(err)
	}
	var lc net.ListenConfig
	platform, err := lc.Listen(ctx, "tcp", o.listen)
	if err != nil {
		return usage(fmt.Errorf("--listen: %w", err))
	}
	steering, err := lc.Listen(ctx, "tcp", o.control)
	if err != nil {
		return usage(fmt.Errorf("--control: %w", errors.Join(err, platform.Close())))
	}
	finish, err := keepJournal(sim, o.journal)
	if err != nil {
		return usage(fmt.Errorf("--journal: %w", errors.Join(err, platform.Close(), steering.Close())))
	}
	defer func() {
		sim.Close() // first, so that the file has the load's end
		err = errors.Join(err, finish())
	}()
	sim.LoadScript(script)
	if load != nil {
		if err := sim.StartLoad(*load); err != nil {
			return usage(fmt.Errorf("--load: %w", errors.Join(err, platform.Close(), steering.Close())))
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return sim.Run(ctx) })
	g.Go(func() error { return serve(ctx, sim.Listener(platform), sim.Platform()) })
	g.Go(func() error { return serve(ctx, steering, guarded(steering, sim.Control())) })
	if err := o.output.print(out, w.json(platform.Addr(), steering.Addr()), w.text(platform.Addr(), steering.Addr())); err != nil {
		return err
	}
	return g.Wait()
}

// keepJournal writes the journal to a file as it grows; finish writes the rest and closes it.
func keepJournal(sim *kfsim.Sim, path string) (finish func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	enc, done, last := json.NewEncoder(f), make(chan error, 1), uint64(0)
	write := func(e kfsim.Entry) error {
		last = e.Seq
		return enc.Encode(e)
	}
	go func() {
		for e := range sim.Follow(ctx, 1) {
			if err := write(e); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	return func() error {
		stop()
		err := <-done
		for _, e := range sim.Journal() {
			if err == nil && e.Seq > last {
				err = write(e)
			}
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("--journal %s: %w", path, err)
		}
		return nil
	}, nil
}

// guarded is h for programs on this machine only, where it listens on this
// machine only: between containers the network is the guard.
func guarded(l net.Listener, h http.Handler) http.Handler {
	if loopback(l.Addr().String()) {
		return localOnly(h)
	}
	return h
}

// world is what a fresh simulator holds.
type world struct {
	corp      kfsim.Corp
	account   kfsim.Account // the first
	customers []kfsim.Customer
}

// populate makes one corp, its accounts and customers, and a servicer.
func populate(sim *kfsim.Sim, spec worldSpec) (world, error) {
	var w world
	var err error
	var secrets []string
	if spec.secret != "" {
		secrets = []string{spec.secret}
	}
	w.corp, err = sim.AddCorp(kfsim.Corp{CorpID: spec.corpID, Secrets: secrets, CallbackURL: spec.callback, CallbackToken: spec.token,
		EncodingAESKey: spec.aesKey, CallbackFormat: spec.format})
	if err != nil {
		return w, fmt.Errorf("--corp, --callback, --callback-format: %w", err)
	}
	for n := range max(1, spec.accounts) {
		a := kfsim.Account{CorpID: w.corp.CorpID, Name: fmt.Sprint("Desk ", n+1)}
		if n == 0 {
			a.OpenKfID, a.Name = spec.openKfID, "Orders 订单"
		}
		if a, err = sim.AddAccount(a); err != nil {
			return w, fmt.Errorf("--open-kfid: %w", err)
		}
		if n == 0 {
			w.account = a
		}
	}
	names := []string{"Ann 小安", "Bo 小博"}
	for n := range max(1, spec.customers) {
		name := fmt.Sprint("Customer ", n+1)
		if n < len(names) {
			name = names[n]
		}
		cu, err := sim.AddCustomer(kfsim.Customer{CorpID: w.corp.CorpID, Nickname: name})
		if err != nil {
			return w, err
		}
		w.customers = append(w.customers, cu)
	}
	return w, sim.AddServicer(kfsim.Servicer{OpenKfID: w.account.OpenKfID, UserID: "lisi", Status: kfsim.ServicerReceiving})
}

func (w world) json(platform, control net.Addr) any {
	return map[string]any{"platform": "http://" + platform.String(), "control": "http://" + control.String(),
		"corp": w.corp, "account": w.account, "customers": w.customers}
}

func (w world) text(platform, control net.Addr) string {
	return fmt.Sprintf(`Simulated WeChat at http://%s, steered at http://%s
  corpid           %s
  corpsecret       %s
  Token            %s
  EncodingAESKey   %s
  open_kfid        %s
  external_userid  %s
Say something as the customer:
  curl -s %s/say -d '{"open_kfid":"%s","external_userid":"%s","text":"你好"}'`,
		platform, control, w.corp.CorpID, w.corp.Secrets[0], w.corp.CallbackToken, w.corp.EncodingAESKey,
		w.account.OpenKfID, w.customers[0].ExternalUserID, control, w.account.OpenKfID, w.customers[0].ExternalUserID)
}

// serve answers on l until ctx ends, then lets requests finish for a moment.
func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10}
	done := make(chan error, 1)
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		err := srv.Shutdown(grace)
		if errors.Is(err, context.DeadlineExceeded) { // a stream that is still open
			err = srv.Close()
		}
		done <- err
	}()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-done
}
