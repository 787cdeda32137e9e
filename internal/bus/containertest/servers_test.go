package containertest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	dockernet "github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/network"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/bus/bustest"
)

// servers are one nats-server, or several that form a cluster.
type servers struct {
	docker *testcontainers.DockerClient
	nodes  map[string]testcontainers.Container // by server name: n1, n2 …
	ports  []string                            // of the clients, on 127.0.0.1
	used   int                                 // accounts
}

// accounts is how many empty brokers one set of servers has: each case gets an
// account to itself, whose streams no other sees.
const accounts = 64

func account(i int) string { return fmt.Sprintf("A%02d", i) }

// start starts n servers and returns when JetStream answers on all of them. They
// go away with the test.
func start(t *testing.T, n int) *servers {
	t.Helper()
	began := time.Now()
	ctx := bustest.Context(t)
	docker, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = docker.Close() })
	s := &servers{docker: docker, nodes: map[string]testcontainers.Container{}, ports: freePorts(t, n)}
	nw, err := network.New(ctx, network.WithLabels(map[string]string{label: owner()}))
	testcontainers.CleanupNetwork(t, nw)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		name := fmt.Sprintf("n%d", i+1)
		s.nodes[name] = startNode(ctx, t, config(name, n), s.ports[i], network.WithNetwork([]string{name}, nw))
	}
	for name := range s.nodes {
		s.waitHealthy(t, name)
	}
	t.Logf("%d servers are ready after %v", n, time.Since(began).Round(time.Millisecond))
	return s
}

func startNode(ctx context.Context, t *testing.T, config, port string, inNetwork testcontainers.CustomizeRequestOption) testcontainers.Container {
	t.Helper()
	c, err := testcontainers.Run(ctx, image,
		inNetwork,
		testcontainers.WithLabels(map[string]string{label: owner()}),
		testcontainers.WithFiles(testcontainers.ContainerFile{Reader: strings.NewReader(config), ContainerFilePath: "/nats.conf", FileMode: 0o644}),
		testcontainers.WithCmd("--config", "/nats.conf"),
		testcontainers.WithExposedPorts("4222/tcp", "8222/tcp"),
		onLoopback(port),
		// /healthz waits for the cluster, which waits for the other nodes.
		testcontainers.WithWaitStrategy(wait.ForHTTP("/varz").WithPort("8222/tcp").WithStartupTimeout(time.Minute)))
	testcontainers.CleanupContainer(t, c)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// onLoopback publishes the ports on 127.0.0.1 only; the clients' one keeps its
// number when the server is started again.
func onLoopback(port string) testcontainers.CustomizeRequestOption {
	here := netip.MustParseAddr("127.0.0.1")
	return testcontainers.WithHostConfigModifier(func(hc *container.HostConfig) {
		hc.PortBindings = dockernet.PortMap{
			dockernet.MustParsePort("4222/tcp"): {{HostIP: here, HostPort: port}},
			dockernet.MustParsePort("8222/tcp"): {{HostIP: here}},
		}
	})
}

func freePorts(t *testing.T, n int) []string {
	t.Helper()
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }() // all at the end, or one would come twice
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, port)
	}
	return out
}

func config(name string, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "server_name: %s\nlisten: 0.0.0.0:4222\nhttp: 0.0.0.0:8222\n", name)
	b.WriteString("jetstream { store_dir: /data, max_file_store: 64GB, sync_interval: always }\n")
	if n > 1 {
		var routes []string
		for i := range n {
			routes = append(routes, fmt.Sprintf("nats://n%d:6222", i+1))
		}
		fmt.Fprintf(&b, "cluster { name: kf, listen: 0.0.0.0:6222, no_advertise: true, routes: [ %s ] }\n", strings.Join(routes, ", "))
	}
	b.WriteString("accounts {\n")
	for i := range accounts {
		fmt.Fprintf(&b, "  %[1]s { jetstream: enabled, users: [ { user: %[1]s, password: %[1]s } ] }\n", account(i))
	}
	b.WriteString("}\n")
	return b.String()
}

// env is an empty broker: an account that nobody used before. Its streams go
// away with the test, or their consensus groups would keep the cluster busy.
func (s *servers) env(t *testing.T) bustest.Env {
	t.Helper()
	if s.used == accounts {
		t.Fatalf("all %d accounts are used", accounts)
	}
	name := account(s.used)
	s.used++
	var urls []string
	for _, port := range s.ports {
		urls = append(urls, fmt.Sprintf("nats://%[1]s:%[1]s@127.0.0.1:%[2]s", name, port))
	}
	env := bustest.Env{URL: strings.Join(urls, ","), Replicas: len(s.nodes)}
	t.Cleanup(func() {
		if err := empty(env.URL); err != nil {
			t.Errorf("empty account %s: %v", name, err)
		}
	})
	return env
}

func empty(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), bustest.Patience) // the test's is over
	defer cancel()
	nc, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	names := js.StreamNames(ctx)
	for name := range names.Name() {
		if err := js.DeleteStream(ctx, name); err != nil {
			return err
		}
	}
	return names.Err()
}

// waitHealthy waits until a server has all it should have: in a cluster, its
// copy of every stream too. Where that does not come about, it prints what the
// server says is missing, and the end of its log.
func (s *servers) waitHealthy(t *testing.T, name string) {
	t.Helper()
	var said []byte
	ready := wait.ForHTTP("/healthz").WithPort("8222/tcp").WithStartupTimeout(bustest.Patience).
		WithStatusCodeMatcher(func(int) bool { return true }).
		WithResponseMatcher(func(body io.Reader) bool {
			said, _ = io.ReadAll(body) // what is cut off is not healthy
			var health struct{ Status string }
			return json.Unmarshal(said, &health) == nil && health.Status == "ok"
		})
	ctx := bustest.Context(t)
	if err := ready.WaitUntilReady(ctx, s.nodes[name]); err != nil {
		t.Fatalf("%s: %v; it says %s; its log ends:\n%s", name, err, said, s.logEnd(t, name))
	}
}

// logEnd is the end of a server's log, without its answers to our asking.
func (s *servers) logEnd(t *testing.T, name string) string {
	r, err := s.nodes[name].Logs(t.Context())
	if err != nil {
		return err.Error()
	}
	defer func() { _ = r.Close() }()
	text, _ := io.ReadAll(r) // as much as there is
	lines := slices.DeleteFunc(strings.Split(string(text), "\n"), func(l string) bool { return strings.Contains(l, "Healthcheck failed") })
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}

// leader of a stream, by server name; "" while there is none.
func leader(t *testing.T, b *bus.Bus, stream string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(bustest.Context(t), time.Second)
	defer cancel()
	st, err := b.JS.Stream(ctx, stream)
	if err != nil || st.CachedInfo().Cluster == nil {
		return ""
	}
	return st.CachedInfo().Cluster.Leader
}

// kill ends a server as a power cut does.
func (s *servers) kill(t *testing.T, name string) {
	t.Helper()
	if _, err := s.docker.ContainerKill(bustest.Context(t), s.nodes[name].GetContainerID(), client.ContainerKillOptions{Signal: "KILL"}); err != nil {
		t.Fatal(err)
	}
}

// restart starts a killed server again and waits until it has caught up.
func (s *servers) restart(t *testing.T, name string) {
	t.Helper()
	if err := s.nodes[name].Start(bustest.Context(t)); err != nil {
		t.Fatal(err)
	}
	s.waitHealthy(t, name)
}

// other is a server that is not this one.
func (s *servers) other(name string) string {
	for other := range s.nodes {
		if other != name {
			return other
		}
	}
	return ""
}

// freeze stops a server without its connections noticing.
func (s *servers) freeze(t *testing.T, name string) {
	t.Helper()
	t.Cleanup(func() { // a frozen server can be neither stopped nor asked; one that was thawed only says so
		ctx, cancel := context.WithTimeout(context.Background(), bustest.Patience)
		defer cancel()
		_, _ = s.docker.ContainerUnpause(ctx, s.nodes[name].GetContainerID(), client.ContainerUnpauseOptions{})
	})
	if _, err := s.docker.ContainerPause(bustest.Context(t), s.nodes[name].GetContainerID(), client.ContainerPauseOptions{}); err != nil {
		t.Fatal(err)
	}
}

// thaw lets it go on, and waits until it has caught up.
func (s *servers) thaw(t *testing.T, name string) {
	t.Helper()
	if _, err := s.docker.ContainerUnpause(bustest.Context(t), s.nodes[name].GetContainerID(), client.ContainerUnpauseOptions{}); err != nil {
		t.Fatal(err)
	}
	s.waitHealthy(t, name)
}
