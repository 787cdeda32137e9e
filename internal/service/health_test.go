package service

import (
	"reflect"
	"sync"
	"testing"
	"time"
)

func TestReadinessAges(t *testing.T) {
	clk := newClock()
	start := clk.now()
	at := start.Add
	h := NewHealth(clk.now)
	p := h.Check("publish").FreshFor(10 * time.Second)
	for _, step := range []struct {
		name    string
		advance time.Duration
		do      func()
		want    CheckReport
	}{
		{"never checked", time.Second, func() {}, CheckReport{Since: at(0), Reason: "not checked yet"}},
		{"first success", time.Second, p.OK, CheckReport{OK: true, Since: at(2 * time.Second)}},
		{"second success", 9 * time.Second, p.OK, CheckReport{OK: true, Since: at(2 * time.Second)}},
		{"10 s old", 10 * time.Second, func() {}, CheckReport{OK: true, Since: at(2 * time.Second)}},
		{"just over 10 s old", time.Nanosecond, func() {},
			CheckReport{Since: at(21 * time.Second), Reason: "no success for 10s, at most 10s allowed"}},
		{"much older", 30*time.Second - time.Nanosecond, func() {},
			CheckReport{Since: at(21 * time.Second), Reason: "no success for 40s, at most 10s allowed"}},
		{"fails after it has aged", time.Second, func() { p.Fail("no responders") },
			CheckReport{Since: at(21 * time.Second), Reason: "no responders"}},
		{"fails for another reason", time.Second, func() { p.Fail("timeout") },
			CheckReport{Since: at(21 * time.Second), Reason: "timeout"}},
		{"works again", time.Second, p.OK, CheckReport{OK: true, Since: at(54 * time.Second)}},
		{"success after it has aged", 20 * time.Second, p.OK, CheckReport{OK: true, Since: at(74 * time.Second)}},
		{"fails at once", time.Second, func() { p.Fail("refused") }, CheckReport{Since: at(75 * time.Second), Reason: "refused"}},
		{"works", time.Second, p.OK, CheckReport{OK: true, Since: at(76 * time.Second)}},
		{"clock set back", -time.Hour, func() {}, CheckReport{OK: true, Since: at(76 * time.Second)}},
	} {
		clk.add(step.advance)
		step.do()
		step.want.Name = "publish"
		got := h.Report()
		want := Report{Ready: step.want.OK, Checks: []CheckReport{step.want}}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", step.name, got, want)
		}
	}
}

func TestReadinessWithoutFreshForDoesNotAge(t *testing.T) {
	clk := newClock()
	h := NewHealth(clk.now)
	h.Check("topology").OK()
	clk.add(1000 * time.Hour)
	if !h.Ready() {
		t.Errorf("got %+v, want ready", h.Report())
	}
}

func TestReadyOnlyIfEveryCheckIs(t *testing.T) {
	h := NewHealth(newClock().now)
	expect := func(name string, want bool) {
		t.Helper()
		if got := h.Ready(); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	expect("no checks: nothing is known", false)
	a, b := h.Named("sender").Check("publish"), h.Named("syncer").Named("wx").Check("publish")
	a.OK()
	expect("one of two", false)
	b.OK()
	expect("both", true)
	if again := h.Check("sender.publish"); again != a {
		t.Error("the same name gave another probe")
	}
	names := []string{h.Report().Checks[0].Name, h.Report().Checks[1].Name}
	if want := []string{"sender.publish", "syncer.wx.publish"}; !reflect.DeepEqual(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
	a.Fail("down")
	expect("one fails", false)
	a.OK()
	h.Check("late")
	expect("a new one, not checked yet", false)
	h.Check("late").OK()
	expect("all again", true)
	h.stop()
	expect("stopping", false)
	if !h.Report().Stopping || !h.alive() {
		t.Errorf("got %+v, want stopping and alive", h.Report())
	}
	h.die()
	if h.alive() {
		t.Error("got alive, want dead")
	}
}

func TestHealthConcurrently(t *testing.T) {
	clk := newClock()
	h := NewHealth(clk.now)
	var group sync.WaitGroup
	for _, name := range []string{"a", "b", "a", "b"} {
		group.Go(func() {
			p := h.Check(name).FreshFor(time.Second)
			for range 500 {
				clk.add(time.Millisecond)
				p.OK()
				h.Report()
				p.Fail("x")
			}
			p.OK()
		})
	}
	group.Wait()
	if got := h.Report(); len(got.Checks) != 2 {
		t.Errorf("got %d checks, want 2: %+v", len(got.Checks), got)
	}
}

func BenchmarkProbeOK(b *testing.B) {
	p := NewHealth(time.Now).Check("publish").FreshFor(time.Second)
	b.ReportAllocs()
	for b.Loop() {
		p.OK()
	}
}
