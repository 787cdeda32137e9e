package main

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
)

// connection is how the tools reach the broker: the services' variables, and a
// flag for the URL.
type connection struct {
	cfg struct{ NATS bus.Config }
	url string
}

func (n *connection) flag(c *cobra.Command) {
	c.Flags().StringVar(&n.url, "nats", "", "NATS servers (default: KF_NATS_URL, else nats://127.0.0.1:4222)")
}

const toolConnect = 5 * time.Second

// dial connects or says why not; a tool does not wait for a broker for ever.
func (n *connection) dial(ctx context.Context) (*bus.Bus, error) {
	if err := service.Load("KF", &n.cfg); err != nil {
		return nil, err
	}
	if n.url != "" {
		n.cfg.NATS.URL = n.url
	}
	b, err := bus.Connect(n.cfg.NATS, "kfbus tool", zerolog.Nop(), nats.RetryOnFailedConnect(false), nats.Timeout(toolConnect))
	if err != nil {
		return nil, fmt.Errorf("%w: no NATS server answers at %s (%w); start one with `kfbus dev`, or give --nats",
			service.ErrNotReady, n.cfg.NATS.URL, err)
	}
	return b, ctx.Err()
}
