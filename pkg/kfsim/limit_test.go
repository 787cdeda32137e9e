package kfsim

import (
	"testing"
	"time"
)

func TestRateLimit(t *testing.T) {
	r := newRig(t, Config{Personality: Personality{CallsPerMinute: 3, CallsPerHour: 5}})
	call := func() int { return r.post("kf/service_state/get", obj{"open_kfid": kf, "external_userid": ann}).code() }
	for i := range 3 {
		if got := call(); got != 0 {
			t.Errorf("call %d: got %d", i+1, got)
		}
	}
	if got := call(); got != 45009 {
		t.Errorf("4th in a minute: got %d, want 45009", got)
	}
	r.wantCode("another path goes on", r.pull(nil), 0)
	r.Clock().Advance(59 * time.Second)
	if got := call(); got != 45009 {
		t.Errorf("in the block: got %d, want 45009", got)
	}
	r.Clock().Advance(time.Second)
	if a, b := call(), call(); a != 0 || b != 0 {
		t.Errorf("after the block: got %d and %d, want 0", a, b)
	}
	if got := call(); got != 45009 {
		t.Errorf("6th in an hour: got %d, want 45009", got)
	}
	r.Clock().Advance(59 * time.Minute)
	if got := call(); got != 45009 {
		t.Errorf("in the hour's block: got %d, want 45009", got)
	}
	r.jump(time.Minute)
	if got := call(); got != 0 {
		t.Errorf("after the hour's block: got %d, want 0", got)
	}
	perIP := newRig(t, Config{Personality: Personality{IPCallsPerMinute: 1}})
	perIP.pull(nil)
	perIP.wantCode("2nd of the address", perIP.pull(nil), 45009)
}

func TestClockGoingBackBlocksNobody(t *testing.T) {
	var w slidingWindow
	at := start()
	for range 3 {
		w.allow(at.Add(time.Hour), 2, time.Minute)
	}
	if !w.allow(at, 2, time.Minute) {
		t.Error("calls of the future, and their block, count after the clock went back")
	}
}
