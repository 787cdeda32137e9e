package kfcrypto

import (
	"strings"
	"testing"
)

// callback is a delivered callback with a body of about size bytes.
func callback(t testing.TB, c *Codec, size int) (Sealed, []byte) {
	t.Helper()
	const around = "<xml><ToUserName><![CDATA[" + testCorp + "]]></ToUserName><Encrypt><![CDATA[" + "]]></Encrypt><AgentID><![CDATA[]]></AgentID></xml>"
	s := seal(t, c, strings.Repeat("m", (size-len(around))/4*3-2*headerSize-len(testCorp)))
	body := strings.Replace(around, "<Encrypt><![CDATA[", "<Encrypt><![CDATA["+string(s.Encrypt), 1)
	return s, []byte(body)
}

func openBody(t testing.TB, c *Codec, s Sealed, body []byte) {
	env, err := ScanEnvelope(body)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Open(s.MsgSignature, s.Timestamp, s.Nonce, env.Encrypt); err != nil {
		t.Fatal(err)
	}
}

func TestAllocations(t *testing.T) {
	for _, size := range []int{700, 1024, 10240} {
		c := newCodec(t)
		s, body := callback(t, c, size)
		if d := len(body) - size; d < -100 || d > 100 {
			t.Fatalf("got a body of %d bytes, want about %d", len(body), size)
		}
		got := testing.AllocsPerRun(200, func() { openBody(t, c, s, body) })
		if got > 2 { // 1 and, after a garbage collection or with the race detector, now and then new scratch space
			t.Errorf("body of %d bytes: got %v allocations, want at most 2", len(body), got)
		}
		if got := testing.AllocsPerRun(200, func() { _, _ = ScanEnvelope(body) }); got != 0 {
			t.Errorf("ScanEnvelope: got %v allocations, want none", got)
		}
	}
}

var sizes = []struct {
	name string
	n    int
}{{"700B", 700}, {"1KB", 1024}, {"10KB", 10240}}

// BenchmarkOpen is body to verified, decrypted message.
func BenchmarkOpen(b *testing.B) {
	c := newCodec(b)
	for _, z := range sizes {
		s, body := callback(b, c, z.n)
		b.Run(z.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				openBody(b, c, s, body)
			}
		})
	}
}

func BenchmarkScanEnvelope(b *testing.B) {
	c := newCodec(b)
	for _, z := range sizes {
		_, body := callback(b, c, z.n)
		b.Run(z.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				_, _ = ScanEnvelope(body)
			}
		})
	}
}

// BenchmarkRefuse should cost the same for everything that is wrong behind the signature.
func BenchmarkRefuse(b *testing.B) {
	c := newCodec(b)
	m := strings.Repeat("m", 300-headerSize-len(testCorp))
	n := uint32(len(m))
	for _, tc := range []struct {
		name string
		p    []byte
	}{
		{"nothing wrong", append(frame(n, m, testCorp), honestPadding(300)...)},
		{"padding", append(frame(n, m, testCorp), []byte(strings.Repeat("\x13", 20))...)},
		{"padding over 32", append(frame(n, m, testCorp), []byte(strings.Repeat("\xff", 20))...)},
		{"length", append(frame(1<<31, m, testCorp), honestPadding(300)...)},
		{"receiveid", append(frame(n, m, strings.ToUpper(testCorp)), honestPadding(300)...)},
		{"receiveid one short", append(frame(n+1, m, testCorp), honestPadding(300)...)},
	} {
		encrypt := []byte(encryptRaw(b, testKey, tc.p))
		sig := c.Sign(testTime, testNonce, encrypt)
		b.Run(tc.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _, err := c.Open(sig, testTime, testNonce, encrypt)
				if (err == nil) != (tc.name == "nothing wrong") {
					b.Fatal(err)
				}
			}
		})
	}
}
