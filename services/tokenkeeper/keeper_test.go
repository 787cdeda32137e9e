package tokenkeeper

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/tokens"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// sleep lets virtual time pass.
func sleep(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// bubble runs f on a virtual clock.
func bubble(t *testing.T, f func(t *testing.T)) { synctest.Test(t, f) }

func TestATokenIsFreshAllDay(t *testing.T) {
	for _, c := range []struct {
		repeated string
		most     int // calls in 24 h, which are twelve lives
	}{
		{kfsim.TokenSame, 3 * 13},
		{kfsim.TokenNew, 17},
		{kfsim.TokenNewKillsOld, 17},
	} {
		t.Run(c.repeated, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStage(t, kfsim.Personality{RepeatedGetToken: c.repeated})
				a := s.start(func(k *keeper) { k.dice = rand.Float64 })
				defer a.stop()
				dead := 0
				for range 24 * 3600 / 47 {
					sleep(47 * time.Second)
					if !s.alive() {
						dead++
					}
				}
				if dead > 0 || s.calls() > c.most {
					t.Errorf("dead at %d of %d looks, %d calls of gettoken; want 0, and at most %d", dead, 24*3600/47, s.calls(), c.most)
				}
				if !a.health.Ready() {
					t.Errorf("not ready: %+v", a.health.Report())
				}
				t.Logf("24 h: %d calls of gettoken", s.calls())
			})
		})
	}
}

// 5.1, 5.2: of three keepers that try a refresh two are killed. What remains of the token's life is enough for the third.
func TestKeepersKilledAtEveryRefresh(t *testing.T) {
	for name, c := range map[string]struct {
		after bool // the platform has acted
		calls int  // at most, in 24 h with 17 refreshes
	}{"before gettoken": {false, 18}, "between gettoken and put": {true, 3 * 18}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStage(t, kfsim.Personality{RepeatedGetToken: kfsim.TokenNew})
				tries, killed := 0, 0
				dead := make(chan struct{}, 1)
				start := func() *actor {
					return s.start(func(k *keeper) {
						k.drain = 0
						k.api = sourceFunc(func(ctx context.Context, corp, secret string) (r kfapi.GetTokenResponse, err error) {
							tries++ // one at a time: the others wait for the lease
							last := tries%3 == 0
							if c.after || last {
								r, err = s.api.GetToken(ctx, corp, secret)
							}
							if !last {
								k.store.(*line).cut.Store(true)
								dead <- struct{}{}
								<-ctx.Done()
							}
							return r, err
						})
					})
				}
				a := start()
				refused := 0
				for range 24 * 3600 / 47 {
					sleep(47 * time.Second)
					select {
					case <-dead:
						killed++
						a.kill()
						a = start()
					default:
					}
					if s.look(); s.caller.Generation > 0 && !s.alive() {
						refused++
					}
				}
				a.stop()
				if refused > 0 || s.calls() > c.calls || killed < 30 {
					t.Errorf("%d calls with a dead token, %d calls of gettoken, %d keepers killed; want 0, at most %d, at least 30", refused, s.calls(), killed, c.calls)
				}
				t.Logf("24 h: %d keepers killed, %d calls of gettoken", killed, s.calls())
			})
		})
	}
}

// 5.7
func TestPlatformDownForHoursKeepsTheOldToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, kfsim.Personality{})
		a := s.start()
		defer a.stop()
		sleep(time.Second)
		before, _ := s.entry()
		if _, err := s.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultHTTP500Before, Path: "gettoken", Status: 503}); err != nil {
			t.Fatal(err)
		}
		for range 4 * 60 { // twice its life
			sleep(time.Minute)
			if v, ok := s.entry(); !ok || v.Hash != before.Hash {
				t.Fatalf("after %v: the token is gone from the bucket: %v %v", a.clock(), v, ok)
			}
		}
		calls := s.calls() - 1
		if calls < 10 || calls > 45 {
			t.Errorf("got %d calls in the outage, want a few an hour", calls)
		}
		if r := a.health.Report(); r.Ready || !strings.Contains(fmt.Sprint(r.Checks), "expired") {
			t.Errorf("ready, or without the reason: %+v", r)
		}
		s.sim.RemoveFaults()
		s.use(a) // the first caller that gets an answer again reports
		sleep(2 * time.Second)
		if v, _ := s.entry(); !s.alive() || v.Generation <= before.Generation {
			t.Errorf("2s after the first report the token is not fresh")
		}
		t.Logf("%d calls in 4 h of outage", calls)
	})
}

// 5.9
func TestWrongSecretStopsAfterFive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, kfsim.Personality{})
		path := filepath.Join(t.TempDir(), "secret")
		write := func(secret string) {
			t.Helper()
			if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write("wrong")
		sec, err := service.SecretFile(path, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		a := s.startWith(sec)
		defer a.stop()
		sleep(50 * time.Minute)
		if got := s.sim.Answers("gettoken", 40001); got != wrongLimit || s.calls() != wrongLimit {
			t.Errorf("got %d calls, %d refused, want %d", s.calls(), got, wrongLimit)
		}
		if r := fmt.Sprint(a.health.Report().Checks); a.health.Ready() || !strings.Contains(r, "put the right one") || !strings.Contains(r, "40001") {
			t.Errorf("ready, or without saying what to do: %s", r)
		}
		if logs := s.logs.String(); strings.Count(logs, `"level":"error"`) != 1 {
			t.Errorf("want one alarm in:\n%s", logs)
		}
		for range 1000 {
			a.report(events.Suspect{Hash: "00000000"})
		}
		sleep(3 * time.Hour)
		if got := s.calls(); got < wrongLimit+2 || got > wrongLimit+4 {
			t.Errorf("got %d calls in 3 h more, want one an hour", got-wrongLimit)
		}
		write("wrong again")
		sleep(10 * time.Second)
		if got := s.sim.Answers("gettoken", 40001); got < wrongLimit+3 {
			t.Errorf("another wrong secret was not tried")
		}
		write(secret)
		sleep(time.Minute)
		if !s.alive() || !a.health.Ready() {
			t.Errorf("a minute after the right secret came: %+v", a.health.Report())
		}
	})
}

// 5.8
func TestClockJumpsCauseNoStorm(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, kfsim.Personality{RepeatedGetToken: kfsim.TokenNew})
		a := s.start()
		last := uint64(0)
		for i := range 36 {
			sleep(10 * time.Minute)
			s.jump.Store(int64([]time.Duration{2 * time.Hour, -2 * time.Hour, 0}[i%3]))
			v, _ := s.entry()
			if v.Generation < last || !s.alive() {
				t.Errorf("generation %d after %d, alive %v", v.Generation, last, s.alive())
			}
			last = v.Generation
		}
		if got := s.calls(); got > 5 {
			t.Errorf("got %d calls in 6 h, want 5", got)
		}
		calls := s.calls()
		for _, jump := range []time.Duration{2 * time.Hour, -2 * time.Hour, 0} { // a new keeper believes its clock
			a.stop()
			s.jump.Store(int64(jump))
			a = s.start()
			sleep(time.Minute)
		}
		if got := s.calls() - calls; got > 2 {
			t.Errorf("got %d calls after three starts with a wrong clock, want at most 2", got)
		}
		t.Logf("36 jumps of up to 4 h in 6 h: %d calls of gettoken; three starts with a wrong clock: %d", calls, s.calls()-calls)
		a.stop()
		if !s.alive() {
			t.Errorf("the token is dead after all")
		}
	})
}

// 5.10
func TestBucketAwayOrFull(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		full  bool
		alarm string
	}{
		"away": {bus.ErrDisconnected, false, "warn"}, "silent": {bus.ErrUnknown, false, "warn"}, "full": {nil, true, "error"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStage(t, kfsim.Personality{RepeatedGetToken: kfsim.TokenNew})
				a, follower := s.start(), s.start()
				defer a.stop()
				defer follower.stop()
				sleep(time.Second)
				before, _ := s.entry()
				s.bucket.set(c.err, c.full)
				sleep(200 * time.Minute) // the token is replaced after 90 minutes, and after 180
				if got := s.calls(); got != 3 {
					t.Errorf("got %d calls, want 3: the leader goes on in memory, the follower does not begin", got)
				}
				if a.health.Ready() || !strings.Contains(s.logs.String(), `"level":"`+c.alarm+`"`) {
					t.Errorf("no alarm: %+v", a.health.Report())
				}
				s.bucket.set(nil, false)
				sleep(3 * time.Second)
				if v, _ := s.entry(); v.Generation <= before.Generation || !s.alive() {
					t.Errorf("3s after the bucket is back: generation %d after %d, alive %v", v.Generation, before.Generation, s.alive())
				}
				if !a.health.Ready() || !follower.health.Ready() || s.calls() > 4 {
					t.Errorf("%d calls, want 3, or 4 if the follower leads first: %+v, %+v", s.calls(), a.health.Report(), follower.health.Report())
				}
			})
		})
	}
}

func TestALostEntryIsPublishedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, kfsim.Personality{})
		a, b := s.start(), s.start()
		defer a.stop()
		defer b.stop()
		sleep(time.Hour)
		before, _ := s.entry()
		s.bucket.remove(events.TokenKey(corpID, "kf"))
		sleep(poll + time.Millisecond)
		if v, ok := s.entry(); !ok || v.Generation != before.Generation || s.calls() != 1 {
			t.Errorf("got %v after %d calls, want the same one after 1", v, s.calls())
		}
	})
}

func TestLeaderDies(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, kfsim.Personality{RepeatedGetToken: kfsim.TokenNew})
		a := s.start()
		sleep(time.Second)
		b := s.start()
		defer b.stop()
		sleep(80 * time.Minute)
		if !a.lease.held || b.lease.held {
			t.Fatalf("the first must lead")
		}
		a.kill()
		if _, err := s.sim.RevokeTokens(corpID); err != nil {
			t.Fatal(err)
		}
		for range 4 { // callers report every 3 s
			s.use(b)
			sleep(3 * time.Second)
		}
		if !s.alive() || s.calls() != 2 || !b.lease.held {
			t.Errorf("12s after the leader died: alive %v, %d calls; want a living token after 2", s.alive(), s.calls())
		}
	})
}

func TestALeaderThatSleptDoesNotCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, kfsim.Personality{RepeatedGetToken: kfsim.TokenNew})
		at := func(k *keeper) { k.dice = func() float64 { return 0.51 } } // not at a tick
		a := s.start(at)
		defer a.stop()
		sleep(time.Second)
		b := s.start(at)
		defer b.stop()
		sleep(90 * time.Minute)
		a.line.stall.Store(int64(time.Minute)) // over the refresh, longer than its lease
		sleep(2 * time.Minute)
		if a.lease.held || !b.lease.held || s.calls() != 2 || !s.alive() {
			t.Errorf("the first leads %v, the second %v, %d calls; want 2, and the second to lead", a.lease.held, b.lease.held, s.calls())
		}
	})
}

func TestALateAnswerIsSuperseded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, kfsim.Personality{RepeatedGetToken: kfsim.TokenNew})
		slow := func(d time.Duration) func(*keeper) {
			return func(k *keeper) {
				k.api = sourceFunc(func(ctx context.Context, corp, secret string) (kfapi.GetTokenResponse, error) {
					r, err := s.api.GetToken(ctx, corp, secret)
					<-time.After(d)
					return r, err
				})
			}
		}
		a := s.start(blind, slow(5*time.Second))
		defer a.stop()
		sleep(3 * time.Second)
		b := s.start(blind, slow(10*time.Second)) // begins later, and without knowing of a's
		defer b.stop()
		sleep(4 * time.Second)
		first, _ := s.entry()
		sleep(time.Minute)
		v, _ := s.entry()
		if v.Hash != first.Hash || a.held.Hash != first.Hash || b.held.Hash != first.Hash || s.calls() != 2 {
			t.Errorf("%d calls; the bucket has %s, the keepers %s and %s; want the token that came first, %s", s.calls(), v.Hash, a.held.Hash, b.held.Hash, first.Hash)
		}
	})
}

func TestARefusedSettingIsAnAlarm(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, kfsim.Personality{})
		if _, err := s.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultErrCode, Path: "gettoken", ErrCode: 60020}); err != nil {
			t.Fatal(err)
		}
		a := s.start()
		defer a.stop()
		sleep(time.Hour)
		if r := fmt.Sprint(a.health.Report()); a.health.Ready() || !strings.Contains(r, "60020") || !strings.Contains(s.logs.String(), `"level":"error"`) {
			t.Errorf("no alarm: %s", r)
		}
		if got := s.calls(); got > 20 {
			t.Errorf("got %d calls in an hour, want few", got)
		}
		s.sim.RemoveFaults()
		sleep(11 * time.Minute)
		if !s.alive() || !a.health.Ready() {
			t.Errorf("11 minutes after the setting was mended: %+v", a.health.Report())
		}
	})
}

func TestAFullLifeGivenAgainIsPublished(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, kfsim.Personality{})
		full := sourceFunc(func(context.Context, string, string) (kfapi.GetTokenResponse, error) {
			return kfapi.GetTokenResponse{AccessToken: "the same", ExpiresIn: life}, nil
		})
		a := s.start(func(k *keeper) { k.api = full })
		defer a.stop()
		sleep(time.Millisecond)
		b := s.start()
		defer b.stop()
		sleep(time.Second)
		before, _ := s.entry()
		sleep(100 * time.Minute) // a refresh after 90
		after, _ := s.entry()
		if after.Generation != before.Generation || after.Expires.Sub(before.Expires) != 90*time.Minute {
			t.Errorf("got generation %d and %v more, want %d and 90m", after.Generation, after.Expires.Sub(before.Expires), before.Generation)
		}
		if of := b.started.Sub(a.started); a.ends != b.ends+of || a.ends != 90*time.Minute+life {
			t.Errorf("the keepers say it ends at %v and %v, want 210 minutes", a.ends, b.ends+of)
		}
	})
}

func TestStopPublishesWhatIsUnderWayAndGivesTheLeaseBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, kfsim.Personality{})
		if _, err := s.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultLatency, Path: "gettoken", Delay: 3 * time.Second}); err != nil {
			t.Fatal(err)
		}
		a := s.start()
		sleep(time.Second)
		a.stop()
		if !s.alive() {
			t.Errorf("the token that was under way is not in the bucket")
		}
		s.sim.RemoveFaults()
		b := s.start()
		defer b.stop()
		sleep(time.Millisecond)
		if !b.lease.held || s.calls() != 1 {
			t.Errorf("lease held %v after %d calls, want the lease at once and no second call", b.lease.held, s.calls())
		}
	})
}

// 5.3
func TestTwoLeadersForced(t *testing.T) {
	for _, repeated := range []string{kfsim.TokenSame, kfsim.TokenNew} {
		t.Run(repeated, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStage(t, kfsim.Personality{RepeatedGetToken: repeated})
				a, b := s.start(blind), s.start(blind)
				defer a.stop()
				defer b.stop()
				sleep(time.Minute)
				worst, before := 0, s.caller.Generation
				for range 20 {
					calls := s.calls()
					if _, err := s.sim.RevokeTokens(corpID); err != nil {
						t.Fatal(err)
					}
					s.use(a, b)
					sleep(2 * time.Second)
					v, _ := s.entry()
					if got := s.calls() - calls; !s.alive() || v.Generation <= before || got > 2 {
						t.Fatalf("alive %v, generation %d after %d, %d calls after a revocation, want at most 2", s.alive(), v.Generation, before, got)
					}
					worst, before = max(worst, s.calls()-calls), v.Generation
					sleep(2 * time.Minute)
				}
				t.Logf("20 revocations, %d calls, at most %d for one", s.calls(), worst)
			})
		})
	}
}

// Where each call kills the token before, two leaders in step kill each other's. That is no storm, and it ends with one
// of them.
func TestTwoLeadersThatKillEachOthersTokens(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, kfsim.Personality{RepeatedGetToken: kfsim.TokenNewKillsOld})
		a, b := s.start(blind), s.start(blind)
		defer a.stop()
		for range 100 { // 5 minutes
			s.use(a, b)
			sleep(3 * time.Second)
		}
		if got, most := s.calls(), 2*(burst+10); got > most {
			t.Errorf("%d calls in 5 minutes, want at most %d", got, most)
		}
		b.stop()
		for range 11 {
			s.use(a)
			sleep(3 * time.Second)
		}
		if !s.alive() {
			t.Errorf("33s after the second leader left the token is dead")
		}
	})
}

// blind makes a keeper believe that every lease is free.
func blind(k *keeper) { k.store.(*line).noLeases = true }

func TestACallerAheadOfTheBucketIsOvertaken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, kfsim.Personality{})
		a := s.start()
		defer a.stop()
		sleep(time.Second)
		v, _ := s.entry()
		s.caller = tokens.Value{Token: service.NewSecret("dead"), Hash: tokens.Hash("dead"), Generation: v.Generation + 3600}
		s.use(a)
		sleep(time.Second)
		if !s.alive() || s.caller.Generation != v.Generation+3601 || s.calls() != 1 {
			t.Errorf("alive %v, generation %d, %d calls; want generation %d and no second call", s.alive(), s.caller.Generation, s.calls(), v.Generation+3601)
		}
		v, _ = s.entry()
		a.report(events.Suspect{Hash: "00000000", Generation: v.Generation + maxAhead + 1})
		sleep(time.Second)
		if got, _ := s.entry(); got.Generation != v.Generation {
			t.Errorf("a report from the far future: generation %d became %d", v.Generation, got.Generation)
		}
	})
}

// Whoever may report could otherwise have an entry written a report, and use up the generations there are.
func TestAStormOfReportsFromTheFutureIsSlowedDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, kfsim.Personality{})
		a := s.start()
		defer a.stop()
		sleep(time.Second)
		v, _ := s.entry()
		for range 10_000 {
			now, _ := s.entry()
			a.report(events.Suspect{Hash: "00000000", Generation: now.Generation + maxAhead})
			sleep(time.Millisecond)
		}
		now, _ := s.entry()
		if weeks := (now.Generation - v.Generation) / maxAhead; weeks < 2 || weeks > 6 {
			t.Errorf("10 s of reports raised the generation by %d weeks, want 2 to 6: one each 2 s", weeks)
		}
	})
}

// Random faults, for three virtual hours each: keepers are killed and started, answers of the bucket get lost, entries are
// deleted, tokens die, clocks jump, the platform and the bucket go away. A minute after the last fault a caller that has only
// ever taken newer tokens has one that is alive.
func TestKeepersUnderRandomFaults(t *testing.T) {
	seeds, first := uint64(8), rand.Uint64()
	if testing.Short() {
		seeds = 3
	}
	if text := os.Getenv("KF_TEST_SEED"); text != "" { // one seed again
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seeds, first = 1, n
	}
	t.Logf("seeds from %d", first)
	calls, kills, revoked := 0, 0, 0
	for i := range seeds {
		bubble(t, func(t *testing.T) {
			c, k, r := randomFaults(t, first+i)
			calls, kills, revoked = calls+c, kills+k, revoked+r
		})
		if t.Failed() {
			t.Fatalf("seed %d", first+i)
		}
	}
	t.Logf("%d runs of 3 h: %d calls of gettoken, %d keepers killed, %d revocations", seeds, calls, kills, revoked)
}

func randomFaults(t *testing.T, seed uint64) (calls, kills, revoked int) {
	r := rand.New(rand.NewPCG(seed, 0))
	modes := []string{kfsim.TokenSame, kfsim.TokenNew, kfsim.TokenNewKillsOld}
	mode := modes[r.IntN(3)]
	s := newStage(t, kfsim.Personality{RepeatedGetToken: mode})
	lossy := r.Float64() * 0.3
	start := func() *actor {
		own := rand.New(rand.NewPCG(r.Uint64(), 1)) // of the keeper's goroutine
		return s.start(func(k *keeper) {
			l := k.store.(*line)
			l.lost = func() bool { return own.Float64() < lossy }
			l.noLeases = mode != kfsim.TokenNewKillsOld && r.IntN(4) == 0
			k.drain = 0
		})
	}
	actors := []*actor{start(), start()}
	for range 3 * 60 {
		sleep(time.Duration(r.Int64N(int64(2 * time.Minute))))
		switch n := r.IntN(len(actors)); r.IntN(12) {
		case 0:
			kills++
			actors[n].kill()
			actors[n] = start()
		case 1:
			actors[n].stop()
			actors[n] = start()
		case 2:
			s.bucket.remove(events.TokenKey(corpID, "kf"))
		case 3:
			s.bucket.remove(events.TokenLeaderKey(corpID, "kf"))
		case 4:
			revoked++
			if _, err := s.sim.RevokeTokens(corpID); err != nil {
				t.Fatal(err)
			}
		case 5:
			s.jump.Store(r.Int64N(int64(4*time.Hour)) - int64(2*time.Hour))
		case 6:
			s.bucket.set([]error{nil, bus.ErrDisconnected, bus.ErrUnknown}[r.IntN(3)], r.IntN(4) == 0)
		case 7:
			kind := []string{kfsim.FaultHTTP500Before, kfsim.FaultHTTP500After, kfsim.FaultGarbageAfter, kfsim.FaultResetAfter}[r.IntN(4)]
			if _, err := s.sim.AddFault(kfsim.Fault{Kind: kind, Path: "gettoken", Count: 1 + r.IntN(20)}); err != nil {
				t.Fatal(err)
			}
		case 8:
			s.sim.RemoveFaults()
		default:
			s.bucket.set(nil, false)
			s.use(actors...)
		}
	}
	s.sim.RemoveFaults()
	s.bucket.set(nil, false)
	for range 20 { // callers report every 3 s for a minute
		sleep(3 * time.Second)
		s.use(actors...)
	}
	if !s.alive() {
		v, ok := s.entry()
		t.Errorf("seed %d: a minute after the last fault the caller's %v is dead; entry %v %v", seed, s.caller, v, ok)
	}
	for _, a := range actors {
		a.stop()
	}
	return s.calls(), kills, revoked
}
