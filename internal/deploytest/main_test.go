//go:build container

package deploytest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const (
	image     = "kfbus:local"
	natsImage = "kfbus-nats:local"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run says SKIP and why where there is no Docker, and fails where KF_REQUIRE_DOCKER=1 asks for it.
func run(m *testing.M) int {
	for _, args := range [][]string{{"image", "inspect", image}, {"image", "inspect", natsImage}, {"compose", "version"}} {
		if _, err := docker(args...); err != nil {
			if os.Getenv("KF_REQUIRE_DOCKER") == "1" {
				fmt.Fprintf(os.Stderr, "FAIL: %v (KF_REQUIRE_DOCKER=1); see make container\n", err)
				return 1
			}
			fmt.Printf("SKIP: %v\n", err)
			return 0
		}
	}
	return m.Run()
}

// docker runs one command of the client, and returns what it prints.
func docker(args ...string) (string, error) {
	return command(context.Background(), "", nil, "docker", args...)
}

// command ends after five minutes, whatever happens.
func command(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.WaitDelay = dir, 5*time.Second
	c.Env = append(os.Environ(), env...)
	out, err := c.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return string(out), fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, exit.Stderr)
	}
	return string(out), err
}

// must is docker for a command that has to work.
func must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := docker(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
