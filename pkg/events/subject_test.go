package events

import (
	"strings"
	"testing"
)

func TestSubjects(t *testing.T) {
	cmd := Subject{Kind: KindCommand, Team: "orders", Corp: "ww1", Account: "wk1", Name: VerbSend, User: "wm1"}
	for _, c := range []struct {
		name, subject, want string
	}{
		{"doorbell", CallbackSubject("ww1", "wk1"), "kf.callback.ww1.wk1"},
		{"doorbell without account", CallbackSubject("ww1", ""), "kf.callback.ww1.-"},
		{"app message", AppSubject("ww1", "1000002", AppMessage, "text", "zhang"), "kf.app.ww1.1000002.message.text.zhang"},
		{"app event without agent", AppSubject("ww1", "", AppEvent, "change_contact", "sys"), "kf.app.ww1.-.event.change_contact.sys"},
		{"message", MessageSubject("ww1", "wk1", "text", "wm1"), "kf.message.ww1.wk1.text.wm1"},
		{"event of an account", EventSubject("ww1", "wk1", "servicer_status_change", ""), "kf.event.ww1.wk1.servicer_status_change.-"},
		{"history", HistorySubject("ww1", "wk1", "text", "wm1"), "kf.history.ww1.wk1.text.wm1"},
		{"cursor", CursorSubject("ww1", "wk1"), "kf.cursor.ww1.wk1"},
		{"command", CommandSubject("orders", "ww1", "wk1", VerbSend, "wm1"), "kf.command.orders.ww1.wk1.send.wm1"},
		{"outcome", OutcomeSubject(cmd, StateAccepted), "kf.outcome.orders.ww1.wk1.accepted.wm1"},
		{"dead letter", DeadSubject("sender", "invalid"), "kf.dead.sender.invalid"},
		{"suspect", SuspectSubject("ww1"), "kf.token.suspect.ww1"},
		{"api", APISubject("ww1", "account/list"), "kf.api.ww1.account.list"},
		{"hostile ids", MessageSubject("a.b", "*", ">", "x y"), MessageSubject("a.b", "*", ">", "x y")},
	} {
		if c.subject != c.want {
			t.Errorf("%s: got %s, want %s", c.name, c.subject, c.want)
		}
		s, err := ParseSubject(c.subject)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if s.String() != c.subject {
			t.Errorf("%s: parsed and put together again: %s", c.name, s)
		}
	}
}

func TestParseSubjectReadsLanes(t *testing.T) {
	for published, stored := range map[string]string{
		"kf.callback.ww1.wk1":                "kf.lane.callback.7.ww1.wk1",
		"kf.command.orders.ww1.wk1.send.wm1": "kf.lane.command.31.orders.ww1.wk1.send.wm1",
	} {
		n := 7
		if strings.Contains(stored, ".31.") {
			n = 31
		}
		if got := LaneSubject(published, n); got != stored {
			t.Errorf("got %s, want %s", got, stored)
		}
		s, err := ParseSubject(stored)
		if err != nil || s.String() != published {
			t.Errorf("%s: got %s, %v", stored, s, err)
		}
	}
}

func TestParseSubjectRefuses(t *testing.T) {
	for name, s := range map[string]string{
		"nothing":                "",
		"another tree":           "x.message.ww1.wk1.text.wm1",
		"unknown kind":           "kf.dance.ww1",
		"too few tokens":         "kf.message.ww1.wk1.text",
		"too many tokens":        "kf.message.ww1.wk1.text.wm1.more",
		"an empty token":         "kf.message.ww1..text.wm1",
		"a wildcard":             "kf.message.ww1.wk1.*.wm1",
		"app of no class":        "kf.app.ww1.1.thing.text.wm1",
		"token of no use":        "kf.token.other.ww1",
		"api without path":       "kf.api.ww1",
		"lane of another kind":   "kf.lane.message.1.ww1.wk1.text.wm1",
		"lane that is no number": "kf.lane.callback.x.ww1.wk1",
		"lane with a zero":       "kf.lane.callback.01.ww1.wk1",
		"lane and nothing":       "kf.lane.callback",
	} {
		if got, err := ParseSubject(s); err == nil {
			t.Errorf("%s: %q gave %+v", name, s, got)
		}
	}
}

func FuzzSubject(f *testing.F) {
	f.Add("ww1", "wk1", "text", "wm1", "orders")
	f.Add("", "*", "a.b", "客", "-")
	f.Fuzz(func(t *testing.T, corp, account, name, user, team string) {
		for _, s := range []string{
			CallbackSubject(corp, account), MessageSubject(corp, account, name, user), EventSubject(corp, account, name, user),
			HistorySubject(corp, account, name, user), CursorSubject(corp, account), CommandSubject(team, corp, account, name, user),
			AppSubject(corp, account, AppEvent, name, user), DeadSubject(team, name), SuspectSubject(corp),
		} {
			got, err := ParseSubject(s)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != s {
				t.Fatalf("%s became %s", s, got)
			}
			if len(s) > 512 {
				t.Fatalf("%d bytes", len(s))
			}
		}
	})
}

func FuzzParseSubject(f *testing.F) {
	for _, s := range []string{"kf.message.ww1.wk1.text.wm1", "kf.lane.callback.7.ww1.wk1", "kf.api.ww1.account.list", "kf.", "..", "kf.app.a.b.message.c.d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseSubject(s)
		if err != nil {
			return
		}
		if got.String() != stripLane(s) {
			t.Fatalf("%s became %s", s, got)
		}
	})
}

func TestTokenKeysNeverMeet(t *testing.T) {
	ids := []string{"ww1", "kf", "leader", "", "-", "kf.leader", "a.b"}
	seen := map[string]string{}
	for _, corp := range ids {
		for _, credential := range ids {
			for what, key := range map[string]string{"token": TokenKey(corp, credential), "leader": TokenLeaderKey(corp, credential)} {
				now := what + " of " + corp + " " + credential
				if before, there := seen[key]; there {
					t.Errorf("%s and %s share the key %s", before, now, key)
				}
				seen[key] = now
			}
		}
	}
	if got, want := TokenLeaderKey("ww1", "kf"), "ww1.kf.leader"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
