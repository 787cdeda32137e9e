package kfsim

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// drain pulls pages of two until has_more is 0, and returns the msgids of each, at most 9 pages.
func (r *rig) drain() (pages []string) {
	r.t.Helper()
	cursor, more := "", 1.0
	for n := 0; more == 1 && n < 9; n++ {
		p := r.pull(obj{"limit": 2, "cursor": cursor})
		r.wantCode("pull", p, 0)
		cursor, more = p.str("next_cursor"), p["has_more"].(float64)
		pages = append(pages, p.msgIDs())
	}
	return pages
}

func TestPageFaults(t *testing.T) {
	for _, c := range []struct {
		kind string
		want string // a, b, c, d are the messages; the fault strikes the second page
	}{
		{"", "ab cd"},
		{FaultEmptyPage, "ab _ cd"},
		{FaultSameCursor, "ab cd cd"},
		{FaultNoCursor, "ab cd"},
		{FaultDuplicateItem, "ab cd"},
	} {
		r := newRig(t, Config{})
		names := map[string]string{"": "_"}
		for _, letter := range []string{"a", "b", "c", "d"} {
			names[r.says(ann, letter)] = letter
		}
		if c.kind != "" {
			_, err := r.AddFault(Fault{Kind: c.kind, After: 1, Count: 1, OpenKfID: kf})
			r.must(err)
		}
		var got []string
		for _, p := range r.drain() {
			s := ""
			for id := range strings.SplitSeq(p, " ") {
				s += names[id]
			}
			got = append(got, s)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got pages %q, want %q", c.kind, got, c.want)
		}
	}
}

func TestCursorFaults(t *testing.T) {
	r := newRig(t, Config{Personality: Personality{TokenlessPerMinute: -1}})
	for range 3 {
		r.says(ann, "hi")
	}
	add := func(kind string) func() {
		id, err := r.AddFault(Fault{Kind: kind})
		r.must(err)
		return func() { r.RemoveFault(id) }
	}
	end := add(FaultSameCursor)
	first := r.pull(nil)
	cursor := first.str("next_cursor")
	for range 3 {
		if p := r.pull(obj{"cursor": cursor}); p.str("next_cursor") != cursor || p["has_more"] != 1.0 || p.msgIDs() != first.msgIDs() {
			t.Errorf("same_cursor: got %v, want the same page for ever", p)
		}
	}
	end()
	end = add(FaultNoCursor)
	if p := r.pull(obj{"cursor": cursor}); p.str("next_cursor") != "" || len(p.items()) != 3 {
		t.Errorf("no_cursor: got %v, want the items and no cursor", p)
	}
	end()
	end = add(FaultDuplicateItem)
	p := r.pull(obj{"cursor": cursor, "limit": 2})
	end()
	q := r.pull(obj{"cursor": p.str("next_cursor"), "limit": 2})
	if a, b := strings.Fields(p.msgIDs()), strings.Fields(q.msgIDs()); len(b) != 2 || a[1] != b[0] {
		t.Errorf("duplicate_item: got %q and %q, want the second message in both", a, b)
	}
}

func TestItemFaults(t *testing.T) {
	r := newRig(t, Config{Personality: Personality{TokenlessPerMinute: -1}})
	r.says(ann, "hi")
	_, err := r.AddFault(Fault{Kind: FaultUnknownItem, Count: 1})
	r.must(err)
	p := r.pull(nil)
	if it := p.items(); len(it) != 2 || it[1].str("msgtype") != "hologram" || it[1].str("external_userid") != ann {
		t.Errorf("unknown_item: got %v", it)
	}
	_, err = r.AddFault(Fault{Kind: FaultHostileItem})
	r.must(err)
	cursor := p.str("next_cursor")
	for _, h := range hostiles() {
		p = r.pull(obj{"cursor": cursor})
		cursor = p.str("next_cursor")
		it := p.items()
		if len(it) != 1 {
			t.Fatalf("%s: got %d items, want the hostile one", h.name, len(it))
		}
		var want string
		r.must(json.Unmarshal([]byte(h.customer), &want))
		if it[0].str("external_userid") != want {
			t.Errorf("%s: got customer %q, want %q", h.name, it[0].str("external_userid"), want)
		}
	}
	if _, err := r.Hostile(Hostile{kf, "kind"}); err == nil || !strings.Contains(err.Error(), "huge_text") {
		t.Errorf("unknown kind: got %v, want the list", err)
	}
	id, err := r.Hostile(Hostile{kf, "subject"})
	r.must(err)
	items := r.Items(kf)
	if last := items[len(items)-1]; last.MsgID != id || !json.Valid(last.Raw) {
		t.Errorf("got %+v, want the item %s", last, id)
	}
}

// TestBlocksLastAsLongAsTheirWindow checks both the fault and the limit itself.
func TestBlocksLastAsLongAsTheirWindow(t *testing.T) {
	for _, c := range []struct {
		name string
		p    Personality
		kind string
		span time.Duration
	}{
		{"minute fault", Personality{TokenlessPerMinute: -1}, FaultBlockMinute, time.Minute},
		{"hour fault", Personality{TokenlessPerMinute: -1}, FaultBlockHour, time.Hour},
		{"minute fault without limits", Personality{CallsPerMinute: -1, CallsPerHour: -1, TokenlessPerMinute: -1}, FaultBlockMinute, time.Minute},
		{"broken minute", Personality{CallsPerMinute: 2, TokenlessPerMinute: -1}, "", time.Minute},
		{"broken hour", Personality{CallsPerHour: 2, TokenlessPerMinute: -1}, "", time.Hour},
	} {
		r := newRig(t, Config{Personality: c.p})
		if c.kind != "" {
			_, err := r.AddFault(Fault{Kind: c.kind, Path: "kf/sync_msg", After: 2, Count: 1})
			r.must(err)
		}
		r.wantCode(c.name, r.pull(nil), 0)
		r.wantCode(c.name, r.pull(nil), 0)
		r.wantCode(c.name+": the call that breaks it", r.pull(nil), 45009)
		r.Clock().Advance(c.span - time.Second)
		r.wantCode(c.name+": just before its end", r.pull(nil), 45009)
		r.wantCode(c.name+": another path", r.post("kf/account/list", obj{}), 0)
		r.Clock().Advance(time.Second)
		r.wantCode(c.name+": at its end", r.pull(nil), 0)
	}
}

func TestFaultIDs(t *testing.T) {
	r := newRig(t, Config{})
	id, err := r.AddFault(Fault{ID: "slow", Kind: FaultResetAfter})
	if r.must(err); id != "slow" {
		t.Errorf("got id %q, want the given one", id)
	}
	if _, err := r.AddFault(Fault{ID: "slow", Kind: FaultResetAfter}); err == nil {
		t.Error("an id was taken twice")
	}
	if !r.RemoveFault("slow") {
		t.Error("the fault is not under its id")
	}
}

// TestFaultsDoNotDisturbEachOther: calls of one path change nothing about which calls of another are struck.
func TestFaultsDoNotDisturbEachOther(t *testing.T) {
	run := func(noise int) (s string) {
		r := newRig(t, Config{Seed: 3, Personality: Personality{TokenlessPerMinute: -1}})
		for _, path := range []string{"kf/account/list", "kf/sync_msg"} {
			_, err := r.AddFault(Fault{Kind: FaultErrCode, ErrCode: -1, Path: path, Probability: 0.5})
			r.must(err)
		}
		for range 64 {
			for range noise {
				r.post("kf/account/list", obj{})
			}
			s += fmt.Sprint(-r.pull(nil).code())
		}
		return s
	}
	if quiet := run(0); quiet != run(3) || !strings.Contains(quiet, "1") || !strings.Contains(quiet, "0") {
		t.Error("other calls changed who was struck")
	}
}
