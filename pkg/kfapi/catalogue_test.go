package kfapi

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// documented is the platform's table as we read it, written down a second time and apart from the catalogue: code,
// category, action, who else knows it (W wxkefu-rs, S silenceper), and 1 for a single or unconfirmed source.
const documented = `
-40014 crypto fix . 1
-40013 crypto fix . 1
-40012 crypto drop . 1
-40011 crypto fix . 2
-40010 crypto drop . 2
-40009 crypto fix . 2
-40008 crypto alert . 2
-40007 crypto alert . 2
-40006 crypto fix . 2
-40005 crypto alert . 2
-40004 crypto alert . 2
-40003 crypto fix . 2
-40002 crypto drop . 2
-40001 crypto alert . 2
-1 transient retry W 2
0 none none W 2
6000 transient retry . 2
40001 auth refresh WS 2
40002 param fix . 1
40003 param fix . 2
40004 param fix W 2
40005 param fix W 2
40006 param fix W 2
40007 param reupload W 2
40008 param fix W 2
40009 param fix WS 2
40011 param fix W 2
40013 auth alert S 2
40014 auth refresh WS 2
40033 param fix . 2
40035 param fix . 2
40056 param fix . 2
40057 param fix . 2
40058 param fix S 2
40063 param fix . 2
40066 param fix . 2
40091 auth alert . 2
40096 notfound fix . 2
40123 param fix . 2
40125 auth alert . 2
40164 perm alert . 1
40201 content stop S 2
40204 content stop . 1
40206 param fix . 1
41001 auth fix S 2
41002 param fix . 2
41004 param fix . 2
41006 param fix . 2
41009 param fix . 2
41035 param fix . 2
41049 param fix . 1
41050 state drop . 1
41051 state drop . 1
41053 state drop . 2
42001 auth refresh S 2
43009 perm alert . 2
43012 perm alert . 2
44001 param fix . 2
44004 param fix . 2
45001 param fix . 2
45002 param fix . 2
45007 param fix . 2
45009 freq backoff S 2
45029 param fix . 2
45031 auth alert . 1
45033 freq retry . 2
45034 param fix . 2
48001 perm alert . 2
48002 perm alert S 2
48003 perm alert . 2
48004 perm alert . 2
48005 perm alert . 2
48006 perm alert . 2
48007 perm alert . 2
50001 perm alert S 2
50002 perm alert S 2
50003 perm alert S 2
50006 perm alert . 1
60003 notfound fix . 2
60011 perm alert . 2
60020 perm alert . 2
60021 perm alert . 2
60031 perm alert . 1
60111 notfound fix . 2
60123 notfound fix . 2
84061 notfound fix . 2
84074 perm alert . 2
89503 perm alert . 1
89506 perm alert . 1
89507 perm alert . 1
90200 param fix . 2
90206 perm alert . 2
90207 param fix W 2
90208 param fix . 2
95000 notfound fix WS 2
95001 limit wait W 2
95002 state wait W 2
95003 limit alert W 2
95004 notfound stop WS 2
95005 limit alert W 2
95006 param fix W 2
95007 state drop W 2
95008 limit fix W 2
95009 unsupported fix W 2
95010 none none . 1
95011 perm alert WS 2
95012 perm alert S 2
95013 state wait . 2
95014 state fix . 1
95015 state alert . 1
95016 state reread . 2
95017 unsupported alert WS 2
95018 state reread . 2
95019 state fix . 1
95020 none none . 1
95021 state alert . 1
95022 param fix W 2
95023 perm alert . 1
95024 state wait W 1
95025 limit wait W 1
95026 limit alert W 2
95027 limit alert W 2
95028 notfound fix W 1
95029 state drop W 1
95030 unsupported fix . 1
95031 state wait . 1
95032 perm alert . 1
301002 perm alert . 2
301017 param fix . 2
830001 param fix . 2
830002 param fix . 1
830003 param retry . 2
`

// row is a line of documented.
type row struct {
	code                 int
	category, action, by string
	sources              int
}

func rows(t *testing.T) []row {
	t.Helper()
	var out []row
	for line := range strings.Lines(strings.TrimSpace(documented)) {
		var r row
		if _, err := fmt.Sscan(line, &r.code, &r.category, &r.action, &r.by, &r.sources); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		out = append(out, r)
	}
	return out
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func TestCatalogueIsTheDocumentedTable(t *testing.T) {
	want := map[int]row{}
	for _, r := range rows(t) {
		want[r.code] = r
	}
	last, n := -1<<31, 0
	for info := range Catalogue() {
		n++
		if info.Code <= last {
			t.Errorf("%d stands after %d", info.Code, last)
		}
		last = info.Code
		if got, ok := Lookup(info.Code); !ok || got != info {
			t.Errorf("%d: Lookup returns %+v, %v", info.Code, got, ok)
		}
		r, ok := want[info.Code]
		if !ok {
			t.Errorf("%d is in the catalogue and in no table", info.Code)
			continue
		}
		got := row{info.Code, orNone(string(info.Category)), orNone(string(info.Action)), r.by, 2}
		if info.Unconfirmed {
			got.sources = 1
		}
		if got != r {
			t.Errorf("got %+v, want %+v", got, r)
		}
	}
	if n != len(want) {
		t.Errorf("got %d codes, want %d", n, len(want))
	}
}

func TestLookupOfStrangers(t *testing.T) {
	for _, code := range []int{-1 << 31, -40015, -40000, -2, 1, 40000, 40015, 40207, 42002, 47999, 60022, 94999, 95033, 830004, 1<<31 - 1} {
		if info, ok := Lookup(code); ok || info != (Info{}) {
			t.Errorf("%d: got %+v, want nothing", code, info)
		}
	}
	for range Catalogue() {
		break // the iterator may be left
	}
}

func TestFailTypes(t *testing.T) {
	want := []FailType{0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}
	all := FailTypes()
	if len(all) != len(want) {
		t.Fatalf("got %d fail types, want %d", len(all), len(want))
	}
	for i, f := range all {
		if f.Type != want[i] {
			t.Errorf("got fail_type %d, want %d", f.Type, want[i])
		}
		if got, ok := LookupFail(f.Type); !ok || got != f {
			t.Errorf("%d: got %+v, %v", f.Type, got, ok)
		}
		checkTexts(t, fmt.Sprintf("fail_type %d", f.Type), f.Meaning, f.Hint, f.MeaningZH, f.HintZH)
	}
	all[0].Meaning = "scribble"
	if got, _ := LookupFail(0); got.Meaning != "unknown" {
		t.Error("FailTypes hands out the table itself")
	}
	if _, ok := LookupFail(3); ok {
		t.Error("fail_type 3 is not used and yet known")
	}
}

func TestCatalogueTexts(t *testing.T) {
	for info := range Catalogue() {
		checkTexts(t, fmt.Sprint(info.Code), info.Meaning, info.Hint, info.MeaningZH, info.HintZH)
	}
}

var (
	wide     = regexp.MustCompile(`[，。；：！？（）“”、]`)
	thinByZH = regexp.MustCompile(`\p{Han} ?[,;:!?()]|[,;:!?()] ?\p{Han}|\p{Han}\.|\.\p{Han}`)
	glued    = regexp.MustCompile(`\p{Han}[A-Za-z0-9]|[A-Za-z0-9]\p{Han}`)
	spaced   = regexp.MustCompile(`[，。；：！？（）“”、] | [，。；：！？（）”、]|  `)
)

// checkTexts holds the texts of a code to one way of writing.
func checkTexts(t *testing.T, of, meaning, hint, meaningZH, hintZH string) {
	t.Helper()
	fail := func(text, why string) { t.Errorf("%s: %s: %q", of, why, text) }
	for _, en := range []string{meaning, hint} {
		switch {
		case en == "":
			fail(en, "no English")
		case wide.MatchString(en), strings.Contains(en, "  "), en != strings.TrimSpace(en):
			fail(en, "not English punctuation")
		case !strings.ContainsFunc(en, unicode.IsLower):
			fail(en, "no English word")
		}
	}
	for _, zh := range []string{meaningZH, hintZH} {
		own := strings.ReplaceAll(zh, "设置API接收", "") // the console's own spelling
		switch {
		case !regexp.MustCompile(`\p{Han}{2}`).MatchString(zh):
			fail(zh, "no Chinese")
		case thinByZH.MatchString(own):
			fail(zh, "ASCII punctuation beside Chinese: "+thinByZH.FindString(own))
		case glued.MatchString(own):
			fail(zh, "no space between Chinese and Latin: "+glued.FindString(own))
		case spaced.MatchString(zh), zh != strings.TrimSpace(zh):
			fail(zh, "a space beside full-width punctuation")
		}
	}
	for _, phrase := range []string{meaning, meaningZH} {
		if strings.HasSuffix(phrase, ".") || strings.HasSuffix(phrase, "。") {
			fail(phrase, "a meaning is a phrase without a full stop")
		}
	}
	if !strings.HasSuffix(hint, ".") || !strings.HasSuffix(hintZH, "。") {
		fail(hint+" / "+hintZH, "a hint ends with a full stop")
	}
	if max(len(meaning), len(meaningZH)) > 160 || max(len(hint), len(hintZH)) > 400 {
		fail(hint+" / "+hintZH, "too long")
	}
}
