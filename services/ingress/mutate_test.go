package ingress

import (
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// trueRequest is a captured request of which every part counts.
type trueRequest struct {
	params  []string // name=value
	encrypt string
	json    bool
}

func (r trueRequest) query() string { return strings.Join(r.params, "&") }

func (r trueRequest) body() string {
	if r.json {
		return `{"encrypt":"` + r.encrypt + `"}`
	}
	return `<xml><Encrypt><![CDATA[` + r.encrypt + `]]></Encrypt></xml>`
}

// mutation changes a request somewhere where every change matters, and returns its query and body.
type mutation struct {
	name string
	make func(*rand.Rand, trueRequest) (query, body string)
}

func mutations() []mutation {
	bytesOf := func(d *rand.Rand, s string) string { // one to four bytes changed, taken out or put in
		b := []byte(s)
		for range 1 + d.IntN(4) {
			i := d.IntN(len(b))
			switch d.IntN(3) {
			case 0:
				b[i] ^= byte(1 + d.IntN(255))
			case 1:
				b = slices.Delete(b, i, i+1)
			case 2:
				b = slices.Insert(b, i, byte(d.IntN(256)))
			}
		}
		return string(b)
	}
	return []mutation{
		{"bytes of the query", func(d *rand.Rand, r trueRequest) (string, string) { return bytesOf(d, r.query()), r.body() }},
		{"bytes of the ciphertext", func(d *rand.Rand, r trueRequest) (string, string) {
			r.encrypt = bytesOf(d, r.encrypt)
			return r.query(), r.body()
		}},
		{"a part of the ciphertext elsewhere", func(d *rand.Rand, r trueRequest) (string, string) {
			i, j := d.IntN(len(r.encrypt)/2), len(r.encrypt)/2+d.IntN(len(r.encrypt)/2)
			r.encrypt = r.encrypt[j:] + r.encrypt[i:j] + r.encrypt[:i]
			return r.query(), r.body()
		}},
		{"a cut body", func(d *rand.Rand, r trueRequest) (string, string) { return r.query(), r.body()[:d.IntN(len(r.body()))] }},
		{"a body twice in itself", func(d *rand.Rand, r trueRequest) (string, string) {
			i := d.IntN(len(r.body()))
			return r.query(), r.body()[:i] + r.body() + r.body()[i:]
		}},
		{"a parameter less", func(d *rand.Rand, r trueRequest) (string, string) {
			i := d.IntN(len(r.params))
			r.params = slices.Delete(slices.Clone(r.params), i, i+1)
			return r.query(), r.body()
		}},
		{"a parameter twice", func(d *rand.Rand, r trueRequest) (string, string) {
			r.params = append(slices.Clone(r.params), r.params[d.IntN(len(r.params))])
			return r.query(), r.body()
		}},
		{"a parameter cut", func(d *rand.Rand, r trueRequest) (string, string) {
			r.params = slices.Clone(r.params)
			i := d.IntN(len(r.params))
			r.params[i] = r.params[i][:d.IntN(len(r.params[i]))]
			return r.query(), r.body()
		}},
		{"a byte between the tags", func(d *rand.Rand, r trueRequest) (string, string) {
			body, at := r.body(), d.IntN(len(r.body()))
			return r.query(), body[:at] + string([]byte{"<>&\x00\xff[]{}\"\\"[d.IntN(11)]}) + body[at:]
		}},
		{"markup in front or behind", func(d *rand.Rand, r trueRequest) (string, string) {
			extra := []string{"<!DOCTYPE xml>", "<?x y?>", "<!-- -->", "<a/>", "{}", "[]", "\ufeff", "null", "</xml>"}
			if e := extra[d.IntN(len(extra))]; d.IntN(2) == 0 {
				return r.query(), e + r.body()
			} else {
				return r.query(), r.body() + e
			}
		}},
	}
}

// TestMutations: what is not the captured request is refused.
func TestMutations(t *testing.T) {
	const rounds = 2500
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	d := open(t)
	limit, worst := maxCPU, time.Duration(0)
	if raceEnabled {
		limit *= 20
	}
	kinds := mutations()
	made := map[string]int{}
	for i := range rounds {
		kind := kinds[i%len(kinds)]
		s, err := d.codec.Seal(rnd{}, stamp, nonceOf, []byte(kf(fmt.Sprint("wk", i), "ENC1")), corp)
		if err != nil {
			t.Fatal(err)
		}
		captured := trueRequest{[]string{"msg_signature=" + s.MsgSignature, "timestamp=" + stamp, "nonce=" + nonceOf}, string(s.Encrypt), dice.IntN(2) == 0}
		query, body := kind.make(dice, captured)
		if query == captured.query() && strings.ReplaceAll(body, `\/`, `/`) == captured.body() {
			continue // it is the same after all: some encoders write / so
		}
		made[kind.name]++
		best := time.Hour
		for range 5 {
			r := httptest.NewRequest("POST", "/callback", strings.NewReader(body))
			r.URL.RawQuery, r.RemoteAddr = query, "127.0.0.1:1"
			began := cpuTime(t)
			code, answer := d.ask(r)
			best = min(best, cpuTime(t)-began)
			if code != 403 || answer != "forbidden" {
				t.Fatalf("%s: got %d %s for\n%q\n%q", kind.name, code, answer, query, body)
			}
			if best < limit/4 {
				break
			}
		}
		if worst = max(worst, best); best > limit {
			t.Errorf("%s costs %v, want %v at most:\n%q\n%q", kind.name, best, limit, query, body)
		}
	}
	d.nothingPublished(t)
	total := 0
	for _, kind := range kinds {
		if made[kind.name] < 50 {
			t.Errorf("only %d times: %s", made[kind.name], kind.name)
		}
		total += made[kind.name]
	}
	if total < 2000 {
		t.Errorf("only %d mutations, want 2000", total)
	}
	t.Logf("%d mutations, the dearest costs %v", total, worst)
}
