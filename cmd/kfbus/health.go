package main

import (
	"fmt"
	"time"

	"context"

	"github.com/spf13/cobra"

	"github.com/kfbus/kfbus/internal/service"
)

func healthCommand(s std) *cobra.Command {
	timeout := 3 * time.Second
	c := &cobra.Command{Use: "health [URL]", Short: "ask a service whether it is ready; for container health checks",
		Example: "  kfbus health\n  kfbus health http://127.0.0.1:9090/readyz",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			url := "http://127.0.0.1:9090/readyz"
			if len(args) == 1 {
				url = args[0]
			}
			ctx, cancel := context.WithTimeout(c.Context(), timeout)
			defer cancel()
			if err := service.ProbeURL(ctx, url); err != nil {
				return err
			}
			_, err := fmt.Fprintln(s.out, "ready")
			return err
		}}
	c.Flags().DurationVar(&timeout, "timeout", timeout, "longest wait for an answer")
	return c
}
