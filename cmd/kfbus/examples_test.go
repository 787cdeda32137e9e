package main

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/testkit"
)

// example builds a program of examples/go and runs it until the test ends. The channel has its lines.
func example(t *testing.T, name string, env ...string) <-chan string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), name)
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "../../examples/go/"+name).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	c := exec.CommandContext(t.Context(), bin) // killed when the test is over
	c.Env = append(c.Environ(), env...)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = c.Stdout
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
		close(lines)
		_ = c.Wait()
	}()
	t.Cleanup(func() { _ = c.Process.Kill(); <-done })
	return lines
}

func line(t *testing.T, lines <-chan string) string {
	t.Helper()
	select {
	case l, ok := <-lines:
		if !ok {
			t.Fatal("the example ended")
		}
		return l
	case <-time.After(20 * time.Second):
		t.Fatal("no line in 20 s")
	}
	return ""
}

// TestEchoBot: a program that knows NATS and JSON only answers a customer, once.
func TestEchoBot(t *testing.T) {
	s := startStack(t)
	lines := example(t, "echo_bot", "KF_NATS_URL="+s.urls.nats)
	js, err := jetstream.New(s.nc)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the bot listens", func() bool {
		_, err := js.Consumer(t.Context(), "KF_MESSAGE", "echo_bot")
		return err == nil
	})
	s.say("你好")
	if l := line(t, lines); !strings.HasPrefix(l, "kf.outcome.echo.") || !strings.Contains(l, ".accepted.") {
		t.Errorf("got %q, want an accepted outcome", l)
	}
	phone := s.sim.Phone(s.kf(), s.user())
	if last := phone[len(phone)-1]; len(phone) != 2 || !strings.Contains(string(last.Body), "你好") {
		t.Errorf("the customer sees %+v", phone)
	}
}

// TestTokenFromBus: a program without any secret has the token that the tokenkeeper fetched.
func TestTokenFromBus(t *testing.T) {
	s := startStack(t)
	lines := example(t, "token_from_bus", "KF_NATS_URL="+s.urls.nats, "WXKF_CORP_ID="+s.corp())
	first := line(t, lines)
	for !strings.HasPrefix(first, "generation ") { // it may have been quicker than the tokenkeeper
		first = line(t, lines)
	}
	if _, err := s.sim.RevokeTokens(s.corp()); err != nil {
		t.Fatal(err)
	}
	s.say("hi") // whoever meets the dead token reports it
	if second := line(t, lines); second == first || !strings.HasPrefix(second, "generation ") {
		t.Errorf("after the token died: %q, before: %q", second, first)
	}
}
