package kfapi

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

func TestServerClock(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name string
		in   []time.Duration
		want time.Duration
	}{
		{"one answer", []time.Duration{3 * s}, 3 * s},
		{"two: their middle", []time.Duration{2 * s, 4 * s}, 3 * s},
		{"the middle one of three", []time.Duration{s, 9 * s, 2 * s}, 2 * s},
		{"one outlier does not count", []time.Duration{s, time.Hour, s, s}, s},
		{"an outlier at once does not count", []time.Duration{s, time.Hour}, s},
		{"outliers apart do not count", []time.Duration{s, time.Hour, s, time.Hour, s}, s},
		{"two in a row are a jump", []time.Duration{s, s, s, s, s, s, s, time.Hour, time.Hour + 2*s}, time.Hour + s},
		{"a jump back", []time.Duration{time.Hour, time.Hour, -time.Hour, -time.Hour}, -time.Hour},
		{"30 s is no jump", []time.Duration{0, 0, 0, 30 * s, 30 * s}, 0},
		{"only the last nine", []time.Duration{0, 0, 0, 0, 0, 0, 20 * s, 20 * s, 20 * s, 20 * s, 20 * s}, 20 * s},
		{"nine, not eight", []time.Duration{0, 0, 0, 0, 0, 20 * s, 20 * s, 20 * s, 20 * s}, 0},
	} {
		client := &Client{}
		for _, offset := range c.in {
			client.clock.add(offset)
		}
		if got, ok := client.ServerOffset(); got != c.want || !ok {
			t.Errorf("%s: got %v, %v, want %v", c.name, got, ok, c.want)
		}
	}
}

func TestObserveTakesTheMiddleOfTheCall(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	for _, c := range []struct {
		name string
		date time.Time
		took time.Duration
		want time.Duration
		ok   bool
	}{
		{"the same clock", start.Add(time.Second), 3 * time.Second, 0, true}, // 1.5 s after the start on both
		{"ahead by an hour", start.Add(time.Hour), time.Second, time.Hour, true},
		{"behind by a minute", start.Add(-time.Minute), time.Second, -time.Minute, true},
		{"our clock was set back meanwhile", start, -time.Second, 0, false},
	} {
		client := &Client{}
		client.clock.observe(c.date, start, start.Add(c.took))
		if got, ok := client.ServerOffset(); got != c.want || ok != c.ok {
			t.Errorf("%s: got %v, %v, want %v, %v", c.name, got, ok, c.want, c.ok)
		}
	}
}

func TestServerOffsetFromAnswers(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	status := 500
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", now.Add(90*time.Second).UTC().Format(http.TimeFormat))
		w.WriteHeader(status)
		w.Write([]byte(`{"errcode":45009}`))
	})
	s.now = func() time.Time { return now }
	s.Do(background(t), token, "POST", "/cgi-bin/x", nil, nil)
	if got, ok := s.ServerOffset(); ok {
		t.Errorf("after a 500, which may be a proxy's: got %v, want nothing", got)
	}
	status = 200
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s.Do(background(t), token, "POST", "/cgi-bin/x", nil, nil)
			s.ServerOffset()
		})
	}
	wg.Wait()
	if got, ok := s.ServerOffset(); got != 90*time.Second+500*time.Millisecond || !ok {
		t.Errorf("got %v, %v, want 90.5s", got, ok)
	}
}
