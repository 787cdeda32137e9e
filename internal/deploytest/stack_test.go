//go:build container

package deploytest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/natsconf"
)

const corp, account = "ww0123456789abcdef", "wkDESK"

// patience is how long something may take that must happen, on a machine that is busy with other things.
const patience = 3 * time.Minute

// stack is compose.yaml, started as anybody would, in a folder and on ports of its own.
type stack struct {
	*testing.T
	dir, project string
	env          []string
	ports        map[string]string
}

// start sets it up and waits until it is green. It goes away with the test.
func start(t *testing.T) *stack {
	t.Helper()
	s := &stack{T: t, dir: t.TempDir(), project: fmt.Sprintf("kfbustest%d", os.Getpid()), ports: map[string]string{}}
	for _, name := range []string{"compose.yaml", ".env.example", "deploy"} {
		if _, err := command(t.Context(), "../..", nil, "cp", "-r", name, s.dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"CALLBACK", "NATS", "SIM", "SIM_CONTROL"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // all at the end, or one would come twice
		_, s.ports[name], _ = net.SplitHostPort(l.Addr().String())
		s.env = append(s.env, "KF_PORT_"+name+"="+s.ports[name])
	}
	s.env = append(s.env, "NATS_IMAGE="+natsImage, "KF_COMPOSE_NAME="+s.project)
	if _, err := command(t.Context(), s.dir, s.env, "bash", "deploy/setup.sh"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := command(context.Background(), s.dir, s.env, "docker", "compose", "logs", "--tail", "30", "--no-color")
			t.Log(out)
		}
		if _, err := command(context.Background(), s.dir, s.env, "docker", "compose", "--profile", "*", "down", "--timeout", "5"); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *stack) compose(args ...string) string {
	s.Helper()
	out, err := command(s.Context(), s.dir, s.env, "docker", append([]string{"compose"}, args...)...)
	if err != nil {
		s.Fatal(err)
	}
	return out
}

// up returns when every container is healthy.
func (s *stack) up() {
	s.Helper()
	began := time.Now()
	s.compose("up", "--wait", "--wait-timeout", "240")
	s.Logf("green after %v", time.Since(began).Round(100*time.Millisecond))
}

// sim asks the simulator's control API; body "" is a GET.
func (s *stack) sim(path, body string, answer any) {
	s.Helper()
	url, method := "http://127.0.0.1:"+s.ports["SIM_CONTROL"]+path, http.MethodPost
	if body == "" {
		method = http.MethodGet
	}
	ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		s.Fatalf("%s %s: %d %s, %v", method, path, res.StatusCode, text, err)
	}
	if answer != nil {
		if err := json.Unmarshal(text, answer); err != nil {
			s.Fatalf("%s: %v in %s", path, err, bytes.TrimSpace(text))
		}
	}
}

// as connects from this machine as one of the users.
func (s *stack) as(identity string) *bus.Bus {
	s.Helper()
	b, err := bus.Connect(bus.Config{URL: "nats://127.0.0.1:" + s.ports["NATS"], NkeyFile: filepath.Join(s.dir, "run", "seeds", identity+".nk"),
		InboxPrefix: natsconf.InboxPrefix(identity)}, "test "+identity, zerolog.Nop())
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(b.NC.Close)
	return b
}

// eventually asks again and again for what no channel tells of.
func (s *stack) eventually(what string, ok func() bool) {
	s.Helper()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !ok() {
		select {
		case <-late:
			s.Fatalf("waited %v for %s", patience, what)
		case <-tick.C:
		}
	}
}

// rotate gives the team another key, as operations.md says.
func (s *stack) rotate() {
	s.Helper()
	seed := filepath.Join(s.dir, "run", "seeds", "team-demo.nk")
	before, err := os.ReadFile(seed)
	if err == nil {
		err = os.Remove(seed)
	}
	if err == nil {
		_, err = command(s.Context(), s.dir, s.env, "bash", "deploy/setup.sh")
	}
	if err != nil {
		s.Fatal(err)
	}
	if after, err := os.ReadFile(seed); err != nil || bytes.Equal(before, after) {
		s.Fatalf("the team has no new key: %v", err)
	}
	s.compose("kill", "--signal", "HUP", "n1", "n2", "n3")
}

// TestStack is what a newcomer does: set up, up, smoke; then a key is changed. Twice, since what is stored stays.
func TestStack(t *testing.T) {
	s := start(t)
	for range 2 {
		s.up()
		out, err := command(t.Context(), s.dir, s.env, "bash", "deploy/smoke.sh")
		if err != nil || !strings.Contains(out, "answer on the phone") {
			t.Fatalf("smoke: %s, %v", out, err)
		}
		t.Log(strings.TrimSpace(out))
		s.rotate()
		if out, err := command(t.Context(), s.dir, s.env, "bash", "deploy/smoke.sh"); err != nil {
			t.Fatalf("smoke with a new key: %s, %v", out, err)
		}
		if said := s.compose("logs", "--no-color", "n1", "n2", "n3"); strings.Contains(said, "Violation") {
			t.Errorf("the broker refused something:\n%s", said)
		}
		began := time.Now()
		s.compose("--profile", "*", "down")
		t.Logf("down after %v", time.Since(began).Round(100*time.Millisecond))
		if _, err := command(t.Context(), s.dir, s.env, "bash", "deploy/setup.sh"); err != nil {
			t.Errorf("setting up again: %v", err)
		}
	}
}
