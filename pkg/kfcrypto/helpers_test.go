package kfcrypto

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"sort"
	"strings"
	"testing"
)

// Made up, and open nothing. The key is not canonical base64, as real ones.
const (
	testToken = "KfCryptoTestToken"
	testKey   = "TestOnlyEncodingAesKey0123456789abcdefghijZ"
	testCorp  = "ww0000test00000001"
	testTime  = "1700000000"
	testNonce = "1234567890"
)

func newCodec(t testing.TB, ids ...string) *Codec {
	t.Helper()
	return newCodecOf(t, testToken, testKey, ids...)
}

func newCodecOf(t testing.TB, token, key string, ids ...string) *Codec {
	t.Helper()
	if len(ids) == 0 {
		ids = []string{testCorp}
	}
	c, err := New(token, key, ids...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func seal(t testing.TB, c *Codec, message string) Sealed {
	t.Helper()
	s, err := c.Seal(nil, testTime, testNonce, []byte(message), testCorp)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// plainSign is the signature as the platform's page tells it.
func plainSign(token, timestamp, nonce, encrypt string) string {
	parts := []string{token, timestamp, nonce, encrypt}
	sort.Strings(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, "")))
	return hex.EncodeToString(sum[:])
}

// encryptRaw encrypts a plaintext of whole AES blocks as it is, padding and all.
func encryptRaw(t testing.TB, key string, plaintext []byte) string {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(key + "=")
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, len(plaintext))
	cipher.NewCBCEncrypter(block, raw[:16]).CryptBlocks(out, plaintext)
	return base64.StdEncoding.EncodeToString(out)
}

// frame builds a plaintext; size and padding may lie.
func frame(size uint32, message, receiveID string, padding ...byte) []byte {
	p := []byte("0123456789abcdef")
	p = binary.BigEndian.AppendUint32(p, size)
	p = append(append(p, message...), receiveID...)
	return append(p, padding...)
}

// honestPadding is what belongs behind a plaintext of n bytes.
func honestPadding(n int) []byte {
	pad := 32 - n%32
	return []byte(strings.Repeat(string(rune(pad)), pad))
}

// plainParse is the frame as the platform's page tells it, with branches and early returns.
func plainParse(p []byte) (message, receiveID string, err error) {
	bad := errors.New("bad frame")
	if len(p) == 0 || len(p)%32 != 0 {
		return "", "", bad
	}
	pad := int(p[len(p)-1])
	if pad < 1 || pad > 32 {
		return "", "", bad
	}
	for _, b := range p[len(p)-pad:] {
		if int(b) != pad {
			return "", "", bad
		}
	}
	p = p[:len(p)-pad]
	if len(p) < 20 {
		return "", "", bad
	}
	size := uint64(binary.BigEndian.Uint32(p[16:20]))
	if size > uint64(len(p)-20) {
		return "", "", bad
	}
	return string(p[20 : 20+size]), string(p[20+size:]), nil
}

func wantMalformed(t *testing.T, err error) {
	t.Helper()
	if err != ErrMalformed { //nolint:errorlint // the one value, not something that wraps it
		t.Errorf("got error %v, want exactly ErrMalformed", err)
	}
}
