// Package containertest holds the bus to its promises on real servers: the cases
// of bustest on one server and on a cluster of three, and there what happens when
// servers die or freeze. It runs the image that image.sh makes.
//
// Without a Docker daemon it says SKIP and why; with KF_REQUIRE_DOCKER=1 it fails.
package containertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

const (
	image = "kfbus-test-nats:local"
	label = "io.github.kfbus.containertest" // on all that is made here; owner() made it
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	for name, value := range map[string]string{
		// Ports are on the loopback interface. Inside a container, testcontainers would guess another.
		"TESTCONTAINERS_HOST_OVERRIDE": "127.0.0.1",
		// Its janitor is an image from a registry: we clean up ourselves.
		"TESTCONTAINERS_RYUK_DISABLED": "true",
	} {
		if os.Getenv(name) == "" {
			if err := os.Setenv(name, value); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	docker, err := connect(ctx)
	if err != nil && os.Getenv("KF_REQUIRE_DOCKER") == "1" {
		fmt.Fprintf(os.Stderr, "FAIL: %v (KF_REQUIRE_DOCKER=1)\n", err)
		return 1
	}
	if err != nil {
		fmt.Printf("SKIP: %v\n", err)
		return 0
	}
	defer func() { _ = docker.Close() }()
	if err := sweep(ctx, docker); err != nil {
		fmt.Fprintf(os.Stderr, "remove what earlier runs left: %v\n", err)
		return 1
	}
	return m.Run()
}

// connect returns a client of a daemon that answers and has the image.
func connect(ctx context.Context) (docker *testcontainers.DockerClient, err error) {
	defer func() {
		if r := recover(); r != nil { // what testcontainers does where it finds no socket
			err = fmt.Errorf("no Docker daemon: %v", r)
		}
	}()
	docker, err = testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return nil, fmt.Errorf("no Docker daemon: %w", err)
	}
	if _, err := docker.ImageInspect(ctx, image); err != nil {
		return nil, errors.Join(fmt.Errorf("no image %s: run image.sh, or make container: %w", image, err), docker.Close())
	}
	return docker, nil
}

// owner names this process in a label.
func owner() string {
	host, _ := os.Hostname() // "" is a name too
	return host + "/" + strconv.Itoa(os.Getpid())
}

// orphaned tells whether the process that made something has died without
// cleaning up.
func orphaned(owner string) bool {
	host, pid, _ := strings.Cut(owner, "/")
	n, err := strconv.Atoi(pid)
	if here, _ := os.Hostname(); err != nil || host != here {
		return false
	}
	p, err := os.FindProcess(n)
	return err != nil || errors.Is(p.Signal(syscall.Signal(0)), os.ErrProcessDone)
}

// sweep removes containers and networks of runs that were killed.
func sweep(ctx context.Context, docker *testcontainers.DockerClient) error {
	ours := make(client.Filters).Add("label", label)
	containers, err := docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: ours})
	if err != nil {
		return err
	}
	for _, c := range containers.Items {
		if orphaned(c.Labels[label]) {
			if _, err := docker.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true}); err != nil {
				return err
			}
		}
	}
	networks, err := docker.NetworkList(ctx, client.NetworkListOptions{Filters: ours})
	if err != nil {
		return err
	}
	for _, n := range networks.Items {
		if orphaned(n.Labels[label]) {
			if _, err := docker.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{}); err != nil {
				return err
			}
		}
	}
	return nil
}
