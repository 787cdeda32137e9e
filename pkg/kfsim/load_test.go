package kfsim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// paced is a base clock that only Config.Wait moves.
type paced struct {
	now   time.Time
	waits int
}

func (p *paced) config() Config {
	return Config{Now: func() time.Time { return p.now }, Wait: func(ctx context.Context, d time.Duration) error {
		p.now = p.now.Add(d)
		p.waits++
		return ctx.Err()
	}}
}

func TestLoadKeepsItsRate(t *testing.T) {
	for _, c := range []struct {
		load Load
		acts int
		took time.Duration
	}{
		{Load{PerSecond: 10, Count: 25}, 25, 2400 * time.Millisecond},
		{Load{PerSecond: 10, Burst: 5, Count: 25}, 25, 2 * time.Second},
		{Load{PerSecond: 10, Duration: 2 * time.Second}, 20, 2 * time.Second},
		{Load{PerSecond: 5000, Duration: time.Second}, 5000, time.Second},
		{Load{PerSecond: 0.5, Count: 3}, 3, 4 * time.Second},
		{Load{Count: 1234}, 1234, 0},
		{Load{PerSecond: 10, Count: 1000, Duration: time.Second}, 10, time.Second},
	} {
		p := &paced{now: start()}
		r := newRig(t, p.config())
		got, err := r.Generate(t.Context(), c.load)
		r.must(err)
		if d := p.now.Sub(start()); got.Acts != c.acts || got.Running || got.Failed != 0 || d < c.took || d > c.took+5*time.Millisecond {
			t.Errorf("%+v: got %+v in %v, want %d acts in %v", c.load, got, d, c.acts, c.took)
		}
		if n := len(r.Items(kf)); n != c.acts {
			t.Errorf("%+v: %d items can be pulled, want %d", c.load, n, c.acts)
		}
	}
}

func TestLoadMix(t *testing.T) {
	types := map[string]int{}
	for _, name := range LoadTypes() {
		types[name] = 1
	}
	run := func(seed uint64) (string, LoadStatus) {
		p := &paced{now: start()}
		r := newRig(t, p.config())
		for _, id := range []string{ann, bob} {
			r.says(id, "hi")
			r.wantCode("menu", r.post("kf/send_msg", obj{"touser": id, "open_kfid": kf, "msgtype": "msgmenu",
				"msgmenu": obj{"list": []obj{{"type": "click", "click": obj{"id": "1", "content": "Yes"}}}}}), 0)
		}
		got, err := r.Generate(t.Context(), Load{PerSecond: 1000, Count: 400, Types: types, Seed: seed})
		r.must(err)
		var b bytes.Buffer
		r.must(r.WriteJournal(&b))
		for _, it := range r.Items(kf) {
			if !json.Valid(it.Raw) {
				t.Fatalf("item %s is no JSON: %s", it.MsgID, it.Raw)
			}
		}
		for _, want := range []string{"user_recall_msg", "enter_session", `"msg_type":"image"`} {
			if n := strings.Count(b.String(), strings.TrimPrefix(want, `"msg_type":`)); n == 0 {
				t.Errorf("the journal has no %s", want)
			}
		}
		return b.String(), got
	}
	journal, got := run(1)
	for _, name := range LoadTypes() {
		if got.ByType[name] == 0 {
			t.Errorf("nobody did %s: %+v", name, got)
		}
	}
	if got.Acts != 400 || got.Failed != 0 {
		t.Errorf("got %+v, want 400 acts", got)
	}
	if again, _ := run(1); again != journal {
		t.Error("the same seed made another load")
	}
	if other, _ := run(2); other == journal {
		t.Error("another seed made the same load")
	}
}

func TestLoadMakesCustomers(t *testing.T) {
	p := &paced{now: start()}
	r := newRig(t, p.config())
	_, err := r.AddAccount(Account{OpenKfID: "wkSECOND"})
	r.must(err)
	for range 2 { // the second load finds them
		_, err = r.Generate(t.Context(), Load{Count: 300, Customers: 50, Accounts: []string{kf}})
		r.must(err)
	}
	seen := map[string]bool{}
	for _, it := range r.Items(kf) {
		seen[it.ExternalUserID] = true
	}
	if len(seen) < 40 || seen[ann] || len(r.Items("wkSECOND")) != 0 {
		t.Errorf("%d customers wrote, Ann %v, %d to the other account", len(seen), seen[ann], len(r.Items("wkSECOND")))
	}
}

func TestLoadStops(t *testing.T) {
	endless := Load{PerSecond: 1000}
	for name, stop := range map[string]func(*rig){
		"StopLoad": func(r *rig) { r.StopLoad() },
		"Reset":    func(r *rig) { r.Reset() },
		"Close":    func(r *rig) { r.Close() },
	} {
		r := newRig(t, Config{Wait: waitFor(nil)})
		r.must(r.StartLoad(endless))
		r.wait(KindItem, 1)
		if err := r.StartLoad(endless); err == nil {
			t.Errorf("%s: a second load was begun", name)
		}
		stop(r)
		if got := r.LoadStatus(); got.Running || got.Acts == 0 {
			t.Errorf("%s: got %+v, want it over", name, got)
		}
	}
	r := newRig(t, Config{})
	r.StopLoad() // without one
	r.must(r.RemoveAccount(kf))
	if _, err := r.Generate(t.Context(), endless); err == nil || !strings.Contains(err.Error(), "no account") {
		t.Errorf("without an account: got %v", err)
	}
}

func TestLoadGoesOnOverFailures(t *testing.T) {
	p := &paced{now: start()}
	r := newRig(t, p.config())
	r.LoadScript(mustScript(t, `{"steps":[{"at":"0s","load":{"count":10,"accounts":["wkDESK"]}}]}`))
	r.StopLoad()
	g, err := r.newLoader(Load{Types: map[string]int{"text": 1}})
	r.must(err)
	r.must(r.RemoveAccount(kf))
	before := r.LoadStatus()
	g.act(0)
	if got := r.LoadStatus(); got.Failed != before.Failed+1 || got.LastError == "" {
		t.Errorf("got %+v, want a failure", got)
	}
}

func TestImpossibleLoads(t *testing.T) {
	r := newRig(t, Config{})
	for name, l := range map[string]Load{
		"nothing":         {},
		"negative rate":   {PerSecond: -1},
		"no rate":         {PerSecond: math.NaN()},
		"negative count":  {Count: -1},
		"too many":        {Count: 1, Customers: maxLoadCustomers + 1},
		"unknown type":    {Count: 1, Types: map[string]int{"dance": 1}},
		"no weight":       {Count: 1, Types: map[string]int{"text": 0}},
		"negative weight": {Count: 1, Types: map[string]int{"text": -1}},
		"unknown account": {Count: 1, Accounts: []string{"wkNOBODY"}},
	} {
		if _, err := r.Generate(t.Context(), l); err == nil {
			t.Errorf("%s: the load ran", name)
		}
		if r.LoadStatus().Running {
			t.Errorf("%s: a load that was refused is running", name)
		}
	}
}

func TestControlLoad(t *testing.T) {
	c := newControl(t)
	c.ok("POST", "/load", `{"count":7,"types":{"text":3,"enter":1}}`)
	c.wait(KindLoad, 2)
	c.StopLoad()
	if got := c.ok("GET", "/load", ""); got["acts"] != 7.0 || got["running"] != false {
		t.Errorf("got %v, want 7 acts", got)
	}
	if status, _, text := c.do("POST", "/load", `{"count":1,"speed":2}`); status != 400 || !strings.Contains(text, "speed") {
		t.Errorf("got HTTP %d %s", status, text)
	}
	c.ok("POST", "/load", `{"per_second":1,"duration":"1h"}`)
	if got := c.ok("DELETE", "/load", ""); got["running"] != false || fmt.Sprint(got["load"]) == "" {
		t.Errorf("got %v, want it ended", got)
	}
}
