package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
)

type topologyConfig struct{ Topology bus.Topology }

func topologyCommand(s std) *cobra.Command {
	c := &cobra.Command{Use: "topology", Short: "make or check the streams, buckets and consumers on the broker",
		Long: "Services never make streams: run `kfbus topology apply` before them, with an administrator's credentials.\n\n" +
			environment(&topologyConfig{}, &struct{ NATS bus.Config }{})}
	c.AddCommand(topologyApply(s), topologyCheck(s))
	return c
}

// topologyAttempt is how long one attempt may take: a request that is lost in an election is never answered.
const topologyAttempt = 20 * time.Second

func topologyApply(s std) *cobra.Command {
	var n connection
	var o output
	var wait time.Duration
	c := &cobra.Command{Use: "apply", Short: "make what is missing, change what differs, delete nothing", Args: none,
		Example: "  kfbus topology apply\n  KF_TOPOLOGY_REPLICAS=3 kfbus topology apply --wait 2m",
		RunE: func(c *cobra.Command, _ []string) error {
			t, b, err := dialTopology(c.Context(), &n, wait)
			if err != nil {
				return err
			}
			defer b.Close()
			ctx, cancel := context.WithTimeout(c.Context(), max(wait, time.Minute))
			defer cancel()
			for until := time.Now().Add(wait); ; {
				attempt, end := context.WithTimeout(ctx, topologyAttempt)
				done, err := b.Apply(attempt, t)
				end()
				for _, line := range done {
					if err := o.print(s.out, map[string]string{"done": line}, line); err != nil {
						return err
					}
				}
				if err == nil || !bus.Temporary(bus.Classify(err)) || !time.Now().Before(until) {
					return err
				}
				select { // a cluster elects: what is there already is left as it is
				case <-ctx.Done():
					return err
				case <-time.After(500 * time.Millisecond):
				}
			}
		}}
	c.Flags().DurationVar(&wait, "wait", 0, "keep trying for so long while the broker cannot be reached, or elects")
	n.flag(c)
	o.flag(c)
	return c
}

func topologyCheck(s std) *cobra.Command {
	var n connection
	var o output
	c := &cobra.Command{Use: "check", Short: "say what differs; exit code 3 if anything does", Args: none,
		Example: "  kfbus topology check -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			t, b, err := dialTopology(c.Context(), &n, 0)
			if err != nil {
				return err
			}
			defer b.Close()
			diffs, err := b.Check(c.Context(), t)
			if err != nil {
				return err
			}
			for _, d := range diffs {
				if err := o.print(s.out, map[string]string{"differs": d}, d); err != nil {
					return err
				}
			}
			if len(diffs) > 0 {
				return fmt.Errorf("%w: %d differences", service.ErrNotReady, len(diffs))
			}
			return o.print(s.out, map[string]bool{"ok": true}, "ok: everything is as wanted")
		}}
	n.flag(c)
	o.flag(c)
	return c
}

// dialTopology reads the wanted topology and connects, trying again until wait
// is over: a job may start before its broker.
func dialTopology(ctx context.Context, n *connection, wait time.Duration) (bus.Topology, *bus.Bus, error) {
	var cfg topologyConfig
	if err := service.Load("KF", &cfg); err != nil {
		return bus.Topology{}, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, max(wait, time.Second))
	defer cancel()
	for {
		b, err := n.dial(ctx)
		if err == nil || wait == 0 || !errors.Is(err, service.ErrNotReady) {
			return cfg.Topology, b, err
		}
		select {
		case <-ctx.Done():
			return cfg.Topology, nil, err
		case <-time.After(500 * time.Millisecond):
		}
	}
}
