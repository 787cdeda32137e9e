package bus_test

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
)

func TestParseTeam(t *testing.T) {
	for text, want := range map[string]string{
		"orders=ww1/wkA":          "kf.message.ww1.wkA.> kf.event.ww1.wkA.>",
		"o-1=ww1/wkA+ww2/wkA":     "kf.message.ww1.wkA.> kf.event.ww1.wkA.> kf.message.ww2.wkA.> kf.event.ww2.wkA.>",
		"audit=ww1/*":             "kf.message.ww1.*.> kf.event.ww1.*.>",
		"odd=ww1/wk.A":            "kf.message.ww1." + events.Token("wk.A") + ".> kf.event.ww1." + events.Token("wk.A") + ".>",
		"all=ww1/>":               "kf.message.ww1." + events.Token(">") + ".> kf.event.ww1." + events.Token(">") + ".>",
		"orders":                  "error",
		"orders=":                 "error",
		"orders=wkA":              "error",
		"orders=/wkA":             "error",
		"orders=ww1/":             "error",
		"=ww1/wkA":                "error",
		"a.b=ww1/wkA":             "error",
		"*=ww1/wkA":               "error",
		"orders=ww1/wkA+ww1/wkA":  "error",
		"orders=ww1/*+ww1/wkA":    "error",
		"orders=ww1/wkA+":         "error",
		strings.Repeat("x", 33):   "error",
		"orders=ww1/wkA+ww1/wk.A": "kf.message.ww1.wkA.> kf.event.ww1.wkA.> kf.message.ww1." + events.Token("wk.A") + ".> kf.event.ww1." + events.Token("wk.A") + ".>",
	} {
		team, err := bus.ParseTeam(text)
		got := strings.Join(team.Reads(), " ")
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s: got %s (%v), want %s", text, got, err, want)
		}
	}
	if _, err := bus.ParseTeams([]string{"a=ww1/wkA", "a=ww1/wkB"}); err == nil {
		t.Error("a team of two names was taken")
	}
	top := bus.DefaultTopology()
	if top.Teams = []string{"a"}; top.Validate() == nil {
		t.Error("a topology with half a team is valid")
	}
}

// TestATeamsDurables are made with the topology, give it what comes from now on, and are checked.
func TestATeamsDurables(t *testing.T) {
	b := testkit.Connect(t, testkit.NATS(t), t.Name())
	ctx := testkit.Context(t)
	top := testkit.Small()
	if _, err := b.Apply(ctx, top); err != nil {
		t.Fatal(err)
	}
	if _, err := b.JS.Publish(ctx, "kf.message.ww1.wkA.text.wm1", []byte("before")); err != nil {
		t.Fatal(err)
	}
	top.Teams = []string{"orders=ww1/wkA"}
	if diffs, err := b.Check(ctx, top); err != nil || len(diffs) != 2 {
		t.Errorf("two durables are missing, and the check says %v, %v", diffs, err)
	}
	if _, err := b.Apply(ctx, top); err != nil {
		t.Fatal(err)
	}
	if diffs, err := b.Check(ctx, top); err != nil || len(diffs) != 0 {
		t.Errorf("they are there, and the check says %v, %v", diffs, err)
	}
	for _, subject := range []string{"kf.message.ww1.wkB.text.wm1", "kf.message.ww1.wkA.text.wm1"} {
		if _, err := b.JS.Publish(ctx, subject, []byte("after")); err != nil {
			t.Fatal(err)
		}
	}
	c, err := b.JS.Consumer(ctx, events.StreamMessage, "team-orders")
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Next(jetstream.FetchMaxWait(testkit.Patience))
	if err != nil || m.Subject() != "kf.message.ww1.wkA.text.wm1" || string(m.Data()) != "after" {
		t.Errorf("got %v, %v, want the message after the durable was made", m, err)
	}
}
