package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// stage is a shell in a synctest bubble, with what happened and when.
type stage struct {
	t       *testing.T
	shell   *Shell
	out     *logBuffer
	admin   *pipeListener
	signals chan os.Signal
	begin   time.Time

	mu     sync.Mutex
	events []string
}

const (
	testDuck = 5 * time.Second
	testStop = 25 * time.Second
)

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, out: &logBuffer{}, admin: newPipeListener(), signals: make(chan os.Signal, 2), begin: time.Now()}
	cfg := Config{LogLevel: "info", LogFormat: "json", AdminAddr: ":1", StopTimeout: testStop, LameDuck: testDuck}
	shell, err := NewShell(App{Name: "sender", Version: "1"}, cfg, s.out, time.Now)
	must(t, err)
	shell.Admin, shell.Signals = s.admin, s.signals
	shell.Health.Check("bus").OK()
	s.shell = shell
	return s
}

// note records an event with the virtual time; rounded, as http.Server.Shutdown polls.
func (s *stage) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, fmt.Sprintf("%v ", time.Since(s.begin).Round(10*time.Millisecond))+fmt.Sprintf(format, args...))
}

// probes records what the admin server answers now.
func (s *stage) probes(when string) {
	live, _ := s.admin.get(s.t, "/livez")
	ready, _ := s.admin.get(s.t, "/readyz")
	s.note("%s: livez %d readyz %d", when, live, ready)
}

// run starts Run; the channel has what it returned.
func (s *stage) run(ctx context.Context, parts ...Part) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- s.shell.Run(ctx, parts...) }()
	synctest.Wait()
	return ended
}

func (s *stage) expect(want ...string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !reflect.DeepEqual(s.events, want) {
		s.t.Errorf("got\n  %s\nwant\n  %s", strings.Join(s.events, "\n  "), strings.Join(want, "\n  "))
	}
}

// worker takes work until its context ends, then needs a while for what is in hand.
func (s *stage) worker(name string, inHand time.Duration, result error) Part {
	return Part{Name: name, Run: func(ctx context.Context) error {
		<-ctx.Done()
		s.note("%s: takes no more", name)
		pass(inHand)
		s.note("%s: done", name)
		return result
	}}
}

func (s *stage) cleanup(name string, err error) {
	s.shell.Cleanup(name, func(context.Context) error { s.note("cleanup %s", name); return err })
}

func TestRunStopsInOrder(t *testing.T) {
	for name, ask := range map[string]func(s *stage, cancel func()){
		"signal":         func(s *stage, _ func()) { s.signals <- syscall.SIGTERM },
		"end of context": func(_ *stage, cancel func()) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				s.cleanup("bus", nil)
				s.shell.Cleanup("flush", func(context.Context) error { s.probes("cleanup flush"); return nil })
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ended := s.run(ctx, s.worker("pull", 3*time.Second, nil), s.worker("push", 2*time.Second, nil))

				pass(10 * time.Second)
				s.probes("running")
				ask(s, cancel)
				synctest.Wait()
				s.probes("asked to stop")
				pass(testDuck - time.Second)
				s.probes("lame duck")
				if err := <-ended; err != nil {
					t.Errorf("got %v, want nil", err)
				}
				s.probes("stopped")
				s.mu.Lock()
				s.events = sortPairs(s.events)
				s.mu.Unlock()
				s.expect(
					"10s running: livez 200 readyz 200",
					"10s asked to stop: livez 200 readyz 503",
					"14s lame duck: livez 200 readyz 503",
					"15s pull: takes no more",
					"15s push: takes no more",
					"17s push: done",
					"18s pull: done",
					"18s cleanup flush: livez 200 readyz 503",
					"18s cleanup bus",
					"18s stopped: livez 0 readyz 0",
				)
				if !s.out.has(`"message":"started"`, `"admin":"127.0.0.1:9090"`, `"parts":["pull","push"]`) ||
					!s.out.has(`"message":"stopping"`, `"reason":"`) || !s.out.has(`"message":"stopped"`, `"clean":true`) {
					t.Errorf("got the log\n%s", s.out)
				}
			})
		})
	}
}

// sortPairs orders the two events that are simultaneous.
func sortPairs(events []string) []string {
	for i := 1; i < len(events); i++ {
		if strings.HasSuffix(events[i], "pull: takes no more") && strings.HasSuffix(events[i-1], "push: takes no more") {
			events[i-1], events[i] = events[i], events[i-1]
		}
	}
	return events
}

func TestRunWithoutLameDuckStopsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.shell.cfg.LameDuck = 0
		ended := s.run(t.Context(), s.worker("pull", 0, nil))
		s.signals <- os.Interrupt
		if err := <-ended; err != nil {
			t.Errorf("got %v, want nil", err)
		}
		s.expect("0s pull: takes no more", "0s pull: done")
	})
}

func TestRunSecondSignalReturnsAtOnce(t *testing.T) {
	for _, c := range []struct {
		name string
		wait time.Duration // between the signals
		late bool          // the part ends in order, and a cleanup hangs
	}{
		{"in the lame duck", time.Second, false},
		{"while work is in hand", testDuck + time.Second, false},
		{"in a cleanup", testDuck + time.Second, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				release := make(chan struct{})
				part := Part{Name: "stuck", Run: func(ctx context.Context) error {
					<-ctx.Done()
					if !c.late {
						<-release
					}
					return nil
				}}
				s.shell.Cleanup("hangs", func(context.Context) error { <-release; return nil })
				ended := s.run(t.Context(), part)
				s.signals <- syscall.SIGTERM
				pass(c.wait)
				at := time.Now()
				s.signals <- syscall.SIGTERM
				err := <-ended
				if !errors.Is(err, ErrKilled) || ExitCode(err) != ExitFailed {
					t.Errorf("got %v, want ErrKilled and exit code 1", err)
				}
				if took := time.Since(at); took != 0 {
					t.Errorf("returned after %v, want at once", took)
				}
				close(release)
				pass(testDuck + testStop) // the rest of the stop, which a process would not live to see
			})
		})
	}
}

func TestRunOneSignalAfterAFailureDoesNotKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		broken := errors.New("stream is gone")
		ended := s.run(t.Context(), s.worker("pull", 10*time.Second, nil), Part{"push", func(context.Context) error { return broken }})
		pass(time.Second)
		s.signals <- syscall.SIGTERM
		if err := <-ended; !errors.Is(err, broken) || errors.Is(err, ErrKilled) {
			t.Errorf("got %v, want the failure only", err)
		}
		s.expect("0s pull: takes no more", "10s pull: done")
	})
}

func TestRunLeavesBehindWhatIsBusyTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		release := make(chan struct{})
		s.shell.Cleanup("bus", func(context.Context) error { s.probes("cleanup bus"); return nil })
		ended := s.run(t.Context(), s.worker("pull", time.Second, nil), Part{"push", func(context.Context) error { <-release; return nil }})
		s.signals <- syscall.SIGTERM
		err := <-ended
		if !errors.Is(err, ErrStopTimeout) || ExitCode(err) != ExitNotReady || !strings.Contains(err.Error(), "push: ") || strings.Contains(err.Error(), "pull") {
			t.Errorf("got %v, want ErrStopTimeout for push only", err)
		}
		s.expect("5s pull: takes no more", "6s pull: done", "30s cleanup bus: livez 503 readyz 503")
		if !s.out.has(`"level":"error"`, `"parts":["push"]`, "left behind") || !s.out.has(`"message":"stopped"`, `"clean":false`) {
			t.Errorf("got the log\n%s", s.out)
		}
		close(release)
	})
}

func TestRunStopsWhenAPartFails(t *testing.T) {
	first, second := errors.New("stream is gone"), errors.New("flush refused")
	for _, c := range []struct {
		name  string
		after time.Duration // when the first part fails; it is asked to stop at 10 s
		want  []string
	}{
		{"while running: no lame duck", time.Second, []string{"1s pull: takes no more", "3s pull: done", "3s cleanup bus"}},
		{"in the lame duck, which ends", 12 * time.Second, []string{"12s pull: takes no more", "14s pull: done", "14s cleanup bus"}},
		{"while stopping", 16 * time.Second, []string{"15s pull: takes no more", "17s pull: done", "17s cleanup bus"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				s.cleanup("bus", nil)
				ended := s.run(t.Context(), s.worker("pull", 2*time.Second, second),
					Part{"push", func(context.Context) error { pass(c.after); return first }})
				defer time.AfterFunc(10*time.Second, func() { s.signals <- syscall.SIGTERM }).Stop()
				err := <-ended
				if !errors.Is(err, first) || !errors.Is(err, second) || ExitCode(err) != ExitFailed {
					t.Errorf("got %v, want both failures and exit code 1", err)
				}
				if err != nil && (!strings.Contains(err.Error(), "push: stream is gone") || !strings.Contains(err.Error(), "pull: flush refused")) {
					t.Errorf("got %q, want the names of the parts", err)
				}
				s.expect(c.want...)
			})
		})
	}
}

func TestRunEndsWhenAllPartsHave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.cleanup("bus", nil)
		once := func(d time.Duration) Part {
			return Part{"once", func(context.Context) error { pass(d); return nil }}
		}
		if err := <-s.run(t.Context(), once(time.Second), once(3*time.Second)); err != nil {
			t.Errorf("got %v, want nil", err)
		}
		s.expect("3s cleanup bus")
		if !s.out.has(`"reason":"all parts ended"`) {
			t.Errorf("got the log\n%s", s.out)
		}
	})
}

func TestRunStopsWhenTheAdminServerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.cleanup("bus", nil)
		ended := s.run(t.Context(), s.worker("pull", time.Second, nil))
		must(t, s.admin.Close())
		err := <-ended
		if !errors.Is(err, net.ErrClosed) || strings.Count(err.Error(), "admin server") != 1 || !s.out.has("stopping", "admin server") {
			t.Errorf("got %v, want what the admin server said, and the log\n%s", err, s.out)
		}
		s.expect("5s pull: takes no more", "6s pull: done", "6s cleanup bus")
	})
}

func TestRunCleanupsLastFirstWithOneDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		release := make(chan struct{})
		failed := errors.New("drain refused")
		s.cleanup("first added", nil)
		s.shell.Cleanup("hangs", func(context.Context) error { s.note("cleanup hangs"); <-release; return nil })
		s.shell.Cleanup("slow", func(ctx context.Context) error {
			until, _ := ctx.Deadline()
			s.note("cleanup slow, %v left", time.Until(until))
			pass(2 * time.Second)
			return nil
		})
		s.cleanup("fails", failed)
		err := <-s.run(t.Context())
		s.expect("0s cleanup fails", "0s cleanup slow, 5s left", "2s cleanup hangs")
		if took := time.Since(s.begin); took != cleanupTimeout {
			t.Errorf("took %v, want %v", took, cleanupTimeout)
		}
		for _, want := range []string{"cleanup fails: drain refused", "cleanup hangs: left behind", "cleanup first added: not begun"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want in it %q", err, want)
			}
		}
		for _, name := range []string{"fails", "hangs", "first added"} {
			if !s.out.has(`"level":"error"`, `"cleanup":"`+name+`"`, "cleanup failed") {
				t.Errorf("%s: not logged in\n%s", name, s.out)
			}
		}
		if s.out.has(`"cleanup":"slow"`) {
			t.Errorf("slow did not fail, but is in the log\n%s", s.out)
		}
		close(release)
	})
}

func TestRunWithoutAdminAddressCleansUp(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = taken.Close() }()
	cfg := Config{LogLevel: "info", LogFormat: "json", AdminAddr: taken.Addr().String(), StopTimeout: time.Second}
	shell, err := NewShell(App{}, cfg, io.Discard, time.Now)
	must(t, err)
	cleaned := false
	shell.Cleanup("bus", func(context.Context) error { cleaned = true; return nil })
	err = shell.Run(t.Context(), Part{"never", func(context.Context) error { t.Error("the part was run"); return nil }})
	if err == nil || !strings.Contains(err.Error(), "KF_ADMIN_ADDR") || !errors.Is(err, syscall.EADDRINUSE) || !cleaned {
		t.Errorf("got %v, cleaned %v, want KF_ADMIN_ADDR in use, and clean", err, cleaned)
	}
}

func TestRunAskedToStopBeforeItStarts(t *testing.T) {
	cfg := Config{LogLevel: "info", LogFormat: "json", AdminAddr: "127.0.0.1:0", StopTimeout: time.Minute}
	shell, err := NewShell(App{}, cfg, io.Discard, time.Now)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ended := false
	err = shell.Run(ctx, Part{"once", func(ctx context.Context) error { <-ctx.Done(); ended = true; return nil }})
	if err != nil || !ended {
		t.Errorf("got %v, part ended %v, want a stop in order", err, ended)
	}
}

// TestRunForReal has no fakes: own signal handling, a real listener, the health client.
func TestRunForReal(t *testing.T) {
	out := &startLog{addr: make(chan string, 1)}
	cfg := Config{LogLevel: "info", LogFormat: "json", AdminAddr: "127.0.0.1:0", StopTimeout: 10 * time.Second}
	shell, err := NewShell(App{Name: "dev"}, cfg, out, time.Now)
	must(t, err)
	deps := shell.Deps("sender")
	publish := deps.Health.Check("publish").FreshFor(time.Minute)
	base := make(chan string, 1)
	part := Part{"sender", func(ctx context.Context) error {
		<-ctx.Done()
		deps.Log.Info().Msg("draining")
		ctx, url := context.WithoutCancel(ctx), <-base
		if err := ProbeURL(ctx, url+"/readyz"); err == nil || !strings.Contains(err.Error(), "http 503; stopping") {
			t.Errorf("while stopping: got %v, want 503", err)
		}
		if err := ProbeURL(ctx, url+"/livez"); err != nil {
			t.Errorf("while stopping: got %v, want it alive", err)
		}
		return nil
	}}
	ended := make(chan error, 1)
	go func() { ended <- shell.Run(t.Context(), part) }()
	url := "http://" + <-out.addr
	if err := ProbeURL(t.Context(), url+"/readyz"); !errors.Is(err, ErrNotReady) || !strings.Contains(err.Error(), "; sender.publish: not checked yet") {
		t.Errorf("before the first success: got %v, want ErrNotReady with the check", err)
	}
	publish.OK()
	for _, path := range []string{"/readyz", "/livez", "/metrics"} {
		if err := ProbeURL(t.Context(), url+path); err != nil {
			t.Errorf("%s: got %v, want nil", path, err)
		}
	}
	base <- url
	must(t, syscall.Kill(os.Getpid(), syscall.SIGTERM))
	if err := <-ended; err != nil {
		t.Errorf("got %v, want nil", err)
	}
	if err := ProbeURL(t.Context(), url+"/livez"); !errors.Is(err, ErrNotReady) || ExitCode(err) != ExitNotReady {
		t.Errorf("after the stop: got %v, want ErrNotReady", err)
	}
	if !out.has(`"reason":"signal terminated"`, `"service":"dev"`) || !out.has(`"service":"sender"`, "draining") {
		t.Errorf("got the log\n%s", out)
	}
}

// startLog sends the admin address when the line "started" is written.
type startLog struct {
	logBuffer
	addr chan string
}

func (l *startLog) Write(p []byte) (int, error) {
	var line struct{ Message, Admin string }
	if err := json.Unmarshal(p, &line); err == nil && line.Message == "started" {
		l.addr <- line.Admin
	}
	return l.logBuffer.Write(p)
}
