package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// bird is a string that must not be seen: unmistakable, and planted where the real thing would be.
type bird struct {
	what string
	text bool // what people write; not a secret
	sing string
}

// spellings are the forms in which a bird is found: as it is, escaped for a URL or JSON, in hex, and in base64 at each of
// the three places that it may have in a longer text.
func (b bird) spellings() [][]byte {
	quoted, err := json.Marshal(b.sing)
	if err != nil {
		panic(err)
	}
	all := []string{b.sing, url.QueryEscape(b.sing), url.PathEscape(b.sing), strings.Trim(string(quoted), `"`),
		hex.EncodeToString([]byte(b.sing)), strings.ToUpper(hex.EncodeToString([]byte(b.sing)))}
	for before := range 3 {
		long := append(make([]byte, before), b.sing...)
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			all = append(all, enc.EncodeToString(long)[(before*8+5)/6:(before+len(b.sing))*8/6])
		}
	}
	var forms [][]byte
	seen := map[string]bool{}
	for _, f := range all {
		if !seen[f] {
			forms = append(forms, []byte(f))
		}
		seen[f] = true
	}
	return forms
}

// spot is where birds are looked for.
type spot struct {
	name string
	data []byte
	text bool // what people write may be here: it is what the place is for
}

// report is what a search found.
type report struct {
	places, bytes int
	hits          []string // bird and place
}

func search(places []spot, birds []bird) report {
	r := report{places: len(places)}
	for _, p := range places {
		r.bytes += len(p.data)
	}
	for _, b := range birds {
		forms := b.spellings()
		for _, p := range places {
			if b.text && p.text {
				continue
			}
			for _, f := range forms {
				if bytes.Contains(p.data, f) {
					r.hits = append(r.hits, b.what+" in "+p.name)
					break
				}
			}
		}
	}
	return r
}

// around shows what stands about a hit, to find where it comes from.
func around(places []spot, birds []bird, hit string) string {
	for _, b := range birds {
		for _, p := range places {
			if b.what+" in "+p.name != hit {
				continue
			}
			for _, f := range b.spellings() {
				if i := bytes.Index(p.data, f); i >= 0 {
					return fmt.Sprintf("%q", p.data[max(0, i-200):min(len(p.data), i+len(f)+80)])
				}
			}
		}
	}
	return ""
}

// TestTheCanarySearchFinds plants each bird in each spelling: a search that finds nothing must be able to find something.
func TestTheCanarySearchFinds(t *testing.T) {
	birds := []bird{{"secret", false, "CANARY/secret+of&the=app"}, {"words", true, "客户 CANARYwords"}}
	long := []byte("Zm9v filler and more filler ")
	for _, b := range birds {
		for i, f := range b.spellings() {
			for _, text := range []bool{false, true} {
				p := spot{"here", append(append(append([]byte{}, long...), f...), long...), text}
				want := 1
				if text && b.text {
					want = 0
				}
				if got := search([]spot{p, {"there", long, false}}, []bird{b}); len(got.hits) != want || got.places != 2 || got.bytes != len(p.data)+len(long) {
					t.Errorf("%s, spelling %d, where words may be %v: got %+v, want %d hits", b.what, i, text, got, want)
				}
			}
		}
		for cut := range 3 { // in base64, wherever it begins
			whole := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", 30+cut) + b.sing + "tail"))
			if got := search([]spot{{"base64", []byte(whole), false}}, []bird{b}); len(got.hits) != 1 {
				t.Errorf("%s in base64 after %d bytes: got %+v", b.what, 30+cut, got)
			}
		}
	}
}
