package kfcrypto

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
)

// open signs encrypt and opens it, so that only the frame decides.
func open(c *Codec, encrypt string) (string, string, error) {
	m, id, err := c.Open(c.Sign(testTime, testNonce, []byte(encrypt)), testTime, testNonce, []byte(encrypt))
	return string(m), id, err
}

// Every value of the last byte, over frames with every honest padding.
func TestEveryLastByte(t *testing.T) {
	c := newCodec(t)
	for length := range 32 {
		message := strings.Repeat("m", length)
		honest := frame(uint32(length), message, testCorp)
		honest = append(honest, honestPadding(len(honest))...)
		for v := range 256 {
			p := append([]byte(nil), honest...)
			last := len(p) - 1
			right := p[last] == byte(v)
			p[last] = byte(v)
			m, _, err := open(c, encryptRaw(t, testKey, p))
			if !right {
				if err != ErrMalformed || m != "" { //nolint:errorlint // exactly
					t.Errorf("length %d, last byte %d: got %q, %v, want ErrMalformed", length, v, m, err)
				}
				continue
			}
			if err != nil || m != message {
				t.Errorf("length %d, padding %d: got %q, %v", length, v, m, err)
			}
		}
	}
}

// Each byte of each padding matters.
func TestEveryPaddingByte(t *testing.T) {
	c := newCodec(t)
	for pad := 1; pad <= 32; pad++ {
		message := strings.Repeat("m", (64-headerSize-len(testCorp)-pad+32)%32)
		p := frame(uint32(len(message)), message, testCorp)
		p = append(p, honestPadding(len(p))...)
		if int(p[len(p)-1]) != pad {
			t.Fatalf("built padding %d, want %d", p[len(p)-1], pad)
		}
		if m, _, err := open(c, encryptRaw(t, testKey, p)); err != nil || m != message {
			t.Errorf("padding %d: got %q, %v", pad, m, err)
		}
		for i := range pad {
			for _, flip := range []byte{1, 0x20, 0x80} {
				q := append([]byte(nil), p...)
				q[len(q)-1-i] ^= flip
				if _, _, err := open(c, encryptRaw(t, testKey, q)); err != ErrMalformed { //nolint:errorlint // exactly
					t.Errorf("padding %d, byte %d from the end flipped by %#x: got %v, want ErrMalformed", pad, i, flip, err)
				}
			}
		}
	}
}

func TestFramesThatLie(t *testing.T) {
	const m = "hello"
	pad := func(p []byte) []byte { return append(p, honestPadding(len(p))...) }
	for _, tc := range []struct {
		name string
		p    []byte
		ok   bool
	}{
		{"honest", pad(frame(5, m, testCorp)), true},
		{"empty message", pad(frame(0, "", testCorp)), true},
		{"length one short: the receiveid grows", pad(frame(4, m, testCorp)), false},
		{"length one long: the receiveid shrinks", pad(frame(6, m, testCorp)), false},
		{"length up to the end: no receiveid", pad(frame(23, m, testCorp)), false},
		{"length one past the end", pad(frame(24, m, testCorp)), false},
		{"length into the padding", pad(frame(30, m, testCorp)), false},
		{"length of all that is there", pad(frame(44, m, testCorp)), false},
		{"length 2^31-1", pad(frame(math.MaxInt32, m, testCorp)), false},
		{"length 2^31", pad(frame(math.MaxInt32+1, m, testCorp)), false},
		{"length 2^32-20: wraps to zero with the header", pad(frame(math.MaxUint32-19, m, testCorp)), false},
		{"length 2^32-1", pad(frame(math.MaxUint32, m, testCorp)), false},
		{"little-endian length", pad(frame(5<<24, m, testCorp)), false},
		{"receiveid in front of the message", pad(frame(5, testCorp, m)), false},
		{"padding block of 16", append(frame(5, m, testCorp), 5, 5, 5, 5, 5), false},
		{"48 bytes, a multiple of 16 only", append(frame(5, m, "ww"), []byte(strings.Repeat("\x15", 21))...), false},
		{"padding 32 is all there is", []byte(strings.Repeat(" ", 32)), false},
		{"padding 13 leaves 19 bytes", []byte(strings.Repeat("\x0d", 32)), false},
		{"zeros", make([]byte, 64), false},
		{"all 0xff", []byte(strings.Repeat("\xff", 64)), false},
		{"padding 33", []byte(strings.Repeat("!", 96)), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			encrypt := encryptRaw(t, testKey, tc.p)
			got, id, err := open(newCodec(t), encrypt)
			if tc.ok {
				if err != nil || id != testCorp {
					t.Errorf("got %q for %q, %v", got, id, err)
				}
				return
			}
			wantMalformed(t, err)
			_, _, err = newCodec(t).Decrypt([]byte(encrypt))
			wantMalformed(t, err)
		})
	}
}

func TestCiphertextsThatAreNone(t *testing.T) {
	good := string(seal(t, newCodec(t), "hello").Encrypt) // 88 characters, two of them "="
	for _, tc := range []struct{ name, encrypt string }{
		{"empty", ""}, {"equals signs", "===="}, {"white space", " \n"}, {"no base64", "*" + good[1:]}, {"NUL", "\x00" + good},
		{"one character less", good[1:]}, {"one byte less", base64.StdEncoding.EncodeToString(make([]byte, 63))},
		{"16 bytes", base64.StdEncoding.EncodeToString(make([]byte, 16))},
		{"48 bytes", base64.StdEncoding.EncodeToString(make([]byte, 48))},
		{"twice", good + good}, {"data behind", good + "AAAA"}, {"one equals sign of two", good[:87]},
		{"three equals signs", good + "="}, {"equals sign inside", good[:40] + "=" + good[41:]},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := open(newCodec(t), tc.encrypt)
			wantMalformed(t, err)
		})
	}
}

func TestForgivingBase64(t *testing.T) {
	c := newCodec(t)
	for length := range 40 { // so that every count of "=" and both special characters occur
		message := strings.Repeat("m", length*3)
		std := string(seal(t, c, message).Encrypt)
		url := strings.NewReplacer("+", "-", "/", "_").Replace(std)
		for name, encrypt := range map[string]string{
			"standard":               std,
			"URL-safe":               url,
			"unpadded":               strings.TrimRight(std, "="),
			"URL-safe, unpadded":     strings.TrimRight(url, "="),
			"lines of 20":            lines(std, 20, "\r\n"),
			"lines with tabs":        lines(url, 33, "\n\t "),
			"space around":           " " + std + "\n",
			"unpadded, space behind": strings.TrimRight(std, "=") + " ",
		} {
			if m, _, err := open(c, encrypt); err != nil || m != message {
				t.Errorf("%s: got %q, %v, want %q", name, m, err, message)
			}
		}
	}
}

func lines(s string, n int, end string) string {
	var b strings.Builder
	for ; len(s) > n; s = s[n:] {
		b.WriteString(s[:n] + end)
	}
	return b.String() + s
}

func TestEncryptLimits(t *testing.T) {
	c := newCodec(t, AnyReceiveID)
	if _, err := c.Encrypt(nil, make([]byte, MaxMessage+1), testCorp); err == nil {
		t.Error("a message over the limit: got no error")
	}
	if _, err := c.Encrypt(nil, nil, strings.Repeat("a", 65)); err == nil {
		t.Error("a receiveid over the limit: got no error")
	}
	if _, err := c.Encrypt(strings.NewReader("fifteen bytes.."), nil, testCorp); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("15 random bytes: got %v, want unexpected EOF", err)
	}
	long := make([]byte, MaxMessage)
	e, err := c.Encrypt(nil, long, strings.Repeat("a", 64))
	if err != nil {
		t.Fatal(err)
	}
	if m, _, err := c.Decrypt(e); err != nil || len(m) != len(long) {
		t.Errorf("got %d bytes, %v, want %d", len(m), err, len(long))
	}
	again, err := c.Encrypt(nil, long, strings.Repeat("a", 64))
	if err != nil || string(again) == string(e) {
		t.Errorf("the same message twice gives the same ciphertext, %v", err)
	}
}

func TestLessOrEq(t *testing.T) {
	values := []uint64{0, 1, 19, 20, 21, 32, 33, 255, math.MaxUint32, math.MaxUint32 + 20, 1<<63 - 1}
	for _, x := range values {
		for _, y := range values {
			if got := lessOrEq(x, y) == 1; got != (x <= y) {
				t.Errorf("%d <= %d: got %v", x, y, got)
			}
		}
	}
}

// parseFrame against the same rules written with branches: every size field around the bounds, every padding.
func TestParseFrameAgreesWithThePlainRules(t *testing.T) {
	for _, n := range []int{32, 64, 96} {
		for pad := range 40 {
			for size := range n + 2 {
				p := frame(uint32(size), strings.Repeat("x", n-20), "")
				for i := range max(1, min(pad, n)) { // no padding shows as a last byte of 0
					p[n-1-i] = byte(pad)
				}
				wantM, wantID, wantErr := plainParse(p)
				m, id, good := parseFrame(p)
				if (good == 1) != (wantErr == nil) || good == 1 && (string(m) != wantM || string(id) != wantID) {
					t.Fatalf("%s: got %q, %q, %d; want %q, %q, %v", fmt.Sprint(n, pad, size), m, id, good, wantM, wantID, wantErr)
				}
			}
		}
	}
}
