package window

import (
	"regexp"
	"testing"
)

func TestMsgIDIsTheDocumentedFormula(t *testing.T) {
	// printf '11:ww1.wk1.wm14:shoporder-17' | openssl dgst -sha256 -binary | base64 | tr '+/' '-_' | cut -c1-32
	for _, tc := range []struct{ conversation, team, id, want string }{
		{"ww1.wk1.wm1", "shop", "order-17", "r0jK5ETpICiy1AASomhixZYx8EavTtml"},
		{"", "客服", "1\x00\xff", "t0xKXhs8J8URhFFDXa6Xsc24dPsiidzY"},
	} {
		if got := MsgID(tc.conversation, tc.team, tc.id); got != tc.want {
			t.Errorf("MsgID(%q, %q): got %s, want %s", tc.team, tc.id, got, tc.want)
		}
	}
}

func TestMsgIDKeepsNamesApart(t *testing.T) {
	names := []string{"", "a", "ab", "abc", "b", "bc", "c", ":", "1:a", "a:", "\x00", "a\x00", "\x00b", "1", "11", "1:"}
	seen := map[string][2]string{}
	for _, team := range names {
		for _, id := range names {
			if m := MsgID(team, "t", id); m == MsgID("", "t", id) && team != "" {
				t.Errorf("conversation %q makes no difference", team)
			}
			m := MsgID("", team, id)
			if was, ok := seen[m]; ok {
				t.Errorf("(%q, %q) and (%q, %q) share a msgid", team, id, was[0], was[1])
			}
			seen[m] = [2]string{team, id}
		}
	}
}

func FuzzMsgID(f *testing.F) {
	legal := regexp.MustCompile(`^[0-9a-zA-Z_-]{32}$`)
	f.Add("shop", "order-17", uint8(2))
	f.Add("a:", ":", uint8(1))
	f.Fuzz(func(t *testing.T, team, id string, cut uint8) {
		m := MsgID("", team, id)
		if !legal.MatchString(m) || m != MsgID("", team, id) {
			t.Fatalf("MsgID(%q, %q) = %q", team, id, m)
		}
		joined := team + id
		if n := int(cut); n <= len(joined) && n != len(team) && MsgID("", joined[:n], joined[n:]) == m {
			t.Fatalf("another split of %q has the same msgid", joined)
		}
	})
}
