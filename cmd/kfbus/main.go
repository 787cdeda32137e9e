// Command kfbus puts WeChat Customer Service on NATS JetStream. One binary holds
// the four services, the simulated platform, `kfbus dev`, which runs all of them
// in one process, and the tools for people.
//
// This package is the wiring: flags, environment and exit codes. It is the only
// place that imports several services.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/kfbus/kfbus/internal/service"
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// std is where a command reads and writes.
type std struct {
	in       io.Reader
	out, err io.Writer
}

// run is the whole program but for the process: it returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errw io.Writer) int {
	root := newRoot(std{in, out, errw})
	root.SetArgs(explainArgs(args))
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errw)
	err := root.ExecuteContext(ctx)
	if err != nil && !errors.Is(err, errSaid) {
		fmt.Fprintln(errw, "kfbus:", err)
	}
	return service.ExitCode(err)
}

// errSaid is an error that the command has told already.
var errSaid = errors.New("said")

func newRoot(s std) *cobra.Command {
	root := &cobra.Command{
		Use:   "kfbus",
		Short: "WeChat Customer Service (微信客服) on NATS JetStream",
		Long: `kfbus carries WeChat Customer Service (微信客服) over NATS JetStream: messages in as CloudEvents,
commands out under the platform's rules, one true outcome for each.

Try it without an account:  kfbus dev

Exit codes: 0 done, 1 failed, 2 wrong flags or configuration, 3 not ready or not in time.`,
		SilenceErrors: true, SilenceUsage: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(fmt.Errorf("there is no command %q; see kfbus --help", args[0]))
			}
			return nil
		},
		RunE:              func(c *cobra.Command, _ []string) error { return c.Help() },
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	root.AddGroup(
		&cobra.Group{ID: "try", Title: "Try it:"},
		&cobra.Group{ID: "services", Title: "Services:"},
		&cobra.Group{ID: "tools", Title: "Tools:"},
	)
	for id, cmds := range map[string][]*cobra.Command{
		"try":      {devCommand(s), simCommand(s)},
		"services": serviceCommands(s),
		"tools": {topologyCommand(s), natsConfigCommand(s), sendCommand(s), replyCommand(s), recallCommand(s), transferCommand(s), convCommand(s), apiCommand(s),
			mediaCommand(s), tailCommand(s), replayCommand(s), deadCommand(s), tokenCommand(s), callbackCommand(s), doctorCommand(s), explainCommand(s), keygenCommand(s),
			healthCommand(s), sbomCommand(s), versionCommand(s)},
	} {
		for _, c := range cmds {
			c.GroupID = id
			root.AddCommand(c)
		}
	}
	return root
}

// usage marks an error as the caller's: exit code 2.
func usage(err error) error { return fmt.Errorf("%w: %w", service.ErrUsage, err) }

// exactly refuses any other number of arguments, saying what they are.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return usage(fmt.Errorf("%s takes %s; see %s --help", c.CommandPath(), what, c.CommandPath()))
		}
		return nil
	}
}

var none = exactly(0, "no arguments")
