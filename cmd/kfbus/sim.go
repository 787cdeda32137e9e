package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/kfbus/kfbus/pkg/kfsim"
)

func simCommand(s std) *cobra.Command {
	var o output
	var seed uint64
	listen, control, callback := "127.0.0.1:8090", "127.0.0.1:8091", ""
	c := &cobra.Command{Use: "sim", Short: "the simulated WeChat platform alone, for testing any SDK in any language", Args: none,
		Long: `sim answers the platform's calls under /cgi-bin on one port, and is steered over a second one: see
pkg/kfsim/README.md for the control API. It starts with one corp, one account and one customer. It has no
authentication: keep it on 127.0.0.1.`,
		Example: "  kfbus sim --callback http://127.0.0.1:8080/callback\n  curl -s 127.0.0.1:8091/state",
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			sim, err := kfsim.New(kfsim.Config{Seed: seed})
			if err != nil {
				return err
			}
			defer sim.Close()
			w, err := populate(sim, callback)
			if err != nil {
				return usage(err)
			}
			var lc net.ListenConfig
			platform, err := lc.Listen(ctx, "tcp", listen)
			if err != nil {
				return usage(fmt.Errorf("--listen: %w", err))
			}
			steering, err := lc.Listen(ctx, "tcp", control)
			if err != nil {
				return usage(fmt.Errorf("--control: %w", errors.Join(err, platform.Close())))
			}
			g, ctx := errgroup.WithContext(ctx)
			g.Go(func() error { return sim.Run(ctx) })
			g.Go(func() error { return serve(ctx, platform, sim.Platform()) })
			g.Go(func() error { return serve(ctx, steering, guarded(steering, sim.Control())) })
			if err := o.print(s.out, w.json(platform.Addr(), steering.Addr()), w.text(platform.Addr(), steering.Addr())); err != nil {
				return err
			}
			return g.Wait()
		}}
	c.Flags().StringVar(&listen, "listen", listen, "host:port of the platform's calls")
	c.Flags().StringVar(&control, "control", control, "host:port of the control API")
	c.Flags().StringVar(&callback, "callback", callback, "URL that gets the callbacks")
	c.Flags().Uint64Var(&seed, "seed", 1, "seed of every id, token and throw of the dice")
	o.flag(c)
	return c
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
	account   kfsim.Account
	customers []kfsim.Customer
}

// populate makes one corp, one account, two customers and a servicer.
func populate(sim *kfsim.Sim, callback string) (world, error) {
	var w world
	var err error
	if w.corp, err = sim.AddCorp(kfsim.Corp{CallbackURL: callback}); err != nil {
		return w, err
	}
	if w.account, err = sim.AddAccount(kfsim.Account{CorpID: w.corp.CorpID, Name: "Orders 订单"}); err != nil {
		return w, err
	}
	for _, name := range []string{"Ann 小安", "Bo 小博"} {
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
