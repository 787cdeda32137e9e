package kfsim

import "time"

// slidingWindow allows limit calls within any span. The call that exceeds it starts a block as long
// as the span, and refused calls do not count.
type slidingWindow struct {
	at      []time.Time // allowed calls, oldest first
	blocked time.Time   // until
}

// allow reports whether a call may happen at now, and counts it if so. A limit below zero allows all.
func (w *slidingWindow) allow(now time.Time, limit int, span time.Duration) bool {
	if limit < 0 {
		return true
	}
	if n := len(w.at); n > 0 && w.at[n-1].After(now) || w.blocked.Sub(now) > span {
		*w = slidingWindow{} // the clock went back: what is counted lies in the future
	}
	if now.Before(w.blocked) {
		return false
	}
	old := 0
	for old < len(w.at) && !now.Before(w.at[old].Add(span)) {
		old++
	}
	w.at = w.at[old:]
	if len(w.at) >= limit {
		w.blocked = now.Add(span)
		return false
	}
	w.at = append(w.at, now)
	return true
}

// limiter keeps the windows of one platform, by what they limit.
type limiter map[string]*slidingWindow

func (l limiter) allow(key string, now time.Time, limit int, span time.Duration) bool {
	w := l[key]
	if w == nil {
		w = &slidingWindow{}
		l[key] = w
	}
	return w.allow(now, limit, span)
}

// call counts one API call of a corp or an address against its minute and its hour.
func (l limiter) call(key string, now time.Time, perMinute, perHour int) bool {
	return l.allow("minute "+key, now, perMinute, time.Minute) && l.allow("hour "+key, now, perHour, time.Hour)
}
