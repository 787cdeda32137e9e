package kfcrypto

import (
	"crypto/cipher"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestNewReceiveIDs(t *testing.T) {
	for _, tc := range []struct {
		name string
		ids  []string
		ok   bool
	}{
		{"one", []string{testCorp}, true},
		{"two", []string{testCorp, "ww2"}, true},
		{"an empty one", []string{""}, true},
		{"any", []string{AnyReceiveID}, true},
		{"none", nil, false},
		{"any beside one", []string{testCorp, AnyReceiveID}, false},
		{"64 bytes", []string{strings.Repeat("a", 64)}, true},
		{"65 bytes", []string{strings.Repeat("a", 65)}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := New(testToken, testKey, tc.ids...); (err == nil) != tc.ok {
				t.Errorf("got error %v, want ok %v", err, tc.ok)
			}
		})
	}
}

func TestOpenReceiveID(t *testing.T) {
	for _, tc := range []struct {
		name    string
		allowed []string
		inside  string
		ok      bool
	}{
		{"equal", []string{testCorp}, testCorp, true},
		{"the second of two", []string{"ww2", testCorp}, testCorp, true},
		{"the first of two", []string{testCorp, "ww2"}, testCorp, true},
		{"any", []string{AnyReceiveID}, "whatever", true},
		{"any, empty", []string{AnyReceiveID}, "", true},
		{"empty allowed", []string{""}, "", true},
		{"last character differs", []string{testCorp}, testCorp[:17] + "2", false},
		{"case differs", []string{testCorp}, strings.ToUpper(testCorp), false},
		{"prefix", []string{testCorp}, testCorp[:17], false},
		{"longer", []string{testCorp}, testCorp + "1", false},
		{"empty inside", []string{testCorp}, "", false},
		{"only empty allowed", []string{""}, testCorp, false},
		{"a star is no wildcard inside", []string{testCorp}, AnyReceiveID, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCodec(t, tc.allowed...)
			s, err := c.Seal(nil, testTime, testNonce, []byte("hello"), tc.inside)
			if err != nil {
				t.Fatal(err)
			}
			for name, open := range map[string]func() ([]byte, string, error){
				"Open":    func() ([]byte, string, error) { return c.Open(s.MsgSignature, s.Timestamp, s.Nonce, s.Encrypt) },
				"Decrypt": func() ([]byte, string, error) { return c.Decrypt(s.Encrypt) },
			} {
				m, id, err := open()
				if !tc.ok {
					wantMalformed(t, err)
					if m != nil || id != "" {
						t.Errorf("%s: a refusal gives %q and %q away", name, m, id)
					}
					continue
				}
				if err != nil || string(m) != "hello" || id != tc.inside {
					t.Errorf("%s: got %q for %q, %v", name, m, id, err)
				}
			}
		})
	}
}

func TestOpenChecksTheSignatureFirst(t *testing.T) {
	c := newCodec(t)
	s := seal(t, c, "hello")
	enc := string(s.Encrypt)
	for _, tc := range []struct{ name, sig, ts, nonce, encrypt string }{
		{"empty signature", "", s.Timestamp, s.Nonce, enc},
		{"upper case", strings.ToUpper(s.MsgSignature), s.Timestamp, s.Nonce, enc},
		{"one digit less", s.MsgSignature[:39], s.Timestamp, s.Nonce, enc},
		{"one digit more", s.MsgSignature + "0", s.Timestamp, s.Nonce, enc},
		{"40 zeros", strings.Repeat("0", 40), s.Timestamp, s.Nonce, enc},
		{"other time", s.MsgSignature, "1700000001", s.Nonce, enc},
		{"other nonce", s.MsgSignature, s.Timestamp, s.Nonce + "0", enc},
		{"other ciphertext", s.MsgSignature, s.Timestamp, s.Nonce, "A" + enc[1:]},
		{"no ciphertext", s.MsgSignature, s.Timestamp, s.Nonce, ""},
		{"not even base64", s.MsgSignature, s.Timestamp, s.Nonce, "\x00"},
		{"space for plus", s.MsgSignature, s.Timestamp, s.Nonce, " " + enc},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, id, err := c.Open(tc.sig, tc.ts, tc.nonce, []byte(tc.encrypt))
			if err != ErrSignature || m != nil || id != "" { //nolint:errorlint // exactly
				t.Errorf("got %q for %q, %v, want ErrSignature", m, id, err)
			}
		})
	}
}

func TestSignMatchesThePlatformsRule(t *testing.T) {
	c := newCodec(t)
	for _, tc := range [][3]string{
		{testTime, testNonce, "abc"}, {"", "", ""}, {"z", "a", "M"}, {"a", "z", "M"}, {"Kf", "KfCryptoTestTokenX", "KfCryptoTestToken"},
		{"微信", "\xff", "\x00"}, {"1", "1", "1"}, {strings.Repeat("9", 4000), "n", "e"},
	} {
		if got, want := c.Sign(tc[0], tc[1], []byte(tc[2])), plainSign(testToken, tc[0], tc[1], tc[2]); got != want {
			t.Errorf("%q: got %s, want %s", tc, got, want)
		}
	}
}

func TestVerifyURLAnswersOnlyAnEcho(t *testing.T) {
	c := newCodec(t)
	for _, tc := range []struct {
		name, plaintext string
		ok              bool
	}{
		{"digits", "1616140317555161061", true},
		{"one letter", "x", true},
		{"64 characters", strings.Repeat("aZ", 32), true},
		{"65 characters", strings.Repeat("a", 65), false},
		{"empty", "", false},
		{"a captured XML callback", "<xml><Token><![CDATA[ENC]]></Token></xml>", false},
		{"a captured JSON callback", `{"Token":"ENC"}`, false},
		{"newline", "123\n", false},
		{"not ASCII", "１２３", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := seal(t, c, tc.plaintext)
			for _, echostr := range []string{string(s.Encrypt), strings.ReplaceAll(string(s.Encrypt), "+", " ")} {
				echo, err := c.VerifyURL(s.MsgSignature, s.Timestamp, s.Nonce, echostr)
				if tc.ok && (err != nil || echo != tc.plaintext) {
					t.Errorf("got %q, %v, want %q", echo, err, tc.plaintext)
				}
				if !tc.ok {
					wantMalformed(t, err)
					if echo != "" {
						t.Errorf("a refusal gives %q away", echo)
					}
				}
			}
			if _, err := c.VerifyURL(s.MsgSignature, s.Timestamp, s.Nonce+"1", string(s.Encrypt)); err != ErrSignature { //nolint:errorlint // exactly
				t.Errorf("wrong nonce: got %v, want ErrSignature", err)
			}
		})
	}
}

// The signed text has no separators, so one signature fits many splits of it. None may open to anything new.
func TestShiftedBoundariesOpenNothingNew(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	c := newCodec(t)
	shifts, opened := 0, 0
	for range 100 {
		message := strings.Repeat(string(alphabet[rnd.IntN(62)]), rnd.IntN(120))
		nonce := randomAlphanumeric(1 + rnd.IntN(32))
		s, err := c.Seal(nil, fmt.Sprint(1700000000+rnd.IntN(1e6)), nonce, []byte(message), testCorp)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range shifted(s) {
			if plainSign(testToken, v[0], v[1], v[2]) != s.MsgSignature {
				continue
			}
			shifts++
			m, _, err := c.Open(s.MsgSignature, v[0], v[1], []byte(v[2]))
			if strings.TrimRight(v[2], "=") != strings.TrimRight(string(s.Encrypt), "=") { // else the same ciphertext, with fewer "="
				wantMalformed(t, err)
				continue
			}
			opened++
			if err == nil && string(m) != message || err != nil && v[2] == string(s.Encrypt) {
				t.Errorf("same ciphertext: got %q, %v, want %q", m, err, message)
			}
		}
	}
	t.Logf("%d splits with a right signature, %d of them with the same ciphertext", shifts, opened)
	if shifts < 100 || opened == 0 {
		t.Error("the shifts do not test anything")
	}
}

// shifted moves up to 64 characters between the three parts, from either end to either end, and swaps the short two.
func shifted(s Sealed) [][3]string {
	parts := [3]string{s.Timestamp, s.Nonce, string(s.Encrypt)}
	out := [][3]string{{parts[1], parts[0], parts[2]}}
	for from := range parts {
		for to := range parts {
			for n := 1; from != to && n <= min(64, len(parts[from])); n++ {
				head, tail := parts[from][:n], parts[from][len(parts[from])-n:]
				a, b := parts, parts
				a[from], a[to] = parts[from][n:], parts[to]+head
				b[from], b[to] = parts[from][:len(parts[from])-n], tail+parts[to]
				out = append(out, a, b)
			}
		}
	}
	return out
}

func TestCodecIsSafeForConcurrentUse(t *testing.T) {
	c := newCodec(t)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 100 {
				message := strings.Repeat(fmt.Sprint(g), i*7)
				s, err := c.Seal(nil, testTime, fmt.Sprintf("n%d-%d", g, i), []byte(message), testCorp)
				if err != nil {
					t.Error(err)
					return
				}
				if m, _, err := c.Open(s.MsgSignature, s.Timestamp, s.Nonce, s.Encrypt); err != nil || string(m) != message {
					t.Errorf("got %q, %v, want %q", m, err, message)
				}
			}
		})
	}
	wg.Wait()
}

// What Open returned must not change when the Codec is used again, nor the input by opening it.
func TestMessageBelongsToTheCaller(t *testing.T) {
	c := newCodec(t)
	s := seal(t, c, "first")
	before := string(s.Encrypt)
	m, _, err := c.Open(s.MsgSignature, s.Timestamp, s.Nonce, s.Encrypt)
	if err != nil {
		t.Fatal(err)
	}
	if grown := append(m, "XXXXXXXX"...); cap(m) != len(m) || string(grown[:5]) != "first" {
		t.Errorf("got capacity %d for %d bytes", cap(m), len(m))
	}
	other := seal(t, c, "other")
	if _, _, err := c.Open(other.MsgSignature, other.Timestamp, other.Nonce, other.Encrypt); err != nil {
		t.Fatal(err)
	}
	if string(m) != "first" || string(s.Encrypt) != before {
		t.Errorf("got %q and ciphertext changed %v", m, string(s.Encrypt) != before)
	}
}

// A cipher mode without the undocumented SetIV must open one callback after another all the same.
func TestOpenWithoutSetIV(t *testing.T) {
	c := newCodec(t)
	k := c.k()
	fresh := k.pool.New
	k.pool.New = func() any {
		s := fresh().(*scratch)
		s.cbc = struct{ cipher.BlockMode }{s.cbc}
		return s
	}
	sealed := seal(t, c, "hello")
	scratch := k.scratch()
	for range 3 {
		if m, _, err := k.decrypt(scratch, sealed.Encrypt); err != nil || string(m) != "hello" {
			t.Fatalf("got %q, %v", m, err)
		}
		scratch.cbc = struct{ cipher.BlockMode }{scratch.cbc}
	}
}
