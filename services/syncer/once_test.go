package syncer

import (
	"slices"
	"testing"

	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

func TestOnce(t *testing.T) {
	item := func(id, raw string) kfapi.Item { return kfapi.Item{MsgID: id, Raw: []byte(raw)} }
	var c events.Cursor
	remember(&c, []kfapi.Item{item("m1", "1"), item("m2", "2")})
	for _, k := range []struct {
		name  string
		items []kfapi.Item
		want  []string
	}{
		{"nothing twice", []kfapi.Item{item("m3", "3"), item("m4", "4")}, []string{"3", "4"}},
		{"the last one of the page before", []kfapi.Item{item("m2", "2"), item("m3", "3")}, []string{"3"}},
		{"the last one of the page before, in the middle", []kfapi.Item{item("m3", "3"), item("m2", "2")}, []string{"3", "2"}},
		{"its id with other bytes", []kfapi.Item{item("m2", "2b")}, []string{"2b"}},
		{"twice on a page", []kfapi.Item{item("m3", "3"), item("m4", "4"), item("m3", "3")}, []string{"3", "4"}},
		{"an id twice with other bytes", []kfapi.Item{item("m3", "3"), item("m3", "3b")}, []string{"3", "3b"}},
		{"without msgid", []kfapi.Item{item("", "5"), item("", "5")}, []string{"5", "5"}},
		{"none", nil, nil},
	} {
		var got []string
		for _, it := range once(c, k.items) {
			got = append(got, string(it.Raw))
		}
		if !slices.Equal(got, k.want) {
			t.Errorf("%s: got %q, want %q", k.name, got, k.want)
		}
	}
	if remember(&c, nil); c.LastID != "m2" {
		t.Errorf("an empty page: got last id %q, want the one before", c.LastID)
	}
	if remember(&c, []kfapi.Item{item("an odd id\n", "6")}); c.LastID != "" {
		t.Errorf("got last id %q, want none: it could be of any length", c.LastID)
	}
}

func TestItemsServedTwice(t *testing.T) {
	w := newWorld(t)
	r := w.syncer(small(5))
	_, err := w.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultDuplicateItem, Probability: 0.4})
	w.must(err)
	w.says(desk, 200)
	w.wait(desk)
	w.wantAll(desk)
	if got := r.counted("kf_syncer_repeated_items_total"); got == 0 {
		t.Error("nothing was served twice")
	}
}
