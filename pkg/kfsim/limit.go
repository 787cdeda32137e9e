package kfsim

import "time"

// slidingWindow allows limit calls within any span. The call that exceeds it starts a block as long
// as the span, and refused calls do not count.
type slidingWindow struct {
	at      []time.Time // allowed calls, oldest first
	blocked time.Time   // until
}

// allow reports whether a call may happen at now, and counts it if so. A limit below zero is never
// broken; only a block that was set closes it.
func (w *slidingWindow) allow(now time.Time, limit int, span time.Duration) bool {
	if n := len(w.at); n > 0 && w.at[n-1].After(now) || w.blocked.Sub(now) > span {
		*w = slidingWindow{} // the clock went back: what is counted lies in the future
	}
	if now.Before(w.blocked) {
		return false
	}
	if limit < 0 {
		return true
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
	return l.allow(limitSpan(time.Minute)+key, now, perMinute, time.Minute) && l.allow(limitSpan(time.Hour)+key, now, perHour, time.Hour)
}

// limitSpan begins the key of a minute's or an hour's window.
func limitSpan(d time.Duration) string {
	if d == time.Hour {
		return "hour "
	}
	return "minute "
}

// block closes a window for its span, as if it had just been broken.
func (l limiter) block(key string, now time.Time, span time.Duration) {
	if l[key] == nil {
		l[key] = &slidingWindow{}
	}
	l[key].blocked = now.Add(span)
}
