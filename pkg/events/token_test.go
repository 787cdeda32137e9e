package events

import (
	"strings"
	"testing"
)

func TestToken(t *testing.T) {
	for _, c := range []struct{ name, id, want string }{
		{"an id stands for itself", "wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw", "wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw"},
		{"case is kept", "WM1wm1", "WM1wm1"},
		{"64 characters stand", strings.Repeat("a", 64), strings.Repeat("a", 64)},
		{"65 are hashed", strings.Repeat("a", 65), "=Y1NhxIu56rFBmOduqKt_Gk"},
		{"none is -", "", "-"},
		{"the id - is not taken for none", "-", "=OXPgIukyIPkhLBjQ0MVDrn"},
		{"a dot would add a token", "a.b", "=LnM23I66h-9HLfVow1SCq_"},
		{"a star", "*", "=aEiIwOuxfzdCmLZe4oB1Js"},
		{"rest of subject", ">", "=YrZ-H2hbf-9RECAF3d0nd0"},
		{"Chinese", "客服", "=6uDv4jbD_mgNzw4bFwjQyu"},
		{"a hash is hashed again", "=YrZ-H2hbf-9RECAF3d0nd0", "=_"},
	} {
		got := Token(c.id)
		if c.want == "=_" {
			if got == c.id {
				t.Errorf("%s: got the same token for an id that looks like one", c.name)
			}
			continue
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestIsToken(t *testing.T) {
	for s, want := range map[string]bool{
		"a": true, "-": true, "=2QP5MEbGFNHoPLJnpoUDJQ": true, "": false, "a.b": false, "=short": false,
		"=2QP5MEbGFNHoPLJnpoUDJ.": false, strings.Repeat("a", 65): false, "a b": false, "é": false,
	} {
		if got := IsToken(s); got != want {
			t.Errorf("%q: got %v, want %v", s, got, want)
		}
	}
}

func FuzzToken(f *testing.F) {
	for _, s := range []string{"", "-", "a", "a.b", "*", ">", "\x00", "客服", strings.Repeat("x", 65), "a\r\nb"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, id string) {
		tok := Token(id)
		if !IsToken(tok) {
			t.Fatalf("%q became %q, which is no token", id, tok)
		}
		if strings.ContainsAny(tok, ".*> \r\n\x00") {
			t.Fatalf("%q became %q, which is not legal in a subject", id, tok)
		}
		if tok == id != isPlain(id) && id != Missing {
			t.Fatalf("%q became %q", id, tok)
		}
	})
}
