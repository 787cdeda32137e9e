package kfsim

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"maps"
	"slices"
)

// ids makes every id, token and code of a run from its seed. Each kind counts for itself, so one
// more pull does not change the ids of the messages that follow. The caller holds Sim.mu.
type ids struct {
	hmac hash.Hash
	made map[string]uint64
}

func newIDs(seed uint64) *ids {
	key := binary.BigEndian.AppendUint64([]byte("kfsim seed "), seed)
	return &ids{hmac: hmac.New(sha256.New, key), made: map[string]uint64{}}
}

// mac is the keyed hash from which everything here is cut.
func (g *ids) mac(parts ...string) []byte {
	g.hmac.Reset()
	for _, p := range parts {
		g.hmac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(p))))
		g.hmac.Write([]byte(p))
	}
	return g.hmac.Sum(nil)
}

// next returns n bytes that nobody got before, for this kind.
func (g *ids) next(kind string, n int) []byte {
	g.made[kind]++
	count := string(binary.BigEndian.AppendUint64(nil, g.made[kind]))
	var out []byte
	for block := byte(0); len(out) < n; block++ {
		out = append(out, g.mac(kind, count, string(block))...)
	}
	return out[:n]
}

// opaque returns prefix and n letters and digits.
func (g *ids) opaque(prefix, kind string, n int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	b := g.next(kind, n)
	for i, v := range b {
		b[i] = alphabet[int(v)%len(alphabet)]
	}
	return prefix + string(b)
}

// digits returns n decimal digits, the first not zero.
func (g *ids) digits(kind string, n int) string {
	b := g.next(kind, n)
	for i, v := range b {
		b[i] = '0' + v%10
	}
	b[0] = '1' + b[0]%9
	return string(b)
}

// fingerprint names a secret in the journal without showing it.
func fingerprint(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:4])
}

// sortedKeys makes walks over a map repeatable.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
