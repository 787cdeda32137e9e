package tokenkeeper

import (
	"slices"
	"testing"
	"time"
)

const (
	distance = 30 * time.Second
	life     = 2 * time.Hour
)

func newSchedule() *schedule { return &schedule{minDistance: distance} }

// held is a schedule with a token that was fetched at 0 and lives for two hours, to be replaced after 90 minutes.
func heldSchedule() *schedule {
	s := newSchedule()
	s.called(0)
	s.renewed(0, life, 0.5)
	return s
}

func TestScheduleNext(t *testing.T) {
	const due = 90 * time.Minute // 75 % of two hours
	for _, c := range []struct {
		name string
		do   func(s *schedule)
		want instant
	}{
		{"a token is replaced at three quarters of its life", func(*schedule) {}, due},
		{"at 70 % at the earliest", func(s *schedule) { s.renewed(0, life, 0) }, 84 * time.Minute},
		{"before 80 %", func(s *schedule) { s.renewed(0, life, 1023./1024) }, 96*time.Minute - 12*time.Minute/1024},
		{"an older token sooner", func(s *schedule) { s.renewed(-time.Hour, time.Hour, 0.5) }, 30 * time.Minute},
		{"one that is expired at once", func(s *schedule) { s.renewed(-3*time.Hour, -time.Hour, 0.5) }, 0},

		{"a reported token at once", func(s *schedule) { s.suspect(time.Minute) }, time.Minute},
		{"the same, reported a thousand times", func(s *schedule) {
			for i := range instant(1000) {
				s.suspect(time.Minute + i)
			}
		}, time.Minute},
		{"a token that dies right after its refresh at once", func(s *schedule) { s.suspect(1) }, 1},
		{"the second such not before the distance", func(s *schedule) {
			s.suspect(1)
			s.called(1)
			s.renewed(1, 1+life, 0.5)
			s.suspect(2)
		}, distance},
		{"the third after twice the distance", func(s *schedule) {
			for _, at := range []instant{1, distance} {
				s.suspect(at)
				s.called(at)
				s.renewed(at, at+life, 0.5)
			}
			s.suspect(distance + 1)
		}, 2 * distance},
		{"after a quiet hour two calls may follow each other again", func(s *schedule) {
			s.called(time.Hour)
			s.renewed(time.Hour, time.Hour+life, 0.5)
			s.suspect(time.Hour + 1)
		}, time.Hour + 1},

		{"the same token again: five minutes before its end", func(s *schedule) { s.same(due, life) }, life - 5*time.Minute},
		{"the same token in its last minutes: at its end", func(s *schedule) { s.same(life-5*time.Minute, life) }, life},
		{"the same token after a report: as without one", func(s *schedule) {
			s.suspect(time.Minute)
			s.same(time.Minute, life)
		}, life - 5*time.Minute},
		{"a report while that is fresh: ignored", func(s *schedule) {
			s.suspect(time.Minute)
			s.same(time.Minute, life)
			s.suspect(time.Minute + distance - 1)
		}, life - 5*time.Minute},
		{"a report after that: at once", func(s *schedule) {
			s.suspect(time.Minute)
			s.same(time.Minute, life)
			s.suspect(time.Minute + distance)
		}, time.Minute + distance},

		{"after one failure: a second", func(s *schedule) { s.failed(due, noAnswer, 1) }, due + time.Second},
		{"a bit less by the dice", func(s *schedule) { s.failed(due, noAnswer, 0) }, due + 900*time.Millisecond},
		{"after five: 16 seconds", func(s *schedule) { fail(s, due, noAnswer, 5) }, due + 16*time.Second},
		{"after many: ten minutes", func(s *schedule) { fail(s, due, busy, 100) }, due + 10*time.Minute},
		{"after a limit was hit: ten minutes at once", func(s *schedule) { s.failed(due, rateLimited, 1) }, due + 10*time.Minute},
		{"after a refused setting: as after any", func(s *schedule) { fail(s, due, refused, 3) }, due + 4*time.Second},
		{"after four wrong secrets: as after any", func(s *schedule) { fail(s, due, wrongSecret, 4) }, due + 8*time.Second},
		{"after five: an hour", func(s *schedule) { fail(s, due, wrongSecret, 5) }, due + time.Hour},
		{"a secret given up stays so whatever comes between", func(s *schedule) {
			fail(s, due, wrongSecret, 5)
			s.failed(due+time.Hour, noAnswer, 1)
		}, due + 2*time.Hour},
		{"a new secret at once", func(s *schedule) { fail(s, due, wrongSecret, 5); s.secretChanged() }, due},

		{"a report proves that the platform is back", func(s *schedule) { fail(s, due, noAnswer, 100); s.suspect(due + 1) }, due + 1},
		{"and so does the same report again", func(s *schedule) {
			s.suspect(due - 1)
			fail(s, due, noAnswer, 100)
			s.suspect(due + 1)
		}, due + 1},
		{"but not that a limit is over", func(s *schedule) { fail(s, due, rateLimited, 1); s.suspect(due + 1) }, due + 10*time.Minute},
		{"nor that the secret is right", func(s *schedule) { fail(s, due, wrongSecret, 5); s.suspect(due + 1) }, due + time.Hour},
		{"a success forgets failures", func(s *schedule) {
			fail(s, due, noAnswer, 100)
			s.renewed(due, due+life, 0.5)
		}, due + 90*time.Minute},
	} {
		s := heldSchedule()
		c.do(s)
		if got := s.next(); (got - c.want).Abs() > time.Microsecond { // the dice are floats
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	if got := newSchedule().next(); got > 0 {
		t.Errorf("without a token: due at %v, want at once", got)
	}
}

func fail(s *schedule, at instant, why failure, times int) {
	for range times {
		s.failed(at, why, 1)
	}
}

func TestReportsOfALivingTokenAreSlowedDown(t *testing.T) {
	s := heldSchedule()
	var calls []instant
	for now := instant(0); now < 20*time.Minute; now += 3 * time.Second { // somebody reports without end
		s.suspect(now)
		if now >= s.next() {
			calls = append(calls, now)
			s.called(now)
			s.same(now, life)
		}
	}
	want := []instant{0, 30 * time.Second, 90 * time.Second, 210 * time.Second, 330 * time.Second} // then every two minutes
	if got := calls[:len(want)]; !slices.Equal(got, want) || len(calls) != 12 {
		t.Errorf("got %d calls %v, want 12, beginning with %v", len(calls), calls, want)
	}
}

func TestSuspectSays(t *testing.T) {
	s := heldSchedule()
	says := func(when string, got, want suspicion) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %s, want %s", when, got, want)
		}
	}
	says("at first", s.suspect(1), suspectTaken)
	says("again", s.suspect(2), suspectRepeated)
	s.same(3, life)
	says("after the same token", s.suspect(4), suspectSlowed)
	s.renewed(5, 5+life, 0)
	says("of the next token", s.suspect(6), suspectTaken)
}

func TestAnHourWithoutAnswer(t *testing.T) {
	s := newSchedule()
	var calls []instant
	for s.next() < time.Hour {
		now := max(s.next(), 0)
		calls = append(calls, now)
		s.called(now)
		s.failed(now, noAnswer, 1)
	}
	if len(calls) > 16 {
		t.Errorf("%d calls in an hour, want few: %v", len(calls), calls)
	}
	for i := burst + 1; i < len(calls); i++ {
		if d := calls[i] - calls[i-1]; d < distance || d > lastBackoff {
			t.Errorf("call %d comes %v after the one before, want %v to %v", i, d, distance, lastBackoff)
		}
	}
	t.Logf("%d calls: %v", len(calls), calls)
}
