package kfsim

import (
	"math"
	"testing"
	"time"
)

func TestClockSpeed(t *testing.T) {
	now := start()
	s, err := New(Config{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, want := s.Clock(), start()
	check := func(what string) {
		t.Helper()
		if got := c.Now(); !got.Equal(want) {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	set := func(n float64) {
		t.Helper()
		if err := c.SetSpeed(n); err != nil {
			t.Fatal(err)
		}
	}
	set(60)
	check("a new speed moves nothing")
	now, want = now.Add(time.Second), want.Add(time.Minute)
	check("60 times")
	c.Advance(time.Hour)
	want = want.Add(time.Hour)
	check("a jump on the way")
	now, want = now.Add(2*time.Second), want.Add(2*time.Minute)
	check("the speed stays after a jump")
	set(0)
	now = now.Add(time.Hour)
	check("0 stands still")
	set(0.5)
	now, want = now.Add(time.Second), want.Add(time.Second/2)
	check("half as fast")
	c.Set(start())
	want = start()
	check("set")
	if got := c.Offset(); got != want.Sub(now) {
		t.Errorf("offset: got %v, want %v", got, want.Sub(now))
	}
	for _, bad := range []float64{-1, math.NaN(), math.Inf(1), 1e9} {
		if c.SetSpeed(bad) == nil || c.Speed() != 0.5 {
			t.Errorf("speed %v was taken", bad)
		}
	}
	s.Reset()
	want = now
	check("after a Reset")
	if c.Speed() != 1 {
		t.Errorf("after a Reset: got speed %v, want 1", c.Speed())
	}
}

// TestLifetimesRunAtTheClocksSpeed: two hours pass in two minutes.
func TestLifetimesRunAtTheClocksSpeed(t *testing.T) {
	now := start()
	r := newRig(t, Config{Now: func() time.Time { return now }})
	r.says(ann, "hi")
	r.must(r.Clock().SetSpeed(60))
	now = now.Add(2*time.Minute - time.Second)
	r.wantCode("the token, just before its end", r.pull(nil), 0)
	now = now.Add(time.Second)
	r.wantCode("the token, at its end", r.pull(nil), 42001)
	now = now.Add(46 * time.Minute)
	r.token = r.getToken("secret-one")
	r.wantCode("the window, at its end", r.text("m1"), 95002)
}

func TestControlSetsTheSpeed(t *testing.T) {
	c := newControl(t)
	if got := c.ok("POST", "/clock", `{"speed":60}`); got["speed"] != 60.0 || c.Clock().Speed() != 60 {
		t.Errorf("got %v, want speed 60", got)
	}
	for _, body := range []string{`{}`, `{"speed":-1}`, `{"speed":60,"advance":"1h"}`} {
		if status, _, text := c.do("POST", "/clock", body); status != 400 {
			t.Errorf("%s: got HTTP %d %s, want a refusal", body, status, text)
		}
	}
	if c.Clock().Speed() != 60 {
		t.Errorf("a refused body changed the speed to %v", c.Clock().Speed())
	}
}

// TestOffsetIsExact: the real clock's two readings, wall and monotonic, do not mix.
func TestOffsetIsExact(t *testing.T) {
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 1000 {
		s.Clock().Advance(time.Hour)
		s.Clock().Advance(-time.Hour)
	}
	s.Clock().Advance(time.Hour)
	if got := s.Clock().Offset(); got != time.Hour {
		t.Errorf("got %v, want an hour", got)
	}
}
