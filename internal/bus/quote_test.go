package bus

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"
)

// TestQuoteAgreesWithEncodingJSON on texts made of what needs care, valid UTF-8 or not.
func TestQuoteAgreesWithEncodingJSON(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	pieces := []string{"a", "<&>", `"`, `\`, "/", "\n", "\r", "\t", "\b", "\f", "\x00", "\x1f", "\x7f", "微信", "\u2027", "\u2028", "\u2029", "\u202a",
		"\u20a8", "\ue2a8", "😀", "\ufffd", "\xff", "\xe2\x80", "\xe2", "\xed\xa0\x80", "é", "12345678", "微信客服今天"}
	for range 20000 {
		var text string
		for range rnd.IntN(9) {
			text += pieces[rnd.IntN(len(pieces))]
		}
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(text); err != nil {
			t.Fatal(err)
		}
		for _, got := range [][]byte{Quote([]byte("x"), text), Quote([]byte("x"), []byte(text))} {
			if string(got)+"\n" != "x"+want.String() {
				t.Fatalf("%q: got %s, want x%s", text, got, want.String())
			}
		}
	}
}
