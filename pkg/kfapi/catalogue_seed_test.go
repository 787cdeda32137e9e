package kfapi

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// The categories of wxkefu-rs and their codes; what it does not list it calls unknown.
var wxkefu = map[string][]int{
	"success":         {0},
	"temporarySystem": {-1},
	"auth":            {40001, 40014, 90207},
	"invalidParam":    {40004, 40005, 40006, 40007, 40008, 40009, 40011, 95006, 95022},
	"notFound":        {95000, 95004, 95028},
	"limit":           {95001, 95003, 95005, 95008, 95025, 95026, 95027},
	"invalidState":    {95002, 95007, 95024, 95029},
	"unsupported":     {95009, 95011, 95017},
}

// differs are the codes that we file elsewhere, with the reason.
var differs = map[int]struct {
	category Category
	why      string
}{
	90207: {CategoryParam, "an appid in a message is a parameter; no token helps"},
	95011: {CategoryPerm, "the secret is of the other product mode: as 95012, a person must change it"},
}

var ours = map[string]Category{"success": CategoryNone, "temporarySystem": CategoryTransient, "auth": CategoryAuth,
	"invalidParam": CategoryParam, "notFound": CategoryNotFound, "limit": CategoryLimit, "invalidState": CategoryState,
	"unsupported": CategoryUnsupported}

func TestCategoriesOfWxkefu(t *testing.T) {
	for theirs, codes := range wxkefu {
		for _, code := range codes {
			want := ours[theirs]
			if d, ok := differs[code]; ok {
				if d.category == want {
					t.Errorf("%d is listed as different, and is not", code)
				}
				want = d.category
			}
			if got := CategoryOf(code); got != want {
				t.Errorf("%d: got %q, want %q", code, got, want)
			}
		}
	}
}

// TestHelpersOfWxkefu goes through its error helpers: each has its counterpart, and each code it knows gets the same answer
// from it or a better one, which is listed.
func TestHelpersOfWxkefu(t *testing.T) {
	in := func(category string, code int) bool { return slices.Contains(wxkefu[category], code) }
	for _, h := range []struct {
		name   string
		theirs func(code int) bool
		ours   func(code int) bool
		better []int // codes with another answer
	}{
		{"is_temporary", func(c int) bool { return c == -1 }, IsTemporary, nil},
		{"is_param_issue", func(c int) bool { return in("invalidParam", c) }, IsParam, []int{90207}},
		{"is_business_or_limit_issue", func(c int) bool { return in("limit", c) || in("invalidState", c) }, IsLimitOrState, nil},
		{"is_not_found", func(c int) bool { return in("notFound", c) }, IsNotFound, nil},
		{"is_auth_issue", func(c int) bool { return in("auth", c) }, IsAuth, []int{90207}},
		{"should_retry", func(c int) bool { return c == -1 }, func(c int) bool { return ShouldRetry(c).Retry }, nil},
		{"should_refresh_token", func(c int) bool { return c == 40001 || c == 40014 }, ShouldRefreshToken, nil},
	} {
		for _, codes := range wxkefu {
			for _, code := range codes {
				if differ := h.theirs(code) != h.ours(code); differ != slices.Contains(h.better, code) {
					t.Errorf("%s(%d): theirs %v, ours %v", h.name, code, h.theirs(code), h.ours(code))
				}
			}
		}
	}
	if got := ShouldRetry(-1); got.Attempts != 3 || got.FirstBackoff != 300*time.Millisecond { // recommended_max_retries, recommended_initial_backoff_ms
		t.Errorf("-1: got %+v", got)
	}
	if !ShouldRefreshToken(42001) {
		t.Error("42001, which they forget, needs a new token too")
	}
	for _, msg := range []string{"Warning: wrong json format. ", "x, WRONG JSON FORMAT"} { // contains_wrong_json_format
		if !IsWrongJSONFormat(msg) || IsWrongJSONFormat("json format: ok") {
			t.Errorf("%q is not told", msg)
		}
	}
}

// Everything that wxkefu-rs and silenceper know is in the catalogue, with meaning and hint (lookup, hint_for, category_for),
// and is explained. The codes that silenceper invents are no answers of the platform.
func TestCodesOfOthers(t *testing.T) {
	count := map[rune]int{}
	for _, r := range rows(t) {
		for _, by := range r.by {
			count[by]++
		}
	}
	wx := 0
	for _, codes := range wxkefu {
		wx += len(codes)
	}
	if count['W'] != wx {
		t.Errorf("got %d codes marked W, want %d", count['W'], wx)
	}
	silenceper := []int{40001, 40009, 40013, 40014, 40058, 40201, 41001, 42001, 45009, 48002, 50001, 50002, 50003, 95000, 95004, 95011, 95012, 95017}
	if count['S'] != len(silenceper) {
		t.Errorf("got %d codes marked S, want %d", count['S'], len(silenceper))
	}
	for _, code := range silenceper {
		if info, ok := Lookup(code); !ok || info.Hint == "" || info.Category == CategoryNone {
			t.Errorf("%d: got %+v", code, info)
		}
	}
	for _, code := range []int{40015, 40016} {
		if got := Explain(code, "", English); !strings.Contains(got, "some SDKs use it") {
			t.Errorf("%d: got %s", code, got)
		}
	}
}
