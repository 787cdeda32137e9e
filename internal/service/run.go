package service

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
)

// Run serves the admin address and runs the parts until they all end, one fails, ctx ends, or SIGTERM or SIGINT comes.
// Then it stops in order:
//
//  1. /readyz answers 503; the parts go on for Config.LameDuck, unless one failed or none is left.
//  2. The parts' context ends; they have Config.StopTimeout to finish what is in hand. If one is still busy then, it is
//     left behind, /livez answers 503 too, and the error is an ErrStopTimeout.
//  3. Cleanups, last first, 5 s for all; each that fails is logged.
//  4. The admin server closes, so that the probes are answered to the end.
//
// A second signal, at any time, makes Run return ErrKilled at once, with parts and cleanups where they are; the process
// should then end. Run returns nil after a stop in which nothing failed. It may be called once.
func (s *Shell) Run(ctx context.Context, parts ...Part) error {
	asked, ask := context.WithCancelCause(ctx)
	defer ask(nil)
	killed, free := s.heed(ask)
	defer free()
	finished := make(chan error, 1)
	go func() { finished <- s.run(asked, ask, parts) }()
	select {
	case err := <-finished:
		return err
	case <-killed:
		s.Log.Error().Msg("second signal: stopped at once")
		return ErrKilled
	}
}

// run is all of Run but the second signal: asked ends when a stop is asked for.
func (s *Shell) run(asked context.Context, ask context.CancelCauseFunc, parts []Part) error {
	listener, err := s.adminListener(asked)
	if err != nil {
		s.Health.stop()
		return errors.Join(err, s.clean(asked))
	}
	ops := serveOps(listener, opsHandler(s.Health, s.Metrics, s.Log), s.Log, ask)

	work, end := context.WithCancel(context.WithoutCancel(asked)) // only we end the parts' work
	defer end()
	running := start(work, parts)
	s.Log.Info().Str("admin", listener.Addr().String()).Strs("parts", running.names()).Msg("started")

	failed := running.wait(asked)
	s.Health.stop()
	began := s.now()
	s.Log.Info().Str("reason", reason(asked, failed)).Dur("lame_duck", s.cfg.LameDuck).Msg("stopping")
	if failed == nil {
		duck, over := context.WithTimeout(work, s.cfg.LameDuck)
		failed = running.wait(duck)
		over()
	}
	end()
	err = errors.Join(failed, s.finish(work, running), s.clean(work), ops.close(work)) // in this order
	s.Log.Info().Dur("took", s.now().Sub(began)).Bool("clean", err == nil).Msg("stopped")
	return err
}

func (s *Shell) adminListener(ctx context.Context) (net.Listener, error) {
	if s.Admin != nil {
		return s.Admin, nil
	}
	l, err := new(net.ListenConfig).Listen(context.WithoutCancel(ctx), "tcp", s.cfg.AdminAddr)
	if err != nil {
		return nil, fmt.Errorf("KF_ADMIN_ADDR: %w", err)
	}
	return l, nil
}

// reason says in words why we stop.
func reason(asked context.Context, failed error) string {
	if failed != nil {
		return failed.Error()
	}
	if cause := context.Cause(asked); cause != nil {
		return cause.Error()
	}
	return "all parts ended"
}

// finish waits until the parts have ended, and says what failed and who is still busy when the time is over.
func (s *Shell) finish(work context.Context, running *running) error {
	limit, over := context.WithTimeout(context.WithoutCancel(work), s.cfg.StopTimeout)
	defer over()
	var errs []error
	for {
		err := running.wait(limit)
		if err == nil {
			break
		}
		errs = append(errs, err)
	}
	if busy := running.names(); len(busy) > 0 {
		s.Health.die()
		s.Log.Error().Strs("parts", busy).Dur("stop_timeout", s.cfg.StopTimeout).Msg("still busy: left behind")
		errs = append(errs, fmt.Errorf("%s: %w", strings.Join(busy, ", "), ErrStopTimeout))
	}
	return errors.Join(errs...)
}

func (s *Shell) clean(ctx context.Context) error {
	ctx, over := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer over()
	return s.cleanups.run(ctx, s.Log)
}

// running are the parts that have been started and have not been seen to end.
type running struct {
	left  map[int]string // names by index: two parts may share one
	ended chan partEnd
}

type partEnd struct {
	index int
	err   error
}

func start(ctx context.Context, parts []Part) *running {
	r := &running{left: map[int]string{}, ended: make(chan partEnd, len(parts))}
	for i, p := range parts {
		r.left[i] = p.Name
		go func() { r.ended <- partEnd{i, p.Run(ctx)} }()
	}
	return r
}

// wait returns when a part has failed, with its error; else nil, when all have ended or until has.
func (r *running) wait(until context.Context) error {
	for len(r.left) > 0 {
		select {
		case <-until.Done():
			return nil
		case e := <-r.ended:
			name := r.left[e.index]
			delete(r.left, e.index)
			if e.err != nil {
				return fmt.Errorf("%s: %w", name, e.err)
			}
		}
	}
	return nil
}

func (r *running) names() []string { return slices.Sorted(maps.Values(r.left)) }
