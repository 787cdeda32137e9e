package sender

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSplitText(t *testing.T) {
	for _, c := range []struct {
		name, text string
		most       int
		want       string // parts with | between them
	}{
		{"short", "你好。", 9, "你好。"},
		{"behind a sentence", "一二。三四五。六", 21, "一二。三四五。|六"},
		{"not behind one that needs a part more", "一。二三四五六七八九。", 18, "一。二三四五|六七八九。"},
		{"a Latin sentence", "One two. Three four", 12, "One two. |Three four"},
		{"a point within a number", "Pi is 3.14159 or so", 13, "Pi is |3.14159 or so"},
		{"behind a line", "one two\nthree four", 12, "one two\n|three four"},
		{"the closing quote stays", "他说：“好。”然后走了", 24, "他说：“好。”|然后走了"},
		{"an ellipsis is not torn from its end", "等等……好吧好吧", 15, "等等……|好吧好吧"},
		{"behind a comma", "一二三，四五六七", 15, "一二三，|四五六七"},
		{"behind a space", "abc def ghi", 9, "abc def |ghi"},
		{"anywhere", "abcdefghij", 6, "abcdef|ghij"},
		{"not within a rune", "ab好好好", 6, "ab好|好好"},
		{"not within a family", "好👨‍👩‍👧好", 19, "好|👨‍👩‍👧|好"},
		{"not within a flag", "🇨🇳🇩🇪🇨🇳", 20, "🇨🇳🇩🇪|🇨🇳"},
		{"not before an accent", "abcde\u0301f", 5, "abcd|e\u0301f"},
		{"not within a line end", "abc\r\ndef", 4, "abc|\r\n|def"},
	} {
		got := splitText(c.text, c.most)
		if s := strings.Join(got, "|"); s != c.want {
			t.Errorf("%s: got %q, want %q", c.name, s, c.want)
		}
	}
}

// Together the parts are the text; each is within the limit and not empty; there are as few as can be; UTF-8 stays whole.
func FuzzSplitText(f *testing.F) {
	f.Add("你好。How are you? 👨‍👩‍👧 🇨🇳\r\n…", 16)
	f.Add(strings.Repeat("好", 2000), 2048)
	f.Add("e\u0301\u0301\u0301\u0301\u0301\u0301\u0301", 5)
	f.Fuzz(func(t *testing.T, text string, most int) {
		if most < 4 || most > textBytes || !utf8.ValidString(text) || len(text) > 12_000 {
			t.Skip("not a text or a limit that there is")
		}
		parts := splitText(text, most)
		if strings.Join(parts, "") != text {
			t.Fatalf("the parts are not the text: %q", parts)
		}
		for _, p := range parts {
			if len(p) > most || p == "" && text != "" || !utf8.ValidString(p) {
				t.Fatalf("part of %d bytes, limit %d: %q", len(p), most, p)
			}
		}
		if n := fewest(text, most); len(parts) != n {
			t.Fatalf("%d parts, %d would do", len(parts), n)
		}
		if !slices.Equal(parts, splitText(text, most)) {
			t.Fatal("cut otherwise the second time")
		}
	})
}
