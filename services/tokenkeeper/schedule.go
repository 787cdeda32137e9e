package tokenkeeper

import "time"

// instant is a point on the monotonic clock, as time since the keeper was made. A jump of the wall clock does not move it.
type instant = time.Duration

const (
	// A token is replaced when between earliest and latest of its life are over: with 2 h, 24 to 36 minutes remain to get
	// over an outage. Where in between is thrown, so that many credentials do not refresh in step.
	earliest, latest = 0.70, 0.80

	// lastMinutes before its end the platform is asked again, if it gave the same token the first time. Some of its APIs
	// hand out the next token that early; gettoken has been seen to keep the old one to its end.
	lastMinutes = 5 * time.Minute

	burst        = 2 // calls that may follow each other at once: a refresh, and a token that dies right after
	firstBackoff = time.Second
	lastBackoff  = 10 * time.Minute

	wrongLimit = 5         // wrong secrets in a row get our address banned for an hour, far beyond this
	wrongRetry = time.Hour // how often a secret that was given up is tried

	slowest = 2 * time.Minute // see schedule.quietUntil
)

// schedule says when gettoken may be called. It is pure: callers bring the time and the dice (0 ≤ dice < 1).
// The zero schedule, with a minDistance, is due at once.
type schedule struct {
	minDistance time.Duration

	refreshAt instant // when a token should be fetched
	retryAt   instant // not before, because the last calls failed
	budget    instant // when the calls made so far are paid for, at one in minDistance

	failures  int  // since the last success
	wrong     int  // wrong-secret answers since the last success or change of the secret
	stubborn  bool // the last failure is none that a caller's report can prove over
	suspected bool // the token in hand was reported, and no token was given since

	// A token that is reported but not dead must not cause a call a report. After each answer that gave the same token
	// again, reports are ignored for a while, twice as long each time.
	quietUntil instant
	quiet      time.Duration
}

// next is when gettoken may be called again.
func (s *schedule) next() instant {
	return max(s.refreshAt, s.retryAt, s.budget-(burst-1)*s.minDistance)
}

// stopped reports whether the secret was given up as wrong: it is tried once in an hour only.
func (s *schedule) stopped() bool { return s.wrong >= wrongLimit }

// called notes that a call begins.
func (s *schedule) called(now instant) { s.budget = max(s.budget, now) + s.minDistance }

// renewed notes that there is a new token which lives until end; began is when its life did.
func (s *schedule) renewed(began, end instant, dice float64) {
	*s = schedule{minDistance: s.minDistance, budget: s.budget}
	s.refreshAt = began + time.Duration(float64(end-began)*(earliest+(latest-earliest)*dice))
}

// same notes that the platform gave the token again that is in hand, and that it lives until end.
func (s *schedule) same(now, end instant) {
	quiet := s.quiet
	if s.suspected {
		quiet = min(max(2*quiet, s.minDistance), slowest)
		s.quietUntil = now + quiet
	}
	*s = schedule{minDistance: s.minDistance, budget: s.budget, quiet: quiet, quietUntil: s.quietUntil}
	s.refreshAt = end
	if end-now > lastMinutes {
		s.refreshAt = end - lastMinutes
	}
}

// failed notes that a call brought no token.
func (s *schedule) failed(now instant, why failure, dice float64) {
	s.failures++
	wait := backoff(s.failures)
	s.stubborn = why == wrongSecret || why == rateLimited || why == refused
	switch why {
	case wrongSecret:
		s.wrong++
	case rateLimited: // the window that was broken is a minute, an hour or a day
		wait = lastBackoff
	}
	if s.stopped() {
		wait = wrongRetry
	}
	s.retryAt = now + time.Duration(float64(wait)*(0.9+0.1*dice))
}

// backoff doubles from 1 s to 10 min; failures counts from 1.
func backoff(failures int) time.Duration {
	d := firstBackoff
	for i := 1; i < failures && d < lastBackoff; i++ {
		d *= 2
	}
	return min(d, lastBackoff)
}

// suspect notes that a caller was refused the token in hand, and says what becomes of that. A report also proves that the
// platform answers, and so ends the wait after calls that had no answer.
func (s *schedule) suspect(now instant) suspicion {
	if now < s.quietUntil {
		return suspectSlowed
	}
	if !s.stubborn {
		s.retryAt = min(s.retryAt, now)
	}
	if s.suspected {
		return suspectRepeated
	}
	s.suspected = true
	s.refreshAt = min(s.refreshAt, now)
	return suspectTaken
}

// secretChanged makes what was found out about the old secret void.
func (s *schedule) secretChanged() { s.wrong, s.failures, s.retryAt = 0, 0, 0 }
