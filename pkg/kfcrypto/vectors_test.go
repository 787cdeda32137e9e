package kfcrypto

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
)

type vector struct {
	ID             string  `json:"id"`
	Kind           string  `json:"kind"`
	Token          string  `json:"token"`
	EncodingAESKey string  `json:"encoding_aes_key"`
	ReceiveID      string  `json:"receive_id"`
	Timestamp      string  `json:"timestamp"`
	Nonce          string  `json:"nonce"`
	Encrypt        string  `json:"encrypt"`
	MsgSignature   string  `json:"msg_signature"`
	Plaintext      string  `json:"plaintext"`
	PlaintextLen   int     `json:"plaintext_len"`
	RandomHex      string  `json:"random_hex"`
	PadLen         int     `json:"pad_len"`
	PaddedLen      int     `json:"padded_len"`
	AESKeyHex      string  `json:"aes_key_hex"`
	Canonical      bool    `json:"key_is_canonical_base64"`
	PostBody       string  `json:"post_body"`
	BasedOn        string  `json:"based_on"`
	Change         *vector `json:"change"`
}

type vectorFile struct {
	Vectors  []vector `json:"vectors"`
	Negative []vector `json:"negative"`
}

func loadVectors(t testing.TB) vectorFile {
	t.Helper()
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var f vectorFile
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Vectors) != 18 || len(f.Negative) != 8 {
		t.Fatalf("got %d and %d vectors, want 18 and 8", len(f.Vectors), len(f.Negative))
	}
	return f
}

func TestVectors(t *testing.T) {
	for _, v := range loadVectors(t).Vectors {
		t.Run(v.ID, func(t *testing.T) {
			if v.Kind == "signature_only" {
				c := newCodecOf(t, v.Token, testKey)
				if got := c.Sign(v.Timestamp, v.Nonce, []byte(v.Encrypt)); got != v.MsgSignature {
					t.Errorf("got signature %s, want %s", got, v.MsgSignature)
				}
				return
			}
			checkKey(t, v)
			c := newCodecOf(t, v.Token, v.EncodingAESKey, v.ReceiveID)
			checkOpen(t, c, v)
			checkEncrypt(t, c, v)
			switch v.Kind {
			case "url_verify":
				echo, err := c.VerifyURL(v.MsgSignature, v.Timestamp, v.Nonce, v.Encrypt)
				if err != nil || echo != v.Plaintext {
					t.Errorf("VerifyURL: got %q, %v, want %q", echo, err, v.Plaintext)
				}
			case "message", "reply_encrypt":
				if v.PostBody == "" {
					return
				}
				env, err := ScanEnvelope([]byte(v.PostBody))
				if err != nil || string(env.Encrypt) != v.Encrypt || string(env.ToUserName) != v.ReceiveID {
					t.Errorf("ScanEnvelope: got %s, %v", env, err)
				}
			default:
				t.Fatalf("unknown kind %q", v.Kind)
			}
		})
	}
}

func checkKey(t *testing.T, v vector) {
	t.Helper()
	k, err := ParseKey(v.EncodingAESKey)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := k.aes()
	if err != nil || hex.EncodeToString(raw) != v.AESKeyHex {
		t.Errorf("got AES key %x, %v, want %s", raw, err, v.AESKeyHex)
	}
	_, err = base64.StdEncoding.Strict().DecodeString(v.EncodingAESKey + "=")
	if got := err == nil; got != v.Canonical {
		t.Errorf("got canonical %v, want %v", got, v.Canonical)
	}
}

func checkOpen(t *testing.T, c *Codec, v vector) {
	t.Helper()
	message, id, err := c.Open(v.MsgSignature, v.Timestamp, v.Nonce, []byte(v.Encrypt))
	if err != nil || string(message) != v.Plaintext || id != v.ReceiveID || len(message) != v.PlaintextLen {
		t.Errorf("Open: got %q for %q, %v; want %q for %q", message, id, err, v.Plaintext, v.ReceiveID)
	}
	message, id, err = c.Decrypt([]byte(v.Encrypt))
	if err != nil || string(message) != v.Plaintext || id != v.ReceiveID {
		t.Errorf("Decrypt: got %q for %q, %v; want %q for %q", message, id, err, v.Plaintext, v.ReceiveID)
	}
}

func checkEncrypt(t *testing.T, c *Codec, v vector) {
	t.Helper()
	random, err := hex.DecodeString(v.RandomHex)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := c.Seal(bytes.NewReader(random), v.Timestamp, v.Nonce, []byte(v.Plaintext), v.ReceiveID)
	if err != nil || string(sealed.Encrypt) != v.Encrypt || sealed.MsgSignature != v.MsgSignature {
		t.Errorf("Seal: got %s, %s, %v; want %s, %s", sealed.Encrypt, sealed.MsgSignature, err, v.Encrypt, v.MsgSignature)
	}
	if n := base64.StdEncoding.DecodedLen(len(sealed.Encrypt)) - bytes.Count(sealed.Encrypt, []byte("=")); n != v.PaddedLen ||
		n-20-len(v.Plaintext)-len(v.ReceiveID) != v.PadLen {
		t.Errorf("got %d bytes, want %d with padding %d", n, v.PaddedLen, v.PadLen)
	}
}

func TestNegativeVectors(t *testing.T) {
	f := loadVectors(t)
	byID := make(map[string]vector)
	for _, v := range f.Vectors {
		byID[v.ID] = v
	}
	want := map[string]error{ // nil: New refuses
		"neg-wrong-nonce":        ErrSignature,
		"neg-wrong-token":        ErrSignature,
		"neg-space-for-plus":     ErrSignature,
		"neg-wrong-receiveid":    ErrMalformed,
		"neg-short-key":          nil,
		"neg-bad-padding":        ErrMalformed,
		"neg-not-block-multiple": ErrMalformed,
		"neg-huge-length":        ErrMalformed,
	}
	for _, n := range f.Negative {
		t.Run(n.ID, func(t *testing.T) {
			wanted, known := want[n.ID]
			if !known {
				t.Fatal("no expectation for this vector")
			}
			v := n
			if n.BasedOn != "" {
				v = changed(byID[n.BasedOn], *n.Change)
			}
			c, err := New(v.Token, v.EncodingAESKey, v.ReceiveID)
			if (err != nil) != (wanted == nil) {
				t.Fatalf("New: got %v", err)
			}
			if err != nil {
				return
			}
			if m, _, err := c.Open(v.MsgSignature, v.Timestamp, v.Nonce, []byte(v.Encrypt)); err != wanted || m != nil { //nolint:errorlint // exactly
				t.Errorf("got %q, %v, want %v", m, err, wanted)
			}
			if n.ID != "neg-space-for-plus" {
				return
			}
			if echo, err := c.VerifyURL(v.MsgSignature, v.Timestamp, v.Nonce, v.Encrypt); err != nil || echo != v.Plaintext {
				t.Errorf("VerifyURL with spaces: got %q, %v, want %q", echo, err, v.Plaintext)
			}
		})
	}
}

// changed is v with every field that by sets.
func changed(v, by vector) vector {
	for _, f := range []struct {
		to   *string
		from string
	}{
		{&v.Token, by.Token}, {&v.EncodingAESKey, by.EncodingAESKey}, {&v.ReceiveID, by.ReceiveID}, {&v.Nonce, by.Nonce},
		{&v.Encrypt, by.Encrypt}, {&v.MsgSignature, by.MsgSignature},
	} {
		if f.from != "" {
			*f.to = f.from
		}
	}
	return v
}
