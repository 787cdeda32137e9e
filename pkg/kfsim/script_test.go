package kfsim

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func mustScript(t testing.TB, text string) Script {
	t.Helper()
	s, err := ParseScript([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestScriptRefusals(t *testing.T) {
	step := func(s string) string { return `{"steps":[{"at":"0s","remove_faults":{}},` + s + `]}` }
	for name, c := range map[string]struct{ text, says string }{
		"no JSON":            {`{`, "script: "},
		"no steps":           {`{"steps":[]}`, "steps is missing"},
		"unknown top field":  {`{"stepz":[]}`, `"stepz"`},
		"no cue":             {step(`{"clock":{"speed":2}}`), "script step 2: at: missing"},
		"two cues":           {step(`{"at":"1s","after":{"calls":1},"clock":{"speed":2}}`), "script step 2: at: the step has after"},
		"no action":          {step(`{"at":"1s"}`), "script step 2: action: missing"},
		"two actions":        {step(`{"at":"1s","say":{"text":"x"},"clock":{"speed":2}}`), "script step 2: say: the step has the action clock"},
		"unknown action":     {step(`{"at":"1s","dance":{}}`), "script step 2: dance: there is no such action"},
		"bad duration":       {step(`{"at":"soon","clock":{"speed":2}}`), "script step 2: at: duration"},
		"duration as number": {step(`{"at":5,"clock":{"speed":2}}`), "script step 2: at: "},
		"negative":           {step(`{"at":"-1s","clock":{"speed":2}}`), "script step 2: at: it cannot be negative"},
		"no calls":           {step(`{"after":{"path":"kf/send_msg"},"clock":{"speed":2}}`), "script step 2: after: calls"},
		"unknown path":       {step(`{"after":{"path":"kf/x","calls":1},"clock":{"speed":2}}`), `script step 2: after: path "kf/x"`},
		"unknown field":      {step(`{"at":"1s","fault":{"kind":"latency","dellay":"1s"}}`), `script step 2: fault: unknown field "dellay"`},
		"wrong type":         {step(`{"at":"1s","fault":{"kind":"errcode","errcode":"45009"}}`), "script step 2: fault: field errcode cannot be a string"},
		"impossible fault":   {step(`{"at":"1s","fault":{"kind":"latency"}}`), "script step 2: fault: a fault of kind latency needs a delay"},
		"no object":          {step(`{"at":"1s","fault":3}`), "script step 2: fault: the arguments are a JSON object"},
		"bad speed":          {step(`{"at":"1s","clock":{"speed":-2}}`), "script step 2: clock: clock speed"},
		"bad personality":    {step(`{"at":"1s","personality":{"idle_cursor":"x"}}`), "script step 2: personality: personality idle_cursor"},
		"bad switches":       {step(`{"at":"1s","callbacks":{"duplicate":-1}}`), "script step 2: callbacks: "},
		"says nothing":       {step(`{"at":"1s","say":{"open_kfid":"wkDESK"}}`), "script step 2: say: say: what?"},
	} {
		_, err := ParseScript([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "Go ") || strings.Contains(err.Error(), "plain") {
			t.Errorf("%s: got %v, want %q", name, err, c.says)
		}
	}
}

// played lists the steps of the journal.
func (r *rig) played() (list []string) {
	for _, e := range r.kinds(KindScript) {
		list = append(list, strconv.Itoa(e.Count)+" "+e.Reason)
	}
	return list
}

func TestScriptByClockAndCalls(t *testing.T) {
	r := newRig(t, Config{})
	r.says(ann, "hi")
	r.LoadScript(mustScript(t, `{"steps":[
		{"at":"20m", "callbacks":{"duplicate":2}, "note":"later than the next, though written first"},
		{"at":"10m", "personality":{"empty_page_every":1}},
		{"at":"0s", "fault":{"id":"slow","kind":"errcode","errcode":-1,"path":"kf/sync_msg"}},
		{"after":{"path":"kf/sync_msg","calls":2}, "remove_fault":{"id":"slow"}},
		{"after":{"path":"/cgi-bin/kf/sync_msg","calls":3}, "say":{"open_kfid":"wkDESK","external_userid":"wmBOB","text":"me too"}},
		{"after":{"calls":5}, "clock":{"advance":"10m"}},
		{"after":{"calls":5}, "say":{"open_kfid":"wkDESK","external_userid":"wmNOBODY","text":"who?"}}]}`))
	r.wantCode("struck from the start", r.pull(nil), -1)
	r.wantCode("and twice", r.pull(nil), -1)
	if p := r.pull(nil); len(p.items()) != 1 {
		t.Errorf("third pull: got %v, want one item: the step comes after the call", p)
	}
	if p := r.pull(nil); len(p.items()) != 2 {
		t.Errorf("fourth pull: got %v, want Bob's too", p)
	}
	want := []string{"3 fault", "4 remove_fault", "5 say"}
	if got := r.played(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if p := r.pull(nil); len(p.items()) != 2 {
		t.Errorf("fifth pull: got %v", p)
	}
	want = append(want, "6 clock", "7 say", `7 say failed: customer "wmNOBODY" is unknown in corp ww0000000000000001; make it first`, "2 personality")
	if got := r.played(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if p := r.pull(nil); len(p.items()) != 0 || p["has_more"] != 1.0 {
		t.Errorf("sixth pull: got %v, want an empty page", p)
	}
	r.Clock().Advance(11 * time.Minute)
	if r.Callbacks().Duplicate != 2 {
		t.Error("the step at 20m was not played when the clock moved past it")
	}
	for _, st := range r.ScriptSteps() {
		if !st.Fired || (st.Error != "") != (st.Step == 7) {
			t.Errorf("got %+v", st)
		}
	}
}

func TestScriptOfConfigBeginsAnewAfterReset(t *testing.T) {
	r := newRig(t, Config{Script: mustScript(t, `{"steps":[{"after":{"path":"gettoken","calls":2},"fault":{"kind":"errcode","errcode":-1}}]}`)})
	for range 2 {
		r.wantCode("before", r.pull(nil), 0)
		r.getToken("secret-one")
		r.wantCode("after two tokens", r.pull(nil), -1)
		r.Reset()
		r.furnish()
	}
}

// TestRunPlaysTheScriptInTime: the timer waits the step's time at the clock's speed, is set anew when
// the clock changes, and plays the step.
func TestRunPlaysTheScriptInTime(t *testing.T) {
	waits, release := make(chan time.Duration, 9), make(chan struct{})
	r := newRig(t, Config{Now: time.Now, Wait: func(ctx context.Context, d time.Duration) error {
		waits <- d
		return waitFor(release)(ctx, d)
	}})
	r.ticks = true
	about := func(want time.Duration) {
		t.Helper()
		if d := <-waits; d > want+time.Millisecond || d < want/2 {
			t.Errorf("waits %v, want about %v", d, want)
		}
	}
	r.LoadScript(mustScript(t, `{"steps":[{"at":"1h","remove_faults":{}}]}`))
	done := make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	go func() { done <- r.Run(ctx) }()
	about(time.Hour)
	r.must(r.Clock().SetSpeed(60))
	about(time.Minute)
	r.Clock().Advance(time.Hour)
	r.wait(KindScript, 1)
	stop()
	r.must(<-done)
}

// TestRunPlaysByItself: no call and no move of the clock, only time.
func TestRunPlaysByItself(t *testing.T) {
	r := newRig(t, Config{Now: time.Now})
	r.ticks = true
	r.must(r.Clock().SetSpeed(60_000))
	r.LoadScript(mustScript(t, `{"steps":[{"at":"10m","remove_faults":{}},{"at":"20m","revoke_tokens":{}}]}`))
	done := make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	go func() { done <- r.Run(ctx) }()
	r.wait(KindScript, 2)
	stop()
	r.must(<-done)
}

// TestRunDoesNotSpin: a Wait that comes back at once is not asked for ever.
func TestRunDoesNotSpin(t *testing.T) {
	var asked atomic.Int32
	first := make(chan struct{})
	r := newRig(t, Config{Now: time.Now, Wait: func(context.Context, time.Duration) error {
		if asked.Add(1) == 1 {
			close(first)
		}
		return nil
	}})
	r.ticks = true
	r.LoadScript(mustScript(t, `{"steps":[{"at":"1h","remove_faults":{}}]}`))
	done := make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	go func() { done <- r.Run(ctx) }()
	<-first
	for range 1000 { // while it runs
		r.says(ann, "hi")
	}
	stop()
	r.must(<-done)
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}

func TestControlScript(t *testing.T) {
	c := newControl(t)
	status, out, text := c.do("POST", "/script", `{"steps":[{"at":"0s","fault":{"kind":"x"}}]}`)
	if says, _ := out["error"].(string); status != 400 || !strings.Contains(says, "script step 1: fault: fault kind") {
		t.Errorf("got HTTP %d %s", status, text)
	}
	c.ok("POST", "/script", `{"steps":[{"at":"0s","fault":{"kind":"errcode","errcode":-1}},{"at":"1h","remove_faults":{}}]}`)
	c.wantCode("loaded", c.pull(nil), -1)
	if _, _, text := c.do("GET", "/script", ""); !strings.Contains(text, `{"step":1,"action":"fault","fired":true},{"step":2,"action":"remove_faults","fired":false}`) {
		t.Errorf("GET: got %s", text)
	}
	c.ok("DELETE", "/script", "")
	c.Clock().Advance(time.Hour)
	if n := len(c.Faults()); n != 1 {
		t.Errorf("got %d faults, want the one: the script was ended", n)
	}
}
