package ingress

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
)

// sealRaw encrypts bytes as they are, padding and all, as somebody with the keys and bad intentions would.
func sealRaw(t *testing.T, frame []byte) string {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(aesKey + "=")
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, len(frame))
	cipher.NewCBCEncrypter(block, key[:16]).CryptBlocks(out, frame)
	return base64.StdEncoding.EncodeToString(out)
}

// frame is a padded plaintext that says its message has size bytes.
func frame(size uint32, message, receiveID string) []byte {
	p := append([]byte("0123456789abcdef"), 0, 0, 0, 0)
	binary.BigEndian.PutUint32(p[16:], size)
	p = append(append(p, message...), receiveID...)
	pad := 32 - len(p)%32
	return append(p, slices.Repeat([]byte{byte(pad)}, pad)...)
}

// lyingFrames are frames with something wrong, by what it is.
func lyingFrames() map[string][]byte {
	doc := kf("wk1", "ENC1")
	n := uint32(len(doc))
	good := frame(n, doc, corp)
	all := map[string][]byte{
		"no bytes": {}, "zeros": make([]byte, len(good)), "only padding": slices.Repeat([]byte{32}, 32),
		"16 bytes":                          []byte("0123456789abcdef"),
		"not a multiple of 32":              good[:len(good)-16],
		"cut":                               good[:len(good)-32],
		"no message":                        frame(0, "", corp),
		"no receiveid":                      frame(n, doc, ""),
		"another receiveid":                 frame(n, doc, "ww00000000000other"),
		"a receiveid that is ours and more": frame(n, doc, corp+"x"),
		"a receiveid in capitals":           frame(n, doc, strings.ToUpper(corp)),
		"invalid UTF-8":                     frame(5, "<x>\xff\xfe", corp),
		"broken XML":                        frame(5, "<xml>", corp),
		"broken JSON":                       frame(5, `{"a":`, corp),
		"no document":                       frame(5, "hello", corp),
		"another corp's ToUserName":         frame(uint32(len("<xml><ToUserName>ww1</ToUserName></xml>")), "<xml><ToUserName>ww1</ToUserName></xml>", corp),
	}
	for _, size := range []uint32{0, 1, n - 1, n + 1, n + uint32(len(corp)), n + uint32(len(corp)) + 1, uint32(len(good)), n << 24, math.MaxInt32,
		math.MaxInt32 + 1, math.MaxUint32 - 19, math.MaxUint32} {
		all[fmt.Sprint("length ", size)] = frame(size, doc, corp)
	}
	for v := range 256 {
		if b := slices.Clone(good); b[len(b)-1] != byte(v) {
			b[len(b)-1] = byte(v)
			all[fmt.Sprint("last byte ", v)] = b
		}
	}
	return all
}

func signed(d *rig, encrypt string) *http.Request {
	return httptest.NewRequest("POST", "http://x/callback?"+query(d.codec.Sign(stamp, nonceOf, []byte(encrypt))),
		strings.NewReader("<xml><Encrypt>"+encrypt+"</Encrypt></xml>"))
}

// TestFramesAreRefusedAlike: who can sign but not encrypt learns nothing from what he gets: 255 last bytes, lengths that lie,
// and the rest are one answer.
func TestFramesAreRefusedAlike(t *testing.T) {
	w := serve(open(t))
	want := reply{403, "forbidden", http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "X-Content-Type-Options": {"nosniff"}, "Content-Length": {"9"}}}
	all := lyingFrames()
	for name, f := range all {
		encrypt := sealRaw(t, f[:len(f)/16*16])
		if len(f) == 0 {
			encrypt = "===="
		}
		if got := w.must(t, wireForm(t, signed(w.rig, encrypt))); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	for name, encrypt := range map[string]string{"no base64": "****", "a character less": sealRaw(t, frame(1, "x", corp))[1:], "one letter": "A"} {
		if got := w.must(t, wireForm(t, signed(w.rig, encrypt))); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	w.nothingPublished(t)
	doc := kf("wk1", "ENC1")
	if got := w.must(t, wireForm(t, signed(w.rig, sealRaw(t, frame(uint32(len(doc)), doc, corp))))); got.status != 200 {
		t.Errorf("an honest frame made in the same way: got %v", got)
	}
	t.Logf("%d frames", len(all))
}

// TestFramesCostAlike: nor from the time that it takes.
func TestFramesCostAlike(t *testing.T) {
	d := open(t)
	all, doc := lyingFrames(), kf("wk1", "ENC1")
	honest := frame(uint32(len(doc)), doc, corp)
	kinds := map[string][]byte{"bad padding": all["last byte 0"], "another padding": all["last byte 255"], "a length too large": all["length 4294967295"],
		"another receiveid": frame(uint32(len(doc)), doc, "ww00000000000other")}
	const samples, bound = 500, 50 * time.Microsecond
	var worst time.Duration
	for range 5 { // whoever shares the machine disturbs a round, not all of them
		took := map[string][]time.Duration{}
		for range samples {
			for name, f := range kinds {
				if len(f) != len(honest) {
					t.Fatalf("%s has %d bytes, want %d", name, len(f), len(honest))
				}
				r := signed(d, sealRaw(t, f))
				r.RemoteAddr = "127.0.0.1:1"
				began := time.Now()
				code, _ := d.ask(r)
				took[name] = append(took[name], time.Since(began))
				if code != 403 {
					t.Fatalf("%s: got %d", name, code)
				}
			}
		}
		var medians []time.Duration
		for _, ds := range took {
			slices.Sort(ds)
			medians = append(medians, ds[len(ds)/2])
		}
		if worst = slices.Max(medians) - slices.Min(medians); worst < bound {
			t.Logf("medians of %d refusals of each kind lie %v apart", samples, worst)
			return
		}
	}
	t.Errorf("medians lie %v apart, want less than %v", worst, bound)
}

// split is another reading of what a signature covers.
type split struct{ timestamp, nonce, encrypt string }

// splits are all readings of a captured request that bear its signature: the four texts are signed in ascending order with
// nothing between them.
func splits(d *rig, timestamp, nonce, encrypt string) []split {
	d.Helper()
	signature := d.codec.Sign(timestamp, nonce, []byte(encrypt))
	parts := []string{token, timestamp, nonce, encrypt}
	slices.Sort(parts)
	text := strings.Join(parts, "")
	seen := map[split]bool{}
	var out []split
	for at := range text {
		if !strings.HasPrefix(text[at:], token) {
			continue
		}
		rest := text[:at] + text[at+len(token):]
		for i := 1; i < len(rest)-1; i++ {
			for j := i + 1; j < len(rest); j++ {
				if short := min(i, 65) + min(j-i, 65) + min(len(rest)-j, 65); short > 2*64+65 || max(i, j-i, len(rest)-j) < 65 {
					continue // timestamp and nonce are short, the ciphertext is not
				}
				a, b, c := rest[:i], rest[i:j], rest[j:]
				for _, s := range []split{{a, b, c}, {a, c, b}, {b, a, c}, {b, c, a}, {c, a, b}, {c, b, a}} {
					if len(s.timestamp) == 10 && len(s.nonce) <= 64 && !seen[s] && d.codec.Sign(s.timestamp, s.nonce, []byte(s.encrypt)) == signature {
						seen[s] = true
						out = append(out, s)
					}
				}
			}
		}
	}
	return out
}

// TestSplits: whatever else a captured signature fits, it rings no second bell.
func TestSplits(t *testing.T) {
	const captures = 12
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	d := open(t)
	readings, accepted := 0, 0
	for i := range captures {
		nonce := strconv.Itoa(1e9 + dice.IntN(9e9))
		if i%3 == 2 {
			nonce = strconv.FormatUint(dice.Uint64(), 36)
		}
		plain := kf(fmt.Sprint("wk", i), strings.Repeat("E", dice.IntN(60)))
		if i%2 == 1 {
			plain = fmt.Sprintf("<xml><ToUserName>%s</ToUserName><MsgType>text</MsgType><Content>%d</Content></xml>", corp, i)
		}
		s, err := d.codec.Seal(nil, stamp, nonce, []byte(plain), corp)
		if err != nil {
			t.Fatal(err)
		}
		all := splits(d, stamp, nonce, string(s.Encrypt))
		slices.SortFunc(all, func(a, b split) int { // what was captured comes first
			return strings.Compare(strconv.FormatBool(b.nonce == nonce), strconv.FormatBool(a.nonce == nonce))
		})
		for _, r := range all {
			readings++
			for _, encrypt := range []string{r.encrypt, r.encrypt} {
				q := url.Values{"msg_signature": {s.MsgSignature}, "timestamp": {r.timestamp}, "nonce": {r.nonce}}
				req := httptest.NewRequest("POST", "/callback?"+q.Encode(), strings.NewReader("<xml><Encrypt>"+encrypt+"</Encrypt></xml>"))
				req.RemoteAddr = "127.0.0.1:1"
				if code, _ := d.ask(req); code == 200 && (r.timestamp != stamp || r.nonce != nonce) {
					accepted++
				} else if code != 200 && r.nonce == nonce && r.timestamp == stamp {
					t.Fatalf("the captured request itself: got %d", code)
				}
			}
		}
	}
	if accepted == 0 {
		t.Error("no other reading was ever accepted: the test tests nothing")
	}
	if bells, messages := d.lastSeq(events.StreamCallback), d.lastSeq(events.StreamMessage); bells != captures/2 || messages != captures/2 {
		t.Errorf("got %d doorbells and %d messages of %d captures of each", bells, messages, captures/2)
	}
	t.Logf("%d captures have %d readings; %d times another than the true one was accepted", captures, readings, accepted)
}

func (d *rig) lastSeq(stream string) uint64 {
	d.Helper()
	s, err := d.b.JS.Stream(testkit.Context(d), stream)
	if err != nil {
		d.Fatal(err)
	}
	return s.CachedInfo().State.LastSeq
}

// TestSpellings: a ciphertext has many spellings in base64. Who knows the token can sign each; it is one callback all the same.
func TestSpellings(t *testing.T) {
	for length := range 3 { // so that it ends in "==", "=" and nothing
		d := open(t)
		plain := fmt.Sprintf("<xml><ToUserName>%s</ToUserName><MsgType>text</MsgType><Content>%s</Content></xml>", corp, strings.Repeat("x", 10+32*length))
		s, err := d.codec.Seal(rnd{}, stamp, nonceOf, []byte(plain), corp)
		if err != nil {
			t.Fatal(err)
		}
		std := string(s.Encrypt)
		spellings := []string{std, strings.NewReplacer("+", "-", "/", "_").Replace(std), strings.TrimRight(std, "="), " " + std + "\n", std[:20] + "\r\n\t" + std[20:],
			std[:20] + "\n" + std[20:]}
		if bare := strings.TrimRight(std, "="); len(bare) < len(std) { // spare bits of the last character
			last := bare[:len(bare)-1] + string(alphabet[strings.IndexByte(alphabet, bare[len(bare)-1])+1])
			spellings = append(spellings, last, last+std[len(bare):])
		}
		for _, e := range spellings {
			if code, _ := d.ask(signed(d, e)); code != 200 {
				t.Errorf("%.40q: got %d", e, code)
			}
		}
		if n := d.lastSeq(events.StreamMessage); n != 1 {
			t.Errorf("%d spellings of one ciphertext are %d messages, want 1", len(spellings), n)
		}
	}
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
